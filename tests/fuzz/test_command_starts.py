"""Commands that cannot be started, that end between two cases, and what a driver is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from skhelpers.drivers import needs_curl, tiny

import streamkit
from streamkit.errors import TargetError, UsageError
from streamkit.fuzz import Options, Report, command, fuzz

ONE = Options(max_examples=0, max_single_cuts=3, mutations=False)
REPLAYED = "sk1:openai_chat/boston_weather@bc7d72dd69d9:99,100"


def python(folder: Path, text: str) -> str:
    """Write a Python program and return the command that runs it there."""
    (folder / "driver.py").write_text(text, "utf-8")
    return f"{sys.executable} driver.py"


def run(folder: Path, text: str, transcript: Any = None, **how: Any) -> Report:
    target = command(python(folder, text), cwd=folder, workers=1, **how)
    return fuzz(target, tiny() if transcript is None else transcript, options=ONE)


# -- what cannot be started


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("streamkit-no-such-program --x", r"there is no program streamkit-no-such-program \(looked for it in PATH\)"),
        ("./no-such-driver", r"there is no program \./no-such-driver$"),
        ("/etc/passwd", "Permission denied: is it executable"),
        (f"{sys.executable} no_such_driver.py",
         r"ends before it is given a case: exit status 2; standard error: .*No such"),
        ("true", "ends before it is given a case: exit status 0; it wrote nothing to standard error"),
    ],
)  # fmt: skip
def test_a_driver_that_cannot_start_is_the_call_s_fault(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=said) as error:
        fuzz(command(text, cwd=tmp_path, workers=2), tiny(), options=ONE)
    assert f"`{text}`" in str(error.value)


def test_a_module_that_is_missing_is_told_with_the_head_of_standard_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="No module named 'no_such_module'"):
        run(tmp_path, "import no_such_module")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"there is no folder .*absent"):
        fuzz(command("true", cwd=tmp_path / "absent"), tiny(), options=ONE)


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ("", {}, "the command is empty"),
        ("node 'driver.mjs", {}, "no command: no closing quotation"),
        ("node", {"workers": 0}, "workers is 0: give 1 or more"),
        ("node", {"start_limit": 0}, "start_limit is 0"),
    ],
)
def test_a_call_that_cannot_be_carried_out_is_refused(text: str, how: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        command(text, **how)


def test_a_command_is_split_as_a_shell_splits_it_and_no_shell_runs_it() -> None:
    how = command("a 'b c' $HOME | d").command
    assert how is not None
    assert ("a", "b c", "$HOME", "|", "d") == how.words


# -- what it is given

_ECHO = """
import json, os, sys, urllib.request
for line in sys.stdin:
    open("cases", "a").write(line)
    case = json.loads(line)
    request = urllib.request.Request(case["url"], json.dumps(case["request"]).encode(), method="POST")
    body = urllib.request.urlopen(request).read().decode()
    print(json.dumps({"id": case["id"], "result": {"body": body, "env": os.environ.get("WHICH"), "cwd": os.getcwd()}}))
