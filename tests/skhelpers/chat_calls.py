"""Two tool calls of the chat dialect, and what becomes of a stream of their fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skhelpers.chat import DONE, Json, finish, read

if TYPE_CHECKING:
    from streamkit.completion import ToolCall


PARIS = '{"city":"Paris"}'
A: Json = {"id": "call_a", "name": "get_weather"}
B: Json = {"id": "call_b", "name": "get_time"}


def made(*events: Json, reason: str = "tool_calls") -> tuple[ToolCall, ...]:
    """Return the calls of a stream that ends properly after these events."""
    completion = read(*events, finish(reason), DONE)
    assert completion.ended
    return completion.tool_calls


def heads(*events: Json) -> list[tuple[str | None, str, str]]:
    """Return id, name and arguments of the calls, after checking that all may be executed."""
    found = made(*events)
    assert [None] * len(found) == [tool_call.problem for tool_call in found]
    return [(tool_call.id, tool_call.name, tool_call.arguments) for tool_call in found]


WEATHER = ("call_a", "get_weather", PARIS)
TIME = ("call_b", "get_time", "{}")
