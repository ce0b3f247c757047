"""Run a decoder on one stream in every way that matters, and hold all results to one expectation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Result = TypeVar("Result")


def whole(body: bytes) -> list[bytes]:
    """Return the body in one chunk."""
    return [body]


def drip(body: bytes) -> list[bytes]:
    """Return the body byte by byte."""
    return [body[n : n + 1] for n in range(len(body))]


def one_cut(body: bytes) -> Iterator[list[bytes]]:
    """Yield every split into two chunks."""
    for a in range(1, len(body)):
        yield [body[:a], body[a:]]


def two_cuts(body: bytes) -> Iterator[list[bytes]]:
    """Yield every split into three chunks."""
    for a in range(1, len(body)):
        for b in range(a + 1, len(body)):
            yield [body[:a], body[a:b], body[b:]]


def deliveries(body: bytes, *, scan: int = 120) -> Iterator[list[bytes]]:
    """Yield whole, drip, every one-cut split and, for bodies up to `scan` bytes, every two-cut split."""
    yield whole(body)
    yield drip(body)
    yield from one_cut(body)
    if len(body) <= scan:
        yield from two_cuts(body)


def always(body: bytes, decode: Callable[[Iterable[bytes]], Result], *, scan: int = 120) -> Result:
    """Return what `decode` gives for the whole body, after checking that every delivery gives the same."""
    expected = decode(whole(body))
    for chunks in deliveries(body, scan=scan):
        assert decode(chunks) == expected, chunks
    return expected
