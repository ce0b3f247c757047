"""Results that say themselves that they are not complete: as good as a typed error, and no better."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from skhelpers.careless import careless

import streamkit
from streamkit.completion import Choice, Completion
from streamkit.fuzz import Options
from streamkit.fuzz.incomplete import begins, first_choice_alone, says_executable, says_incomplete
from streamkit.fuzz.judge import Judge
from streamkit.fuzz.normal import Record
from streamkit.fuzz.oracles import Reference
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.reading import Told
from streamkit.mutations.registry import Class

PLAIN = Options(max_examples=0, max_single_cuts=1, mutations=False)


def transcript(name: str) -> streamkit.Transcript:
    (found,) = (one for one in streamkit.library() if one.name == name)
    return found


# -- lists of events


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([["text", "hel"], ["error", "it broke off"]], True),
        ([["text", "hel"], ["finish", "error"]], True),
        ([["text", "hel"], ["complete", False]], True),
        ([["text", "hel"], ["complete", True]], False),
        ([["text", "hel"], ["text", "error"]], False),
        ([["error", "the first word"], ["finish", "stop"]], False),
        ([["text", "hel"], ["finish", None]], False),
        ([Record("Text", {"text": "hel"}), Record("Finish", {"reason": "error"})], True),
        ([Record("Text", {"text": "hel"}), Record("Finish", {"reason": "stop", "complete": False})], True),
        ([Record("Text", {"text": "error"})], False),
        ([{"type": "text", "text": "hel"}, {"type": "error", "message": "it broke off"}], True),
        ([{"choices": []}, {"error": {"message": "as it came"}}], False),
        ([{"choices": [{"index": 0, "finish_reason": "error"}], "error": "as it came"}], False),
        ([], False),
    ],
)
def test_a_list_of_events_says_with_its_last_one_that_it_is_not_complete(value: Any, says: bool) -> None:
    assert says == says_incomplete(value)


def test_a_list_that_says_it_is_incomplete_hands_out_no_call_as_executable() -> None:
    judge = Judge(Outcome(value=[["text", "hello"]]), BODY, Reference(CUT_OFF, "", (), "openai_chat"), trusted=True)

    def judged(value: list[Any]) -> Any:
        return judge.wrong(Outcome(value=value), BODY, Class.FAULT, None, "message")

    assert None is judged([["text", "hel"], ["error", "it broke off"]])
    assert None is judged([{"type": "call", "executable": False}, {"type": "error", "message": "it broke off"}])
    assert None is not judged([{"type": "call", "executable": True}, {"type": "error", "message": "it broke off"}])


@pytest.mark.parametrize("value", [None, 2.5, b"", "text", [1, None]])
def test_what_is_no_result_of_any_shape_says_neither(value: Any) -> None:
    assert not says_incomplete(value)
    assert not says_executable(value)


# -- answers that the server did not finish


def half(chunks: Iterable[bytes], *, told: bool = True, text: str = "") -> dict[str, Any]:
    """Give the text and the calls whose arguments are JSON, and say whether that is all."""
    said = careless(chunks)
    whole = [call for call in said["tool_calls"] if call["arguments"].endswith("}")]
    mark = {"complete": len(whole) == len(said["tool_calls"])} if told else {}
    return {"content": text + said["content"], "tool_calls": whole, **mark}


def of_other_text(chunks: Iterable[bytes]) -> dict[str, Any]:
    return half(chunks, text="Made up. ")


def without_a_mark(chunks: Iterable[bytes]) -> dict[str, Any]:
    return half(chunks, told=False)


@pytest.mark.parametrize("name", ["recorded/llama_server/call_cut_by_length", "openai_chat/boston_weather"])
def test_half_a_call_may_be_left_out_of_a_recorded_answer_if_the_result_says_so(name: str) -> None:
    assert [] == streamkit.fuzz.fuzz(half, transcript(name), options=PLAIN).findings


@pytest.mark.parametrize("target", [of_other_text, without_a_mark])
def test_it_may_not_where_the_rest_is_wrong_or_nothing_is_said(target: Any) -> None:
    found = streamkit.fuzz.fuzz(target, transcript("recorded/llama_server/call_cut_by_length"), options=PLAIN).findings
    assert "the result on the recorded delivery is not what the stream says" == found[0].headline


CUT_OFF = Completion(choices=(Choice(0, content="hello", finish_reason="length"),))
BODY = b'data: {"choices":[]}\n\n'


def dialect(whole: Completion, value: dict[str, Any]) -> Any:
    baseline = Outcome(value={"content": "hello", "complete": False})
    judge = Judge(baseline, BODY, Reference(whole, "", (), "openai_chat"), trusted=True)
    return judge.wrong(Outcome(value=value), BODY, Class.DIALECT, None, "message")


def test_who_says_that_a_recorded_answer_was_cut_off_may_stop_earlier_in_a_strange_stream() -> None:
    assert None is dialect(CUT_OFF, {"content": "hel", "complete": False})
    assert None is not dialect(CUT_OFF, {"content": "hel", "complete": True})
    assert None is not dialect(CUT_OFF, {"content": "helhello", "complete": False})


def test_who_says_so_of_whole_answers_too_says_nothing_by_it() -> None:
    whole = replace(CUT_OFF, choices=(replace(CUT_OFF.choices[0], finish_reason="stop"),))
    assert None is not dialect(whole, {"content": "hel", "complete": False})


# -- partial results


def test_how_far_a_partial_result_of_a_broken_stream_goes_may_follow_the_chunks() -> None:
    judge = Judge(Outcome(value={"content": "hello"}), BODY, Reference(CUT_OFF, "", (), "openai_chat"), trusted=True)
    one, other = (Outcome(value={"content": text, "complete": False}) for text in ("hel", ""))
    assert None is judge.differs(one, other, [Class.FAULT]) is judge.differs(other, one, [Class.DIALECT])
    assert None is not judge.differs(one, other, [Class.PRESERVING])
    assert None is not judge.differs(one, Outcome(value={"content": "", "complete": True}), [Class.FAULT])
    assert None is not judge.differs(one, Outcome(value={"content": "el", "complete": False}), [Class.FAULT])


def test_which_error_comes_first_may_follow_the_chunks_where_there_is_cause_for_more_than_one() -> None:
    judge = Judge(Outcome(value={"content": "hello"}), BODY, Reference(CUT_OFF, "", (), "openai_chat"), trusted=True)
    refused = replace(judge, baseline=Outcome(error="mine.Refused"))
    one, other, slip = (Outcome(error=name) for name in ("mine.Refused", "mine.NotText", "KeyError"))
    assert None is judge.differs(one, other, [Class.FAULT, Class.DIALECT]) is refused.differs(one, other, [Class.FAULT])
    assert None is not judge.differs(one, other, [Class.FAULT, Class.PRESERVING])
    assert None is not refused.differs(one, other, [Class.PRESERVING, Class.PRESERVING])
    assert None is not refused.differs(one, slip, [Class.FAULT])


def test_a_partial_result_begins_a_whole_one_if_texts_end_early_and_calls_are_left_out() -> None:
    first, second = (
        {"id": f"c{number}", "name": "f", "arguments": f'{{"n": {number}}}'} for number in (1, 2)
    )  # fmt: skip
    whole = Told([{"content": "hello", "tool_calls": [first, second]}])
    assert begins(Told([{"content": "hel", "tool_calls": [second]}]), whole)
    assert begins(Told([{"content": None, "tool_calls": [{**first, "arguments": '{"n'}]}]), whole)
    assert begins(Told([{"tool_calls": [{"name": "f", "arguments": {"n": 1}}]}]), whole)
    assert not begins(Told([{"content": "lo"}]), whole)
    assert not begins(Told([{"tool_calls": [second, first]}]), whole)
    assert not begins(Told([{"tool_calls": [{**first, "id": "c2"}]}]), whole)
    assert not begins(Told([{"content": "hello"}, {"content": "more"}]), whole)


# -- of several choices, the first alone


def first_choice(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Give the first choice, and ask that it came to its end."""
    text, finish = "", None
    for block in b"".join(chunks).decode("utf-8", "replace").split("\n\n"):
        if not block.startswith("data: {"):
            continue
        try:
            choices = json.loads(block.removeprefix("data: "))["choices"]
        except ValueError:
            break
        for choice in choices:
            if choice["index"] == 0:
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
    if finish is None:
        raise EOFError("it has no end")
    return {"content": text, "finish_reason": finish}


