"""Imports go down only: each module of streamkit belongs to a room, and each room stands on a floor."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "streamkit"

#: Room (a module or a package of streamkit): its floor, and its step among the rooms of that floor.
ROOMS = {
    "errors": (0, 0),
    "wire": (1, 0),
    "completion": (1, 0),
    "transcript": (1, 1),
    "dialects": (2, 0),
    "cassettes": (3, 0),
    "mutations": (3, 0),
    "case": (3, 1),
    "synthesis": (3, 1),
    "generation": (4, 0),
    "strategies": (4, 1),
    "_hypothesis_hook": (4, 2),
    "replay": (4, 2),
    "server": (4, 3),
    "fuzz": (4, 4),
    "proof": (4, 5),
    "conformance": (5, 0),
    "conversation": (5, 0),
    "examples": (5, 0),
    "matrix": (5, 1),
    "cli": (6, 0),
    "pytest_cassettes": (6, 0),
    "pytest_fragmentations": (6, 0),
    "pytest_servers": (6, 1),
    "pytest_plugin": (6, 2),
    "__main__": (7, 0),
}
#: The front door names what stands on every floor, and loads none of it: only type checkers see its imports.
FRONT_DOOR = "__init__"
#: Rooms that import nothing of ours.
ALONE = {"errors", "examples"}

NETWORK = {
    "aiohttp", "anyio", "ftplib", "h11", "h2", "http", "httpcore", "httpx", "httpx2", "openai", "requests", "smtplib",
    "socket", "socketserver", "ssl", "urllib.request", "urllib3", "vcr", "xmlrpc",
}  # fmt: skip

#: (module or package, what it imports): where it may do so, and why.
EXCEPTIONS = {
    ("streamkit.cli.chat_setting", "openai"): ({"function"}, "it talks to a provider as a user of the library would"),
    ("streamkit.completion", "openai"): ({"function", "types"}, "to_openai gives the library's own type"),
    ("streamkit.pytest_plugin", "openai"): ({"types"}, "the fixtures of real clients are annotated"),
    ("streamkit.wire", "typing_extensions"): ({"types"}, "Buffer is in the standard library from 3.12 on"),
}
#: Modules that import by a name that is not written there, which no test can follow.
DYNAMIC = {
    "streamkit": "the lazy names",
    "streamkit.conversation.loading": "the functions of the command line",
    "streamkit.fuzz.targets": "the target of the command line",
    "streamkit.mutations.catalogue": "the modules of the catalogue, in a row",
    "streamkit.replay.intercept_httpx": "httpx and httpx2, if they are installed",
    "streamkit.replay.httpx_transport": "httpx or httpx2, whichever the caller names",
}


@dataclass(frozen=True)
class Import:
    """One import: `place` is "module", "function" (when it is called) or "types" (for type checkers only)."""

    importer: str
    imported: str
    place: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}, imports {self.imported}"


def imports(module: str, source: str, *, is_package: bool = False, known: frozenset[str] = frozenset()) -> list[Import]:
    """Return all imports of a module, those inside functions and under TYPE_CHECKING too.

    Args:
        module: its dotted name.
        source: its text.
        is_package: whether it is the `__init__` of a package, for relative imports.
        known: all modules of ours: `from streamkit import dialects` imports the module, not the front door.
    """
    found: list[Import] = []

    def visit(node: ast.AST, place: str) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(module, alias.name, place, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                anchor = parts[: len(parts) - node.level + is_package]
                base = ".".join([*anchor, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(module, inner if inner in known | NETWORK else base, place, node.lineno))
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for statement in node.body:
                visit(statement, "types")
            for statement in node.orelse:
                visit(statement, place)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                visit(child, "function" if inside and place == "module" else place)

    visit(ast.parse(source), "module")
    return found


def modules() -> dict[str, tuple[str, bool]]:
    """Return text and whether it is a package, for each module of streamkit."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["streamkit", *path.relative_to(PACKAGE).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        found[".".join(parts[:-1] if is_package else parts)] = (path.read_text("utf-8"), is_package)
    return found


def room_of(module: str) -> str:
    """Return the room of a module of ours."""
    _, _, below = module.partition(".")
    return below.partition(".")[0] or FRONT_DOOR


def complaints(sources: Mapping[str, tuple[str, bool]]) -> list[str]:
    """Return what is wrong with the imports of these modules."""
    known = frozenset(sources)
    found = [f"{module} belongs to no room: give it one" for module in known if room_of(module) not in _rooms()]
    for module, (source, is_package) in sources.items():
        for one in imports(module, source, is_package=is_package, known=known):
            if room_of(module) in _rooms():
                found.extend(f"{one}: {problem}" for problem in _problems(one))
    return found


def _rooms() -> set[str]:
    return {FRONT_DOOR, *ROOMS}


def _problems(one: Import) -> Iterator[str]:
    room = room_of(one.importer)
    if one.imported.partition(".")[0] == "streamkit":
        yield from _problems_of_ours(one, room)
        return
    if one.place in _excepted(one):
        return
    if room not in ("replay", "server") and any(
        one.imported == name or one.imported.startswith(f"{name}.") for name in NETWORK
    ):
        yield "the network belongs to replay and server"
    if (room == FRONT_DOOR or ROOMS[room][0] <= 1) and one.imported.partition(".")[0] not in sys.stdlib_module_names:
        yield "only the standard library stands this low"


