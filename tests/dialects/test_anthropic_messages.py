"""What a stream of Messages events adds up to, when it has ended, and which of its calls may be executed."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.anthropic_messages import AnthropicMessages, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript
from streamkit.wire.sse import Framing

Json = dict[str, Any]

USAGE = {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": None, "service_tier": "standard"}
STOP: Json = {"type": "message_stop"}
PING: Json = {"type": "ping"}


def message(**fields: Any) -> Json:
    first = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-1", "content": []}
    return {"type": "message_start", "message": {**first, "stop_reason": None, "stop_sequence": None, **fields}}


def start(index: int, kind: str = "text", **fields: Any) -> Json:
    own = {kind: ""} if kind in ("text", "thinking") else {}
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **own, **fields}}


def tool(index: int, name: Any = "get_weather", **fields: Any) -> Json:
    return start(index, "tool_use", **{"id": f"toolu_{index}", "name": name, "input": {}, **fields})


def delta(index: int, **fields: Any) -> Json:
    """Return a delta of the type that its first field says: text, thinking, partial_json, signature or citation."""
    name = next(iter(fields))
    kind = {"partial_json": "input_json_delta", "citation": "citations_delta"}.get(name, f"{name}_delta")
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", **fields: Any) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, **fields}


def text(index: int, *pieces: str) -> list[Json]:
    return [start(index), *(delta(index, text=piece) for piece in pieces), stop(index)]


def call(index: int, *pieces: str, **fields: Any) -> list[Json]:
    return [tool(index, **fields), *(delta(index, partial_json=piece) for piece in pieces), stop(index)]


def sse(*events: Json | str, names: bool = True) -> bytes:
    lines = [(event, "") if isinstance(event, str) else (json.dumps(event), event["type"]) for event in events]
    return b"".join(
        (f"event: {name}\n" if names and name else "").encode() + f"data: {data}\n\n".encode() for data, name in lines
    )


def result(body: bytes) -> Completion:
    reader = Reader()
    reader.feed(body)
    reader.close()
    return reader.result()


def read(*events: Json | str) -> Completion:
    """Return the completion of a whole message with these events between its start and its stop."""
    return result(sse(message(), *events, STOP))


def choice(*events: Json | str) -> Choice:
    return read(*events).choices[0]


def blocks(*events: Json) -> list[Json]:
    found: list[Json] = choice(*events, end()).extra["blocks"]
    return found


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


# The end


CALL_EVENTS = [message(usage=USAGE), PING, *text(0, "a"), *call(1, "", '{"a":', "1}"), end("tool_use"), STOP]


@pytest.mark.parametrize("kept", range(len(CALL_EVENTS) + 1))
def test_a_stream_has_ended_with_its_stop_reason_and_not_before(kept: int) -> None:
    reader = Reader()
    reader.feed(sse(*CALL_EVENTS[:kept]))
    reader.close()
    over = kept >= len(CALL_EVENTS) - 1
    assert over == reader.snapshot().ended
    assert over == any(one.executable for one in reader.snapshot().tool_calls)
    if not over:
        with pytest.raises(TruncatedStreamError) as caught:
            reader.result()
        assert reader.snapshot() == caught.value.partial


def test_message_stop_ends_a_stream_that_gave_no_stop_reason() -> None:
    completion = read(*text(0, "a"), *call(1, "{}"))
    assert (True, None, "no stop reason came") == (
        completion.ended,
        completion.finish_reason,
        completion.tool_calls[0].problem,
    )


def test_a_stop_reason_in_message_start_ends_nothing_by_itself() -> None:
    with pytest.raises(TruncatedStreamError):
        result(sse(message(stop_reason="end_turn"), *text(0, "a")))


@pytest.mark.parametrize(
    "after",
    ["[DONE]", "no JSON", end("max_tokens"), *text(1, "b"), message(id="msg_2"), {"type": "error", "error": {}}],
)
def test_nothing_after_message_stop_counts(after: Json | str) -> None:
    assert read(*text(0, "a"), end()) == result(sse(message(), *text(0, "a"), end(), STOP, after))


def test_an_unfinished_event_is_mentioned() -> None:
    with pytest.raises(TruncatedStreamError, match="the last 20 bytes are an unfinished event"):
        result(sse(message()) + sse(STOP)[:20])


def test_an_empty_body_has_not_ended() -> None:
    with pytest.raises(TruncatedStreamError, match="no message_start came"):
        result(b"")


def test_a_later_null_does_not_take_the_stop_reason_away() -> None:
    assert "tool_use" == choice(end("tool_use"), end(None)).finish_reason


def test_what_came_with_the_stop_reason_is_kept() -> None:
    about = {"stop_reason": "stop_sequence", "stop_sequence": "\n\n", "container": {"id": "c"}, "stop_details": None}
    completion = read({"type": "message_delta", "delta": about, "context_management": {"applied_edits": []}})
    assert {"stop_sequence": "\n\n", "container": {"id": "c"}} == completion.choices[0].extra
    assert {"context_management": {"applied_edits": []}} == completion.extra


def test_what_hosts_add_is_kept() -> None:  # OpenRouter, Bedrock
    metrics = {"inputTokenCount": 9}
    body = sse(message(provider="Bedrock"), end(), {**STOP, "amazon-bedrock-invocationMetrics": metrics})
    assert {"provider": "Bedrock", "amazon-bedrock-invocationMetrics": metrics} == result(body).extra


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


# Errors


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("goes_on", [True, False])
def test_an_error_in_the_stream_is_the_providers_error(names: bool, goes_on: bool) -> None:
    rest = [stop(0), end(), STOP] if goes_on else []
    with pytest.raises(ProviderError, match="Overloaded") as caught:
        result(sse(message(), start(0), delta(0, text="a"), OVERLOADED, *rest, names=names))
    assert ("overloaded_error", OVERLOADED) == (caught.value.code, caught.value.payload)
    assert ("a", False) == (caught.value.partial.content, caught.value.partial.ended)


@pytest.mark.parametrize(
    "body",
    [
        "data: " + json.dumps({"error": {"type": "api_error", "message": "boom"}}),
        "data: " + json.dumps({"type": "error", "code": "api_error", "message": "boom"}),
        "data: " + json.dumps({"detail": "boom"}),
        "data: " + json.dumps({"type": "message_delta", "error": "boom"}),
        "event: error\ndata: boom",
        'event: error\ndata: "boom"',
        'event: error\ndata: {"message": "boom"}',
    ],
)
def test_an_error_in_another_envelope_is_an_error_too(body: str) -> None:
    with pytest.raises(ProviderError, match="boom"):
        result(sse(message(), *text(0, "a")) + body.encode() + b"\n\n" + sse(end(), STOP))


def test_an_error_after_the_stop_reason_is_an_error() -> None:
    with pytest.raises(ProviderError) as caught:
        read(*call(0, "{}"), end("tool_use"), OVERLOADED)
    assert not caught.value.partial.tool_calls[0].executable


BROKEN: dict[str, list[Json | str]] = {
    "text for a call": [tool(0), delta(0, text="a")],  # sgl-project/sglang#24293
    "JSON for text": [start(0), delta(0, partial_json="{}")],
    "thinking for text": [start(0), delta(0, thinking="a")],
    "text for thinking": [start(0, "thinking"), delta(0, text="a")],
    "text for redacted thinking": [start(0, "redacted_thinking"), delta(0, text="a")],
    "a delta before its block": [delta(0, text="a"), *text(0, "b")],
    "a stop before its block": [stop(3)],
    "a delta after its block": [*text(0, "a"), delta(0, text="b")],  # agentgateway/agentgateway#2147
    "a block opened twice": [start(0), start(0)],
    "a call that comes twice": [*call(0, "{}"), tool(1, id="toolu_0")],
    "a block after the stop reason": [end(), start(0)],
    "a delta after the stop reason": [start(0), end(), delta(0, text="a")],
    "a second message": [*text(0, "a"), message()],
    "an index that is null": [start(0) | {"index": None}],
    "an index that is true": [start(0) | {"index": True}],
    "an index below 0": [start(0) | {"index": -1}],
    "a block without a type": [start(0) | {"content_block": {"text": ""}}],
    "a block that is a list": [start(0) | {"content_block": []}],
    "text that is a number": [start(0), delta(0, text=1)],
    "a block's text that is a list": [start(0, text=[])],
    "a delta without a type": [start(0), {"type": "content_block_delta", "index": 0, "delta": {"text": "a"}}],
    "a delta that is text": [start(0), {"type": "content_block_delta", "index": 0, "delta": "a"}],
    "a name that is a number": [tool(0, name=7)],
    "an input that is a list": [tool(0, input=[1])],
    "a stop reason that is a list": [end() | {"delta": {"stop_reason": ["end_turn"]}}],
    "usage that is a list": [end(usage=[1])],
    "no JSON": ["{"],
    "NaN": ['{"type": "ping", "n": NaN}'],
    "no object": ["[1]"],
    "deep nesting": ['{"type": "message_stop", "x": ' + "[" * 900 + "]" * 900 + "}"],
    "nesting without end": ["[" * 100_000],
}


@pytest.mark.parametrize("events", BROKEN.values(), ids=BROKEN.keys())
def test_a_stream_that_breaks_the_rules_is_refused_for_good(events: list[Json | str]) -> None:
    reader = Reader()
    with pytest.raises(PayloadError) as caught:
        reader.feed(sse(message(), *events, end(), STOP))
    assert not caught.value.partial.ended
    assert not any(one.executable for one in caught.value.partial.tool_calls)
    for again in (reader.result, lambda: reader.feed(sse(STOP))):
        with pytest.raises(PayloadError):
            again()


@pytest.mark.parametrize("events", [text(0, "a"), [end()], [STOP]])
def test_nothing_may_come_before_message_start(events: list[Json]) -> None:
    with pytest.raises(PayloadError, match="before message_start"):
        result(sse(*events))


@pytest.mark.parametrize("fields", [{"content": {}}, {"content": ["a"]}, {"id": 1}, {"role": []}, {"stop_reason": 1}])
def test_a_message_of_the_wrong_shape_is_refused(fields: Json) -> None:
    with pytest.raises(PayloadError):
        result(sse(message(**fields)))


def test_data_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(PayloadError, match="not UTF-8"):
        result(sse(message(), *text(0, "abc"), end(), STOP).replace(b"abc", b"a\xffc"))


def test_a_stop_that_comes_twice_or_after_the_stop_reason_says_nothing() -> None:
    assert choice(*text(0, "a"), end()) == choice(*text(0, "a"), stop(0), end(), stop(0))


# Invariants


@given(st.lists(st.integers(0, len(sse(*CALL_EVENTS))), max_size=6))
def test_chunks_and_copies_change_nothing(cuts: list[int]) -> None:
    """Invariant: the result is that of the whole body, whatever the cuts, and so is that of a copy made at each."""
    body = sse(*CALL_EVENTS)
    expected = result(body)
    edges = [0, *sorted(cuts), len(body)]
    reader = Reader()
    for begin, finish in pairwise(edges):
        copied = copy.deepcopy(reader)
        copied.feed(body[begin:])
        assert expected == copied.result()
        reader.feed(body[begin:finish])
    assert expected == reader.result()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.sampled_from(["", "text", "tool_use", "text_delta", "x"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "id"]), inner, max_size=2)
    ),
    max_leaves=4,
)
RICH = [
    message(usage=USAGE, content=[{"type": "text", "text": "x"}]),
    start(1, "thinking"), delta(1, thinking="a"), delta(1, signature="s"), stop(1),
    start(2, citations=[]), delta(2, text="a"), delta(2, citation={"type": "x"}), stop(2),
    *call(3, '{"a":', "1}", input={"b": 1}, caller={"type": "direct"}),
    end("tool_use", usage={"output_tokens": 2}), STOP,
]  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in paths(inner, (*path, key)))]


PATHS = [path for path in paths(RICH) if len(path) > 1]


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON_VALUES), min_size=1, max_size=3))
def test_whatever_a_field_holds_the_error_is_typed(damage: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Invariant: a field replaced by any JSON value gives a completion or a DialectError, with or without an end."""
    events: Any = copy.deepcopy(RICH)
    for path, value in damage:
        inner = events
        for key in path[:-1]:
            if not isinstance(inner, dict | list) or (isinstance(inner, dict) and key not in inner):
                break
            if isinstance(inner, list) and (not isinstance(key, int) or key >= len(inner)):
                break
            inner = inner[key]
        if isinstance(inner, dict):
            inner[path[-1]] = value
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    try:
        completion = result(body)
        failed = False
    except DialectError as error:
        completion, failed = error.partial, True
    assert not (failed and completion.ended)
    for one in completion.tool_calls:
        assert not one.executable or isinstance(one.parsed(), dict)


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