def first_choice_whatever_comes(chunks: Iterable[bytes]) -> dict[str, Any]:
    try:
        return first_choice(chunks)
    except EOFError:
        return {"content": "", "finish_reason": None}


@pytest.mark.parametrize(("target", "found"), [(first_choice, False), (first_choice_whatever_comes, True)])
def test_who_reads_the_first_choice_alone_need_not_notice_that_a_later_one_breaks_off(target: Any, found: bool) -> None:
    options = Options(max_examples=0, max_single_cuts=1, faults=True, only=("truncate", "bare_eof"))
    report = streamkit.fuzz.fuzz(target, transcript("openai_chat/synthetic_two_choices_logprobs"), options=options)
    assert {"truncate", "bare_eof"} == set(report.coverage[0].mutations)
    assert found == bool(report.findings), [one.headline for one in report.findings]


def test_a_first_choice_without_an_end_and_a_stream_of_one_choice_do_not_stand_alone() -> None:
    def body(*choices: tuple[int, str | None]) -> bytes:
        payloads = (
            {"choices": [{"index": index, "delta": {"content": "a"}, "finish_reason": reason}]}
            for index, reason in choices
        )
        return b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in payloads)

    assert None is not first_choice_alone(body((0, "stop"), (1, None)), "openai_chat")
    assert None is first_choice_alone(body((1, "stop"), (0, None)), "openai_chat")
    assert None is first_choice_alone(body((0, None)), "openai_chat")
    assert None is first_choice_alone(body((0, "stop"), (1, "stop")), "openai_chat")
    assert None is first_choice_alone(body((0, "stop"), (1, None)), None)
