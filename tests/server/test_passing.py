"""A response is understood alike however its bytes arrive, and its bytes stay what they are."""

from __future__ import annotations

import h11
import pytest

from streamkit.server.passing import Part, Passing, request_bytes

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nab\r\nc\r\n11\r\n0123456789abcdef!\r\n0\r\nX-T: 1\r\n\r\n"
)
PIECES = [b"ab\r\nc", b"0123456789abcdef!"]
ANNOUNCED = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 6\r\n\r\nabcdef"


def fed(reads: list[bytes], method: str = "POST") -> tuple[Passing, list[Part]]:
    passing = Passing(method)
    return passing, [passing.feed(read) for read in reads]


def splits(raw: bytes) -> list[list[bytes]]:
    """Return the bytes whole, one by one, and in all pairs of reads."""
    return [[raw], [raw[n : n + 1] for n in range(len(raw))], *([raw[:n], raw[n:]] for n in range(1, len(raw)))]


def test_chunks_are_whole_however_their_bytes_arrive() -> None:
    for reads in splits(CHUNKED):
        passing, parts = fed(reads)
        assert PIECES == [chunk for part in parts for chunk in part.chunks]
        assert CHUNKED == b"".join(part.raw for part in parts)
        assert b"".join(PIECES) == b"".join(part.payload for part in parts)
        assert [True] == [part.over for part in parts if part.over]
        assert (True, True) == (passing.chunked, passing.keep)
        (head,) = [part.head for part in parts if part.head is not None]
        assert ("Content-Type", "text/event-stream") == head.headers[0]


def test_a_body_without_http_chunks_is_what_each_read_brought() -> None:
    for reads in splits(ANNOUNCED):
        passing, parts = fed(reads)
        assert b"abcdef" == b"".join(chunk for part in parts for chunk in part.chunks)
        assert ANNOUNCED == b"".join(part.raw for part in parts)
        assert not passing.chunked
        assert parts[-1].over
    assert ("content-LENGTH", "6") == next(part.head for part in parts if part.head is not None).headers[0]


def test_nothing_is_handed_on_before_the_head_is_whole() -> None:
    end = CHUNKED.index(b"\r\n\r\n") + 4
    passing, parts = fed([CHUNKED[n : n + 1] for n in range(end)])
    assert [b""] * (end - 1) == [part.raw for part in parts[:-1]]
    assert CHUNKED[:end] == parts[-1].raw
    assert passing.begun


def test_what_is_missing_of_a_chunk_is_known_wherever_it_breaks_off() -> None:
    begin = CHUNKED.index(b"5;x=y\r\n") + 7
    for came in range(6):
        passing, parts = fed([CHUNKED[: begin + came]])
        with pytest.raises(h11.RemoteProtocolError):
            passing.feed(b"")
        whole = b"".join(chunk for part in parts for chunk in part.chunks)
        assert (5 - came, PIECES[0][:came]) == (passing.missing, whole + passing.rest())


def test_a_body_that_ends_with_the_connection_is_over_then() -> None:
    passing, parts = fed([b"HTTP/1.1 200 OK\r\n\r\nab", b"cd", b""])
    assert [False, False, True] == [part.over for part in parts]
    assert (b"ab", b"cd") == (parts[0].payload, parts[1].payload)
    assert not passing.keep


def test_bytes_after_the_answer_are_no_part_of_it_and_spoil_the_connection() -> None:
    passing, parts = fed([ANNOUNCED + b"HTTP/1.1 200"])
    assert (ANNOUNCED, True, False) == (parts[0].raw, parts[0].over, passing.keep)


def test_what_comes_before_something_wrong_is_kept() -> None:
    wrong = CHUNKED.replace(b"11\r\n0", b"zz\r\n0")
    passing, parts = fed([wrong])
    assert [PIECES[0]] == list(parts[0].chunks)
    assert wrong == parts[0].raw
    assert passing.failure is not None
    passing, _ = fed([CHUNKED[: CHUNKED.index(b"11\r\n0")]])
    with pytest.raises(h11.RemoteProtocolError):
        passing.feed(b"zz\r\n0")
    assert b"zz\r\n0" == passing.strange


def test_a_request_is_written_as_it_was_read_but_with_its_host_first() -> None:
    headers = [("X-a", "1"), ("HOST", "h"), ("x-A", "é"), ("Content-length", "2")]
    expected = "POST /a?b HTTP/1.1\r\nHOST: h\r\nX-a: 1\r\nx-A: é\r\nContent-length: 2\r\n\r\n{}"
    assert expected.encode("latin-1") == request_bytes("POST", "/a?b", headers, b"{}")
