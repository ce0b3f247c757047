"""Right parsers of Anthropic Messages: a push class with the neutral result, and an async function with the API's own.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Frames, Json, blocks, cut_off, loads, paired

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

__all__ = ["Block", "Messages", "message"]


class Block:
    """A content block as it grows."""

    def __init__(self, index: int, start: Json) -> None:
        self.index = index
        self.kind = start["type"] if isinstance(start.get("type"), str) else ""
        self.start = start
        self.text = start.get("text") or ""
        self.fragments: list[str] = []
        self.closed = False


class Messages:
    """A push parser of text and calls."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.begun = self.over = False
        self.blocks: dict[int, Block] = {}
        self.stop_reason: str | None = None
        self.usage: Json = {}

    def feed(self, chunk: bytes) -> None:
        for name, data in self.frames.feed(chunk):
            if not self.over and not self.is_noise(data):
                self.event(name, data)

    def is_noise(self, data: str) -> bool:
        return data.strip() in ("", "[DONE]")

    def event(self, name: str, data: str) -> None:
        if name == "error":
            self.refuse(data)
            return
        payload = loads(data)
        if payload.get("error") or payload.get("type") == "error":
            self.unnamed_error(payload)
            return
        self.take(self.kind_of(name, payload), payload)

    def kind_of(self, name: str, payload: Json) -> str:
        del name
        return str(payload.get("type"))

    def refuse(self, data: str) -> None:
        raise Refused(data)

    def unnamed_error(self, payload: Json) -> None:
        raise Refused(payload)

    def take(self, kind: str, payload: Json) -> None:
        if kind == "ping":
            self.ping(payload)
        elif kind == "message_start":
            self.start(payload)
        elif kind == "message_delta":
            self.check_begun()
            self.message_delta(payload)
        elif kind == "message_stop":
            self.check_begun()
            self.stop()
        elif kind in ("content_block_start", "content_block_delta", "content_block_stop"):
            self.check_begun()
            index = payload.get("index")
            if kind == "content_block_start":
                self.open(index, payload["content_block"])
            elif kind == "content_block_delta":
                self.delta(self.block(index, payload), payload["delta"])
            else:
                self.close_block(self.block(index, payload))
        else:
            self.unknown(payload)

    def check_begun(self) -> None:
        if not self.begun:
            raise BrokenStream("no message_start came")

    def ping(self, payload: Json) -> None:
        pass

    def unknown(self, payload: Json) -> None:
        pass

    def start(self, payload: Json) -> None:
        if self.begun:
            raise BrokenStream("a second message_start")
        self.begun = True
        self.usage.update(payload["message"].get("usage") or {})

    def open(self, index: object, start: Json) -> None:
        if type(index) is not int or index < 0 or not isinstance(start, dict):
            raise BrokenStream(f"a block cannot begin so: {index!r} {start!r}")
        if index in self.blocks:
            self.reopened(index)
        self.blocks[index] = Block(index, start)

    def reopened(self, index: int) -> None:
        raise BrokenStream(f"block {index} begins twice")

    def block(self, index: object, payload: Json) -> Block:
        del payload
        if type(index) is not int or index not in self.blocks:
            raise BrokenStream(f"no block {index!r} was opened")
        return self.blocks[index]

    def delta(self, block: Block, delta: Json) -> None:
        if block.closed:
            self.late(block)
        kind = delta.get("type")
        if kind == "text_delta":
            self.check_owner(block, "text")
            self.text(block, delta["text"])
        elif kind == "input_json_delta":
            self.check_owner(block, "server_tool_use" if block.kind == "server_tool_use" else "tool_use")
            self.fragment(block, delta["partial_json"])
        elif kind == "thinking_delta":
            self.check_owner(block, "thinking")
            self.text(block, delta["thinking"])
        else:
            self.other(block, delta)

    def other(self, block: Block, delta: Json) -> None:
        pass

    def late(self, block: Block) -> None:
        raise BrokenStream(f"block {block.index} goes on after its end")

    def check_owner(self, block: Block, kind: str) -> None:
        if block.kind != kind:
            raise BrokenStream(f"a delta for a {kind} block in a {block.kind} block")

    def text(self, block: Block, text: str) -> None:
        block.text += text

    def fragment(self, block: Block, fragment: str) -> None:
        block.fragments.append(fragment)

    def close_block(self, block: Block) -> None:
        block.closed = True

    def message_delta(self, payload: Json) -> None:
        self.stop_reason = (payload.get("delta") or {}).get("stop_reason") or self.stop_reason
        self.count(payload)

    def count(self, payload: Json) -> None:
        self.usage.update({name: count for name, count in (payload.get("usage") or {}).items() if count is not None})

    def stop(self) -> None:
        self.over = True

    def close(self) -> None:
        if not self.begun or not self.has_ended():
            raise CutOff("the message is not over")

    def has_ended(self) -> bool:
        return self.over or self.stop_reason is not None

    def ordered(self) -> list[Block]:
        return [self.blocks[index] for index in sorted(self.blocks)]

    def is_call(self, block: Block) -> bool:
        return block.kind == "tool_use"

    def arguments(self, block: Block) -> str:
        given = block.start.get("input")
        return paired("".join(block.fragments)) or (self.dumped(given) if given else "")

    def dumped(self, value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def content(self) -> str:
        return paired("".join(block.text for block in self.ordered() if block.kind == "text"))

    def call(self, block: Block) -> Json:
        arguments = self.arguments(block)
        return {"id": block.start.get("id"), "name": block.start["name"], "arguments": arguments, **cut_off(arguments)}

    def finish_reason(self) -> str | None:
        return self.stop_reason

    def result(self) -> Json:
        return {
            "content": self.content(),
            "tool_calls": [self.call(block) for block in self.ordered() if self.is_call(block)],
            "finish_reason": self.finish_reason(),
            "usage": self.usage,
        }


async def message(chunks: AsyncIterable[bytes]) -> Json:
    """Return the message as the API's own library gives it, as a dict; a call that was cut off raises."""
    made: Json | None = None
    parts: dict[int, Json] = {}
    texts: dict[int, list[str]] = {}
    open_ones: set[int] = set()
    async for name, data in blocks(chunks):
        if not data.strip():
            continue
        if name == "error":
            raise Refused(data)
        if data.strip() == "[DONE]":
            break
        payload = loads(data)
        if payload.get("error") or payload.get("type") == "error":
            raise Refused(payload)
        kind = payload.get("type")
        if kind == "message_start":
            if made is not None:
                raise BrokenStream("the message begins twice")
            made = {**payload["message"], "content": []}
        elif kind in ("content_block_start", "content_block_delta", "content_block_stop", "message_delta"):
            if made is None:
                raise BrokenStream("the message never began")
            if kind == "message_delta":
                made.update({key: value for key, value in payload["delta"].items() if value is not None})
                made["usage"] = {**(made.get("usage") or {}), **(payload.get("usage") or {})}
            else:
                _block_event(kind, payload, parts, texts, open_ones)
        elif kind == "message_stop":
            break
    if made is None or made.get("stop_reason") is None:
        raise CutOff("no stop reason came")
    for index in sorted(parts):
        made["content"].append(_finished(parts[index], "".join(texts[index]), whole=index not in open_ones))
    return made


_OWNERS = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking"),
           "input_json_delta": ("tool_use", "partial_json")}  # fmt: skip


