"""Writes a completion as a Cohere v2 stream, the way the service writes one.

Thinking first, then the tool plan, the text, the calls and the citations; each block and call with its start and end,
compact JSON with the `type` in front (behind the id in `message-start`), and `[DONE]` after `message-end`.
"""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import pieces
from streamkit.dialects.writing import carried, synthetic
from streamkit.errors import UsageError
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice, Completion, ToolCall
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["emit"]

_Payload = dict[str, Any]
_CHOICE_LISTS = {"tool_plan", "citations", "contents", "message"}
_LISTS = {"debug", "unknown_events"}


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript that accumulates to a completion; see `CohereV2.emit`."""
    from streamkit.dialects.cohere_v2 import Reader

    if not completion.ended:
        raise UsageError("the completion did not end: emit one that did, and cut it")
    if len(completion.choices) != 1:
        raise UsageError(f"a Cohere stream has one choice, and the completion has {len(completion.choices)}")
    encoder = SSEEncoder(layout.framing)
    chunks: list[bytes] = []
    try:
        for payload in _payloads(completion, layout):
            data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
            kind = payload.get("type")
            chunks.append(encoder.encode(ServerSentEvent(kind if isinstance(kind, str) and kind else "message", data)))
            if layout.keep_alive:
                chunks.append(encoder.comment("keep-alive"))
        chunks.append(encoder.encode(ServerSentEvent(data="[DONE]")))
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
        raise UsageError(f"something in the completion's extra is not of the dialect's shape: {error!r}") from None
    transcript = synthetic(chunks, "cohere_v2", "text/event-stream", whole=layout.chunk == "whole")
    return carried("cohere_v2", completion, transcript, Reader())


def _payloads(completion: Completion, layout: Layout) -> Iterator[_Payload]:
    choice = completion.choices[0]
    begin = {"role": choice.role, "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    identity = {} if completion.id is None else {"id": completion.id}
    yield {**identity, "type": "message-start", "delta": {"message": {**begin, **choice.extra.get("message", {})}}}
    yield from ({"type": "debug", "prompt": prompt} for prompt in completion.extra.get("debug", ()))
    yield from completion.extra.get("unknown_events", ())
    yield from _contents(choice, layout)
    if layout.calls == "interleaved" and all(call.index is not None for call in choice.tool_calls):
        turns = zip_longest(*[list(_call(call, layout)) for call in choice.tool_calls])
        yield from (payload for turn in turns for payload in turn if payload is not None)
    else:
        for call in choice.tool_calls:
            yield from _call(call, layout)
    for number, citation in enumerate(choice.extra.get("citations", ())):
        yield {"type": "citation-start", "index": number, "delta": {"message": {"citations": citation}}}
        yield {"type": "citation-end", "index": number}
    delta = {key: value for key, value in choice.extra.items() if key not in _CHOICE_LISTS}
    if choice.finish_reason is not None:
        delta["finish_reason"] = choice.finish_reason
    if completion.usage is not None:
        delta["usage"] = completion.usage
    rest = {key: value for key, value in completion.extra.items() if key not in _LISTS}
    yield {"type": "message-end", **rest, "delta": delta}


def _contents(choice: Choice, layout: Layout) -> Iterator[_Payload]:
    plan = choice.extra.get("tool_plan")
    others = choice.extra.get("contents", ())
    taken = {other["index"] for other in others}
    free = (index for index in range(len(taken) + 2) if index not in taken)
    if choice.reasoning is not None and choice.reasoning != plan:
        yield from _block(next(free), "thinking", _text(choice.reasoning, layout), [])
    for piece in _text(plan, layout) if plan is not None else ():
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}
    if choice.content is not None:
        logprobs = list((choice.logprobs or {}).get("content", ()))
        texts = _text(choice.content, layout)
        yield from _block(next(free), "text", texts + [""] * (len(logprobs) - len(texts)), logprobs)
    for other in others:
        start = {} if other["type"] is None else {"type": other["type"]}
        yield {"type": "content-start", "index": other["index"], "delta": {"message": {"content": start}}}
        for content in other["content"]:
            yield {"type": "content-delta", "index": other["index"], "delta": {"message": {"content": content}}}
        yield {"type": "content-end", "index": other["index"]}


def _block(index: int, kind: str, texts: list[str], logprobs: list[Any]) -> Iterator[_Payload]:
    yield {"type": "content-start", "index": index, "delta": {"message": {"content": {"type": kind, kind: ""}}}}
    for number, text in enumerate(texts):
        delta = {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: text}}}}
        yield delta if number >= len(logprobs) else {**delta, "logprobs": logprobs[number]}
    yield {"type": "content-end", "index": index}


def _call(call: ToolCall, layout: Layout) -> Iterator[_Payload]:
    def event(kind: str, entry: _Payload | None = None) -> _Payload:
        index = {} if call.index is None else {"index": call.index}
        delta = {} if entry is None else {"delta": {"message": {"tool_calls": entry}}}
        return {"type": f"tool-call-{kind}", **index, **delta}

    opener = {**call.extra, "id": call.id, "type": call.type, "function": {"name": call.name, "arguments": ""}}
    yield event("start", opener)
    size = layout.token_size if layout.calls != "whole" else max(1, len(call.arguments))
    for piece in pieces(call.arguments, size):
        yield event("delta", {"function": {"arguments": piece}})
    yield event("end")


def _text(text: str, layout: Layout) -> list[str]:
    return pieces(text, layout.token_size)
