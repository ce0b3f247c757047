"""What a parser gave out so far, as a number: equal numbers for equal output, however it was spread over calls.

Only of events that cannot change any more (texts, bytes, numbers, tuples and frozen dataclasses of these): such an
event is what it was when it was given out. Lists and dicts may be changed by the parser later, so where there are any,
what was given out is part of the state instead, and copied with it.

Strategy. All outputs form a tree: each is its predecessor and one more event. The output of the delivery that is walked
first is a line in it, numbered in a row, so the common question, whether a call gave just the next events of that line,
is one comparison of lists.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from streamkit.proof.signals import _Changeable
from streamkit.wire.event import Diagnostic, ServerSentEvent

__all__ = ["Outputs"]

_LEAVES = (str, bytes, type(None))
_NUMBERS = (bool, int, float)


_FIELDS: dict[type, tuple[str, ...] | None] = {}


def _fields(kind: type) -> tuple[str, ...] | None:
    """Return the compared fields of a frozen dataclass or a named tuple; None for another class."""
    if kind not in _FIELDS:
        _FIELDS[kind] = _found_fields(kind)
    return _FIELDS[kind]


def _found_fields(kind: Any) -> tuple[str, ...] | None:
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is not None and parameters.frozen:
        return tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    if kind in (ServerSentEvent, Diagnostic):
        return ("event", "data", "id", "retry") if kind is ServerSentEvent else ("kind", "line", "detail")
    names = getattr(kind, "_fields", None)
    return tuple(names) if issubclass(kind, tuple) and names is not None else None


def _key(event: Any) -> Any:
    """Return an event as something that can be hashed, and that is equal where `normalise` gives the same."""
    kind = type(event)
    if kind in _LEAVES:
        return (kind, event)
    if kind in _NUMBERS:
        return (kind, repr(event) if event != event else event)  # noqa: PLR0124 - NaN alone is not itself
    if kind is tuple:
        return (tuple, *map(_key, event))
    names = _fields(kind)
    if names is None:
        raise _Changeable(f"{kind.__module__}.{kind.__qualname__}")
    return (kind, *(_key(getattr(event, name)) for name in names))


def _is_exact(event: Any) -> bool:
    """Whether equality with this event, of the same class, says as much as equality of keys: no numbers in it."""
    kind = type(event)
    if kind in _LEAVES:
        return True
    if kind is tuple:
        return all(map(_is_exact, event))
    if kind is not ServerSentEvent and not (dataclasses.is_dataclass(kind) and "__eq__" in kind.__dict__):
        return False
    if kind is not ServerSentEvent and kind.__eq__.__code__.co_filename != "<string>":
        return False  # an equality of its own, not a generated one: it may leave something out
    return all(_is_exact(getattr(event, name)) for name in _fields(kind) or ())


def _shape(event: Any) -> Any:
    """Return the class of an event and of what it holds: a bytearray is equal to bytes, and may still change."""
    kind = type(event)
    if kind in _LEAVES or kind is ServerSentEvent:
        return kind
    if kind is tuple:
        return (tuple, *map(_shape, event))
    names = _FIELDS.get(kind)  # of what is in the line, they are known
    return kind if names is None else (kind, *(_shape(getattr(event, name)) for name in names))


class Outputs:
    """The outputs that were met.

    Args:
        ours: the events are made by streamkit itself, so that numbers in them are of one type.
    """

    EMPTY = 0

    def __init__(self, *, ours: bool = False) -> None:
        self._ours = ours
        self._line: list[Any] = []  # the events of the outputs 1, 2, ... up to the first that is not exact
        self._kinds: list[Any] = []  # their classes, and those of what they hold
        self._growing = True
        self._events: list[Any] = [None]  # by number, the last event of an output
        self._before: list[int] = [0]
        self._after: dict[tuple[int, Any], int] = {}

    def after(self, output: int, events: list[Any]) -> int:
        """Return the output that is `output` and these events.

        Raises:
            _Changeable: one of them may still change.
        """
        line = self._line
        if output <= len(line):
            end = output + len(events)
            if line[output:end] == events and self._kinds[output:end] == list(map(_shape, events)):
                return end
        for event in events:
            output = self._one_more(output, event)
        return output

    def _one_more(self, output: int, event: Any) -> int:
        key = (output, _key(event))
        found = self._after.get(key)
        if found is None:
            found = self._after[key] = len(self._events)
            self._events.append(event)
            self._before.append(output)
            if self._growing and found == output + 1 == len(self._line) + 1 and (self._ours or _is_exact(event)):
                self._line.append(event)
                self._kinds.append(_shape(event))
            else:
                self._growing = False
        return found

    def events(self, output: int) -> list[Any]:
        """Return the events of an output."""
        found = []
        while output:
            found.append(self._events[output])
            output = self._before[output]
        return found[::-1]
