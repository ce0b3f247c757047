"""The result of a matrix: its rows with what they were made with, and the JSON that is written of it."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.mutating import OUTCOMES
from streamkit.matrix.cells import BAD
from streamkit.mutations.registry import mutations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamkit.matrix.plan import Plan
    from streamkit.matrix.rows import Row, Summed

__all__ = ["Matrix", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of what tests the clients."""
    try:
        own = importlib.metadata.version("pytest-streamkit")
    except importlib.metadata.PackageNotFoundError:  # from a checkout that is not installed
        own = "unknown"
    return {"streamkit": own, "python": platform.python_version()}


@dataclass(frozen=True)
class Matrix:
    """What clients did on mutations.

    Attributes:
        plan: what was wanted.
        rows: one for each client, in the order of the plan.
        date: the day on which it was made, as YYYY-MM-DD.
        seconds: how long it took.
        versions: of what tests the clients.
    """

    plan: Plan
    rows: Sequence[Row]
    date: str
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=versions)

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return any(row.interrupted for row in self.rows)

    @property
    def problems(self) -> dict[str, str]:
        """Why clients could not be driven, or not to the end, by name."""
        return {row.name: row.problem for row in self.rows if row.problem}

    def mutations(self) -> list[str]:
        """Return the names of all mutations that the matrix applies, in the order of the catalogue."""
        asked = {name for row in self.rows for name in row.asked}
        return [one.name for one in mutations() if one.name in asked]

    def findings(self) -> Iterator[tuple[Row, str, str, Summed]]:
        """Yield what is wrong: the row, the name, the class and the cell; the worst of each client first."""
        for row in self.rows:
            wrong = [one for one in row.everything() if one[2].worst.outcome in BAD]
            for name, kind, cell in sorted(wrong, key=lambda one: -OUTCOMES.index(one[2].worst.outcome)):
                yield row, name, kind, cell

    def worst(self) -> str:
        """Return the worst outcome of any cell; "same" where there is none."""
        return max((cell.worst.outcome for _, _, _, cell in self.findings()), key=OUTCOMES.index, default="same")

    def to_json(self) -> dict[str, Any]:
        """Return all of it. For the same versions and input it is the same, but for the date and the seconds."""
        return {
            "format": 1,
            "title": self.plan.title,
            "date": self.date,
            "versions": dict(self.versions),
            "seed": self.plan.seed,
            "max_single_cuts": self.plan.max_single_cuts,
            "max_examples": self.plan.max_examples,
            "max_variants": self.plan.max_variants,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "clients": [row.to_json() for row in self.rows],
        }
