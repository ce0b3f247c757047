"""Answers are given as they come, in a time that grows with their length: no event costs a look at all before it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from skhelpers.talking import interactions

import streamkit
from streamkit.completion import Completion
from streamkit.conversation import Conversation
from streamkit.dialects.openai_chat import OpenAIChat
from streamkit.dialects.openai_responses import OpenAIResponses
from streamkit.dialects.reader import EventReader
from streamkit.dialects.text import Text, pair_surrogates
from streamkit.errors import AnswerChangedError
from streamkit.transcript import Transcript

MANY = 300
Json = dict[str, Any]


def events(*payloads: Json) -> list[bytes]:
    return [f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads]


def deltas(*many: Json) -> list[bytes]:
    """Return the events of Chat Completions with these deltas, and what ends them."""
    ends: list[Json] = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    return [*events(*({"choices": [{"index": 0, "delta": one}]} for one in many), *ends), b"data: [DONE]\n\n"]


def response(*more: Json, text: str) -> list[bytes]:
    """Return the events of Responses with these in the middle, that end with a message of that text."""
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return events(
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        *more,
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [message]}},
    )


def said(text: str, kind: str = "delta") -> Json:
    """Return an event of the message's text."""
    name = "delta" if kind == "delta" else "text"
    return {"type": f"response.output_text.{kind}", "output_index": 0, "item_id": "m", "content_index": 0, name: text}


def pieces(body: list[bytes], api: str, **how: Any) -> list[str]:
    source = [Transcript(b"".join(body), dialect=f"openai_{api}")]
    conversation = Conversation(streamkit.replay.openai(source), "m", api=api, **how)
    return list(conversation.get_response([{"role": "user", "content": "?"}]))


LONG = {
    "text": (deltas(*[{"content": "word "}] * MANY), "chat", ["word "] * MANY),
    "arguments and reasoning": (deltas(*[{"reasoning_content": "hm"}] * MANY, {"content": "so"}), "chat", ["so"]),
    "text of Responses": (response(*[said("word ")] * MANY, text="word " * MANY), "responses", ["word "] * MANY),
}


@pytest.mark.parametrize(("body", "api", "expected"), LONG.values(), ids=LONG)
def test_no_event_of_a_long_answer_costs_a_look_at_all_of_it(
    body: list[bytes], api: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[EventReader] = []
    snapshot = EventReader.snapshot

    def noted(reader: EventReader) -> Completion:
        looks.append(reader)
        return snapshot(reader)

    monkeypatch.setattr(EventReader, "snapshot", noted)
    assert expected == pieces(body, api)
    assert len(looks) < 5


@pytest.mark.parametrize("name", ["synthetic_parallel_calls", "weather_in_boston", "synthetic_count_string_responses"])
def test_invariant_what_is_told_of_a_text_bit_by_bit_is_what_a_snapshot_tells(name: str) -> None:
    for one in interactions(name):
        reader: EventReader = (OpenAIResponses() if "responses" in name else OpenAIChat()).reader()
        told = ""
        for line in one.transcript.body.splitlines(keepends=True):
            reader.feed(line)
            more = reader.text_since(len(told))
            assert more is not None
            told += more
            assert (reader.snapshot().content or "") == told


def test_a_text_tells_what_was_added_behind_a_place_whether_it_was_joined_or_not() -> None:
    text = Text()
    assert "" == text.since(0)
    for piece in ("ab", "", "c", "\ud83d", "\ude00"):
        text.add(piece)
    whole = "abc\ud83d\ude00"
    assert [whole[at:] for at in range(7)] == [text.since(at) for at in range(7)]
    assert "abc😀" == str(text)
    assert [whole[at:] for at in range(7)] == [text.since(at) for at in range(7)]


def test_a_character_that_comes_in_two_halves_is_given_whole_and_a_lone_half_at_the_end_as_what_it_became() -> None:
    body = deltas({"content": "a\ud83d"}, {"content": "\ude00b"}, {"content": "\ud83d"})
    assert ["a", "😀b", "\ufffd"] == pieces(body, "chat")
    body = deltas({"content": "\ud83d"}, {"content": "b"}, {"content": "\ude00"})
    assert "\ufffdb\ufffd" == "".join(pieces(body, "chat")) == pair_surrogates("\ud83db\ude00")


def test_a_whole_text_that_says_more_than_its_deltas_gives_the_rest_once() -> None:
    body = response(said("ab"), said("abc", "done"), said("ignored"), text="abcd")
    assert ["ab", "c", "d"] == pieces(body, "responses")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ([said("ab"), said("xb", "done")], "xb"),
        ([said("ab"), said("a", "done")], "a"),
        ([said("ab")], "xyz"),
    ],
)
def test_a_text_that_is_revised_is_noticed_at_once(more: list[Json], text: str) -> None:
    restarts: list[str] = []
    body = response(*more, text=text)
    with pytest.raises(AnswerChangedError):
        pieces(body, "responses")
    assert ["ab", text] == pieces(body, "responses", on_restart=lambda: restarts.append("again"))
    assert ["again"] == restarts
    reader = OpenAIResponses().reader()
    reader.feed(b"".join(body))
    assert reader.text_since(2) is None


def test_what_a_message_was_announced_with_is_told_by_a_snapshot() -> None:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    opening = {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": part}
    assert "Hello there" == "".join(pieces(response(opening, said(" there"), text="Hello there"), "responses"))
