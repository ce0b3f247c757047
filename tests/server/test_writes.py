"""The writes of a response, before any socket: framing by h11, cuts, times, and ways to break off."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamkit
from streamkit.errors import UsageError
from streamkit.replay.delivery import Delivery, delivery_of
from streamkit.server import How
from streamkit.server.writes import After, encoded, refusal, script
from streamkit.transcript import Ending, ResponseHead, Transcript

BOSTON = streamkit.load("openai_chat/boston_weather")
STREAM = ResponseHead()


def asked(method: str = "POST", version: str = "1.1") -> h11.Connection:
    """Return a server's connection that has read one request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(f"{method} / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    return connection


@dataclass
class Written:
    """A script that was played."""

    head: bytes
    writes: list[bytes]
    times: list[int]
    last: int
    after: After
    whole: bool


def written(answer: Delivery, how: How | None = None, *, method: str = "POST", version: str = "1.1") -> Written:
    made = script(asked(method, version), method, answer, how or How())
    writes = list(made)
    last = sum(one.closing for one in writes)
    return Written(made.head, [one.data for one in writes], [one.due for one in writes], last, made.after, made.whole)


def read(answer: Written, *, closed: bool, method: str = "POST") -> bytes:
    """Return the body that h11's client reads.

    Raises:
        h11.RemoteProtocolError: the body is not whole.
    """
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer.head + b"".join(answer.writes))
    if closed:
        client.receive_data(b"")
    body = b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            raise h11.RemoteProtocolError("more is needed")
        if isinstance(event, h11.Data):
            body += event.data
    return body


# -- what is asked for


def test_a_chunk_is_an_http_chunk_and_a_write() -> None:
    found = written(Delivery(STREAM, [b"ab", b"c", b"defg"]))
    assert [b"2\r\nab\r\n", b"1\r\nc\r\n", b"4\r\ndefg\r\n", b"0\r\n\r\n"] == found.writes
    assert (1, After.KEEP, True) == (found.last, found.after, found.whole)
    assert b"Transfer-Encoding: chunked" in found.head


def test_an_empty_chunk_is_left_out_for_it_would_end_the_body() -> None:
    found = written(Delivery(STREAM, [b"", b"ab", b"", b"c", b""]))
    assert [b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"] == found.writes


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.sampled_from(["chunked", "length", "close"]))
def test_a_client_reads_the_same_body_in_every_framing(chunks: list[bytes], framing: str) -> None:
    """Invariant: framing changes nothing of the body."""
    found = written(Delivery(STREAM, chunks), How(framing=framing))
    assert b"".join(chunks) == read(found, closed=framing == "close")
    assert (After.CLOSE if framing == "close" else After.KEEP) == found.after


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), st.data())
def test_cuts_of_the_wire_change_no_byte_of_it(chunks: list[bytes], data: st.DataObject) -> None:
    """Invariant: the writes joined are the same, wherever they are cut."""
    plain = b"".join(written(Delivery(STREAM, chunks)).writes)
    cuts = data.draw(st.lists(st.integers(1, len(plain) - 1)))
    found = written(Delivery(STREAM, chunks), How(writes=",".join(map(str, sorted(set(cuts)))) or "whole"))
    assert plain == b"".join(found.writes)
    assert len(set(cuts)) + 1 == len(found.writes)


def test_one_byte_a_write_cuts_the_framing_of_http_too() -> None:
    found = written(Delivery(STREAM, [b"ab"]), How(writes="drip"))
    assert [bytes([byte]) for byte in b"2\r\nab\r\n0\r\n\r\n"] == found.writes
    assert len(b"0\r\n\r\n") == found.last


def test_a_cut_of_the_wire_beyond_it_is_told() -> None:
    with pytest.raises(UsageError, match="beyond"):
        written(Delivery(STREAM, [b"ab"]), How(writes="99"))


def test_each_write_is_due_when_its_last_byte_was() -> None:
    answer = Delivery(STREAM, [b"ab", b"cd"], times=[10, 20])
    assert [10, 20, 20] == written(answer).times
    assert [10, 10, 20] == written(answer, How(writes="3,7")).times


def test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection() -> None:
    found = written(Delivery(STREAM, [b"ab", b"c"]), version="1.0")
    assert [b"ab", b"c"] == found.writes
    assert found.after is After.CLOSE


def test_an_ordinary_response_has_its_length() -> None:
    head = ResponseHead(200, "OK", (("Content-Type", "application/json"),))
    found = written(Delivery(head, [b"{}"]))
    assert [b"{}"] == found.writes
    assert b"content-length: 2" in found.head


def test_a_head_has_no_body() -> None:
    found = written(Delivery(STREAM, [b"ab"]), method="HEAD")
    assert ([], True) == (found.writes, found.whole)
    assert b"" == read(found, closed=False, method="HEAD")


