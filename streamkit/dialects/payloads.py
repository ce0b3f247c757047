"""Payloads as the dialects read and write them that carry whole JSON objects: strict JSON in, compact JSON out.

Used by `gemini`, `ollama` and `openai_completions`. A payload that Python's json would take and the standard would not
(NaN, a number beyond the range of a double, nesting without measure) is refused here, with a typed error, so that no
dialect has to think of it again.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from streamkit.dialects.text import pair_surrogates, shown
from streamkit.errors import DialectError, PayloadError, UsageError
from streamkit.transcript import Chunk, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.completion import Choice, Completion

__all__ = [
    "carried",
    "compact",
    "list_at",
    "number_at",
    "object_at",
    "payload",
    "short",
    "string_at",
    "synthetic",
    "written",
]

#: Brackets inside brackets: more than any API nests, and less than Python's own limit, which depends on the caller.
MOST_DEPTH = 200


def short(text: str) -> str:
    """Return a text, or its first 200 characters, for an error message."""
    return text if len(text) <= 200 else text[:200] + "..."


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
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise PayloadError(f"{what} is nested deeper than {MOST_DEPTH}: {short(text)}") from None
    except ValueError as error:
        raise PayloadError(f"{what} is not JSON ({error}): {short(text)}") from None
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is JSON, but no object: {short(text)}")
    if text.count("{") + text.count("[") > MOST_DEPTH and _depth(value) > MOST_DEPTH:
        raise PayloadError(f"{what} is nested deeper than {MOST_DEPTH}: {short(text)}")
    return value


def compact(value: Any) -> str:
    """Return a JSON value as text without white space, keys in their order, surrogate halves joined."""
    return pair_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def object_at(value: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under a key; an empty one where there is none. PayloadError for anything else."""
    found = value.get(key)
    if found is not None and not isinstance(found, dict):
        raise PayloadError(f"{key} is {shown(found)}, where an object belongs")
    return found or {}


def list_at(value: dict[str, Any], key: str) -> list[Any]:
    """Return the list under a key; an empty one where there is none. PayloadError for anything else."""
    found = value.get(key)
    if found is not None and not isinstance(found, list):
        raise PayloadError(f"{key} is {shown(found)}, where a list belongs")
    return found or []


def string_at(value: dict[str, Any], key: str) -> str | None:
    """Return the string under a key, or None. PayloadError for anything else."""
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise PayloadError(f"{key} is {shown(found)}, where a string belongs")
    return found


def number_at(value: dict[str, Any], key: str) -> int | None:
    """Return the whole number under a key, or None. PayloadError for anything else."""
    found = value.get(key)
    if found is not None and type(found) is not int:
        raise PayloadError(f"{key} is {shown(found)}, where a whole number belongs")
    return found


def written(value: Any) -> str:
    """Return a value as the JSON text of a synthetic event.

    Raises:
        UsageError: it is no JSON value, or its text is no UTF-8.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"this cannot be written as JSON: {error}") from None
    return text


def synthetic(blocks: Sequence[bytes], dialect: str, content_type: str, *, whole: bool) -> Transcript:
    """Return the transcript of blocks that no server sent.

    Args:
        blocks: the bytes of each event.
        dialect: the dialect's name.
        content_type: of the response head.
        whole: one chunk in all, in place of one a block.
    """
    chunks = [Chunk(b"".join(blocks))] if whole else [Chunk(block) for block in blocks]
    head = ResponseHead(headers=(("content-type", content_type),))
    return Transcript.from_chunks(
        chunks, head=head, dialect=dialect, synthetic=True, chunks_recorded=False, source=f"written by {dialect}.emit"
    )


def carried(
    dialect: str, completion: Completion, transcript: Transcript, read: Callable[[Transcript], Completion]
) -> Transcript:
    """Return the transcript, if it accumulates to the very completion.

    Args:
        dialect: the dialect's name, for the message.
        completion: what the transcript was written from.
        transcript: what was written.
        read: the dialect's way back.

    Raises:
        UsageError: it does not; the message names what comes back as something else.
    """
    try:
        back = read(transcript)
    except DialectError as error:
        raise UsageError(f"{dialect} cannot carry this completion: {error}") from None
    if back != completion:
        raise UsageError(f"{dialect} cannot carry {_difference(completion, back)}")
    return transcript


def _difference(sent: Completion, back: Completion) -> str:
    if len(sent.choices) == len(back.choices):
        for one, other in zip(sent.choices, back.choices, strict=True):
            if one != other:
                return f"choice {one.index}: {_field(one, other)}"
    return _field(sent, back)


def _field(sent: Completion | Choice, back: Completion | Choice) -> str:
    name = next(f.name for f in fields(sent) if getattr(sent, f.name) != getattr(back, f.name))
    return f"its {name} {short(repr(getattr(sent, name)))}: it comes back as {short(repr(getattr(back, name)))}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{short(text)} is beyond the range of a double")
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
