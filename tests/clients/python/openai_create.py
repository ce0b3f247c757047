"""openai, `chat.completions.create(stream=True)`: the loop of OpenAI's guides to streaming and to function calling.

The guide's loop reads the first choice of each chunk, keeps the first entry of each index whole and appends to it the
arguments of every entry, the first included. It stands here with every step of its own. Two are ours, since the guide's
is for calls only: a chunk without choices (that of the usage) is passed over, and text, refusal and the last finish
reason are kept.
"""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, answer, choice, serve
from openai import OpenAI


def drive(case: Case) -> Any:
    client = OpenAI(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    stream: Any = client.chat.completions.create(
        model=case.model, messages=case.messages, tools=case.tools, stream=True, stream_options={"include_usage": True}
    )
    content = ""
    refusal = ""
    finish_reason = usage = None
    final_tool_calls: dict[int, Any] = {}
    for chunk in stream:
        usage = chunk.usage or usage
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        content += delta.content or ""
        refusal += delta.refusal or ""
        finish_reason = chunk.choices[0].finish_reason or finish_reason
        for tool_call in delta.tool_calls or []:
            index = tool_call.index
            if index not in final_tool_calls:
                final_tool_calls[index] = tool_call
            final_tool_calls[index].function.arguments += tool_call.function.arguments
    calls = list(final_tool_calls.values())
    return answer(choice(content, calls, refusal=refusal or None, finish_reason=finish_reason), usage=usage)


serve(drive)
