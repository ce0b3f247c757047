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
_READ = 4000  # characters of one event that are looked at
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
        before = edits[number - 1].stream if number else Stream.of(edit.stream.transcript, edit.stream.dialect)
        old, new = _concerned(before, edit.stream)
        more = max(len(old), len(new)) - _SHOWN
        old, new = _shown_of(old), _shown_of(new)
        start = _first_difference(old, new)
        yield from (f"  before    {_window(line, start)}" for line in old)
        yield from (f"  after     {_window(line, start)}" for line in new)
        if more > 0:
            yield f"            ... and {more} more event{'s' if more > 1 else ''}"
        yield f"  right     {step.mutation.right}"
        sources = step.mutation.sources
        if sources:
            others = f" and {len(sources) - _SOURCES} more" if len(sources) > _SOURCES else ""
            yield f"  seen in   {', '.join(sources[:_SOURCES])}{others}"


def _concerned(before: Stream, after: Stream) -> tuple[list[str], list[str]]:
    """Return the events in which two streams differ, as lines: from the first that differs to the last."""
    old, new = _events(before), _events(after)
    shared = min(len(old), len(new))
    first = next((n for n in range(shared) if old[n] != new[n]), shared)
    last = next((n for n in range(shared - first) if old[-1 - n] != new[-1 - n]), shared - first)
    return old[first : len(old) - last], new[first : len(new) - last]


def _events(stream: Stream) -> list[str]:
    """Return the events as texts, and what follows the last one."""
    lines = []
    for number, event in enumerate(stream.events):
        binary = stream.manner.wire == "eventstream" and event.data is not None
        head = stream.head if number == 0 else b""
        lines.append(f"[{event.name}] {event.data}" if binary else _text(head + stream.write(event)))
    if stream.tail:
        lines.append(_text(stream.tail, whole=True))
    return lines


def _shown_of(lines: list[str]) -> list[str]:
    """Return the first lines, as a terminal can show them."""
    return ["".join(map(_shown, line[:_READ])) for line in lines[:_SHOWN]]


def _text(raw: bytes, *, whole: bool = False) -> str:
    text = raw.decode("utf-8", "backslashreplace")
    return text if whole else text.rstrip("\r\n") or text


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
