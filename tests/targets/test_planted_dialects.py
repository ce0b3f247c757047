"""The dialects other than chat: right parsers pass all mutations, and every planted bug is caught by its own, alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from streamkit.cassettes import bundled
from streamkit.fuzz import Options, fuzz
from streamkit.mutations.registry import Inapplicable, Mutation, mutations
from streamkit.mutations.stream import Stream

from . import (
    anthropic_messages,
    bedrock_converse,
    cohere_v2,
    gemini,
    ollama,
    openai_completions,
    openai_responses,
)
from .planting import Planted, assert_caught, registered

RIGHT: dict[str, tuple[Any, ...]] = {
    "anthropic_messages": (anthropic_messages.Messages, anthropic_messages.message),
    "bedrock_converse": (bedrock_converse.Converse, bedrock_converse.converse),
    "cohere_v2": (cohere_v2.Chat, cohere_v2.chat),
    "gemini": (gemini.Gemini, gemini.generated_content),
    "ollama": (ollama.Ollama, ollama.chat_response),
    "openai_completions": (openai_completions.Completions, openai_completions.text_completion),
    "openai_responses": (openai_responses.Responses, openai_responses.response),
}
EVERYTHING = Options(mutations=True, dialects=True, faults=True)
BUGS = [planted for dialect in RIGHT for planted in registered(dialect)]


@pytest.mark.parametrize("planted", BUGS, ids=str)
def test_a_planted_bug_is_caught_by_its_mutation_alone(planted: Planted) -> None:
    found = assert_caught(planted)
    steps = [[step.mutation.name for step in one.case.steps] for one in found.report.findings]
    alone = {names[0] for names in steps if len(names) == 1}
    assert planted.mutation in alone
    assert alone <= {planted.mutation, *planted.equals}


@pytest.mark.parametrize("dialect", sorted(RIGHT))
def test_every_mutation_of_a_dialect_has_a_planted_bug_and_a_bundled_transcript_that_it_changes(dialect: str) -> None:
    streams = [Stream.of(one, dialect) for one in bundled() if one.dialect == dialect]
    own = [one for one in mutations(dialect=dialect) if one.dialects == (dialect,)]
    assert {one.name for one in own} <= {planted.mutation for planted in registered(dialect)}
    for one in own:
        assert any(_changes(one, stream) for stream in streams), one.name


def _changes(mutation: Mutation, stream: Stream) -> bool:
    for numbers in mutation.variants(stream):
        with suppress(Inapplicable):
            mutation.apply(stream, numbers)
            return True
    return False


@pytest.mark.parametrize(
    ("dialect", "target"), [(dialect, target) for dialect, targets in RIGHT.items() for target in targets]
)
def test_a_right_parser_passes_all_mutations_of_all_classes(dialect: str, target: Any) -> None:
    transcripts = [one for one in bundled() if one.dialect == dialect]
    report = fuzz(target, transcripts, options=EVERYTHING)
    assert [] == [f"{one.headline}: {one.token}" for one in report.findings]
    blind = [note for coverage in report.coverage for note in coverage.notes if "could be compared" in note]
    assert [] == blind
    changed = {name for coverage in report.coverage for name in coverage.mutations}
    assert {one.name for one in mutations(dialect=dialect) if one.dialects == (dialect,)} <= changed
