"""`synthesize`: one line makes a stream for a test, in every dialect that can write."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import dialects
from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects import accumulate
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat import OpenAIChat
from streamkit.errors import UsageError
from streamkit.generation import features
from streamkit.synthesis import finish_reason_of, refused, settled, synthesize
from streamkit.wire.sse import Framing

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
WRITERS = [name for name in dialects.names() if hasattr(dialects.get(name), "emit")]


class Narrow(OpenAIChat):
    """A dialect that has words of its own and carries short texts only."""

    name = "narrow"
    finish = {"stop": "done", "refusal": "no"}  # noqa: RUF012 - read only, as the convention has it

    def carries(self, completion: Completion) -> str | None:
        return None if len(completion.content or "") < 5 else "more than four characters"


class Deaf:
    """A dialect that writes nothing."""

    name = "deaf"


def one(**facts: Any) -> Any:
    """Return the first choice of a synthesized stream."""
    return accumulate(synthesize(**facts)).choices[0]


# Every dialect


@pytest.mark.parametrize("dialect", WRITERS)
def test_every_dialect_writes_a_text(dialect: str) -> None:
    completion = accumulate(synthesize("Grüße \U0001f30d", dialect=dialect), dialect=dialect)
    assert ("Grüße \U0001f30d", True) == (completion.content, completion.ended)


@pytest.mark.parametrize("dialect", [name for name in WRITERS if name != "openai_completions"])  # it has no calls
def test_every_dialect_that_has_calls_writes_calls_that_may_be_executed(dialect: str) -> None:
    assert "parallel" in features(dialect)
    given = [("f", {"city": "東京"}), ("g", {})]
    completion = accumulate(synthesize("a", tool_calls=given, dialect=dialect), dialect=dialect)
    assert given == [(call.name, call.parsed()) for call in completion.tool_calls]


@pytest.mark.parametrize("dialect", WRITERS)
def test_every_dialect_recognises_what_it_wrote(dialect: str) -> None:
    transcript = synthesize("Hello", dialect=dialect)
    assert (dialect, True) == (transcript.dialect, transcript.synthetic)
    assert dialects.get(dialect).detect(transcript)


# What is filled in


def test_the_same_call_gives_the_same_bytes() -> None:
    assert synthesize("a", tool_calls=[("f", {})]) == synthesize("a", tool_calls=[("f", {})])


def test_it_says_that_no_server_sent_it() -> None:
    transcript = synthesize("a", name="mine")
    assert (True, "mine", "written by streamkit.synthesize: no server sent it") == (
        transcript.synthetic, transcript.name, transcript.source,
    )  # fmt: skip


def test_ids_indexes_model_and_time_are_filled_in() -> None:
    completion = accumulate(synthesize(tool_calls=[("f", {}), ("g", {})]))
    assert ("synthetic", "synthetic", 1767225600) == (completion.id, completion.model, completion.created)
    assert [("call_0", 0), ("call_1", 1)] == [(call.id, call.index) for call in completion.tool_calls]


def test_what_was_given_is_kept() -> None:
    call = ToolCall("mine", "f", "{}", index=4, extra={"x": 1})
    completion = accumulate(synthesize(tool_calls=[call], id="i", model="m", usage=USAGE, finish_reason="stop"))
    assert ((call,), "i", "m", USAGE, "stop") == (
        completion.tool_calls, completion.id, completion.model, completion.usage, completion.finish_reason,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"content": "a"}, "stop"),
        ({}, "stop"),
        ({"refusal": "No."}, "stop"),
        ({"content": "a", "tool_calls": [("f", {})]}, "tool_calls"),
        ({"content": "a", "finish_reason": "length"}, "length"),
    ],
)
def test_the_finish_reason_fits_the_answer(facts: dict[str, Any], expected: str) -> None:
    assert expected == one(**facts).finish_reason


def test_a_dialect_has_words_of_its_own() -> None:
    words = [finish_reason_of(Narrow(), kind) for kind in ("stop", "tool_calls", "length", "refusal", "other")]
    assert ["done", "tool_calls", "length", "no", "done"] == words
    assert "tool_use" == finish_reason_of(type("X", (), {"name": "anthropic_messages"}), "tool_calls")


def test_texts_go_where_they_belong() -> None:
    choice = one(content="a", reasoning="b", refusal="c")
    assert ("a", "b", "c") == (choice.content, choice.reasoning, choice.refusal)


# Tool calls as they are given


@pytest.mark.parametrize(
    "given",
    [
        ("f", {"a": "é"}),
        ("f", '{"a":"é"}'),
        {"name": "f", "arguments": {"a": "é"}},
        {"name": "f", "input": {"a": "é"}, "index": 0},
        {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": '{"a":"é"}'}},
        ToolCall(None, "f", '{"a":"é"}'),
        ToolCall("call_0", "f", '{"a":"é"}', index=0),
    ],
)
def test_a_call_may_be_given_in_several_forms(given: Any) -> None:
    assert (ToolCall("call_0", "f", '{"a":"é"}', index=0),) == one(tool_calls=[given]).tool_calls


def test_a_custom_call_is_given_in_its_own_form() -> None:
    (call,) = one(tool_calls=[{"id": "c", "custom": {"name": "shell", "input": "ls"}}]).tool_calls
    assert ("custom", "shell", "ls", True) == (call.type, call.name, call.arguments, call.executable)


def test_a_call_without_arguments_is_given_as_empty_text() -> None:
    assert ["", "{}", ""] == [
        call.arguments for call in one(tool_calls=[("f", ""), ("g", {}), {"name": "h"}]).tool_calls
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("f", {"a": 1}), r"'f' is no tool call: write \(\"name\""),
        ({"name": "f"}, "tool_calls is a list"),
        ("f", "tool_calls is a list"),
        (5, "tool_calls is a list"),
        ([5], "5 is no tool call"),
        ([("f",)], "is no tool call"),
        ([("f", 5)], "are a mapping, or text"),
        ([("f", {"a": {1}})], "no JSON object"),
        ([("f", {"a": float("nan")})], "no JSON object"),
        ([{"arguments": {}}], "it has no name"),
        ([{"name": "f", "args": {}}], "unknown keys: args"),
    ],
)
def test_what_is_no_tool_call_is_answered_with_what_to_write(given: Any, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        synthesize(tool_calls=given)


# Cut off


def test_a_call_that_was_cut_off_has_its_problem() -> None:
    (call,) = one(tool_calls=[("f", '{"a":')], finish_reason="length").tool_calls
    assert ('{"a":', "the answer was cut off (finish reason length)") == (call.arguments, call.problem)


def test_arguments_that_are_no_json_are_sent_as_they_are() -> None:
    (call,) = one(tool_calls=[("f", "{a}")]).tool_calls
    assert not call.executable
    assert "{a}" == call.arguments


# Layout and whole completions


def test_the_layout_is_passed_on() -> None:
    body = synthesize("Hello", token_size=2, keep_alive=True, framing=Framing(line_end=b"\r\n")).body
    assert b'"content":"He"' in body
    assert b": keep-alive\r\n\r\n" in body
    assert 1 == len(synthesize("Hello", chunk="whole").lengths)
    assert b'"choices":[],"usage"' not in synthesize("Hello", usage=USAGE, usage_at="finish").body
    assert 1 == synthesize(tool_calls=[("f", {"a": 1})], calls="whole").body.count(b'"tool_calls":')
    with pytest.raises(UsageError, match="token_size is 0"):
        synthesize("a", token_size=0)


def test_a_whole_completion_is_written_as_it_is() -> None:
    completion = Completion((Choice(0, content="a"), Choice(1, content="b", finish_reason="stop")), ended=True)
    assert completion == accumulate(synthesize(completion=completion))


def test_a_completion_and_its_parts_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="either a completion or its parts"):
        synthesize("a", completion=Completion(ended=True))


def test_what_the_dialect_cannot_carry_is_said() -> None:
    with pytest.raises(UsageError, match="empty reasoning"):
        synthesize("a", reasoning="")
    with pytest.raises(UsageError, match="more than four"):
        synthesize("Hello", dialect=Narrow())
    with pytest.raises(UsageError, match="writes none"):
        synthesize("Hello", dialect=Deaf())
    with pytest.raises(UsageError, match="did you mean 'openai_chat'"):
        synthesize("Hello", dialect="openai-chat")


def test_a_dialect_may_be_given_itself() -> None:
    assert b'"finish_reason":"done"' in synthesize("a", dialect=Narrow()).body


# refused and settled


def test_a_dialect_is_asked_before_it_is_tried() -> None:
    completion = settled(OpenAIChat(), Completion((Choice(0, content="Hello", finish_reason="stop"),), ended=True))
    assert None is refused(OpenAIChat(), completion)
    assert "more than four characters" == refused(Narrow(), completion)
    assert "usage='none'" in str(refused(OpenAIChat(), settled_usage(), Layout(usage="none")))


def settled_usage() -> Completion:
    return Completion((Choice(0, content="a", finish_reason="stop"),), usage=USAGE, ended=True)


class Blocks(OpenAIChat):
    """A dialect as some are: an index counts the texts too, calls have no id, and nothing says who answered."""

    name = "blocks"

    def carries(self, completion: Completion) -> str | None:
        choice = completion.choices[0]
        first = sum(bool(text) for text in (choice.content, choice.reasoning))
        wanted = [(None, first + number) for number in range(len(choice.tool_calls))]
        if wanted != [(call.id, call.index) for call in choice.tool_calls]:
            return "the calls are counted otherwise"
        return None if (completion.id, completion.model, completion.created) == (None,) * 3 else "nobody answered"


def test_what_is_open_is_settled_as_the_dialect_has_it() -> None:
    transcript = synthesize("a", reasoning="b", tool_calls=[("f", {}), ("g", {})], dialect=Blocks())
    completion = accumulate(transcript)
    assert [(None, 2), (None, 3)] == [(call.id, call.index) for call in completion.tool_calls]
    assert (None, None) == (completion.id, completion.model)
