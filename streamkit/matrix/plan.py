"""The plan of a matrix: which clients, over which transcripts, with which options; and the TOML file that says so.

    title = "Chat clients"                      # all of these are optional
    transcripts = ["openai_chat/boston_weather", "recorded/own.yaml"]
    max_single_cuts = 64

    [[client]]
    name = "openai-python"
    command = "venv/bin/python driver.py"       # a process in any language; or target = "module:attribute"
    dialect = "openai_chat"                     # of the transcripts above, only those of this dialect
    version = ["venv/bin/python", "-c", "import openai; print(openai.__version__)"]

    [client.notes]                              # findings that a person has judged
    bom = "client: the first event is lost"

Paths are relative to the file. Nothing is started here.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from streamkit import dialects
from streamkit.errors import UsageError
from streamkit.mutations.registry import mutations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["JUDGEMENTS", "PLAIN", "Client", "Plan", "nearest", "read"]

#: How a note begins: whose doing a finding is.
JUDGEMENTS = ("client", "driver", "ours")
#: Rows of a matrix that are no mutations, and may have a note too.
PLAIN = ("recorded", "cuts")


@dataclass(frozen=True)
class Client:
    """One client of a plan.

    Attributes:
        name: what it is called in the matrix.
        target: `module:attribute`, for one that runs in a process of streamkit's own; else "".
        command: how its driver is started, for one in any language; else "".
        cwd: the folder in which it runs.
        dialect: of the plan's transcripts it gets those of this dialect; all of them where "".
        version: a command that prints its version, or the version itself; "" where it is not known.
        transcripts: its own, in place of the plan's.
        returns: "message" or "events", as for `streamkit fuzz`.
        time_limit: seconds that one delivery may take; None for the plan's.
        notes: judgements, by the name of a mutation, "recorded" or "cuts".
    """

    name: str
    target: str = ""
    command: str = ""
    cwd: Path = Path()
    dialect: str = ""
    version: str | tuple[str, ...] = ""
    transcripts: tuple[str, ...] = ()
    returns: str = "message"
    time_limit: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a matrix is made of.

    Attributes:
        title: of the matrix.
        clients: in the order of the file.
        transcripts: names or paths, for the clients that name none; the bundled ones where empty.
        seed: of what Hypothesis draws.
        max_single_cuts: single cuts tried on each transcript; a sample of all there are.
        max_examples: deliveries drawn for each transcript.
        max_variants: variants of each mutation that are tried; the first one alone where 1.
        time_limit: seconds that one delivery may take.
    """

    title: str
    clients: tuple[Client, ...]
    transcripts: tuple[str, ...] = ()
    seed: int = 0
    max_single_cuts: int = 64
    max_examples: int = 0
    max_variants: int = 12
    time_limit: float = 10.0

    def only(self, names: Sequence[str]) -> tuple[Client, ...]:
        """Return the clients of these names, in the order of the plan; all where none is named.

        Raises:
            UsageError: there is no such client; the nearest are given.
        """
        known = [one.name for one in self.clients]
        for name in names:
            if name not in known:
                raise UsageError(f"no client named {name!r} in the matrix; {nearest(name, known)}")
        return tuple(one for one in self.clients if not names or one.name in names)


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a hint at the names that somebody may have meant."""
    near = difflib.get_close_matches(name, known, 3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"there are: {', '.join(known)}" if len(known) < 30 else "`streamkit mutations` lists them"


def read(path: str | Path) -> Plan:
    """Return the plan that a file holds.

    Raises:
        UsageError: it cannot be read, or something in it cannot be used; where, and what to write instead.
    """
    file = Path(path)
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is no TOML: {error}") from error
    table = _Table(data, str(file), f"{file}: ")
    listed = table.take("client", _tables, ())
    if not listed:
        table.refuse("names no client: write [[client]], and below it name = and target = or command =")
    clients = tuple(_client(one, number, file) for number, one in enumerate(listed, 1))
    for number, client in enumerate(clients):
        if client.name in [other.name for other in clients[:number]]:
            table.refuse(f"two clients are named {client.name!r}: give each a name of its own")
    plan = Plan(
        table.take("title", _text, file.stem),
        clients,
        tuple(_beside(file, one) for one in table.take("transcripts", _texts, ())),
        table.take("seed", _whole, 0),
        table.take("max_single_cuts", _whole, Plan.max_single_cuts),
        table.take("max_examples", _whole, 0),
        table.take("max_variants", _count, Plan.max_variants),
        table.take("time_limit", _seconds, Plan.time_limit),
    )
    table.finish()
    return plan


def _client(data: dict[str, Any], number: int, file: Path) -> Client:
    name = data.get("name")
    table = _Table(data, f"{file}", f"{file}: client {name if isinstance(name, str) and name else number}: ")
    name = table.take("name", _text, "")
    target, command = table.take("target", _text, ""), table.take("command", _text, "")
    if not name:
        table.refuse('has no name: write name = "..."')
    if bool(target) == bool(command):
        table.refuse(
            'write one of target = "module:attribute", for a parser in Python, and command = "...", for a driver'
        )
    if target and ":" not in target:
        table.refuse(f"target is {target!r}: write module:attribute, for example mypackage.parser:parse")
    dialect = table.take("dialect", _text, "")
    if dialect and dialect not in dialects.names():
        table.refuse(f"no dialect named {dialect!r}; {nearest(dialect, dialects.names())}")
    transcripts = table.take("transcripts", _texts, ())
    returns = table.take("returns", _text, "message")
    if returns not in ("message", "events"):
        table.refuse(f"returns is {returns!r}: write 'message' or 'events'")
    made = Client(
        name, target, command, file.parent / table.take("cwd", _text, "."), dialect,
        table.take("version", _version, ""), tuple(_beside(file, one) for one in transcripts), returns,
        table.take("time_limit", _seconds, None), table.take("notes", _notes, {}),
    )  # fmt: skip
    table.finish()
    return made


def _beside(file: Path, name: str) -> str:
    """Return a transcript's path as seen from here, where it lies beside the file; a name is left as it is."""
    stem, mark, number = name.rpartition("#")
    path, number = (stem, mark + number) if mark and number.isdigit() else (name, "")
    beside = file.parent / path
    return f"{beside}{number}" if beside.is_file() else name