def _block_event(
    kind: str, payload: Json, parts: dict[int, Json], texts: dict[int, list[str]], open_ones: set[int]
) -> None:
    index = payload.get("index")
    if not isinstance(index, int):
        raise BrokenStream("an event of no block")
    if kind == "content_block_start":
        if index in parts:
            raise BrokenStream("a block begins twice")
        parts[index] = dict(payload["content_block"])
        texts[index] = []
        open_ones.add(index)
        return
    if index not in open_ones:
        raise BrokenStream("an event of a block that is not open")
    if kind == "content_block_stop":
        open_ones.remove(index)
        return
    delta = payload["delta"]
    owner, key = _OWNERS.get(delta["type"], ("", ""))
    if owner and parts[index]["type"] != owner:
        raise BrokenStream("a delta in a block of another type")
    if owner:
        texts[index].append(delta[key])
    elif delta["type"] == "signature_delta":
        parts[index]["signature"] = delta["signature"]


def _finished(part: Json, text: str, *, whole: bool) -> Json:
    if part["type"] in ("text", "thinking"):
        return {**part, part["type"]: paired(part[part["type"]] + text)}
    if part["type"] == "tool_use" and text:
        return {**part, "input": loads(paired(text))}
    if part["type"] == "tool_use" and not whole:
        raise CutOff("a call without its end")
    return part
