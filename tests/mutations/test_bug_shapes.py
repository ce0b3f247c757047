"""The catalogue makes every shape that broke real clients of LLM streams, and each entry is there for one of them."""

from __future__ import annotations

import importlib.util
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from skhelpers.bug_shapes import OTHERS, SHAPES
from skhelpers.bug_signs import SIGNS
from skhelpers.chat_streams import STREAMS, named
from skhelpers.mutated import edits

from streamkit import dialects
from streamkit.cassettes import bundled
from streamkit.completion import Choice, Completion
from streamkit.dialects.gemini import Gemini
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.mutations.registry import Layer, get, mutations
from streamkit.mutations.stream import Stream
from streamkit.synthesis import finish_reason_of, synthesize

if TYPE_CHECKING:
    from streamkit.mutations.registry import Edit

every_shape = pytest.mark.parametrize("number", SHAPES)
ENTRIES = sorted({name for shape in SHAPES.values() for name in shape.entries} | OTHERS.keys())
CALLS: list[tuple[str, dict[str, Any]]] = [("get_weather", {"city": 'São "P"'}), ("get_time", {"zone": "utc", "n": 1})]
USAGES: dict[str, dict[str, Any]] = {
    "bedrock_converse": {"inputTokens": 3, "outputTokens": 8, "totalTokens": 11},
    "ollama": {"eval_count": 8},
    "anthropic_messages": {"input_tokens": 3, "output_tokens": 8},
    "gemini": {"promptTokenCount": 3, "totalTokenCount": 11},
    "cohere_v2": {"tokens": {"input_tokens": 3, "output_tokens": 8}},
    "openai_responses": {"input_tokens": 3, "output_tokens": 8, "total_tokens": 11},
    "openai_completions": {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11},
}


@cache
def streams(dialect: str) -> tuple[Stream, ...]:
    """Return the streams of a dialect on which its entries are tried: bundled ones, and synthetic ones."""
    found = [Stream.of(transcript) for transcript in bundled() if transcript.dialect == dialect]
    if dialect == "openai_chat":
        found += [named(name) for name in STREAMS]
    usage = USAGES.get(dialect)
    made = [synthesize("Hello world 🌍 ok", dialect=dialect, usage=usage), synthesize("Hi there", dialect=dialect)]
    for content, calls in (("I look.", CALLS), (None, CALLS[:1])):
        try:
            made.append(synthesize(content, tool_calls=calls, dialect=dialect))
            made.append(synthesize(content, tool_calls=calls, dialect=dialect, calls="whole"))
        except UsageError:
            assert dialect == "openai_completions"
    if dialect == "cohere_v2":
        citation = {"start": 0, "end": 3, "text": "One", "sources": [], "type": "TEXT_CONTENT"}
        cited = Choice(0, content="One.", finish_reason="COMPLETE", extra={"citations": [citation]})
        made.append(synthesize(completion=Completion((cited,), ended=True), dialect=dialect))
    if dialect in ("gemini", "openai_completions"):
        word = finish_reason_of(dialects.get(dialect), "stop")
        answers = tuple(Choice(n, content=text, finish_reason=word) for n, text in enumerate(("One.", "Two!")))
        two = Completion(answers, model="m", ended=True)
        made.append(synthesize(completion=two, dialect=dialect, calls="interleaved"))
        if dialect == "gemini":
            together = [one.payload for one in Stream.of(made[-1]).events]
            merged = {**together[0], "candidates": [one for each in together[:2] for one in each["candidates"]]}
            stream = Stream.of(made[-1])
            found.append(stream.replaced(1).replaced(0, stream.payload_event(merged)))
            found.append(Stream.of(Gemini().emit(two, Layout(), wire="jsonarray")))
    return tuple(found + [Stream.of(transcript) for transcript in made])


@cache
def made(name: str) -> tuple[tuple[Stream, Edit], ...]:
    """Return what an entry makes of the streams of its dialects; one for all dialects, of some of chat and Messages."""
    one = get(name)
    bases = [base for dialect in one.dialects for base in streams(dialect)]
    bases = bases or [named("text"), named("one call"), streams("anthropic_messages")[2]]
    return tuple((base, edit) for base in bases for _, edit in edits(one, base, 40 if one.dialects else 16))


