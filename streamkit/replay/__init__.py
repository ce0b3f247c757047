"""Replay through real clients, in process: the client's transport hands over a transcript in chosen chunks.

    client = streamkit.replay.openai("openai_chat/boston_weather", "99,100,412")

Nothing is patched and no network is touched: the seam is the transport object that httpx, httpx2 and requests take.
"""

from __future__ import annotations

from streamkit.replay.clients import async_openai, openai
from streamkit.replay.delivery import Delivery, deliveries
from streamkit.replay.httpx_transport import httpx_transport
from streamkit.replay.requests_adapter import requests_adapter, requests_session
from streamkit.replay.session import Replay

__all__ = [
    "Delivery",
    "Replay",
    "async_openai",
    "deliveries",
    "httpx_transport",
    "openai",
    "requests_adapter",
    "requests_session",
]
