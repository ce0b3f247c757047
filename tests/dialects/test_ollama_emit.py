"""Ollama's lines written from completions: as the server writes them, or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.ollama_lines import COUNTS, Json, read

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.dialects.ollama import Ollama
from streamkit.errors import UsageError
from streamkit.transcript import Transcript

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    chunk=st.sampled_from(["event", "whole"]),
)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    reason = draw(st.sampled_from(["stop", "length", None]))
    problem = "the answer did not end by itself (done_reason length)" if reason == "length" else None
    objects = st.dictionaries(NAMES, VALUES, max_size=3)
    entries = st.tuples(st.none() | NAMES, NAMES, st.none() | objects, st.none() | st.integers(0, 3), st.booleans())
    calls = [
        ToolCall(
            identity,
            name,
            "" if args is None else json.dumps(args, ensure_ascii=False, separators=(",", ":")),
            index=index,
            problem=problem,
            extra={"new": 1, "function": {"more": [2]}} if extra else {},
        )
        for identity, name, args, index, extra in draw(st.lists(entries, max_size=3))
    ]
    choice = Choice(
        index=0,
        role=draw(st.sampled_from(["assistant", "tool"])),
        content=draw(st.none() | TEXTS),
        reasoning=draw(st.none() | TEXTS),
        tool_calls=tuple(calls),
        finish_reason=reason,
        logprobs=draw(st.none() | st.just({"content": [{"token": "a", "logprob": -0.5}]})),
        extra=draw(st.sampled_from([{}, {"images": ["x"]}])),
    )
    usage = draw(st.none() | st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(), min_size=1))
    extra: Json = draw(
        st.sampled_from([{}, {"created_at": "t"}, {"created_at": "t", "context": [1], "remote_host": "h"}])
    )
    return Completion((choice,), usage, model=draw(st.none() | NAMES), ended=True, extra=extra)


@given(completions(), LAYOUTS)
def test_what_is_emitted_reads_back_as_the_very_completion(made: Completion, layout: Layout) -> None:
    # Invariant: accumulate(emit(c)) == c, and the transcript is detected.
    transcript = Ollama().emit(made, layout)
    assert made == read(chunk.data for chunk in transcript.chunks)
    assert (True, "ollama") == (transcript.synthetic, transcript.dialect)
    assert Ollama().detect(Transcript(transcript.body))


def test_lines_are_written_as_ollama_writes_them() -> None:
    tool_call = ToolCall("c1", "f", '{"a":1}', index=0)
    choice = Choice(0, content="Hello", reasoning="Hm", tool_calls=(tool_call,), finish_reason="stop")
    made = Completion((choice,), usage=COUNTS, model="m", ended=True, extra={"created_at": "t"})
    head = '{"model":"m","created_at":"t","message":{"role":"assistant",'
    assert [
        head + '"content":"","thinking":"Hm"},"done":false}',
        head + '"content":"Hell"},"done":false}',
        head + '"content":"o"},"done":false}',
        head + '"content":"","tool_calls":[{"id":"c1","function":{"index":0,"name":"f","arguments":{"a":1}}}]},'
        '"done":false}',
        head + '"content":""},"done":true,"done_reason":"stop","total_duration":9,"prompt_eval_count":3,'
        '"eval_count":2}',
    ] == Ollama().emit(made, Layout()).body.decode().splitlines()


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Completion(), "0 choices"),
        (Completion((Choice(0), Choice(1)), ended=True), "2 choices"),
        (Completion((Choice(0, content="a"),)), "its ended"),
        (Completion((Choice(1, content="a"),), ended=True), "its index"),
        (Completion((Choice(0, refusal="a"),), ended=True), "its refusal"),
        (Completion((Choice(0),), id="x", ended=True), "its id"),
        (Completion((Choice(0),), usage={}, ended=True), "its usage"),
        (Completion((Choice(0),), usage={"tokens": 1}, ended=True), "its usage"),
        (Completion((Choice(0),), usage={"done": False}, ended=True), "no line with done"),
        (Completion((Choice(0, tool_calls=(ToolCall("1", "f", "{ }"),)),), ended=True), "its tool_calls"),
        (Completion((Choice(0, content="\ud83d"),), ended=True), "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_carried_is_named(made: Completion, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Ollama().emit(made, Layout())
