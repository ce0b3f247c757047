"""The source of the cassettes that travel with streamkit: `python tests/skhelpers/bundled.py` writes them again.

A test holds the files to it. One was recorded by others and given in a public issue; the rest no server sent, and
they say so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from streamkit.cassettes import Cassette, dump
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript
from streamkit.wire.sse import Framing, ServerSentEvent, SSEEncoder

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from skhelpers import bundled_conversations, bundled_dialects

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


_TERSE: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1767225600, "model": "synthetic"}


def _terse(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """Return a payload without what may be absent."""
    return {**_TERSE, "choices": [{"index": index, "delta": delta, **more, "finish_reason": finish}]}


def _synthetic(
    name: str, payloads: list[dict[str, Any]], *, ids: bool = False, question: str, **more: Any
) -> Transcript:
    """Return a transcript of payloads and `[DONE]`, characters beyond ASCII as escapes."""
    encoder = SSEEncoder()
    data = [*(json.dumps(payload, separators=(",", ":")) for payload in payloads), "[DONE]"]
    events = [ServerSentEvent(data=text, id=str(number) if ids else "") for number, text in enumerate(data, 1)]
    return Transcript(
        b"".join(map(encoder.encode, events)), head=HEAD, name=f"openai_chat/{name}", dialect="openai_chat",
        synthetic=True, source="made for this library: no server sent it",
        request=_request({
            "model": "synthetic", "messages": [{"role": "user", "content": question}], "stream": True, **more,
        }),
    )  # fmt: skip


def text_then_calls() -> Transcript:
    """Text with a tag and a surrogate pair, then two tool calls one after the other, then usage."""
    deltas = [
        {"role": "assistant", "content": "<b>Caf\u00e9</b> "},
        {"content": "\U0001f30d:"},
        _call(0, "", id="call_a", name="find"),
        _call(0, '{"q":'),
        _call(0, '"\\u00e9\\"/"}'),
        _call(1, "", id="call_b", name="open"),
        _call(1, '{"n":[2,3]}'),
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    payloads = [*map(_terse, deltas), _terse({}, "tool_calls"), {**_TERSE, "choices": [], "usage": usage}]
    return _synthetic(
        "synthetic_text_then_calls", payloads, question="A caf\u00e9?", stream_options={"include_usage": True}
    )


def two_choices_logprobs() -> Transcript:
    """Two choices in turns with log probabilities: one is an answer, the other a refusal."""

    def probable(key: str, token: str) -> dict[str, Any]:
        return {"logprobs": {key: [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": []}]}}

    payloads = [
        _terse({"role": "assistant", "content": "Two"}, **probable("content", "Two")),
        _terse({"role": "assistant", "refusal": "No"}, index=1, **probable("refusal", "No")),
        _terse({"content": " words"}, **probable("content", " words")),
        _terse({"refusal": "."}, index=1, **probable("refusal", ".")),
        _terse({}, "stop"),
        _terse({}, "stop", index=1),
    ]
    return _synthetic("synthetic_two_choices_logprobs", payloads, question="Two words?", n=2, logprobs=True)


def reasoning_with_ids() -> Transcript:
    """Reasoning before the text, in events that have ids."""
    payloads = [
        _terse({"role": "assistant", "content": "", "reasoning_content": "7 is "}),
        _terse({"reasoning_content": "prime."}),
        _terse({"content": "Yes, it"}),
        _terse({"content": " is."}),
        _terse({}, "stop"),
    ]
    return _synthetic("synthetic_reasoning_with_ids", payloads, ids=True, question="Is 7 prime?")


def transcripts() -> list[Transcript]:
    """Return all of them."""
    return [
        boston(), multibyte_text(), parallel_calls_crlf(), text_then_calls(), two_choices_logprobs(),
        reasoning_with_ids(), *bundled_dialects.transcripts(),
    ]  # fmt: skip


def files() -> dict[Path, bytes]:
    """Return the bytes of each cassette file."""
    found = {}
    for transcript in transcripts():
        assert transcript.request is not None
        found[FOLDER / f"{transcript.name}.yaml"] = dump(Cassette((Interaction(transcript.request, transcript),)))
    for name, interactions in bundled_conversations.conversations(boston()).items():
        found[FOLDER / f"{name}.yaml"] = dump(Cassette(tuple(interactions)))
    return found


if __name__ == "__main__":
    for path, raw in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        print(path.relative_to(FOLDER.parent), len(raw))
