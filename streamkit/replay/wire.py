"""The bytes of a response as http.client reads them off a socket, made from a delivery.

The response that urllib3 and requests see is real from the status line up: http.client parses it and urllib3 reads its
chunked body. One HTTP chunk a chunk keeps the boundaries exactly. HTTP has no empty chunk but the last, so empty chunks
are left out.
"""

from __future__ import annotations

import builtins
import http.client
import io
import re
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.replay.delivery import Delivery

__all__ = ["replayed_http", "replayed_urllib3"]

_FRAMING = {"transfer-encoding", "content-length"}


def replayed_http(delivery: Delivery, method: str, timeout: float | None = None) -> http.client.HTTPResponse:
    """Return a response of http.client that reads a delivery.

    Args:
        delivery: what to hand over.
        method: of the request; a HEAD has no body.
        timeout: seconds that the client waits for the next bytes; holds where the delivery has a pace.
    """
    response = http.client.HTTPResponse(_Socket(delivery, method, timeout), method=method)  # type: ignore[arg-type]  # only makefile is used
    response.begin()
    return response


def replayed_urllib3(
    delivery: Delivery, method: str, url: str | None, timeout: float | None = None, **options: Any
) -> Any:
    """Return a response of urllib3 that reads a delivery.

    Args:
        delivery: what to hand over.
        method: of the request.
        url: of the request.
        timeout: seconds that the client waits for the next bytes; holds where the delivery has a pace.
        options: of urllib3's HTTPResponse: preload_content, decode_content, enforce_content_length.
    """
    from urllib3 import HTTPHeaderDict, HTTPResponse

    parsed = replayed_http(delivery, method, timeout)
    return HTTPResponse(
        body=parsed,
        headers=HTTPHeaderDict(parsed.getheaders()),
        status=parsed.status,
        reason=parsed.reason,
        version=parsed.version,
        version_string="HTTP/1.1",
        original_response=parsed,
        request_method=method,
        request_url=url,
        **{"preload_content": False, "decode_content": False, **options},
    )


class _Socket:
    """As much of a socket as http.client asks for."""

    def __init__(self, delivery: Delivery, method: str, timeout: float | None) -> None:
        self._arguments = (delivery, method, timeout)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Wire(*self._arguments), 65536)


class _Wire(io.RawIOBase):
    """The bytes of a response, one piece a read, and then its ending."""

    def __init__(self, delivery: Delivery, method: str, timeout: float | None) -> None:
        self._delivery = delivery
        self._left = b""
        self._pieces = self._written(method, timeout)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._pieces, b"")
        size = min(len(self._left), len(buffer))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._delivery.finished()
        super().close()

    def _written(self, method: str, timeout: float | None) -> Iterator[bytes]:
        """Yield head, body and ending; raise what a socket raises."""
        delivery = self._delivery
        head = [f"HTTP/1.1 {delivery.head.status} {delivery.head.reason}"]
        length = _announced(delivery) if delivery.wire else None
        bodiless = method == "HEAD" or delivery.head.status in (204, 304)
        until_closed = length is None and _ends_with_connection(delivery)
        framing = (
            None
            if bodiless or until_closed
            else "transfer-encoding: chunked"
            if length is None
            else f"content-length: {length}"
        )
        names = set() if bodiless else _FRAMING
        placed = False
        for name, value in delivery.headers:
            if name.lower() not in names:
                head.append(f"{name}: {value}")
            elif not placed and framing is not None and name.lower() == framing.partition(":")[0]:
                head.append(name + framing[len(name) :])  # where it was, in the case that it had
                placed = True
        if framing is not None and not placed:
            head.append(framing)
        yield "\r\n".join([*head, "", ""]).encode("latin-1", "replace")
        if not bodiless:
            yield from self._body(timeout, chunked=length is None and not until_closed)

    def _body(self, timeout: float | None, *, chunked: bool) -> Iterator[bytes]:
        delivery = self._delivery
        cut_short = len(delivery.chunks) - 1 if delivery.missing and isinstance(delivery.chunks, Sized) else None
        for number, chunk in enumerate(delivery.play(timeout)):
            if number == cut_short and chunked:
                yield b"%x\r\n%b" % (len(chunk) + delivery.missing, chunk)
            elif chunk:
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
        delivery.finished()
        if delivery.fails and delivery.ending is not Ending.INCOMPLETE:
            raise _failure(delivery)
        if chunked and delivery.ending is not Ending.INCOMPLETE:
            yield b"0\r\n\r\n"


def _announced(delivery: Delivery) -> int | None:
    """Return the length that the recorded head announces, in bytes; None for a chunked body."""
    if delivery.head.header("transfer-encoding") is not None:
        return None
    text = delivery.head.header("content-length") or ""
    return int(text) if text.isascii() and text.isdigit() else None


def _ends_with_connection(delivery: Delivery) -> bool:
    """Whether the recorded body had no framing and ended when the server closed the connection."""
    framed = delivery.ending is Ending.INCOMPLETE or delivery.head.header("transfer-encoding") is not None
    return delivery.wire and not framed and (delivery.head.header("connection") or "").lower() == "close"


def _failure(delivery: Delivery) -> OSError:
    """Return what the socket raises: what it raised when this was recorded, where that was recorded."""
    name, _, message = delivery.error.partition(": ")
    kind = getattr(builtins, name.removeprefix("builtins."), None)
    if isinstance(kind, type) and issubclass(kind, OSError):
        numbered = re.fullmatch(r"\[Errno (\d+)\] (.*)", message)
        return OSError(int(numbered[1]), numbered[2]) if numbered else kind(message)
    if delivery.ending is Ending.TIMEOUT:
        return TimeoutError("the read timed out here when this was recorded")
    if delivery.ending is Ending.CLIENT_CLOSED:
        return ConnectionResetError("the recording ends here: its client closed the stream")
    return ConnectionResetError("the connection was reset here when this was recorded")
