"""What the proxy keeps: like the in-process recording, in the same cassettes, by the same modes, and at once."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from skhelpers.proxied import PATH, proxied
from skhelpers.raw_http import ask, connect, reply, request
from skhelpers.server import Answer, Seen, StreamServer, body, pieces

import streamkit
from streamkit.cassettes import load_cassette
from streamkit.cassettes.writing import dump
from streamkit.errors import CassetteError, CassetteFormatError
from streamkit.server import RecordingProxy

BODY = body()
PIECES = pieces(BODY)
KEY = "sk-proj-" + "Ab3" * 12


def echo(seen: Seen) -> Answer:
    """Answer with what was asked."""
    return Answer([b"data: " + seen.body + b"\n\n"])


def bodies(path: Path) -> list[bytes]:
    """Return the bodies of the requests in a cassette."""
    return [one.request.body for one in load_cassette(path).interactions]


def post(proxy: RecordingProxy, number: int) -> bytes:
    return ask(proxy.url + PATH, b'{"n":%d}' % number).body


# -- when it is written


def test_each_interaction_is_on_the_disk_when_the_log_tells_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    kept: list[int] = []
    with proxied(echo, cassette=path, log=lambda _: kept.append(len(bodies(path)))) as (_, proxy):
        for number in range(4):
            post(proxy, number)
            proxy.wait_for(number + 1)
    assert [1, 2, 3, 4] == kept


def test_interactions_stand_in_the_order_of_their_requests(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    go_on = threading.Event()

    def answer(seen: Seen) -> Answer:
        first = b'"n":0' in seen.body
        return Answer([b"a", seen.body], before=(lambda number: not number or go_on.wait(10)) if first else None)

    with proxied(answer, cassette=path) as (server, proxy), connect(proxy.url) as slow:
        slow.sendall(request(proxy.url + PATH, b'{"n":0}'))
        deadline = time.monotonic() + 10
        while not server.seen and time.monotonic() < deadline:
            time.sleep(0.001)
        post(proxy, 1)
        post(proxy, 2)
        proxy.wait_for(2)
        assert [b'{"n":1}', b'{"n":2}'] == bodies(path)  # what is under way is not there yet
        go_on.set()
        reply(slow)
        proxy.wait_for(3)
        assert [b'{"n":0}', b'{"n":1}', b'{"n":2}'] == bodies(path)


def test_many_at_once_are_all_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(echo, cassette=path) as (_, proxy):
        threads = [threading.Thread(target=post, args=(proxy, number)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        proxy.wait_for(24)
    assert {b'{"n":%d}' % number for number in range(24)} == set(bodies(path))
    assert 24 == len(bodies(path))


def test_two_proxies_and_a_client_of_this_process_share_a_cassette(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    options: dict[str, Any] = {"record_mode": "new_episodes"}
    with (
        StreamServer(echo) as server,
        RecordingProxy(server.url, path, **options) as one,
        RecordingProxy(server.url, path, **options) as two,
    ):
        for number in range(3):
            post(one, number)
            one.wait_for(number + 1)
            post(two, 10 + number)
            two.wait_for(number + 1)
        with streamkit.use_cassette(path, record_mode="new_episodes"):
            import httpx

            httpx.post(server.url + PATH, content=b'{"n":99}')
        post(one, 5)
    assert sorted([0, 1, 2, 10, 11, 12, 99, 5]) == sorted(int(one[5:-1]) for one in bodies(path))


def test_a_file_written_many_times_is_as_one_written_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES), Answer([b"\xff\x00"]), Answer(PIECES[:2], end="eof"), cassette=path) as (_, proxy):
        for number in range(3):
            post(proxy, number)
            proxy.wait_for(number + 1)
    assert dump(load_cassette(path)) == path.read_bytes()


def test_a_credential_that_is_used_later_is_taken_out_of_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer([b"data: welcome, take plain-word-4711\n\n"]), cassette=path) as (_, proxy):
        ask(proxy.url + PATH)
        proxy.wait_for(1)
        assert b"plain-word-4711" in path.read_bytes()  # nobody can know yet what that is
        ask(proxy.url + PATH, headers=["Authorization: Bearer plain-word-4711"])
        proxy.wait_for(2)
        assert b"plain-word-4711" not in path.read_bytes()


def test_an_answer_that_cannot_be_searched_for_secrets_is_told_and_keeps_no_other_from_being_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    strange = Answer([b"\x28\xb5"], headers=["Content-Type: text/event-stream", "Content-Encoding: of-the-future"])
    with StreamServer(Answer(PIECES), strange, Answer(PIECES)) as server:
        proxy = RecordingProxy(server.url, path).start()
        for number in range(3):
            post(proxy, number)
            told = proxy.wait_for(number + 1)
        with pytest.raises(CassetteError, match="of-the-future"):
            proxy.close()
    assert "of-the-future" in told[1]["error"]
    assert [False, True, False] == ["error" in one for one in told]
    assert [b'{"n":0}', b'{"n":2}'] == bodies(path)


def test_a_cassette_that_is_broken_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("interactions: [")
    with pytest.raises(CassetteFormatError):
        RecordingProxy("http://127.0.0.1:1", path)
    assert "interactions: [" == path.read_text()


def test_a_cassette_that_breaks_while_it_is_recorded_into_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with StreamServer(echo) as server:
        proxy = RecordingProxy(server.url, path).start()
        post(proxy, 1)
        proxy.wait_for(1)
        path.write_text("interactions: [")
        post(proxy, 2)
        assert "not written" in proxy.wait_for(2)[1]["error"]
        with pytest.raises(CassetteFormatError):
            proxy.close()
    assert "interactions: [" == path.read_text()


# -- modes


def recorded(path: Path, *numbers: int) -> None:
    with proxied(echo, cassette=path, record_mode="new_episodes") as (_, proxy):
        for number in numbers:
            post(proxy, number)


def test_without_an_upstream_the_cassette_answers(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES), cassette=path) as (server, proxy):
        direct = ask(proxy.url + PATH)
    for mode in ("none", "once", "new_episodes"):
        with RecordingProxy(server.url, path, record_mode=mode) as proxy:
            again = ask(proxy.url + PATH)
            assert "replayed" == proxy.wait_for(1)[0]["answer"]
        assert (direct.chunks, direct.ended) == (again.chunks, again.ended)


@pytest.mark.parametrize("end", ["eof", "reset"])
def test_an_answer_that_broke_off_breaks_off_again(end: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES[:3], end=end, short=5), cassette=path) as (server, proxy):
        direct = ask(proxy.url + PATH)
    with RecordingProxy(server.url, path) as proxy:
        again = ask(proxy.url + PATH)
    assert (direct.chunks, direct.rest, direct.ended) == (again.chunks, again.rest, again.ended)


def test_a_compressed_body_comes_again_as_it_was(tmp_path: Path) -> None:
    import gzip

    path, pressed = tmp_path / "c.yaml", gzip.compress(BODY)
    answer = Answer([pressed[:99], pressed[99:]], headers=["Content-Type: text/event-stream", "Content-Encoding: gzip"])
    with proxied(answer, cassette=path) as (server, proxy):
        direct = ask(proxy.url + PATH)
    with RecordingProxy(server.url, path) as proxy:
        again = ask(proxy.url + PATH)
    assert ("gzip", direct.chunks) == (again.headers["content-encoding"], again.chunks)


@pytest.mark.parametrize(
    ("mode", "asked", "kept"),
    [
        ("once", [1, 2], [1, 2]),
        ("none", [1, 2], [1, 2]),
        ("new_episodes", [1, 3, 1], [1, 2, 3, 1]),
        ("all", [2, 2], [1, 2, 2]),
        ("rewrite", [3], [3]),
    ],
)
def test_the_modes_mean_what_they_mean_in_process(mode: str, asked: list[int], kept: list[int], tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    recorded(path, 1, 2)
    with proxied(echo, cassette=path, record_mode=mode) as (server, proxy):
        for number in asked:
            assert b'data: {"n":%d}\n\n' % number == post(proxy, number)
        counted = len([one for one in proxy.wait_for(len(asked)) if one["answer"] == "recorded"])
        assert counted == len(server.seen)
    assert kept == [int(one[5:-1]) for one in bodies(path)]


def test_what_may_not_be_recorded_is_404_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    recorded(path, 1)
    with proxied(echo, cassette=path) as (server, proxy):
        found = ask(proxy.url + PATH, b'{"n":2}')
        told = proxy.wait_for(1)[0]
        assert [] == server.seen
    assert 404 == found.status
    assert b'"reason": "body_differs"' in found.body
    assert b"$.n: recorded 1, sent 2" in found.body
    assert ("unmatched", "body_differs") == (told["answer"], told["reason"])


def test_an_interaction_is_played_once_unless_it_may_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    recorded(path, 1)
    with RecordingProxy("http://127.0.0.1:1", path, match_on=["method", "path"]) as proxy:
        assert [200, 404] == [ask(proxy.url + PATH).status for _ in range(2)]
    with RecordingProxy("http://127.0.0.1:1", path, match_on=["method", "path"], repeats=True) as proxy:
        assert [200, 200] == [ask(proxy.url + PATH).status for _ in range(2)]


def test_recorded_times_are_kept_on_replay_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES[:3], gap=0.15), cassette=path) as (server, proxy):
        ask(proxy.url + PATH)
    with RecordingProxy(server.url, path, speed=1) as proxy:
        start = time.monotonic()
        ask(proxy.url + PATH)
        assert time.monotonic() - start >= 0.28


# -- through other doors


def test_the_cassette_replays_in_process_under_the_provider_s_url(tmp_path: Path) -> None:
    import httpx

    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES), cassette=path) as (server, proxy):
        ask(proxy.url + PATH)
    with (
        streamkit.use_cassette(path, record_mode="none"),
        httpx.stream("POST", server.url + PATH, content=b"{}") as response,
    ):
        assert PIECES == list(response.iter_raw())


def test_the_cassette_is_served_by_the_replay_server(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with proxied(Answer(PIECES), cassette=path) as (_, proxy):
        ask(proxy.url + PATH)
    with streamkit.server.ReplayServer(path) as server:
        assert PIECES == ask(server.url + PATH).chunks


def test_an_upstream_with_a_path_is_recorded_with_it(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with StreamServer(echo) as server, RecordingProxy(f"{server.url}/gateway/v1/", path) as proxy:
        ask(f"{proxy.url}/chat/completions?x=1")
        ask(f"{proxy.url}/v1/responses")
        assert proxy.url == proxy.base_url()
    assert ["POST /gateway/v1/chat/completions?x=1 HTTP/1.1", "POST /gateway/v1/responses HTTP/1.1"] == [
        one.line for one in server.seen
    ]
    assert [f"{server.url}/gateway/v1/chat/completions?x=1", f"{server.url}/gateway/v1/responses"] == [
        one.request.url for one in load_cassette(path).interactions
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(PIECES, gap=0.01),
        Answer(PIECES[:4], gap=0.01),
        Answer(PIECES[:4], gap=0.01, end="eof"),
        Answer(PIECES[:4], gap=0.01, end="reset"),
        Answer(PIECES, gap=0.01, framing="close"),
        Answer([b'{"a": 1}'], framing="length", headers=["Content-Type: application/json", "X-A: 1", "x-b: 2"]),
    ],
    ids=["complete", "truncated", "incomplete", "reset", "until closed", "no stream"],
)
def test_it_records_what_the_recording_in_process_records(answer: Answer, tmp_path: Path) -> None:
    import httpx

    def get(url: str) -> None:
        with (
            suppress(httpx.TransportError),
            httpx.Client(trust_env=False) as client,
            client.stream("POST", url + PATH, content=b"{}") as response,
        ):
            assert b"".join(response.iter_raw())

    with StreamServer(answer) as server:
        with streamkit.use_cassette(tmp_path / "in_process.yaml"):
            get(server.url)
        with RecordingProxy(server.url, tmp_path / "by_proxy.yaml") as proxy:
            get(proxy.url)
    (one,) = load_cassette(tmp_path / "in_process.yaml").interactions
    (other,) = load_cassette(tmp_path / "by_proxy.yaml").interactions
    assert (one.request.method, one.request.url, one.request.body) == (
        other.request.method, other.request.url, other.request.body,
    )  # fmt: skip
    same = ("body", "head", "lengths", "ending", "dialect", "chunks_recorded", "missing")
    assert [getattr(one.transcript, name) for name in same] == [getattr(other.transcript, name) for name in same]
