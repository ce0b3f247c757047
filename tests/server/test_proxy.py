"""The recording proxy is not to be noticed: bytes go through it as they are, whatever they are."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import pytest
from skhelpers.proxied import PATH, proxied, proxied_raw
from skhelpers.raw_http import Reply, ask, connect, reply, request
from skhelpers.server import Answer, body, pieces

from streamkit.cassettes import load_cassette
from streamkit.transcript import Ending, Transcript

BODY = body()
PIECES = pieces(BODY)
EVENT = b'data: {"choices":[]}\n\n'
GZIPPED = gzip.compress(BODY, mtime=0)


def transcripts(path: Path) -> tuple[Transcript, ...]:
    return load_cassette(path).transcripts


def seen(found: Reply) -> tuple[object, ...]:
    """Return all that a client can see of a response."""
    return found.raw_head, found.wire, found.chunks, found.rest, found.ended


ANSWERS = {
    "chunked": Answer(PIECES),
    "in one write": Answer(PIECES, at_once=True),
    "announced": Answer(PIECES, framing="length"),
    "until closed": Answer(PIECES, framing="close"),
    "compressed": Answer(
        [GZIPPED[:10], GZIPPED[10:300], GZIPPED[300:]],
        headers=["Content-Type: text/event-stream", "Content-Encoding: gzip", "Vary: Accept-Encoding"],
    ),
    "strange headers": Answer(
        PIECES, status="200 All right",
        headers=["X-b: 1", "content-TYPE: text/event-stream", "X-B: 2", "Access-Control-Allow-Origin: ",
                 "X-Place: Zürich"],
    ),
    "an error": Answer([b'{"error": {}}'], status="429 Too Many Requests", framing="length",
                       headers=["Content-Type: application/json", "Retry-After: 7"]),
    "nothing": Answer([]),
    "large": Answer([b"x" * 300_000, b"y" * 70_000]),
    "cut off": Answer(PIECES[:3], end="eof"),
    "cut off in an HTTP chunk": Answer(PIECES[:3], end="eof", short=11),
    "short of its length": Answer(PIECES[:3], framing="length", end="eof", short=500),
    "reset": Answer(PIECES[:3], end="reset"),
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_client_sees_the_bytes_that_it_would_see_without_it(answer: Answer, tmp_path: Path) -> None:
    with proxied(answer, cassette=tmp_path / "c.yaml") as (server, proxy):
        direct = ask(server.url + PATH)
        through = ask(proxy.url + PATH)
        proxy.wait_for(1)
    assert seen(direct) == seen(through)
    (recorded,) = transcripts(tmp_path / "c.yaml")
    assert recorded.body.startswith(through.body)
    assert recorded.head.status == through.status


RAW = {
    "extensions and trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    b"0016;a=b\r\n" + EVENT + b"\r\n000\r\nX-Sum: 5\r\n\r\n",
    "upper-case hex": b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1A\r\n" + b"d" * 26 + b"\r\n0\r\n\r\n",
    "no reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil it closes",
    "the end of the connection ends it": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil it closes",
    "no body allowed": b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\nno size\r\n",
}


def everything(url: str, sent: bytes) -> bytes:
    """Return all bytes that come back for a request, until the connection is closed."""
    with connect(url) as connection:
        connection.sendall(sent)
        data = b""
        while more := connection.recv(65536):
            data += more
        return data


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_what_is_rare_in_http_goes_through_as_it_is(raw: bytes, tmp_path: Path) -> None:
    with proxied_raw(raw, cassette=tmp_path / "c.yaml") as (_server, proxy):
        assert raw == everything(proxy.url, request(proxy.url + PATH, headers=["Connection: close"]))


def test_the_request_goes_on_as_it_came_but_for_its_host(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    sent = (
        b"PATCH /v1/a%20b/%C3%A9?x=1&y=%2F&z HTTP/1.1\r\nhOsT: %b\r\nAccept-Encoding: gzip, br\r\nX-Two: 1\r\n"
        b"User-Agent: x\r\nX-Two: 2\r\nEmpty: \r\ncontent-length: 9\r\n\r\n\x00\xff{ a : 1"
    )
    with proxied_raw(raw, cassette=tmp_path / "c.yaml") as (server, proxy):
        place = proxy.url.removeprefix("http://").encode()
        with connect(proxy.url) as connection:
            connection.sendall(sent.replace(b"%b", place))
            reply(connection)
        assert [sent.replace(b"%b", server.url.removeprefix("http://").encode())] == server.asked


def test_headers_that_concern_one_connection_only_go_no_further(tmp_path: Path) -> None:
    hop = ["Connection: keep-alive, X-Own", "Keep-Alive: 5", "X-Own: 1", "TE: trailers",
           "Proxy-Authorization: Basic eA==", "Upgrade: h2c", "X-Kept: 1"]  # fmt: skip
    with proxied(Answer(PIECES), cassette=tmp_path / "c.yaml") as (server, proxy):
        ask(proxy.url + PATH, headers=hop)
        assert {"host", "content-length", "x-kept"} == set(server.seen[0].headers)


def test_a_body_in_http_chunks_arrives_whole(tmp_path: Path) -> None:
    with proxied(Answer(PIECES), cassette=tmp_path / "c.yaml") as (server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(
                b"POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{  \r\n1\r\n}\r\n0\r\n\r\n"
            )
            assert 200 == reply(connection).status
        assert b"{  }" == server.seen[0].body
        assert "content-length" not in server.seen[0].headers


def test_a_client_that_waits_for_100_gets_it(tmp_path: Path) -> None:
    with proxied(Answer(PIECES), cassette=tmp_path / "c.yaml") as (server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(b"POST /v1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"{}")
            assert 200 == reply(connection).status
        assert "expect" not in server.seen[0].headers


def test_the_answer_to_a_head_request_has_no_body(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with proxied_raw(raw, cassette=tmp_path / "c.yaml") as (_server, proxy):
        assert raw == everything(proxy.url, request(proxy.url, b"", method="HEAD", headers=["Connection: close"]))


def test_a_client_of_http_1_0_gets_no_http_chunks(tmp_path: Path) -> None:
    with proxied(Answer(PIECES), cassette=tmp_path / "c.yaml") as (_server, proxy):
        head, _, got = everything(proxy.url, request(proxy.url + PATH, version="1.0")).partition(b"\r\n\r\n")
        assert BODY == got
        assert b"chunked" not in head
    assert [len(piece) for piece in PIECES] == list(transcripts(tmp_path / "c.yaml")[0].lengths)


def test_each_piece_is_there_before_the_next_is_sent(tmp_path: Path) -> None:
    arrived = [threading.Event() for _ in PIECES]

    def before(number: int) -> None:
        assert not number or arrived[number - 1].wait(10), f"piece {number - 1} was held back"

    with proxied(Answer(PIECES, before=before), cassette=tmp_path / "c.yaml") as (_server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH))
            data = b""
            for number in range(len(PIECES)):
                while PIECES[number] not in data:
                    data += connection.recv(65536)
                arrived[number].set()
        assert "complete" == proxy.wait_for(1)[0]["ending"]


def test_http_chunks_are_recorded_whole_however_they_arrive(tmp_path: Path) -> None:
    """Reads of a network end anywhere; the HTTP chunks are the server's own."""
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in PIECES)
    parts = [wire[n : n + 37] for n in range(0, len(wire), 37)]
    answer = Answer([*parts, b"0\r\n\r\n"], framing="close", gap=0.001, headers=["Transfer-Encoding: chunked"])
    with proxied(answer, cassette=tmp_path / "c.yaml") as (_server, proxy):
        assert PIECES == ask(proxy.url + PATH).chunks
        proxy.wait_for(1)
    assert PIECES == [chunk.data for chunk in transcripts(tmp_path / "c.yaml")[0].chunks]


