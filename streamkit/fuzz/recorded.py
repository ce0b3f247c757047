"""The verdict on the recorded delivery itself: whether a target reads what was recorded.

A recording may hold a stream of which a right parser makes no answer: one that was cut off, or that reports an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.fuzz.incomplete import begins, says_incomplete
from streamkit.fuzz.judge import Judge, is_typed
from streamkit.fuzz.oracles import blind_spots
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.reading import expected_of
from streamkit.mutations.registry import Class
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from streamkit.fuzz.oracles import Reference
    from streamkit.fuzz.search import Search

__all__ = ["judge_recorded"]

#: What is said of streams of which a right parser makes no answer, by the error of the dialect.
_FAULTY = {"TruncatedStreamError": "ends early", "ProviderError": "reports an error"}


def judge_recorded(search: Search, recorded: Fragmentation) -> bool:
    """Judge the outcome on the recorded delivery, and report what is wrong with it.

    Returns:
        Whether it leaves something to compare cuts with.
    """
    reference = search.reference
    if search.baseline.returned:
        if reference is not None and search.options.returns == "message":
            search.reference = reference = reference.learned(search.baseline.value)
        verdict = reference.judge(search.baseline.value, search.options.returns) if reference is not None else None
        search.coverage.notes.extend(blind_spots(search.baseline.value, verdict))
        search.trusted = verdict is None or verdict.same
        if verdict is not None and not verdict.same and _holds_back(search.baseline.value, reference):
            search.coverage.notes.append("the target gives less than was recorded, and says that it is not complete")
        elif verdict is not None and not verdict.same:
            search.add(
                _simplest(search, recorded), "reference", "recorded",
                expected=Outcome(value=verdict.expected), actual=Outcome(value=verdict.actual), found_by="recorded",
                headline="the result on the recorded delivery is not what the stream says",
                notes=_other_delivery(search, reference),
            )  # fmt: skip
        _judge_as_fault(search, recorded)
        return True
    if reference is not None and reference.completion is None and not search.baseline.fault:
        _judge_as_fault(search, recorded)
        return True  # the stream itself is broken, and an error is a right answer to it
    if reference is not None and reference.cut_off is not None and is_typed(search.baseline):
        name = search.baseline.error.rsplit(".", 1)[-1]
        search.coverage.notes.append(f"the target raises {name} on the recorded delivery, where {reference.cut_off}")
        return True
    known = reference is not None
    search.add(
        _simplest(search, recorded), "reference" if known else "contract", "recorded",
        expected=Outcome(value="a result"), actual=search.baseline, found_by="recorded",
        headline=f"the recorded delivery makes the target {search.baseline.fault}"
        if search.baseline.fault
        else f"the target raises on the recorded delivery: {search.baseline.error.rsplit('.', 1)[-1]}",
        notes=_other_delivery(search, reference)
        if known
        else ("no dialect of streamkit knows this transcript: is it what the target reads?",),
    )  # fmt: skip
    return False


def _holds_back(value: Any, reference: Reference | None) -> bool:
    """Whether a result leaves out part of an answer that was cut off, such as half a call, and says so."""
    if reference is None or reference.completion is None or reference.cut_off is None or not says_incomplete(value):
        return False
    told = reference.told(value)
    return told is not None and begins(told, expected_of(reference.completion))


def _judge_as_fault(search: Search, recorded: Fragmentation) -> None:
    """Judge the outcome on a recorded stream that was cut off, or reports an error, as one on such a mutation."""
    told = _FAULTY.get(search.reference.error) if search.reference is not None else None
    if told is None or search.options.returns == "events":
        return
    judge = Judge(search.baseline, search.transcript.body, search.reference, search.trusted)
    wrong = judge.wrong(search.baseline, search.transcript.body, Class.FAULT, None, search.options.returns)
    if wrong is None:
        return
    if not search.faults:
        search.coverage.notes.append(f"the recorded stream {told}: with faults, an error is expected there")
        return
    search.add(
        _simplest(search, recorded), wrong.oracle, "recorded",
        expected=wrong.expected, actual=wrong.actual, found_by="recorded",
        headline=f"that the recorded stream {told} {wrong.why}",
    )  # fmt: skip


def _simplest(search: Search, recorded: Fragmentation) -> Fragmentation:
    """Return the body in one chunk where that goes as wrong as the recorded chunks do, else those."""
    whole = Fragmentation.whole()
    return whole if recorded != whole and search.outcome(whole).same_as(search.baseline) else recorded


def _other_delivery(search: Search, reference: Reference | None) -> tuple[str, ...]:
    """Say whether the target does better when it gets one event a chunk, as most mocks deliver."""
    per_event = Fragmentation.per_event(search.transcript.body)
    if per_event == search.transcript.recorded:
        return ()
    outcome = search.outcome(per_event)
    if not outcome.returned:
        return ()
    verdict = reference.judge(outcome.value, search.options.returns) if reference is not None else None
    if search.baseline.returned and (verdict is None or not verdict.same):
        return ()
    if verdict is not None and not verdict.same:
        return ("delivered one event a chunk, the target returns, with another wrong result",)
    return ("delivered one event a chunk, the target is right: it does not expect several events in one chunk",)
