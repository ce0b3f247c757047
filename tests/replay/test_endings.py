"""How streams end: recorded as it was, and replayed as the same exception of the same library after the same byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from skhelpers.recording import (
    BODY,
    CLIENTS,
    PIECES,
    Call,
    Outcome,
    chat_server,
    gated,
    hands_on,
    let_go,
    recorded,
    replayed,
)
from skhelpers.server import Answer

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.transcript import Ending, Transcript

every_client = pytest.mark.parametrize("client", CLIENTS)

UNFINISHED = PIECES[:4]
WAIT = 0.25  # seconds that the clients wait where nothing more comes

ENDINGS = {
    "complete": (Answer(PIECES), Ending.COMPLETE),
    "empty": (Answer([]), Ending.TRUNCATED),
    "truncated": (Answer(UNFINISHED), Ending.TRUNCATED),
    "truncated-length": (Answer(UNFINISHED, framing="length"), Ending.TRUNCATED),
    "truncated-close": (Answer(UNFINISHED, framing="close"), Ending.TRUNCATED),
    "incomplete": (Answer(UNFINISHED, end="eof"), Ending.INCOMPLETE),
    "incomplete-chunk": (Answer(UNFINISHED, end="eof", short=9), Ending.INCOMPLETE),
    "incomplete-length": (Answer(UNFINISHED, end="eof", short=9, framing="length"), Ending.INCOMPLETE),
    "reset": (Answer(UNFINISHED, end="reset"), Ending.RESET),
    "reset-length": (Answer(UNFINISHED, end="reset", short=9, framing="length"), Ending.RESET),
    "timeout": (Answer(UNFINISHED, end="hang"), Ending.TIMEOUT),
}


# http.client's read1 takes the end of the connection for the end of a body that was announced to be longer.
UNNOTICED = {"http.client": ["incomplete-length"], "urllib.request": ["incomplete-length"]}


def bare(client: str, answer: Answer, call: Call) -> Outcome:
    ready, paced = gated(client, answer, call)
    with chat_server(ready) as server:
        outcome = CLIENTS[client](server.url + "/v1/chat", paced)
        let_go(paced)
        return outcome


def told(outcome: Outcome) -> str:
    """The message, without ports and addresses."""
    return re.sub(r"0x[0-9a-f]+|port=\d+|:\d{4,5}", "", str(outcome.error))


def only(path: Path) -> Transcript:
    (transcript,) = load_cassette(path).transcripts
    return transcript


@every_client
@pytest.mark.parametrize("name", ENDINGS)
def test_a_stream_ends_for_its_caller_as_without_a_cassette_and_again_on_replay(
    name: str, client: str, tmp_path: Path
) -> None:
    answer, ending = ENDINGS[name]
    call = Call(timeout=WAIT if name == "timeout" else 5.0)
    path = tmp_path / "one.yaml"
    without = bare(client, answer, call)
    live, url = recorded(client, path, answer, call)
    again = replayed(client, path, url)
    assert (without.chunks, without.kind) == (live.chunks, live.kind)
    assert told(without) == told(live)
    assert (without.chunks, without.kind) == (again.chunks, again.kind)
    assert (live.status, live.headers) == (again.status, again.headers)
    assert b"".join(answer.pieces) == only(path).body
    assert ending is only(path).ending
    assert only(path).missing in (0, answer.short)
    assert name != "incomplete-length" or answer.short == only(path).missing
    assert without.kind or ending in (Ending.COMPLETE, Ending.TRUNCATED) or name in UNNOTICED.get(client, ())


# -- the client stops


@every_client
def test_a_client_that_stops_early_leaves_a_cassette_that_ends_there(client: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    live, url = recorded(client, path, Answer(PIECES), Call(stop=3))
    assert PIECES[:3] == live.chunks
    assert (Ending.CLIENT_CLOSED, b"".join(PIECES[:3])) == (only(path).ending, only(path).body)
    stopped = replayed(client, path, url, Call(stop=3))
    assert (PIECES[:3], "") == (stopped.chunks, stopped.kind)
    further = replayed(client, path, url)
    assert PIECES[:3] == further.chunks
    assert further.kind, "a stream that was read in part must not pass for a whole one"


@every_client
def test_a_client_that_stops_at_the_last_event_leaves_a_stream_that_is_over(client: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    live, url = recorded(client, path, Answer(PIECES, end="hang"), Call(stop=7))
    assert PIECES == live.chunks
    assert (Ending.CLIENT_CLOSED, BODY) == (only(path).ending, only(path).body)
    stopped, further = replayed(client, path, url, Call(stop=7)), replayed(client, path, url)
    assert (PIECES, "") == (stopped.chunks, stopped.kind)
    assert (PIECES, "") == (further.chunks, further.kind)


# -- from one library to another

LIBRARIES = ["httpx", "httpx2", "requests", "aiohttp", "http.client"]
EXPECTED = {
    "httpx": {"incomplete": "httpx.RemoteProtocolError", "reset": "httpx.ReadError", "timeout": "httpx.ReadTimeout"},
    "httpx2": {
        "incomplete": "httpx2.RemoteProtocolError",
        "reset": "httpx2.ReadError",
        "timeout": "httpx2.ReadTimeout",
    },
    "requests": {
        "incomplete": "requests.ChunkedEncodingError",
        "reset": "requests.ChunkedEncodingError",
        "timeout": "requests.ConnectionError",
    },
    "aiohttp": {
        "incomplete": "aiohttp.ClientPayloadError",
        "reset": "aiohttp.ClientPayloadError",
        "timeout": "aiohttp.SocketTimeoutError",
    },
    "http.client": {
        "incomplete": "http.IncompleteRead",
        "reset": "builtins.ConnectionResetError",
        "timeout": "builtins.TimeoutError",
    },
}


@pytest.mark.parametrize("name", ["complete", "truncated", "incomplete", "reset", "timeout"])
@pytest.mark.parametrize("recorder", [name for name in LIBRARIES if name in CLIENTS])
def test_what_one_library_recorded_ends_for_each_other_in_its_own_way(recorder: str, name: str, tmp_path: Path) -> None:
    answer, _ = ENDINGS[name]
    path = tmp_path / "one.yaml"
    _, url = recorded(recorder, path, answer, Call(timeout=WAIT if name == "timeout" else 5.0))
    for player in (one for one in LIBRARIES if one in CLIENTS):
        again = replayed(player, path, url)
        assert (player, list(answer.pieces)) == (player, again.chunks)
        assert (player, EXPECTED[player].get(name, "")) == (player, again.kind)


@pytest.mark.parametrize("player", [name for name in LIBRARIES if name in CLIENTS])
def test_a_stream_that_one_library_left_fails_for_another_that_reads_on(player: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    _, url = recorded("urllib3", path, Answer(PIECES), Call(stop=2))
    again = replayed(player, path, url)
    assert PIECES[:2] == again.chunks
    assert again.kind.startswith(player.partition(".")[0]) or again.kind == "builtins.ConnectionResetError"


# -- beside the chunks


@every_client
def test_a_plain_body_that_comes_in_pieces_keeps_them(client: str, tmp_path: Path) -> None:
    for framing in ("length", "close"):
        path = tmp_path / f"{framing}.yaml"
        live, url = recorded(client, path, Answer(PIECES, framing=framing))
        again = replayed(client, path, url)
        chunks = PIECES if hands_on(client, Answer(PIECES, framing=framing)) else [BODY]
        assert ((chunks, ""), (chunks, "")) == ((live.chunks, live.kind), (again.chunks, again.kind))


@every_client
def test_a_request_without_a_response_is_not_recorded(client: str, tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with chat_server() as server:
        url = server.url
    with streamkit.use_cassette(path):  # nobody listens there any more
        outcome = CLIENTS[client](url)
    assert outcome.kind
    assert 0 == outcome.status
    assert not path.exists()
