"""A tiny application: it asks a model for the weather, and has a parser of its own for the stream."""

from __future__ import annotations

import json
from typing import Any


def place_to_look_up(client: Any) -> str:
    """Ask, and return the place of the call that the model makes."""
    arguments = ""
    question = {"role": "user", "content": "What is the weather like in Boston?"}
    for chunk in client.chat.completions.create(model="gpt-4", messages=[question], stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments += call.function.arguments or ""
    return str(json.loads(arguments)["location"])


class Calls:
    """Right: bytes wait until their event is whole."""

    def __init__(self) -> None:
        self.rest = b""
        self.arguments = ""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        *events, self.rest = (self.rest + chunk).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: {"):
                for choice in json.loads(event[6:])["choices"]:
                    for call in choice["delta"].get("tool_calls") or []:
                        self.arguments += call["function"].get("arguments") or ""

    def result(self) -> str:
        """Return the arguments."""
        return self.arguments


def careless(chunks: Any) -> str:
    """Wrong: takes a chunk for an event."""
    calls = Calls()
    for chunk in chunks:
        calls.feed(chunk.strip() + b"\n\n")
    return calls.result()
