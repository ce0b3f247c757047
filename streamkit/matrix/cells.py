"""Cells: what one client did on one transcript, taken from the report of a campaign.

Nothing is judged here. The campaign says what the worst outcome of each mutation was; a cell holds it with the error,
if there was one, what differs in short, and a token that repeats it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.judge import is_typed
from streamkit.fuzz.mutating import OUTCOMES
from streamkit.fuzz.protocol import EXIT, GARBAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamkit.fuzz.counterexample import Counterexample
    from streamkit.fuzz.outcome import Outcome
    from streamkit.fuzz.report import Report

__all__ = ["BAD", "INAPPLICABLE", "UNTRIED", "Cell", "Part", "outcome_of", "part_of", "worse"]

UNTRIED = "not tried"
INAPPLICABLE = "inapplicable"
#: The outcomes that are wrong, from bad to worst.
BAD = OUTCOMES[OUTCOMES.index("error") :]
_ORDER = (UNTRIED, INAPPLICABLE, *OUTCOMES)
#: What the program that drives a client did instead of answering; as an outcome it is a crash.
_FAULTS = {EXIT: "exit", GARBAGE: "garbage"}
_MOST = 200  # characters of an error's text


@dataclass(frozen=True)
class Cell:
    """What a client did on one mutation of a transcript, on it as it was recorded, or on its cuts.

    Attributes:
        outcome: "same", "typed error", "error" (a typed one, where a result was due), "crash" (by a slip of the parser,
            such as KeyError), "hang", "silent difference", "inapplicable" or "not tried".
        error: the error's class, where there was one.
        message: its text, or what is wrong in one line.
        token: repeats it; "" where nothing is to be repeated.
        at: where in the result the first difference is; "" for all of it.
        expected, actual: what should be there, and what is, in short.
    """

    outcome: str
    error: str = ""
    message: str = ""
    token: str = ""
    at: str = ""
    expected: str = ""
    actual: str = ""

    @property
    def told(self) -> str:
        """The outcome in a few words, with the error's class."""
        return f"{self.outcome} ({self.error})" if self.error else self.outcome

    @property
    def kind(self) -> str:
        """The outcome; "exit" where the program that drives the client ended, "garbage" where it gave no answer."""
        return _FAULTS.get(self.error, self.outcome) if self.outcome == "crash" else self.outcome

    def to_json(self) -> dict[str, str]:
        """Return what the cell holds."""
        return {name: value for name, value in asdict(self).items() if value or name == "outcome"}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Cell:
        """Return the cell that `to_json` gave; what it does not know it passes over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: text for name, text in value.items() if name in known})


def worse(one: Cell, other: Cell) -> Cell:
    """Return the worse of two cells, the first of equals."""
    return max(one, other, key=lambda cell: _ORDER.index(cell.outcome))


@dataclass
class Part:
    """What a client did on one transcript.

    Attributes:
        transcript: its name.
        dialect: that it speaks; "" where no dialect knows it.
        recorded: on the recorded delivery: does the client read the transcript at all?
        cuts: on the recorded stream, cut.
        mutations: by name. What is wrong as recorded has none: what a mutation led to there says nothing of it.
        inapplicable: why other mutations had nothing to do.
        barred: mutations that were applied to what is wrong as recorded.
        combined: findings that need several mutations.
        cases: deliveries made.
        cuts_tried: single cuts tried, and how many there are.
        notes: what was sampled, skipped or given up.
    """

    transcript: str
    dialect: str = ""
    recorded: Cell = field(default_factory=lambda: Cell(UNTRIED))
    cuts: Cell = field(default_factory=lambda: Cell(UNTRIED))
    mutations: dict[str, Cell] = field(default_factory=dict)
    inapplicable: dict[str, str] = field(default_factory=dict)
    barred: list[str] = field(default_factory=list)
    combined: list[Cell] = field(default_factory=list)
    cases: int = 0
    cuts_tried: tuple[int, int] = (0, 0)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "transcript": self.transcript,
            "dialect": self.dialect,
            "recorded": self.recorded.to_json(),
            "cuts": self.cuts.to_json(),
            "mutations": {name: cell.to_json() for name, cell in self.mutations.items()},
            "inapplicable": dict(self.inapplicable),
            "barred": list(self.barred),
            "combined": [cell.to_json() for cell in self.combined],
            "cases": self.cases,
            "cuts_tried": list(self.cuts_tried),
            "notes": list(self.notes),
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Part:
        """Return the part that `to_json` gave."""
        read = Cell.of_json
        return cls(
            value["transcript"],
            value["dialect"],
            read(value["recorded"]),
            read(value["cuts"]),
            {name: read(cell) for name, cell in value["mutations"].items()},
            dict(value["inapplicable"]),
            list(value["barred"]),
            [read(cell) for cell in value["combined"]],
            value["cases"],
            (value["cuts_tried"][0], value["cuts_tried"][1]),
            list(value["notes"]),
        )


def part_of(report: Report, dialect: str = "") -> Part:
    """Return what a campaign over one transcript, which speaks that dialect, has found."""
    coverage = report.coverage[0]
    made = Part(coverage.transcript, dialect, cases=report.cases, cuts_tried=(coverage.swept, coverage.sweepable))
    made.notes = [*coverage.notes, *report.notes]
    alone: dict[str, Counterexample] = {}
    for finding in report.findings:
        steps = finding.case.steps
        if len(steps) == 1:
            alone.setdefault(steps[0].mutation.name, finding)
        elif steps:
            made.combined.append(_found(None, finding))
        elif finding.class_ == "recorded":
            made.recorded = worse(made.recorded, _found(None, finding))
        else:
            made.cuts = worse(made.cuts, _found(None, finding))
    if made.recorded.outcome == UNTRIED and coverage.phases.get("recorded") == 2:  # twice, and nothing was wrong
        made.recorded = Cell("same")
    if made.cuts.outcome == UNTRIED and coverage.phases.get("prelude"):
        made.cuts = Cell("same")
    if made.recorded.outcome != "same":
        made.barred, made.combined = list(coverage.outcomes), []
        return made
    made.inapplicable = {name: why for name, why in coverage.inapplicable.items() if name not in coverage.mutations}
    for name, outcome in coverage.outcomes.items():
        if outcome in BAD and name in alone:
            made.mutations[name] = _found(outcome, alone[name])
        elif name in coverage.examples:
            case, shown = coverage.examples[name]
            made.mutations[name] = Cell(outcome, _short(shown.error), shown.message[:_MOST], str(case.token))
        else:
            made.mutations[name] = Cell(outcome)
    stuck = {name: finding for name, finding in alone.items() if finding.found_by == "stuck"}
    return replace(made, mutations={**made.mutations, **{name: _found(None, one) for name, one in stuck.items()}})


def outcome_of(actual: Outcome) -> str:
    """Return the name of what a target did where it is wrong."""
    if actual.hung:
        return "hang"
    if actual.error:
        return "error" if is_typed(actual) else "crash"
    return "silent difference"


def _found(outcome: str | None, finding: Counterexample) -> Cell:
    actual = finding.actual
    at, expected, got = finding.first_difference()
    return Cell(
        outcome or outcome_of(actual), _short(actual.error), actual.message[:_MOST] or finding.headline,
        finding.token, at, expected, got,
    )  # fmt: skip


def _short(error: str) -> str:
    return error.rpartition(".")[2]
