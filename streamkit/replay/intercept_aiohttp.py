"""aiohttp under a cassette: the payload's reader notes what the connection feeds it, and a replayed one feeds itself.

vcrpy builds requests, follows redirects and keeps cookies; of its functions the two that join a body are replaced.
aiohttp decompresses before anybody can look, so a compressed body is recorded as the program gets it, without the
header that names its coding.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import ClientResponse, StreamReader
from vcr.stubs import aiohttp_stubs

from streamkit.replay.conversion import FORM
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.replay.delivery import Delivery
    from streamkit.replay.recording import Recording
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["patches"]

_FAILURES = {
    Ending.INCOMPLETE: (
        aiohttp.ClientPayloadError,
        "Response payload is not completed: the connection was closed here when this was recorded",
    ),
    Ending.RESET: (aiohttp.ClientPayloadError, "the connection was reset here when this was recorded"),
    Ending.TIMEOUT: (aiohttp.SocketTimeoutError, "Timeout on reading data from socket"),
    Ending.CLIENT_CLOSED: (aiohttp.ClientPayloadError, "the recording ends here: its client closed the stream"),
}

# Where a connection broke inside a body, aiohttp names the parser's error as the cause, and the socket's in the text.
_BROKEN = re.compile(r"\. \w*(?:Connection|BrokenPipe|OS|Timeout)\w*(?:Error)?\(")

# The recording of the request being made, if it was not to be replayed: in a list, for a filter may leave it out.
_RESERVED: ContextVar[list[Recording | None] | None] = ContextVar("_RESERVED", default=None)

# What the request being made waits for.
_TIMEOUT: ContextVar[aiohttp.ClientTimeout | None] = ContextVar("_TIMEOUT", default=None)


def patches(cassette: StreamCassette) -> list[tuple[Any, str, Any]]:
    """Return the patches of vcrpy's functions and, on top of its own, of the session's method."""
    real_record, real_build = aiohttp_stubs.record_response, aiohttp_stubs.build_response
    request = aiohttp_stubs.vcr_request(_Reserving(cassette), _original())

    @wraps(request)
    async def _request(session: Any, method: str, url: Any, **options: Any) -> Any:
        form = FORM.set(options.get("json") is None)
        reserved = _RESERVED.set(None)
        timeout = _TIMEOUT.set(_timeout_of(session, options.get("timeout")))
        try:
            response = await request(session, method, url, **options)
            for passed in response.history:  # redirects: nobody reads their bodies
                if isinstance(passed.content, _ReplayedReader):
                    passed.content.delivery.finished()
            return response
        except BaseException:
            _give_up()
            raise
        finally:
            FORM.reset(form)
            _RESERVED.reset(reserved)
            _TIMEOUT.reset(timeout)

    async def record_response(holder: Any, sent: Any, response: Any) -> None:
        mine = isinstance(holder, _Reserving) and holder.cassette is cassette
        if not mine or not isinstance(response.content, StreamReader):
            _give_up()
            await real_record(holder, sent, response)
            return
        reserved = _RESERVED.get()
        recording = reserved.pop() if reserved else cassette.reserve(sent)
        if recording is not None:
            _tap(response, recording)

    def build_response(sent: Any, recorded: dict[str, Any], history: Any) -> Any:
        response = real_build(sent, recorded, history)
        if "streamkit" in recorded:
            _replay(response, cassette.deliver(sent, recorded))
        return response

    return [
        (aiohttp_stubs, "record_response", record_response),
        (aiohttp_stubs, "build_response", build_response),
        (aiohttp.ClientSession, "_request", _request),
    ]


class _Reserving:
    """A cassette whose recordings begin before the request is sent, so that they are kept in the order of requests."""

    def __init__(self, cassette: StreamCassette) -> None:
        self.cassette = cassette

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cassette, name)

    def can_play_response_for(self, sent: Any) -> bool:
        playable = bool(self.cassette.can_play_response_for(sent))
        if not playable and _RESERVED.get() is None:
            _RESERVED.set([self.cassette.reserve(sent)])
        return playable


def _give_up() -> None:
    for recording in _RESERVED.get() or []:
        if recording is not None:
            recording.cancel()
    _RESERVED.set([])


def _original() -> Any:
    from vcr import patch

    return patch._AiohttpClientSessionRequest


def _timeout_of(session: Any, timeout: Any) -> aiohttp.ClientTimeout | None:
    found = timeout if isinstance(timeout, aiohttp.ClientTimeout) else getattr(session, "timeout", None)
    return found if isinstance(found, aiohttp.ClientTimeout) else None


# -- recording


def _tap(response: Any, recording: Recording) -> None:
    """Note what has come, and let the reader note what comes."""
    compressed = bool(response.headers.get("Content-Encoding"))
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in response.raw_headers
        if not (compressed and name.lower() in (b"content-encoding", b"content-length"))
    ]
    recording.begin(response.status, response.reason or "", headers)
    reader = response.content
    for data in _buffered(reader):
        recording.note(data)
    failure = reader.exception()
    if failure is not None:
        recording.fail(failure, _ending(failure))
    elif reader.is_eof():
        recording.end()
    else:
        # The reader has no place for an attribute, and the connection holds on to it: it changes its class.
        reader.__class__ = type("RecordedStreamReader", (_RecordedReader,), {"__slots__": (), "recording": recording})
        recording.abandon = response.close
        for name in ("close", "release"):
            setattr(response, name, _closing(getattr(response, name), recording))


def _buffered(reader: Any) -> list[bytes]:
    """Return what was fed before anybody read, in the pieces in which it came."""
    data = b"".join(reader._buffer)
    ends = [end for end in (reader._http_chunk_splits or ()) if end <= len(data)]
    pieces, start = [], 0
    for end in ends:
        pieces.append(data[start:end])
        start = end
    return [*pieces, data[start:]]


def _closing(method: Callable[[], Any], recording: Recording) -> Callable[[], Any]:
    def close() -> Any:
        # A release after the last byte is the ordinary end, and the reader has told it already.
        recording.stop(Ending.CLIENT_CLOSED)
        return method()

    return close


class _RecordedReader(StreamReader):
    """Notes what the connection feeds, and how it ends. The class of each reader holds its recording."""

    __slots__ = ()
    recording: Recording

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        self.recording.note(data)
        return bool(super().feed_data(data, size))

    def feed_eof(self) -> None:
        self.recording.end()
        super().feed_eof()

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        self.recording.fail(exc, _ending(exc, *cause))
        super().set_exception(exc, *cause)


def _ending(error: BaseException, cause: object = None) -> Ending:
    if isinstance(error, TimeoutError):
        return Ending.TIMEOUT
    if any(isinstance(one, OSError) for one in (error, error.__cause__, cause)) or _BROKEN.search(str(error)):
        return Ending.RESET
    return Ending.INCOMPLETE if isinstance(error, aiohttp.ClientPayloadError) else Ending.RESET


# -- replay


class _ReplayedResponse(aiohttp_stubs.MockClientResponse):  # type: ignore[misc]  # vcrpy ships no types
    """vcrpy's stand-in for a response, with aiohttp's own reading."""

    read = ClientResponse.read
    text = ClientResponse.text
    json = ClientResponse.json

    def release(self) -> Any:
        self.content.delivery.finished()
        return aiohttp.helpers.noop()

    def close(self) -> None:
        content = self.content
        if isinstance(content, _ReplayedReader):
            content.delivery.finished()
        super().close()


class _ReplayedReader(StreamReader):
    """A reader that, when it would wait for the connection, takes the next chunk of a delivery."""

    def __init__(self, delivery: Delivery, timeout: aiohttp.ClientTimeout | None) -> None:
        import asyncio

        super().__init__(aiohttp_stubs._NoConnection(), 2**22, loop=asyncio.get_running_loop())
        self.delivery = delivery
        self._clock = delivery.pace.clock
        self._read = (timeout.sock_read if timeout is not None else None) or None
        total = (timeout.total if timeout is not None else None) or None
        self._deadline = None if total is None else self._clock.time() + total
        self._chunks = delivery.aplay(self._patience)

    def _patience(self) -> float | None:
        """Return how long the next bytes are waited for, in seconds."""
        left = None if self._deadline is None else self._deadline - self._clock.time()
        return min((wait for wait in (self._read, left) if wait is not None), default=None)

    async def _wait(self, func_name: str) -> None:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self.delivery.finished()
            if self.delivery.fails:
                self.set_exception(_failure(self.delivery))
                raise self._exception from None  # type: ignore[misc]  # just set
            self.feed_eof()
        except TimeoutError:
            over = self._deadline is not None and self._clock.time() >= self._deadline
            self.set_exception(
                TimeoutError() if over else aiohttp.SocketTimeoutError("Timeout on reading data from socket")
            )
            raise self._exception from None  # type: ignore[misc]  # just set
        else:
            if chunk:
                self.begin_http_chunk_receiving()
                self.feed_data(chunk)
                self.end_http_chunk_receiving()


def _replay(response: Any, delivery: Delivery) -> None:
    response.__class__ = _ReplayedResponse
    response._body = None
    response._traces = []
    response._closed = False
    response.content = _ReplayedReader(delivery, _TIMEOUT.get())


def _failure(delivery: Delivery) -> BaseException:
    name, _, message = delivery.error.partition(": ")
    library, _, name = name.rpartition(".")
    kind = getattr(aiohttp, name, None) if library == "aiohttp" else None
    if not (isinstance(kind, type) and issubclass(kind, aiohttp.ClientError | TimeoutError)):
        kind, message = _FAILURES[delivery.ending]
    try:
        failure: BaseException = kind(message)
    except TypeError:  # a class with more to it than a message
        kind, message = _FAILURES[delivery.ending]
        failure = kind(message)
    return failure
