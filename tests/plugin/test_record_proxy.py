"""The fixture record_proxy: programs that are not Python are recorded and replayed as the test's own clients are."""

from __future__ import annotations

import pytest
from skhelpers.pytest_project import ONCE, again, cassettes, questions, run
from skhelpers.server import StreamServer

PROGRAM = '''
import subprocess
import sys

PROGRAM = """
import json, sys, urllib.request
body = json.dumps({"q": sys.argv[2]}).encode()
asked = urllib.request.Request(sys.argv[1] + "/v1/chat", body, {"Content-Type": "application/json"})
sys.stdout.buffer.write(urllib.request.urlopen(asked, timeout=20).read())
"""

def other(proxy, question="hello"):
    command = [sys.executable, "-c", PROGRAM, proxy.url, question]
    return subprocess.run(command, capture_output=True, check=True).stdout
'''


def test_a_program_is_recorded_and_replayed_in_the_cassette_of_its_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = f"""{PROGRAM}
@pytest.mark.streamkit("chat/both")
def test_a(record_proxy):
    proxy = record_proxy(URL)
    assert ask("in process") == other(proxy, "first") == other(proxy, "second")
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["chat/both.yaml"] == cassettes(project)
    assert ["in process", "first", "second"] == questions(project, "chat/both")
    upstream.close()
    again(project).assert_outcomes(passed=1)


def test_without_a_name_or_a_marker_the_cassette_is_the_test_s_own(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = f"""{PROGRAM}
def test_a(record_proxy):
    assert b"[DONE]" in other(record_proxy(URL))
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    upstream.close()
    again(project).assert_outcomes(passed=1)


def test_a_client_of_the_test_itself_that_uses_the_proxy_is_recorded_once(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
@pytest.mark.streamkit
def test_a(record_proxy):
    with httpx.Client(trust_env=False) as client:
        assert b"[DONE]" in client.post(record_proxy(URL).url + "/v1/chat", json={"q": "x"}).content
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["x"] == questions(project, "test_it/test_a")
    upstream.close()
    again(project).assert_outcomes(passed=1)


def test_what_a_failed_test_recorded_is_not_kept(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = f"""{PROGRAM}
@pytest.mark.streamkit
def test_a(record_proxy):
    other(record_proxy(URL))
    assert not "that would be wrong"
"""
    run(project, source, ONCE).assert_outcomes(failed=1)
    assert [] == cassettes(project)
    assert upstream.seen


def test_a_request_that_is_not_recorded_fails_the_program_and_is_told(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = f"""{PROGRAM}
@pytest.mark.streamkit
def test_a(record_proxy):
    other(record_proxy(URL))
"""
    result = run(project, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*streamkit: unmatched request*", "*To record it: pytest --streamkit-record=once*"])
    assert [] == upstream.seen
