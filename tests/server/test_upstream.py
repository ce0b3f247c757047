"""Where the upstream is, what goes there, and over which proxy."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from skhelpers.proxied import PATH
from skhelpers.raw_http import ask
from skhelpers.raw_server import RawServer

from streamkit.errors import UsageError
from streamkit.server import RecordingProxy
from streamkit.server.env_proxy import EnvProxy
from streamkit.server.upstream import Upstream

RAW = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "url", ["api.openai.com", "", "ftp://host", "https://", "http://host:port", "http://host:99999", "http://[::1",
            "https://host/v1?x=1", "https://user:secret@host", "https://host#x"],
)  # fmt: skip
def test_a_url_that_is_no_upstream_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="upstream") as raised:
        Upstream(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "target", "expected"),
    [
        ("https://api.openai.com", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "/v1/x?a=%2F", "https://api.openai.com/v1/x?a=%2F"),
        ("HTTPS://API.openai.com:443", "/v1/x", "https://api.openai.com/v1/x"),
        ("http://localhost:8080", "/", "http://localhost:8080/"),
        ("http://[::1]:8080/api", "/x", "http://[::1]:8080/api/x"),
        ("https://openrouter.ai/api/v1", "/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "/api/v1/models", "https://openrouter.ai/api/v1/models"),
        ("https://openrouter.ai/api/v1", "/v1?x", "https://openrouter.ai/api/v1?x"),
        ("https://openrouter.ai/api/v1", "/v10/x", "https://openrouter.ai/api/v1/v10/x"),
    ],
)
def test_a_target_is_asked_below_the_upstream(url: str, target: str, expected: str) -> None:
    assert expected == Upstream(url).url(target)


def forget_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_requests_go_over_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_proxies(monkeypatch)
    with RawServer(RAW) as way:
        monkeypatch.setenv("http_proxy", way.url.replace("http://", "http://me:p%40ss@"))
        with RecordingProxy("http://upstream.invalid:8080", tmp_path / "c.yaml") as proxy:
            assert [b"ok"] == ask(proxy.url + PATH).chunks
        asked = way.asked[0].decode()
    assert asked.startswith(f"POST http://upstream.invalid:8080{PATH} HTTP/1.1\r\nHost: upstream.invalid:8080\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:p@ss').decode()}\r\n" in asked
    assert "p@ss" not in (tmp_path / "c.yaml").read_text()


class Tunnel:
    """A proxy that opens one way (CONNECT), to a port of this computer, and then hands on bytes."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self._port = port
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client, _ = self._socket.accept()
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(65536)
            client.sendall(self._answer)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join(5)

    @staticmethod
    def _copy(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._thread.join(5)
        self._socket.close()


def test_tls_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_proxies(monkeypatch)
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("upstream.invalid").configure_cert(context)
    authority.configure_trust(trusting)
    with RawServer(RAW, context=context) as server:
        tunnel = Tunnel(int(server.url.rpartition(":")[2]))
        monkeypatch.setenv("https_proxy", tunnel.url)
        with RecordingProxy("https://upstream.invalid", tmp_path / "c.yaml", context=trusting) as proxy:
            assert [b"ok"] == ask(proxy.url + PATH).chunks
        tunnel.close()
    assert tunnel.asked.startswith(b"CONNECT upstream.invalid:443 HTTP/1.1\r\nHost: upstream.invalid:443\r\n")


def test_a_tunnel_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_proxies(monkeypatch)
    with RawServer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as way:
        monkeypatch.setenv("https_proxy", way.url)
        with RecordingProxy("https://upstream.invalid", tmp_path / "c.yaml") as proxy:
            found = ask(proxy.url + PATH)
    assert 502 == found.status
    assert b"opens no way to upstream.invalid:443: 407" in found.body


def test_no_proxy_is_used_for_this_computer_nor_where_it_is_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_proxies(monkeypatch)
    monkeypatch.setenv("all_proxy", "http://way:3128")
    assert EnvProxy.of("http", "127.0.0.1", 80) is None
    assert EnvProxy.of("http", "localhost", 80) is None
    found = EnvProxy.of("https", "api.openai.com", 443)
    assert found is not None
    assert ("way", 3128, True) == (found.host, found.port, found.tunnels)
    monkeypatch.setenv("no_proxy", "openai.com")
    assert EnvProxy.of("https", "api.openai.com", 443) is None


def test_a_proxy_that_cannot_be_used_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_proxies(monkeypatch)
    monkeypatch.setenv("https_proxy", "socks5://me:secret@way:1080")
    with pytest.raises(UsageError, match="NO_PROXY") as raised:
        Upstream("https://api.openai.com")
    assert "secret" not in str(raised.value)
