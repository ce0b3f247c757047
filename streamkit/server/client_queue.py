"""What a client on this machine has not read yet: so that it can be given one write after the other.

TCP is a stream: two writes that a client's program has not read become one read. Whoever tests what a parser does with
the pieces must know that each has been taken before the next comes. Linux tells the length of a socket's receive queue
to anybody who asks by netlink (sock_diag(7)), and on loopback the client's socket is as good as ours.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ClientQueue"]

_SOCK_DIAG = 4  # the netlink family, and the request: linux/netlink.h, linux/sock_diag.h
_BY_FAMILY = 20
_REQUEST = 1
_ALL_STATES = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_RECEIVE_QUEUE = 16 + 4 + 48 + 4  # its place in the answer: after nlmsghdr, and within inet_diag_msg
_LOOKS = 20  # before a whole millisecond is waited between two
_MOMENT = 0.00005  # seconds between these
_UNKNOWN = 0.003  # seconds that must do where the system does not tell


class ClientQueue:
    """The receive queue of the other end of a connection. A context manager.

    Args:
        one: our end, connected within this machine; None where there is no socket to ask about.
    """

    def __init__(self, one: socket.socket | None) -> None:
        self._question = b"" if one is None else _question(one)
        self._netlink: socket.socket | None = None

    def __enter__(self) -> ClientQueue:
        if self._question and hasattr(socket, "AF_NETLINK"):
            with suppress(OSError):
                self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
                self._netlink.settimeout(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._netlink is not None:
            self._netlink.close()

    def size(self) -> int | None:
        """Return how many bytes the client's program has not read; None where the system does not tell."""
        if self._netlink is None:
            return None
        try:
            self._netlink.sendto(self._question, (0, 0))
            answer = self._netlink.recv(4096)
        except OSError:
            return None
        if len(answer) < _RECEIVE_QUEUE + 4 or struct.unpack_from("=H", answer, 4)[0] != _BY_FAMILY:
            return None
        return int(struct.unpack_from("=I", answer, _RECEIVE_QUEUE)[0])

    async def empty(self, seconds: float) -> bool:
        """Wait until the client has read everything, and return True; False if it has not in that many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        looks = 0
        while size := self.size():
            if loop.time() > deadline:
                return False
            looks += 1
            if looks < _LOOKS:
                time.sleep(_MOMENT)  # noqa: ASYNC251 - too short for a timer of the loop, and the client gets the processor
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(0.001)
        if size is None:
            await asyncio.sleep(min(seconds, _UNKNOWN))
        return True


def _question(one: socket.socket) -> bytes:
    """Return the request for the socket at the other end."""
    here, there = one.getsockname(), one.getpeername()
    family = one.family
    client, server = (socket.inet_pton(family, name[0]).ljust(16, b"\0") for name in (there, here))
    identity = struct.pack(">HH", there[1], here[1]) + client + server + struct.pack("=I", 0) + _NO_COOKIE
    request = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, _ALL_STATES) + identity
    return struct.pack("=IHHII", 16 + len(request), _BY_FAMILY, _REQUEST, 1, 0) + request
