"""Cohere's chat v2 by itself: how events become a completion, what is let pass, and which streams are its own."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.cohere_events import (
    CITATION,
    START,
    USAGE,
    WEATHER,
    Json,
    accumulated,
    arguments,
    block,
    body,
    call,
    finish,
    opener,
    outcome,
    read,
    typed,
)
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.cohere_v2 import CohereV2, Reader
from streamkit.transcript import Request, Transcript

# A completion


def test_a_stream_becomes_a_completion_however_it_is_cut() -> None:
    calls = (
        ToolCall("weather_1", "weather", '{"city":"Köln"}', index=0),
        ToolCall("time_1", "time", "{}", index=1),
    )
    extra = {"tool_plan": "I will look."}
    choice = Choice(0, reasoning="I will look.", tool_calls=calls, finish_reason="TOOL_CALL", extra=extra)
    expected = Completion(choices=(choice,), usage=USAGE, id="68475c80", ended=True)
    assert expected == always(body(*WEATHER), accumulated, scan=0)
    assert all(made.executable for made in calls)


def test_thinking_is_the_reasoning_and_a_plan_beside_it_stays_in_extra() -> None:
    plan = typed("tool-plan-delta", tool_plan="plan")
    choice = read(START, *block(0, "thinking", "h", "m"), plan, *block(1, "text", "4", "2"), finish()).choices[0]
    assert ("hm", "42", {"tool_plan": "plan"}) == (choice.reasoning, choice.content, choice.extra)


def test_texts_join_in_the_order_of_their_blocks() -> None:
    assert "ab" == read(START, *block(1, "text", "b"), *block(0, "text", "a"), finish()).content


def test_an_answer_without_text_has_none_and_an_empty_block_is_empty() -> None:
    assert [None, ""] == [read(START, finish()).content, read(START, *block(0, "text"), finish()).content]


def test_citations_are_kept_and_break_no_text() -> None:
    start, one, two, end = block(0, "text", "abc", "def")
    cite = [typed("citation-start", 0, citations=CITATION), typed("citation-end", 0)]
    choice = read(START, start, one, *cite, two, end, finish()).choices[0]
    assert ("abcdef", {"citations": [CITATION]}) == (choice.content, choice.extra)


def test_log_probabilities_are_kept_once_for_each_delta() -> None:
    start, one, end = block(0, "text", "abc")
    probable = {"token_ids": [1], "text": "abc", "logprobs": [-0.5]}
    choice = read(START, start, {**one, "logprobs": probable}, end, finish()).choices[0]
    assert {"content": [probable]} == choice.logprobs


def test_what_nobody_knows_yet_is_kept_and_harms_nothing() -> None:
    strange: list[Json] = [
        {"type": "debug", "prompt": "<|x|>"}, {"type": "content-hint", "a": 1}, {"b": 2},
        typed("content-start", 5, content={"type": "image", "url": "u"}),
        typed("content-delta", 5, content={"more": "m"}),
    ]  # fmt: skip
    found = read(*WEATHER[:3], *strange, *WEATHER[3:-2], {**finish("TOOL_CALL", novelty=1), "later": 2})
    known = read(*WEATHER)
    extra = {"tool_plan": "I will look.", "novelty": 1,
             "contents": [{"index": 5, "type": "image", "content": [{"url": "u"}, {"more": "m"}]}]}  # fmt: skip
    assert (replace(known.choices[0], extra=extra),) == found.choices
    assert {
        "later": 2,
        "debug": ["<|x|>"],
        "unknown_events": [{"type": "content-hint", "a": 1}, {"b": 2}],
    } == found.extra


def test_what_a_gateway_sends_to_keep_a_connection_open_is_passed_over() -> None:
    alive: list[Json] = [{"type": "ping"}, {"type": "keepalive", "time": 1}, {}]
    assert read(*WEATHER) == read(*alive, *WEATHER[:3], *alive, *WEATHER[3:])


# What may be executed


@pytest.mark.parametrize(
    ("reason", "pieces", "executable"),
    [
        ("TOOL_CALL", ['{"a":1}'], True),
        ("COMPLETE", ['{"a":1}'], True),
        ("TOOL_CALL", [], True),
        ("TOOL_CALL", [""], True),
        ("STOP_SEQUENCE", ['{"a":1}'], True),
        ("STOP_SEQUENCE", [], False),
        ("A_NEW_REASON", ["{}"], True),
        ("A_NEW_REASON", [], False),
        ("TOOL_CALL", ['{"a":1'], False),
        ("TOOL_CALL", ["[1]"], False),
        ("MAX_TOKENS", ["{}"], False),
        ("TIMEOUT", ["{}"], False),
        ("ERROR", ["{}"], False),
        (None, ["{}"], False),
        ("", ["{}"], False),
    ],
)
def test_a_call_is_executable_if_it_is_whole_and_the_finish_reason_is_good(
    reason: str | None, pieces: list[str], executable: bool
) -> None:
    completion = read(START, *call(0, *pieces), finish(reason))
    assert [executable] == [made.executable for made in completion.tool_calls]
    assert completion.ended


def test_a_call_without_its_end_or_name_or_id_is_not_executable() -> None:
    calls = [
        opener(0), arguments(0, "{}"), opener(1, name=""), typed("tool-call-end", 1), opener(2, id=None),
        typed("tool-call-end", 2),
    ]  # fmt: skip
    made = read(START, *calls, finish("TOOL_CALL")).tool_calls
    assert ["its tool-call-end never came", "it has no name", "it has no id"] == [one.problem for one in made]


# What is let pass


def test_indices_are_optional_while_one_block_or_call_is_open() -> None:
    def without(*payloads: Json) -> list[Json]:
        return [{key: value for key, value in one.items() if key != "index"} for one in payloads]

    text = block(0, "text", "4", "2")
    found = read(START, *without(*text, *call(0, '{"a"', ":1}"), *call(1, name="time")), finish("TOOL_CALL"))
    assert "42" == found.content
    assert [("weather", '{"a":1}', None, True), ("time", "", None, True)] == [
        (made.name, made.arguments, made.index, made.executable) for made in found.tool_calls
    ]


def test_a_block_may_begin_with_its_first_delta() -> None:
    assert "42" == read(START, *block(0, "text", "4", "2")[1:], finish()).content


def test_a_reader_can_be_copied_at_every_event() -> None:
    expected = read(*WEATHER)
    for at in range(len(WEATHER)):
        one = Reader()
        one.feed(body(*WEATHER[:at]))
        two = copy.deepcopy(one)
        for reader in (one, two):
            reader.feed(body(*WEATHER[at:]))
            reader.close()
            assert expected == reader.result()


@given(st.lists(st.sampled_from([*WEATHER, *block(0, "text", "a"), arguments(0, "{"), typed("content-end", None),
                                 opener(None), {"type": "message-end"}, "{", "[]"])), st.binary())  # fmt: skip
def test_no_sequence_of_events_is_an_untyped_error_and_none_looks_finished_without_message_end(
    payloads: list[Json | str], rest: bytes
) -> None:
    """Invariant: a completion or a DialectError whose partial has nothing executable; the same byte by byte."""
    stream = body(*payloads) + rest
    whole, dripped = (outcome(chunks) for chunks in ([stream], drip(stream)))
    assert whole == dripped
    said, completion = whole
    assert said == "" or not (completion.ended or any(made.executable for made in completion.tool_calls))
    assert said != "" or any(isinstance(one, dict) and one["type"] == "message-end" for one in payloads)


# Detection


def test_it_is_detected_by_the_request_or_by_its_first_payload() -> None:
    dialect = CohereV2()
    for host in ("api.cohere.com", "api.cohere.ai"):
        assert dialect.detect(Transcript(b"", request=Request("POST", f"https://{host}/v2/chat?x=1")))
    assert dialect.detect(Transcript(body(*WEATHER)))
    assert dialect.detect(Transcript(body({"type": "debug", "prompt": "x"}, START)))
    assert dialect.detect(Transcript(body(finish("ERROR"))))


def test_other_streams_are_not_detected() -> None:
    dialect = CohereV2()
    for url in ("https://api.cohere.com/v1/chat", "https://other.example/v2/chat"):
        assert not dialect.detect(Transcript(b"", request=Request("POST", url)))
    others: list[Json] = [
        {"event_type": "stream-start", "generation_id": "x"}, {"type": "message_start", "message": {}},
        {"type": "message-start"}, {"type": "start"}, {"type": ["content-delta"]}, {"choices": []}, {"type": "debug"},
    ]  # fmt: skip
    for other in others:
        assert not dialect.detect(Transcript(body(other))), other
    for data in (b"", b"data: {\n\n", b"data: []\n\n", b"\x00\x00\x00\x10"):
        assert not dialect.detect(Transcript(data))
