"""Blocking the network: what no cassette answers cannot reach a server by another way."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from unittest import mock

from streamkit.errors import NetworkBlockedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["network_blocked"]


@contextmanager
def network_blocked(allowed: Sequence[str] = ()) -> Iterator[None]:
    """Let every connection that this process makes fail, by any client that uses Python's sockets.

    Unix sockets work, and so do connections that others make to this process. The local host is blocked like any other.

    Args:
        allowed: hosts that may be reached, such as "127.0.0.1", "localhost:8080" or "*.example.org".

    Raises:
        NetworkBlockedError: in place of the connection.
    """
    real = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
    lookup = socket.getaddrinfo

    def guarded(name: str) -> Any:
        def method(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1] if arguments else None
            if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
                _check(str(address[0]), address[1] if len(address) > 1 else None, allowed)
            return real[name](self, *arguments)

        return method

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name and not _is_number(str(name)) and str(name) != "localhost":
            _check(str(name), port, allowed)
        return lookup(host, port, *arguments, **options)

    methods = mock.patch.multiple(socket.socket, **{name: guarded(name) for name in real})
    with methods, mock.patch.object(socket, "getaddrinfo", getaddrinfo):
        yield


def _is_number(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False


def _check(host: str, port: Any, allowed: Sequence[str]) -> None:
    names = {host, f"{host}:{port}"}
    if host in ("127.0.0.1", "::1"):
        names |= {"localhost", f"localhost:{port}"}
    if not any(fnmatchcase(name, pattern) for name in names for pattern in allowed):
        raise NetworkBlockedError(host, port)
