"""SSEDecoder against the standard's rules, its own promises, and a literal reading of the standard."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from skhelpers import literal_sse
from skhelpers.delivery import always, drip

from streamkit.errors import UsageError
from streamkit.wire.sse import BOM, Diagnostic, SSEDecoder, decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skhelpers.literal_sse import LiteralEvent
from skhelpers.sse_decoding import CUTS, SOUP, pieces, triples


class Seen(NamedTuple):
    """Everything that a caller can see of a decoder that was given a whole stream."""

    events: list[LiteralEvent]
    retries: list[int | None]
    lossy: list[bool]
    last_event_id: str
    retry: int | None
    discarded: int
    diagnostics: list[Diagnostic]


def see(chunks: Iterable[bytes]) -> Seen:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    assert [] == decoder.close()
    retries, lossy = [event.retry for event in events], [event.lossy for event in events]
    state = (decoder.last_event_id, decoder.retry, decoder.discarded, decoder.diagnostics)
    return Seen(triples(events), retries, lossy, *state)


def seen(body: bytes) -> Seen:
    """What is seen of `body` in every delivery, its events held to the literal reading of the standard."""
    result = always(body, see)
    assert literal_sse.read(body) == result.events
    return result


def data(body: bytes) -> list[str]:
    return [event[1] for event in seen(body).events]


# -- lines and data


RULES: dict[str, tuple[bytes, list[str]]] = {
    "an LF after a CR is no line end of its own": (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
    "CR LF after a line is one line end, also where two were meant": (b"data: a\r\n", []),
    "LF CR is two line ends": (b"data: a\n\r", ["a"]),
    "CR CR LF is a line end and a blank line": (b"data: a\r\r\n", ["a"]),
    "blank lines without fields dispatch nothing": (b"\n\r\n\r\rdata: a\n\n\n\ndata: b\n\n", ["a", "b"]),
    "a byte order mark at the start is dropped": (BOM + b"data: a\n\n", ["a"]),
    "only one byte order mark is dropped": (BOM + BOM + b"data: a\ndata: b\n\n", ["b"]),
    "a later byte order mark belongs to the field name": (b"data: a\n\n" + BOM + b"data: b\n\ndata: c\n\n", ["a", "c"]),
    "a byte order mark inside data is kept": (b"data: " + BOM + b"a\n\n", ["\ufeffa"]),
    "the first byte of a byte order mark is not enough": (b"\xefdata: a\ndata: b\n\n", ["b"]),
    "two bytes of a byte order mark are not enough": (b"\xef\xbbdata: a\ndata: b\n\n", ["b"]),
    "bytes like a byte order mark stay": (b"\xef\xbb\xbedata: a\ndata: b\n\n", ["b"]),
    "comments are ignored": (b":\n: ping\ndata: a\n:data: no\ndata: b\n\n: ping\n\n", ["a\nb"]),
    "data lines are joined with LF": (b"data: a\ndata:\ndata: b\ndata\n\n", ["a\n\nb\n"]),
    "a line of just data: dispatches an empty event": (b"data:\n\n", [""]),
    "a line of just data dispatches an empty event": (b"data\n\n", [""]),
    "the space after the colon is stripped": (b"data: a\n\n", ["a"]),
    "the space after the colon may be missing": (b"data:a\n\n", ["a"]),
    "only one leading space is stripped": (b"data:  a\n\ndata:   \n\n", [" a", "  "]),
    "a leading tab is kept": (b"data:\ta\n\n", ["\ta"]),
    "a space at the end is kept": (b"data: a \n\n", ["a "]),
    "a value keeps its colons and NULs": (b"data:: a:\0b\n\n", [": a:\0b"]),
    "a character may be split": ("data: é€🌍\n\n".encode(), ["é€🌍"]),
}


@pytest.mark.parametrize(("body", "expected"), RULES.values(), ids=RULES)
def test_data_of_the_events_follows_the_rule(body: bytes, expected: list[str]) -> None:
    assert expected == data(body)


@pytest.mark.parametrize("pair", ["\n \n", "\r \r", "\r\n \r\n", "\n \r", "\n \r\n", "\r \r\n", "\r\n \r", "\r\n \n"])
def test_lf_cr_and_crlf_end_lines_in_any_mixture(pair: str) -> None:
    end, blank = pair.split(" ")
    assert ["a\nb", "c"] == data(f"data: a{end}data: b{end}{blank}data: c{end}{blank}".encode())


@pytest.mark.parametrize("character", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(character: str) -> None:
    text = f"a{character}{character}data: b"
    assert [text] == data(f"data: {text}\n\n".encode())


@pytest.mark.parametrize("name", [b"foo", b"Data", b" data", b"data ", b"\0data", b"datax", b"dat", b"d\xe4ta"])
def test_unknown_fields_are_ignored(name: bytes) -> None:
    assert ["a"] == data(name + b": x\ndata: a\n" + name + b"\n\n")


# -- event, id, retry


FIELDS: dict[str, tuple[bytes, list[LiteralEvent]]] = {
    "event names its own block only": (b"event: x\ndata\n\ndata\n\n", [("x", "", ""), ("message", "", "")]),
    "the last event of a block wins": (b"event:x\nevent:y\ndata\n\n", [("y", "", "")]),
    "the last event of a block wins though it is empty": (b"event:x\nevent\ndata\n\n", [("message", "", "")]),
    "a block without data is lost with its event": (b"event: x\n\ndata\n\n", [("message", "", "")]),
    "id stays": (b"data\n\nid: 1\ndata\n\ndata\n\n", [("message", "", value) for value in ("", "1", "1")]),
    "id is set by a block without data": (b"id: 1\n\ndata\n\n", [("message", "", "1")]),
    "id without value resets": (b"id: 1\ndata\n\nid\ndata\n\n", [("message", "", "1"), ("message", "", "")]),
    "id with an empty value resets": (b"id: 1\n\nid:\ndata\n\nid: 1\n\nid: \ndata\n\n", [("message", "", "")] * 2),
    "id with a NUL is ignored": (b"id: 1\nid: 2\x003\ndata: a\n\n", [("message", "a", "1")]),
}


@pytest.mark.parametrize(("body", "expected"), FIELDS.values(), ids=FIELDS)
def test_event_type_and_id_follow_the_rule(body: bytes, expected: list[LiteralEvent]) -> None:
    assert expected == seen(body).events


def test_retry_is_told_by_its_own_event_and_the_last_retry_and_id_by_the_decoder() -> None:
    result = seen(b"retry: 10\nid: 1\ndata\n\ndata\n\nretry: 0020\n\ndata\n\nid: 2\n")
    assert ([10, None, None], 20, "2") == (result.retries, result.retry, result.last_event_id)


@pytest.mark.parametrize("value", [b"", b"1x", b"-1", b"+1", b"1.5", b" 1", b"1 ", b"1_0", "1\u0661".encode()])
def test_retry_of_anything_but_ascii_digits_is_ignored(value: bytes) -> None:
    result = seen(b"retry: 7\nretry: " + value + b"\ndata: a\n\n")
    assert ([7], 7) == (result.retries, result.retry)


def test_retry_too_long_for_an_integer_is_ignored() -> None:
    assert see([b"retry: " + b"9" * 5000 + b"\n\n"]).retry is None


# -- the end of the stream


RESTS = {b"": 0, b"\n": 0, b"data: b": 7, b"data: b\n": 8, b"data: b\r": 8, b": c\nid: 1": 9, b": c\n\n": 0}
ENDINGS = [(b"data: a\n\n" + rest, size) for rest, size in RESTS.items()]


@pytest.mark.parametrize(("body", "size"), [*ENDINGS, (b"", 0), (BOM[:1], 1), (BOM[:2], 2), (BOM, 0)])
def test_unfinished_block_is_discarded_at_close(body: bytes, size: int) -> None:
    assert size == seen(body).discarded


def test_close_may_be_called_again_and_feed_may_not() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data: a\n")
    assert ([], [], 8) == (decoder.close(), decoder.close(), decoder.discarded)
    with pytest.raises(UsageError, match=r"feed\(\) after close\(\)"):
        decoder.feed(b"\n")


# -- bytes


NOT_UTF8 = [
    (b"\xff", "\ufffd"),
    (b"a\xf0\x9f\x8c", "a\ufffd"),  # cut off by the line end: one maximal part, one character
    (b"\xc0\xaf", "\ufffd\ufffd"),
    (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),  # a surrogate
    (b"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),  # above U+10FFFF
    (b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA", "\ufffd\ufffd\ufffd\ufffdA"),
]


@pytest.mark.parametrize(("raw", "text"), NOT_UTF8)
def test_bytes_that_are_not_utf8_become_u_fffd_and_the_event_says_lossy(raw: bytes, text: str) -> None:
    result = seen(b"data: " + raw + b"\ndata: b\n\ndata: c\n\n")
    assert ([f"{text}\nb", "c"], [True, False]) == ([event[1] for event in result.events], result.lossy)


def test_only_data_that_is_not_utf8_is_lossy() -> None:
    result = seen(b"event: \xff\nid: \xfe\ndata: " + "\ufffd".encode() + b"\n\n")
    assert ([("\ufffd", "\ufffd", "\ufffd")], [False]) == (result.events, result.lossy)


def test_bytes_bytearray_memoryview_and_array_are_taken() -> None:
    body = b"data: a\n\n"
    spread = memoryview(b"".join(bytes([byte, 0]) for byte in body))[::2]
    for same in (body, bytearray(body), memoryview(body), spread, array("B", body)):
        assert ["a"] == [event.data for event in SSEDecoder().feed(same)] == [event.data for event in decode(same)]


def test_caller_may_reuse_the_buffer_that_it_fed() -> None:
    decoder, buffer = SSEDecoder(), bytearray(b"data: a")
    decoder.feed(buffer)
    buffer[:] = b"\n\nxxxxx"
    assert ["a"] == [event.data for event in decoder.feed(b"\n\n")]


@pytest.mark.parametrize("wrong", ["data: a\n\n", 5, None, [100]])
def test_anything_else_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    for call in (SSEDecoder().feed, decode):
        with pytest.raises(TypeError, match=f"bytes, bytearray or memoryview, not {type(wrong).__name__}"):
            call(wrong)


def test_empty_chunks_change_nothing() -> None:
    body = BOM + "id: 1\r\ndata: é\r\n\r\nretry: 5\rdata: b\r\rda".encode()
    for chunks in ([body], drip(body)):
        assert see([body]) == see([b"", *(part for chunk in chunks for part in (chunk, b"", b""))])


# -- an event is handed out by the very feed that completes its blank line


STREAMS = [
    b"data: a\n\ndata: b\n\n: c\n\ndata\n\n",
    b"data: a\r\rdata: b\r\r\r",
    b"data: a\r\n\r\nevent: x\r\ndata: b\r\n\r\n\r\n",
    BOM + "id: 1\rdata: é🌍\n\rdata: b\r\r\ndata: c\r\n\rdata: d\n\r\n".encode(),
    b"event: x\n\ndata: \xf0\x9f\n\nretry: 1\n\ndata:\n\n",
]


@pytest.mark.parametrize("body", STREAMS)
def test_event_is_handed_out_with_the_byte_that_completes_its_blank_line(body: bytes) -> None:
    decoder = SSEDecoder()
    handed: list[LiteralEvent] = []
    for size, byte in enumerate(drip(body), start=1):
        handed += triples(decoder.feed(byte))
        assert literal_sse.read(body[:size]) == handed == triples(SSEDecoder().feed(body[:size]))


def test_cr_completes_a_blank_line_without_waiting_for_an_lf() -> None:
    feed = SSEDecoder().feed
    chunks = (b"data: a\r\n", b"\r", b"\n", b"data: b\r", b"\r")
    assert [[], ["a"], [], [], ["b"]] == [[event.data for event in feed(chunk)] for chunk in chunks]


# -- byte soup


@settings(deadline=None, max_examples=600)
@given(SOUP, CUTS)
@example(b"data\r\n\r\ndata\n\r", [5, 7, 13])
@example(BOM + BOM + b"data\ndata\n\n", [1, 2, 3, 4])
def test_byte_soup_gives_what_a_literal_reading_gives_after_every_chunk(body: bytes, cuts: list[int]) -> None:
    """Invariant: after any chunk, the events handed out are those of the standard for the bytes so far.

    And nothing else that a caller can see depends on the chunks.
    """
    decoder = SSEDecoder()
    handed: list[LiteralEvent] = []
    chunks = pieces(body, cuts)
    for chunk, so_far in zip(chunks, accumulate(chunks), strict=True):
        handed += triples(decoder.feed(chunk))
        assert literal_sse.read(so_far) == handed
    assert literal_sse.read(body) == handed == triples(decode(body))
    assert see([body]) == see(chunks) == see(drip(body))


# -- diagnostics


def test_diagnostics_name_kind_line_and_detail() -> None:
    body = BOM + b"foo: 1\nretry: x\nid: \0\rdata: \xff\r\n\r\nevent: e\n\nevent: \xfe\ndata: a\n\ndata"
    expected = [
        Diagnostic("bom", 1),
        Diagnostic("unknown-field", 1, "'foo'"),
        Diagnostic("bad-retry", 2, "'x'"),
        Diagnostic("nul-in-id", 3),
        Diagnostic("not-utf8", 4, r"'\xff'"),
        Diagnostic("empty-block", 7, "'e'"),
        Diagnostic("not-utf8", 8, r"'\xfe'"),
        Diagnostic("unterminated", 11, "4 bytes"),
    ]
    assert expected == seen(body).diagnostics


@pytest.mark.parametrize("body", [b"", b": c\n\n\n", b"event: x\nid: 1\nretry: 2\ndata\n\n", b"id: 1\n\n"])
def test_stream_without_oddities_has_no_diagnostics(body: bytes) -> None:
    assert [] == seen(body).diagnostics


def test_diagnostics_are_shortened_and_beyond_a_thousand_only_counted() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"x" * 50 + b"\n" + b"foo\n" * 1002)
    decoder.close()
    long = [Diagnostic("unknown-field", 1, f"'{'x' * 40}'")]
    assert long + [Diagnostic("unknown-field", line, "'foo'") for line in range(2, 1001)] == decoder.diagnostics
    assert 4 == decoder.diagnostics_dropped  # three lines and the unterminated block
