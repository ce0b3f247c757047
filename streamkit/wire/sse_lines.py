r"""Server-sent events, line by line: the state of a decoder, and the rules of the WHATWG HTML standard, section 9.2.

Strategy. A chunk is cut into lines. Only the unfinished last line is kept, as a list of pieces that is joined once when
its line end comes: joining earlier would make a long line quadratic in the number of its chunks. A CR ends its line at
once; the LF that may follow it, perhaps in the next chunk, is swallowed then. Bytes are decoded per line: a line end
cannot be part of a UTF-8 sequence, so the replacement characters are those of decoding the whole stream.

`bytes.splitlines` knows exactly the three line ends of the standard (LF, CR, CRLF) and no others. Where all lines of a
chunk end with LF, or all with CRLF, `bytes.split` finds them in less time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import BOM, Diagnostic, ServerSentEvent, as_bytes, made

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["CR", "LF", "LF_ENDS", "Ends", "LineDecoder", "ends_of"]

_MAX_DIAGNOSTICS = 1000
LF, CR, _COLON = b"\n\r:"
_LF_OR_CR = re.compile(rb"[\n\r]")


@dataclass(frozen=True, slots=True)
class Ends:
    """What stands between the parts of a stream whose lines end alike."""

    line: bytes
    blank: bytes  # after the last line of a block
    plain: bytes  # between the values of data lines, each of them a block
    named: bytes  # before the name of a block that begins with an event line
    joint: bytes  # between that name and the value of a data line
    size: int  # of `blank`
    around: int  # size of `plain`: of what belongs to a data line and its blank line, but for the value
    careful: bool  # there may be other ends between them


def _ends(line: bytes, *, careful: bool) -> Ends:
    blank = line + line
    joint = line + b"data: "
    return Ends(line, blank, blank + b"data: ", blank + b"event: ", joint, len(blank), len(blank) + 6, careful)


LF_ENDS, _LF_MOSTLY = _ends(b"\n", careful=False), _ends(b"\n", careful=True)
_CRLF_MOSTLY = _ends(b"\r\n", careful=True)


def ends_of(chunk: bytes) -> Ends:
    """Return how the lines of a chunk end. It is a guess, from the first of them, but where there is no CR at all."""
    if CR not in chunk:
        return LF_ENDS
    return _CRLF_MOSTLY if chunk.find(b"\n") == chunk.find(b"\r") + 1 else _LF_MOSTLY


class LineDecoder:
    """What `SSEDecoder` is made of: its state, and how it takes bytes line by line."""

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
        self._kinds: dict[bytes, str] = {}  # event types that came, by their bytes: no state, only quicker
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

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._offset + self._block_bytes + self._tail_bytes() + len(self._start)

    def copy(self) -> Self:
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
        other._kinds = self._kinds
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

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()  # what it shares cannot be changed

    def __getstate__(self) -> tuple[int | str | bytes | None, ...]:
        """Return all that decides what comes next, the same for the same bytes so far.

        All texts are in one string: a pickle tells one string twice from two equal ones, so with several of them it
        would depend on who shares what. Of an event over the limit it does not matter how much of it came.
        """
        texts = f"{self.last_event_id}\n{self._event}"
        if self._data is not None:
            texts = "\n".join([texts, self._data, *self._more])
        tail = b"".join(self._tail) if self._tail else self._start
        if self._in_value:
            tail = b"data: " + tail
        sizes, skip_lf = (self._line, self._block_size, self._block_bytes), self._skip_lf
        if self._overrun:
            sizes, skip_lf, tail = (0, 0, 0), False, b""
        notes = ""
        if self.diagnostics:
            notes = "\n".join([f"{note.kind}\t{note.line}\t{note.detail}" for note in self.diagnostics])
        return (
            self._overrun | self._closed << 1 | self._started << 2 | skip_lf << 3 | self._lossy << 4,
            self._limit,
            self._offset,
            *sizes,
            self.retry,
            self._block_retry,
            self.discarded,
            self.diagnostics_dropped,
            texts,
            tail,
            notes,
        )

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        LineDecoder.__init__(self)
        flags, self._limit, self._offset, self._line, self._block_size, self._block_bytes = state[:6]
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
            if chunk[0] == LF:
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

    def _take_lines(self, chunk: bytes, ends: Ends, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take any bytes, all lines at once where they end alike."""
        lines = chunk.split(ends.line)
        if ends.careful:
            kept = b"".join(lines)
            if LF in kept or CR in kept:
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
        """Take any bytes: the ends of the lines differ."""
        if self._tail or self._in_value:
            chunk = self._unfinished() + chunk
        *ended, rest = chunk.split(b"\r\n")
        lines: list[bytes] = []
        for part in ended:
            if LF in part or CR in part:
                *others, part = _LF_OR_CR.split(part)  # noqa: PLW2901 - the rest of it
                self._lines(lines, 2, events, offsets)
                self._lines(others, 1, events, offsets)
                lines = []
            lines.append(part)
        self._lines(lines, 2, events, offsets)
        *others, rest = _LF_OR_CR.split(rest)
        self._lines(others, 1, events, offsets)
        if rest:
            self._tail.append(rest)
        self._await_lf(chunk)

    def _await_lf(self, chunk: bytes) -> None:
        """Remember where a chunk ends with a CR: an LF that comes next is part of the line end."""
        if chunk[-1] == CR:
            self._skip_lf = True
            self._quick = False

    def _tail_bytes(self) -> int:
        """Return the size of the unfinished line. Each piece of it is counted once, and only if somebody asks."""
        self._tail_size += sum(map(len, self._tail[self._counted :]))
        self._counted = len(self._tail)
        return self._tail_size + (6 if self._in_value else 0)

    # -- lines

    def _lines(  # noqa: PLR0912, PLR0915 - one loop, with all that it changes in local variables
        self, lines: list[bytes], width: int, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
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
                if line.startswith(b"event: "):
                    event = self._text(line[7:])
                    continue
                if line.startswith(b"id: ") and 0 not in line:
                    self.last_event_id = self._text(line[4:])
                    continue
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
                self._line, self._lossy = number, True
                text = self._text(value)
            if data is None:
                data = text
            else:
                self._more.append(text)
        self._event, self._data, self._line = event, data, number
        self._offset, self._block_bytes = begins, here - begins
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
