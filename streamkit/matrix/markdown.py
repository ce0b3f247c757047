"""A matrix as Markdown: the summary, the whole table in short marks, and every finding with what was judged of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from streamkit.fuzz.mutating import OUTCOMES
from streamkit.matrix.cells import INAPPLICABLE, UNTRIED
from streamkit.matrix.plan import PLAIN
from streamkit.mutations.registry import get

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamkit.matrix.result import Matrix
    from streamkit.matrix.rows import Summed

__all__ = ["MARKS", "markdown"]

#: The short marks of the table.
MARKS = {
    "same": "=",
    "typed error": "t",
    "error": "E",
    "crash": "C",
    "exit": "X",
    "garbage": "G",
    "hang": "H",
    "silent difference": "S",
    INAPPLICABLE: "",
    UNTRIED: "-",
}
_LEGEND = {
    "same": "the result that is due",
    "typed error": "an error that a caller can expect, where one is right",
    "error": "such an error where a result was due",
    "crash": "an error that is a slip of the client, such as KeyError",
    "exit": "the program that drives the client ended; counted as a crash",
    "garbage": "that program wrote something that is no answer; counted as a crash",
    "hang": "no result within the time limit",
    "silent difference": "another result, and no error",
    UNTRIED: "not tried, or the transcript is wrong as recorded",
}
_MOST = 120  # characters of each side of a difference


def markdown(matrix: Matrix) -> str:
    """Return a matrix as Markdown."""
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: Matrix) -> Iterator[str]:
    told = ", ".join(f"{name} {version}" for name, version in matrix.versions.items())
    yield from (f"# {matrix.plan.title}", "")
    yield f"Made on {matrix.date} with {told}, seed {matrix.plan.seed}."
    if matrix.interrupted:
        yield from ("", "**Interrupted: this is what was covered until then.**")
    yield from ("", "## Clients", "")
    yield from _row(("client", "version", "dialect", "transcripts", "deliveries", "problem"))
    yield from _row(["---"] * 6)
    for row in matrix.rows:
        yield from _row(
            (f"`{row.name}`", row.version or "not known", row.client.dialect or "any", str(len(row.parts)),
             str(row.cases), row.problem or "none")
        )  # fmt: skip
    yield from ("", "## Summary", "")
    yield "A cell counts mutations, each by the worst that it led to over the transcripts; of `recorded` and `cuts`, it"
    yield from ("counts transcripts.", "")
    yield from _row(("client", "class", *OUTCOMES))
    yield from _row(["---"] * (2 + len(OUTCOMES)))
    for row in matrix.rows:
        for kind, counts in row.counts().items():
            if any(counts.values()):
                yield from _row((f"`{row.name}`", kind, *(str(counts[name]) for name in OUTCOMES)))
    yield from ("", "## All mutations", "")
    yield from (f"- `{MARKS[name]}` {name}: {meaning}" for name, meaning in _LEGEND.items())
    yield "- an empty cell: the mutation has nothing to do there"
    yield from ("- `S 2, = 3`: the worst first, on how many transcripts each", "")
    yield from _table(matrix)
    yield from _findings(matrix)
    yield from _unneeded(matrix)


def _row(cells: Sequence[str]) -> Iterator[str]:
    yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _table(matrix: Matrix) -> Iterator[str]:
    """Yield a line for each mutation that any client can be told apart by: what has nothing to do anywhere is not."""
    yield from _row(("mutation", "class", *(f"`{row.name}`" for row in matrix.rows)))
    yield from _row(["---"] * (2 + len(matrix.rows)))
    columns = [{name: cell for name, _, cell in row.everything()} for row in matrix.rows]
    for name in (*PLAIN, *matrix.mutations()):
        cells = [column.get(name) for column in columns]
        kind = "" if name in PLAIN else str(get(name).kind)
        if any(cell is not None and cell.worst.outcome != INAPPLICABLE for cell in cells):
            yield from _row((f"`{name}`", kind, *(_mark(cell) for cell in cells)))


def _mark(cell: Summed | None) -> str:
    if cell is None:
        return MARKS[UNTRIED]
    kinds = Counter(one.kind for one in cell.by_transcript.values())
    if len(kinds) < 2:
        return MARKS[cell.worst.kind]
    return ", ".join(f"{mark} {kinds[name]}" for name, mark in reversed(MARKS.items()) if kinds[name])


def _findings(matrix: Matrix) -> Iterator[str]:
    yield from ("", "## Findings", "")
    yield "What is wrong, the worst first. `client:` is the client's doing, `driver:` that of the program that drives"
    yield "it, `ours:` streamkit's; what nobody has judged yet is marked so."
    before = None
    for row, name, kind, cell in matrix.findings():
        if row is not before:
            before = row
            yield from ("", f"### `{row.name}` {row.version}".rstrip(), "")
            place = "" if row.client.cwd == Path() else f", in `{row.client.cwd.as_posix()}`"
            yield from (f"To repeat one{place}: `{row.rerun('TOKEN')}`", "")
        worst = cell.worst
        yield f"- `{name}` ({kind}): {worst.told}; {_code(_differs(cell))}; `{worst.token}`"
        yield f"  - {cell.judgement or '**not judged**'}"
    if before is None:
        yield from ("", "None.")


def _differs(cell: Summed) -> str:
    worst = cell.worst
    if worst.at:
        return f"{worst.at}: expected {_short(worst.expected)}, actual {_short(worst.actual)}"
    if worst.outcome == "silent difference" and worst.message:
        return _short(worst.message)
    return f"expected {_short(worst.expected)}, actual {_short(worst.actual or worst.message)}"


def _code(text: str) -> str:
    """Return a text as code, with a longer fence where it holds a backtick."""
    text = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in _runs(text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _runs(text: str) -> list[str]:
    return [run for run in "".join(one if one == "`" else " " for one in text).split(" ") if run]


def _short(text: str) -> str:
    return text if len(text) <= _MOST else text[:_MOST] + "..."


def _unneeded(matrix: Matrix) -> Iterator[str]:
    listed = [(row.name, name) for row in matrix.rows for name in row.unneeded()]
    if listed:
        yield from ("", "## Judgements of what is not wrong (any more)", "")
        yield from (f"- `{client}`: `{name}`" for client, name in listed)
