"""The AWS event stream decoder and encoder: by hand-written bytes, by every cut, and beside botocore's own parser."""

from __future__ import annotations

import copy
import pickle
import struct
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.delivery import always

from streamkit.errors import DialectError, LimitError, MessageError, PayloadError, UsageError
from streamkit.wire.eventstream import (
    MAX_HEADERS,
    MAX_PAYLOAD,
    EventStreamDecoder,
    Header,
    HeaderType,
    Message,
    decode,
    encode,
    split,
)

# Written out by hand from the encoding's description: no headers and no payload; then one header and a payload.
EMPTY = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
HELLO = Message((Header(":event-type", "chunk"),), b"hello")

ALL_TYPES = (
    Header("t", True, HeaderType.TRUE),
    Header("f", False, HeaderType.FALSE),
    Header("byte", -128, HeaderType.BYTE),
    Header("short", -2, HeaderType.SHORT),
    Header("integer", 2**31 - 1, HeaderType.INTEGER),
    Header("long", -(2**63), HeaderType.LONG),
    Header("bytes", b"\x00\xff", HeaderType.BYTES),
    Header("string", "Grüße 🌤", HeaderType.STRING),
    Header("time", 1_700_000_000_000, HeaderType.TIMESTAMP),
    Header("uuid", bytes(range(16)), HeaderType.UUID),
)


def framed(headers: bytes, payload: bytes = b"", *, length: int | None = None, block: int | None = None) -> bytes:
    """Return a message of raw headers, its checksums right; its lengths too, where none are given."""
    size = 16 + len(headers) + len(payload) if length is None else length
    lengths = struct.pack("!II", size, len(headers) if block is None else block)
    start = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return start + struct.pack("!I", crc32(start))


def taken(chunks: Iterable[bytes]) -> list[Message]:
    decoder = EventStreamDecoder()
    messages = [message for chunk in chunks for message in decoder.feed(chunk)]
    decoder.close()
    return messages


def outcome(chunks: Iterable[bytes]) -> tuple[list[Message], int, str | None]:
    """Return what a decoder gives: messages, bytes left over, and the reason of its error."""
    decoder = EventStreamDecoder()
    messages: list[Message] = []
    try:
        for chunk in chunks:
            messages += decoder.feed(chunk)
        decoder.close()
    except MessageError as error:
        return messages, 0, str(error)
    return messages, decoder.discarded, None


# Messages


def test_a_message_without_anything_is_sixteen_bytes() -> None:
    assert [Message()] == always(EMPTY, taken)
    assert EMPTY == encode(Message())


def test_a_message_is_read_as_it_is_written_by_hand() -> None:
    headers = b"\x0b:event-type\x07\x00\x05chunk"
    assert [HELLO] == always(framed(headers, b"hello"), taken, scan=0)
    assert framed(headers, b"hello") == encode(HELLO)


def test_all_ten_types_of_header_values_are_read_however_they_are_cut() -> None:
    message = Message(ALL_TYPES, b"{}")
    assert [message, HELLO] == always(encode(message) + encode(HELLO), taken, scan=0)


def test_a_header_is_found_by_its_name_if_it_is_a_text() -> None:
    message = Message(ALL_TYPES)
    assert ["Grüße 🌤", None, None] == [message.text(name) for name in ("string", "byte", "missing")]


def test_a_message_is_handed_out_with_its_last_byte() -> None:
    body = encode(HELLO) * 2
    size = len(body) // 2
    decoder = EventStreamDecoder()
    counts = [len(decoder.feed(body[n : n + 1])) for n in range(len(body))]
    assert [size - 1, len(body) - 1] == [n for n, count in enumerate(counts) if count]


def test_any_bytes_like_object_is_taken_and_nothing_else() -> None:
    assert [HELLO] == EventStreamDecoder().feed(memoryview(bytearray(encode(HELLO))))
    with pytest.raises(TypeError, match=r"EventStreamDecoder\.feed\(\)"):
        EventStreamDecoder().feed("text")  # type: ignore[arg-type]


