"""Deliveries that are tried before anything is drawn: a prelude, then every single cut.

The prelude finds nearly every framing bug within a few deliveries. The single cuts then show that no one cut breaks the
parser, and how often a broken one breaks. Both are bounded by the bytes that they feed, not by the clock, so that the
same transcript always gets the same deliveries; a transcript too large for a sweep gets a sample of it, evenly spread
over each boundary class, and the report says so.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

from streamkit.wire.boundaries import HOT_CLASSES, boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamkit.wire.boundaries import Boundaries

__all__ = ["affordable", "by_class", "near_pairs", "prelude", "single_cuts"]

_PRELUDE_BYTES = 64 * 2**20
_SWEEP_BYTES = 64 * 2**20
_DRAWN_BYTES = 24 * 2**20
_AT_LEAST = 16
_NEAR = 8  # bytes between two cuts that make a near pair
_KTH = (2, 3, 4, 5, 7, 8, 13, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


def affordable(size: int, wanted: int) -> int:
    """Return how many drawn deliveries of `size` bytes are made where `wanted` were asked for by default."""
    return min(wanted, max(_AT_LEAST, _DRAWN_BYTES // max(1, size)))


def prelude(body: bytes) -> Iterator[Fragmentation]:
    """Yield the prelude.

    In this order: whole, drip, all hot offsets, one event a chunk, all offsets of each class, all of each two classes,
    every k-th byte, each hot offset alone, near pairs of hot offsets.
    """
    where = boundaries(body)
    budget = max(_AT_LEAST, _PRELUDE_BYTES // max(1, len(body)))
    seen: set[tuple[int, int]] = set()  # not the cuts themselves: of a large body they are millions
    for made, fragmentation in enumerate(_prelude(body, where)):
        if made >= 4 * budget or len(seen) >= budget:
            return
        key = (len(fragmentation.cuts), hash(fragmentation.cuts))
        if key not in seen:
            seen.add(key)
            yield fragmentation


def _prelude(body: bytes, where: Boundaries) -> Iterator[Fragmentation]:
    size = len(body)
    yield Fragmentation.whole()
    if size < 2:
        return
    yield Fragmentation.drip(size)
    yield Fragmentation(tuple(where.hot()))
    yield Fragmentation.per_event(body)
    for kind in where.classes():
        yield Fragmentation(tuple(where.offsets(kind)))
    present = [kind for kind in HOT_CLASSES if where.offsets(kind)]
    for one, other in combinations(present, 2):  # a chunk that runs from a place of one kind to one of another
        yield Fragmentation(tuple(sorted([*where.offsets(one), *where.offsets(other)])))
    for step in _KTH:
        if step < size:
            yield Fragmentation.drip(size, step)
    for offset in _in_turns(where):
        yield Fragmentation((offset,))
    for pair in near_pairs(where):
        yield Fragmentation(pair)


def _in_turns(where: Boundaries) -> Iterator[int]:
    """Yield the hot offsets, one of each class in turn, so that no class waits for the end of another."""
    columns = [where.offsets(kind) for kind in HOT_CLASSES]
    for row in range(max(map(len, columns))):
        for column in columns:
            if row < len(column):
                yield column[row]


def near_pairs(where: Boundaries) -> Iterator[tuple[int, int]]:
    """Yield pairs of hot offsets at most 8 bytes apart: a short chunk at a place that matters."""
    hot = where.hot()
    for distance in (1, 2, 3, 4):  # neighbours first, over the whole body
        for first, second in zip(hot, hot[distance:], strict=False):
            if second - first <= _NEAR:
                yield first, second


def single_cuts(body: bytes, most: int | None = None) -> tuple[list[int], bool]:
    """Return the offsets that are tried alone, ascending, and whether they are all there are.

    Args:
        body: what is cut.
        most: the most offsets to return; None for what the budget in bytes allows.
    """
    size = len(body)
    budget = max(_AT_LEAST, _SWEEP_BYTES // max(1, size)) if most is None else most
    if size - 1 <= budget:
        return list(range(1, size)), True
    where = boundaries(body)
    columns = [list(where.offsets(kind)) for kind in where.classes()]
    chosen: list[int] = []
    for left, column in zip(range(len(columns), 0, -1), sorted(columns, key=len), strict=True):
        share = (budget - len(chosen)) // left  # what the small classes leave over goes to the large ones
        if share > 0:
            chosen.extend(column[:: max(1, -(-len(column) // share))])
    return sorted(chosen), False


def by_class(body: bytes, cuts: Sequence[int]) -> dict[str, int]:
    """Return how many of the cuts are of each boundary class, the most frequent first."""
    where = boundaries(body)
    counts = Counter(str(where.at(cut)) for cut in cuts)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
