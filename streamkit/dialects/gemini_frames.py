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
    """

    def __init__(self) -> None:
        self.shape = ""
        self._start = b""  # what is held back of a beginning that tells nothing yet
        self._begun = False  # past the place where a byte order mark may stand
        self._events = SSEDecoder()
        self._array = JSONArrayDecoder()
        self._line_start = True

    def feed(self, data: Buffer) -> list[Frame]:
        """Take the next bytes and return the payloads that they complete.

        Raises:
            PayloadError: the array is none; as `JSONArrayDecoder.feed` raises it.
        """
        chunk = as_bytes(data, "feed()")
        if not self.shape:
            chunk = self._look(chunk)
        if not chunk:
            return []
        if self.shape == "sse":
            return self._sse(chunk)
        return self._elements(chunk)

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
        if self.shape == "bare":
            self._array.feed(b"[")
        return lead + solid

    def _sse(self, chunk: bytes) -> list[Frame]:
        bare = b""
        if self._line_start and chunk[:1] in (b"{", b"["):
            chunk, bare = b"", chunk
        else:
            found = _BRACKET.search(chunk)
            if found is not None:
                chunk, bare = chunk[: found.start() + 1], chunk[found.start() + 1 :]
        if chunk:
            self._line_start = chunk[-1] in b"\r\n"
        frames = [Frame(event.data, event.lossy) for event in self._events.feed(chunk)]
        if bare:
            self.shape = "bare"
            if bare[:1] == b"{":
                self._array.feed(b"[")
            frames.extend(self._elements(bare))
        return frames

    def _elements(self, chunk: bytes) -> list[Frame]:
        bare = self.shape == "bare"
        if bare and self._array.elements:
            return []  # the object was there; what follows it belongs to nothing
        try:
            found = self._array.feed(chunk)
        except PayloadError:
            if bare and self._array.elements:
                return []
            raise
        return [Frame(element, bare=bare) for element in (found[:1] if bare else found)]


def _indented(blank: bytes) -> bool:
    """Whether white space ends with some that stands on the same line as what follows."""
    return blank[-1:] in (b" ", b"\t")
