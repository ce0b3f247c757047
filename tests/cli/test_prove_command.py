"""`streamkit prove`: exit codes, what is printed, the JSON, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamkit.cli import cli
from streamkit.cli.common import State

PARSERS = """
import time
from pathlib import Path

class Lines:
    def __init__(self):
        self.rest = b""

    def feed(self, chunk):
        *lines, self.rest = (self.rest + chunk).split(b"\\n")
        return lines

class Broken(Lines):
    def feed(self, chunk):
        return chunk.split(b"\\n")

def generator(chunks):
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\\n")
        yield from lines

class Prints(Lines):
    def __init__(self):
        super().__init__()
        print("made")

    def __getstate__(self):
        print("copied")
        return self.__dict__

    def __del__(self):
        print("dropped")

class Slow(Lines):
    def feed(self, chunk):
        if len(chunk) == 20:
            Path("walking").touch()
            time.sleep(0.05)
        return super().feed(chunk)

class Stuck(Lines):
    def feed(self, chunk):
        while len(chunk) == 5:
            try:
                time.sleep(0.01)
            except:
                pass
        return super().feed(chunk)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "provable.py").write_text(PARSERS, "utf-8")
    (tmp_path / "short.sse").write_bytes(b"data: one\n\ndata: two\n\ndata: three\n\ndata: [DONE]\n\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "provable", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["prove", *arguments], obj=State(), standalone_mode=False)


@pytest.mark.parametrize(
    ("target", "code", "line"),
    [
        (
            "Lines",
            0,
            "short.sse: proved: all 2^48 fragmentations of 49 bytes give one result, with empty chunks anywhere",
        ),
        ("Broken", 1, "short.sse: refuted"),
        ("generator", 3, "short.sse: not decidable here: a function reads its chunks by itself"),
    ],
)
def test_the_exit_code_tells_the_verdict(project: Path, target: str, code: int, line: str) -> None:
    done = invoke(f"provable:{target}", "short.sse")
    assert (code, True) == (done.return_value, line in done.output), done.output


def test_a_refutation_is_shown_and_says_how_to_run_it_again(project: Path) -> None:
    done = invoke("provable:Broken", "short.sse")
    assert "cut at 1, inside a field name" in done.output
    assert "run again:  streamkit fuzz provable:Broken --replay 'sk1:short.sse@" in done.output


def test_the_worst_verdict_is_the_exit_code(project: Path) -> None:
    (project / "plain.sse").write_bytes(b"\n\n")
    (project / "one.sse").write_bytes(b"data: x\n\n")
    assert 1 == invoke("provable:Broken", "one.sse", "short.sse").return_value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["provable:Lines", "none.sse"], "none.sse"),
        (["provable:Missing", "short.sse"], "no attribute 'Missing'"),
        (["provable:Lines", "short.sse", "--max-feeds", "0"], "0 is not in the range"),
        ([], "Missing argument 'TARGET'"),
    ],
)
def test_a_wrong_call_is_one_line_and_code_2(project: Path, arguments: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamkit", "prove", *arguments], capture_output=True, text=True, check=False
    )
    assert (2, "") == (done.returncode, done.stdout)
    assert says in done.stderr
    assert 1 == len(done.stderr.splitlines())


def test_the_json_holds_verdict_figures_and_cover(project: Path) -> None:
    assert 0 == invoke("provable:Lines", "short.sse", "--no-empty-chunks", "--json", "lines.json").return_value
    found = json.loads((project / "lines.json").read_text("utf-8"))
    assert (1, "provable:Lines", False) == (found["format"], found["target"], found["interrupted"])
    (proof,) = found["proofs"]
    assert {
        "transcript": "short.sse", "bytes": 49, "verdict": "proved", "reason": "", "fragmentations": "2^48",
        "empty_chunks": False, "feeds": 49 * 50 // 2, "states": 50, "how": "pickle", "cover": {}, "finding": None,
        "cuts_decided": None, "notes": proof["notes"],
    } == proof  # fmt: skip
    assert 3 == invoke("provable:generator", "short.sse", "--json", "generator.json").return_value
    (proof,) = json.loads((project / "generator.json").read_text("utf-8"))["proofs"]
    assert {"tried": 48, "of": 48, "what": "single cuts"} == proof["cover"]["single cuts"]
    assert 1 == invoke("provable:Broken", "short.sse", "--json", "broken.json").return_value
    (proof,) = json.loads((project / "broken.json").read_text("utf-8"))["proofs"]
    assert ([1], "invariance") == (proof["finding"]["cuts"], proof["finding"]["oracle"])


def test_ctrl_c_leaves_a_report_of_what_was_covered(project: Path) -> None:
    command = [sys.executable, "-m", "streamkit", "prove", "provable:Slow", "short.sse", "--json", "slow.json"]
    # A shell in the background has Ctrl-C ignored, and hands that on.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (project / "walking").exists():
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert 130 == running.returncode
    assert "interrupted: this is what was covered so far" in output
    found = json.loads((project / "slow.json").read_text("utf-8"))
    (proof,) = found["proofs"]
    assert (True, "not decidable here", "it was stopped before its end") == (
        found["interrupted"],
        proof["verdict"],
        proof["reason"],
    )


def test_a_target_that_swallows_every_interruption_is_reported_and_the_process_ended(project: Path) -> None:
    command = [sys.executable, "-m", "streamkit", "prove", "provable:Stuck", "short.sse", "--time-limit", "0.2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (3, "") == (done.returncode, done.stderr)
    assert "the target hangs and cannot be stopped" in done.stdout


def test_a_pipe_gets_plain_text(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamkit", "prove", "provable:Lines", "short.sse"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("provable:Lines: 1 proved, ")


def test_what_a_target_prints_when_it_is_made_and_copied_is_no_part_of_the_json(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamkit", "prove", "provable:Prints", "short.sse", "--json", "-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode
    assert "proved" == json.loads(done.stdout)["proofs"][0]["verdict"]
    assert not [word for word in ("made\n", "copied\n", "dropped\n") if word in done.stderr]
