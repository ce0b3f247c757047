"""The network in tests: blocked where only cassettes may answer, open where something is recorded, and open again."""

from __future__ import annotations

# Loaded here once: a run of pytest inside this process forgets the modules that it loads, and the next loads them anew.
import httpcore  # noqa: F401
import httpx  # noqa: F401
import pytest
import vcr.patch  # noqa: F401
from skhelpers.server import StreamServer

import streamkit.pytest_cassettes
import streamkit.replay.use  # noqa: F401

PRELUDE = """
import os
import socket
import httpx
import pytest

URL = os.environ["UPSTREAM"]
PORT = int(URL.rpartition(":")[2])

def knock():
    socket.create_connection(("127.0.0.1", PORT)).close()
"""
ON = "--streamkit-block-network=on"
OFF = "--streamkit-block-network=off"
ONCE = "--streamkit-record=once"
BLOCKED = "*NetworkBlockedError: the network is blocked, and something connects to 127.0.0.1:*"


def run(project: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run a test file in this process. Schemathesis stays out: it wraps collection, and has a test of its own."""
    (project.path / "test_it.py").write_text(PRELUDE + source, "utf-8")
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


MARKED = "@pytest.mark.streamkit\ndef test_a():\n    knock()\n"
UNMARKED = "def test_a():\n    knock()\n"


@pytest.mark.parametrize(
    ("source", "arguments", "reached"),
    [
        (MARKED, [], False),
        (MARKED, [ON], False),
        (MARKED, ["--streamkit-block-network", "-v"], False),
        (MARKED, [OFF], True),
        (MARKED, [ONCE], True),
        (MARKED, [ONCE, ON], True),
        (UNMARKED, [], True),
        (UNMARKED, [ON], False),
        (UNMARKED, [ON, ONCE], False),
        (UNMARKED, [OFF], True),
        (MARKED, ["-o", "streamkit_allowed_hosts=127.0.0.1"], True),
        (MARKED, ["-o", "streamkit_allowed_hosts=example.org localhost"], True),
        (UNMARKED, [ON, "-o", "streamkit_allowed_hosts=127.0.0.1"], True),
        (MARKED.replace("streamkit", "streamkit(allowed_hosts=['127.0.0.1'])"), [], True),
        (MARKED.replace("streamkit", "streamkit(allowed_hosts='127.0.0.*')"), [], True),
        (MARKED.replace("streamkit", "streamkit(allowed_hosts=['127.0.0.2'])"), [], False),
        (
            MARKED.replace("streamkit", "streamkit(allowed_hosts=['127.0.0.2'])"),
            ["-o", "streamkit_allowed_hosts=127.0.0.1"],
            True,
        ),
        (MARKED.replace("streamkit", "streamkit(record_mode='once')"), [], True),
    ],
)
def test_the_network_is_blocked_where_nothing_is_recorded(
    source: str, arguments: list[str], reached: bool, project: pytest.Pytester
) -> None:
    result = run(project, source, *arguments)
    result.assert_outcomes(**{"passed" if reached else "failed": 1})
    if not reached:
        result.stdout.fnmatch_lines([BLOCKED])


def test_allowed_hosts_of_the_fixture_count(project: pytest.Pytester) -> None:
    config = "\n@pytest.fixture\ndef streamkit_config():\n    return {'allowed_hosts': ['127.0.0.1']}\n"
    run(project, config + MARKED).assert_outcomes(passed=1)


def test_an_allowed_host_is_no_way_around_the_cassette(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
@pytest.mark.streamkit(allowed_hosts=["127.0.0.1"])
def test_a():
    httpx.post(URL, json={}, trust_env=False)
"""
    result = run(project, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*UnmatchedRequestError: no recorded interaction answers POST *"])
    assert [] == upstream.seen


@pytest.mark.parametrize("mark", ["", "@pytest.mark.streamkit\n"])
def test_the_block_also_holds_in_the_fixtures_of_a_test(mark: str, project: pytest.Pytester) -> None:
    source = f"""
@pytest.fixture
def before():
    knock()

@pytest.fixture
def after():
    yield
    knock()

{mark}def test_before(before): ...

{mark}def test_after(after): ...
"""
    run(project, source, ON).assert_outcomes(passed=1, errors=2)


@pytest.mark.parametrize("ends", ["", "    assert False\n", "    pytest.skip('no')\n", "    knock()\n"])
@pytest.mark.parametrize("mark", ["@pytest.mark.streamkit\n", ""])
def test_the_block_ends_with_its_test(mark: str, ends: str, project: pytest.Pytester, upstream: StreamServer) -> None:
    source = f"""
{mark}def test_blocked():
    pass
{ends}

@pytest.mark.streamkit(record_mode="once")
def test_open():
    knock()
"""
    result = run(project, source, ON)
    assert "test_open" not in result.stdout.str()
    assert 1 == result.parseoutcomes()["passed"] - (not ends)


def test_a_test_that_cannot_be_set_up_leaves_the_network_open_for_the_next(project: pytest.Pytester) -> None:
    source = """
@pytest.fixture
def broken():
    raise RuntimeError

@pytest.mark.streamkit
def test_a(broken): ...

def test_b():
    knock()
"""
    run(project, source).assert_outcomes(errors=1, passed=1)


def test_local_sockets_and_event_loops_work_in_a_blocked_test(project: pytest.Pytester) -> None:
    source = """
import asyncio

@pytest.mark.streamkit
def test_a(tmp_path, monkeypatch):
    for pair in socket.socketpair():
        pair.close()
    if hasattr(socket, "AF_UNIX"):
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("s")
            server.listen()
            client.connect("s")
    asyncio.run(asyncio.sleep(0))
"""
    run(project, source).assert_outcomes(passed=1)


def test_what_else_is_left_open_by_a_blocked_connection_is_nothing(project: pytest.Pytester) -> None:
    source = """
import asyncio, gc, urllib.request

@pytest.mark.streamkit
@pytest.mark.parametrize("n", range(3))
def test_a(n):
    with pytest.raises(Exception, match="the network is blocked"):
        if n == 0:
            knock()
        elif n == 1:
            asyncio.run(asyncio.open_connection("127.0.0.1", PORT))
        else:
            socket.getaddrinfo("api.example.org", 443)
    gc.collect()
"""
    run(project, source).assert_outcomes(passed=3)


def test_the_two_values_are_the_only_ones(project: pytest.Pytester) -> None:
    result = run(project, MARKED, "--streamkit-block-network=perhaps")
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*--streamkit-block-network*invalid choice: 'perhaps'*"])


def test_workers_do_their_work_behind_the_block(project: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    source = """
@pytest.mark.parametrize("n", range(4))
def test_unmarked(n):
    with pytest.raises(Exception, match="the network is blocked"):
        knock()

@pytest.mark.streamkit
@pytest.mark.parametrize("n", range(4))
def test_marked(n):
    with pytest.raises(Exception, match="the network is blocked"):
        knock()
"""
    (project.path / "test_it.py").write_text(PRELUDE + source, "utf-8")
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", ON, "-n", "2")
    result.assert_outcomes(passed=8)


def test_the_block_of_pytest_recording_and_ours_live_together(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_recording")
    source = """
@pytest.mark.streamkit
def test_ours_and_theirs():
    with pytest.raises(Exception, match="(?i)network is (blocked|disabled)"):
        knock()

def test_theirs():
    with pytest.raises(RuntimeError, match="Network is disabled"):
        knock()

@pytest.mark.streamkit
@pytest.mark.block_network(allowed_hosts=["127.0.0.1"])
def test_what_one_of_them_allows_the_other_does_not():
    with pytest.raises(Exception, match="(?i)network is (blocked|disabled)"):
        knock()
"""
    # What pytest-recording blocks, the client leaves unclosed.
    arguments = ["--block-network", "-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    run(project, source, *arguments).assert_outcomes(passed=3)
    run(project, UNMARKED).assert_outcomes(passed=1)


def test_after_both_blocks_the_network_is_open(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_recording")
    source = """
BEFORE = [getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")]

@pytest.mark.streamkit
@pytest.mark.block_network
def test_a(): ...

def test_b():
    assert BEFORE == [getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")]
    knock()
"""
    run(project, source).assert_outcomes(passed=2)