def test_a_decoder_can_be_copied_in_the_middle_of_a_message() -> None:
    body = encode(HELLO) + encode(Message(ALL_TYPES))
    for at in range(len(body)):
        one = EventStreamDecoder()
        before = one.feed(body[:at])
        two = copy.deepcopy(one)
        assert [HELLO, Message(ALL_TYPES)] == before + one.feed(body[at:])
        assert [HELLO, Message(ALL_TYPES)] == before + two.feed(body[at:])


# The end


def test_an_unfinished_message_is_counted() -> None:
    body = encode(HELLO)
    for at in range(len(body)):
        assert ([HELLO], at, None) == outcome([body + body[:at]])


def test_a_closed_decoder_takes_nothing_more() -> None:
    decoder = EventStreamDecoder()
    assert [] == decoder.close() == decoder.close()
    with pytest.raises(UsageError, match="make a new EventStreamDecoder"):
        decoder.feed(b"")


# Faults


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (EMPTY[:11] + b"\x00" + EMPTY[12:], "the checksum of its prelude is wrong"),
        (EMPTY[:15] + b"\x00", "its checksum is wrong"),
        (b'{"message":"no event stream at all"}', "the checksum of its prelude is wrong"),
        (framed(b"", length=15), "15 bytes in all cannot hold 0 bytes of headers"),
        (framed(b"", length=0), "0 bytes in all cannot hold 0 bytes of headers"),
        (framed(b"", block=1), "16 bytes in all cannot hold 1 bytes of headers"),
        (framed(b"", length=MAX_HEADERS + 17, block=MAX_HEADERS + 1), "131073 bytes of headers are more than the"),
        (framed(b"", length=MAX_PAYLOAD + 17), "25165825 bytes of payload are more than the"),
        (framed(b"\x05a"), "a header is cut off"),
        (framed(b"\x01a"), "a header is cut off"),
        (framed(b"\x01a\x07\x00\x05ab"), "a header is cut off"),
        (framed(b"\x01a\x05\x00"), "a header is cut off"),
        (framed(b"\x01a\x09short"), "a header is cut off"),
        (framed(b"\x01\xff\x00"), "a header is not UTF-8"),
        (framed(b"\x01a\x07\x00\x01\xff"), "a header is not UTF-8"),
        (framed(b"\x01a\x0a"), "header 'a' has the unknown type 10"),
        (framed(b"\x01a\x00\x01a\x01"), "it has two headers named 'a'"),
    ],
)
def test_what_is_no_message_is_refused_with_its_reason_however_it_is_cut(body: bytes, reason: str) -> None:
    messages, _, said = always(encode(HELLO) + body, outcome, scan=0)
    assert [HELLO] == messages
    assert said is not None
    assert said.startswith(f"the message at byte {len(encode(HELLO))} is broken: {reason}")


def test_messages_before_a_broken_one_come_first_and_the_error_stays() -> None:
    decoder = EventStreamDecoder()
    assert [HELLO] == decoder.feed(encode(HELLO) + bytes(16))
    assert isinstance(decoder.error, MessageError)
    assert (len(encode(HELLO)), "the checksum of its prelude is wrong") == (decoder.error.offset, decoder.error.reason)
    for _ in range(2):
        with pytest.raises(MessageError):
            decoder.feed(encode(HELLO))
        with pytest.raises(MessageError):
            decoder.close()


def test_the_error_is_one_of_a_payload_and_passes_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MessageError(7, "its checksum is wrong")))  # noqa: S301 - our own bytes
    assert (7, "its checksum is wrong") == (error.offset, error.reason)
    assert isinstance(error, PayloadError)
    assert isinstance(error, DialectError)


def test_a_prelude_is_checked_before_the_message_is_there() -> None:
    decoder = EventStreamDecoder()
    assert [] == decoder.feed(b"HTTP/1.1 40")
    with pytest.raises(MessageError, match="prelude"):
        decoder.feed(b"0")


