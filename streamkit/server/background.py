"""A server for code that does not run on its event loop: a context manager that holds a thread."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from streamkit.errors import UsageError
from streamkit.replay.network import reachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from streamkit.server.serving import Server

__all__ = ["Background"]

_KEPT = 10_000
_PATIENCE = 10.0  # seconds for a thread of ours to end


class Background(ABC):
    """A server in a thread of its own: started by `with` or `start()`, stopped by the end of `with` or `close()`.

    Args:
        host: to listen on.
        port: 0 for one that is free.
        log: is called with a mapping for each request that is done, on the server's own thread. What it raises goes to
            the logger of asyncio, and changes nothing for the clients.

    Attributes:
        url: "http://127.0.0.1:40123"; "" before it listens.
        log: a mapping for each request that is done; the last ten thousand.
    """

    def __init__(self, host: str, port: int, log: Callable[[dict[str, Any]], None] | None) -> None:
        self._address = (host, port)
        self._listener = log
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._served = threading.Condition()
        self._grace = 0.0
        self._done = 0
        self.log: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.url = ""

    @abstractmethod
    def _server(self) -> Server:
        """Return the server; called on its own thread, with its event loop running."""

    def start(self) -> Self:
        """Listen; return the server.

        Raises:
            UsageError: it is running already, or the address cannot be listened on.
        """
        if self._thread is not None:
            raise UsageError("the server is running already")
        self._failure = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="streamkit-server")
        self._thread.start()
        ready.wait()
        failure: BaseException | None = self._failure  # set by the other thread
        if failure is not None:
            self._thread.join(_PATIENCE)
            self._thread = None
            raise failure
        return self

    def close(self, grace: float = 0.0) -> None:
        """Stop: connections are closed, after at most `grace` seconds for what is under way."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stop is None:
            return
        self._grace = grace
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_PATIENCE + grace)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Wait until that many requests are done, and return the log: a client may be done before its server is.

        Raises:
            TimeoutError: they are not, after `seconds`.
        """
        with self._served:
            if not self._served.wait_for(lambda: self._done >= count, seconds):
                raise TimeoutError(f"{self._done} of {count} requests were done after {seconds:g} seconds")
            return list(self.log)

    def _run(self, ready: threading.Event) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._main(ready))
        finally:
            ready.set()

    async def _main(self, ready: threading.Event) -> None:
        try:
            server = self._server()
            await server.start(*self._address)
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self._failure = error
            return
        self.url = server.url
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        with reachable(*server.address):
            await self._stop.wait()
            await server.stop(self._grace)

    def _note(self, record: dict[str, Any]) -> None:
        with self._served:
            self._done += 1
            self.log.append(record)
            self._served.notify_all()
        if self._listener is None:
            return
        try:
            self._listener(record)
        except Exception as error:  # noqa: BLE001 - no fault of the client's, whose connection goes on
            told = {"message": "what listens to the log of streamkit's server has failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)

    def _here(self) -> str:
        if not self.url:
            raise UsageError("the server does not listen yet: use it in a with statement, or call start()")
        return self.url
