"""The pytest plugin among others: pytest-recording, schemathesis, xdist, asyncio, anyio, and none of them."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from streamkit.cassettes import find

BOSTON = "openai_chat/boston_weather"
MULTIBYTE = "openai_chat/synthetic_multibyte_text"
INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = --strict-markers --strict-config
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A strict project whose tests run as on a developer's machine, whatever this one is."""
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    pytester.makefile(".ini", pytest=INI)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the project's tests in a process of their own."""
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


# -- all at once

EVERYBODY = f"""
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

import streamkit
from streamkit.strategies import fragmentations

CALL = {{"model": "gpt-4", "messages": [{{"role": "user", "content": "What is the weather like in Boston?"}}]}}
URL = "https://api.openai.com/v1/chat/completions"
SCHEMA = {{
    "openapi": "3.0.2", "info": {{"title": "A", "version": "1"}},
    "paths": {{"/a": {{"get": {{"responses": {{"200": {{"description": "OK"}}}}}}}}}},
}}
schema = schemathesis.openapi.from_dict(SCHEMA)


def arguments(chunks):
    return "".join(c.function.arguments for chunk in chunks for c in chunk.choices[0].delta.tool_calls or [])


@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("drip", "per-event")
@pytest.mark.block_network
def test_sync(openai_client):
    stream = openai_client.chat.completions.create(**CALL, stream=True)
    assert "Boston" in arguments(stream)


@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("drip", "per-event")
@pytest.mark.asyncio
async def test_asyncio(async_openai_client):
    stream = await async_openai_client.chat.completions.create(**CALL, stream=True)
    assert "Boston" in arguments([chunk async for chunk in stream])


@pytest.mark.streamkit("{BOSTON}")
@pytest.mark.streamkit_fragmentations("hot")
@pytest.mark.anyio
async def test_anyio(async_openai_client, anyio_backend):
    stream = await async_openai_client.chat.completions.create(**CALL, stream=True)
    assert "Boston" in arguments([chunk async for chunk in stream])


@pytest.fixture(params=["asyncio"])
def anyio_backend(request):
    return request.param


@pytest.mark.asyncio
async def test_a_check_inside_a_running_loop():
    streamkit.check("streamkit.replay.clients:async_openai_stream", "{BOSTON}", max_examples=0, replay=REPLAY)


REPLAY = "sk1:{BOSTON}@bc7d72dd69d9:99,100"


@pytest.mark.vcr
@pytest.mark.streamkit("{BOSTON}")
def test_recording(transcript):
    assert transcript.body == requests.post(URL, json=CALL).content


@schema.parametrize()
@settings(max_examples=2, suppress_health_check=list(HealthCheck))
def test_schemathesis(case):
    assert "/a" == case.path


@given(fragmentations("{BOSTON}"))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_hypothesis(fragmentation):
    assert streamkit.accumulate(streamkit.load("{BOSTON}").fragment(fragmentation)).ended


def test_the_counterexample_of():
    streamkit.check("streamkit.examples:broken_parser", "{MULTIBYTE}", max_examples=0)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["in one process", "in workers"])
def test_all_of_them_work_at_once(workers: list[str], project: pytest.Pytester) -> None:
    for module in ("anyio", "pytest_asyncio", "pytest_recording", "schemathesis", "xdist"):
        pytest.importorskip(module)
    project.makepyfile(test_all=EVERYBODY)
    cassette = project.path / "cassettes" / "test_all" / "test_recording.yaml"
    cassette.parent.mkdir(parents=True)
    shutil.copy(find(BOSTON), cassette)
    result = run(project, "--junit-xml=out.xml", *workers)
    result.assert_outcomes(passed=9, failed=1)
    out = result.stdout.str()
    assert "streamkit counterexample" in out
    assert "cut at 364, inside a UTF-8 character" in out
    token = f"sk1:{MULTIBYTE}@9ee95e1bac4a:364"
    written = (project.path / "out.xml").read_text("utf-8")
    assert 1 == written.count('<property name="streamkit"')
    assert f'value="a cut inside a UTF-8 character changes the result: {token}"' in written


# -- loaded twice


@pytest.mark.parametrize("arguments", [[], ["-p", "streamkit.pytest_plugin"]], ids=["conftest", "conftest and option"])
def test_a_conftest_that_lists_the_plugin_does_not_clash_with_the_installed_one(
    arguments: list[str], project: pytest.Pytester
) -> None:
    project.makeconftest('pytest_plugins = ["streamkit.pytest_plugin"]')
    project.makepyfile(f"""
        import pytest

        @pytest.mark.streamkit("{BOSTON}")
        @pytest.mark.streamkit_fragmentations("drip", "whole")
        def test_a(replay, pytestconfig):
            assert pytestconfig.pluginmanager.hasplugin("streamkit.pytest_plugin")
            plugins = [plugin for plugin in pytestconfig.pluginmanager.get_plugins()
                       if getattr(plugin, "__name__", "") == "streamkit.pytest_plugin"]
            assert 1 == len(plugins)
            assert 2 == len([line for line in pytestconfig.getini("markers") if line.startswith("streamkit")])
    """)
    run(project, "-p", "no:schemathesis", *arguments).assert_outcomes(passed=2)


def test_the_installed_plugin_can_be_left_out_by_its_name(project: pytest.Pytester) -> None:
    project.makepyfile("def test_a(transcript): ...")
    result = run(project, "-p", "no:streamkit.pytest_plugin", "-p", "no:schemathesis")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*fixture 'transcript' not found")


# -- not used


def test_a_run_that_does_not_use_it_loads_nothing_of_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import json, sys
        from pathlib import Path

        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        def test_a(number, tmp_path): ...

        def test_fails():
            # What was loaded before, and what making the report of a failure loads.
            Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
            assert False

        def test_last():
            before = set(json.loads(Path("loaded.json").read_text()))
            Path("loaded.json").write_text(json.dumps(sorted(before | set(sys.modules))))
        """
    )
    others = ("hypothesispytest", "schemathesis", "recording", "anyio", "asyncio", "xdist", "xdist.looponfail")
    project.makefile(".ini", pytest="[pytest]\n")
    result = run(project, *(argument for name in others for argument in ("-p", f"no:{name}")), "--junit-xml=out.xml")
    result.assert_outcomes(passed=3, failed=1)
    loaded = json.loads((project.path / "loaded.json").read_text("utf-8"))
    assert "streamkit.pytest_plugin" in loaded, "the plugin was not active, so nothing was shown"
    ours = {name for name in loaded if name.split(".")[0] == "streamkit"}
    assert {"streamkit", "streamkit.pytest_plugin", "streamkit.pytest_servers"} == ours
    heavy = {"click", "httpx", "httpx2", "hypothesis", "openai", "pydantic", "requests", "rich", "vcr", "yaml"}
    assert set() == heavy.intersection(loaded)


