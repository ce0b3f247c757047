"""What counts as drift between two recordings of one request, and what does not."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes.drift import KINDS, SEVERITIES, Drift, drift
from streamkit.transcript import Ending, ResponseHead, Transcript

JSON = ResponseHead(200, "OK", (("Content-Type", "application/json"),))


def sse(*payloads: Any, done: bool = False, event: str = "", end: str = "\n", **facts: Any) -> Transcript:
    """Return an event stream of payloads; a payload that is a text stands as it is."""
    lines = []
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        lines += [f"event: {event}"] * bool(event) + [f"data: {text}", ""]
    lines += ["data: [DONE]", ""] * done
    return Transcript("".join(line + end for line in lines).encode(), **facts)


def chat(*deltas: dict[str, Any], reason: str = "stop", **top: Any) -> list[dict[str, Any]]:
    """Return the payloads of a chat stream."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **top}
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    return [{**head, "choices": [choice]} for choice in choices]


def call(name: str, arguments: str = '{"city": "Boston"}') -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


def lines(found: Iterable[Drift]) -> list[str]:
    return [f"{one.severity} {one.kind} {one.where}: {one.message}" for one in found]


CHAT = chat({"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " you"})


# -- what is none


def test_a_recording_does_not_drift_from_itself() -> None:
    assert [] == drift(sse(*CHAT, done=True), sse(*CHAT, done=True))


def test_another_answer_of_the_same_kind_is_no_drift() -> None:
    other = chat({"content": "", "role": "assistant"}, *({"content": word} for word in ["a", "longer", "text"]),
                 id="chatcmpl-2", created=2)  # fmt: skip
    spaced = sse(*(json.dumps(payload, indent=None, separators=(",", ":")) for payload in other), done=True)
    chunked = replace(spaced, lengths=(1, 2, len(spaced.body) - 3), times=(1, 2, 3), chunks_recorded=True)
    assert [] == drift(sse(*CHAT, done=True), chunked)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([{"n": 1}, {"n": 2}], [{"n": 1.5}]),
        ([{"usage": None}, {"usage": {"tokens": 1}}], [{"usage": {"tokens": 2}}]),
        ([{"usage": None}, {"usage": {"tokens": 1}}], [{"usage": None}] * 5 + [{"usage": {"tokens": 2}}]),
        ([{"notes": [{"url": "a"}]}, {"notes": []}], [{"notes": []}]),
        ([{"seen": {"2024-01-01": 1}}], [{"seen": {"2025-07-31": 1}}]),
        ([{"by_id": {"a1b2c3d4e5f60718": {"n": 1}}}], [{"by_id": {"00ff00ff00ff00ff": {"n": 1}}}]),
        ([{"arguments": {"city": "Boston"}}], [{"arguments": {"place": "Paris", "days": 3}}]),
    ],
    ids=["int and float", "null first", "null longer", "empty array", "dates", "ids", "the model's own JSON"],
)
def test_values_that_may_differ_are_no_drift(old: list[Any], new: list[Any]) -> None:
    assert [] == drift(sse(*old), sse(*new))


@pytest.mark.parametrize("name", ["refusal", "annotations", "tool_calls", "reasoning", "obfuscation"])
def test_a_field_that_models_send_when_they_see_fit_may_be_missing(name: str) -> None:
    old = sse({"text": "a", "choice": {}}, {"text": "b", "choice": {name: [1]}})
    (one,) = drift(old, sse({"text": "c", "choice": {}}))
    assert ("note", "field", f"$.choice.{name}") == (one.severity, one.kind, one.where)
    (one,) = drift(sse({"text": "c", "choice": {}}), old)
    assert ("new", "field", f"$.choice.{name}", "is new") == (one.severity, one.kind, one.where, one.message)


def test_a_field_that_was_always_null_is_a_note_when_it_goes() -> None:
    old = sse({"a": 1, "logprobs": None}, {"a": 1, "system": ""})
    assert [
        "note field $.logprobs: went away; it was always null or empty",
        "note field $.system: went away; it was always null or empty",
    ] == lines(drift(old, sse({"a": 1})))


def test_comments_and_pings_are_notes() -> None:
    old, new = sse({"type": "delta", "text": "a"}), sse({"type": "delta", "text": "a"}, {"type": "ping"})
    assert ["note event ping: no payload of this type came before"] == lines(drift(old, new))
    assert ["note event ping: no payload of this type came"] == lines(drift(new, old))
    kept = replace(old, body=b": keep-alive\n\n" + old.body, lengths=(), times=())
    assert ["note framing comments: was not there and is there"] == lines(drift(old, kept))


