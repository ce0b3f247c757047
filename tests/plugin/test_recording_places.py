"""Where the cassettes of marked tests lie: under the test's own name or a given one, and never outside the folder."""

from __future__ import annotations

import re

import pytest
from skhelpers.pytest_project import ONCE, again, cassettes, questions, run
from skhelpers.server import StreamServer


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
