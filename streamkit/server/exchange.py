"""One request that goes upstream, and its answer on the way back: handed on as it comes, and recorded.

Whatever happens at one end is made to happen at the other, and is how the recording ends: a body that breaks off, a
reset, a client that goes away.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from streamkit.server.upstream import Link, NoAnswer, Upstream
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.replay.recording import Recording
    from streamkit.server.connection import Connection, Received
    from streamkit.server.passing import Part
    from streamkit.transcript import ResponseHead

__all__ = ["Exchange", "Passed"]

_GRACE = 0.5  # seconds for HTTP's end of a body that was over when its client went: most close at "[DONE]"
_HURRY = 1.0  # seconds for what was sent to arrive before a reset, when the proxy stops


@dataclass
class Passed:
    """What was handed on.

    Attributes:
        status: of the answer; 0 for none.
        size: bytes of the body.
        chunks: in which they came: HTTP chunks, or reads where there are none.
        head_at: the loop's time at which the head came.
        ended: how it ended, as the log says it.
        error: what went wrong.
    """

    status: int = 0
    size: int = 0
    chunks: int = 0
    head_at: float = 0.0
    ended: str = "complete"
    error: str = ""


class Exchange:
    """One request and its answer.

    Args:
        connection: of the client.
        received: the request.
        upstream: where it goes.
        dialect: of the API, as far as it is known.
        recording: takes the answer.
        link: a connection to the upstream from an earlier request.

    Attributes:
        passed: what was handed on.
        link: the connection that can be used again; None for none.
    """

    def __init__(
        self,
        connection: Connection,
        received: Received,
        upstream: Upstream,
        *,
        dialect: str | None,
        recording: Recording,
        link: Link | None,
    ) -> None:
        self._connection = connection
        self._received = received
        self._upstream = upstream
        self._dialect = dialect
        self._recording = recording
        self._gone_at: float | None = None
        self._over = asyncio.Event()
        self._plain = False
        self.passed = Passed()
        self.link = link

    async def run(self) -> bool | NoAnswer:
        """Pass the request and its answer on.

        Returns:
            Whether the client's connection may bring another request; or why there is no answer, which the client has
            still to be told.
        """
        watch = asyncio.create_task(self._watch())
        try:
            part = await self._begin()
            if isinstance(part, NoAnswer):
                self._recording.cancel()
                self.passed.ended = "client_closed" if self._left() else part.reason
                return False if self._left() else part
            keep = await self._pass_on(part)
        except asyncio.CancelledError:
            self.passed.ended = "server_stopped"
            await self._stopped()
            raise
        finally:
            self._over.set()
            watch.cancel()
            await asyncio.wait({watch})  # two cannot wait for the same client
            if self.link is not None and not self.link.usable:
                self.link.close()
                self.link = None
        return keep

    def _left(self) -> bool:
        """Whether the client has gone; it may go at any await."""
        return self._gone_at is not None

    # -- the answer's begin

    async def _begin(self) -> Part | NoAnswer:
        """Send the request; return the part of the answer in which its head has become whole."""
        while True:
            link = self.link if self.link is not None and self.link.usable else await self._upstream.connect()
            if isinstance(link, NoAnswer):
                return link
            self.link = link
            if self._left():
                return NoAnswer("the client has gone", "client_closed")
            try:
                link.ask(self._received, self._dialect)
                while (part := await link.read()).head is None:
                    pass
            except (OSError, EOFError, h11.ProtocolError) as error:
                link.close()
                self.link = None
                # A server may close an idle connection at the moment at which we use it again: that is no answer.
                if link.used and not self._left() and isinstance(error, ConnectionError | EOFError):
                    continue
                return self._upstream.unanswered(error)
            return part

    async def _pass_on(self, part: Part) -> bool:
        """Hand on the answer; return whether the client's connection may bring another request."""
        assert part.head is not None and self.link is not None  # noqa: S101, PT018 - so it begins
        head, passing = part.head, self.link.passing
        self.passed.status = head.status
        self.passed.head_at = asyncio.get_running_loop().time()
        self._recording.begin(head.status, head.reason, head.headers)
        self._plain = self._connection.old and passing.chunked
        try:
            while True:
                self._note(part.chunks)
                await self._write(part)
                if part.over:
                    break
                part = await self.link.read()
        except (OSError, EOFError, h11.RemoteProtocolError) as error:
            return await self._broken(error)
        left = self._left()
        self._over.set()
        await asyncio.to_thread(self._recording.end)  # which reads all of it
        if left:
            self.passed.ended = "client_closed"
            return False
        return self._connection.answered() and passing.keep and not self._plain

    def _note(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            self._recording.note(chunk)
            self.passed.size += len(chunk)
            self.passed.chunks += 1

    async def _write(self, part: Part) -> None:
        if self._left():
            return
        data = part.raw
        if self._plain:  # HTTP/1.0 knows no chunks: the end of the connection ends the body
            data = part.payload if part.head is None else _old_head(part.head) + part.payload
        if not data:
            return
        try:
            await self._connection.write(data)
        except TimeoutError as error:
            self.passed.error = str(error)
            self._gone()
            self._connection.abort()
        except OSError:
            self._gone()

    # -- ends

    async def _watch(self) -> None:
        """Wait for the client to go away. Then nothing more is read, but the end of a body that was over."""
        await self._connection.left()
        if not self._over.is_set():
            self._gone()

    def _gone(self) -> None:
        if self._left():
            return
        loop = asyncio.get_running_loop()
        self._gone_at = loop.time()
        loop.call_later(_GRACE if self._recording.is_over() else 0.0, self._give_up)

    def _give_up(self) -> None:
        """Close the way upstream, so that whoever reads from it wakes up."""
        if self.link is not None and not self._over.is_set():
            self.link.close()

    async def _broken(self, error: Exception) -> bool:
        """End the recording and the client's connection as the upstream's has ended."""
        assert self.link is not None  # noqa: S101 - it is what has broken
        passing = self.link.passing
        rest = passing.rest()
        self._note([rest] if rest else [])
        self.link.close()
        if self._left():
            self.passed.ended = "client_closed"
            self._recording.stop(Ending.CLIENT_CLOSED, missing=passing.missing)
            return False
        self.passed.error = self.passed.error or str(error)
        if isinstance(error, TimeoutError):
            ending = Ending.TIMEOUT
        else:
            ending = Ending.RESET if isinstance(error, OSError) else Ending.INCOMPLETE
        self.passed.ended = str(ending)
        self._recording.fail(error, ending, missing=passing.missing)
        if ending is Ending.INCOMPLETE:  # what is no HTTP is the client's to judge
            with suppress(OSError):
                await self._connection.write(passing.strange)
        else:
            await self._connection.reset()
        return False

    async def _stopped(self) -> None:
        """The proxy stops: so does what is under way, and the client must not take it for whole."""
        if self.link is not None and self.link.asked:
            rest = self.link.passing.rest()
            self._note([rest] if rest else [])
            self._recording.stop(Ending.CLIENT_CLOSED, missing=self.link.passing.missing)
            self.link.close()
        else:
            self._recording.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_HURRY):
                await self._connection.reset()
        self._connection.abort()


def _old_head(head: ResponseHead) -> bytes:
    lines = [f"HTTP/1.1 {head.status} {head.reason}"]
    lines += [f"{name}: {value}" for name, value in head.headers
              if name.lower() not in ("transfer-encoding", "connection", "keep-alive")]  # fmt: skip
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
