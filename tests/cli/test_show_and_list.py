"""`streamkit show` and `streamkit list`, as text and as JSON, and the help of the command itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit.cassettes import find
from streamkit.cassettes.features import FEATURES, features
from streamkit.cli import main
from streamkit.wire.boundaries import boundaries

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
CRLF = "openai_chat/synthetic_parallel_calls_crlf"
NAMES = [transcript.name for transcript in streamkit.library()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a project with no cassettes yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def printed(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command in this process, which must succeed, and return what it prints."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capfd.readouterr()
    assert (0, "") == (ended.value.code, err)
    return out


def own(folder: Path, name: str, *, broken: bool = False) -> None:
    """Put a cassette of the project's own: the Boston one, or that with a response without a status."""
    path = folder / "cassettes" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = find(BOSTON).read_text("utf-8")
    assert "    status:\n" in text
    path.write_text(text.replace("    status:\n", "    stature:\n") if broken else text, "utf-8")


# -- list


@pytest.mark.usefixtures("folder")
def test_list_names_the_bundled_transcripts(capfd: pytest.CaptureFixture[str]) -> None:
    heading, *rows = printed(capfd, "list").splitlines()
    assert ["name", "dialect", "ending", "origin", "bytes", "chunks"] == heading.split()
    listed = [row.split() for row in rows]
    assert NAMES == [row[0] for row in listed]
    for row in (
        [BOSTON, "openai_chat", "complete", "recorded", "3220", "unknown"],
        [MULTIBYTE, "openai_chat", "complete", "synthetic", "2804", "unknown"],
        [CRLF, "openai_chat", "complete", "synthetic", "2859", "unknown"],
    ):
        assert row in listed


