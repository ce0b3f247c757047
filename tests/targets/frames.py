"""Server-sent events and JSON in two hands of our own, for the parsers of this package.

`Frames` takes chunks and gives events; `blocks` takes an async iterable of chunks. They share no code, so that a slip
of one shows against the other.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from targets.broken import BrokenStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator

__all__ = ["Frames", "Json", "blocks", "cut_off", "loads", "paired"]

Json = dict[str, Any]

_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"


def loads(text: str | bytes) -> Json:
    """Return the JSON object that a text is; raise BrokenStream where it is none.

    Bytes are decoded first: `json.loads` would let halves of surrogate pairs pass, which are no UTF-8.
    """
    try:
        value = json.loads(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        raise BrokenStream(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BrokenStream(f"no object: {value!r}")
    return value


def cut_off(arguments: str) -> Json:
    """Return what marks a call as one not to be executed, where its arguments are no object; nothing elsewhere."""
    try:
        loads(arguments or "{}")
    except BrokenStream as error:
        return {"problem": str(error)}
    return {}


def paired(text: str) -> str:
    """Return a text with the halves of its surrogate pairs joined; raise BrokenStream where one is alone."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise BrokenStream("half a character") from error


class Frames:
    """Bytes in, (name, data) out. A line that is no field is kept in `strays`, for who wants to know."""

    def __init__(self) -> None:
        self.strays: list[bytes] = []
        self.line = bytearray()
        self.after_cr = False
        self.begun = False
        self.name = b""
        self.data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        if self.after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self.after_cr = False
        if not chunk:
            return
        self.after_cr = chunk.endswith(b"\r")
        *ended, rest = _END.split(chunk)
        for piece in ended:
            line = bytes(self.line) + piece
            self.line.clear()
            if not self.begun:
                line = line.removeprefix(_MARK)
                self.begun = True
            yield from self.take(line)
        self.line += rest

    def take(self, line: bytes) -> Iterator[tuple[str, str]]:
        if not line:
            name, data = self.name, self.data
            self.name, self.data = b"", []
            if data:
                yield self.decoded(name), self.decoded(b"\n".join(data))
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self.data.append(value)
        elif field == b"event":
            self.name = value
        elif field not in (b"", b"id", b"retry"):
            self.strays.append(line)

    def decoded(self, text: bytes) -> str:
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise BrokenStream("no UTF-8") from error


async def blocks(chunks: AsyncIterable[bytes]) -> AsyncIterator[tuple[str, str]]:
    """Yield (name, data) of each event: text is decoded first, then split in lines, then gathered in blocks."""
    fields: dict[str, list[str]] = {}
    async for line in _lines(chunks):
        if line:
            key, _, value = line.partition(":")
            fields.setdefault(key, []).append(value[1:] if value[:1] == " " else value)
            continue
        if "data" in fields:
            yield fields.get("event", [""])[-1], "\n".join(fields["data"])
        fields = {}


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces: list[str] = []
    swallow, first = False, True
    async for chunk in chunks:
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise BrokenStream("no UTF-8") from error
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        start = 0
        for place, character in _ends(text):
            if swallow and character == "\n" and place == start == 0:
                start, swallow = 1, False
                continue
            yield "".join(pieces) + text[start:place]
            pieces.clear()
            start = place + len(character)
        if text:
            swallow = text[-1] == "\r"
            pieces.append(text[start:])


def _ends(text: str) -> Iterator[tuple[int, str]]:
    for found in re.finditer("\r\n|\r|\n", text):
        yield found.start(), found[0]
