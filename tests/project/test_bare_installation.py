"""What works where nothing is installed but streamkit and what it depends on, as after a plain `pip install`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

# Runs a module with every top-level module hidden that is named in the first argument.
_PROGRAM = """
import runpy, sys

hidden = set(sys.argv[1].split(","))
sys.path.insert(0, sys.argv[2])
sys.argv[:3] = []

class Hiding:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else self._finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def dependencies(name: str) -> set[str]:
    """Return the distributions that are installed with one, and itself."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one in found:
            continue
        found.add(one)
        for text in metadata.requires(one) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def hidden() -> set[str]:
    """Return the top-level modules of all else that is installed here."""
    kept = dependencies("pytest-streamkit")
    modules = metadata.packages_distributions()
    return {
        module for module, owners in modules.items() if not kept.intersection(map(canonicalize_name, owners))
    } - set(sys.stdlib_module_names)


def run(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a module as `python -m` does."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "OPENAI_"))}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, ",".join(hidden()), str(ROOT), *arguments], input=typed, cwd=folder,
        env={**known, "PYTHONUTF8": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_what_the_tests_bring_is_hidden_and_what_streamkit_brings_is_not() -> None:
    assert {"urllib3", "requests", "aiohttp", "anthropic", "jsonschema", "xdist"} <= hidden()
    assert not {"streamkit", "openai", "vcr", "yaml", "hypothesis", "pytest", "click", "rich", "h11"} & hidden()


def test_a_conversation_is_replayed(tmp_path: Path) -> None:
    done = run(tmp_path, "streamkit", "chat", "--cassette", "conversations/weather_in_boston", typed="\n")
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.endswith("It is 22 °C and clear in Boston.\n")


def test_a_stream_is_recorded_once_and_replayed_by_the_plugin_and_by_the_context_manager(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import http.client
import openai
import pytest
import streamkit

def asked(url):
    client = openai.OpenAI(base_url=url, api_key="any text")
    stream = client.chat.completions.create(model="m", messages=[], stream=True)
    return [chunk.choices[0].finish_reason for chunk in stream][-1]

@pytest.mark.streamkit(record_mode="once", allowed_hosts=["127.0.0.1"])
@pytest.mark.parametrize("turn", ["records", "replays"])
def test_marked(turn, streamkit_cassette):
    with streamkit.server.ReplayServer(["openai_chat/boston_weather"]) as server:
        assert asked(server.case_url("openai_chat/boston_weather")) == "tool_calls"

def test_used():
    with streamkit.server.ReplayServer(["openai_chat/boston_weather"]) as server:
        url = server.case_url("openai_chat/boston_weather")
        for _ in ("records", "replays"):
            with streamkit.use_cassette("used") as cassette:
                assert asked(url) == "tool_calls"
                host = url.split("/")[2]
                connection = http.client.HTTPConnection(host)
                connection.request("POST", "/" + url.split("/", 3)[3] + "/chat/completions", b"{}")
                assert b"[DONE]" in connection.getresponse().read()
        assert cassette.play_count == 2
""",
        "utf-8",
    )
    done = run(tmp_path, "pytest", "-q", "-p", "streamkit.pytest_plugin", "-p", "no:cacheprovider")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert (tmp_path / "cassettes" / "used.yaml").is_file()


def test_the_right_parser_passes_and_the_wrong_one_is_found(tmp_path: Path) -> None:
    few = ["--max-single-cuts", "5", "--max-examples", "5", "openai_chat/synthetic_multibyte_text"]
    assert 0 == run(tmp_path, "streamkit", "fuzz", "streamkit:accumulate", *few).returncode
    assert 1 == run(tmp_path, "streamkit", "fuzz", "streamkit.examples:broken_parser", *few).returncode
