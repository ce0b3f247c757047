"""What real clients make of an answer, for the expected results of the library's cassettes.

A view has `by` (client and version), `choices`, `usage`, and `raised`, the client's own error. It is made by plain
loops over what the client library yields. Where the library accumulates too, `library` is its result, or its error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

View = dict[str, Any]


def openai_chat(url: str, request: dict[str, Any], *, key: str = "none", take: int | None = None) -> View:
    """Ask for a chat completion with the openai library; `take` closes the stream after so many chunks."""
    import openai
    from openai.lib.streaming.chat import ChatCompletionStreamState

    chunks: list[Any] = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120) as client:

        def ask() -> Iterable[Any]:
            return client.chat.completions.create(stream=True, **{"messages": _ASKED, **request})  # type: ignore[no-any-return]

        raised = _drain(ask, chunks, take)

    def accumulated() -> Any:
        state: Any = ChatCompletionStreamState()
        for chunk in chunks:
            state.handle_chunk(chunk)
        message = state.get_final_completion().choices[0].message
        return {
            "content": message.content or "",
            "calls": [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or []],
        }

    return {
        "by": f"openai {version('openai')}, a loop over chat.completions.create(stream=True)",
        "raised": raised,
        "library": _attempt(accumulated),
        **({} if take is None else {"took": take}),
        **joined([chunk.model_dump(exclude_unset=True) for chunk in chunks]),
    }


def openai_completions(url: str, request: dict[str, Any], *, key: str = "none") -> View:
    """Ask for a completion of the older API with the openai library."""
    import openai

    chunks: list[Any] = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120) as client:

        def ask() -> Iterable[Any]:
            return client.completions.create(stream=True, **request)  # type: ignore[no-any-return]

        raised = _drain(ask, chunks, None)
    return {
        "by": f"openai {version('openai')}, a loop over completions.create(stream=True)",
        "raised": raised,
        **joined([chunk.model_dump(exclude_unset=True) for chunk in chunks]),
    }


def openai_responses(url: str, request: dict[str, Any], *, key: str = "none") -> View:
    """Ask for a response with the openai library; the view is what its last event holds, and the deltas joined."""
    import openai

    events: list[Any] = []
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120) as client:

        def ask() -> Iterable[Any]:
            return client.responses.create(stream=True, **request)  # type: ignore[no-any-return]

        raised = _drain(ask, events, None)
    ends = ("response.completed", "response.incomplete")
    last = next((event.response for event in reversed(events) if event.type in ends), None)
    text, thinking, calls = "", "", {}
    for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.reasoning_text.delta":
            thinking += event.delta
        elif event.type == "response.output_item.added" and event.item.type == "function_call":
            calls[event.item.id] = [event.item.call_id, event.item.name, ""]
        elif event.type == "response.function_call_arguments.delta":
            calls[event.item_id][2] += event.delta
        elif event.type == "response.output_item.done" and event.item.type == "function_call":
            calls[event.item.id][2] = calls[event.item.id][2] or event.item.arguments  # where there were no deltas
    usage = None if last is None or last.usage is None else last.usage.model_dump(exclude_unset=True)
    return {
        "by": f"openai {version('openai')}, a loop over responses.create(stream=True)",
        "raised": raised,
        "choices": [{"content": text, "calls": list(calls.values()), **({"reasoning": thinking} if thinking else {})}],
        "usage": usage,
        "library": None if last is None else {"content": last.output_text},
    }


def anthropic_messages(url: str, request: dict[str, Any], *, key: str = "none") -> View:
    """Ask for a message with the anthropic library, whose own accumulation stands beside a loop over its events."""
    import anthropic

    events: list[Any] = []
    held: list[Any] = []
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=120) as client:

        def ask() -> Iterable[Any]:
            with client.messages.stream(messages=[{"role": "user", "content": QUESTION}], **request) as stream:
                yield from stream
                held.append(stream.get_final_message())

        raised = _drain(ask, events, None)

    def accumulated() -> Any:
        message = held[0]
        return {
            "content": "".join(block.text for block in message.content if block.type == "text"),
            "calls": [[block.id, block.name, block.input] for block in message.content if block.type == "tool_use"],
            "stop_reason": message.stop_reason,
        }

    return {
        "by": f"anthropic {version('anthropic')}, a loop over messages.stream()",
        "raised": raised,
        **_message([event.model_dump(exclude_none=True) for event in events]),
        "library": _attempt(accumulated) if held else None,
    }


def plain_messages(url: str, request: dict[str, Any], *, key: str = "none") -> View:
    """Ask for a message with httpx alone, and read to the end what the anthropic library gives up on."""
    import httpx

    events: list[dict[str, Any]] = []
    raised = None
    asked = {**request, "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    try:
        with httpx.stream("POST", f"{url}/v1/messages", json=asked, headers=headers, timeout=120) as response:
            lines = (line for line in response.iter_lines() if line.startswith("data: "))
            events.extend(json.loads(line.removeprefix("data: ")) for line in lines)
    except httpx.HTTPError as error:
        raised = raised_by(error)
    return {"by": f"httpx {httpx.__version__}, a loop over the lines", "raised": raised, **_message(events)}


def _message(events: list[dict[str, Any]]) -> View:
    """Join the events of a message."""
    content, thinking, blocks, reason, usage = "", "", {}, None, None
    for event in events:
        block, delta = event.get("content_block") or {}, event.get("delta") or {}
        if event["type"] == "content_block_start" and block["type"] == "tool_use":
            blocks[event["index"]] = [block["id"], block["name"], ""]
        elif event["type"] == "content_block_delta" and delta["type"] == "text_delta":
            content += delta["text"]
        elif event["type"] == "content_block_delta" and delta["type"] == "thinking_delta":
            thinking += delta["thinking"]
        elif event["type"] == "content_block_delta" and delta["type"] == "input_json_delta":
            blocks[event["index"]][2] += delta["partial_json"]
        elif event["type"] == "message_delta":
            reason = delta.get("stop_reason")
            usage = {"output_tokens": event["usage"]["output_tokens"]}
    choice = {"content": content, "calls": list(blocks.values()), "stop_reason": reason}
    return {"choices": [{**choice, **({"reasoning": thinking} if thinking else {})}], "usage": usage}


def joined(chunks: list[dict[str, Any]]) -> View:
    """Join chunks of a chat or a completion: the first id and name of a call count, its arguments are put together."""
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for given in chunk.get("choices") or []:
            one = choices.setdefault(given["index"], {"content": "", "calls": {}, "finish_reason": None})
            delta = given.get("delta") or {}
            one["content"] += delta.get("content") or given.get("text") or ""
            if delta.get("reasoning_content"):
                one["reasoning"] = one.get("reasoning", "") + delta["reasoning_content"]
            if delta.get("function_call"):
                call = one.setdefault("function_call", ["", ""])
                call[0] = call[0] or delta["function_call"].get("name") or ""
                call[1] += delta["function_call"].get("arguments") or ""
            for part in delta.get("tool_calls") or []:
                call = one["calls"].setdefault(part["index"], [None, "", ""])
                call[0] = call[0] or part.get("id")
                call[1] = call[1] or part["function"].get("name") or ""
                call[2] += part["function"].get("arguments") or ""
            one["finish_reason"] = given.get("finish_reason") or one["finish_reason"]
    listed = [{**one, "calls": list(one["calls"].values())} for _, one in sorted(choices.items())]
    return {"choices": listed, "usage": usage}


QUESTION = "What is the weather like in Oslo?"
_ASKED: list[Any] = [{"role": "user", "content": QUESTION}]


def _drain(ask: Callable[[], Iterable[Any]], into: list[Any], take: int | None) -> str | None:
    """Put what comes into a list, as far as it comes; return the client's error, if any."""
    try:
        stream = ask()
        for chunk in stream:
            into.append(chunk)
            if take is not None and len(into) >= take:
                stream.close()  # type: ignore[attr-defined]
                break
    except Exception as error:  # noqa: BLE001 - whatever the client raises is its view
        return raised_by(error)
    return None


def _attempt(what: Callable[[], Any]) -> Any:
    try:
        return what()
    except Exception as error:  # noqa: BLE001 - the library's error is what it makes of the stream
        return {"raised": raised_by(error)}


def raised_by(error: Exception) -> str:
    """Return "library.Class: first line of the message"."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__module__.partition('.')[0]}.{type(error).__name__}: {first[:200]}"
