"""Servers on an event loop: asyncio takes connections, h11 reads them, and each write is made in its time."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streamkit.errors import StreamkitError, UsageError
from streamkit.server.connection import Connection, Limits, Unreadable
from streamkit.server.plan import Plan, Planner, refused
from streamkit.server.writes import After, Script, of_http_1_0, refusal, script

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.server.client_queue import ClientQueue
    from streamkit.server.connection import Received
    from streamkit.server.how import How

__all__ = ["Replaying", "Server"]

_TURN = 256  # writes of one connection before others have their turn
_UNTIL_BEGUN = 8  # turns of the event loop; from a connection that is taken to its task there are four
_SLOW = 0.2  # seconds in which a client has read what came, where one waits for that
_PATIENCE = 1.0  # seconds of such waiting, over all writes of a response


@dataclass
class _Sent:
    """How far a response has come."""

    writes: int = 0
    size: int = 0
    ended: str = "complete"


class Server(ABC):
    """A server on one event loop, whatever it answers.

    Args:
        limits: what one client may take.
        log: is called with a mapping for each request when it is done, on the event loop.
    """

    def __init__(self, *, limits: Limits | None = None, log: Callable[[dict[str, Any]], None]) -> None:
        self._limits = limits or Limits()
        self._log = log
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], bool] = {}  # whether a request is under way
        self._number = 0
        self._stopping = False
        self.url = ""
        self.address = ("", 0)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            UsageError: the address cannot be listened on; the message says why.
        """
        try:
            self._server = await asyncio.start_server(self._client, host, port, backlog=1024, limit=64 * 1024)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(f"cannot listen on {host}:{port}: {reason}; --port 0 takes a port that is free") from None
        taken = self._server.sockets[0].getsockname()[1]
        self.address = (host, taken)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{taken}"

    async def stop(self, grace: float = 0.0) -> None:
        """Take no more connections, let what is under way end for `grace` seconds, and close the rest."""
        self._stopping = True
        if self._server is not None:
            await _begun(self._server)
            self._server.close()
        for task, busy in list(self._clients.items()):
            if not busy:
                task.cancel()
        if self._clients and grace:
            await asyncio.wait(list(self._clients), timeout=grace)
        for task in list(self._clients):
            task.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients), timeout=5.0)

    # -- one connection

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of asyncio's server runs in a task
        if self._stopping:
            writer.transport.abort()
            return
        self._clients[task] = False
        connection = Connection(reader, writer, self._limits)
        peer = writer.get_extra_info("peername")
        client = f"{peer[0]}:{peer[1]}" if peer else ""
        try:
            while await self._exchange(connection, client, task) and not self._stopping:
                self._clients[task] = False
        except (OSError, EOFError):
            pass  # the client has gone between two requests
        except asyncio.CancelledError:
            connection.abort()
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await connection.close()
            self._clients.pop(task, None)

    async def _exchange(self, connection: Connection, client: str, task: asyncio.Task[None]) -> bool:
        """Answer one request; return whether the connection may bring another."""
        received = await connection.request()
        if received is None:
            return False
        if isinstance(received, Unreadable):
            self._number += 1
            told = {"answer": "error", "error": received.message}
            self._log(self._record(self._number, client, told, status=received.status))
            await connection.refuse(refusal(refused(None, received.status, received.message)))
            return False
        self._clients[task] = True
        self._number += 1
        return await self._respond(connection, client, self._number, received)

    @abstractmethod
    async def _respond(self, connection: Connection, client: str, number: int, received: Received) -> bool:
        """Answer a request that was read; return whether the connection may bring another."""

    @abstractmethod
    def _shown(self, received: Received) -> str:
        """Return the target of a request as the log may hold it: some APIs take their key in the URL."""

    async def _send(self, connection: Connection, client: str, number: int, received: Received, plan: Plan) -> bool:
        """Answer as planned; return whether the connection may bring another request."""
        started = asyncio.get_running_loop().time()
        try:
            written = script(connection.h11, received.method, plan.delivery, plan.how)
        except StreamkitError as error:  # cuts of the wire that do not fit; its h11 has moved on
            plan = Plan(refused(None, 400, str(error)), type(plan.how)(), {"answer": "error", "error": str(error)})
            written = script(
                of_http_1_0(received.method), received.method, plan.delivery, plan.how
            )  # ours has moved on
        sent = _Sent()
        try:
            return await self._play(connection, written, plan.how, sent)
        except asyncio.CancelledError:
            sent.ended = "server_stopped"
            raise
        finally:
            self._log(
                self._record(
                    number, client, plan.told, method=received.method, path=self._shown(received),
                    status=plan.delivery.head.status, writes=sent.writes, bytes=sent.size, ended=sent.ended,
                    ms=round((asyncio.get_running_loop().time() - started) * 1000),
                )
            )  # fmt: skip

    @staticmethod
    def _record(number: int, client: str, told: dict[str, Any], **facts: Any) -> dict[str, Any]:
        return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "number": number, "client": client,
                **facts, **told}  # fmt: skip

    async def _play(self, connection: Connection, written: Script, how: How, sent: _Sent) -> bool:
        """Send a response as its script says; return whether the connection is still good."""
        try:
            await _send_head(connection, written.head, how)
            await _send_body(connection, written, how, sent)
        except TimeoutError:
            sent.ended = "slow_client"
            connection.abort()
            return False
        except OSError:
            sent.ended = "client_closed"
            return False
        if written.after is After.KEEP:
            return True
        if written.after is After.CLOSE:
            sent.ended = "complete" if written.whole else "closed"
        elif written.after is After.RESET:
            sent.ended = "reset"
            await connection.reset()
        else:
            sent.ended = "stalled"
            if await connection.gone(None if how.stall_for is None else how.stall_for / 1000):
                sent.ended = "stalled, client_closed"
        return False


