"""Cassettes between streamkit and vcrpy: each replays what the other recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml
from skhelpers.recording import BODY, CLIENTS, PIECES, Call, chat_server, recorded, replayed
from skhelpers.server import Answer

import streamkit
from streamkit.cassettes import load_cassette

CHOSEN = [name for name in ("httpx", "httpx2", "requests", "aiohttp", "httpx-async", "http.client") if name in CLIENTS]
every_client = pytest.mark.parametrize("client", CHOSEN)


def plain(path: Path, mode: str = "none", **options: Any) -> Any:
    return vcr.use_cassette(str(path), record_mode=mode, **options)


@every_client
def test_vcrpy_replays_what_streamkit_recorded(client: str, tmp_path: Path) -> None:
    live, url = recorded(client, tmp_path / "one.yaml", Answer(PIECES))
    for player in CHOSEN:
        with plain(tmp_path / "one.yaml"):
            again = CLIENTS[player](url)
        assert (player, BODY, "") == (player, again.body, again.kind)
        assert live.status == again.status


@every_client
def test_streamkit_replays_what_vcrpy_recorded(client: str, tmp_path: Path) -> None:
    with chat_server() as server:
        url = f"{server.url}/v1/chat"
        with plain(tmp_path / "one.yaml", "once"):
            CLIENTS[client](url)
    for player in CHOSEN:
        again = replayed(player, tmp_path / "one.yaml", url)
        assert (player, BODY, "") == (player, again.body, again.kind)


def test_what_vcrpy_saves_again_keeps_the_chunks(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    _, url = recorded("requests", path, Answer(PIECES[:4], end="eof"))
    before = load_cassette(path).transcripts[0]
    other = Answer([b"{}"], headers=["Content-Type: application/json"], framing="length")
    with chat_server(other) as server, plain(path, "new_episodes"):
        CLIENTS["requests"](server.url, Call(content=b"other"))
    first, second = load_cassette(path).transcripts
    assert (before.lengths, before.times, before.ending, before.body) == (
        first.lengths,
        first.times,
        first.ending,
        first.body,
    )
    assert b"{}" == second.body
    entries = yaml.safe_load(path.read_text("utf-8"))["interactions"]
    assert [True, False] == ["streamkit" in entry["response"] for entry in entries]
    assert PIECES[:4] == replayed("httpx", path, url).chunks


def test_a_compressed_recording_is_decoded_by_the_client_under_vcrpy(tmp_path: Path) -> None:
    """With httpx: for requests vcrpy keeps bodies decoded, under a header that still names the coding."""
    import gzip

    import httpx

    headers = ["Content-Type: text/event-stream", "Content-Encoding: gzip"]
    with chat_server(Answer([gzip.compress(BODY, mtime=0)], headers=headers)) as server:
        url = server.url
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            httpx.post(url, content=b"{}")
    with plain(tmp_path / "one.yaml"):
        assert BODY == httpx.post(url, content=b"{}").content


def test_pytest_recording_replays_what_streamkit_recorded(pytester: pytest.Pytester) -> None:
    folder = pytester.path / "cassettes" / "test_it"
    folder.mkdir(parents=True)
    _, url = recorded("requests", folder / "test_stream.yaml", Answer(PIECES))
    pytester.makepyfile(
        test_it=f"""
        import pytest
        import requests

        @pytest.mark.vcr
        @pytest.mark.block_network
        def test_stream():
            response = requests.post({url!r}, data=b"{{}}", stream=True, timeout=5)
            assert {len(BODY)} == len(b"".join(response.iter_content(None)))
        """
    )
    for extra in ((), ("-p", "no:streamkit.pytest_plugin")):
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--record-mode=none", *extra)
        result.assert_outcomes(passed=1)
