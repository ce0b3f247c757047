"""`streamkit mutations`: the catalogue."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from streamkit.cli.common import console, debug_option, write_json

__all__ = ["mutations"]


@click.command()
@click.argument("name", required=False)
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only preserving, dialect or fault.")
@click.option("--layer", "layers", multiple=True, metavar="LAYER", help="Only bytes, framing, json, delta or delivery.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@debug_option
def mutations(name: str | None, classes: tuple[str, ...], layers: tuple[str, ...], as_json: bool) -> int:
    """List the mutations that `fuzz` applies, or tell all about the one named."""
    from streamkit.mutations import registry

    listed = [registry.get(name)] if name else registry.mutations(classes=classes or None, layers=layers or None)
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "class": str(one.kind),
            "layer": str(one.layer),
            "does": one.does,
            "right": one.right,
            "dialects": list(one.dialects),
            "sources": list(one.sources),
        }
        for one in listed
    ]
    if as_json:
        write_json("-", rows)
        return 0
    out = console()
    if name:
        for key, value in rows[0].items():
            out.print(f"{key:<9} {', '.join(value) if isinstance(value, list) else value}", soft_wrap=True)
        return 0
    table = Table(box=None, pad_edge=False)
    for column in ("name", "class", "layer", "does"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(row["name"], row["class"], row["layer"], row["does"])
    out.width = max([len(row["does"]) for row in rows], default=0) + 80  # as wide as it is, whatever the terminal
    out.print(table, soft_wrap=False)
    return 0
