"""ConverseStream by itself: how messages become a completion, what is refused, and how a completion is written."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.bedrock_converse import BedrockConverse, Reader
from streamkit.dialects.bedrock_converse_emit import event
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript
from streamkit.wire.eventstream import Header, Message, decode, encode

Json = dict[str, Any]
Event = tuple[str, Json]

START: Event = ("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
METADATA: Event = ("metadata", {"metrics": {"latencyMs": 5}, "usage": USAGE})


def delta(index: int, **fields: Any) -> Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def text(index: int, piece: str) -> Event:
    return delta(index, text=piece)


def arguments(index: int, piece: str) -> Event:
    return delta(index, toolUse={"input": piece})


def call(index: int, name: str = "weather", **fields: Any) -> Event:
    start = {"toolUse": {"name": name, "toolUseId": f"tooluse_{index}", **fields}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def stop(index: int) -> Event:
    return "contentBlockStop", {"contentBlockIndex": index}


def finish(reason: str = "end_turn", **fields: Any) -> Event:
    return "messageStop", {"stopReason": reason, **fields}


def body(*events: Event) -> bytes:
    return b"".join(encode(event(*one)) for one in events)


def read(*events: Event) -> Completion:
    return accumulated([body(*events)])


def accumulated(chunks: Any) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def outcome(chunks: Any) -> tuple[str, Completion]:
    """Return the completion, or the error's text and what had come."""
    try:
        return "", accumulated(chunks)
    except DialectError as error:
        return str(error), error.partial


def partial(*events: Event) -> Completion:
    reader = Reader()
    reader.feed(body(*events))
    return reader.snapshot()


def refusal(*events: Event) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        read(*events)
    assert not caught.value.partial.ended
    return caught.value


WEATHER = (
    START, text(0, "Let me "), text(0, "look."), stop(0), call(1), arguments(1, ""), arguments(1, '{"city":'),
    arguments(1, ' "Köln"}'), stop(1), finish("tool_use"), METADATA,
)  # fmt: skip


# A completion


def test_a_stream_becomes_a_completion_however_it_is_cut() -> None:
    weather = ToolCall("tooluse_1", "weather", '{"city": "Köln"}', index=1)
    choice = Choice(0, content="Let me look.", tool_calls=(weather,), finish_reason="tool_use")
    expected = Completion(choices=(choice,), usage=USAGE, ended=True, extra={"metrics": {"latencyMs": 5}})
    assert expected == always(body(*WEATHER), accumulated, scan=0)
    assert weather.executable


def test_texts_join_in_the_order_of_their_blocks_and_not_of_their_arrival() -> None:
    assert "abcd" == read(START, text(2, "c"), text(0, "a"), text(2, "d"), text(0, "b"), finish()).content


def test_an_answer_without_text_has_none_and_an_empty_text_is_empty() -> None:
    assert [None, ""] == [read(START, stop(0), finish()).content, read(START, text(0, ""), finish()).content]


def test_reasoning_is_joined_and_what_must_be_sent_back_is_kept_by_block() -> None:
    events = [
        delta(0, reasoningContent={"text": "Let me "}), delta(0, reasoningContent={"text": "think."}),
        delta(0, reasoningContent={"signature": "c2ln"}), stop(0), text(1, "42"), stop(1),
        delta(2, reasoningContent={"redactedContent": "b3BhcXVlLWVuY3J5"}),
        delta(2, reasoningContent={"redactedContent": "cHRlZA=="}), stop(2), delta(3, reasoningContent={"text": "!"}),
    ]  # fmt: skip
    choice = read(START, *events, finish()).choices[0]
    assert ("Let me think.!", "42") == (choice.reasoning, choice.content)
    assert [
        {"index": 0, "text": "Let me think.", "signature": "c2ln"},
        {"index": 2, "redactedContent": "b3BhcXVlLWVuY3J5cHRlZA=="},
        {"index": 3, "text": "!"},
    ] == choice.extra["reasoning_details"]


