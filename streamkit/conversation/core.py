"""The conversation itself, without input or output: requests, answers, calls, retries, and what the messages become.

Rules. A round is a request and its answer, and the calls that the answer holds. The messages grow by whole rounds:
where one fails, they are as they were before it, so that the caller can simply go on. Calls are made once the answer
has ended properly, and never again: a retry repeats a request, not a round.

Text. It is given out as it comes. When a request is made again, what was given out is swallowed as long as the new
answer repeats it, and the rest is given. Where the new answer differs, what was given is void and the round begins
again, if the caller knows what to do about that; else it is an error. The same holds for an answer that revises itself,
as a Responses stream can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.completion import argument_problem
from streamkit.conversation.outcome import not_run
from streamkit.conversation.retrying import is_passing, own_error
from streamkit.conversation.steps import Close, Give, Open, Read, Restart, Retry, Returned, Run, Wait
from streamkit.dialects.text import Text, pair_surrogates
from streamkit.errors import AnswerChangedError, DialectError, PayloadError, RetriesExhaustedError, TooManyRoundsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, MutableSequence, Sequence

    from streamkit.completion import Completion
    from streamkit.conversation.apis import Api
    from streamkit.conversation.functions import Functions
    from streamkit.conversation.outcome import Outcome
    from streamkit.conversation.retrying import Backoff
    from streamkit.conversation.steps import Call, Step
    from streamkit.dialects.reader import EventReader

    Steps = Generator[Step, Any, None]

__all__ = ["Plan", "Round", "converse", "summed"]

_SHOWN = 80  # bytes of an answer that is no stream


@dataclass(frozen=True)
class Plan:
    """What a conversation is to do.

    Attributes:
        api: whose requests and messages they are.
        functions: that the model may call.
        options: further parameters of each request.
        max_rounds: how many requests are made for one answer at most.
        backoff: of retries.
        restarts: a round whose text changes begins again; else that is an error.
    """

    api: Api
    functions: Functions
    options: Mapping[str, Any]
    max_rounds: int
    backoff: Backoff
    restarts: bool

    def parameters(self, messages: Sequence[Any]) -> dict[str, Any]:
        """Return the parameters of a request."""
        made = self.api.request(self.functions, messages)
        more = dict(self.options)
        if "tools" in more:
            made["tools"] = [*made.get("tools", ()), *more.pop("tools")]
        return {**made, **more}


@dataclass(frozen=True)
class Round:
    """One request, its answer, and the calls that it led to.

    Attributes:
        completion: the answer.
        calls: of it.
        outcomes: of them, in the same order.
        tries: how often the request was made.
    """

    completion: Completion
    calls: tuple[Call, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    tries: int = 1


def summed(usages: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return the sum of usage objects, number by number; of what is no number, the last."""
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in (usage or {}).items():
            before = total.get(name)
            if isinstance(value, dict):
                total[name] = summed([before if isinstance(before, dict) else None, value])
            elif _number(value) and _number(before):
                total[name] = before + value
            elif value is not None or name not in total:
                total[name] = value
    return total


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def converse(plan: Plan, messages: MutableSequence[Any], rounds: list[Round]) -> Steps:
    """Yield the steps of one answer, up to one without calls.

    Args:
        plan: what to do.
        messages: so far; each round that is finished is appended to them.
        rounds: each round that is finished is appended to it.

    Raises:
        ConversationError: it cannot go on.
        DialectError: an answer is none of this API, or reports an error that does not pass.
        Exception: what the client raised, where no retry helps.
    """
    for number in range(1, plan.max_rounds + 1):
        answered = yield from _answered(plan, messages)
        completion, calls = answered.completion, answered.calls
        if calls and number == plan.max_rounds:
            raise TooManyRoundsError(number, [call.name for call in calls])
        outcomes = yield from _made(calls)
        messages.extend(plan.api.messages(completion, calls, outcomes, answered.kept))
        rounds.append(Round(completion, calls, outcomes, answered.tries))
        if not calls:
            return
        yield Returned(outcomes)


