"""A response on its way through: its bytes go on as they are, and h11 tells what they mean. No socket is touched.

Handing on what h11 would write anew is not the same: it moves and renames the headers of the framing, drops the
extensions of HTTP chunks, and splits a chunk where a read has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from streamkit.transcript import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Part", "Passing", "request_bytes"]

_LARGEST_HEAD = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """What the bytes of one read brought.

    Attributes:
        raw: those that belong to the response, as they came. Nothing before the head is whole.
        head: of the response, where it has become whole.
        payload: the bytes of the body in it.
        chunks: what a recording keeps: of a body in HTTP chunks, those that have become whole; else the payload.
        over: whether the response is whole.
    """

    raw: bytes = b""
    head: ResponseHead | None = None
    payload: bytes = b""
    chunks: tuple[bytes, ...] = ()
    over: bool = False


class Passing:
    """Reads one response.

    Args:
        method: of the request, for the answer to a HEAD has no body.

    Attributes:
        begun: whether the head has become whole.
        chunked: whether the body comes in HTTP chunks.
        keep: whether the connection may serve another request, once the response is over.
        missing: bytes of the HTTP chunk under way that have not come.
        strange: the bytes that were no HTTP, as they came, where nothing else came with them.
        failure: what was wrong after what has come last.
    """

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._h11.send(h11.Request(method=method, target="/", headers=[("host", "-")]))
        self._h11.send(h11.EndOfMessage())
        self._before: list[bytes] = []
        self.begun = False
        self._chunk: list[bytes] = []
        self.chunked = False
        self.keep = False
        self.missing = 0
        self.strange = b""
        self.failure: h11.RemoteProtocolError | None = None

    def feed(self, data: bytes) -> Part:
        """Take the bytes of one read; nothing for the end of the connection.

        Raises:
            h11.RemoteProtocolError: this is no HTTP, or the connection has ended before the response.
        """
        head: ResponseHead | None = None
        payload: list[bytes] = []
        chunks: list[bytes] = []
        over = False
        missing = self.missing
        self._h11.receive_data(data)
        try:
            while (event := self._h11.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    head = self._head(event)
                elif isinstance(event, h11.Data):
                    payload.append(bytes(event.data))
                    chunks.extend(self._whole(payload[-1], end=event.chunk_end))
                elif isinstance(event, h11.EndOfMessage):
                    over = True
                    break
                elif not isinstance(event, h11.InformationalResponse):
                    raise h11.RemoteProtocolError("the connection was closed before an answer came")
        except h11.RemoteProtocolError as error:
            self.missing = missing  # h11 forgets it
            if head is None and not payload:
                self.strange = data
                raise
            self.failure = error
            return Part(self._raw(data, head, over=False), head, b"".join(payload), tuple(chunks))
        # No event tells the length of an HTTP chunk. Without this attribute, what is missing would not be recorded.
        self.missing = int(getattr(getattr(self._h11, "_reader", None), "_bytes_in_chunk", 0) or 0)
        raw = self._raw(data, head, over=over)
        return Part(raw, head, b"".join(payload), tuple(chunks), over)

    def rest(self) -> bytes:
        """Return what has come of an HTTP chunk that will not become whole."""
        left, self._chunk = b"".join(self._chunk), []
        return left

    def _head(self, event: h11.Response) -> ResponseHead:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
        self.chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
        return ResponseHead(event.status_code, bytes(event.reason).decode("latin-1"), headers)

    def _whole(self, data: bytes, *, end: bool) -> list[bytes]:
        if not self.chunked:
            return [data]
        self._chunk.append(data)
        return [self.rest()] if end else []

    def _raw(self, data: bytes, head: ResponseHead | None, *, over: bool) -> bytes:
        """Return the bytes to hand on; those before the head is whole are kept back until then."""
        further = self._h11.trailing_data[0] if over else b""
        if over:
            self.keep = bool(data) and not further and self._h11.their_state is h11.DONE
        raw = data[: len(data) - len(further)]
        if self.begun:
            return raw
        self._before.append(raw)
        if head is None:
            return b""
        self.begun = True
        return b"".join(self._before)


def request_bytes(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Return a request as it goes over the wire. Names keep their case and order, but `Host` goes first.

    Raises:
        h11.LocalProtocolError: HTTP does not allow it.
    """
    connection = h11.Connection(h11.CLIENT)
    given = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    head = connection.send(h11.Request(method=method, target=target.encode("latin-1"), headers=given)) or b""
    sent = connection.send(h11.Data(body)) or b"" if body else b""
    return head + sent + (connection.send(h11.EndOfMessage()) or b"")
