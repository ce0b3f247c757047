"""The real openai clients on replayed transports."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import openai
import pytest
from hypothesis import given, settings

import streamkit
from streamkit.errors import CassetteNotFoundError
from streamkit.replay import async_openai
from streamkit.replay import openai as replayed_openai
from streamkit.strategies import fragmentations
from streamkit.transcript import Ending, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")
MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather like in Boston?"}]


def _http_library() -> Any:
    """The library that the installed openai stands on: version 3 wraps its errors, version 2 lets them pass."""
    return importlib.import_module("httpx" if openai.__version__.startswith("2.") else "httpx2")


def stream_of(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-4", messages=MESSAGES, stream=True)


def call_of(client: openai.OpenAI) -> tuple[str, str]:
    name = arguments = ""
    for chunk in stream_of(client):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments
    return name, arguments


EXPECTED = ("get_current_weather", '{\n  "location": "Boston"\n}')


@settings(max_examples=30, deadline=None)
@given(fragmentations(BOSTON))
def test_the_sync_client_reads_the_call_from_any_fragmentation(fragmentation: Fragmentation) -> None:
    """Invariance: the tool call is the same for every cut."""
    assert EXPECTED == call_of(replayed_openai(BOSTON, fragmentation))


@settings(max_examples=15, deadline=None)
@given(fragmentations(BOSTON))
def test_the_async_client_reads_the_call_from_any_fragmentation(fragmentation: Fragmentation) -> None:
    """Invariance: the tool call is the same for every cut."""

    async def run() -> tuple[str, str]:
        async with (
            async_openai(BOSTON, fragmentation) as client,
            client.chat.completions.stream(model="gpt-4", messages=MESSAGES) as stream,
        ):
            final = await stream.get_final_completion()
        call: Any = (final.choices[0].message.tool_calls or [])[0]
        return call.function.name, call.function.arguments

    assert EXPECTED == asyncio.run(run())


def test_it_is_the_librarys_own_client() -> None:
    assert type(replayed_openai(BOSTON)) is openai.OpenAI
    assert type(async_openai(BOSTON)) is openai.AsyncOpenAI


def test_a_name_stands_for_its_transcript_and_options_reach_the_client() -> None:
    client = replayed_openai("openai_chat/boston_weather", max_retries=5, base_url="http://elsewhere/v1")
    assert (5, "elsewhere") == (client.max_retries, client.base_url.host)
    assert EXPECTED == call_of(client)


def test_several_transcripts_answer_the_turns_of_a_conversation() -> None:
    client = replayed_openai(["openai_chat/boston_weather", "openai_chat/synthetic_multibyte_text"])
    assert EXPECTED == call_of(client)
    stream = stream_of(client)
    assert "Grüße aus 東京" in "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_a_recorded_error_status_is_the_librarys_own_error() -> None:
    head = ResponseHead(429, "Too Many Requests", (("content-type", "application/json"),))
    client = replayed_openai(Transcript(b'{"error": {"message": "slow down"}}', head=head))
    with pytest.raises(openai.RateLimitError, match="slow down"):
        call_of(client)


def test_a_recorded_reset_reaches_the_caller_after_the_last_byte() -> None:
    stream = stream_of(replayed_openai(Transcript(BOSTON.body[:1000], ending=Ending.RESET)))
    assert 3 == len([next(stream) for _ in range(3)])
    with pytest.raises((openai.APIConnectionError, _http_library().ReadError)) as caught:
        next(stream)
    assert "reset here when this was recorded" in f"{caught.value} {caught.value.__cause__}"


def test_an_unknown_name_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(CassetteNotFoundError, match="did you mean 'openai_chat/boston_weather'"):
        replayed_openai("openai_chat/boston_whether")


def test_no_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert EXPECTED == call_of(replayed_openai(BOSTON))
