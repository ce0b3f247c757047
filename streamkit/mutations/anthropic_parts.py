"""The parts of a Messages stream, as its mutations edit them: blocks, deltas, events by their type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streamkit.dialects.anthropic_accumulator import stop_problem
from streamkit.mutations.expected import need
from streamkit.mutations.stream import Event, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Choice

__all__ = [
    "DOCS",
    "ONLY",
    "STOPS",
    "TEXTS",
    "Block",
    "blocks_of",
    "event_of",
    "message_of",
    "of_type",
    "ordered",
    "payload_of",
    "pieces_of",
    "rewritten",
    "stopped",
    "without",
]

DOCS = "platform.claude.com: Streaming messages"
STOPS = "platform.claude.com: Handling stop reasons"
ONLY = ("anthropic_messages",)
TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


@dataclass(frozen=True)
class Block:
    """Where a block stands: the numbers of its events, and what it began with."""

    index: int
    start: int
    deltas: tuple[int, ...]
    stop: int
    content: dict[str, Any]

    @property
    def is_call(self) -> bool:
        """Whether it is a call of the client's own tools."""
        return self.content.get("type") == "tool_use"


def message_of(stream: Stream) -> list[tuple[int, dict[str, Any]]]:
    """Return the payloads up to the first message_stop; what follows it is nobody's."""
    found = []
    for number, payload in stream.payloads:
        found.append((number, payload))
        if payload.get("type") == "message_stop":
            break
    return found


def blocks_of(stream: Stream) -> list[Block]:
    """Return the blocks that are opened and closed, and closed for good, in order of their stops."""
    starts: dict[Any, tuple[int, dict[str, Any], list[int]]] = {}
    found, late = [], set()
    for number, payload in message_of(stream):
        kind, index = payload.get("type"), payload.get("index")
        if type(index) is not int:
            continue
        if kind == "content_block_start" and isinstance(payload.get("content_block"), dict):
            starts[index] = (number, payload["content_block"], [])
        elif kind == "content_block_delta" and index in starts:
            starts[index][2].append(number)
        elif kind == "content_block_delta":
            late.add(index)
        elif kind == "content_block_stop" and index in starts:
            start, content, deltas = starts.pop(index)
            found.append(Block(index, start, tuple(deltas), number, content))
    return [block for block in found if block.index not in late]


def of_type(stream: Stream, kind: str) -> list[int]:
    """Return the numbers of the events of a type; raise Inapplicable where there is none."""
    return need([n for n, payload in message_of(stream) if payload.get("type") == kind], kind)


def payload_of(stream: Stream, number: int) -> dict[str, Any]:
    """Return the payload of an event that has one."""
    payload: dict[str, Any] = stream.events[number].payload
    return payload


def event_of(stream: Stream, payload: dict[str, Any]) -> Event:
    """Return an event with a payload, named as this stream names its events."""
    named = any(event.name is not None and event.name == (event.payload or {}).get("type") for event in stream.events)
    return Event(stream.manner.json(payload), payload["type"] if named else None)


def rewritten(stream: Stream, number: int, payload: dict[str, Any]) -> Stream:
    """Return the stream with another payload in an event."""
    return stream.replaced(number, stream.events[number].with_data(stream.manner.json(payload)))


def without(stream: Stream, numbers: set[int]) -> Stream:
    """Return the stream without some events."""
    return replace(stream, events=tuple(event for n, event in enumerate(stream.events) if n not in numbers))


def ordered(stream: Stream, start: int, order: list[int]) -> Stream:
    """Return the stream with the events from `start` on in another order, as far as the order goes."""
    moved = tuple(stream.events[number] for number in order)
    return replace(stream, events=(*stream.events[:start], *moved, *stream.events[start + len(order) :]))


def pieces_of(stream: Stream) -> list[tuple[int, str, str]]:
    """Return the deltas of text, thinking and arguments that hold nothing else: (event, field, text)."""
    found = []
    for number, payload in message_of(stream):
        delta = payload.get("delta")
        if payload.get("type") == "content_block_delta" and isinstance(delta, dict) and len(payload) == 3:
            name = TEXTS.get(str(delta.get("type")))
            if name is not None and len(delta) == 2 and isinstance(delta.get(name), str):
                found.append((number, name, delta[name]))
    return found


def stopped(reason: str) -> Callable[[Choice], Choice]:
    """Return what another stop reason, one after which no tool is run, makes of a choice."""

    def change(choice: Choice) -> Choice:
        calls = tuple(replace(call, problem=stop_problem(reason)) for call in choice.tool_calls)
        return replace(choice, finish_reason=reason, tool_calls=calls)

    return change
