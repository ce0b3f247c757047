"""A Completion to the lines of Ollama's /api/chat: the inverse of `streamkit.dialects.ollama`.

The fields of a line are in the order in which Ollama's server writes them. Text comes after thinking, and calls after
text, as the server's parsers send them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import Layout, pieces
from streamkit.dialects.writing import carried, synthetic, written
from streamkit.errors import UsageError

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion, ToolCall
    from streamkit.transcript import Transcript

__all__ = ["emit"]


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript; see `Ollama.emit`."""
    from streamkit.dialects.ollama import Reader

    if len(completion.choices) != 1:
        raise UsageError(f"ollama cannot carry {len(completion.choices)} choices: an answer has one")
    choice = completion.choices[0]
    extra = dict(completion.extra)
    created = extra.pop("created_at", None)
    head = {"model": completion.model, "created_at": created}
    head = {key: value for key, value in head.items() if value is not None}
    lines: list[dict[str, Any]] = [
        {**head, "message": {"role": choice.role, **message}, "done": False} for message in _messages(choice, layout)
    ]
    last = {
        **head,
        "message": {"role": choice.role, **({"content": ""} if choice.content is not None else {}), **choice.extra},
        "done": True,
    }
    if choice.finish_reason is not None:
        last["done_reason"] = choice.finish_reason
    lines.append({**last, **_logprobs(choice), **(completion.usage or {}), **extra})
    blocks = [written(line).encode() + b"\n" for line in lines]
    if layout.keep_alive:
        blocks = [part for block in blocks for part in (b"\n", block)]
    transcript = synthetic(blocks, "ollama", "application/x-ndjson", whole=layout.chunk == "whole")
    return carried("ollama", completion, transcript, Reader())


def _messages(choice: Choice, layout: Layout) -> list[dict[str, Any]]:
    """Return what the messages of all lines but the last hold, beside the role."""
    empty = {"content": ""} if choice.content is not None else {}
    found: list[dict[str, Any]] = []
    if choice.reasoning is not None:
        found += [{**empty, "thinking": piece} for piece in pieces(choice.reasoning, layout.token_size) or [""]]
    found += [{"content": piece} for piece in pieces(choice.content or "", layout.token_size)]
    calls = [_entry(call) for call in choice.tool_calls]
    if layout.calls == "whole":
        found += [{**empty, "tool_calls": calls}] if calls else []
    else:
        found += [{**empty, "tool_calls": [call]} for call in calls]
    return found


def _entry(call: ToolCall) -> dict[str, Any]:
    arguments: Any = call.arguments
    if arguments:
        try:
            value = json.loads(arguments)
        except (ValueError, RecursionError):
            value = None
        arguments = value if isinstance(value, dict) else arguments
    extra = dict(call.extra)
    inner = extra.pop("function", {})
    function: dict[str, Any] = {} if call.index is None else {"index": call.index}
    function["name"] = call.name
    if arguments != "":
        function["arguments"] = arguments
    if isinstance(inner, dict):
        function.update(inner)
    entry: dict[str, Any] = {} if call.id is None else {"id": call.id}
    if call.type != "function":
        entry["type"] = call.type
    return {**extra, **entry, "function": function}


def _logprobs(choice: Choice) -> dict[str, Any]:
    return {} if choice.logprobs is None else {"logprobs": choice.logprobs.get("content")}
