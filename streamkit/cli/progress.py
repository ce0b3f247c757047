"""Progress of a campaign: a bar in a terminal, nothing in a pipe."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamkit.cli.common import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.fuzz import Progress

__all__ = ["campaign_progress"]

_MOST_NAME = 30


@contextmanager
def campaign_progress(title: str = "") -> Iterator[Callable[[Progress], None] | None]:
    """Give a listener that shows how far a campaign is, on standard error; None where that is no terminal."""
    out = console(err=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=out, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        phase = ""
        task = bar.add_task(title or "starting", total=None)

        def listen(progress: Progress) -> None:
            nonlocal phase, task
            name = progress.transcript.rsplit("/", 1)[-1]
            name = name if len(name) <= _MOST_NAME else name[: _MOST_NAME - 1] + "\u2026"
            now = f"{name}, {progress.phase}"
            if now != phase:  # a new task, since the total of one that has it cannot be taken away
                phase = now
                bar.remove_task(task)
                task = bar.add_task(now, total=progress.total or None)
            bar.update(task, completed=progress.done)

        yield listen
