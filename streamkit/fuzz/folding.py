"""Folding: what a list of payloads, or of events, that a target decoded adds up to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.errors import StreamkitError
from streamkit.fuzz.normal import jsonable
from streamkit.wire.eventstream import Header, Message, encode

if TYPE_CHECKING:
    from streamkit.completion import Completion

__all__ = ["fold"]

_DONE = "[DONE]"


def fold(items: list[Any], dialect: str | None) -> Completion | None:
    """Return what decoded payloads add up to, or None where they are none of the dialect.

    Args:
        items: in normal form: payloads, the JSON texts of them, or events with `data`.
        dialect: name of the dialect; for payloads with `choices`, openai_chat where None.
    """
    if not items:
        return None
    texts = [_text(item) for item in items]
    if None in texts or not any(text != _DONE for text in texts):
        return None
    if dialect is None:
        if not any(isinstance(item, dict) and "choices" in item for item in items):
            return None
        dialect = "openai_chat"
    speaker = dialects.get(dialect)
    reader = speaker.reader()
    try:
        reader.feed(b"".join(_written(text or "", speaker.wire) for text in texts))
        completion = reader.snapshot()
    except (StreamkitError, TypeError, ValueError):
        return None
    return completion if completion.choices else None


def _text(item: Any) -> str | None:
    """Return an item as the JSON text of a payload, or None."""
    if isinstance(item, dict) and isinstance(item.get("data"), str):
        item = item["data"]
    if isinstance(item, str):
        return item if item == _DONE or _is_object(item) else None
    return json.dumps(_plain(item)) if isinstance(item, dict) else None


def _plain(value: Any) -> Any:
    """Return a payload as JSON can hold it; texts stay as they are, for half a surrogate pair may meet the other."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str) else jsonable(value)


def _is_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _written(text: str, wire: str) -> bytes:
    """Return the bytes of one payload, framed."""
    line = text.replace("\r", " ").replace("\n", " ")  # white space between the tokens of JSON
    if wire == "ndjson":
        return line.encode("utf-8", "backslashreplace") + b"\n"
    if wire == "eventstream":
        return _message(json.loads(text))
    value = json.loads(text) if text != _DONE else {}
    kind = value.get("type")
    name = f"event: {kind}\n" if isinstance(kind, str) and kind.isprintable() else ""
    return f"{name}data: {line}\n\n".encode("utf-8", "backslashreplace")


def _message(event: dict[str, Any]) -> bytes:
    """Return AWS's message for an event as its libraries hand it out: `{event type: payload}`."""
    if len(event) != 1:
        raise ValueError("it names no event type")
    ((kind, payload),) = event.items()
    headers = (
        Header(":message-type", "event"),
        Header(":event-type", kind),
        Header(":content-type", "application/json"),
    )
    return encode(Message(headers, json.dumps(payload).encode()))
