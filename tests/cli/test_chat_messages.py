"""`streamkit chat`: what a message is, in what order questions are replayed, and what an answer that fails says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from skhelpers.server import Answer, StreamServer

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.server import ReplayServer

CHAT = [sys.executable, "-m", "streamkit", "chat"]
BOSTON = "conversations/weather_in_boston"
ASKED = "What is the weather like in Boston?"
ANSWER = "It is 22 °C and clear in Boston."


def environment(**more: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return {**known, "PYTHONUTF8": "1", "OPENAI_API_KEY": "any text", **more}


def piped(folder: Path, typed: str | bytes, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CHAT, *arguments], input=typed if isinstance(typed, bytes) else typed.encode(), capture_output=True,
        cwd=folder, timeout=120, env=environment(**more), check=False,
    )  # fmt: skip


def says(text: str) -> Answer:
    """Return a whole answer with that text."""
    events = [
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in (({"role": "assistant", "content": text}, None), ({}, "stop"))
    ]  # fmt: skip
    return Answer([*(f"data: {json.dumps(one)}\n\n".encode() for one in events), b"data: [DONE]\n\n"])


REFUSED = Answer(
    [b'{"error": {"message": "not now", "type": "x"}}'], status="400 Bad Request",
    headers=("Content-Type: application/json",), framing="length",
)  # fmt: skip


def asked_of(server: StreamServer) -> list[str]:
    """Return the last message of each request."""
    return [json.loads(one.body)["messages"][-1]["content"] for one in server.seen]


# -- messages


def test_a_line_that_ends_in_a_backslash_goes_on_in_the_next(tmp_path: Path) -> None:
    with StreamServer(says("Yes.")) as server:
        typed = "first\\\n  second\\\nthird\nanother\nthe last\\\n"
        done = piped(tmp_path, typed, "--model", "m", "--base-url", server.url)
    assert (0, b"") == (done.returncode, done.stderr)
    assert ["first\n  second\nthird", "another", "the last"] == asked_of(server)


def test_several_lines_that_are_pasted_are_one_message_and_ctrl_c_forgets_what_is_begun(tmp_path: Path) -> None:
    typed = pytest.importorskip("skhelpers.typed_terminal", reason="needs a system with pseudo-terminals")
    if "libedit" in (pytest.importorskip("readline").__doc__ or ""):
        pytest.skip("libedit cannot be told what is pasted")
    with StreamServer(says("Yes.")) as server:
        arguments = ["-m", "streamkit", "chat", "--model", "m", "--base-url", server.url]
        known = {"NO_COLOR": "1", "OPENAI_API_KEY": "any text"}
        with typed.TypedTerminal(*arguments, cwd=tmp_path, environment=known) as shown:
            shown.wait_for("> ")
            shown.paste("one\ntwo\n\nthree")
            shown.wait_for("three")
            shown.type("\n")
            shown.wait_for("Yes.\n")
            shown.wait_for("> ")
            shown.type("forgotten\\\n")
            shown.wait_for(". ")
            shown.press(typed.CTRL_C, "(Ctrl-D ends the conversation)\n> ")
            shown.type("four\n")
            shown.wait_for("Yes.\n")
            shown.wait_for("> ")
            shown.type(typed.CTRL_D)
            assert 0 == shown.wait()
    assert ["one\ntwo\n\nthree", "four"] == asked_of(server)


def test_utf_8_is_read_where_the_locale_says_ascii(tmp_path: Path) -> None:
    with StreamServer(says("Yes.")) as server:
        done = piped(
            tmp_path, "Grüße\n", "--model", "m", "--base-url", server.url,
            PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LC_ALL="C", PYTHONIOENCODING="ascii",
        )  # fmt: skip
    assert (0, ["Grüße"]) == (done.returncode, asked_of(server))


def test_content_reaches_a_pipe_unchanged(tmp_path: Path) -> None:
    said = "\x1b[31mred\x1b[0m\r\n\x07 \u202e\u200d"
    with StreamServer(says(said)) as server:
        done = piped(tmp_path, "Hello\n", "--model", "m", "--base-url", server.url)
    assert (0, said.encode() + b"\n") == (done.returncode, done.stdout)


def test_content_is_in_the_pipe_before_the_rest_of_the_answer_is_sent(tmp_path: Path) -> None:
    name = "conversations/synthetic_streaming"
    stalled = f"stall={streamkit.load(name).body.index(b' computers')}"
    with (
        ReplayServer([name], ignore_json=["$.model", "$.stream_options"], how=stalled) as server,
        subprocess.Popen(
            [*CHAT, "--model", "m", "--base-url", server.base_url()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            cwd=tmp_path, env=environment(),
        ) as running,
    ):  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"Explain quantum computing\n")
        running.stdin.flush()
        assert b"Quantum" == running.stdout.read(7), "and nothing more comes: the server waits"
        running.kill()


# -- what was asked when it was recorded


def test_empty_lines_ask_all_that_was_recorded_in_its_order_also_what_was_repeated_or_failed(tmp_path: Path) -> None:
    with StreamServer(REFUSED, says("One."), says("Two."), says("Three.")) as server:
        how = ["--model", "m", "--base-url", server.url, "--record", "kept"]
        live = piped(tmp_path, "Refused?\nHello\nHello\nBye\\\nbye\n", *how)
    assert (2, b"One.\nTwo.\nThree.\n") == (live.returncode, live.stdout)
    again = piped(tmp_path, "\n" * 5, "--cassette", "kept")
    assert live.stderr == again.stderr
    assert "> Refused?\n> Hello\nOne.\n> Hello\nTwo.\n> Bye\nbye\nThree.\n" == again.stdout.decode()


def test_a_question_without_a_recorded_answer_is_told_with_what_differs_and_what_to_do(tmp_path: Path) -> None:
    done = piped(tmp_path, f"Else?\n\n{ASKED}\n", "--cassette", BOSTON)
    first, last = done.stderr.decode().splitlines()
    url = "https://api.openai.com/v1/chat/completions"
    assert (
        f"streamkit: error: no recorded interaction answers POST {url}: $.messages[0].content: recorded "
        f'"{ASKED}", sent "Else?". An empty line asks what was asked next' == first
    )
    assert last.endswith(". Nothing more was asked when it was recorded")
    assert "record_mode" not in first + last, "that is no option of this command"


def test_what_was_recorded_with_a_query_in_the_url_is_replayed(tmp_path: Path) -> None:
    text = streamkit.cassettes.find(BOSTON).read_text("utf-8")
    cassette = tmp_path / "azure.yaml"
    cassette.write_text(text.replace("/v1/chat/completions", "/openai/v1/chat/completions?api-version=2024"), "utf-8")
    done = piped(tmp_path, "\n", "--cassette", "azure.yaml")
    assert (0, b"") == (done.returncode, done.stderr)
    assert done.stdout.decode().endswith(f"{ANSWER}\n")


# -- what cannot be


@pytest.mark.parametrize(
    ("arguments", "known", "said"),
    [
        (["--base-url", "localhost:8080"], {}, "--base-url is 'localhost:8080', which is no base URL: write it like"),
        (["--base-url", ""], {}, "--base-url is '', which is no base URL"),
        (["--base-url", "http://[::1"], {}, "which is no base URL"),
        ([], {"OPENAI_BASE_URL": "v1"}, "OPENAI_BASE_URL is 'v1', which is no base URL"),
        ([], {"OPENAI_API_KEY": "schlüssel"}, "the key in OPENAI_API_KEY holds a character that no header can carry"),
        ([], {"OPENAI_API_KEY": " \r"}, "there is no key in OPENAI_API_KEY"),
        (["--record", "file/kept.yaml"], {}, "cannot be written"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(
    tmp_path: Path, arguments: Sequence[str], known: dict[str, str], said: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    with StreamServer(says("Yes.")) as server:
        done = piped(tmp_path, "Hello\n", "--model", "m", *arguments, **{"OPENAI_BASE_URL": server.url, **known})
    assert [] == server.seen
    assert (2, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))
    assert said in done.stderr.decode()


def test_a_key_is_sent_without_the_line_end_of_the_file_that_it_came_from(tmp_path: Path) -> None:
    with StreamServer(says("Yes.")) as server:
        done = piped(tmp_path, "Hello\n", "--model", "m", "--base-url", server.url, OPENAI_API_KEY="my key\r\n")
    assert 0 == done.returncode
    assert "Bearer my key" == server.seen[0].headers["authorization"]


def test_a_connection_that_cannot_be_made_is_told_with_its_cause_and_where(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        done = piped(tmp_path, "Hello\n", "--model", "m", "--base-url", url)
    assert 2 == done.returncode
    assert f"Connection error. ({url}/chat/completions: ConnectError: " in done.stderr.decode()


# -- the end


@pytest.mark.parametrize("signals", [["SIGTERM"], ["SIGHUP", "SIGHUP"]], ids=["sigterm", "the terminal is closed"])
def test_what_was_recorded_is_kept_when_the_process_is_ended(tmp_path: Path, signals: list[str]) -> None:
    numbers = [getattr(signal, name, None) for name in signals]
    if None in numbers or sys.platform == "win32":
        pytest.skip("needs the signals of POSIX")
    name = "conversations/synthetic_streaming"
    stalled = f"stall={streamkit.load(name).body.index(b' computers')}"
    # What nohup lets a process ignore is inherited: here it counts.
    program = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGTERM, "
        "signal.SIG_DFL); from streamkit.cli import main; main(sys.argv[1:])"
    )
    path = os.pathsep.join(sys.path)
    with (
        ReplayServer([name], ignore_json=["$.model", "$.stream_options"], how=stalled) as server,
        subprocess.Popen(
            [sys.executable, "-c", program, "chat", "--model", "m", "--record", "kept"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
            env=environment(PYTHONPATH=path, OPENAI_BASE_URL=server.base_url()),
        ) as running,
    ):  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"Explain quantum computing\n")
        running.stdin.flush()
        assert b"Quantum" == running.stdout.read(7)
        for number in numbers:
            assert number is not None
            running.send_signal(number)
        try:
            _, told = running.communicate(timeout=60)
        finally:
            running.kill()
    assert (130, b"") == (running.returncode, told.strip())
    (kept,) = load_cassette(tmp_path / "cassettes" / "kept.yaml").transcripts
    assert b"Quantum" in kept.body
