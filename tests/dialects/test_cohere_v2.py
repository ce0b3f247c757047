"""Cohere's chat v2 by itself: how events become a completion, what is refused, and how a completion is written."""

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
from streamkit.dialects.cohere_v2 import CohereV2, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript
from streamkit.wire.sse import Framing
from streamkit.wire.sse import decode as decode_sse

Json = dict[str, Any]

USAGE = {"billed_units": {"input_tokens": 1, "output_tokens": 2}, "tokens": {"input_tokens": 3, "output_tokens": 4}}
START: Json = {
    "id": "68475c80",
    "type": "message-start",
    "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}},
}


def typed(kind: str, index: int | None = None, **message: Any) -> Json:
    where = {} if index is None else {"index": index}
    return {"type": kind, **where, **({"delta": {"message": message}} if message else {})}


def block(index: int | None, kind: str, *pieces: str) -> list[Json]:
    return [
        typed("content-start", index, content={"type": kind, kind: ""}),
        *(typed("content-delta", index, content={kind: piece}) for piece in pieces),
        typed("content-end", index),
    ]


def opener(index: int | None, name: str = "weather", **fields: Any) -> Json:
    function = {"name": name, "arguments": ""}
    entry = {"id": f"{name}_1", "type": "function", "function": function, **fields}
    return typed("tool-call-start", index, tool_calls=entry)


def arguments(index: int | None, piece: str) -> Json:
    return typed("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})


def call(index: int | None, *pieces: str, name: str = "weather") -> list[Json]:
    fragments = [arguments(index, piece) for piece in pieces]
    return [opener(index, name), *fragments, typed("tool-call-end", index)]


def finish(reason: str | None = "COMPLETE", **fields: Any) -> Json:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **fields}}


def body(*payloads: Json | str) -> bytes:
    out = []
    for payload in payloads:
        data = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        name = f"event: {payload['type']}\n" if isinstance(payload, dict) and "type" in payload else ""
        out.append(f"{name}data: {data}\n\n".encode())
    return b"".join(out)


def accumulated(chunks: Any) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def read(*payloads: Json | str) -> Completion:
    return accumulated([body(*payloads)])


def outcome(chunks: Any) -> tuple[str, Completion]:
    """Return the completion, or the error's text and what had come."""
    try:
        return "", accumulated(chunks)
    except DialectError as error:
        return str(error), error.partial


CITATION = {"start": 0, "end": 3, "text": "abc", "sources": [{"type": "document", "id": "doc:0"}]}
WEATHER: tuple[Json | str, ...] = (
    START, typed("tool-plan-delta", tool_plan="I will "), typed("tool-plan-delta", tool_plan="look."),
    *call(0, '{"city":', '"Köln"}'), *call(1, "{}", name="time"), finish("TOOL_CALL"), "[DONE]",
)  # fmt: skip


# A completion


def test_a_stream_becomes_a_completion_however_it_is_cut() -> None:
    calls = (
        ToolCall("weather_1", "weather", '{"city":"Köln"}', index=0),
        ToolCall("time_1", "time", "{}", index=1),
    )
    extra = {"tool_plan": "I will look."}
    choice = Choice(0, reasoning="I will look.", tool_calls=calls, finish_reason="TOOL_CALL", extra=extra)
    expected = Completion(choices=(choice,), usage=USAGE, id="68475c80", ended=True)
    assert expected == always(body(*WEATHER), accumulated, scan=0)
    assert all(made.executable for made in calls)


def test_thinking_is_the_reasoning_and_a_plan_beside_it_stays_in_extra() -> None:
    plan = typed("tool-plan-delta", tool_plan="plan")
    choice = read(START, *block(0, "thinking", "h", "m"), plan, *block(1, "text", "4", "2"), finish()).choices[0]
    assert ("hm", "42", {"tool_plan": "plan"}) == (choice.reasoning, choice.content, choice.extra)


def test_texts_join_in_the_order_of_their_blocks() -> None:
    assert "ab" == read(START, *block(1, "text", "b"), *block(0, "text", "a"), finish()).content


def test_an_answer_without_text_has_none_and_an_empty_block_is_empty() -> None:
    assert [None, ""] == [read(START, finish()).content, read(START, *block(0, "text"), finish()).content]


def test_citations_are_kept_and_break_no_text() -> None:
    start, one, two, end = block(0, "text", "abc", "def")
    cite = [typed("citation-start", 0, citations=CITATION), typed("citation-end", 0)]
    choice = read(START, start, one, *cite, two, end, finish()).choices[0]
    assert ("abcdef", {"citations": [CITATION]}) == (choice.content, choice.extra)


def test_log_probabilities_are_kept_once_for_each_delta() -> None:
    start, one, end = block(0, "text", "abc")
    probable = {"token_ids": [1], "text": "abc", "logprobs": [-0.5]}
    choice = read(START, start, {**one, "logprobs": probable}, end, finish()).choices[0]
    assert {"content": [probable]} == choice.logprobs


