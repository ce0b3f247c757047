"""Which bundled transcripts a target gets that none was named for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

import streamkit
from streamkit.cassettes import bundled
from streamkit.dialects import names
from streamkit.fuzz.fit import fitting
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt
from streamkit.wire.sse import decode

EXOTIC = {"openai_chat/synthetic_two_choices_logprobs", "openai_chat/synthetic_reasoning_with_ids"}


def decode_any(body: bytes) -> bool:
    return bool(decode(body))


def fit(target: Any, returns: str = "message") -> tuple[list[str], list[str]]:
    with Runner(adapt(target)) as runner:
        chosen, notes = fitting(runner, bundled(), returns)
    return [one.name for one in chosen], notes


def of(dialect: str) -> set[str]:
    return {one.name for one in bundled() if one.dialect == dialect}


@pytest.mark.parametrize("dialect", names())
def test_a_reader_of_one_dialect_gets_its_transcripts(dialect: str) -> None:
    chosen, notes = fit(streamkit.dialects.get(dialect).reader)
    assert of(dialect) == set(chosen)
    assert notes[-1].startswith(f"{len(bundled()) - len(chosen)} bundled transcripts of other dialects (")


def payloads_of(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    found = [event.data for event in decode(b"".join(chunks)) if event.data]
    return [json.loads(data) for data in found if data.startswith("{")]


def one_choice(chunks: Iterable[bytes]) -> dict[str, Any]:
    """Read text and know no answer of several choices."""
    text = ""
    for event in decode(b"".join(chunks)):
        if not event.data.startswith("{"):
            continue
        for choice in json.loads(event.data)["choices"]:
            if choice["index"]:
                raise ValueError("several choices")
            text += choice["delta"].get("content") or ""
    return {"content": text}


def test_what_a_target_was_not_made_for_is_left_out_and_that_is_said() -> None:
    chosen, notes = fit(one_choice)
    two = "openai_chat/synthetic_two_choices_logprobs"
    assert of("openai_chat") - {two} == set(chosen)
    assert f"{two} was left out: the target does not read several choices" == notes[0]


def test_a_target_whose_result_says_nothing_gets_the_plain_chat_completions() -> None:
    chosen, _ = fit(lambda chunks: len(b"".join(chunks)))
    assert of("openai_chat") - EXOTIC == set(chosen)


def test_a_target_that_hands_on_payloads_is_taken_for_one_of_chat_completions() -> None:
    def payloads(chunks: Iterable[bytes]) -> list[Any]:
        return [json.loads(event.data) for event in decode(b"".join(chunks)) if event.data.startswith("{")]

    assert of("openai_chat") == set(fit(payloads)[0])


def test_a_decoder_of_events_gets_every_stream_of_them() -> None:
    chosen, _ = fit("streamkit:SSEDecoder", "events")
    sse = {one.name for one in bundled() if decode_any(one.body)}
    assert sse == set(chosen)


def test_a_reader_of_events_does_not_get_gemini_s_array() -> None:
    def of_events(chunks: Iterable[bytes]) -> Any:
        body = b"".join(chunks)
        if not body.startswith(b"data"):
            raise ValueError("no events")
        return streamkit.accumulate([body], dialect="gemini")

    chosen, _ = fit(of_events)
    assert chosen
    assert not any("array" in name for name in chosen)


def text_and_calls(chunks: Iterable[bytes]) -> tuple[str, list[Any]]:
    """Reads chat completions; of anything else, no text and no calls."""
    text = ""
    calls: dict[int, dict[str, str]] = {}
    for payload in payloads_of(chunks):
        for choice in payload.get("choices") or []:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                one = calls.setdefault(call["index"], {"name": "", "arguments": ""})
                one["name"] += call["function"].get("name") or ""
                one["arguments"] += call["function"].get("arguments") or ""
    return text, list(calls.values())


def in_an_envelope(chunks: Iterable[bytes]) -> dict[str, Any]:
    text, calls = text_and_calls(chunks)
    if not text and not calls:
        return {"complete": False, "error": "no answer", "text": "", "tool_calls": []}
    return {"complete": True, "error": None, "text": text, "tool_calls": calls}


@pytest.mark.parametrize("target", [text_and_calls, in_an_envelope])
def test_to_find_no_answer_in_another_api_is_no_reading_of_it(target: Any) -> None:
    chosen, _ = fit(target)
    assert {"openai_chat/boston_weather", "openai_chat/synthetic_text_then_calls"} <= set(chosen) <= of("openai_chat")


def test_a_target_that_hangs_is_not_waited_for_on_every_transcript() -> None:
    asked = []

    def hangs(chunks: Iterable[bytes]) -> None:
        asked.append(chunks)
        while True:
            pass

    with Runner(adapt(hangs), limit=0.1) as runner:
        chosen, _ = fitting(runner, bundled(), "message")
    assert 2 == len(asked)
    assert of("openai_chat") - EXOTIC == {one.name for one in chosen}
