"""Payloads that are like an earlier one but for a few values: read by an envelope, they say what they say in full."""

from __future__ import annotations

import gc
import json
import random
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.corpus import Recording, needs_corpus, recordings
from skhelpers.full_reading import DIALECTS, at_random, by_event, mixed, read_twice
from skhelpers.mutated import edits

from streamkit.cassettes import bundled
from streamkit.dialects.envelope import LOOSE, OBJECT, PADDING, TEXT, Envelopes, Hole, Outline
from streamkit.dialects.openai_chat import Accumulator, Reader
from streamkit.dialects.openai_chat_envelope import outline
from streamkit.dialects.payloads import loads
from streamkit.errors import PayloadError
from streamkit.mutations.registry import Class, Mutation, mutations
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript
from streamkit.wire.sse import ServerSentEvent

HEAD: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
TRANSCRIPTS = [transcript for transcript in bundled() if transcript.dialect in DIALECTS]
FAMILIES = {"chat": "openai_chat", "responses": "openai_responses", "messages": "anthropic_messages"}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": more.pop("index", 0), "delta": delta, "finish_reason": finish}
    if "logprobs" in more:
        choice["logprobs"] = more.pop("logprobs")
    return {**HEAD, "choices": [choice], **more}


def call(arguments: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments}}]}


def body(*payloads: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: " + (one if isinstance(one, str) else json.dumps(one)).encode() + b"\n\n" for one in payloads
    )


def uses(*payloads: dict[str, Any] | str) -> int:
    """Read a chat stream by events with envelopes and without; return how many payloads an envelope took."""
    raw = body(chunk({"role": "assistant", "content": ""}), *payloads)
    return read_twice("openai_chat", by_event(raw))


# -- which payloads an envelope takes


def test_all_deltas_but_the_first_two_are_taken_by_an_envelope() -> None:
    assert 8 == uses(*(chunk({"content": f"{number}"}) for number in range(9)), chunk({}, "stop"), "[DONE]")


def test_padding_may_differ() -> None:
    assert 4 == uses(*(chunk({"content": "a"}, obfuscation="x" * number) for number in range(5)))


def test_what_only_the_first_payload_says_may_differ_once_it_was_seen_to() -> None:
    assert 7 == uses(*(chunk({"content": "a"}, created=number) for number in range(1, 10)))


def test_choices_and_calls_that_alternate_have_an_envelope_each() -> None:
    opening = [chunk({"role": "assistant", "content": ""}, index=1)]
    opening += [
        chunk({"tool_calls": [{"index": n, "id": f"i{n}", "function": {"name": "f", "arguments": ""}}]}) for n in (0, 1)
    ]
    rest = [
        payload
        for _ in range(5)
        for payload in (chunk(call("1")), chunk(call("2", 1)), chunk({"content": "x"}, index=1))
    ]
    assert 12 <= uses(*opening, *rest)


def test_of_a_field_that_is_not_of_the_api_the_last_value_counts() -> None:
    names = "aaabbbabbaaba"
    assert 11 == uses(*(chunk({"content": "x"}, provider=name) for name in names))


def test_log_probabilities_are_taken_with_the_text() -> None:
    tokens = [{"content": [{"token": f"{n}", "logprob": -0.5, "bytes": [48 + n]}]} for n in range(5)]
    assert 4 == uses(*(chunk({"content": f"{n}"}, logprobs=one) for n, one in enumerate(tokens)))


@pytest.mark.parametrize(
    "payload",
    [
        chunk({"content": "a"}, usage={"total_tokens": 1}),
        chunk({"content": "a"}, error={"message": "no"}),
        chunk({"content": "a"}, x_groq={"id": "r"}),
        chunk({"content": "a"}, "stop"),
        chunk({"content": [{"type": "text", "text": "a"}]}),
        chunk({"content": "a", "annotations": [1]}),
        chunk({"tool_calls": [{"id": "i", "index": 0, "custom": {"name": "f", "input": "a"}}]}),
        chunk({}, "stop"),
        {**HEAD, "choices": []},
        {**HEAD, "choices": [chunk({})["choices"][0], chunk({"content": "a"}, index=1)["choices"][0]]},
    ],
)
def test_a_payload_that_says_more_than_texts_has_no_outline(payload: dict[str, Any]) -> None:
    assert outline(payload) is None


def test_an_envelope_is_not_used_for_an_event_of_another_type() -> None:
    deltas = body(chunk({"role": "assistant", "content": ""}), *(chunk({"content": "a"}) for _ in range(4)))
    assert 3 == read_twice("openai_chat", by_event(deltas + b"event: error\n" + body(chunk({"content": "a"}))))


