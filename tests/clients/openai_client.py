"""The real openai library as targets: what its users call, over a transport that hands out our chunks.

Two things are at work in each target, and a verdict may be about either:

- the library's doing: the event stream, the JSON, the models that it builds without validating them, and everything
  that the two helpers (`.stream()`) gather;
- the loop's: what a user writes around `create(stream=True)`. It is a driver's choice, and it is written here.

The documented loops are those of OpenAI's guide to function calling, under "Streaming" (platform.openai.com/docs), in
our own words but with every step of theirs: the first choice of each chunk, calls kept by their index, arguments
appended. The careful loop is what one can write instead. What is wrong even with the careful one is the library's, or
cannot be known by a client.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.replay.clients import async_openai, openai
from streamkit.replay.delivery import Delivery
from streamkit.transcript import ResponseHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openai.types.responses import Response

__all__ = [
    "CHAT", "RESPONSES", "UnreadableError", "async_chat_helper", "async_responses_helper", "chat_careful_loop",
    "chat_helper", "chat_loop", "responses_helper", "responses_loop",
]  # fmt: skip

_MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather like in Oslo?"}]


class UnreadableError(ValueError):
    """What the careful loop raises for a stream that it will not guess at."""


def _client(chunks: Iterator[bytes]) -> Any:
    return openai(Delivery(ResponseHead(), chunks))


def _chunks_of(chunks: Iterator[bytes]) -> Any:
    return _client(chunks).chat.completions.create(model="replayed", messages=_MESSAGES, stream=True)


# -- Chat Completions


def chat_loop(chunks: Iterator[bytes]) -> dict[str, Any]:
    """Gather `chat.completions.create(stream=True)` as the guide does.

    The library's: what the iterator yields or raises. The loop's: it reads `choices[0]` and no other choice, keeps the
    first entry of each index whole and appends to it the arguments of every entry, the first included. Two steps are
    ours, since every stream with usage would end it otherwise, and the guide's loop is for calls only: a chunk without
    choices is passed over, and text and the last finish reason are gathered too. Calls are given in the order of their
    indexes.
    """
    content = ""
    finish = None
    calls: dict[int | None, Any] = {}
    for chunk in _chunks_of(chunks):
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        content += choice.delta.content or ""
        finish = choice.finish_reason or finish
        for entry in choice.delta.tool_calls or []:
            if entry.index not in calls:
                calls[entry.index] = entry
            calls[entry.index].function.arguments += entry.function.arguments
    by_index = sorted(calls.items(), key=lambda item: -1 if item[0] is None else item[0])
    return {"content": content, "tool_calls": [call for _, call in by_index], "finish_reason": finish}


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class _Choice:
    content: str = ""
    finish_reason: str | None = None
    calls: dict[int, _Call] = field(default_factory=dict)


def chat_careful_loop(chunks: Iterator[bytes]) -> dict[str, Any]:
    """Gather `chat.completions.create(stream=True)` as one can who has read the reports.

    The library's: what the iterator yields or raises. The loop's: every choice by its index; null and absent are one;
    the first id and name of a call stay; a call without an index, another id at an index that is taken, text or
    arguments that are no text, and an end without a finish reason raise `UnreadableError`.
    """
    choices: dict[int, _Choice] = {}
    for chunk in _chunks_of(chunks):
        for choice in chunk.choices or []:
            if choice.index is None or choice.delta is None:
                continue
            gathered = choices.setdefault(choice.index, _Choice())
            gathered.finish_reason = choice.finish_reason or gathered.finish_reason
            gathered.content += _text(choice.delta.content)
            for entry in choice.delta.tool_calls or []:
                _add(gathered.calls, entry)
    if not choices or not all(choice.finish_reason for choice in choices.values()):
        raise UnreadableError("the stream ended before a finish reason")
    return {
        "choices": [
            {
                "message": {"content": one.content, "tool_calls": [vars(one.calls[n]) for n in sorted(one.calls)]},
                "finish_reason": one.finish_reason,
            }
            for _, one in sorted(choices.items())
        ]
    }


def _add(calls: dict[int, _Call], entry: Any) -> None:
    if not isinstance(entry.index, int):
        raise UnreadableError("a tool call without an index")
    call = calls.setdefault(entry.index, _Call())
    if entry.id and call.id and entry.id != call.id:
        raise UnreadableError(f"the calls {call.id} and {entry.id} at one index")
    call.id = call.id or entry.id or ""
    if entry.function is not None:
        call.name = call.name or entry.function.name or ""
        call.arguments += _text(entry.function.arguments)


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise UnreadableError(f"{type(value).__name__} where text was due")
    return value or ""


def chat_helper(chunks: Iterator[bytes]) -> Any:
    """Return what `chat.completions.stream()` gathers: `get_final_completion()`. All of it is the library's."""
    with _client(chunks).chat.completions.stream(model="replayed", messages=_MESSAGES) as stream:
        return stream.get_final_completion()


async def async_chat_helper(chunks: AsyncIterator[bytes]) -> Any:
    """Return the same of the async client. All of it is the library's."""
    client = async_openai(Delivery(ResponseHead(), chunks))
    async with client.chat.completions.stream(model="replayed", messages=_MESSAGES) as stream:
        return await stream.get_final_completion()


# -- Responses


def responses_loop(chunks: Iterator[bytes]) -> dict[str, Any]:
    """Gather `responses.create(stream=True)` as the guide does.

    The library's: what the iterator yields or raises. The loop's: the item that is announced at an output index is the
    call, the deltas of its arguments are appended to it, and what has no item is passed over. Text, and the status of
    the last event that holds a response, are gathered in the same way.
    """
    content = ""
    finish = None
    calls: dict[int, Any] = {}
    for event in _client(chunks).responses.create(model="replayed", input="?", stream=True):
        if event.type == "response.output_item.added":
            if event.item.type == "function_call":
                calls[event.output_index] = event.item
        elif event.type == "response.function_call_arguments.delta":
            if event.output_index in calls:
                calls[event.output_index].arguments += event.delta
        elif event.type == "response.output_text.delta":
            content += event.delta
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            finish = _status(event.response)
    entries = [
        {"id": call.call_id, "name": call.name, "arguments": call.arguments} for _, call in sorted(calls.items())
    ]
    return {"content": content, "tool_calls": entries, "finish_reason": finish}


def _status(response: Response) -> str | None:
    details = response.incomplete_details
    return (details.reason if details is not None else None) or response.status


def _answer(response: Response) -> dict[str, Any]:
    """Return of a final response what its users read: the text, the calls and the status."""
    calls = [item for item in response.output or [] if item.type == "function_call"]
    return {
        "content": response.output_text,
        "tool_calls": [{"id": call.call_id, "name": call.name, "arguments": call.arguments} for call in calls],
        "finish_reason": _status(response),
    }


def responses_helper(chunks: Iterator[bytes]) -> dict[str, Any]:
    """Return what `responses.stream()` gathers: text, calls and status of `get_final_response()`.

    All of it is the library's, but for what we read of its response.
    """
    with _client(chunks).responses.stream(model="replayed", input="?") as stream:
        return _answer(stream.get_final_response())


async def async_responses_helper(chunks: AsyncIterator[bytes]) -> dict[str, Any]:
    """Return the same of the async client."""
    client = async_openai(Delivery(ResponseHead(), chunks))
    async with client.responses.stream(model="replayed", input="?") as stream:
        return _answer(await stream.get_final_response())


#: The columns of the table, for each of the two APIs.
CHAT = (chat_loop, chat_careful_loop, chat_helper)
RESPONSES = (responses_loop, responses_helper)
