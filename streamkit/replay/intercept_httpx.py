"""httpx and httpx2 under a cassette: the response stream is wrapped, and hands on each chunk as it comes."""

from __future__ import annotations

import importlib
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import vcr.patch
from vcr.request import Request as VCRRequest

from streamkit.replay.httpx_transport import replayed_response
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streamkit.replay.recording import Recording
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["patches"]

# Class and method of each transport; vcrpy keeps the original as _<Module><its name for it>_<method>.
_TRANSPORTS = [
    ("HTTPTransport", "HttpTransport", "handle_request"),
    ("AsyncHTTPTransport", "AsyncHttpTransport", "handle_async_request"),
    ("WSGITransport", "WsgiTransport", "handle_request"),
    ("ASGITransport", "AsgiTransport", "handle_async_request"),
    ("MockTransport", "MockTransport", "handle_request"),
    ("MockTransport", "MockTransport", "handle_async_request"),
]

_ENDINGS = {
    "RemoteProtocolError": Ending.INCOMPLETE,
    "ReadTimeout": Ending.TIMEOUT,
    "PoolTimeout": Ending.TIMEOUT,
    "WriteTimeout": Ending.TIMEOUT,
    "ConnectTimeout": Ending.TIMEOUT,
}


def patches(cassette: StreamCassette, name: str) -> list[tuple[Any, str, Any]]:
    """Return the patches for one of the two modules; none if it is not installed."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        return []
    found = []
    for kind, vcr_name, method in _TRANSPORTS:
        original = getattr(vcr.patch, f"_{name.capitalize()}{vcr_name}_{method}", None)
        if original is not None:
            make = _async_handler if "async" in method else _handler
            found.append((getattr(module, kind), method, make(cassette, module, original)))
    return found


def _handler(cassette: StreamCassette, module: Any, original: Any) -> Any:
    @wraps(original)
    def handle_request(transport: Any, request: Any) -> Any:
        sent = VCRRequest(request.method, str(request.url), request.read(), request.headers)
        if cassette.can_play_response_for(sent):
            return replayed_response(module, request, cassette.deliver(sent))
        recording = cassette.reserve(sent)
        try:
            response = original(transport, request)
        except BaseException:
            _give_up(recording)
            raise
        return _tapped(module, response, recording)

    return handle_request


def _async_handler(cassette: StreamCassette, module: Any, original: Any) -> Any:
    @wraps(original)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        sent = VCRRequest(request.method, str(request.url), await request.aread(), request.headers)
        if cassette.can_play_response_for(sent):
            return replayed_response(module, request, cassette.deliver(sent))
        recording = cassette.reserve(sent)
        try:
            response = await original(transport, request)
        except BaseException:
            _give_up(recording)
            raise
        return _tapped(module, response, recording)

    return handle_async_request


def _give_up(recording: Recording | None) -> None:
    if recording is not None:
        recording.cancel()


def _tapped(module: Any, response: Any, recording: Recording | None) -> Any:
    if recording is not None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
        recording.begin(response.status_code, response.reason_phrase, headers)
        response.stream = _tap_class(module)(response.stream, recording)
    return response


def _ending(error: Exception) -> Ending:
    return next((_ENDINGS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _ENDINGS), Ending.RESET)


@lru_cache(maxsize=4)
def _tap_class(module: Any) -> Any:
    class Tap(module.SyncByteStream, module.AsyncByteStream):  # type: ignore[misc]  # bases known at run time only
        """Hands on a stream and notes what passes."""

        def __init__(self, stream: Any, recording: Recording) -> None:
            self._stream = stream
            self._recording = recording
            if isinstance(stream, module.SyncByteStream):
                recording.abandon = self.close
            else:
                recording.aabandon = self.aclose

        def __iter__(self) -> Iterator[bytes]:
            try:
                for part in self._stream:
                    self._recording.note(part)
                    yield part
            except BaseException as error:
                self._failed(error)
                raise
            self._recording.end()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for part in self._stream:
                    self._recording.note(part)
                    yield part
            except BaseException as error:
                self._failed(error)
                raise
            self._recording.end()

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._recording.stop(Ending.CLIENT_CLOSED)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._recording.stop(Ending.CLIENT_CLOSED)

        def _failed(self, error: BaseException) -> None:
            # Cancelled, interrupted, or the iterator was dropped: what that means, the closing of the stream will tell.
            if isinstance(error, Exception):
                self._recording.fail(error, _ending(error))

    return Tap
