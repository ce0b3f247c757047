"""Mutations of chat completion streams that leave the meaning as it is, on our own streams and on recorded ones."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import DONE, call, calls, choice, delta, finish, payload
from skhelpers.chat_streams import (
    STREAMS,
    USAGE,
    catalogue,
    deltas,
    edits,
    entries,
    every_stream,
    finishes,
    named,
    outcome,
    stream,
)

from streamkit.cassettes import library
from streamkit.mutations import (
    chat,
    chat_arguments,
    chat_calls,
    chat_choices,
    chat_ends,
    chat_faults,
    chat_placement,
)
from streamkit.mutations.registry import Class, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

ALL = (chat, chat_placement, chat_calls, chat_arguments, chat_choices, chat_ends, chat_faults)
PRESERVING = catalogue(*ALL, kind=Class.PRESERVING)
OTHERS = [*catalogue(*ALL, kind=Class.DIALECT), *catalogue(*ALL, kind=Class.FAULT)]

every_mutation = pytest.mark.parametrize("one", PRESERVING, ids=lambda one: one.name)


def apply(one: Mutation, base: Stream, *numbers: int) -> Stream:
    """Return a mutated stream, after a check that its result is the original's."""
    mutated = one.apply(base, numbers).stream
    assert outcome(base.body()) == outcome(mutated.body())
    return mutated


# -- all of them


@every_mutation
@every_stream
def test_every_variant_gives_the_very_same_result(one: Mutation, name: str) -> None:
    base = named(name)
    expected = outcome(base.body())
    for numbers, edit in edits(one, base, 40):
        assert expected == outcome(edit.stream.body()), (numbers, edit.said)


@every_mutation
def test_every_mutation_has_something_to_do_in_one_of_the_streams(one: Mutation) -> None:
    assert any(True for name in STREAMS for _ in edits(one, named(name)))


@every_mutation
@pytest.mark.parametrize("name", [one.name for one in library.bundled()])
def test_the_bundled_transcripts_keep_their_result(one: Mutation, name: str) -> None:
    base = Stream.of(library.load(name))
    expected = outcome(base.body())
    for numbers, edit in edits(one, base, 12):
        assert expected == outcome(edit.stream.body()), (numbers, edit.said)


@every_mutation
def test_the_same_choices_make_the_same_edit_and_none_make_the_first(one: Mutation) -> None:
    for name in STREAMS:
        base = named(name)
        for numbers, edit in edits(one, base):
            assert edit.stream.body() == one.apply(base, numbers).stream.body(), name
            if not any(numbers):
                assert edit.stream.body() == one.apply(base).stream.body(), name


@every_mutation
def test_an_entry_says_what_it_does_and_what_is_right_and_where_it_was_reported(one: Mutation) -> None:
    assert ("openai_chat",) == one.dialects
    assert "" not in (one.does, one.right)
    assert "\n" not in one.does + one.right
    assert {True} == {"#" in source and "/" in source for source in one.sources}


@every_mutation
def test_another_dialect_is_left_alone(one: Mutation) -> None:
    base = named("text")
    with pytest.raises(Inapplicable, match="it knows openai_chat"):
        one.apply(Stream(base.events, base.tail, base.manner, "cohere_v2", base.transcript))


@every_mutation
@pytest.mark.parametrize(
    "body", [b"", b"data: [DONE]\n\n", b"data: {}\n\n", b": nothing\n\n", b'data: {"choices":1}\n\n']
)
def test_a_stream_without_an_answer_gives_nothing_to_do(one: Mutation, body: bytes) -> None:
    with pytest.raises(Inapplicable):
        one.apply(stream(body))


def test_no_two_mutations_have_the_same_name() -> None:
    names = [one.name for module in ALL for one in vars(module).values() if isinstance(one, Mutation)]
    assert [] == [name for name, count in Counter(names).items() if count > 1]
    assert 60 < len(names)


# -- composed


STEPS = st.lists(st.tuples(st.integers(0, len(PRESERVING) - 1), st.lists(st.integers(0, 999), max_size=4)), max_size=8)


