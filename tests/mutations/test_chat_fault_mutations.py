"""Mutations that break chat completion streams: our reader reports it, and nothing that was cut may be executed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import DONE, call, calls, delta, finish
from skhelpers.chat_streams import (
    STREAMS,
    catalogue,
    edits,
    entries,
    every_stream,
    finishes,
    named,
    outcome,
    stream,
)

from streamkit.cassettes import library
from streamkit.completion import Completion
from streamkit.errors import DialectError, ProviderError, TruncatedStreamError
from streamkit.mutations import chat_faults
from streamkit.mutations.registry import Class, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

FAULTS = catalogue(chat_faults, kind=Class.FAULT)
BY_NAME = {one.name: one for one in FAULTS}
# How our reader reports each: the error, or a completion that says of the cut call that it must not be executed.
REPORTS: dict[str, type[DialectError] | None] = {
    "arguments_astray": None,
    "bare_eof": TruncatedStreamError,
    "cut_after_opener": TruncatedStreamError,
    "cut_between_calls": TruncatedStreamError,
    "cut_in_arguments": TruncatedStreamError,
    "error_envelope": ProviderError,
    "length_mid_args": None,
    "retry_replay": None,
}

every_fault = pytest.mark.parametrize("one", FAULTS, ids=lambda one: one.name)
ONE = named("one call")
TWO = named("two calls in turn")


def check(one: Mutation, base: Stream, mutated: Stream) -> None:
    """Check that a broken stream is reported, and that no call is executable that was not there before."""
    before, after = outcome(base.body()), outcome(mutated.body())
    if isinstance(before, tuple):
        assert isinstance(after, tuple)  # it was broken before
    reported = REPORTS[one.name]
    if isinstance(after, tuple):
        kind, partial = after
        assert kind is (reported or kind)
        assert not partial.ended
        assert [] == executable(partial)
    else:
        assert reported is None
        assert isinstance(after, Completion)
        assert isinstance(before, Completion)
        assert not all(call.executable for choice in after.choices for call in choice.tool_calls)
        assert set(executable(after)) <= set(executable(before))


def executable(completion: Completion) -> list[tuple[int, str, str]]:
    """Return choice, name and arguments of the calls that may be executed."""
    found = [
        (choice.index, one.name, one.arguments)
        for choice in completion.choices
        for one in choice.tool_calls
        if one.executable
    ]
    legacy = [(choice.index, choice.function_call) for choice in completion.choices if choice.function_call]
    return found + [(index, one.name, one.arguments) for index, one in legacy if one.executable]


# -- all of them


def test_every_fault_says_how_it_is_reported() -> None:
    assert sorted(REPORTS) == sorted(BY_NAME)


@every_fault
@every_stream
def test_every_variant_is_reported_and_leaves_nothing_of_a_cut_call_to_execute(one: Mutation, name: str) -> None:
    base = named(name)
    for _, edit in edits(one, base, 40):
        check(one, base, edit.stream)


@every_fault
def test_every_fault_has_something_to_break_in_one_of_the_streams(one: Mutation) -> None:
    assert any(True for name in STREAMS for _ in edits(one, named(name)))


@every_fault
@pytest.mark.parametrize("name", [one.name for one in library.bundled()])
def test_the_bundled_transcripts_are_reported_when_broken(one: Mutation, name: str) -> None:
    base = Stream.of(library.load(name))
    for _, edit in edits(one, base, 12):
        check(one, base, edit.stream)


@every_fault
def test_the_same_choices_make_the_same_edit_and_none_make_the_first(one: Mutation) -> None:
    for name in STREAMS:
        for numbers, edit in edits(one, named(name)):
            assert edit.stream.body() == one.apply(named(name), numbers).stream.body()
            if not any(numbers):
                assert edit.stream.body() == one.apply(named(name)).stream.body()


@every_fault
def test_an_entry_says_what_it_does_and_what_is_right_and_where_it_was_reported(one: Mutation) -> None:
    assert ("openai_chat",) == one.dialects
    assert "" not in (one.does, one.right)
    assert {True} == {"#" in source and "/" in source for source in one.sources}


@every_fault
@pytest.mark.parametrize("body", [b"", b"data: [DONE]\n\n", b"data: {}\n\n", b'data: {"choices":1}\n\n'])
def test_a_stream_without_an_answer_gives_nothing_to_break(one: Mutation, body: bytes) -> None:
    with pytest.raises(Inapplicable):
        one.apply(stream(body))


@given(
    name=st.sampled_from(sorted(STREAMS)),
    steps=st.lists(st.tuples(st.sampled_from(FAULTS), st.lists(st.integers(0, 999), max_size=4)), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_what_is_broken_twice_has_nothing_to_execute_that_was_not_there(
    name: str, steps: list[tuple[Mutation, list[int]]]
) -> None:
    """Invariant: after any faults, an executable call is one of the original's, and after an error there is none."""
    base = current = named(name)
    for one, numbers in steps:
        try:
            current = one.apply(current, numbers).stream
        except Inapplicable:
            continue
    before, after = outcome(base.body()), outcome(current.body())
    if isinstance(after, tuple):
        assert [] == executable(after[1])
    elif isinstance(before, Completion):
        assert isinstance(after, Completion)
        assert set(executable(after)) <= set(executable(before))


