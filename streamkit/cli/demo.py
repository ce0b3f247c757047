"""`streamkit demo`: the main job on the bundled cassettes, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamkit.cli.common import console, debug_option, keep_hypothesis_out_of_here, print_finding
from streamkit.cli.progress import campaign_progress

if TYPE_CHECKING:
    from streamkit.fuzz import Report

__all__ = ["demo"]

_TRANSCRIPTS = ("boston_weather", "synthetic_multibyte_text", "synthetic_parallel_calls_crlf")
# The real clients take milliseconds a delivery: the demo samples their single cuts, `streamkit fuzz` tries all.
_TARGETS = (
    ("streamkit:accumulate", "streamkit's own accumulator", None, False),
    ("streamkit.replay.clients:openai_create", "the real openai client, sync", 600, False),
    ("streamkit.replay.clients:async_openai_create", "the real openai client, async", 600, False),
    ("streamkit.examples:broken_parser", "an example parser with a bug in it", None, True),
)


@click.command()
@debug_option
def demo() -> int:
    """Fuzz four parsers on bundled transcripts: cut in every way, and said in other ways. No key, no network."""
    from streamkit.cassettes import load
    from streamkit.fuzz import Options, fuzz

    keep_hypothesis_out_of_here()
    out = console()
    transcripts = [load(f"openai_chat/{name}") for name in _TRANSCRIPTS]
    total = sum(len(transcript.body) for transcript in transcripts)
    out.print(f"{len(transcripts)} bundled transcripts, {total} bytes: no key, no network.")
    for transcript in transcripts:
        origin = "synthetic" if transcript.synthetic else "recorded"
        out.print(f"  {transcript.name} ({origin}, {len(transcript.body)} bytes)")
    shown = None
    unexpected = 0
    out.print()
    out.print("Delivered in pieces, cut anywhere:", style="bold")
    for target, words, most, broken in _TARGETS:
        options = Options(max_single_cuts=most, mutations=False)
        with campaign_progress(words) as listener:
            report = fuzz(target, transcripts, options=options, listener=listener)
        if report.interrupted:
            out.print("interrupted")
            return 130
        found = len(report.findings)
        result = "the same result every time" if not found else f"{found} counterexamples"
        good = bool(found) == broken
        unexpected += not good
        out.print(
            f"{words}: {report.cases} deliveries, {report.seconds:.1f} s: {result}",
            style="green" if not found else "yellow" if good else "bold red",
        )
        if found and shown is None:
            shown = report.findings[0]
    out.print()
    out.print("The same answers said in other ways, and broken off:", style="bold")
    for target, words, _, _ in _TARGETS[:2]:
        options = Options(max_examples=0, max_single_cuts=0, dialects=True, faults=True)
        with campaign_progress(words) as listener:
            report = fuzz(target, transcripts, options=options, listener=listener)
        if report.interrupted:
            out.print("interrupted")
            return 130
        tried, wrong = _counts(report)
        unexpected += bool(wrong) and target.startswith("streamkit:")
        out.print(
            f"{words}: {tried} mutations, {report.seconds:.1f} s: "
            + (f"{wrong} lead to a wrong result or an error that is none of its own" if wrong else "right every time"),
            style="yellow" if wrong else "green",
        )
    out.print("  (streamkit fuzz streamkit.replay.clients:openai_create --dialects --faults --table shows which)")
    if shown is not None:
        out.print()
        out.print("The smallest delivery that breaks the example parser:", style="bold")
        out.print()
        print_finding(out, shown)
    return 1 if unexpected else 0


def _counts(report: Report) -> tuple[int, int]:
    """Return how many mutations were tried, and on how many the target was wrong."""
    from streamkit.fuzz.mutating import OUTCOMES

    worst: dict[str, int] = {}
    for coverage in report.coverage:
        for name, said in coverage.outcomes.items():
            worst[name] = max(worst.get(name, 0), OUTCOMES.index(said))
    return len(worst), sum(one > OUTCOMES.index("typed error") for one in worst.values())