def test_one_connection_serves_many_requests_over_one_to_the_upstream(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with proxied_raw(raw, keep=True, cassette=tmp_path / "c.yaml") as (server, proxy):
        with connect(proxy.url) as connection:
            for _ in range(3):
                connection.sendall(request(proxy.url + PATH))
                assert [b"ok"] == reply(connection).chunks
        assert (3, 1) == (len(server.asked), server.connections)


def test_requests_sent_ahead_are_answered_in_their_order(tmp_path: Path) -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(3)]
    with proxied_raw(*answers, keep=True, cassette=tmp_path / "c.yaml") as (_server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH) * 3)
            data = b""
            while data.count(b"HTTP/1.1") < 3 or not data.endswith(b"2"):
                data += connection.recv(65536)
        assert b"".join(answers) == data


def test_an_idle_connection_that_the_upstream_has_closed_is_not_asked_again(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    cassette = tmp_path / "c.yaml"  # the server closes after each answer
    with proxied_raw(raw, cassette=cassette) as (_server, proxy), connect(proxy.url) as connection:
        for _ in range(4):
            connection.sendall(request(proxy.url + PATH))
            assert [b"ok"] == reply(connection).chunks
    assert 4 == len(transcripts(tmp_path / "c.yaml"))


# -- how a recording ends

ENDINGS = [
    (Answer(PIECES), Ending.COMPLETE, 0),
    (Answer(PIECES[:4]), Ending.TRUNCATED, 0),
    (Answer(PIECES[:4], end="eof"), Ending.INCOMPLETE, 0),
    (Answer(PIECES[:4], end="eof", short=40), Ending.INCOMPLETE, 40),
    (Answer(PIECES[:4], framing="length", end="eof", short=40), Ending.INCOMPLETE, 40),
    (Answer(PIECES[:4], end="reset"), Ending.RESET, 0),
    (Answer(PIECES[:4], end="reset", short=7), Ending.RESET, 7),
]


@pytest.mark.parametrize(("answer", "ending", "missing"), ENDINGS, ids=lambda value: str(value)[:12])
def test_the_recording_ends_as_the_answer_did(answer: Answer, ending: Ending, missing: int, tmp_path: Path) -> None:
    with proxied(answer, cassette=tmp_path / "c.yaml") as (_server, proxy):
        ask(proxy.url + PATH)
        told = proxy.wait_for(1)[0]
    (found,) = transcripts(tmp_path / "c.yaml")
    assert (ending, missing) == (found.ending, found.missing)
    assert b"".join(answer.pieces) == found.body
    assert answer.framing != "chunked" or list(map(len, answer.pieces)) == list(found.lengths)
    assert "openai_chat" == found.dialect
    assert (str(ending), missing) == (told["ending"], told.get("missing", 0))


@pytest.mark.parametrize("short", [0, 9])
def test_a_client_that_goes_away_ends_the_recording_and_the_upstream_s_work(short: int, tmp_path: Path) -> None:
    with proxied(Answer(PIECES[:3], end="hang", short=short), cassette=tmp_path / "c.yaml") as (_server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH))
            data = b""
            while PIECES[2] not in data:
                data += connection.recv(65536)
        told = proxy.wait_for(1)[0]
    assert ("client_closed", "client_closed") == (told["ended"], told["ending"])
    (found,) = transcripts(tmp_path / "c.yaml")
    assert (Ending.CLIENT_CLOSED, short) == (found.ending, found.missing)
    assert PIECES[:3] == [chunk.data for chunk in found.chunks]


