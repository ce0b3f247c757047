"""Messages streams written from completions: as the API writes them, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.anthropic_events import STOP, Json, call, end, message, text

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.anthropic_messages import AnthropicMessages, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.wire.sse import Framing


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
