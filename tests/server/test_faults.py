"""Faults on the wire, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import httpx
import pytest
from skhelpers.raw_http import ask, connect, reply, request

import streamkit
from streamkit.replay.delivery import Delivery
from streamkit.server import ReplayServer
from streamkit.server.connection import Connection, Limits
from streamkit.transcript import Chunk, Ending, ResponseHead, Transcript

BOSTON = streamkit.load("openai_chat/boston_weather")
SHORT = Limits(head=4096, body=2000, read=0.3, write=0.3, idle=0.3)


# -- endings


@pytest.mark.parametrize("place", [0, 1, 1500, 3219, -1])
def test_a_reset_arrives_as_a_reset_after_its_byte_and_not_as_an_end(place: int) -> None:
    with ReplayServer(BOSTON) as server:
        found = ask(server.case_url(f"{BOSTON.name};cuts=99,100;reset={place}") + "/chat/completions")
    assert BOSTON.body[: place if place >= 0 else len(BOSTON.body) + place] == found.body
    assert "reset" == found.ended


def test_a_reset_of_a_body_that_ends_with_the_connection_is_no_end_either() -> None:
    with ReplayServer(BOSTON) as server:
        found = ask(server.case_url(f"{BOSTON.name};reset=1500;framing=close") + "/chat/completions")
        assert "reset" == found.ended
        with pytest.raises(httpx.ReadError):
            httpx.post(server.case_url(f"{BOSTON.name};reset=1500;framing=close") + "/x", content=b"{}")


def test_a_large_body_arrives_whole_before_the_reset() -> None:
    body = b"data: " + b"x" * 3_000_000 + b"\n\n"
    with ReplayServer(BOSTON) as server, server.offer(Transcript(body), "reset=3000008") as offer:
        found = ask(offer.url)
    assert (body, "reset") == (found.body, found.ended)


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_connection_that_is_closed_early_ends_before_http_says_so(framing: str) -> None:
    with ReplayServer(BOSTON) as server:
        url = server.case_url(f"{BOSTON.name};close=1500;framing={framing}") + "/chat/completions"
        found = ask(url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url, content=b"{}")
    assert (BOSTON.body[:1500], "eof") == (found.body, found.ended)


def test_a_closed_body_without_framing_looks_like_an_end() -> None:
    with ReplayServer(BOSTON) as server:
        url = server.case_url(f"{BOSTON.name};close=1500;framing=close") + "/chat/completions"
        assert BOSTON.body[:1500] == httpx.post(url, content=b"{}").content


def test_a_stall_ends_when_the_client_goes() -> None:
    with ReplayServer(BOSTON) as server:
        url = server.case_url(f"{BOSTON.name};stall=1500") + "/chat/completions"
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, content=b"{}", timeout=0.2)
        (one,) = server.wait_for(1)
    assert "stalled, client_closed" == one["ended"]


def test_a_stall_can_have_an_end() -> None:
    with ReplayServer(BOSTON) as server:
        found = ask(server.case_url(f"{BOSTON.name};stall=1500;stall_for=20") + "/chat/completions")
    assert (BOSTON.body[:1500], "eof") == (found.body, found.ended)


def test_a_recorded_break_comes_again() -> None:
    chunks = [Chunk(BOSTON.body[:1000], 0), Chunk(BOSTON.body[1000:1102], 5)]
    for ending, expected in ((Ending.RESET, "reset"), (Ending.INCOMPLETE, "eof"), (Ending.TRUNCATED, "whole")):
        broken = Transcript.from_chunks(chunks, ending=ending, missing=7 if ending is Ending.INCOMPLETE else 0)
        with ReplayServer(BOSTON) as server, server.offer(broken) as offer:
            found = ask(offer.url)
        body = found.body + (found.rest.partition(b"\r\n")[2] if ending is Ending.INCOMPLETE else b"")
        assert (BOSTON.body[:1102], expected) == (body, found.ended)


def test_the_end_of_the_body_can_be_held_back_after_the_last_event() -> None:
    with ReplayServer(BOSTON) as server, server.offer(BOSTON, "hold=60000") as offer, connect(offer.url) as one:
        one.sendall(request(offer.url))
        data = b""
        while b"[DONE]\n\n\r\n" not in data:
            data += one.recv(65536)
        one.settimeout(0.1)
        with pytest.raises(TimeoutError):
            one.recv(1)


# -- statuses and pages


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_comes_in_the_shape_of_the_api_with_its_retry_after(status: int) -> None:
    with ReplayServer(BOSTON) as server:
        found = ask(server.case_url(f"{BOSTON.name};status={status};retry_after=2") + "/chat/completions")
    assert (status, "2") == (found.status, found.headers["retry-after"])
    assert "told to answer so" in json.loads(found.body)["error"]["message"]


def test_a_page_of_html_comes_with_a_status_or_in_the_place_of_the_stream() -> None:
    with ReplayServer(BOSTON) as server:
        error = ask(server.case_url(f"{BOSTON.name};status=502;page=html") + "/chat/completions")
        page = ask(server.case_url(f"{BOSTON.name};page=html") + "/chat/completions")
        empty = ask(server.case_url(f"{BOSTON.name};page=empty") + "/chat/completions")
    assert (502, "text/html") == (error.status, error.headers["content-type"])
    assert b"502 Bad Gateway" in error.body
    assert (200, "text/html") == (page.status, page.headers["content-type"])
    assert (200, b"", "text/event-stream; charset=utf-8") == (empty.status, empty.body, empty.headers["content-type"])


def test_a_fault_can_be_for_the_first_requests_only() -> None:
    with ReplayServer(BOSTON) as server:
        url = server.case_url(f"{BOSTON.name};status=503;first=2") + "/chat/completions"
        assert [503, 503, 200, 200] == [ask(url).status for _ in range(4)]


def test_a_slow_head_is_the_same_head() -> None:
    with ReplayServer(BOSTON) as server:
        plain = ask(server.case_url(BOSTON) + "/chat/completions")
        slow = ask(server.case_url(BOSTON, "head_delay=10;head_drip=30") + "/chat/completions")
    assert (plain.raw_head, plain.body) == (slow.raw_head, slow.body)


def test_a_client_that_does_not_accept_a_coding_gets_the_plain_body() -> None:
    with ReplayServer(BOSTON) as server:
        url = server.case_url(BOSTON, "encoding=gzip") + "/chat/completions"
        plain = ask(url)
        refused = ask(url, headers=["Accept-Encoding: gzip;q=0, br"])
        pressed = ask(url, headers=["Accept-Encoding: br, gzip"])
        assert BOSTON.body == httpx.post(url, content=b"{}").content
        assert "does not accept gzip" in server.log[0]["note"]
    assert [BOSTON.body] * 2 == [plain.body, refused.body]
    assert "gzip" == pressed.headers["content-encoding"]


# -- a whole server that misbehaves, and one that draws


def test_the_conduct_of_the_server_holds_where_a_request_asks_for_none() -> None:
    with ReplayServer(BOSTON, how="reset=100") as server:
        assert "reset" == ask(server.case_url(BOSTON) + "/x").ended
        assert "eof" == ask(server.case_url(BOSTON, "close=100") + "/x").ended
        assert 200 == ask(server.url + "/v1/models", b"", method="GET").status


def test_a_seed_cuts_each_answer_in_another_way_and_the_same_seed_in_the_same() -> None:
    def answers(seed: int) -> list[tuple[str, bytes]]:
        with ReplayServer(BOSTON, seed=seed, match_on=["method", "path"]) as server:
            bodies = [ask(server.url + "/v1/chat/completions").body for _ in range(6)]
            return list(zip([one["answer"] for one in server.wait_for(6)], bodies, strict=True))

    first = answers(1)
    assert first == answers(1)
    assert first != answers(2)
    assert {BOSTON.body} == {body for _, body in first}
    assert len({token for token, _ in first}) > 3


def test_drawn_mutations_are_told_by_tokens_that_repeat_them() -> None:
    from streamkit.mutations.registry import Class

    with ReplayServer(BOSTON, seed=3, mutate=Class.FAULT, match_on=["method", "path"]) as server:
        body = ask(server.url + "/v1/chat/completions").body
        (one,) = server.wait_for(1)
        again = ask(server.case_url(one["answer"]) + "/chat/completions").body
    assert BOSTON.body != body == again


# -- clients that misbehave


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"GARBAGE\r\n\r\n", 400, "cannot be read"),
        (b"POST / HTTP/1.1\r\n\r\n", 400, "cannot be read"),  # without a host
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "cannot be read"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "cannot be read"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 8000, 431, "cannot be read"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, 413, "more than 2000 bytes"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", 408, "did not come whole"),
        (b"POST / HTTP/1.1\r\nHo", 408, "no whole request"),
    ],
)
def test_a_request_that_cannot_be_read_is_answered_and_the_server_lives_on(sent: bytes, status: int, said: str) -> None:
    with ReplayServer(BOSTON, limits=SHORT) as server:
        with connect(server.url) as one:
            one.sendall(sent)
            found = reply(one)
        assert status == found.status
        assert said in json.loads(found.body)["error"]["message"]
        assert said in server.wait_for(1)[0]["error"]
        assert BOSTON.body == ask(server.case_url(BOSTON) + "/x").body


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"])
def test_a_client_that_goes_away_is_no_trouble(sent: bytes) -> None:
    with ReplayServer(BOSTON) as server:
        connect(server.url).close()
        with connect(server.url) as one:
            one.sendall(sent)
        assert BOSTON.body == ask(server.case_url(BOSTON) + "/x").body


def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    with ReplayServer(BOSTON, limits=SHORT) as server, connect(server.url) as one:
        assert b"" == one.recv(1)


def test_a_client_that_reads_nothing_is_given_up_and_costs_no_memory() -> None:
    body = Delivery(ResponseHead(), [b"x" * 65536] * 2000)
    with ReplayServer(BOSTON, limits=Limits(write=0.3)) as server, server.offer(body) as offer:
        with connect(offer.url, receive_buffer=4096) as one:
            one.sendall(request(offer.url))
            (told,) = server.wait_for(1)
        assert BOSTON.body == ask(server.case_url(BOSTON) + "/x").body
    assert "slow_client" == told["ended"]
    assert told["bytes"] < 20_000_000  # what two kernels hold, of 131 million


def test_a_client_that_takes_little_at_a_time_gets_every_byte() -> None:
    body = b"".join(b"data: %d\n\n" % number for number in range(60_000))
    with ReplayServer(BOSTON) as server, connect(server.url, receive_buffer=4096) as one:
        one.sendall(request(server.offer(Transcript(body), "framing=length").url))
        found = reply(one)
    assert body == found.body


def test_a_client_that_closes_in_mid_stream_is_told_in_the_log() -> None:
    with ReplayServer(BOSTON) as server, server.offer(Delivery(ResponseHead(), [b"x" * 100] * 500), "gap=5") as offer:
        with connect(offer.url) as one:
            one.sendall(request(offer.url))
            one.recv(10)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert "client_closed" == server.wait_for(1)[0]["ended"]


def test_two_tests_with_the_same_url_each_meet_its_first_requests() -> None:
    with ReplayServer("openai_chat/boston_weather") as server:
        for _ in range(2):
            url = server.case_url("openai_chat/boston_weather", "status=503;first=1") + "/chat/completions"
            other = url.replace("status=503;", "status=503%3B").replace("%2F", "/")  # the same to every reader of URLs
            assert [503, 200, 200] == [ask(one).status for one in (url, other, url)]


def test_a_connection_that_is_closed_already_can_be_reset() -> None:
    async def resets() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = Connection(reader, writer, Limits())
            connection.abort()
            with suppress(OSError):
                await writer.wait_closed()  # from now on its socket has no number
            try:
                await connection.reset()
            except Exception as error:  # noqa: BLE001 - the test shows whatever it is
                done.set_exception(error)
            else:
                done.set_result(None)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await done
            writer.close()

    asyncio.run(asyncio.wait_for(resets(), 10))
