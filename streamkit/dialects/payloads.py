"""Payloads as the dialects read them: JSON objects, and the values at their keys.

A value of the wrong type is a PayloadError that names the object which holds it, so that whoever catches the error can
say the JSON path. Where a dialect says so, payloads are strict: what Python's json would take and the standard would
not (NaN, a number beyond the range of a double, nesting without measure) is refused, with a typed error, so that no
dialect has to think of it again.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from streamkit.dialects.text import pair_surrogates, shown
from streamkit.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.wire.event import ServerSentEvent

__all__ = [
    "child",
    "compact",
    "event_object",
    "list_at",
    "loads",
    "misplaced",
    "number_at",
    "object_at",
    "objects_at",
    "optional",
    "payload",
    "required",
    "scan",
    "short",
    "string_at",
    "wrong",
]

#: Brackets inside brackets: more than any API nests, and less than Python's own limit, which depends on the caller.
MOST_DEPTH = 200

_KINDS = {
    dict: "an object", list: "a list", str: "a string", int: "a whole number", bool: "true or false",
}  # fmt: skip


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{short(text)} is beyond the range of a double")
    return value


#: Made once: `json.loads` with arguments makes a decoder for every call.
_LENIENT = json.JSONDecoder(parse_constant=_refuse_constant)
#: Takes a text and a place; returns the JSON value that begins just there, read as `loads` does, and where it ends.
#: ValueError, RecursionError or StopIteration where there is none.
scan: Callable[[str, int], tuple[Any, int]] = _LENIENT.scan_once  # type: ignore[attr-defined]  # typeshed has it not
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _decoded(text: str, decoder: Any) -> Any:
    """Return what a decoder makes of a text: without the steps that only white space around it, or an error, needs."""
    try:
        value, end = decoder.scan_once(text, 0)
    except StopIteration:
        return decoder.decode(text)
    return value if end == len(text) else decoder.decode(text)


def short(text: str) -> str:
    """Return a text, or its first 200 characters, for an error message."""
    return text if len(text) <= 200 else text[:200] + "..."


def loads(text: str) -> Any:
    """Return the value of a JSON text. ValueError or RecursionError where it is none; NaN is none."""
    return _decoded(text, _LENIENT)


def event_object(event: ServerSentEvent) -> dict[str, Any]:
    """Return the JSON object in an event's data.

    Raises:
        PayloadError: it is not UTF-8, not JSON, or no object.
    """
    if event.lossy:
        raise PayloadError(f"the event's data is not UTF-8: {short(event.data)}")
    try:
        value = loads(event.data)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the event's data is not JSON ({error}): {short(event.data)}") from None
    if not isinstance(value, dict):
        raise PayloadError(f"the event's data is JSON, but no object: {short(event.data)}")
    return value


def payload(data: bytes | str, what: str) -> dict[str, Any]:
    """Return the JSON object in some data.

    Args:
        data: text, or bytes that must be UTF-8.
        what: what it is, for the message: "the line", "the event's data".

    Raises:
        PayloadError: it is not UTF-8, not strict JSON, nested deeper than 200, or no object.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise PayloadError(f"{what} is not UTF-8: {shown(repr(data))}") from None
    try:
        value = _decoded(text, _STRICT)
    except RecursionError:
        raise PayloadError(f"{what} is nested deeper than {MOST_DEPTH}: {short(text)}") from None
    except ValueError as error:
        raise PayloadError(f"{what} is not JSON ({error}): {short(text)}") from None
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is JSON, but no object: {short(text)}")
    if text.count("{") + text.count("[") > MOST_DEPTH and _depth(value) > MOST_DEPTH:
        raise PayloadError(f"{what} is nested deeper than {MOST_DEPTH}: {short(text)}")
    return value


def _depth(value: Any) -> int:
    deepest = 0
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        inner = one.values() if isinstance(one, dict) else one
        waiting.extend((item, depth + 1) for item in inner if isinstance(item, dict | list))
    return deepest


def compact(value: Any) -> str:
    """Return a JSON value as text without white space, keys in their order, surrogate halves joined."""
    return pair_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


# -- values at a key


def wrong(text: str, holder: Any, key: str | int | None = None) -> PayloadError:
    """Return the error of a value.

    Args:
        text: what is wrong.
        holder: the object or list that holds the value.
        key: its key there; None for the holder itself.
    """
    error = PayloadError(text)
    error.site = (holder, key)
    return error


def child(holder: Any, key: str | int) -> Any:
    """Return what an object or list holds at a key; None where there is nothing."""
    return holder.get(key) if isinstance(holder, dict) else holder[key]


def misplaced(holder: Any, key: str | int, kind: type, what: str = "") -> PayloadError:
    """Return the error of a value of the wrong type.

    Args:
        holder: the object or list that holds the value.
        key: its key there.
        kind: the type that belongs there.
        what: what the value is, for the message; the key where empty.
    """
    value = child(holder, key)
    return wrong(f"{what or key} is {shown(value)}, where {_KINDS[kind]} belongs", holder, key)


def required(holder: dict[str, Any], key: str, kind: type, what: str = "") -> Any:
    """Return a value that must be there, of just this type; PayloadError for anything else."""
    value = holder.get(key)
    if type(value) is not kind:
        raise misplaced(holder, key, kind, what)
    return value


def optional(holder: dict[str, Any], key: str, kind: type, what: str = "") -> Any:
    """Return a value of just this type, or None where it is not there or null; PayloadError for anything else."""
    value = holder.get(key)
    if value is not None and type(value) is not kind:
        raise misplaced(holder, key, kind, what)
    return value


def object_at(holder: dict[str, Any], key: str, what: str = "") -> dict[str, Any]:
    """Return the object under a key; an empty one where there is none. PayloadError for anything else."""
    return optional(holder, key, dict, what) or {}


def list_at(holder: dict[str, Any], key: str, what: str = "") -> list[Any]:
    """Return the list under a key; an empty one where there is none. PayloadError for anything else."""
    return optional(holder, key, list, what) or []


def objects_at(holder: dict[str, Any], key: str, what: str = "") -> Iterator[dict[str, Any]]:
    """Yield the objects in the list under a key, without those that are null; PayloadError for anything else."""
    found = list_at(holder, key)
    for number, entry in enumerate(found):
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise misplaced(found, number, dict, what or f"an entry of {key}")
        yield entry


def string_at(holder: dict[str, Any], key: str, what: str = "") -> str | None:
    """Return the string under a key, or None. PayloadError for anything else."""
    found: str | None = optional(holder, key, str, what)
    return found


def number_at(holder: dict[str, Any], key: str, what: str = "") -> int | None:
    """Return the whole number under a key, or None. PayloadError for anything else."""
    found: int | None = optional(holder, key, int, what)
    return found