# Emission


def emitted(completion: Completion, layout: Layout | None = None) -> list[Json]:
    body = AnthropicMessages().emit(completion, layout or Layout()).body
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]


WEATHER = Completion(
    (
        Choice(
            0, content="Hello", tool_calls=(ToolCall("toolu_1", "f", '{"a": 1}', index=1),), finish_reason="tool_use"
        ),
    ),
    {"input_tokens": 3, "output_tokens": 9, "cache_creation": {"ephemeral_5m_input_tokens": 0}},
    "msg_1",
    "claude-opus-4-1",
    ended=True,
)


def test_events_are_written_as_the_api_writes_them() -> None:
    usage = {"input_tokens": 3, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 0}}
    expected = [
        message(usage=usage),
        *text(0, "Hell", "o"),
        *call(1, "", '{"a"', ": 1}", name="f"),
        end("tool_use", usage={"input_tokens": 3, "output_tokens": 9}),
        STOP,
    ]
    assert expected == emitted(WEATHER)


def test_events_are_named() -> None:
    body = AnthropicMessages().emit(WEATHER, Layout()).body
    assert body.startswith(b'event: message_start\ndata: {"type":"message_start","message":{"model":')


def test_keep_alive_gives_pings() -> None:
    kinds = [event["type"] for event in emitted(WEATHER, Layout(keep_alive=True))]
    assert ["message_start", "ping", "content_block_start", "ping"] == kinds[:4]
    assert ["ping", "message_stop"] == kinds[-2:]


