"""What curl prints is the answer, whatever came before it and however its body was framed."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes.curl import UNKNOWN_REQUEST, begins_with_status, read_curl, write_curl
from streamkit.cassettes.encoding import decoded
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Ending, Request, ResponseHead, Transcript

BODY = b'data: {"a": 1}\n\n\r\ndata: \xe4\xb8\x96\n\n'
SSE = b"content-type: text/event-stream\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\n" + SSE + b"Transfer-Encoding: chunked\r\n\r\n"


def read(raw: bytes) -> Transcript:
    (transcript,) = read_curl(raw, "x.txt").transcripts
    return transcript


def framed(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


# -- heads


def test_the_body_is_what_follows_the_headers_byte_for_byte() -> None:
    transcript = read(b"HTTP/1.1 200 OK\r\n" + SSE + b"X-Empty:\r\nx-a: 1\r\nX-A:  2 \r\n\r\n" + BODY)
    headers = (("content-type", "text/event-stream"), ("X-Empty", ""), ("x-a", "1"), ("X-A", "2"))
    assert (BODY, ResponseHead(200, "OK", headers)) == (transcript.body, transcript.head)
    assert ("x.txt", "the output of curl", False) == (transcript.name, transcript.source, transcript.chunks_recorded)


def test_the_request_is_one_that_nobody_can_have_sent() -> None:
    assert UNKNOWN_REQUEST == read(b"HTTP/2 200 \r\n\r\n").request
    known = Request("GET", "https://api.example.com/")
    (interaction,) = read_curl(b"HTTP/2 200 \r\n\r\n", "x", name="mine", request=known).interactions
    assert (known, known, "mine") == (interaction.request, interaction.transcript.request, interaction.transcript.name)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (b"HTTP/2 200 \r\n", 200, ""),
        (b"HTTP/2 200\r\n", 200, ""),
        (b"HTTP/3 503 \r\n", 503, ""),
        (b"HTTP/1.0 429 Too Many Requests\r\n", 429, "Too Many Requests"),
        (b"HTTP/1.1 200 \xe4\xb8\x96\n", 200, "\u4e16"),
    ],
)
def test_every_version_has_its_status_line(line: bytes, status: int, said: str) -> None:
    head = read(line + b"\r\n" + BODY).head
    assert (status, said, True) == (head.status, head.reason, begins_with_status(line))


def test_line_feeds_alone_end_lines_too() -> None:
    transcript = read(b"HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n" + BODY)
    assert (BODY, "text/event-stream") == (transcript.body, transcript.head.header("content-type"))


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\nVia: proxy\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 301 Moved Permanently\r\nContent-Length: 99\r\nLocation: /there\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_answers_before_the_last_one_are_passed_over(before: bytes) -> None:
    transcript = read(before + b"HTTP/2 200 \r\n" + SSE + b"\r\n" + BODY)
    assert (BODY, 200, 1) == (transcript.body, transcript.head.status, len(transcript.head.headers))


def test_a_body_that_looks_like_another_answer_is_a_body() -> None:
    body = b"HTTP/1.1 500 Oh\r\n\r\n"
    assert body == read(b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n" + body).body
    assert 302 == read(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n<a>").head.status


def test_a_header_may_go_on_in_the_next_line_and_need_not_be_utf_8() -> None:
    head = read(b"HTTP/1.1 200 OK\r\nx-a: 1\r\n\t 2\r\nx-b: \xfc\r\nx-c: \xc3\xbc\r\n\r\n").head
    assert ("1 2", "\u00fc", "\u00fc") == (head.header("x-a"), head.header("x-b"), head.header("x-c"))


@pytest.mark.parametrize(
    ("raw", "said", "line"),
    [
        (b"", "a status line such as 'HTTP/1.1 200 OK' is expected", 1),
        (BODY, "a status line", 1),
        (b"HTTP/1.1 200 OK", "a status line", 1),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "a status line", 1),
        (b"HTTP/1.1 200 OK\r\nx: 1\r\n", "the file ends inside the headers", 2),
        (b"HTTP/1.1 200 OK\r\nx: 1\r\ndata\r\n\r\n", "no header: 'data'", 3),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n: 1\r\n\r\n", "no header: ': 1'", 4),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "no header", 2),
    ],
)
def test_what_is_no_output_of_curl_is_an_error_with_its_line(raw: bytes, said: str, line: int) -> None:
    with pytest.raises(CassetteFormatError) as caught:
        read(raw)
    assert (True, line, "x.txt") == (said in caught.value.reason, caught.value.line, caught.value.path)


# -- bodies


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
def test_chunk_framing_that_curl_left_in_gives_the_recorded_chunks(chunks: list[bytes]) -> None:
    """Invariant: framing that is read to its end gives exactly the chunks that were framed."""
    transcript = read(CHUNKED + framed(*chunks) + b"0\r\n\r\n")
    assert b"".join(chunks) == transcript.body
    assert (tuple(map(len, chunks)) or (0,)) == transcript.lengths
    assert (bool(chunks), Ending.COMPLETE, 0) == (transcript.chunks_recorded, transcript.ending, transcript.missing)


def test_extensions_and_trailers_are_part_of_the_framing() -> None:
    raw = b'5;x="y"\r\nhello\r\n00A \r\n0123456789\r\n000;last\r\nx-sum: 1\r\nx-b: 2\r\n\r\n'
    assert ((5, 10), Ending.COMPLETE) == (read(CHUNKED + raw).lengths, read(CHUNKED + raw).ending)


def test_framing_that_breaks_off_anywhere_says_what_is_missing() -> None:
    whole = framed(b"data: 1\n\n", b"data: 22\n\n") + b"0\r\n\r\n"
    first = len(framed(b"data: 1\n\n"))
    for end in range(first, len(whole)):
        transcript = read(CHUNKED + whole[:end])
        assert (Ending.INCOMPLETE, True) == (transcript.ending, transcript.chunks_recorded)
        assert b"data: 1\n\ndata: 22\n\n".startswith(transcript.body)
        inside = first + 3 <= end < first + 3 + 10
        assert (first + 13 - end if inside else 0) == transcript.missing


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"",
        b"5\r\nhell",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        framed(b"hello") + b"0\r\n\r\nmore",
        framed(b"hello") + b"data: 1\n\n",
        b"0\r\nno trailer\r\n\r\n",
        b"5\nhello\n0\n\n",
    ],
)
def test_a_body_that_is_not_framed_to_its_end_is_as_it_is(body: bytes) -> None:
    transcript = read(CHUNKED + body)
    assert (body, (len(body),), False) == (transcript.body, transcript.lengths, transcript.chunks_recorded)


def test_what_looks_framed_is_a_body_where_no_header_says_chunked() -> None:
    raw = framed(b"hello") + b"0\r\n\r\n"
    assert raw == read(b"HTTP/1.1 200 OK\r\n" + SSE + b"\r\n" + raw).body
    assert raw == read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n" + raw).body


def test_the_coding_goes_where_curl_has_undone_it_and_stays_where_not() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"
    assert (BODY, ()) == (read(head + BODY).body, read(head + BODY).head.headers)
    wire = read(head + gzip.compress(BODY))
    assert ("gzip", BODY) == (wire.head.header("content-encoding"), decoded(wire).body)


# -- there and back

HEADER_NAMES = st.text("abcXYZ-0", min_size=1, max_size=6)
HEADER_VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=9).map(
    lambda value: value.strip(" \t")
)


@given(
    st.integers(100, 599),
    st.text("abc '", max_size=6).map(str.strip),
    st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=4),
    st.binary(max_size=40) | st.just(framed(b"hello") + b"0\r\n\r\n"),
)
def test_a_response_comes_back_from_curl(status: int, reason: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Invariant: status, headers and body come back; chunks and the ending are not in it."""
    transcript = Transcript(body, ResponseHead(status, reason, tuple(headers)))
    again = read(write_curl(transcript))
    assert (transcript.head, body) == (again.head, again.body)


