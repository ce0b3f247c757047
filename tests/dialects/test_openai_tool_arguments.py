"""What the fragments of a tool call's arguments add up to, and which calls must not be executed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from skhelpers.chat import DONE, Json, call, calls, delta, finish, read

from streamkit.completion import FunctionCall
from streamkit.errors import PayloadError

if TYPE_CHECKING:
    pass
from skhelpers.chat_calls import PARIS, WEATHER, A, B, heads, made

# Arguments


@pytest.mark.parametrize("cut", range(1, 40))
def test_arguments_may_be_cut_anywhere_even_inside_their_escapes(cut: int) -> None:  # anomalyco/opencode#44875
    text = r'{"a":"\n\u00e9\ud83c\udf0d}{\\","b":[1,2]}'
    found = made(calls(call(**A, arguments=text[:cut])), calls(call(arguments=text[cut:])))
    assert (text, {"a": "\né🌍}{\\", "b": [1, 2]}) == (found[0].arguments, found[0].parsed())


def test_braces_inside_arguments_are_not_taken_for_another_object() -> None:  # intrafind/ihub-apps#1802
    text = '{"{":{"{}":{}},"}{":"{"}'
    for a, b in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        fragments = [call(arguments=piece) for piece in (text[:a], text[a:b], text[b:])]
        assert [("call_a", "get_weather", text)] == heads(calls(call(**A), *fragments)), (a, b)


def test_surrogate_halves_in_two_fragments_of_arguments_are_paired() -> None:
    found = made(calls(call(**A, arguments='{"a":"\ud83c')), calls(call(arguments='\udf0d"}')))
    assert '{"a":"🌍"}' == found[0].arguments


@pytest.mark.parametrize("placeholder", ["{}", {}])
def test_an_empty_object_before_the_arguments_is_a_placeholder(placeholder: Any) -> None:  # openai-agents-js#712
    assert [WEATHER] == heads(calls(call(**A, arguments=placeholder)), calls(call(arguments=PARIS)))
    assert [WEATHER] == heads(
        calls(call(**A, arguments=placeholder)), calls(call(arguments=PARIS[:1])), calls(call(arguments=PARIS[1:]))
    )


@pytest.mark.parametrize(
    "pieces",
    [
        ["{}", " ", PARIS], ["{}", "\n\t ", PARIS[:5], PARIS[5:]], ["{}", f" {PARIS}"], ["{", "}", PARIS],
        ["{ }", PARIS], [" {", " } ", " ", PARIS[:1], PARIS[1:]], ["{}", "{}", PARIS], [f"{{}}{PARIS}"],
        ["{} " + PARIS[:3], PARIS[3:]], ["{}", " " * 100, *PARIS], ["{}", PARIS, PARIS],
    ],
)  # fmt: skip
def test_a_placeholder_is_found_however_it_is_cut_and_spaced(pieces: list[str]) -> None:
    found = made(calls(call(**A)), *(calls(call(arguments=piece)) for piece in pieces))
    assert (PARIS, True) == (found[0].arguments.strip(), found[0].executable)


def test_what_follows_a_placeholder_and_is_no_object_is_not_executable() -> None:
    for rest in ("1", "[]", '"a"', "{", '{"a":1}{}', '{"a":1}{"b":2}'):
        found = made(calls(call(**A, arguments="{}")), calls(call(arguments=rest)))
        assert not found[0].executable, rest


def test_an_empty_object_inside_arguments_is_no_placeholder() -> None:
    for text in ('{"a":{}}', '{"a":"{}{}"}', '{"a":[{},{}]}'):
        assert [("call_a", "get_weather", text)] == heads(calls(call(**A)), *(calls(call(arguments=c)) for c in text))


def test_a_placeholder_before_the_arguments_of_the_legacy_form_is_dropped() -> None:
    fragments: list[Json] = [{"name": "f", "arguments": "{}"}, {"arguments": " "}, {"arguments": '{"a":1}'}]
    completion = read(*(delta(function_call=fragment) for fragment in fragments), finish("function_call"), DONE)
    assert FunctionCall("f", ' {"a":1}') == completion.choices[0].function_call


@pytest.mark.parametrize("identity", [{}, A])
def test_a_call_sent_again_in_full_at_the_end_is_one_call(identity: Json) -> None:  # lidge-jun/opencodex#361
    fragments = [call(**A), call(arguments=PARIS[:8]), call(arguments=PARIS[8:]), call(**identity, arguments=PARIS)]
    assert [WEATHER] == heads(*(calls(fragment) for fragment in fragments))


def test_arguments_sent_as_an_object_are_written_as_json() -> None:  # ollama/ollama-python#484
    found = made(calls(call(**A, arguments={"city": "Zürich", "n": [1, None]})))
    assert ('{"city":"Zürich","n":[1,null]}', True) == (found[0].arguments, found[0].executable)


def test_arguments_that_are_whole_early_are_not_yet_the_arguments() -> None:  # vercel/ai#13137
    found = made(calls(call(**A, arguments="1")), calls(call(arguments="2")))
    assert ("12", "its arguments are JSON, but no object") == (found[0].arguments, found[0].problem)


# What must not be executed


@pytest.mark.parametrize("reason", ["tool_calls", "stop", "function_call", "eos"])
@pytest.mark.parametrize(
    "arguments",
    ['{"city":', '{"city":"Paris"', '{"a":1}{"b":2}', '{"a":1} {"a":1}', '{"a":NaN}', "[]", "null", "x", "{'a':1}"],
)
def test_arguments_that_are_no_object_are_not_executable_whatever_the_finish_reason(
    arguments: str, reason: str
) -> None:  # vllm-project/vllm#53269, vllm-project/vllm#32152
    found = made(calls(call(**A, arguments=arguments)), reason=reason)
    assert (arguments, False) == (found[0].arguments, found[0].executable)
    assert (found[0].problem or "").startswith("its arguments are")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("arguments", ["", "{}", '{"city":', PARIS])
def test_no_call_of_an_answer_that_was_cut_off_is_executable(arguments: str, reason: str) -> None:
    # NousResearch/hermes-agent#80623, langchain-ai/langchainjs#11469: nothing at all looks like a call without any
    found = made(calls(call(0, **B, arguments="{}")), calls(call(1, **A, arguments=arguments)), reason=reason)
    assert [f"the answer was cut off (finish reason {reason})"] * 2 == [tool_call.problem for tool_call in found]


def test_a_call_that_never_gets_a_name_is_not_executable() -> None:
    found = made(calls(call(id="call_a", arguments="{}")))
    assert ("", "it has no name") == (found[0].name, found[0].problem)


def test_different_arguments_for_one_call_are_not_executable() -> None:
    found = made(calls(call(**A, arguments='{"a":1}')), calls(call(**A, arguments='{"a":2}')))
    assert ['{"a":1}{"a":2}'] == [tool_call.arguments for tool_call in found]
    assert not found[0].executable


@pytest.mark.parametrize("reason", ["stop", "end_turn", "unknown"])
def test_calls_are_reported_whatever_the_finish_reason_says(reason: str) -> None:  # googleapis/python-genai#2868
    found = made(calls(call(**A, arguments=PARIS)), reason=reason)
    assert [WEATHER] == [(tool_call.id, tool_call.name, tool_call.arguments) for tool_call in found]


def test_calls_are_executable_where_the_finish_reason_is_stop() -> None:  # strands-agents/harness-sdk#1827
    assert {"city": "Paris"} == made(calls(call(**A, arguments=PARIS)), reason="stop")[0].parsed()


def test_calls_are_executable_where_done_came_without_a_finish_reason() -> None:  # openai/openai-node#1292
    completion = read(calls(call(**A, arguments=PARIS)), DONE)
    assert (True, None) == (completion.tool_calls[0].executable, completion.finish_reason)


# Wrong types


@pytest.mark.parametrize(
    "entry",
    [
        "call",
        call(**A, arguments=5),
        call(**A, arguments=["{}"]),
        {"index": "0"},
        {"index": 0.0},
        {"index": True},
        {"index": 0, "id": 7},
        {"index": 0, "type": 7},
        {"index": 0, "function": "f"},
        {"index": 0, "function": {"name": ["f"]}},
        {"function": {"arguments": "{}"}},  # no call for it to belong to
    ],
)
def test_an_entry_of_the_wrong_type_is_a_payload_error(entry: Any) -> None:
    with pytest.raises(PayloadError):
        read(calls(entry), DONE)


def test_a_list_of_calls_that_is_no_list_is_a_payload_error() -> None:
    with pytest.raises(PayloadError, match="tool_calls is"):
        read(delta(tool_calls={"index": 0}), DONE)


def test_a_fragment_of_nothing_that_belongs_to_no_call_is_ignored() -> None:
    assert () == made(calls({"function": {"arguments": " "}}), calls({}))
