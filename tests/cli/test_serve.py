"""`streamkit serve` as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from skhelpers.raw_http import ask

import streamkit

BOSTON = streamkit.load("openai_chat/boston_weather")
RECORDED = BOSTON.request.body if BOSTON.request is not None else b""


@contextmanager
def served(*arguments: str, cwd: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command; give its URL and the process."""
    command = [sys.executable, "-m", "streamkit", "serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line + (
                running.stderr.read() if running.stderr else ""
            )
            yield line.split()[-1], running
        finally:
            running.kill()


def stopped(running: subprocess.Popen[str], by: signal.Signals = signal.SIGINT) -> list[dict[str, object]]:
    """Stop the server; return its log."""
    running.send_signal(by)
    out, err = running.communicate(timeout=20)
    assert (0, "") == (running.returncode, out)
    return [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_the_recorded_request_logs_it_and_stops_at_a_signal(by: signal.Signals) -> None:
    with served("openai_chat/boston_weather") as (url, running):
        assert BOSTON.body == ask(url + "/v1/chat/completions", RECORDED).body
        (line,) = stopped(running, by)
    assert ("POST", "/v1/chat/completions", 200, "complete") == tuple(
        line[key] for key in ("method", "path", "status", "ended")
    )


def test_without_names_it_serves_what_can_be_named_the_projects_own_too(tmp_path: Path) -> None:
    (tmp_path / "cassettes").mkdir()
    (tmp_path / "cassettes" / "mine.sse").write_bytes(b"data: 1\n\n")
    (tmp_path / "cassettes" / "broken.yaml").write_text("{")
    with served(cwd=tmp_path) as (url, _):
        assert b"data: 1\n\n" == ask(url + "/case/mine/v1/x").body
        assert BOSTON.body == ask(url + "/case/openai_chat/boston_weather/v1/x").body
        names = json.loads(ask(url + "/", b"", method="GET").body)["serves"]
    assert {"mine", "openai_chat/boston_weather"} <= set(names)


def test_a_folder_a_path_and_a_numbered_interaction_can_be_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.sse").write_bytes(f"data: {name}\n\n".encode())
    with served(str(tmp_path), cwd=tmp_path) as (url, _):
        assert [b"data: a\n\n", b"data: b\n\n"] == [ask(url + "/any").body for _ in range(2)]
    with served("openai_chat/boston_weather#1", str(tmp_path / "b.sse")) as (url, _):
        assert BOSTON.body == ask(url + "/v1/chat/completions", RECORDED).body
        assert b"data: b\n\n" == ask(url + "/v1/chat/completions").body


def test_its_options_reach_the_server(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--how", "framing=length;gap=0", "--seed", "4", "--mutate", "preserving", "--match-on", "method,path",
               "--ignore-json", "$.user", "--once", "--cors", "--write-timeout", "5", "--grace", "0",
               "--log", str(log)]  # fmt: skip
    with served("openai_chat/boston_weather", *options) as (url, running):
        found = ask(url + "/v1/chat/completions")
        assert ("*", True) == (found.headers["access-control-allow-origin"], "content-length" in found.headers)
        assert 404 == ask(url + "/v1/chat/completions").status
        assert [] == stopped(running)
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert ("all_played", "error") == (second["reason"], second["answer"])
    assert first["answer"].count(":") == 3  # a token with a mutation


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["openai_chat/bostn_weather"], "did you mean 'openai_chat/boston_weather'"),
        (["no/such/file.yaml"], "no transcript named"),
        (["--how", "rset=1"], "did you mean 'reset'"),
        (["--mutate", "fault"], "needs a seed"),
        (["--match-on", "colour"], "no matcher 'colour'"),
        (["--ignore-json", "user name"], "no JSON path"),
        (["--log", "/no/such/folder/log"], "there is no folder"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ],
)
def test_a_call_at_fault_is_told_in_a_line_before_anything_listens(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "streamkit", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert said in done.stderr


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "streamkit", "serve", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (2, True) == (done.returncode, "in use" in done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_cannot_be_written_is_told_once_and_stops_no_answer() -> None:
    with served("openai_chat/boston_weather", "--log", "/dev/full") as (url, running):
        for _ in range(3):
            assert BOSTON.body == ask(url + "/v1/chat/completions", RECORDED).body
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
    assert (0, "streamkit: the log cannot be written: No space left on device\n") == (running.returncode, err)