class _Table:
    """A table of the file: what is taken from it is checked, and what nobody takes is an error.

    Args:
        data: the table.
        file: the path of the file.
        where: what errors begin with.
    """

    def __init__(self, data: dict[str, Any], file: str, where: str) -> None:
        self._data = data
        self._file = file
        self._where = where
        self._known: list[str] = []

    def take(self, key: str, kind: Callable[[Any], Any], default: Any) -> Any:
        """Return what a key holds, as `kind` reads it; `kind` raises ValueError with what to write instead."""
        self._known.append(key)
        if key not in self._data:
            return default
        try:
            return kind(self._data[key])
        except ValueError as error:
            self.refuse(f"{key}: {error}")

    def finish(self) -> None:
        """Refuse what was not taken."""
        for key in self._data:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self._known)}"
                self.refuse(f"unknown key {key!r}; {hint}")

    def refuse(self, problem: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(self._where + problem)


# -- what a key may hold


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f'write a text, "...", in place of {value!r}')
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f'write a list of texts, ["...", "..."], in place of {value!r}')
    return tuple(value)


def _version(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return _text(value)
    try:
        return _texts(value)
    except ValueError:
        raise ValueError(
            f'write the version itself, "1.2.3", or a command that prints it, ["python", "-c", "..."], not {value!r}'
        ) from None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"write a whole number from 0 on in place of {value!r}")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError(f"write a whole number from 1 on in place of {value!r}")
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e8:
        raise ValueError(f"write seconds, a number above 0, in place of {value!r}")
    return float(value)


def _tables(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("write [[client]], with two brackets, before the keys of each client")
    return value


def _notes(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError('write [client.notes], and below it mutation = "client: ..."')
    known = [*PLAIN, *(one.name for one in mutations())]
    for name, note in value.items():
        if name not in known:
            raise ValueError(f"no mutation named {name!r}; {nearest(name, known)}")
        whose, colon, why = note.partition(":") if isinstance(note, str) else ("", "", "")
        if whose not in JUDGEMENTS or not colon or not why.strip():
            begun = ", ".join(f'"{one}: ..."' for one in JUDGEMENTS)
            raise ValueError(f"{name}: say whose doing it is: write one of {begun}, in place of {note!r}")
    return dict(value)
