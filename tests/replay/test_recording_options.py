"""What vcrpy's options do to streams: hooks, filters, hosts, serializers, repeats and failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from skhelpers.recording import BODY, CLIENTS, FACTS, PIECES, Call, Outcome, chat_server
from skhelpers.server import Answer

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.errors import UsageError

CHOSEN = [name for name in ("httpx", "requests", "aiohttp", "http.client") if name in CLIENTS]
every_client = pytest.mark.parametrize("client", CHOSEN)
SECRET = "sk-" + "test" * 8


def record(client: str, path: Path, call: Call | None = None, **options: Any) -> tuple[Outcome, int]:
    """Return what the caller saw, and how many requests the server got."""
    with chat_server(Answer(PIECES, gap=0.002)) as server:
        with streamkit.use_cassette(path, **options):
            outcome = CLIENTS[client](server.url + "/v1/chat", call)
        return outcome, len(server.seen)


@every_client
def test_credentials_are_not_written_unless_redaction_is_switched_off(client: str, tmp_path: Path) -> None:
    call = Call(headers={**FACTS, "Authorization": f"Bearer {SECRET}"})
    for redaction in (True, False):
        path = tmp_path / f"{redaction}.yaml"
        assert BODY == record(client, path, call, redaction=redaction)[0].body
        assert redaction == (SECRET.encode() not in path.read_bytes())


@every_client
def test_filters_of_headers_hold(client: str, tmp_path: Path) -> None:
    record(client, tmp_path / "one.yaml", filter_headers=["X-Kind"])
    (interaction,) = load_cassette(tmp_path / "one.yaml").interactions
    assert "x-kind" not in {name.lower() for name, _ in interaction.request.headers}


@every_client
def test_a_hook_can_leave_a_request_out(client: str, tmp_path: Path) -> None:
    outcome, count = record(client, tmp_path / "one.yaml", before_record_request=lambda _: None)
    assert (BODY, 1, False) == (outcome.body, count, (tmp_path / "one.yaml").exists())


@every_client
def test_a_hook_can_change_a_response_and_its_chunks_follow_or_are_forgotten(client: str, tmp_path: Path) -> None:
    def shorten(response: dict[str, Any]) -> dict[str, Any]:
        response["body"]["string"] = b"data: [DONE]\n\n"
        return response

    outcome, _ = record(client, tmp_path / "one.yaml", before_record_response=shorten)
    (transcript,) = load_cassette(tmp_path / "one.yaml").transcripts
    assert (BODY, b"data: [DONE]\n\n") == (outcome.body, transcript.body)


@every_client
def test_a_hook_can_leave_a_response_out(client: str, tmp_path: Path) -> None:
    outcome, _ = record(client, tmp_path / "one.yaml", before_record_response=lambda _: None)
    assert (BODY, False) == (outcome.body, (tmp_path / "one.yaml").exists())


@every_client
def test_ignored_hosts_are_neither_recorded_nor_replayed(client: str, tmp_path: Path) -> None:
    for mode in ("once", "none"):
        outcome, count = record(client, tmp_path / "one.yaml", record_mode=mode, ignore_hosts=["127.0.0.1"])
        assert (BODY, 1, False) == (outcome.body, count, (tmp_path / "one.yaml").exists())


@every_client
def test_the_json_serializer_keeps_the_chunks(client: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    with chat_server(Answer(PIECES, gap=0.002)) as server:
        url = server.url + "/v1/chat"
        with streamkit.use_cassette(path, serializer="json"):
            live = CLIENTS[client](url)
    (interaction,) = json.loads(path.read_text("utf-8"))["interactions"]
    assert "complete" == interaction["response"]["streamkit"]["ending"]
    with streamkit.use_cassette(path, serializer="json", record_mode="none"):
        assert live.chunks == CLIENTS[client](url).chunks


@every_client
def test_nothing_is_written_of_a_test_that_failed_where_that_was_asked_for(client: str, tmp_path: Path) -> None:
    for wanted in (False, True):
        with (
            chat_server() as server,
            pytest.raises(ZeroDivisionError),
            streamkit.use_cassette(tmp_path / "one.yaml", record_on_exception=wanted),
        ):
            assert 1 / len(CLIENTS[client](server.url).body[:0])
        assert wanted == (tmp_path / "one.yaml").exists()


def test_an_option_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="knows no option 'recordmode'"):
        streamkit.use_cassette("one", recordmode="none")


def test_what_vcrpy_stores_beside_the_interactions_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    with streamkit.use_cassette(path) as cassette:
        assert 5 == cassette.get_metadata("seed", 5)
    with streamkit.use_cassette(path, record_mode="none") as cassette:
        assert 5 == cassette.get_metadata("seed", 6)
