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

from typing import TYPE_CHECKING, NamedTuple

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import BOM, Diagnostic, ServerSentEvent, as_bytes, made, messages
from streamkit.wire.sse_encoder import Framing, SSEEncoder, encode

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BOM", "Diagnostic", "Framing", "SSEDecoder", "SSEEncoder", "ServerSentEvent", "decode", "encode"]

_MAX_DIAGNOSTICS = 1000
_LF, _CR = b"\n\r"


class _Ends(NamedTuple):
    """What stands between the parts of a stream all of whose lines end alike."""

    blank: bytes  # the end of a line, and a blank line
    joint: bytes  # the end of a line, and the beginning of a data line
    separator: bytes  # a blank line, and the beginning of a data line
    text_separator: str


_LF_ENDS, _CRLF_ENDS = (
    _Ends(2 * end, end + b"data: ", 2 * end + b"data: ", (2 * end + b"data: ").decode()) for end in (b"\n", b"\r\n")
)


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
        self._tail_size = 0
        self._line = 0  # lines seen
        self._block_size = 0  # of the unfinished block's finished lines, line ends counted as one
        self._block_bytes = 0  # the same as they came
        self._offset = 0  # where in the stream the unfinished block begins
        self._event = ""
        self._data: list[str] = []
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
                self._tail_size += len(data)
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
        return self._offset + self._block_bytes + self._tail_size + len(self._start)

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
        self.discarded = self._block_bytes + self._tail_size + len(self._start)
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
        other._line = self._line
        other._block_size = self._block_size
        other._block_bytes = self._block_bytes
        other._offset = self._offset
        other._event = self._event
        other._data = self._data[:]
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
                if self._block_size:  # the line end is two bytes long
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

    def _take_limited(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk of a stream that has a limit: fast where no block can reach it, else line by line."""
        limit = self._limit or 0
        if self._block_bytes + self._tail_size + len(chunk) <= limit:
            self._take(chunk, events, offsets)
            return
        self._take_lines(chunk, events, offsets)
        if self._block_size + self._tail_size > limit:
            self._overrun = True
        if self._overrun and not events:
            self._raise_limit()

    def _take(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk in three parts: up to its first blank line, whole blocks, and the rest of it."""
        ends = _CRLF_ENDS if _CR in chunk else _LF_ENDS
        blank = ends.blank
        end = chunk.find(blank)
        if end < 0:
            self._take_lines(chunk, events, offsets)
            return
        begins = end + len(blank)
        if self._data:
            self._take_lines(chunk[:begins], events, offsets)
        else:
            block = chunk[:end]
            if self._tail:
                block = b"".join([*self._tail, block])
                self._tail.clear()
                self._tail_size = 0
            if not self._block(block, ends, events, offsets):
                self._take_lines(block + blank, events, offsets)
        last = chunk.rfind(blank, begins)
        if last >= 0:
            self._blocks(chunk, begins, last, ends, events, offsets)
            begins = last + len(blank)
        rest = chunk[begins:]
        if _LF in rest or _CR in rest:
            self._take_lines(rest, events, offsets)
        elif rest:
            self._tail.append(rest)
            self._tail_size += len(rest)

    def _block(self, block: bytes, ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None) -> bool:
        """Dispatch a block of one data line, or of an event line and a data line; return whether it is one.

        Args:
            block: the block without its blank line, or what of it follows the lines taken already, none of them data.
        """
        kind, lines = self._event, 2
        if block.startswith(b"data: "):
            value = block[6:]
        else:
            head, joint, value = block.partition(ends.joint)
            if not joint or not head.startswith(b"event: ") or _LF in head or _CR in head:
                return False
            lines = 3
        if _LF in value or _CR in value:
            return False
        try:
            data = value.decode()
            if lines == 3:
                kind = head[7:].decode()
        except UnicodeDecodeError:
            return False
        events.append(made(kind or "message", data, self.last_event_id, self._block_retry))
        if offsets is not None:
            offsets.append(self._offset)
        self._line += lines
        self._offset += self._block_bytes + len(block) + len(ends.blank)
        self._block_size = self._block_bytes = 0
        self._event = ""
        self._block_retry = None
        return True

    def _blocks(
        self,
        chunk: bytes,
        begins: int,
        last: int,
        ends: _Ends,
        events: list[ServerSentEvent],
        offsets: list[int] | None,
    ) -> None:
        """Take whole blocks: from the start of one in the chunk to the last blank line, which is not yet taken."""
        if not chunk.startswith(b"data: ", begins):
            self._each(chunk[begins:last], ends, events, offsets)
            return
        try:
            texts = str(memoryview(chunk)[begins + 6 : last], "ascii").split(ends.text_separator)
            sizes = list(map(len, texts))
        except UnicodeDecodeError:
            parts = chunk[begins + 6 : last].split(ends.separator)
            sizes = list(map(len, parts))
            try:
                texts = [part.decode() for part in parts]
            except UnicodeDecodeError:
                self._each(chunk[begins:last], ends, events, offsets)
                return
        at = 0
        for place in [place for place, text in enumerate(texts) if "\n" in text or "\r" in text]:
            self._messages(texts[at:place], sizes[at:place], ends, events, offsets)
            self._each(b"data: " + texts[place].encode(), ends, events, offsets)
            at = place + 1
        self._messages(texts[at:], sizes[at:], ends, events, offsets)

    def _messages(
        self,
        texts: list[str],
        sizes: list[int],
        ends: _Ends,
        events: list[ServerSentEvent],
        offsets: list[int] | None,
    ) -> None:
        """Dispatch blocks that are one data line each."""
        events += messages(texts, self.last_event_id)
        self._line += 2 * len(texts)
        around = len(ends.separator)
        if offsets is None:
            self._offset += sum(sizes) + around * len(sizes)
            return
        offset = self._offset
        for size in sizes:
            offsets.append(offset)
            offset += size + around
        self._offset = offset

    def _each(self, blocks: bytes, ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take whole blocks one by one, from the start of one; the last is without its blank line."""
        for block in blocks.split(ends.blank):
            if not self._block(block, ends, events, offsets):
                self._take_lines(block + ends.blank, events, offsets)

    def _take_lines(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take any bytes, line by line."""
        lines = chunk.splitlines(keepends=True)
        if chunk[-1] == _CR:
            self._skip_lf = True
            self._quick = False
        elif chunk[-1] != _LF:
            rest = lines.pop()
            if lines:
                self._lines(lines, events, offsets)
            self._tail.append(rest)
            self._tail_size += len(rest)
            return
        self._lines(lines, events, offsets)

    # -- lines

    def _lines(self, lines: list[bytes], events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Interpret finished lines (9.2.6). The first of them ends the line that was left over."""
        if self._tail:
            self._tail.append(lines[0])
            lines[0] = b"".join(self._tail)
            self._tail.clear()
            self._tail_size = 0
        limit = self._limit
        for ended in lines:
            self._line += 1
            line = ended.rstrip(b"\r\n")  # takes off its line end and nothing else: a line holds no CR or LF
            if not line:
                event = self._dispatch()
                if event is not None:
                    events.append(event)
                    if offsets is not None:
                        offsets.append(self._offset)
                self._offset += self._block_bytes + len(ended)
                self._block_size = self._block_bytes = 0
                continue
            self._block_size += len(line) + 1
            self._block_bytes += len(ended)
            if limit is not None and self._block_size > limit:
                self._overrun = True
                return
            if line.startswith(b"data:"):
                self._data.append(self._text(line[6:] if line[5:6] == b" " else line[5:], data=True))
            elif line[0] != 58:  # a line that starts with a colon is a comment
                self._field(line)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":  # the line is just "data": an empty data line
            self._data.append("")
        elif name == b"event":
            self._event = self._text(value)
        elif name == b"id":
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

    def _text(self, value: bytes, *, data: bool = False) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            self._note("not-utf8", repr(value[:40])[1:])
            self._lossy = self._lossy or data
            return value.decode("utf-8", "replace")

    def _dispatch(self) -> ServerSentEvent | None:
        event = None
        if self._data:
            event = ServerSentEvent(
                self._event or "message", "\n".join(self._data), self.last_event_id, self._block_retry, self._lossy
            )
            self._data = []
            self._lossy = False
        elif self._event:
            self._note("empty-block", repr(self._event[:40]))
        self._event = ""
        self._block_retry = None
        return event

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
