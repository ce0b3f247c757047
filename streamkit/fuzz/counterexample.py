"""Counterexample: the smallest delivery on which the code under test is wrong, and everything one needs to see why."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.mutation_text import mutation_lines
from streamkit.fuzz.normal import ABSENT, NAN, differences, jsonable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streamkit.case import Case
    from streamkit.fuzz.outcome import Outcome
    from streamkit.fuzz.targets import Target
    from streamkit.mutations.registry import Edit
    from streamkit.wire.fragmentation import Fragmentation

__all__ = ["Counterexample", "headline", "hexdump"]

_MAX_DIFFERENCES = 6
_MAX_MARKS = 6
_AROUND = 32  # characters of text on each side of the first difference


@dataclass(frozen=True)
class Counterexample:
    """One finding.

    Attributes:
        target: the code under test.
        case: the minimal delivery.
        oracle: "invariance", "reference" or "contract".
        class_: the class of what was done to the stream: "preserving" for cuts, "recorded" where nothing was.
        expected: what should have come back.
        actual: what did.
        headline: what is wrong, in one line.
        found_by: the phase that found it.
        single_cuts: of the single cuts tried, how many fail, by boundary class; empty where that was not looked at.
        swept: how many single cuts were tried.
        notes: further facts, a line each.
        returns, time_limit: the options with which it was found.
        edits: what each mutation of the case did.
        cases: deliveries that the campaign had made when this was found and minimal.
    """

    target: Target
    case: Case
    oracle: str
    class_: str
    expected: Outcome
    actual: Outcome
    headline: str
    found_by: str = ""
    single_cuts: Mapping[str, int] = field(default_factory=dict)
    swept: int = 0
    notes: tuple[str, ...] = ()
    returns: str = "message"
    time_limit: float = 10.0
    edits: tuple[Edit, ...] = ()
    cases: int = 0

    @property
    def token(self) -> str:
        """The text that repeats the case."""
        return str(self.case.token)

    @property
    def boundaries(self) -> list[str]:
        """The boundary class of each cut, in its text form."""
        kinds = self.case.fragmentation.classify(self.case.body)
        return ["end" if kind is None else str(kind) for kind in kinds]

    @property
    def rerun(self) -> str:
        """How to run the case again."""
        how = self.target.command
        plain = how is not None and not (how.cwd or how.env)
        if (self.target.importable or plain) and self.case.transcript.name:
            options = "" if self.returns == "message" else f" --returns {self.returns}"
            options += "" if self.time_limit == 10 else f" --time-limit {self.time_limit:g}"
            named = f"--command {shlex.quote(self.target.name)}" if plain else self.target.name
            return f"streamkit fuzz {named}{options} --replay '{self.token}'"
        return self.rerun_python

    @property
    def rerun_python(self) -> str:
        """The same as a line of Python."""
        target = f'"{self.target.name}"' if self.target.importable else "target"
        if self.target.command is not None:
            target = self.target.command.python
        transcript = "" if self.case.transcript.name else ", transcript"
        options = "" if self.returns == "message" else f', returns="{self.returns}"'
        options += "" if self.time_limit == 10 else f", time_limit={self.time_limit:g}"
        return f'streamkit.check({target}{transcript}{options}, replay="{self.token}")'

    def to_json(self) -> dict[str, Any]:
        """Return the finding for the result JSON."""
        return {
            "transcript": self.case.transcript.name,
            "oracle": self.oracle,
            "class": self.class_,
            "cuts": list(self.case.fragmentation.cuts),
            "rewrites": [step.mutation.name for step in self.case.steps],
            "expected": self.expected.to_json(),
            "actual": self.actual.to_json(),
            "token": self.token,
            "boundaries": self.boundaries,
            "headline": self.headline,
            "changed": [edit.said for edit in self.edits],
            "differences": [
                {"path": path, "expected": _json_side(old), "actual": _json_side(new)}
                for path, old, new in self._differences(_MAX_DIFFERENCES)
            ],
            "single_cuts": dict(self.single_cuts),
            "swept": self.swept,
            "notes": list(self.notes),
        }

    def _differences(self, most: int) -> Iterator[tuple[str, Any, Any]]:
        if self.expected.returned and self.actual.returned:
            for count, difference in enumerate(differences(self.expected.value, self.actual.value)):
                if count == most:
                    return
                yield difference

    def lines(self) -> list[str]:
        """Return all of it as lines of plain text; the first says what differs, the last how to run it again."""
        case = self.case
        name = case.transcript.name or "(a transcript made in code)"
        out = [
            self.headline,
            f"  target      {self.target.name}",
            f"  transcript  {name}, {len(case.transcript.body)} bytes",
        ]
        out.append(f"  oracle      {self.oracle}")
        out.extend(f"  {line}" for line in mutation_lines(case.steps, self.edits))
        out.append(f"  cuts        {_shorten(str(case.fragmentation), 90)}")
        out.extend(f"  {line}" for line in self._difference_lines())
        few = not case.steps or len(case.fragmentation.cuts) <= _MAX_MARKS
        marks = hexdump(case.body, case.fragmentation.cuts) if few else []
        if marks:
            out.append("")
            out.extend(f"  {line}" for line in marks)
        if self.single_cuts:
            total = sum(self.single_cuts.values())
            where = ", ".join(f"{count} {kind}" for kind, count in self.single_cuts.items())
            out.append(f"  of {self.swept} single cuts, {total} fail: {where}")
        out.extend(f"  {note}" for note in self.notes)
        if self.rerun != self.rerun_python:
            out.append(f"  in Python:  {self.rerun_python}")
        out.append(f"  run again:  {self.rerun}")
        return out

    def brief(self) -> str:
        """Return what differs, where it is cut, and how to rerun: the message of a failing test."""
        cuts = _shorten(str(self.case.fragmentation), 90)
        name = self.case.transcript.name or "(a transcript made in code)"
        out = [self.headline, f"{self.target.name} on {name}, cuts: {cuts}"]
        out.extend(f"  {step}: {edit.said}" for step, edit in zip(self.case.steps, self.edits, strict=True))
        out.extend(f"  {line}" for line in self._difference_lines())
        out.append(f"run again: {self.rerun}")
        return "\n".join(out)

    def first_difference(self) -> tuple[str, str, str]:
        """Return where the outcomes differ first ("" for all of it), and in short what is there in each."""
        due = self.expected.value if self.oracle == "contract" and self.expected.returned else None
        told = due if isinstance(due, str) else self.expected.describe()
        for path, old, new in self._differences(1):
            expected, actual = _sides(old, new)
            return path, told if isinstance(due, str) else expected, actual
        return "", told, self.actual.describe()

    def _difference_lines(self) -> Iterator[str]:
        if not (self.expected.returned and self.actual.returned):
            at = f" (raised at {self.actual.where})" if self.actual.where else ""
            _, expected, actual = self.first_difference()
            yield f"expected    {expected}"
            yield f"actual      {actual}{at}"
            return
        listed = list(self._differences(_MAX_DIFFERENCES + 1))
        for path, old, new in listed[:_MAX_DIFFERENCES]:
            before, after = _sides(old, new)
            yield f"at          {path or 'the result'}"
            yield f"  expected  {before}"
            yield f"  actual    {after}"
        if len(listed) > _MAX_DIFFERENCES:
            yield "and further differences"

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _json_side(value: Any) -> Any:
    return {"$absent": True} if value is ABSENT else jsonable(value)


def _sides(old: Any, new: Any) -> tuple[str, str]:
    """Return both sides as text; of long texts the part around the first difference."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return _shorten(_show(old), 200), _shorten(_show(new), 200)
    first = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return _window(old, first), _window(new, first)