def test_a_client_that_goes_before_the_answer_leaves_nothing(tmp_path: Path) -> None:
    with proxied_raw(None, cassette=tmp_path / "c.yaml") as (_server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH))
        assert "nothing" == proxy.wait_for(1)[0]["answer"]
    assert not (tmp_path / "c.yaml").exists()


def test_the_end_of_http_is_awaited_for_a_client_that_closes_at_done(tmp_path: Path) -> None:
    gone = threading.Event()

    def before(number: int) -> None:
        if number == len(PIECES):
            gone.wait(10)

    with proxied(Answer([*PIECES, b": after the end\n\n"], before=before), cassette=tmp_path / "c.yaml") as (
        _server,
        proxy,
    ):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH))
            data = b""
            while b"[DONE]\n\n" not in data:
                data += connection.recv(65536)
        gone.set()
        assert "complete" == proxy.wait_for(1)[0]["ending"]


def test_what_is_under_way_when_the_proxy_stops_is_kept_and_the_client_is_not_deceived(tmp_path: Path) -> None:
    answer = Answer(PIECES[:2], framing="close", end="hang")
    with (
        proxied(answer, cassette=tmp_path / "c.yaml") as (_server, proxy),
        connect(proxy.url) as connection,
    ):
        connection.sendall(request(proxy.url + PATH))
        data = b""
        while PIECES[1] not in data:
            data += connection.recv(65536)
        proxy.close()
        with pytest.raises(ConnectionResetError):
            connection.recv(65536)
    (found,) = transcripts(tmp_path / "c.yaml")
    assert (Ending.CLIENT_CLOSED, b"".join(PIECES[:2])) == (found.ending, found.body)


def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path: Path) -> None:
    piece = b"x" * 65536
    sent = 0

    def before(number: int) -> None:
        nonlocal sent
        sent = number

    with proxied(Answer([piece] * 1600, before=before), cassette=tmp_path / "c.yaml") as (_server, proxy):  # 100 MB
        with connect(proxy.url, receive_buffer=65536) as connection:
            connection.sendall(request(proxy.url + "/large"))
            last = -1
            while last != sent or not sent:  # until nothing more is taken for a while
                last = sent
                threading.Event().wait(0.5)
            assert sent < 800
        proxy.wait_for(1)
