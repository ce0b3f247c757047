"""What a transport hands over: the head of a response, its chunks in their time, and how it ends."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from streamkit.errors import DialectError, TruncatedStreamError, UsageError
from streamkit.replay.clock import Clock, SystemClock
from streamkit.transcript import Ending, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

__all__ = [
    "Cuts",
    "Deliveries",
    "Delivery",
    "Pace",
    "Source",
    "Timeout",
    "Watch",
    "deliveries",
    "delivery_of",
    "is_over",
]

Source = Transcript | str | Path | Sequence["Transcript | str | Path"]
Cuts = Fragmentation | str | Sequence[int] | None

Timeout = float | Callable[[], float | None] | None

# A replayed body is as the parser gets it: decoded, and framed by our own chunks.
_NOT_REPLAYED = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"}


@dataclass(frozen=True)
class Pace:
    """When chunks are handed over.

    Attributes:
        speed: 0 for at once, 1 for as recorded, 2 for twice as fast.
        clock: what waits.
    """

    speed: float = 0.0
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def of(cls, speed: float | None, clock: Clock | None) -> Pace:
        """Return the pace for a caller's choice: without a speed, 0, or 1 where a clock is given.

        Raises:
            UsageError: the speed is negative or no number.
        """
        speed = (0.0 if clock is None else 1.0) if speed is None else speed
        number: object = speed  # callers need not be typed
        if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= speed < math.inf:
            raise UsageError(f"speed is {speed!r}: write 0 for at once, 1 for as recorded, 2 for twice as fast")
        return cls(float(speed), SystemClock() if clock is None else clock)

    def wait(self, start: float, at: int, timeout: Timeout) -> tuple[float, bool]:
        """Return how long to wait for a chunk, in seconds, and whether the chunk is there then.

        Args:
            start: the clock's time at which the head was handed over.
            at: milliseconds of the chunk after the head.
            timeout: seconds that the client waits for the next bytes, or what tells them; None for ever.
        """
        if not self.speed:
            return 0.0, True
        wait = max(0.0, start + at / 1000 / self.speed - self.clock.time())
        longest = timeout() if callable(timeout) else timeout
        return (wait, True) if longest is None or wait <= longest else (max(0.0, longest), False)


class Watch(Protocol):
    """Who wants to know what a client takes of a response."""

    def take(self, chunk: bytes) -> None:
        """The client is about to get a chunk; raise, and it does not."""

    def finished(self) -> None:
        """The client has read to the end, or closed the response. May be told more than once."""


@dataclass(frozen=True)
class Delivery:
    """One response to hand over.

    Attributes:
        head: status and headers.
        chunks: the body in pieces; an async iterable serves async clients only.
        ending: how the body ends.
        times: milliseconds of each chunk after the head; none for at once.
        error: what the recording client's library raised at the end, as "library.Class: message".
        missing: bytes of the last HTTP chunk that were announced and never came.
        over: the protocol had come to its end when the recording client stopped reading.
        pace: when the chunks are handed over.
        wire: the body is as the wire had it, so that the headers that describe its transfer still hold.
        watch: is told what the client takes.
    """

    head: ResponseHead
    chunks: Iterable[bytes] | AsyncIterable[bytes]
    ending: Ending = Ending.COMPLETE
    times: Sequence[int] = ()
    error: str = ""
    missing: int = 0
    over: bool = False
    pace: Pace = Pace()
    wire: bool = False
    watch: Watch | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers, without those that describe another transfer of the body."""
        if self.wire:
            return list(self.head.headers)
        return [(name, value) for name, value in self.head.headers if name.lower() not in _NOT_REPLAYED]

    @property
    def fails(self) -> bool:
        """Whether the client gets an exception after the last chunk."""
        if self.ending is Ending.CLIENT_CLOSED:
            return not self.over
        return self.ending not in (Ending.COMPLETE, Ending.TRUNCATED)

    def play(self, timeout: Timeout = None) -> Iterator[bytes]:
        """Yield the chunks, each in its time.

        Args:
            timeout: seconds that the client waits for the next bytes, or what tells them; None for ever.

        Raises:
            TimeoutError: the next chunk comes later than that; each adapter raises its library's own exception.
            UsageError: the chunks are for async clients.
        """
        chunks: Any = self.chunks
        if not hasattr(chunks, "__iter__"):
            raise UsageError("an async iterable of chunks needs an async client")
        pace, start = self.pace, self.pace.clock.time()
        for number, chunk in enumerate(chunks):
            wait, comes = pace.wait(start, self._at(number), timeout)
            if wait > 0:
                pace.clock.sleep(wait)
            if not comes:
                raise TimeoutError("timed out")
            self._take(chunk)
            yield chunk

    async def aplay(self, timeout: Timeout = None) -> AsyncIterator[bytes]:  # noqa: ASYNC109 - of the client
        """Yield the chunks, each in its time; see `play`."""
        if hasattr(self.chunks, "__aiter__"):
            async for chunk in self.chunks:
                yield chunk
            return
        pace, start = self.pace, self.pace.clock.time()
        for number, chunk in enumerate(self.chunks):
            wait, comes = pace.wait(start, self._at(number), timeout)
            if wait > 0:
                await pace.clock.asleep(wait)
            if not comes:
                raise TimeoutError("timed out")
            self._take(chunk)
            yield chunk

    def finished(self) -> None:
        """Say that the client is done with the response."""
        if self.watch is not None:
            self.watch.finished()

    def _take(self, chunk: bytes) -> None:
        if self.watch is not None:
            self.watch.take(chunk)

    def _at(self, number: int) -> int:
        return self.times[number] if number < len(self.times) else self.times[-1] if self.times else 0


