"""http.client, urllib3 and requests under a cassette: the response is the library's own, read off a tapped socket.

What the socket gives is noted as it comes. h11 finds the HTTP chunks in it, beside http.client, which reads the same
bytes and knows nothing of it.
"""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any

from streamkit.replay.wire import replayed_http, replayed_urllib3
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from streamkit.replay.recording import Recording
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["patches"]

_OPTIONS = ("preload_content", "decode_content", "enforce_content_length")


def patches(cassette: StreamCassette) -> list[tuple[Any, str, Any]]:
    """Return the patches of vcrpy's stand-in for a connection."""
    from vcr.stubs import VCRConnection, requests_stubs, urllib3_stubs

    real_request, real_getresponse = VCRConnection.request, VCRConnection.getresponse

    def request(connection: Any, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        real_request(connection, method, url, body, headers)
        connection.__dict__["_streamkit_options"] = options

    def getresponse(connection: Any, *arguments: Any, **options: Any) -> Any:
        if connection.cassette is not cassette or not _is_known(connection):
            return real_getresponse(connection, *arguments, **options)
        sent = connection._vcr_request
        if cassette.can_play_response_for(sent):
            return _replayed(cassette, connection, sent)
        return _recorded(cassette, connection, sent)

    found: list[tuple[Any, str, Any]] = [
        (VCRConnection, "request", request),
        (VCRConnection, "getresponse", getresponse),
    ]
    # urllib3's stand-in rewrites the headers of what vcrpy returns; ours are urllib3's own already.
    mixin = getattr(urllib3_stubs, "_VCRRequestsConnectionMixin", None)
    if mixin is not None:
        found.append((mixin, "getresponse", _passing(mixin.getresponse, getresponse, cassette)))
    del requests_stubs  # imported so that vcrpy has made its classes
    return found


def _passing(mixed: Any, ours: Any, cassette: StreamCassette) -> Any:
    def getresponse(connection: Any, *arguments: Any, **options: Any) -> Any:
        if connection.cassette is not cassette or not _is_known(connection):
            return mixed(connection, *arguments, **options)
        return ours(connection, *arguments, **options)

    return getresponse


def _is_known(connection: Any) -> bool:
    """Whether the real connection is http.client's or urllib3's, with responses that we can tap."""
    return getattr(connection.real_connection, "response_class", None) is http.client.HTTPResponse


def _is_urllib3(connection: Any) -> bool:
    return type(connection.real_connection).__module__.partition(".")[0] == "urllib3"


def _chosen(connection: Any) -> dict[str, Any]:
    options = connection.__dict__.get("_streamkit_options", {})
    return {name: options[name] for name in _OPTIONS if name in options}


def _replayed(cassette: StreamCassette, connection: Any, sent: Any) -> Any:
    delivery = cassette.deliver(sent)
    timeout = connection.real_connection.timeout
    timeout = timeout if isinstance(timeout, int | float) else None
    if _is_urllib3(connection):
        return replayed_urllib3(
            delivery, sent.method, sent.uri, timeout, **{"preload_content": True, **_chosen(connection)}
        )
    return replayed_http(delivery, sent.method, timeout)


def _recorded(cassette: StreamCassette, connection: Any, sent: Any) -> Any:
    from vcr.patch import force_reset

    real = connection.real_connection
    recording = cassette.reserve(sent)
    try:
        with force_reset():
            if connection.__dict__.get("_deferred_connect"):
                arguments, options = connection._deferred_connect
                connection._deferred_connect = None
                real.connect(*arguments, **options)
            extra = _chosen(connection) if _is_urllib3(connection) else {}
            real.request(sent.method, connection._url(sent.uri), sent.body_bytes, dict(sent.headers), **extra)
        if recording is not None:
            real.response_class = _tapped_class(recording)
        try:
            return real.getresponse()
        finally:
            real.__dict__.pop("response_class", None)
    except BaseException:
        if recording is not None:
            recording.cancel()
        raise


def _tapped_class(recording: Recording) -> Any:
    class Tapped(http.client.HTTPResponse):
        """A response that notes what the socket gives."""

        def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
            method = options.get("method") or (arguments[1] if len(arguments) > 1 else None)
            self._framing = _Framing(recording, method)
            super().__init__(_TappedSocket(sock, self._framing), *arguments, **options)  # type: ignore[arg-type]  # only makefile is used

        def begin(self) -> None:
            super().begin()
            recording.begin(self.status, self.reason, self.getheaders())
            recording.abandon = self.close
            self._framing.release()

        def close(self) -> None:
            fp: Any = self.fp
            try:
                super().close()
            finally:
                if fp is not None:
                    self._framing.closed()

    return Tapped


class _TappedSocket:
    def __init__(self, sock: Any, framing: _Framing) -> None:
        self._sock = sock
        self._framing = framing

    def makefile(self, mode: str) -> io.BufferedReader:
        raw = self._sock.makefile(mode, buffering=0)
        return io.BufferedReader(_TappedReads(raw, self._framing))


class _TappedReads(io.RawIOBase):
    """Reads of a socket, noted."""

    def __init__(self, raw: Any, framing: _Framing) -> None:
        self._raw = raw
        self._framing = framing

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        try:
            size: int | None = self._raw.readinto(buffer)
        except BaseException as error:
            self._framing.failed(error)
            raise
        if size is not None:
            self._framing.received(bytes(buffer[:size]))
        return size

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            self._framing.closed()
            super().close()


class _Framing:
    """Finds the body's chunks in what the socket gives, and notes them."""

    def __init__(self, recording: Recording, method: str | None) -> None:
        import h11

        self._h11 = h11
        self._recording = recording
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 24)
        self._connection.send(h11.Request(method=method or "GET", target="/", headers=[("Host", "-")]))
        self._connection.send(h11.EndOfMessage())
        self._early: list[bytes] | None = []
        self._in_chunk = self._chunked = False
        self._expected: int | None = None
        self._received = 0
        self._lenient = False

    def release(self) -> None:
        """The head has been read: what came with it may be noted."""
        early, self._early = self._early or [], None
        for data in early:
            self._note(data)
        if not early:
            self._note(b"")

    def received(self, data: bytes) -> None:
        """Take what the socket gave; nothing for the end."""
        if self._early is not None:
            self._early.append(data)
        else:
            self._note(data)

    def failed(self, error: BaseException) -> None:
        """The socket raised."""
        if not isinstance(error, Exception):
            self._recording.stop(Ending.CLIENT_CLOSED)
        else:
            ending = Ending.TIMEOUT if isinstance(error, TimeoutError) else Ending.RESET
            self._recording.fail(error, ending, missing=self._missing())

    def closed(self) -> None:
        """The client closed the response."""
        if self._early is None:
            self._recording.stop(Ending.CLIENT_CLOSED)

    def _missing(self) -> int:
        if self._expected is not None:
            return max(0, self._expected - self._received)
        return 0

    def _note(self, data: bytes) -> None:
        h11 = self._h11
        try:
            self._connection.receive_data(data)
            while True:
                event: Any = self._connection.next_event()
                if type(event) is h11.Response:
                    self._size_up(event)
                elif type(event) is h11.Data:
                    self._recording.note(bytes(event.data))
                    self._received += len(event.data)
                elif type(event) is h11.EndOfMessage:
                    self._recording.end()
                    return
                elif event in (h11.NEED_DATA, h11.PAUSED) or type(event) is h11.ConnectionClosed:
                    return
        except h11.RemoteProtocolError as error:
            if not data:
                self._recording.fail(error, Ending.INCOMPLETE, missing=self._missing() or self._left_of_chunk())
            else:
                self._recording.fail(error, Ending.RESET)

    def _size_up(self, head: Any) -> None:
        headers = {bytes(name).lower(): bytes(value) for name, value in head.headers}
        if b"transfer-encoding" not in headers and headers.get(b"content-length", b"").isdigit():
            self._expected = int(headers[b"content-length"])

    def _left_of_chunk(self) -> int:
        """Return how many bytes of the HTTP chunk that was being read never came."""
        reader = getattr(self._connection, "_reader", None)
        return int(getattr(reader, "_bytes_in_chunk", 0) or 0)
