"""`streamkit fuzz`: exit codes, the result JSON, replay of a token, determinism, pipes and terminals, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit.case import Token
from streamkit.cli import main

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
#: The plain transcripts of chat completions: what a target is held to whose result says nothing that is understood.
BUNDLED = [
    BOSTON, MULTIBYTE, "openai_chat/synthetic_parallel_calls_crlf", "openai_chat/synthetic_text_then_calls",
]  # fmt: skip
FEW = ("--max-examples", "5", "--max-single-cuts", "40")

PARSERS = '''
import time

def right(chunks):
    return b"".join(chunks).decode()

def wrong(chunks):
    return "".join(chunk.decode("utf-8", "replace") for chunk in chunks)

def talkative(chunks):
    print("reading")
    return wrong(chunks)

def no_empty_chunk(chunks):
    return all(chunks)

def no_events(chunks):
    return [b"".join(chunks).decode()]

def hangs_when_cut(chunks):
    while len(list(chunks)) > 1:
        time.sleep(600)

def drawn(chunks):
    """Wrong for some deliveries that only chance finds. Its result holds a set, whose order hashing decides."""
    sizes = [len(chunk) for chunk in chunks]
    odd = 4 <= len(sizes) <= 9 and sizes[1] % 5 == 2 and sizes[2] % 3 == 1
    return {"names": {f"name {number % 7}" for number in range(20)} | ({"wrong"} if odd else set())}

def waits(chunks):
    """Wrong where characters are cut; at the first cut in another stream it says so in a file and waits."""
    chunks = list(chunks)
    if b"boston" in b"".join(chunks).lower() and len(chunks) > 1:
        with open("waiting", "w") as file:
            file.write("now")
        time.sleep(600)
    return wrong(chunks)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory: a project with the module `parsers`, which is forgotten afterwards."""
    (tmp_path / "parsers.py").write_text(PARSERS, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    sys.modules.pop("parsers", None)


def run(*arguments: str) -> int:
    """Run a command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, in which Ctrl-C works whatever this process does with it."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from streamkit.cli import main; main(sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env={**os.environ, "PYTHONUTF8": "1", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip


def read(path: Path | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
    return found


# -- exit codes and what is printed


@pytest.mark.usefixtures("folder")
def test_a_parser_that_is_right_exits_0_and_the_report_says_what_was_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("fuzz", "parsers:right", BOSTON, "--max-examples", "7", "--seed", "5", "--cuts-only")
    out, err = capsys.readouterr()
    assert "" == err
    tried, note, last = out.splitlines()
    assert "  note: nothing in the result could be compared with the stream" in note
    assert re.fullmatch(rf"{BOSTON}: 3220 bytes; 2 recorded, \d+ prelude, 3219 single cuts, 7 drawn", tried)
    assert re.fullmatch(r"parsers:right: no counterexample in \d+ deliveries, [\d.]+ s, seed 5", last)


@pytest.mark.usefixtures("folder")
def test_a_parser_that_is_wrong_exits_1_and_the_smallest_case_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("fuzz", "parsers:wrong", MULTIBYTE)
    out, err = capsys.readouterr()
    assert "" == err
    lines = out.splitlines()
    assert "a cut inside a UTF-8 character changes the result" == lines[0]
    assert "  cut at 364, inside a UTF-8 character" in lines
    assert "47 72 c3|bc c3 9f 65" in out
    token = f"sk1:{MULTIBYTE}@9ee95e1bac4a:364"
    assert f"  run again:  streamkit fuzz parsers:wrong --replay '{token}'" in lines
    assert lines[-1].startswith("parsers:wrong: 1 counterexample in ")


@pytest.mark.usefixtures("folder")
def test_without_a_transcript_the_bundled_ones_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("fuzz", "parsers:wrong", *FEW, "--json", "-")
    result = json.loads(capsys.readouterr().out)
    assert BUNDLED == [coverage["transcript"] for coverage in result["coverage"]]
    multibyte = [name for name in BUNDLED if not streamkit.load(name).body.isascii()]
    assert multibyte == [finding["transcript"] for finding in result["findings"]]
    assert "bundled transcripts of other dialects" in result["notes"][-1]


def test_a_transcript_may_be_the_path_of_a_bare_body(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my body.sse").write_bytes('data: "é"\n\n'.encode())
    assert 1 == run("fuzz", "parsers:wrong", "my body.sse")
    (again,) = re.findall(r"run again:  streamkit (.*)", capsys.readouterr().out)
    assert 1 == run(*shlex.split(again))
    assert "cut at 8, inside a UTF-8 character" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_the_module_can_be_run_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamkit", "fuzz", "parsers:wrong", MULTIBYTE, *FEW],
        env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert (1, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("a cut inside a UTF-8 character changes the result\n")


# -- options


@pytest.mark.usefixtures("folder")
def test_options_bound_what_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("fuzz", "parsers:right", BOSTON, "--max-examples", "0", "--max-single-cuts", "11", "--json", "-")
    (coverage,) = json.loads(capsys.readouterr().out)["coverage"]
    assert "drawn" not in coverage["phases"]
    assert {"tried": 11, "of": 3219} == coverage["single_cuts"]
    assert "11 of 3219 single cuts were sampled, spread over the boundary classes" in coverage["notes"]


@pytest.mark.usefixtures("folder")
def test_empty_chunks_are_delivered_where_they_are_asked_for() -> None:
    command = ("fuzz", "parsers:no_empty_chunk", BOSTON, "--max-single-cuts", "0")
    assert 0 == run(*command)
    assert 1 == run(*command, "--empty-chunks")


@pytest.mark.usefixtures("folder")
def test_what_a_target_returns_decides_what_it_is_held_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("fuzz", "parsers:no_events", BOSTON, *FEW)
    capsys.readouterr()
    assert 1 == run("fuzz", "parsers:no_events", BOSTON, *FEW, "--returns", "events", "--json", "-")
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert ("reference", "recorded", []) == (finding["oracle"], finding["class"], finding["cuts"])


@pytest.mark.usefixtures("folder")
def test_a_target_whose_result_holds_the_framing_is_not_mutated_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 0 == run("fuzz", "parsers:right", BOSTON, *FEW)
    assert "the result holds the stream's own framing: no mutation was applied" in capsys.readouterr().out


def test_the_catalogue_is_listed_and_one_entry_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run("mutations", "--class", "fault", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert {"fault"} == {row["class"] for row in listed}
    assert 0 == run("mutations", "bom")
    told = capsys.readouterr().out
    assert "byte order mark" in told
    assert "openai/openai-python#3819" in told
    assert 2 == run("mutations", "bomm")
    assert "did you mean 'bom'" in capsys.readouterr().err


def test_several_targets_run_over_the_same_cases_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--max-examples", "0", "--max-single-cuts", "0", "--only", "bom", "--only", "truncate")
    code = run("fuzz", "streamkit:accumulate", "streamkit.replay.clients:openai_create", BOSTON, *few)
    table = capsys.readouterr().out.rpartition("mutation")[2].splitlines()
    assert 1 == code
    assert ["bom", "preserving", "same", "silent", "difference"] == next(row for row in table if "bom" in row).split()
    assert ["truncate", "fault", "typed", "error", "silent", "difference"] == next(
        row for row in table if row.startswith("truncate")
    ).split()


@pytest.mark.usefixtures("folder")
def test_a_target_that_hangs_is_stopped_at_the_time_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("fuzz", "parsers:hangs_when_cut", BOSTON, *FEW, "--time-limit", "0.1", "--json", "-")
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert {"$hung": True} == finding["actual"]
    assert "a cut inside a field name makes the target hang" == finding["headline"]


# -- the result JSON


@pytest.mark.usefixtures("folder")
def test_the_result_file_holds_what_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("fuzz", "parsers:wrong", MULTIBYTE, BOSTON, *FEW, "--seed", "3", "--json", "result.json")
    assert "a cut inside a UTF-8 character" in capsys.readouterr().out
    result = read("result.json")
    assert ["format", "target", "seed", "cases", "seconds", "findings"] == list(result)[:6]
    assert (1, "parsers:wrong", 3, False) == tuple(result[key] for key in ("format", "target", "seed", "interrupted"))
    assert result["cases"] > 40
    assert 0 < result["seconds"] < 600
    (finding,) = result["findings"]
    promised = ["transcript", "oracle", "class", "cuts", "rewrites", "expected", "actual", "token"]
    assert promised == list(finding)[:8]
    assert (MULTIBYTE, "invariance", "preserving", []) == tuple(
        finding[key] for key in ("transcript", "oracle", "class", "rewrites")
    )
    body = streamkit.load(MULTIBYTE).body
    (cut,) = finding["cuts"]
    assert body.decode() == finding["expected"]
    assert (body[:cut].decode("utf-8", "replace") + body[cut:].decode("utf-8", "replace")) == finding["actual"]
    token = Token.parse(finding["token"])
    assert (MULTIBYTE, (cut,)) == (token.name, token.fragmentation.cuts)


def test_the_result_file_is_replaced_whole(folder: Path) -> None:
    (folder / "result.json").write_text("old " * 10_000)
    assert 0 == run("fuzz", "parsers:right", BOSTON, *FEW, "--json", str(folder / "result.json"))
    assert [] == read("result.json")["findings"]
    assert ["result.json"] == [path.name for path in folder.iterdir() if "json" in path.name]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("target", ["wrong", "talkative"])
def test_on_standard_output_the_json_stands_alone(target: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert 1 == run("fuzz", f"parsers:{target}", MULTIBYTE, *FEW, "--json", "-")
    out, err = capfd.readouterr()
    assert f"parsers:{target}" == json.loads(out)["target"]
    assert "a cut inside a UTF-8 character changes the result" == err.splitlines()[0]
    assert ("the target prints" in err) == (target == "talkative")


# -- one case again


@pytest.mark.usefixtures("folder")
def test_the_token_of_a_finding_fails_until_the_parser_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    run("fuzz", "parsers:wrong", *FEW, "--json", "found.json")
    capsys.readouterr()
    findings = read("found.json")["findings"]
    assert 2 == len(findings)
    for finding in findings:
        assert 1 == run("fuzz", "parsers:wrong", "--replay", finding["token"], "--json", "again.json")
        (again,) = read("again.json")["findings"]
        same = ("transcript", "oracle", "class", "cuts", "expected", "actual", "token", "headline")
        assert [finding[key] for key in same] == [again[key] for key in same]
        assert 0 == run("fuzz", "parsers:right", "--replay", finding["token"])


# -- the same every time


@pytest.mark.usefixtures("folder")
def test_the_same_seed_gives_the_same_result_whatever_the_hashing() -> None:
    command = ("fuzz", "parsers:drawn", BOSTON, "--max-single-cuts", "40", "--max-examples", "2000", "--json", "-")
    seeds = [("7", "0"), ("7", "1"), ("8", "1")]
    runs = [start(*command, "--seed", seed, PYTHONHASHSEED=hashing) for seed, hashing in seeds]
    results = [json.loads(one.communicate()[0]) for one in runs]
    assert [1, 1, 1] == [one.returncode for one in runs]
    for result in results:
        del result["seconds"], result["seed"]
        assert result["coverage"][0]["phases"]["drawn"] > 0, "nothing was left to chance, so nothing was shown"
    first, again, other = (json.dumps(result) for result in results)  # the order of keys is part of the result
    assert first == again
    assert first != other


# -- pipes and terminals


@pytest.mark.usefixtures("folder")
def test_in_a_pipe_there_is_no_escape_code() -> None:
    process = start("fuzz", "parsers:wrong", MULTIBYTE, *FEW)
    out, err = process.communicate()
    assert (1, "") == (process.returncode, err)
    assert "\x1b" not in out
    assert "\r" not in out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("setting", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_unless_they_are_declined(setting: dict[str, str], coloured: bool) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "streamkit", "fuzz", "parsers:wrong", MULTIBYTE, *FEW],
        env={**os.environ, "TERM": "xterm-256color", **setting}, stdout=theirs, stderr=theirs, stdin=theirs,
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
    assert 1 == process.wait()
    assert b"a cut inside a UTF-8 character" in out
    colours = re.findall(rb"\x1b\[(?:\d+;)*(?:3[0-79]|4[0-79]|9[0-7]|[34]8)(?:;\d+)*m", out)
    assert coloured == bool(colours)


# -- Ctrl-C


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
@pytest.mark.parametrize(("transcripts", "code", "found"), [([BOSTON], 130, []), ([MULTIBYTE, BOSTON], 1, [MULTIBYTE])])
def test_ctrl_c_ends_with_what_was_found_so_far(
    transcripts: list[str], code: int, found: list[str], folder: Path
) -> None:
    os.mkfifo(folder / "waiting")
    waiting = os.open(folder / "waiting", os.O_RDONLY | os.O_NONBLOCK)
    process = start("fuzz", "parsers:waits", *transcripts, *FEW, "--time-limit", "500", "--json", "result.json")
    try:
        assert select.select([waiting], [], [], 60)[0], "the target was never called"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(waiting)
    assert (code, "") == (process.returncode, err)
    assert out.endswith("(interrupted: this is what was found so far)\n")
    result = read("result.json")
    assert result["interrupted"]
    assert found == [finding["transcript"] for finding in result["findings"]]
    assert transcripts == [coverage["transcript"] for coverage in result["coverage"]]
