"""Which output item an event of a Responses stream speaks of.

Source: recorded streams, and reports of what servers get wrong. `output_index` names the item, since some servers
(GitHub Copilot) send another `item_id` with every event. An id that is known to be another item's wins over the index.
An event with neither belongs to the latest open item of its kind. An event for an item that was not announced opens it,
and the `output_item.added` that comes late joins it. Two calls with different call ids are never one item, whatever
their index.
"""

from __future__ import annotations

from typing import Any

from streamkit.dialects.openai_responses_item import CALLS, Item, index_of
from streamkit.dialects.payloads import misplaced, optional, required

__all__ = ["Items"]


class Items:
    """The output items of one response."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._at: dict[int, Item] = {}
        self._by_id: dict[str, Item] = {}
        self._by_call: dict[str, Item] = {}
        self._latest: dict[str, Item] = {}
        self._next = 0
        self.final = False

    def __bool__(self) -> bool:
        return bool(self._items)

    def ordered(self) -> list[Item]:
        """Return the items by output index, those of one index in order of arrival."""
        return sorted(self._items, key=lambda item: item.index)

    def addressed(self, payload: dict[str, Any], kind: str) -> Item:
        """Return the item that a delta or a `done` of a text belongs to; it is opened where there is none.

        Args:
            payload: the event.
            kind: the type of item that such an event belongs to.

        Raises:
            PayloadError: an index or id of the wrong type.
        """
        index = index_of(payload, "output_index")
        identity = required(payload, "item_id", str) if payload.get("item_id") else None
        item = self.found(index, identity, kind)
        if item is None:
            item = self._open(index, kind)
            if identity is not None:
                item.name_id(identity)
                self._by_id[identity] = item
        return item

    def found(self, index: int | None, identity: str | None, kind: str) -> Item | None:
        """Return the item that there is already for an event with that index and id."""
        item = self._at.get(index) if index is not None else None
        if identity is not None and (item is None or item.field("id") != identity):
            item = self._by_id.get(identity, item)
        if item is None and index is None and identity is None:
            latest = self._latest.get(kind)
            item = latest if latest is not None and not latest.ended else None
        return item

    def added(self, payload: dict[str, Any]) -> None:
        """Take an `output_item.added` event; one without an item says nothing."""
        index, sent = index_of(payload, "output_index"), optional(payload, "item", dict, "an item")
        if sent is None:
            return
        item = self._at.get(index) if index is not None else self._by_id.get(_id(sent) or "")
        if item is not None and (item.contradicts(sent) or (item.announced and item.field("id") != _id(sent))):
            item = None
        if item is None:
            item = self._open(index, _kind(sent))
        if not item.ended:
            self._give(item, sent, whole=False)

    def done(self, payload: dict[str, Any]) -> None:
        """Take an `output_item.done` event."""
        index, sent = index_of(payload, "output_index"), optional(payload, "item", dict, "an item")
        if sent is None:
            return
        here = self._at.get(index) if index is not None else None
        named = self._by_id.get(_id(sent) or "")
        called = self._by_call.get(_call_id(sent) or "")
        if here is not None and here.ended and here.field("id") != _id(sent):
            here = None  # another item at the index of a finished one
        if here is not None and here.field("id") == _id(sent):
            named = here
        item = next((one for one in (named, here, called) if one is not None and not one.contradicts(sent)), None)
        self._give(item or self._open(index, _kind(sent)), sent, whole=True)

    def snapshot(self, output: list[Any], *, final: bool) -> None:
        """Take the `output` of a response.

        Items are found by id, then by call id, then at their place in the list, then in order of their type: servers
        give items other ids in the final response, and output indexes have gaps.

        Args:
            output: the items.
            final: the response has ended; else what it holds was just announced.
        """
        waiting: list[tuple[int, dict[str, Any]]] = []
        free = dict.fromkeys(self.ordered())
        for number, one in enumerate(output):
            if one is None:
                continue
            if not isinstance(one, dict):
                raise misplaced(output, number, dict, "an item of output")
            sent = one
            for item in (self._by_id.get(_id(sent) or ""), self._by_call.get(_call_id(sent) or "")):
                if item in free and not item.contradicts(sent):
                    del free[item]
                    self._settle(item, sent, final=final)
                    break
            else:
                waiting.append((number, sent))
        by_kind: dict[str, dict[Item, None]] = {}
        for item in free:
            by_kind.setdefault(item.kind, {})[item] = None
        for number, sent in waiting:
            alike = by_kind.get(_kind(sent), {})
            here = self._at.get(number)
            found = here if here in alike and not here.contradicts(sent) else None
            if found is None:
                found = next(iter(alike), None)
            if found is None or found.contradicts(sent):
                found = self._open(number if number not in self._at else None, _kind(sent))
            else:
                del alike[found]
            self._settle(found, sent, final=final)
        self.final = self.final or (final and bool(output))

    def _settle(self, item: Item, sent: dict[str, Any], *, final: bool) -> None:
        self._give(item, sent, whole=final)
        item.listed = item.listed or final

    def _open(self, index: int | None, kind: str) -> Item:
        item = Item(self._next if index is None else index, kind)
        self._items.append(item)
        self._at[item.index] = self._latest[kind] = item
        self._next = max(self._next, item.index + 1)
        return item

    def _give(self, item: Item, sent: dict[str, Any], *, whole: bool) -> None:
        item.take(sent, whole=whole)
        self._latest[item.kind] = item
        for found, known in ((_id(sent), self._by_id), (_call_id(sent), self._by_call)):
            if found:
                known[found] = item


def _kind(sent: dict[str, Any]) -> str:
    kind = sent.get("type")
    return kind if isinstance(kind, str) else ""


def _id(sent: dict[str, Any]) -> str | None:
    value = sent.get("id")
    return value if isinstance(value, str) and value else None


def _call_id(sent: dict[str, Any]) -> str | None:
    value = sent.get("call_id")
    return value if sent.get("type") in CALLS and isinstance(value, str) and value else None