def test_every_single_bit_that_is_wrong_is_noticed() -> None:
    body = encode(Message(ALL_TYPES, b"payload"))
    for bit in range(len(body) * 8):
        damaged = bytearray(body)
        damaged[bit // 8] ^= 1 << bit % 8
        messages, _, error = outcome([bytes(damaged)])
        assert ([], True) == (messages, error is not None), bit


def test_a_limit_is_kept_whatever_the_chunks() -> None:
    small, large = encode(Message()), encode(Message((), b"x" * 100))
    assert [Message()] == EventStreamDecoder(max_message_bytes=16).feed(small)
    for size in (1, 5, 200):
        decoder = EventStreamDecoder(max_message_bytes=115)
        body = small + large
        seen: list[Message] = []
        for at in range(0, len(body), size):
            if decoder.error is None:
                with suppress(LimitError):
                    seen += decoder.feed(body[at : at + size])
        with pytest.raises(LimitError) as caught:
            decoder.close()
        assert ([Message()], 115) == (seen, caught.value.limit)
    with pytest.raises(UsageError, match="at least 16"):
        EventStreamDecoder(max_message_bytes=15)


# Encoding


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message((Header("a", "1"), Header("a", "2"))), "two headers are named 'a'"),
        (Message((Header("a" * 256, "1"),)), "at most 255"),
        (Message((Header("a", "b" * 65536),)), "at most 65535"),
        (Message((Header("a", 128, HeaderType.BYTE),)), "which no BYTE can be"),
        (Message((Header("a", True, HeaderType.SHORT),)), "is of type SHORT"),
        (Message((Header("a", 1, HeaderType.TRUE),)), "is of type TRUE"),
        (Message((Header("a", b"1", HeaderType.UUID),)), "is of type UUID"),
        (Message((Header("a", b"1"),)), "is of type STRING"),
        (Message((Header("a", "\ud800"),)), "half a surrogate pair"),
        (Message(tuple(Header(str(n), "b" * 65000) for n in range(3))), "at most 131072 bytes of headers"),
        (Message((), bytes(MAX_PAYLOAD + 1)), "25165824 of payload"),
    ],
)
def test_what_the_format_cannot_carry_is_not_written(message: Message, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        encode(message)


def test_a_body_is_split_into_its_messages_and_the_rest() -> None:
    one, two = encode(HELLO), encode(Message(ALL_TYPES))
    assert ([one, two], b"") == split(one + two)
    assert ([one], two[:-1]) == split(one + two[:-1])
    assert ([one], two[:-1] + b"\0" + one) == split(one + two[:-1] + b"\0" + one)
    assert ([], b"") == split(b"")
    assert ([], b"data: {}\n\n" * 3) == split(b"data: {}\n\n" * 3)


# Any message


def _values() -> st.SearchStrategy[tuple[bool | int | bytes | str, HeaderType]]:
    def whole(bits: int, kind: HeaderType) -> st.SearchStrategy[tuple[int, HeaderType]]:
        return st.tuples(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), st.just(kind))

    return st.one_of(
        st.tuples(st.text(max_size=30), st.just(HeaderType.STRING)),
        st.sampled_from([(True, HeaderType.TRUE), (False, HeaderType.FALSE)]),
        whole(8, HeaderType.BYTE),
        whole(16, HeaderType.SHORT),
        whole(32, HeaderType.INTEGER),
        whole(64, HeaderType.LONG),
        whole(64, HeaderType.TIMESTAMP),
        st.tuples(st.binary(max_size=30), st.just(HeaderType.BYTES)),
        st.tuples(st.binary(min_size=16, max_size=16), st.just(HeaderType.UUID)),
    )


headers = st.lists(
    st.tuples(st.text(max_size=20), _values()).map(lambda drawn: Header(drawn[0], *drawn[1])),
    max_size=5,
    unique_by=lambda header: header.name,
).map(tuple)
messages_of_any_kind = st.builds(Message, headers, st.binary(max_size=80))


