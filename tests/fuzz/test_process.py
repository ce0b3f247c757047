"""One process of a driver: what it is asked, what it writes, and how it is ended with all that it has started."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from skhelpers.drivers import pids, still_running

from streamkit.fuzz.process import DriverProcess, Kept, Reply


@contextmanager
def started(folder: Path, *words: str) -> Iterator[DriverProcess]:
    process = DriverProcess(words, folder, dict(os.environ))
    try:
        yield process
    finally:
        process.kill()
    assert [] == still_running([process.pid])


def shell(folder: Path, text: str) -> tuple[Path, str, str, str]:
    return folder, "sh", "-c", text


ECHO = 'while read -r line; do echo "$line"; done'


def test_lines_are_answered_by_lines(tmp_path: Path) -> None:
    with started(*shell(tmp_path, ECHO)) as process:
        assert Reply("line", b"one") == process.ask(b"one\n", 10)
        assert Reply("line", b"two") == process.ask(b"two\n", 10)


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    with started(*shell(tmp_path, 'while read -r line; do printf "\\n \\r\\n%s\\n\\n" "$line"; done')) as process:
        assert Reply("line", b"one") == process.ask(b"one\n", 10)
        assert Reply("line", b"two") == process.ask(b"two\n", 10)


def test_a_case_may_be_larger_than_a_pipe_and_both_outputs_may_be_flooded_meanwhile(tmp_path: Path) -> None:
    text = (
        "import sys\n"
        "for line in sys.stdin:\n"
        "    sys.stderr.write('e' * 3_000_000 + 'last')\n"
        "    sys.stdout.write('o' * 3_000_000 + f'{len(line)}\\n'); sys.stdout.flush()\n"
    )
    with started(tmp_path, sys.executable, "-c", text) as process:
        reply = process.ask(b"x" * 3_000_000 + b"\n", 60)
        assert ("line", b"o3000001") == (reply.kind, reply.line[-8:])
        assert 3_000_004 == process.errors.size
        assert process.errors.text.endswith("last")
        assert 5000 > len(process.errors.text)


def test_a_process_that_does_not_read_is_given_up_at_the_limit(tmp_path: Path) -> None:
    with started(*shell(tmp_path, "exec sleep 600")) as process:
        assert "hang" == process.ask(b"x" * 1_000_000 + b"\n", 0.2).kind


def test_what_is_written_before_a_line_was_sent_is_no_answer(tmp_path: Path) -> None:
    with started(*shell(tmp_path, f"echo ready; echo said >&2; {ECHO}")) as process:
        first = process.ask(b"one\n", 10)
        # Whether it had come by then is chance: it is noticed either way.
        assert first.kind in ("unasked", "line", "lines")
        assert first.line.startswith(b"ready")


@pytest.mark.parametrize(("ends", "status"), [("exit 3", 3), ("kill -9 $$", -9), ("exit 0", 0)])
def test_an_end_is_told_with_its_status_and_last_words(ends: str, status: int, tmp_path: Path) -> None:
    with started(*shell(tmp_path, f"read -r line; echo bye >&2; {ends}")) as process:
        assert Reply("exit") == process.ask(b"one\n", 10)
        assert (status, "bye") == (process.status, process.errors.text)
        assert "gone" == process.ask(b"two\n", 10).kind


def test_an_end_is_noticed_though_a_child_holds_the_output_open(tmp_path: Path) -> None:
    with started(*shell(tmp_path, "read -r line; sleep 600 & echo $! > children; exit 5")) as process:
        assert "exit" == process.ask(b"one\n", 30).kind
        assert 5 == process.status
    assert [] == still_running(pids(tmp_path, "children"))


def test_a_wait_can_be_ended_by_another_thread(tmp_path: Path) -> None:
    with started(*shell(tmp_path, "exec sleep 600")) as process:
        threading.Timer(0.05, setattr, [process, "stopped", True]).start()
        assert "stopped" == process.ask(b"one\n", 600).kind


def test_a_process_ends_by_itself_when_its_input_is_closed(tmp_path: Path) -> None:
    with started(*shell(tmp_path, f"{ECHO}; echo over > end")) as process:
        process.ask(b"one\n", 10)
        process.end()
    assert "over\n" == (tmp_path / "end").read_text("ascii")


def test_one_that_does_not_is_killed_with_its_children(tmp_path: Path) -> None:
    text = f"trap '' TERM; sleep 600 & echo $! > children; {ECHO}; while :; do sleep 0.1; done"
    with started(*shell(tmp_path, text)) as process:
        process.ask(b"one\n", 10)
        process.end()
        assert -9 == process.status or process.status is None
    assert 1 == len(pids(tmp_path, "children"))
    assert [] == still_running(pids(tmp_path, "children"))


def test_the_beginning_and_the_end_of_a_flood_are_kept() -> None:
    kept = Kept()
    for number in range(10_000):
        kept.add(b"%d " % number)
    assert kept.text.startswith("0 1 2 ")
    assert kept.text.endswith(" 9999")
    assert "\n...\n" in kept.text
    assert 5000 > len(kept.text)
