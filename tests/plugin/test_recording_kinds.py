"""Tests of every kind are recorded and replayed: methods of unittest, coroutines, properties, and with fixtures."""

from __future__ import annotations

import pytest
from skhelpers.pytest_project import ASYNC, ONCE, again, cassettes, questions, run
from skhelpers.server import StreamServer


def test_methods_of_unittest_record_and_replay(project: pytest.Pytester, upstream: StreamServer) -> None:
    source = """
import unittest

@pytest.mark.streamkit
class TestCase(unittest.TestCase):
    def setUp(self):
        self.first = ask("first")

    def test_a(self):
        self.assertIn(b"[DONE]", ask("second"))

    @unittest.skip("not now")
    def test_skipped(self): ...
"""
    run(project, source, ONCE).assert_outcomes(passed=1, skipped=1)
    assert ["test_it/TestCase.test_a.yaml"] == cassettes(project)
    assert ["first", "second"] == questions(project, "test_it/TestCase.test_a")
    upstream.close()
    again(project).assert_outcomes(passed=1, skipped=1)


def test_coroutines_of_asyncio_and_anyio_record_and_replay(project: pytest.Pytester, upstream: StreamServer) -> None:
    pytest.importorskip("pytest_asyncio")
    source = f"""
import pytest_asyncio
{ASYNC}
@pytest_asyncio.fixture
async def greeted():
    return await aask("greeting")

@pytest.mark.streamkit
@pytest.mark.asyncio
async def test_asyncio(greeted):
    assert greeted == await aask()

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.streamkit
@pytest.mark.anyio
async def test_anyio(anyio_backend):
    assert b"[DONE]" in await aask()
"""
    run(project, source, ONCE).assert_outcomes(passed=2)
    assert ["test_it/test_anyio.yaml", "test_it/test_asyncio.yaml"] == cassettes(project)
    assert ["greeting", "hello"] == questions(project, "test_it/test_asyncio")
    upstream.close()
    again(project).assert_outcomes(passed=2)


def test_all_examples_of_a_property_share_the_cassette_of_its_test(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
from hypothesis import given, settings, strategies as st

@pytest.mark.streamkit
@given(st.sampled_from(["a", "b"]))
@settings(max_examples=5, derandomize=True, deadline=None, database=None)
def test_a(letter):
    assert b"[DONE]" in ask(letter)
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    asked = questions(project, "test_it/test_a")
    assert {"a", "b"} == set(asked)
    assert len(upstream.seen) == len(asked)
    upstream.close()
    again(project).assert_outcomes(passed=1)


def test_what_a_function_fixture_does_is_recorded_and_what_wider_ones_do_is_not(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
@pytest.fixture
def of_function():
    ask("function")
    yield
    ask("teardown")

@pytest.fixture(autouse=True)
def automatic():
    ask("automatic")

@pytest.fixture(scope="class")
def of_class():
    ask("class")

@pytest.fixture(scope="module")
def of_module():
    ask("module")

@pytest.fixture(scope="session", autouse=True)
def of_session():
    ask("session")
    yield
    ask("end of session")

@pytest.mark.streamkit
def test_a(of_function, of_class, of_module):
    ask("test")
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert {"automatic", "function", "test", "teardown"} == set(questions(project, "test_it/test_a"))
    wider = 4
    assert 4 + wider == len(upstream.seen)
    again(project).assert_outcomes(passed=1)
    assert 4 + wider + wider == len(upstream.seen)


def test_an_unmarked_test_may_ask_for_the_cassette_by_its_fixture(
    project: pytest.Pytester, upstream: StreamServer
) -> None:
    source = """
def test_a(streamkit_cassette):
    ask()
    assert 1 == len(streamkit_cassette.recorded) + len(streamkit_cassette.played)
"""
    run(project, source, ONCE).assert_outcomes(passed=1)
    assert ["test_it/test_a.yaml"] == cassettes(project)
    upstream.close()
    result = again(project)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*no test uses*")
