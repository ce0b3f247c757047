"""Real sockets: a replay server, and a proxy that records, for clients in any language.

    with streamkit.server.ReplayServer() as server:
        client = openai.OpenAI(base_url=server.case_url("openai_chat/boston_weather;cuts=99,100"), api_key="any")

The server answers as the recorded API, in exact pieces; a request can be steered to a case, a fault or a pace by its
base URL.

    with streamkit.server.RecordingProxy("https://api.openai.com", "chat/weather") as proxy:
        subprocess.run(["node", "app.mjs"], env={**os.environ, "OPENAI_BASE_URL": proxy.base_url()})

The proxy records what a program in any language receives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.server.how import How
from streamkit.server.offers import Offer
from streamkit.server.thread import ReplayServer

if TYPE_CHECKING:
    from streamkit.server.proxy import RecordingProxy

__all__ = ["How", "Offer", "RecordingProxy", "ReplayServer"]


def __getattr__(name: str) -> Any:
    """Load the proxy when it is asked for: it brings vcrpy, which the replay server does without."""
    if name == "RecordingProxy":
        from streamkit.server.proxy import RecordingProxy

        return RecordingProxy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
