"""openai, `chat.completions.stream()`: what the helper gathers by itself, `get_final_completion()`."""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, serve
from openai import OpenAI


def drive(case: Case) -> Any:
    client = OpenAI(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    with client.chat.completions.stream(
        model=case.model, messages=case.messages, tools=case.tools, stream_options={"include_usage": True}
    ) as stream:
        return stream.get_final_completion()


serve(drive)
