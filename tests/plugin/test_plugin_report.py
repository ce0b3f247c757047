"""What the pytest plugin makes of a counterexample: a section, JUnit properties, annotations on GitHub Actions."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import hypothesis  # noqa: F401
import pytest

import streamkit.cassettes
import streamkit.fuzz
import streamkit.strategies  # noqa: F401

MULTIBYTE = "openai_chat/synthetic_multibyte_text"
CRLF = "openai_chat/synthetic_parallel_calls_crlf"
HEADLINE = "a cut inside a UTF-8 character changes the result"
TOKEN = f"sk1:{MULTIBYTE}@9ee95e1bac4a:364"
RERUN = f"streamkit fuzz streamkit.examples:broken_parser --replay '{TOKEN}'"
SECTION = "streamkit counterexample"

FAILS = f"""
def test_parser():
    streamkit.check("streamkit.examples:broken_parser", "{MULTIBYTE}")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose tests run as on a developer's machine, whatever this one is."""
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def failures(project: pytest.Pytester, source: str, *arguments: str) -> list[pytest.TestReport]:
    """Run a test file in this process and return the reports of what failed."""
    project.makepyfile(test_it=f"import pytest\nimport streamkit\n{source}")
    recorder = project.inline_run("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)
    return [report for report in recorder.getreports("pytest_runtest_logreport") if report.failed]


def section(report: pytest.TestReport) -> str:
    """Return the one section of ours in a report."""
    (found,) = [text for name, text in report.sections if name == SECTION]
    return found


def properties(report: pytest.TestReport) -> list[object]:
    return [value for name, value in report.user_properties if name == "streamkit"]


# -- the section and the message


def test_a_failing_check_shows_the_counterexample_in_a_section(project: pytest.Pytester) -> None:
    (report,) = failures(project, FAILS)
    lines = section(report).splitlines()
    assert HEADLINE == lines[0]
    assert "  cut at 364, inside a UTF-8 character" in lines
    dump = '  00000160  6f 6e 74 65 6e 74 22 3a 22 47 72 c3|bc c3 9f 65   ontent":"Gr.|...e'
    assert dump in lines
    assert f"  run again:  {RERUN}" == lines[-1]


def test_the_message_begins_with_what_differs_and_ends_with_how_to_rerun(project: pytest.Pytester) -> None:
    (report,) = failures(project, FAILS)
    assert report.longrepr is not None
    message = report.longrepr.reprcrash.message.splitlines()  # type: ignore[union-attr]
    assert f"streamkit.errors.OracleFailure: {HEADLINE}" == message[0]
    assert f"run again: {RERUN}" == message[-1]


def test_the_section_is_printed_under_its_title(project: pytest.Pytester) -> None:
    project.makepyfile(f"import streamkit\n{FAILS}")
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [rf"-+ {SECTION} -+", HEADLINE, ".* 47 72 c3\\|bc .*", f"  run again:  {re.escape(RERUN)}"]
    )
    assert "campaign.py" not in result.stdout.str(), "the engine's own frames are of no use to the reader"


def test_each_counterexample_has_its_place(project: pytest.Pytester) -> None:
    (report,) = failures(project, f"""
def test_parser():
    streamkit.check("streamkit.examples:broken_parser", ["{MULTIBYTE}", "{CRLF}"])
""")  # fmt: skip
    first, second = section(report).split("\n\n" + HEADLINE)
    assert MULTIBYTE in first
    assert CRLF in second
    assert 2 == len(properties(report)) == len(set(properties(report)))


def test_failures_in_a_group_are_found(project: pytest.Pytester) -> None:
    (report,) = failures(project, f"""
def test_parsers():
    errors = [AssertionError("another")]
    for name in ("{MULTIBYTE}", "{CRLF}"):
        try:
            streamkit.check("streamkit.examples:broken_parser", name, max_examples=0)
        except streamkit.OracleFailure as error:
            errors.append(ExceptionGroup("inner", [error]))
    raise ExceptionGroup("all", errors)
""")  # fmt: skip
    assert 2 == section(report).count(HEADLINE)
    assert 2 == len(properties(report))


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_a_check_in_a_fixture_shows_it_too(when: str, project: pytest.Pytester) -> None:
    before, after = ("check()", "") if when == "setup" else ("", "check()")
    (report,) = failures(project, f"""
def check():
    streamkit.check("streamkit.examples:broken_parser", "{MULTIBYTE}", max_examples=0)

@pytest.fixture
def checked():
    {before}
    yield
    {after}

def test_a(checked): ...
""")  # fmt: skip
    assert when == report.when
    assert HEADLINE == section(report).splitlines()[0]
    assert [f"{HEADLINE}: {TOKEN}"] == properties(report)


