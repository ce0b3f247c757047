"""One content block of an Anthropic message, as its deltas come, and which tool call it makes.

Source: the API's "Streaming messages" and "Tool use" pages, and recorded streams. A delta belongs to the block that its
`index` names, whatever came before it. Where streams differ from the pages, the rule is the one that merges nothing:

1. Text, thinking or JSON sent to a block of another kind is an error of the stream: it must not go astray silently.
   Metadata (a signature, a citation) on a strange block is kept with that block.
2. A tool's arguments are the joined `partial_json`; where no delta brought any, the `input` that the block began with.
   Where both came and differ, the deltas count and the `input` stays in the call's `extra`.
3. A signature is the last one given, as in the provider's own libraries. Blocks, deltas and fields that are not known
   here are kept as they came.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.dialects.envelope import PADDING, TEXT, Hole, Outline
from streamkit.dialects.payloads import misplaced, optional, string_at, wrong
from streamkit.dialects.text import Text, repaired, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Block", "outline", "says_more"]

# Deltas of text: the field that holds it, and the types of block that it belongs to.
_TEXTS: dict[str, tuple[str, set[str]]] = {
    "text_delta": ("text", {"text"}),
    "thinking_delta": ("thinking", {"thinking"}),
    "input_json_delta": ("partial_json", {"tool_use", "server_tool_use", "mcp_tool_use"}),
}
# Text for one of these that is not its own is an error; a block that is not among them may take anything.
_KNOWN_BLOCKS = {"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use"}
_PADDING = ("p", "obfuscation")
_EMPTY: tuple[object, ...] = (None, "", {})
_PLAIN_ORDER = {"thinking": 0, "text": 1, "tool_use": 2}


class Block:
    """One block, as it comes.

    Attributes:
        index: the provider's index.
        type: what the block is.
        closed: its stop came.
    """

    def __init__(self, index: int, start: dict[str, Any], *, closed: bool = False) -> None:
        kind = start.get("type")
        if not isinstance(kind, str) or not kind:
            raise wrong(f"the type of a content block is {shown(kind)}, where a name belongs", start, "type")
        self.index = index
        self.type = kind
        self.closed = closed
        self._fields = {key: repaired(value) for key, value in start.items() if key != "type" and value is not None}
        self._texts: dict[str, Text] = {}
        self._citations: list[Any] = []
        self._deltas: list[Any] = []  # of types that are not known
        self._delta: dict[str, Any] = {}  # other fields of known deltas
        self._event: dict[str, Any] = {}  # other fields of the events
        self._input = ""  # the text of the input that it began with
        if kind in ("text", "thinking"):
            self._begin(kind, start)
        elif kind == "tool_use":
            for name in ("id", "name"):
                optional(start, name, str, f"the {name} of a tool call")
            given = self._fields.get("input")
            if not isinstance(given, dict | str | None):
                raise misplaced(start, "input", dict, "the input of a tool call")
            if isinstance(given, str):  # some bridges send the text of the object
                self._input = given
            elif given:
                self._input = json.dumps(given, ensure_ascii=False, separators=(",", ":"))

    @property
    def id(self) -> str | None:
        """The id that the block began with, of a tool call."""
        return self._fields.get("id") or None

    def delta(self, delta: dict[str, Any]) -> None:
        """Take a delta.

        Raises:
            PayloadError: it is of a kind that cannot belong to this block, or a field has the wrong type.
        """
        kind = delta.get("type")
        if not isinstance(kind, str):
            raise wrong(f"the type of a delta is {shown(kind)}, where a name belongs", delta, "type")
        if kind in _TEXTS:
            name, owners = _TEXTS[kind]
            if self.type in _KNOWN_BLOCKS and self.type not in owners:
                raise wrong(f"a {kind} came for block {self.index}, which is a {self.type} block", delta, "type")
            piece = delta.get(name)
            if piece is not None and not isinstance(piece, str):
                raise misplaced(delta, name, str)
            if name not in self._texts:
                self._begin(name, self._fields)
            self._texts[name].add(piece or "")
        elif kind == "signature_delta":
            name = "signature"
            if delta.get(name):
                self._fields[name] = repaired(delta[name])
        elif kind == "citations_delta":
            name = "citation"
            if delta.get(name) is not None:
                self._citations.append(repaired(delta[name]))
        else:
            self._deltas.append(repaired(delta))
            return
        for key, value in delta.items():
            if key not in ("type", name) and value is not None:
                self._delta[key] = repaired(value)

    def adder(self, kind: str) -> Callable[[str], None] | None:
        """Return what appends the texts of deltas of a type; None where they do not belong here, or are the first."""
        name, owners = _TEXTS[kind]
        if self.closed or (self.type in _KNOWN_BLOCKS and self.type not in owners) or name not in self._texts:
            return None
        return self._texts[name].adder()

    def noted(self, fields: dict[str, Any]) -> None:
        """Keep other fields of an event about this block."""
        self._event.update(repaired(fields))

    def text(self, name: str) -> str | None:
        """Return the joined text of that field, or None where the block is of another type."""
        return str(self._texts[name]) if self.type == name else None

    def entry(self) -> dict[str, Any]:
        """Return all that came, as the provider's whole message would give it, with the index.

        Joined JSON stands in `partial_json`; deltas of unknown types in `deltas`, unknown fields of known deltas in
        `delta`, of the events in `event`. Of a tool call there is only the index: the rest is in the ToolCall.
        """
        if self.type == "tool_use":
            return {"type": self.type, "index": self.index}
        made: dict[str, Any] = {"type": self.type, "index": self.index, **self._rest()}
        made.update({name: str(text) for name, text in self._texts.items() if text or self.type == name})
        return made

    def _begin(self, name: str, start: dict[str, Any]) -> None:
        """Begin the text of a field with what the block began with."""
        text = string_at(start, name, f"the {name} of a block")
        self._texts[name] = Text()
        self._texts[name].add(text or "")

    def _rest(self) -> dict[str, Any]:
        """Return all that came but its own text and its type."""
        hidden = {self.type} if self.type in ("text", "thinking") else set()
        made = {key: value for key, value in self._fields.items() if key not in hidden}
        for name in ("signature", "input"):
            if made.get(name, 0) in _EMPTY:
                made.pop(name, None)
        if self._citations:
            earlier = made.get("citations")
            made["citations"] = [*(earlier if isinstance(earlier, list) else []), *self._citations]
        for name, more in (("deltas", self._deltas), ("delta", self._delta), ("event", self._event)):
            if more:
                made[name] = more.copy()
        return made

    @property
    def plain(self) -> bool:
        """Whether there is nothing to it but its text."""
        return not self._rest()

    def call(self, trouble: str | None, empty_trouble: str | None) -> ToolCall:
        """Return the tool call.

        Args:
            trouble: why no call of the message may be executed, or None.
            empty_trouble: why no call without arguments may be executed, or None.
        """
        rest = self._rest()
        sent = rest.pop("input", None)
        arguments = str(self._texts.get("partial_json", "")) or self._input
        if self._input and _differ(arguments, sent):
            rest["input"] = sent
        name = rest.pop("name", "")
        problem = trouble
        if problem is None and not self.closed:
            problem = "its block was never closed"
        if problem is None:
            problem = "it has no name" if not name else argument_problem(arguments)
        if problem is None and not arguments.strip():
            problem = empty_trouble
        identity = rest.pop("id", None) or None
        return ToolCall(identity, name, arguments, "function", self.index, problem, rest)


def outline(payload: dict[str, Any]) -> Outline | None:
    """Return what the delta of a text means; None for what holds anything else. See `envelope`."""
    index, delta = payload.get("index"), payload.get("delta")
    if payload.get("type") != "content_block_delta" or type(index) is not int or not isinstance(delta, dict):
        return None
    kind = delta.get("type")
    if not isinstance(kind, str) or kind not in _TEXTS or not payload.keys() <= {"type", "index", "delta", *_PADDING}:
        return None
    name = _TEXTS[kind][0]
    if delta.keys() != {"type", name} or not isinstance(delta[name], str):
        return None
    padding = [Hole((key,), PADDING) for key in _PADDING if isinstance(payload.get(key), str)]
    return Outline((index, kind), (Hole(("delta", name), TEXT), *padding))


def _differ(arguments: str, sent: Any) -> bool:
    if arguments == sent:
        return False
    try:
        return bool(json.loads(arguments) != sent)
    except (ValueError, RecursionError):
        return True


def says_more(ordered: list[Block]) -> bool:
    """Say whether blocks hold more than a Choice says by its reasoning, its content and its tool calls, in that order.

    The indexes of text and of thinking say nothing more, as long as no two blocks have the same.

    Args:
        ordered: the blocks of a message, in order.
    """
    before, place = -1, -1
    for block in ordered:
        rank = _PLAIN_ORDER.get(block.type, -1)
        if rank < max(before, 0) or (rank == before and block.type != "tool_use") or block.index == place:
            return True
        if block.type != "tool_use" and not block.plain:
            return True
        before, place = rank, block.index
    return False
