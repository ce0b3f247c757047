"""A Completion to the payloads of streamGenerateContent: the inverse of `streamkit.dialects.gemini`.

Payloads are those of Google's servers: each names the model version and the response, text comes after thoughts, calls
after text, other parts after calls, and the finish reason with a last empty text where there was text. The JSON array
is written as the servers write it: pretty-printed, a comma on a line of its own.
"""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import Layout, pieces
from streamkit.dialects.writing import carried, synthetic, written
from streamkit.errors import UsageError
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion, ToolCall
    from streamkit.transcript import Transcript

__all__ = ["emit"]

_CALL_PARTS = ("thoughtSignature", "thought")  # what stands beside a call in its part


def emit(completion: Completion, layout: Layout, wire: str) -> Transcript:
    """Return a synthetic transcript; see `Gemini.emit`."""
    from streamkit.dialects.gemini import Reader

    if wire not in ("sse", "jsonarray"):
        raise UsageError(f"wire is {wire!r}: write 'sse' or 'jsonarray'")
    payloads = _payloads(completion, layout)
    for one in payloads:
        written(one)  # is it JSON at all
    blocks = _events(payloads, layout) if wire == "sse" else _array(payloads, layout)
    kind = "text/event-stream" if wire == "sse" else "application/json; charset=UTF-8"
    transcript = synthetic(blocks, "gemini", kind, whole=layout.chunk == "whole")
    return carried("gemini", completion, transcript, Reader())


def _events(payloads: list[dict[str, Any]], layout: Layout) -> list[bytes]:
    encoder = SSEEncoder(layout.framing)
    blocks: list[bytes] = []
    for one in payloads:
        if layout.keep_alive:
            blocks.append(encoder.comment("keep-alive"))
        blocks.append(encoder.encode(ServerSentEvent(data=written(one))))
    return blocks


def _array(payloads: list[dict[str, Any]], layout: Layout) -> list[bytes]:
    between = b"\n" if layout.keep_alive else b""
    blocks = [
        (b",\n" if number else b"[") + between + json.dumps(one, ensure_ascii=False, indent=2).encode() + b"\n"
        for number, one in enumerate(payloads)
    ]
    return [*blocks, b"]" if blocks else b"[]"]


def _payloads(completion: Completion, layout: Layout) -> list[dict[str, Any]]:
    extra = dict(completion.extra)
    tail = {"modelVersion": completion.model, "createTime": extra.pop("createTime", None), "responseId": completion.id}
    tail = {key: value for key, value in tail.items() if value is not None}
    turns = zip_longest(*(_entries(choice, layout) for choice in completion.choices))
    entries = [[entry for entry in turn if entry is not None] for turn in turns]
    if layout.calls != "interleaved":
        entries = [[entry] for turn in entries for entry in turn]
    usage = dict(completion.usage) if completion.usage is not None else {}
    early = {key: value for key, value in usage.items() if key.startswith("prompt")} if layout.usage == "every" else {}
    payloads: list[dict[str, Any]] = [{"candidates": one} for one in entries] or [{}]
    last = len(payloads) - 1
    for number, one in enumerate(payloads):
        if number == last:
            one.update(extra)
        counts = usage if number == last else early
        if counts:
            one["usageMetadata"] = counts
        one.update(tail)
    return payloads


def _entries(choice: Choice, layout: Layout) -> list[dict[str, Any]]:
    """Return the candidate of each payload of one choice, in order."""
    role = "model" if choice.role == "assistant" else choice.role
    extra = dict(choice.extra)
    parts: list[list[Any]] = []
    if choice.reasoning is not None:
        texts = pieces(choice.reasoning, layout.token_size) or [""]
        parts += [[{"text": text, "thought": True}] for text in texts]
    parts += [[{"text": text}] for text in pieces(choice.content or "", layout.token_size)]
    calls = [_call_part(call) for call in choice.tool_calls]
    parts += ([calls] if calls else []) if layout.calls == "whole" else [[call] for call in calls]
    others = extra.pop("parts", None)
    if others is not None and not isinstance(others, list):
        raise UsageError(f"gemini cannot carry choice {choice.index}: its extra['parts'] is no list")
    parts += [[part] for part in others or ()]
    found: list[dict[str, Any]] = [{"content": {"parts": one, "role": role}, "index": choice.index} for one in parts]
    content: dict[str, Any] = {"role": role}
    if choice.content is not None:
        content = {"parts": [{"text": ""}], "role": role}
    last: dict[str, Any] = {"content": content}
    if choice.finish_reason is not None:
        last["finishReason"] = choice.finish_reason
    last["index"] = choice.index
    for key, value in extra.items():
        if key.startswith("content."):
            content[key.removeprefix("content.")] = value
        elif key.startswith("logprobsResult."):
            last.setdefault("logprobsResult", {})[key.removeprefix("logprobsResult.")] = value
        else:
            last[key] = value
    if choice.logprobs is not None:
        last["logprobsResult"] = {**last.get("logprobsResult", {}), **choice.logprobs}
    return [*found, last]


def _call_part(call: ToolCall) -> dict[str, Any]:
    function: dict[str, Any] = {"name": call.name} if call.id is None else {"id": call.id, "name": call.name}
    if call.arguments:
        try:
            function["args"] = json.loads(call.arguments)
        except (ValueError, RecursionError):
            raise UsageError(f"gemini cannot carry the arguments of {call.name!r}: they are no JSON") from None
    function.update({key: value for key, value in call.extra.items() if key not in _CALL_PARTS})
    return {"functionCall": function, **{key: call.extra[key] for key in _CALL_PARTS if key in call.extra}}
