"""The real openai clients, version 3 on httpx2 or 2 on httpx, whichever is installed: no cut changes what they give."""

from __future__ import annotations

import openai
import pytest
from skhelpers.cuts import fuzz_cuts as fuzz

import streamkit
from streamkit.cassettes import bundled
from streamkit.fuzz import Options

TARGETS = ("openai_create", "openai_stream", "async_openai_create", "async_openai_stream")


@pytest.mark.parametrize("name", TARGETS)
def test_the_real_client_passes_on_every_bundled_transcript(name: str) -> None:
    report = fuzz(f"streamkit.replay.clients:{name}", options=Options(max_single_cuts=300, max_examples=40))
    assert [] == report.findings
    tried = {coverage.transcript for coverage in report.coverage}
    assert {one.name for one in bundled() if one.dialect == "openai_chat"} == tried


def test_every_single_cut_of_the_boston_trace_gives_the_same_to_the_real_client() -> None:
    report = fuzz("streamkit.replay.clients:openai_create", "openai_chat/boston_weather")
    assert [] == report.findings
    assert (3219, 3219) == (report.coverage[0].swept, report.coverage[0].sweepable)


def test_the_reference_reads_what_the_client_gives() -> None:
    """The oracle is not blind here: the same target on a stream that holds another call is a finding."""
    from streamkit.fuzz.oracles import reference_of
    from streamkit.fuzz.runner import Runner
    from streamkit.fuzz.targets import adapt

    boston = streamkit.load("openai_chat/boston_weather")
    other = reference_of(streamkit.load("openai_chat/synthetic_parallel_calls_crlf"))
    assert other is not None
    with Runner(adapt("streamkit.replay.clients:openai_create")) as runner:
        outcome = runner.run([boston.body])
    verdict = other.judge(outcome.value, "message")
    assert verdict is not None
    assert not verdict.same


def test_the_library_under_test_is_one_of_the_two_supported() -> None:
    assert openai.__version__.split(".")[0] in ("2", "3")