@pytest.mark.parametrize("header", [("a b", "1"), ("a", "1\r\nb: 2"), ("", "1"), ("a:", "1"), ("a", "\ud83d")])
def test_a_header_that_would_not_stand_in_its_line_is_not_written(header: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="cannot"):
        write_curl(Transcript(BODY, ResponseHead(200, "OK", (header,))))


def test_a_body_that_would_be_taken_for_something_else_is_not_written() -> None:
    chunked = ResponseHead(200, "OK", (("transfer-encoding", "chunked"),))
    with pytest.raises(UsageError, match="would be taken for something else"):
        write_curl(Transcript(framed(b"hello") + b"0\r\n\r\n", chunked))
    with pytest.raises(UsageError, match="would be taken for something else"):
        write_curl(Transcript(b"HTTP/1.1 200 OK\r\n\r\n", ResponseHead(100, "Continue", ())))
    with pytest.raises(UsageError, match="cannot be written so"):
        write_curl(Transcript(BODY, ResponseHead(1000, "", ())))


@needs_corpus
def test_every_recorded_body_comes_back_from_curl() -> None:
    for recording in (r for suffix in (".sse", ".ndjson", ".eventstream") for r in recordings(suffix)):
        body = recording.body
        head = ResponseHead(200, "OK", (("transfer-encoding", "chunked"), ("content-encoding", "identity")))
        assert body == read(write_curl(Transcript(body, head))).body, recording.name


# -- the program itself

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
CHUNKS = [b"data: 1\n\n", b"data: \xe4\xb8", b"\x96\n\n"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/stream")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"gone")
            return
        coded = self.path == "/gzip"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        if coded:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(framed(*([gzip.compress(b"".join(CHUNKS))] if coded else CHUNKS)))
        if self.path == "/broken":
            self.wfile.write(b"20\r\ndata: ")
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a server that streams, redirects and breaks off."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sNi", "--noproxy", "*", *arguments], capture_output=True, check=False).stdout


@needs_curl
@pytest.mark.parametrize("path", ["/stream", "/redirect"])
def test_what_curl_prints_is_read(address: str, path: str) -> None:
    transcript = read(curl("-L", address + path))
    assert (b"".join(CHUNKS), 200) == (transcript.body, transcript.head.status)
    assert (Ending.COMPLETE, False) == (transcript.ending, transcript.chunks_recorded)


@needs_curl
def test_what_curl_prints_raw_has_the_chunks_of_the_wire(address: str) -> None:
    transcript = read(curl("--raw", address + "/stream"))
    assert (tuple(map(len, CHUNKS)), b"".join(CHUNKS)) == (transcript.lengths, transcript.body)
    broken = read(curl("--raw", address + "/broken"))
    assert (Ending.INCOMPLETE, 26) == (broken.ending, broken.missing)
    assert b"".join(CHUNKS) + b"data: " == broken.body


@needs_curl
@pytest.mark.parametrize("option", ["--compressed", "--raw", "-v"])
def test_what_curl_prints_of_a_compressed_answer_is_read(address: str, option: str) -> None:
    assert b"".join(CHUNKS) == decoded(read(curl(option, address + "/gzip"))).body
