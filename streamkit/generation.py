"""Hypothesis strategies for streams that nobody recorded: any answer that a dialect can carry, in any layout.

What a dialect carries is found by asking: for each feature (reasoning, several choices, calls without arguments ...)
the smallest answer that has it is offered once (`streamkit.synthesis.settled`), and only features that were taken are
generated. So the strategies serve dialects that this module has never heard of, and few examples are thrown away.

The texts are made of what real parsers break on: characters of four bytes, combining marks, line ends that are none in
an event stream, things that look like framing, JSON or escapes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from streamkit import dialects
from streamkit.completion import Choice, Completion, FunctionCall, ToolCall
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError
from streamkit.synthesis import finish_reason_of, settled
from streamkit.wire.sse import Framing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamkit.transcript import Transcript

__all__ = ["arguments", "completions", "features", "layouts", "texts", "transcripts"]

_NASTY = (
    "a", " ", "\n", "\r\n", "\r", "\t", "\0", '"', "\\", "\\n", "\\u00e9", "\\ud83c\\udf0d", "é", "e\u0301", "東京",
    "\U0001f30d", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\ufe0f", "\u2028", "\u2029", "\x85", "\x0b", "\x1e",
    "\ufeff", "\ufffd", "\u202e", "{", "}{", "{}", "[]", "null", "data: ", "\n\ndata: ", "event: error\n", "[DONE]",
    ": ping", "</think>", "<tool_call>", "```json\n",
)  # fmt: skip
_NAMES = ("f", "get_weather", "g", "mcp__files__read-file", "Wetter_äöü")
# Arguments that are a JSON object and whose text is not how json.dumps would write it.
_WRITTEN = (
    '{"a": 1}', '{\n  "a": [1, 2]\n}', '{"a":"\\u00e9"}', '{"a":"\\ud83c\\udf0d"}', '{"a":"\\ud83c"}', '{"a":1.50e3}',
    ' {"a":"}{"} ', '{"a":1,"a":2}', '{"a\\/b":"\\\\\\""}',
)  # fmt: skip
_LARGE = Layout(token_size=1000)  # few events: whether an answer is carried does not depend on them
_USAGES = (
    ("prompt_tokens", "completion_tokens", "total_tokens"),
    ("input_tokens", "output_tokens", "total_tokens"),
    ("input_tokens", "output_tokens"),
    ("inputTokens", "outputTokens", "totalTokens"),
    ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
    ("prompt_eval_count", "eval_count"),
    (),
)


@cache
def texts() -> st.SearchStrategy[str]:
    """Generate texts that parsers break on.

    Returns:
        A strategy that shrinks towards the empty text, then towards "a".
    """
    pieces = st.sampled_from(_NASTY) | st.text(max_size=8)
    return st.lists(pieces, max_size=4).map("".join)


@cache
def arguments(*, written: bool = True) -> st.SearchStrategy[str]:
    """Generate the arguments of a call: the text of a JSON object.

    Args:
        written: also in ways that `json.dumps` would not choose (white space, escapes, a key twice).

    Returns:
        A strategy that shrinks towards "{}".
    """
    leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from((0.5, -1e-7)) | texts()
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | _objects(inner), max_leaves=3)
    compact = _objects(values).map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if not written:
        return compact
    spaced = st.builds(json.dumps, _objects(values), indent=st.sampled_from((None, 2)))
    return compact | spaced | st.sampled_from(_WRITTEN)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(("a", "city", "")) | texts(), values, max_size=2)


# What a dialect carries


def _one(**facts: Any) -> Completion:
    calls = tuple(facts.pop("tool_calls", ()))
    finish = "tool_calls" if calls else "stop"
    return Completion((Choice(0, tool_calls=calls, finish_reason=finish, **facts),), ended=True)


def _call(text: str = '{"a":1}', name: str = "f", **facts: Any) -> ToolCall:
    return ToolCall(facts.pop("id", None), name, text, **facts)


def _two_choices() -> Completion:
    return Completion((Choice(0, content="a", finish_reason="stop"), Choice(1, content="b", finish_reason="stop")))


_TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
#: Feature: the smallest answer that has it.
_PROBES: dict[str, Callable[[], Completion]] = {
    "content": lambda: _one(content="a"),
    "empty": lambda: _one(content=""),
    "silence": lambda: _one(content=None),
    "calls": lambda: _one(tool_calls=[_call()]),
    "parallel": lambda: _one(tool_calls=[_call(), _call(name="g")]),
    "content and calls": lambda: _one(content="a", tool_calls=[_call()]),
    "no arguments": lambda: _one(tool_calls=[_call("")]),
    "written arguments": lambda: _one(tool_calls=[_call('{"a": "\\u00e9"}')]),
    "reasoning": lambda: _one(content="a", reasoning="b"),
    "refusal": lambda: _one(refusal="a"),
    "content and refusal": lambda: _one(content="a", refusal="b"),
    "logprobs": lambda: _one(content="a", logprobs={"content": [_TOKEN]}),
    "function call": lambda: _one(function_call=FunctionCall("f", "{}")),
    "choices": _two_choices,
}


def features(dialect: str | Any = "openai_chat") -> frozenset[str]:
    """Return what kinds of answers a dialect carries, each found by offering it the smallest one.

    Args:
        dialect: its name, or a dialect.
    """
    speaker = _speaker(dialect)
    return frozenset(name for name, probe in _PROBES.items() if _fitted(speaker, probe()) is not None)


def _usages(speaker: Any) -> list[tuple[str, ...]]:
    """Return the keys of those usage objects that a dialect carries."""
    found: list[tuple[str, ...]] = []
    for keys in _USAGES:
        completion = _one(content="a")
        offered = Completion(completion.choices, usage=dict.fromkeys(keys, 2), ended=True)
        fitted = _fitted(speaker, offered)
        if fitted is not None:
            found.append(keys)
    return found


def _fitted(speaker: Any, completion: Completion) -> Completion | None:
    """Return a completion with the dialect's finish reasons and all that is open filled in; None if not carried."""
    choices = tuple(_finished(speaker, choice) for choice in completion.choices)
    facts = {name: getattr(completion, name) for name in ("usage", "system_fingerprint", "service_tier")}
    try:
        return settled(speaker, Completion(choices, **facts, ended=True), _LARGE)
    except UsageError:
        return None


