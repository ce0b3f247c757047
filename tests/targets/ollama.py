"""Right parsers of Ollama's lines: a push class with the neutral result, and an async function with the API's own.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Json, loads, paired

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

__all__ = ["Ollama", "chat_response"]


class Ollama:
    """A push parser of text and calls."""

    def __init__(self) -> None:
        self.pending: list[bytes] = []
        self.content = ""
        self.calls: list[Json] = []
        self.last: Json | None = None

    def feed(self, chunk: bytes) -> None:
        first, *others = chunk.split(b"\n")
        self.pending.append(first)
        for piece in others:
            self.take(b"".join(self.pending))
            self.pending = [piece]

    def close(self) -> None:
        self.take(b"".join(self.pending))
        if not self.has_ended():
            raise CutOff("no line with done: true came")

    def take(self, raw: bytes) -> None:
        if not raw.strip():
            return
        line = loads(raw)
        if line.get("error"):
            self.error(line)
            return
        if not isinstance(line.get("message"), dict) and "done" not in line:
            raise BrokenStream("no line of an answer")
        if self.last is not None:
            self.late(line)
        self.line(line)

    def error(self, line: Json) -> None:
        raise Refused(line)

    def late(self, line: Json) -> None:
        raise BrokenStream("a line after the last")

    def line(self, line: Json) -> None:
        self.message(line.get("message") or {}, last=bool(line.get("done")))
        if line.get("done"):
            self.end(line)

    def message(self, message: Json, *, last: bool) -> None:
        del last
        self.text(message.get("content") or "")
        self.take_calls(message.get("tool_calls") or [])

    def text(self, text: str) -> None:
        self.content += text

    def take_calls(self, calls: list[Json]) -> None:
        for call in calls:
            self.call(call["function"])

    def call(self, function: Json) -> None:
        self.calls.append({"name": function["name"], "arguments": self.arguments(function.get("arguments"))})

    def arguments(self, given: Any) -> Any:
        return loads(given) if isinstance(given, str) else given or {}

    def end(self, line: Json) -> None:
        self.last = line

    def has_ended(self) -> bool:
        return self.last is not None

    def finish_reason(self) -> str | None:
        reason: str | None = (self.last or {}).get("done_reason")
        return reason

    def result(self) -> Json:
        return {"content": paired(self.content), "tool_calls": self.calls, "finish_reason": self.finish_reason()}


async def chat_response(chunks: AsyncIterable[bytes]) -> Json:
    """Return the answer as the API gives it without streaming."""
    made: Json | None = None
    rest = bytearray()
    searched = 0
    over = False
    async for chunk in chunks:
        rest += chunk
        while (end := rest.find(b"\n", searched)) >= 0:
            line = bytes(rest[:end])
            del rest[: end + 1]
            searched = 0
            made, over = _line(made, line, over=over)
        searched = len(rest)
    made, over = _line(made, bytes(rest), over=over)
    if made is None or not over:
        raise CutOff("the answer is not done")
    kept = made["message"]
    kept.update({key: paired(kept[key]) for key in ("content", "thinking") if key in kept})
    return made


def _line(made: Json | None, raw: bytes, *, over: bool) -> tuple[Json | None, bool]:
    if not raw.strip():
        return made, over
    line = loads(raw)
    message = line.get("message") or {}
    if over or line.get("error") or "done" not in line:
        raise Refused(line)
    kept = (made or {}).get("message", {"role": "assistant", "content": ""})
    for key in ("content", "thinking"):
        if message.get(key):
            kept[key] = kept.get(key, "") + message[key]
    for call in message.get("tool_calls") or ():
        function = dict(call["function"])
        function.pop("index", None)
        if isinstance(function.get("arguments"), str):
            function["arguments"] = loads(function["arguments"])
        kept.setdefault("tool_calls", []).append({"function": function})
    said = {key: value for key, value in line.items() if value is not None}
    return {**(made or {}), **said, "message": kept}, line["done"] is True
