"""`streamkit lint`: what is wrong or odd in cassettes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from streamkit.cli.common import console, debug_option, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamkit.cassettes.lint import Problem

__all__ = ["lint"]

_SUFFIXES = (".yaml", ".yml", ".sse")
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class _Command(click.Command):
    """A command whose help ends with the rules, which are loaded only when it is asked for."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from streamkit.cassettes.lint import RULES

        with formatter.section("Rules"):
            formatter.write_dl(list(RULES.items()))


@click.command(cls=_Command)
@click.argument("paths", nargs=-1, metavar="[PATH|NAME]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave a rule out. May be given several times.")
@click.option("--strict", is_flag=True, help="Notes make the exit code 1 too.")
@debug_option
def lint(paths: tuple[str, ...], as_json: bool, ignore: tuple[str, ...], strict: bool) -> int:
    """Look for secrets and faults in cassettes: all of ./cassettes, or those named, or all below a folder.

    The exit code is 1 if an error or a warning was found, 2 if a path does not exist.

    \b
    The JSON form:
      {"format": 1, "files": 2, "errors": 1, "warnings": 0, "notes": 0,
       "problems": [{"path": "cassettes/a.yaml", "interaction": 1, "line": 12,
                     "rule": "secret", "severity": "error", "message": "..."}],
       "rules": {"secret": "what it finds", ...}}
    `interaction` and `line` count from 1; null where none can be named.
    """  # noqa: D301 - click wants the very character, which keeps the lines below it apart
    from streamkit.cassettes.lint import RULES, lint_file
    from streamkit.errors import UsageError

    for rule in ignore:
        if rule not in RULES:
            raise UsageError(f"no rule named {rule!r}; there are: {', '.join(RULES)}")
    files = _files(paths)
    problems = [
        problem
        for path, only in files
        for problem in lint_file(path)
        if problem.rule not in ignore and only in (None, problem.interaction)
    ]
    counts = Counter(problem.severity for problem in problems)
    if as_json:
        write_json("-", {
            "format": 1,
            "files": len(files),
            **{f"{severity}s": counts[severity] for severity in ("error", "warning", "note")},
            "problems": [problem.as_json() for problem in problems],
            "rules": RULES,
        })  # fmt: skip
    else:
        _print(problems, len(files))
    return int(bool(counts["error"] or counts["warning"] or (strict and counts["note"])))


def _files(paths: tuple[str, ...]) -> list[tuple[Path, int | None]]:
    """Return the files to look at, each once, and the one interaction that was asked for, if one was."""
    from streamkit.cassettes import find
    from streamkit.errors import UsageError

    if not paths:
        folder = Path(os.environ.get("STREAMKIT_CASSETTES") or "cassettes")
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}: name a file, a folder or a cassette")
        return [(path, None) for path in _below(folder)]
    found: dict[tuple[Path, int | None], None] = {}
    for given in paths:
        stem, mark, number = given.rpartition("#")
        if Path(given).is_dir():
            found.update(((path, None), None) for path in _below(Path(given)))
        elif mark and number.isdigit() and not Path(given).exists():
            found[find(stem), int(number)] = None
        else:
            found[find(given), None] = None
    return list(found)


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and path.is_file())


def _print(problems: list[Problem], files: int) -> None:
    out = console()
    several = {problem.path for problem in problems if (problem.interaction or 1) > 1}
    for problem in problems:
        where = problem.path if problem.line is None else f"{problem.path}:{problem.line}"
        number = f"interaction {problem.interaction}: " if problem.path in several and problem.interaction else ""
        message = " ".join(problem.message.split())
        line = Text.assemble(
            (f"{where}: ", "bold"), (problem.rule, _STYLES[problem.severity]), f": {number}{message}"
        )  # fmt: skip
        out.print(line)
    out.print(Text(_summary(problems, files)))


def _summary(problems: Iterable[Problem], files: int) -> str:
    counts: Counter[str] = Counter(problem.severity for problem in problems)
    parts = [f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}" for kind in _STYLES if counts[kind]]
    return f"{', '.join(parts) or 'nothing found'} in {files} file{'' if files == 1 else 's'}"
