"""The elements of one JSON array, as its bytes arrive.

Some APIs answer with an array whose elements they send one after the other. This decoder finds where each element
ends (RFC 8259, section 5), by brackets and quotes alone, so that an object is handed out by the very `feed` that
brings its last bracket. It does not read the elements: whoever does finds what is no JSON inside them. What it does
check is what stands between them: brackets around all, one comma between two, white space.

A fault of the array raises PayloadError, after the elements before it were handed out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

from streamkit.errors import LimitError, PayloadError, UsageError
from streamkit.wire.event import as_bytes

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["JSONArrayDecoder"]

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_SOLID = re.compile(rb"[^ \t\r\n]")
_BRACKET = re.compile(rb'["{}\[\]]')
_QUOTE = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb"[ \t\r\n,\]\[{}\"]")


class JSONArrayDecoder:
    """Incremental decoder of a JSON array.

    Args:
        max_element_bytes: the most bytes that an element may hold; None for no limit. The same streams pass and fail
            whatever the chunking.

    Attributes:
        elements: how many elements were handed out.
        ended: the array was closed by its bracket.
        discarded: after `close`, the bytes of an element that was not finished (0 where there was none).
    """

    def __init__(self, *, max_element_bytes: int | None = None) -> None:
        if max_element_bytes is not None and max_element_bytes < 1:
            raise UsageError(f"max_element_bytes is {max_element_bytes}: give at least 1, or None for no limit")
        self.elements = 0
        self.ended = False
        self.discarded = 0
        self._limit = max_element_bytes
        self._fault: PayloadError | LimitError | None = None
        self._closed = False
        self._offset = 0  # of the next chunk in the stream
        self._begins = 0  # the element that has begun, in the stream
        self._bom = b""  # bytes that may still turn out to be a byte order mark
        self._begun = False  # past the place where one may stand
        self._expects = "["  # "[", "first" (a value or the end), "value", "comma" (or the end), "end" (of the stream)
        self._pieces: list[bytes] = []  # of the element that has begun
        self._size = 0
        self._kind = ""  # of that element: "nested", "text" or "scalar"
        self._depth = 0  # of brackets open inside it
        self._in_string = False
        self._escaped = False  # the last byte was a backslash

    def feed(self, data: Buffer, offsets: list[int] | None = None) -> list[bytes]:
        """Take the next bytes and return the elements that they complete.

        Args:
            data: any bytes-like object; may be empty, which changes nothing.
            offsets: where given, gets for each element where in the stream it begins, in bytes.

        Returns:
            The bytes of each element, without white space around it, in order. A number, true, false or null is
            complete with the byte after it.

        Raises:
            PayloadError: this is no JSON array. Elements that came before are returned first, and the error is raised
                by the next call; every later call raises it again.
            LimitError: an element is larger than `max_element_bytes`; raised in the same way.
            TypeError: `data` is not bytes-like.
            UsageError: the decoder is closed.
        """
        chunk = as_bytes(data, "JSONArrayDecoder.feed()")
        if self._closed:
            raise UsageError("feed() after close(): make a new JSONArrayDecoder for another stream")
        if self._fault is not None:
            raise self._fault
        if not self._begun:
            chunk = self._strip_bom(chunk)
        found: list[bytes] = []
        try:
            at = 0
            while at < len(chunk):
                known = len(found)
                at = self._inside(chunk, at, found) if self._kind else self._between(chunk, at)
                if offsets is not None and len(found) > known:
                    offsets.append(self._begins)
        except (PayloadError, LimitError) as fault:
            self._fault = fault
            if not found:
                raise
        self._offset += len(chunk)
        return found

    def close(self) -> list[bytes]:
        """End the stream. An element that is not finished is discarded; `discarded` holds its size.

        Returns:
            Always an empty list: nothing is held back until the end.

        Raises:
            PayloadError, LimitError: as `feed`, where the error was still owed.
        """
        if self._closed:
            return []
        if self._fault is not None:
            raise self._fault
        self._closed = True
        self.discarded = self._size + len(self._bom)
        return []

    def copy(self) -> Self:
        """Return a decoder that goes on from here by itself."""
        other = object.__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return all that decides what comes next, the same for the same bytes so far."""
        state = {**vars(self), "_pieces": b"".join(self._pieces)}
        if self._fault is not None:  # what came of the array after it does not matter
            state.update(vars(JSONArrayDecoder()), _pieces=b"", elements=self.elements, ended=self.ended)
            state.update(_fault=self._fault, _limit=self._limit)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _pieces=[state["_pieces"]] if state["_pieces"] else [])

    def _strip_bom(self, chunk: bytes) -> bytes:
        chunk = self._bom + chunk
        if len(chunk) < 3 and _BOM.startswith(chunk):
            self._bom = chunk
            return b""
        self._bom = b""
        self._begun = True
        if chunk.startswith(_BOM):
            self._offset = len(_BOM)
            return chunk[self._offset :]
        return chunk

    def _between(self, chunk: bytes, at: int) -> int:
        """Take what stands outside the elements; return where to go on."""
        solid = _SOLID.search(chunk, at)
        if solid is None:
            return len(chunk)
        at, byte = solid.start(), solid[0]
        expects = self._expects
        if byte == b"]" and expects in ("first", "comma"):
            self.ended = True
            self._expects = "end"
        elif byte == b"[" and expects == "[":
            self._expects = "first"
        elif byte == b"," and expects == "comma":
            self._expects = "value"
        elif expects in ("first", "value") and byte not in (b",", b"]", b"}"):
            self._kind = "nested" if byte in (b"{", b"[") else "text" if byte == b'"' else "scalar"
            self._begins = self._offset + at
            return at
        else:
            belongs = {"[": "'[' begins", "comma": "',' or ']' belongs", "end": "nothing more belongs"}
            where = belongs.get(expects, "an element belongs")
            fault = PayloadError(f"this is no JSON array: {byte!r} stands where {where}")
            fault.offset = self._offset + at
            raise fault
        return at + 1

    def _inside(self, chunk: bytes, at: int, found: list[bytes]) -> int:
        """Take bytes of an element up to its end, or all there are; return where to go on."""
        end = self._scalar_end(chunk, at) if self._kind == "scalar" else self._nested_end(chunk, at)
        stop = len(chunk) if end is None else end
        piece = chunk[at:stop]
        self._size += len(piece)
        if self._limit is not None and self._size > self._limit:
            raise LimitError(f"an element is larger than max_element_bytes={self._limit}", limit=self._limit)
        self._pieces.append(piece)
        if end is not None:
            found.append(b"".join(self._pieces))
            self.elements += 1
            self._pieces.clear()
            self._size = 0
            self._kind = ""
            self._expects = "comma"
        return stop

    def _scalar_end(self, chunk: bytes, at: int) -> int | None:
        match = _SCALAR_END.search(chunk, at)
        return None if match is None else match.start()

    def _nested_end(self, chunk: bytes, at: int) -> int | None:
        """Return the offset after the bracket or quote that ends the element, or None where it is not here."""
        while True:
            if self._escaped:
                if at >= len(chunk):
                    return None
                self._escaped = False
                at += 1
            match = (_QUOTE if self._in_string else _BRACKET).search(chunk, at)
            if match is None:
                return None
            at, byte = match.end(), match[0]
            if byte == b"\\":
                self._escaped = True
            elif byte == b'"':
                self._in_string = not self._in_string
                if not self._in_string and self._depth == 0:
                    return at
            else:
                self._depth += 1 if byte in (b"{", b"[") else -1
                if self._depth == 0:
                    return at
