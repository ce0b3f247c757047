"""The README runs: its code, the output it shows, and its lists of commands, options, fixtures and markers.

A comment on the line before a fence says what is done with the block: `<!-- test: run -->` for a script,
`<!-- test: pytest -->` for a test file, `<!-- output: COMMAND -->` for the first lines that a command prints, and
`<!-- driver: OPTIONS -->` for a driver that `streamkit fuzz` runs with these options and finds nothing wrong with,
`<!-- test: recorded script -->` or `<!-- test: recorded pytest -->` for what is run twice: recording from a local
server that plays the provider, and without it.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from skhelpers.server import Answer, StreamServer

from streamkit.cli import cli
from streamkit.errors import UsageError
from streamkit.matrix import read
from streamkit.server import How

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@dataclass(frozen=True)
class Block:
    """A fenced block: `kind` and `argument` are what the comment before it says ("" without one)."""

    language: str
    text: str
    line: int
    kind: str = ""
    argument: str = ""


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text."""
    found: list[Block] = []
    lines = text.splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        before = re.fullmatch(r"<!-- (\w+): (.+) -->", lines[opened - 1] if opened else "")
        kind, argument = before.groups() if before is not None else ("", "")
        inner = "".join(f"{one}\n" for one in lines[opened + 1 : number])
        found.append(Block(lines[opened].removeprefix("```").strip(), inner, opened + 1, kind, argument))
        opened = None
    assert opened is None, f"the fence of line {(opened or 0) + 1} is not closed"
    return found


def of_kind(kind: str, argument: str | None = None) -> pytest.MarkDecorator:
    """Return a parametrize mark over the README's blocks of one kind."""
    chosen = [one for one in blocks(README) if one.kind == kind and argument in (None, one.argument)]
    assert chosen, f"the README holds no block with {kind}: {argument}"
    return pytest.mark.parametrize("block", chosen, ids=[f"line {one.line}" for one in chosen])


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "PYTHONPATH")}
    return subprocess.run(
        command, cwd=folder, env={**environment, "PYTHONUTF8": "1"}, capture_output=True, encoding="utf-8", check=False
    )


# -- blocks


def test_every_python_block_says_how_it_is_tested() -> None:
    unsaid = [
        block.line
        for block in blocks(README)
        if block.language.lower() in ("python", "py", "pycon", "python3")
        and block.kind != "driver"
        and (block.kind, block.argument)
        not in {("test", "run"), ("test", "pytest"), ("test", "recorded script"), ("test", "recorded pytest")}
    ]
    assert [] == unsaid, "lines of python blocks without <!-- test: run --> or <!-- test: pytest --> before them"


def test_every_comment_stands_before_a_block() -> None:
    tested = [block for block in blocks(README) if block.kind in ("test", "output", "driver")]
    assert len(re.findall(r"<!-- (?:test|output|driver):", README)) == len(tested)


