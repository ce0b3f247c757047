"""SSEDecoder against the standard's rules, its own promises, and a literal reading of the standard."""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skhelpers import literal_sse
from skhelpers.delivery import always, drip

from streamkit.errors import LimitError, UsageError
from streamkit.wire.sse import BOM, Diagnostic, ServerSentEvent, SSEDecoder, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

    from skhelpers.literal_sse import LiteralEvent


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


def triples(events: Iterable[ServerSentEvent]) -> list[LiteralEvent]:
    return [(event.event, event.data, event.id) for event in events]


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

PIECES = [b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\0", b"1", b"x"]
PIECES += [BOM, b"\xef", b"\xff", b"\xf0\x9f", "é🌍".encode(), "\u2028\x85".encode(), b"\v\x1c", b"data: y\n"]
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
    "a long line": (b"data: ", b"x", b"\n\n", 1024 * KB, KB, 2),
    "a long line byte by byte": (b"data: ", b"x", b"\n\n", 16 * KB, 1, 2),
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
