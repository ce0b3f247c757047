"""All short streams over what matters to SSEDecoder, in all deliveries of two chunks and byte by byte.

What events are due, and with which byte, is what a literal reading of the standard says. All else that a caller can
see is held to the byte by byte delivery, where no block is ever taken at once: a decoder whose state after each prefix
is the same however it came is right in every fragmentation, for each is a walk along such prefixes.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, NamedTuple

import pytest
from skhelpers import literal_sse
from skhelpers.sse_decoding import triples

from streamkit.wire import sse
from streamkit.wire.sse import BOM, ServerSentEvent, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The parts of lines: field names, what is between name and value, line ends, halves of "é", a byte that is no UTF-8.
WORDS = (b"data", b"data: ", b"id", b"event", b"retry", b":", b" ", b"\r", b"\n", b"x", b"1", b"\0", BOM)
BYTES = (b"\xc3", b"\xa9", b"\xff")
#: The parts of blocks: what the decoder takes many at a time, and what stands in the way of that.
BLOCKS = (
    b"data: x\n\n",
    b"event: e\ndata: y\n\n",
    b"data: \xc3\xa9\r\n\r\n",
    b"event: e\r\ndata: z\r\n\r\n",
    b"data: \xff\n\n",
    b"event: \xfe\ndata: w\n\n",
    b"event: \ndata: v\n\n",
    b"data: ",
    b"event: ",
    b"id: 1\n",
    b": c\n\n",
    b"retry: 2\n",
    b"\n",
    b"\r",
)


class Fed(NamedTuple):
    """A stream as it was fed byte by byte: what came, with all its facts, and the decoder after each byte."""

    body: bytes
    events: tuple[tuple[ServerSentEvent, bool, int], ...]
    states: tuple[SSEDecoder, ...]  # before each byte, and after the last
    counts: tuple[int, ...]  # of events, likewise


def facts(decoder: SSEDecoder, chunk: bytes) -> list[tuple[ServerSentEvent, bool, int]]:
    """Feed a chunk; return the events with what is not compared in them, and their offsets."""
    offsets: list[int] = []
    events = decoder.feed(chunk, offsets)
    return [(event, event.lossy, offset) for event, offset in zip(events, offsets, strict=True)]


def dripped(before: Fed, token: bytes) -> Fed:
    """Return the stream with one more token, and hold its events to the literal reading after each byte."""
    body, events, states, counts = before.body, before.events, list(before.states), list(before.counts)
    for number in range(len(token)):
        body += token[number : number + 1]
        decoder = states[-1].copy()
        events += tuple(facts(decoder, body[-1:]))
        assert literal_sse.read(body) == triples(event for event, _, _ in events), body
        states.append(decoder)
        counts.append(len(events))
    return Fed(body, events, tuple(states), tuple(counts))


def streams(tokens: Sequence[bytes], length: int, before: Fed) -> Iterator[Fed]:
    """Yield `before` with all sequences of up to so many tokens after it."""
    for token in tokens:
        now = dripped(before, token)
        yield now
        if length > 1:
            yield from streams(tokens, length - 1, now)


def check(fed: Fed) -> None:
    """Hold every delivery of two chunks, the first of which may be empty, to the byte by byte one."""
    last = pickle.dumps(fed.states[-1], 5)
    for cut in range(len(fed.body) - 1):
        decoder = fed.states[cut].copy()
        assert list(fed.events[fed.counts[cut] :]) == facts(decoder, fed.body[cut:]), (fed.body, cut)
        assert last == pickle.dumps(decoder, 5), (fed.body, cut)


EMPTY = Fed(b"", (), (SSEDecoder(),), (0,))


@pytest.mark.parametrize(
    ("tokens", "length"), [((*WORDS, *BYTES), 3), (WORDS[:10], 4), ((b"data: ", *WORDS[7:10], *BYTES), 5)]
)
def test_all_short_sequences_of_parts_of_lines_are_decoded_to_the_standard_in_every_delivery(
    tokens: tuple[bytes, ...], length: int
) -> None:
    count = 0
    for fed in streams(tokens, length, EMPTY):
        check(fed)
        count += 1
    assert sum(len(tokens) ** size for size in range(1, length + 1)) == count


@pytest.mark.parametrize("long", [sse._LONG, 11])
def test_all_short_sequences_of_blocks_are_decoded_to_the_standard_in_every_delivery(
    monkeypatch: pytest.MonkeyPatch, long: int
) -> None:
    monkeypatch.setattr(sse, "_SHORT", 0)  # short chunks too are searched for blocks that look alike
    monkeypatch.setattr(sse, "_LONG", long)
    for fed in streams(BLOCKS, 3, EMPTY):
        check(fed)


@pytest.mark.parametrize("block", BLOCKS[:7])
def test_blocks_of_one_kind_with_another_among_them_are_decoded_to_the_standard(
    monkeypatch: pytest.MonkeyPatch, block: bytes
) -> None:
    monkeypatch.setattr(sse, "_SHORT", 0)
    run = dripped(dripped(EMPTY, block), block)
    for odd in BLOCKS:
        for fed in streams(BLOCKS[:7], 1, dripped(dripped(run, odd), block)):
            check(fed)
