"""ConverseStream by itself: how messages become a completion, what is let pass, and which streams are its own."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.converse_events import (
    METADATA,
    START,
    USAGE,
    WEATHER,
    Event,
    accumulated,
    arguments,
    body,
    call,
    delta,
    finish,
    outcome,
    partial,
    raw_message,
    read,
    stop,
    text,
)
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.bedrock_converse import BedrockConverse, Reader
from streamkit.dialects.bedrock_converse_emit import event
from streamkit.dialects.layout import Layout
from streamkit.transcript import Request, Transcript
from streamkit.wire.eventstream import Message, encode

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
    response = raw_message(b"{}", event_type="initial-response", message_type="event")
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