def test_what_nobody_knows_yet_is_kept_and_harms_nothing() -> None:
    strange: list[Json] = [
        {"type": "debug", "prompt": "<|x|>"}, {"type": "content-hint", "a": 1}, {"b": 2},
        typed("content-start", 5, content={"type": "image", "url": "u"}),
        typed("content-delta", 5, content={"more": "m"}),
    ]  # fmt: skip
    found = read(*WEATHER[:3], *strange, *WEATHER[3:-2], {**finish("TOOL_CALL", novelty=1), "later": 2})
    known = read(*WEATHER)
    extra = {"tool_plan": "I will look.", "novelty": 1,
             "contents": [{"index": 5, "type": "image", "content": [{"url": "u"}, {"more": "m"}]}]}  # fmt: skip
    assert (replace(known.choices[0], extra=extra),) == found.choices
    assert {
        "later": 2,
        "debug": ["<|x|>"],
        "unknown_events": [{"type": "content-hint", "a": 1}, {"b": 2}],
    } == found.extra


def test_what_a_gateway_sends_to_keep_a_connection_open_is_passed_over() -> None:
    alive: list[Json] = [{"type": "ping"}, {"type": "keepalive", "time": 1}, {}]
    assert read(*WEATHER) == read(*alive, *WEATHER[:3], *alive, *WEATHER[3:])


# What may be executed


@pytest.mark.parametrize(
    ("reason", "pieces", "executable"),
    [
        ("TOOL_CALL", ['{"a":1}'], True),
        ("COMPLETE", ['{"a":1}'], True),
        ("TOOL_CALL", [], True),
        ("TOOL_CALL", [""], True),
        ("STOP_SEQUENCE", ['{"a":1}'], True),
        ("STOP_SEQUENCE", [], False),
        ("A_NEW_REASON", ["{}"], True),
        ("A_NEW_REASON", [], False),
        ("TOOL_CALL", ['{"a":1'], False),
        ("TOOL_CALL", ["[1]"], False),
        ("MAX_TOKENS", ["{}"], False),
        ("TIMEOUT", ["{}"], False),
        ("ERROR", ["{}"], False),
        (None, ["{}"], False),
        ("", ["{}"], False),
    ],
)
def test_a_call_is_executable_if_it_is_whole_and_the_finish_reason_is_good(
    reason: str | None, pieces: list[str], executable: bool
) -> None:
    completion = read(START, *call(0, *pieces), finish(reason))
    assert [executable] == [made.executable for made in completion.tool_calls]
    assert completion.ended


def test_a_call_without_its_end_or_name_or_id_is_not_executable() -> None:
    calls = [
        opener(0), arguments(0, "{}"), opener(1, name=""), typed("tool-call-end", 1), opener(2, id=None),
        typed("tool-call-end", 2),
    ]  # fmt: skip
    made = read(START, *calls, finish("TOOL_CALL")).tool_calls
    assert ["its tool-call-end never came", "it has no name", "it has no id"] == [one.problem for one in made]


# The end


@pytest.mark.parametrize("count", range(len(WEATHER) - 1))
@pytest.mark.parametrize("done", [[], ["[DONE]"]])
def test_a_stream_without_message_end_was_cut_off_whatever_done_says(count: int, done: list[str]) -> None:
    with pytest.raises(TruncatedStreamError, match="no message-end came" if count else "no event at all") as caught:
        read(*WEATHER[:count], *done)
    assert not caught.value.partial.ended
    assert not any(made.executable for made in caught.value.partial.tool_calls)


def test_an_unfinished_event_is_counted() -> None:
    with pytest.raises(TruncatedStreamError, match="the last 9 bytes are an unfinished event"):
        accumulated([body(START) + b"event: me"])


def test_done_may_be_missing_and_nothing_counts_behind_it() -> None:
    assert read(*WEATHER) == read(*WEATHER[:-1]) == read(*WEATHER, START, "{")


# Errors