class Replaying(Server):
    """A server that answers what is planned.

    Args:
        planner: says what to answer.
        limits: as for every server.
        log: as for every server.
    """

    def __init__(
        self, planner: Planner, *, limits: Limits | None = None, log: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(limits=limits, log=log)
        self._planner = planner

    async def start(self, host: str, port: int) -> None:
        """Listen; see `Server`."""
        await super().start(host, port)
        self._planner.url = self.url

    async def _respond(self, connection: Connection, client: str, number: int, received: Received) -> bool:
        return await self._send(connection, client, number, received, self._planner.plan(received))

    def _shown(self, received: Received) -> str:
        return self._planner.shown(received)


async def _begun(server: asyncio.Server) -> None:
    """Take no more connections, and wait until each that was taken has its task.

    asyncio forgets the others when the server is closed: their sockets stay open until they are collected.
    """
    for one in server.sockets:
        with contextlib.suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().remove_reader(one.fileno())
    for _ in range(_UNTIL_BEGUN):
        await asyncio.sleep(0)


async def _send_head(connection: Connection, head: bytes, how: How) -> None:
    if how.head_delay:
        await asyncio.sleep(how.head_delay / 1000)
    if not how.head_drip:
        await connection.write(head)
        return
    for place in range(len(head)):
        await connection.write(head[place : place + 1])
        await asyncio.sleep(how.head_drip / 1000 / len(head))


async def _send_body(connection: Connection, written: Script, how: How, sent: _Sent) -> None:
    if not how.apart:
        await _send_writes(connection, written, how, sent, None)
        return
    with connection.client_queue() as queue:
        await _send_writes(connection, written, how, sent, queue)


async def _send_writes(
    connection: Connection, written: Script, how: How, sent: _Sent, queue: ClientQueue | None
) -> None:
    if queue is None and not (how.speed or how.gap or how.hold):
        for sent.writes, one in enumerate(written, 1):
            sent.size += len(one.data)
            if not connection.put(one.data) or not sent.writes % _TURN:
                await connection.taken()
        return
    loop = asyncio.get_running_loop()
    start = loop.time()
    closed = False
    waited = 0.0
    for number, one in enumerate(written):
        if how.speed:
            wait = start + one.due / 1000 / how.speed - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
        if how.gap and number:
            await asyncio.sleep(how.gap / 1000)
        if how.hold and one.closing and not closed:
            await asyncio.sleep(how.hold / 1000)
            closed = True
        waits = queue is not None and 0 < number <= how.apart and not one.closing  # "it is over" may come with the end
        if queue is not None and waits:
            began = loop.time()
            empty = await queue.empty(_SLOW)
            waited += loop.time() - began
            if not empty or waited > _PATIENCE:
                queue = None  # it is busy with something else
        await connection.write(one.data)
        sent.writes += 1
        sent.size += len(one.data)
    if how.hold and not closed:
        await asyncio.sleep(how.hold / 1000)
