"""Real clients behind the proxy: they get what they get without it, and again from the cassette."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openai
import pytest
from skhelpers.proxied import proxied
from skhelpers.server import Answer, body, pieces

from streamkit.server import RecordingProxy

BODY = body()
PIECES = pieces(BODY)
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def sync(base_url: str) -> list[Any]:
    with openai.OpenAI(api_key="k", base_url=base_url, max_retries=0) as client:
        return [chunk.model_dump() for chunk in client.chat.completions.create(**ASKED)]


def helper(base_url: str) -> Any:
    with (
        openai.OpenAI(api_key="k", base_url=base_url, max_retries=0) as client,
        client.chat.completions.stream(model="m", messages=ASKED["messages"]) as stream,
    ):
        return stream.get_final_completion().model_dump()


def asynchronous(base_url: str) -> list[Any]:
    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0) as client:
            return [chunk.model_dump() async for chunk in await client.chat.completions.create(**ASKED)]

    return asyncio.run(run())


NODE = """
const response = await fetch(process.argv[1] + "/chat/completions", {method: "POST", body: '{"n": 1}'});
for await (const chunk of response.body) process.stdout.write(chunk);
"""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def curl(base_url: str) -> bytes:
    command = [program("curl"), "-sSN", "--noproxy", "*", "-d", '{"n": 1}', f"{base_url}/chat/completions"]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


def node(base_url: str) -> bytes:
    command = [program("node"), "--input-type=module", "-e", NODE, base_url]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("client", [sync, helper, asynchronous, curl, node])
def test_a_client_gets_the_same_directly_through_the_proxy_and_from_the_cassette(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES), cassette=path) as (server, proxy):
        direct = client(f"{server.url}/v1")
        through = client(proxy.base_url())
    with RecordingProxy(server.url, path, record_mode="none") as proxy:
        again = client(proxy.base_url())
    assert direct == through == again
    assert direct == BODY or "get_weather" in str(direct)


def test_an_api_that_is_not_openai_s_needs_no_more(tmp_path: Path) -> None:
    import anthropic

    events = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
        b'"model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
        b'"text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"Hello"}}\n\nevent: content_block_stop\ndata: {"type":"content_block_stop",'
        b'"index":0}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"output_tokens":2}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    with proxied(Answer([events[:100], events[100:]]), cassette=tmp_path / "c.yaml") as (_, proxy):
        with (
            anthropic.Anthropic(api_key="k", base_url=proxy.base_url("anthropic_messages"), max_retries=0) as client,
            client.messages.stream(model="c", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as stream,
        ):
            assert "Hello" == stream.get_final_text()
        told = proxy.wait_for(1)[0]
    assert ("anthropic_messages", "complete") == (told["dialect"], told["ending"])


def test_a_client_that_has_read_the_last_event_closes_and_the_recording_is_complete(tmp_path: Path) -> None:
    with proxied(Answer(PIECES), cassette=tmp_path / "c.yaml") as (_, proxy):
        for _ in range(5):
            sync(proxy.base_url())
        assert ["complete"] * 5 == [one["ending"] for one in proxy.wait_for(5)]


def test_the_openai_library_raises_what_the_provider_s_error_means(tmp_path: Path) -> None:
    answer = Answer(
        [b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}'],
        status="429 Too Many Requests", framing="length", headers=["Content-Type: application/json"],
    )  # fmt: skip
    path = tmp_path / "c.yaml"
    with proxied(answer, cassette=path) as (server, proxy), pytest.raises(openai.RateLimitError, match="slow down"):
        sync(proxy.base_url())
    with RecordingProxy(server.url, path) as proxy, pytest.raises(openai.RateLimitError, match="slow down"):
        sync(proxy.base_url())
