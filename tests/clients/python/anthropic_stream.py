"""anthropic, `messages.stream()`: what the helper gathers by itself, `get_final_message()`."""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, serve
from anthropic import Anthropic

_WEATHER: Any = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}


def drive(case: Case) -> Any:
    client = Anthropic(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    with client.messages.stream(
        model=case.model,
        max_tokens=1024,
        messages=case.messages,
        tools=case.request.get("tools") or [_WEATHER],
    ) as stream:
        return stream.get_final_message()


serve(drive)
