"""A reader of chat streams that joins what comes, and never asks whether that was all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["careless"]


def careless(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Return the text, and the calls as far as they came."""
    text, calls = "", dict[int, dict[str, str]]()
    for line in b"".join(chunks).decode().splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: ")).get("choices") or []:
                text += choice["delta"].get("content") or ""
                for part in choice["delta"].get("tool_calls") or []:
                    call = calls.setdefault(part["index"], {"name": part["function"].get("name", ""), "arguments": ""})
                    call["arguments"] += part["function"]["arguments"]
    return {"content": text, "tool_calls": list(calls.values())}
