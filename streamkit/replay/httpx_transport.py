"""One transport for httpx and httpx2, sync and async: the module is its argument.

Each chunk is one item of `iter_raw()` and `aiter_raw()`. An empty chunk is handed over too; httpx itself drops it.
A recorded reset or timeout is raised after the last byte, as the exception of that module.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.replay.delivery import Cuts, Deliveries, Delivery, Source, deliveries
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["httpx_transport"]


def httpx_transport(
    source: Source | Delivery | Deliveries, fragmentation: Cuts = None, *, module: str | ModuleType = "httpx2"
) -> Any:
    """Return a transport for `Client` and `AsyncClient` alike.

    Args:
        source: a transcript, its name or path, or several for the requests in turn.
        fragmentation: where to cut; None for the recorded chunks.
        module: httpx or httpx2, or its name.

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
    ready = source if isinstance(source, Deliveries) else deliveries(source, fragmentation)
    return _transport_class(module)(ready)


@lru_cache(maxsize=4)
def _transport_class(module: Any) -> Any:
    """Return the transport class for one module. Made on demand: neither module need be installed."""

    class ReplayStream(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc]  # bases known at run time only
        def __init__(self, delivery: Delivery) -> None:
            self._delivery = delivery

        def __iter__(self) -> Iterator[bytes]:
            chunks = self._delivery.chunks
            if not isinstance(chunks, Iterable):
                raise UsageError("an async iterable of chunks needs an async client")
            yield from chunks
            _end(module, self._delivery.ending)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = self._delivery.chunks
            if isinstance(chunks, AsyncIterable):
                async for chunk in chunks:
                    yield chunk
            else:
                for chunk in chunks:
                    yield chunk
            _end(module, self._delivery.ending)

    class ReplayTransport(module.BaseTransport, module.AsyncBaseTransport):  # type: ignore[misc]  # as above
        """Answers every request from prepared deliveries."""

        def __init__(self, ready: Deliveries) -> None:
            self.deliveries = ready

        def handle_request(self, request: Any) -> Any:
            return self._answer(request, request.read())

        async def handle_async_request(self, request: Any) -> Any:
            return self._answer(request, await request.aread())

        def _answer(self, request: Any, body: bytes) -> Any:
            delivery = self.deliveries.next(request.method, str(request.url), body)
            return module.Response(
                delivery.head.status, headers=delivery.headers, stream=ReplayStream(delivery), request=request
            )

    return ReplayTransport


def _end(module: Any, ending: Ending) -> None:
    if ending is Ending.RESET:
        raise module.ReadError("the connection was reset here when this was recorded")
    if ending is Ending.TIMEOUT:
        raise module.ReadTimeout("the read timed out here when this was recorded")
    if ending is Ending.CLIENT_CLOSED:
        raise module.ReadError("the recording ends here: its client closed the stream")
