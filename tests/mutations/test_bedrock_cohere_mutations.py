"""The mutations of ConverseStream and of Cohere v2, each held to what the reference makes of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.bedrock_converse import BedrockConverse
from streamkit.dialects.cohere_v2 import CohereV2
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError
from streamkit.mutations import bedrock_converse, bedrock_converse_faults, cohere_v2, jsontext
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Event, Stream
from streamkit.transcript import Transcript
from streamkit.wire.eventstream import decode, split

Dialect = BedrockConverse | CohereV2


def _entries(*modules: Any) -> list[Mutation]:
    return [one for module in modules for one in vars(module).values() if isinstance(one, Mutation)]


BEDROCK = _entries(bedrock_converse, bedrock_converse_faults)
COHERE = _entries(cohere_v2)
ALL: list[tuple[Dialect, Mutation]] = [
    *((BedrockConverse(), one) for one in BEDROCK),
    *((CohereV2(), one) for one in COHERE),
]
every_mutation = pytest.mark.parametrize(("dialect", "mutation"), ALL, ids=[one.name for _, one in ALL])


def _choice(**extra: Any) -> Choice:
    calls = tuple(
        ToolCall(f"call_{n}", "weather", '{"city": "Köln"}' if n == 1 else '{"a":1}', index=n) for n in (1, 2)
    )
    return Choice(0, content="Grüße 🌤", reasoning="Let me think.", tool_calls=calls, extra=extra)


CITATION = {"start": 0, "end": 3, "text": "Grü"}
BEDROCK_ANSWER = Completion(
    choices=(dataclasses.replace(_choice(), finish_reason="tool_use"),),
    usage={"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    ended=True,
    extra={"metrics": {"latencyMs": 5}},
)
COHERE_ANSWER = Completion(
    choices=(dataclasses.replace(_choice(citations=[CITATION]), finish_reason="TOOL_CALL"),),
    usage={"tokens": {"input_tokens": 1}},
    id="a3c0",
    ended=True,
)


def stream_of(dialect: Dialect) -> Stream:
    answer = BEDROCK_ANSWER if isinstance(dialect, BedrockConverse) else COHERE_ANSWER
    return Stream.of(dialect.emit(answer, Layout()), dialect.name)


def read(dialect: Dialect, body: bytes) -> Completion:
    reader = dialect.reader()
    reader.feed(body)
    reader.close()
    return reader.result()


def check(dialect: Dialect, mutation: Mutation, stream: Stream, edit: Edit) -> str:
    """Hold the reference to the mutation's class; return what it did: "same", or the name of its error."""
    original = read(dialect, stream.body())
    wanted = edit.expected(original) if edit.expected is not None else original
    said, found = "same", wanted
    try:
        found = read(dialect, edit.stream.body())
    except DialectError as error:
        said, partial = type(error).__name__, error.partial
        if partial.ended or any(call.executable for call in partial.tool_calls):
            pytest.fail(f"{edit.said}: what had come looks finished")
    allowed = {Class.PRESERVING: said == "same", Class.DIALECT: True, Class.FAULT: said != "same"}
    assert allowed[mutation.kind], f"{edit.said}: {said}"
    assert wanted == found, edit.said
    return said


@every_mutation
def test_the_reference_does_what_the_class_of_a_mutation_says(dialect: Dialect, mutation: Mutation) -> None:
    stream = stream_of(dialect)
    variants = list(mutation.variants(stream, most=40))
    assert variants
    for numbers in variants:
        check(dialect, mutation, stream, mutation.apply(stream, numbers))


@every_mutation
@settings(max_examples=25)
@given(numbers=st.lists(st.integers(0, 200), max_size=4))
def test_every_choice_makes_an_edit_of_the_class_and_the_same_one_again(
    dialect: Dialect, mutation: Mutation, numbers: list[int]
) -> None:
    """Invariant: whatever the numbers, the edit holds to its class, and is made again by the same numbers."""
    stream = stream_of(dialect)
    edit = mutation.apply(stream, numbers)
    check(dialect, mutation, stream, edit)
    assert edit.stream.body() == mutation.apply(stream, numbers).stream.body()
    assert edit.said


@every_mutation
def test_a_stream_of_another_dialect_is_left_alone(dialect: Dialect, mutation: Mutation) -> None:
    other: Dialect = CohereV2() if isinstance(dialect, BedrockConverse) else BedrockConverse()
    with pytest.raises(Inapplicable):
        mutation.apply(stream_of(other))


