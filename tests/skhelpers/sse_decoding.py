"""What the tests of SSEDecoder share: events as a literal reading of the standard has them, and byte soup."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from streamkit.wire.sse import BOM, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skhelpers.literal_sse import LiteralEvent


def triples(events: Iterable[ServerSentEvent]) -> list[LiteralEvent]:
    return [(event.event, event.data, event.id) for event in events]


PIECES = [b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\0", b"1", b"x"]
PIECES += [BOM, b"\xef", b"\xff", b"\xf0\x9f", "é🌍".encode(), "\u2028\x85".encode(), b"\v\x1c", b"data: y\n"]
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(0, 10_000), max_size=30)


def pieces(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut `body` at the given offsets, taken modulo its length; a repeated offset makes an empty chunk."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]
