"""Content blocks and tool calls of a Cohere v2 answer: which event belongs to which.

Each has a start, deltas and an end, and an index of its own kind. A second start at an index, arguments without a call,
and anything after the end are errors: they can only come of a lost or doubled event.
"""

from __future__ import annotations

from typing import Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.text import Text, pair_surrogates, repaired, shown
from streamkit.errors import PayloadError

__all__ = ["Calls", "Contents", "optional", "required"]

_KINDS = {dict: "an object", str: "a string", int: "a whole number"}
_TEXTS = ("text", "thinking")


def required(holder: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field that must be there.

    Raises:
        PayloadError: it is not there, or of another type.
    """
    value = holder.get(name)
    if type(value) is not kind:
        raise PayloadError(f"{name} is {shown(value)}, where {_KINDS[kind]} belongs")
    return value


def optional(holder: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field, or None where it is not there or null.

    Raises:
        PayloadError: it is of another type.
    """
    return None if holder.get(name) is None else required(holder, name, kind)


class _Part:
    """What came so far of one content block or call."""

    def __init__(self, number: int, index: int | None) -> None:
        self.number = number  # among those of its kind, in order of arrival
        self.index = index
        self.kind: str | None = None
        self.texts = {name: Text() for name in _TEXTS}
        self.other: list[Any] = []
        self.id = ""
        self.name = ""
        self.arguments = Text()
        self.extra: dict[str, Any] = {}
        self.ended = False


class _Parts:
    """Parts of one kind, by index or, without one, by what is open."""

    what = ""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._by_index: dict[int, _Part] = {}
        self._open: dict[int, _Part] = {}  # by number

    def _begin(self, index: int | None) -> _Part:
        if index is not None and index in self._by_index:
            raise PayloadError(f"{self.what} {index} begins a second time")
        part = _Part(len(self._parts), index)
        self._parts.append(part)
        self._open[part.number] = part
        if index is not None:
            self._by_index[index] = part
        return part

    def _find(self, index: int | None) -> _Part | None:
        if index is not None:
            part = self._by_index.get(index)
            if part is not None and part.ended:
                raise PayloadError(f"{self.what} {index} goes on after its end")
            return part
        if len(self._open) > 1:
            raise PayloadError(f"an event without an index may belong to any {self.what} of {len(self._open)}")
        return next(iter(self._open.values()), None)

    def end(self, index: int | None) -> None:
        """Take the event that ends a part.

        Raises:
            PayloadError: there is none that it could end.
        """
        part = self._find(index)
        if part is None:
            raise PayloadError(f"the end of {self.what} {index}, which never began")
        part.ended = True
        del self._open[part.number]

    def _ordered(self) -> list[_Part]:
        """Return the parts by index; in order of arrival where one has none."""
        if len(self._by_index) < len(self._parts):
            return self._parts
        return [self._by_index[index] for index in sorted(self._by_index)]


class Contents(_Parts):
    """The content blocks."""

    what = "content block"

    def start(self, index: int | None, content: dict[str, Any]) -> None:
        """Take the content of a content-start."""
        part = self._begin(index)
        part.kind = optional(content, "type", str)
        self._add(part, {key: value for key, value in content.items() if key != "type"})

    def delta(self, index: int | None, content: dict[str, Any]) -> None:
        """Take the content of a content-delta; one that opens its block is let pass."""
        self._add(self._find(index) or self._begin(index), content)

    @staticmethod
    def _add(part: _Part, content: dict[str, Any]) -> None:
        for name, value in content.items():
            if name in _TEXTS and value is not None:
                text = required(content, name, str)
                if text or part.kind in (None, name):
                    part.texts[name].add(text)
            elif value is not None:
                part.other.append({name: value})

    def joined(self, name: str) -> str | None:
        """Return the "text" or the "thinking" of all blocks, or None where there is none."""
        values = [value for part in self._ordered() if (value := part.texts[name].value) is not None]
        return "".join(values) if values else None

    def others(self) -> list[dict[str, Any]]:
        """Return the blocks of other types."""
        return [
            {"index": part.index, "type": part.kind, "content": list(part.other)}
            for part in self._ordered()
            if part.other or part.kind not in (None, *_TEXTS)
        ]


class Calls(_Parts):
    """The tool calls."""

    what = "tool call"

    def start(self, index: int | None, entry: dict[str, Any]) -> None:
        """Take the call of a tool-call-start."""
        function = optional(entry, "function", dict) or {}
        part = self._begin(index)
        part.id = optional(entry, "id", str) or ""
        part.kind = optional(entry, "type", str)
        part.name = optional(function, "name", str) or ""
        part.arguments.add(optional(function, "arguments", str) or "")
        part.extra = {key: value for key, value in entry.items() if key not in ("id", "type", "function")}

    def delta(self, index: int | None, entry: dict[str, Any]) -> None:
        """Take the call of a tool-call-delta."""
        part = self._find(index)
        if part is None:
            raise PayloadError(f"arguments of tool call {index}, which never began")
        function = optional(entry, "function", dict) or {}
        part.arguments.add(optional(function, "arguments", str) or "")

    def build(self, trouble: str | None, empty_trouble: str | None) -> tuple[ToolCall, ...]:
        """Return the calls, by index.

        Args:
            trouble: why no call may be executed, or None.
            empty_trouble: why no call without arguments may be executed, or None.
        """
        calls = []
        for part in self._ordered():
            arguments, own = str(part.arguments), None
            if not part.name or not part.id:
                own = f"it has no {'id' if part.name else 'name'}"
            elif not part.ended:
                own = "its tool-call-end never came"
            problem = trouble or own or argument_problem(arguments) or (None if arguments.strip() else empty_trouble)
            name, identity = pair_surrogates(part.name), pair_surrogates(part.id) or None
            extra = repaired(part.extra)
            calls.append(ToolCall(identity, name, arguments, part.kind or "function", part.index, problem, extra))
        return tuple(calls)