# -- one by one


def test_the_body_ends_after_the_opener() -> None:
    assert [[[0, "call_get_weather", "get_weather", ""]]] == entries(BY_NAME["cut_after_opener"].apply(ONE).stream)
    whole = named("whole call")
    assert [[[0, "call_get_weather", "get_weather", ""]]] == entries(BY_NAME["cut_after_opener"].apply(whole).stream)


def test_the_body_ends_after_the_first_of_two_calls() -> None:
    mutated = BY_NAME["cut_between_calls"].apply(TWO).stream
    assert {0} == {one[0] for group in entries(mutated) for one in group}
    assert '{"city":"Paris"}' == "".join(one[3] for group in entries(mutated) for one in group)
    assert b"[DONE]" not in mutated.body()


def test_the_body_ends_at_every_place_inside_the_arguments() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments='{"a":1}')), finish("tool_calls"), DONE)
    texts = set()
    for at in range(6):
        groups = entries(BY_NAME["cut_in_arguments"].apply(base, (0, 0, at)).stream)
        texts.add("".join(one[3] for group in groups for one in group))
    assert {'{"a":1}'[:size] for size in range(1, 7)} == texts


def test_text_without_an_end_is_reported_though_all_of_it_came() -> None:
    mutated = BY_NAME["bare_eof"].apply(named("text")).stream
    assert {None} == set(finishes(mutated))
    assert "Hello 🌍 <think>x</think>!" == outcome(mutated.body())[1].content  # type: ignore[index]
    assert b"[DONE]" not in mutated.body()


@pytest.mark.parametrize(("how", "reason"), [(0, "length"), (1, "length"), (2, "tool_calls")])
def test_a_cut_call_is_not_executable_whatever_the_finish_reason_says(how: int, reason: str) -> None:
    found = outcome(BY_NAME["length_mid_args"].apply(ONE, (how,)).stream.body())
    assert isinstance(found, Completion)
    assert (reason, [False]) == (found.finish_reason, [one.executable for one in found.tool_calls])
    assert how != 1 or [""] == [one.arguments for one in found.tool_calls]


def test_no_call_is_executable_after_length_and_only_whole_ones_after_tool_calls() -> None:
    after = [outcome(BY_NAME["length_mid_args"].apply(TWO, (how, 0, 1)).stream.body()) for how in (0, 2)]
    lists = [[one.executable for one in found.tool_calls] for found in after if isinstance(found, Completion)]
    assert [[False, False], [True, False]] == lists


def test_arguments_at_an_index_without_a_call_make_no_call_without_arguments() -> None:
    found = outcome(BY_NAME["arguments_astray"].apply(ONE).stream.body())
    assert isinstance(found, Completion)
    assert [("get_weather", False), ("", False)] == [(one.name, one.executable) for one in found.tool_calls]


def test_two_attempts_are_not_joined_to_one_call() -> None:
    for at in range(9):
        found = outcome(BY_NAME["retry_replay"].apply(named("whole call"), (0, at)).stream.body())
        assert isinstance(found, Completion)
        assert [False] == [one.executable for one in found.tool_calls]


PASSED_OVER = (4, 5, 6, 9)  # without `error` at their top: a parser may take them for payloads that say nothing


@pytest.mark.parametrize("form", PASSED_OVER)
def test_an_error_that_may_be_passed_over_is_not_followed_by_the_rest_of_the_answer(form: int) -> None:
    with pytest.raises(Inapplicable, match="may be passed over"):
        BY_NAME["error_envelope"].apply(ONE, (form, 1))


@pytest.mark.parametrize(
    ("form", "follows"), [(n, m) for n in range(11) for m in range(3) if m != 1 or n not in PASSED_OVER]
)
@pytest.mark.parametrize("place", range(7))
def test_an_error_is_reported_in_every_form_and_at_every_place(form: int, follows: int, place: int) -> None:
    found = outcome(BY_NAME["error_envelope"].apply(ONE, (form, follows, place)).stream.body())
    assert isinstance(found, tuple)
    assert ProviderError is found[0]
    assert [] == executable(found[1])


def test_an_error_may_be_the_first_event() -> None:
    base = stream(delta(content="Hi"), finish(), DONE)
    for follows, count in ((0, 2), (1, 4), (2, 1)):
        mutated = BY_NAME["error_envelope"].apply(base, (0, follows, 1)).stream
        assert mutated.body().startswith(b'data: {"error"')
        assert count == len(mutated.events)


def test_no_error_comes_after_the_end_of_the_answer() -> None:
    base = stream(delta(content="Hi"), finish(), delta(), DONE)  # servers that send usage with an empty delta
    for place in range(6):
        mutated = BY_NAME["error_envelope"].apply(base, (8, 0, place)).stream.body()
        assert b'"stop"' not in mutated
