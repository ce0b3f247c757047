"""Small builders of chat completion streams: payloads as plain dicts, written as server-sent events.

A builder leaves out what it is not given: `call(0)` has neither id nor name. What a test says about null or a wrong
type it writes as a dict of its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.dialects import accumulate

if TYPE_CHECKING:
    from streamkit.completion import Completion

Json = dict[str, Any]

DONE = "[DONE]"
WEATHER = ("{\n", " ", ' "', "location", '":', ' "', "Boston", '"\n', "}")


def choice(index: int = 0, finish_reason: str | None = None, **delta: Any) -> Json:
    """Return one entry of `choices`."""
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def payload(*choices: Json, **fields: Any) -> Json:
    """Return a payload of these choices."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1712173516, "model": "gpt-4o"}
    return {**head, "choices": list(choices), **fields}


def delta(**fields: Any) -> Json:
    """Return a payload with one delta for choice 0."""
    return payload(choice(**fields))


def finish(reason: str = "stop", index: int = 0) -> Json:
    """Return the payload that ends a choice."""
    return payload(choice(index, reason))


def call(
    index: int | None = 0,
    *,
    id: str | None = None,  # noqa: A002 - the API's own word
    name: str | None = None,
    arguments: Any = None,
    **fields: Any,
) -> Json:
    """Return one entry of `tool_calls`."""
    function = {"name": name, "arguments": arguments}
    entry = {"index": index, "id": id, "function": {key: value for key, value in function.items() if value is not None}}
    return {**{key: value for key, value in entry.items() if value is not None}, **fields}


def calls(*entries: Json, **fields: Any) -> Json:
    """Return a payload with these entries of `tool_calls` for choice 0."""
    return delta(tool_calls=list(entries), **fields)


def event(data: Json | str | bytes) -> bytes:
    """Return one event: a payload, the data of one as text, or a block as it stands."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, dict):
        try:
            return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
        except UnicodeEncodeError:  # half of a surrogate pair exists in JSON only as an escape
            data = json.dumps(data)
    return b"data: " + data.encode() + b"\n\n"


def sse(*events: Json | str | bytes) -> bytes:
    """Return the body of these events."""
    return b"".join(event(data) for data in events)


def read(*events: Json | str | bytes) -> Completion:
    """Return the completion of a stream of these events."""
    return accumulate([sse(*events)])


def weather() -> bytes:
    """Return a stream that asks for one call, its arguments in single tokens."""
    opener = calls(call(id="call_b", type="function", name="get_current_weather", arguments=""), role="assistant")
    return sse(opener, *(calls(call(arguments=piece)) for piece in WEATHER), finish("tool_calls"), DONE)
