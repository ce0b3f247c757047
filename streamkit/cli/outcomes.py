"""The table of outcomes: what each target did on each mutation, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from streamkit.fuzz import Report

__all__ = ["STYLES", "print_outcomes"]

#: How the name of each outcome is shown in a terminal.
STYLES = {
    "same": "green",
    "typed error": "cyan",
    "error": "yellow",
    "crash": "red",
    "hang": "bold red",
    "silent difference": "bold red",
}


def print_outcomes(out: Console, reports: Sequence[Report]) -> None:
    """Print what each target did on cuts and on each mutation: the worst over all transcripts."""
    from streamkit.fuzz.mutating import OUTCOMES
    from streamkit.mutations.registry import mutations

    table = Table(box=None, pad_edge=False)
    table.add_column("mutation", no_wrap=True)
    table.add_column("class", no_wrap=True)
    for report in reports:
        table.add_column(report.target.rpartition(":")[2], no_wrap=True)
    rows = [("cuts", "preserving", [_of_cuts(report) for report in reports])]
    for one in mutations():
        told = []
        for report in reports:
            found = [coverage.outcomes[one.name] for coverage in report.coverage if one.name in coverage.outcomes]
            told.append(max(found, key=OUTCOMES.index) if found else "-")
        if any(word != "-" for word in told):
            rows.append((one.name, str(one.kind), told))
    for name, kind, told in rows:
        table.add_row(name, kind, *(Text(word, style=STYLES.get(word, "")) for word in told))
    out.width = 50 + sum(max(20, len(report.target)) for report in reports)
    out.print(table, soft_wrap=False)


def _of_cuts(report: Report) -> str:
    from streamkit.matrix.cells import outcome_of

    worst = [finding for finding in report.findings if not finding.case.steps and finding.class_ == "preserving"]
    if not worst:
        return "same"
    return outcome_of(worst[0].actual)
