"""What the parser that bugs are planted in holds of an answer, and the errors that it raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "ChatError", "Choice", "CutOffError", "MalformedError", "ReportedError"]


class ChatError(Exception):
    """The stream cannot be read to its end."""


class CutOffError(ChatError):
    """The stream, or a call in it, is not whole."""


class ReportedError(ChatError):
    """The provider reports an error."""


class MalformedError(ChatError):
    """The stream says what no chat completion says."""


@dataclass
class Call:
    """A tool call as far as it came."""

    index: int | None
    id: str = ""
    type: str = "function"
    name: str = ""
    arguments: str = ""


@dataclass
class Choice:
    """A choice as far as it came."""

    index: int
    role: str = ""
    content: str = ""
    refusal: str = ""
    reasoning: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    latest: Call | None = None
    function: dict[str, str] | None = None
    finish: str | None = None
    logprobs: list[Any] = field(default_factory=list)
