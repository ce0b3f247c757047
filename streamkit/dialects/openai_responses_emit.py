"""A Completion as a Responses stream: the events that OpenAI sends, in its order and with its fields.

Source: recorded streams of api.openai.com. Each item is announced, filled and finished (`output_item.added`, the deltas
and their `done`, `output_item.done`), and the terminal event holds the whole response once more.

What was emitted is accumulated again before it is handed out, so that a completion which the dialect cannot carry is
refused, and never altered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count, zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import pieces
from streamkit.dialects.openai_responses_choice import COMPLETED, REQUEST_DEFAULTS
from streamkit.dialects.openai_responses_item import CALLS
from streamkit.dialects.writing import carried, synthetic
from streamkit.errors import UsageError
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice, Completion, ToolCall
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["emit"]

_Step = tuple[str, dict[str, Any]]  # type of an event, and its fields

# Fields of a response, in the provider's order, that are null where nothing is said of them.
_HEAD = ("background", "completed_at", "error", "incomplete_details", "instructions", "max_output_tokens",
         "max_tool_calls", "model", "output", "parallel_tool_calls", "previous_response_id", "prompt_cache_key",
         "reasoning", "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools",
         "top_logprobs", "top_p", "truncation", "usage", "user", "metadata")  # fmt: skip
# Events without text of the provider's own tools: before the item is filled, and after.
_PROGRESS = {
    "web_search_call": (("in_progress", "searching"), ("completed",)),
    "file_search_call": (("in_progress", "searching"), ("completed",)),
    "image_generation_call": (("in_progress", "generating"), ("completed",)),
    "code_interpreter_call": (("in_progress",), ("interpreting", "completed")),
    "mcp_call": (("in_progress",), ("completed",)),
    "mcp_list_tools": (("in_progress",), ("completed",)),
}
# The field that deltas fill, and the name of their events.
_FILLED = {
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
    "mcp_call": ("arguments", "mcp_call_arguments"),
    "code_interpreter_call": ("code", "code_interpreter_call_code"),
}
# Parts with text: list and type of the part, its field, its events, and whether they number summaries.
_PARTS = {
    ("content", "output_text"): ("text", "output_text"),
    ("content", "refusal"): ("refusal", "refusal"),
    ("content", "reasoning_text"): ("text", "reasoning_text"),
    ("summary", "summary_text"): ("text", "reasoning_summary_text"),
}
_LATER = {"result", "results", "outputs", "output", "tools", "content", "summary"}  # empty when an item is announced


@dataclass
class _Script:
    """The events of one item."""

    opening: list[_Step] = field(default_factory=list)
    deltas: list[_Step] = field(default_factory=list)
    closing: list[_Step] = field(default_factory=list)


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript that accumulates to a completion.

    Args:
        completion: what it carries. Calls need an index, and stand at it in the output; the reasoning and the message
            take the first places that are free.
        layout: how it is spread over events. Usage comes with the terminal event, as it always does here.

    Raises:
        UsageError: the completion holds what a response cannot carry; the message names it.
    """
    from streamkit.dialects.openai_responses import Reader

    choice = _only_choice(completion)
    items = _output(completion, choice)
    extra = dict(completion.extra)
    limits = extra.pop("rate_limits", None)
    steps: list[_Step] = []
    begun = _response(completion, extra, None, [])
    steps += [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    steps += _in_turn([(item, _script(index, item, layout)) for index, item in items], layout)
    ended = _response(completion, extra, choice.finish_reason, [item for _, item in items])
    steps.append((f"response.{ended['status']}", {"response": ended}))
    if limits is not None:
        steps.append(("response.rate_limits.updated", {"rate_limits": limits}))
    return carried("openai_responses", completion, _transcript(steps, layout), Reader())


def _only_choice(completion: Completion) -> Choice:
    if len(completion.choices) != 1 or completion.choices[0].index != 0:
        raise UsageError(f"a response has one choice, of index 0, and this completion has {len(completion.choices)}")
    choice = completion.choices[0]
    if not completion.ended or choice.finish_reason is None:
        raise UsageError("a stream is emitted of a completion that ended: this one has no finish reason, or no end")
    if completion.system_fingerprint is not None:
        raise UsageError("a response has no system_fingerprint")
    if choice.function_call is not None:
        raise UsageError("a response has no legacy function_call: make it a tool call")
    unknown = sorted(set(choice.extra) - {"items"})
    if unknown:
        raise UsageError(f"a response cannot carry extra[{unknown[0]!r}] of a choice")
    return choice


def _output(completion: Completion, choice: Choice) -> list[tuple[int, dict[str, Any]]]:
    """Return the items with their output indexes, in order."""
    kept = choice.extra.get("items", ())
    try:
        items = {entry["output_index"]: dict(entry["item"]) for entry in kept}
    except (TypeError, KeyError, ValueError):
        raise UsageError('extra["items"] holds objects with an output_index and an item') from None
    for call in choice.tool_calls:
        if call.index is None:
            raise UsageError(f"tool call {call.name!r} has no index: in a response it is its place in the output")
        if call.index in items:
            raise UsageError(f"two items have the output index {call.index}")
        items[call.index] = _call_item(call)
    if not all(type(index) is int and index >= 0 for index in items):
        raise UsageError("output indexes are whole numbers from 0")
    places = (index for index in count() if index not in items)
    kinds = {item.get("type") for item in items.values()}
    made = {}
    if choice.reasoning is not None and "reasoning" not in kinds:
        index = next(places)
        summary = [{"type": "summary_text", "text": choice.reasoning}]
        made[index] = {"id": _identity("rs", completion, index), "type": "reasoning", "summary": summary}
    if (choice.content is not None or choice.refusal is not None) and "message" not in kinds:
        index = next(places)
        parts: list[dict[str, Any]] = []
        if choice.content is not None:
            logprobs = list((choice.logprobs or {}).get("content") or ())
            parts.append({"type": "output_text", "annotations": [], "logprobs": logprobs, "text": choice.content})
        if choice.refusal is not None:
            parts.append({"type": "refusal", "refusal": choice.refusal})
        last = choice.finish_reason != COMPLETED and all(index > other for other in items)
        made[index] = {
            "id": _identity("msg", completion, index),
            "type": "message",
            "status": "incomplete" if last else COMPLETED,
            "content": parts,
            "role": choice.role,
        }
    return sorted({**items, **made}.items())


def _identity(prefix: str, completion: Completion, index: int) -> str:
    return f"{prefix}_{(completion.id or '').removeprefix('resp_') or '0'}{index:02d}"


def _call_item(call: ToolCall) -> dict[str, Any]:
    custom = call.type == "custom"
    item: dict[str, Any] = {
        "type": "custom_tool_call" if custom else "function_call",
        "status": COMPLETED,
        "input" if custom else "arguments": call.arguments,
        "name": call.name,
        **call.extra,
    }
    if call.id is not None:
        item["call_id"] = call.id
    return {**({"id": item["id"]} if "id" in item else {}), **item}


def _response(
    completion: Completion, extra: dict[str, Any], reason: str | None, output: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the response object; while it is in progress the reason is None."""
    status = "in_progress" if reason is None else COMPLETED if reason == COMPLETED else "incomplete"
    response: dict[str, Any] = {
        "id": completion.id,
        "object": "response",
        "created_at": completion.created,
        "status": status,
        **dict.fromkeys(_HEAD),
        **REQUEST_DEFAULTS,
        **extra,
        "model": completion.model,
        "service_tier": completion.service_tier,
        "output": output,
    }
    if reason is None:
        response["completed_at"] = None
        return response
    response["usage"] = completion.usage
    if status == "incomplete" and reason != "incomplete":
        response["incomplete_details"] = {"reason": reason}
    return response


def _script(index: int, item: dict[str, Any], layout: Layout) -> _Script:
    kind = item.get("type")
    identity = item.get("id") or item.get("call_id") or f"item_{index}"
    place = {"item_id": identity, "output_index": index}
    before, after = _PROGRESS.get(str(kind), ((), ()))
    if item.get("status") == "failed" and after:
        after = (*after[:-1], "failed")
    name, event = _FILLED.get(str(kind), ("", ""))
    announced = {key: [] if key in _LATER and isinstance(value, list) else value for key, value in item.items()}
    announced.update({key: None for key in _LATER if isinstance(item.get(key), str)})
    if isinstance(item.get(name), str):
        announced[name] = ""
    if "status" in item:
        announced["status"] = "in_progress"
    script = _Script([("response.output_item.added", {"output_index": index, "item": announced})])
    script.opening += [(f"response.{kind}.{step}", dict(place)) for step in before]
    if isinstance(item.get(name), str):
        text = item[name]
        size = max(1, len(text)) if kind in CALLS and layout.calls == "whole" else layout.token_size
        script.deltas += [(f"response.{event}.delta", {**place, "delta": piece}) for piece in pieces(text, size)]
        script.closing.append((f"response.{event}.done", {**place, name: text}))
    for where in ("summary", "content"):
        for number, part in enumerate(item.get(where) or ()):
            script.deltas += _part(where, number, part, place, layout)
    script.closing += [(f"response.{kind}.{step}", dict(place)) for step in after]
    script.closing.append(("response.output_item.done", {"output_index": index, "item": item}))
    return script


def _part(where: str, number: int, part: Any, place: dict[str, Any], layout: Layout) -> Iterator[_Step]:
    """Yield the events of one part of a message or of a reasoning."""
    if not isinstance(part, dict):
        raise UsageError(f"a part of {where} is no object: {part!r}")
    leaf, event = _PARTS.get((where, str(part.get("type"))), ("", ""))
    place = {**place, "summary_index" if where == "summary" else "content_index": number}
    frame = "response.reasoning_summary_part" if where == "summary" else "response.content_part"
    text = part.get(leaf)
    if not isinstance(text, str):
        yield f"{frame}.added", {**place, "part": part}
        yield f"{frame}.done", {**place, "part": part}
        return
    empty: dict[str, Any] = {key: [] for key in ("annotations", "logprobs") if key in part}
    yield f"{frame}.added", {**place, "part": {**part, **empty, leaf: ""}}
    logprobs = list(part.get("logprobs") or ())
    deltas = pieces(text, layout.token_size)
    for at, piece in enumerate(deltas):
        tokens = logprobs[at:] if at == len(deltas) - 1 else logprobs[at : at + 1]
        more = {"logprobs": tokens} if event == "output_text" else {}
        yield f"response.{event}.delta", {**place, "delta": piece, **more}
    for at, annotation in enumerate(part.get("annotations") or ()):
        yield "response.output_text.annotation.added", {**place, "annotation_index": at, "annotation": annotation}
    more = {"logprobs": logprobs} if event == "output_text" else {}
    yield f"response.{event}.done", {**place, leaf: text, **more}
    yield f"{frame}.done", {**place, "part": part}


def _in_turn(scripts: list[tuple[dict[str, Any], _Script]], layout: Layout) -> Iterator[_Step]:
    """Yield the events of all items: one after the other, or the deltas of the calls in turns."""
    groups: list[list[_Script]] = []
    together: list[_Script] = []
    for item, script in scripts:
        if layout.calls != "interleaved" or item.get("type") not in CALLS:
            groups.append([script])
            continue
        if not together:
            groups.append(together)
        together.append(script)
    for group in groups:
        for one in group:
            yield from one.opening
        for turn in zip_longest(*(one.deltas for one in group)):
            yield from (step for step in turn if step is not None)
        for one in group:
            yield from one.closing


def _transcript(steps: list[_Step], layout: Layout) -> Transcript:
    encoder = SSEEncoder(layout.framing)
    chunks: list[bytes] = []
    for number, (kind, more) in enumerate(steps):
        if number and layout.keep_alive:
            chunks.append(_event(encoder, "keepalive", len(chunks), {}))
        chunks.append(_event(encoder, kind, len(chunks), more))
    return synthetic(chunks, "openai_responses", "text/event-stream", whole=layout.chunk == "whole")


def _event(encoder: SSEEncoder, kind: str, number: int, more: dict[str, Any]) -> bytes:
    payload = {"type": kind, "sequence_number": number, **more}
    try:
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the completion holds what is no JSON: {error}") from None
    return encoder.encode(ServerSentEvent(kind, data))
