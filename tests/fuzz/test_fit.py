"""Which bundled transcripts a target is tried on where none is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamkit
from streamkit.fuzz.fit import fitting
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt
from streamkit.wire.sse import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMES = (
    "anthropic_messages/synthetic_text_and_call",
    "gemini/synthetic_json_array",
    "gemini/synthetic_text_and_calls",
    "gemini/synthetic_two_candidates",
    "ollama/synthetic_text_and_calls",
    "openai_chat/boston_weather",
    "openai_chat/synthetic_text_then_calls",
)


def _payloads(chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    found = [event.data for event in decode(b"".join(chunks)) if event.data]
    return [json.loads(data) for data in found if data.startswith("{")]


def _chat(chunks: Iterable[bytes]) -> tuple[str, list[Any]]:
    """Reads chat completions; of anything else, no text and no calls."""
    text = ""
    calls: dict[int, dict[str, str]] = {}
    for payload in _payloads(chunks):
        for choice in payload.get("choices") or []:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or []:
                one = calls.setdefault(call["index"], {"name": "", "arguments": ""})
                one["name"] += call["function"].get("name") or ""
                one["arguments"] += call["function"].get("arguments") or ""
    return text, list(calls.values())


def _chat_in_an_envelope(chunks: Iterable[bytes]) -> dict[str, Any]:
    text, calls = _chat(chunks)
    if not text and not calls:
        return {"complete": False, "error": "no answer", "text": "", "tool_calls": []}
    return {"complete": True, "error": None, "text": text, "tool_calls": calls}


def _gemini_events(chunks: Iterable[bytes]) -> dict[str, Any]:
    candidates = [one for payload in _payloads(chunks) for one in payload.get("candidates") or []]
    if not candidates:
        raise ValueError("no candidates")
    first = [one for one in candidates if one.get("index", 0) == 0]
    parts = [part for one in first for part in one.get("content", {}).get("parts") or []]
    return {"text": "".join(part.get("text", "") for part in parts)}


def _chosen(target: Any) -> list[str]:
    with Runner(adapt(target), limit=10) as runner:
        chosen, _ = fitting(runner, [streamkit.load(name) for name in _NAMES], "message")
    return [str(one.name) for one in chosen]


def test_a_result_without_text_and_calls_is_no_reading_of_another_api() -> None:
    assert _chosen(_chat) == ["openai_chat/boston_weather", "openai_chat/synthetic_text_then_calls"]


def test_a_result_that_says_that_it_is_incomplete_is_no_reading_of_another_api() -> None:
    assert _chosen(_chat_in_an_envelope) == ["openai_chat/boston_weather", "openai_chat/synthetic_text_then_calls"]


def test_a_reader_of_events_is_not_held_to_the_array_of_the_same_api() -> None:
    assert "gemini/synthetic_text_and_calls" in _chosen(_gemini_events)
    assert "gemini/synthetic_json_array" not in _chosen(_gemini_events)
