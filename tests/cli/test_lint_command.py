"""`streamkit lint`: what it looks at, what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skhelpers.chat import delta, finish, sse

from streamkit.cassettes import Cassette, dump
from streamkit.cassettes.lint import RULES
from streamkit.cli import cli, main
from streamkit.cli.lint import lint
from streamkit.transcript import Ending, Interaction, Request, Transcript

if "lint" not in cli.commands:
    cli.add_command(lint)

URL = "https://api.openai.com/v1/chat/completions"
GOOD = sse(delta(content="a"), finish(), "[DONE]")
NO_DONE = sse(delta(content="a"), finish())
BOSTON = "openai_chat/boston_weather"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with an empty folder of cassettes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("STREAMKIT_CASSETTES", raising=False)
    (tmp_path / "cassettes").mkdir()
    return tmp_path


def save(path: str, *bodies: bytes, ending: Ending = Ending.COMPLETE) -> None:
    made = [
        Interaction(Request("POST", URL, (), str(number).encode()), Transcript(body, ending=ending))
        for number, body in enumerate(bodies)
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(dump(Cassette(tuple(made))))


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    """Return the exit code, the printed lines and what went to standard error."""
    with pytest.raises(SystemExit) as ended:
        main(("lint", *arguments))
    out, err = capfd.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.splitlines(), err


@pytest.mark.usefixtures("folder")
def test_without_arguments_all_cassettes_of_the_project_are_looked_at(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a/good.yaml", GOOD)
    save("cassettes/b.yml", NO_DONE)
    Path("cassettes/c.sse").write_bytes(NO_DONE)
    code, lines, err = run(capfd)
    assert (1, "") == (code, err)
    assert ["cassettes/b.yml:", "cassettes/c.sse:"] == [line[: line.index(":") + 1] for line in lines[:-1]]
    assert "2 warnings in 3 files" == lines[-1]


@pytest.mark.usefixtures("folder")
def test_a_line_names_path_line_rule_and_what_was_found(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a.yaml", NO_DONE)
    _, lines, _ = run(capfd)
    at = Path("cassettes/a.yaml").read_text("utf-8").splitlines().index("    body:") + 1
    assert [f"cassettes/a.yaml:{at + 1}: no-terminal: the stream has no [DONE]", "1 warning in 1 file"] == lines


@pytest.mark.usefixtures("folder")
def test_of_several_interactions_the_number_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a.yaml", GOOD, NO_DONE)
    assert ": no-terminal: interaction 2: " in run(capfd)[1][0]
    assert 0 == run(capfd, "a#1")[0]
    assert 1 == run(capfd, "a#2")[0]


@pytest.mark.usefixtures("folder")
def test_a_file_a_name_and_a_folder_can_be_given(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/mine.yaml", NO_DONE)
    save("elsewhere/x/y.yaml", NO_DONE)
    assert (0, ["nothing found in 1 file"], "") == run(capfd, BOSTON)
    assert "1 warning in 1 file" == run(capfd, "mine")[1][-1]
    assert "2 warnings in 2 files" == run(capfd, "elsewhere", "cassettes/mine.yaml", "mine")[1][-1]


def test_the_folder_of_the_environment_is_taken(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("other/a.yaml", GOOD)
    monkeypatch.setenv("STREAMKIT_CASSETTES", str(folder / "other"))
    assert (0, ["nothing found in 1 file"], "") == run(capfd)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["cassettes/none.yaml", "none", "none/at/all"])
def test_a_path_that_does_not_exist_is_an_error(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, lines, err = run(capfd, BOSTON, name)
    assert (2, []) == (code, lines)
    assert name in err


def test_a_missing_folder_is_an_error(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "cassettes").rmdir()
    code, _, err = run(capfd)
    assert 2 == code
    assert "no folder cassettes" in err


@pytest.mark.usefixtures("folder")
def test_notes_fail_only_where_it_is_strict(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a.yaml", NO_DONE, ending=Ending.TRUNCATED)
    assert (0, "1 note in 1 file") == (run(capfd)[0], run(capfd)[1][-1])
    assert 1 == run(capfd, "--strict")[0]


@pytest.mark.usefixtures("folder")
def test_a_rule_can_be_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a.yaml", NO_DONE)
    assert (0, ["nothing found in 1 file"], "") == run(capfd, "--ignore", "no-terminal", "--ignore", "ending")
    code, _, err = run(capfd, "--ignore", "novel")
    assert 2 == code
    assert "no-terminal" in err


@pytest.mark.usefixtures("folder")
def test_the_json_form_holds_the_problems_and_the_rules(capfd: pytest.CaptureFixture[str]) -> None:
    save("cassettes/a.yaml", NO_DONE)
    code, lines, _ = run(capfd, "--json")
    value = json.loads("\n".join(lines))
    assert 1 == code
    assert (1, 1, 0, 1, 0) == tuple(value[key] for key in ("format", "files", "errors", "warnings", "notes"))
    assert RULES == value["rules"]
    (problem,) = value["problems"]
    assert {"path", "interaction", "line", "rule", "severity", "message"} == set(problem)
    assert ("cassettes/a.yaml", 1, "no-terminal", "warning") == (
        problem["path"], problem["interaction"], problem["rule"], problem["severity"],
    )  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_a_broken_file_is_an_error_and_the_others_are_looked_at(capfd: pytest.CaptureFixture[str]) -> None:
    Path("cassettes/a.yaml").write_text("version: 1\ninteractions: [\n", "utf-8")
    save("cassettes/b.yaml", NO_DONE)
    code, lines, err = run(capfd)
    assert (1, "", "1 error, 1 warning in 2 files") == (code, err, lines[-1])
    assert lines[0].startswith("cassettes/a.yaml:3: unreadable: ")


def test_the_help_explains_every_rule(capfd: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = run(capfd, "--help")
    text = " ".join(" ".join(lines).split())
    assert 0 == code
    assert [] == [rule for rule in RULES if f" {rule} " not in text]
    assert "The JSON form:" in [line.strip() for line in lines]
