"""The mutations of Gemini, Ollama and legacy completions keep what their class promises, judged by the dialects."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.mutated import why_unlawful

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.gemini import Gemini
from streamkit.dialects.layout import Layout
from streamkit.dialects.ollama import Ollama
from streamkit.dialects.openai_completions import OpenAICompletions
from streamkit.errors import DialectError
from streamkit.mutations import frames, framing, gemini, gemini_faults, ollama, openai_completions, other_added
from streamkit.mutations.registry import Class, Inapplicable, Mutation, mutations
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

DIALECTS: dict[str, Any] = {one.name: one for one in (Gemini(), Ollama(), OpenAICompletions())}
MODULES = (gemini, gemini_faults, ollama, openai_completions)
MUTATIONS = [one for module in MODULES for one in vars(module).values() if isinstance(one, Mutation)]

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
TALK = Choice(0, content="Hello 日本 🌤", reasoning="Let me see", finish_reason="STOP")
CALLS = (
    ToolCall("c1", "f", '{"b":[1.5],"a":"ü"}'),
    ToolCall("c2", "g", "{}"),
    ToolCall(None, "f", '{"a":"日本 🌤","b":1.5,"c":null,"d":true,"e":""}'),
)


def of(dialect: str, completion: Completion, layout: Layout | None = None, **more: Any) -> Transcript:
    made: Transcript = DIALECTS[dialect].emit(completion, layout or Layout(), **more)
    return made


def completion(*choices: Choice, **fields: Any) -> Completion:
    return Completion(choices, model="m", ended=True, **fields)


GEMINI = [
    completion(TALK, usage={"promptTokenCount": 1, "totalTokenCount": 9}),
    completion(replace(TALK, tool_calls=CALLS, extra={"parts": [{"inlineData": {"data": "AA=="}}]}), id="r"),
    completion(TALK, replace(TALK, index=1, content="Bye", finish_reason="MAX_TOKENS"), usage={"totalTokenCount": 9}),
]
OLLAMA = [
    completion(replace(TALK, finish_reason="stop"), usage={"eval_count": 3}),
    completion(replace(TALK, finish_reason="stop", tool_calls=CALLS), extra={"created_at": "t"}),
    completion(Choice(0, tool_calls=CALLS[:2], finish_reason="stop")),
]
TEXT = Choice(0, content="Hello 日本 🌤", finish_reason="stop")
COMPLETIONS = [
    completion(TEXT, usage=USAGE, id="c", created=1),
    completion(TEXT, replace(TEXT, index=1, content="Good bye", finish_reason="length"), usage=USAGE),
    completion(replace(TEXT, logprobs={"tokens": ["Hel", "lo"]})),
]
GENERATE = b"".join(
    b'{"model":"m","created_at":"t",' + fields + b"}\n"
    for fields in (b'"response":"Hel","done":false', b'"response":"lo","done":false',
                   b'"response":"","done":true,"done_reason":"stop","context":[1],"eval_count":2')
)  # fmt: skip
TRANSCRIPTS = [
    *(
        of("gemini", made, Layout(calls=calls))
        for made, calls in product(GEMINI, ("sequential", "whole", "interleaved"))
    ),
    *(of("gemini", made, wire="jsonarray") for made in GEMINI),
    *(of("ollama", made, Layout(calls=calls)) for made, calls in product(OLLAMA, ("sequential", "whole"))),
    Transcript(GENERATE, dialect="ollama"),
    *(of("openai_completions", made) for made in COMPLETIONS),
]


def read(dialect: str, body: bytes) -> Completion | DialectError:
    reader = DIALECTS[dialect].reader()
    try:
        reader.feed(body)
        reader.close()
        result: Completion = reader.result()
    except DialectError as error:
        return error
    return result


#: Of the dialect class, and our own reader gives the typed error.
REFUSED = {"ollama_line_after_done"}


def check(one: Mutation, transcript: Transcript, numbers: tuple[int, ...]) -> None:
    """Hold one edit to its class.

    Raises:
        Inapplicable: there is nothing to edit.
    """
    dialect = str(transcript.dialect)
    stream = Stream.of(transcript)
    edit = one.apply(stream, numbers)
    before, after = read(dialect, transcript.body), read(dialect, edit.stream.body())
    assert isinstance(before, Completion)
    if one.kind is Class.FAULT or one.name in REFUSED:
        assert isinstance(after, DialectError), (one.name, numbers)
        assert not after.partial.ended
        assert not any(call.executable for choice in after.partial.choices for call in choice.tool_calls)
    else:
        expected = before if edit.expected is None else edit.expected(before)
        assert expected == after, (one.name, numbers, edit.said)


def test_the_names_are_told_apart_by_their_dialects() -> None:
    assert len(MUTATIONS) == len({one.name for one in MUTATIONS})
    prefixes = {"gemini": "gemini_", "ollama": "ollama_", "openai_completions": "completions_"}
    assert all(one.name.startswith(prefixes[one.dialects[0]]) for one in MUTATIONS)
    assert {"gemini": 17, "ollama": 15, "openai_completions": 9} == {
        name: sum(one.dialects == (name,) for one in MUTATIONS) for name in DIALECTS
    }


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.name)
def test_each_mutation_keeps_the_promise_of_its_class(one: Mutation) -> None:
    made = 0
    for transcript in TRANSCRIPTS:
        if transcript.dialect not in one.dialects:
            continue
        for numbers in product(range(12), range(3)):
            try:
                check(one, transcript, numbers)
            except Inapplicable:
                continue
            made += 1
    assert made > 0


@given(st.sampled_from(MUTATIONS), st.sampled_from(TRANSCRIPTS), st.lists(st.integers(0, 40), max_size=3))
def test_any_choices_keep_the_promise(one: Mutation, transcript: Transcript, numbers: list[int]) -> None:
    # Invariant: whatever the choices, the edit is of its class or there is nothing to do.
    with suppress(Inapplicable):
        check(one, transcript, tuple(numbers))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_array_or_another_api_is_left_alone(dialect: str) -> None:
    for one in MUTATIONS:
        if one.dialects == (dialect,):
            with pytest.raises(Inapplicable):
                one.apply(Stream.of(Transcript(b'data: {"type":"other"}\n\n'), dialect))
            with pytest.raises(Inapplicable):
                one.apply(Stream.of(Transcript(b'data: {"type":"other"}\n\n'), "openai_chat"))


def stream_of(*payloads: dict[str, Any], after: bytes = b"") -> Stream:
    body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in payloads)
    return Stream.of(Transcript(body + after, dialect="gemini"))


def said(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0,
                            **({"finishReason": reason} if reason else {})}]}  # fmt: skip


def test_a_reason_with_every_payload_leaves_the_last_one_the_last() -> None:
    stream = stream_of(said("a"), said("b", "MAX_TOKENS"), said(""))
    edit = gemini.finish_everywhere.apply(stream)
    reasons = [one["candidates"][0].get("finishReason") for _, one in edit.stream.payloads]
    assert ["STOP", "MAX_TOKENS", None] == reasons
    assert read("gemini", stream.body()) == read("gemini", edit.stream.body())


@pytest.mark.parametrize("after", [b'{"error":{"code":499}}', b'{"error":{}}\n\n', b"data: no JSON\n\n"])
def test_what_is_not_all_payloads_is_made_no_array(after: bytes) -> None:
    with pytest.raises(Inapplicable, match="not all of it is payloads"):
        gemini.as_array.apply(stream_of(said("a", "STOP"), after=after))
    assert b"[" == gemini.as_array.apply(stream_of(said("a", "STOP"), after=b": hi\n\n")).stream.body()[:1]


def test_two_payloads_in_one_say_what_both_said() -> None:
    first = {**said("a"), "responseId": "r1", "usageMetadata": {"totalTokenCount": 3}, "x": [1]}
    stream = stream_of(first, {**said("b", "STOP"), "responseId": "r2", "usageMetadata": None, "y": 2})
    edit = gemini.merge_payloads.apply(stream)
    assert 1 == len(edit.stream.payloads)
    assert read("gemini", stream.body()) == read("gemini", edit.stream.body())


@pytest.mark.parametrize("kind", [b"text", b"data: text"])
def test_the_end_of_a_long_line_is_found_at_once(kind: bytes) -> None:
    stream = Stream.of(Transcript(b"data: {}\n\n" + kind + b" " * 2_000_000, dialect="gemini"))
    assert stream.body().replace(b"\n", b"\r\n") == framing.line_ends.apply(stream).stream.body()


COMPLETIONS_ONLY = [one for one in mutations(dialect="openai_completions") if one.dialects]


@pytest.mark.parametrize("junk", [(0,), (0, 1), (1,), (2,), (3,)])
@pytest.mark.parametrize("one", COMPLETIONS_ONLY, ids=lambda one: one.name)
def test_what_comes_after_done_is_of_no_matter(one: Mutation, junk: tuple[int, ...]) -> None:
    for transcript in (of("openai_completions", made) for made in COMPLETIONS):
        stream = frames.junk_after_done.apply(Stream.of(transcript), junk).stream
        for numbers in one.variants(stream, 4):
            with suppress(Inapplicable):
                edit = one.apply(stream, numbers)
                before = read("openai_completions", stream.body())
                after = read("openai_completions", edit.stream.body())
                assert "" == why_unlawful(one.kind, before, after, edit.expected)


def test_choices_are_sorted_only_where_each_payload_holds_one() -> None:
    stream = Stream.of(of("openai_completions", COMPLETIONS[1]))
    turns = openai_completions.choices_in_turn.apply(stream, (1,)).stream
    assert read("openai_completions", stream.body()) == read("openai_completions", turns.body())
    together = [openai_completions.choices_together.apply(one).stream for one in (stream, turns)]
    for one in together:
        with pytest.raises(Inapplicable, match="several choices"):
            openai_completions.choices_in_turn.apply(one, (1,))


def test_two_payloads_of_completions_in_one_keep_the_fields_that_nobody_knows() -> None:
    base = Stream.of(of("openai_completions", COMPLETIONS[0]))
    stream = other_added.unknown_fields_of_events.apply(base, (0, 1)).stream
    edit = openai_completions.merge.apply(stream)
    before = read("openai_completions", stream.body())
    assert isinstance(before, Completion)
    assert "x_unknown" in before.extra
    assert before == read("openai_completions", edit.stream.body())
