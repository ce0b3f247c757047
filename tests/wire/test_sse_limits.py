"""SSEDecoder's limit on the bytes of an event, and the work that it does on one."""

from __future__ import annotations

import re
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers import literal_sse
from skhelpers.delivery import always, drip

from streamkit.errors import LimitError, UsageError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from skhelpers.literal_sse import LiteralEvent
from skhelpers.sse_decoding import CUTS, SOUP, pieces, triples

# -- the byte limit


def limited(limit: int, chunks: Iterable[bytes]) -> tuple[list[LiteralEvent], int | None]:
    """The events until the stream ends or the limit is reached, and the limit that the error names."""
    decoder = SSEDecoder(max_event_bytes=limit)
    events: list[LiteralEvent] = []
    try:
        for chunk in chunks:
            events += triples(decoder.feed(chunk))
        decoder.close()
    except LimitError as error:
        return events, error.limit
    return events, None


def verdict(limit: int, body: bytes) -> tuple[list[LiteralEvent], int | None]:
    """What `limited` has to give: the events of the blocks before the first that is too large."""
    text = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    blocks = re.split(rb"(?<![^\n])\n", text)  # an LF at the start or after an LF is a blank line
    for number, block in enumerate(blocks):
        if len(block) > limit:
            return literal_sse.read(b"\n".join([*blocks[:number], b""])), limit
    return literal_sse.read(text), None


LIMITED = [b"data: a\n\ndata: bcd\n\ndata: e\n\n", b"data: a\r\n: c\r\n\r\nid: 12\rdata\r\r", b"data: a\n\ndata: bcdef"]


@pytest.mark.parametrize("body", LIMITED)
def test_limit_gives_one_verdict_and_the_same_events_before_it_in_every_delivery(body: bytes) -> None:
    for limit in range(1, len(body) + 1):
        assert verdict(limit, body) == always(body, partial(limited, limit))


@settings(deadline=None, max_examples=300)
@given(SOUP.filter(lambda body: not body.startswith(b"\xef")), CUTS, st.integers(1, 60))
def test_limit_on_byte_soup_depends_on_block_sizes_alone(body: bytes, cuts: list[int], limit: int) -> None:
    """Invariant: the limit is reached if and only if a block is larger than it, after the events of earlier blocks."""
    chunkings = ([body], pieces(body, cuts), drip(body))
    assert [verdict(limit, body)] * 3 == [limited(limit, chunks) for chunks in chunkings]


def test_limit_error_is_owed_until_the_events_before_it_are_returned_and_stays() -> None:
    decoder = SSEDecoder(max_event_bytes=9)
    assert ["a"] == [event.data for event in decoder.feed(b"data: a\n\ndata: bcde\n\ndata: f\n\n")]
    for call in (decoder.close, lambda: decoder.feed(b""), lambda: decoder.feed(b"\n\n"), decoder.close):
        with pytest.raises(LimitError, match="max_event_bytes=9"):
            call()


def test_limit_below_one_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1, or None"):
        SSEDecoder(max_event_bytes=0)


# -- linear work, counted and not timed


def work(decoder: Any, body: bytes, size: int) -> Counter[str]:
    """What decoding costs, in counts that do not depend on the machine.

    "calls" are calls of Python and C functions. "bytes" are the bytes that C code looks at or copies: the object that
    each method is called on, and every bytes object that is a local variable or an attribute when a function returns
    and was not so before. "joins" are counted apart, for the pieces that they copy cannot be seen from here.
    """
    cost: Counter[str] = Counter()
    known: dict[str, object] = {}

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event in ("call", "c_call"):
            cost["calls"] += 1
        if event == "c_call":
            receiver = getattr(arg, "__self__", None)
            cost["joins"] += arg.__name__ == "join"
            cost["bytes"] += len(receiver) if isinstance(receiver, bytes | bytearray | memoryview | str) else 0
        elif event == "return":
            for name, value in (*frame.f_locals.items(), *vars(decoder).items()):
                if isinstance(value, bytes) and value is not known.get(name):
                    known[name] = value
                    cost["bytes"] += len(value)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        for start in range(0, len(body), size):
            decoder.feed(body[start : start + size])
    finally:
        sys.setprofile(before)
    return cost


class Rejoining:
    """A decoder of the quadratic kind: it joins and searches all that it has, whenever a chunk comes."""

    buffer = b""

    def feed(self, chunk: bytes) -> bool:
        self.buffer += chunk
        return self.buffer.endswith(b"\n\n")


KB = 1024
LONG = {  # head, what is repeated, tail; bytes of the small body, bytes of a chunk, joins
    "a long line": (b"data: ", b"x", b"\n\n", 1024 * KB, KB, 1),
    "a long line byte by byte": (b"data: ", b"x", b"\n\n", 16 * KB, 1, 1),
    "a long comment": (b": ", b"x", b"\n\n", 1024 * KB, KB, 1),
    "a line without an end": (b"data: ", b"x", b"", 1024 * KB, KB, 0),
    "many lines in one event": (b"", b"data: x\n", b"\n", 64 * KB, 64, 1),
    "many comments without a blank line": (b"", b":\n", b"", 16 * KB, 64, 0),
}


@pytest.mark.parametrize("shape", LONG.values(), ids=LONG)
def test_work_on_one_event_is_linear_in_its_size(shape: tuple[bytes, bytes, bytes, int, int, int]) -> None:
    head, unit, tail, small, chunk, joins = shape
    bodies = [head + unit * (size // len(unit)) + tail for size in (small, 8 * small)]
    less, more = (work(SSEDecoder(max_event_bytes=10**9), body, chunk) for body in bodies)
    for count in ("calls", "bytes"):
        assert 6 <= more[count] / less[count] <= 10, count
    assert (joins, joins) == (less["joins"], more["joins"])  # the pieces of a line once, the lines of an event once


def test_counting_of_work_tells_a_quadratic_decoder() -> None:
    less, more = (work(Rejoining(), b"x" * size, KB) for size in (32 * KB, 256 * KB))
    assert 50 < more["bytes"] / less["bytes"]