def test_an_envelope_is_not_used_for_data_that_were_not_utf8() -> None:
    deltas = body(chunk({"role": "assistant", "content": ""}), *(chunk({"content": "a"}) for _ in range(4)))
    assert 3 == read_twice("openai_chat", by_event(deltas + body(chunk({"content": "@"})).replace(b"@", b"\xff")))


def test_an_envelope_is_not_used_after_the_end() -> None:
    deltas = [chunk({"content": "a"}) for _ in range(4)]
    assert 3 == uses(*deltas, "[DONE]", *deltas)


@pytest.mark.parametrize(
    "text", ['a"b', "a\tb", "\\ud83d", "\\ude00", "\\u12", "\\x", "\\", '","content":"', "é\\n", ""]
)
def test_a_literal_means_what_it_means_in_full(text: str) -> None:
    data = json.dumps(chunk({"content": "@"}))
    literal = [data, data, data.replace("@", text), data.replace("@", "\\ud83d"), data.replace("@", "\\ude00")]
    assert uses(*literal) > 0


def test_halves_of_a_surrogate_pair_in_two_deltas_are_one_character() -> None:
    data = json.dumps(chunk({"content": "@"}))
    reader = Reader()
    reader._accumulator._envelopes = Envelopes(patience=0)
    reader.feed(body(chunk({"role": "assistant", "content": ""}), data, data))
    reader.feed(body(data.replace("@", "\\ud83d")))
    assert "@@\ufffd" == reader.snapshot().content
    reader.feed(body(data.replace("@", "\\ude00")))
    assert "@@\U0001f600" == reader.snapshot().content


def test_arguments_sent_again_in_full_are_the_same_arguments() -> None:
    opener = chunk({"tool_calls": [{"index": 0, "id": "i", "function": {"name": "f", "arguments": ""}}]})
    assert 3 == uses(opener, chunk(call("")), chunk(call('{"a":')), chunk(call("1}")), chunk(call('{"a":1}')))


def test_an_event_that_is_fed_by_itself_unbinds_envelopes() -> None:
    openers = [{"index": 0, "id": name, "function": {"name": name, "arguments": ""}} for name in "ab"]
    start, other = (ServerSentEvent(data=json.dumps(chunk({"tool_calls": [opener]}))) for opener in openers)
    fragment = ServerSentEvent(data=json.dumps(chunk(call("1"))))
    accumulator = Accumulator()
    accumulator._envelopes = Envelopes(patience=0)
    accumulator.feed_all([start, fragment, fragment], range(3))
    accumulator.feed(other)
    accumulator.feed_all([fragment], [4])
    assert ["11", "1"] == [one.arguments for one in accumulator.completion().tool_calls]


def test_a_reader_that_is_dropped_needs_no_collector() -> None:
    reader = Reader()
    reader._accumulator._envelopes = Envelopes(patience=0)
    reader.feed(body(chunk({"role": "assistant", "content": ""}), *[chunk({"content": "a"}, provider="p")] * 4))
    assert 3 == reader._held._envelopes._uses
    held = weakref.ref(reader._held)
    gc.disable()
    try:
        del reader
        assert held() is None
    finally:
        gc.enable()


def test_arguments_go_to_the_call_that_is_at_their_index_now() -> None:
    def opener(identity: str) -> dict[str, Any]:
        return chunk({"tool_calls": [{"index": 0, "id": identity, "function": {"name": identity, "arguments": ""}}]})

    assert 4 == uses(opener("a"), *[chunk(call("1"))] * 3, opener("b"), *[chunk(call("2"))] * 2)


def shared(dialect: str, teacher: bytes, *streams: bytes) -> list[int]:
    """Learn envelopes from one stream and read others by them; return how often one was used in each."""
    envelopes = Envelopes(patience=0)
    read_twice(dialect, by_event(teacher), envelopes=envelopes)
    return [read_twice(dialect, by_event(one), envelopes=envelopes) for one in streams]


def test_a_stream_uses_what_another_learnt_only_where_it_has_come_as_far() -> None:
    """Copies of a reader share their envelopes, and may be at different places, or of different minds."""
    deltas = body(*(chunk({"role": "assistant", "content": "a"}, provider="p") for _ in range(3)))
    nameless = body({"object": "chat.completion.chunk", "choices": chunk({"role": "assistant"})["choices"]})
    other = body({**chunk({"content": ""}), "id": "other"})
    assert [2, 2, 2] == shared("openai_chat", deltas, nameless + deltas, other + deltas, deltas)


