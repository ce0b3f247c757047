"""Anthropic Messages: a Completion written as the events that the API would send for it.

Source: the order, names and fields of events in recorded streams. Each block is opened, filled and closed before the
next one; a call's first `partial_json` is empty. Only `calls="interleaved"` differs from that, on purpose.

What is written is read again before it is handed out, so a completion that the dialect cannot carry is refused rather
than changed.
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

Json = dict[str, Any]

_PING: Json = {"type": "ping"}
_METRICS = "amazon-bedrock-invocationMetrics"  # Bedrock sends them with message_stop
_CUMULATIVE = (
    "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "server_tool_use",
)  # fmt: skip
_OF_DELTAS = ("index", "citations", "signature", "deltas", "delta", "event")  # of an entry; not sent with the start


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript that accumulates to this very completion.

    Args:
        completion: one message that has ended.
        layout: how it is spread over events; `usage` is left out of account, since the API has no choice in it.

    Raises:
        UsageError: the dialect cannot carry the completion; the message names what it cannot.
    """
    from streamkit.dialects.anthropic_messages import Reader

    if not completion.ended:
        raise UsageError("anthropic_messages cannot carry a completion that has not ended")
    if len(completion.choices) != 1:
        raise UsageError(f"anthropic_messages carries one choice, and the completion has {len(completion.choices)}")
    try:
        payloads = list(_payloads(completion, completion.choices[0], layout))
        if layout.keep_alive:
            payloads = [payload for one in payloads for payload in (one, _PING)][:-1]
        encoder = SSEEncoder(layout.framing)
        chunks = [
            encoder.encode(
                ServerSentEvent(payload["type"], json.dumps(payload, ensure_ascii=False, separators=(",", ":")))
            )
            for payload in payloads
        ]
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"anthropic_messages cannot carry the completion: it is no JSON ({error})") from None
    transcript = synthetic(chunks, "anthropic_messages", "text/event-stream", whole=layout.chunk == "whole")
    return carried("anthropic_messages", completion, transcript, Reader())


def _payloads(completion: Completion, choice: Choice, layout: Layout) -> Iterator[Json]:
    message: Json = {"model": completion.model, "id": completion.id, "type": "message", "role": choice.role}
    message.update({"content": [], "stop_reason": None, "stop_sequence": None})
    if completion.service_tier is not None:
        message["service_tier"] = completion.service_tier
    end: Json = {"type": "message_delta", "delta": {"stop_reason": choice.finish_reason, "stop_sequence": None}}
    if completion.usage is not None:
        usage = dict(completion.usage)
        end["usage"] = {name: usage[name] for name in _CUMULATIVE if usage.get(name) is not None}
        if "output_tokens" in end["usage"]:
            usage["output_tokens"] = 1  # of what it becomes
        message["usage"] = usage
    end["delta"].update({key: value for key, value in choice.extra.items() if key != "blocks"})
    stop: Json = {"type": "message_stop"}
    for key, value in completion.extra.items():
        (stop if key == _METRICS else end).setdefault(key, value)

    yield {"type": "message_start", "message": message}
    yield from _content(choice, layout)
    yield end
    yield stop


def _content(choice: Choice, layout: Layout) -> Iterator[Json]:
    waiting: list[list[Json]] = []  # blocks whose deltas take turns
    calls = list(choice.tool_calls)
    for entry in _entries(choice):
        if entry["type"] == "tool_use":
            if not calls:
                raise UsageError("anthropic_messages cannot carry the blocks: there are fewer calls than they name")
            events = _call(calls.pop(0), layout)
        else:
            events = _block(entry, layout)
        together = layout.calls == "interleaved" and entry["type"] == "tool_use"
        if not together or any(other[0]["index"] == entry["index"] for other in waiting):
            yield from _in_turns(waiting)
            waiting = []
        waiting.append(events)
    yield from _in_turns(waiting)


def _entries(choice: Choice) -> list[Json]:
    """Return the blocks of a choice, as it lists them or as it has them."""
    if "blocks" in choice.extra:
        entries = [dict(entry) for entry in choice.extra["blocks"]]
        if any("type" not in entry or "index" not in entry for entry in entries):
            raise UsageError("anthropic_messages cannot carry a block without type or index")
        return entries
    entries = []
    for kind, text in (("thinking", choice.reasoning), ("text", choice.content)):
        if text is not None:
            entries.append({"type": kind, "index": len(entries), kind: text})
    return [*entries, *({"type": "tool_use", "index": call.index} for call in choice.tool_calls)]


def _in_turns(blocks: list[list[Json]]) -> Iterator[Json]:
    yield from (events[0] for events in blocks)
    for turn in zip_longest(*(events[1:-1] for events in blocks)):
        yield from (event for event in turn if event is not None)
    yield from (events[-1] for events in blocks)


def _call(call: ToolCall, layout: Layout) -> list[Json]:
    if call.index is None:
        raise UsageError(
            f"anthropic_messages cannot carry the call of {call.name!r}: its index is the block's, not None"
        )
    start: Json = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
    size = max(1, len(call.arguments)) if layout.calls == "whole" else layout.token_size
    whole = call.arguments and layout.calls == "whole"
    texts = [*([] if whole else [""]), *pieces(call.arguments, size)]
    return _events(call.index, {**start, **call.extra}, "input_json_delta", "partial_json", texts)


def _block(entry: Json, layout: Layout) -> list[Json]:
    kind = entry["type"]
    if kind in ("text", "thinking"):
        texts = pieces(entry.get(kind, ""), layout.token_size)
        return _events(entry["index"], {**entry, kind: ""}, f"{kind}_delta", kind, texts)
    if kind in ("server_tool_use", "mcp_tool_use"):
        texts = ["", *pieces(entry.pop("partial_json", ""), layout.token_size)]
        return _events(entry["index"], {"input": {}, **entry}, "input_json_delta", "partial_json", texts)
    return _events(entry["index"], entry, "input_json_delta", "partial_json", [])


def _events(index: Any, entry: Json, kind: str, name: str, texts: list[str]) -> list[Json]:
    """Return the events of one block: its start, its deltas and its stop.

    Args:
        index: of the block.
        entry: all there is about it but its text.
        kind: type of the deltas that hold its text.
        name: their field.
        texts: the text in pieces.
    """
    content = {key: value for key, value in entry.items() if key not in _OF_DELTAS}
    deltas = [{"type": kind, name: text} for text in texts]
    if "delta" in entry:
        deltas.append({"type": kind, name: "", **entry["delta"]})
    if "citations" in entry:
        content["citations"] = [] if entry["type"] == "text" else entry["citations"]
        if entry["type"] == "text":
            deltas.extend({"type": "citations_delta", "citation": citation} for citation in entry["citations"])
    if "signature" in entry:
        content["signature"] = "" if entry["type"] == "thinking" else entry["signature"]
        if entry["type"] == "thinking":
            deltas.append({"type": "signature_delta", "signature": entry["signature"]})
    deltas.extend(entry.get("deltas", []))
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index, **entry.get("event", {})},
    ]
