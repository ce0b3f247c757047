"""Writes a completion as a ConverseStream body, the way the service writes one.

Fields stand in alphabetical order, as the service has them, and every payload has its padding `p`; what that says is
nothing, so its length is made up. Text and citations have no contentBlockStart. Reasoning and text without a place of
their own take the first indices that are free.
"""

from __future__ import annotations

import json
import string
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import pieces
from streamkit.dialects.writing import carried, synthetic
from streamkit.errors import UsageError
from streamkit.wire.eventstream import Header, Message, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice, Completion
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["CONTENT_TYPE", "emit", "event"]

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PADDING = string.ascii_lowercase + string.ascii_uppercase + string.digits
_Event = tuple[str, dict[str, Any]]


def event(kind: str, payload: dict[str, Any]) -> Message:
    """Return a message that holds an event.

    Args:
        kind: its `:event-type`.
        payload: its JSON.
    """
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(tuple(Header(name, value) for name, value in headers.items()), data)


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript that accumulates to a completion; see `BedrockConverse.emit`."""
    from streamkit.dialects.bedrock_converse import Reader

    if not completion.ended:
        raise UsageError("the completion did not end: emit one that did, and cut it")
    if len(completion.choices) != 1:
        raise UsageError(f"a ConverseStream has one choice, and the completion has {len(completion.choices)}")
    try:
        messages = [
            encode(event(kind, _padded(payload, number)))
            for number, (kind, payload) in enumerate(_events(completion, layout))
        ]
    except UnicodeEncodeError:
        raise UsageError("a text holds half a surrogate pair, which no stream can carry") from None
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
        raise UsageError(f"something in the completion's extra is not of the dialect's shape: {error!r}") from None
    transcript = synthetic(messages, "bedrock_converse", CONTENT_TYPE, whole=layout.chunk == "whole")
    return carried("bedrock_converse", completion, transcript, Reader())


def _padded(payload: dict[str, Any], number: int) -> dict[str, Any]:
    length = 3 + number * 17 % 59
    if "p" in payload:
        raise UsageError("a ConverseStream cannot carry a field named p: it is the padding's")
    return dict(sorted({**payload, "p": _PADDING[:length]}.items()))


def _events(completion: Completion, layout: Layout) -> Iterator[_Event]:
    choice = completion.choices[0]
    yield "messageStart", {"role": choice.role}
    elsewhere = []
    blocks = _blocks(choice, layout)
    for entry in completion.extra.get("unknown_events", ()):
        index = entry["payload"].get("contentBlockIndex") if isinstance(entry["payload"], dict) else None
        if index is None or not entry["event"].startswith("contentBlock"):
            elsewhere.append((entry["event"], entry["payload"]))
        else:
            place = 0 if entry["event"] == "contentBlockStart" else len(blocks.setdefault(index, []))
            blocks[index].insert(place, (entry["event"], entry["payload"]))
    yield from elsewhere
    calls = {call.index for call in choice.tool_calls if call.index is not None}
    for index in sorted(blocks):
        if index not in calls or layout.calls != "interleaved":
            yield from blocks[index]
            yield "contentBlockStop", {"contentBlockIndex": index}
    if layout.calls == "interleaved":
        yield from _in_turns([blocks[index] for index in sorted(calls & set(blocks))])
        for index in sorted(calls & set(blocks)):
            yield "contentBlockStop", {"contentBlockIndex": index}
    more = choice.extra.get("additionalModelResponseFields")
    stop = {} if more is None else {"additionalModelResponseFields": more}
    yield "messageStop", {**stop, "stopReason": choice.finish_reason}
    metadata = {key: value for key, value in completion.extra.items() if key != "unknown_events"}
    if completion.usage is not None:
        metadata["usage"] = completion.usage
    if completion.service_tier is not None:
        metadata["serviceTier"] = {"type": completion.service_tier, **metadata.get("serviceTier", {})}
    if metadata:
        yield "metadata", metadata


def _in_turns(blocks: list[list[_Event]]) -> Iterator[_Event]:
    for turn in zip_longest(*blocks):
        yield from (one for one in turn if one is not None)


def _delta(index: int, delta: Any) -> _Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}


def _start(index: int, start: dict[str, Any]) -> _Event:
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def _blocks(choice: Choice, layout: Layout) -> dict[int, list[_Event]]:
    """Return the events of each block, by its index; the contentBlockStops are left out."""
    blocks: dict[int, list[_Event]] = {}
    extra = choice.extra
    for call in choice.tool_calls:
        if call.index is None or call.index < 0 or call.index in blocks:
            raise UsageError(f"tool call {call.name!r} has index {call.index}: each needs an index of its own, from 0")
        size = layout.token_size if layout.calls != "whole" else max(1, len(call.arguments))
        start = {"toolUse": {"name": call.name, "toolUseId": call.id, **call.extra}}
        inputs = pieces(call.arguments, size) or [""]
        blocks[call.index] = [
            _start(call.index, start),
            *(_delta(call.index, {"toolUse": {"input": piece}}) for piece in inputs),
        ]
    for call in extra.get("server_calls", ()):
        start = {key: value for key, value in call.items() if key not in ("index", "input")}
        blocks[call["index"]] = [
            _start(call["index"], {"toolUse": start}),
            _delta(call["index"], {"toolUse": {"input": call["input"]}}),
        ]
    for result in extra.get("tool_results", ()):
        index = result["index"]
        start = {key: value for key, value in result.items() if key not in ("index", "content")}
        blocks[index] = [_start(index, {"toolResult": start}), _delta(index, {"toolResult": result["content"]})]
    for image in extra.get("images", ()):
        index = image["index"]
        start = {key: value for key, value in image.items() if key not in ("index", "deltas")}
        deltas = [_delta(index, {"image": piece}) for piece in image.get("deltas", ())]
        blocks[index] = [_start(index, {"image": start}), *deltas]
    for detail in extra.get("reasoning_details", ()):
        parts = [{"text": piece} for piece in _text(detail.get("text"), layout)]
        parts += [{name: detail[name]} for name in ("signature", "redactedContent") if name in detail]
        blocks[detail["index"]] = [_delta(detail["index"], {"reasoningContent": part}) for part in parts]
    for citation in extra.get("citations", ()):
        index = citation["index"]
        blocks.setdefault(index, []).append(_delta(index, {"citation": citation["citation"]}))
    if "reasoning_details" not in extra and choice.reasoning is not None:
        index = _free(blocks)
        blocks[index] = [
            _delta(index, {"reasoningContent": {"text": piece}}) for piece in _text(choice.reasoning, layout)
        ]
    for text in extra.get("texts", ()):
        index = text["index"]
        blocks.setdefault(index, []).extend(_delta(index, {"text": piece}) for piece in _text(text["text"], layout))
    if "texts" not in extra and choice.content is not None:
        index = _free(blocks)
        blocks[index] = [_delta(index, {"text": piece}) for piece in _text(choice.content, layout)]
    return blocks


def _text(text: str | None, layout: Layout) -> list[str]:
    return [] if text is None else pieces(text, layout.token_size) or [""]


def _free(blocks: dict[int, list[_Event]]) -> int:
    return next(index for index in range(len(blocks) + 1) if index not in blocks)