def _show(value: Any) -> str:
    return "nan" if value is NAN else repr(value)


def _window(text: str, first: int) -> str:
    start, stop = max(0, first - _AROUND), first + _AROUND
    shown = (
        ascii(text[start:stop]) if any("\ud800" <= c <= "\udfff" for c in text[start:stop]) else repr(text[start:stop])
    )
    return ("..." if start else "") + shown + ("..." if stop < len(text) else "")


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def headline(fragmentation: Fragmentation, body: bytes, expected: Outcome, actual: Outcome) -> str:
    """Say in one line what a delivery does to a target."""
    kinds = fragmentation.classify(body)
    if not kinds:
        place = "the body in one chunk"
    elif len(kinds) == 1:
        place = f"a cut {kinds[0].meaning}" if kinds[0] is not None else "an empty chunk"
    else:
        place = f"{len(kinds)} cuts ({', '.join(str(kind) for kind in kinds[:4])}{', ...' if len(kinds) > 4 else ''})"
    if not actual.returned:
        return f"{place} {'makes' if len(kinds) < 2 else 'make'} the target {actual.deed}"
    verb = "changes" if len(kinds) < 2 else "change"
    if expected.error:
        return f"{place} {verb} the outcome: an error is expected and a result comes back"
    return f"{place} {verb} the result"


def hexdump(body: bytes, cuts: tuple[int, ...]) -> list[str]:
    """Return the bytes around each of the first cuts, 16 a row, with `|` at every cut, and what kind of place it is."""
    from streamkit.wire.boundaries import boundaries

    where = boundaries(body)
    out: list[str] = []
    shown: set[int] = set()
    for cut in cuts[:_MAX_MARKS]:
        kind = where.at(cut)
        out.append(f"cut at {cut}, {kind.meaning if kind is not None else 'at an end of the body: an empty chunk'}")
        for row in sorted({max(0, cut - 1) // 16, min(cut, max(0, len(body) - 1)) // 16}):
            if row not in shown:
                shown.add(row)
                out.append(_row(body, row * 16, set(cuts)))
    if len(cuts) > _MAX_MARKS:
        out.append(f"... and {len(cuts) - _MAX_MARKS} more cuts")
    return out


def _row(body: bytes, start: int, cuts: set[int]) -> str:
    digits, text = "", ""
    for offset in range(start, start + 16):
        mark = "|" if offset in cuts and offset <= len(body) else " "
        if offset < len(body):
            byte = body[offset]
            digits += f"{mark}{byte:02x}"
            text += ("|" if mark == "|" else "") + (chr(byte) if 32 <= byte < 127 else ".")
        else:
            digits += f"{mark}  " if mark == "|" else "   "
    end = "|" if start + 16 in cuts else " "
    return f"{start:08x} {digits}{end}  {text}"
