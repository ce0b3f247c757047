"""The file of a matrix: what it may hold, and what is said where something in it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamkit.errors import UsageError
from streamkit.matrix import Client, Plan, read

WHOLE = """
title = "Two clients"
transcripts = ["openai_chat/boston_weather", "recorded/own.sse"]
seed = 7
max_single_cuts = 10
max_examples = 3
max_variants = 2
time_limit = 2

[[client]]
name = "in process"
target = "streamkit:accumulate"

[[client]]
name = "driver"
command = "node driver.mjs"
cwd = "node"
dialect = "openai_chat"
version = ["node", "--version"]
transcripts = ["openai_chat/boston_weather"]
returns = "events"
time_limit = 0.5

[client.notes]
bom = "client: the first event is lost"
cuts = "driver: it splits at LF"
"""
LEAST = '[[client]]\nname = "one"\ntarget = "package:parse"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "clients.toml"
    path.write_text(text, "utf-8")
    return path


def refused(folder: Path, text: str) -> str:
    """Return what is said of a file, without its path."""
    path = written(folder, text)
    with pytest.raises(UsageError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(str(path))
    return told.removeprefix(f"{path}: ")


def test_a_file_is_read_whole_with_paths_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "own.sse").write_bytes(b"data: x\n\n")
    plan = read(written(tmp_path, WHOLE))
    clients = (
        Client("in process", target="streamkit:accumulate", cwd=tmp_path),
        Client(
            "driver", command="node driver.mjs", cwd=tmp_path / "node", dialect="openai_chat",
            version=("node", "--version"), transcripts=("openai_chat/boston_weather",), returns="events",
            time_limit=0.5,
            notes={"bom": "client: the first event is lost", "cuts": "driver: it splits at LF"},
        ),
    )  # fmt: skip
    transcripts = ("openai_chat/boston_weather", str(tmp_path / "recorded" / "own.sse"))
    assert Plan("Two clients", clients, transcripts, 7, 10, 3, 2, 2.0) == plan


def test_what_a_file_leaves_out_has_a_default(tmp_path: Path) -> None:
    assert Plan("clients", (Client("one", target="package:parse", cwd=tmp_path),)) == read(written(tmp_path, LEAST))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names no client: write [[client]], and below it name = and target = or command ="),
        ("tittle = 'x'\n" + LEAST, "unknown key 'tittle'; did you mean 'title'?"),
        (LEAST + "dialekt = 'x'", "client one: unknown key 'dialekt'; did you mean 'dialect'?"),
        (LEAST + "zzz = 1", "client one: unknown key 'zzz'; there are: name, target, command, "),
        ("[client]\nname = 'one'", "client: write [[client]], with two brackets, before the keys of each client"),
        ("[[client]]\ntarget = 'a:b'", 'client 1: has no name: write name = "..."'),
        ("[[client]]\nname = 'one'", 'client one: write one of target = "module:attribute"'),
        (LEAST + "command = 'x'", 'client one: write one of target = "module:attribute"'),
        ("[[client]]\nname = 'one'\ntarget = 'parse'", "client one: target is 'parse': write module:attribute"),
        (LEAST + LEAST, "two clients are named 'one': give each a name of its own"),
        (LEAST + "dialect = 'openai_chatt'", "client one: no dialect named 'openai_chatt'; did you mean 'openai_chat'"),
        (LEAST + "returns = 'text'", "client one: returns is 'text': write 'message' or 'events'"),
        (LEAST + "time_limit = 0", "client one: time_limit: write seconds, a number above 0, in place of 0"),
        (LEAST + "cwd = 3", 'client one: cwd: write a text, "...", in place of 3'),
        (LEAST + "transcripts = 'x'", 'client one: transcripts: write a list of texts, ["...", "..."], in place of'),
        (LEAST + "version = 3", 'client one: version: write the version itself, "1.2.3", or a command that prints it'),
        ("seed = -1\n" + LEAST, "seed: write a whole number from 0 on in place of -1"),
        (
            LEAST + "[client.notes]\nbomm = 'client: x'",
            "client one: notes: no mutation named 'bomm'; did you mean 'bom",
        ),
        ("max_variants = 0\n" + LEAST, "max_variants: write a whole number from 1 on in place of 0"),
        (LEAST + "[client.notes]\nbom = 'lost'", "client one: notes: bom: say whose doing it is: write one of"),
        (LEAST + "[client.notes]\nbom = 'ours:'", "client one: notes: bom: say whose doing it is: write one of"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place_and_what_to_write(text: str, told: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text).startswith(told)


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "title = \n")
    with pytest.raises(UsageError, match=r"is no TOML: .*line 1"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.toml: No such file"):
        read(tmp_path / "none.toml")


def test_some_clients_are_chosen_in_the_order_of_the_file(tmp_path: Path) -> None:
    plan = read(written(tmp_path, WHOLE))
    assert ["in process", "driver"] == [one.name for one in plan.only(["driver", "in process"])]
    assert plan.clients == plan.only([])
    with pytest.raises(UsageError, match="no client named 'drive' in the matrix; did you mean 'driver'"):
        plan.only(["drive"])