def _made(calls: tuple[Call, ...]) -> Generator[Step, Any, tuple[Outcome, ...]]:
    """Have calls made, and return their outcomes.

    Where the arguments of one are not JSON, nobody knows whether the model or the stream broke them, and what else it
    broke: then none is made, and the model can make them again.
    """
    if not calls:
        return ()
    broken = tuple(call for call in calls if argument_problem(call.arguments) is not None)
    if not broken:
        return tuple((yield Run(calls)))
    told = iter((yield Run(broken)))
    return tuple(next(told) if call in broken else not_run(call.name).of_call(call.id) for call in calls)


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer that ended properly, its calls, what else of it goes back, and how often it was asked for."""

    completion: Completion
    calls: tuple[Call, ...]
    kept: Mapping[str, Any]
    tries: int


def _answered(plan: Plan, messages: Sequence[Any]) -> Generator[Step, Any, _Answered]:
    """Make a request until it is answered."""
    spoken = _Spoken(restarts=plan.restarts)
    number = 0
    while True:
        number += 1
        try:
            reader = yield from _read(plan, messages, spoken)
            completion = reader.result()
            yield from spoken.take(completion.content or "", whole=True)
            calls = plan.api.calls(completion, len(messages))
        except Exception as error:  # noqa: BLE001 - the client's own are not known here; what is not retried is raised
            failure = error
        else:
            yield Close()
            return _Answered(completion, calls, plan.api.kept(reader), number)
        yield Close()
        own = None if isinstance(failure, DialectError) else own_error(failure)
        if own is not None:
            raise own
        if not is_passing(failure):
            raise failure
        seconds = plan.backoff.wait(number, failure)
        if seconds is None:
            early = number <= plan.backoff.retries
            why = ", and the server asks for a longer wait than is allowed" if early else ""
            raise RetriesExhaustedError(number, failure, why) from failure
        yield Retry(failure, seconds, number)
        yield Wait(seconds)


def _read(plan: Plan, messages: Sequence[Any], spoken: _Spoken) -> Generator[Step, Any, EventReader]:
    """Make a request once, give its text as it comes, and return the reader that has read all that counts."""
    reader = plan.api.reader()
    spoken.listen()
    yield Open(plan.parameters(messages))
    begun = b""
    while True:
        try:
            data = yield Read()
        except Exception:
            if reader.snapshot().ended:
                break  # the answer is whole; what broke came after it
            raise
        if data is None:
            break
        begun += data[: _SHOWN - len(begun)]
        if (yield from _take(reader, data, spoken)):
            break
    reader.close()
    if begun.lstrip()[:1] in (b"{", b"[", b"<") and not reader.snapshot().ended:
        # JSON or a page: asked again, the server would say the same
        raise PayloadError(f"the answer is no event stream: it begins {begun.decode('utf-8', 'replace')!r}")
    return reader


def _take(reader: EventReader, data: bytes, spoken: _Spoken) -> Generator[Step, Any, bool]:
    """Feed bytes, give the text of each event by itself, however the bytes are cut, and say whether that was all."""
    for line in data.splitlines(keepends=True):
        reader.feed(line)
        if line.strip(b"\r\n"):
            continue  # only an empty line ends an event
        yield from spoken.hear(reader)
        if reader.over:  # of Chat, that is behind the finish reason: usage comes after it
            return True
    return False


class _Spoken:
    """What was given out of a round. It takes a time that grows with the text, and not with its square.

    Args:
        restarts: whether the round may begin again.
    """

    def __init__(self, *, restarts: bool) -> None:
        self._restarts = restarts
        self._given = Text()
        self.listen()

    def listen(self) -> None:
        """Begin to listen to another answer; what was given stays given."""
        self._heard = 0  # of what was given, the characters that this answer holds too
        self._place = 0  # how much of this answer's text was asked for, as it came
        self._half = ""  # of a surrogate pair, whose other half is to come
        self._whole = False  # this answer revises its text: only the whole of it tells

    def hear(self, reader: EventReader) -> Iterator[Step]:
        """Yield what gives to the caller the text that has come since the last time."""
        more = None if self._whole else reader.text_since(self._place)
        if more is None:
            self._whole = True
            yield from self.take(reader.snapshot().content or "")
        elif more:
            self._place += len(more)
            yield from self._add(self._half + more)

    def _add(self, text: str) -> Iterator[Step]:
        self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        text = pair_surrogates(text[:-1] if self._half else text)
        given = self._given.raw or "" if self._heard < len(self._given) else ""
        known = given[self._heard : self._heard + len(text)]
        if not text.startswith(known):
            yield from self._restart(given[: self._heard] + text)
            return
        self._heard += len(text)
        yield from self._give(text[len(known) :])

    def take(self, text: str, *, whole: bool = False) -> Iterator[Step]:
        """Yield what gives the rest of a text to the caller.

        Args:
            text: the answer's, as far as it has come.
            whole: nothing more comes.
        """
        if not whole:
            text = text.removesuffix("\ufffd")  # half a character, so far
        given = self._given.raw or ""
        if text.startswith(given):
            yield from self._give(text[len(given) :])
        elif whole or not given.startswith(text):
            yield from self._restart(text)

    def _restart(self, text: str) -> Iterator[Step]:
        if not self._restarts:
            raise AnswerChangedError(self._given.raw or "", text)
        yield Restart()
        self._given, self._heard = Text(), len(text)
        yield from self._give(text)

    def _give(self, text: str) -> Iterator[Step]:
        if text:
            self._given.add(text)
            yield Give(text)
