"""A server that answers with given bytes, whatever it is asked, and keeps the bytes that it was asked with."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType


class RawServer:
    """Takes one connection after the other; on each it answers one request.

    Args:
        answers: bytes for each request in turn, the last for all further ones; None for no answer at all.
        keep: whether a connection stays open after its answer; it may bring further requests then.
        context: of TLS; None for none.

    Attributes:
        asked: the bytes of each request.
        url: its URL.
    """

    def __init__(self, *answers: bytes | None, keep: bool = False, context: ssl.SSLContext | None = None) -> None:
        self._answers = answers
        self._keep = keep
        self._socket = socket.create_server(("127.0.0.1", 0))
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_side=True)
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]  # a method
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while (asked := _request(connection)) is not None:
                answer = self._answers[min(len(self.asked), len(self._answers) - 1)]
                self.asked.append(asked)
                if answer is None:
                    connection.recv(1)  # until the other side closes
                    break
                connection.sendall(answer)
                if not self._keep:
                    break
            connection.close()


def _request(connection: socket.socket) -> bytes | None:
    """Return the bytes of one request with a content-length; None when the connection is closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
