"""The must of the whole: planted bugs are found, minimal and named, and right parsers pass."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from skhelpers import planted
from skhelpers.cuts import fuzz_cuts as fuzz

from streamkit.cassettes import bundled
from streamkit.fuzz import Options, Report

CHAT = [one.name for one in bundled() if one.dialect == "openai_chat"]
SHOWING = [f"openai_chat/{name}" for name in planted.ALL]


def _short(report: Report, oracle: str) -> dict[str, Any]:
    return {
        finding.case.transcript.name.split("/")[1]: finding for finding in report.findings if finding.oracle == oracle
    }


@pytest.mark.parametrize(
    "target",
    [
        planted.Right,
        planted.right_function,
        planted.right_async,
        planted.right_pydantic,
        planted.right_dataclass,
        planted.right_events,
        "streamkit:accumulate",
        "streamkit.dialects.openai_chat:Reader",
    ],
)
def test_a_right_parser_passes_on_every_bundled_transcript_of_its_api(target: object) -> None:
    report = fuzz(target, CHAT)
    assert [] == report.findings
    assert [] == report.notes
    assert CHAT == [coverage.transcript for coverage in report.coverage]
    assert all(coverage.swept == coverage.sweepable for coverage in report.coverage)


@pytest.mark.parametrize("bug", planted.BROKEN, ids=lambda bug: bug.parser.__name__)
def test_a_planted_bug_is_found_in_every_transcript_that_shows_it_with_the_fewest_cuts(bug: planted.Planted) -> None:
    report = fuzz(bug.parser, SHOWING)
    oracle = "reference" if bug.cuts == 0 else "invariance"
    found = _short(report, oracle)
    assert set(bug.shown_by) == set(found)
    for finding in found.values():
        assert len(finding.case.fragmentation) <= max(bug.cuts, 0)
        if bug.where is not None:
            assert {bug.where} == set(finding.boundaries)


@pytest.mark.parametrize("bug", planted.BROKEN, ids=lambda bug: bug.parser.__name__)
def test_no_cut_of_a_counterexample_can_be_dropped(bug: planted.Planted) -> None:
    for finding in fuzz(bug.parser, SHOWING, options=Options(max_single_cuts=400)).findings:
        if finding.oracle != "invariance":
            continue
        body, cuts = finding.case.transcript.body, finding.case.fragmentation.cuts

        def outcome(cuts: tuple[int, ...], body: bytes = body, make: Any = bug.parser) -> object:
            parser = make()
            edges = [0, *cuts, len(body)]
            try:
                for start, end in pairwise(edges):
                    parser.feed(body[start:end])
                return parser.result()
            except Exception as error:  # noqa: BLE001 - an error is an outcome
                return type(error)

        assert outcome(()) != outcome(cuts)
        for number in range(len(cuts)):
            assert outcome(()) == outcome(cuts[:number] + cuts[number + 1 :])


def test_a_bug_that_no_single_cut_shows_is_found_in_a_sampled_transcript_too() -> None:
    body = bundled()[0].body.replace(b"Boston", "Größe".encode() * 3000)
    from streamkit.transcript import Transcript

    report = fuzz(planted.FailsOnBlankChunk, Transcript(body, name="long", dialect="openai_chat"))
    assert ["invariance"] == [finding.oracle for finding in report.findings]
    assert 2 == len(report.findings[0].case.fragmentation)
    assert "were sampled" in report.coverage[0].notes[0]


@pytest.mark.parametrize("target", ["streamkit:SSEDecoder", planted.right_events])
def test_event_decoders_pass_when_judged_as_events(target: object) -> None:
    assert [] == fuzz(target, options=Options(returns="events")).findings


def _loses_first_event(chunks: Any) -> list[str]:
    return list(planted.right_events(chunks))[1:]


def test_an_event_that_is_lost_on_every_delivery_is_seen_by_the_reference() -> None:
    report = fuzz(_loses_first_event, "openai_chat/boston_weather", options=Options(returns="events"))
    assert ["reference"] == [finding.oracle for finding in report.findings]


def test_hypothesis_finds_what_the_prelude_and_the_sweep_do_not_reach() -> None:
    def three_single_bytes(chunks: Any) -> str:
        """Wrong where three early chunks in a row have one byte and there are few: nothing systematic does it."""
        lengths = [len(chunk) for chunk in chunks]
        runs = any(lengths[n : n + 3] == [1, 1, 1] and sum(lengths[:n]) < 3000 for n in range(len(lengths)))
        return "wrong" if runs and len(lengths) <= 12 else "right"

    report = fuzz(three_single_bytes, "openai_chat/boston_weather")
    (finding,) = report.findings
    assert "drawn" == finding.found_by
    assert 4 == len(finding.case.fragmentation)