# -- the head


def test_a_status_drifts_and_an_error_is_not_compared_with_an_answer() -> None:
    new = Transcript(b'{"error": {"message": "no"}}', ResponseHead(429, "Too Many Requests", JSON.headers))
    assert [
        "drift status status: was 200 and is 429",
        "drift header content-type: was text/event-stream and is application/json",
    ] == lines(drift(sse(*CHAT), new))
    assert ["drift status status: was 200 and is 201"] == lines(
        drift(Transcript(b"{}", JSON), Transcript(b"{}", replace(JSON, status=201)))
    )


def test_the_same_media_type_written_in_another_way_is_no_drift() -> None:
    heads = [
        ResponseHead(headers=(("Content-Type", value), ("X-Request-Id", value)))
        for value in ("text/event-stream", 'Text/Event-Stream; charset="UTF-8"')
    ]
    assert [] == drift(sse({"a": 1}, head=heads[0]), sse({"a": 1}, head=heads[1]))


def test_a_body_that_comes_compressed_has_drifted_in_its_head_alone() -> None:
    old = sse({"a": 1})
    packed = gzip.compress(old.body)
    new = Transcript(packed, ResponseHead(headers=(*old.head.headers, ("Content-Encoding", "gzip"))))
    assert ["drift header content-encoding: was not there and is gzip"] == lines(drift(old, new))


def test_of_a_body_that_is_not_understood_only_the_head_is_compared() -> None:
    head = ResponseHead(headers=(("Content-Type", "image/png"),))
    assert [] == drift(Transcript(b"\x89PNG1", head), Transcript(b"\x89PNG2 longer", head))


# -- the framing


def test_line_ends_that_change_are_drift() -> None:
    assert ["drift framing line ends: was LF and is CRLF"] == lines(drift(sse({"a": 1}), sse({"a": 1}, end="\r\n")))
    assert ["drift framing line ends: was CR and is LF"] == lines(drift(sse({"a": 1}, end="\r"), sse({"a": 1})))


def test_done_that_goes_is_drift_and_done_that_comes_is_new() -> None:
    with_done, without = sse(*CHAT, done=True), sse(*CHAT)
    assert ["drift framing [DONE]: was there and is not there"] == lines(drift(with_done, without))
    assert ["new framing [DONE]: was not there and is there"] == lines(drift(without, with_done))


def test_a_blank_that_parsers_count_on_is_drift() -> None:
    old = sse({"a": 1}, {"a": 2})
    new = Transcript(old.body.replace(b"data: ", b"data:"))
    assert ["drift framing blank after `data:`: was there and is not there"] == lines(drift(old, new))


def test_a_last_event_that_nothing_ends_is_drift() -> None:
    old = sse({"a": 1}, {"a": 2})
    found = lines(drift(old, Transcript(old.body[:-1])))
    assert ["drift framing blank line after the last event: was there and is not there"] == found


def test_a_stream_that_became_a_plain_answer_is_drift_and_not_compared_further() -> None:
    plain = Transcript(b'{"a": 1}', JSON)
    assert [
        "drift header content-type: was text/event-stream and is application/json",
        "drift framing body: was an event stream and is JSON; nothing in it was compared",
    ] == lines(drift(sse({"a": 1}), plain))


# -- events and payloads


def test_names_of_events_come_and_go() -> None:
    old, new = sse({"a": 1}, event="delta"), sse({"a": 1}, event="update")
    assert [
        "drift event delta: no event of this name came",
        "new event update: no event of this name came before",
    ] == lines(drift(old, new))


def test_types_of_payloads_come_and_go_where_events_have_no_names() -> None:
    old = sse({"type": "start", "id": "1"}, {"type": "text", "text": "a"})
    assert ["drift event start: no payload of this type came"] == lines(drift(old, sse({"type": "text", "text": "b"})))


def test_the_fields_of_one_type_are_not_expected_in_another() -> None:
    text = {"type": "delta", "delta": {"type": "text", "text": "a"}}
    data = {"type": "delta", "delta": {"type": "data", "bytes": "00"}}
    assert [] == drift(sse(text, data), sse(data, text, text))
    assert ["drift field delta: $.delta{data}: objects of this type did not come"] == lines(
        drift(sse(text, data), sse(text))
    )


def test_a_field_that_went_is_drift_and_one_that_came_is_new() -> None:
    old, new = sse({"a": 1, "usage": {"in": 1, "out": 2}}), sse({"a": 1, "cost": "9"})
    assert ["new field $.cost: is new", "drift field $.usage: went away"] == sorted(
        lines(drift(old, new)), key=lambda line: line.split("$")[1]
    )


