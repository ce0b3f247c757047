"""Replay for requests: an adapter that answers with a response read off a prepared wire.

See `streamkit.replay.wire`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.replay.delivery import Cuts, Deliveries, Delivery, Pace, Source, deliveries
from streamkit.replay.wire import replayed_urllib3

if TYPE_CHECKING:
    import requests
    from requests.adapters import BaseAdapter

    from streamkit.replay.clock import Clock

__all__ = ["requests_adapter", "requests_session"]


def requests_adapter(
    source: Source | Delivery | Deliveries,
    fragmentation: Cuts = None,
    *,
    speed: float | None = None,
    clock: Clock | None = None,
) -> BaseAdapter:
    """Return an adapter to mount on a `requests.Session`.

    Args:
        source: a transcript, its name or path, or several for the requests in turn.
        fragmentation: where to cut; None for the recorded chunks.
        speed: 0 for at once, 1 for the recorded times; None for 0, or 1 where a clock is given. The read timeout of
            the request then holds.
        clock: what waits; a `VirtualClock` needs no real time.

    Raises:
        UsageError: requests is not installed.
        CassetteError: a name cannot be found or its file not read.
    """
    try:
        from requests.adapters import BaseAdapter, HTTPAdapter
    except ModuleNotFoundError:
        raise UsageError("requests is not installed: pip install requests") from None
    ready = source if isinstance(source, Deliveries) else deliveries(source, fragmentation, Pace.of(speed, clock))

    class ReplayAdapter(BaseAdapter):
        def __init__(self) -> None:
            super().__init__()
            self.deliveries = ready

        def send(self, request: requests.PreparedRequest, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
            body: Any = request.body or b""
            body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
            method = request.method or "GET"
            delivery = ready.next(method, request.url or "", body)
            read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
            return HTTPAdapter().build_response(request, replayed_urllib3(delivery, method, request.url, read_timeout))

        def close(self) -> None:
            pass

    return ReplayAdapter()


def requests_session(
    source: Source | Delivery | Deliveries,
    fragmentation: Cuts = None,
    *,
    speed: float | None = None,
    clock: Clock | None = None,
) -> requests.Session:
    """Return a `requests.Session` that answers every request by replay; arguments as for `requests_adapter`."""
    adapter = requests_adapter(source, fragmentation, speed=speed, clock=clock)
    import requests

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