def test_plain_reasoning_has_no_details() -> None:
    choice = read(START, delta(0, reasoningContent={"text": "hm"}), finish()).choices[0]
    assert ("hm", {}) == (choice.reasoning, choice.extra)


def test_citations_are_kept_with_the_blocks_that_they_stand_beside() -> None:
    source = {"location": {"web": {"url": "https://example.com"}}}
    choice = read(START, text(0, "a"), delta(1, citation=source), text(2, "b"), finish()).choices[0]
    assert "ab" == choice.content
    assert {
        "citations": [{"index": 1, "citation": source}],
        "texts": [{"index": 0, "text": "a"}, {"index": 2, "text": "b"}],
    } == choice.extra


def test_a_call_that_the_provider_runs_itself_is_no_tool_call() -> None:
    result = {"toolResult": {"toolUseId": "tooluse_0", "status": "success"}}
    events = [
        call(0, "nova_grounding", type="server_tool_use"), arguments(0, '{"query":"x"}'), stop(0),
        ("contentBlockStart", {"contentBlockIndex": 1, "start": result}), delta(1, toolResult=[{"text": "y"}]), stop(1),
    ]  # fmt: skip
    choice = read(START, *events, finish()).choices[0]
    assert () == choice.tool_calls
    assert [
        {
            "index": 0,
            "name": "nova_grounding",
            "toolUseId": "tooluse_0",
            "type": "server_tool_use",
            "input": '{"query":"x"}',
        }
    ] == choice.extra["server_calls"]
    assert [{"index": 1, "toolUseId": "tooluse_0", "status": "success", "content": [{"text": "y"}]}] == choice.extra[
        "tool_results"
    ]


def test_a_call_of_a_type_that_nobody_knows_is_not_executable() -> None:
    (made,) = read(START, call(0, type="remote"), arguments(0, "{}"), stop(0), finish("tool_use")).tool_calls
    assert {"type": "remote"} == made.extra
    assert not made.executable


def test_images_are_kept_delta_by_delta() -> None:
    start = ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}})
    deltas = [{"source": {"bytes": "AA=="}}, {"source": {"bytes": "AQ=="}}]
    completion = read(START, start, *(delta(0, image=one) for one in deltas), stop(0), finish())
    assert {"images": [{"index": 0, "format": "png", "deltas": deltas}]} == completion.choices[0].extra
    assert completion == accumulated(BedrockConverse().emit(completion, Layout()).fragment())


def test_usage_and_what_else_the_metadata_hold_are_kept() -> None:
    metadata = {"usage": USAGE, "trace": {"guardrail": {}}, "serviceTier": {"type": "flex"}, "p": "abc"}
    completion = read(START, finish(additionalModelResponseFields={"k": 1}), ("metadata", metadata))
    assert (USAGE, "flex", {"trace": {"guardrail": {}}}) == (
        completion.usage,
        completion.service_tier,
        completion.extra,
    )
    assert {"additionalModelResponseFields": {"k": 1}} == completion.choices[0].extra


def test_surrogate_halves_in_two_deltas_are_one_character() -> None:
    halves = [
        encode(Message(event(*START).headers[:0] + event(*text(0, "")).headers, payload))
        for payload in (
            b'{"contentBlockIndex":0,"delta":{"text":"\\ud83c"}}',
            b'{"contentBlockIndex":0,"delta":{"text":"\\udf24"}}',
        )
    ]
    assert "🌤" == accumulated([body(START), *halves, body(finish())]).content


# What may be executed


