"""Small builders of Cohere's chat v2 streams: events as plain dicts, their bytes, and what they add up to."""

from __future__ import annotations

import json
from typing import Any

from streamkit.completion import Completion
from streamkit.dialects.cohere_v2 import Reader
from streamkit.errors import DialectError

Json = dict[str, Any]

USAGE = {"billed_units": {"input_tokens": 1, "output_tokens": 2}, "tokens": {"input_tokens": 3, "output_tokens": 4}}
START: Json = {
    "id": "68475c80",
    "type": "message-start",
    "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}},
}


def typed(kind: str, index: int | None = None, **message: Any) -> Json:
    where = {} if index is None else {"index": index}
    return {"type": kind, **where, **({"delta": {"message": message}} if message else {})}


def block(index: int | None, kind: str, *pieces: str) -> list[Json]:
    return [
        typed("content-start", index, content={"type": kind, kind: ""}),
        *(typed("content-delta", index, content={kind: piece}) for piece in pieces),
        typed("content-end", index),
    ]


def opener(index: int | None, name: str = "weather", **fields: Any) -> Json:
    function = {"name": name, "arguments": ""}
    entry = {"id": f"{name}_1", "type": "function", "function": function, **fields}
    return typed("tool-call-start", index, tool_calls=entry)


def arguments(index: int | None, piece: str) -> Json:
    return typed("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})


def call(index: int | None, *pieces: str, name: str = "weather") -> list[Json]:
    fragments = [arguments(index, piece) for piece in pieces]
    return [opener(index, name), *fragments, typed("tool-call-end", index)]


def finish(reason: str | None = "COMPLETE", **fields: Any) -> Json:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **fields}}


def body(*payloads: Json | str) -> bytes:
    out = []
    for payload in payloads:
        data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        name = f"event: {payload['type']}\n" if isinstance(payload, dict) and "type" in payload else ""
        out.append(f"{name}data: {data}\n\n".encode())
    return b"".join(out)


def accumulated(chunks: Any) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def read(*payloads: Json | str) -> Completion:
    return accumulated([body(*payloads)])


def outcome(chunks: Any) -> tuple[str, Completion]:
    """Return the completion, or the error's text and what had come."""
    try:
        return "", accumulated(chunks)
    except DialectError as error:
        return str(error), error.partial


CITATION = {"start": 0, "end": 3, "text": "abc", "sources": [{"type": "document", "id": "doc:0"}]}
WEATHER: tuple[Json | str, ...] = (
    START, typed("tool-plan-delta", tool_plan="I will "), typed("tool-plan-delta", tool_plan="look."),
    *call(0, '{"city":', '"Köln"}'), *call(1, "{}", name="time"), finish("TOOL_CALL"), "[DONE]",
)  # fmt: skip
