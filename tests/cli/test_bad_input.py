"""Input that cannot be used: one line on standard error that says what to do, exit code 2, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import streamkit
from streamkit.cli import main

BOSTON = "openai_chat/boston_weather"
TOKEN = f"sk1:{BOSTON}@bc7d72dd69d9"

MODULES = {
    "parsers.py": """
NUMBER = 3

def right(chunks):
    return b"".join(chunks)

class Deaf:
    def read(self): ...

class Wants:
    def __init__(self, size): ...
    def feed(self, data): ...

class Awaits:
    async def feed(self, data): ...

class Parser:
    def feed(self, data): ...

parser = Parser()

def two(chunks, size): ...

def none(): ...
""",
    "explodes.py": 'raise RuntimeError("first line\\nsecond line")\n',
    "leaves.py": "raise SystemExit(0)\n",
    "needs.py": "import a_module_that_is_not_there\n",
    "unfinished.py": "def parse(:\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory: a project with a few modules, which are forgotten afterwards."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name.removesuffix(".py"), None)


def complaint(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command in this process, hold it to the rules for bad input, and return what it complains about."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capfd.readouterr()
    assert (2, "") == (ended.value.code, out)
    assert err.startswith("streamkit: error: ")
    assert 1 == err.count("\n") == len(err.splitlines()), "one line"
    return err.removeprefix("streamkit: error: ").rstrip("\n")


# -- targets


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("parsers", ["'parsers' is no target", "write module:attribute"]),
        ("parsers:", ["'parsers:' is no target"]),
        (":right", ["':right' is no target"]),
        ("", ["'' is no target"]),
        ("parsers.py:right", ["not its file: parsers:right"]),
        ("parsres:right", ["there is no module 'parsres' in ", "install the project, or set PYTHONPATH"]),
        ("parsers.deep:right", ["cannot import 'parsers.deep:right'"]),
        ("needs:parse", ["needs needs the module 'a_module_that_is_not_there'"]),
        ("explodes:parse", ["importing explodes raised RuntimeError: first line second line"]),
        ("leaves:parse", ["importing leaves raised SystemExit: 0"]),
        ("unfinished:parse", ["importing unfinished raised SyntaxError", "unfinished.py, line 1"]),
        ("parsers:rihgt", ["parsers has no attribute 'rihgt'; did you mean right?"]),
        ("parsers:Parser.fed", ["no attribute 'fed'; did you mean feed?"]),
        ("parsers:zzz", ["parsers has no attribute 'zzz'"]),
        ("parsers:NUMBER", ["parsers:NUMBER", "cannot be called", "A target is a function"]),
        ("parsers:Deaf", ["the class has no feed(bytes) method", "A target is a function"]),
        ("parsers:Wants", ["the class needs arguments", "'size'"]),
        ("parsers:Awaits", ["feed() is async: give an async function"]),
        ("parsers:parser", ["Give its class, not an object"]),
        ("parsers:two", ["it must take one argument, the chunks", "'size'"]),
        ("parsers:none", ["takes no argument and returned an object without feed(), of the type NoneType"]),
    ],
)
def test_a_target_that_cannot_be_used(target: str, expected: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    found = complaint(capfd, "fuzz", target, BOSTON)
    assert [] == [words for words in expected if words not in found], found


# -- transcripts


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai_chat/boston_wether", "did you mean 'openai_chat/boston_weather'?"),
        ("boston_weather", "did you mean 'openai_chat/boston_weather'?"),
        ("openai_chat/synthetic_text", "did you mean 'openai_chat/synthetic_multibyte_text'"),
        ("zzz", "no transcript named 'zzz' (looked in: "),
        ("", "'' is no transcript name"),
        ("../secret", "'../secret' is no transcript name"),
        ("there_is_none.yaml", "no transcript named 'there_is_none.yaml'"),
        ("nowhere/there_is_none.sse", "no transcript named 'nowhere/there_is_none.sse'"),
        ("openai_chat/boston_weather#2", "holds 1 interaction: there is no #2"),
        ("openai_chat/boston_weather#0", "there is no #0"),
    ],
)
@pytest.mark.parametrize("command", [("fuzz", "parsers:right"), ("show",)], ids=["fuzz", "show"])
def test_a_transcript_that_is_not_there(
    command: tuple[str, ...], name: str, expected: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert expected in complaint(capfd, *command, name)


def test_a_file_name_is_answered_with_its_neighbours(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "recorded.sse").write_bytes(b"")
    assert "did you mean 'recorded.sse'?" in complaint(capfd, "show", "recordde.sse")


def cassette() -> str:
    """Return the text of a cassette that is good."""
    folder = Path(streamkit.cassettes.find(BOSTON))
    return folder.read_text("utf-8")


def line_of(text: str, words: str) -> int:
    """Return the 1-based line on which these words stand for the first time."""
    return text[: text.index(words)].count("\n") + 1


BROKEN: dict[str, tuple[Callable[[str], str], str, str]] = {
    # what is done to it, the words of the line at fault, what is said
    "yaml": (lambda text: text.replace("method: POST", "method: [POST"), "uri:", ""),
    "newer format": (
        lambda text: text.replace("format: 1", "format: 7"), "format: 7",
        "written in format 7 by a newer streamkit; this one reads up to 1",
    ),
    "lengths": (
        lambda text: text.replace("[[0, 3220]]", "[[0, 3000], [5, 219]]"), "chunks: [[",
        "the chunks add up to 3219 bytes and the body has 3220",
    ),
    "version": (lambda text: text.replace("version: 1", "version: 2"), "version: 2", "VCR cassette version 2"),
    "status": (lambda text: text.replace("code: 200", "code: ok"), "code: ok", "`status` with a whole-number `code`"),
    "ending": (lambda text: text.replace("ending: complete", "ending: so-so"), "ending: so-so", "'so-so' is none of"),
    "python tag": (
        lambda text: text.replace("method: POST", "method: !!python/object/apply:os.getcwd []"), "method: !!",
        "only plain YAML is read",
    ),
    "a list": (lambda _: "- 1\n", "- 1", "no cassette"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_cassette_that_is_broken_is_named_with_the_line(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, at, expected = BROKEN[name]
    good = cassette()
    text = change(good)
    assert text != good
    (folder / "recorded.yaml").write_text(text, "utf-8")
    for command in (("fuzz", "parsers:right", "recorded.yaml"), ("show", "recorded.yaml")):
        found = complaint(capfd, *command)
        assert found.startswith(f"recorded.yaml:{line_of(text, at)}: ")
        assert expected in found


def test_an_empty_file_is_no_cassette(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "recorded.yaml").write_bytes(b"")
    assert "recorded.yaml:1: the file is empty" in complaint(capfd, "show", "recorded.yaml")


def test_bytes_that_are_no_text_are_no_cassette(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "recorded.yaml").write_bytes(b"version: 1\ninteractions: \xff\xfe\n")
    assert complaint(capfd, "show", "recorded.yaml").startswith("recorded.yaml:")


# -- tokens and cuts


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("364", "'364' is no case token: one looks like sk1:"),
        ("", "'' is no case token"),
        (f"{TOKEN}:", "is no case token"),
        (f"{TOKEN}:1-", "no case token: '1-' is no byte offset"),
        (f"sk2:{BOSTON}@bc7d72dd69d9:1", "is no case token"),
        (f"{TOKEN}:99999", "the token cuts at 99999, beyond 3220 bytes"),
        (f"sk1:{BOSTON}@000000000000:1", "the token is of another transcript"),
        ("sk1:openai_chat/bostn_weather@bc7d72dd69d9:1", "did you mean 'openai_chat/boston_weather'?"),
        ("sk1:@bc7d72dd69d9:1", "the token names no transcript: give the transcript too"),
    ],
)
def test_a_token_that_cannot_be_used(token: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert expected in complaint(capfd, "fuzz", "parsers:right", "--replay", token)


@pytest.mark.usefixtures("folder")
def test_a_token_of_another_transcript_than_the_one_given(capfd: pytest.CaptureFixture[str]) -> None:
    found = complaint(
        capfd, "fuzz", "parsers:right", "openai_chat/synthetic_multibyte_text", "--replay", f"{TOKEN}:364"
    )
    assert "the token is of another transcript: openai_chat/boston_weather" in found
    assert "openai_chat/synthetic_multibyte_text has 9ee95e1bac4a" in found


@pytest.mark.parametrize(("cuts", "expected"), [("x", "'x' is no byte offset"), ("99999", "outside the body of 3220")])
def test_cuts_that_do_not_fit(cuts: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert expected in complaint(capfd, "show", BOSTON, "--cuts", cuts)


# -- options


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--seed -1", "Invalid value for '--seed': -1 is not in the range 0<=x"),
        ("--seed one", "Invalid value for '--seed'"),
        ("--seed", "Option '--seed' requires an argument"),
        ("--max-examples -1", "Invalid value for '--max-examples': -1 is not in the range x>=0"),
        ("--max-single-cuts -1", "Invalid value for '--max-single-cuts'"),
        ("--time-limit 0", "Invalid value for '--time-limit': 0.0 is not in the range x>0"),
        ("--time-limit nan", "time_limit and max_time are seconds above 0"),
        ("--max-time 0", "Invalid value for '--max-time'"),
        ("--returns foo", "Invalid value for '--returns': 'foo' is not one of 'message', 'events'"),
        ("--jason -", "No such option '--jason'"),
        ("--json nowhere/result.json", "cannot write nowhere/result.json: there is no folder nowhere"),
        ("--json .", "cannot write .: it is a folder"),
    ],
)
def test_an_option_out_of_its_range(options: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert expected in complaint(capfd, "fuzz", "parsers:right", BOSTON, *options.split())


def test_a_result_that_could_not_be_written_is_refused_before_the_campaign(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "counts.py").write_text("def parse(chunks):\n    open('called', 'w').close()\n", "utf-8")
    complaint(capfd, "fuzz", "counts:parse", BOSTON, "--json", "nowhere/result.json")
    assert not (folder / "called").exists()


@pytest.mark.parametrize("command", ["fuzz", "show"])
def test_a_command_without_its_argument(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert f"(see streamkit {command} --help)" in complaint(capfd, command)


def test_a_command_that_does_not_exist(capfd: pytest.CaptureFixture[str]) -> None:
    assert complaint(capfd, "fuz").startswith("No such command 'fuz'")


# -- the traceback


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", [("fuzz", "parsers:right", "zzz"), ("show", "zzz")])
def test_debug_shows_the_traceback(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "streamkit", *arguments]
    plain, debug = (
        subprocess.run([*command, *more], env={**os.environ}, capture_output=True, encoding="utf-8", check=False)
        for more in ([], ["--debug"])
    )
    assert 2 == plain.returncode
    assert 1 == plain.stderr.count("\n")
    assert 0 != debug.returncode
    assert "Traceback (most recent call last):" in debug.stderr
    assert "CassetteNotFoundError: no transcript named 'zzz'" in debug.stderr
