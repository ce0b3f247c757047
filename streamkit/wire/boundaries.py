"""Which kind of place each byte offset of an event stream is: a boundary class for every possible cut.

A cut at offset `o` falls between byte `o - 1` and byte `o`. Each offset has one class, the most specific that holds:
inside a UTF-8 character goes before inside a JSON string, which goes before inside a value. The classes are those at
which real parsers break; the last four are the bulk of any body and seldom matter.

The map is one byte an offset, filled by regular expressions over whole lines, so a body of megabytes is mapped in
a fraction of a second.
"""

from __future__ import annotations

import re
from array import array
from enum import IntEnum
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOT_CLASSES", "Boundaries", "BoundaryClass", "boundaries", "event_ends"]


class BoundaryClass(IntEnum):
    """A kind of place at which a body can be cut: `str()` is its text form, `meaning` is for people."""

    UTF8 = 1
    CRLF = 2
    BLANK_LINE = 3
    EVENT = 4
    LINE_END = 5
    LINE = 6
    COLON = 7
    FIELD_NAME = 8
    ESCAPE = 9
    DONE = 10
    BOM = 11
    JSON_STRING = 12
    JSON = 13
    COMMENT = 14
    VALUE = 15

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")

    @property
    def meaning(self) -> str:
        """The class in words that complete "a cut ..."."""
        return _MEANINGS[self]

    @classmethod
    def parse(cls, text: str) -> BoundaryClass:
        """Return the class whose text form is `text` ("utf8", "blank-line", ...).

        Raises:
            UsageError: there is no such class; the message lists them.
        """
        try:
            return cls[text.strip().upper().replace("-", "_")]
        except KeyError:
            known = ", ".join(str(kind) for kind in cls)
            raise UsageError(f"no boundary class {text!r}; there are: {known}") from None


_MEANINGS = {
    BoundaryClass.UTF8: "inside a UTF-8 character",
    BoundaryClass.CRLF: "between CR and LF",
    BoundaryClass.BLANK_LINE: "between the two line ends that close an event",
    BoundaryClass.EVENT: "between two events",
    BoundaryClass.LINE_END: "just before a line end",
    BoundaryClass.LINE: "between two lines of one event",
    BoundaryClass.COLON: "after the colon of a field, before its value",
    BoundaryClass.FIELD_NAME: "inside a field name",
    BoundaryClass.ESCAPE: "inside a JSON escape",
    BoundaryClass.DONE: "inside [DONE]",
    BoundaryClass.BOM: "inside or right after the byte order mark",
    BoundaryClass.JSON_STRING: "inside a JSON string",
    BoundaryClass.JSON: "in JSON, outside its strings",
    BoundaryClass.COMMENT: "inside a comment",
    BoundaryClass.VALUE: "inside a field's value",
}

#: The classes that are few in a body and at which parsers break; a prelude tries each of their offsets.
HOT_CLASSES = tuple(kind for kind in BoundaryClass if kind < BoundaryClass.JSON_STRING)

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_BLANK = re.compile(rb"\n\n+")
_SHORT = 4096  # bytes of a line whose classes are kept: mutations of one body share most of its lines
_FIELD = re.compile(rb"([^:]+)(:?)( ?)")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_HALVES = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(_HALVES + rb"|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL)
# Well-formed sequences only: Unicode standard, table 3-7.
_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)


#: For each class, the translation that leaves 1 for its mark and 0 for any other.
_ONLY = {kind: bytes(int(mark == kind) for mark in range(256)) for kind in BoundaryClass}


class Boundaries:
    """The boundary class of every offset of one body. Make it with `boundaries(body)`, which keeps the last few."""

    def __init__(self, body: bytes) -> None:
        self._marks = _map(body)
        self._size = len(body)
        self._offsets: dict[BoundaryClass, array[int]] = {}

    def __len__(self) -> int:
        """Size of the body in bytes."""
        return self._size

    def at(self, offset: int) -> BoundaryClass | None:
        """Return the class of a cut at `offset`; None at either end of the body, where a cut only adds an empty chunk.

        Raises:
            UsageError: the offset is outside the body.
        """
        if not 0 <= offset <= self._size:
            raise UsageError(f"offset {offset} is outside the body of {self._size} bytes")
        mark = self._marks[offset]
        return BoundaryClass(mark) if mark else None

    def offsets(self, kind: BoundaryClass) -> array[int]:
        """Return the offsets of one class, ascending."""
        found = self._offsets.get(kind)
        if found is None:
            found = array("I", _places(self._marks, kind))
            self._offsets[kind] = found
        return found

    def classes(self) -> list[BoundaryClass]:
        """Return the classes that the body has, in their own order."""
        return [kind for kind in BoundaryClass if bytes([kind]) in self._marks]

    def hot(self) -> list[int]:
        """Return all offsets of the hot classes, ascending."""
        return sorted(offset for kind in HOT_CLASSES for offset in self.offsets(kind))


