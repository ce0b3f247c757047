"""Every exception that streamkit raises.

Two families, split by who has to act::

    StreamkitError                  the call, the files or the stream are at fault
    +- UsageError                   an argument or option that cannot be used
    |  +- TokenError                a text that is not a case token, or one of another transcript
    +- CassetteError                a cassette file
    |  +- CassetteNotFoundError     no cassette of that name
    |  +- CassetteFormatError       the file is not a cassette that this version can read
    |  +- CassetteLockedError       another writer holds the cassette
    |  +- UnmatchedRequestError     no recorded interaction answers a request
    +- NetworkBlockedError          a connection was made where the network is blocked
    +- TargetError                  the code under test cannot be called
    +- Inapplicable                 a mutation has nothing to do in a stream
    +- UndecidedError               nothing is wrong as far as was tried, and nothing is proved
    +- LimitError                   a limit that the caller set was reached
    +- ConversationError            a conversation cannot go on; the messages are as before the round that failed
    |  +- AnswerChangedError        a retry answers otherwise than what was already handed out
    |  +- UnusableCallsError          an answer ended within its calls: none of them was run
    |  +- RetriesExhaustedError     every try of a request failed
    |  +- TooManyRoundsError        the model goes on calling functions
    +- DialectError                 the stream says something that the dialect cannot take
       +- PayloadError              an event that is not a payload of the dialect
       |  +- MessageError           bytes that are no message of an AWS event stream
       +- ProviderError             the provider reported an error inside the stream
       +- TruncatedStreamError      the stream ended before it was finished
    OracleFailure(AssertionError)   the code under test is wrong
    StreamkitWarning(UserWarning)   something was left in a way that a test should not leave it

Replayed transport errors are not here: they are the client library's own exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AnswerChangedError",
    "CassetteError",
    "CassetteFormatError",
    "CassetteLockedError",
    "CassetteNotFoundError",
    "ConversationError",
    "DialectError",
    "Inapplicable",
    "LimitError",
    "MessageError",
    "NetworkBlockedError",
    "OracleFailure",
    "PayloadError",
    "ProviderError",
    "RetriesExhaustedError",
    "StreamkitError",
    "StreamkitWarning",
    "TargetError",
    "TokenError",
    "TooManyRoundsError",
    "TruncatedStreamError",
    "UndecidedError",
    "UnmatchedRequestError",
    "UnusableCallsError",
    "UsageError",
]


def _rebuild(kind: type[StreamkitError], args: tuple[Any, ...], state: dict[str, Any]) -> StreamkitError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class StreamkitError(Exception):
    """Root of everything that is wrong with a call, a file or a stream."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it pass from one process to another, whatever its constructor takes."""
        return _rebuild, (type(self), self.args, self.__dict__)


class UsageError(StreamkitError):
    """An argument or option cannot be used; the message says what to write instead."""


class TokenError(UsageError):
    """A text is not a case token, or belongs to another transcript."""


class CassetteError(StreamkitError):
    """Something is wrong with a cassette file."""


class CassetteNotFoundError(CassetteError):
    """No cassette has that name.

    Attributes:
        name: what was asked for.
        nearest: up to three names that exist and look alike, best first.
    """

    def __init__(self, name: str, *, nearest: Sequence[str] = (), searched: Sequence[str] = ()) -> None:
        self.name = name
        self.nearest = tuple(nearest)
        text = f"no transcript named {name!r}"
        if self.nearest:
            text += "; did you mean " + " or ".join(repr(n) for n in self.nearest) + "?"
        if searched:
            text += " (looked in: " + ", ".join(searched) + ")"
        text += ". `streamkit list` shows all names; a path to a .yaml or .sse file works too."
        super().__init__(text)


class CassetteFormatError(CassetteError):
    """A file is there and cannot be read as a cassette.

    Attributes:
        path: the file.
        line: 1-based line of the fault, or None where no line can be named.
        reason: what is wrong there.
    """

    def __init__(self, path: str, reason: str, *, line: int | None = None) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        super().__init__(f"{path}:{line}: {reason}" if line is not None else f"{path}: {reason}")


class CassetteLockedError(CassetteError):
    """Another writer held a cassette for longer than we would wait; nothing was written.

    Attributes:
        path: the cassette.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self.path = path
        super().__init__(
            f"{path}: another writer has held this cassette for {seconds:g} seconds; nothing was written. "
            "Let tests that record run one after the other, or give each its own cassette."
        )


class UnmatchedRequestError(CassetteError):
    """A request was made that no recorded interaction answers, and nothing may be recorded.

    Attributes:
        reason: one of the reasons of `streamkit.replay.MissReason`.
        method: of the request.
        url: of the request, after redaction.
        path: the cassette.
        nearest: the recorded request that is most like it, as (method, URL), or None.
        differences: what differs from the nearest, one line each.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        method: str,
        url: str,
        path: str,
        nearest: tuple[str, str] | None = None,
        differences: Sequence[str] = (),
    ) -> None:
        self.reason = reason
        self.method = method
        self.url = url
        self.path = path
        self.nearest = nearest
        self.differences = tuple(differences)
        super().__init__(message)


class NetworkBlockedError(StreamkitError):
    """A connection was made where the network is blocked.

    Attributes:
        host: the host.
        port: the port, where known.
    """

    def __init__(self, host: str, port: object = None) -> None:
        self.host = host
        self.port = port
        where = host if port is None else f"{host}:{port}"
        super().__init__(
            f"the network is blocked, and something connects to {where}. Record it (--streamkit-record=once), allow "
            f'the host (@pytest.mark.streamkit(allowed_hosts=["{host}"]), or streamkit_allowed_hosts in the ini file), '
            "or unblock: --streamkit-block-network=off"
        )