@every_mutation
def test_a_mutation_with_nothing_to_do_says_so(dialect: Dialect, mutation: Mutation) -> None:
    empty = Stream.of(Transcript(b""), dialect.name)
    with pytest.raises(Inapplicable):
        mutation.apply(empty)


OUTCOMES = {
    "bedrock_cut": {"TruncatedStreamError"},
    "bedrock_cut_message": {"TruncatedStreamError"},
    "bedrock_bad_checksum": {"MessageError"},
    "bedrock_garbage": {"MessageError"},
    "bedrock_exception": {"ProviderError"},
    "bedrock_lost_start": {"PayloadError"},
    "bedrock_doubled_message": {"PayloadError"},
    "bedrock_missing_index": {"PayloadError"},
    "bedrock_no_metadata": {"same"},
    "bedrock_unknown_event": {"same"},
    "bedrock_interleave_blocks": {"same"},
    "cohere_cut": {"TruncatedStreamError"},
    "cohere_error": {"ProviderError"},
    "cohere_lost_start": {"PayloadError"},
    "cohere_doubled_event": {"PayloadError"},
    "cohere_missing_index": {"same"},
    "cohere_unknown_event": {"same"},
    "cohere_interleave_calls": {"same"},
    "cohere_no_done": {"same"},
    "cohere_no_event_names": {"same"},
}


def test_each_fault_and_each_dialect_mutation_has_the_outcome_that_is_written_down() -> None:
    found: dict[str, set[str]] = {}
    for dialect, mutation in ALL:
        if mutation.kind is Class.PRESERVING:
            continue
        stream = stream_of(dialect)
        for numbers in mutation.variants(stream, most=60):
            said = check(dialect, mutation, stream, mutation.apply(stream, numbers))
            found.setdefault(mutation.name, set()).add(said)
    assert OUTCOMES == found


def test_a_cut_takes_the_end_of_each_kind_of_event_first() -> None:
    stream = stream_of(BedrockConverse())
    kinds = []
    for number in range(4):
        messages = decode(bedrock_converse_faults.cut.apply(stream, (number,)).stream.body())
        kinds.append(messages[-1].text(":event-type"))
    assert ["contentBlockStop", "contentBlockDelta", "contentBlockStart", "messageStart"] == kinds


def test_a_message_that_is_not_edited_keeps_its_bytes() -> None:
    stream = stream_of(BedrockConverse())
    before, _ = split(stream.body())
    edit = bedrock_converse.split_delta.apply(stream, (1,))
    after, tail = split(edit.stream.body())
    (number,) = edit.before
    assert b"" == tail
    assert (before[:number], before[number + 1 :]) == (after[:number], after[number + 2 :])


def test_padding_is_put_into_the_events_that_have_some_and_into_no_other() -> None:
    stream = bedrock_converse.unknown_event.apply(stream_of(BedrockConverse())).stream
    edit = bedrock_converse.padding.apply(stream, (1,))
    assert read(BedrockConverse(), stream.body()) == read(BedrockConverse(), edit.stream.body())
    padded = [b'"p":"a"' in message.payload for message in decode(edit.stream.body())]
    assert 1 == padded.count(False)


def test_what_nobody_reads_behind_the_end_goes_with_it() -> None:
    stream = stream_of(CohereV2())
    done = cohere_v2.no_done.apply(stream).stream if not any(e.done for e in stream.events) else stream
    for data in ("[DONE]", "{}", "no JSON", '{"type":"content-delta","index":0}'):
        edit = cohere_v2.no_done.apply(done.inserted(len(done.events), Event(data)))
        assert COHERE_ANSWER == read(CohereV2(), edit.stream.body()), data


def test_data_that_are_no_utf8_stay_so_where_the_names_of_events_go() -> None:
    stream = jsontext.bad_utf8.apply(stream_of(CohereV2())).stream
    edit = cohere_v2.no_event_names.apply(stream)
    assert edit.stream.body().count(b"event:") == sum(event.lossy for event in stream.events) == 1
    with pytest.raises(PayloadError):
        read(CohereV2(), edit.stream.body())


def test_what_earlier_messages_said_too_stays_where_the_metadata_go() -> None:
    stream = stream_of(BedrockConverse())
    found, _ = bedrock_converse.parts(stream)
    raws = [part.saying({**part.payload, "novelty": 1}) for part in found]
    base = bedrock_converse.edited(stream, raws, "an unknown field everywhere").stream
    edit = bedrock_converse.no_metadata.apply(base)
    check(BedrockConverse(), bedrock_converse.no_metadata, base, edit)
    assert 1 == read(BedrockConverse(), edit.stream.body()).extra["novelty"]
