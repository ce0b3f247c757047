"""The source of the cassettes that travel with streamkit: `python tests/skhelpers/bundled.py` writes them again.

A test holds the files to it. One was recorded by others and given in a public issue; the rest no server sent, and
they say so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamkit.cassettes import Cassette, dump
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript
from streamkit.wire.sse import Framing, ServerSentEvent, SSEEncoder

FOLDER = Path(__file__).resolve().parents[2] / "cassettes"
URL = "https://api.openai.com/v1/chat/completions"
HEAD = ResponseHead(200, "OK", (("Content-Type", "text/event-stream; charset=utf-8"),))

_BOSTON_ID = "chatcmpl-9A0pokSpYASGLPfIzV8jx6tuvBUtz"


def _request(payload: dict[str, Any]) -> Request:
    return Request(
        "POST", URL, (("Content-Type", "application/json"),), json.dumps(payload, ensure_ascii=False).encode()
    )


def _payload(identity: dict[str, Any], delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**identity, "choices": [choice], **more}


def _call(index: int, arguments: str, **opener: str) -> dict[str, Any]:
    if not opener:
        return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
    function = {"name": opener["name"], "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": opener["id"], "type": "function", "function": function}]}


def boston() -> Transcript:
    """The Boston weather trace: a streamed tool call, byte for byte as the public report of it shows the events."""
    identity = {
        "id": _BOSTON_ID, "object": "chat.completion.chunk", "created": 1712173516, "model": "gpt-4-0613",
        "system_fingerprint": None,
    }  # fmt: skip
    opener = _call(0, "", id="call_telkvFkERZ3MW3eLzHsVrRhl", name="get_current_weather")
    payloads = [_payload(identity, {"role": "assistant", "content": None, **opener})]
    pieces = ["{\n", " ", ' "', "location", '":', ' "', "Boston", '"\n', "}"]
    payloads += [_payload(identity, _call(0, piece)) for piece in pieces]
    payloads.append(_payload(identity, {}, "tool_calls"))
    body = "".join(f"data: {json.dumps(payload, separators=(',', ':'))}\n\n" for payload in payloads)
    parameters = {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    }
    function = {
        "name": "get_current_weather", "description": "Get the current weather in a given location",
        "parameters": parameters,
    }  # fmt: skip
    return Transcript(
        (body + "data: [DONE]\n\n").encode(),
        head=HEAD,
        name="openai_chat/boston_weather",
        dialect="openai_chat",
        source="the response that a public feature request for token-level streaming shows (GPT-4, 2024-04-03), "
        "event by event; the network's chunks were not recorded, so it is given as one",
        request=_request({
            "model": "gpt-4",
            "messages": [{"role": "user", "content": "What is the weather like in Boston?"}],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": "auto",
            "stream": True,
        }),
    )  # fmt: skip


_SYNTHETIC: dict[str, Any] = {
    "id": "chatcmpl-synthetic", "object": "chat.completion.chunk", "created": 1767225600, "model": "synthetic",
}  # fmt: skip


def multibyte_text() -> Transcript:
    """Text with characters of two, three and four bytes, raw and as JSON escapes, a surrogate pair among them."""
    raw = ["Grüße", " aus", " 東京", ": 🌤", "️ 21", " °C", ",\n", '"schön"', "\t\u2013"]
    escaped = [" café", " \U0001f30d", "\\o/"]
    encoder = SSEEncoder()
    payloads = [(_payload(_SYNTHETIC, {"role": "assistant", "content": ""}), False)]
    payloads += [(_payload(_SYNTHETIC, {"content": piece}), False) for piece in raw]
    payloads += [(_payload(_SYNTHETIC, {"content": piece}), True) for piece in escaped]
    payloads.append((_payload(_SYNTHETIC, {}, "stop"), False))
    events = [json.dumps(payload, ensure_ascii=ascii_only, separators=(",", ":")) for payload, ascii_only in payloads]
    body = b"".join(encoder.encode(ServerSentEvent(data=data)) for data in [*events, "[DONE]"])
    return Transcript(
        body, head=HEAD, name="openai_chat/synthetic_multibyte_text", dialect="openai_chat", synthetic=True,
        source="made for this library: no server sent it",
        request=_request({
            "model": "synthetic", "messages": [{"role": "user", "content": "Wetter?"}], "stream": True,
        }),
    )  # fmt: skip


def parallel_calls_crlf() -> Transcript:
    """Two interleaved tool calls, CRLF line ends, comments as keep-alives and a usage payload with no choices."""
    encoder = SSEEncoder(Framing(line_end=b"\r\n"))
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        _call(0, "", id="call_one", name="get_weather"),
        _call(1, "", id="call_two", name="get_time"),
        _call(0, '{"city":'),
        _call(1, '{"zone":"'),
        _call(0, '"São Paulo"'),
        _call(1, "America/Sao_Paulo"),
        _call(0, ',"note":"a\\"b\\\\\\u00e9"}'),
        _call(1, '"}'),
    ]
    payloads = [_payload(_SYNTHETIC, delta, usage=None) for delta in deltas]
    payloads.append(_payload(_SYNTHETIC, {}, "tool_calls", usage=None))
    usage = {"prompt_tokens": 61, "completion_tokens": 37, "total_tokens": 98}
    payloads.append({**_SYNTHETIC, "choices": [], "usage": usage})
    parts = [encoder.comment("keep-alive")]
    for number, payload in enumerate(payloads):
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        parts.append(encoder.encode(ServerSentEvent(data=data)))
        if number == 4:
            parts.append(encoder.comment())
    parts.append(encoder.encode(ServerSentEvent(data="[DONE]")))
    return Transcript(
        b"".join(parts), head=HEAD, name="openai_chat/synthetic_parallel_calls_crlf", dialect="openai_chat",
        synthetic=True, source="made for this library: no server sent it",
        request=_request({
            "model": "synthetic", "messages": [{"role": "user", "content": "Weather and time in São Paulo?"}],
            "stream": True, "stream_options": {"include_usage": True},
        }),
    )  # fmt: skip


def transcripts() -> list[Transcript]:
    """Return all of them."""
    return [boston(), multibyte_text(), parallel_calls_crlf()]


def files() -> dict[Path, bytes]:
    """Return the bytes of each cassette file."""
    found = {}
    for transcript in transcripts():
        assert transcript.request is not None
        found[FOLDER / f"{transcript.name}.yaml"] = dump(Cassette((Interaction(transcript.request, transcript),)))
    return found


if __name__ == "__main__":
    for path, raw in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        print(path.relative_to(FOLDER.parent), len(raw))
