"""Fixtures of pytest with real sockets, for clients that take a base URL, in any language.

`streamkit.pytest_plugin` registers this module; it imports nothing of streamkit's before a test asks for it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from streamkit.replay.session import Replay
    from streamkit.replay.stream_cassette import StreamCassette
    from streamkit.server import RecordingProxy, ReplayServer


@pytest.fixture(scope="session")
def replay_server(pytestconfig: pytest.Config) -> Generator[ReplayServer, None, None]:
    """A server on the loopback that replays; one for the whole session.

    Each request is steered by its URL: see `ReplayServer.case_url` and `ReplayServer.offer`. It can be reached where
    the network is blocked.
    """
    from streamkit.pytest_cassettes import folder_of
    from streamkit.server import ReplayServer

    with ReplayServer(folder=folder_of(pytestconfig)) as server:
        yield server


@pytest.fixture
def replay_url(replay_server: ReplayServer, replay: Replay) -> Generator[str, None, None]:
    """The base URL under which `replay_server` delivers the transcript, cut as the fixture `replay` is."""
    from streamkit.case import Case

    with replay_server.offer(Case(replay.transcript, replay.fragmentation)) as offer:
        yield offer.base_url


@pytest.fixture
def record_proxy(streamkit_cassette: StreamCassette) -> Generator[Callable[..., RecordingProxy], None, None]:
    """A function that returns a proxy before an upstream, for a program of any language that the test runs.

    What passes through it is recorded in the cassette of the test, or replayed from it, as the record mode says. Its
    arguments: the upstream's URL, and `key`, `headers` and `patience` of `streamkit.server.RecordingProxy`.
    """
    from streamkit.server import RecordingProxy

    with ExitStack() as stack:

        def proxied(upstream: str, **options: Any) -> RecordingProxy:
            return stack.enter_context(RecordingProxy(upstream, streamkit_cassette, **options))

        yield proxied
