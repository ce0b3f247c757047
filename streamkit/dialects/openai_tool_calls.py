"""Which fragment belongs to which tool call, in the `tool_calls` of Chat Completions deltas.

The API's own rule is short: `index` names the call, the opener carries id and name, the arguments are appended.
Servers break every part of it, so the rules here are, in this order:

1. A fragment whose id is known belongs to that call, whatever its index.
2. A fragment with an index belongs to the latest call at that index, unless it opens another: it brings a different id
   together with a name (servers that give all calls one index), or another name after arguments have begun.
3. A fragment with neither opens a call if it brings a new id. Without a name it continues the call that came last.
   Where the last call has an id, openers bring ids, so that a name alone is none: it belongs to the last call if that
   has no name yet, or the same; else to the one unfinished call that has just this name; else it is another piece of
   the last call's name, if no arguments of that have come. In all other cases a name opens a call, but for the name of
   the last call while its arguments are not whole.
4. A name, or a piece of one, that by these rules belongs to a call while another is waiting for the same is an error:
   nobody can know whose it is.

So a fresh id on a fragment without a name continues the call at its index (the first id stays), and without an index
it opens a call that never gets a name. A name that repeats itself is one name; another piece of it is appended, as
long as no arguments have come; a name that comes late is the name.

Arguments of two ids are never joined. An empty object before a real one was a placeholder, with any white space
between them. A complete object that is sent again in full is the same object. Anything else that does not add up to
one JSON object leaves the call with a `problem`.

A call without arguments is one that nobody can tell from a call whose arguments went astray, so it has a `problem` too
where something speaks for the latter: another call of the answer is broken; or it has neither id nor index, and the
next call, which may have brought the rest of its name, has neither as well (that one is in doubt for the same reason).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.payloads import optional, wrong
from streamkit.dialects.state import duplicate_fields
from streamkit.dialects.text import Text, add_name, kept, merge_extra, pair_surrogates, shown
from streamkit.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ToolCalls", "without_placeholder"]

_KNOWN = {"index", "id", "type", "function", "custom"}
_PLACEHOLDER = re.compile(r"(?:[ \t\r\n]*\{[ \t\r\n]*\})+(?=[ \t\r\n]*\{)")
_MOST_PLACEHOLDER = 16  # characters by which a placeholder may lengthen arguments that are then sent twice
_ASTRAY = "it has no arguments, and another call of the answer is broken: they may have gone astray"
_IN_PIECES = "it has neither id nor index: its name and that of the call beside it may be pieces of one name"


def without_placeholder(arguments: str) -> str:
    """Return arguments without the empty objects that some servers send before the real one."""
    if arguments.count("{") < 2:
        return arguments
    found = _PLACEHOLDER.match(arguments)
    return arguments if found is None else arguments[found.end() :]


class _Call:
    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id: str | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.arguments = Text()
        self.extra: dict[str, Any] = {}
        self.doubt: str | None = None  # why it is not executed as it is
        self.empty_doubt: str | None = None  # why it is not executed if no arguments come

    def copy(self) -> _Call:
        """Return a copy."""
        made = object.__new__(_Call)
        made.__dict__.update(self.__dict__)
        made.arguments, made.extra = self.arguments.copy(), duplicate_fields(self.extra, {})
        return made

    @property
    def text(self) -> str:
        """The arguments so far."""
        text = str(self.arguments)
        return text if self.type == "custom" else without_placeholder(text)

    def problem(self) -> str | None:
        """Say what is wrong with the call itself, or return None."""
        if not self.name:
            return "it has no name"
        return None if self.type == "custom" else argument_problem(self.text)

    def whole(self) -> bool:
        """Whether the arguments so far are a complete JSON object."""
        text = self.text.strip()
        return text.endswith("}") and argument_problem(text) is None

    def add(self, piece: str) -> None:
        """Append arguments, unless they are all of them once more."""
        # Lengths first: joining at every such piece would be quadratic. Halves of surrogate pairs count twice.
        if self.type != "custom" and piece.lstrip()[:1] == "{":
            most = 2 * len(piece) + _MOST_PLACEHOLDER
            if len(piece) <= len(self.arguments) <= most and self.text == piece and self.whole():
                return
        self.arguments.add(piece)


class ToolCalls:
    """The tool calls of one choice, as they come."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._latest: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def copy(self) -> ToolCalls:
        """Return a copy: by hand, for it is the most of what copying a reader costs."""
        made = object.__new__(ToolCalls)
        copies = {call: call.copy() for call in self._calls}
        made._calls = list(copies.values())
        made._by_id = {identity: copies[call] for identity, call in self._by_id.items()}
        made._by_index = {index: copies[call] for index, call in self._by_index.items()}
        made._latest = None if self._latest is None else copies[self._latest]
        return made

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
            key = "arguments" if "arguments" in body else "input"
            raise wrong(f"tool-call arguments are {shown(arguments)}, where a string belongs", body, key)

        kind = _field(entry, "type", str)
        call = self._find(identity, index, name)
        if call is None:
            if identity is None and name is None:
                if not arguments.strip():
                    return  # nothing that could open a call
                if index is None:
                    raise wrong(f"a fragment of arguments belongs to no call: {arguments[:200]!r}", entry)
            call = self._open(index, identity)
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
            call.add(arguments)
        for key, value in entry.items():
            if key not in _KNOWN and value is not None:
                merge_extra(call.extra, key, value)

    def taker(
        self, identity: str | None, index: int | None, name: str | None, kind: str | None
    ) -> Callable[[str], object] | None:
        """Return what takes fragments of arguments that name their call so; None where they do more than add them.

        Which call that is, does not depend on what such fragments change: their call may be the latest, or have
        arguments, but those who ask for these are refused.
        """
        if index is None and identity not in self._by_id:
            return None  # that of the latest call
        try:
            call = self._find(identity, index, name)
        except PayloadError:
            return None
        if call is None or (identity is not None and call.id is None) or (kind is not None and call.type is None):
            return None
        if name is not None and name != call.name:
            return None
        found = call

        def take(arguments: str) -> None:
            self._latest = found
            if arguments:
                found.add(arguments)

        return take

    def _find(self, identity: str | None, index: int | None, name: str | None) -> _Call | None:
        if identity is not None and identity in self._by_id:
            return self._by_id[identity]
        if index is not None:
            return self._at(index, identity, name)
        latest = self._latest
        if latest is None or identity is not None:
            return None
        if name is None:
            return latest
        if latest.name is None:
            self._refuse_doubt(latest, name, [call for call in self._calls if call.name is None])
            return latest
        if name == latest.name:
            return None if latest.id is None and latest.whole() else latest
        return self._named(latest, name) if latest.id is not None else None

    def _at(self, index: int, identity: str | None, name: str | None) -> _Call | None:
        """Return the call at an index, or None where a fragment opens another there."""
        call = self._by_index.get(index)
        if call is None or name is None:
            return call
        if identity is not None and call.id is not None:
            return None
        if call.name is not None and name != call.name:
            if call.arguments:
                return None
            if identity is None:
                self._refuse_doubt(call, name, [one for one in self._calls if one.index == index and not one.arguments])
        return call

    def _named(self, latest: _Call, name: str) -> _Call | None:
        """Return the call that a fragment with neither id nor index names, where openers bring ids."""
        alike = [call for call in self._calls if call.name == name and not call.whole()]
        if len(alike) == 1:
            return alike[0]
        if alike or latest.arguments:
            return None
        self._refuse_doubt(latest, name, [call for call in self._calls if not call.arguments])
        return latest

    @staticmethod
    def _refuse_doubt(call: _Call, name: str | None, waiting: list[_Call]) -> None:
        """Raise PayloadError where other calls than the one it is given to may be waiting for a name, or a piece."""
        if any(other is not call for other in waiting):
            raise PayloadError(f"the name {(name or '')[:200]!r} may belong to any of several calls")

    def _open(self, index: int | None, identity: str | None) -> _Call:
        call = _Call(index)
        if index is not None:
            self._by_index[index] = call
        elif identity is None and self._latest is not None and not self._latest.arguments:
            self._latest.empty_doubt = call.doubt = _IN_PIECES
        self._calls.append(call)
        return call

    def build(self, trouble: str | None, empty_trouble: str | None = None) -> tuple[ToolCall, ...]:
        """Return the calls, ordered by index, those without one in order of arrival.

        Args:
            trouble: why no call of this choice may be executed, or None.
            empty_trouble: why no call with empty arguments may be executed, or None.
        """
        ordered = sorted(self._calls, key=lambda call: call.index if call.index is not None else 0)
        problems = [call.problem() for call in ordered]
        if any(problems):
            empty_trouble = _ASTRAY
        calls = []
        for call, own in zip(ordered, problems, strict=True):
            arguments = call.text
            problem = trouble or own or call.doubt
            if problem is None and not arguments.strip():
                problem = empty_trouble or call.empty_doubt
            name, kind = pair_surrogates(call.name or ""), call.type or "function"
            calls.append(ToolCall(call.id, name, arguments, kind, call.index, problem, kept(call.extra)))
        return tuple(calls)


def _field(holder: dict[str, Any], key: str, kind: type) -> Any:
    return optional(holder, key, kind, f"tool-call field {key!r}")
