"""How a command ends where its output or its arguments are out of the ordinary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(arguments: str, *, cwd: object = None) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m streamkit {arguments}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("list", 0),
        ("show openai_chat/boston_weather", 0),
        ("fuzz streamkit:accumulate openai_chat/boston_weather --max-single-cuts 5 --max-examples 5", 0),
        ("fuzz streamkit.examples:broken_parser openai_chat/synthetic_multibyte_text --max-examples 5", 1),
    ],
)
def test_a_reader_that_goes_away_does_not_change_the_exit_code(arguments: str, code: int) -> None:
    done = run(f"{arguments} | true; exit ${{PIPESTATUS[0]}}")
    assert (code, "") == (done.returncode, done.stderr)


def test_debug_shows_the_traceback_and_keeps_the_exit_code() -> None:
    done = run("show no/such --debug")
    assert 2 == done.returncode
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("streamkit: error: no transcript named 'no/such'")


def test_a_target_that_swallows_every_interruption_is_reported_and_the_process_ended(tmp_path: Path) -> None:
    (tmp_path / "swallows.py").write_text(
        "import time\n"
        "def parse(chunks):\n"
        "    while len(list(chunks)) > 1:\n"
        "        while True:\n"
        "            try:\n"
        "                time.sleep(0.01)\n"
        "            except:\n"
        "                pass\n"
        "    return {}\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "streamkit", "fuzz", "swallows:parse", "openai_chat/boston_weather"]
    done = subprocess.run(
        [*command, "--time-limit", "0.2", "--json", "result.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("the target hangs and cannot be stopped")
    (finding,) = json.loads((tmp_path / "result.json").read_text("utf-8"))["findings"]
    assert ("contract", {"$hung": True}) == (finding["oracle"], finding["actual"])
