"""A test that runs for each transcript of the library: what its runs are called, and what answers its clients."""

from __future__ import annotations

import openai  # noqa: F401 - loaded here once: a run of pytest inside this process forgets the modules that it loads
import pytest

import streamkit

SERVER = "sse-starlette"


@pytest.fixture(name="project")
def _project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_a_run_is_called_by_the_name_of_its_transcript(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it=f"""
import pytest
import streamkit

@pytest.mark.parametrize("given", streamkit.library(server="{SERVER}"))
def test_a(given): ...

@pytest.mark.parametrize("given", [streamkit.Transcript(b"data: x"), 7, "text"])
def test_b(given): ...
"""
    )
    result = project.runpytest_inprocess("-p", "no:schemathesis", "--collect-only", "-q")
    expected = [f"test_it.py::test_a[{one.name}]" for one in streamkit.library(server=SERVER)]
    expected += [f"test_it.py::test_b[{name}]" for name in ("given0", "7", "text")]
    assert expected == [line for line in result.outlines if line.startswith("test_it.py::")]


def test_the_client_of_a_run_is_answered_with_its_transcript(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it=f"""
import pytest
import streamkit

@pytest.mark.parametrize("transcript", streamkit.library(server="{SERVER}", feature="tool_calls"))
def test_a(transcript, openai_client):
    with openai_client.chat.completions.with_streaming_response.create(
        model="m", messages=[], stream=True
    ) as response:
        try:
            body = b"".join(response.iter_bytes())
        except Exception:
            body = None
    assert body in (transcript.body, None)
    assert (body is None) == (transcript.ending != "complete")
"""
    )
    result = project.runpytest_inprocess("-p", "no:schemathesis", "-q")
    result.assert_outcomes(passed=len(streamkit.library(server=SERVER, feature="tool_calls")))


FRAGMENTED = """
import pytest
import streamkit

BOSTON = streamkit.load("openai_chat/boston_weather")
TWO = [streamkit.load("openai_chat/synthetic_multibyte_text"), pytest.param(BOSTON)]

@pytest.mark.parametrize("transcript", TWO)
@pytest.mark.streamkit_fragmentations(NAMES)
def test_a(transcript, replay):
    chunks = list(replay.chunks())
    assert b"".join(chunks) == transcript.body
    assert max(map(len, chunks)) == 1 or len(chunks) < len(transcript.body)
"""


def test_each_transcript_of_the_parameters_is_cut_in_each_way(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=FRAGMENTED.replace("NAMES", '"whole", "drip"'))
    result = project.runpytest_inprocess("-p", "no:schemathesis", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(["*test_a[[]*drip*boston_weather*", "*test_a[[]*whole*multibyte_text*"])


def test_without_names_they_are_cut_in_the_ways_that_all_have_a_use_for(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=FRAGMENTED.replace("NAMES", ""))
    result = project.runpytest_inprocess("-p", "no:schemathesis", "-v")
    assert "utf8" not in result.stdout.str().replace("multibyte", "")  # Boston's has no character of several bytes
    passed = result.parseoutcomes()["passed"]
    assert {"passed": passed} == result.parseoutcomes()
    assert passed % 2 == 0
    assert passed > 10


def test_a_way_that_one_of_them_has_not_is_an_error_that_names_it(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=FRAGMENTED.replace("NAMES", '"whole", "utf8"'))
    result = project.runpytest_inprocess("-p", "no:schemathesis", "-q")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*openai_chat/boston_weather has no fragmentation named 'utf8'*"])
