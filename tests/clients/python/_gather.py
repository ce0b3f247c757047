"""The loop that the drivers of plain SSE readers share: payloads of Chat Completions, gathered in the obvious way.

What one writes who knows the API's documentation and no reports of what servers do: the first choice counts, a call
begins with the first entry of its index, which has id and name, and arguments are appended. An error in the stream is
raised, as anybody does who has seen one. What comes of it on unusual streams is this loop's doing, not the reader's.
"""

from __future__ import annotations

from typing import Any

from _driver import answer, call, choice

__all__ = ["Gathered", "StreamError"]


class StreamError(Exception):
    """The server reported an error inside the stream."""


class Gathered:
    """What the payloads so far add up to."""

    def __init__(self) -> None:
        self._content = ""
        self._refusal = ""
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish_reason: str | None = None
        self._usage: Any = None

    def add(self, payload: Any) -> None:
        """Add one payload.

        Args:
            payload: the JSON of an event.

        Raises:
            StreamError: if it is an error.
        """
        if payload.get("error"):
            raise StreamError(payload["error"])
        self._usage = payload.get("usage") or self._usage
        if not payload["choices"]:
            return
        first = payload["choices"][0]
        delta = first["delta"]
        self._content += delta.get("content") or ""
        self._refusal += delta.get("refusal") or ""
        self._finish_reason = first.get("finish_reason") or self._finish_reason
        for entry in delta.get("tool_calls") or []:
            function = entry["function"]
            if entry["index"] not in self._calls:
                self._calls[entry["index"]] = call(id=entry["id"], name=function["name"], arguments="")
            self._calls[entry["index"]]["function"]["arguments"] += function.get("arguments") or ""

    def answer(self) -> Any:
        """Return the answer so far."""
        calls = [self._calls[index] for index in sorted(self._calls)]
        reported = choice(self._content, calls, refusal=self._refusal or None, finish_reason=self._finish_reason)
        return answer(reported, usage=self._usage)
