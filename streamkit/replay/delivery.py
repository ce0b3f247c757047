"""What a transport hands over: the head of a response, its chunks, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.transcript import Ending, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

__all__ = ["Cuts", "Deliveries", "Delivery", "Source", "deliveries"]

Source = Transcript | str | Path | Sequence["Transcript | str | Path"]
Cuts = Fragmentation | str | Sequence[int] | None

# A replayed body is as the parser gets it: decoded, and framed by our own chunks.
_NOT_REPLAYED = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive"}


@dataclass(frozen=True)
class Delivery:
    """One response to hand over.

    Attributes:
        head: status and headers.
        chunks: the body in pieces; an async iterable serves async clients only.
        ending: how the body ends.
    """

    head: ResponseHead
    chunks: Iterable[bytes] | AsyncIterable[bytes]
    ending: Ending = Ending.COMPLETE

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers without those that describe another transfer of the body."""
        return [(name, value) for name, value in self.head.headers if name.lower() not in _NOT_REPLAYED]


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


def deliveries(source: Source | Delivery, fragmentation: Cuts = None) -> Deliveries:
    """Return the deliveries of one or more transcripts.

    Args:
        source: a transcript, its name or path, or several of them for the requests in turn; or a ready Delivery.
        fragmentation: a Fragmentation, its text form, or offsets; None for the recorded chunks. With several
            transcripts it must fit each.

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
        prepared.append(Delivery(transcript.head, transcript.fragment(fragmentation), transcript.ending))
    return Deliveries(prepared)
