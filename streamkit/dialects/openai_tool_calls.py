"""Which fragment belongs to which tool call, in the `tool_calls` of Chat Completions deltas.

The API's own rule is short: `index` names the call, the opener carries id and name, the arguments are appended.
Servers break every part of it, so the rules here are, in this order:

1. A fragment whose id is known belongs to that call, whatever its index.
2. A fragment with an index belongs to the latest call at that index, unless it opens another: it brings a different id
   together with a name, or another name after arguments have begun.
3. A fragment with neither opens a call if it brings a new id, or a name other than the open call's; else it
   continues the call that came last.

Arguments of two ids are never joined. An id is the first one given. A name that repeats itself is one name; another
piece of it is appended. Arguments `{}` followed by a real object were a placeholder. A complete object that is sent
again in full is the same object. Anything else that does not add up to one JSON object leaves the call with a
`problem`; and beside such a call one with empty arguments has a problem too, since they may have gone astray.
"""

from __future__ import annotations

import json
from typing import Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.text import Text, add_name, kept, merge_extra, pair_surrogates, shown
from streamkit.errors import PayloadError

__all__ = ["ToolCalls"]

_KNOWN = {"index", "id", "type", "function", "custom"}


class _Call:
    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id: str | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.arguments = Text()
        self.extra: dict[str, Any] = {}

    def problem(self) -> str | None:
        """Say what is wrong with the call itself, or return None."""
        if not self.name:
            return "it has no name"
        return None if self.type == "custom" else argument_problem(str(self.arguments))

    def whole(self) -> bool:
        """Whether the arguments so far are a complete JSON object."""
        text = str(self.arguments).strip()
        return text.endswith("}") and argument_problem(text) is None


class ToolCalls:
    """The tool calls of one choice, as they come."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._latest: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, entry: dict[str, Any]) -> None:
        """Take one entry of a delta's `tool_calls`.

        Raises:
            PayloadError: a field of the wrong type, or a fragment of arguments with no call to belong to.
        """
        identity = _field(entry, "id", str) or None
        index = _field(entry, "index", int)
        body = _field(entry, "function", dict) or _field(entry, "custom", dict) or {}
        name = _field(body, "name", str) or None
        arguments = body.get("arguments", body.get("input"))
        if arguments is None:
            arguments = ""
        elif isinstance(arguments, dict):  # some servers send the object itself
            arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        elif not isinstance(arguments, str):
            raise PayloadError(f"tool-call arguments are {shown(arguments)}, where a string belongs")

        kind = _field(entry, "type", str)
        call = self._find(identity, index, name)
        if call is None:
            if identity is None and name is None:
                if not arguments.strip():
                    return  # nothing that could open a call
                if index is None:
                    raise PayloadError(f"a fragment of arguments belongs to no call: {arguments[:200]!r}")
            call = _Call(index)
            self._calls.append(call)
            if index is not None:
                self._by_index[index] = call
        self._latest = call
        if identity is not None and call.id is None:
            call.id = identity
            self._by_id[identity] = call
        if kind and call.type is None:
            call.type = kind
        if entry.get("custom") and call.type is None:
            call.type = "custom"
        if name is not None:
            call.name = add_name(call.name, name)
        if arguments:
            self._add_arguments(call, arguments)
        for key, value in entry.items():
            if key not in _KNOWN and value is not None:
                merge_extra(call.extra, key, value)

    def _find(self, identity: str | None, index: int | None, name: str | None) -> _Call | None:
        if identity is not None and identity in self._by_id:
            return self._by_id[identity]
        if index is not None:
            call = self._by_index.get(index)
            if call is None:
                return None
            other_id = identity is not None and call.id is not None
            other_name = name is not None and call.name is not None and name != call.name
            if other_id and name is not None:
                return None
            if other_name and call.arguments:
                return None
            return call
        latest = self._latest
        if latest is None or identity is not None:
            return None
        if name is not None and latest.name is not None and (name != latest.name or latest.whole()):
            return None
        return latest

    @staticmethod
    def _add_arguments(call: _Call, piece: str) -> None:
        # Lengths first: joining at every such piece would be quadratic. Halves of surrogate pairs count twice.
        if call.type != "custom" and piece.lstrip()[:1] == "{":
            if len(call.arguments) == 2 and str(call.arguments) == "{}":
                call.arguments = Text()
            elif len(piece) <= len(call.arguments) <= 2 * len(piece) and str(call.arguments) == piece and call.whole():
                return
        call.arguments.add(piece)

    def build(self, trouble: str | None, empty_trouble: str | None = None) -> tuple[ToolCall, ...]:
        """Return the calls, ordered by index, those without one in order of arrival.

        Args:
            trouble: why no call of this choice may be executed, or None.
            empty_trouble: why no call with empty arguments may be executed, or None.
        """
        ordered = sorted(self._calls, key=lambda call: call.index if call.index is not None else 0)
        problems = [call.problem() for call in ordered]
        if any(problems):
            empty_trouble = "it has no arguments, and another call of the answer is broken: they may have gone astray"
        calls = []
        for call, own in zip(ordered, problems, strict=True):
            arguments = str(call.arguments)
            problem = trouble or own or (None if arguments.strip() else empty_trouble)
            name, kind = pair_surrogates(call.name or ""), call.type or "function"
            calls.append(ToolCall(call.id, name, arguments, kind, call.index, problem, kept(call.extra)))
        return tuple(calls)


def _field(entry: dict[str, Any], name: str, kind: type) -> Any:
    value = entry.get(name)
    if value is not None and type(value) is not kind:
        raise PayloadError(f"tool-call field {name!r} is {shown(value)}, where {_NAMES[kind]} belongs")
    return value


_NAMES = {str: "a string", int: "a whole number", dict: "an object"}
