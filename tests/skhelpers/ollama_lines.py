"""Small builders of Ollama streams: lines as plain dicts, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streamkit.completion import Completion
from streamkit.dialects.ollama import Reader
from streamkit.errors import DialectError

Json = dict[str, Any]
COUNTS: Json = {"total_duration": 9, "prompt_eval_count": 3, "eval_count": 2}


def line(done: bool = False, **fields: Any) -> Json:
    return {"model": "qwen3", "created_at": "2026-01-05T11:28:13Z", **fields, "done": done}


def chat(content: str = "", done: bool = False, **message: Any) -> Json:
    """Return a line of /api/chat."""
    return line(done, message={"role": "assistant", "content": content, **message})


def call(name: str, arguments: Any = None, **fields: Any) -> Json:
    function = {"name": name, **({"arguments": arguments} if arguments is not None else {})}
    return {**fields, "function": function}


def end(reason: str | None = "stop", /, **fields: Any) -> Json:
    return {**chat(done=True), **({"done_reason": reason} if reason is not None else {}), **fields}


def ndjson(*lines: Json | bytes) -> bytes:
    return b"".join(
        one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in lines
    )


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
        return type(error).__name__, str(error), error.partial


ANSWER = [
    chat(thinking="Hm"),
    chat("Grüße "),
    chat("🌤"),
    chat(tool_calls=[call("f", {"b": [1.5], "a": "ü"}, id="c1")]),
    end(**COUNTS),
]
