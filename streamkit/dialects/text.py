"""Pieces of text that arrive in deltas, and how they join. Shared by the accumulators of all dialects."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["Text", "add_name", "kept", "merge_extra", "pair_surrogates", "repaired", "shown"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_IDENTITY = {"id", "type", "index", "format"}


def pair_surrogates(text: str) -> str:
    """Join surrogate halves that arrived in two deltas; a half without its partner becomes U+FFFD.

    JSON allows a string to hold one half of a pair. Python keeps halves apart and fails when it encodes them.
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def repaired(value: Any) -> Any:
    """Return a copy of a JSON value with the surrogate halves of its texts joined.

    Raises:
        RecursionError: it is nested deeper than Python can walk.
    """
    if isinstance(value, str):
        return pair_surrogates(value)
    if isinstance(value, dict):
        return {key: repaired(item) for key, item in value.items()}
    return [repaired(item) for item in value] if isinstance(value, list) else value


def kept(value: Any) -> Any:
    """Return a JSON value `repaired`, or as it is where it is nested deeper than Python can walk."""
    try:
        return repaired(value)
    except RecursionError:
        return value


def shown(value: Any) -> str:
    """Return a JSON value as a short text for an error message."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "a value nested very deep"
    return text if len(text) <= 200 else text[:200] + "..."


class Text:
    """Text joined once, when it is asked for. Empty and never sent differ: `value` is None only for the latter."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] | None = None
        self._size = 0

    def add(self, piece: str) -> None:
        """Append a piece."""
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(piece)
        self._size += len(piece)

    def __len__(self) -> int:
        """Characters added so far; a surrogate half counts as one."""
        return self._size

    @property
    def value(self) -> str | None:
        """The text, or None where nothing was ever added."""
        return None if self._pieces is None else str(self)

    def __str__(self) -> str:
        return pair_surrogates("".join(self._pieces or ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]  # mutable


def add_name(name: str | None, piece: str) -> str:
    """Return a name with another piece of it: a repeat of the whole name changes nothing, another piece is appended."""
    return piece if not name else name if piece == name else name + piece


def merge_extra(extra: dict[str, Any], key: str, value: Any) -> None:
    """Merge a provider's own field: text is appended, lists are extended, objects merged, anything else replaced."""
    old = extra.get(key)
    if isinstance(old, str) and isinstance(value, str) and key not in _IDENTITY:
        extra[key] = old + value
    elif isinstance(old, list) and isinstance(value, list):
        extra[key] = [*old, *value]
    elif isinstance(old, dict) and isinstance(value, dict):
        merged = dict(old)
        for inner, item in value.items():
            if item is not None:
                merge_extra(merged, inner, item)
        extra[key] = merged
    else:
        extra[key] = value
