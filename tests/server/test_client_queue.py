"""`apart`: a client reads each write by itself, however slow it is."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time

import pytest

from streamkit.replay.delivery import Delivery
from streamkit.server import How, ReplayServer
from streamkit.server.client_queue import ClientQueue
from streamkit.transcript import ResponseHead

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a client has not read")


def pair(family: socket.AddressFamily, address: str) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection."""
    with socket.create_server((address, 0), family=family) as listening:
        client = socket.create_connection(listening.getsockname()[:2])
        return listening.accept()[0], client


@linux
@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_the_queue_tells_what_the_client_has_not_read(family: socket.AddressFamily, address: str) -> None:
    server, client = pair(family, address)
    with server, client, ClientQueue(server) as queue:
        assert 0 == queue.size()
        server.sendall(b"12345")
        assert 5 == queue.size()
        client.recv(2)
        assert 3 == queue.size()
        assert not asyncio.run(queue.empty(0.01))
        threading.Timer(0.05, client.recv, [3]).start()
        assert asyncio.run(queue.empty(10))


def test_where_nothing_is_told_a_moment_must_do() -> None:
    with ClientQueue(None) as queue:
        assert queue.size() is None
        assert asyncio.run(queue.empty(10))


def reads(url: str, pause: float) -> list[bytes]:
    """Ask for a stream and return what each read gives, the head left out."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    found = []
    with socket.create_connection((name, int(port))) as client:
        client.sendall(f"POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n".encode())
        while data := client.recv(65536):
            found.append(data)
            if data.endswith(b"0\r\n\r\n"):
                break
            time.sleep(pause)
    head = next(n for n in range(len(found)) if b"\r\n\r\n" in b"".join(found[: n + 1]))
    rest = b"".join(found[: head + 1]).partition(b"\r\n\r\n")[2]
    return [*([rest] if rest else []), *found[head + 1 :]]


@linux
def test_a_slow_reader_gets_one_chunk_a_read() -> None:
    chunks = [b"a", b"bb", b"ccc", b"dddd", b"eeeee"]
    with ReplayServer([]) as server, server.offer(Delivery(ResponseHead(), chunks), How(apart=10)) as offer:
        found = [one.split(b"\r\n")[1] for one in reads(offer.url, 0.01)]
    assert chunks == [one for one in found if one]


@linux
def test_only_the_first_writes_are_waited_for() -> None:
    chunks = [b"a", b"bb", b"ccc", b"dddd", b"eeeee"]
    with ReplayServer([]) as server, server.offer(Delivery(ResponseHead(), chunks), How(apart=2)) as offer:
        found = reads(offer.url, 0.05)
    assert [b"1\r\na\r\n", b"2\r\nbb\r\n"] == found[:2]
    assert 4 >= len(found)
