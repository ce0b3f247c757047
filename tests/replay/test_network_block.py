"""The blocked network: no client of Python's sockets gets out, what stays on this machine works, and all is undone."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from skhelpers.recording import CLIENTS
from skhelpers.server import Answer, StreamServer, body, pieces

from streamkit.errors import NetworkBlockedError
from streamkit.replay.network import network_blocked

PLACES: list[tuple[Any, str]] = [
    *((socket.socket, name) for name in ("connect", "connect_ex", "sendto", "sendmsg") if hasattr(socket.socket, name)),
    *((socket, name) for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "socketpair")),
]


@pytest.fixture
def upstream() -> Iterator[StreamServer]:
    with StreamServer(Answer(pieces(body()))) as server:
        yield server


def port_of(upstream: StreamServer) -> int:
    return int(upstream.url.rpartition(":")[2])


def resolving(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let every name stand for the local host, so that no lookup leaves this machine."""

    def getaddrinfo(host: Any, number: Any, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", number or port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def tells(error: BaseException | None) -> bool:
    """Whether an exception is, or comes of, a connection that was blocked."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(tells, error.exceptions))
    if error is None or isinstance(error, NetworkBlockedError):
        return error is not None
    return tells(error.__cause__ or error.__context__)


# -- what is blocked


def _tcp(port: int) -> None:
    with socket.socket() as s:
        s.connect(("127.0.0.1", port))


def _tcp_connect_ex(port: int) -> None:
    with socket.socket() as s:
        s.connect_ex(("127.0.0.1", port))


def _tcp6(port: int) -> None:
    with socket.socket(socket.AF_INET6) as s:
        s.connect(("::1", port))


def _by_name(port: int) -> None:
    with socket.socket() as s:
        s.connect(("localhost", port))


def _create_connection(port: int) -> None:
    socket.create_connection(("127.0.0.1", port)).close()


def _udp(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("127.0.0.1", port))


def _udp_with_flags(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"x", 0, ("127.0.0.1", port))


def _udp_message(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendmsg([b"x"], [], 0, ("127.0.0.1", port))


def _asyncio(port: int) -> None:
    asyncio.run(_opened(port))


async def _opened(port: int, host: str = "127.0.0.1") -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()


def _asyncio_udp(port: int) -> None:
    async def send() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )
        transport.close()

    asyncio.run(send())


def _http_client(port: int) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/")


def _urllib(port: int) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(f"http://127.0.0.1:{port}/").close()


def _in_a_thread(port: int) -> None:
    found: list[BaseException] = []

    def work() -> None:
        try:
            _tcp(port)
        except NetworkBlockedError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for error in found:
        raise error


WAYS: list[Callable[[int], None]] = [
    _tcp, _tcp_connect_ex, _tcp6, _by_name, _create_connection, _udp, _udp_with_flags, _udp_message, _asyncio,
    _asyncio_udp, _http_client, _urllib, _in_a_thread,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_leads_out(way: Callable[[int], None], upstream: StreamServer) -> None:
    with network_blocked(), pytest.raises(NetworkBlockedError) as caught:
        way(port_of(upstream))
    assert str(port_of(upstream)) == str(caught.value.port)
    assert [] == upstream.seen


@pytest.mark.parametrize("client", sorted(CLIENTS))
def test_no_client_library_gets_out(client: str, upstream: StreamServer) -> None:
    with network_blocked():
        outcome = CLIENTS[client](upstream.url)
    assert tells(outcome.error), outcome.error
    assert [] == upstream.seen


@pytest.mark.parametrize("lookup", ["getaddrinfo", "gethostbyname", "gethostbyname_ex"])
@pytest.mark.parametrize("name", ["api.example.org", "API.Example.org"])
def test_a_name_is_not_looked_up(lookup: str, name: str) -> None:
    arguments = (name, 443) if lookup == "getaddrinfo" else (name,)
    with network_blocked(["other.example.org"]), pytest.raises(NetworkBlockedError) as caught:
        getattr(socket, lookup)(*arguments)
    assert "api.example.org" == caught.value.host


def test_the_error_says_how_to_get_on(upstream: StreamServer) -> None:
    with network_blocked(), pytest.raises(NetworkBlockedError) as caught:
        _tcp(port_of(upstream))
    message = str(caught.value)
    assert f"the network is blocked, and something connects to 127.0.0.1:{port_of(upstream)}." in message
    for way_on in ("--streamkit-record=once", 'allowed_hosts=["127.0.0.1"]', "--streamkit-block-network=off"):
        assert way_on in message


# -- what works


def test_pairs_unix_sockets_and_event_loops_work(tmp_path: Path) -> None:
    with network_blocked():
        one, other = socket.socketpair()
        with one, other:
            one.sendall(b"x")
            assert b"x" == other.recv(1)
        if hasattr(socket, "AF_UNIX"):
            path = str(tmp_path / "s")
            with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
                server.bind(path)
                server.listen()
                client.connect(path)
        assert 3 == asyncio.run(asyncio.sleep(0, 3))


def test_a_pair_that_python_makes_of_two_connections_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where every event loop begins with such a pair."""

    def emulated() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.socket()
            client.connect(server.getsockname())
            return client, server.accept()[0]

    monkeypatch.setattr(socket, "socketpair", emulated)
    with network_blocked():
        one, other = socket.socketpair()
        with one, other, pytest.raises(NetworkBlockedError):
            _tcp(other.getsockname()[1])


def test_others_may_connect_to_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        port = server.getsockname()[1]
        connected = client.connect
        with network_blocked():
            connected(("127.0.0.1", port))  # stands for a client that is not in this process
            peer, _ = server.accept()
            peer.close()


def test_a_connection_that_was_open_before_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        with peer, network_blocked():
            client.sendall(b"x")
            assert b"x" == peer.recv(1)


def test_connected_datagrams_and_buffers_in_a_tuple_are_no_addresses() -> None:
    with (
        socket.socket(type=socket.SOCK_DGRAM) as server,
        socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        with network_blocked():
            assert 2 == client.sendmsg((b"a", b"b"))
            assert 1 == client.send(b"c")
        assert b"ab" == server.recv(9)


# -- hosts that are allowed


@pytest.mark.parametrize(
    "pattern", ["127.0.0.1", "127.0.0.1:{port}", "localhost", "LOCALHOST:{port}", "127.*", "*:{port}", "*"]
)
def test_an_allowed_host_is_reached(pattern: str, upstream: StreamServer) -> None:
    with network_blocked(["other", pattern.format(port=port_of(upstream))]):
        _tcp(port_of(upstream))
        _asyncio(port_of(upstream))


@pytest.mark.parametrize("pattern", ["127.0.0.1:1", "localhost:1", "127.0.0.2", "127", "example.org", "*.0.0.2", ""])
def test_a_host_that_is_not_quite_allowed_is_not_reached(pattern: str, upstream: StreamServer) -> None:
    with network_blocked([pattern]), pytest.raises(NetworkBlockedError):
        _tcp(port_of(upstream))


@pytest.mark.parametrize("pattern", ["::1", "[::1]", "[::1]:{port}", "localhost"])
def test_an_allowed_host_may_have_an_address_of_the_sixth_version(pattern: str) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server, network_blocked([pattern.format(port=server.getsockname()[1])]):
        _tcp6(server.getsockname()[1])


@pytest.mark.parametrize(
    "pattern", ["api.example.org", "API.example.ORG", "*.example.org", "api.example.org:{port}", "*.org:{port}"]
)
def test_a_name_that_is_allowed_is_reached_at_the_address_that_it_has(
    pattern: str, upstream: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = port_of(upstream)
    resolving(monkeypatch, port)
    with network_blocked([pattern.format(port=port)]):
        connection = socket.create_connection(("api.example.org", port))
        connection.close()
        asyncio.run(_opened(port, "api.example.org"))
        with pytest.raises(NetworkBlockedError):
            socket.create_connection(("api.example.com", port))


def test_the_port_of_an_allowed_name_counts_at_its_address(
    upstream: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, port_of(upstream))
    with network_blocked(["api.example.org:443"]):
        assert socket.getaddrinfo("api.example.org", None)
        with pytest.raises(NetworkBlockedError):
            _tcp(port_of(upstream))


# -- it is undone


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before(fails: bool, upstream: StreamServer) -> None:
    before = [(name, place.__dict__.get(name)) for place, name in PLACES]
    with contextlib.suppress(RuntimeError), network_blocked():
        assert before != [(name, place.__dict__.get(name)) for place, name in PLACES]
        if fails:
            raise RuntimeError
    assert before == [(name, place.__dict__.get(name)) for place, name in PLACES]
    _tcp(port_of(upstream))


def test_of_two_blocks_the_stricter_holds(upstream: StreamServer) -> None:
    port = port_of(upstream)
    with network_blocked(["127.0.0.1"]):
        with network_blocked(["127.0.0.2"]), pytest.raises(NetworkBlockedError):
            _tcp(port)
        _tcp(port)
        with network_blocked(["localhost"]):
            _tcp(port)
            _create_connection(port)
            assert socket.getaddrinfo("localhost", port)


@pytest.mark.skipif(find_spec("anyio") is None, reason="anyio is not installed")
def test_anyio_is_blocked_too(upstream: StreamServer) -> None:
    import anyio

    async def connect() -> None:
        await anyio.connect_tcp("127.0.0.1", port_of(upstream))

    with network_blocked(), pytest.raises((NetworkBlockedError, ExceptionGroup)) as caught:
        anyio.run(connect)
    assert tells(caught.value)
