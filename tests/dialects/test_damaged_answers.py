"""An answer that went wrong on the way never holds a call that looks whole."""

from __future__ import annotations

from typing import Any

import pytest
from skhelpers.chat import DONE, call, calls, delta, finish, sse

from streamkit.completion import Completion
from streamkit.dialects import accumulate
from streamkit.dialects.openai_chat import Reader
from streamkit.errors import PayloadError, ProviderError, TruncatedStreamError


def read(*events: Any) -> Completion:
    return accumulate([sse(*events)])


def bare(arguments: str, **fields: Any) -> dict[str, Any]:
    """A delta with a continuation of a call."""
    return {"choices": [{"index": 0, "delta": {"tool_calls": [{**fields, "function": {"arguments": arguments}}]}}]}


OPENER = calls(call(id="b", name="rm", arguments=""))


@pytest.mark.parametrize(
    "events",
    [
        [OPENER, bare('{"p":1}', index=1)],
        [calls(call(id="a", name="f", arguments='{"x":1}')), calls(call(1, id="b", name="rm", arguments="")),
         bare('{"p":1}', index=0)],
        [calls({"id": "a1", "function": {"name": "rm", "arguments": ""}}), bare("{", id="a2"), bare("}", id="a3")],
    ],
)  # fmt: skip
def test_arguments_that_went_astray_leave_no_call_with_empty_arguments_executable(events: list[Any]) -> None:
    # BerriAI/litellm#12973, poolsideai/pool#9
    completion = read(*events, finish("tool_calls"), DONE)
    assert not any(one.executable and not one.arguments.strip("{} ") for one in completion.tool_calls)
    assert any(one.problem for one in completion.tool_calls if one.name == "rm")


@pytest.mark.parametrize("reason", ["length", "max_tokens", "model_length", "content_filter", "error", "abort"])
def test_a_call_of_an_answer_that_was_cut_off_is_not_executable(reason: str) -> None:
    completion = read(calls(call(id="a", name="f", arguments='{"a":1}')), finish(reason), DONE)
    assert "cut off" in str(completion.tool_calls[0].problem)


def test_empty_arguments_need_a_finish_reason_that_is_known_to_be_good() -> None:
    assert not read(OPENER, finish("something_new"), DONE).tool_calls[0].executable
    assert read(calls(call(id="a", name="f", arguments='{"a":1}')), finish("something_new")).tool_calls[0].executable
    assert read(OPENER, finish("tool_calls")).tool_calls[0].executable
    assert read(OPENER, DONE).tool_calls[0].executable


def test_a_choice_that_finished_is_not_ended_while_another_is_cut() -> None:
    first = {"choices": [{"index": 0, "delta": {"tool_calls": [call(id="a", name="f", arguments="{}")]},
                          "finish_reason": "tool_calls"}]}  # fmt: skip
    second = {"choices": [{"index": 1, "delta": {"content": "Hel"}}]}
    with pytest.raises(TruncatedStreamError) as caught:
        read(first, second)
    partial = caught.value.partial
    assert not partial.ended
    assert not any(one.executable for choice in partial.choices for one in choice.tool_calls)
    shown = partial.to_openai(partial=True)
    assert [(None, None), (None, None)] == [(c.finish_reason, c.message.tool_calls) for c in shown.choices]


def test_an_error_stays_whatever_comes_after_it() -> None:
    reader = Reader()
    reader.feed(sse(calls(call(id="a", name="f", arguments="{}")), finish("tool_calls")))
    for again in (sse({"error": {"message": "boom"}}), sse(DONE), b""):
        if again:
            with pytest.raises(ProviderError, match="boom"):
                reader.feed(again)
    reader.close()
    with pytest.raises(ProviderError, match="boom"):
        reader.result()
    snapshot = reader.snapshot()
    assert not snapshot.ended
    assert not snapshot.tool_calls[0].executable
    assert snapshot.to_openai(partial=True).choices[0].finish_reason is None


@pytest.mark.parametrize(
    ("event", "message", "code"),
    [
        ({"detail": "boom"}, "boom", None),
        ({"errors": [{"message": "boom", "code": 7}], "success": False}, "boom", 7),
        ({"code": 500, "message": "boom"}, "boom", 500),
        ({"error": True, "message": "boom", "code": 3}, "boom", 3),
        ({"error": "boom", "code": 503}, "boom", 503),
        ({"choices": [], "object": "chat.completion.chunk", "x_groq": {"error": "boom"}}, "boom", None),
    ],
)
def test_an_error_in_an_unusual_envelope_is_no_silent_end(event: Any, message: str, code: int | None) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        read(delta(content="Hel"), event, DONE)
    assert code == caught.value.code
    assert "Hel" == caught.value.partial.content


def test_a_fragment_that_says_nothing_opens_no_call() -> None:
    for empty in ({"index": 1, "function": None}, {"index": 1, "function": {"arguments": ""}}, {"index": 1}):
        completion = read(calls(call(id="a", name="f", arguments="{}")), calls(empty), finish("tool_calls"))
        assert ["f"] == [one.name for one in completion.tool_calls]


def test_a_whole_answer_in_one_event_is_read_beside_an_empty_delta() -> None:
    message = {"role": "assistant", "content": "hello"}
    entry = {"index": 0, "delta": {}, "message": message, "finish_reason": "stop"}
    assert "hello" == read({"choices": [entry]}).content


def test_a_stream_of_nothing_but_its_sentinel_is_no_answer() -> None:
    with pytest.raises(TruncatedStreamError, match="no choice came"):
        read(DONE)


def test_a_late_id_with_another_name_is_another_call() -> None:
    first = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    completion = read(calls(first), calls(call(id="b", name="g", arguments="{}")), finish("tool_calls"))
    assert [(None, "f"), ("b", "g")] == [(one.id, one.name) for one in completion.tool_calls]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_details": 5},
        {"reasoning_details": True},
        {"content": [{"type": "thinking", "thinking": 5}]},
        {"content": [{"type": "thinking", "thinking": [None, 1, {"text": 5}]}]},
        {"refusal": [[]]},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": [1]}}]},
    ],
)
def test_a_misfit_in_a_delta_is_a_completion_or_a_typed_error(fields: Any) -> None:
    result: Any
    try:
        result = read(delta(**fields), finish("stop"))
    except PayloadError as error:
        result = error.partial
    assert result.choices


def test_a_value_nested_very_deep_is_a_typed_error() -> None:
    nested = "[" * 5000 + "]" * 5000
    body = f'data: {{"choices":[{{"index":0,"delta":{{"refusal":{nested}}}}}]}}\n\n'.encode()
    with pytest.raises(PayloadError):
        accumulate([body])


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_a_typed_error(constant: str) -> None:  # sgl-project/sglang#4097
    body = f'data: {{"choices":[{{"index":0,"delta":{{}},"logprobs":{{"content":[{{"logprob":{constant}}}]}}}}]}}\n\n'
    with pytest.raises(PayloadError, match="is no JSON"):
        accumulate([body.encode()])


def test_surrogate_halves_are_joined_in_a_providers_own_fields_too() -> None:
    halves = [delta(audio={"transcript": "\ud83c"}), delta(audio={"transcript": "\udf0d"})]
    completion = read(*halves, finish("stop"))
    assert "\U0001f30d" == completion.choices[0].extra["audio"]["transcript"]
    completion.to_openai().model_dump_json()
