"""Synthetic answers for the benchmarks, shaped like those of OpenAI: many deltas of a token each, no two alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["body", "payloads", "piece"]

_HEAD = {
    "id": "chatcmpl-Synthetic0123456789abcdefghijk", "object": "chat.completion.chunk", "created": 1767225600,
    "model": "synthetic-2026-01-01", "service_tier": "default", "system_fingerprint": "fp_0123456789",
}  # fmt: skip


def piece(number: int) -> str:
    """Return the text of a delta: of the length of a token, and no two alike."""
    return f" tok{number % 1000}"


def padding(number: int) -> str:
    """Return what OpenAI pads its payloads with, so that their lengths do not tell their texts."""
    return "x" * (1 + number * 7919 % 13)


def payloads(kind: str, deltas: int) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a synthetic answer, shaped like those of OpenAI."""
    if kind == "responses":
        yield from _response(deltas)
        return

    def chunk(delta: dict[str, Any], finish: str | None = None, **choice: Any) -> dict[str, Any]:
        entry = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **choice}
        return {**_HEAD, "choices": [entry]}

    yield {**chunk({"role": "assistant", "content": "", "refusal": None}), "obfuscation": "xx"}
    if kind == "arguments":
        opener = {"index": 0, "id": "call_Synthetic", "type": "function"}
        for number, text in enumerate(['{"text":"', *map(piece, range(deltas - 2)), '"}']):
            function = {"name": "say", "arguments": text} if number == 0 else {"arguments": text}
            entry = {**(opener if number == 0 else {"index": 0}), "function": function}
            yield {**chunk({"tool_calls": [entry]}), "obfuscation": padding(number)}
        yield {**chunk({}, "tool_calls"), "obfuscation": "xx"}
        return
    for number in range(deltas):
        more: dict[str, Any] = {}
        if kind == "logprobs":
            token = {"token": piece(number), "logprob": -0.31725305, "bytes": list(piece(number).encode())}
            more = {"logprobs": {"content": [{**token, "top_logprobs": []}], "refusal": None}}
        yield {**chunk({"content": piece(number)}, **more), "obfuscation": padding(number)}
    yield {**chunk({}, "stop"), "obfuscation": "xx"}


def _response(deltas: int) -> Iterator[dict[str, Any]]:
    text = "".join(map(piece, range(deltas)))
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    item = {
        "id": "msg_Synthetic0123456789",
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    whole = {**item, "status": "completed", "content": [{**part, "text": text}]}
    response = {
        "id": "resp_Synthetic0123456789", "object": "response", "created_at": 1767225600, "status": "in_progress",
        "model": "synthetic-2026-01-01", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    yield {"type": "response.created", "sequence_number": 0, "response": response}
    yield {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item}
    yield {"type": "response.content_part.added", "sequence_number": 2, **place, "part": part}
    for number in range(deltas):
        more = {"delta": piece(number), "logprobs": [], "obfuscation": padding(number)}
        yield {"type": "response.output_text.delta", "sequence_number": number + 3, **place, **more}
    last = deltas + 3
    yield {"type": "response.output_text.done", "sequence_number": last, **place, "text": text, "logprobs": []}
    yield {"type": "response.output_item.done", "sequence_number": last + 1, "output_index": 0, "item": whole}
    ended = {**response, "status": "completed", "output": [whole]}
    yield {"type": "response.completed", "sequence_number": last + 2, "response": ended}


def body(kind: str, deltas: int) -> bytes:
    """Return the body of a synthetic answer."""
    blocks = []
    for payload in payloads(kind, deltas):
        data = json.dumps(payload, separators=(",", ":"))
        blocks.append(f"event: {payload['type']}\ndata: {data}\n\n" if kind == "responses" else f"data: {data}\n\n")
    if kind != "responses":
        blocks.append("data: [DONE]\n\n")
    return "".join(blocks).encode()
