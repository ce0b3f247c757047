"""What a target does besides returning is reported for what it is."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from skhelpers import planted
from skhelpers.cuts import fuzz_cuts as fuzz

import streamkit
from streamkit.errors import OracleFailure
from streamkit.fuzz import Options
from streamkit.transcript import Transcript

BOSTON = "openai_chat/boston_weather"
SHORT = Transcript(b"data: a\n\ndata: b\n\n", name="short")


def test_a_target_that_raises_on_the_recorded_delivery_is_one_finding_and_nothing_more_is_tried() -> None:
    def raises(chunks: Iterable[bytes]) -> None:
        raise KeyError("choices")

    report = fuzz(raises, BOSTON)
    (finding,) = report.findings
    assert ("reference", "recorded", ()) == (finding.oracle, finding.class_, finding.case.fragmentation.cuts)
    assert "raises on the recorded delivery: KeyError" in finding.headline
    assert 0 == report.coverage[0].swept


def test_a_parser_that_takes_a_chunk_for_an_event_is_told_so() -> None:
    import json

    def per_chunk(chunks: Iterable[bytes]) -> list[object]:
        return [json.loads(chunk[6:]) for chunk in chunks if not chunk.startswith(b"data: [DONE]")]

    (finding,) = fuzz(per_chunk, BOSTON).findings
    assert (
        "delivered one event a chunk, the target is right: it does not expect several events in one chunk",
    ) == finding.notes


def test_an_error_is_a_right_answer_to_a_stream_that_is_itself_broken() -> None:
    body = streamkit.load(BOSTON).body
    truncated = Transcript(body[:1000], name="truncated", dialect="openai_chat")
    assert [] == fuzz("streamkit:accumulate", truncated).findings


def test_an_error_whose_class_depends_on_the_cuts_is_a_finding() -> None:
    def by_chunks(chunks: Iterable[bytes]) -> None:
        raise (KeyError if len(list(chunks)) == 1 else IndexError)("x")

    truncated = Transcript(streamkit.load(BOSTON).body[:1000], name="truncated", dialect="openai_chat")
    (finding,) = fuzz(by_chunks, truncated).findings
    assert ("invariance", "KeyError", "IndexError") == (finding.oracle, finding.expected.error, finding.actual.error)


def test_a_target_that_hangs_on_the_recorded_delivery_is_one_finding() -> None:
    def hangs(chunks: Iterable[bytes]) -> None:
        threading.Event().wait()

    (finding,) = fuzz(hangs, BOSTON, options=Options(time_limit=0.2)).findings
    assert ("contract", True) == (finding.oracle, finding.actual.hung)
    assert "hangs on the recorded delivery" in finding.headline


def _hangs_after_d(chunks: Iterable[bytes]) -> int:
    for chunk in chunks:
        while chunk.endswith(b"d"):
            pass
    return 1


async def _hangs_after_d_async(chunks: AsyncIterator[bytes]) -> int:
    async for chunk in chunks:
        if chunk.endswith(b"d"):
            await asyncio.Event().wait()
    return 1


@pytest.mark.parametrize("target", [_hangs_after_d, _hangs_after_d_async])
def test_a_cut_that_makes_the_target_hang_is_found_and_the_sweep_given_up(target: object) -> None:
    report = fuzz(target, SHORT, options=Options(time_limit=0.2, returns="events"))
    (finding,) = report.findings
    assert finding.actual.hung
    assert (1,) == finding.case.fragmentation.cuts
    assert "makes the target hang" in finding.headline


def test_the_time_limit_holds_outside_the_main_thread_too() -> None:
    found = []
    thread = threading.Thread(
        target=lambda: found.extend(fuzz(_hangs_after_d, SHORT, options=Options(time_limit=0.2)).findings)
    )
    thread.start()
    thread.join()
    assert [True] == [finding.actual.hung for finding in found]


def test_a_timer_that_somebody_else_set_goes_on_afterwards() -> None:
    import signal

    old = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1000)
        fuzz(planted.Right, SHORT)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left <= 1000
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_what_a_destructor_raises_is_nothing_that_the_target_prints() -> None:
    """When objects go is the garbage collector's business, and a report must be the same each time."""

    class Bad:
        def __del__(self) -> None:
            raise ValueError("too late")

    def leaves_it(chunks: Iterable[bytes]) -> int:
        Bad()
        return len(b"".join(chunks))

    before = sys.unraisablehook
    report = fuzz(leaves_it, SHORT)
    assert ([], []) == (report.findings, report.notes)
    assert before is sys.unraisablehook


