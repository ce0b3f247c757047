"""pydantic-ai: one streamed request of `OpenAIChatModel`, as its page on direct requests shows it.

An `Agent` would run the tools and ask again, and get the same stream again; what it gets from the model is this.
pydantic-ai has words of its own for the finish reasons; `tool_call` is given as the API says it. Where a stream has no
id for a call, pydantic-ai makes one up, another each time; that is left out.
"""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, answer, call, choice, serve
from openai import AsyncOpenAI
from pydantic_ai import ModelRequest, TextPart, ThinkingPart, ToolCallPart, ToolDefinition
from pydantic_ai.direct import model_request_stream_sync
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def _tool(offered: dict[str, Any]) -> Any:
    function = offered["function"]
    return ToolDefinition(
        name=function["name"],
        description=function.get("description"),
        parameters_json_schema=function.get("parameters") or {"type": "object", "properties": {}},
    )


def _id(part: Any) -> str | None:
    return None if part.tool_call_id.startswith("pyd_ai_") else part.tool_call_id


def drive(case: Case) -> Any:
    client = AsyncOpenAI(base_url=case.base_url, api_key=KEY, max_retries=0, timeout=TIMEOUT)
    model = OpenAIChatModel(case.model, provider=OpenAIProvider(openai_client=client))
    parameters = ModelRequestParameters(function_tools=[_tool(offered) for offered in case.tools])
    question = [ModelRequest.user_text_prompt(case.question)]
    with model_request_stream_sync(model, question, model_request_parameters=parameters) as stream:
        for _ in stream:
            pass
        response = stream.response
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    reported = choice(
        "".join(part.content for part in response.parts if isinstance(part, TextPart)),
        [call(id=_id(part), name=part.tool_name, arguments=part.args) for part in calls],
        reasoning="".join(part.content for part in response.parts if isinstance(part, ThinkingPart)) or None,
        refusal=(response.provider_details or {}).get("refusal"),
        finish_reason="tool_calls" if response.finish_reason == "tool_call" else response.finish_reason,
    )
    usage = {"prompt_tokens": response.usage.input_tokens, "completion_tokens": response.usage.output_tokens}
    return answer(reported, usage=usage, id=response.provider_response_id)


serve(drive)
