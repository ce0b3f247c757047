"""The real openai clients: a streamed tool call is recorded from a server, and replayed without a network."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from skhelpers.recording import BODY, PIECES, chat_server
from skhelpers.server import Answer

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.errors import UnmatchedRequestError

CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "What is the weather in Boston?"}]}
FUNCTION = {"name": "get_weather", "strict": True, "parameters": {"type": "object", "additionalProperties": False}}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]
KEY = "sk-" + "test" * 8
EXPECTED = ("get_weather", '{"city": "Boston"}')


@contextmanager
def no_network() -> Iterator[None]:
    """Every connection is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, refuse)
        yield


def call_in(chunks: list[Any]) -> tuple[str, str]:
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    return (
        "".join(call.function.name or "" for call in calls),
        "".join(call.function.arguments or "" for call in calls),
    )


def create(url: str) -> tuple[str, str]:
    with openai.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
        return call_in(list(client.chat.completions.create(**CALL, tools=TOOLS, stream=True)))


def helper(url: str) -> tuple[str, str]:
    with (
        openai.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
        client.chat.completions.stream(**CALL, tools=TOOLS) as stream,
    ):
        final: Any = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    return call.function.name, call.function.arguments


def async_create(url: str) -> tuple[str, str]:
    async def run() -> tuple[str, str]:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
            stream = await client.chat.completions.create(**CALL, tools=TOOLS, stream=True)
            return call_in([chunk async for chunk in stream])

    return asyncio.run(run())


def async_helper(url: str) -> tuple[str, str]:
    async def run() -> tuple[str, str]:
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
            client.chat.completions.stream(**CALL, tools=TOOLS) as stream,
        ):
            final: Any = await stream.get_final_completion()
        call = final.choices[0].message.tool_calls[0]
        return call.function.name, call.function.arguments

    return asyncio.run(run())


@pytest.mark.parametrize("asks", [create, helper, async_create, async_helper])
def test_a_tool_call_is_recorded_and_replayed_without_a_network(asks: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server(Answer(PIECES, gap=0.01)) as server:
        url = f"{server.url}/v1"
        with streamkit.use_cassette(path):
            assert EXPECTED == asks(url)
        assert KEY in server.seen[0].headers["authorization"]
    (interaction,) = load_cassette(path).interactions
    assert BODY == interaction.transcript.body
    assert "openai_chat" == interaction.transcript.dialect
    assert "Boston" in json.loads(interaction.request.body)["messages"][0]["content"]
    assert KEY.encode() not in path.read_bytes()
    with streamkit.use_cassette(path, record_mode="none"):
        if asks in (create, helper):
            with no_network():
                assert EXPECTED == asks(url)
        else:
            assert EXPECTED == asks(url)


def test_the_async_client_opens_no_connection_on_replay(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server() as server:
        url = f"{server.url}/v1"
        with streamkit.use_cassette(path):
            async_create(url)

    async def run() -> tuple[str, str]:
        with no_network():  # the loop's own pair of sockets is made already
            async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
                stream = await client.chat.completions.create(**CALL, tools=TOOLS, stream=True)
                return call_in([chunk async for chunk in stream])

    with streamkit.use_cassette(path, record_mode="none"):
        assert EXPECTED == asyncio.run(run())


def test_a_stream_that_is_closed_after_its_first_chunk_does_not_pass_for_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"

    def first(url: str) -> str:
        with (
            openai.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
            client.chat.completions.create(**CALL, tools=TOOLS, stream=True) as stream,
        ):
            return str(next(iter(stream)).choices[0].delta.role)

    with chat_server(Answer(PIECES, gap=0.02)) as server:
        url = f"{server.url}/v1"
        with streamkit.use_cassette(path):
            assert "assistant" == first(url)
    (transcript,) = load_cassette(path).transcripts
    assert "client_closed" == transcript.ending
    assert len(transcript.body) < len(BODY)
    with streamkit.use_cassette(path, record_mode="none"):
        assert "assistant" == first(url)
    with (
        streamkit.use_cassette(path, record_mode="none"),
        pytest.raises(Exception, match=r"its client closed|Connection"),
    ):
        create(url)


def test_a_stream_that_is_closed_at_its_last_event_replays_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server(Answer(PIECES, end="hang")) as server:
        url = f"{server.url}/v1"
        seen = []
        with (
            streamkit.use_cassette(path),
            openai.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
            client.chat.completions.create(**CALL, tools=TOOLS, stream=True) as stream,
        ):
            for chunk in stream:
                seen.append(chunk)
                if chunk.choices[0].finish_reason:
                    break
        assert EXPECTED == call_in(seen)
    (transcript,) = load_cassette(path).transcripts
    assert "client_closed" == transcript.ending
    with streamkit.use_cassette(path, record_mode="none"):
        assert EXPECTED == create(url)


def test_another_question_is_a_miss_that_the_caller_sees(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server() as server:
        url = f"{server.url}/v1"
        with streamkit.use_cassette(path):
            create(url)
    with (
        streamkit.use_cassette(path, record_mode="none") as cassette,
        openai.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client,
        pytest.raises((UnmatchedRequestError, openai.APIConnectionError)) as caught,
    ):
        client.chat.completions.create(model="other", messages=CALL["messages"], tools=TOOLS, stream=True)
    assert '$.model: recorded "m", sent "other"' in f"{caught.value} {caught.value.__cause__}"
    assert 1 == len(cassette.misses)
