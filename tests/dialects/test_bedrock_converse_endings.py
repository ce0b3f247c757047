"""ConverseStream: when a stream has ended, what the service reports, and what is refused."""

from __future__ import annotations

import pytest
from skhelpers.converse_events import (
    START,
    WEATHER,
    Event,
    accumulated,
    arguments,
    body,
    call,
    delta,
    finish,
    raw_message,
    read,
    refusal,
    stop,
    text,
)
from skhelpers.delivery import drip

from streamkit.dialects.bedrock_converse import Reader
from streamkit.errors import PayloadError, ProviderError, TruncatedStreamError

# The end


@pytest.mark.parametrize("count", range(len(WEATHER) - 2))
def test_a_stream_without_message_stop_was_cut_off(count: int) -> None:
    with pytest.raises(TruncatedStreamError, match="no messageStop came" if count else "no message at all") as caught:
        read(*WEATHER[:count])
    assert not caught.value.partial.ended
    assert not any(made.executable for made in caught.value.partial.tool_calls)


def test_a_stream_that_ends_inside_a_message_says_how_much_of_it_came() -> None:
    with pytest.raises(TruncatedStreamError, match="the last 20 bytes are an unfinished message"):
        accumulated([body(*WEATHER[:5]) + body(WEATHER[5])[:20]])


def test_metadata_may_be_missing() -> None:
    completion = read(*WEATHER[:-1])
    assert (True, None) == (completion.ended, completion.usage)


# Errors of the service


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (
            raw_message(message_type="exception", exception_type="throttlingException"),
            "throttlingException",
            "too fast",
        ),
        (raw_message(message_type="event", event_type="modelStreamErrorException"), "modelStreamErrorException", "too"),
        (raw_message(b"", message_type="error", error_code="500", error_message="broken"), "500", "broken"),
        (raw_message(b"no json", message_type="exception", exception_type="x"), "x", "no json"),
        (raw_message(b'{"Message":"big"}', message_type="exception"), None, "big"),
        (raw_message(b"[1]", message_type="exception"), None, r"\[1\]"),
    ],
)
def test_an_exception_of_the_service_is_raised_with_what_had_come(message: bytes, code: str, said: str) -> None:
    for end in (5, len(WEATHER)):
        with pytest.raises(ProviderError, match=said) as caught:
            accumulated(drip(body(*WEATHER[:end]) + message))
        assert code == caught.value.code
        assert "Let me look." == caught.value.partial.content
        assert (False, [False]) == (
            caught.value.partial.ended,
            [made.executable for made in caught.value.partial.tool_calls],
        )


# What is refused


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([START, START], "a second messageStart"),
        ([START, call(0), call(0)], "block 0 begins a second time"),
        ([START, text(0, "a"), call(0)], "block 0 begins a second time"),
        ([START, stop(0), text(0, "a")], "block 0 goes on after its contentBlockStop"),
        ([START, stop(0), stop(0)], "block 0 goes on"),
        ([START, arguments(0, "{}")], "which no contentBlockStart made a tool call"),
        ([START, call(0), text(0, "a")], "which is a tool call"),
        ([START, finish(), text(0, "a")], "contentBlockDelta after messageStop"),
        ([START, finish(), finish()], "messageStop after messageStop"),
        ([START, ("messageStop", {})], "stopReason is null, where a string belongs"),
        ([START, ("messageStop", {"stopReason": ""})], "stopReason is empty"),
        ([("messageStart", {"role": 1})], "role is 1, where a string belongs"),
        ([START, ("contentBlockDelta", {"delta": {"text": "a"}})], "contentBlockIndex is null, where a whole number"),
        ([START, ("contentBlockStop", {"contentBlockIndex": None})], "contentBlockIndex is null"),
        ([START, text(-1, "a")], "contentBlockIndex is -1"),
        ([START, text(True, "a")], "contentBlockIndex is true"),
        ([START, delta(0, text=1)], "text is 1, where a string belongs"),
        ([START, ("contentBlockDelta", {"contentBlockIndex": 0, "delta": None})], "delta is null, where an object"),
        ([START, call(0), delta(0, toolUse={"input": {}})], "input is {}, where a string belongs"),
        ([START, ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {}}})], "name is null"),
        ([START, delta(0, reasoningContent={"redactedContent": "?"})], "redactedContent is no base64"),
        ([START, finish(), ("metadata", {"usage": 1})], "usage is 1"),
        ([("chunk", {"bytes": "e30="})], "InvokeModelWithResponseStream"),
    ],
)
def test_what_can_only_come_of_a_fault_is_refused(events: list[Event], reason: str) -> None:
    assert reason in str(refusal(*events))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[]", "no object"),
        (b'{"contentBlockIndex":NaN}', "NaN is no JSON"),
        (b'{"contentBlockIndex":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":' + b"[" * 200_000, "not JSON"),
    ],
)
def test_a_payload_that_is_no_object_of_json_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        accumulated([raw_message(payload, event_type="contentBlockStop", message_type="event")])


@pytest.mark.parametrize("headers", [{}, {"event_type": "messageStart"}, {"message_type": "event"},
                                     {"message_type": "novelty", "event_type": "messageStart"}])  # fmt: skip
def test_a_message_that_does_not_say_what_it_is_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PayloadError, match="is no event"):
        accumulated([raw_message(b'{"role":"assistant"}', **headers)])


def test_a_broken_message_is_reported_with_what_came_before_it_even_in_the_same_chunk() -> None:
    damaged = bytearray(body(*WEATHER))
    damaged[-1] ^= 1
    for chunks in ([bytes(damaged)], drip(bytes(damaged))):
        with pytest.raises(PayloadError, match="its checksum is wrong") as caught:
            accumulated(chunks)
        assert ("Let me look.", False) == (caught.value.partial.content, caught.value.partial.ended)


def test_an_error_is_raised_again_by_every_later_call() -> None:
    reader = Reader()
    for _ in range(2):
        with pytest.raises(PayloadError, match="a second messageStart"):
            reader.feed(body(START, START))
    reader.close()
    with pytest.raises(PayloadError, match="a second messageStart"):
        reader.result()
