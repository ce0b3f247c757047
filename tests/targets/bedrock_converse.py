"""Right parsers of Bedrock's ConverseStream: a push class, and a function that leaves the framing to botocore.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]  # ships no types

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Json, cut_off, loads, paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Block", "Converse", "converse"]

_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_EVENTS = {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}


class Block:
    """A content block as it grows."""

    def __init__(self) -> None:
        self.text = ""
        self.call: Json | None = None
        self.fragments: list[str] = []
        self.stopped = False


class Converse:
    """A push parser of text and calls, with a framing of its own."""

    def __init__(self) -> None:
        self.pending = bytearray()
        self.begun = False
        self.blocks: dict[Any, Block] = {}
        self.stop_reason: str | None = None
        self.usage: Json | None = None

    # -- the wire

    def feed(self, chunk: bytes) -> None:
        self.pending += chunk
        while raw := self.next_message():
            headers, payload = self.message(raw)
            self.event(headers, payload)

    def next_message(self) -> bytes:
        if len(self.pending) < 12:
            return b""
        length, _, checksum = struct.unpack(">III", self.pending[:12])
        if crc32(self.pending[:8]) != checksum or length < 16:
            raise BrokenStream("no prelude of a message")
        if len(self.pending) < length:
            return b""
        raw = bytes(self.pending[:length])
        del self.pending[:length]
        return raw

    def message(self, raw: bytes) -> tuple[list[tuple[str, Any]], bytes]:
        self.check_message(raw)
        start = 12 + struct.unpack(">I", raw[4:8])[0]
        headers, at = [], 12
        while at < start:
            end = at + 1 + raw[at]
            name = raw[at + 1 : end].decode()
            value, at = self.header_value(raw, end)
            headers.append((name, value))
        return headers, raw[start:-4]

    def check_message(self, raw: bytes) -> None:
        if crc32(raw[:-4]) != struct.unpack(">I", raw[-4:])[0]:
            raise BrokenStream("a message is damaged")

    def header_value(self, raw: bytes, at: int) -> tuple[Any, int]:
        kind = raw[at]
        if kind in _FIXED:
            end = at + 1 + _FIXED[kind]
            return raw[at + 1 : end], end
        end = at + 3 + struct.unpack(">H", raw[at + 1 : at + 3])[0]
        return (raw[at + 3 : end].decode() if kind == 7 else raw[at + 3 : end]), end

    # -- the events

    def event(self, headers: list[tuple[str, Any]], payload: bytes) -> None:
        told = dict(headers)
        if told.get(":message-type") == "exception":
            self.exception(told, payload)
            return
        kind = self.kind_of(headers)
        if told.get(":message-type") != "event" or not isinstance(kind, str) or kind.endswith("Exception"):
            raise Refused(told, payload)
        if kind == "initial-response":
            self.initial()
        elif kind not in _EVENTS:
            self.unknown(kind)
        else:
            self.take(kind, self.payload(payload))

    def exception(self, told: dict[str, Any], payload: bytes) -> None:
        raise Refused(told, payload)

    def kind_of(self, headers: list[tuple[str, Any]]) -> Any:
        return dict(headers).get(":event-type")

    def initial(self) -> None:
        pass

    def unknown(self, kind: str) -> None:
        pass

    def payload(self, payload: bytes) -> Json:
        return loads(payload)

    def take(self, kind: str, payload: Json) -> None:
        if self.stop_reason is not None and kind != "metadata":
            raise BrokenStream(f"{kind} after the end")
        if kind == "messageStart":
            self.start()
        elif kind == "contentBlockStart":
            self.open(self.index(payload), payload["start"])
        elif kind == "contentBlockDelta":
            self.delta(self.block(self.index(payload)), payload["delta"])
        elif kind == "contentBlockStop":
            self.stop_block(self.blocks.setdefault(self.index(payload), Block()))
        elif kind == "messageStop":
            self.stop_reason = self.reason(payload)
        else:
            self.usage = payload.get("usage")

    def start(self) -> None:
        if self.begun:
            raise BrokenStream("a second messageStart")
        self.begun = True

    def index(self, payload: Json) -> Any:
        index = payload.get("contentBlockIndex")
        if type(index) is not int:
            raise BrokenStream(f"no block has the index {index!r}")
        return index

    def block(self, index: Any) -> Block:
        return self.blocks.setdefault(index, Block())

    def open(self, index: Any, start: Json) -> None:
        if index in self.blocks:
            raise BrokenStream("a block begins twice")
        block = self.blocks[index] = Block()
        block.call = start.get("toolUse")

    def delta(self, block: Block, delta: Json) -> None:
        if block.stopped:
            raise BrokenStream("a block goes on after its end")
        if "toolUse" in delta:
            self.fragment(block, delta["toolUse"]["input"])
        elif "text" in delta:
            if block.call is not None:
                raise BrokenStream("text in a call")
            self.text(block, delta["text"])

    def text(self, block: Block, text: str) -> None:
        block.text += text

    def fragment(self, block: Block, fragment: str) -> None:
        if block.call is None:
            self.astray(block)
        block.fragments.append(fragment)

    def astray(self, block: Block) -> None:
        raise BrokenStream("arguments of no call")

    def stop_block(self, block: Block) -> None:
        if block.stopped:
            raise BrokenStream("a block ends twice")
        block.stopped = True

    def reason(self, payload: Json) -> str | None:
        reason: str | None = payload["stopReason"]
        return reason

    # -- the end

    def close(self) -> None:
        if self.pending:
            self.unfinished()
        if not self.has_ended():
            raise CutOff("no messageStop came")

    def unfinished(self) -> None:
        raise CutOff("a message is not whole")

    def has_ended(self) -> bool:
        return self.stop_reason is not None

    def counted(self) -> int | None:
        return None if self.usage is None else self.usage["outputTokens"]

    def result(self) -> Json:
        blocks = [self.blocks[index] for index in sorted(self.blocks)]
        calls = [self.call(block.call, paired("".join(block.fragments))) for block in blocks if block.call is not None]
        text = self.whole("".join(block.text for block in blocks))
        return {"content": text, "tool_calls": calls, "finish_reason": self.stop_reason, "tokens": self.counted()}

    def whole(self, text: str) -> str:
        return paired(text)

    def call(self, start: Json, arguments: str) -> Json:
        return {
            "id": start.get("toolUseId"), "name": start["name"], "arguments": arguments, **cut_off(arguments),
        }  # fmt: skip


def converse(chunks: Iterable[bytes]) -> Json:
    """Return what Converse answers without streaming; botocore splits the messages and checks them."""
    parts: dict[int, Json] = {}
    stopped: set[int] = set()
    made: Json = {"output": {"message": {"role": "assistant", "content": []}}}
    for kind, payload in _events(chunks):
        if kind != "metadata" and "stopReason" in made:
            raise BrokenStream("more after the end")
        if kind == "messageStart" and "begun" in made:
            raise BrokenStream("a second beginning")
        if kind == "messageStart":
            made["begun"] = True
        elif kind == "messageStop":
            made["stopReason"] = payload["stopReason"]
        elif kind == "metadata":
            made["usage"] = payload["usage"]
        else:
            _block_event(kind, payload, parts, stopped)
    if "stopReason" not in made:
        raise CutOff("no messageStop came")
    made.pop("begun", None)
    for index in sorted(parts):
        part = parts[index]
        if "toolUse" in part:
            part["toolUse"]["input"] = loads(paired(part["toolUse"]["input"]) or "{}")
        else:
            part["text"] = paired(part["text"])
        made["output"]["message"]["content"].append(part)
    return made


def _events(chunks: Iterable[bytes]) -> Iterator[tuple[str, Json]]:
    buffer = EventStreamBuffer()
    read = taken = 0
    try:
        for chunk in chunks:
            buffer.add_data(chunk)
            read += len(chunk)
            for event in buffer:
                taken += event.prelude.total_length
                kind = event.headers.get(":event-type", "")
                if event.headers.get(":message-type") != "event" or kind.endswith("Exception"):
                    raise Refused(event.headers, event.payload)
                if kind in _EVENTS:
                    yield kind, loads(event.payload)
    except ParserError as error:
        raise BrokenStream("no message") from error
    if read != taken:
        raise CutOff("a message is not whole")


def _block_event(kind: str, payload: Json, parts: dict[int, Json], stopped: set[int]) -> None:
    index = payload.get("contentBlockIndex")
    if not isinstance(index, int) or index in stopped:
        raise BrokenStream("an event of no open block")
    if kind == "contentBlockStart":
        if index in parts:
            raise BrokenStream("a block begins twice")
        parts[index] = {"toolUse": {**payload["start"]["toolUse"], "input": ""}}
    elif kind == "contentBlockStop":
        stopped.add(index)
    elif "toolUse" in payload["delta"]:
        if "toolUse" not in parts.get(index, {}):
            raise BrokenStream("arguments of no call")
        parts[index]["toolUse"]["input"] += payload["delta"]["toolUse"]["input"]
    elif "text" in payload["delta"]:
        part = parts.setdefault(index, {"text": ""})
        if "text" not in part:
            raise BrokenStream("text in a call")
        part["text"] += payload["delta"]["text"]
