"""`streamkit list` and `streamkit show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from streamkit.cli.common import console, debug_option, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from streamkit.transcript import Transcript

__all__ = ["list_", "show"]


class _TellsFeatures(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Name the features, so that nobody has to guess one."""
        from streamkit.cassettes.features import FEATURES

        with formatter.section("Features"):
            formatter.write_dl(list(FEATURES.items()))


@click.command("list", cls=_TellsFeatures)
@click.option("--dialect", default=None, metavar="NAME", help="Only those that speak this dialect.")
@click.option(
    "--feature", "feature", multiple=True, metavar="NAME",
    help="Only those that have this feature, as named below; of several, all.",
)  # fmt: skip
@click.option(
    "--server", default=None, metavar="NAME", help="Only those of this server: 'litellm', or 'litellm 1.108.7'."
)
@click.option("--names", is_flag=True, help="The names alone, one a line, as `streamkit fuzz TARGET` takes them.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the features of each.")
@debug_option
def list_(dialect: str | None, feature: tuple[str, ...], server: str | None, names: bool, as_json: bool) -> int:
    """List the transcripts that can be named: the project's own in ./cassettes, and the bundled ones."""
    from streamkit import cassettes
    from streamkit.cassettes.catalogue import chosen
    from streamkit.cassettes.features import features
    from streamkit.errors import StreamkitError, UsageError

    listed: list[Transcript] = []
    broken: list[str] = []
    for name in cassettes.names():
        try:
            path = cassettes.find(name)
            held = (
                [cassettes.load(name)]
                if path.suffix == ".sse"
                else list(cassettes.load_cassette(path, name=name).transcripts)
            )
        except StreamkitError as error:
            broken.append(str(error))
            continue
        if len(held) > 1:  # the first by its number too: so it can be named
            held = [transcript.renamed(f"{name}#{number}") for number, transcript in enumerate(held, 1)]
        listed.extend(held)
    listed = chosen(listed, dialect=dialect, feature=feature, server=server)
    if names and as_json:
        raise UsageError("--names or --json, not both: the JSON holds the names")
    rows = [_facts(transcript) for transcript in listed]
    if as_json:
        rows = [{**row, "features": sorted(features(one))} for row, one in zip(rows, listed, strict=True)]
        write_json("-", rows)
    elif names:
        click.echo("".join(f"{row['name']}\n" for row in rows), nl=False)
    else:
        out = console()
        table = Table(box=None, pad_edge=False)
        for column in ("name", "dialect", "ending", "origin"):
            table.add_column(column, no_wrap=True)
        table.add_column("bytes", justify="right")
        table.add_column("chunks", justify="right")
        for row in rows:
            chunks = str(len(row["chunks"])) if row["chunks_recorded"] else "unknown"
            origin = "synthetic" if row["synthetic"] else "recorded"
            table.add_row(row["name"], row["dialect"] or "?", row["ending"], origin, str(row["bytes"]), chunks)
        out.width = max([len(row["name"]) for row in rows], default=0) + 80  # as wide as it is, whatever the terminal
        out.print(table, soft_wrap=False)
    err = console(err=True)
    for line in broken:
        err.print(f"streamkit: error: {line}")
    return 2 if broken else 0


def _facts(transcript: Transcript) -> dict[str, Any]:
    from streamkit import dialects

    dialect = dialects.detect(transcript)
    return {
        "name": transcript.name,
        "dialect": dialect.name if dialect is not None else None,
        "status": transcript.head.status,
        "bytes": len(transcript.body),
        "sha256": transcript.sha256,
        "ending": str(transcript.ending),
        "chunks_recorded": transcript.chunks_recorded,
        "chunks": [[chunk.at, len(chunk.data)] for chunk in transcript.chunks],
        "synthetic": transcript.synthetic,
        "source": transcript.source,
        "server": transcript.server or None,
    }


