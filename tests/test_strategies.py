from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import streamkit
from streamkit.case import Case, mutated
from streamkit.errors import UsageError
from streamkit.strategies import cases, faults, fragmentations, mutations, transcripts
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import BoundaryClass, boundaries
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")
TEXT = streamkit.load("openai_chat/synthetic_multibyte_text")
SMALL = b"data: \xc3\xa9"

quick = settings(max_examples=20_000, database=None, phases=(Phase.generate, Phase.shrink))


@given(fragmentations(BOSTON))
def test_every_drawn_fragmentation_delivers_the_body(fragmentation: Fragmentation) -> None:
    """Invariance: the chunks join to the body, none is empty, and the cuts are strictly inside it."""
    chunks = fragmentation.chunks(BOSTON.body)
    assert BOSTON.body == b"".join(chunks)
    assert all(chunks)


@given(fragmentations(SMALL, empty_chunks=True))
def test_empty_chunks_come_only_where_they_are_asked_for(fragmentation: Fragmentation) -> None:
    """Invariance: with empty chunks the body is still delivered whole."""
    assert SMALL == b"".join(fragmentation.chunks(SMALL))


def test_an_empty_chunk_can_be_drawn() -> None:
    found = find(fragmentations(SMALL, empty_chunks=True), lambda drawn: b"" in drawn.chunks(SMALL), settings=quick)
    assert 1 == found.chunks(SMALL).count(b"")


@given(fragmentations(BOSTON, max_cuts=2))
def test_max_cuts_is_kept(fragmentation: Fragmentation) -> None:
    """Invariance: never more cuts than were allowed."""
    assert len(fragmentation) <= 2


def test_every_subset_of_the_offsets_can_be_drawn() -> None:
    body = b"data:"
    wanted = {combination for size in range(5) for combination in combinations(range(1, 5), size)}
    drawn: set[tuple[int, ...]] = set()

    @settings(max_examples=5000, database=None, derandomize=True, phases=(Phase.generate,))
    @given(fragmentations(body))
    def collect(fragmentation: Fragmentation) -> None:
        drawn.add(fragmentation.cuts)

    collect()
    assert wanted == drawn


def test_each_boundary_class_is_drawn_however_few_its_offsets() -> None:
    drawn: set[BoundaryClass | None] = set()

    @settings(max_examples=300, database=None, derandomize=True, phases=(Phase.generate,))
    @given(fragmentations(TEXT))
    def collect(fragmentation: Fragmentation) -> None:
        if len(fragmentation) <= 10:
            drawn.update(fragmentation.classify(TEXT.body))

    collect()
    assert set(boundaries(TEXT.body).classes()) <= drawn


@pytest.mark.parametrize("kind", [BoundaryClass.UTF8, BoundaryClass.ESCAPE, BoundaryClass.DONE, BoundaryClass.JSON])
def test_a_bug_at_one_class_shrinks_to_one_cut(kind: BoundaryClass) -> None:
    where = boundaries(TEXT.body)
    found = find(fragmentations(TEXT), lambda drawn: kind in drawn.classify(TEXT.body), settings=quick)
    assert 1 == len(found)
    assert found.cuts[0] in where.offsets(kind)


def test_a_bug_that_needs_two_cuts_shrinks_to_two() -> None:
    def inside_one_character_twice(drawn: Fragmentation) -> bool:
        cuts = set(drawn.cuts)
        kinds = dict(zip(drawn.cuts, drawn.classify(TEXT.body), strict=True))
        return any(kinds[cut] is BoundaryClass.UTF8 is kinds.get(cut + 1) for cut in cuts)

    assert 2 == len(find(fragmentations(TEXT), inside_one_character_twice, settings=quick))


def test_everything_shrinks_to_the_whole_body_in_one_chunk() -> None:
    assert Fragmentation.whole() == find(fragmentations(BOSTON), lambda _: True, settings=quick)


@pytest.mark.parametrize("body", [b"", b"x"])
def test_a_body_that_cannot_be_cut_comes_whole(body: bytes) -> None:
    assert Fragmentation.whole() == find(fragmentations(body), lambda _: True)


def test_a_negative_number_of_cuts_is_an_error() -> None:
    with pytest.raises(UsageError, match="max_cuts is -1"):
        fragmentations(BOSTON, max_cuts=-1)


def test_a_name_stands_for_its_transcript() -> None:
    drawn = find(fragmentations("openai_chat/boston_weather"), lambda one: bool(one.cuts), settings=quick)
    assert drawn.cuts[-1] < 3220


def test_transcripts_shrink_to_a_recorded_one() -> None:
    assert "openai_chat/boston_weather" == find(transcripts(), lambda _: True).name
    assert find(transcripts(dialect="openai_chat"), lambda one: one.synthetic).synthetic


def test_a_dialect_without_a_bundled_transcript_is_an_error() -> None:
    with pytest.raises(UsageError, match="no bundled transcript"):
        transcripts(dialect="morse")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(cases(), cases("openai_chat/boston_weather", max_cuts=1))
def test_cases_join_a_transcript_and_its_cuts(any_case: Case, boston_case: Case) -> None:
    """Invariance: a case delivers its transcript's body, and its token gives the same case."""
    assert any_case.transcript.body == b"".join(any_case.chunks())
    assert any_case == any_case.token.case(any_case.transcript)
    assert BOSTON == boston_case.transcript


def test_cases_are_of_any_of_several_transcripts_and_shrink_to_the_first() -> None:
    several = streamkit.library(feature="parallel")
    assert len(several) > 5
    chosen = cases([*several, "openai_chat/boston_weather"], max_cuts=1)
    assert several[0] == find(chosen, lambda case: True).transcript
    assert several[-1] == find(chosen, lambda case: case.transcript == several[-1]).transcript
    assert BOSTON == find(chosen, lambda case: case.transcript == BOSTON).transcript
    with pytest.raises(UsageError, match="no transcript to choose from"):
        cases(streamkit.library(dialect="gemini", server="litellm"))


def test_a_bug_of_cuts_shrinks_to_a_case_without_mutations() -> None:
    def cut_in_a_character(case: Case) -> bool:
        return "utf8" in map(str, case.fragmentation.classify(case.body))

    found = find(cases(TEXT, classes=["preserving"]), cut_in_a_character, settings=quick)
    assert ((), 1) == (found.steps, len(found.fragmentation))


def test_a_bug_of_one_mutation_shrinks_to_it_alone_in_its_first_form_and_uncut() -> None:
    drawn = cases(BOSTON, classes=["preserving"])
    found = find(drawn, lambda case: any(step.mutation.name == "bom" for step in case.steps), settings=quick)
    assert (("bom",), Fragmentation.whole()) == (tuple(map(str, found.steps)), found.fragmentation)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_mutations_that_are_drawn_are_of_the_classes_and_layers_asked_for(data: st.DataObject) -> None:
    steps = data.draw(mutations(BOSTON, classes=["dialect"], layers=["delta"], min_size=1))
    assert {("dialect", "delta")} == {(str(one.mutation.kind), str(one.mutation.layer)) for one in steps}
    assert mutated(BOSTON, steps).body != BOSTON.body
    (fault,) = data.draw(faults(BOSTON))
    assert "fault" == str(fault.mutation.kind)


def test_hypothesis_can_make_our_types_by_itself() -> None:
    assert find(st.from_type(Transcript), lambda _: True).body
    assert find(st.from_type(Case), lambda _: True).chunks()
