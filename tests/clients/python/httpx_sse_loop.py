"""httpx-sse: `connect_sse` and `iter_sse` as its README shows them, and the JSON of each event gathered."""

from __future__ import annotations

import httpx
from _driver import KEY, TIMEOUT, Case, serve
from _gather import Gathered
from httpx_sse import connect_sse


def drive(case: Case) -> object:
    gathered = Gathered()
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        httpx.Client(timeout=TIMEOUT) as client,
        connect_sse(client, "POST", case.url, json=case.body, headers=headers) as event_source,
    ):
        event_source.response.raise_for_status()
        for sse in event_source.iter_sse():
            if sse.data == "[DONE]":
                break
            gathered.add(sse.json())
    return gathered.answer()


serve(drive)
