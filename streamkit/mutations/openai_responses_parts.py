"""The parts of a Responses stream, as its mutations edit them: events by their type, items, and the terminal event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.mutations.expected import need
from streamkit.mutations.stream import Event, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "CALL_DELTAS", "ONLY", "REFERENCE", "TERMINAL", "calls", "deltas", "events_of", "of_type", "renumbered", "retold",
    "terminal", "told", "without",
]  # fmt: skip

ONLY = ("openai_responses",)
REFERENCE = "OpenAI API reference, Responses: streaming events"
TERMINAL = ("response.completed", "response.incomplete")
CALL_DELTAS = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")


def of_type(stream: Stream, *kinds: str) -> list[int]:
    """Return the numbers of the events of these types, up to the terminal one."""
    end = terminal(stream)
    return [n for n, payload in stream.payloads if n <= end and payload.get("type") in kinds]


def terminal(stream: Stream) -> int:
    """Return the number of the event that ends the response."""
    found = [n for n, payload in stream.payloads if payload.get("type") in TERMINAL]
    return int(need(found, "terminal event")[0])


def deltas(stream: Stream) -> list[int]:
    """Return the numbers of the events that append to a text."""
    end = terminal(stream)
    return [
        n
        for n, payload in stream.payloads
        if n < end
        and str(payload.get("type")).endswith(".delta")
        and isinstance(payload.get("delta"), str)
        and not str(payload.get("type")).startswith("response.audio")
    ]


def calls(stream: Stream) -> list[int]:
    """Return the output indexes of the calls that are announced and finished."""
    found: dict[int, list[str]] = {}
    for number in of_type(stream, "response.output_item.added", "response.output_item.done"):
        payload = stream.events[number].payload
        item, index = payload.get("item"), payload.get("output_index")
        if isinstance(item, dict) and item.get("type") in ("function_call", "custom_tool_call") and index is not None:
            found.setdefault(index, []).append(payload["type"])
    return [index for index, kinds in found.items() if len(kinds) == 2]


def events_of(stream: Stream, index: int, ending: str = "") -> list[int]:
    """Return the numbers of the events of the item at an output index whose type has that ending."""
    end = terminal(stream)
    return [
        n
        for n, payload in stream.payloads
        if n < end and payload.get("output_index") == index and str(payload.get("type")).endswith(ending)
    ]


def retold(stream: Stream, number: int, payload: dict[str, Any]) -> Event:
    """Return an event with another payload; its name is the payload's type where it had a name."""
    name = stream.events[number].name
    return Event(stream.manner.json(payload), payload["type"] if name is not None else None)


def told(stream: Stream, payload: dict[str, Any]) -> Event:
    """Return an event of this stream that holds a payload."""
    named = any(event.name is not None for event in stream.events)
    return Event(stream.manner.json(payload), payload["type"] if named else None)


def renumbered(stream: Stream, events: Sequence[Event] | None = None) -> Stream:
    """Return the stream with these events and with sequence numbers in order, where it has any."""
    edited = stream if events is None else replace(stream, events=tuple(events))
    if not any("sequence_number" in payload for _, payload in stream.payloads):
        return edited
    numbers = iter(range(len(edited.events)))

    def number(payload: Any) -> Any:
        following = next(numbers)
        return None if payload.get("sequence_number") == following else {**payload, "sequence_number": following}

    change: Callable[[Any], Any] = number
    return edited.mapped(change)


def without(stream: Stream, gone: Iterable[int]) -> Stream:
    """Return the stream without some events, its sequence numbers in order."""
    left_out = set(gone)
    return renumbered(stream, [event for number, event in enumerate(stream.events) if number not in left_out])
