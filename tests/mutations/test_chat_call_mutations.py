"""Mutations that write chat completions as other servers do: our reader gives the sensible result, to the letter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import DONE, call, calls, delta, finish, read
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
    wanted,
)

from streamkit.cassettes import library
from streamkit.completion import Completion, FunctionCall
from streamkit.errors import TruncatedStreamError
from streamkit.mutations import chat_arguments, chat_calls, chat_choices, chat_ends, chat_faults
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

DIALECT = catalogue(chat_calls, chat_arguments, chat_choices, chat_ends, kind=Class.DIALECT)
BY_NAME = {one.name: one for one in DIALECT}

every_mutation = pytest.mark.parametrize("one", DIALECT, ids=lambda one: one.name)


def check(base: Stream, edit: Edit) -> None:
    assert wanted(edit, outcome(base.body())) == outcome(edit.stream.body()), edit.said


def apply(name: str, base: Stream, *numbers: int) -> Stream:
    """Return a mutated stream, after a check that its result is the sensible one."""
    edit = BY_NAME[name].apply(base, numbers)
    check(base, edit)
    return edit.stream


def result(name: str, base: Stream, *numbers: int) -> Completion:
    """Return the completion of a mutated stream."""
    found = outcome(apply(name, base, *numbers).body())
    assert isinstance(found, Completion)
    return found


def plainly(completion: Completion) -> list[tuple[str, str, bool]]:
    """Return name and arguments of each call, and whether it may be executed."""
    return [(one.name, one.arguments, one.executable) for one in completion.tool_calls]


# -- all of them


@every_mutation
@every_stream
def test_every_variant_gives_the_sensible_result(one: Mutation, name: str) -> None:
    base = named(name)
    for _, edit in edits(one, base, 40):
        check(base, edit)


@every_mutation
def test_every_mutation_has_something_to_do_in_one_of_the_streams(one: Mutation) -> None:
    assert any(True for name in STREAMS for _ in edits(one, named(name)))


@every_mutation
@pytest.mark.parametrize("name", [one.name for one in library.bundled()])
def test_the_bundled_transcripts_give_the_sensible_result(one: Mutation, name: str) -> None:
    base = Stream.of(library.load(name))
    for _, edit in edits(one, base, 12):
        check(base, edit)


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
@pytest.mark.parametrize("body", [b"", b"data: [DONE]\n\n", b"data: {}\n\n", b'data: {"choices":1}\n\n'])
def test_a_stream_without_an_answer_gives_nothing_to_do(one: Mutation, body: bytes) -> None:
    with pytest.raises(Inapplicable):
        one.apply(stream(body))


@given(
    name=st.sampled_from(sorted(STREAMS)),
    steps=st.lists(st.tuples(st.sampled_from(DIALECT), st.lists(st.integers(0, 999), max_size=4)), max_size=6),
)
@settings(max_examples=400, deadline=None)
def test_in_a_mix_each_mutation_gives_what_is_sensible_after_those_before_it(
    name: str, steps: list[tuple[Mutation, list[int]]]
) -> None:
    """Invariant: the expected results of a chain of mutations follow each other like the mutations themselves."""
    base = named(name)
    expected, current = outcome(base.body()), base
    for one, numbers in steps:
        try:
            edit = one.apply(current, numbers)
        except Inapplicable:
            continue
        expected, current = wanted(edit, expected), edit.stream
    assert expected == outcome(current.body())


def test_a_call_that_comes_once_more_is_one_call_though_its_first_came_in_halves() -> None:
    base = stream(calls(call(0, id="a", name="f", arguments='{"a":"🌍"}')), finish("tool_calls"), DONE)
    halves = BY_NAME["surrogate_halves"].apply(base).stream
    assert [("f", '{"a":"🌍"}', True)] == plainly(result("duplicate_tail", halves))


# -- one by one: what is on the wire, and what it gives

ONE = named("one call")
TWO = named("two calls in turn")
CALLS = [("get_weather", '{"city":"Paris"}', True), ("get_time", '{"zone":"}{"}', True)]


@pytest.mark.parametrize("how", range(3))
def test_two_calls_at_index_0_stay_two(how: int) -> None:
    mutated = apply("collapse_index", TWO, how)
    assert {0} == {one[0] for group in entries(mutated) for one in group}
    assert CALLS == plainly(result("collapse_index", TWO, how))


@pytest.mark.parametrize("numbers", [(how, null) for how in range(3) for null in range(2)])
def test_two_calls_without_an_index_stay_two(numbers: tuple[int, int]) -> None:
    mutated = apply("drop_index", TWO, *numbers)
    assert {None} == {one[0] for group in entries(mutated) for one in group}
    assert CALLS == plainly(result("drop_index", TWO, *numbers))


def test_calls_are_numbered_from_1_and_with_gaps_and_backwards() -> None:
    numbers = [[one.index for one in result("renumber_index", TWO, how).tool_calls] for how in range(3)]
    assert [[1, 2], [2, 5], [0, 1]] == numbers
    assert CALLS[::-1] == plainly(result("renumber_index", TWO, 2))
    assert [-1] == [one.index for one in result("renumber_index", ONE, 3).tool_calls]
    with pytest.raises(Inapplicable, match="-1"):
        BY_NAME["renumber_index"].apply(TWO, (3,))


def test_the_call_with_the_highest_index_may_come_first() -> None:
    assert [1, 1, 1, 1, 0, 0, 0] == [group[0][0] for group in entries(apply("index_out_of_order", TWO))]
    assert [1, 0, 1, 0, 1, 0, 1] == [group[0][0] for group in entries(apply("index_out_of_order", TWO, 1))]
    assert CALLS == plainly(result("index_out_of_order", TWO))


def test_a_call_goes_on_at_another_index_with_its_id() -> None:
    held = [group[0][:3] for group in entries(apply("index_drift", TWO))][:3]
    name = "get_weather"
    assert [[0, f"call_{name}", name], [2, f"call_{name}", None], [2, f"call_{name}", None]] == held
    each = [group[0][:3] for group in entries(apply("index_drift", TWO, 1))][:3]
    assert [[0, f"call_{name}", name], [2, f"call_{name}", name], [3, f"call_{name}", name]] == each
    assert [0, 1, 1] == [group[0][0] for group in entries(apply("index_drift", TWO, 2))][:3]


def test_id_type_and_name_come_again_on_every_fragment() -> None:
    held = entries(apply("repeat_id_name", ONE))
    assert {("call_get_weather", "get_weather")} == {(one[1], one[2]) for group in held for one in group}
    assert {("call_get_weather", None)} == {(one[1], one[2]) for group in entries(apply("repeat_id_name", ONE, 1))[1:]
                                            for one in group}  # fmt: skip


def test_a_name_comes_in_two_pieces() -> None:
    assert ["get_w", "eather"] == [group[0][2] for group in entries(apply("split_name", ONE))][:2]
    assert ["get_weather"] == [one.name for one in result("split_name", ONE).tool_calls]


def test_a_name_whose_halves_are_the_same_is_cut_elsewhere() -> None:
    base = stream(calls(call(0, id="a", name="gogo", arguments="{}")), finish("tool_calls"), DONE)
    for _, edit in edits(BY_NAME["split_name"], base, 40):
        check(base, edit)
    twice = stream(calls(call(0, id="a", name="aa", arguments="{}")), finish("tool_calls"), DONE)
    with pytest.raises(Inapplicable, match="two pieces"):
        BY_NAME["split_name"].apply(twice)


def test_a_name_comes_after_the_arguments_began() -> None:
    assert [None, "get_weather"] == [group[0][2] for group in entries(apply("late_name", ONE))][:2]
    late = entries(apply("late_name", ONE, 1))
    assert [None] * (len(late) - 1) + ["get_weather"] == [group[0][2] for group in late]


def test_every_fragment_has_a_fresh_id_or_no_id_at_all() -> None:
    ids = [group[0][1] for group in entries(apply("id_churn", ONE))]
    assert len(ids) == len(set(ids))
    assert ["call_get_weather"] == [one.id for one in result("id_churn", ONE).tool_calls]
    for how, nothing in enumerate((None, None, "")):
        assert nothing == entries(apply("drop_id", ONE, how))[0][0][1]
        assert [None] == [one.id for one in result("drop_id", ONE, how).tool_calls]


def test_empty_strings_stand_on_the_fragments_that_continue_a_call() -> None:
    held = deltas(apply("null_absent_empty", ONE))[1]["tool_calls"][0]
    assert {"index": 0, "function": {"arguments": '{"ci', "name": ""}, "id": "", "type": ""} == held


def test_a_placeholder_comes_before_the_arguments() -> None:
    assert "{}" == entries(apply("args_placeholder", ONE))[0][0][3]
    assert ["", "{}"] == [group[0][3] for group in entries(apply("args_placeholder", ONE, 1))][:2]


def test_arguments_are_an_object_on_the_wire_and_compact_text_in_the_result() -> None:
    base = named("whole call")
    assert {"city": "Paris", "n": [1, 2]} == entries(apply("arguments_object", base))[0][0][3]
    assert [("get_weather", '{"city":"Paris","n":[1,2]}', True)] == plainly(result("arguments_object", base))


def test_a_call_without_arguments_is_whole_once_the_stream_has_ended() -> None:
    for how in range(3):
        assert [("get_weather", "", True)] == plainly(result("no_arguments", ONE, how))


def test_a_call_that_was_cut_off_is_not_made_one_without_arguments() -> None:
    with pytest.raises(Inapplicable, match="not whole"):
        BY_NAME["no_arguments"].apply(named("cut off by length"))


def test_an_entry_without_a_function_is_nothing() -> None:
    held = [deltas(apply("function_null", ONE, how))[1]["tool_calls"][0] for how in range(3)]
    assert [{"index": 0, "function": None}, {"index": 0, "function": {}}, {"index": 0}] == held


def test_a_call_that_comes_once_more_is_one_call() -> None:
    whole = ["call_get_weather", "get_weather", '{"city":"Paris"}']
    assert [0, *whole] == entries(apply("duplicate_tail", TWO))[-1][0]
    assert [2, *whole] == entries(apply("duplicate_tail", TWO, 1))[-1][0]
    assert [0, None, *whole[1:]] == entries(apply("duplicate_tail", TWO, 2))[-1][0]


def test_a_thought_signature_stays_with_its_call() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}}}
    assert [extra, {}] == [one.extra for one in result("call_extra", TWO).tool_calls]


def test_a_call_in_the_legacy_form_is_one_call() -> None:
    found = result("legacy_function_call", named("whole call"))
    assert FunctionCall("get_weather", '{"city": "Paris", "n": [1, 2]}') == found.choices[0].function_call
    assert ("function_call", ()) == (found.finish_reason, found.tool_calls)


@pytest.mark.parametrize(("how", "left"), [(0, '{"city":"Paris"'), (1, '"Paris"}'), (2, '{"city":{"city":"Paris"}')])
def test_a_call_that_lost_some_of_its_arguments_is_not_executable(how: int, left: str) -> None:
    found = plainly(result("lost_arguments", TWO, how))[0]
    assert ("get_weather", left, False) == found


def test_the_halves_of_a_pair_come_in_two_deltas_as_escapes() -> None:
    mutated = apply("surrogate_halves", stream(delta(content="a🌍b"), finish(), DONE))
    assert ["a\ud83c", "\udf0db"] == [one["content"] for one in deltas(mutated)[:2]]
    assert b"\\ud83c" in mutated.body()
    base = stream(calls(call(0, id="a", name="f", arguments='{"a":"🌍"}')), finish("tool_calls"), DONE)
    assert [("f", '{"a":"🌍"}', True)] == plainly(result("surrogate_halves", base))


def test_content_comes_as_parts_and_reasoning_under_other_names() -> None:
    base = named("reasoning")
    assert [{"type": "text", "text": "Then"}] == deltas(apply("content_parts", base))[3]["content"]
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "First"}]}
    assert [thinking] == deltas(apply("content_parts", base, 1))[1]["content"]
    assert {"reasoning": "First"} == deltas(apply("reasoning_names", base))[1]
    twice = {"reasoning_content": "First", "reasoning": "First"}
    assert twice == deltas(apply("reasoning_names", base, 0, 1))[1]
    assert "First, I think." == result("reasoning_names", base, 0, 1).choices[0].reasoning
    renamed = [BY_NAME["reasoning_names"].apply(base, (0, how, name)) for how, name in [(0, 0), (0, 1), (1, 1), (0, 2)]]
    whole = result("reasoning_names", base, 0, 1)
    passed_over = [[also(whole).choices[0].reasoning for also in edit.also] for edit in renamed]
    assert [[], [None], [], [None]] == passed_over  # a name of few servers, and nothing beside it


def test_a_payload_holds_two_entries_of_one_choice() -> None:
    first = apply("duplicate_choice", named("text")).payloads[0][1]["choices"]
    assert [{"role": "assistant", "content": ""}, {"content": ""}] == [one["delta"] for one in first]
    cut = apply("duplicate_choice", named("refusal"), 1).payloads
    assert ["I ", "can"] == [one["delta"]["refusal"] for one in cut[1][1]["choices"]]


def test_a_second_choice_has_the_same_answer() -> None:
    found = result("second_choice", named("text"))
    assert [0, 1] == [one.index for one in found.choices]
    assert found.choices[0] == replace(found.choices[1], index=0)
    late = [one["choices"][0]["index"] for _, one in apply("second_choice", named("text"), 1).payloads]
    assert sorted(late) == late


def test_the_role_is_left_out_or_null_or_empty() -> None:
    held = [deltas(apply("role_noise", ONE, how))[0].get("role", "absent") for how in range(3)]
    assert ["absent", None, ""] == held


def test_audio_and_annotations_are_kept() -> None:
    assert {"id": "audio_1", "data": "UklGRg=="} == result("audio_deltas", named("text")).choices[0].extra["audio"]
    assert 2 == len(result("audio_deltas", named("text"), 1).choices[0].extra["annotations"])


def test_the_word_of_the_end_is_given_as_it_came_and_the_calls_with_it() -> None:
    words = ["stop", "end_turn", "STOP", "unknown"]
    assert words == [result("finish_reason_other", TWO, how).finish_reason for how in range(4)]
    assert CALLS == plainly(result("finish_reason_other", TWO, 3))


def test_finish_reasons_that_say_nothing_and_those_that_come_too_often() -> None:
    assert ["", "", "", "", "", "", "tool_calls"] == finishes(apply("finish_reason_noise", ONE))
    assert ["tool_calls", "stop"] == finishes(apply("finish_reason_noise", ONE, 1))[-2:]
    assert ["tool_calls"] * 7 == finishes(apply("finish_reason_noise", ONE, 2))
    assert ["tool_calls", None] == finishes(apply("finish_reason_noise", ONE, 3))[:2]


def test_usage_counts_up_and_the_last_one_is_kept() -> None:
    totals = [one["usage"]["total_tokens"] for _, one in apply("usage_every_payload", TWO).payloads]
    assert totals == sorted(totals)
    assert USAGE["total_tokens"] == totals[-1] != totals[0]
    assert USAGE == result("usage_null_after", TWO).usage


def test_payloads_have_another_identity_each_or_none() -> None:
    ids = [one["id"] for _, one in apply("identity_churn", ONE).payloads]
    assert len(ids) == len(set(ids))
    assert ["chatcmpl-1", ""] == [one["id"] for _, one in apply("identity_churn", ONE, 1).payloads][:2]
    assert ["", "chatcmpl-1"] == [one["id"] for _, one in apply("identity_churn", ONE, 2).payloads][:2]
    assert {""} == {one["object"] for _, one in apply("identity_churn", ONE, 3).payloads}


def test_the_content_filter_adds_a_preamble_and_choices_without_a_delta() -> None:
    assert [] == apply("azure_noise", ONE).payloads[0][1]["choices"]
    assert [("delta" in one["choices"][0]) for _, one in apply("azure_noise", ONE, 3).payloads][-2:] == [True, False]
    assert "tool_calls" == result("azure_noise", ONE, 4).finish_reason


def test_what_comes_after_an_early_finish_reason_is_read() -> None:
    found = result("finish_reason_noise", ONE, 3)
    assert ("tool_calls", result("finish_reason_noise", ONE).tool_calls) == (found.finish_reason, found.tool_calls)


# -- pairs: a parser that is made to take the one may break on the other


def test_a_name_that_is_repeated_and_a_name_in_two_pieces_give_the_same_call() -> None:
    for name in ("repeat_id_name", "split_name"):
        assert ["get_weather"] == [one.name for one in result(name, ONE).tool_calls]


def test_another_id_at_an_index_opens_a_call_with_a_name_and_continues_one_without() -> None:
    assert 2 == len(result("collapse_index", TWO).tool_calls)
    assert 1 == len(result("id_churn", ONE).tool_calls)
    assert 1 == len(result("repeat_id_name", ONE, 1).tool_calls)


def test_done_ends_a_stream_without_a_finish_reason_and_the_end_of_the_body_does_not() -> None:
    found = result("finish_reason_missing", TWO)
    assert (None, CALLS, True) == (found.finish_reason, plainly(found), found.ended)
    cut = outcome(chat_faults.bare_eof.apply(TWO).stream.body())
    assert isinstance(cut, tuple)
    assert TruncatedStreamError is cut[0]
    assert [False, False] == [one.executable for one in cut[1].tool_calls]


def test_a_call_without_arguments_is_told_from_one_that_was_cut_after_its_opener() -> None:
    assert [("get_weather", "", True)] == plainly(result("no_arguments", ONE))
    cut = outcome(chat_faults.cut_after_opener.apply(ONE).stream.body())
    assert isinstance(cut, tuple)
    assert [("get_weather", "", False)] == plainly(cut[1])


def test_text_that_repeats_itself_is_kept_and_so_is_text_that_only_looks_repeated() -> None:
    base = stream(delta(content="ha"), delta(content=" no"), finish(), DONE)
    assert "haha no" == result("cumulative_deltas", base).content
    assert "ha noha no" == result("repeated_text", base).content
    assert "haha no" == result("repeated_text", base, 1).content
    assert "haha" == read(delta(content="ha"), delta(content="ha"), finish(), DONE).content


def test_braces_inside_a_string_make_no_second_call_at_index_0() -> None:
    assert CALLS[1] == plainly(result("collapse_index", TWO))[1]
