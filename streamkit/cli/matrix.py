"""`streamkit matrix`."""

from __future__ import annotations

import datetime as dt
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from streamkit.cli.common import (
    check_writable,
    console,
    debug_option,
    ends_like_ctrl_c,
    keep_hypothesis_out_of_here,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from streamkit.fuzz import Progress
    from streamkit.matrix import Change, Matrix

__all__ = ["matrix"]

_IN_FULL = 12  # findings that are shown; of more, where they can be read
_FAILING = {"error": "error", "crash": "crash", "hang": "hang", "silent": "silent difference"}


@click.command()
@click.argument("file")
@click.option("--client", "clients", multiple=True, metavar="NAME", help="Only this client; several may be given.")
@click.option(
    "--transcript", "transcripts", multiple=True, metavar="NAME",
    help="Deliver this transcript, and not what the file says. May be given several times.",
)  # fmt: skip
@click.option(
    "--class", "classes", multiple=True, type=click.Choice(["preserving", "dialect", "fault"]),
    help="Only mutations of this class. May be given several times.",
)  # fmt: skip
@click.option("--only", multiple=True, metavar="MUTATION", help="Only this mutation. May be given several times.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=None, help="Of what Hypothesis draws.  [default: 0]")
@click.option(
    "--max-single-cuts", type=click.IntRange(min=0), default=None,
    help="Single cuts tried on each transcript, spread over it.  [default: 64]",
)  # fmt: skip
@click.option(
    "--max-examples", type=click.IntRange(min=0), default=None,
    help="Deliveries drawn for each transcript.  [default: 0]",
)  # fmt: skip
@click.option(
    "--max-variants", type=click.IntRange(min=1), default=None,
    help="Variants of each mutation that are tried.  [default: 12, fewer for a large transcript]",
)  # fmt: skip
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), default=None, metavar="SECONDS",
    help="For one delivery; what a client says in the file goes before it.  [default: 10]",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Clients that are driven at a time."
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=None,
    help="Processes of each command that answer side by side.  [default: one a processor, at most 4]",
)  # fmt: skip
@click.option(
    "--json", "json_file", metavar="FILE", default=None, help="Write all of it as JSON; - is standard output."
)
@click.option(
    "--markdown", "markdown_file", metavar="FILE", default=None, help="Write it as Markdown; - is standard output."
)
@click.option("--baseline", metavar="FILE", default=None, help="Tell what has changed since this earlier JSON.")
@click.option(
    "--fail-on", type=click.Choice([*_FAILING, "worse"]), default=None,
    help="Exit with 1 for a cell as bad as this, or one that is worse than in the baseline.",
)  # fmt: skip
@click.option(
    "--date", type=click.DateTime(["%Y-%m-%d"]), default=None, metavar="DATE",
    help="The day that the result bears.  [default: today]",
)  # fmt: skip
@debug_option
def matrix(
    file: str,
    clients: tuple[str, ...],
    transcripts: tuple[str, ...],
    classes: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int,
    workers: int | None,
    json_file: str | None,
    markdown_file: str | None,
    baseline: str | None,
    fail_on: str | None,
    date: dt.datetime | None,
    **plain: Any,
) -> int:
    """Drive the clients that FILE names over the catalogue of mutations, and tell what each did on each.

    FILE is TOML. Each client is a parser in Python (target = "module:attribute") or a driver in any language
    (command = "..."), and runs in a process of its own. A client that cannot be started is a row with the reason.

    Exit code: 0 the matrix is made, 1 for what --fail-on names, 2 a client could not be driven to the end, or the call
    or a file is at fault, 130 interrupted.
    """
    from dataclasses import replace

    from streamkit.matrix import Choice, Matrix, changes, drive, load_matrix, markdown, read

    keep_hypothesis_out_of_here()
    for path in (json_file, markdown_file):
        if path is not None:
            check_writable(path)
    if json_file == markdown_file == "-":
        raise click.UsageError("--json and --markdown cannot both be standard output: name a file for one of them")
    if fail_on == "worse" and baseline is None:
        raise click.UsageError("--fail-on worse needs a --baseline to be worse than")
    old = load_matrix(baseline) if baseline is not None else None
    plan = replace(read(file), **{name: value for name, value in plain.items() if value is not None})
    began = time.monotonic()
    with ends_like_ctrl_c(), _progress(len(plan.only(clients))) as listener:
        rows = drive(plan, Choice(clients, transcripts, classes, only, jobs, workers), listener)
    day = (date if date is not None else dt.datetime.now(dt.UTC)).date().isoformat()
    made = Matrix(plan, rows, day, time.monotonic() - began)
    changed = changes(old, made) if old is not None else None
    code = _exit_code(made, changed or [], fail_on)
    click.get_current_context().obj.code = code
    if json_file is not None:
        write_json(json_file, made.to_json())
    if markdown_file is not None:
        write_text(markdown_file, markdown(made))
    _print(console(err="-" in (json_file, markdown_file)), made, changed, markdown_file)
    return code


