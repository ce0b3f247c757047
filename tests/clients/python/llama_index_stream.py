"""llama-index: `OpenAILike(...).stream_chat_with_tools(...)`, and `get_tool_calls_from_response` of its last response.

That is how its page on function calling reads a stream. It hands out arguments parsed, and reports no finish reason but
in the raw last chunk, which is none of its own doing and so left out.
"""

from __future__ import annotations

from typing import Any

from _driver import KEY, TIMEOUT, Case, answer, call, choice, serve
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def _weather(location: str) -> str:
    """Stand for a tool: it is offered and never run."""
    return location


def drive(case: Case) -> Any:
    llm = OpenAILike(
        model=case.model,
        api_base=case.base_url,
        api_key=KEY,
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
        timeout=TIMEOUT,
    )
    names = [offered["function"]["name"] for offered in case.tools]
    tools = [FunctionTool.from_defaults(_weather, name=name) for name in names]
    last = None
    for response in llm.stream_chat_with_tools(tools, chat_history=[ChatMessage(role="user", content=case.question)]):
        last = response
    if last is None:
        return answer()
    selected = llm.get_tool_calls_from_response(last, error_on_no_tool_call=False)
    reasoning = "".join(block.content or "" for block in last.message.blocks if isinstance(block, ThinkingBlock))
    reported = choice(
        last.message.content,
        [call(id=one.tool_id, name=one.tool_name, arguments=one.tool_kwargs) for one in selected],
        reasoning=reasoning or None,
    )
    counts = {name: value for name, value in last.additional_kwargs.items() if name.endswith("_tokens")}
    return answer(reported, usage=counts or None)


serve(drive)
