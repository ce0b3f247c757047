"""Small builders of Gemini streams: payloads as plain dicts, in both forms of the wire, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.gemini import Reader
from streamkit.errors import DialectError

Json = dict[str, Any]
CLOUD = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


def candidate(*parts: Json, reason: str | None = None, index: int = 0, **fields: Any) -> Json:
    """Return one candidate; without parts it has no content."""
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return {**content, **({"finishReason": reason} if reason else {}), "index": index, **fields}


def response(*candidates: Json, **fields: Any) -> Json:
    """Return one payload."""
    return {"candidates": list(candidates), "modelVersion": "gemini-2.5-flash", "responseId": "r1", **fields}


def said(*parts: Json, reason: str | None = None, **fields: Any) -> Json:
    """Return a payload with one candidate of these parts."""
    return response(candidate(*parts, reason=reason, **fields))


def text(piece: str, **fields: Any) -> Json:
    return {"text": piece, **fields}


def calling(name: str | None = None, **fields: Any) -> Json:
    return {"functionCall": {**({"name": name} if name is not None else {}), **fields}}


def sse(*payloads: Json | bytes) -> bytes:
    """Return an event stream, with the line ends that Google's servers send."""
    return b"".join(
        one if isinstance(one, bytes) else b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in payloads
    )


def array(*payloads: Json) -> bytes:
    """Return the array form, as Google's servers write it."""
    return b"[" + b",\r\n".join(json.dumps(one, indent=2).encode() + b"\n" for one in payloads) + b"]\n"


def read(chunks: Iterable[bytes]) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def outcome(chunks: Iterable[bytes]) -> Any:
    """Return the completion, or what is to be seen of the error."""
    try:
        return read(chunks)
    except DialectError as error:
        return type(error).__name__, error.args[0], error.partial


def only(*payloads: Json) -> Choice:
    """Return the first choice of an event stream of these payloads."""
    return read([sse(*payloads)]).choices[0]


STOP = said(text(""), reason="STOP")
GREETING = [
    said(text("Think", thought=True)),
    {**said(text("Hel")), "usageMetadata": {"promptTokenCount": 3}},
    said(text("lo 日本 🌤"), calling("f", args={"b": [1, "ü"], "a": {}}, id="c1"), reason="STOP",
         safetyRatings=[{"category": "X"}]),
]  # fmt: skip
GREETING[2]["usageMetadata"] = {"promptTokenCount": 3, "candidatesTokenCount": 9}
