"""`streamkit prove`."""

from __future__ import annotations

import os
import sys
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

    from streamkit.proof import Proof, ProofReport

__all__ = ["prove"]

_STYLES = {"proved": "bold green", "refuted": "bold red", "not decidable here": "bold yellow"}


@click.command()
@click.argument("target")
@click.argument("transcripts", nargs=-1, metavar="[TRANSCRIPT]...")
@click.option(
    "--no-empty-chunks", is_flag=True, help="Prove it without empty chunks, which some parsers take for the end."
)
@click.option(
    "--max-feeds", type=click.IntRange(min=1), default=12_000_000, show_default=True,
    help="Chunks fed to copies of the parser, at most; what would need more is covered instead.",
)  # fmt: skip
@click.option(
    "--max-states", type=click.IntRange(min=1), default=None,
    help="States, at most.  [default: as many as can be expanded with those feeds]",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), default=None,
    help="Processes that walk side by side.  [default: one a processor]",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the check of a proof.")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, metavar="SECONDS",
    help="For one feed, or one delivery.",
)  # fmt: skip
@click.option("--whole", is_flag=True, help="Walk a reader of streamkit whole, not its decoder alone.")
@click.option(
    "--json", "json_file", metavar="FILE", default=None, help="Write the result as JSON; - is standard output."
)
@debug_option
def prove(
    target: str,
    transcripts: tuple[str, ...],
    no_empty_chunks: bool,
    max_feeds: int,
    max_states: int | None,
    workers: int | None,
    seed: int,
    time_limit: float,
    whole: bool,
    json_file: str | None,
) -> int:
    """Prove that TARGET gives one result under all 2^(n-1) fragmentations of a transcript, or show one that differs.

    TARGET is module:attribute. All fragmentations are decided for a class with feed(bytes) whose state can be copied
    and compared: by its own copy(), by pickle, or by deepcopy. For any other target, what can be tried instead is
    tried, and said: every single cut, pairs of cuts, every combination of cuts at any three interesting places. A
    TRANSCRIPT is a name from `streamkit list` or a path; without any, the bundled ones that fit are taken.

    Exit code 0 if all is proved, 1 if anything is refuted, 3 if anything is not decidable here, 2 for a wrong call.
    """
    from streamkit.proof import ProofOptions
    from streamkit.proof import prove as run

    keep_hypothesis_out_of_here()
    if json_file is not None:
        check_writable(json_file)
    options = ProofOptions(
        empty_chunks=not no_empty_chunks, max_feeds=max_feeds, max_states=max_states, time_limit=time_limit,
        workers=workers or _processors(), seed=seed, compose=not whole,
    )  # fmt: skip

    def stuck(report: ProofReport) -> None:
        """The target can only be stopped together with the process."""
        if json_file is not None:
            write_json(json_file, report.to_json())
        _print_report(console(err=json_file == "-"), report)
        sys.stdout.flush()
        os._exit(_exit_code(report))

    with ends_like_ctrl_c(), campaign_progress() as listener:
        report = run(target, list(transcripts) or None, options=options, listener=listener, stuck=stuck)
    code = _exit_code(report)
    click.get_current_context().obj.code = code
    if json_file is not None:
        write_json(json_file, report.to_json())
    _print_report(console(err=json_file == "-"), report)
    return code


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _exit_code(report: ProofReport) -> int:
    if report.findings:
        return 1
    if report.interrupted:
        return 130
    return 0 if report.proved else 3


def _print_report(out: Console, report: ProofReport) -> None:
    for proof in report.proofs:
        _print_proof(out, proof)
    for note in report.notes:
        out.print(f"note: {note}", style="yellow")
    verdicts = [proof.verdict for proof in report.proofs]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in _STYLES if one in verdicts) or "no transcript fits"
    worst = next((one for one in ("refuted", "not decidable here", "proved") if one in verdicts), "not decidable here")
    stopped = " (interrupted: this is what was covered so far)" if report.interrupted else ""
    out.print(f"{report.target}: {counts}, {report.seconds:.1f} s{stopped}", style=_STYLES[worst])


def _print_proof(out: Console, proof: Proof) -> None:
    name = proof.transcript or "(a transcript made in code)"
    if proof.finding is not None:
        print_finding(out, proof.finding)
    line = Text(f"{name}: ")
    line.append(proof.verdict, style=_STYLES[proof.verdict])
    if proof.verdict == "proved":
        empty = ", with empty chunks anywhere" if proof.empty_chunks else ""
        line.append(f": all {proof.fragmentations} fragmentations of {proof.size} bytes give one result{empty}")
    elif proof.reason:
        line.append(f": {proof.reason}")
    out.print(line)
    if proof.feeds:
        out.print(f"  {proof.feeds} feeds, {proof.states} states, copied by {proof.how}", style="dim")
    if proof.verdict != "proved" and proof.cuts_decided >= 0:
        out.print(f"  the walk decided every fragmentation of at most {proof.cuts_decided} cuts", style="dim")
    for part in proof.cover.values():
        out.print(f"  {part['tried']} of {part['of']}: {part['what']}", style="dim")
    for note in proof.notes:
        out.print(f"  note: {note}", style="yellow")
