"""An application on sse-starlette that `record_sse_starlette.py` serves: a scripted chat, framed in the library's ways.

What is said is scripted here; line ends, ids, pings and how a stream ends are sse-starlette's and uvicorn's doing. The
request's `model` names the way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

_sse: Any = import_module("sse_starlette")  # of the server's own environment
_applications: Any = import_module("starlette.applications")
_routing: Any = import_module("starlette.routing")
_responses: Any = import_module("starlette.responses")

IDENTITY = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 1767225600, "model": "demo"}
TEXT = ["Grüße aus ", "東京", ": 🌤️ 21 °C"]


def payload(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """Return a chunk of a chat completion."""
    return {**IDENTITY, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def text() -> list[dict[str, Any]]:
    """Return the chunks of a short text."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": part} for part in TEXT)]
    return [*map(payload, deltas), payload({}, "stop")]


def call(index: int, arguments: str, name: str = "") -> dict[str, Any]:
    """Return a chunk with a piece of a call, which opens it where a name is given."""
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    opener = {"id": f"call_{index}", "type": "function"} if name else {}
    return payload({"tool_calls": [{"index": index, **opener, "function": function}]})


def calls() -> list[dict[str, Any]]:
    """Return the chunks of two calls."""
    return [
        payload({"role": "assistant", "content": None}),
        call(0, "", "get_weather"), call(0, '{"city": '), call(0, '"Oslo"}'),
        call(1, "", "get_time"), call(1, '{"zone": "Europe/'), call(1, 'Oslo"}'),
        payload({}, "tool_calls"),
    ]  # fmt: skip


def dumped(chunk: dict[str, Any], **more: Any) -> str:
    """Return JSON as an application would write it."""
    return json.dumps(chunk, ensure_ascii=False, **more)


async def events(way: str) -> AsyncIterator[Any]:
    """Yield what sse-starlette is to send."""
    chunks = calls() if way in ("calls", "exception_in_call") else text()
    for number, chunk in enumerate(chunks):
        if way == "exception_in_text" and number == 3:
            raise RuntimeError("the application failed")
        if way == "exception_in_call" and number == 3:
            raise RuntimeError("the application failed")
        if way == "pings" and number in (0, 3):
            await asyncio.sleep(1.3)  # longer than the interval of pings, before the first event and between two
        if way == "ids_and_retry":
            yield _sse.ServerSentEvent(data=dumped(chunk), id=str(number), retry=3000 if number == 0 else None)
        elif way == "comments":
            yield {"comment": f"chunk {number}", "data": dumped(chunk)}
        elif way == "many_data_lines":
            yield {"data": dumped(chunk, indent=1)}
        elif way == "mixed_line_ends":
            yield _sse.ServerSentEvent(data=dumped(chunk)) if number % 2 else {"data": dumped(chunk)}
        else:
            yield {"data": dumped(chunk)}
    if way == "error_event":
        yield {"data": json.dumps({"error": {"message": "out of memory", "type": "server_error", "code": 500}})}
        return
    if way != "no_done":
        yield {"data": "[DONE]"}


async def completions(request: Any) -> Any:
    """Answer a chat completion."""
    way = (await request.json())["model"]
    separators = {"cr": "\r", "lf": "\n", "mixed_line_ends": "\n"}
    return _sse.EventSourceResponse(events(way), sep=separators.get(way), ping=1 if way == "pings" else 15)


async def alive(_request: Any) -> Any:
    """Say that the server is there."""
    return _responses.PlainTextResponse("yes")


app = _applications.Starlette(
    routes=[
        _routing.Route("/v1/chat/completions", completions, methods=["POST"]),
        _routing.Route("/", alive),
    ]
)
