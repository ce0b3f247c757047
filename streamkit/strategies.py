"""Hypothesis strategies for deliveries of a stream.

How cuts are drawn was measured, not guessed. Each cut is an element of a list of its own: at an offset of one boundary
class, each class as likely as any other, so that four offsets inside characters are not drowned by two thousand inside
JSON strings; or within a few bytes before one of two anchors, so that short chunks come about; or anywhere, for the
places that nobody thought of. Since an element is one cut, Hypothesis drops what is not needed cut by cut. Drawing
bursts, chunk sizes or a yes or no per byte finds as much, and then gets stuck at more cuts than are needed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from streamkit.case import Case, mutated
from streamkit.errors import Inapplicable, UsageError
from streamkit.generation import completions
from streamkit.generation import transcripts as synthetic_transcripts
from streamkit.mutations.registry import Class, Step
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.mutations.registry import Mutation

__all__ = [
    "cases",
    "completions",
    "faults",
    "fragmentations",
    "mixes",
    "mutations",
    "synthetic_transcripts",
    "transcripts",
]

_Place = tuple[int, int]  # a column of offsets, and how far along it, of _SCALE
_ANCHORS = 2
_NEAR = 4  # bytes before an anchor, at most
_SCALE = 2**24  # of an index into a column of any length; Hypothesis draws evenly up to this size
_LARGE = 256 * 2**10  # bytes of a body whose boundary classes are not looked at again for each mix
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
    return _fragmentations(_body(transcript), max_cuts, empty_chunks=empty_chunks)


def _fragmentations(
    body: bytes, max_cuts: int | None, *, empty_chunks: bool, anywhere: bool = False
) -> st.SearchStrategy[Fragmentation]:
    """Generate fragmentations; `anywhere` without a look at the boundary classes, which takes a while and memory."""
    first, last = (0, len(body)) if empty_chunks else (1, len(body) - 1)
    if last < first or max_cuts == 0:
        return st.just(Fragmentation.whole())

    where = None if anywhere else boundaries(body)
    kinds = where.classes() if where is not None else []

    def offset(place: tuple[int, int]) -> int:
        number, along = place
        column: Sequence[int] = range(first, last + 1)
        if where is not None and number < len(kinds):
            column = where.offsets(kinds[number])
        return column[along * len(column) // _SCALE]

    def assemble(drawn: tuple[tuple[_Place, ...], tuple[list[tuple[int, _Place]], ...]]) -> Fragmentation:
        anchors = [offset(place) for place in drawn[0]]
        found = []
        for kind, place in (element for one in drawn[1] for element in one):
            near = place[1] * (_NEAR + 1) // _SCALE
            found.append(offset(place) if kind == 0 else max(first, anchors[kind - 1] - near))
        cuts = sorted(found) if empty_chunks else sorted(set(found))
        return Fragmentation(tuple(cuts[:max_cuts]))

    return _drawn_places(len(kinds) + 1, max_cuts).map(assemble)


@lru_cache(maxsize=64)  # the mixes of a campaign ask for the same few again and again
def _drawn_places(
    columns: int, most: int | None
) -> st.SearchStrategy[tuple[tuple[_Place, ...], tuple[list[tuple[int, _Place]], ...]]]:
    """Generate anchors, and lists of places in some columns, each of its own or before one of the anchors."""
    place = st.tuples(_index(columns), _index(_SCALE))
    element = st.tuples(_index(1 + _ANCHORS), place)
    # Two lists, because the lists that Hypothesis draws are short.
    lists = st.tuples(*[st.lists(element, max_size=most)] * 2)
    return st.tuples(st.tuples(*[place] * _ANCHORS), lists)


def _index(size: int) -> st.SearchStrategy[int]:
    """Generate whole numbers from 0 to below `size`, the same ones for the same seed on every machine.

    Hypothesis mixes in the constants that it finds in the source of local modules, and what is local depends on where
    things are installed and what was imported before. No constant is as far out as these.
    """
    return st.integers(_FAR, _FAR + size - 1).map(lambda drawn: drawn - _FAR)


def _body(transcript: Transcript | bytes | str | Path) -> bytes:
    if isinstance(transcript, Transcript):
        return transcript.body
    return _loaded(transcript).body if isinstance(transcript, str | Path) else bytes(transcript)


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


def mutations(
    transcript: Transcript | str | Path,
    *,
    classes: Sequence[str] | None = ("preserving",),
    layers: Sequence[str] | None = None,
    min_size: int = 0,
    max_size: int = 3,
) -> st.SearchStrategy[tuple[Step, ...]]:
    """Generate mutations of a transcript: steps that apply to it, one after the other.

    Args:
        transcript: the transcript or its name.
        classes: "preserving", "dialect", "fault"; all where None.
        layers: "bytes", "framing", "json", "delta", "delivery"; all where None.
        min_size: the fewest steps.
        max_size: the most steps.

    Returns:
        A strategy that shrinks towards fewer mutations, then towards the first variant of each.

    Raises:
        UsageError: there is no such class or layer, or no such mutation applies to the transcript.
    """
    from streamkit.mutations.registry import mutations as entries

    transcript = _loaded(transcript)
    stream = _stream(transcript)
    usable = [
        one
        for one in entries(classes=classes, layers=layers)
        if any(_applies(stream, (Step(one, numbers),)) for numbers in one.variants(stream, 4))
    ]
    if not usable and min_size:
        raise UsageError(f"no such mutation applies to {transcript.name or 'the transcript'}")
    if not usable:
        return st.just(())
    return _steps(usable, min_size, max_size).filter(lambda steps: _applies(stream, steps))


def _steps(usable: Sequence[Mutation], least: int, most: int) -> st.SearchStrategy[tuple[Step, ...]]:
    numbers = st.lists(_index(1000), max_size=3).map(tuple)
    step = st.builds(Step, _index(len(usable)).map(lambda number: usable[number]), numbers)
    return st.lists(step, min_size=least, max_size=most).map(tuple)


def _loaded(transcript: Transcript | str | Path) -> Transcript:
    if isinstance(transcript, Transcript):
        return transcript
    from streamkit.cassettes import load

    return load(transcript)


def _stream(transcript: Transcript) -> Stream:
    from streamkit import dialects

    dialect = dialects.detect(transcript)
    return Stream.of(transcript, dialect.name if dialect is not None else None)


def _applies(stream: Stream, steps: tuple[Step, ...]) -> bool:
    """Whether the mutations can be made one after the other, and those that are to preserve the answer do so."""
    try:
        for step in steps:
            edit = step.apply(stream)
            if edit.expected is not None and step.mutation.kind is Class.PRESERVING:
                return False  # it puts a text in: the answer is the same but for that
            stream = edit.stream
    except Inapplicable:
        return False
    return True


def mixes(
    transcript: Transcript,
    usable: Sequence[Mutation],
    *,
    max_size: int = 4,
    empty_chunks: bool = False,
    body: Callable[[tuple[Step, ...]], bytes] | None = None,
) -> st.SearchStrategy[Case]:
    """Generate mixes of some mutations, with cuts: what a campaign draws when its systematic phases are done.

    Args:
        transcript: what is mutated and cut.
        usable: the mutations; one that has nothing to do in a mix makes Hypothesis draw another.
        max_size: the most mutations of one mix.
        empty_chunks: as for `fragmentations`.
        body: returns the mutated body, or raises Inapplicable, where the caller keeps mutated bodies of its own.

    Returns:
        A strategy that shrinks towards one mutation, then as `fragmentations` does.
    """

    def delivered(steps: tuple[Step, ...]) -> st.SearchStrategy[Case]:
        try:
            made = mutated(transcript, steps).body if body is None else body(steps)
        except Inapplicable:
            return st.nothing()
        cuts = _fragmentations(made, 6, empty_chunks=empty_chunks, anywhere=len(made) > _LARGE)
        return cuts.map(lambda fragmentation: Case(transcript, fragmentation, steps))

    return _steps(usable, 1, max_size).flatmap(delivered)


def faults(transcript: Transcript | str | Path, *, max_size: int = 1) -> st.SearchStrategy[tuple[Step, ...]]:
    """Generate faults of a transcript; see `mutations`. A right parser raises a typed error on each."""
    return mutations(transcript, classes=("fault",), min_size=1, max_size=max_size)


def cases(
    transcript: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
    *,
    max_cuts: int | None = None,
    empty_chunks: bool = False,
    classes: Sequence[str] | None = (),
    layers: Sequence[str] | None = None,
    max_mutations: int = 3,
) -> st.SearchStrategy[Case]:
    """Generate deliveries: a transcript, its mutations, and where it is cut.

    Args:
        transcript: the transcript or its name; any of several, such as `streamkit.library` gives; any of the bundled
            ones where None.
        max_cuts: as for `fragmentations`.
        empty_chunks: as for `fragmentations`.
        classes: of the mutations; none by default, all where None.
        layers: of the mutations; all where None.
        max_mutations: the most mutations of one case.

    Returns:
        A strategy that shrinks towards the first transcript, then towards no mutation, then as `fragmentations` does.

    Raises:
        UsageError: there are no transcripts to choose from.
    """
    if transcript is None:
        chosen = transcripts()
    elif isinstance(transcript, Transcript | str | Path):
        chosen = st.just(_loaded(transcript))
    else:
        listed = [_loaded(one) for one in transcript]
        if not listed:
            raise UsageError("cases() is given no transcript to choose from")
        chosen = st.sampled_from(listed)

    def delivered(one: Transcript) -> st.SearchStrategy[Case]:
        if classes == ():
            return cut(one, ())
        return mutations(one, classes=classes, layers=layers, max_size=max_mutations).flatmap(
            lambda steps: cut(one, steps)
        )

    def cut(one: Transcript, steps: tuple[Step, ...]) -> st.SearchStrategy[Case]:
        body = mutated(one, steps).body if steps else one
        return fragmentations(body, max_cuts=max_cuts, empty_chunks=empty_chunks).map(
            lambda fragmentation: Case(one, fragmentation, steps)
        )

    return chosen.flatmap(delivered)