class Deliveries:
    """Hands out a delivery for each request: the only one for every request, several in their order.

    Attributes:
        requests: (method, URL, body) of each request that was answered.
    """

    def __init__(self, prepared: Sequence[Delivery]) -> None:
        if not prepared:
            raise UsageError("nothing to replay: give at least one transcript")
        self._prepared = list(prepared)
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str, bytes]] = []

    def next(self, method: str, url: str, body: bytes) -> Delivery:
        """Return the delivery for the next request.

        Raises:
            UsageError: all of several were handed out already.
        """
        with self._lock:
            number = len(self.requests)
            if len(self._prepared) > 1 and number >= len(self._prepared):
                raise UsageError(
                    f"request {number + 1} ({method} {url}): only {number} transcripts were given to replay"
                )
            self.requests.append((method, url, body))
            return self._prepared[number if len(self._prepared) > 1 else 0]


def deliveries(source: Source | Delivery, fragmentation: Cuts = None, pace: Pace | None = None) -> Deliveries:
    """Return the deliveries of one or more transcripts.

    Args:
        source: a transcript, its name or path, or several of them for the requests in turn; or a ready Delivery.
        fragmentation: a Fragmentation, its text form, or offsets; None for the recorded chunks. With several
            transcripts it must fit each. A chunk of another fragmentation comes when its last byte came.
        pace: when the chunks are handed over; at once where None.

    Raises:
        UsageError: nothing was given, or the cuts do not fit.
        CassetteError: a name cannot be found or its file not read.
    """
    if isinstance(source, Delivery):
        return Deliveries([source])
    listed: Sequence[Any] = [source] if isinstance(source, Transcript | str | Path) else source
    prepared = []
    for one in listed:
        if isinstance(one, Transcript):
            transcript = one
        else:
            from streamkit.cassettes import load

            transcript = load(one)
        prepared.append(delivery_of(transcript, fragmentation, pace))
    return Deliveries(prepared)


def delivery_of(transcript: Transcript, fragmentation: Cuts = None, pace: Pace | None = None) -> Delivery:
    """Return the delivery of one transcript; arguments and errors as for `deliveries`."""
    if fragmentation is None:
        chunks = [chunk.data for chunk in transcript.chunks]  # cut once, however often it is delivered
    else:
        chunks = transcript.fragment(fragmentation)
    return Delivery(
        transcript.head,
        chunks,
        transcript.ending,
        times=_times(transcript, chunks),
        error=transcript.error,
        missing=transcript.missing if fragmentation is None else 0,
        over=transcript.ending is Ending.CLIENT_CLOSED and is_over(transcript),
        pace=Pace() if pace is None else pace,
    )


def _times(transcript: Transcript, chunks: Sequence[bytes]) -> list[int]:
    """Return when each chunk has come: with its last byte."""
    ends = list(accumulate(transcript.lengths))
    last = len(ends) - 1
    if [len(chunk) for chunk in chunks] == list(transcript.lengths):
        return list(transcript.times)
    return [transcript.times[min(bisect_left(ends, end), last)] for end in accumulate(map(len, chunks))]


def is_over(transcript: Transcript) -> bool:
    """Whether the stream's protocol had come to its end, as far as a dialect of ours can tell."""
    from streamkit import dialects

    dialect = dialects.detect(transcript)
    if dialect is None:
        return False
    try:
        dialects.accumulate([transcript.body], dialect=dialect.name)
    except TruncatedStreamError:
        return False
    except DialectError:
        return True  # an error of the provider ends a stream as well
    return True
