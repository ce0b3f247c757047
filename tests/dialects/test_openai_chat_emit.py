"""Chat completion streams written from a completion: they read as that completion, and look as OpenAI writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.corpus import Recording, needs_corpus, recordings
from skhelpers.delivery import drip

from streamkit.completion import Choice, Completion, FunctionCall, ToolCall
from streamkit.dialects import accumulate, get
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat_emit import difference, emit
from streamkit.errors import DialectError, UsageError
from streamkit.generation import completions, layouts
from streamkit.wire.sse import Framing, decode

USAGE = {"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17}
CALL = ToolCall("call_a", "f", '{"city":"Boston"}', index=0)
OTHER = ToolCall("call_b", "g", '{"b":2}', index=1)


def answer(*calls: ToolCall, **facts: Any) -> Completion:
    """Return a completion of one choice; `whole` holds fields of the completion itself."""
    whole = facts.pop("whole", {})
    facts = {"finish_reason": "tool_calls" if calls else "stop", "tool_calls": calls, **facts}
    return Completion((Choice(0, **facts),), ended=True, **whole)


def payloads(completion: Completion, layout: Layout | None = None) -> list[Any]:
    """Return the payloads of the stream, without `[DONE]`, after checking that it reads as the completion."""
    transcript = emit(completion, layout or Layout())
    assert completion == accumulate(transcript)
    data = [event.data for event in decode(transcript.body)]
    assert "[DONE]" == data.pop()
    return [json.loads(text) for text in data]


def deltas(completion: Completion, layout: Layout | None = None) -> list[Any]:
    """Return the deltas of choice 0 and its finish reasons in place of empty ones."""
    entries = [choice for payload in payloads(completion, layout) for choice in payload["choices"]]
    return [entry["delta"] or entry["finish_reason"] for entry in entries]


# The law


@given(completions(), layouts())
def test_a_written_stream_reads_as_the_completion_it_was_written_from(completion: Completion, layout: Layout) -> None:
    """Invariant: accumulate(emit(c, layout)) == c, in its own chunks and byte by byte."""
    transcript = get("openai_chat").emit(completion, layout)
    assert completion == accumulate(transcript)
    if len(transcript.body) < 5000:
        assert completion == accumulate(drip(transcript.body))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
extras = st.dictionaries(
    st.sampled_from(("citations", "content_filter_results", "annotations", "audio", "error", "usage", "index", "delta",
                     "content_parts", "logprobs", "logprobs.x", "role", "content", "x_groq", "id", "p", "message")),
    values, max_size=2,
)  # fmt: skip
anything = st.builds(
    lambda choices, usage, extra, name, ended: Completion(tuple(choices), usage, name, name, extra=extra, ended=ended),
    st.lists(
        st.builds(
            Choice,
            st.integers(0, 2),
            role=st.sampled_from(("assistant", "", "tool")),
            content=st.none() | st.text(st.characters(), max_size=5),
            refusal=st.none() | st.text(max_size=3),
            reasoning=st.none() | st.text(max_size=3),
            finish_reason=st.sampled_from((None, "stop", "length", "", "tool_calls", "odd")),
            tool_calls=st.lists(
                st.builds(
                    ToolCall,
                    st.sampled_from((None, "a", "b", "")),
                    st.sampled_from(("f", "g", "")),
                    st.sampled_from(("", "{}", '{"a":1}', "{", "{}{}", "5", " ")),
                    type=st.sampled_from(("function", "custom", "", "builtin")),
                    index=st.sampled_from((None, 0, 1)),
                    problem=st.sampled_from((None, "it has no name")),
                    extra=extras,
                ),
                max_size=3,
            ).map(tuple),
            function_call=st.none() | st.builds(FunctionCall, st.sampled_from(("f", "")), st.sampled_from(("", "{}"))),
            logprobs=st.none() | st.dictionaries(st.sampled_from(("content", "refusal", "x")), values, max_size=2),
            extra=extras,
        ),
        max_size=3,
    ),
    st.none() | st.dictionaries(st.text(max_size=2), values, max_size=2),
    extras,
    st.sampled_from((None, "", "x")),
    st.sampled_from((True, True, False)),
)


@given(anything, layouts())
def test_any_completion_at_all_is_carried_or_refused(completion: Completion, layout: Layout) -> None:
    """Invariant: emit raises UsageError or writes the very completion; it never writes another."""
    try:
        transcript = emit(completion, layout)
    except UsageError:
        return
    assert completion == accumulate(transcript)


#: Recordings that hold no answer: four errors of a provider, and one stream that was cut off.
ANSWERLESS = {
    "pydantic-ai--test_clean_eof_without_finish_reason--0-94f992d6.sse",
    "pydantic-ai--test_tool_use_failed_error_streaming--0-1ec9f413.sse",
    "pydantic-ai--test_tool_use_failed_error_streaming--0-25e98858.sse",
    "pydantic-ai--test_openrouter_stream_error--0-baafd4cb.sse",
    "req_llm--google_gemini_2_5_flash_lite.object_streaming--0-7a5494a4.sse",
}


@needs_corpus
@pytest.mark.parametrize("recording", recordings(family="chat"), ids=lambda recording: recording.name)
def test_every_recorded_answer_can_be_written_again(recording: Recording) -> None:
    if recording.name.rpartition("/")[2] in ANSWERLESS:
        with pytest.raises(DialectError):
            accumulate([recording.body])
        return
    completion = accumulate([recording.body])
    for layout in (Layout(1000), Layout(7, "interleaved", "finish"), Layout(1000, "whole", "every", keep_alive=True)):
        assert completion == accumulate(emit(completion, layout))


# What a stream looks like


def test_text_comes_after_a_role_chunk_with_empty_content() -> None:
    role = {"role": "assistant", "content": "", "refusal": None}
    assert [role, {"content": "Hell"}, {"content": "o"}, "stop"] == deltas(answer(content="Hello"))


def test_empty_text_and_no_text_differ() -> None:
    assert [{"role": "assistant", "content": "", "refusal": None}, "stop"] == deltas(answer(content=""))
    assert [{"role": "assistant", "content": None}, "stop"] == deltas(answer())


def test_a_payload_has_the_fields_of_openai() -> None:
    facts = {"id": "chatcmpl-1", "created": 5, "model": "gpt", "service_tier": "default", "system_fingerprint": "fp"}
    first, *_ = payloads(answer(content="a", whole=facts))
    assert ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"] == list(first)
    assert "chat.completion.chunk" == first["object"]
    assert ["index", "delta", "logprobs", "finish_reason"] == list(first["choices"][0])


def test_a_single_call_opens_in_the_role_chunk() -> None:
    opener = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
    role = {"role": "assistant", "content": None, "tool_calls": [opener], "refusal": None}
    first, *fragments, last = deltas(answer(CALL), Layout(10))
    assert (role, "tool_calls") == (first, last)
    assert [
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"B'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'oston"}'}}]},
    ] == fragments


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("sequential", ["+0", '{"city"', ':"Bosto', 'n"}', "+1", '{"b":2}']),
        ("interleaved", ["+0", "+1", '{"city"', '{"b":2}', ':"Bosto', 'n"}']),
        ("whole", ['+0{"city":"Boston"}', '+1{"b":2}']),
    ],
)
def test_the_layout_says_how_several_calls_are_spread(calls: str, expected: list[str]) -> None:
    role, *middle, last = deltas(answer(CALL, OTHER), Layout(7, calls))
    assert ({"role": "assistant", "content": None}, "tool_calls") == (role, last)
    entries = [entry for delta in middle for entry in delta["tool_calls"]]
    marks = [f"+{entry['index']}" if "id" in entry else "" for entry in entries]
    assert expected == [mark + entry["function"]["arguments"] for mark, entry in zip(marks, entries, strict=True)]


@pytest.mark.parametrize(
    "calls",
    [
        (replace(CALL, index=None), replace(OTHER, index=None)),
        (replace(CALL, index=0), replace(OTHER, index=0)),
        (replace(CALL, index=None, id=None), replace(OTHER, index=None, id=None)),
    ],
    ids=["no index", "one index", "neither index nor id"],
)
def test_calls_without_an_index_of_their_own_are_written_whole(calls: tuple[ToolCall, ...]) -> None:
    _, *middle, _ = deltas(answer(*calls), Layout(1, "interleaved"))
    assert [call.arguments for call in calls] == [delta["tool_calls"][0]["function"]["arguments"] for delta in middle]


def test_a_custom_call_has_an_input() -> None:
    call = ToolCall("call_a", "shell", "ls -l", "custom", 0)
    role, fragment, _ = deltas(answer(call), Layout(100))
    assert {"name": "shell", "input": ""} == role["tool_calls"][0]["custom"]
    assert {"tool_calls": [{"index": 0, "custom": {"input": "ls -l"}}]} == fragment


def test_a_legacy_call_opens_in_the_role_chunk_too() -> None:
    completion = answer(function_call=FunctionCall("f", '{"a":1}'), finish_reason="function_call")
    opener = {"function_call": {"name": "f", "arguments": ""}}
    role = {"role": "assistant", "content": None, **opener, "refusal": None}
    assert [role, {"function_call": {"arguments": '{"a":1}'}}, "function_call"] == deltas(completion, Layout(100))


def test_a_refusal_and_reasoning_come_in_deltas_of_their_own() -> None:
    assert [{"role": "assistant", "content": None, "refusal": ""}, {"refusal": "No."}, "stop"] == deltas(
        answer(refusal="No.")
    )
    assert [{"reasoning_content": "hm"}, {"content": "a"}] == deltas(answer(content="a", reasoning="hm"))[1:3]


def test_several_choices_take_turns() -> None:
    choices = [Choice(n, content=text, finish_reason="stop") for n, text in ((0, "abcd"), (1, "ef"))]
    written = payloads(Completion(tuple(choices), ended=True), Layout(1))
    assert [0, 0, 1, 1, 0, 1, 0, 1, 0, 0] == [payload["choices"][0]["index"] for payload in written]


# Logprobs, usage, extras


def tokens(*words: str) -> list[dict[str, Any]]:
    return [{"token": word, "logprob": -0.5, "bytes": list(word.encode()), "top_logprobs": []} for word in words]


def test_tokens_stay_with_their_text_and_come_once() -> None:
    words = tokens("He", "l", "lo", " you")
    written = payloads(answer(content="Hello you", logprobs={"content": words}), Layout(3))
    entries = [payload["choices"][0] for payload in written]
    assert [
        ("", {"content": [], "refusal": None}),
        ("Hel", {"content": words[:2], "refusal": None}),
        ("lo you", {"content": words[2:], "refusal": None}),
        (None, None),
    ] == [(entry["delta"].get("content"), entry["logprobs"]) for entry in entries]


@pytest.mark.parametrize(
    "logprobs",
    [
        {}, {"content": []}, {"content": tokens("no", "such", "text")}, {"content": [None, 5]},
        {"refusal": tokens("a")}, {"tokens": ["a"], "token_logprobs": [-1.0]},
        {"content": tokens("a"), "refusal": tokens("b", "c")},
    ],
)  # fmt: skip
@pytest.mark.parametrize("facts", [{}, {"content": "a"}, {"content": "abc", "refusal": "bc"}])
def test_tokens_that_do_not_add_up_to_the_text_are_carried_too(logprobs: Any, facts: dict[str, Any]) -> None:
    assert payloads(answer(logprobs=logprobs, **facts), Layout(1))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("last", [None, None, None, 10]),
        ("finish", [None, None, 10]),
        ("every", [3, 6, 10]),
    ],
)
def test_the_layout_says_where_usage_comes(place: str, expected: list[int | None]) -> None:
    written = payloads(answer(content="a", whole={"usage": USAGE}), Layout(usage=place))
    assert expected == [payload["usage"] and payload["usage"]["completion_tokens"] for payload in written]
    assert USAGE == written[-1]["usage"]
    assert (place == "last") == (written[-1]["choices"] == [])


def test_cumulative_usage_adds_up_in_every_event() -> None:
    written = payloads(answer(content="a" * 30, whole={"usage": USAGE}), Layout(usage="every"))
    assert {7} == {payload["usage"]["total_tokens"] - payload["usage"]["completion_tokens"] for payload in written}


def test_without_usage_no_payload_has_the_field() -> None:
    assert [] == [payload for payload in payloads(answer(content="a")) if "usage" in payload]


def test_extras_go_where_servers_put_them() -> None:
    annotations = [{"type": "url_citation"}]
    extra = {"annotations": annotations, "content_filter_results": {"hate": 1}, "logprobs": 0.5}
    completion = answer(replace(CALL, extra={"signature": "s"}), extra=extra, whole={"extra": {"provider": "x"}})
    first, *_, beside, last = payloads(completion)
    assert "x" == first["provider"]
    assert "s" == first["choices"][0]["delta"]["tool_calls"][0]["signature"]
    assert {"annotations": annotations} == beside["choices"][0]["delta"]
    assert ({"hate": 1}, 0.5) == (last["choices"][0]["content_filter_results"], last["choices"][0]["logprobs"])


# The transcript


def test_the_transcript_says_that_no_server_sent_it() -> None:
    transcript = emit(answer(content="a"), Layout())
    assert (True, "openai_chat", "") == (transcript.synthetic, transcript.dialect, transcript.name)
    assert "no server sent it" in transcript.source
    assert "text/event-stream; charset=utf-8" == transcript.head.header("content-type")
    assert get("openai_chat").detect(replace(transcript, dialect=None))


def test_one_chunk_an_event_or_one_in_all() -> None:
    completion = answer(content="Hello")
    assert [4, 1] == [len(emit(completion, Layout(1000, chunk=chunk)).lengths) for chunk in ("event", "whole")]
    assert 7 == len(emit(completion, Layout(1000, keep_alive=True)).lengths)


def test_keep_alives_and_framing_follow_the_layout() -> None:
    framing = Framing(line_end=b"\r\n", space=False, bom=True)
    body = emit(answer(content="Hello"), Layout(keep_alive=True, framing=framing)).body
    assert body.startswith(b"\xef\xbb\xbfdata:{")
    assert 4 == body.count(b":keep-alive\r\n\r\n")
    assert body.endswith(b"data:[DONE]\r\n\r\n")


def test_characters_are_written_as_they_are() -> None:
    body = emit(answer(content="東\u2028\x85\U0001f30d"), Layout(1)).body
    assert all(character.encode() in body for character in "東\u2028\x85\U0001f30d")


# What cannot be carried


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (Completion(ended=True), "without choices"),
        (replace(answer(content="a"), ended=False), "ended=False"),
        (answer(replace(CALL, problem="odd")), r"choices\[0\].tool_calls\[0\].problem: expected 'odd', got None"),
        (answer(replace(CALL, arguments="{")), r"tool_calls\[0\].problem: expected None, got .its arguments are not J"),
        (answer(CALL, finish_reason="length"), r"tool_calls\[0\].problem: expected None, got 'the answer was cut off"),
        (answer(CALL, replace(CALL, index=1)), "tool_calls"),
        (answer(OTHER, CALL), r"tool_calls\[0\].id"),
        (answer(reasoning=""), "empty reasoning"),
        (answer(content="\ud800"), "half a surrogate pair"),
        (answer(role=""), r"choices\[0\].role: expected '', got 'assistant'"),
        (answer(finish_reason=""), r"choices\[0\].finish_reason: expected '', got None"),
        (answer(whole={"id": ""}), "id: expected '', got None"),
        (answer(whole={"usage": {"a": float("nan")}}), "no JSON"),
        (answer(whole={"usage": {"a": {1}}}), "no JSON"),
        (answer(whole={"usage": {1: 1}}), "usage: expected {1: 1}, got {'1': 1}"),
        (answer(whole={"extra": {"error": "x"}}), "reads as ProviderError"),
        (answer(extra={"p": 5, "content_parts": 5}), "reads as PayloadError"),
        (answer(extra={"a": None}), r"choices\[0\].extra"),
        (Completion((Choice(1, finish_reason="a"), Choice(0, finish_reason="a")), ended=True), r"choices\[0\].index"),
        (Completion((Choice(0, finish_reason="a"), Choice(0, finish_reason="a")), ended=True), "choices"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(completion: Completion, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        emit(completion, Layout())


def test_usage_cannot_be_left_out_of_a_completion_that_has_it() -> None:
    with pytest.raises(UsageError, match="usage='none'"):
        emit(answer(whole={"usage": USAGE}), Layout(usage="none"))
    assert payloads(answer(content="a"), Layout(usage="none"))


@pytest.mark.parametrize(
    ("arguments", "finish_reason", "problem"),
    [
        ('{"a":', "length", "the answer was cut off (finish reason length)"),
        ("[5]", "tool_calls", "its arguments are JSON, but no object"),
        ("", "odd", "it has no arguments, and finish reason odd may mean that it was cut off"),
    ],
)
def test_a_problem_that_follows_from_the_stream_is_carried(arguments: str, finish_reason: str, problem: str) -> None:
    completion = answer(replace(CALL, arguments=arguments, problem=problem), finish_reason=finish_reason)
    assert payloads(completion)


def test_a_finish_reason_is_left_out_where_there_is_none() -> None:
    assert [{"role": "assistant", "content": "", "refusal": None}, {"content": "a"}] == deltas(
        answer(content="a", finish_reason=None)
    )


# difference


def test_the_first_difference_is_named_by_its_place() -> None:
    assert None is difference(answer(CALL), answer(CALL))
    assert "choices[0].content: expected 'a', got 'b'" == difference(answer(content="a"), answer(content="b"))
    assert "choices: expected" in str(difference(answer(), Completion(ended=True)))
    assert "the completion: expected None, got 5" == difference(None, 5)
    long = difference(answer(content="a" * 999), answer(content="b"))
    assert 400 > len(str(long))


def test_a_long_text_is_written_in_single_characters() -> None:
    assert 60_003 == len(emit(answer(content="x" * 60_000), Layout(1)).lengths)
