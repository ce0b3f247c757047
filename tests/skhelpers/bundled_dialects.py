"""The synthetic cassettes of the dialects other than Chat Completions; `bundled` writes them and holds them to this.

No server sent them. Each is as small as it can be and still has something for every mutation of its dialect: text in
several deltas, a call whose arguments come in pieces, two calls at once, two answers at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.transcript import Request, ResponseHead, Transcript
from streamkit.wire.eventstream import Header, Message, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["transcripts"]

Json = dict[str, Any]

_SSE = "text/event-stream; charset=utf-8"
_NDJSON = "application/x-ndjson"
_QUESTION = [{"role": "user", "content": "Do I need an umbrella in São Paulo?"}]


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _made(dialect: str, name: str, url: str, body: bytes | str, *, asked: Json, content_type: str = _SSE) -> Transcript:
    return Transcript(
        body if isinstance(body, bytes) else body.encode(),
        head=ResponseHead(200, "OK", (("Content-Type", content_type),)),
        name=f"{dialect}/synthetic_{name}",
        dialect=dialect,
        synthetic=True,
        source="made for this library: no server sent it",
        request=Request("POST", url, (("Content-Type", "application/json"),), _text(asked).encode()),
    )


def _events(payloads: Iterable[Json], *, named: bool, end: str = "") -> str:
    names = (f"event: {payload['type']}\n" if named else "" for payload in payloads)
    return "".join(f"{name}data: {_text(payload)}\n\n" for name, payload in zip(names, payloads, strict=True)) + end


# -- Anthropic Messages


def _block(index: int, start: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _tool_use(number: int, name: str) -> Json:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}


def _fragments(*texts: str) -> list[Json]:
    return [{"type": "input_json_delta", "partial_json": text} for text in texts]


def _message(name: str, *blocks: list[Json]) -> Transcript:
    message: Json = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "synthetic", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 61, "output_tokens": 1},
    }  # fmt: skip
    payloads = [
        {"type": "message_start", "message": message},
        *(payload for block in blocks for payload in block),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"output_tokens": 37}},
        {"type": "message_stop"},
    ]  # fmt: skip
    url = "https://api.anthropic.com/v1/messages"
    asked = {"model": "synthetic", "max_tokens": 256, "messages": _QUESTION, "stream": True}
    return _made("anthropic_messages", name, url, _events(payloads, named=True), asked=asked)


def _messages() -> list[Transcript]:
    texts = [{"type": "text_delta", "text": text} for text in ("I will l", "ook at São Paulo.")]
    city = _fragments("", '{"city": "', 'São Paulo"', "}")
    thoughts: list[Json] = [
        {"type": "thinking_delta", "thinking": "Weather,"},
        {"type": "thinking_delta", "thinking": " and the time."},
        {"type": "signature_delta", "signature": "c3ludGhldGlj"},
    ]
    return [
        _message(
            "text_and_call",
            _block(0, {"type": "text", "text": ""}, *texts),
            _block(1, _tool_use(1, "get_weather"), *city),
        ),
        _message(
            "thinking_and_calls",
            _block(0, {"type": "thinking", "thinking": "", "signature": ""}, *thoughts),
            _block(1, _tool_use(1, "get_weather"), *_fragments("", '{"city": "S\\u00e3o\\nPa', 'ulo"}')),
            _block(2, _tool_use(2, "get_time"), *_fragments("")),
        ),
    ]


# -- OpenAI Responses


def _item(index: int, item: Json, started: Json, *events: Json) -> list[Json]:
    where = {"output_index": index}
    return [
        {"type": "response.output_item.added", **where, "item": {**item, "status": "in_progress", **started}},
        *({**event, "item_id": item["id"], **where} for event in events),
        {"type": "response.output_item.done", **where, "item": item},
    ]


def _said(index: int, *pieces: str) -> list[Json]:
    whole, where = "".join(pieces), {"content_index": 0}
    part = {"type": "output_text", "text": whole}
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return _item(
        index, item, {"content": []},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **where, "text": whole},
        {"type": "response.content_part.done", **where, "part": part},
    )  # fmt: skip


def _function_call(index: int, name: str, *pieces: str) -> list[Json]:
    whole, kind = "".join(pieces), "response.function_call_arguments"
    item = {"id": f"fc_{index}", "type": "function_call", "status": "completed", "name": name,
            "call_id": f"call_{index}", "arguments": whole}  # fmt: skip
    return _item(
        index, item, {"arguments": ""},
        *({"type": f"{kind}.delta", "delta": piece} for piece in pieces),
        {"type": f"{kind}.done", "arguments": whole},
    )  # fmt: skip


def _response(name: str, *items: list[Json]) -> Transcript:
    started = {"id": "resp_1", "object": "response", "status": "in_progress", "model": "synthetic", "output": []}
    output = [events[-1]["item"] for events in items]
    usage = {"input_tokens": 61, "output_tokens": 37, "total_tokens": 98}
    payloads = [
        {"type": "response.created", "response": started},
        *(event for events in items for event in events),
        {"type": "response.completed",
         "response": {**started, "status": "completed", "output": output, "usage": usage}},
    ]  # fmt: skip
    numbered = [{"type": one["type"], "sequence_number": n, **one} for n, one in enumerate(payloads)]
    asked = {"model": "synthetic", "input": _QUESTION, "stream": True}
    url = "https://api.openai.com/v1/responses"
    return _made("openai_responses", name, url, _events(numbered, named=True), asked=asked)


def _responses() -> list[Transcript]:
    weather = ('{"city": "São', ' Paulo"}')
    return [
        _response("text_and_call", _said(0, "I will l", "ook."), _function_call(1, "get_weather", *weather)),
        _response(
            "parallel_calls",
            _function_call(0, "get_weather", *weather), _function_call(1, "get_time", '{"zone": "', 'BRT"}'),
        ),
    ]  # fmt: skip


# -- legacy completions


def _completion(name: str, *pieces: tuple[int, str, str | None], counted: bool) -> Transcript:
    head = {"id": "cmpl-synthetic", "object": "text_completion", "created": 1767225600, "model": "synthetic"}
    payloads: list[Json] = [
        {**head, "choices": [{"text": text, "index": index, "logprobs": None, "finish_reason": finish}]}
        for index, text, finish in pieces
    ]
    if counted:
        usage = {"prompt_tokens": 5, "completion_tokens": 12, "total_tokens": 17}
        payloads = [{**payload, "usage": None} for payload in payloads] + [{**head, "choices": [], "usage": usage}]
    asked = {
        "model": "synthetic", "prompt": "Once upon a time", "n": 1 + max(index for index, _, _ in pieces),
        "stream": True, "stream_options": {"include_usage": counted},
    }  # fmt: skip
    body = _events(payloads, named=False, end="data: [DONE]\n\n")
    return _made("openai_completions", name, "https://api.openai.com/v1/completions", body, asked=asked)


def _completions() -> list[Transcript]:
    return [
        _completion(
            "text", (0, "I saw a c", None), (0, "at in São", None), (0, ", then", None), (0, "", "stop"), counted=True
        ),
        _completion(
            "two_choices",
            (0, "A cat", None), (1, "A dog", None), (0, " sat.", None), (1, " ran.", None),
            (0, "", "stop"), (1, "", "length"), counted=False,
        ),
    ]  # fmt: skip


# -- Gemini


def _candidate(*parts: Json, index: int = 0, finish: str | None = None) -> Json:
    ended = {} if finish is None else {"finishReason": finish}
    return {"content": {"parts": list(parts), "role": "model"}, **ended, "index": index}


_USAGE = {"promptTokenCount": 61, "candidatesTokenCount": 37, "totalTokenCount": 98}
_IDENTITY = {"modelVersion": "synthetic", "responseId": "synthetic"}


def _answer(*payloads: list[Json]) -> list[Json]:
    counted: list[Json] = [{}] * (len(payloads) - 1) + [{"usageMetadata": _USAGE}]
    return [{"candidates": one, **usage, **_IDENTITY} for one, usage in zip(payloads, counted, strict=True)]


def _generated(name: str, payloads: list[Json], *, array: bool = False) -> Transcript:
    url = "https://generativelanguage.googleapis.com/v1beta/models/synthetic:streamGenerateContent"
    asked = {"contents": [{"role": "user", "parts": [{"text": _QUESTION[0]["content"]}]}]}
    if array:
        texts = [json.dumps(payload, ensure_ascii=False, indent=2) for payload in payloads]
        body = "[" + "\n,\r\n".join(texts) + "\n]\n"
        return _made("gemini", name, url, body, asked=asked, content_type="application/json; charset=UTF-8")
    body = _events(payloads, named=False).replace("\n", "\r\n")
    return _made("gemini", name, url + "?alt=sse", body, asked=asked)


def _gemini() -> list[Transcript]:
    calls = [
        {"functionCall": {"name": "get_weather", "args": {"city": "São Paulo", "days": 2}}},
        {"functionCall": {"name": "get_time", "args": {"zone": "America/Sao_Paulo"}}},
    ]
    spoken = [_candidate({"text": text}) for text in ("I will l", "ook at the sky.")]
    return [
        _generated("text_and_calls", _answer([spoken[0]], [spoken[1]], [_candidate(*calls, finish="STOP")])),
        _generated(
            "two_candidates",
            _answer(
                [_candidate({"text": "A c"}), _candidate({"text": "A dog"}, index=1)],
                [_candidate({"text": "at."}, finish="STOP"), _candidate({"text": " ran."}, index=1, finish="STOP")],
            ),
        ),
        _generated(
            "json_array",
            _answer([_candidate({"text": "Grüße, "})], [_candidate({"text": '[São] {Paulo}, "ok"'}, finish="STOP")]),
            array=True,
        ),
    ]


# -- Ollama


def _lines(name: str, *messages: Json) -> Transcript:
    head = {"model": "synthetic", "created_at": "2026-01-01T00:00:00Z"}
    lines = [{**head, "message": {"role": "assistant", "content": "", **one}, "done": False} for one in messages]
    counts = {"total_duration": 5000000, "prompt_eval_count": 61, "eval_count": 37}
    ended = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **counts}
    lines.append({**head, **ended})
    asked = {"model": "synthetic", "messages": _QUESTION, "stream": True}
    body = "".join(f"{_text(line)}\n" for line in lines)
    return _made("ollama", name, "http://127.0.0.1:11434/api/chat", body, asked=asked, content_type=_NDJSON)


def _ollama() -> list[Transcript]:
    calls = [
        {"function": {"index": 0, "name": "get_weather", "arguments": {"city": "São Paulo"}}},
        {"function": {"index": 1, "name": "get_time", "arguments": {"zone": "BRT"}}},
    ]
    spoken: list[Json] = [{"content": piece} for piece in ("Let", " me", " look.")]
    return [
        _lines("text_and_calls", *spoken, {"tool_calls": calls}),
        _lines("thinking_and_calls", {"thinking": "Two"}, {"thinking": " tools."},
               *({"tool_calls": [call]} for call in calls)),
    ]  # fmt: skip


# -- Bedrock ConverseStream


def _converse(name: str, *events: tuple[str, Json]) -> Transcript:
    usage = {"inputTokens": 61, "outputTokens": 37, "totalTokens": 98}
    whole = [
        ("messageStart", {"role": "assistant"}),
        *events,
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"metrics": {"latencyMs": 700}, "usage": usage}),
    ]
    raws = []
    for number, (kind, payload) in enumerate(whole):
        padded = {**payload, "p": "abcdefghijklm"[: 3 + number % 7]}
        values = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
        raws.append(encode(Message(tuple(Header(key, value) for key, value in values.items()), _text(padded).encode())))
    asked = {"messages": [{"role": "user", "content": [{"text": _QUESTION[0]["content"]}]}]}
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/synthetic/converse-stream"
    kind = "application/vnd.amazon.eventstream"
    return _made("bedrock_converse", name, url, b"".join(raws), asked=asked, content_type=kind)


def _converse_block(index: int, *deltas: Json, call: str | None = None) -> list[tuple[str, Json]]:
    where = {"contentBlockIndex": index}
    started = {"toolUse": {"name": call, "toolUseId": f"tooluse_{index}"}}
    return [
        *([("contentBlockStart", {**where, "start": started})] if call else []),
        *(("contentBlockDelta", {**where, "delta": delta}) for delta in deltas),
        ("contentBlockStop", where),
    ]


def _bedrock() -> list[Transcript]:
    def given(*pieces: str) -> list[Json]:
        return [{"toolUse": {"input": piece}} for piece in pieces]

    weather = given('{"city": "São', ' Paulo"}')
    return [
        _converse(
            "text_and_call",
            *_converse_block(0, {"text": "I will l"}, {"text": "ook."}),
            *_converse_block(1, *weather, call="get_weather"),
        ),
        _converse(
            "parallel_calls",
            *_converse_block(0, *weather, call="get_weather"),
            *_converse_block(1, *given('{"zone": "BRT"}'), call="get_time"),
        ),
    ]


# -- Cohere v2


def _cohere_chat(name: str, finish: str, *payloads: Json) -> Transcript:
    started = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    usage = {"tokens": {"input_tokens": 61, "output_tokens": 37}}
    whole = [
        {"id": "synthetic", "type": "message-start", "delta": {"message": started}},
        *payloads,
        {"type": "message-end", "delta": {"finish_reason": finish, "usage": usage}},
    ]
    asked = {"model": "synthetic", "messages": _QUESTION, "stream": True}
    body = _events(whole, named=True, end="data: [DONE]\n\n")
    return _made("cohere_v2", name, "https://api.cohere.com/v2/chat", body, asked=asked)


def _said_by(kind: str, message: Json, index: int | None = None) -> Json:
    where = {} if index is None else {"index": index}
    return {"type": kind, **where, "delta": {"message": message}}


def _cohere_call(index: int, name: str, *pieces: str) -> list[Json]:
    function = {"name": name, "arguments": ""}
    call = {"id": f"{name}_1", "type": "function", "function": function}
    return [
        _said_by("tool-call-start", {"tool_calls": call}, index),
        *(_said_by("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index) for piece in pieces),
        {"type": "tool-call-end", "index": index},
    ]


def _cohere() -> list[Transcript]:
    citation = {"start": 8, "end": 12, "text": "rain", "sources": [], "type": "TEXT_CONTENT"}
    return [
        _cohere_chat(
            "text_with_citation", "COMPLETE",
            _said_by("content-start", {"content": {"type": "text", "text": ""}}, 0),
            *(_said_by("content-delta", {"content": {"text": piece}}, 0) for piece in ("It will", " rain soon, é.")),
            {"type": "content-end", "index": 0},
            _said_by("citation-start", {"citations": citation}, 0),
            {"type": "citation-end", "index": 0},
        ),
        _cohere_chat(
            "plan_and_calls", "TOOL_CALL",
            *(_said_by("tool-plan-delta", {"tool_plan": piece}) for piece in ("I will", " look.")),
            *_cohere_call(0, "get_weather", '{"city": "São', ' Paulo"}'),
            *_cohere_call(1, "get_time", '{"zone": "', 'BRT"}'),
        ),
    ]  # fmt: skip


def transcripts() -> list[Transcript]:
    """Return all of them, a dialect after the other."""
    return [
        *_messages(), *_responses(), *_completions(), *_gemini(), *_ollama(), *_bedrock(), *_cohere(),
    ]  # fmt: skip
