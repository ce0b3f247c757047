"""The table of the planted bugs: `python tests/targets/table.py [PREFIX]` hunts for each and prints how it was caught.

PREFIX is that of the modules: `chat` takes those of `planted_chat_*.py`. Exit code 1 says that a bug was missed.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from targets.planting import Hunt, hunt, registered

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HEAD", "row", "summary", "table"]

#: The columns. Cases are deliveries until the finding was there, minimal; bytes are those of the events concerned.
HEAD = ("bug", "mutation", "class", "caught", "cases", "steps", "cuts", "bytes", "seconds")


def row(found: Hunt) -> tuple[str, ...]:
    """Return the line of one bug."""
    planted, finding = found.planted, found.finding
    first = (planted.name, planted.mutation, str(planted.kind))
    if finding is None:
        return (*first, "NO", str(found.report.cases), "-", "-", "-", f"{found.seconds:.1f}")
    name = finding.case.steps[0].mutation.name
    caught = "yes" if name == planted.mutation else f"as {name}"
    size = (len(finding.case.steps), len(finding.case.fragmentation), found.concerned)
    return (*first, caught, str(finding.cases), *map(str, size), f"{found.seconds:.1f}")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return lines of a table in plain text, the columns aligned."""
    widths = [max(len(one[column]) for one in [HEAD, *rows]) for column in range(len(HEAD))]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip() for one in lines
    )


def summary(hunts: Sequence[Hunt]) -> str:
    """Return the last line: how many were caught, and what it took."""
    caught = [found for found in hunts if found.finding is not None]
    cases = [found.finding.cases for found in caught if found.finding is not None]
    middle = f"; the median needed {statistics.median(cases):.0f} cases" if cases else ""
    return (
        f"{len(caught)} of {len(hunts)} planted bugs caught{middle}; {sum(one.seconds for one in hunts):.0f} s in all"
    )


def main(arguments: Sequence[str]) -> int:
    """Hunt for all bugs and print the table."""
    hunts = []
    for planted in registered(arguments[0] if arguments else ""):
        hunts.append(hunt(planted))
        print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    print(table([row(found) for found in hunts]))
    print(summary(hunts))
    return 0 if all(found.finding is not None for found in hunts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
