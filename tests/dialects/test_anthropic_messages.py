"""What a stream of Messages events adds up to, and which of its calls may be executed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from skhelpers.anthropic_events import (
    CALL_EVENTS,
    OVERLOADED,
    PING,
    STOP,
    USAGE,
    Json,
    blocks,
    call,
    choice,
    delta,
    end,
    message,
    read,
    result,
    sse,
    start,
    stop,
    text,
    tool,
)

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.anthropic_messages import AnthropicMessages
from streamkit.transcript import Request, Transcript

# Text and thinking


def test_a_message_is_one_choice() -> None:
    completion = result(sse(message(usage=USAGE), *text(0, "Hel", "lo"), end(usage={"output_tokens": 15}), STOP))
    expected = Completion(
        (Choice(0, content="Hello", finish_reason="end_turn"),),
        {**USAGE, "output_tokens": 15},
        "msg_1",
        "claude-opus-4-1",
        ended=True,
    )
    assert expected == completion


def test_text_blocks_are_joined_and_listed() -> None:
    expected = [{"type": "text", "index": 0, "text": "a"}, {"type": "text", "index": 1, "text": "b"}]
    part = choice(*text(0, "a"), *text(1, "b"), end())
    assert ("ab", {"blocks": expected}) == (part.content, part.extra)


def test_no_text_block_and_an_empty_one_differ() -> None:
    assert (None, "") == (choice(end()).content, choice(*text(0), end()).content)


def test_text_that_a_block_begins_with_counts() -> None:
    assert "Hello" == choice(start(0, text="Hel"), delta(0, text="lo"), stop(0), end()).content


def test_surrogate_halves_of_two_deltas_are_paired() -> None:
    assert "a🌍b" == choice(*text(0, "a\ud83c", "\udf0db"), end()).content


def test_thinking_is_reasoning_and_keeps_its_signature() -> None:
    thought = [start(0, "thinking", signature=""), delta(0, thinking="h"), delta(0, thinking="m")]
    part = choice(*thought, delta(0, signature="EqQB"), stop(0), *text(1, "4"), end())
    assert ("hm", "4") == (part.reasoning, part.content)
    assert {"type": "thinking", "index": 0, "thinking": "hm", "signature": "EqQB"} == part.extra["blocks"][0]


def test_thinking_without_a_signature_needs_no_list_of_blocks() -> None:
    assert {} == choice(start(0, "thinking"), delta(0, thinking="hm"), stop(0), *text(1, "4"), end()).extra


def test_a_signature_that_comes_again_takes_the_place_of_the_first() -> None:
    thought = [start(0, "thinking", signature="a"), delta(0, signature="b"), delta(0, signature=""), stop(0)]
    assert "b" == blocks(*thought)[0]["signature"]


def test_redacted_thinking_is_kept_and_is_no_reasoning() -> None:
    part = choice(start(0, "redacted_thinking", data="EmwK"), stop(0), *text(1, "a"), end())
    assert (None, "a") == (part.reasoning, part.content)
    assert {"type": "redacted_thinking", "index": 0, "data": "EmwK"} == part.extra["blocks"][0]


def test_citations_are_kept_with_their_text() -> None:
    cited = [{"type": "char_location", "cited_text": "x", "document_index": 0}, {"type": "page_location"}]
    found = blocks(start(0, citations=[]), delta(0, text="a"), *(delta(0, citation=one) for one in cited), stop(0))
    assert [{"type": "text", "index": 0, "text": "a", "citations": cited}] == found


# Tool calls


def test_a_call_is_its_id_its_name_and_the_joined_json() -> None:
    pieces = ["", '{"ci', 'ty": "Par', 'is"}']
    part = choice(*text(0, "Let me see."), *call(1, *pieces), end("tool_use"))
    assert (ToolCall("toolu_1", "get_weather", '{"city": "Paris"}', index=1),) == part.tool_calls
    assert part.tool_calls[0].executable
    assert {} == part.extra


@pytest.mark.parametrize("pieces", [[], [""], ["", ""], ["{}"]])
def test_a_call_without_arguments_is_executable(pieces: list[str]) -> None:  # anthropics/anthropic-sdk-java#295
    made = choice(*call(0, *pieces), end("tool_use")).tool_calls[0]
    assert ("".join(pieces), None, {}) == (made.arguments, made.problem, made.parsed())


@pytest.mark.parametrize("pieces", [[], [""]])
def test_input_at_the_start_counts_where_no_delta_brought_any(pieces: list[str]) -> None:
    made = choice(*call(0, *pieces, input={"city": "Köln", "n": [1, 2.5]}), end("tool_use")).tool_calls[0]
    assert ('{"city":"Köln","n":[1,2.5]}', {}) == (made.arguments, made.extra)


@pytest.mark.parametrize(
    ("given", "extra"), [({"a": 1}, {}), ({"a": 2}, {"input": {"a": 2}}), ('{"a":', {"input": '{"a":'})]
)
def test_deltas_count_more_than_input_at_the_start(given: Any, extra: Json) -> None:  # trpc-group/trpc-agent-go#1649
    made = choice(*call(0, '{"a": ', "1}", input=given), end("tool_use")).tool_calls[0]
    assert ('{"a": 1}', extra) == (made.arguments, made.extra)


def test_input_sent_as_text_is_the_text() -> None:
    assert '{"a": 1}' == choice(*call(0, input='{"a": 1}'), end("tool_use")).tool_calls[0].arguments


def test_what_else_came_with_a_call_is_kept() -> None:
    caller = {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}
    assert {"caller": caller} == choice(*call(0, caller=caller), end("tool_use")).tool_calls[0].extra


def test_interleaved_blocks_are_kept_apart() -> None:  # aaif-goose/goose#11637
    turns = [delta(0, partial_json='{"a"'), delta(1, partial_json='{"b"'), delta(0, partial_json=":1}")]
    made = choice(tool(0), tool(1), *turns, delta(1, partial_json=":2}"), stop(1), stop(0), end("tool_use")).tool_calls
    assert [("toolu_0", '{"a":1}', True), ("toolu_1", '{"b":2}', True)] == [
        (one.id, one.arguments, one.executable) for one in made
    ]


def test_the_index_is_a_key_not_a_place() -> None:  # anthropics/anthropic-sdk-python#1145
    part = choice(*call(7, '{"b":1}'), *call(5, '{"a":1}'), *text(2, "x"), end("tool_use"))
    assert ("x", [(5, '{"a":1}'), (7, '{"b":1}')]) == (part.content, [(c.index, c.arguments) for c in part.tool_calls])


def test_an_index_used_again_after_its_block_was_closed_is_another_block() -> None:
    part = choice(*text(0, "x"), *call(0, '{"a":1}'), tool(0) | {"content_block": {"type": "text", "text": "y"}}, end())
    assert ("xy", ["text", "tool_use", "text"]) == (part.content, [entry["type"] for entry in part.extra["blocks"]])


def test_server_tools_and_results_are_blocks_and_no_calls() -> None:
    found = [{"type": "web_search_result", "url": "https://example.com", "encrypted_content": "Eo8B"}]
    used = [start(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={}), delta(0, partial_json='{"q')]
    ran = [delta(0, partial_json='": 1}'), stop(0), start(1, "web_search_tool_result", content=found), stop(1)]
    part = choice(*used, *ran, *text(2, "a"), end())
    expected = [
        {"type": "server_tool_use", "index": 0, "id": "srvtoolu_1", "name": "web_search", "partial_json": '{"q": 1}'},
        {"type": "web_search_tool_result", "index": 1, "content": found},
        {"type": "text", "index": 2, "text": "a"},
    ]
    assert ((), expected) == (part.tool_calls, part.extra["blocks"])


def test_blocks_that_come_whole_in_message_start_count() -> None:  # programmatic tool calling
    made = {"type": "tool_use", "id": "toolu_1", "name": "roll", "input": {"n": 2}}
    completion = result(sse(message(content=[made], stop_reason="tool_use"), STOP))
    assert ("tool_use", '{"n":2}', True) == (
        completion.finish_reason,
        completion.tool_calls[0].arguments,
        completion.tool_calls[0].executable,
    )


# Which calls may be executed


@pytest.mark.parametrize("reason", ["tool_use", "end_turn", "stop_sequence"])
def test_a_whole_call_is_executable_after_a_good_stop_reason(reason: str) -> None:
    assert choice(*call(0, '{"a":1}'), end(reason)).tool_calls[0].executable


@pytest.mark.parametrize(
    "reason",
    ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "compaction", "not_known_yet", None],
)
@pytest.mark.parametrize("pieces", [['{"a":1}'], ['{"a"'], [""]])
def test_no_call_is_executable_after_another_stop_reason(reason: str | None, pieces: list[str]) -> None:
    completion = read(*call(0, *pieces), end(reason))  # anthropics/anthropic-sdk-python#794
    assert (True, reason, False) == (completion.ended, completion.finish_reason, completion.tool_calls[0].executable)


def test_empty_arguments_may_have_been_cut_off_by_a_stop_sequence() -> None:
    assert "stop sequence" in (choice(*call(0, ""), end("stop_sequence")).tool_calls[0].problem or "")


def test_a_call_whose_block_was_never_closed_is_not_executable() -> None:
    made = choice(tool(0), delta(0, partial_json='{"a":1}'), *call(1, '{"b":1}'), end("tool_use")).tool_calls
    assert ["its block was never closed", None] == [one.problem for one in made]


@pytest.mark.parametrize("pieces", [['{"a"'], ['{"a":1}', "{}"], ["[1]"], ["1"], ['{"a":NaN}'], ["null"]])
def test_a_call_whose_arguments_are_no_object_is_not_executable(pieces: list[str]) -> None:
    made = choice(*call(0, *pieces), end("tool_use")).tool_calls[0]
    assert ("".join(pieces), False) == (made.arguments, made.executable)


@pytest.mark.parametrize("name", [None, ""])
def test_a_call_without_a_name_is_not_executable(name: str | None) -> None:
    assert "it has no name" == choice(*call(0, "{}", name=name), end("tool_use")).tool_calls[0].problem


# Usage


def test_counts_are_cumulative_and_never_added_up() -> None:  # tensorzero/tensorzero#5481
    early = end(None, usage={"output_tokens": 7, "server_tool_use": {"web_search_requests": 1}})
    late = end(usage={"output_tokens": 15, "input_tokens": None, "cache_read_input_tokens": 3})
    completion = result(sse(message(usage=USAGE), early, late, STOP))
    expected = {**USAGE, "output_tokens": 15, "cache_read_input_tokens": 3}
    assert {**expected, "server_tool_use": {"web_search_requests": 1}} == completion.usage


@pytest.mark.parametrize("fields", [{}, {"usage": None}])
def test_usage_of_message_start_survives_a_message_delta_without_any(fields: Json) -> None:
    assert USAGE == result(sse(message(usage=USAGE), end(**fields), STOP)).usage


def test_no_usage_is_none() -> None:
    assert read(end()).usage is None


# What is not known, and what says nothing


@pytest.mark.parametrize(
    "event",
    [PING, {"type": "future_event", "index": 0, "delta": {"text": "x"}}, "{}", "[DONE]", '{"keepalive": true}', " "],
)
def test_other_events_change_nothing(event: Json | str) -> None:
    assert read(*text(0, "a"), *call(1, "{}"), end()) == read(
        event, start(0), event, *text(0, "a")[1:], event, *call(1, "{}"), end()
    )


def test_unknown_blocks_and_deltas_are_kept_as_they_came() -> None:  # anthropics/anthropic-sdk-python#1422
    strange = {"type": "future_delta", "future": "y"}
    body = [start(0, "future_block", future="x"), delta(0, text="a"), delta(0, text="b"), delta(0, partial_json="{")]
    found = blocks(*body, {"type": "content_block_delta", "index": 0, "delta": strange}, stop(0))
    expected = {"future": "x", "text": "ab", "partial_json": "{", "deltas": [strange]}
    assert [{"type": "future_block", "index": 0, **expected}] == found


def test_unknown_fields_of_deltas_and_events_are_kept_with_the_block() -> None:
    found = blocks(start(0, "thinking"), delta(0, thinking="a", estimated_tokens=50), {**stop(0), "hint": 1})
    assert [
        {"type": "thinking", "index": 0, "thinking": "a", "delta": {"estimated_tokens": 50}, "event": {"hint": 1}}
    ] == found


def test_padding_is_no_field() -> None:
    assert {} == choice(start(0) | {"p": "abcd"}, delta(0, text="a") | {"p": "ab"}, stop(0), end() | {"p": "abc"}).extra


def test_events_need_no_names() -> None:
    assert result(sse(*CALL_EVENTS)) == result(sse(*CALL_EVENTS, names=False))


def test_a_payload_without_a_type_is_what_its_event_is_called() -> None:
    bare = [{key: value for key, value in event.items() if key != "type"} for event in CALL_EVENTS]
    body = b"".join(
        f"event: {event['type']}\ndata: {json.dumps(rest)}\n\n".encode()
        for event, rest in zip(CALL_EVENTS, bare, strict=True)
    )
    assert result(sse(*CALL_EVENTS)) == result(body)


# Detection


@pytest.mark.parametrize(
    "url",
    [
        "https://api.anthropic.com/v1/messages?beta=true",
        "https://RESOURCE.services.ai.azure.com/anthropic/v1/messages",
        "https://us-east5-aiplatform.googleapis.com/v1/projects/P/publishers/anthropic/models/claude@1:streamRawPredict",
    ],
)
def test_it_is_detected_by_its_url(url: str) -> None:
    assert AnthropicMessages().detect(Transcript(b"", request=Request("POST", url)))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (sse(PING, OVERLOADED, message()), True),
        (sse("no JSON", "[1]", message()), True),
        (sse({"type": "message_start"}), False),
        (sse({"type": "message-start"}, message()), False),  # Cohere
        (sse('{"object": "chat.completion.chunk", "choices": []}', message()), False),
        (sse(OVERLOADED), False),
        (b"", False),
    ],
)
def test_it_is_detected_by_its_first_payload(body: bytes, expected: bool) -> None:
    request = Request("POST", "https://gateway.example/api")
    assert expected == AnthropicMessages().detect(Transcript(body, request=request))
