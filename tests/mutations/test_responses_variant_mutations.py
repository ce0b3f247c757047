"""What other servers of Responses leave out or add: the dialect's own reader gives the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings
from skhelpers.mutated import edits, of_modules, outcome

from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations import openai_responses_variants as variants
from streamkit.mutations.registry import Class, Edit, Mutation
from streamkit.mutations.stream import Stream
from streamkit.synthesis import synthesize
from streamkit.transcript import Transcript

RESPONSES = "openai_responses"
ALL = of_modules(variants)
every_mutation = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
CALLS: list[tuple[str, dict[str, Any]]] = [("get_weather", {"city": "Paris"}), ("get_time", {"zone": "utc"})]
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
STREAMS = [
    Stream.of(one)
    for one in (
        synthesize("Let me see 🌤.", dialect=RESPONSES, usage=USAGE),
        synthesize("I look.", tool_calls=CALLS, dialect=RESPONSES),
        synthesize("I look.", tool_calls=CALLS, dialect=RESPONSES, calls="interleaved", token_size=1),
        synthesize(tool_calls=CALLS[:1], dialect=RESPONSES),
        synthesize("Well.", reasoning="Hm.", dialect=RESPONSES),
    )
]


def check(one: Mutation, edit: Edit, before: Completion | DialectError, about: str) -> None:
    after = outcome(edit.stream, RESPONSES)
    if one.kind is Class.FAULT:
        assert isinstance(after, DialectError), (about, edit.said)
        assert not any(call.executable for call in after.partial.tool_calls), (about, edit.said)
    elif isinstance(before, Completion):
        assert (before if edit.expected is None else edit.expected(before)) == after, (about, edit.said)


@every_mutation
def test_the_reader_gives_what_the_class_promises(one: Mutation) -> None:
    applied = 0
    for number, stream in enumerate(STREAMS):
        before = outcome(stream, RESPONSES)
        assert isinstance(before, Completion)
        for _, edit in edits(one, stream, 40):
            applied += 1
            check(one, edit, before, f"stream {number}")
    assert applied


@needs_corpus
@every_mutation
def test_the_reader_gives_what_the_class_promises_of_recordings(one: Mutation) -> None:
    applied = 0
    for recording in recordings(family="responses")[::3]:
        body = recording.body
        if len(body) > 40_000:
            continue
        stream = Stream.of(Transcript(body, name=recording.name, dialect=RESPONSES))
        before = outcome(stream, RESPONSES)
        for _, edit in edits(one, stream, 4):
            applied += 1
            check(one, edit, before, recording.name)
    assert applied
