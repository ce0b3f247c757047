"""What goes wrong at either end is told to the client in its API's words, to the log, and is no end of the proxy."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme
from skhelpers.proxied import PATH, proxied, proxied_raw
from skhelpers.raw_http import ask, connect, reply, request
from skhelpers.raw_server import RawServer
from skhelpers.server import Answer, body, pieces

from streamkit.cassettes import load_cassette
from streamkit.server import RecordingProxy
from streamkit.server.upstream import Patience

PIECES = pieces(body())
RAW = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def refused_url() -> str:
    """Return a URL at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def failure(upstream: str, tmp_path: Path, path: str = PATH, **options: Any) -> tuple[int, dict[str, Any], Any]:
    """Return status and error that a client gets, and what the log says."""
    with RecordingProxy(upstream, tmp_path / "c.yaml", **options) as proxy:
        found = ask(proxy.url + path)
        told = proxy.wait_for(1)[0]
    assert not (tmp_path / "c.yaml").exists()
    assert ("no_answer", found.status) == (told["answer"], told["status"])
    return found.status, json.loads(found.body)["error"], told["reason"]


def test_nobody_listens(tmp_path: Path) -> None:
    url = refused_url()
    status, error, reason = failure(url, tmp_path)
    assert (502, "server_error", "refused") == (status, error["type"], reason)
    assert f"{url} refuses the connection" in error["message"]
    assert {"reason": "refused"} == error["streamkit"]


def test_the_error_has_the_shape_of_the_api_that_was_asked(tmp_path: Path) -> None:
    _, error, _ = failure(refused_url(), tmp_path, "/v1/messages")
    assert "api_error" == error["type"]
    _, error, _ = failure(refused_url(), tmp_path, "/v1beta/models/m:streamGenerateContent?alt=sse")
    assert "UNAVAILABLE" == error["status"]


def test_the_name_of_the_host_is_unknown(tmp_path: Path) -> None:
    status, error, reason = failure("http://no-such-host.invalid", tmp_path)
    assert (502, "dns") == (status, reason)
    assert "no-such-host.invalid" in error["message"]


def test_no_answer_comes_in_time(tmp_path: Path) -> None:
    with proxied_raw(None, cassette=tmp_path / "c.yaml", patience=Patience(read=0.2)) as (_, proxy):
        found = ask(proxy.url + PATH)
        assert (504, "timeout") == (found.status, proxy.wait_for(1)[0]["reason"])
    assert b"gave no answer within 0.2 seconds" in found.body


def test_the_upstream_takes_no_connection(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # they fill the queue, and nobody accepts
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        status, _, reason = failure(url, tmp_path, patience=Patience(connect=0.2))
        for one in waiting:
            one.close()
    assert (504, "timeout") == (status, reason)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "closed"), (b"HTTP/1.1 200", "closed"), (b"SSH-2.0-x\r\n\r\n", "protocol"),
     (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "protocol"), (b"HTTP/1.1 100 Continue\r\n\r\n", "closed")],
)  # fmt: skip
def test_the_upstream_does_not_speak_http(raw: bytes, reason: str, tmp_path: Path) -> None:
    with proxied_raw(raw, cassette=tmp_path / "c.yaml") as (_, proxy):
        assert 502 == ask(proxy.url + PATH).status
        assert reason == proxy.wait_for(1)[0]["reason"]


@pytest.mark.parametrize(
    "raw", [b"Bearer KEY\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx KEY\r\n\r\n"]
)
def test_a_key_in_what_is_no_http_comes_neither_into_the_log_nor_the_cassette(raw: bytes, tmp_path: Path) -> None:
    path, key = tmp_path / "c.yaml", "a-key-of-no-known-shape-1234"
    with proxied_raw(raw.replace(b"KEY", key.encode()), cassette=path, key=key) as (_, proxy):
        with connect(proxy.url) as client:
            client.sendall(request(proxy.url + PATH))
            assert client.recv(65536)
            assert "illegal" in proxy.wait_for(1)[0]["error"]
        assert key not in str(proxy.log)
    assert not path.exists() or key not in path.read_text("utf-8")


def test_an_upstream_that_falls_silent_breaks_the_stream_and_is_recorded_so(tmp_path: Path) -> None:
    answer = Answer(PIECES[:3], end="hang")
    with proxied(answer, cassette=tmp_path / "c.yaml", patience=Patience(read=0.3)) as (_, proxy):
        found = ask(proxy.url + PATH)
        assert "timeout" == proxy.wait_for(1)[0]["ending"]
    assert (PIECES[:3], "reset") == (found.chunks, found.ended)
    (recorded,) = load_cassette(tmp_path / "c.yaml").transcripts
    assert ("timeout", PIECES[:3]) == (str(recorded.ending), [chunk.data for chunk in recorded.chunks])


