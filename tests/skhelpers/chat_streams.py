"""Chat completion streams to try mutations on: one for each habit of servers, built by hand as lists of payloads."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from skhelpers.chat import DONE, Json, call, calls, choice, delta, finish, payload, sse
from streamkit.dialects import accumulate
from streamkit.errors import DialectError
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

USAGE = {"prompt_tokens": 61, "completion_tokens": 37, "total_tokens": 98}


def _open(index: int, name: str, arguments: Any = "", **fields: Any) -> Json:
    return call(index, id=f"call_{name}", type="function", name=name, arguments=arguments, **fields)


def _pieces(index: int, *texts: str) -> list[Json]:
    return [calls(call(index, arguments=text)) for text in texts]


def _text(*pieces: str, key: str = "content") -> list[Json]:
    return [delta(role="assistant", content=""), *(delta(**{key: piece}) for piece in pieces)]


_LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.25, "top_logprobs": []}

STREAMS: dict[str, list[Json | str]] = {
    "text": [*_text("Hel", "lo", " 🌍 ", "<think>x</think>", "!"), finish(), DONE],
    "one call": [
        calls(_open(0, "get_weather"), role="assistant", content=None),
        *_pieces(0, '{"ci', 'ty":', ' "S\\u00e3o\\n \\ud83c', '\\udf0d 🌍"', "}"),
        finish("tool_calls"),
        DONE,
    ],
    "whole call": [
        calls(_open(0, "get_weather", '{"city": "Paris", "n": [1, 2]}'), role="assistant"),
        finish("tool_calls"),
        DONE,
    ],
    "two calls in turn": [
        delta(role="assistant", content="I look."),
        calls(_open(0, "get_weather")),
        *_pieces(0, '{"city":', '"Paris"}'),
        calls(_open(1, "get_time")),
        *_pieces(1, '{"zone":', '"}{"', "}"),
        finish("tool_calls"),
        payload(usage=USAGE),
        DONE,
    ],
    "two calls in turns": [
        delta(role="assistant", content=None),
        calls(_open(0, "get_weather")),
        calls(_open(1, "get_time")),
        *_pieces(0, '{"city"'),
        *_pieces(1, '{"zone"'),
        *_pieces(0, ':"Paris"}'),
        *_pieces(1, ':"utc"}'),
        finish("tool_calls"),
        DONE,
    ],
    "three whole calls": [
        delta(role="assistant"),
        calls(_open(0, "one", '{"a":1}'), _open(1, "two", '{"b":2}')),
        calls(_open(2, "three", '{"c":{"d":3}}')),
        finish("tool_calls"),
        DONE,
    ],
    "call without arguments": [
        calls(_open(0, "list_files"), role="assistant", content=None),
        calls(_open(1, "get_time", "{}")),
        finish("tool_calls"),
        DONE,
    ],
    "legacy call": [
        delta(role="assistant", content=None, function_call={"name": "get_weather", "arguments": ""}),
        delta(function_call={"arguments": '{"city":'}),
        delta(function_call={"arguments": '"Par\\u0131s"}'}),
        finish("function_call"),
        DONE,
    ],
    "two choices": [
        payload(choice(0, role="assistant", content="")),
        payload(choice(1, role="assistant", content="")),
        payload(choice(0, content="Yes")),
        payload(choice(1, content="No")),
        payload(choice(0, content=".")),
        payload(choice(0, "stop")),
        payload(choice(1, content="!")),
        payload(choice(1, "stop")),
        payload(usage=USAGE),
        DONE,
    ],
    "usage null until the end": [
        payload(choice(role="assistant", content=""), usage=None),
        payload(choice(content="Hello"), usage=None),
        payload(choice(finish_reason="stop"), usage=None),
        payload(usage=USAGE),
        DONE,
    ],
    "usage with the finish reason": [
        *_text("Hello", " there"),
        payload(choice(finish_reason="stop"), usage=USAGE),
        DONE,
    ],
    "preamble of Azure": [
        {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"index": 0}]},
        *_text("Hi", " there"),
        finish(),
        DONE,
    ],
    "reasoning": [
        *_text("First", ", I think.", key="reasoning_content"),
        delta(content="Then"),
        delta(content=" I say."),
        finish(),
        DONE,
    ],
    "refusal": [*_text("I can", "not.", key="refusal"), finish(), DONE],
    "logprobs": [
        payload({**choice(role="assistant", content=""), "logprobs": None}),
        payload({**choice(content="a"), "logprobs": {"content": [_LOGPROB], "refusal": None}}),
        payload({**choice(content="aa"), "logprobs": {"content": [_LOGPROB, _LOGPROB], "refusal": None}}),
        payload({**choice(finish_reason="stop"), "logprobs": None}),
        DONE,
    ],
    "nulls everywhere": [
        calls(
            {"index": 0, "id": "call_f", "type": "function", "function": {"name": "f", "arguments": None}},
            role="assistant",
            content=None,
            refusal=None,
        ),
        calls({"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": '{"a": true}'}}),
        finish("tool_calls"),
        DONE,
    ],
    "custom call": [
        calls({"index": 0, "id": "call_c", "type": "custom", "custom": {"name": "run", "input": ""}}, role="assistant"),
        calls({"index": 0, "custom": {"input": "print("}}),
        calls({"index": 0, "custom": {"input": "1)"}}),
        finish("tool_calls"),
        DONE,
    ],
    "cut off by length": [
        calls(_open(0, "get_weather"), role="assistant"),
        *_pieces(0, '{"city":', '"Pa'),
        finish("length"),
        DONE,
    ],
    "no end": [*_text("Hello", " wor")],
}


def stream(*events: Json | str | bytes) -> Stream:
    """Return the stream of these events."""
    return Stream.of(Transcript(sse(*events), name="made by hand", dialect="openai_chat", synthetic=True))


@cache
def named(name: str) -> Stream:
    """Return one of the streams."""
    return stream(*STREAMS[name])


def outcome(body: bytes) -> object:
    """Return the completion of a body, or the type of the error and what there was so far."""
    try:
        return accumulate([body])
    except DialectError as error:
        return type(error), error.partial


def catalogue(*modules: ModuleType, kind: Class) -> list[Mutation]:
    """Return the mutations of a class that some modules hold, by name."""
    found = {one.name: one for module in modules for one in vars(module).values() if isinstance(one, Mutation)}
    return [found[name] for name in sorted(found) if found[name].kind == kind]


def wanted(edit: Edit, original: object) -> object:
    """Return the outcome that an edit says is the sensible one, given the original's."""
    if edit.expected is None:
        return original
    if isinstance(original, tuple):
        kind, partial = original
        return kind, edit.expected(partial)
    return edit.expected(original)