def _exit_code(made: Matrix, changed: list[Change], fail_on: str | None) -> int:
    """Return 1 for what was asked to fail, else 130 where it was interrupted, 2 where a client is missing, or 0."""
    from streamkit.fuzz.mutating import OUTCOMES

    if fail_on == "worse" and any(one.broken for one in changed):
        return 1
    if fail_on in _FAILING and OUTCOMES.index(made.worst()) >= OUTCOMES.index(_FAILING[fail_on]):
        return 1
    return 130 if made.interrupted else 2 if made.problems else 0


def _print(out: Console, made: Matrix, changed: list[Change] | None, markdown_file: str | None) -> None:
    from rich.table import Table

    from streamkit.cli.outcomes import STYLES
    from streamkit.fuzz.mutating import OUTCOMES

    table = Table(box=None, pad_edge=False)
    for name in ("client", "class"):
        table.add_column(name, no_wrap=True)
    for name in OUTCOMES:
        table.add_column(name, no_wrap=True, justify="right")
    for row in made.rows:
        for kind, counts in row.counts().items():
            if any(counts.values()):
                cells = (Text(str(counts[name]), style=STYLES[name] if counts[name] else "dim") for name in OUTCOMES)
                table.add_row(row.name, kind, *cells)
    out.width = 80 + max((len(row.name) for row in made.rows), default=0)
    out.print(table, soft_wrap=False)
    for name, problem in made.problems.items():
        out.print(f"{name}: {problem}", style="yellow")
    findings = list(made.findings())
    if len(findings) <= _IN_FULL:
        for row, name, _, cell in findings:
            out.print(Text(f"{row.name}: {name}: {cell.worst.told}: {cell.judgement or 'not judged'}", style="red"))
            place = "" if row.client.cwd == Path() else f"cd {quote(str(row.client.cwd))} && "
            out.print(Text(f"  run again:  {place}{row.rerun(cell.worst.token)}", style="cyan"))
    if changed is not None:
        for change in changed:
            out.print(Text(str(change), style="red" if change.broken else "green" if change.mended else "yellow"))
        out.print(
            "nothing has changed since the baseline" if not changed else f"{_counted(len(changed), 'cell')} changed"
        )
    unjudged = sum(not cell.judgement for *_, cell in findings)
    told = f"{_counted(len(made.rows), 'client')}, {sum(row.cases for row in made.rows)} deliveries, "
    told += f"{made.seconds:.1f} s: "
    nothing = "no finding in what was tried" if made.problems or made.interrupted else "nothing is wrong"
    told += f"{_counted(len(findings), 'finding')}, {unjudged} of them not judged" if findings else nothing
    if len(findings) > _IN_FULL and markdown_file is None:
        told += "; --markdown FILE lists them"
    stopped = " (interrupted: this is what was covered so far)" if made.interrupted else ""
    out.print(told + stopped, style="bold")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


@contextmanager
def _progress(count: int) -> Iterator[Callable[[str, Progress | None], None] | None]:
    """Give a listener that shows what every client is at, on standard error; None where that is no terminal."""
    out = console(err=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        every = bar.add_task("clients", total=count)
        tasks: dict[str, Any] = {}
        lock = threading.Lock()

        def listen(name: str, progress: Progress | None) -> None:
            with lock:
                if progress is None:
                    bar.advance(every)
                    if name in tasks:
                        bar.remove_task(tasks.pop(name))
                    return
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=None)
                what = f"{name}: {Path(progress.transcript).name[:30]}, {progress.phase}"
                bar.update(tasks[name], description=what, completed=progress.done, total=progress.total or None)

        yield listen
