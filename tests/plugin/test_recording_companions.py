"""Recording in tests beside pytest-recording, Hypothesis, asyncio and workers; and secrets, which no file may keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from skhelpers.server import Answer, StreamServer, body

BODY = body()
KEY = "sk-" + "test" * 8
COOKIE = "session-" + "fake" * 8
PRELUDE = """
import os
import httpx
import pytest
import requests

URL = os.environ["UPSTREAM"]

def ask(question="hello"):
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{URL}/v1/chat", json={"q": question}).content
"""


def run(project: pytest.Pytester, *arguments: str, source: str | None = None) -> pytest.RunResult:
    """Run the project's tests in a process of their own."""
    if source is not None:
        (project.path / "test_it.py").write_text(PRELUDE + source, "utf-8")
    return project.runpytest_subprocess("-p", "no:schemathesis", *arguments)


def cassettes(project: pytest.Pytester) -> list[str]:
    """Return the paths of all cassettes of the project."""
    return sorted(path.relative_to(project.path).as_posix() for path in project.path.rglob("*.yaml"))


# -- pytest-recording

BOTH = """
@pytest.mark.vcr
def test_theirs(vcr):
    assert b"[DONE]" in requests.post(f"{URL}/v1/chat", json={"q": "theirs"}).content
    assert 1 == len(vcr)

@pytest.mark.default_cassette("a_name.yaml")
@pytest.mark.vcr
def test_theirs_by_name():
    requests.post(f"{URL}/v1/chat", json={"q": "theirs"})

@pytest.mark.streamkit
def test_ours(streamkit_cassette, vcr):
    assert b"[DONE]" in ask("ours")
    assert vcr is None

def test_neither(vcr):
    assert vcr is None
"""


def test_each_plugin_records_and_replays_its_own_tests(project: pytest.Pytester, upstream: StreamServer) -> None:
    pytest.importorskip("pytest_recording")
    theirs = ["cassettes/test_it/a_name.yaml", "cassettes/test_it/test_theirs.yaml"]
    run(project, "--streamkit-record=once", source=BOTH).assert_outcomes(passed=2, failed=2)
    assert ["cassettes/test_it/test_ours.yaml"] == cassettes(project)
    run(project, "--record-mode=once").assert_outcomes(passed=4)
    assert sorted([*theirs, "cassettes/test_it/test_ours.yaml"]) == cassettes(project)
    seen = len(upstream.seen)
    upstream.close()
    result = run(project, "--streamkit-strict", "--block-network")
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*no test uses*")
    assert seen == len(upstream.seen)


@pytest.mark.parametrize("arguments", [[], ["--streamkit-record=once"], ["--record-mode=once"]])
@pytest.mark.parametrize("where", ["function", "module"])
def test_a_test_that_both_would_record_is_an_error(
    where: str, arguments: list[str], project: pytest.Pytester, upstream: StreamServer
) -> None:
    pytest.importorskip("pytest_recording")
    marks = {"function": "@pytest.mark.vcr\n@pytest.mark.streamkit\n", "module": "@pytest.mark.streamkit\n"}
    head = "pytestmark = pytest.mark.vcr\n" if where == "module" else ""
    result = run(project, *arguments, source=f"{head}\n{marks[where]}def test_a():\n    ask()\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*@pytest.mark.streamkit: the test is marked with vcr too, and only one can record it*"]
    )
    assert [] == upstream.seen
    assert [] == cassettes(project)


# -- without the others

ALONE = ("recording", "anyio", "asyncio", "xdist", "xdist.looponfail", "hypothesispytest", "cacheprovider", "randomly")


def test_it_needs_none_of_the_other_plugins(project: pytest.Pytester, upstream: StreamServer) -> None:
    project.makeini("[pytest]\nfilterwarnings = error\n")
    left_out = [argument for name in ALONE for argument in ("-p", f"no:{name}")]
    source = "\n@pytest.mark.streamkit\ndef test_a():\n    ask()\n"
    run(project, "--streamkit-record=once", *left_out, source=source).assert_outcomes(passed=1)
    upstream.close()
    run(project, "--streamkit-strict", *left_out).assert_outcomes(passed=1)


# -- all together

TOGETHER = """
import asyncio
from hypothesis import given, settings, strategies as st

pytestmark = pytest.mark.streamkit

async def aask(question):
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(f"{URL}/v1/chat", json={"q": question})).content

@pytest.mark.asyncio
async def test_asyncio():
    first, second = await asyncio.gather(aask("one"), aask("two"))
    assert first == second

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def greeted(anyio_backend):
    return await aask("greeting")

@pytest.mark.anyio
async def test_anyio(greeted):
    assert greeted == await aask("one")

@given(st.just("letter"))
@settings(max_examples=3, deadline=None, database=None)
def test_hypothesis(letter):
    assert ask(letter)

@pytest.mark.parametrize("n", range(5))
def test_plain(n):
    assert ask(str(n))
"""


