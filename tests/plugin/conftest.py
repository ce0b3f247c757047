"""A project with a server behind it, for tests that run pytest on tests that record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from skhelpers.server import Answer, StreamServer, body, pieces


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamServer]:
    """A server that the tests of the project find in the environment."""
    with StreamServer(Answer(pieces(body()))) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream: StreamServer) -> pytest.Pytester:
    """A project whose tests run as on a developer's machine, whatever this one is."""
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n")
    return pytester
