"""Mutations of the framing: what each writes, that it keeps what its class promises, and that they mix."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import DONE, delta, finish, payload, sse, weather
from skhelpers.mutated import chat_streams, edits, facts, lawful, of_modules, outcome

from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations import chat_json, chat_text, faults, frames, framing, jsontext
from streamkit.mutations.registry import Class, Inapplicable, Layer, Mutation
from streamkit.mutations.stream import Event, Stream
from streamkit.transcript import Transcript
from streamkit.wire.sse import decode

MUTATIONS = of_modules(framing, frames)
PRESERVING = [one for one in of_modules(framing, frames, jsontext, chat_json, chat_text) if not one.kind]
FRAMING = [one for one in MUTATIONS if one.kind is Class.PRESERVING]
NDJSON = b'{"response":"a","done":false}\n{"response":"","done":true}\n'
NAMED = b'id: 4\nevent: delta\ndata: {"a":1}\n\n: hello\n\nevent: end\nretry: 5\ndata: {"b":[2,3]}\n\n'

every_mutation = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)


def stream(body: bytes, dialect: str | None = "openai_chat") -> Stream:
    return Stream.of(Transcript(body, dialect=dialect))


def written(mutation: Mutation, body: bytes, *numbers: int) -> bytes:
    return mutation.apply(stream(body), numbers).stream.body()


# The laws


@every_mutation
def test_a_mutation_keeps_what_its_class_promises(mutation: Mutation) -> None:
    done = 0
    for one in chat_streams():
        before = outcome(one)
        for numbers, edit in edits(mutation, one):
            assert lawful(mutation, edit, before), (one.transcript.name, numbers, edit.said)
            done += 1
    # An answer of chat has no field but the data, which can have no other order.
    assert done > 0 or mutation is framing.field_order


@pytest.mark.parametrize("mutation", [one for one in FRAMING if not one.shows], ids=lambda one: one.name)
def test_a_mutation_shows_in_the_events_only_where_it_says_so(mutation: Mutation) -> None:
    for one in (*chat_streams()[:6], stream(NAMED)):
        for numbers, edit in edits(mutation, one):
            assert decode(one.body()) == decode(edit.stream.body()), (one.transcript.name, numbers)


@pytest.mark.parametrize("mutation", [one for one in FRAMING if one.shows], ids=lambda one: one.name)
def test_a_mutation_that_shows_is_seen_in_the_events(mutation: Mutation) -> None:
    one = stream(weather())
    assert any(decode(one.body()) != decode(edit.stream.body()) for _, edit in edits(mutation, one, 40))


@settings(deadline=None, max_examples=150)
@given(
    number=st.integers(0, 400),
    steps=st.lists(
        st.tuples(st.sampled_from(PRESERVING), st.tuples(*[st.integers(0, 999)] * 3)), min_size=2, max_size=5
    ),
)
def test_preserving_mutations_mixed_are_preserving(
    number: int, steps: list[tuple[Mutation, tuple[int, int, int]]]
) -> None:
    """Invariant: whatever was edited before, the answer is the same, or the one that the edits say."""
    streams = chat_streams()
    one = streams[number % len(streams)]
    expected = outcome(one)
    for mutation, numbers in steps:
        try:
            edit = mutation.apply(one, numbers)
        except Inapplicable:
            continue
        one = edit.stream
        if edit.expected is not None and not isinstance(expected, DialectError):
            expected = edit.expected(expected)
    assert type(expected) is type(outcome(one))
    if not isinstance(expected, DialectError):
        assert expected == outcome(one)
    assert one.body() == Stream.of(Transcript(one.body())).body()


@pytest.mark.parametrize(
    "other", [one for one in of_modules(faults, jsontext) if one.kind is Class.FAULT], ids=lambda one: one.name
)
def test_a_fault_is_a_fault_after_any_preserving_mutation(other: Mutation) -> None:
    one = stream(weather())
    for mutation in PRESERVING:
        for _, edit in edits(mutation, one, 3):
            for numbers, fault in edits(other, edit.stream, 3):
                assert lawful(other, fault, outcome(one)), (mutation.name, numbers, fault.said)


# How entries are written


@pytest.mark.parametrize(
    "mutation", of_modules(framing, frames, jsontext, chat_json, chat_text, faults), ids=lambda one: one.name
)
def test_an_entry_says_in_one_line_each_what_it_does_and_what_is_right(mutation: Mutation) -> None:
    assert mutation.sources
    assert len(set(mutation.sources)) == len(mutation.sources)
    assert all("\n" not in line and line == line.strip(" .") for line in (mutation.does, mutation.right))
    assert mutation.layer in (Layer.BYTES, Layer.FRAMING, Layer.JSON)


@every_mutation
def test_the_same_choices_make_the_same_edit(mutation: Mutation) -> None:
    one = stream(weather())
    for numbers, edit in edits(mutation, one):
        assert edit.stream.body() == mutation.apply(one, numbers).stream.body()


@every_mutation
def test_the_events_that_an_edit_names_are_there(mutation: Mutation) -> None:
    one = stream(weather())
    for _, edit in edits(mutation, one):
        assert all(0 <= number <= len(one.events) for number in edit.before)
        assert all(0 <= number < len(edit.stream.events) for number in edit.after)


# What each writes

BODY = sse(delta(content="a"), finish(), DONE)
A, F, D = (BODY.split(b"\n\n")[n] + b"\n\n" for n in range(3))


@pytest.mark.parametrize(
    ("mutation", "numbers", "expected"),
    [
        (framing.bom, (), b"\xef\xbb\xbf" + BODY),
        (framing.line_ends, (0,), BODY.replace(b"\n", b"\r\n")),
        (framing.line_ends, (1,), BODY.replace(b"\n", b"\r")),
        (framing.line_ends, (2,), BODY.replace(b"\n\n", b"\n\r\n")),
        (framing.blank_lines, (), b"\n" + BODY),
        (framing.blank_lines, (1, 1), A + b"\n\n" + F + D),
        (framing.space_after_colon, (), BODY.replace(b"data: ", b"data:")),
        (framing.space_after_colon, (3,), A + F + b"data:[DONE]\n\n"),
        (framing.data_lines, (), A.replace(b"data: {", b"data: {\ndata: ") + F + D),
        (framing.data_lines, (2,), b"data: \n" + A[:-1] + b"data: \n\n" + F + D),
        (framing.event_message, (0, 3), A + F + b"event: message\n" + D),
        (framing.event_message, (1, 3), A + F + D[:-1] + b"event: message\n\n"),
        (framing.unknown_sse_fields, (1, 1), b"seq\n" + BODY),
        (framing.id_fields, (2, 2), A + b"id: 1\nretry: 3000\n" + F + D),
        (frames.comments, (), b": ping\n\n" + BODY),
        (frames.comments, (2, 1), A + b": OPENROUTER PROCESSING\n\n" + F + D),
        (frames.comments, (1, 3), b":\n\n" + A + b":\n\n" + F + b":\n\n" + D),
        (frames.retry_block, (), b"retry: 3000\n\n" + BODY),
        (frames.sticky_id, (), b"id: 1\n" + A + b": ping\n\n" + F + D),
        (frames.nameless_blocks, (1, 1), A + b"event:\n\n" + F + D),
        (frames.empty_data, (), b"data:\n\n" + BODY),
        (frames.comment_as_data, (0, 1), A + b"data: : keepalive\n\n" + F + D),
        (frames.foreign_events, (0, 1), A + b'event: ping\ndata: {"type":"ping"}\n\n' + F + D),
        (frames.junk_after_done, (), BODY + F),
        (frames.junk_after_done, (1,), BODY + b"data: JUNK\n\n"),
        (frames.done_absent, (), A + F),
        (frames.done_spelling, (2,), A + F + b"data: DONE\n\n"),
        (frames.done_spelling, (7,), A + F[:-1] + D),
        (frames.unterminated_last_event, (), BODY[:-1]),
        (frames.unterminated_last_event, (1,), BODY[:-2]),
        (frames.unterminated_last_event, (0, 1), (A + F)[:-1]),
    ],
)
def test_what_a_mutation_writes(mutation: Mutation, numbers: tuple[int, ...], expected: bytes) -> None:
    assert expected == written(mutation, BODY, *numbers)


def test_blocks_are_put_in_at_the_end_only_where_nothing_says_that_the_stream_is_over() -> None:
    assert A + F + b": ping\n\n" == written(frames.comments, A + F, 0, 2)


def test_lines_of_all_ends_in_turns_are_the_same_events() -> None:
    body = written(framing.line_ends, BODY, 3)
    assert decode(BODY) == decode(body)
    assert {b"\r\n", b"\r", b"\n"} == set(re.findall(rb"\r\n|\n|\r", body))


def test_fields_are_written_data_first_and_repeated_ones_keep_their_order() -> None:
    body = b"id: 1\nevent: a\nevent: b\n: c\ndata: x\ndata: y\n\n"
    assert b"data: x\ndata: y\nid: 1\nevent: a\nevent: b\n: c\n\n" == written(framing.field_order, body)
    assert written(framing.field_order, NAMED).startswith(b'data: {"a":1}\nevent: delta\nid: 4\n\n')


def test_the_huge_lines_are_longer_than_the_limits_of_common_readers() -> None:
    sizes = [max(map(len, written(framing.huge_line, BODY, n).splitlines())) for n in range(3)]
    assert [True] * 3 == [size > limit for size, limit in zip(sizes, (2**16, 2**17, 2**20), strict=True)]


def test_an_edited_event_keeps_its_other_fields() -> None:
    edit = framing.data_lines.apply(stream(NAMED), ())
    assert edit.stream.body().startswith(b'id: 4\nevent: delta\ndata: {\ndata: "a":1}\n\n')


def test_a_byte_order_mark_stays_in_front_of_what_is_put_before_the_first_event() -> None:
    marked = framing.bom.apply(stream(BODY)).stream
    assert b"\xef\xbb\xbf: ping\n\n" + BODY == frames.comments.apply(marked).stream.body()
    assert marked.body() == Stream.of(Transcript(marked.body())).body()
    with pytest.raises(Inapplicable):
        framing.bom.apply(Stream.of(Transcript(marked.body())))


# Streams that are not of server-sent events


def test_json_lines_may_end_with_crlf_and_have_blank_lines_between_them() -> None:
    assert NDJSON.replace(b"\n", b"\r\n") == written(framing.line_ends, NDJSON)
    assert NDJSON.replace(b"\n{", b"\n\n{") == written(framing.blank_lines, NDJSON, 0, 1)


def test_what_is_no_server_sent_event_is_left_alone() -> None:
    for_lines = {"line_ends", "blank_lines", "huge_line"}
    applied = {one.name for one in MUTATIONS for _ in edits(one, stream(NDJSON, None))}
    assert for_lines == applied
    binary = b"\x00\x00\x00\x93\n\n\x00\x01:event-type\x07\n\n"
    assert {"line_ends"} >= {one.name for one in MUTATIONS for _ in edits(one, stream(binary, None))}


def test_a_mutation_without_anything_to_do_says_why() -> None:
    without_done = stream(sse(delta(content="a"), finish()))
    with pytest.raises(Inapplicable, match="no \\[DONE\\]"):
        frames.done_absent.apply(without_done)
    with pytest.raises(Inapplicable, match="have names"):
        framing.event_message.apply(stream(NAMED.replace(b": hello\n\n", b"")))
    usage_last = stream(sse(delta(content="a"), finish(), payload(usage={"total_tokens": 3})))
    with pytest.raises(Inapplicable, match="without anybody noticing"):
        frames.unterminated_last_event.apply(usage_last)
    usage_before_done = stream(sse(delta(content="a"), finish(), payload(usage={"total_tokens": 3}), DONE))
    edit = frames.unterminated_last_event.apply(usage_before_done, (0, 1))
    assert b"usage" not in edit.stream.body()
    assert edit.expected is not None
    assert (
        edit.expected(Completion(usage={"total_tokens": 3})).usage is None
    )  # it never came, and nobody can ask for it
    assert frames.unterminated_last_event.apply(usage_before_done).expected is None


# How variants are chosen, and what a stream keeps


def test_the_variants_are_shared_out_among_the_choices() -> None:
    found = list(frames.comments.variants(stream(weather()), 8))
    assert () == found[0]
    assert 8 == len(set(found)) == len(found)
    assert {1, 2} == {len(numbers) for numbers in found[1:]}
    assert [()] == list(framing.bom.variants(stream(BODY), 8))


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    body = sse('{"choices":[{"delta":{"content":"\\ud83c"}}]}')
    one = stream(body)
    assert body == one.mapped(lambda value: value).body()


def test_an_event_that_is_not_utf8_has_no_payload_that_could_be_written_again() -> None:
    one = stream(b'data: {"a":"\xff"}\n\n')
    assert one.events[0].lossy
    assert one.events[0].payload is None
    assert Event("x") == one.events[0].with_data("x")


def test_what_comes_back_for_a_broken_stream_is_the_same_error() -> None:
    one = stream(weather()[:-60])
    edit = frames.comments.apply(one)
    assert facts(outcome(one)) == facts(outcome(edit.stream))
