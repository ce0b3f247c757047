"""http.client, urllib3 and requests under a cassette: the response is the library's own, read off a tapped socket.

What the socket gives is noted as it comes. h11 finds the HTTP chunks in it, beside http.client, which reads the same
bytes and knows nothing of it.
"""

from __future__ import annotations

import http.client
import io
from importlib.util import find_spec
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
    from vcr.patch import _HTTPSConnection
    from vcr.stubs import VCRConnection

    real_init = VCRConnection.__init__
    real_request, real_getresponse = VCRConnection.request, VCRConnection.getresponse

    def init(connection: Any, *arguments: Any, **options: Any) -> None:
        if issubclass(connection._baseclass, _HTTPSConnection):
            real_init(connection, *arguments, **options)  # http.client's own looks for itself under the patched name
            return
        # vcrpy lifts its patches meanwhile, for the whole process: other threads would then pass by the cassette.
        connection.real_connection = connection._baseclass(*arguments, **options)
        connection._sock = None

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
        (VCRConnection, "__init__", init),
        (VCRConnection, "request", request),
        (VCRConnection, "getresponse", getresponse),
    ]
    if find_spec("urllib3") is None:  # neither streamkit nor vcrpy brings it
        return found
    from vcr.stubs import requests_stubs, urllib3_stubs

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
    real = connection.real_connection
    recording = cassette.reserve(sent)
    try:
        # vcrpy lifts its patches here too; a connection that is made needs none of the classes that are patched.
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
            self._framing = _Framing(recording)
            super().__init__(_TappedSocket(sock, self._framing), *arguments, **options)  # type: ignore[arg-type]  # only makefile is used

        def begin(self) -> None:
            super().begin()
            recording.begin(self.status, self.reason, self.getheaders())
            recording.abandon = self.close
            head = self.fp.consumed if isinstance(self.fp, _CountedReader) else 0
            self._framing.release(head, chunked=bool(self.chunked), length=self.length)

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
        return _CountedReader(_TappedReads(raw, self._framing))


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


class _CountedReader(io.BufferedReader):
    """Counts what is read by lines, which is how a head is read."""

    consumed = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.consumed += len(line)
        return line


class _Framing:
    """Finds the body's chunks in what the socket gives, and notes them."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._early: list[bytes] | None = []
        self._chunks: Any = None
        self._expected: int | None = None

    def release(self, head: int, *, chunked: bool, length: int | None) -> None:
        """Begin to note.

        Args:
            head: bytes that the head took, of what the socket has given.
            chunked: whether the body is in HTTP chunks.
            length: bytes of the body as announced; None where its end is that of the connection.
        """
        early, self._early = self._early or [], None
        if chunked:
            self._chunks = _chunk_reader()
        else:
            self._expected = length
        if not chunked and length == 0:
            self._recording.end()
        for data in early:
            rest = data[head:]
            head = max(0, head - len(data))
            if rest or not data:
                self._note(rest)

    def received(self, data: bytes) -> None:
        """Take what the socket gave; nothing for the end."""
        if self._early is not None:
            self._early.append(data)
        else:
            self._note(data)

    def failed(self, error: BaseException) -> None:
        """The socket raised."""
        if not isinstance(error, Exception):
            return  # interrupted: what that means, the closing of the response will tell
        ending = Ending.TIMEOUT if isinstance(error, TimeoutError) else Ending.RESET
        self._recording.fail(error, ending, missing=self._missing())

    def closed(self) -> None:
        """The client closed the response."""
        if self._early is None:
            self._recording.stop(Ending.CLIENT_CLOSED)

    def _missing(self) -> int:
        if self._chunks is not None:  # how much of the HTTP chunk that was being read never came
            reader = getattr(self._chunks, "_reader", None)
            return int(getattr(reader, "_bytes_in_chunk", 0) or 0)
        return max(0, (self._expected or 0) - self._recording.size)

    def _note(self, data: bytes) -> None:
        if self._chunks is not None:
            self._note_chunked(data)
        elif data:
            self._recording.note(data)
            if self._expected is not None and self._recording.size >= self._expected:
                self._recording.end()
        elif self._missing():
            self._recording.stop(Ending.INCOMPLETE, missing=self._missing())
        else:
            self._recording.end()

    def _note_chunked(self, data: bytes) -> None:
        import h11

        missing = self._missing()  # h11 forgets it when it fails
        try:
            self._chunks.receive_data(data)
            while (event := self._chunks.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    self._recording.note(bytes(event.data))
                else:  # the end of the message, or what comes after it
                    self._recording.end()
                    return
        except h11.RemoteProtocolError:  # the connection was closed, or these are no HTTP chunks
            self._recording.stop(Ending.INCOMPLETE if not data else Ending.RESET, missing=missing)


def _chunk_reader() -> Any:
    """Return h11's reader of a body in HTTP chunks. It is given a head of our own: that of the server has been read."""
    import h11

    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "-")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.next_event()
    return connection