def _finished(speaker: Any, choice: Choice) -> Choice:
    if choice.finish_reason not in ("stop", "tool_calls"):
        return choice
    return replace(choice, finish_reason=finish_reason_of(speaker, choice.finish_reason))


def _speaker(dialect: str | Any) -> Any:
    return dialects.get(dialect) if isinstance(dialect, str) else dialect


# Strategies of whole answers


def completions(dialect: str | Any = "openai_chat") -> st.SearchStrategy[Completion]:
    """Generate completions that a dialect can carry.

    Args:
        dialect: its name, or a dialect.

    Returns:
        A strategy that shrinks towards one choice with the least in it: no text, no call, no usage.

    Raises:
        UsageError: the dialect carries neither text nor calls.
    """
    speaker = _speaker(dialect)
    can = features(speaker)
    if not can & {"content", "calls"}:
        raise UsageError(f"the dialect {speaker.name!r} carries neither text nor calls: nothing can be generated")
    usages = _usages(speaker)
    return _answers(can, usages).map(lambda drawn: _fitted(speaker, drawn)).filter(bool)  # type: ignore[return-value]


@st.composite
def _answers(draw: st.DrawFn, can: frozenset[str], usages: list[tuple[str, ...]]) -> Completion:
    count = draw(st.integers(1, 2)) if "choices" in can else 1
    choices = tuple(draw(_choices(can, index)) for index in range(count))
    usage = None
    if usages:
        keys = draw(st.none() | st.sampled_from(usages))
        usage = None if keys is None else {key: draw(st.integers(0, 1000)) for key in keys}
    return Completion(choices, usage=usage, ended=True)


@st.composite
def _choices(draw: st.DrawFn, can: frozenset[str], index: int) -> Choice:
    kinds = [kind for kind in ("silence", "empty", "content", "calls", "content and calls", "refusal") if kind in can]
    kind = draw(st.sampled_from(kinds))
    facts: dict[str, Any] = {}
    if kind == "empty":
        facts["content"] = ""
    if "content" in kind:
        facts["content"] = draw(texts().filter(bool))
    if kind == "refusal" or ("content and refusal" in can and draw(st.booleans())):
        facts["refusal"] = draw(texts().filter(bool))
    if "reasoning" in can and facts.get("content") and draw(st.booleans()):
        facts["reasoning"] = draw(texts().filter(bool))
    calls: tuple[ToolCall, ...] = ()
    if "calls" in kind:
        listed = draw(st.lists(_calls(can), min_size=1, max_size=3 if "parallel" in can else 1))
        calls = tuple(listed)
    elif "function call" in can and draw(st.booleans()):
        facts["function_call"] = FunctionCall(draw(st.sampled_from(_NAMES)), draw(arguments()))
    if "logprobs" in can and facts.get("content") and draw(st.booleans()):
        facts["logprobs"] = {"content": [_token(character) for character in facts["content"]]}
    return Choice(index, tool_calls=calls, finish_reason="tool_calls" if calls else "stop", **facts)


@st.composite
def _calls(draw: st.DrawFn, can: frozenset[str]) -> ToolCall:
    text = arguments(written="written arguments" in can)
    if "no arguments" in can:
        text = st.just("") | text
    return ToolCall(None, draw(st.sampled_from(_NAMES)), draw(text))


def _token(character: str) -> Mapping[str, Any]:
    return {**_TOKEN, "token": character, "bytes": list(character.encode())}


def layouts(dialect: str | Any = "openai_chat") -> st.SearchStrategy[Layout]:
    """Generate layouts for a dialect.

    Args:
        dialect: its name, or a dialect; its `wire` says whether framings differ.

    Returns:
        A strategy that shrinks towards the largest deltas in the default layout.
    """
    line_ends = st.sampled_from((b"\n", b"\r\n", b"\r")) if _speaker(dialect).wire == "sse" else st.just(b"\n")
    framings = st.builds(Framing, line_end=line_ends, space=st.sampled_from((True, False)), bom=st.booleans())
    return st.builds(
        Layout,
        token_size=st.sampled_from((1000, 7, 3, 2, 1)),
        calls=st.sampled_from(("sequential", "interleaved", "whole")),
        usage=st.sampled_from(("last", "finish", "every")),
        keep_alive=st.booleans(),
        framing=framings if _speaker(dialect).wire == "sse" else st.just(Framing()),
        chunk=st.sampled_from(("event", "whole")),
    )


def transcripts(dialect: str | Any = "openai_chat") -> st.SearchStrategy[Transcript]:
    """Generate synthetic transcripts of a dialect: a completion in a layout.

    Args:
        dialect: its name, or a dialect.

    Returns:
        A strategy that shrinks towards the smallest stream.

    Raises:
        UsageError: as `completions`.
    """
    speaker = _speaker(dialect)

    def written(completion: Completion, layout: Layout) -> Transcript | None:
        try:
            transcript: Transcript = speaker.emit(completion, layout)
        except UsageError:  # a layout that the dialect does not have for this answer
            return None
        return transcript

    return st.builds(written, completions(speaker), layouts(speaker)).filter(bool)  # type: ignore[return-value]
