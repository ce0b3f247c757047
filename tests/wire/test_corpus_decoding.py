"""Every recorded event stream decodes to what a literal reading of the standard gives, in several chunkings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from skhelpers import literal_sse
from skhelpers.corpus import needs_corpus, recordings

from streamkit.wire.fragmentation import Fragmentation
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skhelpers.literal_sse import LiteralEvent

SMALL = 50_000  # bytes; below it, a body is also fed byte by byte


def events(chunks: Iterable[bytes]) -> list[LiteralEvent]:
    decoder = SSEDecoder()
    found = [(event.event, event.data, event.id) for chunk in chunks for event in decoder.feed(chunk)]
    assert [] == decoder.close()
    return found


@cache
def bodies() -> dict[str, bytes]:
    return {recording.name: recording.body for recording in recordings(".sse")}


def differing(sizes: Iterable[int | None], *, small: bool) -> list[tuple[str, int | None]]:
    """Which recordings decode to something else, and in chunks of which size (None: whole)."""
    found = []
    for name, body in bodies().items():
        if (len(body) < SMALL) is small:
            expected = literal_sse.read(body)
            for size in sizes:
                cuts = Fragmentation.whole() if size is None else Fragmentation.drip(body, size)
                if expected != events(cuts.chunks(body)):
                    found.append((name, size))
    return found


@needs_corpus
def test_small_recordings_decode_as_a_literal_reading_does_whole_and_in_chunks_of_1_7_and_64_bytes() -> None:
    assert [] == differing((None, 1, 7, 64), small=True)


@needs_corpus
def test_large_recordings_decode_as_a_literal_reading_does_whole_and_in_chunks_of_1000_bytes() -> None:
    assert [] == differing((None, 1000), small=False)


@needs_corpus
def test_recordings_are_many_and_nearly_all_of_them_hold_events() -> None:
    assert 700 <= len(bodies())
    silent = [name for name, body in bodies().items() if not literal_sse.read(body)]
    assert len(silent) <= len(bodies()) // 50, silent


@needs_corpus
def test_recordings_decode_the_same_in_one_chunk_an_event() -> None:
    wrong = []
    for name, body in bodies().items():
        chunks = Fragmentation.per_event(body).chunks(body)
        decoder = SSEDecoder()
        counts = [len(decoder.feed(chunk)) for chunk in chunks]
        if max(counts) > 1 or sum(counts) != len(events([body])):
            wrong.append(name)
    assert [] == wrong
