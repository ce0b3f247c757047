r"""Server-sent events, byte for byte as the WHATWG HTML standard has them (section 9.2, "Server-sent events").

Strategy. The rules are in `_lines`, which takes one line after the other; everything else is a way around it for what
most streams hold, and leaves the decoder in exactly the state that it would have left.

- A chunk is cut into lines with `bytes.splitlines`, which for bytes knows exactly the three line ends of the standard
  (LF, CR, CRLF) and no others. Only the unfinished last line is kept, as a list of pieces that is joined once when its
  line end comes: joining earlier would make a long line quadratic in the number of its chunks. A CR ends its line at
  once; the LF that may follow it, perhaps in the next chunk, is swallowed then. So an event is handed out by the very
  `feed` that completes its blank line, whatever the chunking. Bytes are decoded per line: a line end cannot be part of
  a UTF-8 sequence, so the replacement characters are those of decoding the whole stream.
- A chunk without a line end is one more piece of the unfinished line, and nothing else (`_quick`).
- A block of one data line, or of an event line and a data line, is read as a whole (`_block`).
- Many blocks of one data line each are found by one `bytes.split` on what stands between two data: a blank line and
  the next field name (`_blocks`). A part that still holds a line end is something else, and goes to `_block`.

Both of the latter want one line end throughout, LF or CRLF, and data that are UTF-8: all else goes to `_lines`. So do
streams with a limit where they come near it.

Oddities never raise: the standard says to ignore them. They are kept as `SSEDecoder.diagnostics`. Only the byte limit
raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import BOM, Diagnostic, ServerSentEvent, Draft, as_bytes
from streamkit.wire.sse_encoder import Framing, SSEEncoder, encode

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BOM", "Diagnostic", "Framing", "SSEDecoder", "SSEEncoder", "ServerSentEvent", "decode", "encode"]

_MAX_DIAGNOSTICS = 1000
_LF, _CR, _COLON = b"\n\r:"


class SSEDecoder:
    """Incremental decoder of an event stream.

    It can be copied (`copy`, or the functions of the module `copy`) and pickled at any point of a stream. The same
    bytes so far give the same pickle, whatever the chunks were: what is left of a stream is decided by its state.

    Args:
        max_event_bytes: the most bytes that one unfinished block may hold, line ends counted as one; None for no
            limit. The same streams pass and fail whatever the chunking.

    Attributes:
        diagnostics: what was odd so far, at most 1000 entries; `diagnostics_dropped` counts the rest.
        last_event_id: the last event ID buffer.
        retry: the last reconnection time that the stream set, in milliseconds, or None.
        discarded: after `close`, how many bytes of an unfinished block were discarded (0 for a clean end).

    Source: WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
    """

    def __init__(self, *, max_event_bytes: int | None = None) -> None:
        if max_event_bytes is not None and max_event_bytes < 1:
            raise UsageError(f"max_event_bytes is {max_event_bytes}: give at least 1, or None for no limit")
        self.diagnostics: list[Diagnostic] = []
        self.diagnostics_dropped = 0
        self.last_event_id = ""
        self.retry: int | None = None
        self.discarded = 0
        self._quick = False  # nothing has to be looked at in the next chunk but its line ends
        self._limit = max_event_bytes
        self._overrun = False
        self._closed = False
        self._start = b""  # bytes that may still turn out to be a BOM
        self._started = False
        self._skip_lf = False
        self._tail: list[bytes] = []  # pieces of the unfinished line
        self._tail_size = 0  # of the pieces that are counted
        self._counted = 0  # how many of them those are
        self._line = 0  # lines seen
        self._block_size = 0  # of the unfinished block's finished lines, line ends counted as one
        self._block_bytes = 0  # the same as they came
        self._offset = 0  # where in the stream the unfinished block begins
        self._event = ""
        self._data: str | None = None  # the first data line of the block
        self._more: list[str] = []  # the others
        self._lossy = False
        self._block_retry: int | None = None

    def feed(self, data: Buffer, offsets: list[int] | None = None) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that they complete.

        Args:
            data: any bytes-like object; may be empty, which changes nothing.
            offsets: where given, gets for each event where in the stream its block begins, in bytes.

        Returns:
            The events whose blank line is now complete, in order.

        Raises:
            LimitError: an unfinished block is larger than `max_event_bytes`. Events that came before it are returned
                first, and the error is raised by the next call; every later call raises it again.
            TypeError: `data` is not bytes-like.
            UsageError: the decoder is closed.
        """
        if self._quick and type(data) is bytes:
            if _LF not in data and _CR not in data:
                self._tail.append(data)
                return []
            chunk = data
        else:
            chunk = self._admitted(data)
            if not chunk:
                return []
        events: list[ServerSentEvent] = []
        if self._limit is None:
            self._take(chunk, events, offsets)
        else:
            self._take_limited(chunk, events, offsets)
        return events

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._offset + self._block_bytes + self._tail_bytes() + len(self._start)

    def close(self) -> list[ServerSentEvent]:
        """End the stream. An unfinished block is discarded, as the standard says; `discarded` holds its size.

        Returns:
            Always an empty list: an event is never held back until the end.

        Raises:
            LimitError: as `feed`, where the error was still owed.
        """
        if self._closed:
            return []
        if self._overrun:
            self._raise_limit()
        self._closed = True
        self._quick = False
        self.discarded = self._block_bytes + self._tail_bytes() + len(self._start)
        if self.discarded:
            self._note("unterminated", f"{self.discarded} bytes", self._line + 1)
        return []

    # -- state

    def copy(self) -> SSEDecoder:
        """Return a decoder that goes on from here by itself."""
        other = object.__new__(type(self))
        other.diagnostics = self.diagnostics[:]
        other.diagnostics_dropped = self.diagnostics_dropped
        other.last_event_id = self.last_event_id
        other.retry = self.retry
        other.discarded = self.discarded
        other._quick = self._quick
        other._limit = self._limit
        other._overrun = self._overrun
        other._closed = self._closed
        other._start = self._start
        other._started = self._started
        other._skip_lf = self._skip_lf
        other._tail = self._tail[:]
        other._tail_size = self._tail_size
        other._counted = self._counted
        other._line = self._line
        other._block_size = self._block_size
        other._block_bytes = self._block_bytes
        other._offset = self._offset
        other._event = self._event
        other._data = self._data
        other._more = self._more[:]
        other._lossy = self._lossy
        other._block_retry = self._block_retry
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> SSEDecoder:
        return self.copy()

    def __getstate__(self) -> tuple[int | str | bytes | None, ...]:
        """Return all that decides what comes next, the same for the same bytes so far.

        It holds one text and one bytes object, not many: a pickle tells two equal strings from one string twice, so
        with several of them it would depend on who shares what.
        """
        texts = [self.last_event_id, self._event]
        if self._data:
            texts += self._data
        flags = self._overrun | self._closed << 1 | self._started << 2 | self._skip_lf << 3 | self._lossy << 4
        return (
            flags,
            self._limit,
            self._line,
            self._offset,
            self._block_size,
            self._block_bytes,
            self.retry,
            self._block_retry,
            self.discarded,
            "\n".join(texts),
            b"".join(self._tail) if self._started else self._start,
            self.diagnostics_dropped,
            *[part for one in self.diagnostics for part in one.encoded()],
        )

    # -- chunks

    def _admitted(self, data: Buffer) -> bytes:
        """Return the bytes of a chunk that belong to lines: without a BOM, and without the LF of a CRLF cut in two."""
        chunk = as_bytes(data, "SSEDecoder.feed()")
        if self._closed:
            raise UsageError("feed() after close(): make a new SSEDecoder for another stream")
        if self._overrun:
            self._raise_limit()
        if not self._started:
            chunk = self._strip_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
                if self._block_bytes:  # the line end is two bytes long
                    self._block_bytes += 1
                else:
                    self._offset += 1
        self._quick = self._started and self._limit is None and not self._skip_lf
        return chunk

    def _strip_bom(self, chunk: bytes) -> bytes:
        chunk = self._start + chunk
        if len(chunk) < 3 and BOM.startswith(chunk):
            self._start = chunk
            return b""
        self._start = b""
        self._started = True
        if chunk.startswith(BOM):
            self._note("bom", "", 1)
            self._offset = 3
            return chunk[3:]
        return chunk

    def _take(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk: its lines all at once where they end alike."""
        if _CR not in chunk:
            lines, width = chunk.split(b"\n"), 1
        else:
            lines, width = chunk.split(b"\r\n"), 2
            kept = b"".join(lines)
            if _LF in kept or _CR in kept:
                self._take_mixed(chunk, events, offsets)
                return
        rest = lines.pop()
        tail = self._tail
        if lines:
            if tail:
                tail.append(lines[0])
                lines[0] = b"".join(tail)
                tail.clear()
                self._counted = self._tail_size = 0
            self._lines(lines, width, events, offsets)
        if rest:
            tail.append(rest)

    def _take_mixed(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk line by line: the ends of its lines differ, or it comes near the limit."""
        for ended in chunk.splitlines(keepends=True):
            line = ended.rstrip(b"\r\n")  # takes off its line end and nothing else: a line holds no CR or LF
            if len(line) == len(ended):
                self._tail.append(line)
                break
            width = len(ended) - len(line)
            if self._tail:
                line = b"".join([*self._tail, line])
                self._tail.clear()
                self._counted = self._tail_size = 0
            self._lines([line], width, events, offsets)
            if self._limit is not None and self._block_size > self._limit:
                self._overrun = True
                return
        if chunk[-1] == _CR:
            self._skip_lf = True
            self._quick = False

    def _take_limited(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk of a stream that has a limit."""
        limit = self._limit or 0
        if self._block_bytes + self._tail_bytes() + len(chunk) <= limit:
            self._take(chunk, events, offsets)
            return
        self._take_mixed(chunk, events, offsets)
        if self._block_size + self._tail_bytes() > limit:
            self._overrun = True
        if self._overrun and not events:
            self._raise_limit()

    def _tail_bytes(self) -> int:
        """Return the size of the unfinished line. Each piece of it is counted once, and only if somebody asks."""
        self._tail_size += sum(map(len, self._tail[self._counted :]))
        self._counted = len(self._tail)
        return self._tail_size

    # -- lines

    def _lines(self, lines: list[bytes], width: int, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Interpret finished lines (9.2.6), the ends of which are `width` bytes long."""
        event, data, number = self._event, self._data, self._line
        begins = self._offset  # of the block
        here = since = begins + self._block_bytes
        size, first = self._block_size, number
        for line in lines:
            number += 1
            if not line:
                if data is not None:
                    if self._more:
                        data = "\n".join([data, *self._more])
                        self._more = []
                    draft = Draft()
                    draft.event = event or "message"
                    draft.data = data
                    draft.id = self.last_event_id
                    draft.retry = self._block_retry
                    draft.lossy = self._lossy
                    draft.__class__ = ServerSentEvent
                    events.append(draft)
                    if offsets is not None:
                        offsets.append(begins)
                    data = None
                    self._lossy = False
                elif event:
                    self._line = number
                    self._note("empty-block", repr(event[:40]))
                event = ""
                self._block_retry = None
                begins = here = since = here + width
                size, first = 0, number
                continue
            here += len(line) + width
            if line.startswith(b"data: "):
                value = line[6:]
            else:
                self._line = number
                name, _, value = line.partition(b":")
                if value.startswith(b" "):
                    value = value[1:]
                if name != b"data":
                    if name == b"event":
                        event = self._text(value)
                    elif line[0] != _COLON:  # a line that starts with a colon is a comment
                        self._field(name, value)
                    continue
            try:
                text = value.decode()
            except UnicodeDecodeError:
                self._line = number
                text = self._text(value)
                self._lossy = True
            if data is None:
                data = text
            else:
                self._more.append(text)
        self._event, self._data, self._line = event, data, number
        self._offset = begins
        self._block_bytes = here - begins
        self._block_size = size + here - since - (width - 1) * (number - first)

    def _field(self, name: bytes, value: bytes) -> None:
        """Take a field other than data and event."""
        if name == b"id":
            if b"\0" in value:
                self._note("nul-in-id", "")
            else:
                self.last_event_id = self._text(value)
        elif name == b"retry":
            try:
                if not value.isdigit():  # for bytes, that is ASCII digits only
                    raise ValueError
                self.retry = self._block_retry = int(value)
            except ValueError:  # Python, too, refuses to read thousands of digits
                self._note("bad-retry", repr(value[:40])[1:])
        else:
            self._note("unknown-field", repr(name[:40])[1:])

    def _text(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            self._note("not-utf8", repr(value[:40])[1:])
            return value.decode("utf-8", "replace")

    def _note(self, kind: str, detail: str, line: int | None = None) -> None:
        if len(self.diagnostics) < _MAX_DIAGNOSTICS:
            self.diagnostics.append(Diagnostic(kind, self._line if line is None else line, detail))
        else:
            self.diagnostics_dropped += 1

    def _raise_limit(self) -> None:
        limit = self._limit or 0
        raise LimitError(f"an event of the stream is larger than max_event_bytes={limit}", limit=limit)


def decode(body: Buffer) -> list[ServerSentEvent]:
    """Return the events of a whole body."""
    decoder = SSEDecoder()
    events = decoder.feed(body)
    decoder.close()
    return events
