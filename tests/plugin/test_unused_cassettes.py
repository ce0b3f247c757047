"""What a session says at its end of cassettes that no test uses."""

from __future__ import annotations

import pytest
from skhelpers.sessions import EVERYWHERE, SIMPLE, STRICT, fresh, said, session, write


@EVERYWHERE
@pytest.mark.parametrize("strict", [False, True])
def test_the_cassettes_of_tests_that_are_gone_are_a_complaint(
    strict: bool, workers: list[str], project: pytest.Pytester
) -> None:
    write(project, SIMPLE.replace("test_a", "test_gone"), "tests/test_module")
    fresh(project, SIMPLE + SIMPLE.replace("test_a", "test_renamed") + SIMPLE.replace("()", "(n)", 1).replace(
        "def test_a", "@pytest.mark.parametrize('n', 'ab')\ndef test_p"))  # fmt: skip
    (project.path / "tests/test_module.py").unlink()
    write(project, SIMPLE + SIMPLE.replace("()", "(n)", 1).replace(
        "def test_a", "@pytest.mark.parametrize('n', 'a')\ndef test_p"))  # fmt: skip
    result = session(project, *workers, *([STRICT] if strict else []))
    assert [
        "no test uses cassettes/test_it/test_p[b].yaml: delete it",
        "no test uses cassettes/test_it/test_renamed.yaml: delete it",
        "no test uses cassettes/tests/test_module/test_gone.yaml: delete it",
    ] == said(result)
    assert (pytest.ExitCode.TESTS_FAILED if strict else pytest.ExitCode.OK) == result.ret


@pytest.mark.parametrize(
    "selection",
    [
        ["-k", "test_a"], ["-k", "nothing"], ["-m", "not streamkit"], ["--deselect=test_it.py::test_b"],
        ["test_it.py::test_a"], ["test_it.py"], ["test_other.py"], ["--lf"], ["--ignore=test_it.py"], ["-x"],
        ["--maxfail=1"], ["--stepwise"], ["--collect-only"], ["sub"],
    ],
)  # fmt: skip
def test_a_cassette_whose_test_was_only_left_out_is_no_orphan(selection: list[str], project: pytest.Pytester) -> None:
    write(project, SIMPLE, "sub/test_sub")
    write(project, SIMPLE.replace("streamkit", "streamkit('test_data/shared')", 1), "test_named")
    write(project, SIMPLE, "test_other")
    source = SIMPLE + SIMPLE.replace("test_a", "test_b")
    fresh(project, source)
    write(project, source.replace("test_a():", "test_a():\n    assert False"))
    session(project)
    result = session(project, *selection)
    assert [] == said(result)


@pytest.mark.parametrize(
    "file", ["raise RuntimeError", "import pytest\npytest.skip('no', allow_module_level=True)", "def"]
)
def test_a_module_that_cannot_be_collected_keeps_its_cassettes(file: str, project: pytest.Pytester) -> None:
    write(project, SIMPLE, "test_other")
    fresh(project, SIMPLE)
    (project.path / "test_other.py").write_text(file, "utf-8")
    assert [] == said(session(project, "--continue-on-collection-errors"))
    assert [] == said(session(project))


@pytest.mark.parametrize(
    "mark", ["@pytest.mark.skip", "@pytest.mark.skipif(True, reason='no')", "@pytest.mark.xfail(run=False)"]
)
def test_a_test_that_is_skipped_keeps_its_cassette(mark: str, project: pytest.Pytester) -> None:
    fresh(project, SIMPLE)
    write(project, SIMPLE.replace("@pytest.mark.streamkit", f"{mark}\n@pytest.mark.streamkit"))
    assert [] == said(session(project))


def test_cassettes_that_are_not_laid_out_by_tests_are_nobodys_business(project: pytest.Pytester) -> None:
    fresh(project, SIMPLE)
    recorded = project.path / "cassettes/test_it/test_a.yaml"
    for name in ("weather.yaml", "chat/weather.yaml", "openai/tests/weather.yaml"):
        path = project.path / "cassettes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(recorded.read_bytes())
    assert [] == said(session(project))


def test_a_session_without_marked_tests_says_nothing_of_any_cassette(project: pytest.Pytester) -> None:
    """The folder may be another plugin's, and looking into it would cost those who do not use this one."""
    fresh(project, SIMPLE)
    write(project, "def test_other(): ...\n")
    assert [] == said(session(project))
