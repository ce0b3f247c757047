"""Faults that need no dialect: our reader notices each, at whatever place, and leaves nothing to execute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from skhelpers.chat import DONE, call, calls, choice, delta, finish, payload, sse, weather
from skhelpers.mutated import chat_streams, edits, lawful, nothing_finished, of_modules, outcome

from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.mutations import ends, faults
from streamkit.mutations.registry import Class, Inapplicable, Mutation
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from streamkit.completion import Completion

MUTATIONS = of_modules(faults)
TEXT = sse(delta(content="a"), delta(content="b"), finish(), payload(usage={"total_tokens": 3}), DONE)

every_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)


def stream(body: bytes, dialect: str | None = "openai_chat") -> Stream:
    return Stream.of(Transcript(body, dialect=dialect))


def partial(one: Stream) -> Completion:
    error = outcome(one)
    assert isinstance(error, DialectError)
    found: Completion = error.partial
    return found


# The laws


@every_mutation
def test_a_mutation_keeps_what_its_class_promises(mutation: Mutation) -> None:
    applied = 0
    for one in chat_streams():
        before = outcome(one)
        for numbers, edit in edits(mutation, one):
            assert lawful(mutation, edit, before), (one.transcript.name, numbers, edit.said)
            applied += 1
    assert applied > 0


@every_mutation
def test_the_same_choices_make_the_same_edit(mutation: Mutation) -> None:
    one = stream(weather())
    for numbers, edit in edits(mutation, one):
        assert edit.stream.body() == mutation.apply(one, numbers).stream.body()
        assert set(edit.after) <= set(range(len(edit.stream.events)))


def test_a_stream_of_no_known_dialect_has_no_place_that_is_before_its_end() -> None:
    unknown = stream(b'data: {"x":1}\n\ndata: {"x":2}\n\n', None)
    for mutation in (faults.truncate, faults.truncate_inside, faults.error_event):
        with pytest.raises(Inapplicable, match="no dialect says"):
            mutation.apply(unknown)


# Where a stream is over


def test_the_answer_is_over_with_the_finish_reason_of_its_last_choice() -> None:
    assert 2 == ends.unfinished(stream(TEXT))
    assert 2 == ends.unfinished(stream(TEXT, None))
    two = sse(
        payload(choice(0, "stop", content="a"), choice(1)), payload(choice(1, content="b")), finish(index=1), DONE
    )
    assert 2 == ends.unfinished(stream(two))


def test_a_stream_that_never_ends_can_be_cut_anywhere() -> None:
    assert 2 == ends.unfinished(stream(sse(delta(content="a"), delta(content="b"))))


def test_nothing_before_the_end_of_a_recording_is_a_whole_answer() -> None:
    for one in chat_streams():
        last = ends.unfinished(one)
        assert not ends.is_over(one, last)
        assert last == len(one.events) or ends.is_over(one, last + 1)


def test_a_choice_that_begins_late_makes_a_place_where_nothing_is_missing() -> None:
    late = sse(delta(content="a"), finish(), payload(choice(1, content="b")), finish(index=1), DONE)
    places = range(len(stream(late).events))
    whole = [place for place in places if ends.is_over(stream(late), place)]
    assert [2, 4] == whole
    for _, edit in edits(faults.truncate, stream(late), 20):
        assert isinstance(outcome(edit.stream), TruncatedStreamError)


# Cuts


def test_every_cut_between_two_events_before_the_end_is_made() -> None:
    one = stream(weather())
    found = [edit.stream.body() for _, edit in edits(faults.truncate, one, 50)]
    parts = weather().split(b"\n\n")[:-3]
    expected = [b"".join(part + b"\n\n" for part in parts[:count]) for count in range(len(parts), 0, -1)]
    assert expected == found


def test_a_call_without_arguments_and_the_first_of_two_calls_are_among_what_is_left() -> None:
    body = sse(
        calls(call(0, id="a", name="f", arguments="")),
        calls(call(0, arguments="{}")),
        calls(call(1, id="b", name="g", arguments="{}")),
        finish("tool_calls"),
        DONE,
    )
    left = [partial(edit.stream).tool_calls for _, edit in edits(faults.truncate, stream(body), 20)]
    assert [["{}", "{}"], ["{}"], [""]] == [[one.arguments for one in calls] for calls in left]
    assert not any(one.executable for calls in left for one in calls)


@pytest.mark.parametrize(
    ("kind", "expected"),
    list(enumerate([b'data: {"id":"chatcmpl-1","object"', b'"finish_reason":"stop"}]', b"da", b"data: {"])),
)
def test_what_is_left_of_an_event_that_is_cut(kind: int, expected: bytes) -> None:
    edit = faults.truncate_inside.apply(stream(TEXT), (kind,))
    assert expected in edit.stream.tail
    assert TEXT.startswith(edit.stream.body())
    assert isinstance(outcome(edit.stream), TruncatedStreamError)


def test_a_cut_inside_an_event_leaves_no_event_that_can_be_read() -> None:
    for kind in range(4):
        for place in range(3):
            tail = faults.truncate_inside.apply(stream(TEXT), (kind, place)).stream.tail
            with pytest.raises(json.JSONDecodeError):
                json.loads(tail.removeprefix(b"data: "))


# Errors


def test_an_error_is_reported_in_every_envelope_whatever_follows_it() -> None:
    one = stream(TEXT)
    for kind in range(9):
        for ending in range(2 if kind in (6, 7) else 3):
            for place in range(4):
                edit = faults.error_event.apply(one, (kind, ending, place))
                error = outcome(edit.stream)
                assert PayloadError is type(error) if kind == 8 else isinstance(error, ProviderError), edit.said
                assert nothing_finished(partial(edit.stream))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((2, 0), b'event: error\ndata: {"error":{'),
        ((3, 0), b'event: error\ndata: {"type":"error","code":"500"'),
        ((1, 0), b'data: {"type":"error","code":"500","message":'),
        ((4, 0), b'data: {"error":"boom"}\n\n'),
        ((7, 0), b'data: {"detail":"boom"}\n\n'),
        ((8, 0), b"event: error\ndata: Internal Server Error\n\n"),
        ((7, 0), b'data: {"detail":"boom"}\n\ndata: [DONE]\n\n'),
    ],
)
def test_how_an_error_is_written(numbers: tuple[int, ...], expected: bytes) -> None:
    first, second, end = (part + b"\n\n" for part in TEXT.split(b"\n\n")[:3])
    body = faults.error_event.apply(stream(TEXT), numbers).stream.body()
    assert (first + second) == body[: len(first + second)]
    assert body[len(first + second) :].startswith(expected)
    whole = faults.error_event.apply(stream(TEXT), (4, 2, 3)).stream.body()
    assert b'data: {"error":"boom"}\n\n' + TEXT == whole
    assert end in whole


@pytest.mark.parametrize("kind", [6, 7])
def test_an_envelope_without_the_word_error_is_not_followed_by_the_rest_of_the_answer(kind: int) -> None:
    with pytest.raises(Inapplicable, match="may be passed over"):
        faults.error_event.apply(stream(TEXT), (kind, 2))


def test_in_a_dialect_that_may_take_an_envelope_for_a_foreign_event_the_stream_ends_with_it() -> None:
    body = b'{"message":{"content":"a"},"done":false}\n{"done":true}\n'
    other = Stream.of(Transcript(body, dialect="openai_chat"))
    assert {"ndjson"} == {other.manner.wire}
    for _, edit in edits(faults.error_event, other):
        assert b"event:" not in edit.stream.body()


def test_an_error_that_is_not_framed_ends_the_answer_or_stands_in_the_middle_of_a_whole_one() -> None:
    one = stream(TEXT)
    late = faults.bare_error.apply(one)
    assert late.stream.body().endswith(b'"code":"500"}}\n')
    assert isinstance(outcome(late.stream), TruncatedStreamError)
    between = faults.bare_error.apply(one, (1, 2))
    assert outcome(one) == outcome(between.stream)
    assert Class.DIALECT is faults.bare_error.kind


# No streams


def test_what_is_no_stream_is_no_empty_answer() -> None:
    one = stream(TEXT)
    bodies = [edit.stream.body() for _, edit in edits(faults.not_a_stream, one, 20)]
    assert 7 == len(set(bodies))
    assert b"" == bodies[0]
    for _, edit in edits(faults.not_a_stream, one, 20):
        assert isinstance(outcome(edit.stream), TruncatedStreamError)
        assert () == partial(edit.stream).choices
