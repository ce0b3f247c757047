"""langchain-openai: `ChatOpenAI(...).bind_tools(...).stream(...)`, the chunks added up as LangChain's guide does.

A call that LangChain puts under `invalid_tool_calls` is reported among the calls, with what it says as `problem`.
"""

from __future__ import annotations

import os
from typing import Any

os.environ["LANGSMITH_TRACING"] = os.environ["LANGCHAIN_TRACING_V2"] = "false"

from _driver import KEY, TIMEOUT, Case, answer, call, choice, present, serve
from langchain_openai import ChatOpenAI


def drive(case: Case) -> Any:
    llm = ChatOpenAI(
        model=case.model, base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT, stream_usage=True
    )
    gathered = None
    for chunk in llm.bind_tools(case.tools).stream(case.messages):
        gathered = chunk if gathered is None else gathered + chunk
    if gathered is None:
        return answer()
    usage = gathered.usage_metadata and {
        "prompt_tokens": gathered.usage_metadata["input_tokens"],
        "completion_tokens": gathered.usage_metadata["output_tokens"],
        "total_tokens": gathered.usage_metadata["total_tokens"],
    }
    calls = [call(id=one["id"], name=one["name"], arguments=one["args"]) for one in gathered.tool_calls]
    for one in gathered.invalid_tool_calls:
        invalid = call(id=one["id"], name=one["name"], arguments=one["args"])
        calls.append(invalid | {"problem": one["error"] or "an invalid tool call"})
    reported = choice(
        gathered.content,
        calls,
        refusal=gathered.additional_kwargs.get("refusal"),
        **present(finish_reason=gathered.response_metadata.get("finish_reason")),
    )
    return answer(reported, usage=usage)


serve(drive)
