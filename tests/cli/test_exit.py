"""How a command ends where its output or its arguments are out of the ordinary."""

from __future__ import annotations

import subprocess
import sys

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