def test_calls_whole_are_one_delta_each() -> None:
    deltas = [
        event["delta"]
        for event in emitted(WEATHER, Layout(calls="whole"))
        if event.get("index") == 1 and "delta" in event
    ]
    assert [{"type": "input_json_delta", "partial_json": '{"a": 1}'}] == deltas


@pytest.mark.parametrize(("chunk", "count"), [("event", 12), ("whole", 1)])
def test_a_synthetic_transcript_says_so(chunk: str, count: int) -> None:
    made = AnthropicMessages().emit(WEATHER, Layout(chunk=chunk))
    assert (True, "anthropic_messages", count) == (made.synthetic, made.dialect, len(made.chunks))


def changed(**fields: Any) -> Completion:
    return Completion((Choice(0, **{"finish_reason": "end_turn", **fields}),), ended=True)


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        (Completion(), "has not ended"),
        (Completion(ended=True), "one choice, and the completion has 0"),
        (changed(refusal="no"), "refusal 'no'"),
        (changed(tool_calls=(ToolCall("1", "f", "{}"),)), "its index is the block's, not None"),
        (changed(tool_calls=(ToolCall("1", "f", "{}", "custom", 0),)), "tool_calls"),
        (changed(tool_calls=(ToolCall("1", "f", "{", index=0),)), "tool_calls"),
        (changed(content="a", tool_calls=(ToolCall("1", "f", "{}", index=0),)), "blocks"),
        (
            changed(tool_calls=(ToolCall("1", "f", index=0, arguments=""), ToolCall("1", "g", "", index=1))),
            "came twice",
        ),
        (changed(logprobs={"content": []}), "logprobs"),
        (changed(extra={"blocks": [{"type": "text"}]}), "without type or index"),
        (changed(extra={"blocks": [{"type": "tool_use", "index": 0}]}), "fewer calls"),
        (changed(extra={"x": {1, 2}}), "no JSON"),
        (changed(extra={"x": None}), "extra"),
        (changed(content="half \ud800"), "surrogate"),
        (Completion((Choice(0, finish_reason="end_turn"),), created=1, ended=True), "created 1"),
        (Completion((Choice(0, finish_reason="end_turn"),), extra={"error": "x"}, ended=True), "reported an error"),
    ],
)
def test_what_the_dialect_cannot_carry_is_refused_by_name(completion: Completion, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        AnthropicMessages().emit(completion, Layout())


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ARGUMENTS = st.dictionaries(TEXT, TEXT | st.integers(), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 5),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    framing=st.builds(
        Framing, line_end=st.sampled_from([b"\n", b"\r", b"\r\n"]), space=st.booleans(), bom=st.booleans()
    ),
    chunk=st.sampled_from(["event", "whole"]),
)


