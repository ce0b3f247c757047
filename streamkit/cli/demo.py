"""`streamkit demo`: the main job on the bundled cassettes, offline."""

from __future__ import annotations

import click

from streamkit.cli.common import console, debug_option, keep_hypothesis_out_of_here, print_finding
from streamkit.cli.progress import campaign_progress

__all__ = ["demo"]

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
    """Fuzz four parsers on the bundled transcripts: three that are right and one that is not. No key, no network."""
    from streamkit.cassettes import bundled
    from streamkit.fuzz import Options, fuzz

    keep_hypothesis_out_of_here()
    out = console()
    transcripts = bundled()
    total = sum(len(transcript.body) for transcript in transcripts)
    out.print(f"{len(transcripts)} bundled transcripts, {total} bytes, delivered in pieces: no key, no network.")
    for transcript in transcripts:
        origin = "synthetic" if transcript.synthetic else "recorded"
        out.print(f"  {transcript.name} ({origin}, {len(transcript.body)} bytes)")
    out.print()
    shown = None
    unexpected = 0
    for target, words, most, broken in _TARGETS:
        with campaign_progress(words) as listener:
            report = fuzz(
                target, transcripts, options=Options(max_single_cuts=most, mutations=False), listener=listener
            )
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
    if shown is not None:
        out.print()
        out.print("The smallest delivery that breaks the example parser:", style="bold")
        out.print()
        print_finding(out, shown)
    return 1 if unexpected else 0
