"""`streamkit convert`: from any format that is read to any that is written, with secrets removed on the way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamkit.cli.common import check_writable, debug_option

if TYPE_CHECKING:
    from streamkit.cassettes import Cassette
    from streamkit.transcript import Request

__all__ = ["convert"]

_FORMATS = ("streamkit", "vcr", "har", "curl", "sse")  # as in cassettes.convert, which --help should not have to load


@click.command()
@click.argument("source")
@click.argument("target", default="-")
@click.option("--to", "form", type=click.Choice(_FORMATS), default=None, help="The format to write.")
@click.option("--url", default=None, help="The address of the request, for sources that do not tell it.")
@click.option("--method", default=None, help="The method of the request, for sources that do not tell it.")
@click.option("--force", is_flag=True, help="Overwrite TARGET.")
@debug_option
def convert(source: str, target: str, form: str | None, url: str | None, method: str | None, force: bool) -> int:
    r"""Convert a recording from one format to another, and remove secrets from it.

    SOURCE is a transcript's name, a file, or - for standard input: a cassette of streamkit or vcrpy, a HAR, what
    `curl -N -i` printed, or a bare .sse body. With #2 after it, it is the second interaction alone.

    TARGET is a file, or - for standard output, which is the default. Its name says the format unless --to does:
    .yaml streamkit, .har, .sse, .txt or .http curl. Standard output gets streamkit's.

    What the format cannot hold is said on standard error.
    """
    from streamkit.cassettes.convert import losses, write

    form = form or _form_of(target)
    if target != "-":
        check_writable(target)
        if not force and Path(target).exists():
            from streamkit.errors import UsageError

            raise UsageError(f"{target} exists: write --force to overwrite it, or name another file")
    cassette = _redacted(_read(source, url, method))
    data = write(cassette, form)
    if target == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        from streamkit.cassettes.files import write_atomic

        write_atomic(Path(target), data)
    held = len(cassette.interactions)
    place = "standard output" if target == "-" else target
    click.echo(f"{place}: {held} interaction{'' if held == 1 else 's'}, {len(data)} bytes, {form}", err=True)
    lost = losses(cassette, form)
    if lost:
        click.echo(f"not kept, because {form} cannot hold it: {', '.join(lost)}", err=True)
    return 0


def _form_of(target: str) -> str:
    from streamkit.cassettes.convert import format_of_suffix
    from streamkit.errors import UsageError

    if target == "-":
        return "streamkit"
    form = format_of_suffix(target)
    if form is None:
        raise UsageError(
            f"the name {target} does not say which format to write: "
            f"end it in .yaml, .har, .sse or .txt, or write --to {'|'.join(_FORMATS)}"
        )
    return form


def _read(source: str, url: str | None, method: str | None) -> Cassette:
    from streamkit.cassettes.convert import read, read_bytes
    from streamkit.errors import UsageError

    request = _request(url, method)
    if source == "-":
        cassette = read_bytes(sys.stdin.buffer.read(), "-", name="-", request=request)
    else:
        path, name, number = _find(source)
        cassette = read(path, name=name, number=number, request=request)
    if (url is not None or method is not None) and any(i.request != request for i in cassette.interactions):
        raise UsageError(f"{source} tells its request: --url and --method are for sources that do not (curl, sse)")
    return cassette


def _request(url: str | None, method: str | None) -> Request:
    from streamkit.cassettes.curl import UNKNOWN_REQUEST
    from streamkit.transcript import Request

    unknown = UNKNOWN_REQUEST
    return Request(unknown.method if method is None else method.upper(), unknown.url if url is None else url)


def _find(source: str) -> tuple[Path, str, int | None]:
    """Return file, name and number of a source. A file goes before a name in the library."""
    from streamkit.cassettes import find

    stem, mark, digits = source.rpartition("#")
    number = int(digits) if mark and digits.isdecimal() else None
    for text, chosen in ((source, None), (stem, number)):
        if text and (text == source or number is not None) and Path(text).is_file():
            return Path(text), text, chosen
    name = source if number is None else stem
    return find(name), name, number


def _redacted(cassette: Cassette) -> Cassette:
    from streamkit.cassettes import Cassette
    from streamkit.cassettes.redaction import Redactor

    redactor = Redactor()
    for interaction in cassette.interactions:
        redactor.learn(interaction.request)
    return Cassette(tuple(redactor.interaction(interaction) for interaction in cassette.interactions))
