"""The application's tests: plugin, fixtures, cassettes, strategies, fuzzing and proof, all from the installed wheel."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import weather
from hypothesis import given, settings

import streamkit
from streamkit.strategies import cases, fragmentations

BOSTON = streamkit.load("openai_chat/boston_weather")
CALLS = streamkit.library(server="llama-server", feature="tool_calls", dialect="openai_chat")
HERE = Path(__file__).parent


@pytest.fixture
def free_port() -> int:
    """Return a port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_streamkit_comes_from_the_wheel() -> None:
    assert "wheel_site" in Path(streamkit.__file__).parts
    assert (Path(streamkit.__file__).parent / "bundled_cassettes" / "openai_chat" / "boston_weather.yaml").is_file()


@pytest.mark.streamkit("openai_chat/boston_weather")
@pytest.mark.streamkit_fragmentations("recorded", "drip", "blank-line")
def test_the_place_is_found_however_the_stream_is_cut(openai_client: Any) -> None:
    assert "Boston" == weather.place_to_look_up(openai_client)


@pytest.mark.streamkit("weather/own")
def test_a_cassette_of_ones_own_is_replayed(transcript: streamkit.Transcript) -> None:
    assert "Oslo" == streamkit.accumulate(transcript).content


def test_without_a_cassette_the_network_is_blocked(free_port: int) -> None:
    with (
        pytest.raises(streamkit.StreamkitError, match="weather/none"),
        streamkit.use_cassette("weather/none", folder=HERE / "cassettes", record_mode="none"),
        httpx.Client() as client,
    ):
        client.get(f"http://127.0.0.1:{free_port}/")


@pytest.mark.streamkit("openai_chat/boston_weather")
def test_a_server_delivers_it_to_any_client(replay_url: str) -> None:
    answer = httpx.post(f"{replay_url}/chat/completions", json={"stream": True})
    assert BOSTON.body == answer.content


@settings(max_examples=25, deadline=None)
@given(fragmentations(BOSTON))
def test_drawn_cuts_change_nothing(fragmentation: streamkit.Fragmentation) -> None:
    calls = weather.Calls()
    for chunk in fragmentation.chunks(BOSTON.body):
        calls.feed(chunk)
    assert '{\n  "location": "Boston"\n}' == calls.result()


def arguments_of(transcript: streamkit.Transcript) -> str:
    """Return the arguments of all calls, in a row, as streamkit's own reader has them."""
    return "".join(call.arguments for call in streamkit.accumulate(transcript).tool_calls)


@pytest.mark.parametrize("transcript", CALLS)
def test_what_a_server_sent_is_read_by_the_client_too(transcript: streamkit.Transcript, openai_client: Any) -> None:
    calls = weather.Calls()
    calls.feed(transcript.body)
    assert arguments_of(transcript) == calls.result()
    asked = {"model": "any", "messages": [], "stream": True}
    pieces = [
        call.function.arguments or ""
        for chunk in openai_client.chat.completions.create(**asked)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or []
    ]
    assert calls.result() == "".join(pieces)


@settings(max_examples=25, deadline=None)
@given(cases(CALLS))
def test_drawn_cuts_of_what_a_server_sent_change_nothing(case: streamkit.Case) -> None:
    calls = weather.Calls()
    for chunk in case.chunks():
        calls.feed(chunk)
    assert arguments_of(case.transcript) == calls.result()


def test_the_right_parser_passes_and_the_careless_one_is_found() -> None:
    streamkit.check(weather.Calls, BOSTON, mutations=False, max_single_cuts=200, max_examples=20)
    with pytest.raises(streamkit.OracleFailure) as failure:
        streamkit.check("weather:careless", BOSTON, mutations=False, max_single_cuts=50, max_examples=0)
    assert "run again: streamkit fuzz weather:careless" in str(failure.value)


def test_the_right_parser_is_proved_on_a_short_stream() -> None:
    short = streamkit.Transcript.from_chunks([b'data: {"choices": []}\n\ndata: [DONE]\n\n'])
    assert streamkit.assert_chunk_invariant(weather.Calls, short).proved
