"""Measuring for the benchmarks: subjects in turns within one run, and tables of what came of it.

Machines are shared and noisy. So what is compared is measured side by side: one round calls every subject once, the
next round calls them in the opposite order, and a figure is the median of its rounds. Ratios count; seconds are for
scale.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

__all__ = ["Table", "interleaved", "show"]


@dataclass
class Table:
    """What one benchmark found.

    Attributes:
        title: what was measured, with its unit.
        columns: the heads of the figures.
        rows: for each subject its figures, in the order of the columns; None for one that was not measured.
        notes: facts that a reader of the figures needs: versions, sizes, peers that are not installed.
        ratios: named ratios of subjects in this run, the figures that count.
    """

    title: str
    columns: Sequence[str]
    rows: dict[str, Sequence[float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON can hold it."""
        rows = {name: dict(zip(self.columns, figures, strict=True)) for name, figures in self.rows.items()}
        return {"title": self.title, "rows": rows, "ratios": self.ratios, "notes": self.notes}


def interleaved(
    subjects: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.process_time,
    least: float = 0.02,
) -> dict[str, float]:
    """Return the seconds of one call of each subject: the median over the rounds.

    Args:
        subjects: what is called, by name. Each was called once before, so that nothing is loaded in the first round.
        rounds: how often each is measured, at least 1.
        clock: processor time of this process by default; give `time.perf_counter` where other processes work.
        least: seconds that one measurement takes at least; a quick subject is called several times for it.
    """
    repeats: dict[str, int] = {}
    for name, call in subjects.items():
        call()
        began = clock()
        call()
        took = clock() - began
        repeats[name] = max(1, round(least / took)) if took > 0 else 100
    found: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            call, times = subjects[name], repeats[name]
            gc.collect()
            began = clock()
            for _ in range(times):
                call()
            found[name].append((clock() - began) / times)
    return {name: statistics.median(times) for name, times in found.items()}


def show(tables: Sequence[Table]) -> None:
    """Print the tables."""
    out = Console()
    for table in tables:
        grid = RichTable(title=table.title, title_justify="left")
        grid.add_column("")
        for column in table.columns:
            grid.add_column(column, justify="right")
        for name, figures in table.rows.items():
            grid.add_row(name, *("-" if figure is None else f"{figure:.3g}" for figure in figures))
        out.print(grid)
        for name, ratio in table.ratios.items():
            out.print(f"  {name}: {ratio:.3g}")
        for note in table.notes:
            out.print(f"  {note}", style="dim")
        out.print()