def test_a_call_of_another_stream_is_opened_by_what_only_went_on_in_the_first() -> None:
    opener = {"index": 0, "id": "i", "type": "other", "function": {"name": "f", "arguments": ""}}
    again = [body(chunk(call(text, id="i", type="other"))) for text in "ab"]
    named = [body(chunk({"tool_calls": [{**opener, "function": {"name": "f", "arguments": text}}]})) for text in "ab"]
    unnamed = body(chunk(call("x", type="other")), chunk(call("y", type="other")))
    untyped = body(chunk({"tool_calls": [{"index": 0, "id": "j", "function": {"name": "g", "arguments": ""}}]}))
    other = body(chunk({"tool_calls": [{**opener, "function": {"name": "g", "arguments": ""}}]}))
    start = body(chunk({"role": "assistant", "content": ""}))
    teacher = start + body(chunk({"tool_calls": [opener]})) + b"".join([*again, *named]) + unnamed
    streams = [
        start + one for one in (again[0], named[0] * 2, untyped + unnamed, untyped + again[1], untyped + named[1])
    ]
    streams.append(start + other + named[1])
    assert 6 == len(shared("openai_chat", teacher, *streams))


def test_fragments_without_an_index_go_to_the_call_that_came_last() -> None:
    last = {"tool_calls": [{"function": {"arguments": "y"}}]}
    fragments = [call("x"), last, call("z", 1), last]
    openers = [chunk({"tool_calls": [{"index": n, "id": f"i{n}", "function": {"name": "f"}}]}) for n in (0, 1)]
    assert uses(*openers, *(chunk(delta) for delta in fragments * 4)) > 0