def test_a_parser_that_exists_only_in_the_test_is_rerun_from_python(project: pytest.Pytester) -> None:
    (report,) = failures(project, f"""
def test_parser():
    def parser(chunks):
        return [chunk.decode("utf-8", "replace") for chunk in chunks][0]
    streamkit.check(parser, "{MULTIBYTE}")
""")  # fmt: skip
    assert re.search(r'run again:  streamkit\.check\(target, replay="sk1:.*"\)$', section(report))


@pytest.mark.parametrize(
    "body",
    [
        "assert False",
        "raise streamkit.errors.UsageError('no')",
        "raise ExceptionGroup('a', [ValueError()])",
        "pytest.fail('no')",
    ],
)
def test_other_failures_are_left_alone(body: str, project: pytest.Pytester) -> None:
    (report,) = failures(project, f"def test_a():\n    {body}\n")
    assert [] == [name for name, _ in report.sections if name == SECTION]
    assert [] == properties(report)


def test_a_failure_that_a_test_expects_is_no_news(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it=f"""
import pytest, streamkit

def test_a():
    with pytest.raises(streamkit.OracleFailure):
        streamkit.check("streamkit.examples:broken_parser", "{MULTIBYTE}", max_examples=0)
"""
    )
    (report,) = project.inline_run("-p", "no:schemathesis").getreports("pytest_runtest_logreport")[1:2]
    assert ("call", "passed", []) == (report.when, report.outcome, properties(report))


# -- JUnit XML and GitHub Actions


def junit(path: Path) -> dict[str, list[str | None]]:
    """Return the values of our properties in a JUnit file, by test."""
    return {
        str(case.get("name")): [one.get("value") for one in case.iter("property") if one.get("name") == "streamkit"]
        for case in ET.parse(path).iter("testcase")  # noqa: S314 - pytest wrote it a moment ago
    }


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["in one process", "in workers"])
@pytest.mark.parametrize("actions", [False, True], ids=["local", "on GitHub Actions"])
def test_tokens_are_in_the_junit_file_and_in_annotations(
    workers: list[str], actions: bool, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "100% mine.sse").write_bytes('data: "é"\n\n'.encode())
    project.makepyfile(
        **{
            "deep/test_it": f"""
import streamkit

def test_bundled():
    streamkit.check("streamkit.examples:broken_parser", "{MULTIBYTE}", max_examples=0)

def test_own():
    streamkit.check(lambda chunks: len(list(chunks)), "100% mine.sse")

def test_passes(): ...
"""
        }
    )
    if actions:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = project.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:schemathesis", "--junit-xml=out.xml", *workers
    )
    result.assert_outcomes(passed=1, failed=2)
    found = junit(project.path / "out.xml")
    (own,) = found.pop("test_own")
    assert {"test_bundled": [f"{HEADLINE}: {TOKEN}"], "test_passes": []} == found
    assert own is not None
    assert re.search(r": sk1:100%25%20mine\.sse@[0-9a-f]{12}:1$", own)
    annotations = {line for line in result.outlines if line.startswith("::")}
    expected = {
        f"::error file=deep/test_it.py,line=3,title=streamkit::{HEADLINE}: {TOKEN}",
        f"::error file=deep/test_it.py,line=6,title=streamkit::{own.replace('%', '%25')}",
    }
    assert (expected if actions else set()) == annotations


@pytest.mark.parametrize("value", ["", "false", "1"])
def test_annotations_need_the_variable_to_be_true(
    value: str, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    project.makepyfile(f"import streamkit\n{FAILS}")
    result = project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis")
    result.assert_outcomes(failed=1)
    assert [] == [line for line in result.outlines if line.startswith("::")]
