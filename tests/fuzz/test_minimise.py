from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamkit.fuzz.minimise import earliest, minimise
from streamkit.fuzz.sweep import near_pairs, prelude, single_cuts
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation


@given(st.sets(st.integers(1, 500), min_size=1, max_size=200), st.data())
def test_what_is_left_is_exactly_the_cuts_that_are_needed(cuts: set[int], data: st.DataObject) -> None:
    """Invariance: for a bug that needs a set of cuts, that set is left, however many others there are."""
    needed = data.draw(st.sets(st.sampled_from(sorted(cuts)), max_size=4))
    small = minimise(Fragmentation.at(*cuts), lambda fragmentation: needed <= set(fragmentation.cuts))
    assert tuple(sorted(needed)) == small.cuts


@given(st.sets(st.integers(1, 60), min_size=2, max_size=60), st.integers(0, 2**32))
def test_no_single_cut_can_be_dropped_even_where_the_bug_is_not_monotone(cuts: set[int], salt: int) -> None:
    """Invariance: whatever the bug, the result fails and each of its cuts is needed."""

    def fails(fragmentation: Fragmentation) -> bool:
        return fragmentation.cuts == tuple(sorted(cuts)) or hash((salt, fragmentation.cuts)) % 3 == 0

    small = minimise(Fragmentation.at(*cuts), fails)
    assert fails(small)
    for number in range(len(small.cuts)):
        assert not fails(Fragmentation(small.cuts[:number] + small.cuts[number + 1 :]))


def test_three_thousand_cuts_come_down_to_one_in_a_few_deliveries() -> None:
    tried = []

    def fails(fragmentation: Fragmentation) -> bool:
        tried.append(fragmentation)
        return 1234 in fragmentation.cuts

    assert (1234,) == minimise(Fragmentation.drip(3220), fails).cuts
    assert len(tried) < 40


def test_the_attempts_are_bounded() -> None:
    tried = []

    def fails(fragmentation: Fragmentation) -> bool:
        tried.append(fragmentation)
        return len(fragmentation.cuts) == 1000

    minimise(Fragmentation.at(*range(1, 1001)), fails, attempts=50)
    assert len(tried) <= 52


def test_what_is_left_is_moved_to_the_beginning_as_a_whole() -> None:
    def short_chunk(fragmentation: Fragmentation) -> bool:
        return any(b - a == 2 for a, b in pairwise(fragmentation.cuts) if a >= 5)

    assert (5, 7) == earliest(Fragmentation.at(202, 204), short_chunk, [100, 150]).cuts
    assert (100, 102) == earliest(
        Fragmentation.at(202, 204), lambda drawn: short_chunk(drawn) and drawn.cuts[0] >= 40, [100, 150]
    ).cuts
    assert (202, 204) == earliest(Fragmentation.at(202, 204), lambda drawn: False, [100]).cuts


def test_an_empty_chunk_is_shown_at_the_beginning_where_that_will_do() -> None:
    assert (0,) == earliest(Fragmentation.at(50, 50), lambda drawn: b"" in drawn.chunks(b"x" * 99), []).cuts


BODY = 'data: {"a":"é\\n"}\r\n\r\n: ping\n\ndata: [DONE]\n\n'.encode()


def test_the_prelude_begins_with_the_whole_and_the_drip_and_holds_each_hot_offset_alone() -> None:
    tried = list(prelude(BODY))
    assert [Fragmentation.whole(), Fragmentation.drip(BODY)] == tried[:2]
    assert len(set(tried)) == len(tried)
    alone = {fragmentation.cuts[0] for fragmentation in tried if len(fragmentation) == 1}
    assert set(boundaries(BODY).hot()) <= alone
    pairs = {fragmentation.cuts for fragmentation in tried if len(fragmentation) == 2}
    assert set(near_pairs(boundaries(BODY))) <= pairs


def test_the_prelude_of_a_large_body_is_short() -> None:
    assert len(list(prelude(BODY * 20_000))) < 100


def test_every_offset_of_a_small_body_is_tried_alone() -> None:
    assert (list(range(1, len(BODY))), True) == single_cuts(BODY)


def test_a_sample_of_single_cuts_holds_every_boundary_class_and_keeps_to_its_size() -> None:
    body = BODY * 50
    offsets, complete = single_cuts(body, 60)
    where = boundaries(body)
    assert not complete
    assert len(offsets) <= 60
    assert set(where.classes()) == {where.at(offset) for offset in offsets}


def test_bodies_of_no_or_one_byte_have_no_single_cut() -> None:
    assert ([], True) == single_cuts(b"")
    assert ([], True) == single_cuts(b"x")
    assert [Fragmentation.whole()] == list(prelude(b"x"))