def test_only_the_outermost_of_what_went_is_named() -> None:
    old = sse({"a": {"b": {"c": 1, "d": 2}}, "z": 1})
    assert ["drift field $.a: went away"] == lines(drift(old, sse({"z": 1})))


def test_a_renamed_field_is_drift_even_of_a_kind_that_may_be_missing() -> None:
    old = sse({"delta": {"reasoning_content": "hm", "x": 1}}, {"delta": {"x": 1}})
    new = sse({"delta": {"reasoning": "hm", "x": 1}}, {"delta": {"x": 1}})
    assert "drift field $.delta.reasoning_content: went away, and reasoning came in its place" in lines(drift(old, new))


def test_what_drifts_in_several_kinds_of_events_is_said_once() -> None:
    def stream(*fields: str) -> Transcript:
        return sse(*({"type": kind, "response": dict.fromkeys(("id", *fields), "1")} for kind in "abcde"))

    assert ["drift field a, b, c and 2 more: $.response.tier: went away"] == lines(drift(stream("tier"), stream()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({"a": 1}, {"a": "1"}, "was number and is string"),
        ({"a": "x"}, {"a": ["x"]}, "was string and is array"),
        ({"a": True}, {"a": 1}, "was boolean and is number"),
        ({"a": "x"}, {"a": None}, "was always string and may be null now: it has become optional"),
        ({"a": [1]}, {"a": []}, "was never empty and is empty now, or sometimes"),
    ],
)
def test_types_that_change_are_drift(old: Any, new: Any, message: str) -> None:
    assert [f"drift type $.a: {message}"] == lines(drift(sse(old), sse(new)))
    assert [f"drift type $[*].a: {message}"] == lines(drift(*(Transcript(json.dumps([one]).encode(), JSON)
                                                               for one in (old, new))))  # fmt: skip


def test_null_and_empty_that_were_there_already_are_no_drift() -> None:
    old = sse({"a": "x", "b": [1]}, {"a": None, "b": []})
    assert [] == drift(old, sse({"a": None, "b": []}, {"a": "y", "b": []}))


def test_a_payload_that_is_no_json_any_more_is_drift() -> None:
    assert ["drift type $: was object and is object or text"] == lines(drift(sse({"a": 1}), sse({"a": 1}, "{broken")))


def test_json_lines_are_compared_like_events() -> None:
    head = ResponseHead(headers=(("Content-Type", "application/x-ndjson"),))
    old = Transcript(b'{"message": {"content": "a"}, "done": false}\n{"done": true, "done_reason": "stop"}\n', head)
    new = Transcript(b'{"message": {"content": 1}, "done": false}\n{"done": true, "done_reason": "length"}\n', head)
    assert [
        "drift type $.message.content: was string and is number",
        "drift finish-reason finish reason: was stop and is length",
    ] == lines(drift(old, new))


def test_lines_are_known_without_their_media_type() -> None:
    assert ["drift field $.b: went away"] == lines(
        drift(Transcript(b'{"a": 1}\n{"a": 2, "b": 1}\n', ResponseHead(headers=())),
              Transcript(b'{"a": 1}\n{"a": 2}\n', ResponseHead(headers=())))
    )  # fmt: skip


# -- the answer


def test_another_dialect_is_drift() -> None:
    responses = sse({"type": "response.created", "response": {"id": "1"}}, event="response.created")
    found = drift(sse(*CHAT, done=True), responses)
    assert "drift dialect dialect: was openai_chat and is openai_responses" in lines(found)
    assert [one.kind for one in found] == sorted((one.kind for one in found), key=KINDS.index)
    assert {one.severity for one in found} <= set(SEVERITIES)


def test_an_answer_that_ends_in_another_way_is_drift() -> None:
    assert ["drift finish-reason finish reason: was stop and is length"] == lines(
        drift(sse(*CHAT, done=True), sse(*chat({"role": "assistant", "content": "Hello"}, reason="length"), done=True))
    )


def test_what_an_answer_did_not_get_to_before_its_limit_is_no_drift_of_its_own() -> None:
    thinking = [{"role": "assistant", "reasoning_content": "hm"}] * 3
    old = sse(*chat(*thinking, {"content": "So"}), done=True)
    found = drift(old, sse(*chat(*thinking, reason="length"), done=True))
    assert ["finish-reason"] == [one.kind for one in found if one.severity == "drift"]
    assert "note field $.choices[*].delta.content: went away; this answer is of another kind" in lines(found)


