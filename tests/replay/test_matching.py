"""Which recorded interaction answers a request: JSON by meaning, forms, order; and misses that explain themselves."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from skhelpers.recording import CLIENTS, Call, chat_server
from skhelpers.server import Answer

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.cassettes.format import Cassette
from streamkit.cassettes.writing import dump
from streamkit.errors import UnmatchedRequestError, UsageError
from streamkit.replay import MissReason
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript

URL = "http://replay.invalid/v1/chat"
SECRET = "sk-" + "test" * 8
HEAD = ResponseHead(200, "OK", (("Content-Type", "application/json"),))
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def cassette(folder: Path, *bodies: bytes, kind: str = JSON, url: str = URL) -> Path:
    """A cassette that answers each body with its number."""
    path = folder / "one.yaml"
    listed = [
        Interaction(Request("POST", url, (("Content-Type", kind),), body), Transcript(b"%d" % number, HEAD))
        for number, body in enumerate(bodies)
    ]
    path.write_bytes(dump(Cassette(tuple(listed))))
    return path


def send(path: Path, *bodies: bytes, kind: str = JSON, url: str = URL, method: str = "POST", **options: Any) -> str:
    """The answers to some bodies, joined."""
    with streamkit.use_cassette(path, **{"record_mode": "none", **options}), httpx.Client() as client:
        return "".join(
            client.request(method, url, content=body, headers={"Content-Type": kind}).text for body in bodies
        )


def missed(path: Path, body: bytes = b"", **options: Any) -> UnmatchedRequestError:
    with pytest.raises(UnmatchedRequestError) as caught:
        send(path, body, **options)
    return caught.value


# -- by meaning


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}'),
        (b'{"a": 1}', b'{"a": 1.0}'),
        (b'{"a": 100}', b'{"a": 1e2}'),
        ('{"a": "ü"}'.encode(), b'{"a": "\\u00fc"}'),
        (b'{"a": null}', b' {"a" : null} '),
    ],
)
def test_json_is_compared_by_its_meaning(recorded: bytes, sent: bytes, tmp_path: Path) -> None:
    assert "0" == send(cassette(tmp_path, recorded), sent)


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (b'{"a": 1}', b'{"a": true}'),
        (b'{"a": 0}', b'{"a": false}'),
        (b'{"a": 1}', b'{"a": "1"}'),
        (b'{"a": null}', b"{}"),
        (b"[1, 2]", b"[2, 1]"),
        (b'{"a": 12345678901234567890}', b'{"a": 12345678901234567891}'),
        (b"{}", b"[]"),
        (b"{}", b""),
        (b"{}", b"no JSON"),
    ],
)
def test_values_that_differ_are_different(recorded: bytes, sent: bytes, tmp_path: Path) -> None:
    assert MissReason.BODY_DIFFERS == missed(cassette(tmp_path, recorded), sent).reason
    assert MissReason.BODY_DIFFERS == missed(cassette(tmp_path, sent), recorded).reason


def test_ignored_paths_may_differ_or_be_missing(tmp_path: Path) -> None:
    path = cassette(tmp_path, b'{"user": "a", "messages": [{"id": 1, "t": "x"}, {"id": 2, "t": "y"}]}')
    sent = b'{"messages": [{"id": 7, "t": "x"}, {"t": "y"}]}'
    assert "0" == send(path, sent, ignore_json=["$.user", "$.messages[*].id"])
    error = missed(path, sent, ignore_json=["$.user"])
    assert ("$.messages[0].id: recorded 1, sent 7", "$.messages[1].id: only recorded: 2") == error.differences


@pytest.mark.parametrize("path", ["", "$", "$.", "a b", "$[", "$.a[b]"])
def test_a_path_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is no JSON path"):
        streamkit.use_cassette("one", ignore_json=[path])


def test_forms_are_compared_by_their_fields_and_multipart_without_its_boundary(tmp_path: Path) -> None:
    assert "0" == send(cassette(tmp_path, b"a=1&b=%20", kind=FORM), b"b=+&a=1", kind=FORM)
    assert MissReason.BODY_DIFFERS == missed(cassette(tmp_path, b"a=1", kind=FORM), b"a=2", kind=FORM).reason
    with chat_server(Answer([b"{}"], headers=["Content-Type: application/json"], framing="length")) as server:
        for _ in range(2):  # requests makes a new boundary each time
            with streamkit.use_cassette(tmp_path / "two.yaml"):
                files = {"file": ("a.txt", io.BytesIO(b"content"))}
                assert "{}" == requests.post(server.url, files=files, data={"a": "1"}, timeout=5).text
        assert 1 == len(server.seen)


def test_equal_requests_get_their_answers_in_order(tmp_path: Path) -> None:
    path = cassette(tmp_path, b"{}", b'{"x": 1}', b"{}")
    assert "021" == send(path, b"{}", b"{}", b'{"x": 1}')
    assert "000" == send(path, b"{}", b"{}", b"{}", allow_playback_repeats=True)


# -- misses


def test_a_miss_without_a_cassette(tmp_path: Path) -> None:
    error = missed(tmp_path / "none.yaml", b"{}")
    assert (MissReason.NO_CASSETTE, None, ()) == (error.reason, error.nearest, error.differences)
    assert "does not exist, and record mode 'none' records nothing" in str(error)
    assert 'To record it: record_mode="new_episodes"' in str(error)


def test_a_miss_in_an_empty_cassette(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("interactions: []\nversion: 1\n", "utf-8")
    error = missed(tmp_path / "one.yaml", b"{}")
    assert MissReason.EMPTY_CASSETTE == error.reason
    assert "holds no interaction" in str(error)


def test_a_miss_because_all_were_played(tmp_path: Path) -> None:
    path = cassette(tmp_path, b"{}")
    with pytest.raises(UnmatchedRequestError) as caught:
        send(path, b"{}", b"{}")
    assert MissReason.ALL_PLAYED == caught.value.reason
    assert "it equals 1 recorded interaction" in str(caught.value)
    assert "allow_playback_repeats=True" in str(caught.value)


def test_a_miss_because_of_the_body_names_the_places(tmp_path: Path) -> None:
    path = cassette(tmp_path, b'{"a": 9, "b": 9}', b'{"a": 1, "b": {"c": [1, 2]}}')
    error = missed(path, b'{"a": 1, "b": {"c": [1, 3]}, "d": true}')
    assert MissReason.BODY_DIFFERS == error.reason
    assert ("POST", URL) == error.nearest == (error.method, error.url)
    assert "ignore_json=" in str(error)
    one = missed(cassette(tmp_path, b'{"a": 1, "b": {"c": [1, 2]}}'), b'{"a": 1, "b": {"c": [1, 3]}, "d": true}')
    assert ("$.b.c[1]: recorded 2, sent 3", "$.d: only sent: true") == one.differences
    assert all(line in str(one) for line in one.differences)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"method": "PUT"}, "method"), ({"url": URL + "?x=1"}, "query"), ({"url": URL + "s"}, "path")],
)
def test_a_miss_because_of_the_request(options: dict[str, Any], named: str, tmp_path: Path) -> None:
    error = missed(cassette(tmp_path, b"{}"), b"{}", **options)
    assert MissReason.REQUEST_DIFFERS == error.reason
    assert f"differs in: {named}." in str(error)
    assert [named] == [line.partition(":")[0] for line in error.differences]


def test_a_miss_with_nothing_similar(tmp_path: Path) -> None:
    error = missed(cassette(tmp_path, b"{}"), b"{}", url="http://elsewhere.invalid/other")
    assert MissReason.NOTHING_SIMILAR == error.reason
    assert "ignore_hosts=" in str(error)


def test_a_miss_tells_no_secret(tmp_path: Path) -> None:
    body = json.dumps({"api_key": SECRET, "a": 1}).encode()
    error = missed(cassette(tmp_path, b'{"a": 2}'), body, url=f"{URL}?api_key={SECRET}")
    assert SECRET not in f"{error} {error.url} {error.differences} {error.nearest}"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_miss_is_the_same_error_in_every_client(client: str, tmp_path: Path) -> None:
    with streamkit.use_cassette(cassette(tmp_path, b"{}"), record_mode="none"):
        outcome = CLIENTS[client](URL, Call(content=b'{"x": 1}'))
    assert isinstance(outcome.error, UnmatchedRequestError)
    assert ("$.x: only sent: 1",) == outcome.error.differences


# -- bodies, however they are given


def _pieces() -> Iterator[bytes]:
    yield b'{"a":'
    yield b" 1}"


async def _async_pieces() -> AsyncIterator[bytes]:
    for piece in _pieces():
        yield piece


def _aiohttp(**options: Any) -> Callable[[str], str]:
    def run(url: str) -> str:
        async def main() -> str:
            import aiohttp

            made = {name: value() if callable(value) else value for name, value in options.items()}
            async with aiohttp.ClientSession() as session, session.post(url, **made) as response:
                return await response.text()

        return asyncio.run(main())

    return run


SENDERS: dict[str, tuple[bytes, Callable[[str], str]]] = {
    "httpx-bytes": (b'{"a": 1}', lambda url: httpx.post(url, content=b'{"a": 1}').text),
    "httpx-iterator": (b'{"a": 1}', lambda url: httpx.post(url, content=_pieces()).text),
    "httpx-json": (b'{"a":1}', lambda url: httpx.post(url, json={"a": 1}).text),
    "httpx-form": (b"a=1", lambda url: httpx.post(url, data={"a": "1"}).text),
    "requests-bytes": (b'{"a": 1}', lambda url: requests.post(url, data=b'{"a": 1}', timeout=5).text),
    "requests-iterator": (b'{"a": 1}', lambda url: requests.post(url, data=_pieces(), timeout=5).text),
    "requests-file": (b'{"a": 1}', lambda url: requests.post(url, data=io.BytesIO(b'{"a": 1}'), timeout=5).text),
    "requests-json": (b'{"a": 1}', lambda url: requests.post(url, json={"a": 1}, timeout=5).text),
    "requests-form": (b"a=1", lambda url: requests.post(url, data={"a": "1"}, timeout=5).text),
    "aiohttp-bytes": (b'{"a": 1}', _aiohttp(data=b'{"a": 1}')),
    "aiohttp-iterator": (b'{"a": 1}', _aiohttp(data=_async_pieces)),
    "aiohttp-file": (b'{"a": 1}', _aiohttp(data=lambda: io.BytesIO(b'{"a": 1}'))),
    "aiohttp-json": (b'{"a": 1}', _aiohttp(json={"a": 1})),
    "aiohttp-form": (b"a=1", _aiohttp(data={"a": "1"})),
}


@pytest.mark.parametrize("name", SENDERS)
def test_a_body_reaches_server_and_cassette_however_it_is_given(name: str, tmp_path: Path) -> None:
    expected, sender = SENDERS[name]
    with chat_server(Answer([b"{}"], headers=["Content-Type: application/json"], framing="length")) as server:
        with streamkit.use_cassette(tmp_path / "one.yaml"):
            assert "{}" == sender(server.url)
        assert [expected] == [seen.body for seen in server.seen]
        url = server.url
    (interaction,) = load_cassette(tmp_path / "one.yaml").interactions
    assert expected == interaction.request.body
    with streamkit.use_cassette(tmp_path / "one.yaml", record_mode="none"):
        assert "{}" == sender(url)
