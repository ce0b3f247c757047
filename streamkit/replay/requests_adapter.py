"""Replay for requests: an adapter that answers with a response read off a prepared wire.

The response is real from the status line up: http.client parses it and urllib3 reads its chunked body. One HTTP chunk
a chunk keeps the boundaries exactly in `iter_content(None)`. HTTP has no empty chunk but the last, so empty chunks are
left out.
"""

from __future__ import annotations

import http.client
import io
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.replay.delivery import Cuts, Deliveries, Delivery, Source, deliveries
from streamkit.transcript import Ending

if TYPE_CHECKING:
    import requests
    from requests.adapters import BaseAdapter

__all__ = ["requests_adapter", "requests_session"]


class _Wire(io.RawIOBase):
    """The bytes of a response, one piece a read, and then the recorded ending."""

    def __init__(self, pieces: Iterable[bytes], ending: Ending) -> None:
        self._pieces = deque(pieces)
        self._ending = ending

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._pieces:
            if self._ending in (Ending.RESET, Ending.CLIENT_CLOSED):
                raise ConnectionResetError("the connection was reset here when this was recorded")
            if self._ending is Ending.TIMEOUT:
                raise TimeoutError("the read timed out here when this was recorded")
            return 0
        piece = self._pieces.popleft()
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._pieces.appendleft(piece[size:])
        return size

    def makefile(self, mode: str) -> io.BufferedReader:
        """Be the socket that http.client asks for a file."""
        return io.BufferedReader(self)


def _wire(delivery: Delivery) -> _Wire:
    if not isinstance(delivery.chunks, Iterable):
        raise UsageError("requests is not async: give chunks that can be iterated")
    head = [f"HTTP/1.1 {delivery.head.status} {delivery.head.reason}"]
    head += [f"{name}: {value}" for name, value in delivery.headers]
    head += ["transfer-encoding: chunked", "", ""]
    pieces = ["\r\n".join(head).encode("latin-1")]
    pieces += [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in delivery.chunks if chunk]
    if delivery.ending in (Ending.COMPLETE, Ending.TRUNCATED):
        pieces.append(b"0\r\n\r\n")
    return _Wire(pieces, delivery.ending)


def requests_adapter(source: Source | Delivery | Deliveries, fragmentation: Cuts = None) -> BaseAdapter:
    """Return an adapter to mount on a `requests.Session`.

    Args:
        source: a transcript, its name or path, or several for the requests in turn.
        fragmentation: where to cut; None for the recorded chunks.

    Raises:
        UsageError: requests is not installed.
        CassetteError: a name cannot be found or its file not read.
    """
    try:
        from requests.adapters import BaseAdapter, HTTPAdapter
        from urllib3 import HTTPHeaderDict, HTTPResponse
    except ModuleNotFoundError:
        raise UsageError("requests is not installed: pip install requests") from None
    ready = source if isinstance(source, Deliveries) else deliveries(source, fragmentation)

    class ReplayAdapter(BaseAdapter):
        def __init__(self) -> None:
            super().__init__()
            self.deliveries = ready

        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            body: Any = request.body or b""
            body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
            delivery = ready.next(request.method or "GET", request.url or "", body)
            parsed = http.client.HTTPResponse(_wire(delivery), method=request.method)  # type: ignore[arg-type]  # only makefile is used
            parsed.begin()
            raw = HTTPResponse(
                body=parsed,
                headers=HTTPHeaderDict(parsed.getheaders()),
                status=parsed.status,
                reason=parsed.reason,
                version=parsed.version,
                preload_content=False,
                decode_content=False,
                original_response=parsed,
                request_method=request.method,
                request_url=request.url,
            )
            return HTTPAdapter().build_response(request, raw)

        def close(self) -> None:
            pass

    return ReplayAdapter()


def requests_session(source: Source | Delivery | Deliveries, fragmentation: Cuts = None) -> requests.Session:
    """Return a `requests.Session` that answers every request by replay; arguments as for `requests_adapter`."""
    adapter = requests_adapter(source, fragmentation)
    import requests

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