def test_a_call_that_the_model_made_no_more_is_told_as_that_and_nothing_else() -> None:
    calls = sse(*chat({"role": "assistant", "content": None}, call("weather"), reason="tool_calls"), done=True)
    found = drift(calls, sse(*CHAT, done=True))
    assert [
        "drift finish-reason finish reason: was tool_calls and is stop",
        "drift tool called functions: were weather and are none; that may be the model's choice",
    ] == lines(one for one in found if one.severity == "drift")
    other = sse(*chat({"role": "assistant", "content": None}, call("time"), reason="tool_calls"), done=True)
    assert ["drift tool called functions: were weather and are time; that may be the model's choice"] == lines(
        drift(calls, other)
    )


def test_calls_of_other_dialects_are_seen_and_offers_are_not() -> None:
    def answer(name: str) -> Transcript:
        offer = {"type": "start", "response": {"tools": [{"type": "function", "name": "one"},
                                                         {"type": "function", "name": "two"}]}}  # fmt: skip
        return sse(offer, {"type": "block", "content_block": {"type": "tool_use", "name": name, "input": {}}})

    assert [] == drift(answer("one"), answer("one"))
    assert ["drift tool called functions: were one and are two; that may be the model's choice"] == lines(
        drift(answer("one"), answer("two"))
    )


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_arguments_that_are_no_json_any_more_are_drift(dialect: str) -> None:
    def answer(arguments: str) -> Transcript:
        if dialect == "chat":
            return sse(*chat({"role": "assistant"}, call("weather", arguments), reason="tool_calls"), done=True)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
        return sse(*({"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas))

    (one,) = drift(answer('{"a": 1}'), answer('{"a": 1'))
    assert ("drift", "tool", "arguments") == (one.severity, one.kind, one.where)
    assert [] == drift(answer('{"a": 1'), answer('{"a": 1'))


# -- answers that were broken off


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.TIMEOUT, Ending.INCOMPLETE, Ending.CLIENT_CLOSED])
def test_a_recording_that_was_broken_off_is_compared_as_far_as_it_goes(ending: Ending) -> None:
    whole = sse(*CHAT, {**CHAT[0], "choices": [], "usage": {"total_tokens": 3}}, done=True)
    cut = Transcript(whole.body[: len(whole.body) // 2], ending=ending)
    (one,) = drift(cut, whole)
    assert ("note", "ending", str(ending), "complete") == (one.severity, one.kind, one.old, one.new)
    assert f"compared as far as it goes, which is {len(cut.body)} bytes" in one.message
    broken = sse(*({**payload, "id": 7} for payload in CHAT), done=True)
    assert "drift type $.id: was string and is number" in lines(drift(cut, broken))


def test_an_answer_that_breaks_off_now_has_drifted_in_its_ending_alone() -> None:
    whole = sse(*CHAT, done=True)
    cut = Transcript(whole.body[: len(whole.body) // 2], ending=Ending.RESET)
    assert ["drift ending ending: was complete and is reset; what did not come was not compared"] == lines(
        drift(whole, cut)
    )


def test_two_streams_without_an_end_are_compared_once_the_new_one_is_as_long() -> None:
    old = sse(*[{"a": 1, "b": 2}] * 3, ending=Ending.CLIENT_CLOSED)
    assert [] == drift(old, sse(*[{"a": 1}] * 3, ending=Ending.CLIENT_CLOSED))
    assert ["drift field $.b: went away"] == lines(drift(old, sse(*[{"a": 1}] * 9, ending=Ending.CLIENT_CLOSED)))


def test_a_stream_that_was_never_finished_is_no_better_for_a_recorder_that_could_not_tell() -> None:
    half = sse(*CHAT[:2])
    assert [] == drift(half, replace(half, ending=Ending.TRUNCATED))


# -- recordings of others


@needs_corpus
def test_no_recording_drifts_from_itself_and_half_of_it_only_in_its_ending() -> None:
    for recording in recordings()[::8]:
        whole = Transcript(recording.body)
        assert [] == drift(whole, whole), recording.name
        half = Transcript(recording.body[: len(recording.body) // 2], ending=Ending.RESET)
        severe = {one.kind for one in drift(whole, half) if one.severity == "drift"}
        assert severe <= {"ending", "dialect", "framing"}, recording.name


@needs_corpus
def test_every_dialect_drifts_from_every_other() -> None:
    families = [[Transcript(r.body) for r in recordings(family=family)[:2]]
                for family in ("chat", "responses", "messages", "gemini", "cohere.v2")]  # fmt: skip
    for one, other in itertools.permutations(families, 2):
        for old, new in itertools.product(one, other):
            assert any(found.severity == "drift" for found in drift(old, new))
