"""One response while it is being recorded: its head, its chunks with their times, and how it ended.

The adapters of the client libraries feed it; it knows none of them. What comes after its end is dropped: a stream that
outlives its cassette records nothing.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.errors import StreamkitError
from streamkit.replay.clock import SystemClock
from streamkit.replay.delivery import is_over
from streamkit.transcript import Chunk, Ending, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from streamkit.replay.clock import Clock

__all__ = ["Recording", "described"]

_STREAMS = ("text/event-stream", "ndjson", "jsonl", "json-seq", "vnd.amazon.eventstream", "x-json-stream")


class Recording:
    """A response that is being recorded.

    Args:
        finished: called once with the recording when it has ended or been given up.
        clock: what times are read from.

    Attributes:
        transcript: what was recorded; None before the end, and for a request that got no response.
        open: whether more may come.
        size: bytes that have come.
        abandon: closes the response from outside; set by the adapter where that can be done.
        aabandon: the same for a response that is closed in a coroutine.
    """

    def __init__(self, finished: Callable[[Recording], None], clock: Clock | None = None) -> None:
        self._finished = finished
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._head: ResponseHead | None = None
        self._started = 0.0
        self._chunks: list[Chunk] = []
        self.transcript: Transcript | None = None
        self.open = True
        self.size = 0
        self.abandon: Callable[[], object] | None = None
        self.aabandon: Callable[[], Awaitable[object]] | None = None

    def begin(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        """Take the head of the response; times count from here."""
        self._head = ResponseHead(status, reason, tuple(headers))
        self._started = self._clock.time()

    def note(self, data: bytes) -> None:
        """Take a chunk that has come now."""
        with self._lock:
            if self.open and data:
                at = round(max(0.0, self._clock.time() - self._started) * 1000)
                self._chunks.append(Chunk(bytes(data), max(at, self._chunks[-1].at if self._chunks else 0)))
                self.size += len(data)

    def is_over(self) -> bool:
        """Whether the stream's protocol has come to its end by now, as far as a dialect of ours can tell."""
        with self._lock:
            return self._head is not None and is_over(_decoded(Transcript.from_chunks(self._chunks, head=self._head)))

    def end(self) -> None:
        """HTTP ended the body properly: the stream is complete, or it was truncated."""
        self.stop(Ending.COMPLETE)

    def fail(self, error: BaseException, ending: Ending, *, missing: int = 0) -> None:
        """The client library raised.

        Args:
            error: what it raised.
            ending: what that means.
            missing: bytes of the last HTTP chunk that were announced and did not come.
        """
        self.stop(ending, error=described(error), missing=missing)

    def stop(self, ending: Ending, *, error: str = "", missing: int = 0) -> None:
        """End the recording; a second end changes nothing."""
        with self._lock:
            if not self.open:
                return
            self.open = False
            if self._head is not None:
                self.transcript = self._result(self._head, ending, error, missing)
        self._finished(self)

    def cancel(self) -> None:
        """Give up: there was no response."""
        with self._lock:
            if not self.open:
                return
            self.open = False
        self._finished(self)

    def _result(self, head: ResponseHead, ending: Ending, error: str, missing: int) -> Transcript:
        if ending is Ending.INCOMPLETE and not missing and head.header("transfer-encoding") is None:
            announced = head.header("content-length") or ""
            missing = max(0, int(announced) - self.size) if announced.isascii() and announced.isdigit() else 0
        transcript = Transcript.from_chunks(self._chunks, head=head, ending=ending, error=error, missing=missing)
        kind = (head.header("content-type") or "").lower()
        streamed = any(name in kind for name in _STREAMS)
        if not streamed and len(self._chunks) <= 1 and ending is Ending.COMPLETE:
            return Transcript(transcript.body, head)  # an ordinary response, as vcrpy keeps it
        plain = _decoded(transcript)
        from streamkit import dialects

        dialect = dialects.detect(plain) if head.status < 400 else None
        if dialect is not None:
            transcript = replace(transcript, dialect=dialect.name)
            if ending is Ending.COMPLETE and not is_over(plain):
                transcript = replace(transcript, ending=Ending.TRUNCATED)
        elif ending is Ending.COMPLETE and head.status == 200 and streamed and not plain.body:
            transcript = replace(transcript, ending=Ending.TRUNCATED)  # no API's stream is over before its first event
        return transcript


def _decoded(transcript: Transcript) -> Transcript:
    from streamkit.cassettes.encoding import decoded

    try:
        return decoded(transcript)
    except (StreamkitError, ValueError):
        return transcript  # what cannot be decoded is recorded all the same


def described(error: Any) -> str:
    """Return an exception as "library.Class: message"; the library is the top package of its class."""
    kind = type(error)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}: {error}"