@given(name=st.sampled_from(sorted(STREAMS)), steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_a_mix_of_preserving_mutations_is_preserving(name: str, steps: list[tuple[int, list[int]]]) -> None:
    """Invariant: however many of them follow each other, the result is the original's."""
    base = current = named(name)
    for number, numbers in steps:
        try:
            current = PRESERVING[number].apply(current, numbers).stream
        except Inapplicable:
            continue
    assert outcome(base.body()) == outcome(current.body())


@given(
    name=st.sampled_from(sorted(STREAMS)),
    other=st.sampled_from(OTHERS),
    numbers=st.lists(st.integers(0, 999), max_size=4),
    steps=STEPS,
)
@settings(max_examples=300, deadline=None)
def test_they_preserve_what_another_mutation_made_of_a_stream(
    name: str, other: Mutation, numbers: list[int], steps: list[tuple[int, list[int]]]
) -> None:
    """Invariant: a stream that another server wrote, or that is broken, keeps its outcome, error and all."""
    try:
        current = other.apply(named(name), numbers).stream
    except Inapplicable:
        return
    expected = outcome(current.body())
    for number, choices in steps:
        try:
            current = PRESERVING[number].apply(current, choices).stream
        except Inapplicable:
            continue
    assert expected == outcome(current.body())


# -- one by one: what is on the wire


TWO = named("two calls in turn")
ONE = named("one call")


def test_a_text_is_cut_where_the_choice_says() -> None:
    base = stream(delta(content="abc"), finish(), DONE)
    assert ["a", "bc"] == [one["content"] for one in deltas(apply(chat.split_text, base))[:2]]
    assert ["ab", "c"] == [one["content"] for one in deltas(apply(chat.split_text, base, 0, 1))[:2]]


def test_what_stands_beside_a_text_stays_with_its_end() -> None:
    base = stream(payload(choice(0, "stop", content="ab"), usage=USAGE), DONE)
    mutated = apply(chat.split_text, base)
    assert [None, "stop"] == finishes(mutated)
    assert [None, USAGE] == [one.get("usage") for _, one in mutated.payloads]


def test_a_tag_is_cut_after_its_first_character() -> None:
    base = stream(delta(content="a<think>b</think>"), finish(), DONE)
    assert ["a<", "think>b<", "/think>"] == [one["content"] for one in deltas(apply(chat.marker_cuts, base))[:3]]


def test_arguments_are_cut_inside_an_escape() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments='{"a":"\\n\\u00e9"}')), finish("tool_calls"), DONE)
    assert ['{"a":"\\', "n\\", 'u00e9"}'] == [one[0][3] for one in entries(apply(chat.escape_cuts, base))]
    assert ['{"a":"\\n\\u0', '0e9"}'] == [one[0][3] for one in entries(apply(chat.escape_cuts, base, 1))]


def test_braces_inside_a_string_are_cut_apart() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments='{"re":"}{"}')), finish("tool_calls"), DONE)
    assert ['{"re":"}', '{"}'] == [one[0][3] for one in entries(apply(chat.escape_cuts, base))]


def test_arguments_come_a_character_at_a_time() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments='{"a":1}')), finish("tool_calls"), DONE)
    assert list('{"a":1}') == [one[0][3] for one in entries(apply(chat.single_characters, base))]


def test_neighbours_are_joined() -> None:
    base = stream(delta(content="a"), delta(content="b"), finish(), DONE)
    assert [{"content": "ab"}, {}] == deltas(apply(chat.merge_neighbours, base))
    assert ["a", "b"] == [one["content"] for one in deltas(apply(chat.merge_neighbours, base, 1))]


def test_entries_of_one_choice_keep_their_order_when_payloads_are_joined() -> None:
    base = stream(payload(choice(content="a"), choice(content="b")), delta(content="c"), finish(), DONE)
    assert ["a", "bc"] == [one["content"] for one in deltas(apply(chat.merge_neighbours, base))[:2]]


def test_text_and_a_call_come_in_the_same_delta() -> None:
    mutated = apply(chat.content_with_calls, TWO)
    assert ["I look."] == [one["content"] for one in deltas(mutated) if "content" in one and "tool_calls" in one]
    assert "role" not in deltas(mutated)[1]


