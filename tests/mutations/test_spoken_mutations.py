"""Text put into the deltas of any dialect comes out again where it was put, and nothing else changes."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.mutated import edits, of_modules, outcome

from streamkit import dialects
from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, UsageError
from streamkit.mutations import openai_responses, spoken_text
from streamkit.mutations.registry import Inapplicable, Mutation
from streamkit.mutations.spoken import DIALECTS
from streamkit.mutations.stream import Stream
from streamkit.synthesis import synthesize
from streamkit.transcript import Transcript

ALL = of_modules(spoken_text)
every_mutation = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_weather", {"city": "São Paulo", "note": 'a"b\\c'}),
    ("get_time", {"zone": "utc", "n": [1, 2]}),
]


@cache
def streams(dialect: str) -> tuple[Stream, ...]:
    """Return streams of a dialect: text alone, and calls with text where it has calls."""
    made = [synthesize("Hello world 🌤 you", dialect=dialect), synthesize("Hi there", dialect=dialect, token_size=1)]
    try:
        made.append(synthesize("I look.", tool_calls=CALLS, dialect=dialect))
        made.append(synthesize(tool_calls=CALLS[:1], dialect=dialect, token_size=1))
    except UsageError:
        assert dialect == "openai_completions"
    return tuple(Stream.of(transcript) for transcript in made)


@every_mutation
@every_dialect
def test_what_is_put_into_a_text_is_in_the_answer(one: Mutation, dialect: str) -> None:
    applied = 0
    for stream in streams(dialect):
        before = outcome(stream, dialect)
        assert isinstance(before, Completion)
        for _, edit in edits(one, stream, 60):
            applied += 1
            assert edit.expected is not None
            assert edit.expected(before) != before
            assert edit.expected(before) == outcome(edit.stream, dialect), edit.said
    assert applied


@needs_corpus
@every_mutation
def test_what_is_put_into_a_recorded_text_is_in_the_answer(one: Mutation) -> None:
    applied = set()
    for recording in recordings():
        body = recording.body
        if len(body) > 40_000:
            continue
        transcript = Transcript(body, name=recording.name)
        dialect = dialects.detect(transcript)
        if dialect is None or dialect.name not in DIALECTS:
            continue
        stream = Stream.of(transcript, dialect.name)
        before = outcome(stream, dialect.name)
        if isinstance(before, DialectError):
            continue
        for _, edit in edits(one, stream, 3):
            assert edit.expected is not None
            assert edit.expected(before) == outcome(edit.stream, dialect.name), (recording.name, edit.said)
            applied.add(dialect.name)
    assert {"anthropic_messages", "gemini", "openai_responses"} <= applied


@pytest.mark.parametrize("dialect", ["anthropic_messages", "openai_responses", "cohere_v2"])
def test_separators_are_put_into_arguments_too_and_stay_unescaped(dialect: str) -> None:
    stream = streams(dialect)[3]
    edit = spoken_text.separators_in_deltas.apply(stream)
    assert "\u2028".encode() in edit.stream.body()
    after = outcome(edit.stream, dialect)
    assert isinstance(after, Completion)
    assert "\u2028" in after.tool_calls[0].arguments
    assert after.tool_calls[0].executable


def test_the_whole_text_that_responses_send_again_holds_it_too() -> None:
    edit = spoken_text.framing_in_deltas.apply(streams("openai_responses")[0])
    texts = [one["text"] for _, one in edit.stream.payloads if one["type"] == "response.output_text.done"]
    assert ["Hedata: llo world 🌤 you"] == texts


def test_the_halves_of_a_character_come_in_two_events() -> None:
    edit = spoken_text.surrogate_halves_in_deltas.apply(streams("gemini")[0])
    assert b"\\ud83c" in edit.stream.write(edit.stream.events[0])
    assert b"\\udf0d" in edit.stream.write(edit.stream.events[1])


def test_a_stream_that_is_cut_off_is_left_alone() -> None:
    stream = streams("ollama")[0]
    with pytest.raises(Inapplicable, match="no whole answer"):
        spoken_text.separators_in_deltas.apply(stream.cut(1))


def test_of_two_calls_that_say_the_same_neither_is_given_a_text() -> None:
    calls = tuple(ToolCall(f"call_{n}", "add", '{"a":2,"b":"3"}', index=n, extra={"id": f"fc_{n}"}) for n in (0, 1))
    answer = Completion((Choice(0, tool_calls=calls, finish_reason="completed"),), id="resp_1", model="m", ended=True)
    stream = Stream.of(dialects.get("openai_responses").emit(answer, Layout()))
    once = openai_responses.arguments_at_once.apply(stream).stream
    for base in (stream, once):
        with pytest.raises(Inapplicable):
            spoken_text.separators_in_deltas.apply(base)