@pytest.mark.parametrize(
    ("reason", "pieces", "executable"),
    [
        ("tool_use", ['{"a":1}'], True),
        ("end_turn", ['{"a":1}'], True),
        ("tool_use", [""], True),
        ("tool_use", [], True),
        ("stop_sequence", ['{"a":1}'], True),
        ("stop_sequence", [""], False),
        ("a_new_reason", ['{"a":1}'], True),
        ("a_new_reason", [], False),
        ("tool_use", ['{"a":1'], False),
        ("tool_use", ["[1]"], False),
        ("tool_use", ["{} {}"], False),
        ("max_tokens", ['{"a":1}'], False),
        ("model_context_window_exceeded", ['{"a":1}'], False),
        ("guardrail_intervened", ['{"a":1}'], False),
        ("content_filtered", ['{"a":1}'], False),
        ("malformed_tool_use", ['{"a":1}'], False),
        ("malformed_model_output", ['{"a":1}'], False),
    ],
)
def test_a_call_is_executable_if_it_is_whole_and_the_stop_reason_is_good(
    reason: str, pieces: list[str], executable: bool
) -> None:
    (made,) = read(START, call(0), *(arguments(0, piece) for piece in pieces), stop(0), finish(reason)).tool_calls
    assert executable == made.executable, made.problem


def test_a_call_is_not_executable_before_the_end_nor_without_its_stop() -> None:
    events = [START, call(0), arguments(0, "{}")]
    assert [False] == [made.executable for made in partial(*events, stop(0)).tool_calls]
    (made,) = read(*events, finish("tool_use")).tool_calls
    assert "its block was never stopped" == made.problem


@pytest.mark.parametrize(("name", "identity", "missing"), [("", "tooluse_1", "name"), ("weather", "", "id")])
def test_a_call_without_name_or_id_is_not_executable(name: str, identity: str, missing: str) -> None:
    start = {"contentBlockIndex": 0, "start": {"toolUse": {"name": name, "toolUseId": identity}}}
    (made,) = read(START, ("contentBlockStart", start), stop(0), finish("tool_use")).tool_calls
    assert f"it has no {missing}" == made.problem


# The end


@pytest.mark.parametrize("count", range(len(WEATHER) - 2))
def test_a_stream_without_message_stop_was_cut_off(count: int) -> None:
    with pytest.raises(TruncatedStreamError, match="no messageStop came" if count else "no message at all") as caught:
        read(*WEATHER[:count])
    assert not caught.value.partial.ended
    assert not any(made.executable for made in caught.value.partial.tool_calls)


def test_a_stream_that_ends_inside_a_message_says_how_much_of_it_came() -> None:
    with pytest.raises(TruncatedStreamError, match="the last 20 bytes are an unfinished message"):
        accumulated([body(*WEATHER[:5]) + body(WEATHER[5])[:20]])


def test_metadata_may_be_missing() -> None:
    completion = read(*WEATHER[:-1])
    assert (True, None) == (completion.ended, completion.usage)


# Errors of the service


def _message(payload: bytes = b'{"message":"too fast"}', **headers: str) -> bytes:
    values = {":" + name.replace("_", "-"): value for name, value in headers.items()}
    return encode(Message(tuple(Header(name, value) for name, value in values.items()), payload))


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (_message(message_type="exception", exception_type="throttlingException"), "throttlingException", "too fast"),
        (_message(message_type="event", event_type="modelStreamErrorException"), "modelStreamErrorException", "too"),
        (_message(b"", message_type="error", error_code="500", error_message="broken"), "500", "broken"),
        (_message(b"no json", message_type="exception", exception_type="x"), "x", "no json"),
        (_message(b'{"Message":"big"}', message_type="exception"), None, "big"),
        (_message(b"[1]", message_type="exception"), None, r"\[1\]"),
    ],
)
def test_an_exception_of_the_service_is_raised_with_what_had_come(message: bytes, code: str, said: str) -> None:
    for end in (5, len(WEATHER)):
        with pytest.raises(ProviderError, match=said) as caught:
            accumulated(drip(body(*WEATHER[:end]) + message))
        assert code == caught.value.code
        assert "Let me look." == caught.value.partial.content
        assert (False, [False]) == (
            caught.value.partial.ended,
            [made.executable for made in caught.value.partial.tool_calls],
        )