def test_what_a_target_prints_is_kept_out_and_mentioned(capfd: pytest.CaptureFixture[str]) -> None:
    def prints(chunks: Iterable[bytes]) -> int:
        print("hello")
        print("there", file=sys.stderr)
        return 1

    report = fuzz(prints, SHORT)
    assert [] == report.findings
    assert "the target prints" in report.notes[0]
    assert "hello" in report.notes[0]
    assert ("", "") == capfd.readouterr()


def test_state_between_calls_is_a_finding_of_its_own() -> None:
    seen: list[bytes] = []

    def keeps(chunks: Iterable[bytes]) -> int:
        seen.extend(chunks)
        return len(seen)

    (finding,) = fuzz(keeps, BOSTON).findings
    assert "contract" == finding.oracle
    assert "keeps state between calls" in finding.headline


def test_what_failed_once_and_then_passed_is_reported_with_what_it_did() -> None:
    calls: list[int] = []

    def stumbles(chunks: Iterable[bytes]) -> bytes:
        calls.append(1)
        if len(calls) == 20:
            raise OSError("the disk is full")
        return b"".join(chunks)

    (finding,) = fuzz(stumbles, BOSTON).findings
    assert "failed and then passed" in finding.headline
    assert "OSError: the disk is full" == finding.actual.describe()
    assert any("the disk is full" in line for line in finding.lines())


def test_handing_out_the_same_changing_object_is_state_too() -> None:
    shared: dict[str, int] = {"calls": 0}

    def same_object(chunks: Iterable[bytes]) -> dict[str, int]:
        shared["calls"] += 1
        return shared

    (finding,) = fuzz(same_object, BOSTON).findings
    assert "keeps state between calls" in finding.headline


def test_state_that_only_a_failing_delivery_leaves_behind_is_reported_as_state() -> None:
    broken: list[bool] = []

    def poisoned(chunks: Iterable[bytes]) -> int:
        if len(list(chunks)) > 1:
            broken.append(True)
        return len(broken)

    (finding,) = fuzz(poisoned, BOSTON).findings
    assert "contract" == finding.oracle


def test_a_random_result_is_reported_as_random() -> None:
    def rolls(chunks: Iterable[bytes]) -> float:
        return random.random()

    (finding,) = fuzz(rolls, BOSTON).findings
    assert "something random" in finding.headline


def test_leaving_the_process_is_an_outcome_and_no_end_of_the_campaign() -> None:
    def leaves(chunks: Iterable[bytes]) -> int:
        if len(list(chunks)) > 1:
            raise SystemExit(3)
        return 1

    (finding,) = fuzz(leaves, SHORT, options=Options(returns="events")).findings
    assert "SystemExit" == finding.actual.error


def test_ctrl_c_ends_a_campaign_with_what_was_found_so_far() -> None:
    calls = 0

    def interrupted(chunks: Iterable[bytes]) -> object:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise KeyboardInterrupt
        return 1

    report = fuzz(interrupted, [SHORT, BOSTON])
    assert report.interrupted
    assert 100 == report.cases
    assert ["short"] == [coverage.transcript for coverage in report.coverage]


def test_a_budget_of_time_ends_a_campaign_and_says_so() -> None:
    report = fuzz(planted.Right, BOSTON, options=Options(max_time=0.05))
    assert "stopped after max_time=0.05" in report.notes[0]


