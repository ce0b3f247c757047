"""Real sockets: a replay server, and a proxy that records, for clients in any language.

    with streamkit.server.ReplayServer() as server:
        client = openai.OpenAI(base_url=server.case_url("openai_chat/boston_weather;cuts=99,100"), api_key="any")

The server answers as the recorded API, in exact pieces; a request can be steered to a case, a fault or a pace by its
base URL.
"""

from __future__ import annotations

from streamkit.server.how import How
from streamkit.server.offers import Offer
from streamkit.server.thread import ReplayServer

__all__ = ["How", "Offer", "ReplayServer"]
