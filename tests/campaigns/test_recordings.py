"""No false alarm on a sample of recorded streams: what `false_alarms.py` shows for all of them, bounded for CI."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from skhelpers.alarms import Tally, Tried
from skhelpers.corpus import Recording, needs_corpus, recordings

from streamkit import dialects
from streamkit.mutations.registry import Class, mutations
from streamkit.transcript import Transcript

pytestmark = needs_corpus

_SUFFIXES = (".sse", ".ndjson", ".jsonarray", ".eventstream")
_LARGEST = 20_000  # bytes
_VARIANTS, _MIXES = 4, 10


@dataclass(frozen=True)
class Sample:
    """How many recordings of a dialect are tried.

    Attributes:
        count: of the recordings, at most.
        rare: mutations that may find nothing to do in them; those of other framings are left out by themselves.
    """

    count: int
    rare: frozenset[str] = frozenset()


SAMPLES = {
    "openai_chat": Sample(
        16,
        frozenset(
            {
                "collapse_index",
                "cut_between_calls",
                "escape_cuts",
                "index_out_of_order",
                "logprobs_apart",
                "marker_cuts",
                "n_interleave",
                "surrogate_halves",
                "text_after_calls",
            }
        ),
    ),
    "openai_responses": Sample(8, frozenset({"responses_interleaved_calls"})),
    "openai_completions": Sample(8, frozenset({"completions_choices_in_turn"})),
    "anthropic_messages": Sample(12),
    "gemini": Sample(16, frozenset({"gemini_candidates_apart"})),
    "ollama": Sample(10, frozenset({"ollama_calls_apart"})),
    "bedrock_converse": Sample(12),
    "cohere_v2": Sample(8),
}


@cache
def spoken() -> dict[str, list[Recording]]:
    """Return the recordings of each dialect that are not too large."""
    found: dict[str, list[Recording]] = {}
    for one in (one for suffix in _SUFFIXES for one in recordings(suffix)):
        dialect = dialects.detect(Transcript(one.body)) if one.path.stat().st_size <= _LARGEST else None
        if dialect is not None:
            found.setdefault(dialect.name, []).append(one)
    return found


def sample(dialect: str) -> list[Recording]:
    """Return recordings of a dialect, evenly spread over all that are not too large."""
    of, count = spoken()[dialect], SAMPLES[dialect].count
    return [of[number * len(of) // count] for number in range(count)] if len(of) > count else of


def test_every_dialect_has_its_sample() -> None:
    assert set(dialects.names()) == set(SAMPLES)
    assert SAMPLES.keys() <= spoken().keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_our_reader_does_with_every_edit_and_mix_what_the_class_promises(name: str) -> None:
    """Invariant: preserving leaves the result, dialect gives the sensible one or an error, a fault is noticed."""
    total = Tally()
    for one in sample(name):
        transcript = Transcript(one.body, name=one.name, dialect=name)
        total.add(Tried(transcript, Class).all(_MIXES, _VARIANTS))
    assert [] == [f"{alarm.names}: {alarm.why}: {alarm.token}" for alarm in total.alarms]
    idle = {one.name for one in mutations(dialect=name) if one.dialects} - total.applied.keys()
    assert idle <= SAMPLES[name].rare