def test_list_names_the_projects_own_too(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own(folder, "mine/first")
    rows = printed(capfd, "list").splitlines()[1:]
    assert sorted([*NAMES, "mine/first"]) == [row.split()[0] for row in rows]


def test_a_long_name_is_not_cut_in_a_pipe(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = "a_name_that_is_much_wider_than_a_terminal/" + "x" * 150
    own(folder, name)
    assert name in printed(capfd, "list")


@pytest.mark.usefixtures("folder")
def test_list_as_json_holds_the_facts(capfd: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = json.loads(printed(capfd, "list", "--json"))
    assert NAMES == [row["name"] for row in rows]
    for row in rows:
        transcript = streamkit.load(row["name"])
        assert transcript.sha256 == row["sha256"]
        assert len(transcript.body) == row["bytes"] == sum(length for _, length in row["chunks"])
        assert (transcript.head.status, transcript.ending) == (row["status"], row["ending"])
        assert (transcript.chunks_recorded, transcript.synthetic) == (row["chunks_recorded"], row["synthetic"])
        assert (transcript.server or None) == row["server"]
        assert sorted(features(transcript)) == row["features"]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--dialect", "anthropic_messages"], {"dialect": "anthropic_messages"}),
        (["--feature", "tool_calls", "--feature", "crlf"], {"feature": ["tool_calls", "crlf"]}),
        (["--server", "sse-starlette"], {"server": "sse-starlette"}),
        (["--server", "litellm", "--feature", "error"], {"server": "litellm", "feature": "error"}),
    ],
)
@pytest.mark.usefixtures("folder")
def test_list_names_those_that_were_asked_for(
    options: list[str], asked: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    rows = printed(capfd, "list", *options).splitlines()[1:]
    wanted = [one.name for one in streamkit.library(**asked)]
    assert 0 < len(wanted) < len(NAMES)
    assert wanted == [row.split()[0] for row in rows]


def test_list_finds_the_projects_own_by_feature_too(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own(folder, "mine/first")
    listed = [row.split()[0] for row in printed(capfd, "list", "--feature", "tool_calls").splitlines()[1:]]
    assert "mine/first" in listed
    assert "mine/first" not in printed(capfd, "list", "--feature", "usage")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--feature", "tool_call"], "tool_calls, parallel"),
        (["--server", "nobody"], "sse-starlette"),
        (["--dialect", "openai"], "openai"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_list_of_what_is_not_known_names_the_known_ones_and_exits_2(
    options: list[str], named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["list", *options])
    out, err = capfd.readouterr()
    assert (2, "") == (ended.value.code, out)
    assert err.startswith("streamkit: error: ")
    assert named in " ".join(err.split())


def test_list_goes_on_after_a_cassette_that_is_broken_and_exits_2(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own(folder, "good")
    own(folder, "broken", broken=True)
    with pytest.raises(SystemExit) as ended:
        main(["list", "--json"])
    out, err = capfd.readouterr()
    assert 2 == ended.value.code
    assert sorted([*NAMES, "good"]) == [row["name"] for row in json.loads(out)]
    assert err.startswith("streamkit: error: cassettes/broken.yaml:")
    assert 1 == err.count("\n")


# -- show


@pytest.mark.usefixtures("folder")
def test_show_tells_events_chunks_boundary_classes_and_result(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "show", BOSTON)
    lines = out.splitlines()
    assert f"{BOSTON} (openai_chat, recorded)" == lines[0]
    assert "  POST https://api.openai.com/v1/chat/completions" in lines
    assert "  200 OK, 3220 bytes, ended: complete" in lines
    assert {"12 events", "1 chunk (the network's were not recorded)", "where it can be cut", "result"} <= set(lines)
    events = lines[lines.index("12 events") + 1 :][:12]
    assert events[0].startswith('         0 +400    {"id":"chatcmpl-9A0pokSpYASGLPfIzV8jx6tuvBUtz"')
    assert events[-1].endswith("[DONE]")
    where = boundaries(streamkit.load(BOSTON).body)
    classes = [f"  {kind!s:<12} {len(where.offsets(kind)):>7}  {kind.meaning}" for kind in where.classes()]
    assert classes == lines[lines.index("where it can be cut") + 1 :][: len(classes)]
    assert '"name": "get_current_weather"' in out


@pytest.mark.usefixtures("folder")
def test_show_marks_the_cuts_that_are_given(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "show", MULTIBYTE, "--cuts", "364,365,2800")
    assert "\n4 chunks\n  bytes: 364, 1, 2435, 4\n" in out
    assert "cut at 364, inside a UTF-8 character\n" in out
    assert "6f 6e 74 65 6e 74 22 3a 22 47 72 c3|bc|c3 9f 65" in out
    assert "cut at 2800, inside [DONE]\n" in out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", [BOSTON, MULTIBYTE, CRLF])
def test_show_as_json_holds_the_events_where_they_are(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(printed(capfd, "show", name, "--json"))
    body = streamkit.load(name).body
    assert (name, "openai_chat", 200, len(body)) == tuple(shown[key] for key in ("name", "dialect", "status", "bytes"))
    assert shown["request"]["url"].endswith("/chat/completions")
    assert shown["events"], "no event"
    for event in shown["events"]:
        assert event["data"] in body[event["start"] : event["end"]].decode()
    assert "[DONE]" == shown["events"][-1]["data"]
    assert len(body) - 1 == sum(shown["boundaries"].values())
    assert ("whole", [len(body)], []) == (shown["fragmentation"], shown["lengths"], shown["cuts"])
    assert (0, [], None) == (shown["unfinished_bytes"], shown["diagnostics"], shown["result"]["error"])
    choice = shown["result"]["completion"]["choices"][0]
    assert choice["finish_reason"] in ("stop", "tool_calls")


@pytest.mark.usefixtures("folder")
def test_show_as_json_classes_the_cuts(capfd: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(printed(capfd, "show", MULTIBYTE, "--cuts", "1,364", "--json"))
    assert [{"offset": 1, "class": "field-name"}, {"offset": 364, "class": "utf8"}] == shown["cuts"]
    assert ("1,364", [1, 363, 2440]) == (shown["fragmentation"], shown["lengths"])


def test_show_reads_a_bare_body_and_says_what_is_wrong_with_it(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "cut_off.sse").write_bytes(streamkit.load(BOSTON).body[:1000])
    shown = json.loads(printed(capfd, "show", "cut_off.sse", "--json"))
    assert "TruncatedStreamError" == shown["result"]["error"]["type"]
    (call,) = shown["result"]["completion"]["choices"][0]["tool_calls"]
    assert "get_current_weather" == call["name"]
    assert 0 < shown["unfinished_bytes"] < 300
    out = printed(capfd, "show", "cut_off.sse")
    assert f"{shown['unfinished_bytes']} bytes at the end are an unfinished event" in out
    assert "TruncatedStreamError: " in out


def test_show_says_so_where_no_dialect_knows_the_stream(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "other.sse").write_bytes(b"event: ping\ndata: \xc3\xa9\n\n")
    assert "no dialect of streamkit knows this transcript" in printed(capfd, "show", "other.sse")
    assert json.loads(printed(capfd, "show", "other.sse", "--json"))["result"] is None


def test_list_gives_the_names_alone(capfd: pytest.CaptureFixture[str]) -> None:
    calls = streamkit.library(feature="tool_calls", server="llama-server")
    out = printed(capfd, "list", "--names", "--feature", "tool_calls", "--server", "llama-server")
    assert [one.name for one in calls] == out.splitlines()
    with pytest.raises(SystemExit):
        main(["list", "--names", "--json"])
    assert "--names or --json, not both" in capfd.readouterr().err


# -- the command itself


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, option)
    assert out.startswith("Usage: streamkit ")
    assert {"demo", "fuzz", "list", "show"} <= {line.split()[0] for line in out.splitlines() if line.startswith("  ")}


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert f"streamkit, version {streamkit.__version__}\n" == printed(capfd, "--version")


def test_the_help_of_list_names_the_features(capfd: pytest.CaptureFixture[str]) -> None:
    told = " ".join(printed(capfd, "list", "--help").split())
    assert all(f"{name} {meaning}" in told for name, meaning in FEATURES.items())


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert 2 == ended.value.code
    assert "Usage: streamkit " in capfd.readouterr().out


def test_the_installed_command_is_the_same_program(folder: Path) -> None:
    command = shutil.which("streamkit", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("streamkit is not installed in this environment")
    both = [
        subprocess.run([*program, "list"], cwd=folder, env={**os.environ}, capture_output=True, check=True).stdout
        for program in ([command], [sys.executable, "-m", "streamkit"])
    ]
    assert both[0] == both[1] != b""