def test_check_raises_an_assertion_with_what_differs_first_and_how_to_rerun_last() -> None:
    with pytest.raises(OracleFailure) as caught:
        streamkit.check(planted.Utf8PerChunk, "openai_chat/synthetic_multibyte_text")
    lines = str(caught.value).splitlines()
    assert "a cut inside a UTF-8 character changes the result" == lines[0]
    assert lines[-1].startswith("run again: streamkit fuzz skhelpers.planted:Utf8PerChunk --replay 'sk1:")
    assert isinstance(caught.value, AssertionError)


def test_the_token_of_a_counterexample_repeats_it_and_passes_once_the_bug_is_gone() -> None:
    with pytest.raises(OracleFailure) as caught:
        streamkit.check(planted.Utf8PerChunk, "openai_chat/synthetic_multibyte_text")
    token = caught.value.counterexamples[0].token
    with pytest.raises(OracleFailure) as again:
        streamkit.check(planted.Utf8PerChunk, replay=token)
    assert token == again.value.counterexamples[0].token
    assert [] == streamkit.check(planted.Right, replay=token).findings


def test_check_works_inside_a_running_event_loop() -> None:
    async def inside() -> int:
        return streamkit.check(planted.right_async, SHORT, returns="events").cases

    with pytest.raises(OracleFailure, match="JSONDecodeError"):
        asyncio.run(inside())


def test_the_same_seed_gives_the_same_deliveries() -> None:
    def deliveries(seed: int) -> list[list[int]]:
        seen: list[list[int]] = []

        def notes(chunks: Iterable[bytes]) -> int:
            seen.append([len(chunk) for chunk in chunks])
            return 1

        fuzz(notes, SHORT, options=Options(seed=seed))
        return seen

    assert deliveries(7) == deliveries(7)
    assert deliveries(7) != deliveries(8)


def test_a_sleeping_target_is_interrupted_in_its_sleep() -> None:
    def sleeps(chunks: Iterable[bytes]) -> None:
        time.sleep(60)

    (finding,) = fuzz(sleeps, SHORT, options=Options(time_limit=0.1)).findings
    assert finding.actual.hung


def test_a_target_that_closes_its_output_or_sets_an_alarm_of_its_own_is_still_watched() -> None:
    import signal

    def meddles(chunks: Iterable[bytes]) -> int:
        print("x")
        sys.stdout.close()
        if len(list(chunks)) > 1:
            time.sleep(60)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        return 1

    (finding,) = fuzz(meddles, SHORT, options=Options(time_limit=0.2)).findings
    assert ("invariance", True) == (finding.oracle, finding.actual.hung)


def test_a_wrong_result_on_recorded_chunks_is_shown_on_the_whole_body_where_that_is_wrong_too() -> None:
    boston = streamkit.load(BOSTON)
    chunked = Transcript.from_chunks(boston.fragment("100,200,300"), name="chunked", dialect="openai_chat")

    def loses_calls(chunks: Iterable[bytes]) -> dict[str, object]:
        return {**planted.right_function(chunks), "tool_calls": []}

    (finding,) = fuzz(loses_calls, chunked).findings
    assert ("reference", ()) == (finding.oracle, finding.case.fragmentation.cuts)


def _lags(chunks: Iterable[bytes]) -> int:
    listed = list(chunks)
    time.sleep(0.002)
    return len(listed)


def test_what_was_seen_to_fail_is_reported_where_the_time_is_up() -> None:
    report = fuzz(_lags, BOSTON, options=Options(max_time=0.5))
    (finding,) = report.findings
    assert "not minimal: the search was stopped" in finding.notes
    assert 1 == len(finding.case.fragmentation)
    assert report.coverage[0].phases["single cuts"] == report.coverage[0].swept > 0