def test_the_finish_reason_comes_with_the_last_fragment() -> None:
    mutated = apply(chat.finish_with_last, ONE)
    assert "tool_calls" == finishes(mutated)[-1]
    assert deltas(mutated)[-1]["tool_calls"]


def test_each_call_comes_in_one_delta() -> None:
    first = [0, "call_get_weather", "get_weather", '{"city":"Paris"}']
    second = [1, "call_get_time", "get_time", '{"zone":"}{"}']
    assert [[first], [second]] == entries(apply(chat.whole_calls, TWO))
    assert [[first, second]] == entries(apply(chat.coalesce_calls, TWO))


def test_openers_come_together_or_each_with_its_first_arguments() -> None:
    names = [[one[2] for one in group] for group in entries(apply(chat.coalesce_calls, TWO, 1))]
    assert [["get_weather", "get_time"], *[[None]] * 5] == names
    twice = entries(apply(chat.coalesce_calls, ONE, 2))[0]
    assert [[0, "call_get_weather", "get_weather", ""], [0, None, None, '{"ci']] == twice


def test_the_opener_carries_the_first_arguments() -> None:
    assert [0, "call_get_weather", "get_weather", '{"ci'] == entries(apply(chat.opener_with_arguments, ONE))[0][0]


def test_the_first_arguments_come_forward_to_the_opener_and_the_order_of_the_calls_stays() -> None:
    both_open = chat.coalesce_calls.apply(TWO, (1,)).stream
    mutated = entries(apply(chat.opener_with_arguments, both_open))
    assert ["get_weather", "get_time"] == [one[2] for one in mutated[0]]
    assert ['{"city":', ""] == [one[3] for one in mutated[0]]


def test_the_fragments_of_two_calls_come_in_turns_and_one_call_after_the_other() -> None:
    assert [0, 1, 0, 1, 0, 1, 1] == [group[0][0] for group in entries(apply(chat.interleave_calls, TWO))]
    back = apply(chat.interleave_calls, named("two calls in turns"), 1)
    assert [0, 0, 0, 1, 1, 1] == [group[0][0] for group in entries(back)]


def test_text_comes_after_the_calls() -> None:
    mutated = deltas(apply(chat_placement.text_after_calls, TWO))
    assert ["I look."] == [one["content"] for one in mutated[-2:] if "content" in one]
    assert "content" not in mutated[0]


def test_two_choices_come_in_turns_and_one_after_the_other() -> None:
    def order(base: Stream) -> list[int]:
        return [one["choices"][0]["index"] for _, one in base.payloads if one["choices"]]

    base = named("two choices")
    assert [0, 1, 0, 1, 0, 0, 1, 1] == order(base)
    assert [0, 1, 0, 1, 0, 1, 0, 1] == order(apply(chat_placement.n_interleave, base))
    assert [0, 0, 0, 0, 1, 1, 1, 1] == order(apply(chat_placement.n_interleave, base, 1))
    assert [1, 0, 1, 0, 1, 0, 1, 0] == order(apply(chat_placement.n_interleave, base, 2))


def test_usage_moves_to_the_finish_reason_and_away_from_it() -> None:
    def usages(base: Stream) -> list[tuple[bool, bool]]:
        return [(bool(one["choices"]), bool(one.get("usage"))) for _, one in base.payloads][-2:]

    assert [(True, False), (True, True)] == usages(apply(chat_placement.usage_placement, TWO))
    apart = apply(chat_placement.usage_placement, named("usage with the finish reason"))
    assert [(True, False), (False, True)] == usages(apart)


def test_logprobs_come_after_their_text() -> None:
    mutated = apply(chat_placement.logprobs_apart, named("logprobs"))
    held = [(bool(one["choices"][0]["delta"]), bool(one["choices"][0]["logprobs"])) for _, one in mutated.payloads]
    assert [(True, False), (True, False), (False, True), (True, True), (False, False)] == held


