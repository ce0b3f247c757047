"""Replay through real clients, in process: the client's transport hands over a transcript in chosen chunks.

    client = streamkit.replay.openai("openai_chat/boston_weather", "99,100,412")

There nothing is patched and no network is touched: the seam is the transport object that httpx, httpx2 and requests
take.
`use_cassette` records and replays what a program's own clients receive; it stands on vcrpy.
"""

from __future__ import annotations

from streamkit.replay.clients import async_openai, openai
from streamkit.replay.clock import Clock, SystemClock, VirtualClock
from streamkit.replay.delivery import Delivery, deliveries
from streamkit.replay.httpx_transport import httpx_transport
from streamkit.replay.matching import MissReason
from streamkit.replay.network import network_blocked
from streamkit.replay.requests_adapter import requests_adapter, requests_session
from streamkit.replay.session import Replay
from streamkit.replay.use import use_cassette

__all__ = [
    "Clock",
    "Delivery",
    "MissReason",
    "Replay",
    "SystemClock",
    "VirtualClock",
    "async_openai",
    "deliveries",
    "httpx_transport",
    "network_blocked",
    "openai",
    "requests_adapter",
    "requests_session",
    "use_cassette",
]
