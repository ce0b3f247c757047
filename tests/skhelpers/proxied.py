"""A recording proxy before a server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skhelpers.raw_server import RawServer
from skhelpers.server import Answer, Seen, StreamServer
from streamkit.server import RecordingProxy

PATH = "/v1/chat/completions"


@contextmanager
def proxied(
    *answers: Answer | Callable[[Seen], Answer], cassette: Path, **options: Any
) -> Iterator[tuple[StreamServer, RecordingProxy]]:
    """Give the server and the proxy; options are the proxy's."""
    with StreamServer(*answers) as server, RecordingProxy(server.url, cassette, **options) as proxy:
        yield server, proxy


@contextmanager
def proxied_raw(
    *answers: bytes | None, cassette: Path, keep: bool = False, **options: Any
) -> Iterator[tuple[RawServer, RecordingProxy]]:
    """Give a server that answers with these bytes, and the proxy."""
    with RawServer(*answers, keep=keep) as server, RecordingProxy(server.url, cassette, **options) as proxy:
        yield server, proxy
