"""An example parser that is wrong on purpose, as many in use are: it is what the demo finds a counterexample for.

It reads one good transcript after another in its own tests, because a mock hands it whole events. On a network it
meets two things that no such test shows: an event in two chunks, and a character in two chunks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["broken_parser"]


def broken_parser(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Gather content and tool calls of a chat completion stream. Wrong: it decodes each chunk by itself."""
    content = ""
    calls: dict[int, dict[str, str]] = {}
    text = ""
    for chunk in chunks:
        text += chunk.decode("utf-8", errors="replace").replace("\r", "")  # the bug: a character may be cut in two
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            for line in block.split("\n"):
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if not data or data == "[DONE]":
                    continue
                for choice in json.loads(data).get("choices", [])[:1]:
                    delta = choice["delta"]
                    content += delta.get("content") or ""
                    for part in delta.get("tool_calls") or []:
                        call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                        call["id"] = part.get("id") or call["id"]
                        call["name"] = part["function"].get("name") or call["name"]
                        call["arguments"] += part["function"].get("arguments") or ""
    return {"content": content, "tool_calls": [calls[index] for index in sorted(calls)]}