def test_an_answer_that_is_an_error_is_recorded(tmp_path: Path) -> None:
    answer = Answer([b'{"error":{}}'], status="503 Busy", framing="length", headers=["Content-Type: application/json"])
    with proxied(answer, cassette=tmp_path / "c.yaml") as (_, proxy):
        assert 503 == ask(proxy.url + PATH).status
    (recorded,) = load_cassette(tmp_path / "c.yaml").transcripts
    assert (503, "Busy", b'{"error":{}}') == (recorded.head.status, recorded.head.reason, recorded.body)


# -- TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def https(authority: trustme.CA) -> RawServer:
    """A server that speaks TLS; not started."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = RawServer(RAW, context=context)
    server.url = server.url.replace("http:", "https:")
    return server


def test_an_upstream_behind_tls_is_recorded(https: RawServer, authority: trustme.CA, tmp_path: Path) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with https, RecordingProxy(https.url, tmp_path / "c.yaml", context=trusting) as proxy:
        assert [b"ok"] == ask(proxy.url + PATH).chunks
    (one,) = load_cassette(tmp_path / "c.yaml").interactions
    assert f"{https.url}{PATH}" == one.request.url


def test_a_certificate_of_an_unknown_authority_is_refused(https: RawServer, tmp_path: Path) -> None:
    with https:
        status, error, reason = failure(https.url, tmp_path)
    assert (502, "tls") == (status, reason)
    assert "certificate" in error["message"] or "issuer" in error["message"]


def test_the_authorities_that_the_environment_names_are_trusted(
    https: RawServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with https, RecordingProxy(https.url, tmp_path / "c.yaml") as proxy:
        assert [b"ok"] == ask(proxy.url + PATH).chunks


def test_a_server_without_tls_is_no_https_upstream(tmp_path: Path) -> None:
    def answer() -> None:
        connection, _ = plain.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as plain:
        thread = threading.Thread(target=answer)
        thread.start()
        status, _, reason = failure(f"https://127.0.0.1:{plain.getsockname()[1]}", tmp_path)
        thread.join(5)
    assert (502, "tls") == (status, reason)


# -- clients

MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a bad header": b"POST / HTTP/1.1\r\nHost: h\r\nno colon here\r\n\r\n",
    "two hosts": b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a bad length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a head without end": b"POST / HTTP/1.1\r\nX: " + b"x" * 200_000,
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_request_that_cannot_be_read_is_told_so_and_the_next_is_answered(sent: bytes, tmp_path: Path) -> None:
    with proxied_raw(RAW, cassette=tmp_path / "c.yaml") as (server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(sent)
            found = reply(connection)
        assert 400 <= found.status < 500
        assert {"message", "type", "param", "code"} <= set(json.loads(found.body)["error"])
        assert [b"ok"] == ask(proxy.url + PATH).chunks
        assert 1 == len(server.asked)


def test_a_client_that_takes_it_for_a_forward_proxy_is_told_what_it_is(tmp_path: Path) -> None:
    with proxied_raw(RAW, cassette=tmp_path / "c.yaml") as (server, proxy):
        for line in (b"CONNECT api.openai.com:443 HTTP/1.1", b"POST http://example.com/v1/x HTTP/1.1"):
            with connect(proxy.url) as connection:
                connection.sendall(line + b"\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n")
                found = reply(connection)
            assert 400 == found.status
            assert b"base URL" in found.body
        assert [] == server.asked


def test_a_request_may_name_the_proxy_whole(tmp_path: Path) -> None:
    with proxied_raw(RAW, cassette=tmp_path / "c.yaml") as (server, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(request(proxy.url + PATH).replace(b"POST ", b"POST " + proxy.url.encode(), 1))
            assert 200 == reply(connection).status
        assert server.asked[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")


def test_the_openai_client_raises_what_it_would_raise_at_the_provider(tmp_path: Path) -> None:
    with RecordingProxy(refused_url(), tmp_path / "c.yaml") as proxy:
        with (
            openai.OpenAI(api_key="k", base_url=proxy.base_url(), max_retries=0) as client,
            pytest.raises(openai.InternalServerError, match="refuses the connection") as raised,
        ):
            client.chat.completions.create(model="m", messages=[])
        assert 502 == raised.value.status_code
