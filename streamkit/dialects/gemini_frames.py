"""The three shapes of a streamGenerateContent body, as one sequence of payload texts.

With `alt=sse` it is an event stream; without, a JSON array whose elements arrive one by one; and what goes wrong is
reported as a bare JSON object, alone or in an array, in place of the body or after events that came already (Google's
servers do so, and google-genai collects such lines until the braces balance). The first byte that is no white space
tells them apart.

A line of an event stream never begins with a brace or bracket: where one does, it and all that follows is bare JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamkit.errors import PayloadError
from streamkit.wire.event import as_bytes
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.sse import BOM, SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Frame", "Frames"]

_BRACKET = re.compile(rb"[\r\n][{\[]")
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One payload's text.

    Attributes:
        data: text, or bytes not looked at yet.
        lossy: some bytes of the text were not UTF-8.
        bare: it stands in the body by itself, neither in an event nor in an array.
    """

    data: str | bytes
    lossy: bool = False
    bare: bool = False


class Frames:
    """Bytes in, payload texts out.

    Attributes:
        shape: "sse", "array", "bare", or "" while it is not known.
        position: how many bytes were taken.
    """

    def __init__(self) -> None:
        self.shape = ""
        self.position = 0
        self._events_at = 0  # where in the body the events begin
        self._array_at = 0  # where in the body the array begins; a bare object has no bracket before it
        self._start = b""  # what is held back of a beginning that tells nothing yet
        self._begun = False  # past the place where a byte order mark may stand
        self._events = SSEDecoder()
        self._array = JSONArrayDecoder()
        self._line_start = True

    def feed(self, data: Buffer, offsets: list[int] | None = None) -> list[Frame]:
        """Take the next bytes and return the payloads that they complete.

        Args:
            data: the bytes.
            offsets: where given, gets for each payload where in the body it begins, or its event does, in bytes.

        Raises:
            PayloadError: the array is none; as `JSONArrayDecoder.feed` raises it.
        """
        chunk = as_bytes(data, "feed()")
        self.position += len(chunk)
        if not self.shape:
            chunk = self._look(chunk)
        if not chunk:
            return []
        offsets = [] if offsets is None else offsets
        return self._sse(chunk, offsets) if self.shape == "sse" else self._elements(chunk, offsets)

    def check(self) -> None:
        """Raise what is wrong with the array after the elements that `feed` returned."""
        if self.shape == "array":
            self._array.feed(b"")

    def close(self) -> str:
        """End the body; return what was left unfinished, in words, or "".

        Raises:
            PayloadError: as `feed`, where the error was still owed.
        """
        self._events.close()
        self._array.close()
        if self.shape == "bare":
            return "" if self._array.elements else "a JSON object is not finished"
        if self.shape == "array":
            return "" if self._array.ended else "the array is not closed"
        unfinished = self._events.discarded
        return f"the last {unfinished} bytes are an unfinished event" if unfinished else ""

    def _look(self, chunk: bytes) -> bytes:
        """Find out the shape; return what is to be read in it."""
        chunk = self._start + chunk
        if not self._begun:
            if len(chunk) < 3 and BOM.startswith(chunk):
                self._start = chunk
                return b""
            self._begun = True
            chunk = chunk.removeprefix(BOM)
        solid = chunk.lstrip(_BLANK)
        # White space on the line where the body begins makes another field of an event stream's first one.
        lead = b" " if _indented(chunk[: len(chunk) - len(solid)]) else b""
        if not solid:
            self._start = lead
            return b""
        self.shape = {b"[": "array", b"{": "bare"}.get(solid[:1], "sse")
        rest = lead + solid
        self._events_at = self._array_at = self.position - len(rest)
        if self.shape == "bare":
            self._open_array()
        return rest

    def _open_array(self) -> None:
        self._array.feed(b"[")
        self._array_at -= 1

    def _sse(self, chunk: bytes, offsets: list[int]) -> list[Frame]:
        bare = b""
        if self._line_start and chunk[:1] in (b"{", b"["):
            chunk, bare = b"", chunk
        else:
            found = _BRACKET.search(chunk)
            if found is not None:
                chunk, bare = chunk[: found.start() + 1], chunk[found.start() + 1 :]
        if chunk:
            self._line_start = chunk[-1] in b"\r\n"
        known = len(offsets)
        frames = [Frame(event.data, event.lossy) for event in self._events.feed(chunk, offsets)]
        if frames:
            offsets[known:] = [self._events_at + offset for offset in offsets[known:]]
        if bare:
            self.shape = "bare"
            self._array_at = self.position - len(bare)
            if bare[:1] == b"{":
                self._open_array()
            frames.extend(self._elements(bare, offsets))
        return frames

    def _elements(self, chunk: bytes, offsets: list[int]) -> list[Frame]:
        bare = self.shape == "bare"
        if bare and self._array.elements:
            return []  # the object was there; what follows it belongs to nothing
        places: list[int] = []
        try:
            found = self._array.feed(chunk, places)
        except PayloadError:
            if bare and self._array.elements:
                return []
            raise
        most = 1 if bare else len(found)
        offsets.extend(self._array_at + place for place in places[:most])
        return [Frame(element, bare=bare) for element in found[:most]]

    def placed(self, fault: PayloadError) -> int | None:
        """Return where in the body the fault is that `feed` or `check` raised, in bytes."""
        return None if fault.offset is None else self._array_at + fault.offset


def _indented(blank: bytes) -> bool:
    """Whether white space ends with some that stands on the same line as what follows."""
    return blank[-1:] in (b" ", b"\t")
