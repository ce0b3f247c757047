"""Hypothesis strategies for deliveries of a stream.

How cuts are drawn was measured, not guessed: bursts of up to five neighbouring cuts that end at an offset of one
boundary class, each class as likely as any other, with a uniform arm for the places nobody thought of. Four offsets
inside characters are so not drowned by two thousand inside JSON strings. Cuts are drawn as a list with repeats and
made a set afterwards, which is what shrinks to one or two cuts; drawing chunk sizes or a yes or no per byte does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from streamkit.case import Case
from streamkit.errors import UsageError
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.wire.boundaries import Boundaries, BoundaryClass

__all__ = ["cases", "fragmentations", "transcripts"]

_BURST = 5  # neighbouring cuts in one burst, at most
_DRIPS = (1, 2, 3, 4, 5, 7, 8, 13, 16, 64, 256, 1024, 4096, 16384)


def fragmentations(
    transcript: Transcript | bytes | str, *, max_cuts: int | None = None, empty_chunks: bool = False
) -> st.SearchStrategy[Fragmentation]:
    """Generate ways to cut a body into chunks.

    Every set of offsets inside the body can be drawn; the boundary classes at which parsers break are drawn more often.

    Args:
        transcript: what is cut: a Transcript, its name, or the bytes of a body.
        max_cuts: the most cuts; None for no limit. It also bounds the empty chunks.
        empty_chunks: also repeat cuts, and cut at both ends, so that empty chunks are delivered.

    Returns:
        A strategy that shrinks towards the fewest cuts, and among those towards early offsets of the classes that
        come first in `BoundaryClass`; the whole body in one chunk is the simplest.

    Raises:
        UsageError: `max_cuts` is negative.
    """
    if max_cuts is not None and max_cuts < 0:
        raise UsageError(f"max_cuts is {max_cuts}: give 0 or more, or None for no limit")
    body = _body(transcript)
    first, last = (0, len(body)) if empty_chunks else (1, len(body) - 1)
    if last < first or max_cuts == 0:
        return st.just(Fragmentation.whole())

    def assemble(cuts: Sequence[int]) -> Fragmentation:
        ordered = sorted(cuts) if empty_chunks else sorted(set(cuts))
        return Fragmentation(tuple(ordered[:max_cuts]))

    arms = [_bursts(body, first, last).map(assemble), st.lists(st.integers(first, last)).map(assemble)]
    if max_cuts is None:
        drips = [Fragmentation.drip(body, size) for size in _DRIPS if size < len(body)]
        arms.append(st.sampled_from(drips).map(lambda drip: drip))
    return st.one_of(arms)


def _bursts(body: bytes, first: int, last: int) -> st.SearchStrategy[list[int]]:
    """Generate cuts in bursts (o, w): the offsets o - w + 1 to o. Anchored at the end, they shrink to single cuts."""
    where = boundaries(body)
    places = [_offsets_of(where, kind) for kind in where.classes()]
    places.append(st.integers(first, last))
    burst = st.tuples(st.one_of(places), st.integers(1, _BURST))

    def spread(bursts: list[tuple[int, int]]) -> list[int]:
        return [cut for end, width in bursts for cut in range(max(first, end - width + 1), end + 1)]

    return st.lists(burst, max_size=8).map(spread)


def _offsets_of(where: Boundaries, kind: BoundaryClass) -> st.SearchStrategy[int]:
    offsets = where.offsets(kind)
    return st.integers(0, len(offsets) - 1).map(offsets.__getitem__)


def _body(transcript: Transcript | bytes | str) -> bytes:
    if isinstance(transcript, Transcript):
        return transcript.body
    if isinstance(transcript, str):
        from streamkit.cassettes import load

        return load(transcript).body
    return bytes(transcript)


def transcripts(*, dialect: str | None = None) -> st.SearchStrategy[Transcript]:
    """Generate transcripts of the bundled library.

    Args:
        dialect: only those of this dialect; all where None.

    Returns:
        A strategy that shrinks towards the transcripts that a server sent, in the order of their names.

    Raises:
        UsageError: no bundled transcript is of that dialect.
    """
    from streamkit.cassettes import bundled

    found = [transcript for transcript in bundled() if dialect in (None, transcript.dialect)]
    if not found:
        raise UsageError(f"no bundled transcript of the dialect {dialect!r}")
    return st.sampled_from(found)


def cases(
    transcript: Transcript | str | None = None, *, max_cuts: int | None = None, empty_chunks: bool = False
) -> st.SearchStrategy[Case]:
    """Generate deliveries: a transcript and where it is cut.

    Args:
        transcript: the transcript or its name; any of the bundled ones where None.
        max_cuts: as for `fragmentations`.
        empty_chunks: as for `fragmentations`.

    Returns:
        A strategy that shrinks towards the first transcript, then as `fragmentations` does.
    """
    if isinstance(transcript, str):
        from streamkit.cassettes import load

        transcript = load(transcript)
    chosen = transcripts() if transcript is None else st.just(transcript)
    return chosen.flatmap(
        lambda one: fragmentations(one, max_cuts=max_cuts, empty_chunks=empty_chunks).map(
            lambda fragmentation: Case(one, fragmentation)
        )
    )
