"""What a counterexample says of its mutations: what was changed, where it has been seen, and what is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.mutations.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamkit.mutations.registry import Edit, Step

__all__ = ["mutation_lines"]

_SHOWN = 3  # events of each side
_LONGEST = 150  # characters of one event
_AROUND = 40  # of them before the first difference
_SOURCES = 4


def mutation_lines(steps: Sequence[Step], edits: Sequence[Edit]) -> Iterator[str]:
    """Yield the lines that explain the mutations of a case.

    Args:
        steps: the mutations.
        edits: what each of them did.
    """
    for number, (step, edit) in enumerate(zip(steps, edits, strict=True)):
        yield f"mutation    {step} ({step.mutation.kind}): {step.mutation.does}"
        yield f"  changed   {edit.said}"
        # Of a later mutation, the stream before it is not the recorded one.
        old = _events(Stream.of(edit.stream.transcript, edit.stream.dialect), edit.before) if number == 0 else []
        new = _events(edit.stream, edit.after)
        start = _first_difference(old, new)
        yield from (f"  before    {_window(line, start)}" for line in old[:_SHOWN])
        yield from (f"  after     {_window(line, start)}" for line in new[:_SHOWN])
        more = max(len(old), len(new)) - _SHOWN
        if more > 0:
            yield f"            ... and {more} more event{'s' if more > 1 else ''}"
        yield f"  right     {step.mutation.right}"
        sources = step.mutation.sources
        if sources:
            others = f" and {len(sources) - _SOURCES} more" if len(sources) > _SOURCES else ""
            yield f"  seen in   {', '.join(sources[:_SOURCES])}{others}"


def _events(stream: Stream, numbers: Sequence[int]) -> list[str]:
    lines = []
    for number in numbers:
        if 0 <= number < len(stream.events):
            event = stream.events[number]
            binary = stream.manner.wire == "eventstream" and event.data is not None
            head = stream.head if number == 0 else b""
            text = f"[{event.name}] {event.data}" if binary else _text(head + stream.write(event))
            lines.append("".join(_shown(character) for character in text))
    return lines


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").rstrip("\r\n")


def _shown(character: str) -> str:
    """Return a character as a terminal can show it without being moved by it."""
    if character.isprintable() and character not in "\u2028\u2029\x85":
        return character
    return {"\r": "\\r", "\n": "\\n", "\t": "\\t"}.get(character) or ascii(character)[1:-1]


def _first_difference(old: Sequence[str], new: Sequence[str]) -> int:
    """Return the place in a line up to which all events before and after begin alike; 0 where one side is missing."""
    if not old or not new:
        return 0
    lines = [*old, *new]
    first, last = min(lines), max(lines)  # what these two begin with, all do
    return next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def _window(line: str, start: int) -> str:
    first = max(0, start - _AROUND)
    text = line[first : first + _LONGEST]
    return ("..." if first else "") + text + ("..." if first + _LONGEST < len(line) else "")
