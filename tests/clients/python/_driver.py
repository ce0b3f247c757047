"""What the Python drivers share: the line protocol, and the shape in which they report an answer.

A driver is a program. It reads a case a line from its standard input and writes one line for each to its standard
output:

    {"id": 7, "base_url": "http://127.0.0.1:40123/case/~7/v1", "url": ".../v1/chat/completions",
     "dialect": "openai_chat", "request": {the body to send}}
    {"id": 7, "result": {"choices": [...]}}  or  {"id": 7, "error": {"type": "APIError", "message": "..."}}

It reports what its client reports and repairs nothing. All drivers send requests once: a client that tries again gets
the same bytes again, and its user sees the last failure in any case, so retries would only cost time.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEY", "TIMEOUT", "Case", "answer", "call", "choice", "plain", "present", "serve"]

#: Seconds that a client waits for the next bytes.
TIMEOUT = 20.0
#: Clients ask for a key; the server of the cases does not.
KEY = "no-key"

# The server of the cases is on this machine: no proxy leads there.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

_QUESTION = "What is the weather like in Boston?"
_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
}


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        base_url: what the client takes as the address of its API.
        url: the address of the endpoint itself, for clients that know no API.
        request: the body of the request that the stream once answered, if there is one.
    """

    base_url: str
    url: str
    request: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model to ask for."""
        named = self.request.get("model")
        return named if isinstance(named, str) and named else "replayed"

    @property
    def messages(self) -> list[Any]:
        """The conversation to send."""
        return self.request.get("messages") or [{"role": "user", "content": _QUESTION}]

    @property
    def question(self) -> str:
        """The last text of a user in it, for clients that take no messages as the API has them."""
        texts = [message.get("content") for message in self.messages if message.get("role") == "user"]
        return next((text for text in reversed(texts) if isinstance(text, str)), _QUESTION)

    @property
    def tools(self) -> list[Any]:
        """The tools to offer; one at least, since some clients read no calls where none were offered."""
        return self.request.get("tools") or [_WEATHER]

    @property
    def body(self) -> dict[str, Any]:
        """The whole body, for clients that know no API."""
        return {"model": self.model, "messages": self.messages, "tools": self.tools, "stream": True}


def serve(drive: Callable[[Case], Any]) -> None:
    """Answer the cases of the standard input until it ends.

    Args:
        drive: gives what the client reports for one case, or raises what the client raises.
    """
    out = _own_output()
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        told = json.loads(line)
        case = Case(told["base_url"], told.get("url") or told["base_url"], told.get("request") or {})
        try:
            reply = {"id": told["id"], "result": plain(drive(case))}
        except Exception as error:  # noqa: BLE001 - whatever the client raises is what there is to report
            reply = {"id": told["id"], "error": {"type": type(error).__name__, "message": str(error)}}
        print(json.dumps(reply), file=out, flush=True)


def _own_output() -> Any:
    """Return the standard output, and let all others who write to it write to the standard error from now on."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return own


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: models as they dump themselves, and the text of what is not known.

    Args:
        value: any value.
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(warnings=False))  # a stream may have put other types into the fields
    return repr(value)


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that are there: what a client does not report is left out.

    Args:
        fields: the fields; None for what is not reported.
    """
    return {name: value for name, value in fields.items() if value is not None}


def call(*, name: Any, arguments: Any, id: Any = None) -> dict[str, Any]:  # noqa: A002 - the field's name
    """Return one tool call.

    Args:
        name: the function's name.
        arguments: its arguments, as text or parsed.
        id: the call's id.
    """
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def choice(content: Any, calls: list[Any] | None = None, *, index: int = 0, **further: Any) -> dict[str, Any]:
    """Return one choice.

    Args:
        content: its text.
        calls: its tool calls; None where the client does not report them.
        index: its number.
        further: `finish_reason`, and fields of the message such as `refusal` and `reasoning`; None where it is not
            reported.
    """
    reason = {"finish_reason": further.pop("finish_reason")} if "finish_reason" in further else {}
    message = {"role": "assistant", "content": content, **present(tool_calls=calls, **further)}
    return {"index": index, "message": message, **reason}


def answer(*choices: dict[str, Any], **further: Any) -> dict[str, Any]:
    """Return an answer.

    Args:
        choices: its choices.
        further: fields of the whole answer such as `usage`, `id` and `model`; None where it is not reported.
    """
    return {"choices": list(choices), **present(**further)}
