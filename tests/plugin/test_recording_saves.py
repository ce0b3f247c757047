"""What is not saved: the recordings of tests that fail, are skipped or are interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from skhelpers.pytest_project import BODY, ONCE, PRELUDE, SIMPLE, again, cassettes, questions, run
from skhelpers.server import Answer, StreamServer, pieces

from streamkit.cassettes.format import load_cassette


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
