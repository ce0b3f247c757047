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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import BOM, Diagnostic, Draft, ServerSentEvent, as_bytes, made
from streamkit.wire.sse_encoder import Framing, SSEEncoder, encode

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BOM", "Diagnostic", "Framing", "SSEDecoder", "SSEEncoder", "ServerSentEvent", "decode", "encode"]

_MAX_DIAGNOSTICS = 1000
_SHORT = 64  # bytes of a chunk of which it is not worth while to look for blocks that look alike
_LONG = 65536  # bytes of a chunk that are taken at once, to stay in the processor's caches
_LF, _CR, _COLON = b"\n\r:"


@dataclass(frozen=True, slots=True)
class _Ends:
    """What stands between the parts of a stream whose lines end alike."""

    line: bytes
    blank: bytes  # after the last line of a block
    plain: bytes  # between the values of data lines, each of them a block
    named: bytes  # before the name of a block that begins with an event line
    joint: bytes  # between that name and the value of a data line
    size: int  # of `blank`
    around: int  # size of `plain`: of what belongs to a data line and its blank line, but for the value
    crlf: bool


def _ends(line: bytes) -> _Ends:
    blank = line + line
    return _Ends(
        line,
        blank,
        blank + b"data: ",
        blank + b"event: ",
        line + b"data: ",
        len(blank),
        len(blank) + 6,
        line == b"\r\n",
    )


class _OddError(ValueError):
    """A block does not look like the others. It is no error: `ValueError` is what decoding raises too."""


