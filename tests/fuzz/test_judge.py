"""What an outcome means on a mutated stream, for each class of mutation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.fuzz.incomplete import says_incomplete
from streamkit.fuzz.judge import Judge, is_typed
from streamkit.fuzz.oracles import Reference
from streamkit.fuzz.outcome import Outcome
from streamkit.mutations.registry import Class

CALL = ToolCall("call_1", "f", '{"a":1}', index=0)
COMPLETION = Completion(
    choices=(Choice(0, content="hello", tool_calls=(CALL,), finish_reason="tool_calls"),), ended=True
)
MESSAGE: dict[str, Any] = {
    "content": "hello",
    "tool_calls": [{"id": "call_1", "name": "f", "arguments": '{"a":1}'}],
    "finish_reason": "tool_calls",
}
BODY = b'{"id":"call_1","name":"f"}'
JUDGE = Judge(Outcome(value=MESSAGE), BODY, Reference(COMPLETION, "", (), "openai_chat"), trusted=True)
TYPED = Outcome(error="openai.APIError", message="boom")
CRASH = Outcome(error="KeyError", message="'choices'")


def verdict(outcome: Outcome, kind: Class, judge: Judge = JUDGE, expected: Any = None) -> tuple[str, str] | None:
    wrong = judge.wrong(outcome, BODY, kind, expected, "message")
    return None if wrong is None else (wrong.oracle, wrong.why)


@pytest.mark.parametrize("kind", [Class.PRESERVING, Class.DIALECT])
def test_the_same_result_is_right_where_the_meaning_is_left(kind: Class) -> None:
    assert None is verdict(JUDGE.baseline, kind)


def test_a_result_on_a_fault_is_wrong_even_if_it_is_the_old_one() -> None:
    assert ("contract", "is not noticed: the target hands out an executable tool call") == verdict(
        JUDGE.baseline, Class.FAULT
    )
    text = Outcome(value={"content": "hel"})
    assert ("contract", "is not noticed: the target hands out a result as if it were whole") == verdict(
        text, Class.FAULT
    )


def test_a_typed_error_is_right_but_for_a_mutation_that_preserves() -> None:
    assert ("invariance", "makes the target raise APIError") == verdict(TYPED, Class.PRESERVING)
    assert [None, None] == [verdict(TYPED, kind) for kind in (Class.DIALECT, Class.FAULT)]


def test_a_slip_of_the_parser_is_wrong_in_every_class() -> None:
    for kind in (Class.DIALECT, Class.FAULT):
        assert ("contract", "makes the target fail with KeyError") == verdict(CRASH, kind)
    assert ("invariance", "makes the target raise KeyError") == verdict(CRASH, Class.PRESERVING)


def test_a_hang_is_wrong_in_every_class() -> None:
    assert {("contract", "makes the target hang")} == {verdict(Outcome(hung=True), kind) for kind in Class}


def test_another_result_is_wrong_where_the_meaning_is_left() -> None:
    other = Outcome(value={**MESSAGE, "content": "hell"})
    assert ("invariance", "changes the result") == verdict(other, Class.PRESERVING)
    assert ("reference", "silently changes the result") == verdict(other, Class.DIALECT)


def test_a_field_that_is_null_is_one_that_is_absent() -> None:
    with_null = Outcome(value={**MESSAGE, "audio": None})
    assert None is verdict(with_null, Class.PRESERVING)
    assert ("invariance", "changes the result") == verdict(Outcome(value={**MESSAGE, "audio": ""}), Class.PRESERVING)


def test_the_sensible_result_of_a_dialect_may_be_another_than_the_old_one() -> None:
    def stop(completion: Completion) -> Completion:
        return replace(completion, choices=(replace(completion.choices[0], finish_reason="stop"),))

    sensible = Outcome(value={**MESSAGE, "finish_reason": "stop"})
    assert None is verdict(sensible, Class.DIALECT, expected=stop)
    assert ("reference", "silently changes the result") == verdict(JUDGE.baseline, Class.DIALECT, expected=stop)


def test_where_two_results_are_as_sensible_either_will_do() -> None:
    def stop(completion: Completion) -> Completion:
        return replace(completion, choices=(replace(completion.choices[0], finish_reason="stop"),))

    def judged(reason: str, also: Any) -> Any:
        outcome = Outcome(value={**MESSAGE, "finish_reason": reason})
        return JUDGE.wrong(outcome, BODY, Class.DIALECT, stop, "message", also)

    assert None is judged("stop", ()) is judged("stop", [lambda one: one]) is judged("tool_calls", [lambda one: one])
    assert None is not judged("tool_calls", ())
    assert None is not judged("length", [lambda one: one])


def test_a_result_that_says_it_is_incomplete_is_as_good_as_a_typed_error() -> None:
    partial = Outcome(value={"content": "hel", "tool_calls": [], "complete": False})
    assert [None, None] == [verdict(partial, kind) for kind in (Class.DIALECT, Class.FAULT)]
    assert None is not verdict(partial, Class.PRESERVING)


def test_any_id_that_a_strange_stream_names_will_do_and_one_that_it_does_not_name_will_not() -> None:
    reference = Reference(replace(COMPLETION, id="one"), "", (), "openai_chat", frozenset({"id"}))
    judge = Judge(Outcome(value={**MESSAGE, "id": "one"}), BODY, reference, trusted=True)
    body = BODY + b'{"id":"one"}{"id": "two"}'

    def judged(identity: str) -> Any:
        outcome = Outcome(value={**MESSAGE, "id": identity})
        return judge.wrong(outcome, body, Class.DIALECT, None, "message")

    assert None is judged("one") is judged("two")
    assert None is not judged("onetwo")
    assert None is not judged("")


def test_what_a_target_does_not_report_is_not_compared() -> None:
    content_only = Judge(Outcome(value={"content": "hello"}), BODY, JUDGE.reference, trusted=True)
    assert None is verdict(Outcome(value={"content": "hello"}), Class.DIALECT, content_only)


def test_a_result_of_an_unknown_shape_is_compared_with_the_old_one() -> None:
    opaque = Judge(Outcome(value=("f", '{"a":1}')), BODY, JUDGE.reference, trusted=True)
    assert None is verdict(Outcome(value=("f", '{"a":1}')), Class.DIALECT, opaque)
    assert ("invariance", "silently changes the result") == verdict(Outcome(value=("f", "{}")), Class.DIALECT, opaque)


def test_calls_in_a_result_of_an_unknown_shape_may_come_in_another_order() -> None:
    one, two = {"fn": "f", "params": {}}, {"fn": "g", "params": {}}
    opaque = Judge(Outcome(value={"body": "hi", "tools": [one, two]}), BODY, JUDGE.reference, trusted=True)
    assert None is verdict(Outcome(value={"body": "hi", "tools": [two, one]}), Class.DIALECT, opaque)
    assert None is not verdict(Outcome(value={"body": "hi", "tools": [two, two]}), Class.DIALECT, opaque)
    assert None is not verdict(Outcome(value={"body": "hi", "tools": [two, one]}), Class.PRESERVING, opaque)


def test_nothing_is_expected_of_a_target_that_was_wrong_before() -> None:
    wrong_before = Judge(Outcome(value={"content": "HELLO"}), BODY, JUDGE.reference, trusted=False)
    assert None is verdict(Outcome(value={"content": "other"}), Class.DIALECT, wrong_before)
    assert ("invariance", "changes the result") == verdict(
        Outcome(value={"content": "other"}), Class.PRESERVING, wrong_before
    )


def test_a_list_of_payloads_may_be_laid_out_differently_if_it_adds_up_to_the_same() -> None:
    def payload(text: str, finish: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}

    judge = Judge(Outcome(value=[payload("hello"), payload("", "stop")]), BODY, JUDGE.reference, trusted=True)
    assert None is verdict(Outcome(value=[payload("he"), payload("llo", "stop")]), Class.PRESERVING, judge)
    assert ("invariance", "changes the result") == verdict(
        Outcome(value=[payload("he"), payload("lo", "stop")]), Class.PRESERVING, judge
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"ended": False, "content": "hel"}, True),
        ({"truncated": True}, True),
        ({"finish_reason": "error", "content": "hel"}, True),
        ({"status": "incomplete", "output": []}, True),
        ({"finish_reason": "length", "content": "hel"}, False),
        ({"status": "completed", "output": []}, False),
        ({"error": {"message": "cut off"}}, True),
        ({"choices": [{"message": {"tool_calls": [{"name": "f", "problem": "cut off"}]}}]}, True),
        ({"tool_calls": [{"name": "f", "executable": False}]}, True),
        ({"tool_calls": [{"name": "f", "invalid": True}]}, True),
        ({"choices": [{"message": {"content": "hel"}, "finish_reason": "error"}]}, True),
        ({"choices": [{"message": {"content": "hel"}, "finish_reason": "stop"}]}, False),
        ({"content": "hel"}, False),
        ({"ended": True, "content": "hel"}, False),
        ({"ended": None}, False),
        ({"error": None, "content": "hel"}, False),
        (["hel"], False),
        ("hel", False),
    ],
)
def test_a_result_may_say_itself_that_it_is_not_complete(value: Any, says: bool) -> None:
    assert says == says_incomplete(value)


def test_errors_of_libraries_and_values_are_typed_and_slips_are_not() -> None:
    typed = ["openai.APIError", "json.decoder.JSONDecodeError", "ValueError", "mine.KeyError", "ConnectionError"]
    slips = ["KeyError", "IndexError", "AttributeError", "TypeError", "AssertionError", "RecursionError"]
    assert [True] * len(typed) == [is_typed(Outcome(error=name)) for name in typed]
    assert [False] * len(slips) == [is_typed(Outcome(error=name)) for name in slips]
    assert not is_typed(Outcome(value=1))


# -- what a target reports of the recorded stream, and no longer of the mutated one


def test_a_finish_reason_that_is_reported_no_longer_is_a_silent_difference() -> None:
    lost = Outcome(value={**MESSAGE, "finish_reason": None})
    assert ("reference", "silently changes the result") == verdict(lost, Class.DIALECT)
    without = replace(COMPLETION, choices=(replace(COMPLETION.choices[0], finish_reason=None),))
    assert None is verdict(lost, Class.DIALECT, expected=lambda _: without)


COUNTED = {**MESSAGE, "usage": {"total_tokens": 3, "details": None}}
COUNTING = Judge(
    Outcome(value=COUNTED), BODY, Reference(replace(COMPLETION, usage={"total_tokens": 3}), "", ()), trusted=True
)


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 6}, {"total_tokens": None}], ids=str)
def test_usage_that_is_lost_or_summed_is_a_silent_difference(usage: Any) -> None:
    outcome = Outcome(value={**COUNTED, "usage": usage})
    assert ("reference", "silently changes the result") == verdict(outcome, Class.DIALECT, COUNTING)


def test_counters_are_compared_and_nothing_else_of_usage() -> None:
    more = Outcome(value={**COUNTED, "usage": {"total_tokens": 3, "details": {"a": 1}}})
    assert None is verdict(more, Class.DIALECT, COUNTING)


def test_usage_that_is_counted_in_another_way_from_the_start_is_not_compared() -> None:
    judge = replace(COUNTING, baseline=Outcome(value={**COUNTED, "usage": {"total_tokens": 4}}))
    assert None is verdict(Outcome(value={**COUNTED, "usage": None}), Class.DIALECT, judge)


def test_usage_of_another_number_is_expected_where_the_mutation_says_so() -> None:
    def nine(completion: Completion) -> Completion:
        return replace(completion, usage={"total_tokens": 9})

    assert None is verdict(Outcome(value={**COUNTED, "usage": {"total_tokens": 9}}), Class.DIALECT, COUNTING, nine)
    assert None is not verdict(Outcome(value={**COUNTED, "usage": {"total_tokens": 3}}), Class.DIALECT, COUNTING, nine)


def test_a_fault_whose_right_answer_can_be_told_may_be_answered_with_it_and_with_nothing_else() -> None:
    same = (lambda completion: completion,)
    without = {**MESSAGE, "tool_calls": [{"id": "call_1", "name": "f", "arguments": ""}]}
    right = JUDGE.wrong(Outcome(value=MESSAGE), BODY, Class.FAULT, None, "message", same)
    assert right is None
    assert JUDGE.wrong(Outcome(value=MESSAGE), BODY, Class.FAULT, None, "message") is not None
    assert JUDGE.wrong(Outcome(value=without), BODY, Class.FAULT, None, "message", same) is not None
    unsure = Judge(Outcome(value=MESSAGE), BODY, None, trusted=False)
    assert unsure.wrong(Outcome(value=MESSAGE), BODY, Class.FAULT, None, "message", same) is not None
