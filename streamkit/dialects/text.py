"""Pieces of text that arrive in deltas, and how they join. Shared by the accumulators of all dialects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Text", "add_name", "kept", "merge_extra", "pair_surrogates", "repaired", "shown"]

_IDENTITY = {"id", "type", "index", "format"}


def pair_surrogates(text: str) -> str:
    """Join surrogate halves that arrived in two deltas; a half without its partner becomes U+FFFD.

    JSON allows a string to hold one half of a pair. Python keeps halves apart and fails when it encodes them.
    """
    if text.isascii():  # which Python knows without looking
        return text
    try:
        text.encode()  # several times as fast as a search for halves
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


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
    """Text joined when it is asked for. Empty and never sent differ: `value` is None only for the latter."""

    __slots__ = ("_counted", "_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] | None = None
        self._size = 0
        self._counted = 0  # pieces that the size counts

    def add(self, piece: str) -> None:
        """Append a piece."""
        if self._pieces is None:
            self._pieces = [piece]
        else:
            self._pieces.append(piece)

    def adder(self) -> Callable[[str], None]:
        """Return the quickest way to append pieces; it holds for as long as the text does."""
        if self._pieces is None:
            return self.add
        return self._pieces.append

    def __len__(self) -> int:
        """Characters added so far; a surrogate half counts as one."""
        pieces = self._pieces
        if pieces is not None and self._counted != len(pieces):
            self._size += sum(map(len, pieces[self._counted :]))
            self._counted = len(pieces)
        return self._size

    def since(self, place: int) -> str:
        """Return what was added behind so many characters, as it came; it takes no longer than that is long."""
        size = len(self) - place
        found: list[str] = []
        for piece in reversed(self._pieces or ()):
            if size <= 0:
                break
            found.append(piece[-size:])
            size -= len(piece)
        return "".join(reversed(found))

    @property
    def value(self) -> str | None:
        """The text, or None where nothing was ever added."""
        return None if self._pieces is None else str(self)

    @property
    def raw(self) -> str | None:
        """What was added, as it came: halves of surrogate pairs that are still apart, or None for nothing."""
        pieces = self._pieces
        if pieces is None:
            return None
        if len(pieces) != 1:  # in place: the next time there is little to join
            pieces[:] = ["".join(pieces)]
            self._size, self._counted = len(pieces[0]), 1
        return pieces[0]

    def copy(self) -> Text:
        """Return another text with the same pieces."""
        return _text(self.raw)

    def __reduce__(self) -> tuple[Any, ...]:
        return _text, (self.raw,)

    def __str__(self) -> str:
        raw = self.raw
        return "" if raw is None else pair_surrogates(raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]  # mutable


def _text(raw: str | None) -> Text:
    made = Text()
    if raw is not None:
        made.add(raw)
    return made


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