def entry(kind: str, **fields: Any) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


ENTRIES = st.one_of(
    entry("text", text=TEXT),
    entry("text", text=TEXT, citations=st.lists(st.just({"type": "char_location", "cited_text": "x"}), max_size=2)),
    entry("thinking", thinking=TEXT, signature=TEXT.filter(bool)),
    entry("thinking", thinking=TEXT, delta=st.just({"estimated_tokens": 50})),
    entry("redacted_thinking", data=TEXT),
    entry("server_tool_use", id=st.just("srvtoolu_1"), name=st.just("web_search"), partial_json=ARGUMENTS),
    entry("server_tool_use", id=st.just("srvtoolu_1"), name=st.just("web_fetch"), input=st.just({"url": "x"})),
    entry(
        "web_search_tool_result", tool_use_id=st.just("srvtoolu_1"), content=st.lists(st.just({"url": "x"}), max_size=2)
    ),
    entry("future_block", deltas=st.just([{"type": "future_delta", "n": 1}]), event=st.just({"hint": 1})),
    entry("tool_use"),
)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Draw a completion that the dialect can carry; shrinks to one text."""
    if draw(st.booleans()):
        entries = draw(st.lists(ENTRIES, min_size=2, max_size=5))
        entries.append({"type": "redacted_thinking", "data": "x"})  # with it, they are more than texts and calls
    else:
        kinds = draw(
            st.lists(st.sampled_from(["thinking", "text"]), unique=True).map(lambda found: sorted(found, reverse=True))
        )
        entries = [{"type": kind, kind: draw(TEXT)} for kind in kinds]
        entries += [{"type": "tool_use"}] * draw(st.integers(0, 3))
    step = draw(st.integers(1, 3))
    entries = [{**found, "index": number * step} for number, found in enumerate(entries)]
    reason = draw(st.sampled_from(["tool_use", "end_turn"]))
    calls = tuple(
        ToolCall(f"toolu_{found['index']}", draw(TEXT.filter(bool)), draw(ARGUMENTS | st.just("")),
                 index=found["index"], extra=draw(st.sampled_from([{}, {"caller": {"type": "direct"}}])))
        for found in entries if found["type"] == "tool_use"
    )  # fmt: skip
    joined = {
        kind: "".join(found[kind] for found in entries if found["type"] == kind)
        if any(found["type"] == kind for found in entries)
        else None
        for kind in ("text", "thinking")
    }
    extra: Json = draw(st.sampled_from([{}, {"stop_sequence": "x"}, {"container": {"id": "c"}}]))
    if entries and entries[-1]["type"] == "redacted_thinking":
        extra = {**extra, "blocks": entries}
    part = Choice(
        0, content=joined["text"], reasoning=joined["thinking"], tool_calls=calls, finish_reason=reason, extra=extra
    )
    usage = draw(
        st.none()
        | st.just({})
        | st.fixed_dictionaries({"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9)})
    )
    return Completion(
        (part,), usage, "msg_1", "claude", ended=True, extra=draw(st.sampled_from([{}, {"provider": "x"}]))
    )


@given(completions(), LAYOUTS)
def test_what_is_emitted_accumulates_to_the_very_completion(completion: Completion, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c."""
    made = AnthropicMessages().emit(completion, layout)
    reader = Reader()
    for chunk in made.fragment():
        reader.feed(chunk)
    reader.close()
    assert completion == reader.result()
    assert AnthropicMessages().detect(made)
