"""Mutations of the JSON: the values stay the same, texts grow by what was put in, and what is broken is noticed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from skhelpers.chat import DONE, call, calls, choice, delta, finish, payload, sse, weather
from skhelpers.mutated import chat_streams, edits, lawful, of_modules, outcome

from streamkit.completion import Completion
from streamkit.errors import PayloadError
from streamkit.mutations import chat_json, chat_text, jsontext
from streamkit.mutations.registry import Class, Inapplicable, Mutation
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

MUTATIONS = of_modules(jsontext, chat_json, chat_text)
TEXTS = [jsontext.json_whitespace, jsontext.key_order, jsontext.json_escapes, jsontext.raw_characters]
#: Values that a careless rewriting changes: numbers with their own text, escapes, half a pair, arguments as an object.
ODD = (
    '{"choices":[{"delta":{"content":"Gr\\u00fc\\u00dfe \\ud83c\\udf0d \\ud83c / \\"x\\" \u4e1c \\u2028"},"index":0}],'
    '"n":[1.0,1e400,-0.0,12345678901234567890],"arguments":{"b":1,"a":{"z":1,"y":2}},"z":null}'
)

every_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)


def stream(body: bytes) -> Stream:
    return Stream.of(Transcript(body, dialect="openai_chat"))


def values(one: Stream) -> list[Any]:
    """Return the payloads, their numbers as they are written."""
    return [
        json.loads(event.data or "", parse_float=str, parse_int=str)
        for event in one.events
        if event.data and not event.done
    ]


def done(one: Stream) -> Completion:
    result = outcome(one)
    assert isinstance(result, Completion)
    return result


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


@pytest.mark.parametrize("mutation", TEXTS, ids=lambda one: one.name)
def test_a_text_written_otherwise_is_the_same_value(mutation: Mutation) -> None:
    for one in (stream(sse(ODD, DONE)), stream(weather()), *chat_streams()[:4]):
        for numbers, edit in edits(mutation, one, 12):
            assert values(one) == values(edit.stream), numbers


@every_mutation
def test_the_same_choices_make_the_same_edit(mutation: Mutation) -> None:
    one = stream(weather())
    for numbers, edit in edits(mutation, one):
        assert edit.stream.body() == mutation.apply(one, numbers).stream.body()
        assert set(edit.after) <= set(range(len(edit.stream.events)))


@every_mutation
def test_json_lines_are_edited_like_events(mutation: Mutation) -> None:
    body = b'{"response":"a/\xc3\xa9","done":false}\n{"response":"","done":true}\n'
    one = Stream.of(Transcript(body))
    for numbers, edit in edits(mutation, one):
        assert 2 == edit.stream.body().count(b"\n")
        if mutation.kind is Class.PRESERVING:
            assert values(one) == values(Stream.of(Transcript(edit.stream.body()))), numbers
        else:  # a fault breaks one line and leaves the other
            after = edit.stream.body().splitlines()
            assert 1 == sum(new != old for new, old in zip(after, body.splitlines(), strict=True)), numbers


# What each writes


def written(mutation: Mutation, text: str, *numbers: int) -> str:
    return mutation.apply(stream(sse(text)), numbers).stream.events[0].data or ""


@pytest.mark.parametrize(
    ("mutation", "numbers", "text", "expected"),
    [
        (jsontext.json_whitespace, (0,), '{"a b": [1, 2]}', '{"a b":[1,2]}'),
        (jsontext.json_whitespace, (1,), '{"a":[1,2]}', '{"a": [1, 2]}'),
        (jsontext.json_whitespace, (0,), '{"a":[1,2]}', '{"a": [1, 2]}'),
        (jsontext.json_whitespace, (2,), '{"a":[]}', ' \t{ \t"a" \t: \t[ \t] \t} \t'),
        (jsontext.json_whitespace, (3,), '{"a":1}', '  {"a":1}\t '),
        (jsontext.key_order, (0,), '{"a":1.0,"b":{"c":[],"d":"\u4e1c"}}', '{"b":{"d":"\u4e1c","c":[]},"a":1.0}'),
        (jsontext.key_order, (1,), '{"b":1e5,"a":{"d":0,"c":0}}', '{"a":{"c":0,"d":0},"b":1e5}'),
        (jsontext.key_order, (0,), '{"x":1,"arguments":{"a":1,"b":2}}', '{"arguments":{"a":1,"b":2},"x":1}'),
        (jsontext.json_escapes, (0,), '{"a":"b1"}', '{"a":"\\u00621"}'),
        (jsontext.json_escapes, (1,), '{"\xe9":"\U0001f30d"}', '{"\\u00e9":"\\ud83c\\udf0d"}'),
        (jsontext.json_escapes, (2,), '{"a":"1\\n"}', '{"\\u0061":"1\\n"}'),
        (jsontext.json_escapes, (3,), '{"a":"</b>"}', '{"a":"<\\/b>"}'),
        (jsontext.json_escapes, (4,), '{"a":"\xe9\U0001f30d"}', '{"a":"\\u00E9\\uD83C\\uDF0D"}'),
        (jsontext.raw_characters, (), '{"a":"\\u2028\\/\\u0041\\u0001\\u000a\\ud83c\\udf0d\\ud83c"}',
         '{"a":"\u2028/A\\u0001\\n\U0001f30d\\ud83c"}'),
    ],
)  # fmt: skip
def test_what_a_mutation_writes(mutation: Mutation, numbers: tuple[int, ...], text: str, expected: str) -> None:
    assert expected == written(mutation, text, *numbers)


def test_all_payloads_are_rewritten_or_one() -> None:
    one = stream(weather())
    whole = jsontext.json_whitespace.apply(one)
    assert tuple(range(len(one.events) - 1)) == whole.after
    assert (2,) == jsontext.json_whitespace.apply(one, (0, 3)).after


# Text put into strings


@pytest.mark.parametrize("mutation", [chat_text.unicode_separators, chat_text.framing_in_text], ids=lambda m: m.name)
def test_text_put_into_content_or_arguments_comes_out_of_them(mutation: Mutation) -> None:
    opener = calls(call(id="c", name="f", arguments=""))
    pieces = [calls(call(arguments=piece)) for piece in ('{"a', '\\u00e9\\"":', '"\\ud83d\\ude00"', "}")]
    one = stream(sse(delta(role="assistant", content="ab"), opener, *pieces, finish("tool_calls"), DONE))
    before = done(one)
    seen = set()
    for kind in range(6):
        for where in range(2):
            for place in range(4):
                edit = mutation.apply(one, (kind, where, place))
                after = done(edit.stream)
                assert edit.expected is not None
                assert edit.expected(before) == after
                assert before != after
                assert after.tool_calls[0].executable
                seen.add(after.content if where == 0 else after.tool_calls[0].arguments)
    assert len(seen) > (6 if mutation is chat_text.unicode_separators else 9)


def test_separators_are_written_raw_even_where_the_stream_writes_escapes() -> None:
    body = sse('{"choices":[{"index":0,"delta":{"content":"\\u00e9"}}]}', finish(), DONE)
    edit = chat_text.unicode_separators.apply(stream(body))
    assert "\u2028".encode() in edit.stream.body()
    assert "\u2028\xe9" == done(edit.stream).content


@pytest.mark.parametrize(
    "entries",
    [
        [call(0, id="a", name="f", arguments='{"x":"1"}'), call(0, id="b", name="g", arguments='{"x":"1"}')],
        [call(0, id="a", name="f", arguments="{}"), call(0, arguments='{"x":"1"}')],
        [call(0, id="a", name="f", arguments='{"x":'), call(1, id="a", arguments='"1"}')],
        [call(None, id="a", name="f", arguments='{"x":"1"}')],
        [call(0, id="a", name="f", arguments={"x": "1"})],
        [call(0, id="a", name="f", arguments='{"x":"1')],
    ],
)
def test_no_text_is_put_into_calls_whose_joining_is_in_doubt(entries: list[dict[str, Any]]) -> None:
    one = stream(sse(*(calls(entry) for entry in entries), finish("tool_calls"), DONE))
    with pytest.raises(Inapplicable):
        chat_text.framing_in_text.apply(one)


# Fields and other servers' ways


def test_an_unknown_field_is_added_to_a_delta_a_choice_or_a_payload() -> None:
    one = stream(sse(delta(content="a"), finish(), DONE))
    for where, expected in enumerate(
        ('"content":"a","x_unknown":7}', '"finish_reason":null,"x_unknown":7}', ',"x_unknown":7}\n')
    ):
        edit = chat_json.unknown_fields.apply(one, (2, where))
        assert expected in edit.stream.body().decode()
        assert edit.expected is not None
        assert edit.expected(done(one)) == done(edit.stream) != done(one)


def test_an_unknown_field_comes_with_a_delta_and_all_that_follow_it() -> None:
    one = stream(sse(delta(content="a"), delta(content="b"), finish(), DONE))
    edit = chat_json.unknown_fields.apply(one, (0, 0, 1, 1))
    body = edit.stream.body().decode()
    assert (2, (1, 2)) == (body.count('"x_unknown":[{"a":1}]'), edit.after)
    assert edit.expected is not None
    assert edit.expected(done(one)) == done(edit.stream) != done(one)


def test_a_usage_object_without_counters_comes_before_the_real_one() -> None:
    usage = {"total_tokens": 3}
    one = stream(sse(delta(content="a"), finish(), payload(usage=usage), DONE))
    edit = chat_json.empty_usage.apply(one)
    assert (0,) == edit.after
    assert usage == done(edit.stream).usage
    without = chat_json.empty_usage.apply(stream(sse(delta(content="a"), finish(), DONE)), (1,))
    assert {"total_characters": 0} == done(without.stream).usage


@pytest.mark.parametrize("kind", range(4))
def test_a_payload_without_choices_changes_nothing(kind: int) -> None:
    one = stream(sse(delta(content="a"), finish(), DONE))
    edit = chat_json.choices_null.apply(one, (kind,))
    assert len(one.events) + 1 == len(edit.stream.events)
    assert done(one) == done(edit.stream)


@pytest.mark.parametrize(("kind", "word"), list(enumerate(["-Infinity", "NaN", "Infinity"])))
def test_a_number_that_json_has_not_is_an_error(kind: int, word: str) -> None:
    edit = chat_json.nan_logprobs.apply(stream(sse(delta(content="a"), finish(), DONE)), (kind,))
    assert f'"logprob":{word}' in edit.stream.body().decode()
    assert isinstance(outcome(edit.stream), PayloadError)


def test_the_index_of_a_choice_is_kept_in_what_is_expected() -> None:
    one = stream(sse(payload(choice(1, content="b")), payload(choice(0, "stop", content="a")), finish(index=1), DONE))
    edit = chat_text.unicode_separators.apply(one)
    assert ["a", "\u2028b"] == [part.content for part in done(edit.stream).choices]
    assert edit.expected is not None
    assert edit.expected(done(one)) == done(edit.stream)


# Broken texts


@pytest.mark.parametrize("mutation", [jsontext.broken_json, jsontext.bad_utf8], ids=lambda one: one.name)
def test_a_broken_event_is_one_without_which_the_answer_is_not_whole(mutation: Mutation) -> None:
    one = stream(sse(delta(content="a"), delta(content="b"), finish(), payload(usage={"total_tokens": 3}), DONE))
    found = {edit.after for _, edit in edits(mutation, one, 40)}
    assert {(0,), (1,), (2,)} == found
    assert (1,) == mutation.apply(one).after
    assert all(isinstance(outcome(edit.stream), PayloadError) for _, edit in edits(mutation, one, 40))


@pytest.mark.parametrize("mutation", [jsontext.broken_json, jsontext.bad_utf8], ids=lambda one: one.name)
def test_a_ping_is_not_broken_for_a_reader_may_skip_it(mutation: Mutation) -> None:
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    one = stream(ping + sse(delta(content="a"), b"data: {}\n\n", finish(), DONE))
    assert {(1,), (3,)} == {edit.after for _, edit in edits(mutation, one, 40)}


def test_the_bytes_that_are_no_utf8_are_inside_a_string_of_the_data() -> None:
    body = sse('{"choices":[{"index":0,"delta":{"content":"a"}}]}', finish(), DONE)
    edit = jsontext.bad_utf8.apply(stream(body), (0, 1))
    assert body.replace(b'"a"', b'"\xff\xfea"') == edit.stream.body()
    kinds = [
        re.search(rb'":"([^"]*)a"', jsontext.bad_utf8.apply(stream(body), (kind, 1)).stream.body()) for kind in range(4)
    ]
    assert [b"\xff\xfe", b"\xf0\x9f", b"\xed\xa0\xbd", b"\xc0\xaf"] == [found[1] for found in kinds if found]


def test_a_text_nested_too_deep_is_left_alone() -> None:
    deep = '{"choices":[{"index":0,"delta":{"content":"a"}}],"x":' + "[" * 900 + "]" * 900 + "}"
    one = stream(sse(deep, finish(), DONE))
    with pytest.raises(Inapplicable, match="too deep"):
        jsontext.key_order.apply(one)
    assert () == next(jsontext.key_order.variants(one))
    assert deep not in jsontext.json_whitespace.apply(one).stream.body().decode()
