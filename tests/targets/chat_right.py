"""Right parsers of chat completion streams, in the styles in which people write them.

Each says in its docstring for which classes of mutations it is right: whoever hands out single payloads, say, cannot
know that a tool call in them was cut off. They share no code with streamkit.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .chat_answer import Answer, BadEventError, BrokenCallError, EarlyEndError, ServerError, parse

__all__ = [
    "Push", "PushEvents", "asynchronous", "buffering", "docs_loop", "events", "models", "parsed_arguments", "payloads",
    "pipeline",
]  # fmt: skip


# -- all bytes first


def buffering(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Collect the body, then read it in one go. Right for all classes; gives one message."""
    try:
        text = b"".join(chunks).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadEventError(f"no UTF-8: {error}") from error
    lines = re.split("\r\n|\n|\r", text)[:-1]  # the last one has no end
    answer = Answer()
    block: list[tuple[str, str]] = []
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            block.append((name, value.removeprefix(" ")))
            continue
        data = [value for name, value in block if name == "data"]
        kind = [value for name, value in block if name == "event"]
        if data:
            answer.event("\n".join(data), kind[-1] if kind else "")
        block = []
    return answer.finished()[0]


# -- pushed bytes


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadEventError(f"no UTF-8: {error}") from error


class _Blocks:
    """Takes bytes as they come, and hands each event out as soon as its blank line is there."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = b""
        self._after_return = False
        self._first = True

    def events(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        for piece in re.findall(rb"[^\r\n]+|\r|\n", data):
            if piece == b"\n" and self._after_return:
                self._after_return = False
                continue
            self._after_return = piece == b"\r"
            if piece not in (b"\r", b"\n"):
                self._line += piece
                continue
            line = bytes(self._line)
            self._line.clear()
            yield from self._end(line.removeprefix(b"\xef\xbb\xbf") if self._first else line)
            self._first = False

    def _end(self, line: bytes) -> Iterator[tuple[bytes, bytes]]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
        elif not line:
            data, name, self._data, self._name = self._data, self._name, [], b""
            if data:
                yield name, b"\n".join(data)


class Push:
    """Take bytes as they come, as a parser in a protocol does. Right for all classes; gives all choices."""

    def __init__(self) -> None:
        self._blocks = _Blocks()
        self._answer = Answer()

    def feed(self, data: bytes) -> None:
        for name, value in self._blocks.events(data):
            self._answer.event(_text(value), _text(name))

    def close(self) -> None:
        """Drop what is left: it is no whole event."""

    def result(self) -> dict[str, Any]:
        choices = [
            {"index": number, "message": one, "finish_reason": one["finish_reason"]}
            for number, one in enumerate(self._answer.finished())
        ]
        return {"choices": choices, "usage": self._answer.usage}


class PushEvents:
    """Return the events that each chunk completes, for `--returns events`. Right for the preserving class."""

    def __init__(self) -> None:
        self._blocks = _Blocks()

    def feed(self, data: bytes) -> list[dict[str, str]]:
        return [{"event": _text(name) or "message", "data": _text(value)} for name, value in self._blocks.events(data)]


# -- generators


def _characters(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield text; bytes that are no UTF-8 become lone surrogates, so that whoever reads the event can tell."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield whole lines without their ends; a CR at the end of a text waits for the next."""
    rest, first = "", True
    for text in texts:
        rest += text
        if "\n" not in text and "\r" not in rest:
            continue
        *whole, rest = re.split("\r\n|\n|\r(?!\\Z)", rest)
        for line in whole:
            yield line.removeprefix("\ufeff") if first else line
            first = False
    if rest.endswith("\r"):
        yield rest[:-1]


def _events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and data of each event."""
    name = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "", []
        elif line.startswith("data:") or line == "data":
            data.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            name = line[6:].removeprefix(" ")


def _checked(data: str) -> str:
    if any("\udc80" <= character <= "\udcff" for character in data):
        raise BadEventError("an event is not UTF-8")
    return data


def pipeline(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Chain generators: text, lines, events. Right for all classes; gives one message."""
    answer = Answer()
    for name, data in _events(_lines(_characters(chunks))):
        answer.event(_checked(data), name)
    return answer.finished()[0]


def _without_legacy(message: dict[str, Any]) -> dict[str, Any]:
    """Refuse a call in the legacy form, for who has no place for it must not lose it in silence."""
    if message["function_call"]:
        raise BrokenCallError("a function_call, which is not supported")
    return message


