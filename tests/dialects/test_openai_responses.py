"""The Responses dialect: events to a completion, what is executable, what is an error, and the way back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.completion import Completion, ToolCall
from streamkit.dialects.openai_responses import OpenAIResponses, Reader
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.transcript import Request, Transcript

Json = dict[str, Any]

PARIS = '{"city":"Paris"}'
CREATED: Json = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}


def completed(*output: Json, **fields: Any) -> Json:
    response = {"id": "resp_1", "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}


def added(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def weather(arguments: str = "", **fields: Any) -> Json:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "w", "arguments": arguments, **fields}


def clock(arguments: str = "", **fields: Any) -> Json:
    return {"type": "function_call", "id": "fc_2", "call_id": "call_b", "name": "t", "arguments": arguments, **fields}


def delta(text: str, index: int | None = 0, **fields: Any) -> Json:
    return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": text, **fields}


def text(piece: str, **fields: Any) -> Json:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece, **fields}


def message(*parts: Json, **fields: Any) -> Json:
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": parts, **fields}


def sse(*events: Json | str) -> bytes:
    blocks = []
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event, dict) and isinstance(event.get("type"), str) else ""
        blocks.append(f"{name}data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
    return b"".join(blocks)


def read_bytes(body: bytes) -> Completion:
    reader = Reader()
    reader.feed(body)
    reader.close()
    return reader.result()


def read(*events: Json | str) -> Completion:
    return read_bytes(sse(*events))


def calls_of(*events: Json | str) -> list[tuple[str | None, str, str | None]]:
    return [(call.id, call.arguments, call.problem) for call in read(*events).tool_calls]


A = ("call_a", PARIS, None)


# Calls


@pytest.mark.parametrize(
    "events",
    [
        [added(weather()), delta(PARIS[:5]), delta(PARIS[5:]), done(weather(PARIS))],
        [added(weather()), done(weather(PARIS))],  # no deltas
        [added(weather()), delta(PARIS[:5]), done(weather(PARIS))],  # the rest only in the finished item
        [
            added(weather()),
            delta(PARIS),
            {**delta(""), "type": "response.function_call_arguments.done", "arguments": ""},
        ],
        [delta(PARIS[:5]), added(weather()), delta(PARIS[5:])],
        [added(weather()), delta(PARIS[:5]), delta(PARIS[:5]), done(weather(PARIS))],  # a delta twice
        [added(weather("{}")), delta(PARIS)],  # a placeholder
        [added(weather(PARIS)), delta(PARIS)],
        [added(weather(), None), delta(PARIS, None, item_id="fc_1")],  # found by the id alone
        [added(weather(), None), delta(PARIS, None)],  # found by neither
        [added(weather()), delta(PARIS, item_id="x"), done(weather(PARIS, id="y"))],  # Copilot's ids
        [done(weather(PARIS))],
        [],
    ],
)
def test_the_arguments_of_a_call_are_the_same_however_they_come(events: list[Json]) -> None:
    final = [weather(PARIS)] if not events else []  # an empty output takes nothing away
    assert [A] == calls_of(CREATED, *events, completed(*final))


def test_a_call_has_its_call_id_its_place_in_the_output_and_its_item_id() -> None:
    call = read(CREATED, done(weather(PARIS, namespace="n", status="completed"), 3), completed()).tool_calls[0]
    assert ToolCall("call_a", "w", PARIS, index=3, extra={"id": "fc_1", "namespace": "n"}) == call


def test_arguments_of_two_items_are_never_joined() -> None:
    events = [added(weather()), added(clock(), 1), delta('{"a":'), delta('{"b":', 1), delta("1}"), delta("2}", 1)]
    assert [("call_a", '{"a":1}', None), ("call_b", '{"b":2}', None)] == calls_of(CREATED, *events, completed())


@pytest.mark.parametrize("index", [0, None])
def test_two_calls_at_one_index_are_two_calls(index: int | None) -> None:
    events = [added(weather(), index), delta(PARIS, index, item_id="fc_1"), added(clock(), index)]
    events += [delta("{}", index, item_id="fc_2"), done(weather(PARIS), index), done(clock("{}"), index)]
    assert [A, ("call_b", "{}", None)] == calls_of(CREATED, *events, completed())


def test_an_id_that_is_known_wins_over_an_index() -> None:
    events = [added(weather()), added(clock(), 1), delta(PARIS, 1, item_id="fc_1"), done(clock("{}"), 1)]
    assert [A, ("call_b", "{}", None)] == calls_of(CREATED, *events, completed())


def test_a_custom_call_has_any_text_and_must_be_said_to_be_whole() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_c", "name": "code", "input": ""}
    event = {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "print(1)"}
    cut = read(CREATED, added(item), event, completed()).tool_calls[0]
    whole = read(CREATED, added(item), event, done(item), completed()).tool_calls[0]
    assert ("custom", "print(1)", False) == (cut.type, cut.arguments, cut.executable)
    assert ("custom", "print(1)", True) == (whole.type, whole.parsed(), whole.executable)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([added(weather())], "nothing said that they are whole"),
        ([done(weather(PARIS[:5]))], "not JSON"),
        ([done(weather("[1]"))], "no object"),
        ([done(weather(PARIS, status="incomplete"))], "its status is incomplete"),
        ([done(weather(PARIS, name=""))], "no name"),
        ([delta(PARIS)], "no name"),
        ([done(weather(PARIS)), done(clock("{}"), 1), completed(clock("{}"))], "the final response does not hold it"),
    ],
)
def test_a_call_that_is_not_whole_is_not_executable(events: list[Json], problem: str) -> None:
    call = read(CREATED, *events, completed()).tool_calls[0]
    assert not call.executable
    assert problem in (call.problem or "")


@pytest.mark.parametrize("status", ["completed", "in_progress", None])  # OpenAI: in_progress for calls of a program
def test_a_finished_call_is_executable(status: str | None) -> None:
    assert [("call_a", "", None)] == calls_of(CREATED, done(weather("", status=status)), completed())


# The end


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_no_call_of_an_incomplete_response_is_executable(reason: str) -> None:
    ending = completed(weather(PARIS), status="incomplete", incomplete_details={"reason": reason})
    for kind in ("response.incomplete", "response.completed"):
        completion = read(CREATED, done(weather(PARIS)), {**ending, "type": kind})
        assert (True, reason) == (completion.ended, completion.finish_reason)
        assert [False] == [call.executable for call in completion.tool_calls]


@pytest.mark.parametrize("tail", [[], ["[DONE]"], ["[DONE]", completed()]])
def test_a_stream_without_a_terminal_event_was_cut_off(tail: list[Json | str]) -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        read(CREATED, text("Hi"), done(weather(PARIS), 1), *tail)
    assert "Hi" == caught.value.partial.content
    assert (False, None) == (caught.value.partial.ended, caught.value.partial.finish_reason)
    assert [False] == [call.executable for call in caught.value.partial.tool_calls]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "error", "code": "server_error", "message": "m"}, "server_error"),
        ({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}, "c"),
        ({"error": {"type": "t", "message": "m"}}, "t"),
        ({"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "m"}}}, "c"),
        ({"type": "response.failed", "response": {"status": "failed", "error": None}}, "failed"),
        ({"type": "response.failed"}, "failed"),
        ({"type": "response.completed", "response": {"status": "failed"}}, "failed"),
    ],
)
def test_an_error_is_raised_with_its_code_and_what_came_before(event: Json, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        read(CREATED, text("Hi"), done(weather(PARIS), 1), event, completed())
    assert code == caught.value.code
    assert ("Hi", False) == (caught.value.partial.content, caught.value.partial.ended)
    assert [False] == [call.executable for call in caught.value.partial.tool_calls]


def test_an_error_after_the_end_is_raised_too() -> None:
    with pytest.raises(ProviderError):
        read(CREATED, completed(), {"type": "error", "message": "m"})


@pytest.mark.parametrize(
    "events",
    [
        [CREATED, {**CREATED, "response": {"id": "resp_2"}}],
        [CREATED, completed(), {**CREATED, "response": {"id": "resp_2"}}],
        [CREATED, text("Hi"), CREATED, completed()],
    ],
)
def test_two_responses_in_one_stream_are_an_error(events: list[Json]) -> None:
    with pytest.raises(PayloadError, match="begins"):
        read(*events)


@pytest.mark.parametrize(
    "event",
    [
        "nonsense",
        "[1]",
        '{"type":"response.mood","x":NaN}',
        "[" * 100_000,
        '{"a":' * 150 + "1" + "}" * 150,
        {"object": "chat.completion.chunk", "choices": []},
        delta("x") | {"delta": 5},
        delta("x") | {"output_index": -1},
        delta("x") | {"output_index": True},
        delta("x") | {"output_index": "0"},
        text("x") | {"content_index": 1.5},
        text("x") | {"item_id": 5},
        added({}) | {"item": "x"},
        added({"type": 5}),
        added(message(5)),  # type: ignore[arg-type]
        added(weather(5)),  # type: ignore[arg-type]
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": "x"},
        {"type": "response.completed", "response": "x"},
        completed(usage=5),
        completed(id=5),
        completed(output="x"),
        completed(output=[5]),
    ],
)
def test_an_event_of_the_wrong_shape_is_a_typed_error(event: Json | str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(CREATED, text("Hi"), event)
    assert "Hi" == caught.value.partial.content


@pytest.mark.parametrize(
    "event",
    [
        {"type": "keepalive", "sequence_number": 3},
        {"type": "ping"},
        {},
        "  ",
        {"type": "response.dream_call.delta", "output_index": 9, "delta": {"x": 1}},
        {"type": "response.output_item.added", "output_index": 4, "item": None},
        {"type": "response.web_search_call.searching", "output_index": 4, "item_id": "ws_1"},
        {"type": "response.image_generation_call.partial_image", "output_index": 4, "partial_image_b64": "x"},
        {"type": "response.in_progress", "response": {"id": "resp_other"}},
    ],
)
def test_an_event_that_says_nothing_changes_nothing(event: Json | str) -> None:
    assert read(CREATED, text("Hi"), completed()) == read(CREATED, event, text("Hi"), event, completed())


# Texts and items


def test_texts_refusals_and_reasoning_are_joined() -> None:
    events = [
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"},
        {"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "Hmm"},
        text("Hel", output_index=1),
        text("lo", output_index=1),
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 1, "delta": "No"},
    ]
    choice = read(CREATED, *events, completed()).choices[0]
    assert ("Hmm", "Hello", "No", {}) == (choice.reasoning, choice.content, choice.refusal, choice.extra)


def test_the_last_whole_text_counts() -> None:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    events = [
        text("Hel"),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hell"},
        {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part},
        done(message({**part, "text": "Hello!"})),
    ]
    assert ["Hel", "Hell", "Hello", "Hello!"] == [
        read(CREATED, *events[: number + 1], completed()).content for number in range(4)
    ]
    assert "Bye" == read(CREATED, *events, completed(message({**part, "text": "Bye"}))).content


def test_the_parts_of_a_finished_item_are_all_its_parts() -> None:
    """Bedrock counts the parts of all items together."""
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    events = [text("Hel", content_index=1), text("lo", content_index=1), done(message(part))]
    choice = read(CREATED, *events, completed(message(part))).choices[0]
    assert ("Hello", {}) == (choice.content, choice.extra)
    assert "Hello" == read(CREATED, *events[:2], completed()).content
    assert "Hello" == read(CREATED, text("Hello"), text("!", content_index=7), done(message(part)), completed()).content


def test_an_item_that_says_more_than_its_text_is_kept_whole() -> None:
    cited = {"type": "url_citation", "url": "https://a"}
    part = {"type": "output_text", "text": "Hi", "annotations": []}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA="}
    annotation = {"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0}
    events = [added(reasoning), text("Hi", output_index=1), {**annotation, "annotation_index": 0, "annotation": cited}]
    completion = read(CREATED, *events, done(message(part), 1), completed())
    assert [
        {"output_index": 0, "item": reasoning},
        {
            "output_index": 1,
            "item": message({**part, "annotations": [cited]}) | {"content": [{**part, "annotations": [cited]}]},
        },
    ] == completion.choices[0].extra["items"]


@pytest.mark.parametrize(
    ("event", "field", "kind"),
    [
        ({"type": "response.mcp_call_arguments.delta", "delta": "{}"}, {"arguments": "{}"}, "mcp_call"),
        ({"type": "response.mcp_call.arguments.delta", "delta": {}}, {"arguments": "{}"}, "mcp_call"),
        ({"type": "response.code_interpreter_call_code.delta", "delta": "1"}, {"code": "1"}, "code_interpreter_call"),
        (
            {"type": "response.shell_call_command.delta", "command_index": 0, "delta": "ls"},
            {"action": {"commands": ["ls"]}},
            "shell_call",
        ),
        (
            {"type": "response.apply_patch_call_operation_diff.delta", "delta": "+a"},
            {"operation": {"diff": "+a"}},
            "apply_patch_call",
        ),
    ],
)
def test_the_deltas_of_other_tools_fill_their_items(event: Json, field: Json, kind: str) -> None:
    kept = read(CREATED, added({"type": kind, "id": "x"}), {**event, "output_index": 0}, completed())
    assert [{"output_index": 0, "item": {"type": kind, "id": "x", **field}}] == kept.choices[0].extra["items"]
    assert () == kept.tool_calls


def test_halves_of_a_surrogate_pair_are_joined() -> None:
    body = sse(CREATED, '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\\ud83d"}')
    body += sse(
        '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\\ude00"}', completed()
    )
    assert "\U0001f600" == read_bytes(body).content


def test_the_response_gives_its_facts() -> None:
    first = {**CREATED, "response": {"id": "resp_1", "model": "gpt-4o", "service_tier": "auto", "created_at": 1.0}}
    last = completed(service_tier="default", usage={"total_tokens": 3}, temperature=1.0, top_p=0.5, id="resp_9")
    limits = {"type": "response.rate_limits.updated", "rate_limits": {"limit_requests": "9"}}
    completion = read(first, last, limits)
    assert ("resp_1", "gpt-4o", 1, "default") == (
        completion.id, completion.model, completion.created, completion.service_tier,
    )  # fmt: skip
    assert {"total_tokens": 3} == completion.usage
    assert {"top_p": 0.5, "rate_limits": {"limit_requests": "9"}} == completion.extra


def test_a_reader_can_be_copied_anywhere() -> None:
    body = sse(CREATED, added(weather()), delta(PARIS[:5]), delta(PARIS[5:]), done(weather(PARIS)), completed())
    reader, expected = Reader(), read_bytes(body)
    for at in range(len(body)):
        if at % 97 == 0:
            other = copy.deepcopy(reader)
            other.feed(body[at:])
            assert expected == other.result()
        reader.feed(body[at : at + 1])
    assert expected == reader.result()


# Detection


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("https://api.openai.com/v1/responses?x=1", b"", True),
        ("https://api.openai.com/v1/chat/completions", b"data: {}\n\n", False),
        ("", sse(CREATED), True),
        ("", sse({"type": "keepalive"}, CREATED), True),
        ("", sse({"choices": []}, CREATED), False),
        ("", sse({"type": "message_start"}), False),
        ("", b'event: response.created\ndata: {"type":"response.created","x":"' + b"x" * 70_000, True),
        ("", b'data: {"x":"' + b"x" * 70_000, False),
        ("", b"", False),
    ],
)
def test_a_stream_is_detected_by_its_request_or_its_first_payloads(url: str, body: bytes, expected: bool) -> None:
    transcript = Transcript(body, request=Request("POST", url) if url else None)
    assert expected is OpenAIResponses().detect(transcript)


# Whatever comes


@given(
    st.lists(
        st.sampled_from([
            CREATED, added(weather()), added(clock(), 1), delta('{"a":'), delta("1}", 1), delta("{}", item_id="fc_2"),
            done(weather(PARIS)), done(clock("{}"), 1), done(clock("{}"), 0), text("Hi"), text("Hi", output_index=1),
            added(message()), done(message({"type": "output_text", "text": "Hi"}), 2), completed(),
            completed(weather(PARIS)), completed(message(), clock("{}")),
            {"type": "error", "message": "m"},
            {"type": "response.incomplete"},
        ]),
        max_size=9,
    )
)  # fmt: skip
def test_any_order_of_events_is_a_completion_or_a_typed_error(events: list[Json]) -> None:
    """Invariant: nothing is executable without a good end, and no arguments hold the bytes of two calls."""
    try:
        completion = read(*events)
    except DialectError as error:
        completion = error.partial
        assert not completion.ended
    for call in completion.tool_calls:
        assert not call.executable or "completed" == completion.finish_reason
        assert not call.executable or call.arguments in (PARIS, "{}", '{"a":1}')
