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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.completion import argument_problem
from streamkit.conversation.outcome import not_run
from streamkit.conversation.retrying import is_passing, own_error
from streamkit.conversation.steps import Close, Give, Open, Read, Restart, Retry, Returned, Run, Wait
from streamkit.errors import AnswerChangedError, DialectError, RetriesExhaustedError, TooManyRoundsError

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
        completion, calls, tries = yield from _answered(plan, messages)
        if calls and number == plan.max_rounds:
            raise TooManyRoundsError(number, [call.name for call in calls])
        outcomes = yield from _made(calls)
        messages.extend(plan.api.messages(completion, calls, outcomes))
        rounds.append(Round(completion, calls, outcomes, tries))
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


def _answered(plan: Plan, messages: Sequence[Any]) -> Generator[Step, Any, tuple[Completion, tuple[Call, ...], int]]:
    """Make a request until it is answered, and return the answer, its calls, and the number of tries."""
    spoken = _Spoken(restarts=plan.restarts)
    number = 0
    while True:
        number += 1
        try:
            completion = yield from _read(plan, messages, spoken)
            calls = plan.api.calls(completion, len(messages))
        except Exception as error:  # noqa: BLE001 - the client's own are not known here; what is not retried is raised
            failure = error
        else:
            yield Close()
            return completion, calls, number
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


def _read(plan: Plan, messages: Sequence[Any], spoken: _Spoken) -> Generator[Step, Any, Completion]:
    """Make a request once, give its text, and return the answer if it ended properly."""
    reader = plan.api.reader()
    yield Open(plan.parameters(messages))
    while True:
        try:
            data = yield Read()
        except Exception:
            if reader.snapshot().ended:
                break  # the answer is whole; what broke came after it
            raise
        if data is None:
            break
        if (yield from _take(plan, reader, data, spoken)):
            break
    reader.close()
    completion = reader.result()
    yield from spoken.take(completion.content or "", whole=True)
    return completion


def _take(plan: Plan, reader: EventReader, data: bytes, spoken: _Spoken) -> Generator[Step, Any, bool]:
    """Feed bytes, give the text of each event by itself, however the bytes are cut, and say whether that was all."""
    for line in data.splitlines(keepends=True):
        reader.feed(line)
        if line.strip(b"\r\n"):
            continue  # only an empty line ends an event
        completion = reader.snapshot()
        yield from spoken.take(completion.content or "")
        if plan.api.is_over(reader, completion):
            return True
    return False


@dataclass
class _Spoken:
    """What was given out of a round.

    Attributes:
        restarts: whether it may begin again.
        given: the text so far.
    """

    restarts: bool
    given: str = field(default="")

    def take(self, text: str, *, whole: bool = False) -> Iterator[Step]:
        """Yield what gives the rest of a text to the caller.

        Args:
            text: the answer's, as far as it has come.
            whole: nothing more comes.
        """
        if not whole:
            text = text.removesuffix("\ufffd")  # half a character, so far
        if not text.startswith(self.given):
            if not whole and self.given.startswith(text):
                return
            if not self.restarts:
                raise AnswerChangedError(self.given, text)
            yield Restart()
            self.given = ""
        piece = text[len(self.given) :]
        self.given = text
        if piece:
            yield Give(piece)
