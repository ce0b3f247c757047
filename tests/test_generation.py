"""Generated answers and streams: what they are made of, that they can be carried, and what they shrink towards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from streamkit import dialects
from streamkit.completion import Completion
from streamkit.dialects import accumulate
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat import OpenAIChat
from streamkit.errors import UsageError
from streamkit.generation import arguments, completions, features, layouts, texts, transcripts
from streamkit.transcript import Transcript

WRITERS = [name for name in dialects.names() if hasattr(dialects.get(name), "emit")]
QUICK = settings(database=None, max_examples=2000, derandomize=True)
FIRST = settings(QUICK, max_examples=50)  # enough where every example is one


class Narrow(OpenAIChat):
    """A dialect that knows one text in one choice."""

    name = "narrow"

    def carries(self, completion: Completion) -> str | None:
        choice = completion.choices[0]
        plain = choice.content and not choice.tool_calls and completion.usage is None and len(completion.choices) == 1
        odd = choice.refusal or choice.reasoning or choice.logprobs or choice.function_call
        return None if plain and not odd else "only a text is carried"


class Mute(Narrow):
    name = "mute"

    def carries(self, completion: Completion) -> str | None:
        return "nothing is carried"


# Texts and arguments


@pytest.mark.parametrize(
    "nasty",
    ["\u2028", "\u2029", "\x85", "\U0001f30d", "\u0301", "}{", "data: ", "\n", "\\u00e9", "[DONE]", "\0", "\ufeff"],
)
def test_texts_hold_what_parsers_break_on(nasty: str) -> None:
    assert nasty in find(texts(), lambda text: nasty in text, settings=QUICK)


def test_texts_shrink_towards_the_empty_text() -> None:
    assert "" == find(texts(), lambda _: True, settings=FIRST)
    assert "a" == find(texts(), bool, settings=QUICK)


@given(texts())
def test_texts_can_be_encoded(text: str) -> None:
    assert text == text.encode().decode()


@given(arguments())
def test_arguments_are_a_json_object(text: str) -> None:
    assert isinstance(json.loads(text), dict)


@given(arguments(written=False))
def test_compact_arguments_come_back_from_json(text: str) -> None:
    assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("part", ["\\ud83c", " ", "\\u00e9", "}{", "\n"])
def test_arguments_are_written_in_several_ways(part: str) -> None:
    assert part in find(arguments(), lambda text: part in text, settings=QUICK)


# Completions


@pytest.mark.parametrize(
    "wanted",
    [
        lambda c: len(c.choices) == 2,
        lambda c: c.content == "",
        lambda c: c.content is None and not c.tool_calls,
        lambda c: len(c.tool_calls) == 3,
        lambda c: len({call.name for call in c.tool_calls}) < len(c.tool_calls),
        lambda c: any(call.arguments == "" for call in c.tool_calls),
        lambda c: c.content and c.tool_calls,
        lambda c: c.choices[0].refusal,
        lambda c: c.choices[0].reasoning,
        lambda c: c.choices[0].logprobs,
        lambda c: c.choices[0].function_call,
        lambda c: c.usage,
        lambda c: "\u2028" in (c.content or ""),
    ],
    ids=["choices", "empty", "silence", "calls", "one name", "no arguments", "text and calls", "refusal", "reasoning",
         "logprobs", "function call", "usage", "line separator"],
)  # fmt: skip
def test_every_kind_of_answer_is_generated(wanted: Callable[[Completion], Any]) -> None:
    assert wanted(find(completions(), lambda c: bool(wanted(c)), settings=QUICK))


def test_completions_shrink_towards_one_choice_with_nothing_in_it() -> None:
    least = find(completions(), lambda _: True, settings=FIRST)
    assert (1, None, (), None) == (len(least.choices), least.content, least.tool_calls, least.usage)


def test_a_call_shrinks_towards_one_without_arguments() -> None:
    (call,) = find(completions(), lambda c: bool(c.tool_calls), settings=QUICK).tool_calls
    assert ("f", "") == (call.name, call.arguments)


@pytest.mark.parametrize("dialect", WRITERS)
def test_every_dialect_carries_what_is_generated_for_it(dialect: str) -> None:
    @settings(database=None, max_examples=20, derandomize=True, deadline=None)
    @given(completions(dialect))
    def carried(completion: Completion) -> None:
        speaker: Any = dialects.get(dialect)
        assert completion == accumulate(speaker.emit(completion, Layout()), dialect=dialect)

    carried()


# What a dialect carries


def test_a_dialect_is_asked_what_it_carries() -> None:
    assert {"content"} == features(Narrow())
    assert {"calls", "parallel", "choices", "refusal", "logprobs", "function call", "no arguments"} <= features()


@given(completions(Narrow()))
@settings(max_examples=20)
def test_a_narrow_dialect_is_given_what_it_carries(completion: Completion) -> None:
    assert None is Narrow().carries(completion)


def test_a_dialect_that_carries_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="carries neither text nor calls"):
        completions(Mute())


# Layouts and transcripts


def test_every_layout_is_generated() -> None:
    kinds: tuple[Callable[[Layout], bool], ...] = (
        lambda layout: layout.token_size == 1 and layout.calls == "interleaved",
        lambda layout: layout.framing.line_end == b"\r" and layout.framing.bom,
        lambda layout: layout.keep_alive and layout.usage == "every" and layout.chunk == "whole",
    )
    for wanted in kinds:
        assert wanted(find(layouts(), wanted, settings=QUICK))
    assert (1000, "sequential", "last", False) == tuple(
        getattr(find(layouts(), lambda _: True, settings=FIRST), name)
        for name in ("token_size", "calls", "usage", "keep_alive")
    )


@given(st.data())
@settings(max_examples=30)
def test_a_generated_transcript_is_a_whole_answer(data: st.DataObject) -> None:
    transcript = data.draw(transcripts())
    assert (True, "openai_chat") == (transcript.synthetic, transcript.dialect)
    assert accumulate(transcript).ended


def test_transcripts_shrink_towards_the_smallest_stream() -> None:
    least = find(transcripts(), lambda _: True, settings=FIRST)
    assert 3 == len(least.lengths)
    assert least == find(transcripts(), lambda _: True, settings=FIRST)
    assert isinstance(least, Transcript)
