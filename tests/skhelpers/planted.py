"""Parsers of chat completion streams: some that are right, and one for each framing bug that is planted on purpose.

They share no code with streamkit. `BROKEN` says of each bug which transcripts can show it and how many cuts it takes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncIterable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


class Right:
    """A right parser: bytes are collected, blocks are split off at blank lines, and only whole blocks are decoded."""

    def __init__(self) -> None:
        self.buffer = b""
        self.content = ""
        self.calls: dict[int, dict[str, str]] = {}
        self.finish: str | None = None

    def feed(self, data: bytes) -> None:
        self.buffer += data
        self.split()

    def split(self) -> None:
        while match := re.search(rb"\r\n\r\n|\n\n", self.buffer):
            block, self.buffer = self.buffer[: match.start()], self.buffer[match.end() :]
            self.block(block.decode())

    def block(self, block: str) -> None:
        lines = [line[5:].strip() for line in re.split("\r\n|\n", block) if line.startswith("data:")]
        if lines:
            self.data("\n".join(lines))

    def data(self, data: str) -> None:
        if data == "[DONE]":
            return
        for choice in json.loads(data)["choices"]:
            delta = choice["delta"]
            self.content += delta.get("content") or ""
            for part in delta.get("tool_calls") or []:
                call = self.calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                call["id"] = part.get("id") or call["id"]
                call["name"] = part["function"].get("name") or call["name"]
                call["arguments"] += part["function"].get("arguments") or ""
            self.finish = choice["finish_reason"] or self.finish

    def result(self) -> dict[str, Any]:
        calls = [self.calls[index] for index in sorted(self.calls)]
        return {"content": self.content, "tool_calls": calls, "finish_reason": self.finish}


def right_function(chunks: Iterable[bytes]) -> dict[str, Any]:
    parser = Right()
    for chunk in chunks:
        parser.feed(chunk)
    return parser.result()


async def right_async(chunks: AsyncIterable[bytes]) -> dict[str, Any]:
    parser = Right()
    async for chunk in chunks:
        parser.feed(chunk)
    return parser.result()


def right_events(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each event, the comment blocks left out."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        while match := re.search(rb"\r\n\r\n|\n\n", buffer):
            block, buffer = buffer[: match.start()], buffer[match.end() :]
            lines = [line[5:].strip() for line in block.decode().splitlines() if line.startswith("data:")]
            if lines:
                yield "\n".join(lines)


class Message(BaseModel):
    """A result as a pydantic model, which holds a float that is no number."""

    content: str
    tool_calls: list[dict[str, str]]
    score: float = float("nan")


def right_pydantic(chunks: Iterable[bytes]) -> Message:
    result = right_function(chunks)
    return Message(content=result["content"], tool_calls=result["tool_calls"])


@dataclass
class Result:
    """A result as a dataclass, with a field that says how it was delivered and is not compared."""

    content: str
    tool_calls: list[dict[str, str]]
    reads: int = field(compare=False)


def right_dataclass(chunks: Iterable[bytes]) -> Result:
    parser = Right()
    reads = 0
    for chunk in chunks:
        parser.feed(chunk)
        reads += 1
    result = parser.result()
    return Result(result["content"], result["tool_calls"], reads)


# -- planted bugs


class Utf8PerChunk(Right):
    """Decodes each chunk by itself."""

    def feed(self, data: bytes) -> None:
        super().feed(data.decode("utf-8", "replace").encode())


class Utf8OneCarry(Right):
    """Carries an unfinished character over one boundary, and not over a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.carried = b""

    def feed(self, data: bytes) -> None:
        had, data = bool(self.carried), self.carried + data
        self.carried = b""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            if error.end == len(data) and not had:
                data, self.carried = data[: error.start], data[error.start :]
        super().feed(data.decode("utf-8", "replace").encode())


class LosesCR(Right):
    """Strips a CR from the end of a chunk, so that a CRLF cut in two never matches."""

    def feed(self, data: bytes) -> None:
        self.buffer += data.removesuffix(b"\r")
        while b"\r\n\r\n" in self.buffer:
            block, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.block(block.decode())


class CountsCRLFTwice(Right):
    """Ends a line at CR and again at the LF that comes with the next chunk: a blank line that nobody sent."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def feed(self, data: bytes) -> None:
        self.buffer += data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line:
                self.lines.append(line.decode())
            else:
                if not self.lines:
                    raise ValueError("an event without a line")
                self.block("\n".join(self.lines))
                self.lines = []


class JsonPerChunk(Right):
    """Takes the lines of a chunk for whole lines."""

    def feed(self, data: bytes) -> None:
        for line in data.decode("utf-8", "ignore").splitlines():
            self.block(line)


class DoneInChunk(Right):
    """Looks for [DONE] in the raw chunk, and fails if it never sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.done = False

    def feed(self, data: bytes) -> None:
        self.done = self.done or b"[DONE]" in data
        super().feed(data)

    def result(self) -> dict[str, Any]:
        if not self.done:
            raise RuntimeError("the stream ended early")
        return super().result()


class StripsNewline(Right):
    """Strips the line end from a chunk of more than one byte: not monotone, since byte by byte it is right."""

    def feed(self, data: bytes) -> None:
        super().feed(data.rstrip(b"\r\n") if len(data) > 1 else data)

    def result(self) -> dict[str, Any]:
        super().feed(b"\n\n")
        return super().result()


class FailsOnBlankChunk(Right):
    """Loses a chunk that is exactly the two line ends between events."""

    def feed(self, data: bytes) -> None:
        if data not in (b"\n\n", b"\r\n\r\n"):
            super().feed(data)


class FirstEventOnly(Right):
    """Handles one event a chunk and forgets the rest until the next chunk comes."""

    def split(self) -> None:
        match = re.search(rb"\r\n\r\n|\n\n", self.buffer)
        if match:
            block, self.buffer = self.buffer[: match.start()], self.buffer[match.end() :]
            self.block(block.decode())


class TextDecoder(Right):
    """Right in its decoding, wrong in its lines: `str.splitlines` on whatever text a chunk completes."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> None:
        for line in self.decoder.decode(data).splitlines():
            if line.startswith("data:") and line.endswith(("}", "]")):
                self.data(line[5:].strip())


@dataclass(frozen=True)
class Planted:
    """A bug: the parser, the transcripts that show it, the most cuts a minimal case has, and the class of its cut."""

    parser: type[Right]
    shown_by: tuple[str, ...]
    cuts: int
    where: str | None = None


ALL = ("boston_weather", "synthetic_multibyte_text", "synthetic_parallel_calls_crlf")
_MULTIBYTE = ALL[1:]

BROKEN = (
    Planted(Utf8PerChunk, _MULTIBYTE, 1, "utf8"),
    Planted(Utf8OneCarry, ("synthetic_multibyte_text",), 2, "utf8"),
    Planted(LosesCR, ("synthetic_parallel_calls_crlf",), 1, "crlf"),
    Planted(CountsCRLFTwice, ("synthetic_parallel_calls_crlf",), 1, "crlf"),
    Planted(JsonPerChunk, ALL, 1),
    Planted(DoneInChunk, ALL, 1, "done"),
    Planted(StripsNewline, ALL, 1),
    Planted(FailsOnBlankChunk, ALL, 2),
    Planted(TextDecoder, ALL, 1),
    Planted(FirstEventOnly, ALL, 0),
)