def test_names_and_values_of_headers_are_kept_and_those_of_another_transfer_left_out() -> None:
    head = ResponseHead(200, "Fine", (("X-Request-ID", "Ab1"), ("content-length", "9"),
                                      ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip"),
                                      ("Content-Type", "text/event-stream")))  # fmt: skip
    lines = written(Delivery(head, [b"ab"])).head.split(b"\r\n")
    assert [b"HTTP/1.1 200 Fine", b"X-Request-ID: Ab1", b"Content-Type: text/event-stream",
            b"Transfer-Encoding: chunked", b"", b""] == lines  # fmt: skip


def test_a_recorded_header_that_http_does_not_allow_is_left_out_and_no_error() -> None:
    head = ResponseHead(200, "OK", (("bad name", "x"), ("x-ok", "1"), ("content-type", "text/event-stream")))
    lines = written(Delivery(head, [b"ab"])).head.split(b"\r\n")
    assert b"x-ok: 1" in lines
    assert not any(b"bad name" in line for line in lines)


# -- ways to break off


@pytest.mark.parametrize(("conduct", "after"), [("reset", After.RESET), ("close", After.CLOSE), ("stall", After.STALL)])
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("place", [0, 1, 2, 3, 5, -1])
def test_a_stream_breaks_off_at_its_byte(conduct: str, after: After, framing: str, place: int) -> None:
    body = [b"ab", b"cde"]
    found = written(Delivery(STREAM, body), How.parse(f"{conduct}={place};framing={framing}"))
    sent = b"".join(found.writes)
    if framing == "chunked":
        pieces = [piece.partition(b"\r\n")[2][:-2] for piece in found.writes]
        sent = b"".join(pieces)
    kept = b"abcde"[: 5 + place if place < 0 else place]
    assert kept == sent
    assert (after, False, 0) == (found.after, found.whole, found.last)


def test_a_closed_stream_is_not_whole_for_a_client_of_chunks_or_of_a_length() -> None:
    for framing in ("chunked", "length"):
        found = written(Delivery(STREAM, [b"ab", b"cd"]), How(close=3, framing=framing))
        with pytest.raises(h11.RemoteProtocolError):
            read(found, closed=True)


@pytest.mark.parametrize(
    ("ending", "after", "whole"),
    [
        (Ending.COMPLETE, After.KEEP, True),
        (Ending.TRUNCATED, After.KEEP, True),
        (Ending.INCOMPLETE, After.CLOSE, False),
        (Ending.RESET, After.RESET, False),
        (Ending.TIMEOUT, After.STALL, False),
        (Ending.CLIENT_CLOSED, After.RESET, False),
    ],
)
def test_a_recorded_ending_comes_again_on_the_wire(ending: Ending, after: After, whole: bool) -> None:
    transcript = Transcript(b"data: {}\n\n", ending=ending)
    found = written(delivery_of(transcript))
    assert (after, whole) == (found.after, found.whole)


def test_a_client_that_closed_after_the_last_event_leaves_a_whole_stream() -> None:
    transcript = Transcript.from_chunks([BOSTON.body], ending=Ending.CLIENT_CLOSED, dialect="openai_chat")
    assert written(delivery_of(transcript)).whole


def test_bytes_that_never_came_are_announced() -> None:
    transcript = Transcript.from_chunks([b"ab", b"cd"], ending=Ending.INCOMPLETE, missing=12)
    assert [b"2\r\nab\r\n", b"e\r\ncd"] == written(delivery_of(transcript)).writes
    assert b"content-length: 16" in written(delivery_of(transcript), How(framing="length")).head


# -- compression


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip-late", "deflate-late"])
def test_a_compressed_body_is_the_same_body(coding: str) -> None:
    chunks = BOSTON.fragment("99,100,1500")
    found = encoded(Delivery(STREAM, chunks), coding)
    pressed = list(found.chunks)  # type: ignore[arg-type]  # a list of bytes
    assert BOSTON.body == zlib.decompress(b"".join(pressed), wbits=31 if coding.startswith("gzip") else 15)
    assert ("content-encoding", coding.partition("-")[0]) in found.headers


def test_a_flushed_chunk_can_be_read_when_it_has_come_and_one_kept_back_cannot() -> None:
    chunks = BOSTON.fragment("500,1500")
    for coding, expected in (("gzip", chunks[0]), ("gzip-late", b"")):
        first = next(iter(encoded(Delivery(STREAM, chunks), coding).chunks))  # type: ignore[arg-type]  # a list of bytes
        assert expected == zlib.decompressobj(wbits=31).decompress(first)


# -- refusals


def test_a_refusal_is_a_whole_response_of_known_length_after_which_the_connection_ends() -> None:
    answer = Delivery(ResponseHead(400, "Bad Request", (("content-type", "application/json"),)), [b"{}"])
    data = refusal(answer)
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert data.endswith(b"\r\n\r\n{}")
    assert b"Connection: close" in data
