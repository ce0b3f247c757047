"""Small builders of Messages streams: events as plain dicts, their bytes, and what they add up to."""

from __future__ import annotations

import json
from typing import Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.anthropic_messages import Reader

Json = dict[str, Any]

USAGE = {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": None, "service_tier": "standard"}
STOP: Json = {"type": "message_stop"}
PING: Json = {"type": "ping"}


def message(**fields: Any) -> Json:
    first = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-1", "content": []}
    return {"type": "message_start", "message": {**first, "stop_reason": None, "stop_sequence": None, **fields}}


def start(index: int, kind: str = "text", **fields: Any) -> Json:
    own = {kind: ""} if kind in ("text", "thinking") else {}
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **own, **fields}}


def tool(index: int, name: Any = "get_weather", **fields: Any) -> Json:
    return start(index, "tool_use", **{"id": f"toolu_{index}", "name": name, "input": {}, **fields})


def delta(index: int, **fields: Any) -> Json:
    """Return a delta of the type that its first field says: text, thinking, partial_json, signature or citation."""
    name = next(iter(fields))
    kind = {"partial_json": "input_json_delta", "citation": "citations_delta"}.get(name, f"{name}_delta")
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", **fields: Any) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, **fields}


def text(index: int, *pieces: str) -> list[Json]:
    return [start(index), *(delta(index, text=piece) for piece in pieces), stop(index)]


def call(index: int, *pieces: str, **fields: Any) -> list[Json]:
    return [tool(index, **fields), *(delta(index, partial_json=piece) for piece in pieces), stop(index)]


def sse(*events: Json | str, names: bool = True) -> bytes:
    lines = [(event, "") if isinstance(event, str) else (json.dumps(event), event["type"]) for event in events]
    return b"".join(
        (f"event: {name}\n" if names and name else "").encode() + f"data: {data}\n\n".encode() for data, name in lines
    )


def result(body: bytes) -> Completion:
    reader = Reader()
    reader.feed(body)
    reader.close()
    return reader.result()


def read(*events: Json | str) -> Completion:
    """Return the completion of a whole message with these events between its start and its stop."""
    return result(sse(message(), *events, STOP))


def choice(*events: Json | str) -> Choice:
    return read(*events).choices[0]


def blocks(*events: Json) -> list[Json]:
    found: list[Json] = choice(*events, end()).extra["blocks"]
    return found


CALL_EVENTS = [message(usage=USAGE), PING, *text(0, "a"), *call(1, "", '{"a":', "1}"), end("tool_use"), STOP]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
