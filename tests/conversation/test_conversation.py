"""The conversation over a real client: cassettes, a server, options, usage, and everything that ends it otherwise."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from skhelpers.talking import Talk, interactions, refused

import streamkit
from streamkit.cassettes import find, load_cassette
from streamkit.conversation import AsyncConversation, Backoff, Call, Conversation, Functions, Retry, Status
from streamkit.conversation.core import summed
from streamkit.conversation.examples import functions as examples
from streamkit.conversation.examples import get_current_weather
from streamkit.errors import (
    AnswerChangedError,
    ConversationError,
    NetworkBlockedError,
    PayloadError,
    RetriesExhaustedError,
    TooManyRoundsError,
    UnmatchedRequestError,
    UnusableCallsError,
    UsageError,
)
from streamkit.replay import network_blocked
from streamkit.replay.delivery import Delivery
from streamkit.server import ReplayServer
from streamkit.transcript import ResponseHead, Transcript

sync_and_async = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
BOSTON = {"role": "user", "content": "What is the weather like in Boston?"}
ANSWER = "It is 22 °C and clear in Boston."


def stream(*payloads: dict[str, Any], done: bool = True) -> Transcript:
    """Return an answer of Chat Completions, of deltas with an optional finish reason."""
    body = ""
    for payload in payloads:
        choice = {"index": 0, "finish_reason": payload.pop("finish", None), "delta": payload}
        body += f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
    return Transcript((body + "data: [DONE]\n\n" * done).encode(), dialect="openai_chat")


def call(name: str, arguments: str, number: int = 0, **more: Any) -> dict[str, Any]:
    entry = {"index": number, "type": "function", "function": {"name": name, "arguments": arguments}, **more}
    return {"tool_calls": [entry]}


def replayed(*transcripts: Transcript, **how: Any) -> Conversation:
    return Conversation(streamkit.replay.openai(list(transcripts)), "m", **{"backoff": Backoff(retries=0), **how})


def answered(source: Any, messages: list[Any], *, is_async: bool, **how: Any) -> str:
    """Have a conversation with a client of one kind or the other, and return the text of the answer."""
    how = {"backoff": Backoff(retries=0), **how}
    if not is_async:
        return Conversation(streamkit.replay.openai(source), "m", **how).get_response(messages).read()
    client = streamkit.replay.async_openai(source)
    return asyncio.run(AsyncConversation(client, "m", **how).get_response(messages).read())


# -- replayed in the three ways


@sync_and_async
def test_a_conversation_is_replayed_from_a_cassette(is_async: bool) -> None:
    messages: list[Any] = [BOSTON]
    how: dict[str, Any] = {"functions": [get_current_weather_of_guide()], "tool_choice": "auto"}
    with streamkit.use_cassette(find("conversations/weather_in_boston"), record_mode="none") as cassette:
        if is_async:

            async def talk() -> str:
                async with openai.AsyncOpenAI(api_key="x") as client:
                    return await AsyncConversation(client, "gpt-4", **how).get_response(messages).read()

            text = asyncio.run(talk())
        else:
            with openai.OpenAI(api_key="x") as client:
                text = Conversation(client, "gpt-4", **how).get_response(messages).read()
        assert cassette.all_played
    assert ANSWER == text
    assert ["user", "assistant", "tool", "assistant"] == [message["role"] for message in messages]


def get_current_weather_of_guide() -> Any:
    return examples["get_current_weather"]


@pytest.mark.parametrize("name", ["synthetic_count_string", "synthetic_count_string_responses"])
@sync_and_async
def test_a_conversation_is_replayed_over_real_sockets(name: str, is_async: bool) -> None:
    with ReplayServer([f"conversations/{name}"]) as server:
        talk = Talk(interactions(name))
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        talk.run(is_async=is_async, client=kind(api_key="x", base_url=server.base_url()))
    assert ("It has 9 characters.", 1) == (talk.answer.text, len(talk.calls))
    assert talk.expected() == talk.messages[:-1]


def test_a_conversation_is_replayed_by_a_transport() -> None:
    conversation = replayed(*(one.transcript for one in interactions("weather_in_boston")), functions=examples)
    messages: list[Any] = [BOSTON]
    pieces = ["It", " is", " 22", " °C", " and", " clear", " in", " Boston", "."]
    assert pieces == list(conversation.get_response(messages))


def test_a_cassette_that_runs_out_is_its_own_error_and_is_not_retried() -> None:
    clock = streamkit.VirtualClock()
    messages: list[Any] = [BOSTON]
    with streamkit.use_cassette(find("conversations/weather_in_boston"), record_mode="none"):
        conversation = Conversation(
            openai.OpenAI(api_key="x"), "gpt-4", functions=[get_current_weather_of_guide()], tool_choice="auto",
            clock=clock,
        )  # fmt: skip
        conversation.get_response(messages).read()
        done = [*messages, {"role": "user", "content": "And tomorrow?"}]
        messages[:] = done
        with pytest.raises(UnmatchedRequestError, match="no recorded interaction answers") as caught:
            conversation.get_response(messages).read()
    assert caught.value.nearest is not None
    assert (done, 0.0) == (messages, clock.time())


def test_a_replay_that_has_no_answer_left_is_its_own_error() -> None:
    (first, _) = interactions("weather_in_boston")
    conversation = replayed(first.transcript, first.transcript, functions=examples, backoff=Backoff(retries=5))
    messages: list[Any] = [BOSTON]
    with pytest.raises(UsageError, match="only 2 transcripts were given"):
        conversation.get_response(messages).read()
    assert 5 == len(messages), "two rounds are finished"


def test_a_blocked_network_is_its_own_error_and_is_not_retried() -> None:
    clock = streamkit.VirtualClock()
    messages: list[Any] = [BOSTON]
    with openai.OpenAI(api_key="x", base_url="http://192.0.2.1/v1") as client:
        conversation = Conversation(client, "m", clock=clock)
        with network_blocked(), pytest.raises(NetworkBlockedError, match=r"192\.0\.2\.1"):
            conversation.get_response(messages).read()
    assert ([BOSTON], 0.0) == (messages, clock.time())


# -- the messages, and what is known of an answer


@sync_and_async
def test_usage_is_the_sum_of_all_rounds(is_async: bool) -> None:
    talk = Talk(interactions("synthetic_count_string")).run(is_async=is_async)
    assert {"prompt_tokens": 296, "completion_tokens": 31, "total_tokens": 327} == talk.answer.usage
    assert [24, 7] == [one.completion.usage["completion_tokens"] for one in talk.answer.rounds]
    talk = Talk(interactions("synthetic_count_string_responses")).run(is_async=is_async)
    assert (305, {"reasoning_tokens": 0}) == (
        talk.answer.usage["total_tokens"],
        talk.answer.usage["output_tokens_details"],
    )


def test_usage_is_summed_number_by_number_whatever_a_server_sends() -> None:
    usages = [None, {"a": 1, "d": {"x": 1}, "n": None, "s": "x"}, {"a": 2, "b": 0.5, "d": {"x": 2, "y": 1}, "t": True}]
    assert {"a": 3, "b": 0.5, "d": {"x": 3, "y": 1}, "n": None, "s": "x", "t": True} == summed(usages)
    assert {} == summed([None])


def test_the_text_of_all_rounds_is_given_and_the_answer_is_that_of_the_last() -> None:
    talk = Talk(interactions("synthetic_count_string")).run()
    assert ("Let me count. It has 9 characters.", "It has 9 characters.") == (talk.text, talk.answer.text)
    assert ("stop", None) == (talk.answer.finish_reason, talk.answer.refusal)


def test_a_conversation_goes_on_with_the_messages_that_it_left() -> None:
    first, second = (stream({"content": text, "finish": "stop"}) for text in ("One.", "Two."))
    conversation = replayed(first, second)
    messages: list[Any] = [BOSTON]
    assert "One." == conversation.get_response(messages).read()
    messages.append(BOSTON)
    assert "Two." == conversation.get_response(messages).read()
    assert [
        BOSTON,
        {"role": "assistant", "content": "One."},
        BOSTON,
        {"role": "assistant", "content": "Two."},
    ] == messages


def test_what_a_provider_sends_with_a_call_goes_back_and_a_missing_id_is_made() -> None:
    signed = call("count_string", '{"string_to_count":"ab"}', extra_content={"google": {"thought_signature": "s1"}})
    conversation = replayed(
        stream({**signed, "content": ""}, {"finish": "tool_calls"}),
        stream({"content": "2", "finish": "stop"}),
        functions=examples,
    )  # fmt: skip
    messages: list[Any] = [BOSTON]
    conversation.get_response(messages).read()
    (sent,) = messages[1]["tool_calls"]
    assert {"google": {"thought_signature": "s1"}} == sent["extra_content"]
    assert sent["id"] == messages[2]["tool_call_id"] == "call_1_0"


def test_a_function_without_arguments_may_be_called_with_none() -> None:
    functions = Functions([now])
    answers = [stream(call("now", "", id="c1"), {"finish": "tool_calls"}), stream({"content": "ok", "finish": "stop"})]
    messages: list[Any] = [BOSTON]
    answer = replayed(*answers, functions=functions).get_response(messages)
    assert "ok" == answer.read()
    assert ["noon"] == [one.value for one in answer.outcomes]
    assert "{}" == messages[1]["tool_calls"][0]["function"]["arguments"], "which every server can parse"


def now() -> str:
    return "noon"


def test_a_refusal_is_kept() -> None:
    messages: list[Any] = [BOSTON]
    answer = replayed(stream({"refusal": "No."}, {"finish": "stop"})).get_response(messages)
    assert ("", "No.") == (answer.read(), answer.refusal)
    assert {"role": "assistant", "content": None, "refusal": "No."} == messages[-1]


def test_items_of_responses_that_have_to_go_back_do() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    one = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "now",
        "arguments": "{}",
        "status": "completed",
    }
    done = {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Noon.", "annotations": []}]}  # fmt: skip

    def response(*output: Any) -> Transcript:
        events: list[Any] = [
            {"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(output)
        ]
        events.append({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}})
        return Transcript(
            "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode(), dialect="openai_responses"
        )

    messages: list[Any] = [BOSTON]
    conversation = replayed(response(reasoning, search, one), response(done), functions=[now], api="responses")
    assert "Noon." == conversation.get_response(messages).read()
    assert [
        BOSTON,
        reasoning,
        search,
        {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "noon"},
        {"role": "assistant", "content": "Noon."},
    ] == messages


def test_options_go_into_each_request_and_tools_of_the_provider_beside_ours() -> None:
    talk = Talk(interactions("synthetic_count_string"))
    with pytest.raises(UnmatchedRequestError):
        talk.run(temperature=0.5, tools=[{"type": "web_search"}], user="u")
    (sent,) = talk.sent
    assert (0.5, "u", True) == (sent["temperature"], sent["user"], sent["stream"])
    assert ["function", "function", "web_search"] == [tool["type"] for tool in sent["tools"]]


def test_without_functions_none_are_sent() -> None:
    talk = Talk(interactions("synthetic_streaming")).run(functions=None)
    assert "Quantum computers compute with qubits." == talk.text
    assert "tools" not in talk.sent[0]


# -- calls that go wrong


def dialogue(arguments: str, name: str = "count_string", **how: Any) -> tuple[list[Any], Any, list[str]]:
    """Have a conversation in which the model makes one call, and return messages, answer and what was called."""
    made: list[str] = []
    functions = Functions()

    @functions.add
    def count_string(string_to_count: str) -> int:
        made.append(string_to_count)
        if string_to_count == "boom":
            raise ValueError("no such string")
        return len(string_to_count)

    first = stream(call(name, arguments, id="c1"), {"finish": "tool_calls"})
    messages: list[Any] = [BOSTON]
    conversation = replayed(first, stream({"content": "Well.", "finish": "stop"}), functions=functions, **how)
    answer = conversation.get_response(messages)
    answer.read()
    return messages, answer, made


@pytest.mark.parametrize(
    ("name", "arguments", "status", "told"),
    [
        ("count_string", '{"string_to_count":"abc"}', Status.OK, "3"),
        ("count_it", '{"string_to_count":"abc"}', Status.UNKNOWN_FUNCTION, "Error: there is no function 'count_it'"),
        ("count_string", '{"string_to_count":"ab', Status.INVALID_ARGUMENTS, "Error: the arguments of count_string"),
        ("count_string", '{"string":"abc"}', Status.INVALID_ARGUMENTS, "string_to_count: Field required"),
        (
            "count_string",
            '{"string_to_count":"boom"}',
            Status.FAILED,
            "count_string failed: ValueError: no such string",
        ),
    ],
)
def test_what_becomes_of_a_call_goes_back_to_the_model(name: str, arguments: str, status: Status, told: str) -> None:
    messages, answer, made = dialogue(arguments, name)
    (outcome,) = answer.outcomes
    assert (status, "c1") == (outcome.status, outcome.call_id)
    assert told in outcome.text
    assert {"role": "tool", "tool_call_id": "c1", "content": outcome.text} == messages[2]
    assert (1 if status in (Status.OK, Status.FAILED) else 0) == len(made)
    assert "Well." == answer.text


@sync_and_async
def test_a_call_that_takes_too_long_goes_back_to_the_model(is_async: bool) -> None:
    released = threading.Event()
    functions = Functions()

    @functions.add
    def slow() -> str:
        released.wait()
        return "late"

    first, second = (
        stream(call("slow", "", id="c1"), {"finish": "tool_calls"}),
        stream({"content": "Well.", "finish": "stop"}),
    )
    messages: list[Any] = [BOSTON]
    try:
        answered([first, second], messages, is_async=is_async, functions=functions, time_limit=0.05)
    finally:
        released.set()
    assert "Error: slow took longer than 0.05 seconds and was given up." == messages[2]["content"]


def test_beside_a_call_that_is_not_json_no_other_is_made() -> None:
    first = stream(
        call("now", "{}", 0, id="c1"), call("now", '{"a":', 1, id="c2"), call("no", "{}", 2, id="c3"),
        {"finish": "tool_calls"},
    )  # fmt: skip
    seen: list[Call] = []
    messages: list[Any] = [BOSTON]
    conversation = replayed(first, stream({"content": "!", "finish": "stop"}), functions=[now], on_call=seen.append)
    answer = conversation.get_response(messages)
    answer.read()
    assert [Status.NOT_RUN, Status.INVALID_ARGUMENTS, Status.NOT_RUN] == [one.status for one in answer.outcomes]
    assert ["c1", "c2", "c3"] == [one["tool_call_id"] for one in messages[2:5]]
    assert ["c2"] == [one.id for one in seen]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_calls_of_an_answer_that_was_cut_off_are_not_made(api: str) -> None:
    if api == "chat":
        transcript = stream(call("now", "{}", id="c1"), {"finish": "length"})
    else:
        item = {"type": "function_call", "id": "f", "call_id": "c1", "name": "now", "arguments": "{}"}
        events: list[Any] = [
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.incomplete",
             "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}},
        ]  # fmt: skip
        transcript = Transcript("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode())
    made: list[Call] = []
    messages: list[Any] = [BOSTON]
    with pytest.raises(UnusableCallsError, match=r"no call of the answer was run: of 'now', the answer was cut off"):
        replayed(transcript, functions=[now], api=api, on_call=made.append).get_response(messages).read()
    assert ([BOSTON], []) == (messages, made)


def test_a_text_that_was_cut_off_is_an_answer_that_says_so() -> None:
    answer = replayed(stream({"content": "It is", "finish": "length"})).get_response([BOSTON])
    assert ("It is", "length") == (answer.read(), answer.finish_reason)


def test_a_call_in_both_forms_is_made_once() -> None:
    both = {**call("now", "{}", id="c1"), "function_call": {"name": "now", "arguments": "{}"}}
    made: list[Call] = []
    replayed(
        stream(both, {"finish": "tool_calls"}), stream({"content": "!", "finish": "stop"}), functions=[now],
        on_call=made.append,
    ).get_response([BOSTON]).read()  # fmt: skip
    assert ["c1"] == [one.id for one in made]


@sync_and_async
def test_a_model_that_calls_for_ever_is_stopped_before_its_last_calls(is_async: bool) -> None:
    (first, _) = interactions("weather_in_boston")
    made: list[Call] = []
    messages: list[Any] = [BOSTON]
    how: dict[str, Any] = {"functions": examples, "max_rounds": 3, "on_call": made.append}
    with pytest.raises(TooManyRoundsError, match="after 3 rounds the model still calls get_current_weather") as caught:
        answered(first.transcript, messages, is_async=is_async, **how)
    assert (3, ("get_current_weather",)) == (caught.value.rounds, caught.value.names)
    assert (2, 5) == (len(made), len(messages)), "the finished rounds stay"


# -- answers that are none


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        (ResponseHead(), b"data: {oops}\n\n", PayloadError),
        (ResponseHead(), b'data: {"type":"response.created","response":{}}\n\n', RetriesExhaustedError),
        (ResponseHead(), b"", RetriesExhaustedError),
        (ResponseHead(200, "OK", (("content-type", "text/html"),)), b"<html>busy</html>", PayloadError),
        (ResponseHead(404), b'{"error":{"message":"no such model"}}', openai.NotFoundError),
        (ResponseHead(401), b'{"error":{"message":"no such key"}}', openai.AuthenticationError),
    ],
)  # fmt: skip
@sync_and_async
def test_what_is_no_answer_is_a_typed_error_and_changes_nothing(
    head: ResponseHead, body: bytes, error: type[Exception], is_async: bool
) -> None:
    messages: list[Any] = [BOSTON]
    transcript = Transcript(body, head=head)
    with pytest.raises(error):
        answered(transcript, messages, is_async=is_async)
    assert [BOSTON] == messages


@sync_and_async
def test_nobody_reads_on_behind_the_event_that_ends_an_answer(is_async: bool) -> None:
    """A server may keep the connection open."""
    for name in ("synthetic_streaming", "synthetic_count_string_responses"):
        *_, last = interactions(name)

        def chunks(body: bytes = last.transcript.body) -> Iterator[bytes]:
            yield body
            raise AssertionError("it was read on")

        talk = Talk([last], {0: [Delivery(last.transcript.head, chunks())]})
        assert talk.run(is_async=is_async).answer.rounds[0].completion.ended


@sync_and_async
def test_an_answer_that_revises_itself_begins_again_or_is_an_error(is_async: bool) -> None:
    done = {"type": "message", "id": "m", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there", "annotations": []}]}  # fmt: skip
    events: list[Any] = [
        {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": "Helo"},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [done]}},
    ]
    transcript = Transcript("".join(f"data: {json.dumps(event)}\n\n" for event in events).encode())
    with pytest.raises(AnswerChangedError, match="differs after 3 characters") as caught:
        answered(transcript, [BOSTON], is_async=is_async, api="responses")
    assert ("Helo", "Hello there") == (caught.value.given, caught.value.text)
    told: list[str] = []
    how: dict[str, Any] = {"api": "responses", "on_restart": lambda: told.append("again")}
    assert ("Hello there", ["again"]) == (answered(transcript, [BOSTON], is_async=is_async, **how), told)


# -- left early


def test_an_answer_that_is_left_early_leaves_the_messages_and_closes_the_response() -> None:
    talk = Talk(interactions("synthetic_count_string"))
    with talk.client() as client:
        settings = talk.settings()
        conversation = Conversation(client, settings.pop("model"), **settings)
        before = list(talk.messages)
        with conversation.get_response(talk.messages) as answer:
            assert "Let me" == next(answer)
        assert (before, [], []) == (talk.messages, talk.calls, list(answer))


def test_an_async_answer_that_is_left_early_leaves_the_messages() -> None:
    talk = Talk(interactions("synthetic_count_string"))

    async def leave() -> None:
        settings = talk.settings()
        conversation = AsyncConversation(talk.client(is_async=True), settings.pop("model"), **settings)
        async with conversation.get_response(talk.messages) as answer:
            assert "Let me" == await anext(answer)
        assert [] == [piece async for piece in answer]

    before = list(talk.messages)
    asyncio.run(leave())
    assert (before, []) == (talk.messages, talk.calls)


# -- who watches


@sync_and_async
def test_those_who_watch_are_told_in_order(is_async: bool) -> None:
    name = "synthetic_count_string"
    talk = Talk(interactions(name), {0: [refused(503)]})
    told: list[str] = []

    async def on_result(outcome: Any) -> None:
        told.append(f"result {outcome.text}")

    def on_retry(retry: Retry) -> None:
        told.append(f"retry {retry.number} in {retry.seconds}: {type(retry.error).__name__}")

    talk.run(
        is_async=is_async,
        on_call=lambda one: told.append(f"call {one.name} {one.arguments}"),
        on_result=on_result if is_async else lambda outcome: told.append(f"result {outcome.text}"),
        on_retry=on_retry,
    )
    assert [
        "retry 1 in 0.5: InternalServerError",
        'call count_string {"string_to_count":"streaming"}',
        "result 9",
    ] == told


def test_an_error_of_those_who_watch_is_theirs_and_is_not_retried() -> None:
    def on_call(one: Call) -> None:
        raise ConnectionError("the log is gone")

    talk = Talk(interactions("synthetic_count_string"))
    with pytest.raises(ConnectionError, match="the log is gone"):
        talk.run(on_call=on_call)
    assert (1, []) == (len(talk.sent), talk.calls)


# -- misuse


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"api": "completions"}, "write 'chat' or 'responses'"),
        ({"api": "responses", "legacy": True}, "Responses has none"),
        ({"max_rounds": 0}, "at least one request"),
        ({"stream": False}, "stream is no option here"),
        ({"messages": []}, "messages is no option here"),
        ({"n": 2}, "n is no option here"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused(how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Conversation(openai.OpenAI(api_key="x"), "m", **how)


def test_messages_that_cannot_grow_are_refused_before_anything_is_asked() -> None:
    talk = Talk(interactions("synthetic_streaming"))
    with pytest.raises(UsageError, match="messages is a tuple: give a list"):
        Conversation(talk.client(), "m").get_response((BOSTON,)).read()  # type: ignore[arg-type]  # which is the point
    assert [] == talk.sent


def test_a_client_of_the_other_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="AsyncOpenAI is for AsyncConversation"):
        Conversation(openai.AsyncOpenAI(api_key="x"), "m")
    with pytest.raises(UsageError, match="OpenAI is for Conversation"):
        AsyncConversation(openai.OpenAI(api_key="x"), "m")


def test_a_function_can_be_called_as_a_model_would() -> None:
    conversation = replayed(stream({"content": "x", "finish": "stop"}), functions=examples, time_limit=60)
    assert "3" == conversation.call_function("count_string", '{"string_to_count":"abc"}').text
    client = streamkit.replay.async_openai("openai_chat/boston_weather")
    called = AsyncConversation(client, "m", functions=[get_current_weather]).call_function("get_current_weather", "{}")
    assert Status.INVALID_ARGUMENTS is asyncio.run(called).status


def test_every_error_of_a_conversation_is_one_for_a_caller_who_cares_for_no_kind() -> None:
    for kind in (TooManyRoundsError, UnusableCallsError, RetriesExhaustedError):
        assert issubclass(kind, ConversationError)
        assert issubclass(kind, streamkit.StreamkitError)


def test_a_conversation_that_is_recorded_replays_to_the_same_end(tmp_path: Path) -> None:
    recorder = tmp_path / "kept.yaml"
    name = "synthetic_parallel_calls"
    first = Talk(interactions(name))
    with ReplayServer([f"conversations/{name}"]) as server:
        url = server.base_url()
        with streamkit.use_cassette(recorder):
            first.run(client=openai.OpenAI(api_key="x", base_url=url))
    again = Talk(interactions(name))
    with streamkit.use_cassette(recorder, record_mode="none"):
        again.run(is_async=True, client=openai.AsyncOpenAI(api_key="x", base_url=url))
    assert (first.messages, first.pieces, 3) == (again.messages, again.pieces, len(again.calls))
    assert [first.asked(0), first.asked(1)] == [
        json.loads(one.request.body) for one in load_cassette(recorder).interactions
    ]
