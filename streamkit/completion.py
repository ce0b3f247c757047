"""Completion: the provider-neutral result of a stream, and what of it may be acted on.

A completion says whether its stream ended properly (`ended`), and each tool call says whether it may be executed
(`executable`, and `problem` where it may not). A stream cut inside a call's arguments looks like a finished call to
most clients; it never does here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003 - tools read the annotations of a dataclass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.errors import TruncatedStreamError

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

__all__ = ["Choice", "Completion", "FunctionCall", "ToolCall", "argument_problem"]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def argument_problem(arguments: str) -> str | None:
    """Say why a call's arguments cannot be used, or return None if they are a JSON object or empty.

    Parsed strictly: no repair, no NaN, nothing after the object.
    """
    if not arguments.strip():
        return None
    try:
        value = json.loads(arguments, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"its arguments are not JSON: {error}"
    return None if isinstance(value, dict) else "its arguments are JSON, but no object"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call.

    Attributes:
        id: the provider's id, or None where it sent none.
        name: the function's name.
        arguments: the arguments as the text that came, all fragments joined.
        type: "function" or "custom".
        index: the provider's index, or None where it sent none.
        problem: why the call must not be executed, or None.
        extra: what else the provider sent with it.
    """

    id: str | None
    name: str
    arguments: str
    type: str = "function"
    index: int | None = None
    problem: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def executable(self) -> bool:
        """Whether the call is whole: the stream ended properly and the arguments are a JSON object, or empty."""
        return self.problem is None

    def parsed(self) -> Any:
        """Return the arguments as a JSON object (`{}` where none were sent); of a custom call, its text.

        Raises:
            ValueError: the call is not executable.
        """
        if self.problem is not None:
            raise ValueError(f"tool call {self.name!r} is not executable: {self.problem}")
        if self.type == "custom":
            return self.arguments
        return json.loads(self.arguments) if self.arguments.strip() else {}


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call in the legacy form (`function_call`), with the same `problem` as a ToolCall."""

    name: str
    arguments: str
    problem: str | None = None

    @property
    def executable(self) -> bool:
        """Whether the call is whole."""
        return self.problem is None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers of a completion.

    Attributes:
        index: the provider's index.
        role: "assistant" where the stream named none.
        content: the text, or None where none was sent.
        refusal: the refusal's text, or None.
        reasoning: the reasoning's text, or None; where a provider sends it under two names, one of them.
        tool_calls: the calls, ordered by index.
        function_call: the legacy call, or None.
        finish_reason: the first one that the provider gave, or None.
        logprobs: `{"content": [...], "refusal": [...]}` with each token once, or None.
        extra: what else came in the choice and its deltas.
    """

    index: int
    role: str = "assistant"
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    function_call: FunctionCall | None = None
    finish_reason: str | None = None
    logprobs: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """The result of a stream.

    Attributes:
        choices: the answers, ordered by index.
        usage: the last usage object, as the provider sent it, or None.
        id, model, created, system_fingerprint, service_tier: the first that is not empty.
        ended: whether the stream ended properly: every choice has a finish reason, or the terminal event came.
        extra: what else came in the payloads.
    """

    choices: tuple[Choice, ...] = ()
    usage: Mapping[str, Any] | None = None
    id: str | None = None
    model: str | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    ended: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str | None:
        """The text of the first choice, or None."""
        return self.choices[0].content if self.choices else None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the first choice."""
        return self.choices[0].tool_calls if self.choices else ()

    @property
    def finish_reason(self) -> str | None:
        """The finish reason of the first choice, or None."""
        return self.choices[0].finish_reason if self.choices else None

    def to_openai(self, *, partial: bool = False) -> ChatCompletion:
        """Return the openai library's own ChatCompletion.

        Args:
            partial: allow a stream that did not end: its finish reasons stay None and calls that are not executable
                are left out, so that nothing in it looks finished.

        Raises:
            TruncatedStreamError: the stream did not end properly and `partial` is false.
        """
        from openai.types.chat import ChatCompletion

        if not self.ended and not partial:
            error = TruncatedStreamError("the stream ended early: to_openai(partial=True) gives what there is")
            error.partial = self
            raise error
        data: dict[str, Any] = {
            **self.extra,
            "id": self.id or "",
            "object": "chat.completion",
            "created": self.created or 0,
            "model": self.model or "",
            "choices": [_openai_choice(choice, drop=not self.ended) for choice in self.choices],
        }
        for name in ("usage", "system_fingerprint", "service_tier"):
            value = getattr(self, name)
            if value is not None:
                data[name] = value
        return ChatCompletion.construct(**data)


_MESSAGE_FIELDS = ("annotations", "audio")  # the library has them on the message


def _openai_choice(choice: Choice, *, drop: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": choice.role, "content": choice.content, "refusal": choice.refusal}
    if choice.reasoning is not None:
        message["reasoning_content"] = choice.reasoning
    calls = [call for call in choice.tool_calls if call.executable or not drop]
    if calls:
        message["tool_calls"] = [_openai_call(call, number) for number, call in enumerate(calls)]
    legacy = choice.function_call
    if legacy is not None and (legacy.executable or not drop):
        message["function_call"] = {"name": legacy.name, "arguments": legacy.arguments}
    message.update({name: choice.extra[name] for name in _MESSAGE_FIELDS if name in choice.extra})
    return {
        **{name: value for name, value in choice.extra.items() if name not in _MESSAGE_FIELDS},
        "index": choice.index,
        "finish_reason": None if drop else choice.finish_reason,
        "logprobs": choice.logprobs,
        "message": message,
    }


def _openai_call(call: ToolCall, number: int) -> dict[str, Any]:
    identity = {"id": call.id or f"call_{number}", "type": call.type}
    if call.type == "custom":
        return {**call.extra, **identity, "custom": {"name": call.name, "input": call.arguments}}
    return {**call.extra, **identity, "function": {"name": call.name, "arguments": call.arguments}}
