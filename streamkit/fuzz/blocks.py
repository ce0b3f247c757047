"""The shapes in which the APIs other than chat hold an answer: content blocks, output items, parts.

Each function takes a list in normal form and returns the fields `content` and `tool_calls`. What has another form (a
block of a later version, reasoning, a tool that the server runs itself) is passed over.
"""

from __future__ import annotations

from typing import Any

__all__ = ["from_blocks", "from_items", "from_parts"]

_TEXTS = ("text", "output_text")


def from_blocks(blocks: list[Any]) -> dict[str, Any] | None:
    """Read content blocks of a message: Anthropic's, Bedrock's or Cohere's; None where none of them is known.

    No block at all is an answer that says nothing.
    """
    if not all(isinstance(block, dict) for block in blocks):
        return None
    said: dict[str, Any] = {"content": "", "tool_calls": []}
    known = not blocks
    for block in blocks:
        kind = block.get("type")
        use = block.get("toolUse", block.get("tool_use"))
        if kind in (*_TEXTS, None) and isinstance(block.get("text"), str):
            said["content"] += block["text"]
        elif kind == "tool_use" and isinstance(block.get("name"), str):
            said["tool_calls"].append(_call(block, "id", "input"))
        elif kind is None and isinstance(use, dict) and isinstance(use.get("name"), str):
            said["tool_calls"].append(_call(use, "toolUseId", "input"))
        else:
            known = known or isinstance(kind, str)
            continue
        known = True
    if not known:
        return None
    return said


def from_items(items: list[Any]) -> dict[str, Any] | None:
    """Read output items of a response (OpenAI's Responses); None where they are none."""
    if not all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in items):
        return None
    said: dict[str, Any] = {"content": "", "tool_calls": []}
    for item in items:
        if item["type"] == "message" and isinstance(item.get("content"), list):
            parts = [part for part in item["content"] if isinstance(part, dict) and part.get("type") in _TEXTS]
            said["content"] += "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
        elif item["type"] in ("function_call", "custom_tool_call"):
            said["tool_calls"].append(_call(item, "call_id", "arguments" if "arguments" in item else "input"))
    return said


def from_parts(parts: Any) -> dict[str, Any]:
    """Read the parts of one of Gemini's candidates."""
    said: dict[str, Any] = {"content": "", "tool_calls": []}
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            continue
        call = part.get("functionCall", part.get("function_call"))
        if isinstance(call, dict):
            said["tool_calls"].append(_call(call, "id", "args"))
        elif isinstance(part.get("text"), str) and not part.get("thought"):
            said["content"] += part["text"]
    return said


def _call(call: dict[str, Any], identity: str, arguments: str) -> dict[str, Any]:
    one = {"name": call["name"]} if isinstance(call.get("name"), str) else {}
    if isinstance(call.get(identity), str) and call[identity]:
        one["id"] = call[identity]
    given = call.get(arguments)
    if isinstance(given, str | dict):
        one["arguments"] = given
    elif given is None:
        one["arguments"] = {}
    return one
