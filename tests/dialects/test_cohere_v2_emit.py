"""Cohere's chat v2 written from completions: as the service writes it, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.cohere_events import CITATION, START, WEATHER, Json, accumulated, block, body, call, finish, read, typed
from skhelpers.delivery import drip

from streamkit.completion import Completion
from streamkit.dialects.cohere_v2 import CohereV2
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.wire.sse import Framing
from streamkit.wire.sse import decode as decode_sse


def test_events_are_written_as_the_service_writes_them() -> None:
    made = CohereV2().emit(read(START, *block(0, "text", "ab"), finish()), Layout(token_size=1))
    expected = body(START, *block(0, "text", "a", "b"), finish(), "[DONE]")
    assert expected == made.body
    assert ("cohere_v2", True, 7) == (made.dialect, made.synthetic, len(made.lengths))
    assert CohereV2().detect(made)


def test_calls_are_laid_out_as_asked() -> None:
    completion = read(*WEATHER)

    def order(layout: Layout) -> list[str]:
        events = decode_sse(CohereV2().emit(completion, layout).body)
        payloads = [json.loads(event.data) for event in events if event.event.startswith("tool-call")]
        return [f"{payload['type'][10]}{payload['index']}" for payload in payloads]

    assert ["s0", "d0", "d0", "e0", "s1", "d1", "e1"] == order(Layout(token_size=9))
    assert ["s0", "d0", "e0", "s1", "d1", "e1"] == order(Layout(token_size=9, calls="whole"))
    assert ["s0", "s1", "d0", "d1", "d0", "e1", "e0"] == order(Layout(token_size=9, calls="interleaved"))


COMPLETION = read(*WEATHER)


@pytest.mark.parametrize(
    ("completion", "named"),
    [
        (replace(COMPLETION, ended=False), "did not end"),
        (replace(COMPLETION, choices=COMPLETION.choices * 2), "has 2"),
        (replace(COMPLETION, model="x"), "model 'x'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], refusal="no"),)), "refusal 'no'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], content="\ud800"),)), "half a surrogate"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], reasoning=None),)), "reasoning None"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"error": "x"}),)), "an error"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"contents": [1]}),)), "shape"),
        (replace(COMPLETION, extra={"unknown_events": [START]}), "a second message-start"),
    ],
)
def test_what_the_dialect_cannot_carry_is_named(completion: Completion, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        CohereV2().emit(completion, Layout())


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_arguments = st.one_of(st.sampled_from(["", "{}", '{"a": "ü🌤"}', '{"a":', "[]"]), _words)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a whole stream of blocks, calls and citations."""
    payloads: list[Json | str] = [draw(st.sampled_from([START, {**START, "id": None}]))]
    numbered = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(["text", "thinking", "plan", "call", "cite", "debug", "new"]), max_size=6))
    for index, kind in enumerate(kinds):
        if kind in ("text", "thinking"):
            payloads += block(index, kind, *draw(st.lists(_words, max_size=3)))
        elif kind == "plan":
            payloads.append(typed("tool-plan-delta", tool_plan=draw(_words)))
        elif kind == "call":
            payloads += call(index if numbered else None, draw(_arguments), name=draw(_names))
        elif kind == "cite":
            payloads += [typed("citation-start", index, citations=CITATION), typed("citation-end", index)]
        elif kind == "debug":
            payloads.append({"type": "debug", "prompt": draw(_words)})
        else:
            payloads.append({"type": "novelty", "text": draw(_words)})
    payloads.append(
        finish(draw(st.sampled_from(["COMPLETE", "TOOL_CALL", "MAX_TOKENS", "STOP_SEQUENCE", "NEW", None])))
    )
    return body(*payloads)


layouts = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    framing=st.sampled_from([Framing(), Framing(line_end=b"\r\n", bom=True), Framing(space=False)]),
    chunk=st.sampled_from(["event", "whole"]),
)


@given(streams(), layouts)
def test_what_is_written_accumulates_to_the_completion_that_was_given(stream: bytes, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c for every completion that came of a stream."""
    completion = accumulated([stream])
    made = CohereV2().emit(completion, layout)
    assert completion == accumulated(made.fragment())
    assert completion == accumulated(drip(made.body))