@pytest.mark.parametrize(
    ("event", "code", "said"),
    [
        (body(finish("ERROR", error="out of memory")), "ERROR", "out of memory"),
        (body(finish("COMPLETE", error={"a": 1})), "COMPLETE", '{"a": 1}'),
        (b'data: {"id":"a3c0","message":"too many requests"}\n\n', None, "too many requests"),
        (b'data: {"error":{"message":"proxy","code":502}}\n\n', 502, "proxy"),
        (b'event: error\ndata: {"message":"no"}\n\n', None, "no"),
        (b'data: {"type":"error","message":"no"}\n\n', "error", "no"),
    ],
)
def test_an_error_inside_the_stream_is_raised_with_what_had_come(event: bytes, code: object, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        accumulated(drip(body(*WEATHER[:-2]) + event + body(finish())))
    partial = caught.value.partial
    assert (code, "I will look.", False) == (caught.value.code, partial.choices[0].reasoning, partial.ended)
    assert [False, False] == [made.executable for made in partial.tool_calls]


# What is refused


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [
        ([START, START], "a second message-start"),
        ([finish(), finish()], "message-end after message-end"),
        ([finish(), typed("content-delta", 0, content={"text": "a"})], "content-delta after message-end"),
        ([*block(0, "text"), *block(0, "text")], "content block 0 begins a second time"),
        ([*block(0, "text"), typed("content-delta", 0, content={"text": "a"})], "content block 0 goes on after its"),
        ([*block(0, "text"), typed("content-end", 0)], "content block 0 goes on after its end"),
        ([typed("content-end", 0)], "the end of content block 0, which never began"),
        ([arguments(0, "{}")], "arguments of tool call 0, which never began"),
        ([arguments(None, "{}")], "arguments of tool call None, which never began"),
        ([opener(0), opener(0)], "tool call 0 begins a second time"),
        ([opener(0), opener(1), arguments(None, "{}")], "may belong to any tool call of 2"),
        ([typed("content-delta", 0, content={"text": 1})], "text is 1, where a string belongs"),
        ([typed("content-delta", 0)], "content is null, where an object belongs"),
        ([typed("tool-plan-delta", tool_plan=[])], "tool_plan is [], where a string belongs"),
        ([typed("tool-call-start", 0, tool_calls=[])], "tool_calls is [], where an object belongs"),
        ([typed("citation-start", 0, citations=[])], "citations is [], where an object belongs"),
        ([{"type": "content-end", "index": "0"}], 'index is "0", where a whole number belongs'),
        ([{"type": "message-end", "delta": []}], "delta is [], where an object belongs"),
        (["[]"], "no object"),
        (["{"], "not JSON"),
        (['{"a":NaN}'], "NaN is no JSON"),
        (['{"a":' + "[" * 200_000], "not JSON"),
    ],
)
def test_what_can_only_come_of_a_fault_is_refused(payloads: list[Json | str], reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(*payloads)
    assert reason in str(caught.value)
    assert not caught.value.partial.ended


def test_data_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(PayloadError, match="not UTF-8"):
        accumulated([b'data: {"type":"debug","prompt":"\xff"}\n\n'])


# What is let pass


def test_indices_are_optional_while_one_block_or_call_is_open() -> None:
    def without(*payloads: Json) -> list[Json]:
        return [{key: value for key, value in one.items() if key != "index"} for one in payloads]

    text = block(0, "text", "4", "2")
    found = read(START, *without(*text, *call(0, '{"a"', ":1}"), *call(1, name="time")), finish("TOOL_CALL"))
    assert "42" == found.content
    assert [("weather", '{"a":1}', None, True), ("time", "", None, True)] == [
        (made.name, made.arguments, made.index, made.executable) for made in found.tool_calls
    ]


def test_a_block_may_begin_with_its_first_delta() -> None:
    assert "42" == read(START, *block(0, "text", "4", "2")[1:], finish()).content


def test_a_reader_can_be_copied_at_every_event() -> None:
    expected = read(*WEATHER)
    for at in range(len(WEATHER)):
        one = Reader()
        one.feed(body(*WEATHER[:at]))
        two = copy.deepcopy(one)
        for reader in (one, two):
            reader.feed(body(*WEATHER[at:]))
            reader.close()
            assert expected == reader.result()


@given(st.lists(st.sampled_from([*WEATHER, *block(0, "text", "a"), arguments(0, "{"), typed("content-end", None),
                                 opener(None), {"type": "message-end"}, "{", "[]"])), st.binary())  # fmt: skip
def test_no_sequence_of_events_is_an_untyped_error_and_none_looks_finished_without_message_end(
    payloads: list[Json | str], rest: bytes
) -> None:
    """Invariant: a completion or a DialectError whose partial has nothing executable; the same byte by byte."""
    stream = body(*payloads) + rest
    whole, dripped = (outcome(chunks) for chunks in ([stream], drip(stream)))
    assert whole == dripped
    said, completion = whole
    assert said == "" or not (completion.ended or any(made.executable for made in completion.tool_calls))
    assert said != "" or any(isinstance(one, dict) and one["type"] == "message-end" for one in payloads)


# Detection


def test_it_is_detected_by_the_request_or_by_its_first_payload() -> None:
    dialect = CohereV2()
    for host in ("api.cohere.com", "api.cohere.ai"):
        assert dialect.detect(Transcript(b"", request=Request("POST", f"https://{host}/v2/chat?x=1")))
    assert dialect.detect(Transcript(body(*WEATHER)))
    assert dialect.detect(Transcript(body({"type": "debug", "prompt": "x"}, START)))
    assert dialect.detect(Transcript(body(finish("ERROR"))))


def test_other_streams_are_not_detected() -> None:
    dialect = CohereV2()
    for url in ("https://api.cohere.com/v1/chat", "https://other.example/v2/chat"):
        assert not dialect.detect(Transcript(b"", request=Request("POST", url)))
    others: list[Json] = [
        {"event_type": "stream-start", "generation_id": "x"}, {"type": "message_start", "message": {}},
        {"type": "message-start"}, {"type": "start"}, {"type": ["content-delta"]}, {"choices": []}, {"type": "debug"},
    ]  # fmt: skip
    for other in others:
        assert not dialect.detect(Transcript(body(other))), other
    for data in (b"", b"data: {\n\n", b"data: []\n\n", b"\x00\x00\x00\x10"):
        assert not dialect.detect(Transcript(data))


# Writing


def test_events_are_written_as_the_service_writes_them() -> None:
    made = CohereV2().emit(read(START, *block(0, "text", "ab"), finish()), Layout(token_size=1))
    expected = body(START, *block(0, "text", "a", "b"), finish(), "[DONE]")
    assert expected == made.body
    assert ("cohere_v2", True, 7) == (made.dialect, made.synthetic, len(made.lengths))
    assert CohereV2().detect(made)


def test_calls_are_laid_out_as_asked() -> None:
    completion = read(*WEATHER)

    def order(layout: Layout) -> list[str]:
        events = decode_sse(CohereV2().emit(completion, layout).body)
        payloads = [json.loads(event.data) for event in events if event.event.startswith("tool-call")]
        return [f"{payload['type'][10]}{payload['index']}" for payload in payloads]

    assert ["s0", "d0", "d0", "e0", "s1", "d1", "e1"] == order(Layout(token_size=9))
    assert ["s0", "d0", "e0", "s1", "d1", "e1"] == order(Layout(token_size=9, calls="whole"))
    assert ["s0", "s1", "d0", "d1", "d0", "e1", "e0"] == order(Layout(token_size=9, calls="interleaved"))


COMPLETION = read(*WEATHER)


@pytest.mark.parametrize(
    ("completion", "named"),
    [
        (replace(COMPLETION, ended=False), "did not end"),
        (replace(COMPLETION, choices=COMPLETION.choices * 2), "has 2"),
        (replace(COMPLETION, model="x"), "model 'x'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], refusal="no"),)), "refusal 'no'"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], content="\ud800"),)), "half a surrogate"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], reasoning=None),)), "reasoning None"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"error": "x"}),)), "an error"),
        (replace(COMPLETION, choices=(replace(COMPLETION.choices[0], extra={"contents": [1]}),)), "shape"),
        (replace(COMPLETION, extra={"unknown_events": [START]}), "a second message-start"),
    ],
)
def test_what_the_dialect_cannot_carry_is_named(completion: Completion, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        CohereV2().emit(completion, Layout())


_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_arguments = st.one_of(st.sampled_from(["", "{}", '{"a": "ü🌤"}', '{"a":', "[]"]), _words)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a whole stream of blocks, calls and citations."""
    payloads: list[Json | str] = [draw(st.sampled_from([START, {**START, "id": None}]))]
    numbered = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(["text", "thinking", "plan", "call", "cite", "debug", "new"]), max_size=6))
    for index, kind in enumerate(kinds):
        if kind in ("text", "thinking"):
            payloads += block(index, kind, *draw(st.lists(_words, max_size=3)))
        elif kind == "plan":
            payloads.append(typed("tool-plan-delta", tool_plan=draw(_words)))
        elif kind == "call":
            payloads += call(index if numbered else None, draw(_arguments), name=draw(_names))
        elif kind == "cite":
            payloads += [typed("citation-start", index, citations=CITATION), typed("citation-end", index)]
        elif kind == "debug":
            payloads.append({"type": "debug", "prompt": draw(_words)})
        else:
            payloads.append({"type": "novelty", "text": draw(_words)})
    payloads.append(
        finish(draw(st.sampled_from(["COMPLETE", "TOOL_CALL", "MAX_TOKENS", "STOP_SEQUENCE", "NEW", None])))
    )
    return body(*payloads)


layouts = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    framing=st.sampled_from([Framing(), Framing(line_end=b"\r\n", bom=True), Framing(space=False)]),
    chunk=st.sampled_from(["event", "whole"]),
)


@given(streams(), layouts)
def test_what_is_written_accumulates_to_the_completion_that_was_given(stream: bytes, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c for every completion that came of a stream."""
    completion = accumulated([stream])
    made = CohereV2().emit(completion, layout)
    assert completion == accumulated(made.fragment())
    assert completion == accumulated(drip(made.body))
