"""Cohere's chat v2: when a stream has ended, what is an error, and what is refused."""

from __future__ import annotations

import pytest
from skhelpers.cohere_events import (
    START,
    WEATHER,
    Json,
    accumulated,
    arguments,
    block,
    body,
    finish,
    opener,
    read,
    typed,
)
from skhelpers.delivery import drip

from streamkit.errors import PayloadError, ProviderError, TruncatedStreamError

# The end


@pytest.mark.parametrize("count", range(len(WEATHER) - 1))
@pytest.mark.parametrize("done", [[], ["[DONE]"]])
def test_a_stream_without_message_end_was_cut_off_whatever_done_says(count: int, done: list[str]) -> None:
    with pytest.raises(TruncatedStreamError, match="no message-end came" if count else "no event at all") as caught:
        read(*WEATHER[:count], *done)
    assert not caught.value.partial.ended
    assert not any(made.executable for made in caught.value.partial.tool_calls)


def test_an_unfinished_event_is_counted() -> None:
    with pytest.raises(TruncatedStreamError, match="the last 9 bytes are an unfinished event"):
        accumulated([body(START) + b"event: me"])


def test_done_may_be_missing_and_nothing_counts_behind_it() -> None:
    assert read(*WEATHER) == read(*WEATHER[:-1]) == read(*WEATHER, START, "{")


# Errors


@pytest.mark.parametrize(
    ("event", "code", "said"),
    [
        (body(finish("ERROR", error="out of memory")), "ERROR", "out of memory"),
        (body(finish("COMPLETE", error={"a": 1})), "COMPLETE", '{"a": 1}'),
        (b'data: {"id":"a3c0","message":"too many requests"}\n\n', None, "too many requests"),
        (b'data: {"error":{"message":"proxy","code":502}}\n\n', 502, "proxy"),
        (b'event: error\ndata: {"message":"no"}\n\n', None, "no"),
        (b'data: {"type":"error","message":"no"}\n\n', "error", "no"),
    ],
)
def test_an_error_inside_the_stream_is_raised_with_what_had_come(event: bytes, code: object, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        accumulated(drip(body(*WEATHER[:-2]) + event + body(finish())))
    partial = caught.value.partial
    assert (code, "I will look.", False) == (caught.value.code, partial.choices[0].reasoning, partial.ended)
    assert [False, False] == [made.executable for made in partial.tool_calls]


# What is refused


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [
        ([START, START], "a second message-start"),
        ([finish(), finish()], "message-end after message-end"),
        ([finish(), typed("content-delta", 0, content={"text": "a"})], "content-delta after message-end"),
        ([*block(0, "text"), *block(0, "text")], "content block 0 begins a second time"),
        ([*block(0, "text"), typed("content-delta", 0, content={"text": "a"})], "content block 0 goes on after its"),
        ([*block(0, "text"), typed("content-end", 0)], "content block 0 goes on after its end"),
        ([typed("content-end", 0)], "the end of content block 0, which never began"),
        ([arguments(0, "{}")], "arguments of tool call 0, which never began"),
        ([arguments(None, "{}")], "arguments of tool call None, which never began"),
        ([opener(0), opener(0)], "tool call 0 begins a second time"),
        ([opener(0), opener(1), arguments(None, "{}")], "may belong to any tool call of 2"),
        ([typed("content-delta", 0, content={"text": 1})], "text is 1, where a string belongs"),
        ([typed("content-delta", 0)], "content is null, where an object belongs"),
        ([typed("tool-plan-delta", tool_plan=[])], "tool_plan is [], where a string belongs"),
        ([typed("tool-call-start", 0, tool_calls=[])], "tool_calls is [], where an object belongs"),
        ([typed("citation-start", 0, citations=[])], "citations is [], where an object belongs"),
        ([{"type": "content-end", "index": "0"}], 'index is "0", where a whole number belongs'),
        ([{"type": "message-end", "delta": []}], "delta is [], where an object belongs"),
        (["[]"], "no object"),
        (["{"], "not JSON"),
        (['{"a":NaN}'], "NaN is no JSON"),
        (['{"a":' + "[" * 200_000], "not JSON"),
    ],
)
def test_what_can_only_come_of_a_fault_is_refused(payloads: list[Json | str], reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(*payloads)
    assert reason in str(caught.value)
    assert not caught.value.partial.ended


def test_data_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(PayloadError, match="not UTF-8"):
        accumulated([b'data: {"type":"debug","prompt":"\xff"}\n\n'])
