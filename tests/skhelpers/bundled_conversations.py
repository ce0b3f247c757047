"""The conversations among the bundled cassettes: several requests each, in the order in which they are made.

`bundled` writes them and holds them to this. Those named `synthetic_` no server sent. In `weather_in_boston` the first
answer is the one that a public report shows, and the second, which the report does not have, is synthetic.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["conversations"]

Json = dict[str, Any]

_API = "https://api.openai.com/v1"
_SSE = ResponseHead(200, "OK", (("Content-Type", "text/event-stream; charset=utf-8"),))
_MADE = "made for this library: no server sent it"
_MODEL = "gpt-4o"
_USAGE = {"stream_options": {"include_usage": True}}

_BOSTON = "What is the weather like in Boston?"
_COUNT = "How many characters are in 'streaming'?"
_WEATHER_TEXT = '{"location":"Boston","temperature":22,"unit":"celsius","sky":"clear"}'
_COUNT_FUNCTION: Json = {
    "name": "count_string",
    "description": "Counts the number of characters in a string.",
    "parameters": {
        "type": "object",
        "properties": {
            "string_to_count": {
                "type": "string", "description": "The string whose characters you want to count.",
            },
        },
        "required": ["string_to_count"],
    },
}  # fmt: skip
_WEATHER_FUNCTION: Json = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    },
}
_FUNCTIONS = [_COUNT_FUNCTION, _WEATHER_FUNCTION]


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def _tools(functions: Iterable[Json]) -> Json:
    return {"tools": [{"type": "function", "function": one} for one in functions]}


def _interaction(
    path: str, asked: Json, body: bytes, dialect: str, *, head: ResponseHead = _SSE, **facts: Any
) -> Interaction:
    asked = {**asked, "stream": True}
    request = Request(
        "POST",
        f"{_API}/{path}",
        (("Content-Type", "application/json"),),
        json.dumps(asked, ensure_ascii=False).encode(),
    )
    made = {"synthetic": True, "source": _MADE, **facts}
    return Interaction(request, Transcript(body, head=head, dialect=dialect, request=request, **made))


# -- Chat Completions


def _chat_body(deltas: Sequence[Json], finish: str, *, usage: Json | None = None, number: int = 1) -> bytes:
    identity: Json = {
        "id": f"chatcmpl-synthetic-{number}", "object": "chat.completion.chunk", "created": 1767225600, "model": _MODEL,
    }  # fmt: skip
    payloads = [
        {**identity, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*((delta, None) for delta in deltas), ({}, finish)]
    ]
    if usage is not None:
        payloads.append({**identity, "choices": [], "usage": usage})
    encoder = SSEEncoder()
    data = [*(json.dumps(payload, ensure_ascii=False, separators=(",", ":")) for payload in payloads), "[DONE]"]
    return b"".join(encoder.encode(ServerSentEvent(data=text)) for text in data)


def _text(*pieces: str) -> list[Json]:
    first, *rest = pieces
    return [{"role": "assistant", "content": first}, *({"content": piece} for piece in rest)]


def _opened(index: int, identity: str, name: str) -> Json:
    function = {"name": name, "arguments": ""}
    return {"tool_calls": [{"index": index, "id": identity, "type": "function", "function": function}]}


def _more(index: int, *pieces: str) -> list[Json]:
    return [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]


def _sent(identity: str, name: str, arguments: str) -> Json:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _tokens(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat(asked: Json, body: bytes, **facts: Any) -> Interaction:
    return _interaction("chat/completions", asked, body, "openai_chat", **facts)


def _boston(first: Transcript) -> list[Interaction]:
    assert first.request is not None
    asked = json.loads(first.request.body)
    call = _sent("call_telkvFkERZ3MW3eLzHsVrRhl", "get_current_weather", '{\n  "location": "Boston"\n}')
    messages = [
        *asked["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": _WEATHER_TEXT},
    ]
    body = _chat_body(_text("", "It", " is", " 22", " °C", " and", " clear", " in", " Boston", "."), "stop")
    return [Interaction(first.request, first), _chat({**asked, "messages": messages}, body)]


def _count() -> list[Interaction]:
    asked = {"model": _MODEL, **_USAGE, **_tools(_FUNCTIONS)}
    call = _sent("call_count", "count_string", '{"string_to_count":"streaming"}')
    first = [
        *_text("Let me", " count", ". "), _opened(0, "call_count", "count_string"),
        *_more(0, '{"string', '_to_count":"', "streaming", '"}'),
    ]  # fmt: skip
    messages = [
        _user(_COUNT),
        {"role": "assistant", "content": "Let me count. ", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_count", "content": "9"},
    ]
    second = _text("It", " has", " 9", " characters", ".")
    return [
        _chat({**asked, "messages": [_user(_COUNT)]}, _chat_body(first, "tool_calls", usage=_tokens(131, 24))),
        _chat({**asked, "messages": messages}, _chat_body(second, "stop", usage=_tokens(165, 7), number=2)),
    ]


def _legacy() -> list[Interaction]:
    asked = {"model": _MODEL, "functions": [_COUNT_FUNCTION]}
    arguments = ['{"string_to_count": ', '"streaming"}']
    first: list[Json] = [
        {"role": "assistant", "content": None, "function_call": {"name": "count_string", "arguments": ""}},
        *({"function_call": {"arguments": piece}} for piece in arguments),
    ]
    messages = [
        _user(_COUNT),
        {"role": "assistant", "content": None,
         "function_call": {"name": "count_string", "arguments": "".join(arguments)}},
        {"role": "function", "name": "count_string", "content": "9"},
    ]  # fmt: skip
    return [
        _chat({**asked, "messages": [_user(_COUNT)]}, _chat_body(first, "function_call")),
        _chat({**asked, "messages": messages}, _chat_body(_text("Nine", " characters", "."), "stop", number=2)),
    ]


def _parallel() -> list[Interaction]:
    asked = {"model": _MODEL, **_USAGE, **_tools(_FUNCTIONS)}
    question = "The weather in Boston and in São Paulo, and the length of 'São Paulo'?"
    calls = [
        _sent("call_1", "get_current_weather", '{"location":"Boston"}'),
        _sent("call_2", "get_current_weather", '{"location":"São Paulo","unit":"fahrenheit"}'),
        _sent("call_3", "count_string", '{"string_to_count":"São Paulo"}'),
    ]
    first = [
        {"role": "assistant", "content": None, **_opened(0, "call_1", "get_current_weather")},
        _opened(1, "call_2", "get_current_weather"),
        _opened(2, "call_3", "count_string"),
        *_more(0, '{"location":'), *_more(1, '{"location":"São', " Paulo"), *_more(0, '"Boston"}'),
        *_more(2, '{"string_to_count":"', 'São Paulo"}'), *_more(1, '","unit":"fahrenheit"}'),
    ]  # fmt: skip
    results = [_WEATHER_TEXT, '{"location":"São Paulo","temperature":72,"unit":"fahrenheit","sky":"clear"}', "9"]
    messages = [
        _user(question),
        {"role": "assistant", "content": None, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call["id"], "content": text}
          for call, text in zip(calls, results, strict=True)),
    ]  # fmt: skip
    second = _text("22", " °C", " and", " 72", " °F", ", both clear; ", "9 characters.")
    return [
        _chat({**asked, "messages": [_user(question)]}, _chat_body(first, "tool_calls", usage=_tokens(140, 66))),
        _chat({**asked, "messages": messages}, _chat_body(second, "stop", usage=_tokens(245, 12), number=2)),
    ]


# -- single answers: what guides to streaming show


def _answer(question: str, *pieces: str, usage: Json | None = None, **asked: Any) -> Interaction:
    body = _chat_body(_text(*pieces), "stop", usage=usage)
    return _chat({"model": _MODEL, "messages": [_user(question)], **asked}, body)


def _streamed_call() -> list[Interaction]:
    function = {
        "name": "get_weather",
        "description": "Get current weather for a location",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "City name"}},
            "required": ["location"],
        },
    }
    deltas = [
        {"role": "assistant", "content": None, **_opened(0, "call_berlin", "get_weather")},
        *_more(0, '{"', "location", '":"', "Berlin", '"}'),
    ]
    asked = {"model": _MODEL, "messages": [_user("What's the weather in Berlin?")], **_tools([function])}
    return [_chat(asked, _chat_body(deltas, "tool_calls"))]


def _dropped() -> list[Interaction]:
    """A server that is overloaded, a connection that breaks within the answer, and the answer."""
    asked = {"model": _MODEL, "messages": [_user("Name three primes.")]}
    body = _chat_body(_text("", "2", ", 3", " and", " 5", "."), "stop")
    error = {"error": {"message": "The server is overloaded.", "type": "server_error", "code": None, "param": None}}
    busy = ResponseHead(503, "Service Unavailable", (("Content-Type", "application/json"), ("Retry-After", "2")))
    broken = {"ending": Ending.RESET, "error": "httpx2.ReadError: the connection was reset"}
    return [
        _chat(asked, json.dumps(error).encode(), head=busy),
        _chat(asked, body[: body.index(b" and")], **broken),
        _chat(asked, body),
    ]


# -- Responses


def _responses(asked: Json, output: list[Json], deltas: list[Json], usage: Json, number: int) -> Interaction:
    identity: Json = {
        "id": f"resp_synthetic_{number}", "object": "response", "created_at": 1767225600, "model": _MODEL,
    }  # fmt: skip
    payloads: list[Json] = [
        {"type": "response.created", "response": {**identity, "status": "in_progress", "output": []}},
        *deltas,
        {"type": "response.completed",
         "response": {**identity, "status": "completed", "output": output, "usage": usage}},
    ]  # fmt: skip
    encoder = SSEEncoder()
    numbered = [{**payload, "sequence_number": place} for place, payload in enumerate(payloads)]
    body = b"".join(
        encoder.encode(
            ServerSentEvent(event=one["type"], data=json.dumps(one, ensure_ascii=False, separators=(",", ":")))
        )
        for one in numbered
    )
    return _interaction("responses", {"model": _MODEL, **asked}, body, "openai_responses")


def _said(place: int, *pieces: str) -> tuple[Json, list[Json]]:
    """Return a message item and its events."""
    at: Json = {"item_id": f"msg_{place}", "output_index": place}
    opened = {"type": "message", "id": f"msg_{place}", "status": "in_progress", "role": "assistant", "content": []}
    part: Json = {"type": "output_text", "text": "".join(pieces), "annotations": []}
    item = {**opened, "status": "completed", "content": [part]}
    inner: Json = {**at, "content_index": 0}
    return item, [
        {"type": "response.output_item.added", "output_index": place, "item": opened},
        {"type": "response.content_part.added", **inner, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **inner, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **inner, "text": part["text"]},
        {"type": "response.content_part.done", **inner, "part": part},
        {"type": "response.output_item.done", "output_index": place, "item": item},
    ]


def _called(place: int, call_id: str, name: str, *pieces: str) -> tuple[Json, list[Json]]:
    """Return a call's item and its events."""
    at: Json = {"item_id": f"fc_{place}", "output_index": place}
    opened = {
        "type": "function_call", "id": f"fc_{place}", "call_id": call_id, "name": name, "arguments": "",
        "status": "in_progress",
    }  # fmt: skip
    item = {**opened, "arguments": "".join(pieces), "status": "completed"}
    return item, [
        {"type": "response.output_item.added", "output_index": place, "item": opened},
        *({"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in pieces),
        {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]},
        {"type": "response.output_item.done", "output_index": place, "item": item},
    ]


def _counted(given: int, made: int) -> Json:
    return {
        "input_tokens": given, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": given + made,
    }  # fmt: skip


def _in_responses(
    question: str, said: Sequence[str], call: Sequence[str], result: str, answer: Sequence[str]
) -> list[Interaction]:
    call_id, name, *pieces = call
    parts = [*([_said(0, *said)] if said else []), _called(1 if said else 0, call_id, name, *pieces)]
    asked: Json = {"tools": [{"type": "function", **one, "strict": False} for one in _FUNCTIONS]}
    told: list[Json] = [
        _user(question),
        *([{"role": "assistant", "content": "".join(said)}] if said else []),
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": "".join(pieces)},
        {"type": "function_call_output", "call_id": call_id, "output": result},
    ]
    item, events = _said(0, *answer)
    return [
        _responses({"input": [_user(question)], **asked}, [one for one, _ in parts],
                   [event for _, made in parts for event in made], _counted(120, 21), 1),
        _responses({"input": told, **asked}, [item], events, _counted(155, 9), 2),
    ]  # fmt: skip


def conversations(boston: Transcript) -> dict[str, list[Interaction]]:
    """Return the interactions of each conversation, by its name.

    Args:
        boston: the answer of the public report.
    """
    made = {
        "weather_in_boston": _boston(boston),
        "synthetic_boston_weather_responses": _in_responses(
            _BOSTON, (), ("call_boston", "get_current_weather", '{"loca', 'tion":"', "Boston", '"}'), _WEATHER_TEXT,
            ("It is 22", " °C", " and clear", " in Boston."),
        ),
        "synthetic_count_string": _count(),
        "synthetic_count_string_legacy": _legacy(),
        "synthetic_count_string_responses": _in_responses(
            _COUNT, ("Let me", " count. "), ("call_count", "count_string", '{"string_to_count":', '"streaming"}'), "9",
            ("It has", " 9", " characters."),
        ),
        "synthetic_dropped_connection": _dropped(),
        "synthetic_full_text": [
            _answer("List 5 EU countries", "", "1. Austria\n", "2. Denmark\n", "3. Greece\n", "4. Malta\n", "5. Spain"),
        ],
        "synthetic_parallel_calls": _parallel(),
        "synthetic_streamed_call": _streamed_call(),
        "synthetic_streaming": [
            _answer("Explain quantum computing", "", "Quantum", " computers", " compute", " with", " qubits", "."),
        ],
        "synthetic_usage": [
            _answer("Hello!", "", "Hello", "!", " How", " can", " I", " help", "?", usage=_tokens(9, 7), **_USAGE),
        ],
    }  # fmt: skip
    return {f"conversations/{name}": interactions for name, interactions in made.items()}