@of_kind("test", "run")
def test_a_script_of_the_readme_runs(block: Block, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(block.text, "utf-8")
    done = run([sys.executable, "script.py"], tmp_path)
    assert (0, "") == (done.returncode, done.stderr)


@of_kind("test", "pytest")
def test_a_test_file_of_the_readme_passes(block: Block, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_readme_block=block.text)
    outcomes = pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()
    assert {"passed"} == set(outcomes) - {"warning", "warnings"}
    assert outcomes["passed"] >= len(re.findall(r"^def test_", block.text, re.MULTILINE)) > 0


TINY = "openai_chat/synthetic_reasoning_with_ids"
OSLO = [
    b'data: {"id":"1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"content":"Os',
    b'lo."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
]


@of_kind("test", "recorded script")
def test_a_recording_script_of_the_readme_runs_with_the_provider_and_then_without(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.py").write_text(block.text, "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "test" * 8)
    with StreamServer(Answer(OSLO)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        done = run([sys.executable, "script.py"], tmp_path)
        assert (0, "") == (done.returncode, done.stderr)
        assert 1 == len(server.seen)
    done = run([sys.executable, "script.py"], tmp_path)
    assert (0, "") == (done.returncode, done.stderr)


@of_kind("test", "recorded pytest")
def test_a_recorded_test_of_the_readme_passes_with_the_provider_and_then_without(
    block: Block, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_readme_block=block.text)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "test" * 8)
    with StreamServer(Answer(OSLO)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        pytester.runpytest_subprocess("--streamkit-record=once").assert_outcomes(passed=1)
        assert 1 == len(server.seen)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@of_kind("output")
def test_the_output_shown_is_what_the_command_prints(block: Block, tmp_path: Path) -> None:
    program, *arguments = shlex.split(block.argument)
    assert "streamkit" == program
    done = run([sys.executable, "-m", program, *arguments], tmp_path)
    shown = block.text.splitlines()
    assert shown == done.stdout.splitlines()[: len(shown)]


@of_kind("matrix")
def test_the_matrix_shown_is_what_the_command_prints_for_the_file_shown(block: Block, tmp_path: Path) -> None:
    (file,) = (one for one in blocks(README) if one.kind == "file")
    (tmp_path / file.argument).write_text(file.text, "utf-8")
    program, *arguments = shlex.split(block.argument)
    assert file.argument in arguments
    done = run([sys.executable, "-m", program, *arguments], tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    shown = block.text.splitlines()
    assert shown == done.stdout.splitlines()[: len(shown)]


def test_there_are_two_set_up_commands_and_each_stands_alone() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert 2 == len(commands)
    shown = [block.text.strip() for block in blocks(README) if block.language == "console"]
    assert set(commands) <= set(shown), "a block that holds more than the command cannot be copied in one go"
    assert all(command.count(" && ") == 2 for command in commands)


@of_kind("driver")
def test_a_driver_of_the_readme_has_no_findings(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = shlex.split(block.argument)
    program, file = shlex.split(options[options.index("--command") + 1])
    if shutil.which("curl" if program == "sh" else program) is None:
        pytest.skip(f"needs {program}")
    (tmp_path / file).write_text(block.text, "utf-8")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    few = ["--max-single-cuts", "40", "--max-examples", "5", "--json", "result.json", "--time-limit", "30"]
    done = run([sys.executable, "-m", "streamkit", "fuzz", *options, TINY, *few], tmp_path)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    (coverage,) = json.loads((tmp_path / "result.json").read_text("utf-8"))["coverage"]
    assert 40 >= coverage["single_cuts"]["tried"] > 20
    assert [] == [note for note in coverage["notes"] if "could be compared" in note], "it is not blind to its result"


# -- lists


def mentions(text: str, word: str) -> bool:
    """Whether an option or a name is in a text, as a word of its own."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def rows(heading: str) -> dict[str, str]:
    """Return first cell and line of each row of the table whose first heading this is."""
    _, table, after = README.partition(f"\n| {heading} |")
    assert table, f"the README has no table that begins with {heading!r}"
    found = {}
    for line in after.split("\n\n", 1)[0].splitlines()[2:]:
        first = re.split(r"(?<!\\)\|", line)[1].strip()
        found[first] = line
    return found


def options_of(command: click.Command) -> set[str]:
    return {name for one in command.params if isinstance(one, click.Option) for name in one.opts if name[:2] == "--"}


def test_every_command_is_in_the_table_of_commands() -> None:
    shown = {shlex.split(cell.strip("`"))[1] for cell in rows("command")}
    assert set(cli.commands) == shown


def test_every_option_of_fuzz_is_in_its_table_and_no_other() -> None:
    shown = {name for cell in rows("option") for name in re.findall(r"--[a-z-]+", cell)}
    assert options_of(cli.commands["fuzz"]) == shown


def test_every_option_of_matrix_is_in_its_table_and_no_other() -> None:
    shown = {name for cell in rows("option of `matrix`") for name in re.findall(r"--[a-z-]+", cell)}
    assert options_of(cli.commands["matrix"]) - {"--debug"} == shown


def test_every_key_of_the_file_of_a_matrix_is_in_its_table_and_no_other(tmp_path: Path) -> None:
    """What the file may hold is asked of what reads it: it lists the keys where it knows no near one."""
    shown = {name for cell in rows("key of the file") for name in re.findall(r"`(\w+)`", cell)}
    known: set[str] = set()
    for text in (
        "zzzzzz = 1\n[[client]]\nname = 'a'\ntarget = 'a:b'",
        "[[client]]\nname = 'a'\ntarget = 'a:b'\nzzzzzz = 1",
    ):
        (tmp_path / "file.toml").write_text(text, "utf-8")
        with pytest.raises(UsageError) as caught:
            read(tmp_path / "file.toml")
        known |= set(str(caught.value).partition("there are: ")[2].split(", "))
    assert known - {"client", "notes"} == shown


@pytest.mark.parametrize("name", sorted(set(cli.commands) - {"fuzz", "matrix"}))
def test_every_option_of_another_command_is_in_its_row(name: str) -> None:
    (row,) = (line for cell, line in rows("command").items() if cell.startswith(f"`streamkit {name}"))
    everywhere = {"--debug"}  # the table of fuzz explains it
    assert [] == [option for option in sorted(options_of(cli.commands[name]) - everywhere) if not mentions(row, option)]


def test_every_conduct_of_the_server_is_in_its_table_and_no_other() -> None:
    shown = {name for cell in rows("conduct") for name in re.findall(r"`(\w+)=", cell)}
    told = {name for line in rows("conduct").values() for name in re.findall(r"`(\w+)=", line)}
    assert {one.name for one in dataclasses.fields(How)} == told
    assert shown <= told


@pytest.mark.parametrize("name", ["", *sorted(cli.commands)])
def test_every_command_has_help_for_itself_and_for_each_option(name: str) -> None:
    command = cli.commands[name] if name else cli
    assert command.help
    assert [] == [option.name for option in command.params if isinstance(option, click.Option) and not option.help]


def fixtures_of_the_plugin() -> set[str]:
    sources = [(ROOT / "streamkit" / f"{name}.py").read_text("utf-8") for name in ("pytest_plugin", "pytest_servers")]
    return {
        node.name
        for source in sources
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if any("pytest.fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_every_fixture_is_in_the_table_of_fixtures_and_no_other() -> None:
    shown = {name for cell in rows("fixture") for name in re.findall(r"`(\w+)`", cell)}
    assert fixtures_of_the_plugin() == shown


def test_every_marker_and_the_ini_option_are_named(pytestconfig: pytest.Config) -> None:
    registered = [str(line).partition("(")[0] for line in pytestconfig.getini("markers")]
    markers = [name for name in registered if name.startswith("streamkit")]
    assert ["streamkit", "streamkit_fragmentations"] == sorted(set(markers))
    assert [] == [name for name in markers if not mentions(README, f"pytest.mark.{name}")]


def plugin_options(call: str, place: int) -> set[str]:
    """Return the names that the plugin gives to its options of one kind."""
    tree = ast.parse((ROOT / "streamkit" / "pytest_plugin.py").read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(call)]
    return {str(ast.literal_eval(node.args[place])) for node in calls}


def test_every_option_of_the_plugin_is_in_its_table_and_no_other() -> None:
    shown = {name for cell in rows("option of pytest") for name in re.findall(r"--[a-z-]+", cell)}
    assert plugin_options(".addoption", 0) == shown
    ini = {name for cell in rows("ini option") for name in re.findall(r"`(\w+)`", cell)}
    assert plugin_options(".addini", 0) == ini


# -- what reads it


def test_a_block_is_read_with_its_comment_and_its_line() -> None:
    text = "# A\n\n<!-- test: run -->\n```python\na\n\nb\n```\n```text\n<!-- output: x y -->\n```\n"
    assert [Block("python", "a\n\nb\n", 4, "test", "run"), Block("text", "<!-- output: x y -->\n", 9)] == blocks(text)


def test_a_fence_that_is_not_closed_is_noticed() -> None:
    with pytest.raises(AssertionError, match="the fence of line 2"):
        blocks("a\n```python\nb\n")


def test_a_word_inside_another_is_no_mention() -> None:
    assert mentions("`--max-time 5`", "--max-time")
    assert not mentions("`--max-time-limit`", "--max-time")
    assert not mentions("asyncopenai_client", "openai_client")
