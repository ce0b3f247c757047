"""sseclient-py over requests, as its README shows them, the JSON of each event gathered in the obvious way."""

from __future__ import annotations

import json

import requests
import sseclient
from _driver import KEY, TIMEOUT, Case, serve
from _gather import Gathered


def drive(case: Case) -> object:
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {KEY}"}
    response = requests.post(case.url, stream=True, headers=headers, json=case.body, timeout=TIMEOUT)
    response.raise_for_status()
    gathered = Gathered()
    client = sseclient.SSEClient(response)
    for event in client.events():
        if event.data == "[DONE]":
            break
        gathered.add(json.loads(event.data))
    response.close()
    return gathered.answer()


serve(drive)
