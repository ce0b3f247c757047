"""Content blocks and tool calls of a Cohere v2 answer: which event belongs to which.

Each has a start, deltas and an end, and an index of its own kind. A second start at an index, arguments without a call,
and anything after the end are errors: they can only come of a lost or doubled event.
"""

from __future__ import annotations

from typing import Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.payloads import object_at, required, string_at, wrong
from streamkit.dialects.text import Text, pair_surrogates, repaired

__all__ = ["Calls", "Contents"]

_TEXTS = ("text", "thinking")


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

    def _begin(self, event: dict[str, Any]) -> _Part:
        index = event.get("index")
        if index is not None and index in self._by_index:
            raise wrong(f"{self.what} {index} begins a second time", event, "index")
        part = _Part(len(self._parts), index)
        self._parts.append(part)
        self._open[part.number] = part
        if index is not None:
            self._by_index[index] = part
        return part

    def _find(self, event: dict[str, Any]) -> _Part | None:
        index = event.get("index")
        if index is not None:
            part = self._by_index.get(index)
            if part is not None and part.ended:
                raise wrong(f"{self.what} {index} goes on after its end", event, "index")
            return part
        if len(self._open) > 1:
            raise wrong(f"an event without an index may belong to any {self.what} of {len(self._open)}", event)
        return next(iter(self._open.values()), None)

    def end(self, event: dict[str, Any]) -> None:
        """Take the event that ends a part.

        Raises:
            PayloadError: there is none that it could end.
        """
        part = self._find(event)
        if part is None:
            raise wrong(f"the end of {self.what} {event.get('index')}, which never began", event, "index")
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

    def start(self, event: dict[str, Any], content: dict[str, Any]) -> None:
        """Take a content-start and its content."""
        part = self._begin(event)
        part.kind = string_at(content, "type")
        self._add(part, content, known=("type",))

    def delta(self, event: dict[str, Any], content: dict[str, Any]) -> None:
        """Take a content-delta and its content; one that opens its block is let pass."""
        self._add(self._find(event) or self._begin(event), content)

    @staticmethod
    def _add(part: _Part, content: dict[str, Any], known: tuple[str, ...] = ()) -> None:
        for name, value in content.items():
            if name in known:
                continue
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

    def start(self, event: dict[str, Any], entry: dict[str, Any]) -> None:
        """Take a tool-call-start and its call."""
        function = object_at(entry, "function")
        part = self._begin(event)
        part.id = string_at(entry, "id") or ""
        part.kind = string_at(entry, "type")
        part.name = string_at(function, "name") or ""
        part.arguments.add(string_at(function, "arguments") or "")
        part.extra = {key: value for key, value in entry.items() if key not in ("id", "type", "function")}

    def delta(self, event: dict[str, Any], entry: dict[str, Any]) -> None:
        """Take a tool-call-delta and its call."""
        part = self._find(event)
        if part is None:
            raise wrong(f"arguments of tool call {event.get('index')}, which never began", event, "index")
        function = object_at(entry, "function")
        part.arguments.add(string_at(function, "arguments") or "")

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
