"""Mutations in a campaign: planted slips of meaning are found, alone, minimal and repeatable; right parsers pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import streamkit
from streamkit.fuzz import Options, fuzz
from streamkit.mutations.registry import get
from streamkit.wire.sse import SSEDecoder

BOSTON = "openai_chat/boston_weather"
PARALLEL = "openai_chat/synthetic_parallel_calls_crlf"


def events(chunks: Iterable[bytes]) -> list[str]:
    decoder = SSEDecoder()
    return [event.data for chunk in chunks for event in decoder.feed(chunk)]


def parsed(chunks: Iterable[bytes]) -> dict[str, Any]:
    """A plain parser that is right about the recorded stream, and raises where it is cut off."""
    message: dict[str, Any] = {"content": "", "tool_calls": {}}
    done = False
    for data in events(chunks):
        if data.strip() == "[DONE]":
            done = True
            break
        if not data.strip():
            continue
        for choice in json.loads(data).get("choices") or []:
            delta = choice.get("delta") or {}
            message["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls") or []:
                held = message["tool_calls"].setdefault(call["index"], {"name": "", "arguments": ""})
                function = call.get("function") or {}
                held["name"] = function.get("name") or held["name"]
                held["arguments"] += function.get("arguments") or ""
            done = done or bool(choice.get("finish_reason"))
    if not done:
        raise ValueError("cut off")
    return message


def first_call_only(chunks: Iterable[bytes]) -> Any:
    message: dict[str, Any] = {"content": "", "tool_calls": {}}
    for data in events(chunks):
        if data.strip() in ("", "[DONE]"):
            continue
        for choice in json.loads(data).get("choices") or []:
            for call in (choice["delta"].get("tool_calls") or [])[:1]:
                held = message["tool_calls"].setdefault(call["index"], {"name": "", "arguments": ""})
                held["name"] = (call.get("function") or {}).get("name") or held["name"]
                held["arguments"] += (call.get("function") or {}).get("arguments") or ""
            message["content"] += choice["delta"].get("content") or ""
    return message


def comments_as_data(chunks: Iterable[bytes]) -> Any:
    body = b"".join(chunks)
    if b"\n:" in body or body.startswith(b":"):
        raise ValueError("what is this line?")
    return parsed([body])


def tolerant(chunks: Iterable[bytes]) -> Any:
    try:
        return parsed(chunks)
    except ValueError:
        return {"content": "", "tool_calls": {}}


def run(target: Callable[..., Any], name: str, **options: Any) -> Any:
    return fuzz(target, name, options=Options(max_examples=0, max_single_cuts=0, **options))


@pytest.mark.parametrize(
    ("target", "transcript", "mutation", "options"),
    [
        (first_call_only, PARALLEL, "coalesce_calls", {}),
        (comments_as_data, BOSTON, "comments", {}),
        (tolerant, BOSTON, "truncate", {"faults": True}),
        (tolerant, BOSTON, "broken_json", {"faults": True}),
    ],
)
def test_a_planted_slip_is_found_and_shrunk_to_its_mutation(
    target: Callable[..., Any], transcript: str, mutation: str, options: dict[str, bool]
) -> None:
    report = run(target, transcript, **options)
    found = {
        str(step.mutation.name): one for one in report.findings for step in one.case.steps if len(one.case.steps) == 1
    }
    assert mutation in found
    finding = found[mutation]
    assert [str(finding.case.steps[0])] == finding.to_json()["rewrites"]
    assert finding.edits[0].said in str(finding)
    again = fuzz(target, streamkit.load(transcript), replay=finding.token)
    assert [finding.headline] == [one.headline for one in again.findings]


def test_our_own_accumulator_passes_every_mutation_of_the_bundled_transcripts() -> None:
    report = fuzz(streamkit.accumulate, options=Options(max_examples=0, max_single_cuts=0, dialects=True, faults=True))
    assert [] == [str(finding) for finding in report.findings]
    assert all(len(coverage.mutations) >= 40 for coverage in report.coverage)


def test_preserving_mutations_are_applied_unless_they_are_switched_off() -> None:
    assert {"preserving"} == {str(get(name).kind) for name in run(tolerant, BOSTON).coverage[0].mutations}
    report = run(tolerant, BOSTON, mutations=False)
    assert ([], {}) == (report.findings, report.coverage[0].mutations)
    with pytest.raises(streamkit.errors.UsageError, match="switched off"):
        Options(mutations=False, faults=True)


def test_only_and_skip_choose_by_name_and_name_the_nearest() -> None:
    report = run(tolerant, BOSTON, only=("truncate",))
    assert ["truncate"] == list(report.coverage[0].mutations)
    assert [] == run(tolerant, BOSTON, faults=True, only=("truncate",), skip=("truncate",)).findings
    with pytest.raises(streamkit.errors.UsageError, match="did you mean 'truncate'"):
        run(tolerant, BOSTON, only=("trunkate",))


def test_the_same_seed_gives_the_same_report() -> None:
    one, other = (run(tolerant, BOSTON, faults=True).to_json() for _ in range(2))
    assert {**one, "seconds": 0} == {**other, "seconds": 0}
