"""`streamkit fuzz`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from streamkit.cli.common import (
    check_writable,
    console,
    debug_option,
    ends_like_ctrl_c,
    keep_hypothesis_out_of_here,
    print_finding,
    write_json,
)
from streamkit.cli.progress import campaign_progress

if TYPE_CHECKING:
    from rich.console import Console

    from streamkit.fuzz import Counterexample, Report

__all__ = ["exit_code", "fuzz", "print_report"]

_IN_FULL = 12  # faults that are shown whole; of the others, how to see them
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@click.command()
@click.argument("names", nargs=-1, metavar="[TARGET]... [TRANSCRIPT]...")
@click.option(
    "--command", "commands", multiple=True, metavar="COMMAND",
    help="A driver in any language, as a target. May be given several times.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), default=None,
    help="Processes of a command that answer side by side.  [default: one a processor, at most 4]",
)  # fmt: skip
@click.option(
    "--framing", type=click.Choice(["chunked", "length", "close"]), default="chunked", show_default=True,
    help="How HTTP tells the end of a body to a command or a client.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of what Hypothesis draws."
)
@click.option(
    "--max-examples", type=click.IntRange(min=0), default=None,
    help="Deliveries drawn for each transcript.  [default: 200, fewer for a large transcript]",
)  # fmt: skip
@click.option(
    "--max-single-cuts", type=click.IntRange(min=0), default=None,
    help="Single cuts tried on each transcript.  [default: all, sampled in a large transcript]",
)  # fmt: skip
@click.option(
    "--returns", type=click.Choice(["message", "events"]), default="message", show_default=True,
    help="What the target returns: a result that must not depend on framing, or events.",
)  # fmt: skip
@click.option("--dialects", is_flag=True, help="Also apply the mutations of the dialect class.")
@click.option("--faults", is_flag=True, help="Also apply the mutations of the fault class.")
@click.option("--cuts-only", is_flag=True, help="Apply no mutation at all.")
@click.option("--only", multiple=True, metavar="NAME", help="Apply only this mutation. May be given several times.")
@click.option("--skip", multiple=True, metavar="NAME", help="Leave a mutation out. May be given several times.")
@click.option("--table", is_flag=True, help="Show what the target did on each mutation.")
@click.option("--empty-chunks", is_flag=True, help="Also deliver empty chunks.")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, metavar="SECONDS",
    help="For one delivery.",
)  # fmt: skip
@click.option(
    "--max-time", type=click.FloatRange(0, min_open=True), default=None, metavar="SECONDS",
    help="For everything; the result may then depend on the machine.",
)  # fmt: skip
@click.option("--replay", metavar="TOKEN", default=None, help="Run the one case that a token names.")
@click.option(
    "--json", "json_file", metavar="FILE", default=None, help="Write the result as JSON; - is standard output."
)
@debug_option
def fuzz(
    names: tuple[str, ...],
    commands: tuple[str, ...],
    workers: int | None,
    framing: str,
    seed: int,
    max_examples: int | None,
    max_single_cuts: int | None,
    returns: str,
    dialects: bool,
    faults: bool,
    cuts_only: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    table: bool,
    empty_chunks: bool,
    time_limit: float,
    max_time: float | None,
    replay: str | None,
    json_file: str | None,
) -> int:
    """Deliver transcripts to TARGET in every way that is worth trying; show the smallest case that breaks it.

    TARGET is module:attribute: a function of an iterable of bytes, an async function of an async iterable, or a class
    with feed(bytes) and optionally close() and result(); or a function whose first parameter is named base_url, which
    drives a client against that URL. With --command a driver in any language is the target. A TRANSCRIPT is a name from
    `streamkit list` or the path of a cassette or a bare .sse body; without any, the bundled ones are taken. Several
    targets run over the same cases, and a table shows side by side what each did.
    """
    from streamkit.fuzz import Options, command
    from streamkit.fuzz import fuzz as run

    targets, transcripts = _sorted(names, commands)
    keep_hypothesis_out_of_here()
    if json_file is not None:
        check_writable(json_file)

    def stuck(report: Report) -> None:
        """The target can only be stopped together with the process."""
        if json_file is not None:
            write_json(json_file, report.to_json())
        print_report(console(err=json_file == "-"), report)
        sys.stdout.flush()
        os._exit(1)

    options = Options(
        seed,
        max_examples,
        returns,
        time_limit,
        max_time,
        empty_chunks,
        max_single_cuts,
        dialects,
        faults,
        only,
        skip,
        not cuts_only,
        workers,
        framing,
    )
    reports = []
    for one in [*targets, *map(command, commands)]:
        with ends_like_ctrl_c(), campaign_progress() as listener:
            reports.append(run(one, transcripts, options=options, replay=replay, listener=listener, stuck=stuck))
        if reports[-1].interrupted:
            break
    code = max(map(exit_code, reports))
    click.get_current_context().obj.code = code
    if json_file is not None:
        told = [report.to_json() for report in reports]
        write_json(json_file, told[0] if len(told) == 1 else {"format": 1, "reports": told})
    out = console(err=json_file == "-")
    for report in reports:
        print_report(out, report)
    if table or len(reports) > 1:
        from streamkit.cli.outcomes import print_outcomes

        print_outcomes(out, reports)
    return code


def _sorted(names: tuple[str, ...], commands: tuple[str, ...]) -> tuple[list[str], list[str] | None]:
    """Return the targets and the transcripts of a command line; no transcripts where none is named."""
    targets = [name for name in names if _TARGET.fullmatch(name) and not Path(name).exists()]
    if not commands:
        if not names:
            raise click.UsageError("Missing argument 'TARGET': write module:attribute, or --command COMMAND.")
        if names[0] not in targets:
            targets.insert(0, names[0])  # whatever it is: what is wrong with it is said when it is imported
    return targets, [name for name in names if name not in targets] or None


def exit_code(report: Report) -> int:
    """Return 1 for counterexamples, 130 for an interrupted campaign without any, else 0."""
    return 1 if report.findings else 130 if report.interrupted else 0


def print_report(out: Console, report: Report) -> None:
    """Print the findings, then what was tried. The same fault of another transcript is told in a line."""
    groups: dict[tuple[str, str], list[Counterexample]] = {}
    for finding in report.findings:
        groups.setdefault((finding.oracle, finding.headline), []).append(finding)
    for number, (first, *others) in enumerate(groups.values()):
        if number < _IN_FULL:
            print_finding(out, first)
        else:
            out.print(Text(first.headline, style="bold red"))
            out.print(Text(f"  run again:  {first.rerun}", style="cyan"))
        for other in others:
            out.print(Text(f"  also:       {other.rerun}", style="cyan"))
        out.print()
    for coverage in report.coverage:
        phases = ", ".join(f"{count} {phase}" for phase, count in coverage.phases.items())
        out.print(f"{coverage.transcript}: {coverage.size} bytes; {phases}", style="dim")
        if coverage.mutations:
            out.print(
                f"  {len(coverage.mutations)} mutations applied, {len(coverage.inapplicable)} had nothing to do",
                style="dim",
            )
        for note in coverage.notes:
            out.print(f"  note: {note}", style="yellow")
    for note in report.notes:
        out.print(f"note: {note}", style="yellow")
    count = len(report.findings)
    what = "no counterexample" if not count else f"{count} counterexample{'s' if count > 1 else ''}"
    stopped = " (interrupted: this is what was found so far)" if report.interrupted else ""
    out.print(
        f"{report.target}: {what} in {report.cases} deliveries, {report.seconds:.1f} s, seed {report.seed}{stopped}",
        style="bold red" if count else "bold green",
    )
