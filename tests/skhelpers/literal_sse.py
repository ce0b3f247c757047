"""The event stream format read literally: an oracle for decoders, slow on purpose and without a shortcut.

Source: WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream". The whole body is taken
at once and each step stands as the standard's prose has it, one character after the other. It knows nothing of chunks
and shares no code with streamkit: where the two differ, one of them misreads the standard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LiteralEvent = tuple[str, str, str]
"""Event type, data, last event ID."""

BYTE_ORDER_MARK = bytes([0xEF, 0xBB, 0xBF])
NULL, LINE_FEED, CARRIAGE_RETURN, SPACE, COLON = "\u0000", "\u000a", "\u000d", "\u0020", "\u003a"


def read(body: bytes) -> list[LiteralEvent]:
    """Return the events that are dispatched when exactly these bytes are the stream."""
    stream = _Stream()
    for line in lines(utf8_decode(body)):
        stream.process_line(line)
    # Once the end of the file is reached, any pending data must be discarded.
    return stream.dispatched


def utf8_decode(body: bytes) -> str:
    """The Encoding standard's "UTF-8 decode": one byte order mark at the start is dropped, errors are replaced."""
    if body[:3] == BYTE_ORDER_MARK:
        body = body[3:]
    return body.decode("utf-8", errors="replace")


def lines(text: str) -> Iterator[str]:
    """Yield what stands before each end-of-line = ( cr lf / cr / lf ). An unended rest is no line."""
    line: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == CARRIAGE_RETURN and text[position + 1 : position + 2] == LINE_FEED:
            yield "".join(line)
            line = []
            position += 2
        elif character in (CARRIAGE_RETURN, LINE_FEED):
            yield "".join(line)
            line = []
            position += 1
        else:
            line.append(character)
            position += 1


@dataclass
class _Stream:
    """The three buffers of 9.2.6, all of them the empty string at first, and the events so far."""

    data_buffer: str = ""
    event_type_buffer: str = ""
    last_event_id_buffer: str = ""
    dispatched: list[LiteralEvent] = field(default_factory=list)

    def process_line(self, line: str) -> None:
        # If the line is empty (a blank line): dispatch the event.
        if line == "":
            self.dispatch()
            return
        # If the line starts with a U+003A COLON character: ignore the line.
        if line[0] == COLON:
            return
        # If the line contains a colon: the characters before the first one are the field, those after it the value.
        for position, character in enumerate(line):
            if character == COLON:
                name, value = line[:position], line[position + 1 :]
                # If value starts with a U+0020 SPACE character, remove it from value.
                if value != "" and value[0] == SPACE:
                    value = value[1:]
                self.process_field(name, value)
                return
        # Otherwise: the whole line is the field name, and the empty string the value.
        self.process_field(line, "")

    def process_field(self, name: str, value: str) -> None:
        # Field names must be compared literally, with no case folding performed.
        if name == "event":
            self.event_type_buffer = value
        elif name == "data":
            # Append the value to the data buffer, then append a single U+000A LINE FEED to the data buffer.
            self.data_buffer += value
            self.data_buffer += LINE_FEED
        elif name == "id":
            # If the value does not contain U+0000 NULL, set the last event ID buffer to it. Otherwise ignore it.
            if NULL not in value:
                self.last_event_id_buffer = value
        elif name == "retry":
            pass  # sets the reconnection time, which no event carries
        else:
            pass  # the field is ignored

    def dispatch(self) -> None:
        # 1. The last event ID string becomes that of the buffer. The buffer does not get reset.
        last_event_id = self.last_event_id_buffer
        # 2. If the data buffer is an empty string, set it and the event type buffer to the empty string and return.
        if self.data_buffer == "":
            self.event_type_buffer = ""
            return
        # 3. If the data buffer's last character is a U+000A LINE FEED, remove it from the data buffer.
        data = self.data_buffer
        if data[-1] == LINE_FEED:
            data = data[:-1]
        # 4. to 6. An event of type "message", unless the event type buffer has a value other than the empty string.
        event_type = "message"
        if self.event_type_buffer != "":
            event_type = self.event_type_buffer
        # 7. Set the data buffer and the event type buffer to the empty string.
        self.data_buffer = ""
        self.event_type_buffer = ""
        # 8. Dispatch.
        self.dispatched.append((event_type, data, last_event_id))
