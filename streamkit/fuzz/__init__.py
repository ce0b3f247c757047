"""Fuzzing a parser: targets, oracles, sweeps, campaigns and counterexamples.

`check` is for tests and raises; `fuzz` gives the report.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.case import Token
from streamkit.errors import OracleFailure, UsageError
from streamkit.fuzz.campaign import run, run_case
from streamkit.fuzz.counterexample import Counterexample
from streamkit.fuzz.drivers import command
from streamkit.fuzz.report import Options, Progress, Report
from streamkit.fuzz.runner import in_own_thread
from streamkit.fuzz.targets import Target, adapt
from streamkit.transcript import Ending, Transcript
from streamkit.wire.boundaries import event_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Counterexample", "Options", "Progress", "Report", "Target", "adapt", "check", "command", "fuzz", "select"]


def select(transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None) -> list[Transcript]:
    """Return the transcripts that a call names: transcripts, names, paths, or None for all bundled ones.

    Raises:
        CassetteError: one of them cannot be found or read.
    """
    from streamkit.cassettes import bundled, load

    if transcripts is None:
        return bundled()
    listed = [transcripts] if isinstance(transcripts, Transcript | str | Path) else transcripts
    chosen = [one if isinstance(one, Transcript) else load(one) for one in listed]
    if not chosen:
        raise UsageError("no transcript: give at least one, or None for the bundled ones")
    for transcript in chosen:
        kind = transcript.head.header("content-type") or ""
        if transcript.ending is not Ending.COMPLETE:
            continue  # it says itself that something is missing
        if kind.lower().startswith("text/event-stream") and not event_ends(transcript.body):
            raise UsageError(
                f"{transcript.name or 'the transcript'} holds no complete server-sent event in its "
                f"{len(transcript.body)} bytes: there is nothing that a parser could get wrong"
            )
    return chosen


def fuzz(
    target: Any,
    transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
    *,
    options: Options | None = None,
    replay: str | None = None,
    listener: Callable[[Progress], None] | None = None,
    stuck: Callable[[Report], None] | None = None,
) -> Report:
    """Deliver transcripts to a target in every way that is worth trying, and return what was found.

    Args:
        target: what `streamkit.fuzz.targets` can adapt, or its `module:attribute`.
        transcripts: transcripts, names or paths; None for the bundled ones that fit the target.
        options: see Options.
        replay: a case token: only that case is run.
        listener: is told the progress.
        stuck: see `streamkit.fuzz.campaign.run`.

    Raises:
        TargetError: the target cannot be called.
        CassetteError: a transcript cannot be found or read.
        UsageError: an option, or a token that is none or belongs to another transcript (TokenError).
    """
    adapted = adapt(target)
    if replay is None:
        chosen = select(transcripts)
        return in_own_thread(lambda: run(adapted, chosen, options, listener, stuck, choose=transcripts is None))
    token = Token.parse(replay)
    if transcripts is None and not token.name:
        raise UsageError("the token names no transcript: give the transcript too")
    chosen = select(token.name if transcripts is None else transcripts)
    case = token.case(next((one for one in chosen if one.sha256.startswith(token.digest)), chosen[0]))
    return in_own_thread(lambda: run_case(adapted, case, options))


def check(
    target: Any,
    transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
    *,
    seed: int = 0,
    max_examples: int | None = None,
    max_single_cuts: int | None = None,
    returns: str = "message",
    time_limit: float = 10.0,
    empty_chunks: bool = False,
    dialects: bool = False,
    faults: bool = False,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    mutations: bool = True,
    workers: int | None = None,
    framing: str = "chunked",
    replay: str | None = None,
) -> Report:
    """Fuzz a target and fail if anything was found. This is the call for a test.

    Args:
        target: a function of an iterable of bytes, an async function of an async iterable, a class with `feed`, a
            function of a `base_url`, the `module:attribute` of one, or a `command`; see `streamkit.fuzz.targets`.
        transcripts: transcripts, names or paths; None for the bundled ones that fit the target.
        seed: of what Hypothesis draws.
        max_examples: deliveries drawn for each transcript; None for 200, or fewer where the transcript is large.
        max_single_cuts: single cuts tried on each transcript; None for all, or a sample where it is large.
        returns: "message" if the target gives a result that must not depend on framing, "events" if it gives events.
        time_limit: seconds that one delivery may take.
        empty_chunks: also deliver empty chunks.
        dialects: also apply the mutations of the dialect class.
        faults: also apply those of the fault class.
        only: names of the only mutations to apply.
        skip: names of mutations to leave out.
        mutations: apply the mutations of the preserving class; False for cuts alone.
        workers: how many processes of a command answer side by side; None for the number of processors, at most 4.
        framing: how HTTP tells the end of the body to a command or a client: "chunked", "length" or "close".
        replay: the token of a case: only that case is run.

    Returns:
        The report, which holds no finding.

    Raises:
        OracleFailure: the target is wrong; the message says what differs and how to rerun, and `counterexamples` holds
            the findings. Under pytest each is shown in full in a section of the report.
        StreamkitError: the call itself cannot be carried out.
        KeyboardInterrupt: the campaign was interrupted and had found nothing.
    """
    __tracebackhide__ = True
    options = Options(
        seed, max_examples, returns, time_limit, empty_chunks=empty_chunks, max_single_cuts=max_single_cuts,
        dialects=dialects, faults=faults, only=tuple(only), skip=tuple(skip), mutations=mutations,
        workers=workers, framing=framing,
    )  # fmt: skip
    report = fuzz(target, transcripts, options=options, replay=replay)
    if report.findings:
        raise OracleFailure("\n\n".join(finding.brief() for finding in report.findings), report.findings)
    if report.interrupted:
        raise KeyboardInterrupt
    return report