def _places(marks: bytearray, kind: BoundaryClass) -> Iterator[int]:
    """Yield where a mark stands, ascending: from one to the next where it is rare, else offset by offset."""
    if 16 * marks.count(kind) > len(marks):
        yield from compress(range(len(marks)), marks.translate(_ONLY[kind]))
        return
    place = marks.find(kind)
    while place >= 0:
        yield place
        place = marks.find(kind, place + 1)


@lru_cache(maxsize=8)
def boundaries(body: bytes) -> Boundaries:
    """Return the boundary classes of an event stream's body."""
    return Boundaries(body)


def event_ends(body: bytes) -> list[int]:
    """Return the offset after each block's blank line, ascending: where a stream splits into whole events.

    Comment blocks count as blocks of their own. An unfinished last block has no end here.
    """
    if b"\r" not in body:  # nearly all streams: two line ends in a row are found without a look at each line
        return [match.end() for match in _BLANK.finditer(body) if match.start()]
    ends = []
    filled = False
    for match in _LINE.finditer(body):
        if match.group(1):
            filled = True
        elif match.group(2):
            if filled:
                ends.append(match.end())
            elif ends:  # a further blank line belongs to the block before it
                ends[-1] = match.end()
            filled = False
    return ends


def _map(body: bytes) -> bytearray:
    size = len(body)
    marks = bytearray(size + 1)
    start = 3 if body.startswith(b"\xef\xbb\xbf") else 0
    in_block = False
    for match in _LINE.finditer(body, start):
        begin, stop = match.span(1)
        end = match.end()
        if begin == stop == end:
            break  # the empty match at the end of the body
        if begin == stop:
            kind = BoundaryClass.EVENT
            if in_block:
                marks[begin] = BoundaryClass.BLANK_LINE
            in_block = False
        else:
            kind = BoundaryClass.LINE
            line = match[1]
            marks[begin + 1 : stop] = _known_line(line) if stop - begin <= _SHORT else _line(line)
            in_block = True
            if end > stop:
                marks[stop] = BoundaryClass.LINE_END
        if end - stop == 2:
            marks[stop + 1] = BoundaryClass.CRLF
        marks[end] = kind
    if start:
        marks[1:4] = bytes([BoundaryClass.BOM]) * len(marks[1:4])
    marks[0] = 0
    marks[size] = 0
    return marks


def _line(line: bytes) -> bytes:
    """Return the classes of the offsets inside a line that is not empty."""
    stop = len(line)
    marks = bytearray(stop)
    _map_line(line, marks)
    if not line.isascii():
        for match in _CHARACTER.finditer(line):
            begin, end = match.span()
            marks[begin + 1 : end] = bytes([BoundaryClass.UTF8]) * (end - begin - 1)
    return bytes(marks[1:stop])


_known_line = lru_cache(maxsize=1024)(_line)


def _map_line(line: bytes, marks: bytearray) -> None:
    stop = len(line)

    def fill(first: int, last: int, kind: BoundaryClass) -> None:
        if last > first:
            marks[first:last] = bytes([kind]) * (last - first)

    field = _FIELD.match(line)
    if field is None:  # the line begins with a colon
        fill(1, stop, BoundaryClass.COMMENT)
        return
    fill(1, field.end(1) + 1, BoundaryClass.FIELD_NAME)
    if not field.group(2):
        return
    value = field.end()
    fill(field.end(2), value + 1, BoundaryClass.COLON)
    text = line[value:].strip()
    if text == b"[DONE]":
        fill(value + 1, stop, BoundaryClass.DONE)
    elif text[:1] in (b"{", b"[", b'"', b"}", b"]", b","):
        fill(value + 1, stop, BoundaryClass.JSON)
        for string in _STRING.finditer(line, value):
            begin, end = string.span()
            fill(begin + 1, end, BoundaryClass.JSON_STRING)
            if line.find(b"\\", begin, end) >= 0:
                for escape in _ESCAPE.finditer(line, begin + 1, end):
                    fill(escape.start() + 1, escape.end(), BoundaryClass.ESCAPE)
    else:
        fill(value + 1, stop, BoundaryClass.VALUE)
