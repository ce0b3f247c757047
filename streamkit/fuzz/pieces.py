"""Pieces: whether two lists of small results, such as the deltas that a generator yields, add up to the same.

Nothing is known of what the items mean. Of all items of one class, the text field that varies most is taken for the
piece. A text field that every item has, and all that is no text, tell what it is a piece of: a kind, the index of a
call. The pieces of each are joined in their order; a text that only some items have, such as the name that comes once,
is there or not. What is empty counts for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from streamkit.fuzz.normal import Record

__all__ = ["same_pieces"]

_Item = tuple[str, dict[Any, Any]]


def same_pieces(one: list[Any], other: list[Any]) -> bool:
    """Whether two lists, in normal form, add up to the same; False where an item is neither an object nor a list."""
    left, right = [_fields(item) for item in one], [_fields(item) for item in other]
    if None in left or None in right:
        return False
    items = [item for item in (*left, *right) if item is not None]
    texts = _texts(items)
    return _joined(left, texts) == _joined(right, texts)


def _fields(item: Any) -> _Item | None:
    if isinstance(item, dict):
        return (item.kind if isinstance(item, Record) else ",".join(sorted(map(str, item)))), item
    return (f"{len(item)} items", dict(enumerate(item))) if isinstance(item, list) else None


def _texts(items: list[_Item]) -> dict[str, tuple[Any, set[Any]]]:
    """Return, for each class of items, the text field that varies most, and those that only some items have."""
    values: dict[str, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))
    for kind, fields in items:
        for name, value in fields.items():
            if isinstance(value, str):
                values[kind][name].add(value)
    found = {}
    for kind, texts in values.items():
        piece = max(texts, key=lambda name: len(texts[name]))
        some = {name for name in texts if any(one == kind and not fields.get(name) for one, fields in items)}
        found[kind] = piece, some - {piece}
    return found


def _joined(items: list[_Item | None], texts: dict[str, tuple[Any, set[Any]]]) -> dict[Any, Any]:
    joined: dict[tuple[str, str], str] = defaultdict(str)
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        if item is None:
            continue
        kind, fields = item
        piece, some = texts.get(kind, (None, set()))
        key = kind, repr({name: value for name, value in fields.items() if name != piece and name not in some})
        if isinstance(fields.get(piece), str):
            joined[key] += fields[piece]
        there[key] |= {f"{name}: {fields[name]}" for name in some if fields.get(name)}
    keys = [key for key in there if key[0] not in texts or joined.get(key) or there[key]]
    return {key: (joined.get(key, ""), there[key]) for key in keys}
