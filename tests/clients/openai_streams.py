"""The streams that the table is made over: the bundled ones, and synthetic ones that make more mutations apply."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import streamkit
from streamkit.cassettes import bundled
from streamkit.completion import Choice, Completion, FunctionCall, ToolCall

if TYPE_CHECKING:
    from streamkit.transcript import Transcript

__all__ = ["by_name", "chat_streams", "named", "responses_streams"]

_WEATHER = ("get_weather", {"city": "Oslo", "note": 'a "b" \\ é\n'})
_TIME = ("get_time", {"zone": "CET"})
_USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
_SPENT = {"input_tokens": 9, "output_tokens": 7, "total_tokens": 16}


@lru_cache(maxsize=1)
def chat_streams() -> tuple[Transcript, ...]:
    """Return the streams of Chat Completions."""
    return (*(one for one in bundled() if one.dialect == "openai_chat"), *_chat())


def _chat() -> list[Transcript]:
    two = Completion(
        (Choice(0, content="One sun.", finish_reason="stop"), Choice(1, content="Two moons.", finish_reason="stop")),
        None, "synthetic", "synthetic", 1767225600, ended=True,
    )  # fmt: skip
    told = {"content": [_token("Hi", -0.5), _token(" you", -1.25)]}
    scored = Completion(
        (Choice(0, content="Hi you", logprobs=told, finish_reason="stop"),),
        None, "synthetic", "synthetic", 1767225600, ended=True,
    )  # fmt: skip
    legacy = Completion(
        (Choice(0, function_call=FunctionCall("get_time", '{"zone": "CET"}'), finish_reason="function_call"),),
        None, "synthetic", "synthetic", 1767225600, ended=True,
    )  # fmt: skip
    return [
        _made("text", "Is <think>it</think> so? 🌤", reasoning="Let me think.", usage=_USAGE),
        _made("refusal", refusal="I cannot help."),
        _made("parallel_calls", "I look.", tool_calls=[_WEATHER, _TIME], usage=_USAGE, token_size=9),
        _made("whole_calls", tool_calls=[_TIME, ToolCall("call_b", "ping", "{}", index=1)], calls="whole"),
        _made("two_choices", completion=two, token_size=4),
        _made("logprobs", completion=scored, token_size=4),
        _made("function_call", completion=legacy),
    ]


@lru_cache(maxsize=1)
def responses_streams() -> tuple[Transcript, ...]:
    """Return the streams of Responses, all synthetic."""
    api = "openai_responses"
    return (
        _made("text", "The sun is out.", reasoning="Let me think.", usage=_SPENT, token_size=6, dialect=api),
        _made("refusal", refusal="I cannot help.", dialect=api),
        _made("parallel_calls", "I look.", tool_calls=[_WEATHER, _TIME], token_size=9, dialect=api),
    )


def by_name(name: str) -> Transcript:
    """Return the stream of that name.

    Raises:
        KeyError: there is none.
    """
    return {one.name: one for one in (*chat_streams(), *responses_streams())}[name]


def named(digest: str) -> Transcript | None:
    """Return the stream whose body has a SHA-256 that begins so, or None."""
    return next((one for one in (*chat_streams(), *responses_streams()) if one.sha256.startswith(digest)), None)


def _made(name: str, content: str | None = None, dialect: str = "openai_chat", **how: Any) -> Transcript:
    return streamkit.synthesize(content, dialect=dialect, name=f"{dialect}/made_{name}", **how)


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}
