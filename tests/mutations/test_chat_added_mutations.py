"""What is put into a chat completion comes out again, and nothing else changes; to the letter, in our own reader."""

from __future__ import annotations

import pytest
from skhelpers.chat import DONE, call, calls, delta, finish
from skhelpers.chat_streams import STREAMS, edits, entries, every_stream, named, outcome, stream, wanted
from skhelpers.mutated import nothing_finished, of_modules

from streamkit.cassettes import library
from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations import chat_added, chat_choices, chat_echo
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

ALL = of_modules(chat_added, chat_echo)
every_mutation = pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)


def check(one: Mutation, base: Stream, edit: Edit) -> None:
    """Assert that our reader gives what the class promises."""
    before, after = outcome(base.body()), outcome(edit.stream.body())
    if one.kind is not Class.FAULT:
        assert wanted(edit, before) == after, edit.said
    elif isinstance(after, Completion):
        assert not all(call.executable for call in after.tool_calls), edit.said
    else:
        assert isinstance(after, tuple)
        assert issubclass(after[0], DialectError)
        assert nothing_finished(after[1]), edit.said


@every_mutation
@every_stream
def test_every_variant_gives_what_its_class_promises(one: Mutation, name: str) -> None:
    base = named(name)
    for _, edit in edits(one, base, 40):
        check(one, base, edit)


@every_mutation
def test_every_mutation_has_something_to_do_in_one_of_the_streams(one: Mutation) -> None:
    assert any(True for name in STREAMS for _ in edits(one, named(name)))


@every_mutation
@pytest.mark.parametrize("name", [one.name for one in library.bundled()])
def test_the_bundled_transcripts_give_what_the_class_promises(one: Mutation, name: str) -> None:
    base = Stream.of(library.load(name))
    for _, edit in edits(one, base, 12):
        check(one, base, edit)


TALK = stream(delta(role="assistant", content=""), delta(content="hello"), delta(content=" you"), finish(), DONE)
ONE = stream(
    calls(call(0, id="call_a", type="function", name="f", arguments=""), role="assistant", content=None),
    calls(call(0, arguments='{"a":')),
    calls(call(0, arguments="11}")),
    finish("tool_calls"),
    DONE,
)


def read(base: Stream) -> Completion:
    found = outcome(base.body())
    assert isinstance(found, Completion)
    return found


def test_a_second_call_at_a_taken_index_is_a_call_of_its_own() -> None:
    edit = chat_added.second_call.apply(ONE)
    assert [[0, "call_second", "second_tool", '{"note": "second"}']] == entries(edit.stream)[-1]
    assert [("call_a", '{"a":11}'), ("call_second", '{"note": "second"}')] == [
        (call.id, call.arguments) for call in read(edit.stream).tool_calls
    ]


def test_a_second_call_may_come_in_the_same_payload_or_before_the_first() -> None:
    together = chat_added.second_call.apply(ONE, (1,))
    assert [[[0, None, None, "11}"], [1, "call_second", "second_tool", '{"note": "second"}']]] == entries(
        together.stream
    )[-1:]
    early = chat_added.second_call.apply(ONE, (5,))
    assert [1, 1, 1, 0, 0, 0] == [group[0][0] for group in entries(early.stream)]
    assert ["call_a", "call_second"] == [call.id for call in read(early.stream).tool_calls]


def test_usage_that_counts_up_is_not_added_up() -> None:
    edit = chat_added.usage_running.apply(TALK)
    sent = [payload["usage"]["completion_tokens"] for _, payload in edit.stream.payloads]
    assert [0, 1, 2, 3, 4] == sent
    assert {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15} == read(edit.stream).usage


def test_usage_is_not_added_to_a_stream_that_has_it() -> None:
    with pytest.raises(Inapplicable, match="there is usage"):
        chat_added.usage_added.apply(named("usage null until the end"))


def test_added_reasoning_stays_apart_from_the_text() -> None:
    found = read(chat_added.reasoning_added.apply(TALK, (2,)).stream)
    assert ("hello you", "Let me think 🤔 about it.\n") == (found.content, found.choices[0].reasoning)


@pytest.mark.parametrize(("numbers", "known"), [((0,), True), ((1,), True), ((2,), True), ((3,), False), ((4,), False)])
def test_reasoning_under_a_name_of_few_servers_may_be_passed_over(numbers: tuple[int, ...], known: bool) -> None:
    edit = chat_added.reasoning_added.apply(TALK, numbers)
    whole = read(TALK)
    assert "Let me think 🤔 about it.\n" == edit.expected(whole).choices[0].reasoning if edit.expected else False
    assert [None] * (not known) == [also(whole).choices[0].reasoning for also in edit.also]


def test_text_becomes_a_refusal_and_leaves_no_text_behind() -> None:
    found = read(chat_added.content_as_refusal.apply(TALK).stream)
    assert (None, "hello you") == (found.content, found.choices[0].refusal)


def test_the_same_delta_twice_in_a_row_is_what_the_text_says() -> None:
    text = chat_echo.echo_cuts.apply(TALK)
    sent = [one["choices"][0]["delta"].get("content") for _, one in text.stream.payloads]
    assert ["", "he", "l", "l", "o", " you", None] == sent
    assert ["1", "1", "}"] == [group[0][3] for group in entries(chat_echo.echo_cuts.apply(ONE).stream)][-3:]


def test_a_token_that_equals_all_the_text_so_far_is_appended() -> None:
    assert "hahahello you" == read(chat_echo.echoed_token.apply(TALK).stream).content
    assert "hellohaha you" == read(chat_echo.echoed_token.apply(TALK, (0, 1)).stream).content


def test_an_echo_stands_in_no_payload_with_two_entries_of_its_choice() -> None:
    twice = chat_choices.duplicate_choice.apply(TALK).stream
    with pytest.raises(Inapplicable, match="two entries"):
        chat_echo.echoed_token.apply(twice)


def test_done_does_not_make_a_half_call_whole() -> None:
    edit = chat_echo.done_mid_arguments.apply(ONE)
    assert edit.stream.events[-1].done
    assert [None] == list({one["choices"][0]["finish_reason"] for _, one in edit.stream.payloads})
    assert [False] == [call.executable for call in read(edit.stream).tool_calls]
