"""`use_cassette` in every client: chunks reach the caller as they arrive, and come back as they were."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from skhelpers.recording import (
    ASYNC,
    BODY,
    CLIENTS,
    PIECES,
    SYNC,
    Call,
    Outcome,
    chat_server,
    gated,
    recorded,
    replayed,
)
from skhelpers.server import Answer, Seen

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.errors import UnmatchedRequestError, UsageError

every_client = pytest.mark.parametrize("client", CLIENTS)
JSON = ["Content-Type: application/json"]


def url_of(server: Any) -> str:
    return str(server.url) + "/v1/chat"


def ask(url: str, text: str = "a", **options: Any) -> Outcome:
    """One request with a body of its own."""
    return CLIENTS["requests"](url, Call(content=json.dumps({"text": text}).encode(), **options))


def echo(seen: Seen) -> Answer:
    """An answer in three chunks that says what was asked."""
    text = json.loads(seen.body)["text"].encode()
    return Answer([b"data: 1 " + text + b"\n\n", b"data: 2 " + text + b"\n\n", b"data: [DONE]\n\n"], gap=0.005)


# -- chunks


@every_client
def test_each_chunk_reaches_the_caller_before_the_server_sends_the_next(client: str, tmp_path: Path) -> None:
    answer, call = gated(client, Answer(PIECES))
    with chat_server(answer) as server:
        without = CLIENTS[client](url_of(server), call)
    live, url = recorded(client, tmp_path / "one.yaml", Answer(PIECES))  # it waits for the caller there as well
    again = replayed(client, tmp_path / "one.yaml", url)
    assert (PIECES, PIECES, PIECES) == (without.chunks, live.chunks, again.chunks)
    assert ("", "", "") == (without.kind, live.kind, again.kind)
    assert (200, without.headers) == (live.status, live.headers)
    assert (200, without.headers) == (again.status, again.headers)


def test_the_cassette_holds_the_chunks_with_their_times(tmp_path: Path) -> None:
    with chat_server(Answer(PIECES, gap=0.02)) as server, streamkit.use_cassette(tmp_path / "one.yaml"):
        CLIENTS["requests"](url_of(server))
    (transcript,) = load_cassette(tmp_path / "one.yaml").transcripts
    assert PIECES == [chunk.data for chunk in transcript.chunks]
    assert ("openai_chat", True, False) == (transcript.dialect, transcript.chunks_recorded, transcript.synthetic)
    assert list(transcript.times) == sorted(transcript.times)
    assert transcript.times[-1] >= 6 * 20 - 6  # each gap, rounded down to milliseconds


@every_client
def test_a_stream_that_comes_in_one_packet_is_recorded_as_a_stream(client: str, tmp_path: Path) -> None:
    answer = Answer(PIECES, at_once=True)
    with chat_server(answer) as server:
        url = url_of(server)
        without = CLIENTS[client](url)
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            live = CLIENTS[client](url)
    again = replayed(client, tmp_path / "one.yaml", url)
    (transcript,) = load_cassette(tmp_path / "one.yaml").transcripts
    assert (BODY, BODY, BODY) == (without.body, live.body, again.body)
    assert ("openai_chat", "complete", True) == (transcript.dialect, transcript.ending, transcript.chunks_recorded)


@pytest.mark.parametrize("way", ["iter_lines", "content", "raw.read", "raw.read(5)", "raw.readline", "raw.readinto"])
def test_other_ways_of_reading_with_requests(way: str, tmp_path: Path) -> None:
    import requests

    def read(url: str) -> list[bytes]:
        with requests.post(url, data=b"{}", stream=True, timeout=5) as response:
            if way == "iter_lines":
                return [bytes(line) for line in response.iter_lines()]
            if way == "content":
                return [response.content]
            raw = response.raw
            raw.auto_close = False
            if way == "raw.read":
                return [raw.read()]
            if way == "raw.readline":
                return list(iter(raw.readline, b""))
            if way == "raw.readinto":
                buffer = bytearray(7)
                return [bytes(buffer[:size]) for size in iter(lambda: raw.readinto(buffer), 0)]
            return list(iter(lambda: raw.read(5), b""))

    three_ways(read, tmp_path)


@pytest.mark.parametrize("way", ["read", "read(5)", "lines", "readinto"])
def test_other_ways_of_reading_with_the_standard_library(way: str, tmp_path: Path) -> None:
    import urllib.request

    def read(url: str) -> list[bytes]:
        with urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=5) as response:  # noqa: S310 - loopback
            if way == "read":
                return [response.read()]
            if way == "lines":
                return list(response)
            if way == "readinto":
                buffer = bytearray(7)
                return [bytes(buffer[:size]) for size in iter(lambda: response.readinto(buffer), 0)]
            return list(iter(lambda: response.read(5), b""))

    three_ways(read, tmp_path)


@pytest.mark.parametrize("way", ["read", "lines", "readany", "iter_chunked", "readuntil", "text"])
def test_other_ways_of_reading_with_aiohttp(way: str, tmp_path: Path) -> None:
    import aiohttp

    async def run(url: str) -> list[bytes]:
        async with aiohttp.ClientSession() as session, session.post(url, data=b"{}") as response:
            content = response.content
            if way == "read":
                return [await response.read()]
            if way == "text":
                return [(await response.text()).encode()]
            if way == "lines":
                return [line async for line in content]
            if way == "iter_chunked":
                return [b"".join([part async for part in content.iter_chunked(5)])]
            found = []
            while part := await (content.readuntil(b"\n\n") if way == "readuntil" else content.readany()):
                found.append(part)
            return found if way == "readuntil" else [b"".join(found)]

    three_ways(lambda url: asyncio.run(run(url)), tmp_path)


def three_ways(read: Any, folder: Path) -> None:
    """The same parts without a cassette, while recording, and on replay."""
    with chat_server() as server:
        url = url_of(server)
        without = read(url)
        with streamkit.use_cassette(folder / "one.yaml"):
            live = read(url)
    with streamkit.use_cassette(folder / "one.yaml", record_mode="none"):
        again = read(url)
    assert without == live == again
    assert BODY.replace(b"\n", b"") == b"".join(again).replace(b"\n", b"")


# -- ordinary responses


@every_client
def test_an_ordinary_response_is_written_as_vcrpy_writes_it(client: str, tmp_path: Path) -> None:
    answer = Answer([b'{"ok": true}'], framing="length", headers=JSON)
    live, url = recorded(client, tmp_path / "one.yaml", answer)
    again = replayed(client, tmp_path / "one.yaml", url)
    assert (b'{"ok": true}', b'{"ok": true}') == (live.body, again.body)
    assert live.headers == again.headers
    assert b"streamkit" not in (tmp_path / "one.yaml").read_bytes()


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_compressed_stream_is_kept_as_on_the_wire_and_decoded_by_the_client(coding: str, tmp_path: Path) -> None:
    packed = PACK[coding](BODY)
    parts = [packed[:50], packed[50:90], packed[90:]]
    answer = Answer(parts, headers=["Content-Type: text/event-stream", f"Content-Encoding: {coding}"])
    for name in ("httpx", "requests", "aiohttp")[
        : 2 if coding == "zstd" else 3
    ]:  # aiohttp needs another package for it
        path = tmp_path / f"{name}.yaml"
        with chat_server(answer) as server:
            without = whole(name, url_of(server))
            with streamkit.use_cassette(path):
                live = whole(name, url_of(server))
            with streamkit.use_cassette(path, record_mode="none"):
                again = whole(name, url_of(server))
        (transcript,) = load_cassette(path).transcripts
        assert without in (BODY, packed)  # urllib3 reads zstd only with a package of its own
        assert (name, without, without) == (name, live, again)
        assert (without if name == "aiohttp" else packed) == transcript.body
        assert (None if name == "aiohttp" else coding) == transcript.head.header("content-encoding")


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "br": lambda data: bytes(brotli.compress(data)),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def whole(name: str, url: str) -> bytes:
    if name == "httpx":
        import httpx

        return httpx.post(url, content=b"{}", follow_redirects=True).content
    if name == "requests":
        import requests

        return requests.post(url, data=b"{}", timeout=5).content
    import aiohttp

    async def run() -> bytes:
        async with aiohttp.ClientSession() as session, session.post(url, data=b"{}") as response:
            return await response.read()

    return asyncio.run(run())


# -- record modes


def test_once_records_and_then_only_replays(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        for _ in range(2):
            with streamkit.use_cassette(tmp_path / "one.yaml"):
                assert b"2 a" in ask(url_of(server)).body
        assert 1 == len(server.seen)
        with streamkit.use_cassette(tmp_path / "one.yaml"), pytest.raises(UnmatchedRequestError):
            SYNC["requests"](url_of(server), Call(content=b'{"text": "b"}'), Outcome())
    assert 1 == len(load_cassette(tmp_path / "one.yaml").interactions)


def test_new_episodes_replays_what_is_there_and_adds_the_rest(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        for texts in (["a"], ["a", "b"], ["b", "a", "c"]):
            with streamkit.use_cassette(tmp_path / "one.yaml", record_mode="new_episodes"):
                assert [True] * len(texts) == [f"2 {t}".encode() in ask(url_of(server), t).body for t in texts]
        assert [b"a", b"b", b"c"] == [json.loads(seen.body)["text"].encode() for seen in server.seen]
    assert 3 == len(load_cassette(tmp_path / "one.yaml").interactions)


@pytest.mark.parametrize(("mode", "kept"), [("all", ["b", "a"]), ("rewrite", ["a"])])
def test_all_records_again_and_rewrite_forgets_the_rest(mode: str, kept: list[str], tmp_path: Path) -> None:
    with chat_server(echo) as server:
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            ask(url_of(server), "a")
            ask(url_of(server), "b")
        with streamkit.use_cassette(tmp_path / "one.yaml", record_mode=mode):
            ask(url_of(server), "a")
        assert 3 == len(server.seen)
    found = [json.loads(one.request.body)["text"] for one in load_cassette(tmp_path / "one.yaml").interactions]
    assert kept == found


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="write one of none, once, new_episodes, all, rewrite"):
        streamkit.use_cassette("one", record_mode="always")


# -- ways to write it


def test_decorators_take_their_name_from_the_function(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        url = url_of(server)

        @streamkit.use_cassette(folder=tmp_path)
        def plain() -> bytes:
            return ask(url).body

        @streamkit.use_cassette(folder=tmp_path)
        async def coroutine() -> bytes:
            outcome = Outcome()
            await ASYNC["aiohttp"](url, Call(content=b'{"text": "b"}'), outcome)
            return outcome.body

        @streamkit.use_cassette(folder=tmp_path)
        def generator() -> Iterator[bytes]:
            yield ask(url, "c").body

        for _ in range(2):
            assert [b"1 a", b"1 b", b"1 c"] == [
                part[6:9] for part in (plain(), asyncio.run(coroutine()), next(iter(list(generator()))))
            ]
        assert 3 == len(server.seen)
    assert ["coroutine.yaml", "generator.yaml", "plain.yaml"] == sorted(path.name for path in tmp_path.iterdir())


def test_it_decorates_without_parentheses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMKIT_CASSETTES", str(tmp_path))
    with chat_server(echo) as server:

        @streamkit.use_cassette
        def plain() -> bytes:
            return ask(url_of(server)).body

        assert plain() == plain()
        assert 1 == len(server.seen)
    assert (tmp_path / "plain.yaml").exists()


def test_async_with(tmp_path: Path) -> None:
    async def run(url: str, mode: str) -> list[bytes]:
        outcome = Outcome()
        async with streamkit.use_cassette(tmp_path / "one.yaml", record_mode=mode):
            await ASYNC["httpx-async"](url, Call(), outcome)
        return outcome.chunks

    with chat_server(Answer(PIECES, gap=0.02)) as server:
        url = url_of(server)
        live = asyncio.run(run(url, "once"))
    assert live == asyncio.run(run(url, "none"))


def test_nested_cassettes_record_to_the_inner_one(tmp_path: Path) -> None:
    with chat_server(echo) as server:
        url = url_of(server)
        with streamkit.use_cassette(tmp_path / "outer.yaml"):
            ask(url, "a")
            with streamkit.use_cassette(tmp_path / "inner.yaml"):
                ask(url, "b")
            ask(url, "c")
    texts = {
        name: [json.loads(one.request.body)["text"] for one in load_cassette(tmp_path / name).interactions]
        for name in ("outer.yaml", "inner.yaml")
    }
    assert {"outer.yaml": ["a", "c"], "inner.yaml": ["b"]} == texts


# -- redirects


@pytest.mark.parametrize("client", ["httpx", "requests", "aiohttp"])
def test_a_redirect_and_the_stream_behind_it_are_recorded_and_replayed(client: str, tmp_path: Path) -> None:
    def answer(seen: Seen) -> Answer:
        if "/from" in seen.line:
            return Answer([b"elsewhere"], framing="length", status="303 See Other", headers=["Location: /to"])
        return Answer(PIECES, gap=0.002)

    with chat_server(answer) as server:
        url = server.url + "/from"
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            assert BODY == whole(client, url)
    found = load_cassette(tmp_path / "one.yaml").interactions
    assert ["from", "to"] == [one.request.url.rpartition("/")[2] for one in found]
    with streamkit.use_cassette(tmp_path / "one.yaml", record_mode="none"):
        assert BODY == whole(client, url)
