"""Tests marked with streamkit: where their cassettes lie, in which mode they record, and what is not saved."""

from __future__ import annotations

import re
from pathlib import Path

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import httpcore  # noqa: F401
import httpx  # noqa: F401
import openai  # noqa: F401
import pytest
import vcr.patch  # noqa: F401
from skhelpers.server import Answer, StreamServer, body, pieces

import streamkit.pytest_cassettes
import streamkit.replay.use  # noqa: F401
from streamkit.cassettes.format import load_cassette

BODY = body()
PRELUDE = """
import os
import httpx
import pytest

URL = os.environ["UPSTREAM"]

def ask(question="hello"):
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{URL}/v1/chat", json={"q": question}).content
"""


def run(project: pytest.Pytester, source: str, *arguments: str, name: str = "test_it") -> pytest.RunResult:
    """Run a test file in this process. Schemathesis stays out: it wraps collection, and has a test of its own."""
    path = project.path / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PRELUDE + source, "utf-8")
    return again(project, *arguments)


def again(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the project's tests once more."""
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


def cassettes(project: pytest.Pytester, folder: str = "cassettes") -> list[str]:
    """Return the paths of all files below the cassette folder."""
    root = project.path / folder
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def questions(project: pytest.Pytester, name: str) -> list[str]:
    """Return what was asked in the interactions of a cassette, in order."""
    raw = (project.path / "cassettes" / f"{name}.yaml").read_text("utf-8")
    return re.findall(r'"q":\s*"([^"]*)"', raw)


ONCE = "--streamkit-record=once"
SIMPLE = """
@pytest.mark.streamkit
def test_a():
    assert b"[DONE]" in ask()
"""


# -- where it lies


def test_a_marked_test_is_recorded_under_its_own_name_and_then_replayed(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
@pytest.mark.streamkit
def test_a(streamkit_cassette):
    assert b"[DONE]" in ask()
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    assert 1 == len(upstream.seen)
    upstream.close()
    again(project).assert_outcomes(passed=1)
    again(project, ONCE).assert_outcomes(passed=1)
    assert 1 == len(upstream.seen)


def test_the_path_has_the_module_the_classes_and_the_parameters(project: pytest.Pytester) -> None:
    source = """
@pytest.mark.streamkit
class TestOuter:
    class TestInner:
        @pytest.mark.parametrize("n", [1, 2])
        def test_a(self, n):
            ask()

    def test_b(self):
        ask()
"""
    result = run(project, source, ONCE, "-o", "streamkit_cassettes=tests/tapes", name="tests/unit/test_deep")
    result.assert_outcomes(passed=3)
    assert [
        "tests/unit/test_deep/TestOuter.TestInner.test_a[1].yaml",
        "tests/unit/test_deep/TestOuter.TestInner.test_a[2].yaml",
        "tests/unit/test_deep/TestOuter.test_b.yaml",
    ] == cassettes(project, "tests/tapes")


def test_a_name_is_a_file_below_the_folder_that_several_tests_share(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
@pytest.mark.streamkit("chat/shared")
def test_a():
    ask("one")

@pytest.mark.streamkit(name="chat/shared")
def test_b():
    ask("two")
"""
    run(project, source, ONCE).assert_outcomes(passed=2)
    assert ["chat/shared.yaml"] == cassettes(project)
    assert ["one", "two"] == questions(project, "chat/shared")
    upstream.close()
    again(project).assert_outcomes(passed=2)
    again(project, "-k", "test_b").assert_outcomes(passed=1, deselected=1)


IDS = [
    "a/b",
    "a-b",
    "../../up",
    "..",
    "with space",
    "with-space",
    "Größe 東京",
    "nul\\\\0",
    "x" * 300,
    "x" * 299 + "y",
    "C:aux",
    "'quoted'",
]


def test_every_parameter_id_gets_a_file_of_its_own_below_the_folder(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = f"""
IDS = {IDS!r}

@pytest.mark.streamkit
@pytest.mark.parametrize("n", range(len(IDS)), ids=IDS)
def test_a(n):
    ask(f"question {{n}}")
"""
    run(project, source, ONCE).assert_outcomes(passed=len(IDS))
    found = cassettes(project)
    assert len(IDS) == len(found)
    for path in found:
        folder, _, name = path.rpartition("/")
        assert "test_it" == folder
        assert re.fullmatch(r"[A-Za-z0-9._+=,@()\[\]-]{1,140}", name), name
    outside = [path for path in project.path.rglob("*.yaml") if project.path / "cassettes" not in path.parents]
    assert [] == outside
    upstream.close()
    again(project).assert_outcomes(passed=len(IDS))


@pytest.mark.parametrize("name", ["../up", "/tmp/absolute", "a/../../up", "", "..", "nul\0"])  # noqa: S108 - no file
def test_a_name_cannot_leave_the_folder(name: str, project: pytest.Pytester, upstream: StreamServer) -> None:
    result = run(project, f"@pytest.mark.streamkit({name!r})\ndef test_a():\n    ask()\n", ONCE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*is no cassette name: names are like*"])
    assert [] == upstream.seen
    assert [] == list(project.path.rglob("*.yaml"))


@pytest.mark.parametrize("arguments", ["'a', 'b'", "3", "'a', name='b'", "name=3"])
def test_a_marker_takes_one_name(arguments: str, project: pytest.Pytester, upstream: StreamServer) -> None:
    result = run(project, f"@pytest.mark.streamkit({arguments})\ndef test_a():\n    ask()\n", ONCE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*@pytest.mark.streamkit takes one name*"])
    assert [] == upstream.seen


def test_the_marker_of_a_module_and_of_a_class_count_and_the_closest_wins(project: pytest.Pytester) -> None:
    source = """
pytestmark = pytest.mark.streamkit

def test_of_the_module():
    ask()

@pytest.mark.streamkit("shared")
class TestClass:
    def test_of_the_class(self):
        ask("class")

    @pytest.mark.streamkit
    def test_own(self):
        ask("own")
"""
    run(project, source, ONCE).assert_outcomes(passed=3)
    assert ["shared.yaml", "test_it/TestClass.test_own.yaml", "test_it/test_of_the_module.yaml"] == cassettes(project)


def test_a_marker_on_one_parameter_leaves_the_others_alone(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.streamkit), 3])
def test_a(n, request):
    ask()
    assert (n == 2) == ("streamkit_cassette" in request.node.fixturenames)
"""
    run(project, source, ONCE).assert_outcomes(passed=3)
    assert ["test_it/test_a[2].yaml"] == cassettes(project)
    again(project).assert_outcomes(passed=3)
    assert 5 == len(upstream.seen)


# -- kinds of tests


def test_methods_of_unittest_record_and_replay(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
import unittest

@pytest.mark.streamkit
class TestCase(unittest.TestCase):
    def setUp(self):
        self.first = ask("first")

    def test_a(self):
        self.assertIn(b"[DONE]", ask("second"))

    @unittest.skip("not now")
    def test_skipped(self): ...
"""
    run(project, source, ONCE).assert_outcomes(passed=1, skipped=1)
    assert ["test_it/TestCase.test_a.yaml"] == cassettes(project)
    assert ["first", "second"] == questions(project, "test_it/TestCase.test_a")
    upstream.close()
    again(project).assert_outcomes(passed=1, skipped=1)


ASYNC = """
async def aask(question="hello"):
    async with httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("POST", f"{URL}/v1/chat", json={"q": question}) as response:
            return b"".join([part async for part in response.aiter_raw()])
"""


def test_coroutines_of_asyncio_and_anyio_record_and_replay(project: pytest.Pytester, upstream: StreamServer) -> None:
    pytest.importorskip("pytest_asyncio")
    source = f"""
import pytest_asyncio
{ASYNC}
@pytest_asyncio.fixture
async def greeted():
    return await aask("greeting")

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_asyncio(greeted):
    assert greeted == await aask()

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.streamkit
@pytest.mark.anyio
async def test_anyio(anyio_backend):
    assert b"[DONE]" in await aask()
"""
    run(project, source, ONCE).assert_outcomes(passed=2)
    assert ["test_it/test_anyio.yaml", "test_it/test_asyncio.yaml"] == cassettes(project)
    assert ["greeting", "hello"] == questions(project, "test_it/test_asyncio")
    upstream.close()
    again(project).assert_outcomes(passed=2)


def test_all_examples_of_a_property_share_the_cassette_of_its_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
from hypothesis import given, settings, strategies as st

@pytest.mark.streamkit
@given(st.sampled_from(["a", "b"]))
@settings(max_examples=5, derandomize=True, deadline=None, database=None)
def test_a(letter):
    assert b"[DONE]" in ask(letter)
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    asked = questions(project, "test_it/test_a")
    assert {"a", "b"} == set(asked)
    assert len(upstream.seen) == len(asked)
    upstream.close()
    again(project).assert_outcomes(passed=1)


def test_what_a_function_fixture_does_is_recorded_and_what_wider_ones_do_is_not(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
@pytest.fixture
def of_function():
    ask("function")
    yield
    ask("teardown")

@pytest.fixture(autouse=True)
def automatic():
    ask("automatic")

@pytest.fixture(scope="class")
def of_class():
    ask("class")

@pytest.fixture(scope="module")
def of_module():
    ask("module")

@pytest.fixture(scope="session", autouse=True)
def of_session():
    ask("session")
    yield
    ask("end of session")

@pytest.mark.streamkit
def test_a(of_function, of_class, of_module):
    ask("test")
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert {"automatic", "function", "test", "teardown"} == set(questions(project, "test_it/test_a"))
    wider = 4
    assert 4 + wider == len(upstream.seen)
    again(project).assert_outcomes(passed=1)
    assert 4 + wider + wider == len(upstream.seen)


def test_an_unmarked_test_may_ask_for_the_cassette_by_its_fixture(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
def test_a(streamkit_cassette):
    ask()
    assert 1 == len(streamkit_cassette.recorded) + len(streamkit_cassette.played)
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    upstream.close()
    result = again(project)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*no test uses*")


# -- modes


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


# -- what is not saved


@pytest.mark.parametrize(
    ("rest", "outcome"),
    [
        ("    assert False\n", {"failed": 1}),
        ("    pytest.skip('changed my mind')\n", {"skipped": 1}),
        ("    pytest.xfail('known')\n", {"xfailed": 1}),
        ("    raise RuntimeError\n", {"failed": 1}),
        ("    raise SystemExit(3)\n", {"failed": 1}),
    ],
)
def test_a_test_that_does_not_pass_saves_nothing(
    rest: str, outcome: dict[str, int], project: pytest.Pytester, upstream: StreamServer
) -> None:
    run(project, SIMPLE + rest, ONCE).assert_outcomes(**outcome)
    assert 1 == len(upstream.seen)
    assert [] == cassettes(project)


def test_a_test_that_fails_leaves_an_older_recording_as_it_was(project: pytest.Pytester) -> None:
    run(project, SIMPLE, ONCE).assert_outcomes(passed=1)
    path = project.path / "cassettes/test_it/test_a.yaml"
    before = path.read_bytes()
    for mode in ("rewrite", "all", "new_episodes"):
        source = SIMPLE + "    ask('more')\n    assert False\n"
        run(project, source, f"--streamkit-record={mode}").assert_outcomes(failed=1)
        assert before == path.read_bytes()


@pytest.mark.parametrize(("strict", "outcome"), [(False, {"xpassed": 1}), (True, {"failed": 1})])
def test_a_test_that_passes_against_expectation_is_saved_unless_that_is_a_failure(
    strict: bool, outcome: dict[str, int], project: pytest.Pytester
) -> None:
    run(project, f"\n@pytest.mark.xfail(strict={strict})" + SIMPLE, ONCE).assert_outcomes(**outcome)
    assert ([] if strict else ["test_it/test_a.yaml"]) == cassettes(project)


def test_a_failure_of_a_later_fixture_saves_nothing(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
@pytest.fixture
def first():
    ask()

@pytest.fixture
def second(first):
    raise RuntimeError

@pytest.mark.streamkit
def test_a(second): ...
"""
    run(project, source, ONCE).assert_outcomes(errors=1)
    assert 1 == len(upstream.seen)
    assert [] == cassettes(project)


def test_a_failure_of_a_teardown_comes_too_late_to_matter(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
@pytest.fixture
def broken():
    yield
    ask("again")
    raise RuntimeError

@pytest.mark.streamkit
def test_a(broken):
    ask("first")
"""
    run(project, source, ONCE).assert_outcomes(passed=1, errors=1)
    assert 2 == len(upstream.seen)
    assert ["first", "again"] == questions(project, "test_it/test_a")


def test_a_failing_subtest_saves_nothing(project: pytest.Pytester) -> None:
    source = """
import unittest

class TestCase(unittest.TestCase):
    @pytest.mark.streamkit
    def test_a(self):
        for n in (1, 2):
            with self.subTest(n=n):
                ask(str(n))
                assert n == 2
"""
    result = run(project, source, ONCE)
    assert pytest.ExitCode.TESTS_FAILED == result.ret
    assert [] == cassettes(project)


@pytest.mark.parametrize("ends", ["raise KeyboardInterrupt", "pytest.exit('enough')", "os._exit(3)"])
def test_an_interruption_saves_nothing(ends: str, project: pytest.Pytester, upstream: StreamServer) -> None:
    source = f"""
@pytest.mark.streamkit
def test_before():
    ask()

@pytest.mark.streamkit
def test_interrupted():
    ask()
    {ends}
"""
    (project.path / "test_it.py").write_text(PRELUDE + source, "utf-8")
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", ONCE)
    assert 0 != result.ret
    assert 2 == len(upstream.seen)
    assert ["test_it/test_before.yaml"] == cassettes(project)


def test_the_tests_before_the_failure_that_ends_a_session_are_saved(project: pytest.Pytester) -> None:
    source = """
@pytest.mark.streamkit
@pytest.mark.parametrize("n", range(4))
def test_a(n):
    ask()
    assert n < 2
"""
    run(project, source, ONCE, "-x").assert_outcomes(passed=2, failed=1)
    assert ["test_it/test_a[0].yaml", "test_it/test_a[1].yaml"] == cassettes(project)


@pytest.mark.parametrize(
    ("end", "error", "ending"),
    [
        ("eof", "httpx.RemoteProtocolError", "incomplete"),
        ("reset", "httpx.ReadError", "reset"),
        ("hang", "httpx.ReadTimeout", "timeout"),
    ],
)
def test_a_failure_of_the_upstream_that_a_test_expects_is_saved_with_its_ending(
    end: str, error: str, ending: str, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"""
@pytest.mark.streamkit
def test_a():
    with httpx.Client(trust_env=False, timeout=0.3) as client, pytest.raises({error}):
        client.post(f"{{URL}}/v1/chat", json={{}})
"""
    with StreamServer(Answer(pieces(BODY)[:3], end=end)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        result = run(project, source, ONCE)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"wrote cassettes/test_it/test_a.yaml: 1 interaction recorded, * ending: {ending}"])
    (interaction,) = load_cassette(project.path / "cassettes/test_it/test_a.yaml").interactions
    assert ending == str(interaction.transcript.ending)
    again(project).assert_outcomes(passed=1)


def test_a_file_that_cannot_be_written_is_an_error_of_the_test(project: pytest.Pytester) -> None:
    Path(project.path / "cassettes").write_text("in the way", "utf-8")
    result = run(project, SIMPLE, ONCE)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*cannot be written: *"])
    result.stdout.fnmatch_lines(
        ["did not write cassettes/test_it/test_a.yaml: 1 interaction recorded, but it could not be written"]
    )


def test_a_broken_cassette_is_never_recorded_over(project: pytest.Pytester, upstream: StreamServer) -> None:
    path = project.path / "cassettes/test_it/test_a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("interactions: [\n", "utf-8")
    for mode in ("none", "once", "new_episodes", "all", "rewrite"):
        result = run(project, SIMPLE, f"--streamkit-record={mode}")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*cassettes/test_it/test_a.yaml:*"])
        assert "interactions: [\n" == path.read_text("utf-8")
    assert [] == upstream.seen


# -- one test after the other


def test_a_stream_that_a_test_leaves_open_does_not_reach_the_next_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
KEPT = []

@pytest.mark.streamkit
def test_leaves_it_open():
    client = httpx.Client(trust_env=False)
    response = client.send(client.build_request("POST", f"{URL}/v1/chat", json={"q": "left"}), stream=True)
    parts = response.iter_raw()
    KEPT.append((client, response, parts, next(parts)))

@pytest.mark.streamkit
def test_next():
    ask("next")

def test_unmarked():
    ask("unmarked")

def test_closes_it():
    (client, response, parts, first) = KEPT.pop()
    response.close()
    client.close()
"""
    run(project, source, ONCE).assert_outcomes(passed=4)
    assert ["left"] == questions(project, "test_it/test_leaves_it_open")
    assert ["next"] == questions(project, "test_it/test_next")
    assert 3 == len(upstream.seen)
    again(project).assert_outcomes(passed=4)
    assert 4 == len(upstream.seen), "the unmarked test reaches the server"


def test_an_async_stream_that_a_test_leaves_open_does_not_reach_the_next_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    pytest.importorskip("pytest_asyncio")
    source = f"""
{ASYNC}
KEPT = []

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_leaves_it_open():
    client = httpx.AsyncClient(trust_env=False)
    response = await client.send(client.build_request("POST", f"{{URL}}/v1/chat", json={{"q": "left"}}), stream=True)
    parts = response.aiter_raw()
    KEPT.append((client, response, parts, await anext(parts)))

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_next():
    await aask("next")

@pytest.mark.asyncio
async def test_unmarked():
    await aask("unmarked")
"""
    run(project, source, ONCE).assert_outcomes(passed=3)
    assert ["left"] == questions(project, "test_it/test_leaves_it_open")
    assert ["next"] == questions(project, "test_it/test_next")
    again(project).assert_outcomes(passed=3)
    assert 4 == len(upstream.seen), "the unmarked test reaches the server"


@pytest.mark.parametrize("rest", ["", "    assert False\n", "    pytest.skip('no')\n"])
def test_after_a_marked_test_the_clients_are_themselves_again(rest: str, project: pytest.Pytester) -> None:
    source = f"""
import http.client, socket
PLACES = [(httpx.HTTPTransport, "handle_request"), (httpx.AsyncHTTPTransport, "handle_async_request"),
          (socket.socket, "connect"), (socket, "getaddrinfo"), (http.client, "HTTPConnection")]
BEFORE = [getattr(*place) for place in PLACES]

@pytest.mark.streamkit
def test_a():
    assert BEFORE[0] is not httpx.HTTPTransport.handle_request
    try:
        ask()
    except Exception:
        pass
{rest}
def test_b():
    assert BEFORE == [getattr(*place) for place in PLACES]
"""
    for arguments in ([], [ONCE]):
        run(project, source, *arguments).assert_outcomes(
            passed=2 - bool(rest), failed=int("False" in rest), skipped=int("skip" in rest)
        )
