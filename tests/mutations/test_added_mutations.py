"""What is put into answers of Gemini, Ollama, Cohere, Bedrock and completions comes out again; by their own readers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.mutated import edits, nothing_finished, of_modules, outcome

from streamkit import dialects
from streamkit.completion import Completion
from streamkit.errors import DialectError, UsageError
from streamkit.mutations import bedrock_converse_added, gemini_added, other_added
from streamkit.mutations.registry import Class, Edit, Mutation
from streamkit.mutations.stream import Stream
from streamkit.synthesis import synthesize
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = of_modules(gemini_added, other_added, bedrock_converse_added)
every_mutation = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
CALLS: list[tuple[str, dict[str, Any]]] = [("get_weather", {"city": "São Paulo"}), ("get_time", {"zone": "utc"})]
USAGES: dict[str, dict[str, Any]] = {
    "gemini": {"promptTokenCount": 3, "totalTokenCount": 9},
    "cohere_v2": {"tokens": {"input_tokens": 3, "output_tokens": 4}},
}
#: No recording of the corpus has what it needs, or the recordings are no event streams.
UNRECORDED = {"completions_usage_added", "ollama_second_call", "ollama_no_arguments"}


@cache
def streams(dialect: str) -> tuple[Stream, ...]:
    """Return streams of a dialect: text alone, and calls with and without text where it has calls."""
    usage = USAGES.get(dialect)
    made = [synthesize("Hello world 🌤 you", dialect=dialect, usage=usage), synthesize("Hi there", dialect=dialect)]
    try:
        made.append(synthesize("I look.", tool_calls=CALLS, dialect=dialect))
        made.append(synthesize(tool_calls=CALLS[:1], dialect=dialect, token_size=1))
    except UsageError:
        assert dialect == "openai_completions"
    return tuple(Stream.of(transcript) for transcript in made)


@cache
def recorded() -> tuple[tuple[Stream, Completion | DialectError], ...]:
    """Return recorded streams of these dialects, and what their readers say of them."""
    known = {name for one in ALL for name in one.dialects}
    found = []
    for suffix in (".sse", ".ndjson", ".eventstream"):
        for recording in recordings(suffix):
            if len(recording.body) > 40_000:
                continue
            transcript = Transcript(recording.body, name=recording.name)
            dialect = dialects.detect(transcript)
            if dialect is not None and dialect.name in known:
                stream = Stream.of(transcript, dialect.name)
                found.append((stream, outcome(stream, dialect.name)))
    return tuple(found)


def check(one: Mutation, edit: Edit, before: Completion) -> None:
    """Assert that the reader gives what the class promises."""
    after = outcome(edit.stream, str(edit.stream.dialect))
    if isinstance(after, DialectError):
        assert one.kind is Class.DIALECT, edit.said
        assert nothing_finished(after.partial), edit.said
        return
    assert (before if edit.expected is None else edit.expected(before)) == after, edit.said


def all_edits(one: Mutation, dialect: str) -> Iterator[tuple[Edit, Completion]]:
    for stream in streams(dialect):
        before = outcome(stream, dialect)
        assert isinstance(before, Completion)
        for _, edit in edits(one, stream, 40):
            yield edit, before


@every_mutation
def test_the_readers_give_what_the_class_promises(one: Mutation) -> None:
    for dialect in one.dialects:
        made = list(all_edits(one, dialect))
        assert made, dialect
        for edit, before in made:
            check(one, edit, before)


@every_mutation
def test_a_typed_error_is_what_our_own_readers_give_in_one_case_only(one: Mutation) -> None:
    results = [outcome(edit.stream, dialect) for dialect in one.dialects for edit, _ in all_edits(one, dialect)]
    refused = [result for result in results if isinstance(result, DialectError)]
    assert bool(refused) == (one.name == "gemini_arguments_as_text")


@needs_corpus
@every_mutation
def test_the_readers_give_what_the_class_promises_of_recordings(one: Mutation) -> None:
    applied = 0
    for stream, before in recorded():
        if stream.dialect not in one.dialects or isinstance(before, DialectError):
            continue
        for _, edit in edits(one, stream, 4):
            applied += 1
            check(one, edit, before)
    assert applied or one.name in UNRECORDED


def test_a_signature_stays_with_its_call() -> None:
    edit = gemini_added.thought_signature.apply(streams("gemini")[3])
    after = outcome(edit.stream, "gemini")
    assert isinstance(after, Completion)
    assert [{"thoughtSignature": "CiQB0e2Kb3RoaW5n"}] == [call.extra for call in after.tool_calls]


def test_the_same_call_again_is_another_call() -> None:
    edit = gemini_added.second_call.apply(streams("gemini")[3], (2,))
    after = outcome(edit.stream, "gemini")
    assert isinstance(after, Completion)
    assert [("call_0", "get_weather"), ("call_second", "get_weather")] == [(c.id, c.name) for c in after.tool_calls]


def test_a_call_of_bedrock_that_lost_its_end_is_not_executed() -> None:
    edit = bedrock_converse_added.half_input.apply(streams("bedrock_converse")[2])
    after = outcome(edit.stream, "bedrock_converse")
    assert isinstance(after, Completion)
    assert [False, True] == [call.executable for call in after.tool_calls]
