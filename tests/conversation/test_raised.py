"""What functions raise and return at the worst: none of it hangs, is swallowed, or spoils the conversation."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import openai
import pytest
from pydantic import BaseModel, model_serializer
from skhelpers.talking import Talk, interactions, refused

import streamkit
from streamkit.conversation import AsyncConversation, Call, Conversation, Functions, Outcome, Retry, Status
from streamkit.conversation.running import arun_all, run_all
from streamkit.errors import NetworkBlockedError, TooManyRoundsError
from streamkit.replay import network_blocked
from streamkit.transcript import Transcript

LONG = 10.0  # seconds that no test takes: who waits for ever is told from who waits
sync_and_async = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
one_and_two = pytest.mark.parametrize("names", [("odd",), ("odd", "fine")], ids=["one", "two"])


class Leaving(BaseException):
    """As pytest's own outcomes are: no Exception, and nothing to tell a model."""


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unwritable(BaseModel):
    @model_serializer
    def write(self) -> dict[str, Any]:
        raise LookupError("not today")


def fine() -> str:
    return "fine"


def outcomes(odd: Any, names: tuple[str, ...], *, is_async: bool, limit: float | None = None) -> list[Outcome]:
    """Call the function `odd`, alone or beside another, in a thread that is given up where it hangs."""
    functions = Functions()
    functions.add(odd, name="odd")
    functions.add(fine)
    calls = tuple(Call(f"c{number}", name, "") for number, name in enumerate(names))
    ended: list[list[Outcome] | BaseException] = []

    def work() -> None:
        try:
            if is_async:
                ended.append(asyncio.run(arun_all(functions, calls, limit, together=True)))
            else:
                ended.append(run_all(functions, calls, limit, together=True))
        except BaseException as error:  # noqa: BLE001 - raised below
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive(), "it waits for ever"
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


@sync_and_async
@one_and_two
@pytest.mark.parametrize("limit", [None, LONG])
@pytest.mark.parametrize("kind", [Leaving, KeyboardInterrupt, GeneratorExit])
def test_what_is_no_exception_is_raised_in_whoever_made_the_call(
    kind: type[BaseException], limit: float | None, names: tuple[str, ...], is_async: bool
) -> None:
    def odd() -> None:
        raise kind

    with pytest.raises(kind):
        outcomes(odd, names, is_async=is_async, limit=limit)


@sync_and_async
@one_and_two
def test_what_is_no_exception_is_raised_of_an_async_function_too(names: tuple[str, ...], is_async: bool) -> None:
    async def odd() -> None:
        raise Leaving

    with pytest.raises(Leaving):
        outcomes(odd, names, is_async=is_async)


@sync_and_async
@one_and_two
def test_an_error_that_cannot_say_what_it_is_is_told_by_its_class(names: tuple[str, ...], is_async: bool) -> None:
    def odd() -> None:
        raise SpeechlessError

    first = outcomes(odd, names, is_async=is_async)[0]
    assert (Status.FAILED, "Error: odd failed: SpeechlessError") == (first.status, first.text)


@sync_and_async
@one_and_two
def test_a_result_whose_own_serializer_raises_is_a_failure(names: tuple[str, ...], is_async: bool) -> None:
    def odd() -> Unwritable:
        return Unwritable()

    first = outcomes(odd, names, is_async=is_async)[0]
    assert Status.FAILED is first.status
    assert "Unwritable" in first.text


@one_and_two
def test_an_async_function_that_is_cancelled_by_itself_failed_and_its_caller_goes_on(names: tuple[str, ...]) -> None:
    async def odd() -> None:
        raise asyncio.CancelledError

    for is_async in (False, True):
        made = outcomes(odd, names, is_async=is_async)
        assert [Status.FAILED, Status.OK][: len(names)] == [one.status for one in made]


def test_a_caller_that_is_cancelled_is_cancelled_whatever_the_function_does() -> None:
    begun = asyncio.Event()

    async def odd() -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    async def work() -> bool:
        task = asyncio.create_task(Functions([odd]).acall_function("odd", ""))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(work())


# -- in a conversation

CALLS = (
    b'data: {"choices": [{"index": 0, "finish_reason": "tool_calls", "delta": {"tool_calls": ['
    b'{"index": 0, "id": "c\\ud83d", "type": "function", "function": {"name": "odd", "arguments": ""}}]}}]}\n\n'
    b"data: [DONE]\n\n"
)
TEXT = b'data: {"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@sync_and_async
def test_halves_of_surrogate_pairs_do_not_keep_the_next_request_from_being_made(is_async: bool) -> None:
    def odd() -> str:
        return "name-\udcff.txt"

    messages: list[Any] = [{"role": "user", "content": "?"}]
    source: Any = [Transcript(CALLS, dialect="openai_chat"), Transcript(TEXT, dialect="openai_chat")]
    if is_async:
        answer: Any = AsyncConversation(
            streamkit.replay.async_openai(source), "m", functions=[odd]
        ).get_response(messages)  # fmt: skip
        text = asyncio.run(answer.read())
    else:
        answer = Conversation(streamkit.replay.openai(source), "m", functions=[odd]).get_response(messages)
        text = answer.read()
    assert "so" == text
    assert ("name-\ufffd.txt", "name-\udcff.txt") == (messages[2]["content"], answer.outcomes[0].value)
    assert "c\ufffd" == messages[2]["tool_call_id"] == messages[1]["tool_calls"][0]["id"]


@pytest.mark.parametrize(("status", "raised"), [(503, None), (400, openai.BadRequestError)])
@sync_and_async
def test_an_error_that_the_caller_is_just_handling_is_no_cause_of_a_failure(
    status: int, raised: type[Exception] | None, is_async: bool
) -> None:
    talk = Talk(interactions("synthetic_count_string"), {0: [refused(status)]})
    try:
        raise TooManyRoundsError(1, ["another conversation"])
    except TooManyRoundsError:
        if raised is not None:
            with pytest.raises(raised):
                talk.run(is_async=is_async)
        else:
            assert "It has 9 characters." == talk.run(is_async=is_async).answer.text


def test_a_blocked_network_is_its_own_error_of_a_client_that_tries_several_addresses_at_once() -> None:
    retries: list[Retry] = []

    async def talk() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url="http://localhost:9") as client:
            conversation = AsyncConversation(client, "m", clock=streamkit.VirtualClock(), on_retry=retries.append)
            await conversation.get_response([{"role": "user", "content": "?"}]).read()

    with network_blocked(), pytest.raises(NetworkBlockedError):
        asyncio.run(talk())
    assert [] == retries


@sync_and_async
@pytest.mark.parametrize("more", [{}, {"time_limit": LONG}], ids=["without limit", "with limit"])
def test_a_round_whose_call_raises_what_is_no_exception_leaves_the_messages(
    more: dict[str, Any], is_async: bool
) -> None:
    seen: list[int] = []

    def leave(**arguments: Any) -> None:
        seen.append(len(talk.messages))
        raise Leaving

    functions = Functions()
    functions.add(leave, name="count_string", parameters={"type": "object"})
    talk = Talk(interactions("synthetic_count_string"))
    before = list(talk.messages)
    with pytest.raises(Leaving):
        talk.run(is_async=is_async, functions=functions, client=player(talk, is_async=is_async), **more)
    assert ([len(before)], before) == (seen, talk.messages)


def player(talk: Talk, *, is_async: bool) -> Any:
    """Return a client that answers every request with the call."""
    answer = [talk.rounds[0].transcript]
    return streamkit.replay.async_openai(answer) if is_async else streamkit.replay.openai(answer)
