"""Small builders of Responses streams: events as plain dicts, their bytes, and what they add up to."""

from __future__ import annotations

import json
from typing import Any

from streamkit.completion import Completion
from streamkit.dialects.openai_responses import Reader

Json = dict[str, Any]

PARIS = '{"city":"Paris"}'
CREATED: Json = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}


def completed(*output: Json, **fields: Any) -> Json:
    response = {"id": "resp_1", "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}


def added(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def weather(arguments: str = "", **fields: Any) -> Json:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "w", "arguments": arguments, **fields}


def clock(arguments: str = "", **fields: Any) -> Json:
    return {"type": "function_call", "id": "fc_2", "call_id": "call_b", "name": "t", "arguments": arguments, **fields}


def delta(text: str, index: int | None = 0, **fields: Any) -> Json:
    return {"type": "response.function_call_arguments.delta", "output_index": index, "delta": text, **fields}


def text(piece: str, **fields: Any) -> Json:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece, **fields}


def message(*parts: Json, **fields: Any) -> Json:
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": parts, **fields}


def sse(*events: Json | str) -> bytes:
    blocks = []
    for event in events:
        name = f"event: {event['type']}\n" if isinstance(event, dict) and isinstance(event.get("type"), str) else ""
        blocks.append(f"{name}data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())
    return b"".join(blocks)


def read_bytes(body: bytes) -> Completion:
    reader = Reader()
    reader.feed(body)
    reader.close()
    return reader.result()


def read(*events: Json | str) -> Completion:
    return read_bytes(sse(*events))


def calls_of(*events: Json | str) -> list[tuple[str | None, str, str | None]]:
    return [(call.id, call.arguments, call.problem) for call in read(*events).tool_calls]


A = ("call_a", PARIS, None)
