"""Gemini streams written from completions: as Google writes them, or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.gemini_payloads import Json, read

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.gemini import Gemini
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.transcript import Transcript
from streamkit.wire.sse import Framing

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    framing=st.builds(
        Framing, line_end=st.sampled_from([b"\n", b"\r", b"\r\n"]), space=st.booleans(), bom=st.booleans()
    ),
    chunk=st.sampled_from(["event", "whole"]),
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    reason = draw(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NEW"]))
    problem = None if reason == "STOP" else f"the answer did not end by itself (finish reason {reason})"
    calls = draw(st.lists(st.tuples(st.none() | NAMES, NAMES, st.none() | OBJECTS, st.booleans()), max_size=3))
    content, reasoning = draw(st.none() | TEXTS), draw(st.none() | TEXTS)
    parts = draw(st.lists(OBJECTS.map(lambda value: {"inlineData": value}), max_size=2))
    citation = draw(st.lists(st.integers(0, 9), unique=True, max_size=3))
    extra: Json = {"groundingMetadata": {"webSearchQueries": ["q"]}} if draw(st.booleans()) else {}
    if parts:
        extra["parts"] = parts
    if citation:
        extra["citationMetadata"] = {"citations": citation}
    return Choice(
        index=index,
        content=content,
        reasoning=reasoning,
        tool_calls=tuple(
            ToolCall(identity, name,
                     "" if args is None else json.dumps(args, ensure_ascii=False, separators=(",", ":")),
                     problem=problem, extra={"thoughtSignature": "s"} if signed else {})
            for identity, name, args, signed in calls
        ),
        finish_reason=reason,
        logprobs=draw(st.none() | st.just({"chosenCandidates": [{"token": "a"}]})),
        extra=extra,
    )  # fmt: skip


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    made = tuple(draw(choices(index)) for index in range(draw(st.integers(1, 3))))
    usage = draw(st.none() | st.dictionaries(st.sampled_from(["promptTokenCount", "x"]), st.integers(), min_size=1))
    extra: Json = draw(st.sampled_from([{}, {"createTime": "t"}, {"promptFeedback": {"safetyRatings": [1]}, "new": 1}]))
    return Completion(made, usage, draw(st.none() | NAMES), draw(st.none() | NAMES), ended=True, extra=extra)


@given(completions(), LAYOUTS, st.sampled_from(["sse", "jsonarray"]))
def test_what_is_emitted_reads_back_as_the_very_completion(made: Completion, layout: Layout, wire: str) -> None:
    # Invariant: accumulate(emit(c)) == c, and the transcript is detected.
    transcript = Gemini().emit(made, layout, wire=wire)
    assert made == read(chunk.data for chunk in transcript.chunks)
    assert (True, "gemini") == (transcript.synthetic, transcript.dialect)
    assert Gemini().detect(Transcript(transcript.body))


def test_a_blocked_prompt_can_be_emitted() -> None:
    made = Completion(ended=True, extra={"promptFeedback": {"blockReason": "SAFETY"}}, usage={"promptTokenCount": 1})
    assert made == read([Gemini().emit(made, Layout()).body])


def test_events_are_written_as_google_writes_them() -> None:
    call = ToolCall("c1", "f", '{"a":1}', extra={"thoughtSignature": "s"})
    made = Completion(
        (Choice(0, content="Hello", tool_calls=(call,), finish_reason="STOP"),),
        usage={"promptTokenCount": 3, "totalTokenCount": 9}, id="r", model="m", ended=True,
    )  # fmt: skip
    events = Gemini().emit(made, Layout(usage="every")).body.decode().split("\n\n")
    tail = '"modelVersion":"m","responseId":"r"}'
    assert events == [
        'data: {"candidates":[{"content":{"parts":[{"text":"Hell"}],"role":"model"},"index":0}],'
        '"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"text":"o"}],"role":"model"},"index":0}],'
        '"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":1}},'
        '"thoughtSignature":"s"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],'
        '"usageMetadata":{"promptTokenCount":3,"totalTokenCount":9},' + tail,
        "",
    ]


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Completion(), "no candidate came"),
        (Completion((Choice(0, content="a", finish_reason="STOP"),)), "its ended"),
        (Completion((Choice(0, content="a"),), ended=True), "no finish reason"),
        (Completion((Choice(0, refusal="no", finish_reason="STOP"),), ended=True), "its refusal"),
        (Completion((Choice(0, role="model", finish_reason="STOP"),), ended=True), "its role"),
        (Completion((Choice(0, finish_reason="STOP"),), created=1, ended=True), "its created"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "{"),)),), ended=True), "no JSON"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "[]"),)),), ended=True), "args"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "{ }"),)),), ended=True),
         "its tool_calls"),
        (Completion((Choice(0, finish_reason="STOP", extra={"parts": 1}),), ended=True), "is no list"),
        (Completion((Choice(0, finish_reason="STOP", extra={"x": {1}}),), ended=True), "cannot be written as JSON"),
        (Completion((Choice(0, content="\ud83d", finish_reason="STOP"),), ended=True), "cannot be written as JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(made: Completion, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Gemini().emit(made, Layout())
    with pytest.raises(UsageError, match="wire is 'xml'"):
        Gemini().emit(made, Layout(), wire="xml")