def test_null_is_written_where_a_field_is_absent_and_left_out_where_it_is_null() -> None:
    field = 1 + list(chat_placement._NULLABLE).index("call.id")
    mutated = apply(chat_placement.null_absent, ONE, field)
    held: list[Any] = [one["tool_calls"][0].get("id", "absent") for one in deltas(mutated) if "tool_calls" in one]
    assert ["call_get_weather", None, None, None, None, None] == held
    back = apply(chat_placement.null_absent, mutated, field, 1)
    assert ["absent"] * 4 == [one["tool_calls"][0].get("id", "absent") for one in deltas(back)[1:5]]


def test_empty_arguments_become_null_or_absent() -> None:
    held: list[Any] = [
        deltas(apply(chat_placement.null_arguments, ONE, how))[0]["tool_calls"][0]["function"] for how in (0, 1)
    ]
    assert [{"name": "get_weather", "arguments": None}, {"name": "get_weather"}] == held


def test_the_type_is_left_out_or_comes_last() -> None:
    def kinds(base: Stream) -> list[str | None]:
        return [one["tool_calls"][0].get("type") for one in deltas(base) if "tool_calls" in one]

    assert [None] * 6 == kinds(apply(chat_placement.type_missing, ONE))
    assert [None] * 5 + ["function"] == kinds(apply(chat_placement.type_missing, ONE, 1))


def test_an_empty_list_of_calls_stands_beside_text_and_empty_text_beside_calls() -> None:
    assert [] == deltas(apply(chat_placement.empty_tool_calls, TWO))[0]["tool_calls"]
    assert "" == deltas(apply(chat_placement.empty_tool_calls, TWO, 1))[1]["content"]


def test_empty_text_is_not_put_into_an_answer_without_text() -> None:
    with pytest.raises(Inapplicable, match="no tool calls beside text"):
        chat_placement.empty_tool_calls.apply(ONE, (1,))


def test_the_role_stands_in_every_delta_that_says_something() -> None:
    assert ["assistant"] * 6 + [None] == [one.get("role") for one in deltas(apply(chat_placement.role_repeated, ONE))]


def test_a_delta_that_says_nothing_follows_a_call() -> None:
    assert [0, None, None, ""] == entries(apply(chat_placement.trailing_empty_delta, ONE))[-1][0]


# -- where an edit could change the meaning, there is none


def test_arguments_that_begin_with_a_placeholder_are_not_cut() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments="{}")), calls(call(0, arguments='{"a":1}')), finish(), DONE)
    with pytest.raises(Inapplicable):
        chat.split_arguments.apply(base)
    with pytest.raises(Inapplicable, match="more follows"):
        chat.whole_calls.apply(base)


def test_calls_that_share_an_index_or_have_none_are_not_laid_out_anew() -> None:
    shared = stream(calls(call(0, id="a", name="f")), calls(call(0, id="b", name="g")), finish("tool_calls"), DONE)
    without = stream(calls(call(None, id="a", name="f")), calls(call(None, id="b", name="g")), finish(), DONE)
    for base, why in ((shared, "share an index"), (without, "no index")):
        with pytest.raises(Inapplicable, match=why):
            chat.interleave_calls.apply(base)


def test_nothing_after_done_and_nothing_after_a_broken_event_is_touched() -> None:
    late = stream(delta(content="a"), finish(), DONE, delta(content="late"))
    with pytest.raises(Inapplicable):
        chat.split_text.apply(late)
    broken = stream(delta(content="a"), "no JSON", delta(content="late"))
    with pytest.raises(Inapplicable):
        chat.split_text.apply(broken)


def test_events_that_are_not_edited_keep_their_bytes() -> None:
    odd = b'id: 7\r\ndata:  {"choices" : [{"index":0,"delta":{"content":"\\u0061"}}]}\r\n\r\n'
    mutated = chat.split_text.apply(stream(odd, delta(content="bc"), finish(), DONE)).stream
    assert mutated.body().startswith(odd)


def test_bytes_that_are_not_utf8_stay_an_error() -> None:
    base = stream(delta(content="ab"), b'data: {"choices":[{"index":0,"delta":{"content":"x\xff"}}]}\n\n', DONE)
    expected = outcome(base.body())
    for one in PRESERVING:
        for _, edit in edits(one, base):
            assert expected == outcome(edit.stream.body()), one.name
