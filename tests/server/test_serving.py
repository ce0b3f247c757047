"""The server on real sockets, read by a client that hides nothing."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from skhelpers.raw_http import ask, connect, reply, request

import streamkit
from streamkit.case import Case
from streamkit.errors import UsageError
from streamkit.mutations.registry import Class
from streamkit.replay.delivery import Delivery
from streamkit.server import RecordingProxy, ReplayServer
from streamkit.transcript import Request, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")
CHAT = "/v1/chat/completions"
ASKED = b'{"model": "m", "messages": [], "stream": true}'


def recorded(text: str, body: bytes = ASKED, url: str = "https://api.example.com" + CHAT) -> Transcript:
    """Return a transcript whose stream says a text, and its request."""
    stream = streamkit.synthesize(text)
    request = Request("POST", url, (("content-type", "application/json"),), body)
    return Transcript(stream.body, stream.head, dialect="openai_chat", name=text, request=request)


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer("openai_chat/boston_weather") as running:
        yield running


def said(body: bytes) -> str | None:
    return streamkit.accumulate([body]).content


# -- exact pieces


@pytest.mark.parametrize("cuts", ["99,100,412", "whole", "1", "3219", "drip"])
def test_the_http_chunks_on_the_wire_are_the_chunks_of_the_case(server: ReplayServer, cuts: str) -> None:
    found = ask(server.case_url(f"{BOSTON.name};cuts={cuts}") + "/chat/completions")
    expected = Fragmentation.drip(BOSTON.body) if cuts == "drip" else Fragmentation.parse(cuts)
    assert expected.chunks(BOSTON.body) == found.chunks
    assert (200, "whole", "chunked") == (found.status, found.ended, found.headers["transfer-encoding"])


def test_each_chunk_is_one_write_and_nothing_is_joined(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    # -D: the server is our child, and the tracer a process beside it.
    tracer = [strace, "-D", "-f", "-e", "trace=sendto,sendmsg", "-e", "signal=none", "-s", "64", "-o", str(trace)]
    server = [sys.executable, "-m", "streamkit", "serve", BOSTON.name]
    with subprocess.Popen([*tracer, *server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().removeprefix("listening on ").strip()
            ask(f"{url}/case/{BOSTON.name};cuts=10,11,3215/v1/chat/completions")
            running.send_signal(signal.SIGINT)
            assert 0 == running.wait(20)
        finally:
            running.kill()
    deadline = time.monotonic() + 20
    ended = re.compile(rf"^{running.pid} +\+\+\+ exited", re.MULTILINE)  # the number is padded to five places
    while not ended.search(trace.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)  # the tracer writes what it saw when it has seen all
    sent = re.findall(r'send(?:to|msg)\(\d+, "(.*)"\.{0,3}, (\d+), 0', trace.read_text())
    http = [(text, int(length)) for text, length in sent if text != r"\0"]  # the event loop wakes itself with a zero
    sizes = [len(b"%x\r\n\r\n" % size) + size for size in (10, 1, 3204, 5)]
    assert http[0][0].startswith("HTTP/1.1 200")
    assert [*sizes, len(b"0\r\n\r\n")] == [length for _, length in http[1:]]


def test_a_case_by_token_comes_with_its_mutations(server: ReplayServer) -> None:
    token = f"{Case(BOSTON, Fragmentation.whole()).token}:line_ends"
    found = ask(server.case_url(token) + "/chat/completions")
    assert BOSTON.body.replace(b"\n", b"\r\n") == found.body


def test_a_header_steers_as_a_path_does(server: ReplayServer) -> None:
    found = ask(server.url + CHAT, headers=["X-Streamkit: openai_chat/boston_weather;cuts=7"])
    assert [7, 3213] == [len(chunk) for chunk in found.chunks]


def test_an_offer_is_held_out_until_it_is_closed(server: ReplayServer) -> None:
    with server.offer(BOSTON) as offer:
        assert BOSTON.body == ask(offer.url, b'{"a": 1}').body
        assert BOSTON.body == ask(offer.base_url + "/other").body
        assert [b'{"a": 1}', b"{}"] == [one.body for one in offer.requests]
        assert [CHAT, "/v1/other"] == [one.url.removeprefix(server.url) for one in offer.requests]
    found = ask(offer.url)
    assert 404 == found.status
    assert "taken back" in json.loads(found.body)["error"]["message"]


def test_an_offer_of_another_api_has_its_base_url_and_endpoint(server: ReplayServer) -> None:
    message = streamkit.synthesize("Hello.", dialect="anthropic_messages")
    with server.offer(message) as offer:
        assert offer.url == offer.base_url + "/v1/messages"
        assert message.body == ask(offer.url).body


def test_many_requests_go_over_one_connection(server: ReplayServer) -> None:
    url = server.case_url(BOSTON) + "/chat/completions"
    with connect(url) as one:
        for _ in range(3):
            one.sendall(request(url))
            assert BOSTON.body == reply(one).body


def test_requests_that_were_sent_ahead_are_answered_in_their_order(server: ReplayServer) -> None:
    with server.offer(recorded("one")) as first, server.offer(recorded("two")) as second, connect(server.url) as one:
        one.sendall(request(first.url) + request(second.url))
        answer = reply(one)
        assert "one" == said(answer.body)
        rest = answer.rest
        while b"0\r\n\r\n" not in rest:
            rest += one.recv(65536)
    assert b"two" in rest


def test_a_request_in_chunks_and_one_that_expects_100_are_read(server: ReplayServer) -> None:
    with server.offer(BOSTON) as offer, connect(offer.url) as one:
        target = offer.url.removeprefix(server.url)
        one.sendall(
            f"POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode()
        )
        assert BOSTON.body == reply(one).body
        one.sendall(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
        assert one.recv(100).startswith(b"HTTP/1.1 100")
        one.sendall(b"[]")
        assert BOSTON.body == reply(one).body
        assert [b"{}", b"[]"] == [made.body for made in offer.requests]


# -- as the recorded API


def test_a_request_is_answered_by_what_it_asks_and_the_host_does_not_count() -> None:
    other = b'{"model": "other", "messages": [], "stream": true}'
    with ReplayServer([recorded("one"), recorded("two", other)]) as running:
        assert "two" == said(ask(running.url + CHAT, b'{"stream":true,"messages":[],"model":"other"}').body)
        assert "one" == said(ask(running.url + CHAT, ASKED).body)


def test_equal_requests_are_answered_in_their_order_and_then_again() -> None:
    with ReplayServer([recorded("one"), recorded("two")]) as running:
        assert ["one", "two", "one"] == [said(ask(running.url + CHAT, ASKED).body) for _ in range(3)]


def test_each_interaction_is_played_once_where_that_is_asked_for() -> None:
    with ReplayServer([recorded("one")], repeats=False) as running:
        assert [200, 404] == [ask(running.url + CHAT, ASKED).status for _ in range(2)]


def test_what_may_differ_is_not_compared() -> None:
    with ReplayServer([recorded("one")], ignore_json=["$.model"]) as running:
        assert 200 == ask(running.url + CHAT, ASKED.replace(b'"m"', b'"n"')).status
    with ReplayServer([recorded("one")], match_on=["method", "path"]) as running:
        assert 200 == ask(running.url + CHAT, b"nothing like it").status


def test_a_body_without_a_request_answers_any_post() -> None:
    with ReplayServer(Transcript(BOSTON.body)) as running:
        assert BOSTON.body == ask(running.url + "/any/path").body


def test_a_miss_is_404_in_the_shape_of_the_api_with_the_nearest_and_why(server: ReplayServer) -> None:
    found = ask(server.url + CHAT, ASKED)
    error = json.loads(found.body)["error"]
    assert (404, "not_found") == (found.status, error["code"])
    assert "body_differs" == error["streamkit"]["reason"]
    assert {"method": "POST", "url": "https://api.openai.com/v1/chat/completions"} == error["streamkit"]["nearest"]
    assert '$.model: recorded "gpt-4", sent "m"' in error["streamkit"]["differences"]
    assert "/case/NAME/v1" in error["message"]


def test_a_miss_of_another_api_has_the_shape_of_that(server: ReplayServer) -> None:
    found = json.loads(ask(server.url + "/v1/messages").body)
    assert ("error", "not_found_error") == (found["type"], found["error"]["type"])


def test_the_models_are_those_of_the_recorded_requests(server: ReplayServer) -> None:
    listed = json.loads(ask(server.url + "/v1/models", b"", method="GET").body)
    assert ("list", ["gpt-4"]) == (listed["object"], [one["id"] for one in listed["data"]])
    assert "gpt-4" == json.loads(ask(server.url + "/v1/models/gpt-4", b"", method="GET").body)["id"]
    assert "new" == json.loads(ask(server.case_url(BOSTON) + "/models/new", b"", method="GET").body)["id"]


def test_anthropics_client_gets_models_in_its_own_shape(server: ReplayServer) -> None:
    found = ask(server.url + "/v1/models", b"", method="GET", headers=["anthropic-version: 2023-06-01"])
    assert "model" == json.loads(found.body)["data"][0]["type"]


def test_health_is_answered_and_a_get_of_an_endpoint_is_told_to_post(server: ReplayServer) -> None:
    assert "ok" == json.loads(ask(server.url + "/", b"", method="GET").body)["status"]
    found = ask(server.url + CHAT, b"", method="GET")
    assert (405, "POST") == (found.status, found.headers["allow"])
    assert 200 == ask(server.url + "/health", b"", method="HEAD").status


def test_a_page_of_another_origin_may_read_the_answers_where_that_is_asked_for() -> None:
    with ReplayServer(BOSTON, cors=True) as running:
        headers = ["Access-Control-Request-Headers: authorization"]
        preflight = ask(running.url + CHAT, b"", method="OPTIONS", headers=headers)
        assert (200, "authorization") == (preflight.status, preflight.headers["access-control-allow-headers"])
        found = ask(running.case_url(BOSTON) + "/chat/completions")
        assert "*" == found.headers["access-control-allow-origin"]


@pytest.mark.parametrize("name", ["secret.sse", "/{folder}/secret.sse", "../secret.sse", "%2e%2e/secret"])
def test_a_path_is_no_name_and_no_file_can_be_read_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "secret.sse").write_bytes(b"data: secret\n\n")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path if name == "secret.sse" else tmp_path / "sub")
    with ReplayServer(BOSTON) as running:
        found = ask(f"{running.url}/case/{name.format(folder=str(tmp_path).lstrip('/'))}/v1/chat/completions")
        told = ask(running.url + CHAT, headers=[f"x-streamkit: {name}"])
    assert (400, 400) == (found.status, told.status)
    assert b"secret\n" not in found.body + told.body


def test_a_cassette_that_was_recorded_anew_is_read_anew(tmp_path: Path) -> None:
    with ReplayServer(folder=tmp_path) as running:
        for text in (b"data: one\n\n", b"data: two\n\n"):
            (tmp_path / "mine.sse").write_bytes(text)
            os.utime(tmp_path / "mine.sse", ns=(0, len(text) if text == b"data: one\n\n" else 10**9))
            assert text == ask(running.url + "/case/mine/v1/x").body


def test_a_header_holds_what_a_path_holds(tmp_path: Path) -> None:
    (tmp_path / "caf\u00e9.sse").write_bytes(b"data: 1\n\n")
    with ReplayServer(folder=tmp_path) as running, connect(running.url) as connection:
        (tmp_path / "a%41=b.sse").write_bytes(b"data: 1\n\n")
        for name in ("caf\u00e9", "caf%C3%A9", "a%41=b", "a%2541=b"):
            steered = request(running.url + CHAT, headers=["x-streamkit: NAME;cuts=3"])
            connection.sendall(steered.replace(b"NAME", name.encode()))
            assert [b"dat", b"a: 1\n\n"] == reply(connection).chunks


def test_a_name_may_hold_an_equals_sign_as_those_of_parametrized_tests_do(tmp_path: Path) -> None:
    (tmp_path / "test_x[n=1].sse").write_bytes(b"data: 1\n\n")
    with ReplayServer(folder=tmp_path) as running:
        assert [b"dat", b"a: 1\n\n"] == ask(running.case_url("test_x[n=1]", "cuts=3") + "/x").chunks
        assert 400 == ask(running.url + "/case/rest=1/v1/x").status


def test_a_client_that_takes_it_for_a_proxy_is_steered_too(server: ReplayServer) -> None:
    url = server.case_url(BOSTON.name, "cuts=99") + "/chat/completions"
    sent = request(url).replace(b"POST /", b"POST http://api.example.com/")
    with connect(url) as connection:
        connection.sendall(sent)
        assert Fragmentation.at(99).chunks(BOSTON.body) == reply(connection).chunks


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_tells_no_length_of_it(server: ReplayServer, status: int) -> None:
    offer = server.offer(Delivery(ResponseHead(status, "x", ()), []))
    with connect(offer.url) as connection:
        for _ in range(2):
            connection.sendall(request(offer.url))
            assert f"HTTP/1.1 {status} x\r\n\r\n".encode() == connection.recv(65536)


def test_writes_that_lie_beyond_the_answer_are_told(server: ReplayServer) -> None:
    found = ask(server.case_url(BOSTON.name, "writes=99999") + "/chat/completions")
    assert (400, "whole") == (found.status, found.ended)
    assert b"beyond" in found.body


# -- the log


def test_the_log_tells_each_request_and_how_to_repeat_it() -> None:
    lines: list[dict[str, Any]] = []
    with ReplayServer(BOSTON, log=lines.append) as running:
        ask(running.case_url(f"{BOSTON.name};cuts=7;reset=1000") + "/chat/completions")
        (one,) = running.wait_for(1)
    token = str(Case(BOSTON, Fragmentation.at(7)).token)
    assert (token, "reset=1000", "reset") == (one["answer"], one["how"], one["ended"])
    assert (1, "POST", 200, 2) == (one["number"], one["method"], one["status"], one["writes"])
    assert [one] == lines
    assert json.loads(json.dumps(one)) == one


def test_a_key_in_the_url_does_not_come_into_the_log(server: ReplayServer) -> None:
    with ReplayServer(BOSTON) as running:
        ask(running.url + "/v1beta/models/m:streamGenerateContent?alt=sse&key=AIzaSyA1234567890abcdefghijklmnopqrstu")
        assert "AIzaSyA1234567890" not in str(running.wait_for(1))


def test_a_listener_that_fails_takes_nothing_from_the_clients(caplog: pytest.LogCaptureFixture) -> None:
    def full(record: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    with ReplayServer(BOSTON, log=full) as running, connect(running.url) as connection:
        for _ in range(3):
            connection.sendall(request(running.case_url(BOSTON.name) + "/chat/completions"))
            assert BOSTON.body == reply(connection).body
        assert 3 == len(running.wait_for(3))
    assert "No space left on device" in caplog.text


def test_a_key_in_the_path_or_before_the_host_does_not_come_into_the_log(tmp_path: Path) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
    with ReplayServer(BOSTON) as running, RecordingProxy(running.url, tmp_path / "c.yaml") as proxy:
        for one in (running, proxy):
            ask(f"{one.url}/{key}/v1/x")
            with connect(one.url) as connection:
                connection.sendall(request(one.url + CHAT).replace(b"POST /", b"POST http://user:pass-1@host/"))
                reply(connection)
            assert {"/REDACTED/v1/x", "http://REDACTED@host" + CHAT} == {line["path"] for line in one.wait_for(2)}


# -- starting and stopping


def test_connections_that_have_just_come_are_closed_when_it_stops() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        running = ReplayServer(BOSTON).start()
        clients = [connect(running.url) for _ in range(50)]
        running.close()
        gc.collect()
        for client in clients:
            client.close()
    assert [] == [str(one.message) for one in told if one.category is ResourceWarning]


def test_a_port_that_is_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*in use.*--port 0"):
            ReplayServer(BOSTON, port=port).start()


def test_an_address_that_is_not_of_this_machine_is_told() -> None:
    with pytest.raises(UsageError, match="cannot listen on"):
        ReplayServer(BOSTON, host="192.0.2.1").start()


def test_a_server_that_was_closed_refuses_connections_and_can_be_started_again() -> None:
    running = ReplayServer(BOSTON)
    with running:
        url = running.url
    with pytest.raises(ConnectionRefusedError):
        ask(url)
    with running:
        assert BOSTON.body == ask(running.case_url(BOSTON) + "/chat/completions").body


def test_a_stream_under_way_is_let_end_within_the_grace_and_cut_off_after_it() -> None:
    slow = Delivery(ResponseHead(), [b"ab", b"cd"])
    with ReplayServer(BOSTON) as running, connect(running.url) as one:
        one.sendall(request(running.offer(slow, "gap=200").url))
        one.recv(1, socket.MSG_PEEK)  # it is under way
        running.close(grace=10)
        assert [b"ab", b"cd"] == reply(one).chunks
    with ReplayServer(BOSTON) as running, connect(running.url) as one:
        one.sendall(request(running.offer(slow, "stall=1").url))
        one.recv(1, socket.MSG_PEEK)
        running.close()
        assert "whole" != reply(one).ended
    assert "server_stopped" == running.log[-1]["ended"]


def test_urls_need_a_server_that_listens_and_a_transcript_with_a_name(server: ReplayServer) -> None:
    with pytest.raises(UsageError, match="does not listen"):
        ReplayServer(BOSTON).base_url()
    with pytest.raises(UsageError, match="offer"):
        server.case_url(Transcript(b"data: 1\n\n"))
    with pytest.raises(UsageError, match="needs a seed"):
        ReplayServer(BOSTON, mutate=Class.FAULT)
