"""Streams side by side, in threads and in coroutines; and streams that are left open."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from skhelpers.recording import ASYNC, CLIENTS, PIECES, SYNC, Call, Outcome, chat_server, recorded
from skhelpers.server import Answer, Seen

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.errors import StreamkitWarning


def url_of(server: Any) -> str:
    return str(server.url) + "/v1/chat"


def echo(seen: Seen) -> Answer:
    """An answer in three chunks that says what was asked."""
    text = json.loads(seen.body)["text"].encode()
    return Answer([b"data: 1 " + text + b"\n\n", b"data: 2 " + text + b"\n\n", b"data: [DONE]\n\n"], gap=0.005)


# -- several at once


@pytest.mark.parametrize("client", SYNC)
def test_streams_of_several_threads_are_not_mixed_up(client: str, tmp_path: Path) -> None:
    def together(url: str, mode: str) -> dict[int, bytes]:
        found: dict[int, bytes] = {}

        def one(number: int) -> None:
            found[number] = CLIENTS[client](url, Call(content=json.dumps({"text": f"n{number}"}).encode())).body

        with streamkit.use_cassette(tmp_path / "one.yaml", record_mode=mode):
            threads = [threading.Thread(target=one, args=(number,)) for number in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return found

    with chat_server(echo) as server:
        url = url_of(server)
        live = together(url, "once")
    assert [b"data: 1 n%d" % n in live[n] for n in range(5)] == [True] * 5
    assert live == together(url, "none")


@pytest.mark.parametrize("client", ASYNC)
def test_streams_of_gather_are_kept_in_the_order_of_their_requests(client: str, tmp_path: Path) -> None:
    """The first request is answered last, and still is the first in the cassette."""
    others = threading.Semaphore(0)

    def answer(seen: Seen) -> Answer:
        first = json.loads(seen.body)["text"] == "n0"
        if first:
            others.acquire(timeout=5)
            others.acquire(timeout=5)
        return echo(seen)

    async def one(url: str, number: int) -> bytes:
        outcome = Outcome()
        await ASYNC[client](url, Call(content=json.dumps({"text": f"n{number}"}).encode()), outcome)
        others.release()
        return outcome.body

    async def together(url: str) -> list[bytes]:
        return await asyncio.gather(*(one(url, number) for number in range(3)))

    with chat_server(answer) as server:
        url = url_of(server)
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            live = asyncio.run(together(url))
    requests = [json.loads(one.request.body)["text"] for one in load_cassette(tmp_path / "one.yaml").interactions]
    assert ["n0", "n1", "n2"] == requests
    with streamkit.use_cassette(tmp_path / "one.yaml", record_mode="none"):
        assert live == asyncio.run(together(url))


# -- streams that are left open


def test_a_stream_that_is_left_open_is_closed_warned_of_and_recorded(tmp_path: Path) -> None:
    with chat_server(Answer(PIECES[:1], end="hang")) as server, httpx.Client(trust_env=False) as client:
        request = client.build_request("POST", url_of(server), content=b"{}")
        with (  # noqa: PT031 - it is the end of the cassette that warns
            pytest.warns(StreamkitWarning, match=r"left open after 1[0-9]* recorded bytes"),
            streamkit.use_cassette(tmp_path / "one.yaml"),
        ):
            response = client.send(request, stream=True)
            assert PIECES[0] == next(response.iter_raw())
        response.close()
    (transcript,) = load_cassette(tmp_path / "one.yaml").transcripts
    assert ("client_closed", PIECES[0]) == (transcript.ending, transcript.body)


def test_a_replayed_stream_that_is_left_open_is_warned_of_with_the_bytes_that_were_read(tmp_path: Path) -> None:
    _, url = recorded("httpx", tmp_path / "one.yaml", Answer(PIECES))
    with httpx.Client(trust_env=False) as client:
        request = client.build_request("POST", url, content=Call().content)
        with (  # noqa: PT031 - it is the end of the cassette that warns
            pytest.warns(StreamkitWarning, match=r"left open after 100 replayed bytes"),
            streamkit.use_cassette(tmp_path / "one.yaml", record_mode="none"),
        ):
            response = client.send(request, stream=True)
            assert PIECES[0] == next(response.iter_raw())
        response.close()
