"""openai-agents: one streamed response of `OpenAIChatCompletionsModel`, the event `response.completed` of it.

`Runner.run_streamed` would run the tools, of which it must know every name, and ask again, and get the same stream
again. What it gets from the model is this. The response holds no finish reason.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

from _driver import KEY, TIMEOUT, Case, answer, call, choice, serve
from agents import FunctionTool, ModelSettings, ModelTracing, OpenAIChatCompletionsModel
from openai import AsyncOpenAI


async def _never(context: Any, arguments: str) -> str:
    """Stand for a tool: it is offered and never run."""
    return arguments


def _tool(offered: dict[str, Any]) -> Any:
    function = offered["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return FunctionTool(
        name=function["name"],
        description=function.get("description") or "",
        params_json_schema=schema,
        on_invoke_tool=_never,
        strict_json_schema=False,
    )


async def _response(case: Case) -> Any:
    client = AsyncOpenAI(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    model = OpenAIChatCompletionsModel(model=case.model, openai_client=client)
    final = None
    async with client:
        async for event in model.stream_response(
            system_instructions=None,
            input=case.question,
            model_settings=ModelSettings(include_usage=True),
            tools=[_tool(offered) for offered in case.tools],
            output_schema=None,
            handoffs=[],
            tracing=ModelTracing.DISABLED,
        ):
            if event.type == "response.completed":
                final = event.response
    return final


def drive(case: Case) -> Any:
    response = asyncio.run(_response(case))
    if response is None:
        return answer()
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    calls = [item for item in response.output if item.type == "function_call"]
    reported = choice(
        "".join(part.text for part in parts if part.type == "output_text"),
        [call(id=item.call_id, name=item.name, arguments=item.arguments) for item in calls],
        refusal="".join(part.refusal for part in parts if part.type == "refusal") or None,
        reasoning=_reasoning(response) or None,
    )
    usage = response.usage and {
        "prompt_tokens": response.usage.input_tokens,
        "completion_tokens": response.usage.output_tokens,
        "total_tokens": response.usage.total_tokens,
    }
    return answer(reported, usage=usage)


def _reasoning(response: Any) -> str:
    items = [item for item in response.output if item.type == "reasoning"]
    return "".join(part.text for item in items for part in [*(item.summary or ()), *(item.content or ())])


serve(drive)
