"""One transport for httpx and httpx2, sync and async: the module is its argument.

Each chunk is one item of `iter_raw()` and `aiter_raw()`. An empty chunk is handed over too; httpx itself drops it.
A recorded failure is raised after the last byte, as the exception of that module.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.replay.delivery import Cuts, Deliveries, Delivery, Pace, Source, deliveries
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType

    from streamkit.replay.clock import Clock

__all__ = ["httpx_transport", "replayed_response"]

# Class and message of httpx for each way to fail, where the recording client's own exception does not say it better.
_FAILURES = {
    Ending.INCOMPLETE: (
        "RemoteProtocolError",
        "peer closed connection without sending complete message body (incomplete chunked read)",
    ),
    Ending.RESET: ("ReadError", "the connection was reset here when this was recorded"),
    Ending.TIMEOUT: ("ReadTimeout", "the read timed out here when this was recorded"),
    Ending.CLIENT_CLOSED: ("ReadError", "the recording ends here: its client closed the stream"),
}


def httpx_transport(
    source: Source | Delivery | Deliveries,
    fragmentation: Cuts = None,
    *,
    module: str | ModuleType = "httpx2",
    speed: float | None = None,
    clock: Clock | None = None,
) -> Any:
    """Return a transport for `Client` and `AsyncClient` alike.

    Args:
        source: a transcript, its name or path, or several for the requests in turn.
        fragmentation: where to cut; None for the recorded chunks.
        module: httpx or httpx2, or its name.
        speed: 0 for at once, 1 for the recorded times, 2 for twice as fast; None for 0, or 1 where a clock is given.
            The client's read timeout then holds.
        clock: what waits; a `VirtualClock` needs no real time.

    Returns:
        An instance of the module's BaseTransport and AsyncBaseTransport.

    Raises:
        UsageError: the module cannot be imported.
        CassetteError: a name cannot be found or its file not read.
    """
    if isinstance(module, str):
        try:
            module = importlib.import_module(module)
        except ModuleNotFoundError:
            raise UsageError(f"{module} is not installed: pip install {module}") from None
    ready = source if isinstance(source, Deliveries) else deliveries(source, fragmentation, Pace.of(speed, clock))
    return _transport_class(module)(ready)


def replayed_response(module: Any, request: Any, delivery: Delivery) -> Any:
    """Return a response of httpx or httpx2 that replays.

    Args:
        module: the module.
        request: its request; the read timeout in its extensions holds where the delivery has a pace.
        delivery: what to hand over.
    """
    timeout = request.extensions.get("timeout", {}).get("read")
    reason = delivery.head.reason.encode("ascii", "ignore")
    return module.Response(
        delivery.head.status,
        headers=[(_header(name), _header(value)) for name, value in delivery.headers],
        stream=_stream_class(module)(delivery, timeout),
        request=request,
        extensions={"reason_phrase": reason} if reason else {},
    )


def _header(text: str) -> bytes:
    """Return the bytes of a header's name or value: as recorded, or UTF-8 where it was written by hand."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


@lru_cache(maxsize=4)
def _stream_class(module: Any) -> Any:
    """Return the class of response streams for one module. Made on demand: neither module need be installed."""

    class ReplayStream(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc]  # bases known at run time only
        def __init__(self, delivery: Delivery, timeout: float | None) -> None:
            self._delivery = delivery
            self._timeout = timeout

        def __iter__(self) -> Iterator[bytes]:
            try:
                yield from self._delivery.play(self._timeout)
            except TimeoutError:
                raise module.ReadTimeout("The read operation timed out") from None
            self._end()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._delivery.aplay(self._timeout):
                    yield chunk
            except TimeoutError:
                raise module.ReadTimeout("") from None
            self._end()

        def close(self) -> None:
            self._delivery.finished()

        async def aclose(self) -> None:
            self._delivery.finished()

        def _end(self) -> None:
            self._delivery.finished()
            if self._delivery.fails:
                raise _failure(module, self._delivery)

    return ReplayStream


@lru_cache(maxsize=4)
def _transport_class(module: Any) -> Any:
    """Return the transport class for one module."""

    class ReplayTransport(module.BaseTransport, module.AsyncBaseTransport):  # type: ignore[misc]  # as above
        """Answers every request from prepared deliveries."""

        def __init__(self, ready: Deliveries) -> None:
            self.deliveries = ready

        def handle_request(self, request: Any) -> Any:
            return self._answer(request, request.read())

        async def handle_async_request(self, request: Any) -> Any:
            return self._answer(request, await request.aread())

        def _answer(self, request: Any, body: bytes) -> Any:
            return replayed_response(module, request, self.deliveries.next(request.method, str(request.url), body))

    return ReplayTransport


def _failure(module: Any, delivery: Delivery) -> Exception:
    """Return the module's exception for the way a delivery ends: that of the recording where it was httpx's own."""
    name, _, message = delivery.error.partition(": ")
    library, _, name = name.rpartition(".")
    kind = getattr(module, name, None) if library in ("httpx", "httpx2") else None
    if not (isinstance(kind, type) and issubclass(kind, module.TransportError)):
        name, message = _FAILURES[delivery.ending]
        kind = getattr(module, name)
    failure: Exception = kind(message)
    return failure