def test_a_reply_that_is_over_takes_nothing_more() -> None:
    def event(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", **fields}

    deltas = body(*(event("output_text.delta", output_index=0, content_index=0, delta="a") for _ in range(3)))
    begin = body(event("created", response={"id": "r"}))
    end = body(event("completed", response={"id": "r", "status": "completed", "output": []}))
    assert [0, 2] == shared("openai_responses", begin + deltas, begin + end + deltas, begin + deltas + end + deltas)


def test_a_delta_of_messages_is_refused_where_it_does_not_belong() -> None:
    def block(kind: str, **fields: Any) -> bytes:
        return body({"type": "content_block_start", "index": 0, "content_block": {"type": kind, **fields}})

    start = body({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}})
    deltas = body({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}) * 3
    stop = body({"type": "content_block_stop", "index": 0})
    ended = body({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    text, call = block("text", text=""), block("tool_use", id="i", name="f", input={})
    streams = [
        deltas, start + deltas, start + call + deltas, start + text + stop + deltas, start + text + ended + deltas,
        start + block("strange") + deltas, start + text + deltas + stop + block("text", text="b") + deltas,
    ]  # fmt: skip
    assert [0, 0, 0, 0, 0, 2, 6] == shared("anthropic_messages", start + text + deltas, *streams)


# -- how an envelope is made


def texts_of(data: str, path: tuple[str | int, ...] = ("a",)) -> Envelopes:
    envelopes = Envelopes(patience=0)
    envelopes.learn(ServerSentEvent(data=data), loads, lambda payload: Outline(None, (Hole(path, TEXT),)))
    return envelopes


@pytest.mark.parametrize("data", ['{"a":"x","a":"y"}', '{"\\u0061":"x","a":"y"}', '{"b":{"a":"x"},"b":{"a":"y"}}'])
def test_a_payload_with_a_key_that_comes_twice_on_the_way_has_no_envelope(data: str) -> None:
    assert [] == texts_of(data, ("a",) if '"b"' not in data else ("b", "a")).table


def test_white_space_and_escaped_keys_are_part_of_an_envelope() -> None:
    (envelope,) = texts_of(' { "b" : [1, {}] ,\n"\\u0061" : "x" } ').table
    assert "y\n" == envelope.read(' { "b" : [1, {}] ,\n"\\u0061" : "y\\n" } ')
    assert envelope.read(' { "b" : [1, {}] ,\n"a" : "y" } ') is None


@pytest.mark.parametrize(
    "data", ['{"a":"y"', '{"a":"y"}}', '{"a":"y","b":1}', '{"a":7}', '{"a":"\x01"}', '{"a":"y}', "{"]
)
def test_a_text_that_is_not_alike_is_not_read(data: str) -> None:
    (envelope,) = texts_of('{"a":"x"}').table
    assert envelope.read(data) is None


def test_values_come_in_the_order_of_the_outline_whatever_that_of_the_text() -> None:
    holes = (Hole(("a",), TEXT), Hole(("b",), OBJECT), Hole(("c",), PADDING), Hole(("d",), LOOSE))
    envelopes = Envelopes(patience=0)
    envelopes.learn(ServerSentEvent(data='{"d":1,"c":2,"b":[3],"a":"x"}'), loads, lambda _: Outline(None, holes))
    (envelope,) = envelopes.table
    assert ["y", [4, 5]] == envelope.read('{"d":1,"c":77,"b":[4, 5],"a":"y"}')
    assert envelope.read('{"d":1,"c":77,"b":{},"a":"y"}') is None
    assert envelope.read('{"d":1,"c":7.5,"b":[3],"a":"y"}') is None
    assert envelope.read('{"d":2,"c":77,"b":[3],"a":"y"}') is None


def test_objects_that_are_nested_deep_are_not_read() -> None:
    holes = (Hole(("a",), OBJECT),)
    envelopes = Envelopes(patience=0)
    envelopes.learn(ServerSentEvent(data='{"a":[]}'), loads, lambda _: Outline(None, holes))
    (envelope,) = envelopes.table
    assert [[]] * 90 == envelope.read('{"a":[' + ",".join(["[]"] * 90) + "]}")
    assert envelope.read('{"a":' + "[" * 90 + "]" * 90 + "}") is None


def test_a_payload_that_is_too_deep_to_be_read_again_has_no_envelope() -> None:
    def too_deep(text: str) -> Any:
        raise RecursionError

    envelopes = Envelopes(patience=0)
    envelopes.learn(ServerSentEvent(data='{"a":"x"}'), too_deep, lambda _: Outline(None, (Hole(("a",), TEXT),)))
    assert [] == envelopes.table


def test_no_more_than_eight_envelopes_are_kept() -> None:
    envelopes = Envelopes(patience=0)
    for number in range(12):
        data = json.dumps({"a": "x", "b": number})
        envelopes.learn(ServerSentEvent(data=data), loads, lambda payload: Outline(payload["b"], (Hole(("a",), TEXT),)))
    assert list(range(11, 3, -1)) == [envelope.plan for envelope in envelopes.table]


def test_a_stream_that_is_never_alike_is_soon_not_learnt_from() -> None:
    reader = Reader()
    reader.feed(body(chunk({"role": "assistant", "content": ""})))
    for number in range(200):
        reader.feed(body(chunk({"content": "a"}, provider=f"{number}")))
    envelopes = reader._accumulator._envelopes
    assert 0 == envelopes._uses
    assert not envelopes.wants()


def test_an_error_is_raised_again_whatever_follows() -> None:
    accumulator = Accumulator()
    accumulator._envelopes = Envelopes(patience=0)
    events = [ServerSentEvent(data=json.dumps(chunk({"role": "assistant", "content": "a"}))) for _ in range(4)]
    accumulator.feed_all(events, range(4))
    for again in range(3):
        with pytest.raises(PayloadError, match="not JSON") as caught:
            accumulator.feed_all(
                [ServerSentEvent(data="{")] if again == 0 else events, [77] if again == 0 else range(4)
            )
        assert (4, 77) == (caught.value.event, caught.value.offset)


# -- against reading in full


@given(st.sampled_from(TRANSCRIPTS), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_changed_stream_is_read_as_it_is_in_full(transcript: Transcript, drawn: random.Random, every: bool) -> None:
    raw = mixed(transcript.body, drawn)
    assert read_twice(transcript.dialect or "", by_event(raw) if every else at_random(raw, drawn), every=every) >= 0


@pytest.mark.parametrize("mutation", mutations(classes=list(Class)), ids=lambda one: one.name)
def test_a_mutated_stream_is_read_as_it_is_in_full(mutation: Mutation) -> None:
    shared = Envelopes(patience=0)
    tried = 0
    for transcript in TRANSCRIPTS:
        stream = Stream.of(transcript)
        if not mutation.knows(stream):
            continue
        for _, edit in edits(mutation, stream, 2):
            tried += 1
            raw = edit.stream.body()
            for known in (None, shared if transcript.dialect == "openai_chat" else None):
                assert read_twice(transcript.dialect or "", by_event(raw), envelopes=known) >= 0
    for_others = not any(mutation.knows(Stream.of(transcript)) for transcript in TRANSCRIPTS)
    assert tried > 0 or for_others


@needs_corpus
@pytest.mark.parametrize("family", FAMILIES)
def test_recordings_are_read_as_they_are_in_full(family: str) -> None:
    drawn = random.Random(family)
    found = 0
    for recording in recordings(".sse", family):
        raw = recording.body
        small = len(raw) < 40_000
        found += read_twice(FAMILIES[family], by_event(raw) if small else at_random(raw, drawn), every=small) > 0
    assert found > 20


def _short(recording: Recording) -> bytes:
    blocks = by_event(recording.body)
    return b"".join(blocks if len(blocks) < 40 else [*blocks[:20], *blocks[-20:]])


@needs_corpus
@pytest.mark.parametrize("family", FAMILIES)
def test_changed_recordings_are_read_as_they_are_in_full(family: str) -> None:
    drawn = random.Random(family)
    for recording in recordings(".sse", family):
        for _ in range(4):
            raw = mixed(_short(recording), drawn)
            assert read_twice(FAMILIES[family], at_random(raw, drawn), every=False) >= 0
