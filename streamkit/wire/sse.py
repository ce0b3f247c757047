r"""Server-sent events, byte for byte as the WHATWG HTML standard has them (section 9.2, "Server-sent events").

Strategy. `sse_lines` holds the rules, and takes any bytes line by line. What is here is a way around it for what most
streams hold, and leaves the decoder in exactly the state that it would have left: an event is handed out by the very
`feed` that completes its blank line, whatever the chunking.

- A chunk without a line end is one more piece of the unfinished line, and nothing else (`_quick`, in `feed`).
- Blocks that are one data line each are all found by one `bytes.split` on what stands between two values: a blank line
  and "data: " (`_plain_blocks`). Blocks of an event line and a data line are split where "event: " follows a blank line
  (`_named_blocks`). A part that holds another line end, or is no UTF-8, is something else, and is taken by itself.
- Where a chunk ends in the value of a data line that begins its block or follows an event line, the value is kept
  without its "data: " (`_in_value`), so that the next chunk can be split in the same way (`_blocks`).
- An event is made without the constructor of its class (see `Draft`), and in place: there is little else in these
  loops, and a call would show.

Line ends may be LF or CRLF there; a chunk that has both is split by the one that comes first, and the parts with the
other are taken by themselves. Streams with a limit are taken line by line where they come near it.

Oddities never raise: the standard says to ignore them. They are kept as `SSEDecoder.diagnostics`. Only the byte limit
raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.wire.event import BOM, Diagnostic, Draft, ServerSentEvent
from streamkit.wire.sse_encoder import Framing, SSEEncoder, encode
from streamkit.wire.sse_lines import CR, LF, LF_ENDS, Ends, LineDecoder, ends_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BOM", "Diagnostic", "Framing", "SSEDecoder", "SSEEncoder", "ServerSentEvent", "decode", "encode"]

_PLAIN = LF_ENDS.plain
_SHORT = 64  # bytes of a chunk of which it is not worth while to look for blocks that look alike
_MAX_KINDS = 100  # event types that are known, and bytes of one
_LONG = 65536  # bytes of a chunk that are taken at once, to stay in the processor's caches


class _OddError(ValueError):
    """A block does not look like the others. It is no error: `ValueError` is what decoding raises too."""


class SSEDecoder(LineDecoder):
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
            if CR not in data:
                if LF not in data:
                    self._tail.append(data)
                    return []
                if self._in_value and not self._block_bytes:
                    parts = data.split(_PLAIN)
                    if len(parts) == 2 and LF not in parts[1] and LF not in parts[0]:
                        return self._one(parts[0], parts[1], offsets)
                    if len(parts) > 1:
                        return self._blocks(parts, LF_ENDS, offsets)
            chunk = data
            if self._in_value and (len(data) > _SHORT or not self._event):
                ends = LF_ENDS if CR not in data else ends_of(data)
                parts = data.split(ends.named if self._event else ends.plain)
                if len(parts) > 1:
                    return self._blocks(parts, ends, offsets)
        else:
            chunk = self._admitted(data)
            if not chunk:
                return []
        events: list[ServerSentEvent] = []
        if self._limit is not None:
            self._take_limited(chunk, events, offsets)
        elif len(chunk) <= _LONG:
            self._take(chunk, events, offsets)
        else:
            for at in range(0, len(chunk), _LONG):
                events += self.feed(chunk[at : at + _LONG], offsets)
        return events

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

    # -- chunks

    def _take(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk: up to its first blank line by lines, what follows by blocks where they look alike."""
        ends = ends_of(chunk)
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

    def _one(self, value: bytes, rest: bytes, offsets: list[int] | None) -> list[ServerSentEvent]:
        """Take the end of a block that is one data line, and the beginning of another: what most chunks hold."""
        tail = self._tail
        if tail:
            value = tail[0] + value if len(tail) == 1 else b"".join([*tail, value])
        try:
            text = value.decode()
        except ValueError:
            self._tail = [value]
            return self._blocks([b"", rest], LF_ENDS, offsets)
        draft = Draft()
        draft.event = "message"
        draft.data = text
        draft.id = self.last_event_id
        draft.retry = None
        draft.lossy = False
        draft.__class__ = ServerSentEvent
        if offsets is not None:
            offsets.append(self._offset)
        self._line += 2
        self._offset += len(value) + 8
        self._tail = [rest]
        self._tail_size = self._counted = 0
        return [draft]  # type: ignore[list-item]  # it has become an event

    def _blocks(self, parts: list[bytes], ends: Ends, offsets: list[int] | None) -> list[ServerSentEvent]:
        """Take the end of a block whose last line is a data line, and blocks that look like it; return the events.

        The parts are the rest of the value of that line, and of each other block what follows `ends.named` where this
        one has an event line, else what follows `ends.plain`; the last of them is not finished.
        """
        events: list[ServerSentEvent] = []
        tail, named, careful = self._tail, self._event, ends.careful
        value = parts[0]
        if tail:
            value = tail[0] + value if len(tail) == 1 else b"".join([*tail, value])
            self._tail = []
            self._tail_size = self._counted = 0
        self._in_value = False
        try:
            if LF in value or (careful and CR in value):
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
            draft.__class__ = ServerSentEvent
            events.append(draft)  # type: ignore[arg-type]  # it has become an event
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
        elif len(parts) > 2:
            del parts[0]
            self._plain_blocks(parts, ends, events, offsets)
        elif LF in parts[1] or (careful and CR in parts[1]):
            self._take_lines(b"data: " + parts[1], ends, events, offsets)
        else:
            self._in_value = True
            self._tail.append(parts[1])
        return events

    def _plain_blocks(
        self, parts: list[bytes], ends: Ends, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
        """Take blocks from the start of one, each a data line: the parts are what follows "data: " in each."""
        rest = parts.pop()
        careful, around = ends.careful, ends.around
        number, offset, last_id = self._line, self._offset, self.last_event_id
        for part in parts:
            try:
                if LF in part or (careful and CR in part):
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
            draft.__class__ = ServerSentEvent
            events.append(draft)  # type: ignore[arg-type]  # it has become an event
            if offsets is not None:
                offsets.append(offset)
            number += 2
            offset += len(part) + around
        self._line, self._offset = number, offset
        if LF in rest or (careful and CR in rest):
            self._take_lines(b"data: " + rest, ends, events, offsets)
        else:
            self._in_value = True
            self._tail.append(rest)

    def _named_blocks(
        self, parts: list[bytes], ends: Ends, events: list[ServerSentEvent], offsets: list[int] | None
    ) -> None:
        """Take blocks from the start of one, each an event line and a data line: what follows "event: " in each."""
        rest = parts.pop()
        careful, joint, around = ends.careful, ends.joint, ends.around + 1
        number, offset, last_id = self._line, self._offset, self.last_event_id
        kinds = self._kinds
        for part in parts:
            try:
                name, found, value = part.partition(joint)
                if not found or LF in value or (careful and CR in value):
                    raise _OddError
                kind = kinds.get(name) or self._kind(name)
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
            draft.__class__ = ServerSentEvent
            events.append(draft)  # type: ignore[arg-type]  # it has become an event
            if offsets is not None:
                offsets.append(offset)
            number += 3
            offset += len(part) + around
        self._line, self._offset = number, offset
        name, found, value = rest.partition(joint)
        try:
            if not found or LF in value or (careful and CR in value):
                raise _OddError
            kind = kinds.get(name) or self._kind(name)
        except ValueError:
            self._take_lines(b"event: " + rest, ends, events, offsets)
            return
        self._event = kind
        self._line += 1
        self._block_size = len(name) + 8
        self._block_bytes = len(name) + 7 + len(ends.line)
        self._in_value = True
        self._tail.append(value)

    def _take_limited(self, chunk: bytes, events: list[ServerSentEvent], offsets: list[int] | None) -> None:
        """Take a chunk of a stream that has a limit: line by line where one may reach it."""
        limit = self._limit or 0
        if self._block_bytes + self._tail_bytes() + len(chunk) <= limit:
            self._take(chunk, events, offsets)
            return
        for ended in chunk.splitlines(keepends=True):
            line = ended.rstrip(b"\r\n")
            width = len(ended) - len(line)
            if not width:
                self._tail.append(line)
            elif not self._overrun:
                line = self._unfinished() + line
                if line and self._block_size + len(line) + 1 > limit:  # such a line is not interpreted
                    self._overrun = True
                    self._line += 1
                    self._block_size += len(line) + 1
                    self._block_bytes += len(line) + width
                else:
                    self._lines([line], width, events, offsets)
        self._await_lf(chunk)
        if self._block_size + self._tail_bytes() > limit:
            self._overrun = True
        if self._overrun and not events:
            self._raise_limit()

    def _kind(self, name: bytes) -> str:
        """Return an event type, and know it from now on: streams have few.

        Raises:
            ValueError: this is more than the value of one line, or nothing, or no UTF-8.
        """
        if not name or LF in name or CR in name:
            raise _OddError
        kind = name.decode()
        if len(self._kinds) < _MAX_KINDS and len(name) <= _MAX_KINDS:
            self._kinds[name] = kind
        return kind


def decode(body: Buffer) -> list[ServerSentEvent]:
    """Return the events of a whole body."""
    decoder = SSEDecoder()
    events = decoder.feed(body)
    decoder.close()
    return events