@every_shape
def test_the_entries_of_a_shape_are_there_and_of_the_class_that_is_said(number: str) -> None:
    shape = SHAPES[number]
    assert shape.entries or shape.part
    assert shape.entries == {name: str(get(name).kind) for name in shape.entries}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_has_something_to_do_in_a_stream_of_each_of_its_dialects(name: str) -> None:
    reached = {str(base.dialect) for base, _ in made(name)}
    assert reached == set(get(name).dialects) or (reached and not get(name).dialects)


@pytest.mark.parametrize("number", SIGNS)
def test_the_shape_can_be_seen_in_what_its_entries_make(number: str) -> None:
    sign = SIGNS[number]
    assert any(sign(edit.stream) and not sign(base) for name in SHAPES[number].entries for base, edit in made(name))


@every_shape
def test_what_no_entry_makes_has_a_part_of_the_project_that_does(number: str) -> None:
    part = SHAPES[number].part
    assert not part or importlib.util.find_spec(part) is not None
    assert part or SHAPES[number].entries


def test_every_entry_is_there_for_a_shape_or_has_another_reason() -> None:
    named_here = {name for shape in SHAPES.values() for name in shape.entries}
    known = {one.name for one in mutations() if one.layer is not Layer.DELIVERY}
    assert set() == named_here & OTHERS.keys()
    assert sorted(known - named_here) == sorted(OTHERS)
    assert all(OTHERS.values())


def test_the_shapes_are_numbered_without_gaps() -> None:
    count = Counter(number.split("-")[0] for number in SHAPES)
    assert {"L0": 11, "L1": 18, "L2": 13, "L3": 57, "R": 11, "A": 10, "L4": 14} == count
    for level, most in count.items():
        assert [f"{level}-{n:02d}" for n in range(1, most + 1)] == [n for n in SHAPES if n.startswith(f"{level}-")]


#: Entries of which a parser that is mended for one may break on the other; each pair with what it pins down.
PAIRS: list[tuple[str, str, str]] = [
    ("repeat_id_name", "split_name", "a name that comes again is none, one that comes in pieces is appended"),
    ("repeat_id_name", "collapse_index", "the same id goes on with a call, another begins one"),
    ("collapse_index", "id_churn", "another id with a name begins a call, without one it goes on"),
    ("finish_reason_missing", "bare_eof", "[DONE] alone is an end, nothing at all is none"),
    ("done_absent", "bare_eof", "a finish reason alone is an end, nothing at all is none"),
    ("finish_reason_missing", "done_mid_arguments", "[DONE] is an end, and makes no half call whole"),
    ("no_arguments", "cut_after_opener", "no arguments are arguments once an end has come"),
    ("no_arguments", "args_placeholder", "{} may be all there is, or a placeholder"),
    ("unterminated_last_event", "truncate_inside", "an event without its blank line may be read, half of one not"),
    ("cumulative_deltas", "echoed_token", "text may say the same twice"),
    ("second_call", "framing_in_text", "a second call may share an index, and }{ in a text begins none"),
    ("duplicate_tail", "second_call", "the same call again is none, another is one"),
    ("junk_after_done", "finish_reason_noise", "[DONE] ends the stream, a finish reason alone does not"),
    ("usage_added", "usage_running", "usage counts wherever it stands, and is never added up"),
]


@pytest.mark.parametrize(("first", "second"), [pair[:2] for pair in PAIRS])
def test_opposites_can_be_tried_on_one_and_the_same_stream(first: str, second: str) -> None:
    shared = [
        name for name in STREAMS if all(next(edits(get(one), named(name)), None) is not None for one in (first, second))
    ]
    assert shared


def test_every_dialect_has_entries_of_each_class() -> None:
    for dialect in dialects.names():
        kinds = {str(one.kind) for one in mutations(dialect=dialect) if one.dialects}
        assert {"preserving", "dialect", "fault"} == kinds, dialect