"""


def test_a_case_holds_the_url_the_base_url_the_dialect_and_the_recorded_request(tmp_path: Path) -> None:
    boston = streamkit.load("openai_chat/boston_weather")
    assert boston.request is not None
    report = run(tmp_path, _ECHO, boston, env={"WHICH": "this"})
    assert [] == report.findings
    lines = (tmp_path / "cases").read_text("utf-8").splitlines()
    assert report.cases == len(lines)
    case = json.loads(lines[0])
    assert ["id", "url", "base_url", "dialect", "request"] == list(case)
    assert case["url"] == case["base_url"] + "/chat/completions"
    assert "openai_chat" == case["dialect"]
    assert json.loads(boston.request.body) == case["request"]
    assert f'"url": "{case["url"]}"' in lines[0], "a driver without a JSON parser finds it so"


def test_a_request_is_made_up_where_none_was_recorded(tmp_path: Path) -> None:
    run(tmp_path, _ECHO)
    case = json.loads((tmp_path / "cases").read_text("utf-8").splitlines()[0])
    assert case["request"]["stream"] is True
    assert case["request"]["messages"]


def test_the_address_of_a_delivery_is_no_part_of_a_result(tmp_path: Path) -> None:
    """Two deliveries have two addresses: a driver that tells its own would seem to be random."""
    echo = _ECHO.replace('"body": body', '"body": body, "from": case["base_url"]')
    assert [] == run(tmp_path, echo).findings


@pytest.mark.parametrize("last", ["\n    break\n", ""], ids=["with a line end", "without"])
def test_a_driver_may_end_after_each_answer(last: str, tmp_path: Path) -> None:
    text = _ECHO + last if last else _ECHO.replace("}}))", "}}), end='', flush=True)\n    break")
    report = fuzz(command(python(tmp_path, text), cwd=tmp_path), replay=REPLAYED)
    assert ([], 3) == (report.findings, report.cases)
    assert 3 == len((tmp_path / "cases").read_text("utf-8").splitlines())


def test_a_driver_that_sends_no_request_is_told_of(tmp_path: Path) -> None:
    report = run(tmp_path, "import sys\nfor line in sys.stdin: print('{\"result\": 1}', flush=True)")
    assert any("the driver sent no request" in note for note in report.notes)


@pytest.mark.parametrize(
    ("error", "typed"),
    [
        ('{"type": "APIError", "message": "x"}', True),
        ('"no connection"', True),
        ('{"type": "TypeError", "message": "x is undefined"}', False),
        ('{"type": "TypeError", "message": "terminated"}', True),
        ('{"type": "SyntaxError", "message": "Unexpected end of JSON input"}', True),
        ('{"type": "java.lang.NullPointerException", "message": null}', False),
        ('{"type": "com.example.IndexOutOfBoundsException", "message": ""}', True),
        ('{"type": "Oops", "slip": true}', False),
        ('{"type": "KeyError", "slip": false}', True),
    ],
)  # fmt: skip
def test_an_error_is_a_slip_by_its_type_or_because_the_driver_says_so(error: str, typed: bool) -> None:
    from streamkit.fuzz.judge import is_typed
    from streamkit.fuzz.protocol import read_answer

    outcome = read_answer(f'{{"id": 7, "error": {error}}}', 7)
    assert "" == outcome.fault
    assert typed == is_typed(outcome)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"result": 1, "error": {"type": "E"}}', "both a result and an error"),
        ('{"error": 3}', "neither an object nor a text"),
        ('{"error": {"type": 3}}', "whose type is no text"),
        ('{"error": {"type": "E", "slip": "yes"}}', "whose type is no text or whose slip"),
        ("[" * 100000, "nested too deeply"),
        (f'{{"result": {"9" * 9999}}}', "a number too long"),
        ('{"result": "cut', "not JSON"),
    ],
)
def test_an_answer_that_says_two_things_or_none_is_garbage(answer: str, said: str) -> None:
    from streamkit.fuzz.judge import is_typed
    from streamkit.fuzz.protocol import GARBAGE, read_answer

    outcome = read_answer(answer, 7)
    assert GARBAGE == outcome.error
    assert said in outcome.fault
    assert not is_typed(outcome)


def test_what_is_no_json_is_told_with_the_place_where_it_goes_wrong() -> None:
    from streamkit.fuzz.protocol import read_answer

    found = read_answer('{"result": ["' + "x" * 500 + '",, 1]}', 7).message
    assert found.endswith("...' (Expecting value, before ', 1]}')")
    assert read_answer('{"result": [1, ', 7).message.endswith("' (Expecting value, at its end)")


def test_garbage_does_not_show_how_the_cases_are_numbered() -> None:
    from streamkit.fuzz.protocol import read_answer

    assert read_answer('{"id": 7}', 7) == read_answer('{"id": 12}', 12)
    assert read_answer('{"id": 6, "result": 1}', 7) == read_answer('{"id": 11, "result": 1}', 12)


def test_an_error_whose_name_or_text_no_terminal_can_show_is_escaped() -> None:
    from streamkit.fuzz.protocol import read_answer

    answer = r'{"error": {"type": "E\ud83d", "message": "\u001b[31mred\nand \u0007"}}'
    outcome = read_answer(answer, 7)
    assert "E\\ud83d" == outcome.error.encode().decode()
    assert "E\\ud83d: \\x1b[31mred\nand \\x07" == outcome.describe()


def test_a_result_beside_a_null_error_is_a_result() -> None:
    from streamkit.fuzz.protocol import read_answer

    outcome = read_answer('{"id": 7, "result": null, "error": null}', 7)
    assert outcome.returned
    assert outcome.value is None


# -- a shell

_SHELL = """
while read -r case; do
  url=${case#*'"url": "'}
  printf '{"result": "%s"}\\n' "$(curl -sN -X POST "${url%%'"'*}" | cksum)"
done
"""


@needs_curl
def test_a_shell_needs_no_json_parser(tmp_path: Path) -> None:
    (tmp_path / "driver.sh").write_text(_SHELL, "utf-8")
    report = fuzz(command("sh driver.sh", cwd=tmp_path), tiny(), options=ONE)
    assert [] == report.findings
    assert 3 == report.coverage[0].swept