# What is refused


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([START, START], "a second messageStart"),
        ([START, call(0), call(0)], "block 0 begins a second time"),
        ([START, text(0, "a"), call(0)], "block 0 begins a second time"),
        ([START, stop(0), text(0, "a")], "block 0 goes on after its contentBlockStop"),
        ([START, stop(0), stop(0)], "block 0 goes on"),
        ([START, arguments(0, "{}")], "which no contentBlockStart made a tool call"),
        ([START, call(0), text(0, "a")], "which is a tool call"),
        ([START, finish(), text(0, "a")], "contentBlockDelta after messageStop"),
        ([START, finish(), finish()], "messageStop after messageStop"),
        ([START, ("messageStop", {})], "stopReason is null, where a string belongs"),
        ([START, ("messageStop", {"stopReason": ""})], "stopReason is empty"),
        ([("messageStart", {"role": 1})], "role is 1, where a string belongs"),
        ([START, ("contentBlockDelta", {"delta": {"text": "a"}})], "contentBlockIndex is null, where a whole number"),
        ([START, ("contentBlockStop", {"contentBlockIndex": None})], "contentBlockIndex is null"),
        ([START, text(-1, "a")], "contentBlockIndex is -1"),
        ([START, text(True, "a")], "contentBlockIndex is true"),
        ([START, delta(0, text=1)], "text is 1, where a string belongs"),
        ([START, ("contentBlockDelta", {"contentBlockIndex": 0, "delta": None})], "delta is null, where an object"),
        ([START, call(0), delta(0, toolUse={"input": {}})], "input is {}, where a string belongs"),
        ([START, ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {}}})], "name is null"),
        ([START, delta(0, reasoningContent={"redactedContent": "?"})], "redactedContent is no base64"),
        ([START, finish(), ("metadata", {"usage": 1})], "usage is 1"),
        ([("chunk", {"bytes": "e30="})], "InvokeModelWithResponseStream"),
    ],
)
def test_what_can_only_come_of_a_fault_is_refused(events: list[Event], reason: str) -> None:
    assert reason in str(refusal(*events))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[]", "no object"),
        (b'{"contentBlockIndex":NaN}', "NaN is no JSON"),
        (b'{"contentBlockIndex":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a":' + b"[" * 200_000, "not JSON"),
    ],
)
def test_a_payload_that_is_no_object_of_json_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        accumulated([_message(payload, event_type="contentBlockStop", message_type="event")])


@pytest.mark.parametrize("headers", [{}, {"event_type": "messageStart"}, {"message_type": "event"},
                                     {"message_type": "novelty", "event_type": "messageStart"}])  # fmt: skip
def test_a_message_that_does_not_say_what_it_is_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PayloadError, match="is no event"):
        accumulated([_message(b'{"role":"assistant"}', **headers)])


def test_a_broken_message_is_reported_with_what_came_before_it_even_in_the_same_chunk() -> None:
    damaged = bytearray(body(*WEATHER))
    damaged[-1] ^= 1
    for chunks in ([bytes(damaged)], drip(bytes(damaged))):
        with pytest.raises(PayloadError, match="its checksum is wrong") as caught:
            accumulated(chunks)
        assert ("Let me look.", False) == (caught.value.partial.content, caught.value.partial.ended)


def test_an_error_is_raised_again_by_every_later_call() -> None:
    reader = Reader()
    for _ in range(2):
        with pytest.raises(PayloadError, match="a second messageStart"):
            reader.feed(body(START, START))
    reader.close()
    with pytest.raises(PayloadError, match="a second messageStart"):
        reader.result()


# What is let pass


def test_what_nobody_knows_yet_is_kept_and_harms_nothing() -> None:
    known = read(*WEATHER)
    strange = [
        ("contentBlockHint", {"contentBlockIndex": 0}),
        delta(7, novelty={"a": 1}),
        ("contentBlockStart", {"contentBlockIndex": 8, "start": {"video": {"format": "mp4"}}}),
        delta(8, video={"b": 2}),
        delta(1, toolUse={"input": ""}, novelty=1),
    ]
    events = [*WEATHER[:8], *strange, *WEATHER[8:-1], ("metadata", {**METADATA[1], "novelty": 2})]
    found = read(*events)
    assert known.choices == found.choices
    assert {
        "metrics": {"latencyMs": 5},
        "novelty": 2,
        "unknown_events": [
            {"event": "contentBlockHint", "payload": {"contentBlockIndex": 0}},
            {"event": "contentBlockDelta", "payload": {"contentBlockIndex": 7, "delta": {"novelty": {"a": 1}}}},
            {
                "event": "contentBlockStart",
                "payload": {"contentBlockIndex": 8, "start": {"video": {"format": "mp4"}}},
            },
            {"event": "contentBlockDelta", "payload": {"contentBlockIndex": 8, "delta": {"video": {"b": 2}}}},
            {"event": "contentBlockDelta", "payload": {"contentBlockIndex": 1, "delta": {"novelty": 1}}},
        ],
    } == found.extra


