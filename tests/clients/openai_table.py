"""The command that tells what the real openai client does on every mutation of the catalogue.

    python tests/clients/openai_table.py [--json FILE] [--markdown FILE] [--seed N]
    python tests/clients/openai_table.py --replay TOKEN

The same versions and the same seed give the same table, but for the day in its head. It takes three minutes or so of
one core.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if not __package__:  # run by its path: then the folder above this package is not looked in
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clients import openai_client, openai_streams
from clients.openai_outcomes import Cell, Column, column, options
from streamkit.case import Token
from streamkit.errors import StreamkitError
from streamkit.fuzz import fuzz
from streamkit.mutations.registry import Class, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamkit.fuzz import Progress
    from streamkit.transcript import Transcript

__all__ = ["Table", "counts", "main", "markdown", "table"]

#: The outcomes as the summary counts them, and those of the engine that each takes in.
KINDS = {
    "same": ("same",),
    "typed": ("typed error", "error"),
    "silent": ("silent difference", "hang"),
    "crash": ("crash",),
}

Table = dict[str, list[Column]]


def table(
    seed: int = 0,
    only: Sequence[str] = (),
    streams: Sequence[str] = (),
    listener: Callable[[str, Progress], None] | None = None,
) -> Table:
    """Run the campaigns: for each API, a column for each target.

    Args:
        seed: of the campaigns.
        only: names of the only mutations to apply; all where empty.
        streams: names of the only streams to deliver; all where empty.
        listener: is told the target and its progress.
    """
    made: Table = {}
    for api, targets, every in (
        ("Chat Completions", openai_client.CHAT, openai_streams.chat_streams()),
        ("Responses", openai_client.RESPONSES, openai_streams.responses_streams()),
    ):
        chosen = [one for one in every if not streams or one.name in streams]
        made[api] = [_column(target, chosen, seed, only, listener) for target in targets]
    return made


def _column(
    target: Any, streams: Sequence[Transcript], seed: int, only: Sequence[str],
    listener: Callable[[str, Progress], None] | None,
) -> Column:  # fmt: skip
    def tell(progress: Progress) -> None:
        if listener is not None:
            listener(target.__name__, progress)

    return column(target, streams, seed, only, tell)


def counts(made: Column, kind: Class) -> dict[str, int]:
    """Return how many mutations of a class led to each kind of outcome."""
    cells = [cell for name, cell in made.cells.items() if get(name).kind is kind]
    return {name: sum(cell.outcome in taken for cell in cells) for name, taken in KINDS.items()}


def versions() -> dict[str, str]:
    """Return the versions of what is under test, of what it stands on, and of what tests it."""
    import openai

    http = openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
    return {name: importlib.metadata.version(name) for name in ("openai", http, "pydantic", "pytest-streamkit")}


# -- writing


def summary(made: Table) -> Iterator[str]:
    """Yield the lines of the table of counts."""
    yield "| target | class | same | typed error | silent difference | crash |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for columns in made.values():
        for one in columns:
            for kind in Class:
                found = counts(one, kind)
                yield f"| `{one.target}` | {kind} | " + " | ".join(str(found[name]) for name in KINDS) + " |"


def markdown(made: Table, seed: int) -> str:
    """Return the whole table as Markdown."""
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    today = dt.datetime.now(dt.UTC).date().isoformat()
    out = ["# What the openai client does", "", f"{told}; made {today} with seed {seed}.", "", *summary(made)]
    for api, columns in made.items():
        out += ["", f"## {api}", ""]
        names = list(dict.fromkeys(name for one in columns for name in one.cells))
        out += ["| mutation | class | " + " | ".join(f"`{one.target}`" for one in columns) + " |"]
        out += ["| --- | --- |" + " --- |" * len(columns)]
        for name in sorted(names, key=lambda name: get(name).kind):
            cells = [one.cells.get(name, _nothing(one, name)).told for one in columns]
            out.append(f"| `{name}` | {get(name).kind} | " + " | ".join(cells) + " |")
        for one in columns:
            out += ["", f"### `{one.target}`", ""]
            out += [f"- as recorded, {stream}: {cell.message}: `{cell.token}`" for stream, cell in one.recorded.items()]
            out += [f"- {name}: {_line(cell)}" for name, cell in one.cells.items() if cell.outcome != "same"]
            out += [f"- together: {_line(cell)}" for cell in one.combined]
    return "\n".join(out) + "\n"


def _nothing(one: Column, name: str) -> Cell:
    return Cell("wrong as recorded" if name in one.barred else "not applied")


def _line(cell: Cell) -> str:
    message = " ".join(cell.message.split())
    return f"{cell.told}: {message}" + (f": `{cell.token}`" if cell.token else "")


def as_json(made: Table, seed: int) -> dict[str, Any]:
    """Return the whole table for a JSON file."""
    return {
        "format": 1,
        "versions": versions(),
        "seed": seed,
        "apis": {
            api: [
                {
                    "target": one.target,
                    "cases": one.cases,
                    "counts": {str(kind): counts(one, kind) for kind in Class},
                    "recorded": {name: vars(cell) for name, cell in one.recorded.items()},
                    "mutations": {
                        name: {"class": str(get(name).kind), "layer": str(get(name).layer), **vars(cell)}
                        for name, cell in one.cells.items()
                    },
                    "combined": [vars(cell) for cell in one.combined],
                }
                for one in columns
            ]
            for api, columns in made.items()
        },
    }


# -- the command


def replay(token: str) -> Iterator[str]:
    """Yield what every target of its API does on one case.

    Raises:
        StreamkitError: the token is none, or of a stream that is not in the table.
    """
    case = Token.parse(token)
    stream = openai_streams.named(case.digest)
    if stream is None:
        raise StreamkitError(f"the table is not made over {case.name!r}: its digest is not that of any stream in it")
    targets = openai_client.CHAT if stream in openai_streams.chat_streams() else openai_client.RESPONSES
    for target in targets:
        report = fuzz(target, stream, options=options(), replay=token)
        yield f"== {target.__name__}"
        for finding in report.findings:
            yield from finding.lines()
        if not report.findings:
            yield "nothing is wrong"


def _show(target: str, progress: Progress) -> None:
    print(f"\r\033[K{target}: {progress.transcript}: {progress.phase} {progress.done}", end="", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="What the openai client does on every mutation of the catalogue.")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the table, with the tokens, as JSON")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write it as Markdown")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the campaigns (0)")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="apply only this mutation")
    parser.add_argument("--stream", metavar="NAME", action="append", default=[], help="deliver only this stream")
    parser.add_argument("--replay", metavar="TOKEN", help="run one case on each target and tell all about it")
    asked = parser.parse_args(arguments)
    try:
        if asked.replay:
            print("\n".join(replay(asked.replay)))
            return 0
        made = table(asked.seed, asked.only, asked.stream, _show if sys.stderr.isatty() else _show_targets())
    except StreamkitError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(file=sys.stderr)
    if asked.json:
        asked.json.write_text(json.dumps(as_json(made, asked.seed), indent=1, ensure_ascii=False) + "\n", "utf-8")
    if asked.markdown:
        asked.markdown.write_text(markdown(made, asked.seed), "utf-8")
    print(markdown(made, asked.seed), end="")
    return 0


def _show_targets() -> Callable[[str, Progress], None]:
    """Return a listener that tells each stream once, for a log."""
    told: set[tuple[str, str]] = set()

    def tell(target: str, progress: Progress) -> None:
        if (target, progress.transcript) not in told:
            told.add((target, progress.transcript))
            print(f"{target}: {progress.transcript}", file=sys.stderr)

    return tell


if __name__ == "__main__":
    sys.exit(main())
