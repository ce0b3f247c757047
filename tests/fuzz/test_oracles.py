from __future__ import annotations

from typing import Any

import pytest

import streamkit
from streamkit.fuzz.normal import normalise
from streamkit.fuzz.oracles import Reference, reference_of
from streamkit.transcript import Transcript

BOSTON = streamkit.load("openai_chat/boston_weather")
TEXT = streamkit.load("openai_chat/synthetic_multibyte_text")
ARGUMENTS = '{\n  "location": "Boston"\n}'
ID = "call_telkvFkERZ3MW3eLzHsVrRhl"


def reference(transcript: Transcript = BOSTON) -> Reference:
    found = reference_of(transcript)
    assert found is not None
    return found


def judge(value: Any, transcript: Transcript = BOSTON, returns: str = "message") -> bool | None:
    """Return whether the result agrees with the stream; None where there was nothing to compare."""
    verdict = reference(transcript).judge(normalise(value), returns)
    return None if verdict is None else verdict.same


NESTED = {"id": ID, "type": "function", "function": {"name": "get_current_weather", "arguments": ARGUMENTS}}
FLAT = {"name": "get_current_weather", "arguments": ARGUMENTS}


@pytest.mark.parametrize(
    "value",
    [
        streamkit.accumulate([BOSTON.body]),
        streamkit.accumulate([BOSTON.body]).to_openai(),
        {"choices": [{"message": {"content": None, "tool_calls": [NESTED]}, "finish_reason": "tool_calls"}]},
        {"role": "assistant", "content": "", "tool_calls": [NESTED]},
        {"content": None, "tool_calls": [FLAT], "finish_reason": "tool_calls"},
        {"tool_calls": {0: FLAT}},
        {"tool_calls": {"0": {"name": "get_current_weather"}}},
        {"tool_calls": [{**FLAT, "arguments": {"location": "Boston"}}]},
        {"tool_calls": [FLAT], "elapsed": 3, "finish_reason": None},
        {"content": "", "text": "something else"},
    ],
)
def test_a_right_result_is_recognised_in_its_usual_shapes(value: Any) -> None:
    assert judge(value) is True


@pytest.mark.parametrize(
    "value",
    [
        {"content": "hello"},
        {"content": "", "tool_calls": []},
        {"content": "", "tool_calls": None},
        {"tool_calls": [FLAT, FLAT]},
        {"tool_calls": [{**FLAT, "name": "get_current_weatherget_current_weather"}]},
        {"tool_calls": [{**FLAT, "arguments": ARGUMENTS[:-1]}]},
        {"tool_calls": [{**FLAT, "arguments": {}}]},
        {"tool_calls": [{**FLAT, "id": "another"}]},
        {"tool_calls": [FLAT], "finish_reason": "stop"},
        {"choices": [{"message": {"content": "x"}}]},
        {"choices": [{"message": {"content": ""}}, {"message": {"content": ""}}]},
    ],
)
def test_a_wrong_result_is_seen(value: Any) -> None:
    assert judge(value) is False


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", b"bytes", [], ["a", "b"], {"answer": "x"}, {"content": [1]}, {"tool_calls": "none"}, [("a", 1)]],
)
def test_what_is_not_recognised_is_not_compared(value: Any) -> None:
    assert judge(value) is None


def test_payloads_that_a_target_decoded_are_accumulated_and_compared() -> None:
    import json

    from streamkit.wire.sse import decode

    payloads = [json.loads(event.data) for event in decode(BOSTON.body)[:-1]]
    assert judge(payloads) is True
    assert judge([*payloads, "[DONE]"]) is True
    assert judge(payloads[:-3]) is False
    assert judge(payloads[1:]) is False


def test_events_are_compared_by_their_data_and_may_leave_out_the_sentinel() -> None:
    from streamkit.wire.sse import decode

    events = decode(TEXT.body)
    data = [event.data for event in events]
    assert judge(events, TEXT, "events") is True
    assert judge(data, TEXT, "events") is True
    assert judge(data[:-1], TEXT, "events") is True
    assert judge([{"event": "message", "data": one} for one in data], TEXT, "events") is True
    assert judge(data[1:], TEXT, "events") is False
    assert judge([*data, ""], TEXT, "events") is False
    assert judge([1], TEXT, "events") is None


def test_a_broken_stream_has_no_right_result_to_compare_with() -> None:
    truncated = Transcript(BOSTON.body[:1500], name="truncated", dialect="openai_chat")
    assert "TruncatedStreamError" == reference(truncated).error
    assert judge({"content": "anything"}, truncated) is None


def test_a_stream_of_no_known_dialect_has_no_reference() -> None:
    assert reference_of(Transcript(b"data: hello\n\n")) is None
