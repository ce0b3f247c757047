"""huggingface_hub: `InferenceClient(base_url=...).chat.completions.create(stream=True)`, gathered in the obvious way.

Its documentation shows the loop for text; that for calls is what one writes who knows the API's documentation.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from _driver import KEY, TIMEOUT, Case, answer, call, choice, serve
from huggingface_hub import InferenceClient


def drive(case: Case) -> Any:
    client = InferenceClient(base_url=case.base_url, api_key=KEY, timeout=TIMEOUT)
    content = reasoning = ""
    finish_reason = usage = None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in client.chat.completions.create(
        model=case.model, messages=case.messages, tools=case.tools, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        content += delta.content or ""
        reasoning += delta.reasoning or ""
        finish_reason = chunk.choices[0].finish_reason or finish_reason
        for entry in delta.tool_calls or []:
            if entry.index not in calls:
                calls[entry.index] = call(id=entry.id, name=entry.function.name, arguments="")
            calls[entry.index]["function"]["arguments"] += entry.function.arguments
    reported = choice(
        content, [calls[index] for index in sorted(calls)], reasoning=reasoning or None, finish_reason=finish_reason
    )
    return answer(reported, usage=usage)


serve(drive)
