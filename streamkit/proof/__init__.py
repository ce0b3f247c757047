"""Proof: all 2^(n-1) fragmentations of a transcript shown to give one result, not a sample of them.

`prove` gives the report; `assert_chunk_invariant` is for tests and raises.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from streamkit.errors import OracleFailure, UndecidedError
from streamkit.fuzz import select
from streamkit.fuzz.campaign import _runner
from streamkit.fuzz.fit import fitting
from streamkit.fuzz.report import Options, Progress
from streamkit.fuzz.runner import in_own_thread
from streamkit.fuzz.targets import adapt
from streamkit.proof.prover import ProofOptions, Prover
from streamkit.proof.report import Proof, ProofReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streamkit.fuzz.targets import Target
    from streamkit.transcript import Transcript

__all__ = ["Proof", "ProofOptions", "ProofReport", "assert_chunk_invariant", "prove"]

_STOPPED = "it was stopped before its end"


def prove(
    target: Any,
    transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
    *,
    options: ProofOptions | None = None,
    listener: Callable[[Progress], None] | None = None,
    stuck: Callable[[ProofReport], None] | None = None,
) -> ProofReport:
    """Prove that a parser gives one result under every fragmentation of a transcript, or find one that it does not.

    For a class with `feed(bytes)` all 2^(n-1) fragmentations are decided by walking its states
    (`streamkit.proof.walk`). What cannot be copied in the middle of a body is not decidable here, and is delivered
    what covers it best (`streamkit.proof.cover`).

    Args:
        target: what `streamkit.fuzz.targets` can adapt, or its `module:attribute`.
        transcripts: transcripts, names or paths; None for the bundled ones that fit the target.
        options: see ProofOptions.
        listener: is told the progress.
        stuck: is given the report where a call hangs and cannot be given up, since the target swallows every
            interruption. It should end the process.

    Returns:
        The report: for each transcript "proved", "refuted" with a minimal fragmentation that a fresh target fails on,
        or "not decidable here" with the reason and the cover. Ctrl-C ends it with what was covered so far.

    Raises:
        TargetError: the target cannot be called.
        CassetteError: a transcript cannot be found or read.
        UsageError: an option that cannot be used.
    """
    options = options if options is not None else ProofOptions()
    adapted, chosen = adapt(target), select(transcripts)
    return in_own_thread(lambda: _prove(adapted, chosen, options, listener, stuck, choose=transcripts is None))


def _prove(
    target: Target,
    transcripts: Sequence[Transcript],
    options: ProofOptions,
    listener: Callable[[Progress], None] | None,
    stuck: Callable[[ProofReport], None] | None,
    *,
    choose: bool,
) -> ProofReport:
    report, began = ProofReport(target.name), time.monotonic()
    made = Options(time_limit=options.time_limit, workers=options.workers)

    def give_up() -> None:
        report.seconds = time.monotonic() - began
        if report.proofs:
            report.proofs[-1].reason = "the target hangs and cannot be stopped: it swallows every interruption"
        if stuck is not None:
            stuck(report)

    try:
        with _runner(target, made, give_up) as runner:
            if choose:
                transcripts, left_out = fitting(runner, transcripts, made.returns)
                report.notes.extend(left_out)
            for transcript in transcripts:
                name = transcript.name

                def tell(phase: str, done: int, total: int, name: str = name) -> None:
                    if listener is not None:
                        listener(Progress(name, phase, done, total))

                prover = Prover(runner, transcript, options, tell, give_up)
                report.proofs.append(prover.proof)
                prover.prove()
            report.notes.extend(runner.remarks())
    except KeyboardInterrupt:
        report.interrupted = True
        if report.proofs and report.proofs[-1].verdict == "not decidable here":
            last = report.proofs[-1]
            last.reason = last.reason or _STOPPED
            last.notes.append(_STOPPED)
    report.seconds = time.monotonic() - began
    return report


def assert_chunk_invariant(
    target: Any,
    transcripts: Transcript | str | Path | Sequence[Transcript | str | Path] | None = None,
    *,
    covered: bool = False,
    empty_chunks: bool = True,
    max_feeds: int = 12_000_000,
    time_limit: float = 10.0,
    workers: int = 1,
) -> ProofReport:
    """Fail unless every fragmentation of every transcript is proved to give one result. This is the call for a test.

    Args:
        target: as of `prove`.
        transcripts: as of `prove`.
        covered: be content with the cover where nothing can be proved, such as with a generator.
        empty_chunks: prove it for empty chunks, too.
        max_feeds: the most chunks fed to copies of the parser, for each transcript.
        time_limit: seconds that one feed, or one delivery, may take.
        workers: processes that walk side by side, for a target with a `module:attribute`.

    Returns:
        The report.

    Raises:
        OracleFailure: a fragmentation changes the result; the message says which and how to rerun, and
            `counterexamples` holds the findings.
        UndecidedError: nothing was found, and nothing could be proved.
        StreamkitError: the call itself cannot be carried out.
        KeyboardInterrupt: it was interrupted and had found nothing.
    """
    __tracebackhide__ = True
    options = ProofOptions(empty_chunks=empty_chunks, max_feeds=max_feeds, time_limit=time_limit, workers=workers)
    report = prove(target, transcripts, options=options)
    if report.findings:
        raise OracleFailure("\n\n".join(finding.brief() for finding in report.findings), report.findings)
    if report.interrupted:
        raise KeyboardInterrupt
    open_ones = [proof for proof in report.proofs if proof.verdict != "proved"]
    if open_ones and not (covered and all(proof.cover for proof in open_ones)):
        first = open_ones[0]
        tried = "; ".join(f"{part['tried']} of {part['of']} {name}" for name, part in first.cover.items())
        raise UndecidedError(
            f"{report.target} on {first.transcript or '(a transcript made in code)'} is not decidable here: "
            f"{first.reason}. "
            + (
                f"Nothing was found in what was delivered instead ({tried}); covered=True is content with that"
                if tried
                else "Nothing was delivered instead"
            )
        )
    if not report.proofs:
        raise UndecidedError(f"{report.target} fits no bundled transcript: name one")
    return report
