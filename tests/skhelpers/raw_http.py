"""A client of HTTP/1.1 that hides nothing: what came in which HTTP chunk, and how the connection ended."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Reply:
    """A response as it was on the wire.

    Attributes:
        status: of the status line.
        headers: names in lower case.
        raw_head: the bytes of the head.
        chunks: the data of each HTTP chunk that came whole; of another body, one.
        rest: bytes of the body after the last whole HTTP chunk.
        ended: "whole" (HTTP ended the body), "eof" (the connection was closed before) or "reset".
        wire: the bytes after the head.
    """

    status: int
    headers: dict[str, str]
    raw_head: bytes
    chunks: list[bytes] = field(default_factory=list)
    rest: bytes = b""
    ended: str = "eof"
    wire: bytes = b""

    @property
    def body(self) -> bytes:
        """What came of the body."""
        return b"".join(self.chunks)


def connect(url: str, *, receive_buffer: int | None = None) -> socket.socket:
    """Return a connection to the server of a URL."""
    parts = urlsplit(url)
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(20)
    try:
        made.connect((parts.hostname, parts.port))
    except OSError:
        made.close()
        raise
    return made


def request(
    url: str, body: bytes = b"{}", *, method: str = "POST", headers: Sequence[str] = (), version: str = "1.1"
) -> bytes:
    """Return the bytes of a request."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = [f"{method} {target} HTTP/{version}", f"Host: {parts.netloc}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def reply(connection: socket.socket, *, method: str = "POST") -> Reply:
    """Read one response."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    found = Reply(int(lines[0].split()[1]), headers, head)
    if "chunked" in headers.get("transfer-encoding", "") and method != "HEAD":
        _chunked(connection, found, rest)
    elif method == "HEAD":
        found.ended = "whole"
    else:
        _plain(connection, found, rest)
    return found


def ask(url: str, body: bytes = b"{}", *, method: str = "POST", headers: Sequence[str] = ()) -> Reply:
    """Send one request on a connection of its own and read the response."""
    with connect(url) as connection:
        connection.sendall(request(url, body, method=method, headers=headers))
        return reply(connection, method=method)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError("the connection was closed")
    return data


def _chunked(connection: socket.socket, found: Reply, buffer: bytes) -> None:
    found.wire = buffer
    try:
        while True:
            size, line, after = buffer.partition(b"\r\n")
            if line and int(size, 16) == 0 and after.startswith(b"\r\n"):
                found.ended, found.rest = "whole", after[2:]
                return
            if line and len(after) >= int(size, 16) + 2 and int(size, 16):
                found.chunks.append(after[: int(size, 16)])
                buffer = after[int(size, 16) + 2 :]
                continue
            data = _more(connection)
            buffer += data
            found.wire += data
    except EOFError:
        found.rest = buffer
    except ConnectionResetError:
        found.ended, found.rest = "reset", buffer


def _plain(connection: socket.socket, found: Reply, buffer: bytes) -> None:
    length = found.headers.get("content-length")
    try:
        while length is None or len(buffer) < int(length):
            buffer += _more(connection)
        found.ended = "whole"
    except EOFError:
        found.ended = "eof"
    except ConnectionResetError:
        found.ended = "reset"
    found.chunks, found.wire = [buffer], buffer
