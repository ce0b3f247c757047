"""One marked test after the other: what one leaves open or patched does not reach the next."""

from __future__ import annotations

import pytest
from skhelpers.pytest_project import ASYNC, ONCE, again, questions, run
from skhelpers.server import StreamServer


def test_a_stream_that_a_test_leaves_open_does_not_reach_the_next_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
KEPT = []

@pytest.mark.streamkit
def test_leaves_it_open():
    client = httpx.Client(trust_env=False)
    response = client.send(client.build_request("POST", f"{URL}/v1/chat", json={"q": "left"}), stream=True)
    parts = response.iter_raw()
    KEPT.append((client, response, parts, next(parts)))

@pytest.mark.streamkit
def test_next():
    ask("next")

def test_unmarked():
    ask("unmarked")

def test_closes_it():
    (client, response, parts, first) = KEPT.pop()
    response.close()
    client.close()
"""
    run(project, source, ONCE).assert_outcomes(passed=4)
    assert ["left"] == questions(project, "test_it/test_leaves_it_open")
    assert ["next"] == questions(project, "test_it/test_next")
    assert 3 == len(upstream.seen)
    again(project).assert_outcomes(passed=4)
    assert 4 == len(upstream.seen), "the unmarked test reaches the server"


def test_an_async_stream_that_a_test_leaves_open_does_not_reach_the_next_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    pytest.importorskip("pytest_asyncio")
    source = f"""
{ASYNC}
KEPT = []

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_leaves_it_open():
    client = httpx.AsyncClient(trust_env=False)
    response = await client.send(client.build_request("POST", f"{{URL}}/v1/chat", json={{"q": "left"}}), stream=True)
    parts = response.aiter_raw()
    KEPT.append((client, response, parts, await anext(parts)))

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_next():
    await aask("next")

@pytest.mark.asyncio
async def test_unmarked():
    await aask("unmarked")
"""
    run(project, source, ONCE).assert_outcomes(passed=3)
    assert ["left"] == questions(project, "test_it/test_leaves_it_open")
    assert ["next"] == questions(project, "test_it/test_next")
    again(project).assert_outcomes(passed=3)
    assert 4 == len(upstream.seen), "the unmarked test reaches the server"


@pytest.mark.parametrize("rest", ["", "    assert False\n", "    pytest.skip('no')\n"])
def test_after_a_marked_test_the_clients_are_themselves_again(rest: str, project: pytest.Pytester) -> None:
    source = f"""
import http.client, socket
PLACES = [(httpx.HTTPTransport, "handle_request"), (httpx.AsyncHTTPTransport, "handle_async_request"),
          (socket.socket, "connect"), (socket, "getaddrinfo"), (http.client, "HTTPConnection")]
BEFORE = [getattr(*place) for place in PLACES]

@pytest.mark.streamkit
def test_a():
    assert BEFORE[0] is not httpx.HTTPTransport.handle_request
    try:
        ask()
    except Exception:
        pass
{rest}
def test_b():
    assert BEFORE == [getattr(*place) for place in PLACES]
"""
    for arguments in ([], [ONCE]):
        run(project, source, *arguments).assert_outcomes(
            passed=2 - bool(rest), failed=int("False" in rest), skipped=int("skip" in rest)
        )
