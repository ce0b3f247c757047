"""openai, `responses.stream()`: what the helper gathers by itself, `get_final_response()`."""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, serve
from openai import OpenAI

_WEATHER: Any = {
    "type": "function",
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    "strict": False,
}


def drive(case: Case) -> Any:
    client = OpenAI(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    question = case.request.get("input") or "What is the weather like in Boston?"
    tools = case.request.get("tools") or [_WEATHER]
    with client.responses.stream(model=case.model, input=question, tools=tools) as stream:
        return stream.get_final_response()


serve(drive)
