"""The fixtures with real sockets: a server for the session, and the URL of a test's own transcript."""

from __future__ import annotations

import pytest

PROJECT = """
import subprocess
import httpx
import openai
import pytest
import streamkit

def arguments(base_url):
    client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
    with client, client.chat.completions.stream(model="gpt-4", messages=[]) as stream:
        return stream.get_final_completion().choices[0].message.tool_calls[0].function.arguments
"""


def run(project: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    (project.path / "test_it.py").write_text(PROJECT + source, "utf-8")
    return project.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


def test_one_server_serves_the_session_a_case_a_request(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
URLS = set()

@pytest.mark.parametrize("cut", [99, 1500])
def test_by_token(replay_server, cut):
    URLS.add(replay_server.url)
    assert "Boston" in arguments(replay_server.case_url(f"openai_chat/boston_weather;cuts={cut}"))

def test_a_fault(replay_server):
    URLS.add(replay_server.url)
    with pytest.raises(openai.RateLimitError):
        arguments(replay_server.case_url("openai_chat/boston_weather;status=429"))

def test_an_offer(replay_server):
    with replay_server.offer(streamkit.synthesize("Hello.")) as offer:
        assert "Hello." in streamkit.accumulate([httpx.post(offer.url, json={}).content]).content
    assert len(URLS) == 1
""",
    )
    result.assert_outcomes(passed=4)


def test_the_transcript_of_the_marker_has_a_url_in_each_of_its_fragmentations(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.streamkit("openai_chat/boston_weather")
@pytest.mark.streamkit_fragmentations("whole", "drip", "per-event")
def test_curl(replay_url, transcript):
    done = subprocess.run(["curl", "-sSN", replay_url + "/chat/completions", "-d", "{}"], capture_output=True)
    assert transcript.body == done.stdout

@pytest.mark.streamkit("openai_chat/boston_weather")
def test_openai(replay_url):
    assert "Boston" in arguments(replay_url)
""",
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize("block", [[], ["--streamkit-block-network=on"]])
def test_the_server_can_be_reached_where_the_network_is_blocked_and_nothing_else_can(
    pytester: pytest.Pytester, block: list[str]
) -> None:
    result = run(
        pytester,
        """
from streamkit.errors import NetworkBlockedError

@pytest.mark.streamkit("openai_chat/boston_weather")
def test_blocked(replay_url, replay_server):
    assert "Boston" in arguments(replay_url)
    port = int(replay_server.url.rpartition(":")[2])
    with pytest.raises(NetworkBlockedError):
        httpx.get(f"http://127.0.0.1:{port % 60000 + 1}/")
    with pytest.raises(NetworkBlockedError):
        httpx.get(f"http://127.0.0.2:{port}/")
""",
        *block,
    )
    result.assert_outcomes(passed=1)


def test_a_transcript_of_the_project_can_be_named_from_another_directory(pytester: pytest.Pytester) -> None:
    (pytester.path / "recorded").mkdir()
    (pytester.path / "recorded" / "mine.sse").write_bytes(b"data: 1\n\n")
    (pytester.path / "sub").mkdir()
    pytester.makeini("[pytest]\nstreamkit_cassettes = recorded\n")
    (pytester.path / "test_it.py").write_text(
        PROJECT
        + """
def test_mine(replay_server, monkeypatch):
    monkeypatch.chdir("sub")
    assert b"data: 1\\n\\n" == httpx.post(replay_server.case_url("mine") + "/x", json={}).content
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_it_works_under_xdist(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
@pytest.mark.parametrize("cut", range(1, 9))
def test_by_token(replay_server, cut):
    assert "Boston" in arguments(replay_server.case_url(f"openai_chat/boston_weather;cuts={cut}"))
""",
        "-n2",
    )
    result.assert_outcomes(passed=8)
