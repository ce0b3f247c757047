"""Payloads that are like an earlier one but for a few values: only those values are read.

The deltas of a stream differ in a text and in some padding; all else in them is the same from event to event, and is
most of what reading one costs. An *envelope* is a payload that was read before, as its text in pieces with holes
between them. A later payload whose text has the same pieces, and a JSON value of the same kind in each hole, is by the
grammar of JSON the same object but for those values: what stands at one place of it does not change how another place
is read. So the values are scanned, by the functions that Python's decoder itself uses, and the rest is not read again.

Why the outcome is the same as that of reading each payload in full:

- What a payload means is said twice by the accumulator, in words that are compared by tests. `outline`, which looks at
  the payload alone, names the holes, and has no word for a payload that could do more than add these values. `bind`,
  which looks at what came so far, returns what takes the values; None where anything else would happen too: a choice
  would begin, a call would be opened, a field would be set for the first time.
- A binding is forgotten when any event takes the ordinary way, for whatever that event changed. Between two such events
  nothing happens but that bindings are called, and these change nothing that `bind` looks at.
- An envelope is tried before it is used: its text with other values in its holes is read in full, and must give the
  payload with just these values. A payload with a key that comes twice on the way to a hole has no envelope.
- Whatever is not exactly alike takes the ordinary way: an event of type "error", data that were not UTF-8, an escape
  that is none, a value of another kind.

Envelopes hold texts and places, nothing of the state of a stream. They are a cache: two accumulators may use the same
(copies of one do), and what was learnt is no part of an accumulator's state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed has it not
from typing import TYPE_CHECKING, Any

from streamkit.dialects.payloads import scan

if TYPE_CHECKING:
    from collections.abc import Hashable

    from streamkit.wire.event import ServerSentEvent

__all__ = ["LOOSE", "OBJECT", "PADDING", "PATIENCE", "TEXT", "Envelope", "Envelopes", "Hole", "Outline"]

#: Kinds of holes: a text that is taken; an object or list that is taken; a text or number that nobody looks at, and
#: one of those that mostly stays the same: it is a hole only where two payloads were seen to differ there.
TEXT, OBJECT, PADDING, LOOSE = "text", "object", "padding", "loose"

#: Payloads that are read before the first attempt to learn: a short stream does not repay it.
PATIENCE = 16

_MOST = 8  # envelopes at a time: choices and calls that alternate are few
_ATTEMPTS = 12  # to learn an envelope, whatever comes of them; more are earned by use
_EARNED = 50  # uses for one more attempt, which costs about as much as ten uses save
_MOST_BRACKETS = 80  # in a payload whose holes hold objects: so it is far from being nested too deep
_MOST_LEVELS = 20  # of nesting in one of these objects, where there are more brackets
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a payload at which its like differ.

    Attributes:
        path: the keys and indexes that lead to it.
        kind: TEXT, OBJECT, PADDING or LOOSE.
    """

    path: tuple[str | int, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Outline:
    """What all payloads of an envelope mean.

    Attributes:
        plan: what `bind` needs to know of them.
        holes: where they differ, in any order. The values of those that are taken go to what `bind` returns: the value
            where it is one, else a list of them in this order.
    """

    plan: Hashable
    holes: tuple[Hole, ...]


#: What scans a hole, whether it holds a whole number, whether that is taken, the text after it, and its length.
_Step = tuple[Callable[[str, int], tuple[Any, int]], bool, bool, str, int]


class Envelope:
    """The text of a payload with holes in it.

    Attributes:
        event: the type of its events.
        plan: the plan of its outline.
        holes: the holes that it has, in the outline's order.
        sample: the payload that it was made of.
        read: returns what is in the holes of a text that are taken: the value, where it is one, else a list of them
            in the outline's order; None where the text is not alike.
    """

    __slots__ = ("_kinds", "_order", "_parts", "_steps", "event", "holes", "plan", "read", "sample")

    def __init__(self, plan: Hashable, holes: list[Hole], sample: Any, parts: list[str], order: list[int]) -> None:
        """Make an envelope.

        Args:
            plan: what the payload means.
            holes: where it differs.
            sample: the payload.
            parts: its text around the holes, in order of the text; a string's quotation marks are of the text before
                it, and of the string.
            order: for each hole in order of the text, its number.
        """
        self.plan, self.holes, self.sample = plan, holes, sample
        self.event = "message"
        kinds = [type(value_at(sample, hole.path)) for hole in holes]
        taken = [number for number in order if holes[number].kind != PADDING]
        self._parts = parts
        self._steps: list[_Step] = [
            (scanstring if kinds[number] is str else scan, kinds[number] is int, number in taken, part, len(part))
            for number, part in zip(order, parts[1:], strict=True)
        ]
        self._order = None if taken == sorted(taken) else [taken.index(number) for number in sorted(taken)]
        self._kinds = [kinds[number] for number in sorted(taken)]
        self.read: Callable[[str], Any] = self._values
        if self._kinds == [str]:
            if len(order) == 1:
                self.read = _text_reader(parts)
            elif len(order) == 2 and order[0] == taken[0] and kinds == [str, str]:
                self.read = _padded_reader(parts)
            else:
                self.read = _one_reader(parts[0], self._steps)

    def _scanned(self, text: str) -> list[Any] | None:
        """Return the values in the holes that are taken, in order of the text; None where a text is not alike."""
        if not text.startswith(self._parts[0]):
            return None
        at, found = len(self._parts[0]), []
        try:
            for reads, whole, taken, part, size in self._steps:
                value, at = reads(text, at)
                if not text.startswith(part, at) or (whole and type(value) is not int):
                    return None
                at += size
                if taken:
                    found.append(value)
        except (ValueError, RecursionError, StopIteration):
            return None
        return found if at == len(text) else None

    def _values(self, text: str) -> Any:
        found = self._scanned(text)
        if found is not None and self._order is not None:
            found = [found[number] for number in self._order]
        if found is None or not self._alike(text, found):
            return None
        return found[0] if len(found) == 1 else found

    def _alike(self, text: str, found: list[Any]) -> bool:
        """Say whether values are of the kinds that they were, and not nested deep."""
        if [type(value) for value in found] != self._kinds:
            return False
        return text.count("[") + text.count("{") <= _MOST_BRACKETS or _shallow(found)


def _text_reader(parts: list[str]) -> Callable[[str], str | None]:
    """Return the `read` of an envelope with nothing but a text in it."""
    head, tail = parts
    size = len(head)

    def read(text: str) -> str | None:
        if not text.startswith(head):
            return None
        try:
            value, at = scanstring(text, size)
        except ValueError:
            return None
        return value if text[at:] == tail else None

    return read


def _padded_reader(parts: list[str]) -> Callable[[str], str | None]:
    """Return the `read` of an envelope with a text, and with padding after it."""
    head, middle, tail = parts
    size, step = len(head), len(middle)

    def read(text: str) -> str | None:
        if not text.startswith(head):
            return None
        try:
            value, at = scanstring(text, size)
            if not text.startswith(middle, at):
                return None
            at = scanstring(text, at + step)[1]
        except ValueError:
            return None
        return value if text[at:] == tail else None

    return read


def _one_reader(head: str, steps: list[_Step]) -> Callable[[str], str | None]:
    """Return the `read` of an envelope of which one text is taken, with padding anywhere."""
    size = len(head)

    def read(text: str) -> str | None:
        if not text.startswith(head):
            return None
        at, found = size, None
        try:
            for scans, whole, taken, part, step in steps:
                value, at = scans(text, at)
                if not text.startswith(part, at) or (whole and type(value) is not int):
                    return None
                at += step
                if taken:
                    found = value
        except (ValueError, RecursionError, StopIteration):
            return None
        return found if at == len(text) else None

    return read


def _shallow(values: list[Any]) -> bool:
    level: list[Any] = [value for value in values if isinstance(value, dict | list)]
    for _ in range(_MOST_LEVELS):
        inner = (item for one in level for item in (one.values() if isinstance(one, dict) else one))
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return True
    return False


class Envelopes:
    """The envelopes that were learnt from a stream, those used last first.

    Attributes:
        table: the envelopes, at most eight.
    """

    __slots__ = ("_attempts", "_patience", "_uses", "table")

    def __init__(self, patience: int = PATIENCE) -> None:
        self.table: list[Envelope] = []
        self._uses = 0
        self._attempts = 0
        self._patience = patience

    def used(self, uses: int) -> None:
        """Count uses: they earn attempts to learn more."""
        self._uses += uses

    def wants(self) -> bool:
        """Say whether to learn from a payload that was just read in full."""
        if self._patience > 0:
            self._patience -= 1
            return False
        return self._attempts < _ATTEMPTS + self._uses // _EARNED

    def learn(
        self, event: ServerSentEvent, loads: Callable[[str], Any], outline: Callable[[Any], Outline | None]
    ) -> None:
        """Learn the envelope of an event's payload, if it has one.

        Args:
            event: it was read and taken without an error.
            loads: how payloads are read.
            outline: what a payload means; None where that is more than an envelope can say.
        """
        if any(one.event == event.event and one.read(event.data) is not None for one in self.table):
            return  # known, and read in full because it did more than add values
        self._attempts += 1
        try:
            self._learn(event, loads, outline)
        except RecursionError:  # so deep that reading it once more, from here, is too much
            return

    def _learn(
        self, event: ServerSentEvent, loads: Callable[[str], Any], outline: Callable[[Any], Outline | None]
    ) -> None:
        text = event.data
        payload = loads(text)
        found = outline(payload)
        if found is None:
            return
        like = next((one for one in self.table if (one.plan, one.event) == (found.plan, event.event)), None)
        made = _made(text, payload, found.plan, _holes(payload, found, like), loads)
        if made is None:
            return
        made.event = event.event
        if like is not None:
            self.table.remove(like)
        self.table.insert(0, made)
        del self.table[_MOST:]


def _holes(payload: Any, outline: Outline, like: Envelope | None) -> list[Hole]:
    """Return the holes of an envelope: of those that are loose, the ones that were seen to differ."""
    holes = []
    for hole in outline.holes:
        if hole.kind != LOOSE:
            holes.append(hole)
        elif like is not None:
            padding = Hole(hole.path, PADDING)
            if padding in like.holes or value_at(payload, hole.path) != value_at(like.sample, hole.path):
                holes.append(padding)
    return holes


def _made(text: str, payload: Any, plan: Hashable, holes: list[Hole], loads: Callable[[str], Any]) -> Envelope | None:
    """Return the envelope of a payload; None where it cannot be had, or does not stand the trial."""
    tree: dict[Any, Any] = {}
    for number, hole in enumerate(holes):
        branch = tree
        for step in hole.path[:-1]:
            branch = branch.setdefault(step, {})
        branch[hole.path[-1]] = number
    spans: dict[int, tuple[int, int]] = {}
    try:
        _walk(text, _solid(text, 0), tree, spans)
    except (ValueError, IndexError, RecursionError, StopIteration):
        return None
    if len(spans) != len(holes):
        return None
    order = sorted(spans, key=lambda number: spans[number])
    parts, trial, last = [], "", 0
    wanted = loads(text)
    for number in order:
        start, end = spans[number]
        path = holes[number].path
        text_of, value = _other(number, value_at(payload, path))
        quoted = type(value) is str
        parts.append(text[last : start + quoted])
        trial += parts[-1] + text_of
        last = end
        value_at(wanted, path[:-1])[path[-1]] = value
    parts.append(text[last:])
    trial += parts[-1]
    envelope = Envelope(plan, holes, payload, parts, order)
    if repr(loads(trial)) != repr(wanted) or envelope.read(text) is None or envelope.read(trial) is None:
        return None
    return envelope


def _other(number: int, value: Any) -> tuple[str, Any]:
    """Return another value of the same kind: as a text, without the first quotation mark, and as what it is."""
    if type(value) is str:
        return f'\\u0001{number}\\ud83d"', f"\x01{number}\ud83d"
    if type(value) is int:
        return f"{-number - 7}", -number - 7
    return (f"[{number + 7}]", [number + 7]) if type(value) is list else (f'{{"":{number + 7}}}', {"": number + 7})


def value_at(payload: Any, path: tuple[str | int, ...]) -> Any:
    """Return what a payload holds at a path."""
    for step in path:
        payload = payload[step]
    return payload


def _walk(text: str, at: int, tree: dict[Any, Any], spans: dict[int, tuple[int, int]]) -> int:
    """Find where in a JSON text the values at a tree's leaves stand; return where the value at `at` ends.

    Raises:
        ValueError: a key comes twice in an object on the way, or there is no object or list.
    """
    closing = {"{": "}", "[": "]"}.get(text[at])
    if closing is None:
        raise ValueError(at)
    at = _solid(text, at + 1)
    seen: set[str | int] = set()
    while text[at] != closing:
        step: str | int = len(seen)
        if closing == "}":
            step, at = scanstring(text, at + 1)
            at = _solid(text, _solid(text, at) + 1)
        if step in seen:
            raise ValueError(step)
        seen.add(step)
        below, start = tree.get(step), at
        at = _walk(text, at, below, spans) if isinstance(below, dict) else scan(text, at)[1]
        if isinstance(below, int):
            spans[below] = (start, at)
        at = _solid(text, at)
        if text[at] == ",":
            at = _solid(text, at + 1)
    return at + 1


def _solid(text: str, at: int) -> int:
    """Return the next place in a text that is no white space."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
