"""The mutations of Responses streams, and what the dialect's own accumulator makes of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_responses import OpenAIResponses, Reader
from streamkit.errors import DialectError, PayloadError
from streamkit.mutations import openai_responses, openai_responses_faults
from streamkit.mutations.registry import Class, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

MUTATIONS = {
    one.name: one
    for module in (openai_responses, openai_responses_faults)
    for one in vars(module).values()
    if isinstance(one, Mutation)
}
CALLS = (
    ToolCall("call_a", "get_weather", '{"city":"Paris","unit":"C"}', index=1, extra={"id": "fc_1"}),
    ToolCall("call_b", "get_time", '{"zone":"CET"}', index=2, extra={"id": "fc_2"}),
)
ANSWER = Completion(
    (Choice(0, content="Let me see.", tool_calls=CALLS, finish_reason="completed"),),
    usage={"total_tokens": 3},
    id="resp_1",
    model="gpt-5",
    created=1,
    ended=True,
    extra={"completed_at": 2},
)
STREAM = Stream.of(OpenAIResponses().emit(ANSWER, Layout()))

#: Of the dialect class, those where the reference gives the typed error that is right too.
REPORTED = {"responses_chat_chunk"}


def outcome(body: bytes) -> Completion | DialectError:
    reader = Reader()
    try:
        reader.feed(body)
        reader.close()
        return reader.result()
    except DialectError as error:
        return error


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_the_reference_does_what_is_right_for_every_mutation(name: str) -> None:
    one = MUTATIONS[name]
    variants = list(one.variants(STREAM))
    assert variants
    applied = 0
    for numbers in variants:
        try:
            edit = one.apply(STREAM, numbers)
        except Inapplicable:
            continue
        applied += 1
        result = outcome(edit.stream.body())
        expected = ANSWER if edit.expected is None else edit.expected(ANSWER)
        if one.kind == Class.FAULT:
            assert isinstance(result, DialectError), (numbers, edit.said)
            assert not result.partial.ended, (numbers, edit.said)
            assert not any(call.executable for call in result.partial.tool_calls), (numbers, edit.said)
        elif name in REPORTED:
            assert isinstance(result, PayloadError), (numbers, edit.said)
        else:
            assert expected == result, (numbers, edit.said)
    assert applied


@pytest.mark.parametrize("name", ["responses_incomplete", "responses_incomplete_arguments"])
def test_no_call_of_an_incomplete_answer_is_expected_to_be_executable(name: str) -> None:
    edit = MUTATIONS[name].apply(STREAM)
    assert edit.expected is not None
    assert [False, False] == [call.executable for call in edit.expected(ANSWER).tool_calls]


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_every_mutation_of_a_stream_without_calls_is_right_or_inapplicable(name: str) -> None:
    answer = replace(ANSWER, choices=(Choice(0, content="Hi", finish_reason="completed"),))
    stream = Stream.of(OpenAIResponses().emit(answer, Layout(token_size=1)))
    for numbers in MUTATIONS[name].variants(stream, 3):
        try:
            edit = MUTATIONS[name].apply(stream, numbers)
        except Inapplicable:
            continue
        result = outcome(edit.stream.body())
        expected = answer if edit.expected is None else edit.expected(answer)
        refused = MUTATIONS[name].kind == Class.FAULT or name in REPORTED
        assert isinstance(result, DialectError) if refused else expected == result


def test_streams_of_other_dialects_are_left_alone() -> None:
    other = replace(STREAM, dialect="openai_chat")
    for one in MUTATIONS.values():
        with pytest.raises(Inapplicable):
            one.apply(other)
