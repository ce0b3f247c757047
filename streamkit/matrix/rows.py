"""Rows: what one client did over all its transcripts, the worst of each mutation and how many of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from shlex import quote
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.mutating import OUTCOMES
from streamkit.matrix.cells import BAD, INAPPLICABLE, UNTRIED, Cell, Part, worse
from streamkit.matrix.plan import PLAIN
from streamkit.mutations.registry import Class, get

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamkit.matrix.plan import Client

__all__ = ["Row", "Summed"]

_BARRED = "what it was applied to is wrong as recorded"


@dataclass(frozen=True)
class Summed:
    """What a client did on one mutation (or "recorded", or "cuts") over its transcripts.

    Attributes:
        worst: the worst cell.
        by_transcript: the cell of each transcript to which it was applied.
        judgement: what a person has said of it; "" where nobody has.
    """

    worst: Cell
    by_transcript: dict[str, Cell] = field(default_factory=dict)
    judgement: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """How many transcripts led to each outcome, from bad to good."""
        found = Counter(cell.outcome for cell in self.by_transcript.values())
        return {name: found[name] for name in reversed(OUTCOMES) if found[name]}

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        told: dict[str, Any] = self.worst.to_json()
        if self.by_transcript:
            told["counts"] = self.counts
            told["transcripts"] = {name: cell.to_json() for name, cell in self.by_transcript.items()}
        if self.judgement:
            told["judgement"] = self.judgement
        return told


@dataclass
class Row:
    """What one client did.

    Attributes:
        client: which.
        asked: names of the mutations that the matrix applies.
        version: of the client, as it was told.
        parts: one for each transcript that was delivered, as far as that came.
        problem: why the client could not be driven, or not to the end; "" where it could.
        interrupted: it was stopped before its end.
        seconds: how long it took.
    """

    client: Client
    asked: Sequence[str] = ()
    version: str = ""
    parts: list[Part] = field(default_factory=list)
    problem: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The client's name."""
        return self.client.name

    @property
    def cases(self) -> int:
        """Deliveries made."""
        return sum(part.cases for part in self.parts)

    def recorded(self) -> Summed:
        """Return what it did on the recorded deliveries."""
        return self._sum("recorded", {part.transcript: part.recorded for part in self.parts})

    def cuts(self) -> Summed:
        """Return what it did on cuts."""
        return self._sum("cuts", {part.transcript: part.cuts for part in self.parts})

    def mutation(self, name: str) -> Summed:
        """Return what it did on a mutation."""
        found = {part.transcript: part.mutations[name] for part in self.parts if name in part.mutations}
        if found or not self.parts:
            return self._sum(name, found)
        reasons = [part.inapplicable[name] for part in self.parts if name in part.inapplicable]
        if any(name in part.barred for part in self.parts):
            return Summed(Cell(UNTRIED, message=_BARRED))
        if reasons:
            return Summed(Cell(INAPPLICABLE, message=reasons[0]))
        known = get(name).dialects
        if known and not any(part.dialect in known for part in self.parts):
            return Summed(Cell(INAPPLICABLE, message=f"it knows {', '.join(known)}"))
        return Summed(Cell(UNTRIED))

    def _sum(self, name: str, cells: dict[str, Cell]) -> Summed:
        tried = {transcript: cell for transcript, cell in cells.items() if cell.outcome != UNTRIED}
        worst = reduce(worse, tried.values(), Cell(UNTRIED))
        note = self.client.notes.get(name, "") if worst.outcome in BAD else ""
        return Summed(worst, tried, note)

    def everything(self) -> Iterator[tuple[str, str, Summed]]:
        """Yield the name, the class ("recorded" and "cuts" are their own) and the cell of all that was asked for."""
        yield "recorded", "recorded", self.recorded()
        yield "cuts", "cuts", self.cuts()
        for name in self.asked:
            yield name, str(get(name).kind), self.mutation(name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how often each outcome is the worst, by class; of "recorded" and "cuts", on how many transcripts."""
        found: dict[str, dict[str, int]] = {}
        for plain, told in zip(PLAIN, (self.recorded(), self.cuts()), strict=True):
            found[plain] = {name: told.counts.get(name, 0) for name in OUTCOMES}
        for kind in Class:
            worst = Counter(self.mutation(name).worst.outcome for name in self.asked if get(name).kind is kind)
            found[str(kind)] = {name: worst[name] for name in OUTCOMES}
        return found

    def unneeded(self) -> list[str]:
        """Return the names of notes on what was tried and went well: they may be taken out of the file."""
        asked = (*PLAIN, *self.asked)
        told = {name: summed.worst.outcome for name, _, summed in self.everything()}
        return [name for name in self.client.notes if name in asked and told[name] in ("same", "typed error")]

    def rerun(self, token: str) -> str:
        """Return the command that repeats a cell, in the client's folder."""
        client = self.client
        what = f"--command {quote(client.command)}" if client.command else client.target
        options = "" if client.returns == "message" else f" --returns {client.returns}"
        options += "" if client.time_limit in (None, 10) else f" --time-limit {client.time_limit:g}"
        return f"streamkit fuzz {what}{options} --replay {quote(token)}"

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        client = self.client
        return {
            "client": self.name,
            "version": self.version,
            **({"command": client.command} if client.command else {"target": client.target}),
            "cwd": client.cwd.as_posix(),
            "dialect": client.dialect,
            "problem": self.problem,
            "interrupted": self.interrupted,
            "cases": self.cases,
            "seconds": self.seconds,
            "counts": self.counts(),
            "recorded": self.recorded().to_json(),
            "cuts": {
                **self.cuts().to_json(),
                "single_cuts": {
                    part.transcript: dict(zip(("tried", "of"), part.cuts_tried, strict=True)) for part in self.parts
                },
            },
            "mutations": {
                name: {"class": str(get(name).kind), "layer": str(get(name).layer), **self.mutation(name).to_json()}
                for name in self.asked
            },
            "notes": {part.transcript: part.notes for part in self.parts if part.notes},
            "unneeded_judgements": self.unneeded(),
        }
