"""One connection of a client: requests in, bytes out. h11 reads HTTP, asyncio the socket.

Every write waits until the kernel has taken all of it, so that memory holds one piece a connection, and a piece is one
write.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from streamkit.server.client_queue import ClientQueue

if TYPE_CHECKING:
    from streamkit.transcript import Headers

__all__ = ["Connection", "Limits", "Received", "Unreadable"]

_LINGER = 2.0  # seconds; a socket that is closed with unread bytes is reset, and the answer with it
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


@dataclass(frozen=True)
class Limits:
    """What one client may take.

    Attributes:
        head: bytes of a request's head.
        body: bytes of its body.
        read: seconds for a request to come whole, once it has begun.
        write: seconds for a client to take one write.
        idle: seconds for the next request on a connection.
    """

    head: int = 64 * 1024
    body: int = 64 * 1024 * 1024
    read: float = 60.0
    write: float = 60.0
    idle: float = 120.0


@dataclass(frozen=True)
class Unreadable:
    """What a client sent that is no request.

    Attributes:
        message: why.
        status: what to answer.
    """

    message: str
    status: int = 400


class _Broken(Exception):  # noqa: N818 - a signal within this module
    """The request under way cannot be read."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.unreadable = Unreadable(message, status)


@dataclass(frozen=True)
class Received:
    """A request as it came.

    Attributes:
        method: as sent.
        target: the request target, undecoded: path and query.
        headers: names as sent.
        body: whole.
    """

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name, whatever its case, or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Connection:
    """A client's connection.

    Args:
        reader: asyncio's.
        writer: asyncio's; its socket gets TCP_NODELAY, and no buffer of asyncio's.
        limits: what the client may take.

    Attributes:
        h11: the server's side of HTTP; moves on with what is sent.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        self._read = 0
        writer.transport.set_write_buffer_limits(high=0)
        one: socket.socket | None = writer.get_extra_info("socket")
        self._socket = one
        if one is not None:
            with suppress(OSError):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def request(self) -> Received | Unreadable | None:
        """Return the next request; None if the client has closed the connection, or sends nothing more."""
        try:
            return await self._request()
        except _Broken as broken:
            return broken.unreadable

    async def _request(self) -> Received | None:
        if self.h11.our_state is h11.DONE:
            self.h11.start_next_cycle()
        self._read = 0
        try:
            head = await self._event(self._limits.idle)
        except TimeoutError:
            if not self._read:
                return None
            raise _Broken(f"no whole request came within {self._limits.idle:g} seconds", 408) from None
        if not isinstance(head, h11.Request):
            return None
        try:
            async with asyncio.timeout(self._limits.read):
                body = await self._body()
        except TimeoutError:
            raise _Broken(f"the body did not come whole within {self._limits.read:g} seconds", 408) from None
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers.raw_items())
        return Received(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, body)

    async def _body(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        if self.h11.they_are_waiting_for_100_continue:
            await self.write(self.h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        while True:
            event = await self._event(None)
            if isinstance(event, h11.EndOfMessage):
                return b"".join(parts)
            if not isinstance(event, h11.Data):
                raise _Broken("the connection was closed before the end of the request's body")
            size += len(event.data)
            if size > self._limits.body:
                raise _Broken(f"the request's body has more than {self._limits.body} bytes", 413)
            parts.append(bytes(event.data))

    async def _event(self, seconds: float | None) -> object:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    event = self.h11.next_event()
                    if event is not h11.NEED_DATA:
                        return event
                    data = await self._reader.read(65536)
                    self._read += len(data)
                    self.h11.receive_data(data)
                except h11.RemoteProtocolError as error:
                    if not self._read or (not str(error).strip() and self.h11.their_state is h11.ERROR):
                        return None
                    why = str(error).partition(": b")[0]  # what follows is what was sent, and may be a secret
                    raise _Broken(f"the request cannot be read: {why}", error.error_status_hint) from None

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait until the kernel has them all; errors as for `put` and `taken`."""
        if not self.put(data):
            await self.taken()

    def put(self, data: bytes) -> bool:
        """Send bytes, as one write; return whether the kernel has them all. If not, wait for that with `taken`.

        Raises:
            ConnectionError: the client has gone.
        """
        transport = self._writer.transport
        if transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        transport.write(data)
        return not transport.get_write_buffer_size()

    async def taken(self) -> None:
        """Wait until the kernel has all that was sent; others have their turn.

        Raises:
            TimeoutError: the client takes none for too long.
            ConnectionError: the client has gone.
        """
        if not self._writer.transport.get_write_buffer_size():
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(self._limits.write):
                await self._writer.drain()
        except TimeoutError:
            raise TimeoutError(f"the client has read nothing for {self._limits.write:g} seconds") from None

    def client_queue(self) -> ClientQueue:
        """Return the receive queue of the client."""
        return ClientQueue(self._socket)

    async def gone(self, seconds: float | None = None) -> bool:
        """Wait until the client closes the connection, and return True; False if the time is over before."""
        try:
            async with asyncio.timeout(seconds):
                while await self._reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    async def left(self) -> None:
        """Wait until the client closes the connection; what it sends before that is kept for its next request."""
        kept = 0
        while kept <= self._limits.head:
            try:
                data = await self._reader.read(65536)
            except OSError:
                return
            if not data:
                return
            kept += len(data)
            self.h11.receive_data(data)
        await asyncio.Event().wait()  # it sends ahead: the rest is read when its turn comes

    def answered(self) -> bool:
        """Take it that the request was answered, by bytes that h11 has not made; return whether another may come."""
        if self.h11.our_state is h11.SEND_RESPONSE:
            self.h11.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            self.h11.send(h11.EndOfMessage())
        return self.h11.our_state is h11.DONE

    @property
    def old(self) -> bool:
        """Whether the client speaks HTTP/1.0, and so reads no HTTP chunks."""
        version = self.h11.their_http_version
        return version is not None and version < b"1.1"

    async def refuse(self, answer: bytes) -> None:
        """Send a last answer to a client that may still be sending, and let it read that before the connection ends."""
        with suppress(OSError):  # also a TimeoutError
            await self.write(answer)
            self._writer.write_eof()
            await self.gone(_LINGER)

    async def reset(self) -> None:
        """Reset the connection (RST), after everything sent has reached the client's kernel."""
        if self._socket is not None:
            await self._arrived(self._socket)
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _arrived(self, one: socket.socket) -> None:
        """Wait until nothing sent is without acknowledgement: a reset throws that away.

        Where the system cannot tell (it is asked with SIOCOUTQ, which Linux has), a twentieth of a second must do.
        """
        try:
            import fcntl
            import termios

            deadline = asyncio.get_running_loop().time() + self._limits.write
            while one.fileno() >= 0 and struct.unpack("i", fcntl.ioctl(one, termios.TIOCOUTQ, b"\0\0\0\0"))[0]:
                if asyncio.get_running_loop().time() > deadline:
                    return
                await asyncio.sleep(0.001)
        except (ImportError, OSError, AttributeError):
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Close the connection in order (FIN): all that was sent arrives."""
        try:
            self._writer.close()
            async with asyncio.timeout(self._limits.write):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def abort(self) -> None:
        """Close the connection at once, whatever is under way."""
        self._writer.transport.abort()
