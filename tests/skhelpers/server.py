"""A loopback HTTP server that sends exactly the pieces that a test names, when it names, and ends as it says."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

#: The transcript of the measurements: 2- and 4-byte characters, a comment, a tool call, [DONE].
_EVENTS = [
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":'
    f'[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}'
    for delta, reason in [
        ('{"role":"assistant","content":""}', "null"),
        ('{"content":"Grüße aus 東京 🌤️"}', "null"),
        ('{"content":" \\"quoted\\" \\u00e9"}', "null"),
        ('{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":""}}]}',
         "null"),
        ('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"city\\": "}}]}', "null"),
        ('{"tool_calls":[{"index":0,"function":{"arguments":"\\"Boston\\"}"}}]}', "null"),
        ("{}", '"tool_calls"'),
    ]
]  # fmt: skip


def body(size: int = 1582) -> bytes:
    """Return a chat stream of that many bytes."""
    events = "".join(f"data: {event}\n\n" for event in _EVENTS)
    fixed = len((": keep-alive \n\n" + events + "data: [DONE]\n\n").encode())
    assert size >= fixed, f"the stream has at least {fixed} bytes"
    return (": keep-alive " + "." * (size - fixed) + "\n\n" + events + "data: [DONE]\n\n").encode()


def pieces(stream: bytes, number: int = 7) -> list[bytes]:
    """Return a stream in that many pieces, cut inside characters, escapes and line ends where there are such."""
    inside = stream.index("東".encode()) + 1
    escape = stream.index(b"\\u00e9") + 2
    separator = stream.index(b"\n\n", escape) + 1
    cuts = sorted({100, inside, escape, separator, stream.index(b"Boston") + 2, len(stream) - 9})[: number - 1]
    edges = [0, *cuts, len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


@dataclass
class Answer:
    """What the server does with one request.

    Attributes:
        pieces: bodies of the HTTP chunks, or of the plain body.
        gap: seconds before each piece but the first.
        end: "complete", "eof" (the socket is closed at once), "reset" (it is reset) or "hang" (nothing more comes).
        framing: "chunked", "length" (announced by content-length) or "close" (until the connection is closed).
        status: the status line's code and reason.
        headers: further header lines.
        short: bytes by which the last piece, or the plain body, falls short of what was announced.
        at_once: send the head and all of the body in one write.
        before: called with the number of each piece before it is sent, and with their number before a reset; it may
            wait for the client, so that what a client must have seen by then is a matter of order and not of time.
    """

    pieces: Sequence[bytes]
    gap: float = 0.0
    end: str = "complete"
    framing: str = "chunked"
    status: str = "200 OK"
    headers: Sequence[str] = ("Content-Type: text/event-stream",)
    short: int = 0
    at_once: bool = False
    before: Callable[[int], object] | None = None


@dataclass
class Seen:
    """A request that came."""

    line: str
    headers: dict[str, str]
    body: bytes
    sent: list[float] = field(default_factory=list)


class StreamServer:
    """Answers the requests of one test: in turn, the last answer for all further ones.

    An answer may be a function of the request.

    Attributes:
        seen: the requests, each with the time at which each piece was sent.
    """

    def __init__(self, *answers: Answer | Callable[[Seen], Answer]) -> None:
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> StreamServer:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop: from then on a connection is refused."""
        self._done.set()
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        self._socket.close()
        for thread in list(self._threads):
            thread.join(5)

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as file:
                while (line := file.readline().decode().strip()) != "":
                    headers = {}
                    while (header := file.readline().decode("latin-1").strip()) != "":
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    seen = Seen(line, headers, self._body(file, headers))
                    with self._lock:
                        answer = self._answers[min(len(self.seen), len(self._answers) - 1)]
                        self.seen.append(seen)
                    if not self._answer(connection, answer if isinstance(answer, Answer) else answer(seen), seen):
                        return
        except OSError:
            return
        finally:
            connection.close()

    @staticmethod
    def _body(file: object, headers: dict[str, str]) -> bytes:
        read, readline = file.read, file.readline  # type: ignore[attr-defined]  # a socket's file
        if "chunked" not in headers.get("transfer-encoding", ""):
            return bytes(read(int(headers.get("content-length", "0"))))
        parts = []
        while (size := int(readline(), 16)) > 0:
            parts.append(read(size))
            readline()
        readline()
        return b"".join(parts)

    def _answer(self, connection: socket.socket, answer: Answer, seen: Seen) -> bool:
        """Answer a request; return whether the connection stays open."""
        head = [f"HTTP/1.1 {answer.status}", *answer.headers]
        if answer.framing == "chunked":
            head.append("Transfer-Encoding: chunked")
        elif answer.framing == "length":
            head.append(f"Content-Length: {sum(map(len, answer.pieces)) + answer.short}")
        else:
            head.append("Connection: close")
        start = "\r\n".join([*head, "", ""]).encode()
        if answer.at_once:
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in answer.pieces) + b"0\r\n\r\n"
            connection.sendall(start + (chunks if answer.framing == "chunked" else b"".join(answer.pieces)))
            return True
        connection.sendall(start)
        last = len(answer.pieces) - 1
        for number, piece in enumerate(answer.pieces):
            if number and answer.gap:
                self._done.wait(answer.gap)
            if answer.before is not None:
                answer.before(number)
            seen.sent.append(time.monotonic())
            if answer.framing != "chunked":
                connection.sendall(piece)
            elif number == last and answer.short:
                connection.sendall(b"%x\r\n%b" % (len(piece) + answer.short, piece))
            else:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        if answer.end == "hang":
            self._done.wait()
        elif answer.end == "reset":
            if answer.before is not None:
                answer.before(len(answer.pieces))
            else:
                self._done.wait(0.05)  # a reset throws away what the other side has not read yet
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        elif answer.end == "eof":
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        elif answer.framing == "chunked":
            connection.sendall(b"0\r\n\r\n")
        elif answer.framing == "close":
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        return answer.end == "complete" and answer.framing != "close"