_LF_ENDS, _CRLF_ENDS = _ends(b"\n"), _ends(b"\r\n")


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
        self._in_value = False  # the unfinished line begins with "data: ", which its pieces do not hold
        self._head = b"", ""  # an event line and the beginning of a data line as they often come; its event type
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
        if self._in_value and self._limit is None and len(chunk) <= _LONG:
            ends = _CRLF_ENDS if _CR in chunk else _LF_ENDS
            parts = chunk.split(ends.named if self._event else ends.plain)
            if len(parts) > 1:
                self._blocks(parts, ends, events, offsets)
                return events
        if self._limit is not None:
            self._take_limited(chunk, events, offsets)
        elif len(chunk) <= _LONG:
            self._take(chunk, events, offsets)
        else:
            for at in range(0, len(chunk), _LONG):
                events += self.feed(chunk[at : at + _LONG], offsets)
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
        other._in_value = self._in_value
        other._head = self._head
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
        return self.copy()  # what it shares cannot be changed

    def __getstate__(self) -> tuple[int | str | bytes | None, ...]:
        """Return all that decides what comes next, the same for the same bytes so far.

        All texts are in one string: a pickle tells one string twice from two equal ones, so with several of them it
        would depend on who shares what.
        """
        texts = [self.last_event_id, self._event]
        if self._data is not None:
            texts += [self._data, *self._more]
        tail = b"".join(self._tail) if self._tail else self._start
        notes = "\n".join([f"{note.kind}\t{note.line}\t{note.detail}" for note in self.diagnostics])
        return (
            self._overrun | self._closed << 1 | self._started << 2 | self._skip_lf << 3 | self._lossy << 4,
            self._limit,
            self._line,
            self._offset,
            self._block_size,
            self._block_bytes,
            self.retry,
            self._block_retry,
            self.discarded,
            self.diagnostics_dropped,
            "\n".join(texts),
            b"data: " + tail if self._in_value else tail,
            notes,
        )

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        SSEDecoder.__init__(self)
        flags, self._limit, self._line, self._offset, self._block_size, self._block_bytes = state[:6]
        self.retry, self._block_retry, self.discarded, self.diagnostics_dropped, text, tail, notes = state[6:]
        self._overrun, self._closed, self._started, self._skip_lf, self._lossy = (
            bool(flags >> bit & 1) for bit in range(5)
        )
        self.last_event_id, self._event, *values = text.split("\n")
        if values:
            self._data, *self._more = values
        elif tail.startswith(b"data: "):
            self._in_value = True
            tail = tail[6:]
        if tail and not self._started:
            self._start = tail
        elif tail:
            self._tail.append(tail)
        for kind, line, detail in (note.split("\t") for note in notes.split("\n") if note):
            self.diagnostics.append(Diagnostic(kind, int(line), detail))
        self._quick = self._started and self._limit is None and not self._skip_lf and not self._closed

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
        """Take a chunk: up to its first blank line by lines, what follows by blocks where they look alike."""
        ends = _CRLF_ENDS if _CR in chunk else _LF_ENDS
        end = chunk.find(ends.blank) if len(chunk) > _SHORT else -1
        begins = end + ends.size
        if end < 0 or not chunk.startswith((b"data: ", b"event: "), begins):
            self._take_lines(chunk, ends, events, offsets)
            return
        self._take_lines(chunk[:begins], ends, events, offsets)
        if chunk.startswith(b"data: ", begins):
            self._plain_blocks(chunk[begins + 6 :].split(ends.plain), ends, events, offsets)
        else:
            self._named_blocks(chunk[begins + 7 :].split(ends.named), ends, events, offsets)

    def _blocks(
        self, parts: list[bytes], ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
        """Take the end of a block whose last line is a data line, and blocks that look like it.

        Args:
            parts: the rest of the value of that line; of each other block what follows `ends.named` where this one has
                an event line, else what follows `ends.plain`; the last of them is not finished.
        """
        tail = self._tail
        value, named = parts[0], self._event
        if tail:
            value = tail[0] + value if len(tail) == 1 else b"".join([*tail, value])
            self._tail = []
            self._tail_size = self._counted = 0
        self._in_value = False
        try:
            if _LF in value or (ends.crlf and _CR in value):
                raise _OddError
            text = value.decode()
        except ValueError:
            self._take_lines(b"data: " + value + ends.blank, ends, events, offsets)
        else:
            draft = Draft()
            draft.event = named or "message"
            draft.data = text
            draft.id = self.last_event_id
            draft.retry = self._block_retry
            draft.lossy = False
            draft.__class__ = ServerSentEvent  # type: ignore[assignment]
            events.append(draft)  # type: ignore[arg-type]
            if offsets is not None:
                offsets.append(self._offset)
            self._line += 2
            self._offset += self._block_bytes + len(value) + ends.around
            if self._block_bytes:
                self._block_bytes = self._block_size = 0
                self._event = ""
                self._block_retry = None
        if named:
            del parts[0]
            self._named_blocks(parts, ends, events, offsets)
        elif len(parts) == 2 and _LF not in parts[1] and _CR not in parts[1]:
            self._in_value = True
            self._tail.append(parts[1])
        else:
            del parts[0]
            self._plain_blocks(parts, ends, events, offsets)

    def _plain_blocks(
        self, parts: list[bytes], ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
        """Take blocks from the start of one, each a data line: the parts are what follows "data: " in each."""
        rest = parts.pop()
        crlf = ends.crlf
        if parts:
            around = ends.around
            number, offset, last_id = self._line, self._offset, self.last_event_id
            for part in parts:
                try:
                    if _LF in part or (crlf and _CR in part):
                        raise _OddError
                    text = part.decode()
                except ValueError:
                    self._line, self._offset = number, offset
                    self._take(b"data: " + part + ends.blank, events, offsets)
                    number, offset, last_id = self._line, self._offset, self.last_event_id
                    continue
                draft = Draft()
                draft.event = "message"
                draft.data = text
                draft.id = last_id
                draft.retry = None
                draft.lossy = False
                draft.__class__ = ServerSentEvent  # type: ignore[assignment]
                events.append(draft)  # type: ignore[arg-type]
                if offsets is not None:
                    offsets.append(offset)
                number += 2
                offset += len(part) + around
            self._line, self._offset = number, offset
        if _LF in rest or (crlf and _CR in rest):
            self._take_lines(b"data: " + rest, ends, events, offsets)
        else:
            self._in_value = True
            self._tail.append(rest)

    def _named_blocks(
        self, parts: list[bytes], ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
        """Take blocks from the start of one, each an event line and a data line: what follows "event: " in each."""
        rest = parts.pop()
        crlf, joint, around = ends.crlf, ends.joint, ends.around + 1
        number, offset, last_id = self._line, self._offset, self.last_event_id
        head, kind = self._head if self._head[0].endswith(joint) else (joint, "")
        for part in parts:
            try:
                if not part.startswith(head):
                    name, found, _ = part.partition(joint)
                    if not name or not found or _LF in name or (crlf and _CR in name):
                        raise _OddError
                    kind = name.decode()
                    head = name + joint
                value = part[len(head) :]
                if _LF in value or (crlf and _CR in value):
                    raise _OddError
                text = value.decode()
            except ValueError:
                self._line, self._offset = number, offset
                self._take(b"event: " + part + ends.blank, events, offsets)
                number, offset, last_id = self._line, self._offset, self.last_event_id
                continue
            draft = Draft()
            draft.event = kind
            draft.data = text
            draft.id = last_id
            draft.retry = None
            draft.lossy = False
            draft.__class__ = ServerSentEvent  # type: ignore[assignment]
            events.append(draft)  # type: ignore[arg-type]
            if offsets is not None:
                offsets.append(offset)
            number += 3
            offset += len(part) + around
        self._line, self._offset = number, offset
        self._head = head, kind
        value = rest[len(head) :]
        if not rest.startswith(head) or not kind or _LF in value or (crlf and _CR in value):
            self._take_lines(b"event: " + rest, ends, events, offsets)
            return
        self._event = kind
        self._line += 1
        self._block_bytes = len(head) + 1
        self._block_size = len(head) + 1 - crlf
        self._in_value = True
        self._tail.append(value)

    def _take_lines(self, chunk: bytes, ends: _Ends, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take any bytes, all lines at once where they end alike."""
        lines = chunk.split(ends.line)
        if ends.crlf:
            kept = b"".join(lines)
            if _LF in kept or _CR in kept:
                self._take_mixed(chunk, events, offsets)
                return
        rest = lines.pop()
        if lines:
            if self._tail or self._in_value:
                lines[0] = self._unfinished() + lines[0]
            self._lines(lines, len(ends.line), events, offsets)
        if rest:
            if self._data is None and rest.startswith(b"data: ") and not self._tail and not self._in_value:
                self._in_value = True
                rest = rest[6:]
            self._tail.append(rest)

    def _unfinished(self) -> bytes:
        """Take away the unfinished line, and return it."""
        line = b"".join([b"data: ", *self._tail] if self._in_value else self._tail)
        self._in_value = False
        self._tail = []
        self._counted = self._tail_size = 0
        return line

    def _take_mixed(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take any bytes: the ends of the lines differ, or a line may reach the limit."""
        run: list[bytes] = []  # lines whose ends are `width` bytes long
        width = 0
        for ended in chunk.splitlines(keepends=True):
            line = ended.rstrip(b"\r\n")  # takes off its line end and nothing else: a line holds no CR or LF
            if run and (self._limit is not None or len(ended) - len(line) != width):
                self._lines(run, width, events, offsets)
                run.clear()
                if self._overruns():
                    return
            width = len(ended) - len(line)
            if width == 0:
                self._tail.append(line)
            else:
                run.append(self._unfinished() + line if self._tail or self._in_value else line)
        if run:
            self._lines(run, width, events, offsets)
        if not self._overruns() and chunk[-1] == _CR:
            self._skip_lf = True
            self._quick = False

    def _take_limited(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk of a stream that has a limit."""
        if self._block_bytes + self._tail_bytes() + len(chunk) <= (self._limit or 0):
            self._take(chunk, events, offsets)
            return
        self._take_mixed(chunk, events, offsets)
        if self._overruns(self._tail_bytes()) and not events:
            self._raise_limit()

    def _overruns(self, more: int = 0) -> bool:
        """Return whether the block that has begun is larger than the limit, with so many bytes more."""
        if self._limit is not None and self._block_size + more > self._limit:
            self._overrun = True
        return self._overrun

    def _tail_bytes(self) -> int:
        """Return the size of the unfinished line. Each piece of it is counted once, and only if somebody asks."""
        self._tail_size += sum(map(len, self._tail[self._counted :]))
        self._counted = len(self._tail)
        return self._tail_size + (6 if self._in_value else 0)

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
                    events.append(made(event or "message", data, self.last_event_id, self._block_retry, self._lossy))
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