def parsed_arguments(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Give the arguments of tool calls as objects. Right for all classes."""
    message = _without_legacy(pipeline(chunks))
    calls = [
        {"id": call["id"], "name": call["name"], "arguments": json.loads(call["arguments"] or "{}")}
        for call in message["tool_calls"]
    ]
    return {"content": message["content"], "tool_calls": calls, "finish_reason": message["finish_reason"]}


def payloads(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield each payload as it comes. Right for the preserving and the dialect class."""
    finished, choices = set(), set()
    for name, data in _events(_lines(_characters(chunks))):
        if data.strip() == "[DONE]":
            return
        if not data.strip():
            continue
        payload = parse(_checked(data))
        if name == "error":
            raise ServerError(data[:200])
        yield payload
        entries = [entry for entry in payload.get("choices") or [] if entry]
        choices |= {entry.get("index") or 0 for entry in entries}
        finished |= {entry.get("index") or 0 for entry in entries if entry.get("finish_reason")}
    if not choices or choices - finished:
        raise EarlyEndError("the answer has no end")


def events(chunks: Iterable[bytes]) -> list[str]:
    """Give the data of each event: a framing parser, for `--returns events`. Right for the preserving class."""
    return [data for _, data in _events(_lines(_characters(chunks)))]


# -- async


async def _async_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield lines of bytes, each when its end has come."""
    buffer = b""
    async for chunk in chunks:
        buffer += chunk
        start = 0
        for end in re.finditer(rb"\r\n|\n|\r(?!\Z)", buffer):
            yield buffer[start : end.start()]
            start = end.end()
        buffer = buffer[start:]
    if buffer.endswith(b"\r"):
        yield buffer[:-1]


async def asynchronous(chunks: AsyncIterable[bytes]) -> dict[str, Any]:
    """Read lines of an async body. Right for all classes; gives one message."""
    answer, name, data, first = Answer(), "", bytearray(), True
    async for raw in _async_lines(chunks):
        line = raw.removeprefix(b"\xef\xbb\xbf") if first else raw
        first = False
        if line.startswith(b"data"):
            field, _, value = line.partition(b":")
            data += value.removeprefix(b" ") + b"\n" if field == b"data" else b""
        elif line.startswith(b"event:"):
            name = line[6:].decode("utf-8", "replace").strip()
        elif not line:
            if data:
                answer.event(_text(bytes(data[:-1])), name)
            name, data = "", bytearray()
    return answer.finished()[0]


# -- models


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Function(_Model):
    name: str | None = None
    arguments: str | None = None


class _Call(_Model):
    index: int
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Delta(_Model):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(_Model):
    index: int
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(_Model):
    choices: list[_Choice | dict[str, Any]] | None = None


class ToolCall(BaseModel):
    """A tool call of a result."""

    id: str
    name: str
    arguments: str


class Message(BaseModel):
    """A result as a pydantic model."""

    content: str
    tool_calls: list[ToolCall]
    finish_reason: str | None


def models(chunks: Iterable[bytes]) -> Message:
    """Validate each payload with pydantic, and refuse what the API does not say. Right for all classes."""
    answer = Answer()
    for name, data in _events(_lines(_characters(chunks))):
        if not answer.done and data.strip() not in ("", "[DONE]"):
            payload = parse(_checked(data))
            try:
                _Chunk.model_validate(payload)
            except ValidationError as error:
                raise BadEventError(f"no chunk: {error}") from error
        answer.event(_checked(data), name)
    return Message.model_validate(_without_legacy(answer.finished()[0]))


# -- as the guides show it


def docs_loop(chunks: Iterable[bytes]) -> tuple[str, list[dict[str, str]]]:
    """Loop over events as the guides do, without a thought for other servers. Right for the preserving class.

    It reads the first choice.
    """
    text, calls = "", dict[int, dict[str, str]]()
    for _, data in _events(_lines(_characters(chunks))):
        if data == "[DONE]":
            break
        for choice in json.loads(data)["choices"]:
            delta = choice["delta"] if choice["index"] == 0 else {}
            text += delta.get("content") or ""
            for entry in delta.get("tool_calls") or []:
                call = calls.setdefault(entry["index"], {"id": "", "name": "", "arguments": ""})
                function = entry.get("function") or {}
                call["id"] = call["id"] or entry.get("id") or ""
                call["name"] = call["name"] or function.get("name") or ""
                call["arguments"] += function.get("arguments") or ""
    return text, [calls[index] for index in sorted(calls)]
