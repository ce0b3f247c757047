"""Proving less where a parser is known to be made of two.

The readers of streamkit's dialects feed their decoder and give the events that come out to a fold
(`StreamReader.feed`), which takes them one by one and in order (`feed_all`). What the fold makes of them is therefore
decided by the sequence of events and their offsets alone, and never by how it is spread over calls. Where the decoder
gives the same sequence for every fragmentation, raises nothing, and is in the same state at the end, every
fragmentation leads to one result: so it is enough to walk the decoder, and the fold runs once instead of five million
times.

It holds only for these very methods, so a class that overrides one of them, or looks at the decoder after each chunk
(`_checked`), is walked whole; so is one whose decoder the walk does not prove.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.dialects.event_accumulator import EventAccumulator
from streamkit.dialects.reader import Fold, StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Front", "front_of"]


class Front:
    """The decoder of a reader, as a parser whose events come with their offsets."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def feed(self, chunk: bytes) -> list[tuple[Any, int]]:
        """Return the events that a chunk completes, and where each begins."""
        offsets: list[int] = []
        return list(zip(self._decoder.feed(chunk, offsets), offsets, strict=True))

    def close(self) -> None:
        """End the stream."""
        self._decoder.close()

    def copy(self) -> Front:
        """Return a copy."""
        return Front(self._decoder.copy())


def front_of(make: Callable[[], Any], sample: Any) -> Callable[[], Front] | None:
    """Return what makes the decoders of a target that is one of our readers; None for any other target.

    Args:
        make: makes a new reader.
        sample: one that it made.
    """
    if not isinstance(sample, StreamReader) or type(sample)._checked:
        return None
    for name in ("feed", "close", "result"):
        if getattr(type(sample), name) is not getattr(StreamReader, name) or name in vars(sample):
            return None
    if type(sample._held).feed_all not in (Fold.feed_all, EventAccumulator.feed_all):
        return None
    return lambda: Front(make()._decoder)
