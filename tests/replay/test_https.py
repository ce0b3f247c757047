"""Recording and replay over TLS: the connection is another, the chunks are the same."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from skhelpers.recording import BODY, PIECES
from skhelpers.server import Answer, StreamServer

import streamkit


class TLSServer(StreamServer):
    """The loopback server behind TLS."""

    def __init__(self, certificate: trustme.LeafCert, *answers: Answer) -> None:
        super().__init__(*answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self.url = self.url.replace("http://127.0.0.1", "https://localhost")


def _httpx(url: str, bundle: str, name: str) -> list[bytes]:
    module: Any = pytest.importorskip(name)
    context = ssl.create_default_context(cafile=bundle)
    with module.Client(verify=context) as client, client.stream("POST", url, json={"a": 1}) as response:
        return list(response.iter_raw())


def _requests(url: str, bundle: str) -> list[bytes]:
    import requests

    with requests.post(url, json={"a": 1}, stream=True, verify=bundle, timeout=5) as response:
        return list(response.iter_content(None))


def _urllib(url: str, bundle: str) -> list[bytes]:
    context = ssl.create_default_context(cafile=bundle)
    request = urllib.request.Request(url, b'{"a": 1}', {"Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, context=context, timeout=5) as response:  # noqa: S310 - loopback
        return [response.read()]


def _aiohttp(url: str, bundle: str) -> list[bytes]:
    import asyncio

    import aiohttp

    async def read() -> list[bytes]:
        context = ssl.create_default_context(cafile=bundle)
        async with aiohttp.ClientSession() as session, session.post(url, json={"a": 1}, ssl=context) as response:
            # an HTTP chunk whose end comes in a read of its own is told by an empty piece
            return [chunk async for chunk, _ in response.content.iter_chunks() if chunk]

    return asyncio.run(read())


CLIENTS: dict[str, Callable[[str, str], list[bytes]]] = {
    "httpx": lambda url, bundle: _httpx(url, bundle, "httpx"),
    "httpx2": lambda url, bundle: _httpx(url, bundle, "httpx2"),
    "requests": _requests,
    "urllib.request": _urllib,
    "aiohttp": _aiohttp,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_over_tls_is_recorded_and_replayed_without_a_connection(client: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    path = tmp_path / "one.yaml"
    with TLSServer(authority.issue_cert("localhost"), Answer(PIECES, gap=0.01)) as server:
        url = server.url + "/v1/chat"
        with streamkit.use_cassette(path) as cassette:
            live = CLIENTS[client](url, str(bundle))
        assert PIECES == [chunk.data for chunk in cassette.recorded[0].chunks]
    with streamkit.use_cassette(path, record_mode="none"), streamkit.replay.network_blocked():
        again = CLIENTS[client](url, str(bundle))
    assert (BODY, live) == (b"".join(live), again)