# -- Hypothesis

PROPERTY = f"""
import streamkit
from hypothesis import Phase, example, given, reproduce_failure, settings
from streamkit import Fragmentation
from streamkit.strategies import cases, fragmentations

BOSTON = streamkit.load("{BOSTON}")
MULTIBYTE = streamkit.load("{MULTIBYTE}")

def decoded(chunks):
    return "".join(chunk.decode("utf-8", "replace") for chunk in chunks)
"""

FAILING = """
@given(fragmentations(MULTIBYTE))
@settings(print_blob=True, database=None, derandomize=True)
def test_decoding(fragmentation):
    assert MULTIBYTE.body.decode() == decoded(MULTIBYTE.fragment(fragmentation))
"""


def test_a_failing_property_prints_a_fragmentation_that_can_be_pasted(project: pytest.Pytester) -> None:
    project.makepyfile(test_property=PROPERTY + FAILING)
    result = run(project, "-p", "no:schemathesis")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E .*(Falsifying example|Failing test case): test_decoding\("])
    (printed,) = set(re.findall(r"fragmentation=(Fragmentation\.parse\('[\d,-]+'\)),\n", result.stdout.str()))
    project.makepyfile(
        test_property=f"""{PROPERTY}
@example({printed})
@given(fragmentations(MULTIBYTE))
@settings(phases=[Phase.explicit])
def test_decoding(fragmentation):
    assert fragmentation == {printed}
    assert MULTIBYTE.body.decode() == decoded(MULTIBYTE.fragment(fragmentation))
"""
    )
    again = run(project, "-p", "no:schemathesis")
    again.assert_outcomes(failed=1)
    again.stdout.re_match_lines([r"E .*(Falsifying|Failing) explicit example: test_decoding\("])
    assert "assert fragmentation ==" not in "".join(line for line in again.outlines if line.startswith(">"))


def test_a_failing_property_prints_a_blob_that_reproduces_it(project: pytest.Pytester) -> None:
    project.makepyfile(test_property=PROPERTY + FAILING)
    result = run(project, "-p", "no:schemathesis")
    (blob,) = {
        line[line.index("@reproduce_failure(") :].partition(")")[0] + ")"
        for line in result.outlines
        if "@reproduce_failure(" in line
    }
    project.makepyfile(test_property=f"{PROPERTY}\n{blob}{FAILING}")
    again = run(project, "-p", "no:schemathesis")
    again.assert_outcomes(failed=1)
    assert "DidNotReproduce" not in again.stdout.str()
    assert "fragmentation=Fragmentation.parse(" in again.stdout.str()


def test_cases_examples_and_bytes_from_a_fuzzer_drive_a_property(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_property=PROPERTY
        + """
import random

seen = []

@given(fragmentations(BOSTON))
@example(Fragmentation.parse("99,100-102"))
@settings(max_examples=5)
def test_fragmentations(fragmentation):
    seen.append(fragmentation)
    assert BOSTON.body == b"".join(BOSTON.fragment(fragmentation))

def test_the_example_came_first():
    assert Fragmentation.at(99, 100, 101, 102) == seen[0]

def test_bytes_from_a_fuzzer():
    fuzz = test_fragmentations.hypothesis.fuzz_one_input
    source = random.Random(0)
    del seen[:]
    buffers = [source.randbytes(size) for size in range(0, 400, 4)]
    kept = [fuzz(buffer) for buffer in buffers]
    drawn = [one for one in kept if one is not None]
    assert len(seen) >= len(drawn) > 10
    assert len(set(seen)) > 5

def test_a_bug_is_found_from_bytes():
    @given(cases(MULTIBYTE))
    def check(case):
        assert MULTIBYTE.body.decode() == decoded(case.chunks())

    source = random.Random(0)
    for _ in range(2000):
        try:
            check.hypothesis.fuzz_one_input(source.randbytes(200))
        except AssertionError:
            return
    raise RuntimeError("2000 inputs found nothing")
"""
    )
    run(project, "-p", "no:schemathesis").assert_outcomes(passed=4)


def test_types_of_ours_are_registered_with_hypothesis(project: pytest.Pytester) -> None:
    project.makepyfile("""
        from hypothesis import given, settings, strategies as st
        from streamkit import Case, Transcript

        @given(st.from_type(Transcript), st.from_type(Case))
        @settings(max_examples=5)
        def test_a(transcript, case):
            assert isinstance(transcript, Transcript)
            assert case.transcript.body == b"".join(case.chunks())

        @given(...)
        @settings(max_examples=5)
        def test_b(case: Case):
            assert isinstance(case, Case)
    """)
    run(project, "-p", "no:schemathesis").assert_outcomes(passed=2)