@click.command()
@click.argument("name")
@click.option(
    "--cuts", default=None, help="Show this fragmentation instead of the recorded chunks: 'whole' or '99,100'."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@debug_option
def show(name: str, cuts: str | None, as_json: bool) -> int:
    """Show a transcript: its events, chunks, boundary classes and result. NAME is a name or a path."""
    from streamkit.cassettes import load
    from streamkit.wire.fragmentation import Fragmentation

    transcript = load(name)
    fragmentation = transcript.recorded if cuts is None else Fragmentation.parse(cuts)
    facts = _everything(transcript, fragmentation)
    if as_json:
        write_json("-", facts)
    else:
        _print(console(), transcript, fragmentation, facts)
    return 0


def _everything(transcript: Transcript, fragmentation: Any) -> dict[str, Any]:
    from streamkit.wire.boundaries import boundaries, event_ends
    from streamkit.wire.sse import SSEDecoder

    where = boundaries(transcript.body)
    decoder = SSEDecoder()
    events: list[dict[str, Any]] = []
    start = 0
    for end in [*event_ends(transcript.body), len(transcript.body)]:
        events += [
            {"start": start, "end": end, "event": e.event, "id": e.id, "retry": e.retry, "data": e.data}
            for e in decoder.feed(transcript.body[start:end])
        ]
        start = end
    decoder.close()
    kinds = fragmentation.classify(transcript.body)
    request = transcript.request
    return {
        **_facts(transcript),
        "request": None if request is None else {
            "method": request.method, "url": request.url, "body": request.body.decode("utf-8", "replace"),
        },
        "headers": [list(header) for header in transcript.head.headers],
        "fragmentation": str(fragmentation),
        "lengths": fragmentation.lengths(len(transcript.body)) if fragmentation.chunks(transcript.body) else [],
        "cuts": [{"offset": cut, "class": None if kind is None else str(kind)}
                 for cut, kind in zip(fragmentation.cuts, kinds, strict=True)],
        "boundaries": {str(kind): len(where.offsets(kind)) for kind in where.classes()},
        "events": events,
        "unfinished_bytes": decoder.discarded,
        "diagnostics": [{"kind": d.kind, "line": d.line, "detail": d.detail} for d in decoder.diagnostics],
        "result": _result(transcript),
    }  # fmt: skip


def _result(transcript: Transcript) -> dict[str, Any] | None:
    from streamkit import dialects
    from streamkit.errors import DialectError
    from streamkit.fuzz.normal import jsonable, normalise

    dialect = dialects.detect(transcript)
    if dialect is None:
        return None
    reader = dialect.reader()
    error = None
    try:
        reader.feed(transcript.body)
        reader.close()
        completion = reader.result()
    except DialectError as problem:
        error = {"type": type(problem).__name__, "message": str(problem)}
        completion = problem.partial if problem.partial is not None else reader.snapshot()
    return {"error": error, "completion": jsonable(normalise(completion))}


def _print(out: Console, transcript: Transcript, fragmentation: Any, facts: dict[str, Any]) -> None:
    from streamkit.fuzz.counterexample import hexdump

    def title(text: str) -> None:
        out.print()
        out.print(Text(text, style="bold"))

    origin = "synthetic, no server sent it" if transcript.synthetic else "recorded"
    out.print(Text(transcript.name, style="bold"), f"({facts['dialect'] or 'unknown dialect'}, {origin})")
    if transcript.source:
        out.print(f"  {transcript.source}")
    if facts["request"] is not None:
        out.print(f"  {facts['request']['method']} {facts['request']['url']}")
    out.print(f"  {transcript.head.status} {transcript.head.reason}, {facts['bytes']} bytes, ended: {facts['ending']}")

    title(f"{len(facts['events'])} events")
    for event in facts["events"]:
        size = event["end"] - event["start"]
        kind = "" if event["event"] == "message" else f"{event['event']}: "
        most = max(20, out.width - 20) if out.is_terminal else 1000
        data = event["data"] if len(event["data"]) <= most else "..." + event["data"][3 - most :]
        out.print(f"  {event['start']:>8} +{size:<6} {kind}{_one_line(data)}")
    if facts["unfinished_bytes"]:
        out.print(f"  {facts['unfinished_bytes']} bytes at the end are an unfinished event, which is discarded")
    for note in facts["diagnostics"]:
        out.print(f"  line {note['line']}: {note['kind']} {note['detail']}", style="yellow")

    lengths = facts["lengths"]
    known = transcript.chunks_recorded or fragmentation != transcript.recorded
    title(
        f"{len(lengths)} chunk{'s' if len(lengths) != 1 else ''}"
        + ("" if known else " (the network's were not recorded)")
    )
    shown = ", ".join(map(str, lengths[:40])) + (", ..." if len(lengths) > 40 else "")
    out.print(f"  bytes: {shown}")
    for line in hexdump(transcript.body, fragmentation.cuts):
        out.print(f"  {line}")

    title("where it can be cut")
    for kind, count in facts["boundaries"].items():
        from streamkit.wire.boundaries import BoundaryClass

        out.print(f"  {kind:<12} {count:>7}  {BoundaryClass.parse(kind).meaning}")

    title("result")
    result = facts["result"]
    if result is None:
        out.print("  no dialect of streamkit knows this transcript")
        return
    if result["error"] is not None:
        out.print(f"  {result['error']['type']}: {result['error']['message']}", style="red")
    for line in json.dumps(_without_empty(result["completion"]), ensure_ascii=False, indent=2).splitlines():
        out.print(f"  {line}")


def _one_line(text: str) -> str:
    return text.replace("\n", "\u23ce")


def _without_empty(value: Any) -> Any:
    """Leave out what is null or empty: a person reads it."""
    if isinstance(value, dict):
        cleaned = {key: _without_empty(item) for key, item in value.items() if key != "$type"}
        return {key: item for key, item in cleaned.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value
