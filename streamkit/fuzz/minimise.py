"""Minimal cuts: the fewest, then the earliest, at which a delivery still fails.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over the set of
cuts: drop halves, then quarters, down to single cuts, until no cut can be dropped. Cuts go; bytes never do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["minimise"]


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
