"""Real clients against the replay server: openai for Python with every single cut, fetch of Node, curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import streamkit
from streamkit.server import ReplayServer

BOSTON = streamkit.load("openai_chat/boston_weather")
# openai 2 lets pass what its HTTP library raises in the middle of a body.
BROKEN = (openai.APIError,) if int(openai.__version__.split(".")[0]) > 2 else (openai.APIError, httpx.TransportError)
ASKED: Any = {"model": "gpt-4", "messages": [{"role": "user", "content": "What is the weather like in Boston?"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(BOSTON) as running:
        yield running


def is_the_call(name: str, arguments: str) -> bool:
    return name == "get_current_weather" and json.loads(arguments) == {"location": "Boston"}


def test_openai_reports_the_same_call_under_every_single_cut(server: ReplayServer) -> None:
    wrong = []
    with openai.OpenAI(base_url=server.base_url(), api_key="any", max_retries=0) as client:
        for cut in range(1, len(BOSTON.body)):
            steering = {"x-streamkit": f"{BOSTON.name};cuts={cut}"}
            name = arguments = ""
            for chunk in client.chat.completions.create(**ASKED, stream=True, extra_headers=steering):
                for call in chunk.choices[0].delta.tool_calls or []:
                    name += call.function.name or ""
                    arguments += call.function.arguments
            if not is_the_call(name, arguments):
                wrong.append(cut)
    assert [] == wrong
    assert len(BOSTON.body) - 1 == len(server.wait_for(len(BOSTON.body) - 1))


@pytest.mark.parametrize("how", ["", "framing=close", "framing=length", "writes=drip", "encoding=gzip",
                                 "encoding=deflate-late", "speed=1;gap=1", "cuts=drip"])  # fmt: skip
def test_openais_helper_reports_the_call_however_it_is_carried(server: ReplayServer, how: str) -> None:
    url = server.case_url(f"{BOSTON.name};{how}" if how else BOSTON)
    client = openai.OpenAI(base_url=url, api_key="any", max_retries=0)
    with client, client.chat.completions.stream(**ASKED) as stream:
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert is_the_call(call.function.name, call.function.arguments)


@pytest.mark.parametrize("how", ["reset=1500", "close=1500", "status=429", "status=500;page=html", "stall=1500"])
def test_openai_raises_its_own_errors_for_faults_on_the_wire(server: ReplayServer, how: str) -> None:
    client = openai.OpenAI(base_url=server.case_url(BOSTON, how), api_key="any", max_retries=0, timeout=0.5)
    with client, pytest.raises(BROKEN):
        list(client.chat.completions.create(**ASKED, stream=True))


def test_openai_retries_what_fails_at_first(server: ReplayServer) -> None:
    url = server.case_url(BOSTON, "status=503;retry_after=0;first=2")
    with openai.OpenAI(base_url=url, api_key="any", max_retries=2) as client:
        assert 11 == len(list(client.chat.completions.create(**ASKED, stream=True)))


def test_a_hundred_async_clients_at_once_get_their_own_streams(server: ReplayServer) -> None:
    async def ask(client: openai.AsyncOpenAI, number: int) -> str:
        steering = {"x-streamkit": f"{BOSTON.name};cuts={number + 1}"}
        parts = [
            call.function.arguments
            async for chunk in await client.chat.completions.create(**ASKED, stream=True, extra_headers=steering)
            for call in chunk.choices[0].delta.tool_calls or []
        ]
        return "".join(parts)

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.base_url(), api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(100)))

    assert ['{\n  "location": "Boston"\n}'] * 100 == asyncio.run(ask_all())


def test_a_miss_reaches_the_caller_as_the_apis_own_error(server: ReplayServer) -> None:
    with openai.OpenAI(base_url=server.base_url(), api_key="any", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match=r"\$\.tools: only recorded"):
            client.chat.completions.create(**ASKED, stream=True)
        assert ["gpt-4"] == [model.id for model in client.models.list()]


_FETCH = """
const [base, ...cuts] = process.argv.slice(2);
for (const cut of cuts) {
  const response = await fetch(`${base};cuts=${cut}/v1/chat/completions`, { method: "POST", body: "{}" });
  const decoder = new TextDecoder();
  let text = "", name = "", args = "", reads = 0;
  for await (const chunk of response.body) { text += decoder.decode(chunk, { stream: true }); reads += 1; }
  for (const block of text.split("\\n\\n")) {
    if (!block.startsWith("data: {")) continue;
    for (const call of JSON.parse(block.slice(6)).choices[0].delta.tool_calls ?? []) {
      name += call.function.name ?? ""; args += call.function.arguments;
    }
  }
  console.log(JSON.stringify({ cut, name, args, reads }));
}
"""


def test_fetch_of_node_reports_the_same_call_under_a_sample_of_cuts(server: ReplayServer, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    program = tmp_path / "fetch.mjs"
    program.write_text(_FETCH)
    cuts = [str(cut) for cut in range(1, len(BOSTON.body), 41)]
    base = f"{server.url}/case/{BOSTON.name}"
    done = subprocess.run([node, program, base, *cuts], capture_output=True, text=True, timeout=120, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert cuts == [one["cut"] for one in told]
    assert all(is_the_call(one["name"], one["args"]) for one in told)
    assert max(one["reads"] for one in told) > 1  # the cuts reach the program


def test_curl_saves_the_same_bytes_under_a_sample_of_cuts(server: ReplayServer) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    for cut in [*range(1, len(BOSTON.body), 97), "drip"]:
        url = f"{server.url}/case/{BOSTON.name};cuts={cut}/v1/chat/completions"
        done = subprocess.run([curl, "-sSN", url, "-d", "{}"], capture_output=True, timeout=60, check=True)
        (call,) = streamkit.accumulate([done.stdout]).tool_calls
        assert is_the_call(call.name, call.arguments)


@pytest.mark.parametrize(("how", "code"), [("reset=1500", 56), ("close=1500", 18), ("close=1500;framing=length", 18)])
def test_curl_tells_what_broke(server: ReplayServer, how: str, code: int) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = f"{server.url}/case/{BOSTON.name};{how}/v1/chat/completions"
    done = subprocess.run([curl, "-sSN", url, "-d", "{}"], capture_output=True, timeout=60, check=False)
    assert (code, BOSTON.body[:1500]) == (done.returncode, done.stdout)
