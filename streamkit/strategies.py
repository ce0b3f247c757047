"""Hypothesis strategies for deliveries of a stream.

How cuts are drawn was measured, not guessed. Each cut is an element of a list of its own: at an offset of one boundary
class, each class as likely as any other, so that four offsets inside characters are not drowned by two thousand inside
JSON strings; or within a few bytes before one of two anchors, so that short chunks come about; or anywhere, for the
places that nobody thought of. Since an element is one cut, Hypothesis drops what is not needed cut by cut. Drawing
bursts, chunk sizes or a yes or no per byte finds as much, and then gets stuck at more cuts than are needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from streamkit.case import Case
from streamkit.errors import UsageError
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cases", "fragmentations", "transcripts"]

_Place = tuple[int, int]  # a column of offsets, and how far along it, of _SCALE
_ANCHORS = 2
_NEAR = 4  # bytes before an anchor, at most
_SCALE = 2**24  # of an index into a column of any length; Hypothesis draws evenly up to this size
_FAR = 7 * 2**90 + 12_345


def fragmentations(
    transcript: Transcript | bytes | str | Path, *, max_cuts: int | None = None, empty_chunks: bool = False
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

    columns = [*_columns(body), range(first, last + 1)]

    def offset(place: tuple[int, int]) -> int:
        column = columns[place[0]]
        return column[place[1] * len(column) // _SCALE]

    def assemble(drawn: tuple[tuple[_Place, ...], tuple[list[tuple[int, _Place]], ...]]) -> Fragmentation:
        anchors = [offset(place) for place in drawn[0]]
        found = []
        for kind, place in (element for one in drawn[1] for element in one):
            near = place[1] * (_NEAR + 1) // _SCALE
            found.append(offset(place) if kind == 0 else max(first, anchors[kind - 1] - near))
        cuts = sorted(found) if empty_chunks else sorted(set(found))
        return Fragmentation(tuple(cuts[:max_cuts]))

    place = st.tuples(_index(len(columns)), _index(_SCALE))
    element = st.tuples(_index(1 + _ANCHORS), place)  # at a place of its own, or before one of the anchors
    # Two lists, because the lists that Hypothesis draws are short.
    lists = st.tuples(*[st.lists(element, max_size=max_cuts)] * 2)
    return st.tuples(st.tuples(*[place] * _ANCHORS), lists).map(assemble)


def _columns(body: bytes) -> list[Sequence[int]]:
    """Return the offsets of each boundary class that the body has."""
    where = boundaries(body)
    return [where.offsets(kind) for kind in where.classes()]


def _index(size: int) -> st.SearchStrategy[int]:
    """Generate whole numbers from 0 to below `size`, the same ones for the same seed on every machine.

    Hypothesis mixes in the constants that it finds in the source of local modules, and what is local depends on where
    things are installed and what was imported before. No constant is as far out as these.
    """
    return st.integers(_FAR, _FAR + size - 1).map(lambda drawn: drawn - _FAR)


def _body(transcript: Transcript | bytes | str | Path) -> bytes:
    if isinstance(transcript, Transcript):
        return transcript.body
    if isinstance(transcript, str | Path):
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
    transcript: Transcript | str | Path | None = None, *, max_cuts: int | None = None, empty_chunks: bool = False
) -> st.SearchStrategy[Case]:
    """Generate deliveries: a transcript and where it is cut.

    Args:
        transcript: the transcript or its name; any of the bundled ones where None.
        max_cuts: as for `fragmentations`.
        empty_chunks: as for `fragmentations`.

    Returns:
        A strategy that shrinks towards the first transcript, then as `fragmentations` does.
    """
    if isinstance(transcript, str | Path):
        from streamkit.cassettes import load

        transcript = load(transcript)
    chosen = transcripts() if transcript is None else st.just(transcript)
    return chosen.flatmap(
        lambda one: fragmentations(one, max_cuts=max_cuts, empty_chunks=empty_chunks).map(
            lambda fragmentation: Case(one, fragmentation)
        )
    )
