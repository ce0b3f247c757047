"""The campaign against false alarms: every mutation on every recorded transcript, judged by streamkit's own readers.

    python tests/campaigns/false_alarms.py [--corpus DIR] [--dialect NAME] [--mixes 200] [--seed 0] [--jobs 2]
        [--classes preserving] [--variants 8] [--largest BYTES] [--match TEXT] [--json FILE]

A transcript is tried if one of streamkit's dialects detects it. A preserving mutation must leave the completion as it
is, or make it what `Edit.expected` says; where the original is a typed error, the error's type and what came before it
must stay. See `skhelpers.mutated.why_unlawful` for the other classes. The exit code is 1 where there is an alarm.

The same seed makes the same edits and mixes, whatever the number of jobs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where the tests have their helpers

from skhelpers.alarms import Alarm, Tally, Tried
from skhelpers.corpus import FOLDER

from streamkit import dialects
from streamkit.mutations.registry import Class, mutations
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BODIES = {".sse", ".ndjson", ".jsonarray", ".eventstream"}
_SHOWN = 3  # tokens of each kind of alarm


class Job(NamedTuple):
    """One transcript to try."""

    name: str
    path: Path
    dialect: str
    size: int


@dataclass(frozen=True)
class Plan:
    """What is tried on each transcript; the fields are the options of the command."""

    classes: tuple[Class, ...]
    mixes: int
    variants: int
    seed: int


def jobs(corpus: Path, dialect: str | None, largest: int | None, match: str) -> tuple[list[Job], int]:
    """Return the transcripts to try, by name, and how many were left out as too large."""
    found, left_out = [], 0
    for path in sorted(path for path in corpus.rglob("*") if path.suffix in _BODIES and path.is_file()):
        name, body = path.relative_to(corpus).as_posix(), path.read_bytes()
        spoken = dialects.detect(Transcript(body))
        if spoken is None or dialect not in (None, spoken.name) or match not in name:
            continue
        if largest is not None and len(body) > largest:
            left_out += 1
            continue
        found.append(Job(name, path, spoken.name, len(body)))
    return found, left_out


def tally(plan: Plan, job: Job) -> tuple[Job, Tally]:
    """Try one transcript."""
    transcript = Transcript(job.path.read_bytes(), name=job.name, dialect=job.dialect)
    return job, Tried(transcript, plan.classes, plan.seed).all(plan.mixes, plan.variants)


def tallies(plan: Plan, todo: Sequence[Job], processes: int) -> Iterator[tuple[Job, Tally]]:
    """Try all transcripts, the large ones first, so that no process waits for the last of them."""
    order = sorted(todo, key=lambda job: (-job.size, job.name))
    if processes == 1:
        yield from map(partial(tally, plan), order)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(partial(tally, plan), order)


def report(by_dialect: dict[str, Tally], classes: Iterable[Class]) -> Iterator[str]:
    """Yield the lines of the report."""
    columns = "{:<20}{:>12}{:>10}{:>10}{:>14}{:>9}"
    yield columns.format("dialect", "transcripts", "edits", "mixes", "inapplicable", "alarms")
    total = Tally()
    for name, one in sorted(by_dialect.items()):
        total.add(one)
        yield columns.format(name, one.transcripts, one.edits, one.mixes, one.inapplicable, len(one.alarms))
    yield columns.format("all", total.transcripts, total.edits, total.mixes, total.inapplicable, len(total.alarms))
    for name, one in sorted(by_dialect.items()):
        idle = [each.name for each in mutations(classes=[*classes], dialect=name) if each.name not in one.applied]
        if idle:
            yield f"{name}: nothing to do in any transcript for {', '.join(idle)}"
    counts = Counter((alarm.dialect, alarm.kind, alarm.names) for alarm in total.alarms)
    for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield ""
        yield f"{count} x {kind[2]} ({kind[1]}, {kind[0]})"
        alike = [alarm for alarm in total.alarms if (alarm.dialect, alarm.kind, alarm.names) == kind]
        for alarm in sorted(alike, key=lambda alarm: alarm.token)[:_SHOWN]:
            yield f"    {alarm.token}"
            yield f"        {alarm.why}"


def written(by_dialect: dict[str, Tally], plan: Plan) -> str:
    """Return the result as JSON, the same whatever the order in which transcripts were done."""
    found: list[Alarm] = sorted((a for one in by_dialect.values() for a in one.alarms), key=lambda a: (a.token, a.kind))
    value = {
        "format": 1,
        "seed": plan.seed,
        "classes": [str(kind) for kind in plan.classes],
        "dialects": {
            name: {"transcripts": one.transcripts, "edits": one.edits, "mixes": one.mixes,
                   "inapplicable": one.inapplicable, "alarms": len(one.alarms),
                   "applied": dict(sorted(one.applied.items()))}
            for name, one in sorted(by_dialect.items())
        },
        "alarms": [asdict(alarm) for alarm in found],
    }  # fmt: skip
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=FOLDER, help="the folder of recorded transcripts")
    parser.add_argument("--dialect", choices=dialects.names(), help="only transcripts of this dialect")
    parser.add_argument("--mixes", type=int, default=200, help="random mixes, of each class and transcript")
    parser.add_argument("--variants", type=int, default=8, help="variants of each mutation, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the mixes")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes")
    parser.add_argument("--classes", nargs="+", choices=[str(one) for one in Class], default=[str(Class.PRESERVING)])
    parser.add_argument("--largest", type=int, help="leave out transcripts of more bytes")
    parser.add_argument("--match", default="", help="only transcripts with this text in their names")
    parser.add_argument("--json", type=Path, help="write the result here")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the campaign; return the exit code."""
    options = arguments(words)
    classes = tuple(one for one in Class if str(one) in options.classes)
    plan = Plan(classes, options.mixes, options.variants, options.seed)
    todo, left_out = jobs(options.corpus, options.dialect, options.largest, options.match)
    if not todo:
        print(f"no transcript of a known dialect in {options.corpus}", file=sys.stderr)
        return 2
    by_dialect: dict[str, Tally] = {}
    started, size, last = time.monotonic(), sum(job.size for job in todo), 0.0
    done = 0
    for number, (job, one) in enumerate(tallies(plan, todo, options.jobs), 1):
        by_dialect.setdefault(job.dialect, Tally()).add(one)
        done += job.size
        for alarm in one.alarms:
            print(f"{alarm.token}\n    {alarm.why}", file=sys.stderr)
        now = time.monotonic()
        if now - last > 10 or number == len(todo):
            last = now
            alarms = sum(len(each.alarms) for each in by_dialect.values())
            print(f"{number}/{len(todo)} transcripts, {100 * done // size} % of the bytes, {alarms} alarms, "
                  f"{now - started:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    if left_out:
        print(f"{left_out} transcripts of more than {options.largest} bytes were left out")
    for line in report(by_dialect, classes):
        print(line)
    if options.json is not None:
        options.json.write_text(written(by_dialect, plan), encoding="utf-8")
    return 1 if any(one.alarms for one in by_dialect.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
