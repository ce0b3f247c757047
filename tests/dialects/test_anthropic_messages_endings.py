"""When a Messages stream has ended, what is an error, and what no cut and no damage may change."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.anthropic_events import (
    CALL_EVENTS,
    OVERLOADED,
    STOP,
    USAGE,
    Json,
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

from streamkit.dialects.anthropic_messages import Reader
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError

# The end


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


# Errors


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
