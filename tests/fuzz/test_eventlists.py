"""Lists of a target's own events: what they add up to, and what is found in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import streamkit
from streamkit.completion import Choice, Completion
from streamkit.fuzz import Options
from streamkit.fuzz.eventlists import from_events
from streamkit.fuzz.normal import Record
from streamkit.fuzz.oracles import Reference

HELLO = {"content": "hello", "tool_calls": []}
CALL = {"content": "", "tool_calls": [{"id": "c1", "name": "f", "arguments": '{"a":1}'}]}
NAMELESS = {"content": "", "tool_calls": [{"name": "f", "arguments": '{"a":1}'}]}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([["text", "hel"], ["text", "lo"]], HELLO),
        ([["thinking", "so"], ["text", "hello"], ["stop", "end"]],
         {**HELLO, "reasoning": "so", "finish_reason": "end"}),
        ([Record("TextDelta", {"text": "hel"}), Record("TextDelta", {"text": "lo"})], HELLO),
        ([{"type": "content", "index": 0, "delta": "hel"}, {"type": "content", "index": 0, "delta": "lo"}], HELLO),
        ([["call", "c1", "f", '{"a":1}']], CALL),
        ([["tool", "f", '{"a":1}']], NAMELESS),
        ([["call", "f"], ["arguments", '{"a"'], ["arguments", ":1}"]], NAMELESS),
        ([{"type": "tool", "call": {"id": "c1", "name": "f"}}, {"type": "tool_delta", "id": "c1", "args": '{"a":1}'}],
         CALL),
        ([Record("CallStart", {"index": 0, "id": "c1", "name": "f"}),
          Record("CallStart", {"index": 1, "id": "c2", "name": "g"}),
          Record("CallDelta", {"index": 0, "arguments": '{"a":1}'})],
         {"content": "", "tool_calls": [*CALL["tool_calls"], {"id": "c2", "name": "g", "arguments": ""}]}),
        ([Record("Start", {"type": "call", "index": 0, "id": "c1", "name": "f"}),
          Record("Start", {"type": "call", "index": 1, "id": "c2", "name": ""}),
          Record("Delta", {"type": "call", "index": 0, "arguments": '{"a":1}'})],
         {"content": "", "tool_calls": [*CALL["tool_calls"], {"id": "c2", "name": "", "arguments": ""}]}),
        ([Record("Start", {"type": "call", "index": 0, "id": "c1", "name": "f"}),
          Record("Delta", {"type": "call", "index": 0, "arguments": '{"a":1}'}),
          Record("Start", {"type": "call", "index": 0, "id": "c2", "name": "g"}),
          Record("Delta", {"type": "call", "index": 0, "arguments": "{}"})],
         {"content": "", "tool_calls": [*CALL["tool_calls"], {"id": "c2", "name": "g", "arguments": "{}"}]}),
        ([["finish", "stop"]], {"content": "", "tool_calls": [], "finish_reason": "stop"}),
        ([["call", "c1", "f", '{"a":1}'], {"type": "call_end", "index": 3}], CALL),
        ([["call", "c1", "f", '{"a":1}'], {"type": "call", "index": 3, "args": "{}"}], None),
        ([{"type": "call", "index": 0, "name": "f", "args": '{"a"'}, {"type": "call", "index": 0, "args": ":1}"},
          {"type": "call", "index": 0, "name": "g"}, {"type": "call", "index": 0, "args": "{}"}],
         {"content": "", "tool_calls": [*NAMELESS["tool_calls"], {"name": "g", "arguments": "{}"}]}),
        ([["text", "hello"], ["tool", 3, 4]], {"content": "hello"}),
        ([["usage", 3]], None),  # nothing is known
        ([["text", "hello"], "bare"], None),
        ([["arguments", "{}"]], None),  # of no call
        ([{"type": "text", "index": 0, "text": "hello"}, {"type": "text", "index": 1, "text": "hello"}], None),
    ],
)  # fmt: skip
def test_events_add_up_to_an_answer(items: list[Any], told: dict[str, Any] | None) -> None:
    found = from_events(items)
    assert told == (found and {name: found[name] for name in found if name not in ("joined", "unsure")})


@pytest.mark.parametrize(
    ("items", "joined", "unsure"),
    [
        ([["text", "hello"]], None, None),
        ([["text", "hel"], ["text", "lo"]], {"texts"}, None),
        ([["text", "hel"], ["text", "hello"]], {"texts"}, {"texts"}),
        ([["text", "ha"], ["text", "ha"]], {"texts"}, None),
        ([["call", "c1", "f", "{"], ["call", "c1", "f", "{}"]], {"arguments"}, {"arguments"}),
        ([["call", "f", "{"], ["call", "f", "}"]], {"calls"}, {"calls"}),
    ],
)
def test_what_so_far_and_what_is_next_look_alike_and_two_calls_and_one(
    items: list[Any], joined: set[str] | None, unsure: set[str] | None
) -> None:
    found = from_events(items) or {}
    assert (joined, unsure) == (found.get("joined"), found.get("unsure"))


@pytest.mark.parametrize(
    "tag", ["append", "send", "texture", "context", "recall", "callback", "tokens", "pretend", "usage"]
)
def test_a_word_within_a_word_says_nothing_of_an_event(tag: str) -> None:
    assert HELLO == from_events([["text", "hello"], [tag, "12"]])


@pytest.mark.parametrize(
    ("tag", "field"),
    [("TextDelta", "content"), ("text_delta", "content"), ("tokenPiece", "content"), ("on-text", "content"),
     ("contentdelta", "content"), ("ThinkingDelta", "reasoning"), ("message.done", "finish_reason")],
)  # fmt: skip
def test_a_tag_is_read_by_its_words(tag: str, field: str) -> None:
    assert "hello" == (from_events([[tag, "hello"]]) or {})[field]


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{"type": "text", "delta": "lo", "snapshot": "hello"}], "content"),
        ([{"type": "text", "text": "hello"}, *({"type": "end", "choice": n, "why": why} for n, why in enumerate("ab"))],
         "finish_reason"),
    ],
)  # fmt: skip
def test_what_may_be_one_or_another_is_not_told(items: list[Any], field: str) -> None:
    assert field not in (from_events(items) or {field: "told"})


def test_text_of_several_places_in_tuples_is_not_told() -> None:
    assert None is from_events([["text", 0, "hello"], ["text", 1, "hello"]])


@dataclass
class Text:
    text: str


@dataclass
class Call:
    id: str | None
    name: str
    arguments: str


@dataclass
class Finish:
    reason: str


Events = Iterator[Text | Call | Finish]


def deltas(chunks: Iterable[bytes], *, by_index: bool, thoughts_as_text: bool = False) -> Events:
    calls: dict[Any, Call] = {}
    reason = None
    for line in b"".join(chunks).split(b"\n"):
        if not line.strip().startswith(b"data: {"):
            continue
        for choice in json.loads(line.strip()[6:])["choices"]:
            delta = choice["delta"]
            if thoughts_as_text and delta.get("reasoning_content"):
                yield Text(delta["reasoning_content"])
            if delta.get("content"):
                yield Text(delta["content"])
            for part in delta.get("tool_calls") or []:
                key = part["index"] if by_index or not part.get("id") else part["id"]
                call = calls.setdefault(key, Call(part.get("id"), part["function"].get("name") or "", ""))
                if not by_index:
                    calls[part["index"]] = call
                call.arguments += part["function"].get("arguments") or ""
            reason = reason or choice["finish_reason"]
    yield from {id(call): call for call in calls.values()}.values()
    if reason is None:
        raise EOFError("it has no end")
    yield Finish(reason)


def right(chunks: Iterable[bytes]) -> Events:
    yield from deltas(chunks, by_index=False)


def joins_calls(chunks: Iterable[bytes]) -> Events:
    yield from deltas(chunks, by_index=True)


def thinks_aloud(chunks: Iterable[bytes]) -> Events:
    yield from deltas(chunks, by_index=False, thoughts_as_text=True)


def as_tuples(target: Callable[[Iterable[bytes]], Events]) -> Callable[[Iterable[bytes]], Iterator[tuple[Any, ...]]]:
    def tuples(chunks: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
        for event in target(chunks):
            yield (type(event).__name__, *vars(event).values())

    return tuples


@pytest.mark.parametrize("form", [lambda target: target, as_tuples])
@pytest.mark.parametrize(
    ("target", "mutation", "found"),
    [
        (right, "second_call", False), (joins_calls, "second_call", True),
        (right, "reasoning_added", False), (thinks_aloud, "reasoning_added", True),
    ],
)  # fmt: skip
def test_what_is_lost_or_joined_is_seen_in_any_form(form: Any, target: Any, mutation: str, found: bool) -> None:
    options = Options(max_examples=0, max_single_cuts=1, dialects=True, only=(mutation,), combine=False, max_variants=1)
    report = streamkit.fuzz.fuzz(form(target), "openai_chat/synthetic_text_then_calls", options=options)
    assert [f"{mutation} silently changes the result"] * found == [one.headline for one in report.findings]
    assert mutation in report.coverage[0].mutations


def silent(chunks: Iterable[bytes]) -> Events:
    """Gives up at what it does not know, without a word."""
    body = b"".join(chunks)
    if b"keep" in body and b"data: :" in body:
        return
    yield from right([body])


def test_a_list_that_holds_nothing_any_more_is_seen() -> None:
    options = Options(max_examples=0, max_single_cuts=1, dialects=True, only=("comment_as_data",), combine=False)
    report = streamkit.fuzz.fuzz(silent, "openai_chat/synthetic_text_then_calls", options=options)
    assert ["comment_as_data silently changes the result"] == [one.headline for one in report.findings]


# -- what is right, and looks like what it is not


def so_far(chunks: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """Tell with each delta all the text so far, of the first choice."""
    text = ""
    for line in b"".join(chunks).split(b"\n"):
        for choice in json.loads(line[6:])["choices"] if line.startswith(b"data: {") else []:
            if choice["index"] == 0 and choice["delta"].get("content"):
                text += choice["delta"]["content"]
                yield "text", text


def counted(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Tell usage as a text, where there is any."""
    for line in (body := b"".join(chunks)).split(b"\n"):
        if line.startswith(b"data: {") and (usage := json.loads(line[6:]).get("usage")):
            yield "tokens", str(usage)
    for event in right([body]):
        if isinstance(event, Text):
            yield "text", event.text


