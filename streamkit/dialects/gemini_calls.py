"""The function calls of one Gemini candidate.

Source: the API reference of Gemini ("FunctionCall", "PartialArg") and Vertex AI's streaming of function-call arguments.
A part with `functionCall` is a whole call, its arguments an object, unless it says `willContinue`: then parts without a
name carry it on, until one says so no longer. Arguments that stream come as `partialArgs`: a JSON path and a value; a
string whose entry says `willContinue` is carried on by the next entry with its path.

Only paths of names and numbers are followed (`$.a.b[0]['c']`). A call with any other, with a value that comes twice, or
that was never finished, is there and has a `problem`.
"""

from __future__ import annotations

import re
from typing import Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.payloads import MOST_DEPTH, compact, list_at, misplaced, object_at, string_at
from streamkit.dialects.text import Text, merge_extra, pair_surrogates, repaired, shown
from streamkit.errors import PayloadError

__all__ = ["FunctionCalls"]

_KNOWN = {"id", "name", "args", "partialArgs", "willContinue"}
_STEP = re.compile(r"\.([^.\[\]'\"\s]+)|\[([0-9]{1,9})\]|\['([^'\\]*)'\]|\[\"([^\"\\]*)\"\]")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")


class _Call:
    def __init__(self, identity: str | None, name: str) -> None:
        self.id = identity
        self.name = name
        self.args: Any = None
        self.open = False
        self.problem: str | None = None
        self.extra: dict[str, Any] = {}
        self.unfinished: str | None = None  # the path of a string that is to be carried on

    def take_partial(self, entry: dict[str, Any]) -> None:
        """Take one entry of `partialArgs`."""
        path = string_at(entry, "jsonPath") or ""
        goes_on = bool(entry.get("willContinue"))
        kind = next((kind for kind in _VALUES if kind in entry), None)
        value = None if kind in (None, "nullValue") else entry[kind]
        carries_on = self.unfinished == path
        if self.unfinished is not None and not carries_on:
            self._broken("a value of its arguments was not finished before the next began")
        self.unfinished = path if goes_on else None
        steps = _steps(path)
        if steps is None:
            self._broken(f"its arguments came at a path that cannot be followed: {path[:200]!r}")
            return
        if kind is None:
            return
        if kind == "stringValue":
            if not isinstance(value, str):
                raise PayloadError(f"stringValue is {shown(value)}, where a string belongs")
            text = Text()
            text.add(value)
            value = text
        if self.args is None:
            self.args = {}
        self._place(steps, value, carries_on=carries_on)

    def _place(self, steps: list[str | int], value: Any, *, carries_on: bool) -> None:
        at: Any = self.args
        for number, step in enumerate(steps):
            fits = isinstance(at, dict if isinstance(step, str) else list)
            if not fits or (isinstance(step, int) and step > len(at)):
                self._broken("its arguments came at paths that do not fit each other")
                return
            there = step in at if isinstance(at, dict) else isinstance(step, int) and step < len(at)
            if number < len(steps) - 1:
                if not there:
                    _put(at, step, {} if isinstance(steps[number + 1], str) else [])
                at = at[step]
            elif not there:
                _put(at, step, value)
            elif carries_on and isinstance(at[step], Text) and isinstance(value, Text):
                at[step].add(str(value) if value.value else "")
            else:
                self._broken("a value of its arguments came twice")

    def _broken(self, problem: str) -> None:
        self.problem = self.problem or problem

    def build(self, trouble: str | None) -> ToolCall:
        """Return the call."""
        try:
            arguments = "" if self.args is None else compact(_plain(self.args))
        except RecursionError:
            raise PayloadError(f"the arguments of {self.name!r} are nested very deep") from None
        problem = trouble or self.problem or (None if self.name else "it has no name")
        if problem is None and (self.open or self.unfinished is not None):
            problem = "its arguments were not finished"
        return ToolCall(
            id=self.id,
            name=pair_surrogates(self.name),
            arguments=arguments,
            problem=problem or argument_problem(arguments),
            extra=repaired(self.extra),
        )


class FunctionCalls:
    """The calls of one candidate, as they come."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, part: dict[str, Any]) -> None:
        """Take a part with a `functionCall`.

        Raises:
            PayloadError: a field of the wrong type.
        """
        entry = object_at(part, "functionCall")
        identity, name = string_at(entry, "id") or None, string_at(entry, "name") or ""
        call = self._carried_on(identity, name)
        if call is None:
            call = _Call(identity, name)
            self._calls.append(call)
        if entry.get("args") is not None:
            if call.args is not None:
                call.problem = call.problem or "its arguments came twice"
            call.args = object_at(entry, "args")
        for number, partial in enumerate(list_at(entry, "partialArgs")):
            if not isinstance(partial, dict):
                raise misplaced(entry["partialArgs"], number, dict, "an entry of partialArgs")
            call.take_partial(partial)
        call.open = bool(entry.get("willContinue"))
        for key, value in entry.items():
            if key not in _KNOWN and value is not None:
                merge_extra(call.extra, key, value)
        for key, value in part.items():
            if key not in ("functionCall", "thought") and value is not None:
                merge_extra(call.extra, key, value)
        if part.get("thought"):
            call.extra["thought"] = True

    def _carried_on(self, identity: str | None, name: str) -> _Call | None:
        """Return the open call that a part carries on, or None where it begins another."""
        last = self._calls[-1] if self._calls else None
        if identity is not None:
            for call in reversed(self._calls):
                if call.id == identity and call.open:
                    return call
            return None
        return last if last is not None and last.open and not name else None

    def build(self, trouble: str | None) -> tuple[ToolCall, ...]:
        """Return the calls in order of arrival.

        Args:
            trouble: why none of them may be executed, or None.
        """
        return tuple(call.build(trouble) for call in self._calls)


def _steps(path: str) -> list[str | int] | None:
    """Return the names and numbers of a JSON path, or None where it is another kind of path."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        dotted, number, single, double = match.groups()
        steps.append(int(number) if number is not None else next(n for n in (dotted, single, double) if n is not None))
        at = match.end()
    return steps if 0 < len(steps) < MOST_DEPTH else None


def _put(where: Any, step: str | int, value: Any) -> None:
    if isinstance(where, list):
        where.append(value)
    else:
        where[step] = value


def _plain(value: Any) -> Any:
    """Return a value with its texts joined."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
