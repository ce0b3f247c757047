"""The content blocks of a ConverseStream answer: which delta may go where, and what a block comes to.

A block is known by its `contentBlockIndex`. Only calls and their results are opened by a `contentBlockStart`; text,
reasoning and citations begin with their first delta, and an empty block has nothing but its `contentBlockStop`. What
can only come of a lost or doubled message is an error: a second start, a delta or a stop after the stop, arguments
without the start that names their call.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.payloads import required, wrong
from streamkit.dialects.text import Text, pair_surrogates, repaired, shown

__all__ = ["Blocks", "members"]

_NO_CALL = {"text", "reasoningContent", "toolResult", "citation", "image"}  # deltas that no call can have
#: The type of a call that the provider runs itself.
SERVER_CALL = "server_tool_use"


def members(union: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a union that are there: null means absent."""
    return {key: value for key, value in union.items() if value is not None}


class _Block:
    """What came so far of one block."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.call: dict[str, Any] | None = None  # what opened it, for a call or the result of one
        self.result: dict[str, Any] | None = None
        self.stopped = False
        self.text = Text()
        self.reasoning = Text()
        self.signature = Text()
        self.redacted: list[bytes] = []
        self.input = Text()
        self.results: list[Any] = []
        self.empty = True

    @property
    def server_call(self) -> bool:
        """Whether it is a call that the provider runs itself."""
        return self.call is not None and self.call.get("type") == SERVER_CALL

    def delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        """Take a delta; return those of its members that are not known."""
        unknown: dict[str, Any] = {}
        for key, value in members(delta).items():
            if self.call is not None and key in _NO_CALL:
                raise wrong(f"a delta of {key[:40]!r} in block {self.index}, which is a tool call", delta, key)
            if key == "text":
                self.text.add(required(delta, key, str))
            elif key == "toolUse":
                if self.call is None:
                    text = f"arguments in block {self.index}, which no contentBlockStart made a tool call"
                    raise wrong(text, delta, key)
                self.input.add(required(required(delta, key, dict), "input", str))
            elif key == "reasoningContent":
                unknown |= self._reasoning(required(delta, key, dict))
            elif key == "toolResult":
                self.results.extend(required(delta, key, list))
            else:
                unknown[key] = value
        return unknown

    def _reasoning(self, content: dict[str, Any]) -> dict[str, Any]:
        rest = {}
        for key, value in members(content).items():
            if key == "text":
                self.reasoning.add(required(content, key, str))
            elif key == "signature":
                self.signature.add(required(content, key, str))
            elif key == "redactedContent":
                try:
                    self.redacted.append(base64.b64decode(required(content, key, str), validate=True))
                except (binascii.Error, ValueError):
                    raise wrong(f"redactedContent is no base64: {shown(value)}", content, key) from None
            else:
                rest[key] = value
        return {"reasoningContent": rest} if rest else {}

    def details(self) -> dict[str, Any]:
        """Return what a reasoning block must be sent back with; an empty dict for another block."""
        found: dict[str, Any] = {}
        if self.reasoning.value is not None:
            found["text"] = str(self.reasoning)
        if self.signature.value is not None:
            found["signature"] = str(self.signature)
        if self.redacted:
            found["redactedContent"] = base64.b64encode(b"".join(self.redacted)).decode()
        return {"index": self.index, **found} if found else {}

    def tool_call(self, trouble: str | None, empty_trouble: str | None) -> ToolCall:
        """Return the block as a call, with the first of its problems."""
        call = self.call or {}
        name, identity, arguments = call["name"], call["toolUseId"], str(self.input)
        own = None
        if not name or not identity:
            own = f"it has no {'id' if name else 'name'}"
        elif not self.stopped:
            own = "its block was never stopped"
        elif "type" in call:
            own = f"its type is {shown(call['type'])}: who is to run it is not known"
        problem = trouble or own or argument_problem(arguments) or (None if arguments.strip() else empty_trouble)
        extra = {key: value for key, value in call.items() if key not in ("name", "toolUseId")}
        return ToolCall(
            pair_surrogates(identity), pair_surrogates(name), arguments, "function", self.index, problem,
            repaired(extra),
        )  # fmt: skip


class Blocks:
    """The blocks of one answer, as they come."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._citations: list[dict[str, Any]] = []
        self._images: dict[int, dict[str, Any]] = {}

    def start(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Take a contentBlockStart; return the members of its `start` that are not known."""
        block = self._block(payload)
        if not block.empty:
            raise wrong(f"block {block.index} begins a second time", payload, "contentBlockIndex")
        block.empty = False
        start = required(payload, "start", dict)
        unknown = {}
        for key, value in members(start).items():
            if key == "toolUse":
                call = required(start, key, dict)
                known = {name: required(call, name, str) for name in ("name", "toolUseId")}
                block.call = {**members(call), **known}
            elif key == "toolResult":
                block.result = members(required(start, key, dict))
            elif key == "image":
                self._images[block.index] = dict(required(start, key, dict))
            else:
                unknown[key] = value
        return unknown

    def delta(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Take a contentBlockDelta; return the members of its `delta` that are not known."""
        block = self._block(payload)
        block.empty = False
        delta = required(payload, "delta", dict)
        unknown = block.delta(delta)
        if "citation" in unknown:
            citation = required(delta, "citation", dict)
            self._citations.append({"index": block.index, "citation": citation})
        if "image" in unknown:
            image = self._images.setdefault(block.index, {})
            image.setdefault("deltas", []).append(required(delta, "image", dict))
        return {key: value for key, value in unknown.items() if key not in ("citation", "image")}

    def stop(self, payload: dict[str, Any]) -> None:
        """Take a contentBlockStop."""
        block = self._block(payload)
        block.stopped = True
        block.empty = False

    def _block(self, payload: dict[str, Any]) -> _Block:
        index = required(payload, "contentBlockIndex", int)
        if index < 0:
            raise wrong(f"contentBlockIndex is {index}", payload, "contentBlockIndex")
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _Block(index)
        elif block.stopped:
            raise wrong(f"block {index} goes on after its contentBlockStop", payload, "contentBlockIndex")
        return block

    def build(self, trouble: str | None, empty_trouble: str | None) -> dict[str, Any]:
        """Return the fields of a Choice that the blocks come to, `extra` among them.

        Args:
            trouble: why no call may be executed, or None.
            empty_trouble: why no call without arguments may be executed, or None.
        """
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        details = [found for block in blocks if (found := block.details())]
        signed = any(len(found) > 2 or "text" not in found for found in details)
        texts = [{"index": block.index, "text": str(block.text)} for block in blocks if block.text.value is not None]
        extra: dict[str, Any] = {
            "reasoning_details": details if signed else [],
            "texts": texts if self._citations else [],
            "citations": list(self._citations),
            "images": [{"index": index, **image} for index, image in sorted(self._images.items())],
            "server_calls": [
                {"index": block.index, **(block.call or {}), "input": str(block.input)}
                for block in blocks
                if block.server_call
            ],
            "tool_results": [
                {"index": block.index, **(block.result or {}), "content": block.results}
                for block in blocks
                if block.result is not None or block.results
            ],
        }
        calls = [block for block in blocks if block.call is not None and not block.server_call]
        return {
            "content": _joined([block.text for block in blocks]),
            "reasoning": _joined([block.reasoning for block in blocks]),
            "tool_calls": tuple(block.tool_call(trouble, empty_trouble) for block in calls),
            "extra": repaired({key: value for key, value in extra.items() if value}),
        }


def _joined(texts: list[Text]) -> str | None:
    values = [text.value for text in texts if text.value is not None]
    return "".join(values) if values else None
