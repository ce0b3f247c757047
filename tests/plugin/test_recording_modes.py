"""In which mode a marked test records, where its options come from, and how a miss is explained."""

from __future__ import annotations

import pytest
from skhelpers.pytest_project import ONCE, PRELUDE, SIMPLE, again, questions, run
from skhelpers.server import StreamServer


def test_without_a_mode_nothing_is_recorded_and_the_miss_says_how_to_record(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    result = run(project, SIMPLE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*UnmatchedRequestError: no recorded interaction answers POST *"])
    result.stdout.fnmatch_lines(
        ["*does not exist, and record mode 'none' records nothing.", "*pytest --streamkit-record=once"]
    )
    assert [] == upstream.seen
    assert not (project.path / "cassettes").exists()


@pytest.mark.parametrize("retries", [0, 1])
def test_a_miss_is_explained_through_the_openai_client(
    retries: int, project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = f"""
import openai

@pytest.mark.streamkit
def test_a():
    client = openai.OpenAI(base_url=URL, api_key="sk-" + "test" * 8, max_retries={retries})
    client.chat.completions.create(model="m", messages=[], stream=True)
"""
    result = run(project, source)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(["(E .*)?no recorded interaction answers POST .*/chat/completions: the cassette .*"])
    assert [] == upstream.seen


def test_a_miss_is_explained_where_the_program_wraps_it(project: pytest.Pytester) -> None:
    source = """
@pytest.mark.streamkit
def test_a():
    try:
        ask()
    except Exception:
        raise RuntimeError("it did not work") from None
"""
    result = run(project, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *RuntimeError: it did not work", "*- streamkit: unmatched request -*"])
    result.stdout.fnmatch_lines(["no recorded interaction answers POST *"])


def test_a_miss_is_explained_where_the_program_swallows_it(project: pytest.Pytester) -> None:
    source = """
@pytest.mark.streamkit
def test_a():
    answer = None
    for _ in range(3):
        try:
            answer = ask()
        except Exception:
            pass
    assert answer is not None
"""
    result = run(project, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- streamkit: unmatched request -*", "no recorded interaction answers POST *"])
    assert 1 == len([line for line in result.outlines if line.startswith("no recorded interaction answers")])


def test_a_miss_that_the_failure_itself_tells_is_told_once(project: pytest.Pytester) -> None:
    result = run(project, SIMPLE)
    assert 0 == len([line for line in result.outlines if "streamkit: unmatched request" in line])


TWO = """
QUESTIONS = os.environ.get("QUESTIONS", "one two").split()

@pytest.mark.streamkit
def test_a():
    for question in QUESTIONS:
        ask(question)
"""


@pytest.mark.parametrize(
    ("mode", "outcome", "seen", "kept"),
    [
        ("none", {"failed": 1}, 0, ["one", "two"]),
        ("once", {"failed": 1}, 0, ["one", "two"]),
        ("new_episodes", {"passed": 1}, 1, ["one", "two", "three"]),
        ("all", {"passed": 1}, 2, ["two", "one", "three"]),
        ("rewrite", {"passed": 1}, 2, ["one", "three"]),
    ],
)
def test_each_mode_treats_what_is_recorded_and_what_is_missing(
    mode: str,
    outcome: dict[str, int],
    seen: int,
    kept: list[str],
    project: pytest.Pytester,
    upstream: StreamServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(project, TWO, ONCE).assert_outcomes(passed=1)
    del upstream.seen[:]
    monkeypatch.setenv("QUESTIONS", "one three")
    again(project, f"--streamkit-record={mode}").assert_outcomes(**outcome)
    assert seen == len(upstream.seen)
    assert kept == questions(project, "test_it/test_a")


def test_a_program_that_asks_less_than_before_is_recorded_anew_by_rewrite_alone(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project, TWO, ONCE).assert_outcomes(passed=1)
    monkeypatch.setenv("QUESTIONS", "two")
    again(project, "--streamkit-record=new_episodes").assert_outcomes(passed=1)
    assert ["one", "two"] == questions(project, "test_it/test_a")
    again(project, "--streamkit-record=rewrite").assert_outcomes(passed=1)
    assert ["two"] == questions(project, "test_it/test_a")


@pytest.mark.parametrize(
    ("line", "marker", "fixture", "ini", "records"),
    [
        ("none", "once", "once", "once", False),
        ("once", "none", "none", "none", True),
        (None, "once", "none", "none", True),
        (None, "none", "once", "once", False),
        (None, None, "once", "none", True),
        (None, None, "none", "once", False),
        (None, None, None, "once", True),
        (None, None, None, None, False),
    ],
)
def test_the_mode_of_the_command_line_goes_before_marker_fixture_and_ini(
    line: str | None,
    marker: str | None,
    fixture: str | None,
    ini: str | None,
    records: bool,
    project: pytest.Pytester,
    upstream: StreamServer,
) -> None:
    if fixture is not None:
        project.makeconftest(
            f"import pytest\n@pytest.fixture\ndef streamkit_config():\n    return {{'record_mode': {fixture!r}}}\n"
        )
    source = SIMPLE.replace("streamkit\n", f"streamkit(record_mode={marker!r})\n", 1) if marker else SIMPLE
    arguments = [f"--streamkit-record={line}"] if line else []
    arguments += ["-o", f"streamkit_record={ini}"] if ini else []
    run(project, source, *arguments).assert_outcomes(**{"passed" if records else "failed": 1})
    assert int(records) == len(upstream.seen)


def test_a_mode_that_does_not_exist_is_refused_by_the_command_line(project: pytest.Pytester) -> None:
    result = run(project, SIMPLE, "--streamkit-record=always")
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*--streamkit-record*invalid choice: 'always'*new_episodes*"])


@pytest.mark.parametrize("where", ["marker", "fixture", "ini"])
def test_a_mode_that_does_not_exist_is_answered_with_those_that_do(
    where: str, project: pytest.Pytester, upstream: StreamServer
) -> None:
    source, arguments = SIMPLE, []
    if where == "marker":
        source = SIMPLE.replace("streamkit\n", "streamkit(record_mode='always')\n", 1)
    elif where == "fixture":
        source += "\n@pytest.fixture\ndef streamkit_config():\n    return {'record_mode': 'always'}\n"
    else:
        arguments = ["-o", "streamkit_record=always"]
    result = run(project, source, *arguments)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*record mode 'always': write one of none, once, new_episodes, all, rewrite"])
    assert "Traceback" not in result.stdout.str()
    assert [] == upstream.seen


@pytest.mark.parametrize("option", ["recrod_mode='once'", "match_on=['nothing']", "since=3", "how='x'", "report=None"])
def test_an_option_that_does_not_exist_is_an_error_of_the_test(option: str, project: pytest.Pytester) -> None:
    result = run(project, SIMPLE.replace("streamkit\n", f"streamkit({option})\n", 1), ONCE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.streamkit: *" + option.partition("=")[0] + "*"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_options_come_from_ini_fixture_and_marker_the_closest_first(
    project: pytest.Pytester, upstream: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
def asked():
    return ask(os.environ.get("QUESTION", "one"))

@pytest.mark.streamkit
def test_ini():
    asked()

@pytest.mark.streamkit(ignore_json=["$.other"])
def test_marker():
    asked()
"""
    arguments = ("-o", "streamkit_ignore_json=$.q")
    run(project, source, ONCE, *arguments).assert_outcomes(passed=2)
    upstream.close()
    monkeypatch.setenv("QUESTION", "two")
    again(project, *arguments).assert_outcomes(passed=1, failed=1)
    again(project, "-o", "streamkit_match_on=method path").assert_outcomes(passed=2)
    again(project).assert_outcomes(failed=2)


def test_the_rules_of_redaction_reach_a_test_through_the_fixture(project: pytest.Pytester) -> None:
    source = """
from streamkit.cassettes.redaction import Redaction

@pytest.fixture
def streamkit_config():
    return {"redaction": False}

@pytest.mark.streamkit
def test_a():
    httpx.post(f"{URL}/v1/chat", headers={"authorization": "Bearer " + "sk-" + "test" * 8})
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert "sk-" + "test" * 8 in (project.path / "cassettes/test_it/test_a.yaml").read_text("utf-8")


SHARED = """
@pytest.mark.streamkit("shared")
@pytest.mark.parametrize("n", range(4))
def test_a(n):
    ask(f"question {n}")
"""


@pytest.mark.parametrize("mode", ["once", "rewrite", "new_episodes"])
@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["in one process", "in workers"])
def test_tests_that_share_a_cassette_all_record_into_it(
    mode: str, workers: list[str], project: pytest.Pytester, upstream: StreamServer
) -> None:
    if workers:
        pytest.importorskip("xdist")
    if mode == "rewrite":
        run(project, SHARED.replace("question", "old"), ONCE).assert_outcomes(passed=4)
        assert ["old 0", "old 1", "old 2", "old 3"] == questions(project, "shared")
    (project.path / "test_it.py").write_text(PRELUDE + SHARED, "utf-8")
    arguments = ("-p", "no:cacheprovider", "-p", "no:schemathesis", f"--streamkit-record={mode}", *workers)
    project.runpytest_subprocess(*arguments).assert_outcomes(passed=4)
    expected = {f"question {n}" for n in range(4)}
    assert expected == set(questions(project, "shared"))
    assert 4 == len(questions(project, "shared"))
    upstream.close()
    again(project).assert_outcomes(passed=4)
