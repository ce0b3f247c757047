"""What a completion allows to be done with it, and that nothing of a stream that ended early looks finished."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion_message_custom_tool_call import ChatCompletionMessageCustomToolCall
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall
from openai.types.completion_usage import CompletionUsage, PromptTokensDetails
from skhelpers.chat import DONE, call, calls, choice, delta, finish, payload, read, sse, weather

from streamkit.completion import Choice, Completion, FunctionCall, ToolCall, argument_problem
from streamkit.dialects import accumulate
from streamkit.errors import TruncatedStreamError

# Arguments and calls


@pytest.mark.parametrize(
    "arguments", ["", " ", "\n\t", "{}", ' {"a": 1}\n', '{"a":{"b":[]}}', '{"a":"}{"}', '{"é":"\\ud83c"}']
)
def test_arguments_that_are_a_json_object_or_empty_are_no_problem(arguments: str) -> None:
    assert argument_problem(arguments) is None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"a":', "its arguments are not JSON: "),
        ('{"a":1', "its arguments are not JSON: "),
        ('{"a":1}x', "its arguments are not JSON: "),
        ('{"a":1}{}', "its arguments are not JSON: "),
        ('{"a":1,}', "its arguments are not JSON: "),
        ("{'a':1}", "its arguments are not JSON: "),
        ('{"a":"\n"}', "its arguments are not JSON: "),
        ('{"a":NaN}', "its arguments are not JSON: NaN is not JSON"),
        ('{"a":[-Infinity]}', "its arguments are not JSON: -Infinity is not JSON"),
        pytest.param('{"a":' + "1" * 5000 + "}", "its arguments are not JSON: ", id="too many digits"),
        pytest.param('{"a":' * 100_000, "its arguments are not JSON: ", id="nested too deep"),
        ("\ufeff{}", "its arguments are not JSON: "),
        ("[]", "its arguments are JSON, but no object"),
        ("null", "its arguments are JSON, but no object"),
        ('"{}"', "its arguments are JSON, but no object"),
        ("1", "its arguments are JSON, but no object"),
    ],
)
def test_arguments_are_parsed_strictly(arguments: str, problem: str) -> None:
    assert (argument_problem(arguments) or "").startswith(problem)


@pytest.mark.parametrize(("arguments", "expected"), [("", {}), (" \n", {}), ('{"a": [1]}', {"a": [1]})])
def test_parsed_gives_the_arguments_of_an_executable_call(arguments: str, expected: Any) -> None:
    tool_call = ToolCall("call_a", "f", arguments)
    assert (True, expected) == (tool_call.executable, tool_call.parsed())


def test_parsed_refuses_a_call_that_is_not_executable() -> None:
    tool_call = ToolCall("call_a", "rm", "{}", problem="the stream ended before it was finished")
    assert not tool_call.executable
    with pytest.raises(ValueError, match="tool call 'rm' is not executable: the stream ended"):
        tool_call.parsed()


def test_a_legacy_call_with_a_problem_is_not_executable() -> None:
    assert (True, False) == (FunctionCall("f", "{}").executable, FunctionCall("f", "{", "not JSON").executable)


def test_the_shortcuts_are_those_of_the_first_choice() -> None:
    tool_call = ToolCall("call_a", "f", "{}")
    first = Choice(0, content="a", tool_calls=(tool_call,), finish_reason="stop")
    completion = Completion((first, Choice(1, content="b")))
    assert ("a", (tool_call,), "stop") == (completion.content, completion.tool_calls, completion.finish_reason)
    assert (None, (), None) == (Completion().content, Completion().tool_calls, Completion().finish_reason)


# The openai library's own type


def test_to_openai_gives_the_type_of_the_library_down_to_the_leaves() -> None:
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    custom = {"index": 1, "id": "call_c", "type": "custom", "custom": {"name": "grep", "input": "a+"}}
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    completion = read(
        payload({**choice(content="Hi", reasoning="hm"), "logprobs": {"content": [token]}}, system_fingerprint="fp_1"),
        calls(call(id="call_a", name="f", arguments="{}"), custom),
        payload(choice(0, "tool_calls"), usage=usage, service_tier="default", provider="P"),
        DONE,
    ).to_openai()
    assert isinstance(completion, ChatCompletion)
    assert ("chatcmpl-1", "chat.completion", 1712173516, "gpt-4o") == (
        completion.id,
        completion.object,
        completion.created,
        completion.model,
    )
    assert ("fp_1", "default") == (completion.system_fingerprint, completion.service_tier)
    message = completion.choices[0].message
    assert isinstance(message, ChatCompletionMessage)
    assert ("assistant", "Hi", None) == (message.role, message.content, message.refusal)
    function, grep = message.tool_calls or []
    assert isinstance(function, ChatCompletionMessageFunctionToolCall)
    assert ("call_a", "f", "{}") == (function.id, function.function.name, function.function.arguments)
    assert isinstance(grep, ChatCompletionMessageCustomToolCall)
    assert ("grep", "a+") == (grep.custom.name, grep.custom.input)
    assert isinstance(completion.usage, CompletionUsage)
    assert isinstance(completion.usage.prompt_tokens_details, PromptTokensDetails)
    assert completion.choices[0].logprobs is not None
    assert ["Hi"] == [entry.token for entry in completion.choices[0].logprobs.content or []]
    assert {"provider": "P"} == completion.model_extra
    assert {"reasoning_content": "hm"} == message.model_extra
    assert completion.model_dump(exclude_unset=True) == json.loads(completion.model_dump_json(exclude_unset=True))


def test_to_openai_of_a_plain_answer_validates_as_the_answer_of_the_api() -> None:
    completion = read(delta(role="assistant", content="Hi"), finish(), DONE).to_openai()
    assert completion == ChatCompletion.model_validate(completion.model_dump())
    assert {"role": "assistant", "content": "Hi", "refusal": None} == completion.choices[0].message.to_dict()


def test_to_openai_fills_in_what_the_type_requires_and_no_more() -> None:
    completion = read({"choices": [choice(0, "stop", content="Hi")]}).to_openai()
    assert {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": 1} == {
        **completion.to_dict(),
        "choices": len(completion.choices),
    }


def test_to_openai_keeps_a_legacy_call_and_every_choice() -> None:
    first = payload(choice(0, function_call={"name": "f", "arguments": "{}"}), choice(1, refusal="no"))
    completion = read(first, finish("function_call", 0), finish("stop", 1)).to_openai()
    function = completion.choices[0].message.function_call
    assert function is not None
    assert ("f", "{}") == (function.name, function.arguments)
    assert ([0, 1], "no") == ([part.index for part in completion.choices], completion.choices[1].message.refusal)


def test_to_openai_gives_a_call_without_id_one() -> None:
    nameless = [call(index, name="f", arguments="{}") for index in range(2)]
    completion = read(calls(*nameless), finish("tool_calls")).to_openai()
    assert ["call_0", "call_1"] == [tool_call.id for tool_call in completion.choices[0].message.tool_calls or []]


def test_to_openai_of_an_answer_that_was_cut_off_shows_its_call_as_it_is() -> None:
    legacy = {"name": "g", "arguments": '{"b'}
    fragments = calls(call(id="call_a", name="f", arguments='{"a'), function_call=legacy)
    shown = read(fragments, finish("length")).to_openai().choices[0]
    assert shown.message.function_call is not None
    assert ("length", 1) == (shown.finish_reason, len(shown.message.tool_calls or []))
    assert '{"b' == shown.message.function_call.arguments


# Streams that ended early

STREAMS = {
    "one call": weather(),
    "text": sse(delta(role="assistant", content="Grüße "), delta(content="🌍"), finish(), DONE),
    "two calls": sse(
        calls(call(0, id="call_a", name="rm", arguments="{}")),
        calls(call(1, id="call_b", name="delete_all", arguments="")),
        finish("tool_calls"),
        DONE,
    ),
    "a call whose arguments came at once": sse(
        calls(call(id="a", name="rm", arguments='{"all":true}')), finish("stop")
    ),
    "a call without arguments": sse(calls(call(id="a", name="rm")), DONE),
    "a legacy call": sse(delta(function_call={"name": "rm", "arguments": "{}"}), finish("function_call"), DONE),
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_nothing_that_ended_early_looks_finished_wherever_it_was_cut(body: bytes) -> None:
    # NousResearch/hermes-agent#80623, langchain-ai/langchain#39275, earendil-works/pi#9897
    signals = [body.find(b'"finish_reason":"'), body.find(DONE.encode())]
    end = body.index(b"\n\n", min(signal for signal in signals if signal >= 0)) + 2
    for cut in range(end):
        with pytest.raises(TruncatedStreamError) as caught:
            accumulate([body[:cut]])
        partial = caught.value.partial
        assert not partial.ended
        with pytest.raises(TruncatedStreamError):
            partial.to_openai()
        seen = partial.to_openai(partial=True)
        for part, shown in zip(partial.choices, seen.choices, strict=True):
            assert [False] * len(part.tool_calls) == [tool_call.executable for tool_call in part.tool_calls]
            assert part.function_call is None or not part.function_call.executable
            assert (None, None, None) == (shown.finish_reason, shown.message.tool_calls, shown.message.function_call)
    for cut in range(end, len(body) + 1):
        assert accumulate([body[:cut]]).ended


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_what_had_come_when_a_stream_ended_early_is_the_beginning_of_the_answer(body: bytes) -> None:
    whole = accumulate([body])
    for cut in range(len(body)):
        try:
            partial = accumulate([body[:cut]])
        except TruncatedStreamError as error:
            partial = error.partial
        assert (whole.content or "").startswith(partial.content or "")
        for known, tool_call in zip(whole.tool_calls, partial.tool_calls, strict=False):
            assert known.arguments.startswith(tool_call.arguments)
            assert (known.id, known.name) == (tool_call.id, tool_call.name)


def test_the_error_of_an_early_end_tells_what_is_missing() -> None:
    said = r"the stream ended early: no finish reason and no \[DONE\] came \(event 1 at byte"
    with pytest.raises(TruncatedStreamError, match=said):
        read(delta(content="a"))
    with pytest.raises(TruncatedStreamError, match=r"ended early: to_openai\(partial=True\) gives what there is"):
        Completion().to_openai()
