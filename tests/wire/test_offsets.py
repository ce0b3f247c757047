"""Each decoder can say where in the stream an event begins, and how far it came, whatever the chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from skhelpers.delivery import always

from streamkit.wire.eventstream import EventStreamDecoder, Message, encode
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.ndjson import NDJSONDecoder
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BOM = b"\xef\xbb\xbf"
FRAME = encode(Message(payload=b"{}"))


def places(make: Callable[[], Any], chunks: Iterable[bytes]) -> tuple[list[int], int]:
    """Return where each event begins, and how many bytes the decoder says it took."""
    decoder = make()
    offsets: list[int] = []
    events = [event for chunk in chunks for event in decoder.feed(chunk, offsets)]
    assert len(events) == len(offsets)
    return offsets, decoder.position


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([b"data: a\n\n", b"data: b\n\n", b"data: c"], [0, 1]),
        ([b"data: a\r\n\r\n", b": hi\r\n\r\n", b"event: x\r\ndata: b\r\n\r\n"], [0, 2]),
        ([BOM, b"data: a\r\r", b"\r", b"id: 1\r\r", b"data: b\r\n\n", b"data: c\n\r\n"], [1, 4, 5]),
        ([BOM[:2]], []),
        ([b"\n\n\r\n", b"data\n\n", b"\r"], [1]),
    ],
)
def test_an_event_begins_where_its_block_does(parts: list[bytes], found: list[int]) -> None:
    body = b"".join(parts)
    starts = [sum(map(len, parts[:number])) for number in found]
    assert (starts, len(body)) == always(body, lambda chunks: places(SSEDecoder, chunks))


def test_a_line_of_json_begins_after_the_line_end_before_it() -> None:
    parts = [b'{"a":1}\n', b"\r\n", b"\n", b' {"b":2}\r\n', b'{"c']
    body = b"".join(parts)
    assert ([0, 11], len(body)) == always(body, lambda chunks: places(NDJSONDecoder, chunks))


def test_the_last_line_of_json_has_a_place_too() -> None:
    decoder, offsets = NDJSONDecoder(), [0]
    decoder.feed(b"{}\n{}", [])
    assert ([b"{}"], [0, 3], 5) == (decoder.close(offsets), offsets, decoder.position)


@pytest.mark.parametrize("lead", [b"", BOM, b" \n"])
def test_an_element_begins_at_its_first_byte(lead: bytes) -> None:
    body = lead + b'[ {"a":[1]} ,\n"b", 3, [] ]'
    starts = [body.index(start) for start in (b"{", b'"b"', b"3", b"[] ]")]

    def found(chunks: Iterable[bytes]) -> list[int]:
        decoder, offsets = JSONArrayDecoder(), []  # type: ignore[var-annotated]
        for chunk in chunks:
            decoder.feed(chunk, offsets)
        return offsets

    assert starts == always(body, found)


def test_a_message_begins_where_the_one_before_it_ends() -> None:
    body = FRAME * 3 + FRAME[:7]
    size = len(FRAME)
    assert ([0, size, 2 * size], len(body)) == always(body, lambda chunks: places(EventStreamDecoder, chunks), scan=0)
