"""The way back: a completion as a Responses stream, and what a response cannot carry."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_responses import OpenAIResponses, Reader
from streamkit.errors import UsageError
from streamkit.wire.sse import Framing, decode

Json = dict[str, Any]


def read_bytes(body: bytes) -> Completion:
    reader = Reader()
    reader.feed(body)
    reader.close()
    return reader.result()


NAMES = st.sampled_from(["get_weather", "t"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OBJECTS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2).map(json.dumps)
ITEMS: list[Json] = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "print(1)", "outputs": []},
    {"type": "mcp_call", "id": "mcp_1", "status": "failed", "name": "n", "arguments": "{}", "server_label": "s"},
    {"type": "hologram_call", "id": "h_1"},
]
KEPT = st.sampled_from(ITEMS)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 5),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    keep_alive=st.booleans(),
    framing=st.builds(Framing, line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]), space=st.booleans()),
    chunk=st.sampled_from(["event", "whole"]),
)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Draw a completion that a response can carry; shrinks towards one without anything in it."""
    indexes = sorted(draw(st.sets(st.integers(0, 9), max_size=4)))
    others = draw(st.lists(KEPT, max_size=min(2, len(indexes)), unique_by=lambda item: item["id"]))
    kept = [{"output_index": index, "item": item} for index, item in zip(indexes, others, strict=False)]
    calls = []
    reason = draw(st.sampled_from(["completed", "max_output_tokens", "content_filter", "incomplete"]))
    for number, index in enumerate(indexes[len(kept) :]):
        custom = draw(st.booleans())
        arguments = draw(TEXTS) if custom else draw(OBJECTS | st.just(""))
        problem = None if reason == "completed" else f"the answer was cut off ({reason})"
        extra = draw(st.sampled_from([{}, {"id": f"fc_{number}"}, {"id": f"fc_{number}", "namespace": "n"}]))
        kind = "custom" if custom else "function"
        calls.append(ToolCall(f"call_{number}", draw(NAMES), arguments, kind, index, problem, extra))
    choice = Choice(
        0,
        content=draw(st.none() | TEXTS),
        refusal=draw(st.none() | TEXTS),
        reasoning=draw(st.none() | TEXTS),
        tool_calls=tuple(calls),
        finish_reason=reason,
        extra={"items": kept} if kept else {},
    )
    if choice.content is not None and draw(st.booleans()):
        choice = replace(
            choice, logprobs={"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": 0.0}]}
        )
    return Completion(
        (choice,),
        usage=draw(st.none() | st.just({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})),
        id=draw(st.none() | st.just("resp_1")),
        model=draw(st.none() | st.just("gpt-5")),
        created=draw(st.none() | st.integers(0, 2**31)),
        service_tier=draw(st.none() | st.just("default")),
        ended=True,
        extra=draw(st.sampled_from([{}, {"temperature": 0.5}, {"rate_limits": {"a": 1}, "instructions": "Be brief."}])),
    )


@given(completion=completions(), layout=LAYOUTS)
def test_what_is_emitted_accumulates_to_the_same_completion(completion: Completion, layout: Layout) -> None:
    """Invariant: emission loses nothing, and its events are numbered, and named by their types."""
    transcript = OpenAIResponses().emit(completion, layout)
    assert completion == read_bytes(transcript.body)
    payloads = [(event.event, json.loads(event.data)) for event in decode(transcript.body)]
    assert list(range(len(payloads))) == [payload["sequence_number"] for _, payload in payloads]
    assert [payload["type"] for _, payload in payloads] == [name for name, _ in payloads]
    assert ("openai_responses", True) == (transcript.dialect, transcript.synthetic)


def test_events_come_in_the_order_of_the_provider() -> None:
    call = ToolCall("call_a", "w", "{}", index=1, extra={"id": "fc_1"})
    choice = Choice(0, content="Hello", tool_calls=(call,), finish_reason="completed")
    body = OpenAIResponses().emit(Completion((choice,), ended=True), Layout(token_size=3)).body
    assert [
        "created", "in_progress",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    ] == [event.event.removeprefix("response.") for event in decode(body)]  # fmt: skip


GOOD = Completion((Choice(0, content="Hi", finish_reason="completed"),), ended=True)


@pytest.mark.parametrize(
    ("completion", "named"),
    [
        (Completion(), "one choice"),
        (replace(GOOD, choices=GOOD.choices * 2), "one choice"),
        (replace(GOOD, ended=False), "ended"),
        (replace(GOOD, system_fingerprint="fp"), "system_fingerprint"),
        (replace(GOOD, extra={"tool_choice": "auto"}), "extra"),
        (replace(GOOD, choices=(replace(GOOD.choices[0], extra={"mood": 1}),)), "mood"),
        (replace(GOOD, choices=(replace(GOOD.choices[0], role="user"),)), "role|extra"),
        (replace(GOOD, choices=(replace(GOOD.choices[0], content=None, logprobs={"content": [{}]}),)), "logprobs"),
        (replace(GOOD, choices=(replace(GOOD.choices[0], tool_calls=(ToolCall("a", "f", "{}"),)),)), "no index"),
        (
            replace(GOOD, choices=(replace(GOOD.choices[0], tool_calls=(ToolCall("a", "f", "[", index=0),)),)),
            "tool_calls",
        ),
        (replace(GOOD, choices=(replace(GOOD.choices[0], extra={"items": [5]}),)), "items"),
        (replace(GOOD, choices=(replace(GOOD.choices[0], content="\ud800"),)), "surrogate"),
    ],
)
def test_what_a_response_cannot_carry_is_named(completion: Completion, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        OpenAIResponses().emit(completion, Layout())
