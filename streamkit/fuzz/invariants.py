"""Invariants: what holds of a result on every mutated stream, whatever the mutation.

- Ids and names of tool calls occur in the stream: none is made of two that were joined.
- Arguments parse strictly, or the call is marked as one not to be executed.
- Pieces that were handed out as deltas, joined, are the final text.

That no call is executable before the stream has ended, that the outcome does not follow the chunks, and that nothing
is said twice after a retry, is judged in `judge` and `mutating`: of these a single result tells nothing.

Each is checked only where the result on the recorded stream keeps it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.completion import argument_problem
from streamkit.errors import StreamkitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.fuzz.reading import Told

__all__ = ["broken_invariant", "is_marked"]

_MARKS = {
    "executable": False,
    "valid": False,
    "complete": False,
    "invalid": True,
    "incomplete": True,
    "truncated": True,
}


def broken_invariant(value: Any, told: Told | None, body: bytes, dialect: str | None) -> str | None:
    """Say which invariant a result breaks, or return None.

    Args:
        value: the result, in normal form.
        told: what it says.
        body: the stream that it was made of.
        dialect: the name of the stream's dialect, or None.
    """
    if isinstance(value, dict) and isinstance(value.get("deltas"), list) and isinstance(value.get("content"), str):
        deltas = value["deltas"]
        if all(isinstance(piece, str) for piece in deltas) and "".join(deltas) != value["content"]:
            return "gives deltas that do not add up to the final text"
    if told is None or dialect is None:
        return None
    known: set[str] | None = None
    for call in (call for choice in told.choices for call in choice.get("tool_calls") or []):
        for name in ("name", "id"):
            text = call.get(name)
            if not isinstance(text, str) or not text or _stands_in(text, body):
                continue
            known = _known(body, dialect) if known is None else known
            if text not in known and any(part and part in text for part in known):
                return f"gives a call the {name} {text[:60]!r}, which occurs nowhere in the stream"
    for call in _unmarked(value):
        arguments = call.get("arguments")
        if isinstance(arguments, str) and argument_problem(arguments) is not None:
            return "gives a call arguments that are no JSON, and does not mark it"
    return None


def _stands_in(text: str, body: bytes) -> bool:
    return any(
        form.encode("utf-8", "surrogatepass") in body
        for form in (f'"{text}"', json.dumps(text), json.dumps(text, ensure_ascii=False))
    )


def _known(body: bytes, dialect: str) -> set[str]:
    """Return the ids and names that the dialect reads in a stream: a name may have come in pieces."""
    reader = dialects.get(dialect).reader()
    with suppress(StreamkitError):
        reader.feed(body)
    calls = [call for choice in reader.snapshot().choices for call in choice.tool_calls]
    return {text for call in calls for text in (call.id, call.name) if text}


def is_marked(call: dict[str, Any]) -> bool:
    """Whether a call of a result says of itself that it is not whole, or must not be executed."""
    return bool(call.get("problem") or call.get("error")) or any(call.get(key) is mark for key, mark in _MARKS.items())


def _unmarked(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the function calls of a result in the shape of chat, but for those marked as not to be executed."""
    if not isinstance(value, dict):
        return
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else [value]:
        message = choice.get("message", choice) if isinstance(choice, dict) else None
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        for call in calls if isinstance(calls, list) else []:
            if not isinstance(call, dict) or call.get("type", "function") != "function":
                continue
            if is_marked(call):
                continue
            yield call["function"] if isinstance(call.get("function"), dict) else call
