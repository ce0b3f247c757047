"""Minimal cuts: the fewest, then the earliest, at which a delivery still fails.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over the set of
cuts: drop halves, then quarters, down to single cuts, until no cut can be dropped. Cuts go; bytes never do. What is
left is then moved as a whole towards the beginning, as far as it still fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["earliest", "minimise"]


def minimise(
    fragmentation: Fragmentation, fails: Callable[[Fragmentation], bool], *, attempts: int = 2000
) -> Fragmentation:
    """Return a fragmentation that still fails and from which no single cut can be dropped.

    Args:
        fragmentation: one that fails.
        fails: says whether a delivery fails.
        attempts: the most deliveries to try.

    Returns:
        The minimal fragmentation, or the smallest one found within the attempts.
    """
    cuts = list(fragmentation.cuts)
    left = attempts
    parts = 2
    while cuts and left > 0:
        size = -(-len(cuts) // parts)
        pieces = [cuts[start : start + size] for start in range(0, len(cuts), size)]
        kept: list[int] | None = None
        for piece in pieces if parts > 1 and len(pieces) > 1 else []:
            left -= 1
            if len(piece) < len(cuts) and fails(Fragmentation(tuple(piece))):
                kept, parts = piece, 2
                break
        if kept is None:
            for number in range(len(pieces)):
                rest = [cut for other, piece in enumerate(pieces) if other != number for cut in piece]
                left -= 1
                if fails(Fragmentation(tuple(rest))):
                    kept, parts = rest, max(parts - 1, 2)
                    break
                if left <= 0:
                    break
        if kept is not None:
            cuts = kept
        elif size == 1:
            break
        else:
            parts = min(len(cuts), parts * 2)
    return Fragmentation(tuple(cuts))


def earliest(
    fragmentation: Fragmentation, fails: Callable[[Fragmentation], bool], hot: Sequence[int], *, attempts: int = 200
) -> Fragmentation:
    """Return the same cuts, or the same empty chunk, as early in the body as they still fail.

    Args:
        fragmentation: one that fails and is minimal.
        fails: says whether a delivery fails.
        hot: the offsets of the body at which parsers break, ascending; they are tried before others.
        attempts: the most deliveries to try.
    """
    cuts = fragmentation.cuts
    if not cuts:
        return fragmentation
    if len(set(cuts)) < len(cuts):  # an empty chunk: perhaps one at the very beginning will do
        start = Fragmentation((0,))
        if fails(start):
            return start
    near = [*range(1, 33), *hot]
    for first in sorted({offset for offset in near if offset < cuts[0]})[:attempts]:
        moved = Fragmentation(tuple(cut - cuts[0] + first for cut in cuts))
        if fails(moved):
            return moved
    return fragmentation
