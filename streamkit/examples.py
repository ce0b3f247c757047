"""An example parser that is wrong on purpose, as many in use are: it is what the demo finds a counterexample for.

It reads one good transcript after another in its own tests, because a mock hands it whole texts. On a network it meets
what no such test shows: a character in two chunks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["broken_parser"]


def broken_parser(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Gather content and tool calls of a chat completion stream. Wrong: it decodes each chunk by itself."""
    text = "".join(chunk.decode("utf-8", errors="replace") for chunk in chunks)  # a character may be cut in two
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    content = ""
    calls: dict[int, dict[str, str]] = {}
    for block in text.split("\n\n")[:-1]:
        lines = [line.partition(":") for line in block.split("\n")]
        data = "\n".join(value.removeprefix(" ") for name, _, value in lines if name == "data")
        if data == "[DONE]":
            break
        for choice in (json.loads(data).get("choices") or []) if data else []:
            delta = choice.get("delta") or {}
            content += delta.get("content") or ""
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                function = part.get("function") or {}
                call["id"] = part.get("id") or call["id"]
                call["name"] = function.get("name") or call["name"]
                call["arguments"] += function.get("arguments") or ""
    return _message(content, calls)


def _message(content: str, calls: dict[int, dict[str, str]]) -> dict[str, Any]:
    return {"content": content, "tool_calls": [calls[index] for index in sorted(calls)]}
