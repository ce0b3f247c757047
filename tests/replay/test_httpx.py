"""Boundaries through httpx and httpx2, sync and async."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from typing import Any

import pytest
from hypothesis import given, settings

import streamkit
from streamkit.errors import UsageError
from streamkit.replay import httpx_transport
from streamkit.strategies import fragmentations
from streamkit.transcript import Ending, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")
MODULES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]


def sync_chunks(module: Any, source: Any, cuts: Any = None) -> list[bytes]:
    with (
        module.Client(transport=httpx_transport(source, cuts, module=module)) as client,
        client.stream("POST", "http://replayed/v1", json={}) as response,
    ):
        return list(response.iter_raw())


def async_chunks(module: Any, source: Any, cuts: Any = None) -> list[bytes]:
    async def run() -> list[bytes]:
        transport = httpx_transport(source, cuts, module=module)
        async with (
            module.AsyncClient(transport=transport) as client,
            client.stream("POST", "http://replayed/v1", json={}) as response,
        ):
            return [chunk async for chunk in response.aiter_raw()]

    return asyncio.run(run())


def test_at_least_one_of_the_two_libraries_is_here() -> None:
    assert MODULES


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("read", [sync_chunks, async_chunks])
def test_each_chunk_is_one_item_of_the_raw_stream(name: str, read: Any) -> None:
    module = importlib.import_module(name)
    assert [99, 1, 312, 2808] == [len(chunk) for chunk in read(module, BOSTON, "99,100,412")]
    assert [BOSTON.body] == read(module, BOSTON)


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=30, deadline=None)
@given(fragmentation=fragmentations(BOSTON))
def test_boundaries_are_exact_for_any_fragmentation(name: str, fragmentation: Fragmentation) -> None:
    """Invariance: what arrives is the fragmentation's own chunks, to the byte."""
    module = importlib.import_module(name)
    assert fragmentation.chunks(BOSTON.body) == sync_chunks(module, BOSTON, fragmentation)


@pytest.mark.parametrize("name", MODULES)
def test_status_and_headers_are_replayed_without_those_of_another_transfer(name: str) -> None:
    module = importlib.import_module(name)
    head = streamkit.transcript.ResponseHead(
        429, "Too Many", (("X-Request-Id", "1"), ("Content-Length", "9"), ("Content-Encoding", "gzip"))
    )
    transport = httpx_transport(Transcript(b"slow down", head=head), module=module)
    response = module.Client(transport=transport).get("http://replayed/")
    assert (429, "slow down", "1") == (response.status_code, response.text, response.headers["x-request-id"])
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("read", [sync_chunks, async_chunks])
@pytest.mark.parametrize(
    ("ending", "error"),
    [(Ending.RESET, "ReadError"), (Ending.TIMEOUT, "ReadTimeout"), (Ending.CLIENT_CLOSED, "ReadError")],
)
def test_a_recorded_ending_is_the_librarys_own_error(name: str, read: Any, ending: Ending, error: str) -> None:
    module = importlib.import_module(name)
    with pytest.raises(getattr(module, error)):
        read(module, Transcript(b"data: a\n\n", ending=ending))


@pytest.mark.parametrize("name", MODULES)
def test_several_transcripts_answer_in_turn_and_then_no_more(name: str) -> None:
    module = importlib.import_module(name)
    transport = httpx_transport([Transcript(b"one"), Transcript(b"two")], module=module)
    client = module.Client(transport=transport)
    assert ["one", "two"] == [client.get("http://replayed/").text for _ in range(2)]
    with pytest.raises(UsageError, match="only 2 transcripts were given"):
        client.get("http://replayed/")


@pytest.mark.parametrize("name", MODULES)
def test_requests_are_noted(name: str) -> None:
    module = importlib.import_module(name)
    transport = httpx_transport(BOSTON, module=module)
    module.Client(transport=transport).post("http://replayed/v1", content=b"hello")
    assert [("POST", "http://replayed/v1", b"hello")] == transport.deliveries.requests


def test_a_missing_library_is_an_error_with_the_command_to_install_it() -> None:
    with pytest.raises(UsageError, match="pip install no_such_http_library"):
        httpx_transport(BOSTON, module="no_such_http_library")


def test_nothing_to_replay_is_an_error() -> None:
    with pytest.raises(UsageError, match="nothing to replay"):
        httpx_transport([], module=MODULES[0])


def test_cuts_beyond_the_body_are_an_error_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="beyond the body of 3220 bytes"):
        httpx_transport(BOSTON, "3221", module=MODULES[0])


@pytest.mark.parametrize("name", MODULES)
def test_a_header_beyond_ascii_comes_back_as_its_bytes(name: str) -> None:
    module = importlib.import_module(name)
    head = ResponseHead(headers=(("x-name", "caf\u00c3\u00a9"), ("x-other", "\u20ac")))
    transport = httpx_transport(Transcript(b"data: 1\n\n", head), module=module)
    with module.Client(transport=transport) as client:
        headers = client.get("http://replayed/").headers
    assert [b"caf\xc3\xa9", b"\xe2\x82\xac"] == [headers.raw[number][1] for number in (0, 1)]
    assert "caf\u00e9" == headers["x-name"]
