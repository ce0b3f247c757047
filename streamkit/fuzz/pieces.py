"""Pieces: whether two lists of small results, such as the deltas that a generator yields, add up to the same.

Nothing is known of what the items mean. An object in an item counts as fields of the item. Of all items of one class,
the text field that varies most is taken for the piece; an id or a tag is none. A text field that every item has, and
all that is no text, tell what it is a piece of: a kind, the index of a call. The pieces of each are joined in their
order; a text that only some items have, such as the name that comes once, is there or not. What is empty counts for
nothing, nor does None as an item.

A text that each time begins with what it was before holds all that came so far: of it the last counts.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.normal import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["joined_texts", "same_pieces"]

_Item = tuple[str, dict[Any, Any]]
#: Fields that say what an item is, or of what.
_TAGS = ("type", "kind", "event", "role")
_IDS = ("id", "call_id", "tool_call_id", "tool_use_id", "toolCallId", "item_id")


def joined_texts(value: Any) -> Any:
    """Return a result, in normal form, in which a list of texts is one text, but for lists of names or ids."""
    if isinstance(value, Record):
        return Record(value.kind, {name: item if _names(name) else joined_texts(item) for name, item in value.items()})
    if isinstance(value, dict):
        return {name: item if _names(name) else joined_texts(item) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    return "".join(value) if value and all(isinstance(item, str) for item in value) else [*map(joined_texts, value)]


def _names(name: Any) -> bool:
    return str(name).lower().endswith(("name", "names", "id", "ids"))


def same_pieces(one: list[Any], other: list[Any]) -> bool:
    """Whether two lists, in normal form, add up to the same; False where an item is no object, list, text or None.

    Texts alone are not looked at: they may be names as well.
    """
    left, right = ([_fields(item) for item in items if item is not None] for items in (one, other))
    if None in left or None in right or not any(isinstance(item, list | dict) for item in (*one, *other)):
        return False
    lists = [[item for item in items if item is not None] for items in (left, right)]
    growing = _growing(lists)
    for items in lists:
        for kind, fields in items:
            for name in growing.get(kind, ()):
                fields.pop(name, None)
    texts = _texts([*lists[0], *lists[1]], set(growing))
    return _joined(lists[0], texts) == _joined(lists[1], texts)


def _fields(item: Any) -> _Item | None:
    if isinstance(item, str):
        return "a text", {"": item}
    if not isinstance(item, list | dict):
        return None
    inner = {name: joined_texts(one) for name, one in item.items()} if isinstance(item, dict) else None
    fields = dict(_leaves([joined_texts(one) for one in item] if inner is None else inner))
    if isinstance(item, list):
        return ",".join([f"{len(item)} items", *sorted(str(name) for name in fields if isinstance(name, str))]), fields
    deep = sorted(str(name) for name in fields if name not in item or not isinstance(item, Record))
    return ",".join([item.kind if isinstance(item, Record) else "", *deep]), fields


def _leaves(value: Any, path: str = "") -> Iterator[tuple[Any, Any]]:
    """Yield the fields of an item, those of what stands in it under their path."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, list | dict) and item:
            yield from _leaves(item, f"{path}{name}.")
        else:
            yield f"{path}{name}" if path else name, item


def _last(name: Any) -> str:
    return str(name).rpartition(".")[2]


def _by_kind(items: list[_Item]) -> dict[str, list[dict[Any, Any]]]:
    found: dict[str, list[dict[Any, Any]]] = defaultdict(list)
    for kind, fields in items:
        found[kind].append(fields)
    return found


def _growing(lists: list[list[_Item]]) -> dict[str, list[Any]]:
    """Return, by class, the text fields that hold all that came so far, and end the same in both lists."""
    found: dict[str, list[Any]] = {}
    sides = [_by_kind(items) for items in lists]
    for kind in {kind: None for side in sides for kind in side}:
        given = [side.get(kind, []) for side in sides]
        for name in {name: None for items in given for fields in items for name in fields}:
            if _last(name) not in _IDS and _last(name) not in _TAGS and _grows(given, name):
                found.setdefault(kind, []).append(name)
    return found


def _grows(given: list[list[dict[Any, Any]]], name: Any) -> bool:
    """Whether a field of items of one class holds all that came so far, and ends the same in both lists."""
    ends: list[dict[str, Any]] = []
    more = False
    for items in given:
        series: dict[str, list[Any]] = defaultdict(list)
        for fields in items:
            if fields.get(name):
                series[_place(fields)].append(fields[name])
        for values in series.values():
            if not all(isinstance(value, str) for value in values):
                return False
            if not all(two.startswith(one) for one, two in pairwise(values)):
                return False
            more = more or values[0] != values[-1]
        ends.append({place: values[-1] for place, values in series.items()})
    return more and ends[0] == ends[1]


def _place(fields: dict[Any, Any]) -> str:
    """Return what tells a call or choice from others: its id, and all that is no text."""
    return repr({name: value for name, value in fields.items() if not isinstance(value, str) or _last(name) in _IDS})


def _varies(items: list[dict[Any, Any]], name: Any) -> bool:
    """Whether a text field of items of one class changes from one to the other of one call or choice."""
    found = {(_place(fields), fields[name]) for fields in items if isinstance(fields.get(name), str)}
    return len(found) > len({place for place, _ in found})


def _texts(items: list[_Item], whole: set[str]) -> dict[str, tuple[Any, set[Any]]]:
    """Return, for each class of items, the text field that varies most, and those that only some items have.

    Args:
        items: of both lists.
        whole: the classes that hold all that came so far: in those a text that never varies within a call is no piece.
    """
    found: dict[str, tuple[Any, set[Any]]] = {}
    for kind, given in _by_kind(items).items():
        texts: dict[Any, set[str]] = defaultdict(set)
        for fields in given:
            for name, value in fields.items():
                if isinstance(value, str):
                    texts[name].add(value)
        if not texts:
            continue
        possible = [
            name for name in texts
            if _last(name) not in (*_IDS, *_TAGS) and (kind not in whole or _varies(given, name))
        ]  # fmt: skip
        piece = max(possible, key=lambda name: len(texts[name]), default=None)
        some = {name for name in texts if any(not fields.get(name) for fields in given)}
        found[kind] = piece, some - {piece}
    return found


def _joined(items: list[_Item], texts: dict[str, tuple[Any, set[Any]]]) -> dict[Any, Any]:
    joined: dict[tuple[str, str], str] = defaultdict(str)
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    for item in items:
        kind, fields = item
        piece, some = texts.get(kind, (None, set()))
        key = kind, repr({name: value for name, value in fields.items() if name != piece and name not in some})
        if isinstance(fields.get(piece), str):
            joined[key] += fields[piece]
        there[key] |= {f"{name}: {fields[name]}" for name in some if fields.get(name)}
    keys = [key for key in there if texts.get(key[0], (None,))[0] is None or joined.get(key) or there[key]]
    return {key: (joined.get(key, ""), there[key]) for key in keys}
