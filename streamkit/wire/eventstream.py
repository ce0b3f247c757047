"""AWS event stream messages (`application/vnd.amazon.eventstream`), byte for byte.

A message is: total length and length of the headers (four bytes each, big-endian, unsigned), a CRC-32 of those eight
bytes, the headers, the payload, and a CRC-32 of everything before it. Source: "Event stream encoding" in the reference
of Amazon Transcribe and the "Amazon Event Stream" specification of Smithy. The limits are those of the AWS libraries:
128 KiB of headers and 24 MiB of payload.

Strategy. Chunks are kept as they come and joined when there is enough of them: for a prelude first, then for the whole
message that the prelude announces. So a byte is copied a fixed number of times, whatever the chunking. A prelude is
checked as soon as its twelve bytes are there, and a message is handed out by the `feed` that brings its last byte.

There is no way to go on after a broken message: where the next one begins, only the broken one could say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self
from zlib import crc32

from streamkit.errors import LimitError, MessageError, UsageError
from streamkit.wire.event import as_bytes

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "MAX_HEADERS",
    "MAX_PAYLOAD",
    "EventStreamDecoder",
    "Header",
    "HeaderType",
    "Message",
    "decode",
    "encode",
    "split",
]

#: The most bytes of headers and of payload that a message may have.
MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_FRAME = _PRELUDE.size + _CRC.size  # of a message with neither headers nor payload


class HeaderType(IntEnum):
    """The type of a header's value; the number is the one on the wire."""

    TRUE = 0
    FALSE = 1
    BYTE = 2
    SHORT = 3
    INTEGER = 4
    LONG = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8
    UUID = 9


