"""One output item of a Responses stream, as it comes.

Source: the event and item types of the openai library (`openai.types.responses`) and recorded streams.

A text comes up to three times: in the deltas, in its own `done` event, and in the items and parts that
`output_item.done`, `content_part.done` and the final response hold. The latest whole text is the one that counts; the
deltas count where no whole text came, or an empty one. The same goes for the parts of an item.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.dialects.payloads import child, misplaced, required, string_at, wrong
from streamkit.dialects.text import Text, pair_surrogates, repaired, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CALLS", "Filling", "Item", "index_of"]

CALLS = ("function_call", "custom_tool_call")
_LISTS = ("content", "summary")
# The field that deltas fill, by type of item.
_FILLED = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
    "code_interpreter_call": "code",
}
_PART_TYPES = {
    ("message", "text"): "output_text",
    ("reasoning", "text"): "reasoning_text",
    ("summary", "text"): "summary_text",
}
_EMPTY: tuple[Any, ...] = (None, "", [], {})

Place = tuple[str, int, str]  # list or field of the item, index of the part, field of the part


def index_of(payload: dict[str, Any], name: str) -> int | None:
    """Return an index of an event, None where it has none, or raise PayloadError."""
    value = payload.get(name)
    if value is not None and (type(value) is not int or value < 0):
        raise wrong(f"{name} is {shown(value)}, where a whole number from 0 belongs", payload, name)
    return value


class Filling:
    """One text of an item, as it comes.

    Attributes:
        opening: what it was announced with.
        deltas: what came piece by piece.
        whole: the latest whole text.
        revised: it is not, or not only, what came piece by piece and whatever followed that.
    """

    def __init__(self) -> None:
        self.opening = ""
        self.deltas = Text()
        self.whole = ""
        self.revised = False

    def __len__(self) -> int:
        """Characters so far, where it is not revised."""
        return len(self.whole) if self.whole else len(self.deltas)

    def since(self, place: int) -> str:
        """Return what came behind so many characters, where it is not revised."""
        return self.whole[place:] if self.whole else self.deltas.since(place)

    def set(self, text: str, *, whole: bool) -> None:
        """Take the text whole, or what it was announced with; an empty one takes nothing away."""
        if not whole:
            self.opening = text or self.opening
        elif text:
            self.revised = self.revised or not text.startswith(self.whole or self.deltas.raw or "")
            self.whole = text
        self.revised = self.revised or bool(self.opening)

    def value(self) -> str:
        """Return the text. What the item was announced with counts unless the deltas begin anew."""
        if self.whole:
            return pair_surrogates(self.whole)
        deltas = str(self.deltas)
        if deltas and (self.opening == "{}" or deltas.startswith(self.opening)):
            return deltas
        return pair_surrogates(self.opening + deltas)


class Item:
    """What came so far of one output item.

    Attributes:
        index: its output index.
        kind: its type; where it was not announced, the type that its events belong to.
        announced: an item, and not just a delta of it, has come.
        ended: it was said to be finished: by `output_item.done`, or by the final response that holds it.
        filled: its text was said to be whole.
        listed: the final response holds it.
    """

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.announced = False
        self.ended = False
        self.filled = False
        self.listed = False
        self._fields: dict[str, Any] = {}
        self._lists: dict[str, None] = {}  # in a set, the order would be no one's
        self._parts: dict[tuple[str, int], dict[str, Any]] = {}
        self._fillings: dict[Place, Filling] = {}
        self._annotations: dict[int, list[Any]] = {}
        self._logprobs: dict[int, list[Any]] = {}

    def field(self, name: str) -> str | None:
        """Return a field that is a text, or None where it has none or an empty one."""
        value = self._fields.get(name)
        return value if isinstance(value, str) and value else None

    def name_id(self, identity: str) -> None:
        """Take the id of an item that was not announced."""
        self._fields.setdefault("id", identity)

    def contradicts(self, sent: dict[str, Any]) -> bool:
        """Say whether an item that was sent cannot be this one."""
        kind, call_id = sent.get("type"), sent.get("call_id")
        if isinstance(kind, str) and kind != self.kind:
            return True
        mine = self.field("call_id")
        # OpenAI gives a tool search another call id when it is done; of the calls that clients answer it never does.
        return self.kind in CALLS and bool(call_id) and mine is not None and call_id != mine

    def take(self, sent: dict[str, Any], *, whole: bool) -> None:
        """Take the item as it was sent; an empty field takes nothing away.

        Args:
            sent: the item.
            whole: it is finished; else it was just announced.

        Raises:
            PayloadError: a field of the wrong type.
        """
        kind = string_at(sent, "type", "the type of an item")
        if kind is not None:
            self.kind = kind
        self.announced = True
        self.ended = self.ended or whole
        for name, value in sent.items():
            if name in _LISTS and isinstance(value, list):
                self._lists[name] = None
                if whole and value:
                    self._renumber(name, len(value))
                for number in range(len(value)):
                    self.take_part(name, number, value, number, whole=whole)
            elif name == _FILLED.get(self.kind):
                self._take_field(name, sent, whole=whole)
            elif value is not None and not (value in _EMPTY and name in self._fields):
                self._fields[name] = value

    def _renumber(self, name: str, size: int) -> None:
        """Number the parts of a list by their order, and drop those that the whole list does not have.

        Bedrock counts the parts of all items together, so that the only part of a message has the index 1.
        """
        known = {number for kept, number in self._parts if kept == name}
        known |= {place[1] for place in self._fillings if place[0] == name}
        known |= {*self._annotations, *self._logprobs} if name == "content" else set()
        if all(number < size for number in known):
            return
        order = {number: new for new, number in enumerate(sorted(known)) if new < size}
        parts, fillings = self._parts, self._fillings
        self._parts = {k: v for k, v in parts.items() if k[0] != name}
        self._parts.update({(name, order[k[1]]): v for k, v in parts.items() if k[0] == name and k[1] in order})
        self._fillings = {k: v for k, v in fillings.items() if k[0] != name}
        self._fillings.update(
            {(name, order[k[1]], k[2]): v for k, v in fillings.items() if k[0] == name and k[1] in order}
        )
        if name == "content":
            self._annotations = {order[k]: v for k, v in self._annotations.items() if k in order}
            self._logprobs = {order[k]: v for k, v in self._logprobs.items() if k in order}

    def _take_field(self, name: str, sent: dict[str, Any], *, whole: bool) -> None:
        value = sent.get(name)
        if isinstance(value, dict):  # some servers send the object itself
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif value is not None:
            value = required(sent, name, str, f"{name} of an item")
        if value is not None:
            self._set((name, 0, ""), value, whole=whole)

    def take_part(self, name: str, number: int, holder: Any, key: str | int, *, whole: bool) -> None:
        """Take a part of the item's `content` or `summary`.

        Args:
            name: of the list.
            number: of the part.
            holder: the event or list that holds it as it was sent; null is no part.
            key: where it is in the holder.
            whole: it is finished; else it was just announced.

        Raises:
            PayloadError: a part or text of the wrong type.
        """
        part = child(holder, key)
        if part is None:
            return
        kept = self._parts.setdefault((name, number), {})
        if not isinstance(part, dict):
            raise misplaced(holder, key, dict, f"a part of {name}")
        for field, value in part.items():
            if field in ("text", "refusal") and value is not None:
                self._set((name, number, field), required(part, field, str, f"{field} of a part"), whole=whole)
            elif value is not None and not (value in _EMPTY and field in kept):
                kept[field] = value

    def _set(self, place: Place, text: str, *, whole: bool) -> None:
        self._filling(place).set(text, whole=whole)

    def _filling(self, place: Place) -> Filling:
        filling = self._fillings.get(place)
        if filling is None:
            filling = self._fillings[place] = Filling()
        return filling

    def add(self, place: Place, delta: str) -> None:
        """Append a delta to one of the texts."""
        self._filling(place).deltas.add(delta)

    def adder(self, place: Place) -> Callable[[str], None] | None:
        """Return what appends deltas to one of the texts; None for one that has not begun."""
        filling = self._fillings.get(place)
        return None if filling is None else filling.deltas.adder()

    def fill(self, place: Place, text: str) -> None:
        """Take one of the texts whole."""
        self._set(place, text, whole=True)
        self.filled = True

    def texts(self) -> list[Filling]:
        """Return the texts of the item's content, in order."""
        return [
            self._fillings[place] for place in sorted(self._fillings) if place[0] == "content" and place[2] == "text"
        ]

    def annotate(self, number: int, annotation: Any) -> None:
        """Add an annotation to a part of the content."""
        self._annotations.setdefault(number, []).append(annotation)

    def add_logprobs(self, number: int, logprobs: Any, *, whole: bool) -> None:
        """Take the tokens of a delta, or all of a part."""
        if isinstance(logprobs, list) and logprobs:
            kept = self._logprobs.setdefault(number, [])
            if whole:
                kept.clear()
            kept.extend(logprobs)

    def text(self, name: str) -> str:
        """Return one of the item's own texts, such as its arguments."""
        filling = self._fillings.get((name, 0, ""))
        return "" if filling is None else filling.value()

    def json(self) -> dict[str, Any]:
        """Return the item as a JSON object, with every text as far as it has come."""
        item: dict[str, Any] = {"type": self.kind, **self._fields}
        for name in _LISTS:
            places = {place[1] for place in self._fillings if place[0] == name}
            numbers = sorted(places | {number for kept, number in self._parts if kept == name})
            if numbers or name in self._lists:
                item[name] = [self._part(name, number) for number in numbers]
        for name in ("arguments", "input", "code"):
            if (name, 0, "") in self._fillings:
                item[name] = self.text(name)
        commands = sorted(place for place in self._fillings if place[0] == "commands")
        self._put(item, "action", "commands", [self._fillings[place].value() for place in commands])
        self._put(item, "operation", "diff", self.text("diff"))
        found: dict[str, Any] = repaired(item)
        return found

    @staticmethod
    def _put(item: dict[str, Any], outer: str, inner: str, value: Any) -> None:
        """Put deltas where the item has a field for them that nobody filled."""
        holder = item.get(outer)
        if value and (holder is None or (isinstance(holder, dict) and not holder.get(inner))):
            item[outer] = {**(holder or {}), inner: value}

    def _part(self, name: str, number: int) -> dict[str, Any]:
        part = dict(self._parts.get((name, number), {}))
        for leaf in ("text", "refusal"):
            filling = self._fillings.get((name, number, leaf))
            if filling is not None:
                owner = "summary" if name == "summary" else self.kind
                part.setdefault("type", "refusal" if leaf == "refusal" else _PART_TYPES.get((owner, leaf), "text"))
                part[leaf] = filling.value()
        if name == "content":
            for key, found in (("annotations", self._annotations), ("logprobs", self._logprobs)):
                if found.get(number) and not part.get(key):
                    part[key] = list(found[number])
        return part