@pytest.mark.parametrize(
    ("target", "transcript", "mutation"),
    [
        (so_far, "recorded/llama_server/two_choices", "repeated_text"),
        (counted, "openai_chat/synthetic_multibyte_text", "usage_added"),
    ],
)
def test_what_an_event_may_not_mean_is_not_held_against_it(target: Any, transcript: str, mutation: str) -> None:
    (found,) = (one for one in streamkit.library() if one.name == transcript)
    options = Options(max_examples=0, max_single_cuts=1, dialects=True, only=(mutation,), combine=False)
    report = streamkit.fuzz.fuzz(target, found, options=options)
    assert [] == [one.headline for one in report.findings]
    assert mutation in report.coverage[0].mutations


def test_events_in_which_nothing_is_read_do_not_agree_with_an_answer_that_says_nothing() -> None:
    silent_answer = Completion(choices=(Choice(0, content=None, finish_reason="stop"),))
    learned = Reference(silent_answer, "", (), "openai_chat").learned([["append", ""], ["finish", "stop"]])
    assert {"finish_reason"} == learned.trusted


def in_lists(chunks: Iterable[bytes]) -> dict[str, list[Any]]:
    """Collect what the events hold, each kind in a list of its own, under names that nobody knows."""
    events = list(right(chunks))
    return {kind.__name__: [vars(event) for event in events if type(event) is kind] for kind in (Call, Finish)} | {
        "pieces": [event.text for event in events if isinstance(event, Text)]
    }


def among_objects(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield text as it is, and None between."""
    for event in right(chunks):
        yield None
        yield event.text if isinstance(event, Text) else event


@pytest.mark.parametrize("target", [so_far, in_lists, among_objects])
def test_text_may_come_in_other_pieces_in_a_result_of_any_shape(target: Any) -> None:
    options = Options(max_examples=0, max_single_cuts=1, combine=False, only=("split_text", "merge_neighbours"))
    report = streamkit.fuzz.fuzz(target, "openai_chat/synthetic_multibyte_text", options=options)
    assert [] == [one.headline for one in report.findings]
    assert {"split_text", "merge_neighbours"} == set(report.coverage[0].mutations)
