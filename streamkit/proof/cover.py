"""What is delivered where no proof can be had: fragmentations that cover what a bug is likely to need.

- the prelude and every single cut, as in a campaign, drip among them;
- pairs of cuts: all pairs of offsets in a small body, all pairs of interesting offsets (those of the hot boundary
  classes) in a larger one, the closest of these in a very large one;
- every combination of boundary classes: cut at all offsets of the ones and at none of the others;
- of the interesting offsets, every combination of cut and no cut at any 3 of them, by a covering array; of all offsets
  at any 2 of them.

All bounded by the bytes that they feed, not by the clock, so that the same body always gets the same deliveries; what
was left out is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

from streamkit.fuzz import sweep
from streamkit.proof.covering import covering_array
from streamkit.wire.boundaries import HOT_CLASSES, boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from streamkit.wire.boundaries import Boundaries

__all__ = ["Part", "cover"]

_PAIR_BYTES = 192 * 2**20
_OTHER_BYTES = 32 * 2**20
_AT_LEAST = 64
_MOST_CLASSES = 8


@dataclass(frozen=True)
class Part:
    """One part of the cover.

    Attributes:
        name: "prelude", "single cuts", "pairs", "classes", "3-way" or "2-way".
        fragmentations: what is delivered.
        tried: how many there are.
        of: how many there would be without a bound.
        what: what they cover, in words that follow their number.
    """

    name: str
    fragmentations: Iterable[Fragmentation]
    tried: int
    of: int
    what: str


def cover(body: bytes) -> Iterator[Part]:
    """Yield the parts of the cover of a body, the quickest to find something first."""
    size = len(body)
    first = list(sweep.prelude(body))
    yield Part(
        "prelude", first, len(first), len(first), "whole, drip, all interesting offsets, each boundary class, ..."
    )
    if size < 2:
        return
    where = boundaries(body)
    offsets, _ = sweep.single_cuts(body)
    cuts = (Fragmentation((offset,)) for offset in offsets)
    yield Part("single cuts", cuts, len(offsets), size - 1, "single cuts")
    yield _classes(where)
    hot = where.hot()
    yield _combined("3-way", hot, 3, size, "every combination of cut and no cut at any 3 of {} interesting offsets")
    every = range(1, size)
    yield _combined("2-way", every, 2, size, "every combination of cut and no cut at any 2 of all {} offsets")
    yield _pairs(hot, size)


def _affordable(size: int, budget: int) -> int:
    return max(_AT_LEAST, budget // max(1, size))


def _classes(where: Boundaries) -> Part:
    present = [kind for kind in HOT_CLASSES if where.offsets(kind)]
    taken = present[:_MOST_CLASSES]
    most = min(2 ** len(taken), _affordable(len(where), _OTHER_BYTES))

    def combined() -> Iterator[Fragmentation]:
        chosen = product((False, True), repeat=len(taken))
        for _, flags in zip(range(most), chosen, strict=False):
            kinds = [kind for kind, flag in zip(taken, flags, strict=True) if flag]
            yield Fragmentation(tuple(sorted(offset for kind in kinds for offset in where.offsets(kind))))

    what = f"combinations of {len(taken)} boundary classes, each cut everywhere or nowhere"
    return Part("classes", combined(), most, 2 ** len(present), what)


def _combined(name: str, offsets: Sequence[int], strength: int, size: int, what: str) -> Part:
    rows = covering_array(len(offsets), strength) if offsets else []
    most = min(len(rows), _affordable(size, _OTHER_BYTES))
    fragmentations = (
        Fragmentation(tuple(offset for offset, cut in zip(offsets, row, strict=True) if cut)) for row in rows[:most]
    )
    return Part(name, fragmentations, most, len(rows), what.format(len(offsets)))


def _pairs(hot: Sequence[int], size: int) -> Part:
    budget = _affordable(size, _PAIR_BYTES)
    everything = (size - 1) * (size - 2) // 2
    if everything <= budget:
        return Part("pairs", _by_distance(range(1, size), everything), everything, everything, "pairs of all offsets")
    among = len(hot) * (len(hot) - 1) // 2
    most = min(among, budget)
    closest = "" if most == among else "the closest "
    return Part("pairs", _by_distance(hot, most), most, among, f"{closest}pairs of {len(hot)} interesting offsets")


def _by_distance(offsets: Sequence[int], most: int) -> Iterator[Fragmentation]:
    """Yield pairs of offsets, neighbours first."""
    if most == len(offsets) * (len(offsets) - 1) // 2 and len(offsets) < 3:
        yield from (Fragmentation(pair) for pair in combinations(offsets, 2))
        return
    made = 0
    for distance in range(1, len(offsets)):
        for first, second in zip(offsets, offsets[distance:], strict=False):
            if made == most:
                return
            made += 1
            yield Fragmentation((first, second))
