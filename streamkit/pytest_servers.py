"""Fixtures of pytest with real sockets, for clients that take a base URL, in any language.

`streamkit.pytest_plugin` registers this module; it imports nothing of streamkit's before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from streamkit.replay.session import Replay
    from streamkit.server import ReplayServer


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