_NUMBERS = {
    HeaderType.BYTE: struct.Struct("!b"),
    HeaderType.SHORT: struct.Struct("!h"),
    HeaderType.INTEGER: struct.Struct("!i"),
    HeaderType.LONG: struct.Struct("!q"),
    HeaderType.TIMESTAMP: struct.Struct("!q"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header.

    Attributes:
        name: its name, such as ":event-type"; at most 255 bytes of UTF-8.
        value: True or False; a whole number, of TIMESTAMP the milliseconds since 1970; bytes, of UUID 16 of them; or
            a text.
        type: the type of the value.
    """

    name: str
    value: bool | int | bytes | str
    type: HeaderType = HeaderType.STRING


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        headers: its headers, in order; no two have the same name.
        payload: its bytes.
    """

    headers: tuple[Header, ...] = ()
    payload: bytes = b""

    def text(self, name: str) -> str | None:
        """Return the value of the header of that name; None where there is none, or it is no text."""
        value = next((header.value for header in self.headers if header.name == name), None)
        return value if isinstance(value, str) else None


class EventStreamDecoder:
    """Incremental decoder of event stream messages.

    Args:
        max_message_bytes: the most bytes that one message may have; None for the format's own limits only.

    Attributes:
        error: what broke the stream, from the `feed` on that found it; None for nothing.
        discarded: after `close`, how many bytes of an unfinished message were discarded (0 for a clean end).
    """

    def __init__(self, *, max_message_bytes: int | None = None) -> None:
        if max_message_bytes is not None and max_message_bytes < _FRAME:
            raise UsageError(f"max_message_bytes is {max_message_bytes}: give at least {_FRAME}, or None for no limit")
        self.error: MessageError | LimitError | None = None
        self.discarded = 0
        self._limit = max_message_bytes
        self._closed = False
        self._pieces: list[bytes] = []  # of the unfinished message
        self._size = 0  # bytes in them
        self._offset = 0  # of the unfinished message in the stream
        self._total = 0  # its length, once its prelude is checked
        self._headers: dict[bytes, tuple[Header, ...]] = {}  # the last block of headers: messages repeat them

    def feed(self, data: Buffer, offsets: list[int] | None = None) -> list[Message]:
        """Take the next bytes and return the messages that they complete.

        Args:
            data: any bytes-like object; may be empty, which changes nothing.
            offsets: where given, gets for each message where in the stream it begins, in bytes.

        Returns:
            The messages whose last byte is now there, in order.

        Raises:
            MessageError: a checksum is wrong, or lengths or headers are none. Messages that came before are returned
                first, `error` is set, and the error is raised by the next call; every later call raises it again.
            LimitError: a message announces more than `max_message_bytes`; raised in the same way.
            TypeError: `data` is not bytes-like.
            UsageError: the decoder is closed.
        """
        chunk = as_bytes(data, "EventStreamDecoder.feed()")
        if self._closed:
            raise UsageError("feed() after close(): make a new EventStreamDecoder for another stream")
        if self.error is not None:
            raise self.error
        if not chunk:
            return []
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size < (self._total or _PRELUDE.size):
            return []
        messages: list[Message] = []
        try:
            self._take(b"".join(self._pieces), messages, offsets)
        except (MessageError, LimitError) as error:
            self.error = error
            self._pieces.clear()
            if not messages:
                raise
        return messages

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._offset + self._size

    def close(self) -> list[Message]:
        """End the stream. An unfinished message is discarded; `discarded` holds its size.

        Returns:
            Always an empty list: a message is never held back until the end.

        Raises:
            MessageError: as `feed`, where the error was still owed.
            LimitError: likewise.
        """
        if self.error is not None:
            raise self.error
        if not self._closed:
            self._closed = True
            self.discarded = self._size
        return []

    def copy(self) -> Self:
        """Return a decoder that goes on from here by itself."""
        other = object.__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def __getstate__(self) -> tuple[Any, ...]:
        """Return all that decides what comes next, the same for the same bytes so far."""
        pieces, total = (b"".join(self._pieces), self._total) if self.error is None else (b"", 0)
        return self.error, self.discarded, self._limit, self._closed, self._offset, total, pieces

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.error, self.discarded, self._limit, self._closed, self._offset, self._total, pieces = state
        self._pieces = [pieces] if pieces else []
        self._size = len(pieces)
        self._headers = {}

    def _take(self, buffer: bytes, messages: list[Message], offsets: list[int] | None) -> None:
        """Take whole messages from the front of the buffer, and keep the rest of it."""
        start = 0
        while True:
            left = len(buffer) - start
            if not self._total and left >= _PRELUDE.size:
                self._total = self._prelude(buffer, start)
            if not self._total or left < self._total:
                break
            messages.append(self._message(buffer, start))
            if offsets is not None:
                offsets.append(self._offset)
            start += self._total
            self._offset += self._total
            self._total = 0
        self._pieces = [buffer[start:]] if left else []
        self._size = left

    def _prelude(self, buffer: bytes, start: int) -> int:
        """Check a prelude and return the length of its message."""
        total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
        if crc32(buffer[start : start + 8]) != checksum:
            raise MessageError(self._offset, "the checksum of its prelude is wrong")
        payload = total - headers - _FRAME
        if payload < 0:
            raise MessageError(self._offset, f"{total} bytes in all cannot hold {headers} bytes of headers")
        if headers > MAX_HEADERS:
            raise MessageError(self._offset, f"{headers} bytes of headers are more than the {MAX_HEADERS} allowed")
        if payload > MAX_PAYLOAD:
            raise MessageError(self._offset, f"{payload} bytes of payload are more than the {MAX_PAYLOAD} allowed")
        if self._limit is not None and total > self._limit:
            raise LimitError(
                f"a message of {total} bytes is larger than max_message_bytes={self._limit}", limit=self._limit
            )
        return int(total)

    def _message(self, buffer: bytes, start: int) -> Message:
        end = start + self._total - _CRC.size
        if crc32(memoryview(buffer)[start:end]) != _CRC.unpack_from(buffer, end)[0]:
            raise MessageError(self._offset, "its checksum is wrong")
        payload = start + _PRELUDE.size + _PRELUDE.unpack_from(buffer, start)[1]
        block = buffer[start + _PRELUDE.size : payload]
        headers = self._headers.get(block)
        if headers is None:
            headers = _headers(block, self._offset)
            self._headers = {block: headers}
        return Message(headers, buffer[payload:end])


def _headers(block: bytes, offset: int) -> tuple[Header, ...]:
    headers: dict[str, Header] = {}
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        piece = block[at : at + size]
        if len(piece) < size:
            raise MessageError(offset, "a header is cut off")
        at += size
        return piece

    def text(size: int) -> str:
        try:
            return take(size).decode()
        except UnicodeDecodeError:
            raise MessageError(offset, "a header is not UTF-8") from None

    while at < len(block):
        name = text(take(1)[0])
        number = take(1)[0]
        if number > HeaderType.UUID:
            raise MessageError(offset, f"header {name[:40]!r} has the unknown type {number}")
        kind = HeaderType(number)
        value: bool | int | bytes | str
        if kind <= HeaderType.FALSE:
            value = kind is HeaderType.TRUE
        elif kind in _NUMBERS:
            value = _NUMBERS[kind].unpack(take(_NUMBERS[kind].size))[0]
        elif kind is HeaderType.UUID:
            value = take(16)
        else:
            size = int.from_bytes(take(2), "big")
            value = text(size) if kind is HeaderType.STRING else take(size)
        if name in headers:
            raise MessageError(offset, f"it has two headers named {name[:40]!r}")
        headers[name] = Header(name, value, kind)
    return tuple(headers.values())


def encode(message: Message) -> bytes:
    """Return the bytes of a message.

    Raises:
        UsageError: the format cannot carry it: two headers of one name, a value that does not fit its type, a name or
            value that is too long, or too many bytes of headers or payload.
    """
    names = [header.name for header in message.headers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two headers are named {twice!r}")
    block = b"".join([_encode_header(header) for header in message.headers])
    if len(block) > MAX_HEADERS or len(message.payload) > MAX_PAYLOAD:
        raise UsageError(
            f"a message has at most {MAX_HEADERS} bytes of headers and {MAX_PAYLOAD} of payload, "
            f"not {len(block)} and {len(message.payload)}"
        )
    total = len(block) + len(message.payload) + _FRAME
    lengths = struct.pack("!II", total, len(block))
    framed = b"".join([lengths, _CRC.pack(crc32(lengths)), block, message.payload])
    return framed + _CRC.pack(crc32(framed))


def _encode_header(header: Header) -> bytes:
    name = _utf8(header.name)
    if len(name) > 255:
        raise UsageError(f"header name {header.name[:40]!r}... has {len(name)} bytes: at most 255 fit")
    kind, value = HeaderType(header.type), header.value
    lead = bytes([len(name)]) + name + bytes([kind])
    if kind <= HeaderType.FALSE:
        if value is (kind is HeaderType.TRUE):
            return lead
    elif kind in _NUMBERS:
        if type(value) is int:
            try:
                return lead + _NUMBERS[kind].pack(value)
            except struct.error:
                raise UsageError(f"header {header.name!r} is {value}, which no {kind.name} can be") from None
    elif kind is HeaderType.UUID:
        if isinstance(value, bytes) and len(value) == 16:
            return lead + value
    elif isinstance(value, str if kind is HeaderType.STRING else bytes):
        data = _utf8(value) if isinstance(value, str) else bytes(value)
        if len(data) <= 0xFFFF:
            return lead + len(data).to_bytes(2, "big") + data
        raise UsageError(f"the value of header {header.name!r} has {len(data)} bytes: at most 65535 fit")
    raise UsageError(f"header {header.name!r} is of type {kind.name}, and its value is {value!r}"[:200])


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("a header holds half a surrogate pair, which is no UTF-8") from None


def decode(body: Buffer) -> list[Message]:
    """Return the messages of a whole body; an unfinished message at its end is left out.

    Raises:
        MessageError: a message is broken.
    """
    decoder = EventStreamDecoder()
    messages = decoder.feed(body)
    decoder.close()
    return messages


def split(body: bytes) -> tuple[list[bytes], bytes]:
    """Return the bytes of each message, and what follows the last good one: an unfinished or broken one, or nothing.

    The parts joined are the body.
    """
    parts: list[bytes] = []
    start = 0
    while len(body) - start >= _FRAME:
        end = start + _PRELUDE.unpack_from(body, start)[0]
        try:
            if end > len(body) or not decode(body[start:end]):
                break
        except MessageError:
            break
        parts.append(body[start:end])
        start = end
    return parts, body[start:]
