"""`streamkit fuzz --command`: drivers from the command line, alone and beside others, and Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from skhelpers.drivers import CHUNKWISE_UTF8, needs_node, node, pids, still_running, tiny

from streamkit.cli import main

pytestmark = needs_node


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: it holds a short stream, tiny.sse."""
    (tmp_path / "tiny.sse").write_bytes(tiny().body)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_a_command_needs_no_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = node(folder, chunks=CHUNKWISE_UTF8)
    assert 1 == run("fuzz", "--command", text, "tiny.sse", "--cuts-only", "--max-examples", "0", "--json", "r.json")
    report = read(folder / "r.json")
    assert text == report["target"]
    (finding,) = report["findings"]
    assert ["utf8"] == finding["boundaries"]
    out = capsys.readouterr().out
    again = f"streamkit fuzz --command 'node driver.mjs' --replay '{finding['token']}'"
    assert f"run again:  {again}" in out
    assert 1 == run("fuzz", "--command", text, "--replay", finding["token"])
    assert [] == still_running(pids(folder))


def test_commands_and_functions_run_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = node(folder, name="right.mjs"), node(folder, chunks=CHUNKWISE_UTF8, name="wrong.mjs")
    few = ["--cuts-only", "--max-examples", "0", "--max-single-cuts", "10", "--json", "r.json"]
    code = run("fuzz", "streamkit.examples:broken_parser", "--command", right, "--command", wrong, "tiny.sse", *few)
    capsys.readouterr()
    assert 1 == code
    told = read(folder / "r.json")["reports"]
    assert ["streamkit.examples:broken_parser", right, wrong] == [one["target"] for one in told]
    assert [0, 1] == [len(one["findings"]) for one in told[1:]]


def test_without_a_target_or_a_command_the_call_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run("fuzz")
    assert "Missing argument 'TARGET': write module:attribute, or --command COMMAND" in capsys.readouterr().err


def test_a_command_that_cannot_start_is_the_call_s_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run("fuzz", "--command", "node absent.mjs", "tiny.sse")
    assert "the driver `node absent.mjs` ends before it is given a case" in capsys.readouterr().err


@pytest.mark.parametrize("framing", ["length", "close"])
def test_workers_and_framing_are_options(framing: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--cuts-only", "--max-examples", "0", "--max-single-cuts", "10"]
    assert 0 == run("fuzz", "--command", node(folder), "tiny.sse", "--workers", "3", "--framing", framing, *few)
    assert f"note: framing {framing}" in capsys.readouterr().out
    assert 3 == len(pids(folder))


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT] * 3, [signal.SIGTERM], [signal.SIGHUP]],
    ids=["ctrl-c", "ctrl-c thrice", "sigterm", "the terminal is closed"],
)
def test_an_interrupted_campaign_tells_what_was_found_and_leaves_nothing_running(
    signals: list[signal.Signals], folder: Path
) -> None:
    """The driver hangs at the second cut inside a character; it is wrong at the first. It has started a child."""
    cut = tiny().body.index("ß".encode()) + 1
    hang = f"""
      if (chunks.length === 2 && chunks[0].length === {cut}) {{
        const {{ spawn }} = await import("node:child_process");
        appendFileSync("pids", `${{spawn("sleep", ["600"]).pid}}\n`);
        appendFileSync("hanging", "now");
        await new Promise(() => {{}});
      }}
      {CHUNKWISE_UTF8}
    """
    text = node(folder, chunks=hang)
    # What a shell lets its background ignore, and what nohup ignores, is inherited: here it counts.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGTERM, signal.SIG_DFL);"
        "from streamkit.cli import main; main(sys.argv[1:])"
    )
    options = ["--cuts-only", "--time-limit", "600", "--workers", "2", "--json", "r.json"]
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", program, "fuzz", "--command", text, "tiny.sse", *options],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + 60
        while not (folder / "hanging").exists() and time.monotonic() < deadline and process.poll() is None:
            select.select([], [], [], 0.02)
        for number in signals:
            process.send_signal(number)
            select.select([], [], [], 0.05)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert b"" == err
    assert 1 == process.returncode
    report = read(folder / "r.json")
    assert report["interrupted"]
    assert "utf8" in report["findings"][0]["boundaries"]  # minimal or not: that depends on when the signal comes
    assert 3 == len(pids(folder))
    assert [] == still_running(pids(folder))


def test_after_ctrl_c_no_further_target_is_begun(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamkit.fuzz.campaign.Search.search", interrupted)
    assert 130 == run("fuzz", "streamkit:accumulate", "streamkit.examples:broken_parser", "tiny.sse")
    assert "broken_parser" not in capsys.readouterr().out
