"""ConverseStream written from completions: as the service writes it, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.converse_events import (
    START,
    USAGE,
    WEATHER,
    Event,
    accumulated,
    arguments,
    body,
    call,
    delta,
    finish,
    read,
    stop,
    text,
)
from skhelpers.delivery import drip

from streamkit.completion import Completion, ToolCall
from streamkit.dialects.bedrock_converse import BedrockConverse
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.wire.eventstream import decode


def test_events_are_written_as_the_service_writes_them() -> None:
    made = BedrockConverse().emit(read(*WEATHER), Layout(token_size=8))
    messages = decode(made.body)
    assert [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "contentBlockStart",
        "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ] == [message.text(":event-type") for message in messages]  # fmt: skip
    assert [[":event-type", ":content-type", ":message-type"]] * 10 == [
        [header.name for header in message.headers] for message in messages
    ]
    assert ["contentBlockIndex", "delta", "p"] == list(json.loads(messages[1].payload))
    assert ("bedrock_converse", True, 10, "application/vnd.amazon.eventstream") == (
        made.dialect, made.synthetic, len(made.lengths), made.head.header("Content-Type"),
    )  # fmt: skip
    assert BedrockConverse().detect(made)


def test_calls_are_laid_out_as_asked() -> None:
    events = [
        START,
        call(0),
        arguments(0, '{"a":1}'),
        stop(0),
        call(1),
        arguments(1, "{}"),
        stop(1),
        finish("tool_use"),
    ]
    completion = read(*events)

    def order(layout: Layout) -> list[int]:
        payloads = [json.loads(message.payload) for message in decode(BedrockConverse().emit(completion, layout).body)]
        return [payload["contentBlockIndex"] for payload in payloads if "contentBlockIndex" in payload]

    assert [0, 0, 0, 0, 0, 1, 1, 1] == order(Layout(token_size=3))
    assert [0, 0, 0, 1, 1, 1] == order(Layout(token_size=3, calls="whole"))
    assert [0, 1, 0, 1, 0, 0, 0, 1] == order(Layout(token_size=3, calls="interleaved"))


COMPLETION = read(*WEATHER)


@pytest.mark.parametrize(
    ("completion", "named"),
    [
        (replace(COMPLETION, ended=False), "did not end"),
        (replace(COMPLETION, choices=()), "has 0"),
        (replace(COMPLETION, id="x"), "id 'x'"),
        (replace(COMPLETION, extra={"p": 1}), "named p"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], refusal="no"),)), "refusal 'no'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], content="\ud800"),)), "half a surrogate"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], finish_reason=None),)), "stopReason is null"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], tool_calls=(ToolCall("a", "b", "{}"),)),)),
         "index None"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"citations": [1]}),)), "shape"),
    ],
)  # fmt: skip
def test_what_the_dialect_cannot_carry_is_named(completion: Completion, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        BedrockConverse().emit(completion, Layout())


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_arguments = st.one_of(st.sampled_from(["", "{}", '{"a": "ü🌤"}', '{"a":', "[]"]), _words)
_json = st.dictionaries(_names.filter(lambda name: name not in ("p", "unknown_events", "usage", "serviceTier")),
                        st.one_of(st.integers(), _words, st.lists(st.booleans(), max_size=2)), max_size=2)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a whole stream of blocks of every kind."""
    events: list[Event] = [("messageStart", {"role": draw(st.sampled_from(["assistant", "user"]))})]
    kinds = draw(st.lists(st.sampled_from(["text", "call", "think", "sealed", "cite", "server", "new"]), max_size=5))
    for index, kind in enumerate(kinds):
        if kind == "text":
            events += [text(index, piece) for piece in draw(st.lists(_words, max_size=3))]
        elif kind == "call":
            events += [call(index, draw(_names), **draw(st.sampled_from([{}, {"novelty": 1}])))]
            events += [arguments(index, draw(_arguments))]
        elif kind == "think":
            events += [delta(index, reasoningContent={"text": draw(_words)})]
            events += draw(st.sampled_from([[], [delta(index, reasoningContent={"signature": "c2ln"})]]))
        elif kind == "sealed":
            events += [delta(index, reasoningContent={"redactedContent": "AAEC"})]
        elif kind == "cite":
            events += [delta(index, citation=draw(_json)), text(index, draw(_words))]
        elif kind == "server":
            events += [call(index, "search", type="server_tool_use"), arguments(index, "{}")]
        else:
            events += [delta(index, novelty=draw(_words))]
        events.append(stop(index))
    events.append(finish(draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "stop_sequence", "new"]))))
    if draw(st.booleans()):
        events.append(("metadata", {**draw(_json), "usage": USAGE}))
    return body(*events)


layouts = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    chunk=st.sampled_from(["event", "whole"]),
)


@given(streams(), layouts)
def test_what_is_written_accumulates_to_the_completion_that_was_given(stream: bytes, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c for every completion that came of a stream."""
    completion = accumulated([stream])
    made = BedrockConverse().emit(completion, layout)
    assert completion == accumulated(made.fragment())
    assert completion == accumulated(drip(made.body))
