r"""Server-sent events, byte for byte as the WHATWG HTML standard has them (section 9.2, "Server-sent events").

Strategy. A chunk is cut into lines with `bytes.splitlines`, which for bytes knows exactly the three line ends of the
standard (LF, CR, CRLF) and no others. Only the unfinished last line is kept, as a list of pieces that is joined once
when its line end comes: joining earlier would make a long line quadratic in the number of its chunks. A CR ends its
line at once; the LF that may follow it, perhaps in the next chunk, is swallowed then. So an event is handed out by
the very `feed` that completes its blank line, whatever the chunking. Bytes are decoded per line: a line end cannot be
part of a UTF-8 sequence, so the replacement characters are those of decoding the whole stream.

Oddities never raise: the standard says to ignore them. They are kept as `SSEDecoder.diagnostics`. Only the byte limit
raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import Diagnostic, ServerSentEvent, as_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

__all__ = ["BOM", "Diagnostic", "Framing", "SSEDecoder", "SSEEncoder", "ServerSentEvent", "decode", "encode"]

BOM = b"\xef\xbb\xbf"
_MAX_DIAGNOSTICS = 1000


class SSEDecoder:
    """Incremental decoder of an event stream.

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
        chunk = as_bytes(data, "SSEDecoder.feed()")
        if self._closed:
            raise UsageError("feed() after close(): make a new SSEDecoder for another stream")
        if self._overrun:
            self._raise_limit()
        if not self._started:
            chunk = self._strip_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[0] == 10:
                chunk = chunk[1:]
                if self._block_size:  # the line end is two bytes long
                    self._block_bytes += 1
                else:
                    self._offset += 1
        if not chunk:
            return []
        events: list[ServerSentEvent] = []
        lines = chunk.splitlines(keepends=True)
        if chunk[-1] == 13:
            self._skip_lf = True
        elif chunk[-1] != 10:
            rest = lines.pop()
            if lines:
                self._lines(lines, events, offsets)
            self._tail.append(rest)
            self._tail_size += len(rest)
            lines = []
        if lines:
            self._lines(lines, events, offsets)
        if self._limit is not None and self._block_size + self._tail_size > self._limit:
            self._overrun = True
        if self._overrun and not events:
            self._raise_limit()
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
        self.discarded = self._block_bytes + self._tail_size + len(self._start)
        if self.discarded:
            self._note("unterminated", f"{self.discarded} bytes", self._line + 1)
        return []

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


@dataclass(frozen=True, slots=True)
class Framing:
    r"""How events are written. Every value that can be made is legal in the standard.

    Attributes:
        line_end: end of each field line: LF, CR or CRLF.
        blank_end: end of the blank line, or None for the same as `line_end`. `line_end` CR with `blank_end` LF is
            refused: CR and LF side by side are one line end.
        space: write the optional space after the colon. It is written anyway where a value begins with a space.
        order: the order of the fields in a block.
        bom: begin the stream with a byte order mark.
        event_name: write `event: message` too, where the standard would let it be left out.
    """

    line_end: bytes = b"\n"
    blank_end: bytes | None = None
    space: bool = True
    order: tuple[str, ...] = ("event", "id", "retry", "data")
    bom: bool = False
    event_name: bool = False

    def __post_init__(self) -> None:
        ends = (b"\n", b"\r", b"\r\n")
        if self.line_end not in ends or (self.blank_end is not None and self.blank_end not in ends):
            raise UsageError("line_end and blank_end are b'\\n', b'\\r' or b'\\r\\n'")
        if self.line_end == b"\r" and self.blank_end == b"\n":
            raise UsageError("line_end CR with blank_end LF is one line end, CRLF: choose another pair")
        if sorted(self.order) != ["data", "event", "id", "retry"]:
            raise UsageError("order holds each of 'event', 'id', 'retry' and 'data' once")


class SSEEncoder:
    """Writes events in a given framing, so that `decode` of what it wrote gives the events back.

    It is stateful: the byte order mark is written once, and an `id` field where the last event ID changes.
    """

    def __init__(self, framing: Framing | None = None) -> None:
        self.framing = framing if framing is not None else Framing()
        self._id = ""
        self._started = False

    def encode(self, event: ServerSentEvent) -> bytes:
        """Return the bytes of one event.

        Raises:
            UsageError: the event cannot be written in any framing (a CR in its data, a line end in its type or ID,
                a NUL in its ID, a negative retry, an empty type, half a surrogate pair). The encoder is unchanged.
        """
        framing = self.framing
        _check_event(event)  # before anything of our own changes
        fields: dict[str, list[str]] = {"event": [], "id": [], "retry": [], "data": event.data.split("\n")}
        if event.event != "message" or framing.event_name:
            fields["event"] = [event.event]
        if event.id != self._id:
            fields["id"] = [event.id]
            self._id = event.id
        if event.retry is not None:
            fields["retry"] = [str(event.retry)]
        out: list[bytes] = [BOM if framing.bom and not self._started else b""]
        self._started = True
        for name in framing.order:
            for value in fields[name]:
                colon = ": " if framing.space or value.startswith(" ") else ":"
                out.append((name + colon + value).encode("utf-8") + framing.line_end)
        out.append(framing.line_end if framing.blank_end is None else framing.blank_end)
        return b"".join(out)

    def comment(self, text: str = "") -> bytes:
        """Return a comment block: one comment line and a blank line, which dispatches nothing.

        Raises:
            UsageError: the text holds a line end.
        """
        if "\n" in text or "\r" in text:
            raise UsageError("a comment is one line: write several comments instead")
        _check_text(text, "a comment")
        lead = BOM if self.framing.bom and not self._started else b""
        self._started = True
        end = self.framing.line_end
        blank = end if self.framing.blank_end is None else self.framing.blank_end
        colon = ": " if text and (self.framing.space or text.startswith(" ")) else ":"
        return lead + (colon + text).encode("utf-8") + end + blank


def _check_event(event: ServerSentEvent) -> None:
    if "\r" in event.data:
        raise UsageError("data with a CR cannot be written: the standard reads it as a line end")
    if not event.event:
        raise UsageError("an empty event type cannot be written: it reads as 'message'")
    if "\n" in event.event or "\r" in event.event:
        raise UsageError(f"event type {event.event!r} holds a line end")
    if "\n" in event.id or "\r" in event.id or "\0" in event.id:
        raise UsageError(f"event id {event.id!r} holds a line end or NUL, which the standard ignores")
    if event.retry is not None:
        try:
            digits = str(event.retry)
        except ValueError:  # Python refuses to write thousands of digits
            digits = "a number of thousands of digits"
        if type(event.retry) is not int or not digits.isdigit():
            raise UsageError(f"retry is {digits}: the standard takes digits only")
    for name in ("data", "event", "id"):
        _check_text(getattr(event, name), name)


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} holds half a surrogate pair, which is no UTF-8") from None


def decode(body: Buffer) -> list[ServerSentEvent]:
    """Return the events of a whole body."""
    decoder = SSEDecoder()
    events = decoder.feed(body)
    decoder.close()
    return events


def encode(events: Iterable[ServerSentEvent], framing: Framing | None = None) -> bytes:
    """Return the bytes of `events` in one framing (default: `data: ...` lines ended by LF).

    Raises:
        UsageError: an event that no framing can carry.
    """
    encoder = SSEEncoder(framing)
    return b"".join([encoder.encode(event) for event in events])