def edits(one: Mutation, base: Stream, most: int = 8) -> Iterator[tuple[tuple[int, ...], Edit]]:
    """Yield a mutation's variants on a stream, as (choices, edit); none where it has nothing to do."""
    for numbers in one.variants(base, most):
        with suppress(Inapplicable):
            yield numbers, one.apply(base, numbers)


def deltas(of: Stream, choice: int = 0) -> list[Json]:
    """Return the deltas of one choice, in order."""
    return [
        entry.get("delta") or {}
        for _, one in of.payloads
        for entry in one.get("choices") or []
        if (entry.get("index") or 0) == choice
    ]


def entries(of: Stream) -> list[list[Any]]:
    """Return the `tool_calls` entries of each payload that has some, as [index, id, name, arguments]."""
    return [
        [
            [call.get("index"), call.get("id"), body.get("name"), body.get("arguments")]
            for call in one["tool_calls"]
            for body in [call.get("function") or {}]
        ]
        for one in deltas(of)
        if one.get("tool_calls")
    ]


def finishes(of: Stream) -> list[Any]:
    """Return the finish reason of every entry of `choices`, in order."""
    return [entry.get("finish_reason") for _, one in of.payloads for entry in one.get("choices") or []]


every_stream = pytest.mark.parametrize("name", STREAMS)
