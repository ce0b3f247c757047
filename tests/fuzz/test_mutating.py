"""Mutations in a campaign: planted slips of meaning are found, alone, minimal and repeatable; right parsers pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

import streamkit
from streamkit.fuzz import Options, fuzz
from streamkit.fuzz.edits import keeps_the_promise
from streamkit.fuzz.judge import Judge
from streamkit.fuzz.mutating import Mutator
from streamkit.fuzz.oracles import reference_of
from streamkit.fuzz.outcome import Outcome
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, Step, get, mutation
from streamkit.mutations.stream import Stream
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
    assert [mutation] == finding.to_json()["rewrites"]
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


def test_a_target_that_hangs_on_a_mutation_is_told_apart_from_a_slow_one_and_does_not_take_for_ever() -> None:
    def waits_for_done(chunks: Iterable[bytes]) -> Any:
        body = b"".join(chunks)
        while b"data: [DONE]" not in body:
            pass
        return parsed([body])

    report = run(waits_for_done, BOSTON, only=("space_after_colon",), time_limit=0.5)
    (finding,) = report.findings
    assert "space_after_colon makes the target hang" == finding.headline
    assert ["space_after_colon"] == finding.to_json()["rewrites"]


def test_the_chunks_must_not_decide_about_the_outcome_of_a_fault_either() -> None:
    def depends(chunks: Iterable[bytes]) -> Any:
        """Wrong: an error payload is only seen where it comes in a chunk of its own, and else in the JSON."""
        listed = list(chunks)
        if any(b'"error"' in chunk and len(chunk) < 200 for chunk in listed):
            raise RuntimeError("the provider failed")
        if b'"error"' in b"".join(listed):
            raise ValueError("not a payload")
        return parsed(listed)

    report = run(depends, BOSTON, only=("error_envelope",))
    (finding,) = report.findings
    assert ("invariance", "fault") == (finding.oracle, finding.class_)
    assert "error_envelope gives another error when the chunks are others" == finding.headline


def test_a_mix_that_our_own_reader_does_not_vouch_for_is_not_held_against_a_target() -> None:
    transcript = streamkit.load(PARALLEL)
    reference = reference_of(transcript)
    judge = Judge(Outcome(value="x"), transcript.body, reference, trusted=True)
    mutator = Mutator(transcript, judge, lambda *_: Outcome(), Options(), lambda *_: None, steady=True)

    def vouched(*steps: Step) -> bool:
        return keeps_the_promise(steps, mutator.edits(steps), reference)

    assert vouched(Step(get("comments")), Step(get("line_ends")))
    assert vouched(Step(get("comments")), Step(get("truncate")))
    doubled = Step(get("duplicate_tail"))
    wrong = replace(doubled.mutation, kind=Class.PRESERVING, edit=get("cut_in_arguments").edit)
    assert not vouched(Step(get("comments")), Step(wrong))


def test_a_mix_of_which_nobody_can_say_what_to_expect_is_passed_over() -> None:
    def refuse(completion: Any) -> Any:
        raise Inapplicable("its calls are not to be executed")

    def edit(stream: Stream, choose: Choose) -> Edit:
        return Edit(stream.replaced(1), "an event left out", expected=refuse)

    doubtful = mutation("doubtful", Class.DIALECT, Layer.DELTA, "says more", right="-", sources=["none"])(edit)
    steps = (Step(get("comments")), Step(doubtful))
    transcript = streamkit.load(BOSTON)
    reference = reference_of(transcript)
    value = parsed([transcript.body])
    judge = Judge(Outcome(value=value), transcript.body, reference, True)
    changed = Outcome(value={"content": "else", "tool_calls": []})
    mutator = Mutator(transcript, judge, lambda *_: changed, Options(), lambda *_: None, steady=True)
    assert mutator.wrong(steps) is None
    assert mutator.stuck() is None
    assert not keeps_the_promise(steps, mutator.edits(steps), reference)


def test_what_leaks_on_a_mutated_stream_is_reported_as_state_and_not_as_a_mutation_s_doing() -> None:
    seen: list[bytes] = []

    def leaks(chunks: Iterable[bytes]) -> Any:
        body = b"".join(chunks)
        if b": ping" in body:
            seen.append(body)
        return {**parsed([body]), "leaked": len(seen) > 2}

    report = run(leaks, BOSTON)
    (finding,) = report.findings
    assert "contract" == finding.oracle
    assert "keeps state between calls" in finding.headline


def test_a_mutation_that_is_named_and_not_meant_for_events_is_told_of() -> None:
    report = run(events, BOSTON, returns="events", only=("comments", "truncate"))
    assert ["truncate is not meant for a target that returns events: it was not applied"] == report.notes


def test_what_a_target_does_now_and_then_is_told_once_with_what_it_did() -> None:
    """And not for each mutation that happened to be tried then."""
    calls: list[int] = []

    def stumbles(chunks: Iterable[bytes]) -> Any:
        calls.append(1)
        if len(calls) % 60 == 0:
            raise OSError("the disk is full")
        return parsed(chunks)

    report = fuzz(stumbles, BOSTON, options=Options(max_examples=0, max_single_cuts=0, combine=False))
    (finding,) = [one for one in report.findings if one.edits]
    assert "once gave another outcome, and then not" in finding.headline
    assert "OSError: the disk is full" == finding.actual.describe()
    assert any("mutations once gave another outcome" in note for note in report.coverage[0].notes)


class TextDelta(NamedTuple):
    text: str


class CallDelta(NamedTuple):
    place: int
    name: str
    fragment: str


def typed_deltas(chunks: Iterable[bytes]) -> Any:
    """Yield deltas of classes of its own, as many parsers do that a caller consumes as they come."""
    for data in events([b"".join(chunks)]):
        if data.strip() == "[DONE]":
            return
        for choice in json.loads(data).get("choices") or []:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                yield TextDelta(delta["content"])
            for call in delta.get("tool_calls") or []:
                function = call.get("function") or {}
                yield CallDelta(call["index"], function.get("name") or "", function.get("arguments") or "")


def loses_every_second_delta(chunks: Iterable[bytes]) -> Any:
    found = list(typed_deltas(chunks))
    return found if len(found) < 12 else found[:11]


@pytest.mark.parametrize("transcript", [BOSTON, PARALLEL, "openai_chat/synthetic_multibyte_text"])
def test_deltas_that_are_handed_on_may_be_cut_otherwise_if_they_add_up_to_the_same(transcript: str) -> None:
    assert [] == [finding.headline for finding in run(typed_deltas, transcript).findings]


def test_deltas_that_are_lost_are_missed() -> None:
    report = run(loses_every_second_delta, BOSTON)
    assert "single_characters changes the result" in [finding.headline for finding in report.findings]


def test_a_target_that_is_slow_on_a_mutation_is_no_target_that_hangs() -> None:
    transcript = streamkit.load(BOSTON)
    reference = reference_of(transcript)
    baseline = Outcome(value=parsed([transcript.body]))
    calls = []

    def slow(chunks: list[bytes], patient: bool) -> Outcome:
        """Give no result for a long body where nobody waits for it."""
        body = b"".join(chunks)
        calls.append(patient)
        return Outcome(hung=True) if len(body) > 50_000 and not patient else Outcome(value=parsed([body]))

    judge = Judge(baseline, transcript.body, reference, trusted=True)
    mutator = Mutator(transcript, judge, slow, Options(only=("huge_line",)), lambda *_: None, steady=True)
    assert [] == list(mutator.search())
    assert {True, False} == set(calls)
    assert len(calls) < 12