def test_null_means_absent() -> None:
    start = {"contentBlockIndex": 0, "start": {"toolUse": None}}
    events = [
        ("contentBlockStart", start),
        delta(0, text="a", toolUse=None),
        finish(additionalModelResponseFields=None),
    ]
    assert read(START, text(0, "a"), finish()) == read(START, *events, ("metadata", {"usage": None, "trace": None}))


def test_a_reader_can_be_copied_at_every_message() -> None:
    expected = read(*WEATHER)
    for at in range(len(WEATHER)):
        one = Reader()
        one.feed(body(*WEATHER[:at]))
        two = copy.deepcopy(one)
        for reader in (one, two):
            reader.feed(body(*WEATHER[at:]))
            reader.close()
            assert expected == reader.result()


@given(st.lists(st.sampled_from([*WEATHER, call(2), arguments(2, "{"), stop(2), delta(0, toolUse=3)])), st.binary())
def test_no_sequence_of_events_is_an_untyped_error_and_none_looks_finished_without_message_stop(
    events: list[Event], rest: bytes
) -> None:
    """Invariant: a completion or a DialectError whose partial has nothing executable; the same byte by byte."""
    whole, dripped = (outcome(chunks) for chunks in ([body(*events) + rest], drip(body(*events) + rest)))
    assert whole == dripped
    said, completion = whole
    assert said == "" or not (completion.ended or any(made.executable for made in completion.tool_calls))
    assert said != "" or any(kind == "messageStop" for kind, _ in events)


# Detection


def _asked(url: str, data: bytes = b"") -> Transcript:
    return Transcript(data, request=Request("POST", url))


def test_it_is_detected_by_the_request_or_by_its_first_message() -> None:
    dialect = BedrockConverse()
    host = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0"
    response = _message(b"{}", event_type="initial-response", message_type="event")
    assert dialect.detect(_asked(f"{host}/converse-stream"))
    assert dialect.detect(Transcript(body(*WEATHER)))
    assert dialect.detect(Transcript(body(*WEATHER)[: len(body(START))]))
    assert dialect.detect(Transcript(response + body(START)))
    assert dialect.detect(_asked("https://gateway.example/v1", body(START)))


def test_other_streams_are_not_detected() -> None:
    dialect = BedrockConverse()
    host = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0"
    assert not dialect.detect(_asked(f"{host}/invoke-with-response-stream", body(START)))
    assert not dialect.detect(_asked(f"{host}/converse", b"{}"))
    for data in (b"", body(START)[:-1], body(("chunk", {"bytes": "e30="})), b'data: {"type":"messageStart"}\n\n',
                 body(("initial-response", {}))):  # fmt: skip
        assert not dialect.detect(Transcript(data))


# Writing


