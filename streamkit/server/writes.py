"""The writes of one response: h11 frames it, and here it is cut, timed and broken off. No socket is touched.

One HTTP chunk a Chunk, and one write each; the head and HTTP's end of the body are writes of their own. HTTP has no
empty chunk but the last, so empty chunks are left out.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING

import h11

from streamkit.transcript import Ending
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamkit.replay.delivery import Delivery
    from streamkit.server.how import How

__all__ = ["After", "Script", "Write", "encoded", "of_http_1_0", "refusal", "script"]

_BODILESS = (204, 304)  # a length beside them is another's (RFC 9110, 8.6)
_STREAMS = ("event-stream", "ndjson", "jsonl", "json-seq", "eventstream", "json-stream")


class After(StrEnum):
    """What becomes of the connection after the last write.

    Attributes:
        KEEP: the response is whole; the connection may serve the next request.
        CLOSE: it is closed in order (FIN).
        RESET: it is reset (RST).
        STALL: nothing more comes, and it stays open.
    """

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Write:
    """One write after the head.

    Attributes:
        data: the bytes.
        due: milliseconds after the head.
        closing: whether it says no more than that the body is over.
    """

    data: bytes
    due: int
    closing: bool = False


class Script:
    """What goes over the wire for one response. Its writes are made one by one, when they are asked for, and once.

    Attributes:
        head: status line and headers, with the empty line.
        whole: whether the body is sent to its end.
    """

    def __init__(self, head: bytes, writes: Iterator[Write], broken: After | None, kept: Callable[[], bool]) -> None:
        self.head = head
        self.whole = broken is None
        self._writes = writes
        self._broken = broken
        self._kept = kept

    def __iter__(self) -> Iterator[Write]:
        return self._writes

    @property
    def after(self) -> After:
        """What becomes of the connection after the last write; ask when that is done."""
        if self._broken is not None:
            return self._broken
        return After.KEEP if self._kept() else After.CLOSE


def script(connection: h11.Connection, method: str, answer: Delivery, how: How) -> Script:
    """Return the writes of a response.

    Args:
        connection: the server's side of a connection whose request was read; it moves on with the writes.
        method: of the request; a HEAD is answered without a body.
        answer: head, chunks and ending.
        how: the conduct on the wire.

    Raises:
        UsageError: the cuts of `how.writes` lie beyond what is sent.
    """
    framing = _framing(connection, answer, how)
    if framing == "close":
        connection = of_http_1_0(method)
    chunks, times = _listed(answer)
    announced = sum(map(len, chunks))
    breaks = how.breaks_at(announced)
    if breaks is not None:
        chunks = _until(chunks, breaks[1])
        answer = replace(answer, ending=_ENDINGS[breaks[0]], missing=0, error="")
    broken = _broken(answer)
    if framing == "length":
        announced += answer.missing
    told = framing == "length" and answer.head.status not in _BODILESS
    head = _head(connection, answer, [("content-length", str(announced))] if told else [])
    missing = answer.missing if framing == "chunked" else 0
    bodiless = method == "HEAD"
    writes = _framed(connection, [] if bodiless else chunks, times, missing, ends=broken is None)
    if how.writes is not None:
        writes = iter(_recut(list(writes), how.writes))
    return Script(head, writes, broken, lambda: framing != "close" and connection.our_state is not h11.MUST_CLOSE)


_ENDINGS = {"reset": Ending.RESET, "close": Ending.INCOMPLETE, "stall": Ending.TIMEOUT}


def _broken(answer: Delivery) -> After | None:
    """Return how the connection breaks off; None where HTTP ends the body."""
    if not answer.fails:
        return None
    if answer.ending is Ending.INCOMPLETE:
        return After.CLOSE
    return After.STALL if answer.ending is Ending.TIMEOUT else After.RESET


def _framing(connection: h11.Connection, answer: Delivery, how: How) -> str:
    """Return "chunked", "length" or "close"."""
    old = connection.their_http_version is not None and connection.their_http_version < b"1.1"
    if how.framing is not None:
        return "close" if old and how.framing == "chunked" else how.framing
    kind = (answer.head.header("content-type") or "").lower()
    if not any(name in kind for name in _STREAMS) and len(_listed(answer)[0]) <= 1:
        return "length"  # an ordinary response
    return "close" if old else "chunked"


def of_http_1_0(method: str) -> h11.Connection:
    """Return a connection on which h11 ends a body by closing: to HTTP/1.1 it would write chunks."""
    other = h11.Connection(h11.SERVER)
    other.receive_data((b"HEAD" if method == "HEAD" else b"GET") + b" / HTTP/1.0\r\n\r\n")
    other.next_event()
    other.next_event()
    return other


def _listed(answer: Delivery) -> tuple[list[bytes], list[int]]:
    """Return the chunks that have bytes, and the time of each."""
    chunks, times = [], []
    for number, chunk in enumerate(answer.chunks):  # type: ignore[arg-type]  # a server is given bytes, not an async iterable
        if chunk:
            chunks.append(bytes(chunk))
            times.append(answer.times[min(number, len(answer.times) - 1)] if answer.times else 0)
    return chunks, times


def refusal(answer: Delivery) -> bytes:
    """Return all of an answer after which the connection is closed, whatever became of the request."""
    from streamkit.server.how import How

    written = script(of_http_1_0("POST"), "POST", answer, How(framing="length"))
    return b"".join([written.head, *(one.data for one in written)])


def _until(chunks: Sequence[bytes], offset: int) -> list[bytes]:
    kept = []
    for chunk in chunks:
        if offset <= 0:
            break
        kept.append(chunk[:offset])
        offset -= len(chunk)
    return kept


def _head(connection: h11.Connection, answer: Delivery, further: list[tuple[str, str]]) -> bytes:
    headers = [(name.encode("latin-1", "replace"), value.strip().encode("latin-1", "replace"))
               for name, value in (*answer.headers, *further)]  # fmt: skip
    reason = answer.head.reason.encode("latin-1", "replace")
    try:
        response = h11.Response(status_code=answer.head.status, headers=headers, reason=reason)
    except h11.LocalProtocolError:  # a header that HTTP does not allow: what a recording holds need not be valid
        response = h11.Response(status_code=answer.head.status, headers=list(filter(_valid, headers)))
    return connection.send(response) or b""


def _valid(header: tuple[bytes, bytes]) -> bool:
    try:
        h11.Response(status_code=200, headers=[header])
    except h11.LocalProtocolError:
        return False
    return True


def _framed(
    connection: h11.Connection, chunks: Sequence[bytes], times: Sequence[int], missing: int, *, ends: bool
) -> Iterator[Write]:
    """Yield the chunks as they go over the wire, and then HTTP's end of the body where it ends."""
    due = 0
    for number, (chunk, due) in enumerate(zip(chunks, times, strict=False)):
        if missing and number == len(chunks) - 1:
            yield Write(b"%x\r\n%b" % (len(chunk) + missing, chunk), due)  # h11 frames no half chunk
        else:
            yield Write(connection.send(h11.Data(chunk)) or b"", due)
    if ends:
        closing = connection.send(h11.EndOfMessage())
        if closing:
            yield Write(closing, due, closing=True)


