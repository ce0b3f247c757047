"""The recording proxy on its event loop: what it does with each request, and when the cassette is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamkit.cassettes.redaction import Redactor
from streamkit.errors import StreamkitError, UnmatchedRequestError
from streamkit.replay import conversion
from streamkit.replay.recording import Recording
from streamkit.server.answers import facts_of
from streamkit.server.api_errors import dialect_of_path
from streamkit.server.connection import Connection, Limits, Received
from streamkit.server.exchange import Exchange
from streamkit.server.how import How
from streamkit.server.plan import Plan, refused
from streamkit.server.serving import Server
from streamkit.server.upstream import Link, NoAnswer, Upstream
from streamkit.transcript import Ending, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.replay.delivery import Delivery
    from streamkit.replay.stream_cassette import StreamCassette

__all__ = ["Proxying"]

_LIMITS = Limits(write=600.0)  # a program that stands at a breakpoint is no slow client
_OF_A_TRANSFER = {"content-length", "transfer-encoding", "connection", "keep-alive"}


class Proxying(Server):
    """The proxy.

    Args:
        upstream: where requests go.
        cassette: what is recorded into, and replayed from.
        writes: whether the cassette is written here, or by whoever opened it.
        log: is called with a mapping for each exchange.
    """

    def __init__(
        self, upstream: Upstream, cassette: StreamCassette, *, writes: bool, log: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(limits=_LIMITS, log=log)
        self._upstream = upstream
        self._cassette = cassette
        self._writes = writes
        self._clean = cassette.settings.redactor or Redactor()
        self._links: dict[Connection, Link] = {}
        self._ended: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    # -- life

    async def start(self, host: str, port: int) -> None:
        """Listen; see `Server`."""
        await super().start(host, port)
        self._writer = asyncio.create_task(self._write())

    async def stop(self, grace: float = 0.0) -> None:
        """End what is under way, and write what has ended; see `Server`."""
        await super().stop(grace)
        for link in self._links.values():
            link.close()
        self._ended.put_nowait(None)
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        """Write the cassette whenever an interaction has ended, and then the log: what stands there is on the disk.

        It is done in a thread, so that the streams under way, and their times, are not held up.
        """
        stops = False
        while not stops:
            told = [await self._ended.get()]
            while not self._ended.empty():
                told.append(self._ended.get_nowait())
            stops = None in told
            records = [record for record in told if record is not None]
            if self._writes and self._cassette.dirty:
                try:
                    await asyncio.to_thread(self._cassette.save_ended)
                except (StreamkitError, OSError) as error:  # it is tried again with the next, and at the end
                    records = [{**record, "error": f"the cassette was not written: {error}"} for record in records]
            for record in records:
                self._log(record)

    # -- one request

    async def _exchange(self, connection: Connection, client: str, task: asyncio.Task[None]) -> bool:
        keep = False
        try:
            keep = await super()._exchange(connection, client, task)
        finally:
            link = None if keep else self._links.pop(connection, None)
            if link is not None:
                link.close()
        return keep

    async def _respond(self, connection: Connection, client: str, number: int, received: Received) -> bool:
        received = replace(received, target=self._own(received.target))
        dialect = dialect_of_path(received.method, received.target)

        async def refuse(answer: str, status: int, message: str, **facts: Any) -> bool:
            what = refused(dialect, status, message, facts=facts)
            plan = Plan(what, How(), {"answer": answer, "error": message, "reason": facts["reason"]})
            return await self._send(connection, client, number, received, plan)

        if received.method == "CONNECT" or not received.target.startswith("/"):
            text = (
                f"this proxy stands in the place of {self._upstream}: a client's base URL leads to it, no proxy setting"
            )
            return await refuse("error", 400, text, reason="proxy_request")
        url = self._upstream.url(received.target)
        self._learn(url, received, dialect)
        plain = tuple(self._upstream.headers(received, dialect, added=False))
        sent = conversion.vcr_request(Request(received.method, url, plain, received.body))
        try:
            replayed = self._cassette.deliver(sent) if self._cassette.can_play_response_for(sent) else None
        except UnmatchedRequestError as error:
            return await refuse("unmatched", 404, str(error), **facts_of(error))
        if replayed is not None:
            try:
                return await self._send(connection, client, number, received, _plan(replayed))
            finally:
                replayed.finished()
        result = await self._pass_on(connection, client, number, received, sent, dialect)
        if isinstance(result, NoAnswer):
            told = self._clean.text(f"streamkit record: {result.message}")  # h11 quotes what came, be it a key
            return await refuse("no_answer", result.status, told, reason=result.reason)
        return result

    async def _pass_on(
        self, connection: Connection, client: str, number: int, received: Received, sent: Any, dialect: str | None
    ) -> bool | NoAnswer:
        """Send a request upstream and its answer back; return what `Exchange.run` does."""
        reserved = self._cassette.reserve(sent)
        recording = reserved or Recording(lambda _: None)
        link = self._links.pop(connection, None)
        exchange = Exchange(connection, received, self._upstream, dialect=dialect, recording=recording, link=link)
        started = asyncio.get_running_loop().time()
        result: bool | NoAnswer = False
        try:
            result = await exchange.run()
        finally:
            if exchange.link is not None:
                self._links[connection] = exchange.link
            if not isinstance(result, NoAnswer):
                answer = "nothing" if recording.transcript is None else "passed" if reserved is None else "recorded"
                exchange.passed.error = self._clean.text(exchange.passed.error)
                told = _told(answer, exchange, recording, started)
                self._ended.put_nowait(
                    self._record(number, client, told, method=received.method, path=self._shown(received))
                )
        return result

    def _own(self, target: str) -> str:
        """Return the target without our own address: a request may name it whole."""
        own = urlsplit(self.url).netloc
        for form in (f"http://{own}", f"http://localhost:{self.address[1]}"):
            if target == form or target.startswith((f"{form}/", f"{form}?")):
                return target[len(form) :] or "/"
        return target

    # -- secrets

    def _learn(self, url: str, received: Received, dialect: str | None) -> None:
        """Know the credentials that go upstream, for the answer may hold them too."""
        self._clean.learn(Request(received.method, url, tuple(self._upstream.headers(received, dialect))))

    def _shown(self, received: Received) -> str:
        return self._clean.request(Request(received.method, received.target)).url


def _told(answer: str, exchange: Exchange, recording: Recording, started: float) -> dict[str, Any]:
    """Return what the log says of an exchange."""
    passed = exchange.passed
    transcript = recording.transcript
    now = asyncio.get_running_loop().time()
    told: dict[str, Any] = {
        "status": passed.status,
        "chunks": passed.chunks,
        "bytes": passed.size,
        "ended": passed.ended,
        "ms": round((now - started) * 1000),
        "answer": answer,
    }
    if passed.head_at:
        told["head_ms"] = round((passed.head_at - started) * 1000)
    if transcript is not None:
        told |= {"ending": str(transcript.ending), "dialect": transcript.dialect}
        if transcript.missing:
            told["missing"] = transcript.missing
    if passed.error:
        told["error"] = passed.error
    return told


def _plan(replayed: Delivery) -> Plan:
    """Return how to send what a cassette holds: framed as it was recorded, its body as the wire had it."""
    head = replayed.head
    chunked, length = head.header("transfer-encoding") is not None, head.header("content-length") is not None
    closed = (head.header("connection") or "").lower() == "close" and replayed.ending is not Ending.INCOMPLETE
    framing = "chunked" if chunked else "length" if length else "close" if closed else None
    headers = tuple((name, value) for name, value in head.headers if name.lower() not in _OF_A_TRANSFER)
    answer = replace(replayed, head=replace(head, headers=headers))
    return Plan(answer, How(framing=framing, speed=replayed.pace.speed or None), {"answer": "replayed"})
