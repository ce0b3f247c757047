"""`streamkit chat` on a pseudo-terminal, typed into by another program, and in a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.cli.chat_screen import visible
from streamkit.conversation.loading import load_functions
from streamkit.errors import UsageError
from streamkit.server import ReplayServer

skhelpers = pytest.importorskip("skhelpers.typed_terminal", reason="needs a system with pseudo-terminals")
CTRL_C, CTRL_D = skhelpers.CTRL_C, skhelpers.CTRL_D

CHAT = ["-m", "streamkit", "chat"]
BOSTON = "conversations/weather_in_boston"
ASKED = "What is the weather like in Boston?"
CALL = '  get_current_weather({ "location": "Boston" })'
RESULT = '  = {"location":"Boston","temperature":22,"unit":"celsius","sky":"clear"}'
ANSWER = "It is 22 °C and clear in Boston."
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def terminal(folder: Path, *arguments: str, **environment: str) -> Any:
    return skhelpers.TypedTerminal(*CHAT, *arguments, cwd=folder, environment={"NO_COLOR": "1", **environment})


def piped(folder: Path, typed: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return subprocess.run(
        [sys.executable, *CHAT, *arguments], input=typed, capture_output=True, text=True, cwd=folder, timeout=120,
        env={**known, "PYTHONUTF8": "1", **environment}, check=False,
    )  # fmt: skip


def server_for(name: str, **how: Any) -> ReplayServer:
    """Return a server that plays a conversation whatever model and functions are sent."""
    ignored = ("model", "tools", "tool_choice", "stream_options")
    return ReplayServer([name], ignore_json=[f"$.{key}" for key in ignored], **how)


# -- on a terminal


def test_a_replayed_conversation_on_a_terminal_shows_content_calls_and_results(tmp_path: Path) -> None:
    with terminal(tmp_path, "--cassette", BOSTON) as shown:
        assert ASKED in shown.wait_for("> "), "what was recorded is offered"
        shown.type(f"{ASKED}\n")
        shown.wait_for(ASKED)
        shown.wait_for(CALL)
        shown.wait_for(RESULT)
        shown.wait_for(f"{ANSWER}\n")
        shown.wait_for("> ")
        shown.type(CTRL_D)
        assert 0 == shown.wait()
    assert COLOUR.search(shown.seen) is None, "NO_COLOR is honoured"
    assert "Traceback" not in shown.seen


def test_an_empty_line_asks_what_was_recorded(tmp_path: Path) -> None:
    with terminal(tmp_path, "--cassette", "conversations/synthetic_count_string") as shown:
        shown.wait_for("> ")
        shown.type("\n")
        shown.wait_for("> How many characters are in 'streaming'?\n")
        shown.wait_for("Let me count. \n  count_string(")
        shown.wait_for("  = 9\nIt has 9 characters.\n(327 tokens)\n> ")
        shown.type("\n")
        shown.wait_for("> ")
        shown.type(CTRL_D)
        assert 0 == shown.wait()


def test_a_question_that_was_not_recorded_is_an_error_and_the_conversation_goes_on(tmp_path: Path) -> None:
    with terminal(tmp_path, "--cassette", BOSTON) as shown:
        shown.wait_for("> ")
        shown.type("Something else?\n")
        shown.wait_for("streamkit: error: no recorded interaction answers")
        shown.wait_for("\n> ")
        shown.type(f"{ASKED}\n")
        shown.wait_for(f"{ANSWER}\n")
        shown.wait_for("> ")
        shown.type(CTRL_D)
        assert 0 == shown.wait()


def test_ctrl_c_ends_the_answer_and_not_the_program(tmp_path: Path) -> None:
    name = "conversations/synthetic_streaming"
    body = streamkit.load(name).body
    hung = f"stall={body.index(b' computers')};first=1"
    with server_for(name, how=hung) as server:
        how = ["--model", "m", "--base-url", server.base_url()]
        with terminal(tmp_path, *how, OPENAI_API_KEY="x") as shown:
            shown.wait_for("> ")
            shown.type("Explain quantum computing\n")
            shown.wait_for("Quantum")
            shown.type(CTRL_C)
            shown.wait_for("(ended)\n> ")
            shown.press(CTRL_C, "(Ctrl-D ends the conversation)\n> ")
            shown.type("Explain quantum computing\n")
            shown.wait_for("Quantum computers compute with qubits.\n")
            shown.wait_for("> ")
            shown.type(CTRL_D)
            assert 0 == shown.wait()
    assert "Traceback" not in shown.seen


def test_calls_are_coloured_on_a_terminal_that_allows_it(tmp_path: Path) -> None:
    with skhelpers.TypedTerminal(*CHAT, "--cassette", BOSTON, cwd=tmp_path) as shown:
        shown.wait_for("> ")
        shown.type("\n")
        shown.wait_for("get_current_weather(")
        shown.wait_for(ANSWER)
        shown.wait_for("> ")
        shown.type(CTRL_D)
        assert 0 == shown.wait()
    assert COLOUR.search(shown.seen) is not None


# -- in a pipe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (BOSTON, [f"> {ASKED}", CALL, RESULT, ANSWER]),
        ("conversations/synthetic_boston_weather_responses",
         [f"> {ASKED}", '  get_current_weather({"location":"Boston"})', RESULT, ANSWER]),
        ("conversations/synthetic_count_string_legacy",
         ["> How many characters are in 'streaming'?", '  count_string({"string_to_count": "streaming"})', "  = 9",
          "Nine characters."]),
        ("conversations/synthetic_dropped_connection",
         ["> Name three primes.",
          "(again in 2 s: InternalServerError: Error code: 503 - ...)", "2, 3",
          "(again in 1 s: ReadError: the connection was reset)", " and 5."]),
    ],
)  # fmt: skip
def test_a_replayed_conversation_in_a_pipe_is_plain(tmp_path: Path, name: str, expected: list[str]) -> None:
    done = piped(tmp_path, "\n", "--cassette", name)
    shown = re.sub(r"(Error code: 503 - ).*\)", r"\1...)", done.stdout)  # the library's words differ with its version
    assert (0, expected, "") == (done.returncode, shown.splitlines(), done.stderr)


def test_each_line_of_a_pipe_is_a_message_and_one_that_fails_makes_the_exit_code_2(tmp_path: Path) -> None:
    done = piped(tmp_path, f"{ASKED}\nAnd tomorrow?\n", "--cassette", BOSTON)
    assert (2, [CALL, RESULT, ANSWER]) == (done.returncode, done.stdout.splitlines())
    assert 1 == done.stderr.count("\n")
    assert done.stderr.startswith("streamkit: error: no recorded interaction answers POST")


def test_a_live_conversation_is_recorded_and_replays(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(
        "def count_string(string_to_count: str) -> int:\n    '''Counts.'''\n    return len(string_to_count)\n"
    )
    asked = "How many characters are in 'streaming'?"
    with server_for("conversations/synthetic_count_string") as server:
        how = ["--model", "m", "--functions", "tools", "--record", "kept", "--api-key-env", "MY_KEY"]
        live = piped(tmp_path, f"{asked}\n", *how, OPENAI_BASE_URL=server.base_url(), MY_KEY="sk-" + "k" * 30)
    assert (0, "") == (live.returncode, live.stderr)
    assert "It has 9 characters.\n" in live.stdout
    kept = load_cassette(tmp_path / "cassettes" / "kept.yaml")
    assert 2 == len(kept.interactions)
    assert b"k" * 30 not in (tmp_path / "cassettes" / "kept.yaml").read_bytes(), "the key is not kept"
    again = piped(tmp_path, f"{asked}\n", "--cassette", "kept", "--functions", "tools:count_string")
    assert (0, live.stdout, "") == (again.returncode, again.stdout, again.stderr)
    refused = piped(tmp_path, "", "--model", "m", "--record", "kept", OPENAI_API_KEY="x")
    assert (2, True) == (refused.returncode, "kept.yaml is there already" in refused.stderr)


def test_a_live_conversation_with_responses_and_a_system_message(tmp_path: Path) -> None:
    name = "conversations/synthetic_boston_weather_responses"
    with server_for(name, match_on=["method", "path"]) as server:
        done = piped(
            tmp_path, f"{ASKED}\n", "--model", "m", "--api", "responses", "--system", "Be brief.", "--base-url",
            server.base_url(), "--functions", "streamkit.conversation.examples", "--max-rounds", "1",
            OPENAI_API_KEY="x",
        )  # fmt: skip
    assert 2 == done.returncode
    assert "after 1 round the model still calls get_current_weather" in done.stderr
    assert "--max-rounds allows more" in done.stderr


def test_bytes_that_are_no_text_and_a_reader_that_goes_away_are_no_fault(tmp_path: Path) -> None:
    command = [sys.executable, *CHAT, "--cassette", BOSTON]
    done = subprocess.run(command, input=b"\xff\xfe?\n", capture_output=True, cwd=tmp_path, timeout=120, check=False)
    assert (2, True) == (done.returncode, b"no recorded interaction answers" in done.stderr)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        running.stdin.write(b"\n")
        running.stdin.close()
        assert b"" == running.stderr.read()
        assert 0 == running.wait(120)


# -- calls at fault


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which model?"),
        (["--model", "m"], "there is no key in OPENAI_API_KEY"),
        (["--model", "m", "--api-key-env", "MY_KEY"], "there is no key in MY_KEY"),
        (["--cassette", "conversations/weather_in_bostn"], "did you mean 'conversations/weather_in_boston'"),
        (["--cassette", "gemini/synthetic_two_candidates"], "holds no request to Chat Completions or Responses"),
        (["--cassette", "recorded/transformers_serve/responses_text"], "holds no question that can be asked here"),
        (["--cassette", BOSTON, "--record", "x"], "--record is for a live conversation"),
        (["--cassette", BOSTON, "--base-url", "http://127.0.0.1:1/v1"], "--base-url is for a live conversation"),
        (["--cassette", BOSTON, "--api-key-env", "MY_KEY"], "--api-key-env is for a live conversation"),
        (["--cassette", BOSTON, "--api", "chat"], "--api is for a live conversation"),
        (["--cassette", BOSTON, "--system", "Be brief."], "--system is for a live conversation"),
        (["--cassette", BOSTON, "--legacy"], "--legacy is for a live conversation"),
        (["--cassette", BOSTON, "--functions", "nosuchmodule"], "cannot load 'nosuchmodule': ModuleNotFoundError"),
        (["--cassette", BOSTON, "--functions", "tools.py"], "names no functions: write module"),
        (["--cassette", BOSTON, "--functions", "ends_at_once"], "cannot load 'ends_at_once': SystemExit: 0"),
    ],
)
def test_a_call_at_fault_is_told_in_a_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "ends_at_once.py").write_text("import sys\nsys.exit(0)\n")
    done = piped(tmp_path, "Hello\n", *arguments)
    assert (2, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("chat_tools", ["first", "second"]),
        ("chat_tools:first", ["first"]),
        ("chat_tools:chosen", ["second"]),
        ("chat_tools:Box.held", ["held"]),
        ("streamkit.conversation.examples", ["count_string", "get_current_weather"]),
    ],
)
def test_functions_are_named_by_module_and_attribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, names: Sequence[str]
) -> None:
    (tmp_path / "chat_tools.py").write_text(
        "import json\nfrom json import dumps\n"
        "def first(a: int) -> int: ...\ndef second(a: int) -> int: ...\ndef _private(a): ...\nchosen = [second]\n"
        "number = 5\n\nclass Box:\n    @staticmethod\n    def held(a: int) -> int: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "chat_tools", raising=False)
    assert names == [function.name for function in load_functions(text)]
    for wrong, said in (("chat_tools:number", "int is neither a function"), ("chat_tools:no", "has no attribute 'no'")):
        with pytest.raises(UsageError, match=said):
            load_functions(wrong)
    monkeypatch.delitem(sys.modules, "chat_tools", raising=False)


def test_what_a_model_says_cannot_steer_a_terminal() -> None:
    assert "a\\x1b[2Jb\\x07\n\tc\\x9b é" == visible("a\x1b[2Jb\x07\n\tc\x9b é")
    assert "\\u202egnp.exe" == visible("\u202egnp.exe"), "nor show letters in another order"


@pytest.mark.parametrize(
    "text",
    [
        "a family \U0001f468\u200d\U0001f469\u200d\U0001f467, a flag \U0001f3f4\U000e0067\U000e0062\U000e007f",
        "no-break: 22\u00a0°C, 10\u202f000",
        "東京\u3000大阪",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u200f\u05e2",
        "soft\u00adhyphen, zero\u200bwidth",
    ],
)
def test_what_joins_and_parts_characters_is_shown_as_it_is(text: str) -> None:
    assert text == visible(text)
