"""What is put into a message comes out again, and the rest is what it was; by the dialect's own reader."""

from __future__ import annotations

from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.mutated import edits, of_modules, outcome

from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations import anthropic_added
from streamkit.mutations.registry import Class, Edit, Mutation
from streamkit.mutations.stream import Stream
from streamkit.synthesis import synthesize
from streamkit.transcript import Transcript

MESSAGES = "anthropic_messages"
ALL = of_modules(anthropic_added)
every_mutation = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
CALLS: list[tuple[str, dict[str, Any]]] = [("get_weather", {"city": 'a"b\\c'}), ("get_time", {"zone": "utc"})]
STREAMS = [
    Stream.of(one)
    for one in (
        synthesize("Let me see 🌤.", dialect=MESSAGES, usage={"input_tokens": 3, "output_tokens": 4}),
        synthesize("I look.", tool_calls=CALLS, dialect=MESSAGES),
        synthesize("I look.", tool_calls=CALLS, dialect=MESSAGES, calls="interleaved", token_size=1),
        synthesize(tool_calls=CALLS[:1], dialect=MESSAGES, keep_alive=True),
        synthesize("Well.", reasoning="Hm.", dialect=MESSAGES),
    )
]


def check(one: Mutation, edit: Edit, before: Completion | DialectError, about: str) -> None:
    """Assert that the reader gives what the class promises."""
    after = outcome(edit.stream, MESSAGES)
    if one.kind is Class.FAULT:
        assert isinstance(after, DialectError), (about, edit.said)
        assert not any(call.executable for call in after.partial.tool_calls), (about, edit.said)
    elif isinstance(before, Completion):
        assert (before if edit.expected is None else edit.expected(before)) == after, (about, edit.said)


@every_mutation
def test_the_reader_gives_what_the_class_promises(one: Mutation) -> None:
    applied = 0
    for number, stream in enumerate(STREAMS):
        before = outcome(stream, MESSAGES)
        assert isinstance(before, Completion)
        for _, edit in edits(one, stream, 40):
            applied += 1
            check(one, edit, before, f"stream {number}")
    assert applied


@needs_corpus
@every_mutation
def test_the_reader_gives_what_the_class_promises_of_recordings(one: Mutation) -> None:
    applied = 0
    for recording in recordings(family="messages"):
        if len(recording.body) > 40_000:
            continue
        stream = Stream.of(Transcript(recording.body, name=recording.name, dialect=MESSAGES))
        before = outcome(stream, MESSAGES)
        for _, edit in edits(one, stream, 4):
            applied += 1
            check(one, edit, before, recording.name)
    assert applied


def read(one: Mutation, stream: Stream, *numbers: int) -> Completion:
    found = outcome(one.apply(stream, numbers).stream, MESSAGES)
    assert isinstance(found, Completion)
    return found


def test_thinking_does_not_become_text() -> None:
    found = read(anthropic_added.thinking_first, STREAMS[1])
    assert ("I look.", "I should look at the weather 🤔.") == (found.content, found.choices[0].reasoning)
    assert [2, 3] == [call.index for call in found.tool_calls]


def test_a_tool_of_the_server_is_no_call_of_the_client() -> None:
    found = read(anthropic_added.server_tool_first, STREAMS[3])
    assert ["get_weather"] == [call.name for call in found.tool_calls]


def test_a_call_that_lost_a_delta_is_not_executed_and_the_other_is() -> None:
    found = read(anthropic_added.half_arguments, STREAMS[1])
    assert [False, True] == [call.executable for call in found.tool_calls]
