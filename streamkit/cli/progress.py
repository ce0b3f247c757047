"""Progress of a campaign: a bar in a terminal, nothing in a pipe."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from streamkit.cli.common import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.fuzz import Progress

__all__ = ["campaign_progress"]


@contextmanager
def campaign_progress(title: str = "") -> Iterator[Callable[[Progress], None] | None]:
    """Give a listener that shows how far a campaign is, on standard error; None where that is no terminal."""
    out = console(err=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(title or "starting", total=None)

        def listen(progress: Progress) -> None:
            bar.update(
                task,
                description=f"{title + ' ' if title else ''}{progress.transcript} {progress.phase}",
                completed=progress.done,
                total=progress.total or None,
            )

        yield listen