def test_events_are_written_as_the_service_writes_them() -> None:
    made = BedrockConverse().emit(read(*WEATHER), Layout(token_size=8))
    messages = decode(made.body)
    assert [
        "messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "contentBlockStart",
        "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ] == [message.text(":event-type") for message in messages]  # fmt: skip
    assert [[":event-type", ":content-type", ":message-type"]] * 10 == [
        [header.name for header in message.headers] for message in messages
    ]
    assert ["contentBlockIndex", "delta", "p"] == list(json.loads(messages[1].payload))
    assert ("bedrock_converse", True, 10, "application/vnd.amazon.eventstream") == (
        made.dialect, made.synthetic, len(made.lengths), made.head.header("Content-Type"),
    )  # fmt: skip
    assert BedrockConverse().detect(made)


def test_calls_are_laid_out_as_asked() -> None:
    events = [
        START,
        call(0),
        arguments(0, '{"a":1}'),
        stop(0),
        call(1),
        arguments(1, "{}"),
        stop(1),
        finish("tool_use"),
    ]
    completion = read(*events)

    def order(layout: Layout) -> list[int]:
        payloads = [json.loads(message.payload) for message in decode(BedrockConverse().emit(completion, layout).body)]
        return [payload["contentBlockIndex"] for payload in payloads if "contentBlockIndex" in payload]

    assert [0, 0, 0, 0, 0, 1, 1, 1] == order(Layout(token_size=3))
    assert [0, 0, 0, 1, 1, 1] == order(Layout(token_size=3, calls="whole"))
    assert [0, 1, 0, 1, 0, 0, 0, 1] == order(Layout(token_size=3, calls="interleaved"))


COMPLETION = read(*WEATHER)


@pytest.mark.parametrize(
    ("completion", "named"),
    [
        (replace(COMPLETION, ended=False), "did not end"),
        (replace(COMPLETION, choices=()), "has 0"),
        (replace(COMPLETION, id="x"), "id 'x'"),
        (replace(COMPLETION, extra={"p": 1}), "named p"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], refusal="no"),)), "refusal 'no'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], content="\ud800"),)), "half a surrogate"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], finish_reason=None),)), "stopReason is null"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], tool_calls=(ToolCall("a", "b", "{}"),)),)),
         "index None"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"citations": [1]}),)), "shape"),
    ],
)  # fmt: skip
def test_what_the_dialect_cannot_carry_is_named(completion: Completion, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        BedrockConverse().emit(completion, Layout())


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_arguments = st.one_of(st.sampled_from(["", "{}", '{"a": "ü🌤"}', '{"a":', "[]"]), _words)
_json = st.dictionaries(_names.filter(lambda name: name not in ("p", "unknown_events", "usage", "serviceTier")),
                        st.one_of(st.integers(), _words, st.lists(st.booleans(), max_size=2)), max_size=2)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a whole stream of blocks of every kind."""
    events: list[Event] = [("messageStart", {"role": draw(st.sampled_from(["assistant", "user"]))})]
    kinds = draw(st.lists(st.sampled_from(["text", "call", "think", "sealed", "cite", "server", "new"]), max_size=5))
    for index, kind in enumerate(kinds):
        if kind == "text":
            events += [text(index, piece) for piece in draw(st.lists(_words, max_size=3))]
        elif kind == "call":
            events += [call(index, draw(_names), **draw(st.sampled_from([{}, {"novelty": 1}])))]
            events += [arguments(index, draw(_arguments))]
        elif kind == "think":
            events += [delta(index, reasoningContent={"text": draw(_words)})]
            events += draw(st.sampled_from([[], [delta(index, reasoningContent={"signature": "c2ln"})]]))
        elif kind == "sealed":
            events += [delta(index, reasoningContent={"redactedContent": "AAEC"})]
        elif kind == "cite":
            events += [delta(index, citation=draw(_json)), text(index, draw(_words))]
        elif kind == "server":
            events += [call(index, "search", type="server_tool_use"), arguments(index, "{}")]
        else:
            events += [delta(index, novelty=draw(_words))]
        events.append(stop(index))
    events.append(finish(draw(st.sampled_from(["end_turn", "tool_use", "max_tokens", "stop_sequence", "new"]))))
    if draw(st.booleans()):
        events.append(("metadata", {**draw(_json), "usage": USAGE}))
    return body(*events)


layouts = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    chunk=st.sampled_from(["event", "whole"]),
)


@given(streams(), layouts)
def test_what_is_written_accumulates_to_the_completion_that_was_given(stream: bytes, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c for every completion that came of a stream."""
    completion = accumulated([stream])
    made = BedrockConverse().emit(completion, layout)
    assert completion == accumulated(made.fragment())
    assert completion == accumulated(drip(made.body))
