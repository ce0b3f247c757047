"""Secrets that pass through the proxy, and calls of it that cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from skhelpers.proxied import PATH, proxied, proxied_raw
from skhelpers.raw_http import ask, connect, reply
from skhelpers.server import Answer, Seen

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.errors import CassetteNotFoundError, UsageError
from streamkit.server import RecordingProxy

KEY = "sk-proj-" + "Ab3" * 12


def echo(seen: Seen) -> Answer:
    """Answer with what was asked."""
    return Answer([b"data: " + seen.body + b"\n\n"])


def bodies(path: Path) -> list[bytes]:
    """Return the bodies of the requests in a cassette."""
    return [one.request.body for one in load_cassette(path).interactions]


# -- secrets


def test_no_secret_is_on_the_disk_in_the_log_or_sent_to_the_wrong_side(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def answer(seen: Seen) -> Answer:
        key = seen.headers["authorization"].removeprefix("Bearer ")
        said = f'data: {{"you_sent":"{key}","token":"{seen.headers["x-gateway"]}"}}\n\n'.encode()
        return Answer([said[:20], said[20:]], headers=["Content-Type: text/event-stream", f"Set-Cookie: s={KEY[:20]}"])

    redaction = streamkit.Redaction(headers=("X-Gateway",))
    options: dict[str, Any] = {"key": KEY, "headers": {"X-Gateway": "gw_secret_0123456789"}, "redaction": redaction}
    with proxied(answer, cassette=tmp_path / "c.yaml", log=told.append, **options) as (server, proxy):
        url = f"{proxy.url}{PATH}?api_key=url-secret-12345&x=1"
        found = ask(url, headers=["Authorization: Bearer client-secret-987654", "X-Gateway: of-the-client-4711"])
        assert KEY.encode() in found.body  # the client sees what the provider says
        assert 1 == sum(header == f"Bearer {KEY}" for header in server.seen[0].headers.values())
    raw = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()) + str(told).encode()
    for secret in (
        KEY,
        KEY[:20],
        "gw_secret_0123456789",
        "url-secret-12345",
        "client-secret-987654",
        "of-the-client-4711",
    ):
        assert secret.encode() not in raw
    assert "x=1" in str(told)


@pytest.mark.parametrize(
    ("sent", "path", "expected"),
    [
        (["authorization: Bearer x"], PATH, {"authorization": f"Bearer {KEY}"}),
        (["X-Api-Key: x"], "/v1/messages", {"x-api-key": KEY}),
        (["api-key: x"], "/openai/deployments/d/chat/completions", {"api-key": KEY}),
        ([], PATH, {"authorization": f"Bearer {KEY}"}),
        ([], "/v1/messages", {"x-api-key": KEY}),
        ([], "/v1beta/models/m:streamGenerateContent?alt=sse", {"x-goog-api-key": KEY}),
    ],
)
def test_a_key_goes_where_the_client_or_the_api_has_its_own(
    sent: list[str], path: str, expected: dict[str, str], tmp_path: Path
) -> None:
    with proxied(echo, cassette=tmp_path / "c.yaml", key=KEY) as (server, proxy):
        ask(proxy.url + path, headers=sent)
        headers = server.seen[0].headers
    assert expected == {name: value for name, value in headers.items() if KEY in value}
    assert not any(value in ("x", "Bearer x") for value in headers.values())


def test_a_malformed_request_does_not_get_its_secrets_into_the_log(tmp_path: Path) -> None:
    with proxied_raw(None, cassette=tmp_path / "c.yaml") as (_, proxy):
        with connect(proxy.url) as connection:
            connection.sendall(f"POST / HTTP/1.1\r\nHost: h\r\nAuthorization Bearer {KEY}\r\n\r\n".encode())
            assert 400 == reply(connection).status
        assert KEY not in str(proxy.wait_for(1))


# -- what cannot work is said before anything is recorded


def test_without_a_cassette_there_is_nothing_to_replay_only(tmp_path: Path) -> None:
    with pytest.raises(CassetteNotFoundError):
        RecordingProxy("http://127.0.0.1:1", tmp_path / "c.yaml", record_mode="none")


def test_a_folder_is_no_cassette(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        RecordingProxy("http://127.0.0.1:1", tmp_path / "c.yaml")


def test_a_file_is_no_cassette_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        RecordingProxy("http://127.0.0.1:1", tmp_path / "file" / "c.yaml")


def test_an_address_that_is_taken_is_a_usage_error(tmp_path: Path) -> None:
    with RecordingProxy("http://127.0.0.1:1", tmp_path / "c.yaml") as one:
        port = int(one.url.rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            RecordingProxy("http://127.0.0.1:1", tmp_path / "c.yaml", port=port).start()


def test_an_unknown_record_mode_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="record_mode"):
        RecordingProxy("http://127.0.0.1:1", tmp_path / "c.yaml", record_mode="twice")


def test_a_proxy_before_itself_is_a_usage_error(tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UsageError, match="is the proxy itself"):
        RecordingProxy(f"http://localhost:{port}", tmp_path / "c.yaml", port=port).start()