def test_what_was_seen_to_fail_is_reported_after_ctrl_c() -> None:
    calls = 0

    def interrupted(chunks: Iterable[bytes]) -> int:
        nonlocal calls
        calls += 1
        if calls == 100:
            raise KeyboardInterrupt
        return len(list(chunks))

    report = fuzz(interrupted, BOSTON)
    assert report.interrupted
    assert ["invariance"] == [finding.oracle for finding in report.findings]


def test_the_rerun_line_keeps_the_options_that_matter() -> None:
    options = Options(returns="events", time_limit=2.5, max_single_cuts=0, max_examples=0)
    finding = fuzz(planted.FirstEventOnly, BOSTON, options=options).findings[0]
    assert " --returns events --time-limit 2.5 --replay 'sk1:" in finding.rerun
    assert ', returns="events", time_limit=2.5, replay="sk1:' in finding.rerun_python


def test_a_time_limit_of_any_size_is_taken() -> None:
    assert [] == fuzz(planted.Right, BOSTON, options=Options(time_limit=1e300, max_single_cuts=1)).findings


def test_a_pass_that_means_little_says_so() -> None:
    def nothing(chunks: Iterable[bytes]) -> None:
        list(chunks)

    def closure(chunks: Iterable[bytes]) -> dict[str, object]:
        text = b"".join(chunks)
        return {"content": "", "later": lambda: text}

    assert "nothing in the result could be compared" in fuzz(nothing, BOSTON).coverage[0].notes[0]
    (note,) = fuzz(closure, BOSTON).coverage[0].notes
    assert "part of the result cannot be compared at all: later is <function>" == note
    assert [] == fuzz(planted.Right, BOSTON).coverage[0].notes


def test_an_equality_that_raises_is_no_fault_of_the_campaign() -> None:
    class Odd:
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no")

        __hash__ = None  # type: ignore[assignment]  # not needed here

    assert [] == fuzz(lambda chunks: (list(chunks), Odd())[1], BOSTON, options=Options(max_single_cuts=9)).findings


def test_a_finish_reason_that_a_completion_lacks_is_seen() -> None:
    def drops(chunks: Iterable[bytes]) -> dict[str, object]:
        result = planted.right_function(chunks)
        return {"choices": [{"index": 0, "message": result, "finish_reason": None}]}

    (finding,) = fuzz(drops, BOSTON, options=Options(max_single_cuts=9)).findings
    assert "reference" == finding.oracle


def test_a_stream_without_a_single_event_is_refused() -> None:
    with pytest.raises(streamkit.errors.UsageError, match="holds no complete server-sent event in its 5 bytes"):
        fuzz(planted.Right, Transcript(b"hello", name="hello"))


def test_a_failure_that_comes_and_goes_is_never_lost() -> None:
    seen: dict[int, int] = {}

    def every_other_time(chunks: Iterable[bytes]) -> str:
        lengths = [len(chunk) for chunk in chunks]
        if len(lengths) != 2:
            return "right"
        seen[lengths[0]] = seen.get(lengths[0], 0) + 1
        return "wrong" if seen[lengths[0]] % 2 else "right"

    (finding,) = fuzz(every_other_time, BOSTON).findings
    assert finding.oracle in ("contract", "invariance")


def test_a_case_that_is_run_again_keeps_to_its_budget_of_time() -> None:
    token = f"sk1:{BOSTON}@bc7d72dd69d9:99"
    report = fuzz(_lags, options=Options(max_time=1e-9), replay=token)
    assert "the case was not judged" in report.notes[0]


def test_what_was_seen_to_fail_is_reported_beside_a_wrong_baseline_too() -> None:
    def lags_and_loses(chunks: Iterable[bytes]) -> dict[str, object]:
        time.sleep(0.002)
        return {"content": "", "tool_calls": [], "reads": len(list(chunks))}

    report = fuzz(lags_and_loses, BOSTON, options=Options(max_time=0.5))
    assert ["reference", "invariance"] == [finding.oracle for finding in report.findings]