@pytest.mark.parametrize("workers", [[], ["-n", "2"], ["-n", "2", "--dist=loadfile"]], ids=" ".join)
def test_all_kinds_of_tests_record_and_replay_at_once(
    workers: list[str], project: pytest.Pytester, upstream: StreamServer
) -> None:
    for module in ("anyio", "pytest_asyncio", "xdist"):
        pytest.importorskip(module)
    run(project, "--streamkit-record=once", *workers, source=TOGETHER).assert_outcomes(passed=8)
    assert 8 == len(cassettes(project))
    upstream.close()
    result = run(project, "--streamkit-strict", *workers)
    result.assert_outcomes(passed=8)
    assert pytest.ExitCode.OK == result.ret


# -- secrets

SECRETS = """
import asyncio
import urllib3
import openai
import aiohttp

KEY = "sk-" + "test" * 8
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
LIVE = "LIVE" in os.environ
pytestmark = pytest.mark.streamkit

def look(data):
    if LIVE != (KEY.encode() in data):  # an assert would write down what it saw
        raise RuntimeError("the program sees the key of a live answer, and of no other")

def test_httpx():
    with httpx.Client(trust_env=False, headers=HEADERS) as client:
        with client.stream("POST", f"{URL}/v1/chat", json={}) as response:
            look(b"".join(response.iter_raw()))

def test_requests():
    look(b"".join(requests.post(f"{URL}/v1/chat", headers=HEADERS, data="{}", stream=True).iter_content(None)))

def test_urllib3():
    with urllib3.PoolManager() as pool:
        look(pool.request("POST", f"{URL}/v1/chat", headers=HEADERS, body=b"{}").data)

def test_aiohttp():
    async def ask():
        async with aiohttp.ClientSession(headers=HEADERS) as session, session.post(f"{URL}/v1/chat", data=b"{}") as got:
            return await got.read()
    look(asyncio.run(ask()))

def test_openai():
    with openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0) as client:
        with client.chat.completions.create(model="m", messages=[], stream=True) as stream:
            assert list(stream)

def test_a_failure_or_a_miss():
    requests.post(f"{URL}/v1/chat", headers=HEADERS, data=json_of_the_key())
    raise RuntimeError

def json_of_the_key():
    return '{"key": "' + KEY + '"}'
"""


#: These write the headers of every response to the log at level DEBUG, with a cassette and without.
LOG_COOKIES = ["httpcore.http11", "httpcore2.http11"]


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamServer]:
    """A server that sets a cookie and repeats the key in its answer, cut in two."""
    event = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
    echo = b": you sent " + KEY.encode() + b"\n\n"
    cut = len(event) + 11 + len(KEY) // 2
    stream = event + echo + event + b"data: [DONE]\n\n"
    headers = ("Content-Type: text/event-stream", f"Set-Cookie: sid={COOKIE}; Path=/")
    with StreamServer(Answer([stream[:cut], stream[cut:]], headers=headers)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        yield server


def holding(folder: Path, secret: str) -> list[str]:
    """Return the files below a folder in which a secret stands."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    )


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["in one process", "in workers"])
def test_no_file_of_a_session_holds_a_secret(
    workers: list[str], project: pytest.Pytester, leaky: StreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("aiohttp", "xdist"):
        pytest.importorskip(module)
    log = ["--log-file=out.log", "--log-file-level=DEBUG", *(f"--log-disable={name}" for name in LOG_COOKIES)]
    arguments = ["--junit-xml=out.xml", "-o", "junit_logging=all", *log, *workers]
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # of the test itself, which holds the key in its source
    monkeypatch.setenv("LIVE", "1")
    run(project, "--streamkit-record=once", *arguments, source=SECRETS).assert_outcomes(passed=5, failed=1)
    assert 6 == len(leaky.seen)
    assert 5 == len(cassettes(project))
    assert {KEY: [], COOKIE: []} == {secret: holding(project.path, secret) for secret in (KEY, COOKIE)}
    monkeypatch.delenv("LIVE")
    run(project, *arguments).assert_outcomes(passed=5, failed=1)
    assert {KEY: [], COOKIE: []} == {secret: holding(project.path, secret) for secret in (KEY, COOKIE)}
