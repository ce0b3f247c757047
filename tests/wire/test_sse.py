"""SSEDecoder against the standard's rules, its own promises, and a literal reading of the standard."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from types import FrameType
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skhelpers import literal_sse
from skhelpers.delivery import always, drip
from skhelpers.literal_sse import LiteralEvent

from streamkit.errors import LimitError, UsageError
from streamkit.wire.sse import BOM, Diagnostic, ServerSentEvent, SSEDecoder, decode

# -- helpers


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
    return Seen(
        triples(events),
        [event.retry for event in events],
        [event.lossy for event in events],
        decoder.last_event_id,
        decoder.retry,
        decoder.discarded,
        decoder.diagnostics,
    )


def triples(events: Iterable[ServerSentEvent]) -> list[LiteralEvent]:
    return [(event.event, event.data, event.id) for event in events]


def seen(body: bytes) -> Seen:
    """What is seen of `body` in every delivery, its events held to the literal reading of the standard."""
    result = always(body, see)
    assert literal_sse.read(body) == result.events
    return result


def data(body: bytes) -> list[str]:
    return [event[1] for event in seen(body).events]


def kinds(body: bytes) -> list[str]:
    return [diagnostic.kind for diagnostic in seen(body).diagnostics]


# -- lines


@pytest.mark.parametrize("blank", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lf_cr_and_crlf_end_lines_in_any_mixture(end: bytes, blank: bytes) -> None:
    if (end, blank) == (b"\r", b"\n"):
        assert [] == data(b"data: a\r\n")  # CR and LF side by side are one line end
    else:
        assert ["a\nb", "c"] == data(b"data: a" + end + b"data: b" + end + blank + b"data: c" + end + blank)


def test_lf_after_a_cr_is_no_blank_line_of_its_own() -> None:
    assert ["a\nb"] == data(b"data: a\r\ndata: b\r\n\r\n")


def test_lf_cr_is_two_line_ends() -> None:
    assert ["a"] == data(b"data: a\n\r")


def test_cr_cr_lf_is_a_line_end_and_a_blank_line() -> None:
    assert ["a"] == data(b"data: a\r\r\n")


@pytest.mark.parametrize("character", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(character: str) -> None:
    text = f"a{character}{character}data: b"
    assert [text] == data(f"data: {text}\n\n".encode())


def test_blank_lines_without_fields_dispatch_nothing() -> None:
    assert ["a", "b"] == data(b"\n\r\n\r\rdata: a\n\n\n\ndata: b\n\n")


# -- byte order mark


def test_byte_order_mark_at_the_start_is_dropped() -> None:
    assert ["a"] == data(BOM + b"data: a\n\n")


def test_only_one_byte_order_mark_is_dropped() -> None:
    assert ["b"] == data(BOM + BOM + b"data: a\ndata: b\n\n")


def test_byte_order_mark_after_the_start_belongs_to_the_field_name() -> None:
    assert ["a", "c"] == data(b"data: a\n\n" + BOM + b"data: b\n\ndata: c\n\n")


def test_byte_order_mark_inside_data_is_kept() -> None:
    assert ["\ufeffa"] == data(b"data: " + BOM + b"a\n\n")


@pytest.mark.parametrize("start", [b"\xef", b"\xef\xbb", b"\xef\xbb\xbe", b"\xbb\xbf"])
def test_bytes_that_are_only_like_a_byte_order_mark_stay(start: bytes) -> None:
    assert ["b"] == data(start + b"data: a\ndata: b\n\n")
    assert [] == data(start)


def test_stream_of_nothing_but_a_byte_order_mark_ends_clean() -> None:
    assert 0 == seen(BOM).discarded


# -- fields


def test_comments_are_ignored() -> None:
    assert ["a\nb"] == data(b":\n: ping\ndata: a\n:data: no\ndata: b\n\n: ping\n\n")


def test_data_lines_are_joined_with_lf() -> None:
    assert ["a\n\nb\n"] == data(b"data: a\ndata:\ndata: b\ndata\n\n")


@pytest.mark.parametrize("line", [b"data", b"data:", b"data: "])
def test_empty_data_line_dispatches_an_empty_event(line: bytes) -> None:
    assert [("message", "", "")] == seen(line + b"\n\n").events


@pytest.mark.parametrize(
    ("line", "value"),
    [(b"data:a", "a"), (b"data: a", "a"), (b"data:  a", " a"), (b"data:\ta", "\ta"), (b"data: a ", "a ")],
)
def test_only_one_leading_space_is_stripped(line: bytes, value: str) -> None:
    assert [value] == data(line + b"\n\n")


def test_value_keeps_its_colons_and_nuls() -> None:
    assert [": a:\0b"] == data(b"data:: a:\0b\n\n")


def test_event_names_the_type_of_its_own_block_only() -> None:
    assert [("x", "a", ""), ("message", "b", "")] == seen(b"event: x\ndata: a\n\ndata: b\n\n").events


def test_last_event_field_of_a_block_wins_even_when_empty() -> None:
    assert ["y", "message"] == [event[0] for event in seen(b"event:x\nevent:y\ndata\n\nevent:x\nevent\ndata\n\n").events]


def test_block_without_data_is_not_dispatched_and_its_type_is_forgotten() -> None:
    assert [("message", "a", "")] == seen(b"event: x\n\ndata: a\n\n").events


def test_id_stays_until_another_id_comes() -> None:
    body = b"data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid: 2\n\ndata: d\n\n"
    assert [("message", "a", ""), ("message", "b", "1"), ("message", "c", "1"), ("message", "d", "2")] == seen(body).events
    assert "2" == seen(body).last_event_id


@pytest.mark.parametrize("line", [b"id", b"id:", b"id: "])
def test_empty_id_resets_the_last_event_id(line: bytes) -> None:
    assert ["1", ""] == [event[2] for event in seen(b"id: 1\ndata: a\n\n" + line + b"\ndata: b\n\n").events]


def test_id_with_a_nul_is_ignored() -> None:
    assert [("message", "a", "1")] == seen(b"id: 1\nid: 2\x003\ndata: a\n\n").events


def test_retry_is_told_by_its_own_event_and_kept_by_the_decoder() -> None:
    result = seen(b"retry: 10\ndata: a\n\ndata: b\n\nretry: 0020\n\ndata: c\n\n")
    assert [10, None, None] == result.retries
    assert 20 == result.retry


@pytest.mark.parametrize("value", [b"", b"1x", b"-1", b"+1", b"1.5", b" 1", b"1 ", b"1_0", "١".encode(), b"\xff"])
def test_retry_of_anything_but_ascii_digits_is_ignored(value: bytes) -> None:
    result = seen(b"retry: 7\nretry: " + value + b"\ndata: a\n\n")
    assert ([7], 7) == (result.retries, result.retry)


def test_retry_too_long_for_an_integer_is_ignored() -> None:
    assert None is see([b"retry: " + b"9" * 5000 + b"\ndata: a\n\n"]).retry


@pytest.mark.parametrize("line", [b"foo: x", b"foo", b"Data: x", b" data: x", b"data : x", b"\0data: x", b"datax", b"dat"])
def test_unknown_fields_are_ignored(line: bytes) -> None:
    assert ["a"] == data(line + b"\ndata: a\n" + line + b"\n\n")


# -- the end of the stream


@pytest.mark.parametrize(
    ("rest", "size"),
    [(b"", 0), (b"\n", 0), (b"data: b", 7), (b"data: b\n", 8), (b"data: b\r", 8), (b": c\nid: 1", 9), (b": c\n\n", 0)],
)
def test_unfinished_block_is_discarded_at_close(rest: bytes, size: int) -> None:
    result = seen(b"data: a\n\n" + rest)
    assert (["a"], size) == ([event[1] for event in result.events], result.discarded)


def test_incomplete_byte_order_mark_is_discarded_at_close() -> None:
    assert 2 == seen(BOM[:2]).discarded


def test_close_may_be_called_again_and_feed_may_not() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data: a\n")
    assert ([], []) == (decoder.close(), decoder.close())
    assert 8 == decoder.discarded
    with pytest.raises(UsageError, match=r"feed\(\) after close\(\)"):
        decoder.feed(b"\n")


# -- bytes


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xff", "\ufffd"),
        (b"a\xf0\x9f\x8c", "a\ufffd"),  # cut off by the line end: one maximal part, one character
        (b"\xc0\xaf", "\ufffd\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),  # a surrogate
        (b"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),  # above U+10FFFF
        (b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA", "\ufffd\ufffd\ufffd\ufffdA"),
    ],
)
def test_bytes_that_are_not_utf8_become_u_fffd_and_the_event_says_lossy(raw: bytes, text: str) -> None:
    result = seen(b"data: " + raw + b"\ndata: b\n\ndata: c\n\n")
    assert ([f"{text}\nb", "c"], [True, False]) == ([event[1] for event in result.events], result.lossy)


def test_replacement_character_that_was_sent_is_not_lossy() -> None:
    assert [False] == seen("data: \ufffd\n\n".encode()).lossy


def test_type_and_id_that_are_not_utf8_are_replaced_without_data_being_lossy() -> None:
    result = seen(b"event: \xff\nid: \xfe\ndata: a\n\n")
    assert ([("\ufffd", "a", "\ufffd")], [False]) == (result.events, result.lossy)


def test_any_character_may_be_split() -> None:
    assert ["é€🌍"] == data("data: é€🌍\n\n".encode())


def test_bytes_bytearray_memoryview_and_array_are_taken() -> None:
    body = b"data: a\n\n"
    for same in (body, bytearray(body), memoryview(body), memoryview(b"".join(bytes([n, 0]) for n in body))[::2]):
        assert ["a"] == [event.data for event in SSEDecoder().feed(same)]
    assert ["a"] == [event.data for event in decode(array("B", body))]


def test_caller_may_reuse_the_buffer_that_it_fed() -> None:
    decoder, buffer = SSEDecoder(), bytearray(b"data: a")
    decoder.feed(buffer)
    buffer[:] = b"\n\nxxxxx"
    assert ["a"] == [event.data for event in decoder.feed(b"\n\n")]


@pytest.mark.parametrize("wrong", ["data: a\n\n", 5, None, [100]])
def test_anything_else_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        SSEDecoder().feed(wrong)
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        decode(wrong)


def test_empty_chunks_change_nothing() -> None:
    body = BOM + "id: 1\r\ndata: é\r\n\r\nretry: 5\rdata: b\r\rda".encode()
    expected = see([body])
    for pieces in ([body], drip(body)):
        assert expected == see([b"", *(part for piece in pieces for part in (piece, b"", b""))])


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
        assert literal_sse.read(body[:size]) == handed
        assert literal_sse.read(body[:size]) == triples(SSEDecoder().feed(body[:size]))


def test_cr_completes_a_blank_line_without_waiting_for_an_lf() -> None:
    decoder = SSEDecoder()
    given_out = [[event.data for event in decoder.feed(part)] for part in (b"data: a\r\n", b"\r", b"\n", b"data: b\r", b"\r")]
    assert [[], ["a"], [], [], ["b"]] == given_out


# -- byte soup

PIECES = [b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\0", b"1", b"x"]
PIECES += [BOM, b"\xef", b"\xff", b"\xf0\x9f", "é🌍".encode(), "\u2028\x85".encode(), b"\v", b"\x1c", b"data: y\n", b"id: 7\r"]
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(0, 10_000), max_size=30)


def pieces(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut `body` at the given offsets, taken modulo its length; a repeated offset makes an empty chunk."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


@settings(deadline=None, max_examples=600)
@given(SOUP, CUTS)
@example(b"data\r\n\r\ndata\n\r", [5, 7, 13])
@example(BOM + BOM + b"data\ndata\n\n", [1, 2, 3, 4])
def test_byte_soup_gives_what_a_literal_reading_gives_after_every_chunk(body: bytes, cuts: list[int]) -> None:
    """Invariant: after any chunk, the events handed out are those of the standard for the bytes so far."""
    decoder = SSEDecoder()
    handed: list[LiteralEvent] = []
    chunks = pieces(body, cuts)
    for chunk, so_far in zip(chunks, accumulate(chunks), strict=True):
        handed += triples(decoder.feed(chunk))
        assert literal_sse.read(so_far) == handed
    assert literal_sse.read(body) == triples(decode(body))


@settings(deadline=None, max_examples=300)
@given(SOUP, CUTS)
def test_byte_soup_shows_the_same_in_any_chunks(body: bytes, cuts: list[int]) -> None:
    """Invariant: events, retries, lossy marks, diagnostics and the discarded size do not depend on the chunks."""
    assert see([body]) == see(pieces(body, cuts)) == see(drip(body))


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


@pytest.mark.parametrize("body", [b"", b"data: a\n\n", b": c\n\n\n", b"event: x\nid: 1\nretry: 2\ndata\n\n", b"id: 1\n\n"])
def test_stream_without_oddities_has_no_diagnostics(body: bytes) -> None:
    assert [] == kinds(body)


def test_long_detail_is_shortened() -> None:
    (diagnostic,) = see([b"x" * 10_000 + b"\n\n"]).diagnostics
    assert f"'{'x' * 40}'" == diagnostic.detail


def test_diagnostics_beyond_a_thousand_are_only_counted() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"foo\n" * 1003)
    decoder.close()
    assert [Diagnostic("unknown-field", line, "'foo'") for line in range(1, 1001)] == decoder.diagnostics
    assert 4 == decoder.diagnostics_dropped  # three lines and the unterminated block


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


def blocks(body: bytes) -> list[int]:
    """The size of each block, its line ends counted as one byte each and its blank line not at all."""
    sizes = [0]
    rows = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for row in rows[:-1]:
        if row:
            sizes[-1] += len(row) + 1
        else:
            sizes.append(0)
    sizes[-1] += len(rows[-1])
    return sizes


LIMITED = [b"data: a\n\ndata: bcd\n\ndata: e\n\n", b"data: a\r\n: c\r\n\r\nid: 12\rdata\r\r", b"data: a\n\ndata: bcdef", b"a\nb\n\nc\nd\ne"]


@pytest.mark.parametrize("body", LIMITED)
def test_limit_gives_one_verdict_and_the_same_events_before_it_in_every_delivery(body: bytes) -> None:
    for limit in range(1, max(blocks(body)) + 2):
        fits = [size <= limit for size in blocks(body)]
        first_too_large = fits.index(False) if False in fits else len(fits)
        events, verdict = always(body, lambda chunks, limit=limit: limited(limit, chunks))
        assert (None if all(fits) else limit) == verdict
        assert triples(decode(body))[: len(events)] == events
        assert sum(1 for event in literal_sse.read(body)) if all(fits) else first_too_large >= len(events)


@settings(deadline=None, max_examples=300)
@given(SOUP.filter(lambda body: not body.startswith(b"\xef")), CUTS, st.integers(1, 60))
def test_limit_on_byte_soup_depends_on_block_sizes_alone(body: bytes, cuts: list[int], limit: int) -> None:
    """Invariant: the limit is reached if and only if a block is larger than it, after the events of earlier blocks."""
    sizes = blocks(body)
    large = next((index for index, size in enumerate(sizes) if size > limit), None)
    rows = literal_sse.lines(literal_sse.utf8_decode(body))
    blank_lines = 0
    kept = []
    for row in rows:
        if blank_lines == large:
            break
        kept.append(row)
        blank_lines += row == ""
    before = literal_sse.read("".join(row + "\n" for row in kept).encode())
    expected = (before, None if large is None else limit)
    assert expected == limited(limit, [body]) == limited(limit, pieces(body, cuts)) == limited(limit, drip(body))


def test_error_is_owed_until_the_events_before_it_are_returned_and_stays() -> None:
    decoder = SSEDecoder(max_event_bytes=9)
    assert ["a"] == [event.data for event in decoder.feed(b"data: a\n\ndata: bcde\n\ndata: f\n\n")]
    for _ in range(2):
        with pytest.raises(LimitError, match="max_event_bytes=9"):
            decoder.feed(b"")
        with pytest.raises(LimitError):
            decoder.close()


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_byte_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match="at least 1, or None"):
        SSEDecoder(max_event_bytes=limit)
