"""`streamkit matrix`: the table, the files it writes, exit codes, what has changed since, and Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamkit.cli import main

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
PARSERS = '''
import os
import time

import streamkit

def right(chunks):
    return streamkit.accumulate(chunks)

def no_mark(chunks):
    """Wrong: it takes a byte order mark for a part of the first field's name."""
    body = b"".join(chunks)
    if body.startswith(b"\\xef\\xbb\\xbf"):
        body = body.partition(b"\\n\\n")[2]
    return streamkit.accumulate([body])

def waits(chunks):
    body = b"".join(chunks)
    if b": keep-alive" in body or b"\\n: " in body or body.startswith(b":"):
        open("waiting", "wb").close()
        time.sleep(600)
    return streamkit.accumulate([body])
'''
FILE = f"""
title = "Parsers"
transcripts = ["{BOSTON}", "{MULTIBYTE}"]
max_single_cuts = 8

[[client]]
name = "right"
target = "own_parsers:right"
version = "1.0"

[[client]]
name = "no mark"
target = "own_parsers:no_mark"

[client.notes]
bom = "client: it knows no byte order mark"
"""
FEW = ("--only", "bom", "--only", "truncate")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_parsers.py").write_text(PARSERS, "utf-8")
    (tmp_path / "file.toml").write_text(FILE, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["matrix", *command])
    return int(ended.value.code or 0)


def read(path: str) -> Any:
    return json.loads(Path(path).read_text("utf-8"))


@pytest.mark.usefixtures("folder")
def test_the_table_counts_outcomes_by_client_and_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("file.toml", *FEW)
    out, err = capsys.readouterr()
    assert "" == err
    lines = [line.rstrip() for line in out.splitlines()]
    assert "client class same typed error error crash hang silent difference" == " ".join(lines[0].split())
    assert ["right", "recorded", "2", "0", "0", "0", "0", "0"] == lines[1].split()
    table = {(line[:7].strip(), line.split()[-7]) for line in lines[1:9]}
    assert 8 == len(table)
    (wrong,) = (line for line in lines if line.startswith("no mark: bom: "))
    assert "client: it knows no byte order mark" in wrong
    assert lines[-1].startswith("2 clients, ")
    assert ": 1 finding, 0 of them not judged" in lines[-1]
    assert "\x1b" not in out


@pytest.mark.usefixtures("folder")
def test_the_command_that_is_told_repeats_the_finding(capsys: pytest.CaptureFixture[str]) -> None:
    run("file.toml", *FEW)
    (again,) = (
        line.partition("run again:  streamkit ")[2]
        for line in capsys.readouterr().out.splitlines() if "run again" in line
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "streamkit", *shlex.split(again)], capture_output=True, encoding="utf-8", check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    assert 1 == done.returncode
    assert done.stdout.startswith("bom ")


@pytest.mark.usefixtures("folder")
def test_the_files_are_written_and_the_same_for_any_number_of_jobs() -> None:
    for jobs in ("1", "2"):
        files = ("--json", f"{jobs}.json", "--markdown", f"{jobs}.md", "--date", "2026-01-02")
        assert 0 == run("file.toml", *FEW, "--jobs", jobs, *files)
    one, two = read("1.json"), read("2.json")
    for made in (one, *one["clients"], two, *two["clients"]):
        assert made.pop("seconds") > 0
    assert json.dumps(one) == json.dumps(two)
    text = Path("1.md").read_text("utf-8")
    assert text == Path("2.md").read_text("utf-8")
    assert "Made on 2026-01-02 with streamkit " in text
    assert ("2026-01-02", ["right", "no mark"]) == (one["date"], [client["client"] for client in one["clients"]])


@pytest.mark.usefixtures("folder")
def test_the_real_openai_client_stands_beside_streamkits_own_reader(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("openai_create", "openai_stream")
    clients = "".join(
        f'[[client]]\nname = "{name}"\ntarget = "streamkit.replay.clients:{name}"\ndialect = "openai_chat"\n'
        f'version = ["{sys.executable}", "-c", "import openai; print(openai.__version__)"]\n'
        for name in names
    )
    Path("file.toml").write_text(f'transcripts = ["{BOSTON}"]\n{clients}', "utf-8")
    only = ("bom", "comments", "cut_in_arguments")
    options = [part for name in only for part in ("--only", name)]
    assert 0 == run("file.toml", *options, "--max-single-cuts", "4", "--jobs", "2", "--json", "-")
    out, err = capsys.readouterr()
    made = json.loads(out)
    outcomes = {
        one["client"]: {name: cell["outcome"] for name, cell in one["mutations"].items()} for one in made["clients"]
    }
    wrong = {"bom": "silent difference", "comments": "same", "cut_in_arguments": "silent difference"}
    assert {"openai_create": wrong, "openai_stream": wrong} == outcomes
    assert ["same", "same"] == [one["recorded"]["outcome"] for one in made["clients"]]
    assert [] == [one["version"] for one in made["clients"] if not one["version"][0].isdigit()]
    assert "4 findings, 4 of them not judged" in err


# -- only some cells


@pytest.mark.usefixtures("folder")
def test_only_the_clients_transcripts_and_classes_that_are_named_are_driven() -> None:
    choice = ("--client", "right", "--transcript", BOSTON, "--class", "fault", "--max-single-cuts", "2")
    assert 0 == run("file.toml", *choice, "--json", "made.json")
    (client,) = read("made.json")["clients"]
    assert ("right", {"same": 1}) == (client["client"], client["recorded"]["counts"])
    assert {"fault"} == {cell["class"] for cell in client["mutations"].values()}
    assert {BOSTON: {"tried": 2, "of": 3219}} == client["cuts"]["single_cuts"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("none.toml",), "cannot read none.toml"),
        (("file.toml", "--client", "wright"), "no client named 'wright' in the matrix; did you mean 'right'?"),
        (("file.toml", "--only", "bomm"), "no mutation named 'bomm'; did you mean 'bom'"),
        (("file.toml", "--transcript", "openai_chat/boston"), "client right: no transcript named"),
        (("file.toml", "--json", "no/such.json"), "cannot write no/such.json: there is no folder no"),
        (("file.toml", "--fail-on", "worse"), "--fail-on worse needs a --baseline to be worse than"),
        (("file.toml", "--json", "-", "--markdown", "-"), "--json and --markdown cannot both be standard output"),
        (("file.toml", "--baseline", "none.json"), "cannot read none.json"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_driven(
    options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run(*options)
    out, err = capsys.readouterr()
    assert "" == out
    assert told in err


# -- exit codes


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("fail_on", "client", "code"),
    [("silent", "no mark", 1), ("error", "no mark", 1), ("error", "right", 0)],
)
def test_a_matrix_fails_on_what_it_is_asked_to_fail_on(fail_on: str, client: str, code: int) -> None:
    assert code == run("file.toml", *FEW, "--client", client, "--fail-on", fail_on)


@pytest.mark.usefixtures("folder")
def test_a_client_that_cannot_start_is_a_row_with_the_reason_and_the_exit_code_tells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Path("file.toml").open("a") as file:
        file.write('\n[[client]]\nname = "gone"\ntarget = "own_parsers:gone"\n')
    assert 2 == run("file.toml", *FEW, "--json", "made.json")
    told = capsys.readouterr().out
    assert "gone: 'own_parsers:gone': own_parsers has no attribute 'gone'" in told
    assert "nothing is wrong" not in told
    clients = read("made.json")["clients"]
    assert ["", "", False] == [bool(clients[2]["problem"]) and "", clients[0]["problem"], clients[2]["interrupted"]]
    assert "same" == clients[0]["mutations"]["bom"]["outcome"]


@pytest.mark.usefixtures("folder")
def test_where_no_client_could_be_driven_it_is_not_said_that_nothing_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("gone.toml").write_text('[[client]]\nname = "gone"\ntarget = "own_parsers:gone"\n')
    assert 2 == run("gone.toml", *FEW)
    assert "1 client, 0 deliveries" in (told := capsys.readouterr().out)
    assert "no finding in what was tried" in told


# -- since an earlier one


@pytest.mark.usefixtures("folder")
def test_what_has_changed_since_the_baseline_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("file.toml", *FEW, "--json", "old.json")
    capsys.readouterr()
    assert 0 == run("file.toml", *FEW, "--baseline", "old.json", "--fail-on", "worse")
    assert "nothing has changed since the baseline\n" in capsys.readouterr().out
    swapped = FILE.replace("own_parsers:right", "own_parsers:x").replace("own_parsers:no_mark", "own_parsers:right")
    Path("file.toml").write_text(swapped.replace("own_parsers:x", "own_parsers:no_mark").replace("1.0", "1.1"), "utf-8")
    assert 1 == run("file.toml", *FEW, "--baseline", "old.json", "--fail-on", "worse")
    out = capsys.readouterr().out
    assert "broken: right (1.0 -> 1.1): bom: same -> silent difference; sk1:" in out
    assert "mended: no mark: bom: silent difference -> same\n" in out
    assert "2 cells changed\n" in out


# -- Ctrl-C, and a terminal


def start(*command: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # Not as it may be inherited here: a shell lets what it runs in the background ignore Ctrl-C.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from streamkit.cli import main; main(sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, "matrix", *command], env=environment, encoding="utf-8", **more
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_ctrl_c_leaves_a_table_of_what_was_covered(folder: Path) -> None:
    with Path("file.toml").open("a") as file:
        file.write('\n[[client]]\nname = "waits"\ntarget = "own_parsers:waits"\ntime_limit = 500\n')
    os.mkfifo(folder / "waiting")
    waiting = os.open(folder / "waiting", os.O_RDONLY | os.O_NONBLOCK)
    process = start(
        "file.toml", *FEW, "--only", "comments", "--json", "made.json", "--markdown", "made.md",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert select.select([waiting], [], [], 60)[0], "the last client was never called"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(waiting)
    assert (130, "") == (process.returncode, err)
    assert out.endswith(" (interrupted: this is what was covered so far)\n")
    made = read("made.json")
    assert [False, False, True] == [client["interrupted"] for client in made["clients"]]
    assert made["interrupted"]
    last = made["clients"][-1]["mutations"]
    assert ["same", "not tried", "not tried"] == [last[name]["outcome"] for name in ("bom", "comments", "truncate")]
    assert "**Interrupted" in Path("made.md").read_text("utf-8")


@pytest.mark.usefixtures("folder")
def test_in_a_terminal_the_progress_of_each_client_is_shown() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, "-m", "streamkit", "matrix", "file.toml", "--class", "preserving"], env=environment,
        stdout=theirs, stderr=theirs, stdin=theirs,
    )  # fmt: skip
    os.close(theirs)
    out = b""
    try:
        while piece := os.read(ours, 65536):
            out += piece
    except OSError:  # how a terminal says on Linux that the other side has gone
        pass
    finally:
        os.close(ours)
    assert 0 == process.wait()
    assert b"right: boston_weather" in out
    assert b"clients" in out
