"""Mutations of Anthropic Messages that break a stream: cut off, failed, started over, or gone astray.

Source: the API's pages "Streaming messages" and "Errors", and the reports named in each entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.mutations.anthropic_parts import (
    DOCS,
    ONLY,
    blocks_of,
    event_of,
    message_of,
    of_type,
    payload_of,
    pieces_of,
    rewritten,
    without,
)
from streamkit.mutations.expected import need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_ERRORS = (
    {"type": "overloaded_error", "message": "Overloaded"},
    {"type": "api_error", "message": "Internal server error"},
    {"type": "rate_limit_error", "message": "This request would exceed the rate limit."},
    {"type": "invalid_request_error", "message": "messages: at least one message is required"},
)


def _before_the_stop_reason(stream: Stream) -> range:
    """Return the places after message_start at which the message is not over."""
    first = of_type(stream, "message_start")[0] + 1
    for number, payload in message_of(stream):
        delta = payload.get("delta")
        over = payload.get("type") == "message_delta" and isinstance(delta, dict) and delta.get("stop_reason")
        if over or payload.get("type") in ("message_stop", "error"):
            return range(first, number + 1)
    return range(first, len(stream.events) + 1)


@mutation(
    "messages_cut", Class.FAULT, Layer.DELTA, "ends cleanly between two events, before the stop reason",
    right="says that the stream ended early; no call of it is executed",
    sources=["SamSaffron/term-llm#955", "BerriAI/litellm#32159", "maximhq/bifrost#6081", "griffinwork40/agent-afk#635"],
    dialects=ONLY,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """Cut the stream after any event before the stop reason; the latest first."""
    places = _before_the_stop_reason(stream)
    if places[-1] == len(stream.events):
        raise Inapplicable("it has no stop reason")
    place = choose.of(places[::-1])
    return Edit(stream.cut(place), f"{len(stream.events) - place} events cut off", (place,))


@mutation(
    "messages_error", Class.FAULT, Layer.DELTA, "reports an error in the middle of a 200",
    right="raises a typed error with the provider's own type; the part before it is no answer",
    sources=[DOCS, "farzaa/clicky#132", "karthink/gptel#1512", "brightwave-inc/tidebreak#1083", "vercel/ai#10653"],
    dialects=ONLY,
)  # fmt: skip
def error(stream: Stream, choose: Choose) -> Edit:
    """Send an error event, named as the API names it, and end; or go on as if nothing had been."""
    places = _before_the_stop_reason(stream)
    place = choose.of(places[::-1])
    payload = {"type": "error", "error": choose.of(_ERRORS)}
    goes_on = choose(2)
    event = Event(stream.manner.json(payload), "error")
    edited = stream.inserted(place, event) if goes_on else stream.cut(place).inserted(place, event)
    return Edit(edited, f"an {payload['error']['type']}", (), (place,))


@mutation(
    "messages_error_without_name", Class.FAULT, Layer.DELTA, "reports an error in an event without a name",
    right="knows the error by the payload's type; the part before it is no answer",
    sources=["unslothai/unsloth#10811", "anthropics/anthropic-sdk-python#688"], dialects=ONLY,
)  # fmt: skip
def error_without_name(stream: Stream, choose: Choose) -> Edit:
    """Send an error without `event: error`, in one of the envelopes in use, and end or close properly."""
    places = _before_the_stop_reason(stream)
    place = choose.of(places[::-1])
    inner = _ERRORS[0]
    payload = choose.of([{"type": "error", "error": inner}, {"error": inner}, {"type": "error", **_flat(inner)}])
    goes_on = choose(2)
    event = Event(stream.manner.json(payload))
    edited = stream.inserted(place, event) if goes_on else stream.cut(place).inserted(place, event)
    return Edit(edited, "an error without a name", (), (place,))


def _flat(inner: dict[str, str]) -> dict[str, str]:
    return {"code": inner["type"], "message": inner["message"]}


@mutation(
    "messages_error_text", Class.FAULT, Layer.DELTA, "reports an error whose data is no JSON",
    right="raises a typed error, not one of its JSON parser",
    sources=["anthropics/anthropic-sdk-python: Stream, 2.11.0"], dialects=ONLY,
)  # fmt: skip
def error_text(stream: Stream, choose: Choose) -> Edit:
    """Send `event: error` with plain text, or with a JSON string, and end."""
    place = choose.of(_before_the_stop_reason(stream)[::-1])
    data = choose.of(["upstream connect error or disconnect/reset before headers", '"Overloaded"'])
    return Edit(stream.cut(place).inserted(place, Event(data, "error")), "an error in plain text", (), (place,))


@mutation(
    "messages_started_over", Class.DIALECT, Layer.DELTA, "starts over in the middle, as a retry behind a proxy does",
    right="raises a typed error, or gives the second attempt alone: two attempts are not one message",
    sources=["NuGuardAI/nuguard#455", "endolith/open-interpreter#291"], dialects=ONLY,
)  # fmt: skip
def started_over(stream: Stream, choose: Choose) -> Edit:
    """Send the beginning of the stream, up to any event, before the whole of it."""
    place = choose.of(_before_the_stop_reason(stream)[::-1])
    edited = stream.inserted(0, *stream.events[:place])
    return Edit(edited, f"{place} events twice", (), tuple(range(place)))


@mutation(
    "messages_no_message_start", Class.DIALECT, Layer.DELTA, "loses message_start",
    right="raises a typed error, or gives the same blocks without the id", sources=[DOCS], dialects=ONLY,
)  # fmt: skip
def no_message_start(stream: Stream, choose: Choose) -> Edit:
    """Leave out message_start."""
    del choose
    number = of_type(stream, "message_start")[0]
    usages = [payload_of(stream, n).get("usage") for n in of_type(stream, "message_delta")]
    told = next((usage for usage in usages[::-1] if usage), None)

    def nameless(completion: Completion) -> Completion:
        return replace(completion, id=None, model=None, service_tier=None, usage=told, extra={})

    return Edit(without(stream, {number}), "no message_start", (number,), (), nameless)


@mutation(
    "messages_no_block_start", Class.DIALECT, Layer.DELTA, "loses the start of a block",
    right="raises a typed error, or knows a block of text by its deltas; they never belong to another block",
    sources=["anthropics/anthropic-sdk-python#1145"], dialects=ONLY,
)  # fmt: skip
def no_block_start(stream: Stream, choose: Choose) -> Edit:
    """Leave out content_block_start; of the last block first."""
    block = choose.of(need(blocks_of(stream), "block")[::-1])
    return Edit(without(stream, {block.start}), f"no start of block {block.index}", (block.start,))


@mutation(
    "messages_strange_index", Class.DIALECT, Layer.JSON, "sends a delta for a block that was never opened",
    right="raises a typed error, or loses nothing of it", sources=["anthropics/anthropic-sdk-python#1145"],
    dialects=ONLY,
)  # fmt: skip
def strange_index(stream: Stream, choose: Choose) -> Edit:
    """Give a delta another index, or none."""
    number = choose.of(of_type(stream, "content_block_delta"))
    index = choose.of([max(block.index for block in need(blocks_of(stream), "block")) + 7, None, -1])
    return Edit(rewritten(stream, number, {**payload_of(stream, number), "index": index}), f"index {index}", (number,))


@mutation(
    "messages_text_for_a_call", Class.FAULT, Layer.DELTA, "sends text to a block that is a tool call, or JSON to text",
    right="raises a typed error: the text belongs to nothing, and is not dropped silently",
    sources=["sgl-project/sglang#24293", "sgl-project/sglang#24294"], dialects=ONLY,
)  # fmt: skip
def text_for_a_call(stream: Stream, choose: Choose) -> Edit:
    """Add a delta of another type to a block, before its stop."""
    strange: dict[str, dict[str, Any]] = {
        "tool_use": {"type": "text_delta", "text": "Let me see."},
        "text": {"type": "input_json_delta", "partial_json": "{}"},
        "thinking": {"type": "text_delta", "text": "Let me see."},
    }
    blocks = [block for block in blocks_of(stream) if block.content.get("type") in strange]
    calls_first = sorted(blocks, key=lambda block: not block.is_call)
    block = choose.of(need(calls_first, "block of a known type"))
    delta = strange[block.content["type"]]
    payload = {"type": "content_block_delta", "index": block.index, "delta": delta}
    said = f"a {delta['type']} for a {block.content['type']} block"
    return Edit(stream.inserted(block.stop, event_of(stream, payload)), said, (), (block.stop,))


@mutation(
    "messages_delta_after_stop", Class.DIALECT, Layer.DELTA, "sends a delta for a block that was closed",
    right="raises a typed error, for what was taken for whole was not; or loses nothing of it",
    sources=[DOCS, "agentgateway/agentgateway#2147"], dialects=ONLY,
)  # fmt: skip
def delta_after_stop(stream: Stream, choose: Choose) -> Edit:
    """Send a delta of a block after its stop instead of before it."""
    moved = {number for number, _, text in pieces_of(stream) if text}
    found = [(b, b.deltas[-1]) for b in blocks_of(stream) if b.deltas and b.deltas[-1] in moved]
    block, number = choose.of(need(found, "block that ends with a delta of text"))
    edited = without(stream.inserted(block.stop + 1, stream.events[number]), {number})
    return Edit(edited, f"a delta of block {block.index} after its stop", (number,), (block.stop,))