def _problems_of_ours(one: Import, room: str) -> Iterator[str]:
    to = room_of(one.imported)
    if room == FRONT_DOOR:
        if one.place != "types":
            yield "the front door loads nothing"
    elif to == room:
        return
    elif to == FRONT_DOOR:
        yield "import from the module that holds it, not from the front door"
    elif to not in ROOMS:
        yield "there is no such room"
    elif room in ALONE:
        yield f"{room} imports nothing of ours"
    elif not ROOMS[to] < ROOMS[room]:
        yield f"that is not below: {to} is on {ROOMS[to]}, {room} on {ROOMS[room]}"


def _excepted(one: Import) -> set[str]:
    """Return the places at which an exception allows an import."""
    for (holder, top), (places, _) in EXCEPTIONS.items():
        if f"{one.importer}.".startswith(f"{holder}.") and one.imported.partition(".")[0] == top:
            return places
    return set()


# -- streamkit


def test_every_import_of_streamkit_goes_down() -> None:
    assert [] == complaints(modules())


def test_every_room_is_there() -> None:
    assert _rooms() == {room_of(module) for module in modules()}


def test_every_exception_is_still_needed() -> None:
    made = [
        one
        for module, (source, is_package) in modules().items()
        for one in imports(module, source, is_package=is_package)
    ]
    used = {
        (holder, top, one.place)
        for holder, top in EXCEPTIONS
        for one in made
        if f"{one.importer}.".startswith(f"{holder}.") and one.imported.partition(".")[0] == top
    }
    assert {(*key, place) for key, (places, _) in EXCEPTIONS.items() for place in places} == used


def test_only_the_listed_modules_import_by_name() -> None:
    made = {
        module
        for module, (source, _) in modules().items()
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in ("import_module", "__import__"))
    }
    assert set(DYNAMIC) == made


# -- the walk itself


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("streamkit.wire.sse", "import streamkit.dialects", "not below"),
        ("streamkit.wire.sse", "from streamkit.dialects import get", "not below"),
        ("streamkit.wire.sse", "from streamkit import dialects", "not below"),
        ("streamkit.wire.sse", "from ..dialects import get", "not below"),
        ("streamkit.wire.sse", "from .. import dialects", "not below"),
        ("streamkit.wire.sse", "def f():\n    import streamkit.cli", "not below"),
        ("streamkit.wire.sse", "class A:\n    def f(self):\n        try:\n            import streamkit.cli\n"
         "        finally: ...", "not below"),
        ("streamkit.wire.sse", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import streamkit.cli",
         "not below"),
        ("streamkit.wire.sse", "import streamkit.transcript", "not below"),
        ("streamkit.strategies", "import streamkit.fuzz", "not below"),
        ("streamkit.replay.use", "import streamkit.server", "not below"),
        ("streamkit.server", "import streamkit.fuzz", "not below"),
        ("streamkit.cli", "import streamkit.pytest_plugin", "not below"),
        ("streamkit.examples", "import streamkit.errors", "nothing of ours"),
        ("streamkit.errors", "import streamkit.wire", "nothing of ours"),
        ("streamkit.cli", "from streamkit import load", "front door"),
        ("streamkit", "import streamkit.errors", "front door loads nothing"),
        ("streamkit.wire.sse", "import yaml", "standard library"),
        ("streamkit.wire.sse", "import typing_extensions", "standard library"),
        ("streamkit.completion", "import openai", "standard library"),
        ("streamkit.dialects", "import socket", "network"),
        ("streamkit.fuzz.targets", "from urllib.request import urlopen", "network"),
        ("streamkit.fuzz.targets", "from urllib import request", "network"),
        ("streamkit.pytest_plugin", "def f():\n    import openai", "network"),
        ("streamkit.novel", "", "no room"),
        ("streamkit.cli", "import streamkit.novel", "no such room"),
    ],
)  # fmt: skip
def test_an_import_that_does_not_go_down_is_named(module: str, source: str, expected: str) -> None:
    sources = dict.fromkeys(("streamkit", "streamkit.dialects", "streamkit.cli", "streamkit.errors"), ("", True))
    sources[module] = (source, module.count(".") < 2)
    assert any(expected in complaint for complaint in complaints(sources))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("streamkit.wire.sse", "import re, json\nfrom streamkit.errors import LimitError\nfrom . import boundaries"),
        ("streamkit.wire.sse", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typing_extensions"),
        ("streamkit.completion", "def to_openai():\n    from openai.types.chat import ChatCompletion"),
        ("streamkit.transcript", "from streamkit.wire.fragmentation import Fragmentation"),
        ("streamkit.replay.clients", "import httpx, openai, socket"),
        ("streamkit.cli", "import streamkit.fuzz, click\nfrom streamkit import dialects\nfrom .common import console"),
        ("streamkit", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import streamkit.fuzz"),
        ("streamkit.dialects", "from urllib.parse import quote"),
    ],
)
def test_an_import_that_goes_down_is_let_pass(module: str, source: str) -> None:
    sources = dict.fromkeys(("streamkit.dialects", "streamkit.wire", "streamkit.fuzz"), ("", True))
    assert [] == complaints({**sources, module: (source, module.count(".") < 2)})