class TargetError(StreamkitError):
    """The code under test cannot be imported or fits no adapter."""


class Inapplicable(StreamkitError):  # noqa: N818 - an answer rather than an error
    """A mutation has nothing to do in a stream; the message says why."""


class UndecidedError(StreamkitError):
    """Nothing was found that is wrong, and nothing proved either; the message says why, and what was tried."""


class LimitError(StreamkitError):
    """A limit that the caller set was reached.

    Attributes:
        limit: the limit, in bytes.
    """

    def __init__(self, message: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(message)


class ConversationError(StreamkitError):
    """A conversation cannot go on. The messages are as they were before the round that failed."""


class AnswerChangedError(ConversationError):
    """An answer that was asked for again, or revises itself, says something else than what was handed out of it.

    Attributes:
        given: what was handed out of this round.
        text: what the answer says now, as far as it had come.
    """

    def __init__(self, given: str, text: str) -> None:
        self.given = given
        self.text = text
        same = next(
            (n for n, (a, b) in enumerate(zip(given, text, strict=False)) if a != b), min(len(given), len(text))
        )
        super().__init__(
            f"the answer differs after {same} characters from what was handed out of it before: "
            f"{given[same : same + 40]!r} became {text[same : same + 40]!r}. With on_restart= such a round begins again"
        )


class UnusableCallsError(ConversationError):
    """An answer with calls was cut off, by a limit or a filter, or a call in it is in doubt, so that none was run.

    Attributes:
        completion: the `streamkit.Completion`.
        problem: why the first such call must not be run.
    """

    def __init__(self, completion: Any, name: str, problem: str) -> None:
        self.completion = completion
        self.problem = problem
        super().__init__(f"no call of the answer was run: of {name!r}, {problem}")


class RetriesExhaustedError(ConversationError):
    """Every try of a request failed; the last error is the cause.

    Attributes:
        tries: how many there were.
        last: what the last one failed with.
    """

    def __init__(self, tries: int, last: BaseException, why: str = "") -> None:
        self.tries = tries
        self.last = last
        counted = "the only try" if tries == 1 else f"all {tries} tries"
        super().__init__(f"{counted} of the request failed{why}: {type(last).__name__}: {last}")


class TooManyRoundsError(ConversationError):
    """The answer to the last request that is allowed holds calls again; they were not run.

    Attributes:
        rounds: how many requests were made.
        names: of the functions that it calls.
    """

    def __init__(self, rounds: int, names: Sequence[str]) -> None:
        self.rounds = rounds
        self.names = tuple(names)
        many = "round" if rounds == 1 else "rounds"
        super().__init__(
            f"after {rounds} {many} the model still calls {', '.join(names)}: these calls were not run. "
            "max_rounds= allows more"
        )


class DialectError(StreamkitError):
    """A stream breaks the rules of its dialect. Its text ends with the place, as far as that is known.

    Attributes:
        partial: the Completion as far as it had come; nothing in it is finished and no tool call in it is executable.
        event: the number of the event that is at fault, the first one being 0; of a stream that ended early, of the
            one that did not come; None where it is not known.
        offset: where in the body that event begins, in bytes; of a stream that ended early, where it ended.
        path: JSONPath (RFC 9535) of the value at fault in the event's JSON, "$" for all of it; None where there is
            no JSON.
        site: the object or list that holds the value, and its key there; None once `path` says it.
    """

    partial: Any = None
    event: int | None = None
    offset: int | None = None
    path: str | None = None
    site: tuple[Any, str | int | None] | None = None

    def __str__(self) -> str:
        text = super().__str__()
        if self.event is None:
            return text
        place = f"event {self.event}" if self.offset is None else f"event {self.event} at byte {self.offset}"
        return f"{text} ({place})" if self.path is None else f"{text} ({place}, {self.path})"


class PayloadError(DialectError):
    """An event's data is not a payload of the dialect (not JSON, wrong shape, bytes that are not UTF-8)."""


class MessageError(PayloadError):
    """Bytes are no message of an AWS event stream.

    Attributes:
        offset: where in the stream the broken message begins, in bytes.
        reason: what is wrong with it.
    """

    offset: int

    def __init__(self, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(f"the message at byte {offset} is broken: {reason}")


class ProviderError(DialectError):
    """The provider reported an error inside the stream.

    Attributes:
        code: the provider's own code or type, where it gave one.
        payload: the error object as it came.
    """

    def __init__(self, message: str, *, code: str | int | None = None, payload: Any = None) -> None:
        self.code = code
        self.payload = payload
        super().__init__(message)


class TruncatedStreamError(DialectError):
    """The stream ended with neither a finish reason nor the terminal event of its dialect."""


class StreamkitWarning(UserWarning):
    """Something was left in a way that a test should not leave it, such as an open stream."""


class OracleFailure(AssertionError):  # noqa: N818 - it reports the code under test, not an error of ours
    """The code under test is wrong.

    The first line of the message says what differs, the last how to run the case again.

    Attributes:
        counterexamples: the minimal failing cases (`streamkit.fuzz.counterexample.Counterexample`), at least one.
    """

    def __init__(self, message: str, counterexamples: Sequence[Any] = ()) -> None:
        self.counterexamples = tuple(counterexamples)
        super().__init__(message)