def _recut(framed: Sequence[Write], writes: Fragmentation | str) -> list[Write]:
    """Return other writes of the same bytes; each is due when its last byte is."""
    wire = b"".join(one.data for one in framed)
    if not wire:
        return []
    cuts = Fragmentation.drip(wire) if isinstance(writes, str) else writes
    pieces = [piece for piece in cuts.chunks(wire) if piece]
    ends = list(accumulate(len(one.data) for one in framed))
    body = ends[-1] - len(framed[-1].data) if framed[-1].closing else ends[-1]
    recut = []
    for end, piece in zip(accumulate(map(len, pieces)), pieces, strict=True):
        recut.append(Write(piece, framed[bisect_left(ends, end)].due, closing=end - len(piece) >= body))
    return recut


def encoded(answer: Delivery, encoding: str) -> Delivery:
    """Return the same answer with its body compressed, chunk by chunk.

    Args:
        answer: with its body as a parser gets it.
        encoding: "gzip" or "deflate"; with "-late" nothing is flushed before the end, so that early chunks hold bytes
            back.
    """
    name, _, late = encoding.partition("-")
    press = zlib.compressobj(wbits=31 if name == "gzip" else zlib.MAX_WBITS)
    chunks, times = _listed(answer)
    pressed = []
    for number, chunk in enumerate(chunks):
        piece = press.compress(chunk)
        if number == len(chunks) - 1:
            piece += press.flush()
        elif not late:
            piece += press.flush(zlib.Z_SYNC_FLUSH)
        pressed.append(piece)
    head = replace(answer.head, headers=(*answer.headers, ("content-encoding", name)))
    return replace(answer, head=head, chunks=pressed, times=times, wire=True)
