"""Campaign: one target over transcripts, phase after phase, with one seed.

What is tried on each transcript is in `search`. The engine prints nothing; it tells a listener how far it is and
returns a Report.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from streamkit.fuzz.fit import fitting
from streamkit.fuzz.report import Coverage, Options, Progress, Report
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.search import Search, _OutOfBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from streamkit.case import Case
    from streamkit.fuzz.runner import Runs
    from streamkit.fuzz.targets import Target
    from streamkit.transcript import Transcript

__all__ = ["run", "run_case"]


def run(
    target: Target,
    transcripts: Sequence[Transcript],
    options: Options | None = None,
    listener: Callable[[Progress], None] | None = None,
    stuck: Callable[[Report], None] | None = None,
    *,
    choose: bool = False,
) -> Report:
    """Run a campaign.

    Args:
        target: the code under test.
        transcripts: what is delivered to it.
        options: see Options.
        listener: is told the progress.
        stuck: is given the report where a delivery hangs and cannot be given up, since the target swallows every
            interruption. It should end the process.
        choose: of the transcripts, take those that fit the target (`streamkit.fuzz.fit`).

    Returns:
        The report. Ctrl-C ends the campaign with what was found so far.

    Raises:
        TargetError: the target turned out to fit no adapter.
    """
    report, options = _begin(target, options)
    started = time.monotonic()
    search: Search | None = None

    def give_up() -> None:
        report.cases, report.seconds = runner.runs, time.monotonic() - started
        if stuck is not None and search is not None:
            search.report_stuck()
            stuck(report)

    try:
        with _runner(target, options, give_up) as runner:
            try:
                if choose:
                    transcripts, left_out = fitting(runner, transcripts, options.returns)
                    report.notes.extend(left_out)
                for transcript in transcripts:
                    coverage = Coverage(
                        transcript.name, len(transcript.body), sweepable=max(0, len(transcript.body) - 1)
                    )
                    report.coverage.append(coverage)
                    search = Search(runner, transcript, options, coverage, report, started, listener)
                    search.search()
            except KeyboardInterrupt:
                report.interrupted = True
            except _OutOfBudget:
                report.notes.append(
                    f"stopped after max_time={options.max_time:g} seconds: what came after was not tried"
                )
            report.cases = runner.runs
            report.notes.extend(runner.remarks())
    except KeyboardInterrupt:  # while the drivers were being ended
        report.interrupted = True
    report.seconds = time.monotonic() - started
    return report


def _begin(target: Target, options: Options | None) -> tuple[Report, Options]:
    """Return an empty report, and the options as far as they can be carried out."""
    options = options if options is not None else Options()
    report = Report(target.name, options.seed)
    if options.only and options.returns == "events":
        from streamkit.fuzz.chosen import chosen

        meant = {one.name for one in chosen(options)}
        for name in dict.fromkeys(options.only):
            if name not in meant:
                report.notes.append(f"{name} is not meant for a target that returns events: it was not applied")
    if target.is_served:
        if options.empty_chunks:
            options = replace(options, empty_chunks=False)
            report.notes.append("an empty chunk cannot be sent over HTTP: none was delivered")
        if options.framing != "chunked":
            report.notes.append(
                f"framing {options.framing}: no HTTP chunks mark the cuts, and what reads slowly may see fewer of them"
            )
    return report, options


def _runner(target: Target, options: Options, stuck: Callable[[], None] | None = None) -> AbstractContextManager[Runs]:
    """Return what makes the deliveries to a target."""
    if target.command is None:
        return Runner(target, limit=options.time_limit, stuck=stuck, framing=options.framing)
    from streamkit.fuzz.command_runner import CommandRunner

    return CommandRunner(
        target, target.command, limit=options.time_limit, workers=options.workers, framing=options.framing
    )


def run_case(target: Target, case: Case, options: Options | None = None) -> Report:
    """Deliver one case, judge it as a campaign would, and return the report."""
    report, options = _begin(target, options)
    started = time.monotonic()
    coverage = Coverage(case.transcript.name, len(case.transcript.body))
    report.coverage.append(coverage)
    with _runner(target, options) as runner:
        search = Search(runner, case.transcript, options, coverage, report, started, None)
        try:
            search.replay(case)
        except _OutOfBudget:
            report.notes.append(f"stopped after max_time={options.max_time:g} seconds: the case was not judged")
        report.cases = runner.runs
    report.seconds = time.monotonic() - started
    return report
