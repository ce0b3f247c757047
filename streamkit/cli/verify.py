"""`streamkit verify`: whether the servers still answer as the cassettes say."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.text import Text

from streamkit.cli.common import console, debug_option, write_json
from streamkit.cli.headers import expanded, headers_of, pair, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from streamkit.replay.verify import Report, Verified

__all__ = ["verify"]

_STYLES = {"drift": "bold red", "new": "cyan", "note": "dim"}


@click.command()
@click.argument("cassettes", nargs=-1, required=True, metavar="CASSETTE...")
@click.option("--base-url", default=None, metavar="URL", help="Send everything there instead.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Send this header too, instead of a recorded one of that name. May be given several times.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="'NAME=VALUE'",
    help="The value of a URL parameter or body field that was redacted. May be given several times.",
)
@click.option(
    "--auth-env",
    default=None,
    metavar="VARIABLE",
    help="Send 'Authorization: Bearer ...' with the value of this environment variable.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a connection, and for each piece of an answer.",
)
@click.option(
    "--keep/--no-keep",
    default=True,
    show_default=True,
    help="Keep the new recording beside the cassette, as NAME.fresh.yaml.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@debug_option
def verify(
    cassettes: tuple[str, ...],
    base_url: str | None,
    headers: tuple[str, ...],
    params: tuple[str, ...],
    auth_env: str | None,
    timeout: float,
    keep: bool,
    as_json: bool,
) -> int:
    """Send the requests of cassettes again and say what has drifted in the answers. The cassettes stay as they are.

    CASSETTE is a name or a path. In the values of --header and --param, $VARIABLE and ${VARIABLE} stand for the
    environment's, and $$ for a dollar: write them in single quotes, so that no key gets into the shell's history.

    The exit code is 0 if nothing that tests may rely on has changed (additions are listed), 1 if something has or a
    request got no answer, 2 if the call is at fault or no request got an answer.

    \b
    The JSON form:
      {"format": 1, "same": 1, "new": 0, "drift": 1, "unreached": 0,
       "cassettes": [{"path": "cassettes/a.yaml", "fresh": "cassettes/a.fresh.yaml", "interactions": [
         {"interaction": 1, "method": "POST", "url": "...", "result": "drift", "problem": "", "hints": [],
          "findings": [{"kind": "field", "where": "$.usage", "old": "object", "new": "",
                        "message": "went away", "severity": "drift"}]}]}]}
    `result` is same, new, drift or unreached; `severity` is drift, new or note.
    """  # noqa: D301 - click wants the very character, which keeps the lines below it apart
    from streamkit.cassettes.library import bundled_folder
    from streamkit.cassettes.redaction import Redaction
    from streamkit.errors import UsageError
    from streamkit.replay.verify import verify as verified

    paths = _paths(cassettes)
    given, secret = headers_of(headers)
    if auth_env is not None:
        if any(name.lower() == "authorization" for name in given):
            raise UsageError("--auth-env and --header both give an Authorization: leave one away")
        given["Authorization"] = f"Bearer {variable(auth_env, '--auth-env')}"
    values = dict(pair(text, "=", "--param") for text in params)
    values = {name: expanded(value, f"--param {name}") for name, value in values.items()}
    reports = []
    for path in paths:
        ours = path.resolve().is_relative_to(bundled_folder().resolve())  # which is no place for files of a project
        with _progress(path) as progress:
            report = verified(
                path, headers=given, params=values, base_url=base_url, timeout=timeout, keep=keep and not ours,
                redaction=Redaction(headers=secret), progress=progress,
            )  # fmt: skip
        reports.append(report)
        if not as_json:
            _print(report)
    counts = {
        result: sum(report.count(result) for report in reports) for result in ("same", "new", "drift", "unreached")
    }
    if as_json:
        write_json("-", {"format": 1, **counts, "cassettes": [report.as_json() for report in reports]})
    else:
        console().print(Text(_summary(counts)))
    if not counts["same"] + counts["new"] + counts["drift"]:
        return 2
    return int(bool(counts["drift"] or counts["unreached"]))


# -- what is given


def _paths(cassettes: Iterable[str]) -> list[Path]:
    """Return the files, each once and each readable, so that no request is sent for a call that fails later."""
    from streamkit.cassettes import find, load_cassette
    from streamkit.errors import UsageError
    from streamkit.replay.verify import FRESH

    found = list(dict.fromkeys(find(name) for name in cassettes))
    old = [path for path in found if not path.name.endswith(FRESH)]  # `cassettes/*.yaml` names both
    if not old:
        raise UsageError(f"{found[0]} is a fresh recording: name the cassette that it was made from")
    for path in old:
        if path.suffix == ".sse":
            raise UsageError(f"{path} is a bare body: it tells no request to send again")
        load_cassette(path)
    return old


# -- what is said


@contextmanager
def _progress(path: Path) -> Iterator[Callable[[int, int], None] | None]:
    """Give a listener that shows on standard error which request is on its way; None where that is no terminal."""
    err = console(err=True)
    if not err.is_terminal:
        yield None
        return
    with err.status(Text(str(path))) as status:
        yield lambda done, total: status.update(Text(f"{path}: {min(done + 1, total)} of {total}"))


def _print(report: Report) -> None:
    out = console()
    for one in report.interactions:
        out.print(
            Text.assemble((f"{report.path}#{one.number}: ", "bold"), _line(f"{one.method} {one.url}: {_said(one)}"))
        )
        for finding in one.findings:
            where = f"{finding.where}: {finding.message}"
            out.print(Text.assemble("  ", (f"{finding.severity:<5}", _STYLES[finding.severity]), " ", finding.kind, " ",
                                    _line(where)))  # fmt: skip
        for hint in one.hints:
            out.print(Text(f"  hint: {_line(hint)}"))
    if report.fresh is not None:
        out.print(Text(f"recorded in {report.fresh}"))


def _said(one: Verified) -> str:
    if one.problem:
        return one.problem
    counts = {severity: sum(finding.severity == severity for finding in one.findings) for severity in _STYLES}
    if counts["drift"]:
        return f"{counts['drift']} drifted" + (f", {counts['new']} new" if counts["new"] else "")
    return "no drift" + (f", {counts['new']} new" if counts["new"] else "")


def _line(text: str) -> str:
    """Return a server's text as one line that does nothing to a terminal."""
    return re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]",
                  lambda match: match[0].encode("unicode_escape").decode(), text)  # fmt: skip


def _summary(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    parts = [f"{total} interaction{'' if total == 1 else 's'}", f"{counts['drift']} drifted"]
    if counts["new"]:
        parts.append(f"{counts['new']} with additions alone")
    if counts["unreached"]:
        parts.append(f"{counts['unreached']} without an answer")
    return ", ".join(parts)