@given(st.lists(messages_of_any_kind, max_size=4), st.lists(st.integers(0, 600)))
def test_what_is_written_is_read_again_for_every_message_and_cut(messages: list[Message], cuts: list[int]) -> None:
    """Invariant: decode(encode(m)) == m, whatever the chunks."""
    body = b"".join(map(encode, messages))
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    assert messages == taken(body[a:b] for a, b in pairwise(edges))
    assert ([encode(message) for message in messages], b"") == split(body)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_are_an_untyped_error(body: bytes) -> None:
    messages, left, error = outcome([body])
    read = b"".join(map(encode, messages))  # a message may be drawn: Hypothesis tries the constants of this module
    assert body.startswith(read)
    assert left == (len(body) - len(read) if error is None else 0)


# botocore


def theirs(chunks: Iterable[bytes]) -> tuple[list[tuple[dict[str, Any], bytes]], str | None]:
    """Return what botocore's parser makes of a stream: headers and payload of each message, and its exception."""
    parser = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    found: list[tuple[dict[str, Any], bytes]] = []
    try:
        for chunk in chunks:
            parser.add_data(chunk)
            found.extend((message.headers, message.payload) for message in parser)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take the stream
        return found, type(error).__name__
    return found, None


def plain(messages: list[Message]) -> list[tuple[dict[str, Any], bytes]]:
    return [({header.name: header.value for header in one.headers}, one.payload) for one in messages]


@given(st.lists(messages_of_any_kind, max_size=3))
def test_botocore_reads_every_message_as_we_do(messages: list[Message]) -> None:
    assert (plain(messages), None) == theirs([b"".join(map(encode, messages))])


@given(messages_of_any_kind, st.data())
def test_botocore_refuses_the_same_damaged_messages(message: Message, data: st.DataObject) -> None:
    """Invariant: after one wrong byte, both take the same messages, and both raise."""
    body = bytearray(encode(HELLO) + encode(message) + encode(HELLO))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    ours, _, error = outcome([bytes(body)])
    found, exception = theirs([bytes(body)])
    assert (plain(ours), error is None) == (found, exception is None)
    assert error is not None


# What botocore lets pass, or fails on with an exception of no type of its own, though the checksums are right.
DISAGREEMENTS = [
    ("a text shorter than it says", b"\x01a\x07\x00\x05ab", None),
    ("a UUID that is too short", b"\x01a\x09short", None),
    ("a name shorter than it says", b"\x05a", "error"),
    ("a number that is too short", b"\x01a\x05\x00", "error"),
    ("a type that does not exist", b"\x01a\x0a", "KeyError"),
    ("a text that is not UTF-8", b"\x01a\x07\x00\x01\xff", "UnicodeDecodeError"),
]


@pytest.mark.parametrize(("what", "headers", "exception"), DISAGREEMENTS, ids=[row[0] for row in DISAGREEMENTS])
def test_headers_that_break_the_encoding_are_refused_where_botocore_is_lax(
    what: str, headers: bytes, exception: str | None
) -> None:
    assert exception == theirs([framed(headers)])[1]
    with pytest.raises(MessageError):
        decode(framed(headers))


@needs_corpus
def test_botocore_reads_every_recording_as_we_do() -> None:
    bodies = recordings(".eventstream")
    assert 68 == len(bodies)
    for recording in bodies:
        messages, left, error = outcome([recording.body])
        assert (0, None) == (left, error), recording.name
        assert (plain(messages), None) == theirs([recording.body]), recording.name
        assert recording.body == b"".join(map(encode, messages)), recording.name


@needs_corpus
def test_no_recording_depends_on_its_chunks() -> None:
    for recording in recordings(".eventstream"):
        body = recording.body
        assert taken([body]) == taken(body[at : at + 7] for at in range(0, len(body), 7)), recording.name
        for raw in split(body)[0][:6]:  # between messages a decoder knows nothing of those before
            expected = decode(raw)
            for at in range(1, len(raw)):
                assert expected == taken([raw[:at], raw[at:]]), recording.name
