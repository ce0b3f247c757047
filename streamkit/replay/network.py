"""Blocking the network: what no cassette answers cannot reach a server by another way."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from unittest import mock

from streamkit.errors import NetworkBlockedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["network_blocked", "reachable"]

# Methods of a socket that send to an address, with the place of that address among their arguments.
_METHODS = {"connect": 0, "connect_ex": 0, "sendto": -1, "sendmsg": 3}
_LOOKUPS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


@contextmanager
def network_blocked(allowed: Sequence[str] = ()) -> Iterator[None]:
    """Let every connection that this process makes fail, by any client that uses Python's sockets.

    Unix sockets work, and so do connections that others make to this process. The local host is blocked like any other.

    Args:
        allowed: hosts that may be reached, such as "127.0.0.1", "localhost:8080" or "*.example.org".

    Raises:
        NetworkBlockedError: in place of the connection.
    """
    guard = _Guard(allowed)
    methods = {name: guard.method(getattr(socket.socket, name), place) for name, place in _METHODS.items()
               if hasattr(socket.socket, name)}  # fmt: skip
    lookups = {name: guard.lookup(name, getattr(socket, name)) for name in _LOOKUPS}
    pairs = {"socketpair": guard.pair(socket.socketpair)}
    with mock.patch.multiple(socket.socket, **methods), mock.patch.multiple(socket, **lookups, **pairs):
        yield


# Where servers of ours listen in this process. They are no network, and the block cannot be told of each of them: it
# may be older than they are.
_ours: list[tuple[str, int]] = []


@contextmanager
def reachable(host: str, port: int) -> Iterator[None]:
    """Leave a server that this process runs for its own clients reachable, whatever is blocked."""
    address = (host.lower(), port)
    _ours.append(address)
    try:
        yield
    finally:
        _ours.remove(address)


class _Guard:
    """Makes the guarded variants of what it is given, and remembers which address belongs to which allowed name."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = [_split(pattern.lower()) for pattern in allowed]
        self._names: dict[str, set[str]] = {}
        self._pairing = threading.local()

    def method(self, real: Any, place: int) -> Any:
        def method(this: socket.socket, *arguments: Any) -> Any:
            address = arguments[place] if -1 <= place < len(arguments) and arguments else None
            inet = this.family in (socket.AF_INET, socket.AF_INET6)
            if inet and isinstance(address, tuple) and not getattr(self._pairing, "active", False):
                try:
                    self._check(_text(address[0]), address[1] if len(address) > 1 else None)
                except NetworkBlockedError:
                    if place == 0:  # clients close what could not be connected for an OSError only
                        this.close()
                    raise
            return real(this, *arguments)

        return method

    def lookup(self, kind: str, real: Any) -> Any:
        def lookup(host: Any, port: Any = None, *arguments: Any, **options: Any) -> Any:
            name = _text(host)
            given = (host, port, *arguments) if kind == "getaddrinfo" else (host,)
            if not name or _is_number(name) or name == "localhost":
                return real(*given, **options)
            self._check(name, port)
            found = real(*given, **options)
            for address in _addresses(found):
                self._names.setdefault(address, set()).add(name)
            return found

        return lookup

    def pair(self, real: Any) -> Any:
        """Let a pair of sockets be made: where the system has none, Python connects the two over the local host."""

        def socketpair(*arguments: Any, **options: Any) -> Any:
            self._pairing.active = True
            try:
                return real(*arguments, **options)
            finally:
                self._pairing.active = False

        return socketpair

    def _check(self, host: str, port: Any) -> None:
        if (host, port) in _ours:
            return
        names = {host, *self._names.get(host, ())}
        if host in ("127.0.0.1", "::1"):
            names.add("localhost")
        if not any(
            fnmatchcase(name, pattern) and (number is None or port in (None, 0) or str(port) == number)
            for name in names
            for pattern, number in self._allowed
        ):
            raise NetworkBlockedError(host, port)


def _split(pattern: str) -> tuple[str, str | None]:
    """Return the host and the port of a pattern; None for any port."""
    host, _, port = pattern.rpartition(":")
    if not port.isdigit() or not host or (":" in host and not host.startswith("[")):
        host, port = pattern, ""
    if host.startswith("[") and host.endswith("]") and ":" in host:
        host = host[1:-1]
    return host, port or None


def _text(host: Any) -> str:
    return (bytes(host).decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")).lower()


def _addresses(found: Any) -> list[str]:
    """Return the addresses in what one of the lookups gave."""
    if isinstance(found, str):
        return [found]
    if isinstance(found, tuple):
        return list(found[2])
    return [str(address[0]) for *_, address in found]


def _is_number(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False
