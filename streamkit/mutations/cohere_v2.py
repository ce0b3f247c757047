"""Mutations of a Cohere v2 chat stream.

Source: the API reference of "Chat with streaming" (v2) and the cohere library's types (V2ChatStreamResponse).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.completion import Completion
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_REFERENCE = ("Cohere API reference: Chat with streaming (v2)",)
_TYPES = ("cohere-python: V2ChatStreamResponse",)
_DIALECTS = ("cohere_v2",)
# Where the text of a delta is, by its type.
_PATHS = {
    "content-delta": (("content", "text"), ("content", "thinking")),
    "tool-plan-delta": (("tool_plan",),),
    "tool-call-delta": (("tool_calls", "function", "arguments"),),
}


def _text(payload: dict[str, Any]) -> tuple[tuple[str, ...], str] | None:
    """Return where in a delta its text is, and the text; None for another event, and beside log probabilities."""
    delta = payload.get("delta")
    message = delta.get("message") if isinstance(delta, dict) else None
    kind = payload.get("type")
    for path in _PATHS.get(kind, ()) if isinstance(kind, str) and payload.get("logprobs") is None else ():
        value: Any = message
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return path, value
    return None


def _with_text(payload: dict[str, Any], path: tuple[str, ...], text: str) -> dict[str, Any]:
    value: Any = text
    for name in reversed(path):
        value = {name: value}
    return {**payload, "delta": {"message": value}}


def _of_type(stream: Stream, *kinds: str) -> list[tuple[int, dict[str, Any]]]:
    return [(number, payload) for number, payload in stream.payloads if payload.get("type") in kinds]


def _end(stream: Stream) -> int:
    """Return the number of the message-end."""
    found = _of_type(stream, "message-end")
    if not found:
        raise Inapplicable("there is no message-end in it")
    return found[0][0]


@mutation(
    "cohere_split_delta", Class.PRESERVING, Layer.DELTA, "writes one delta as two",
    right="joins the deltas of a block or call", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def split_delta(stream: Stream, choose: Choose) -> Edit:
    """Cut the text of one delta in two."""
    found = [(n, p, f) for n, p in stream.payloads if (f := _text(p)) is not None and len(f[1]) > 1]
    number, payload, (path, text) = choose.of(found)
    at = 1 + choose(len(text) - 1)
    event = stream.events[number]
    two = [stream.payload_event(_with_text(payload, path, piece), event) for piece in (text[:at], text[at:])]
    return Edit(stream.replaced(number, *two), f"{text!r} in two", (number,), (number, number + 1))


@mutation(
    "cohere_merge_deltas", Class.PRESERVING, Layer.DELTA, "writes two deltas of a block or call as one",
    right="takes deltas of any size", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def merge_deltas(stream: Stream, choose: Choose) -> Edit:
    """Join two deltas that stand side by side."""
    found = []
    for (number, one), (after, two) in pairwise(stream.payloads):
        first, second = _text(one), _text(two)
        same = first and second and first[0] == second[0] and one.get("index") == two.get("index")
        if first and second and same and after == number + 1:
            found.append((number, _with_text(one, first[0], first[1] + second[1])))
    number, payload = choose.of(found)
    merged = stream.replaced(number + 1).replaced(number, stream.payload_event(payload, stream.events[number]))
    return Edit(merged, f"events {number} and {number + 1} in one", (number, number + 1), (number,))


@mutation(
    "cohere_empty_arguments", Class.PRESERVING, Layer.DELTA, "sends an empty fragment of a call's arguments",
    right="appends nothing", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def empty_arguments(stream: Stream, choose: Choose) -> Edit:
    """Insert a fragment without text behind the start or a fragment of a call."""
    number, payload = choose.of(_of_type(stream, "tool-call-start", "tool-call-delta"))
    index = {key: value for key, value in payload.items() if key == "index"}
    message = {"tool_calls": {"function": {"arguments": ""}}}
    fragment = {"type": "tool-call-delta", **index, "delta": {"message": message}}
    like = stream.events[number]
    event = stream.payload_event(fragment)
    if like.name is not None:
        event = replace(event, name="tool-call-delta")
    return Edit(stream.inserted(number + 1, event), f"an empty fragment behind {number}", (number,), (number + 1,))


@mutation(
    "cohere_no_event_names", Class.DIALECT, Layer.FRAMING, "writes no SSE event names",
    right="goes by the type in the data", sources=_TYPES, dialects=_DIALECTS,
)  # fmt: skip
def no_event_names(stream: Stream, choose: Choose) -> Edit:
    """Leave out every `event` field, but of data that are no UTF-8 and cannot be written again."""
    del choose
    events = [
        event if event.name is None or event.lossy else replace(event, name=None, raw=None) for event in stream.events
    ]
    return Edit(replace(stream, events=tuple(events)), "no event names")


@mutation(
    "cohere_no_done", Class.DIALECT, Layer.FRAMING, "ends without [DONE]",
    right="knows the end by message-end", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def no_done(stream: Stream, choose: Choose) -> Edit:
    """Leave `[DONE]` out, with what nobody reads behind it, or put it there where there was none."""
    del choose
    _end(stream)
    done = [number for number, event in enumerate(stream.events) if event.done]
    if done:
        return Edit(stream.cut(done[0]), "no [DONE]", (done[0],))
    return Edit(stream.inserted(len(stream.events), Event("[DONE]")), "[DONE] at the end", (), (len(stream.events),))


@mutation(
    "cohere_null_fields", Class.PRESERVING, Layer.JSON, "sends absent fields as null",
    right="takes null for absent", sources=_TYPES, dialects=_DIALECTS,
)  # fmt: skip
def null_fields(stream: Stream, choose: Choose) -> Edit:
    """Write null for fields that the library's types have and the event has not; `choose` has nothing to choose."""
    del choose
    nulls = {
        "message-start": ("id",), "content-start": ("index",), "content-delta": ("index", "logprobs"),
        "message-end": ("id",),
    }  # fmt: skip

    def change(payload: Any) -> Any:
        kind = payload.get("type") if isinstance(payload, dict) else None
        names = nulls.get(kind, ()) if isinstance(kind, str) else ()
        return {**dict.fromkeys(names), **payload} if names else None

    return Edit(stream.mapped(change), "null for absent fields")


@mutation(
    "cohere_move_citations", Class.PRESERVING, Layer.DELTA, "sends the citations at another place",
    right="takes citations at any place before the end", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def move_citations(stream: Stream, choose: Choose) -> Edit:
    """Move all citations, in their order: before the end, behind the last block, or behind the start of the first."""
    moved = [number for number, _ in _of_type(stream, "citation-start", "citation-end")]
    places = [_end(stream)]
    places += [number + 1 for number, _ in _of_type(stream, "content-end")[-1:]]
    places += [number + 1 for number, _ in _of_type(stream, "content-start")[:1]]
    orders = []
    for place in places:
        rest = [number for number in range(len(stream.events)) if number not in moved]
        before = sum(number < place for number in rest)
        orders.append([*rest[:before], *moved, *rest[before:]])
    order = choose.of([order for order in orders if order != sorted(order)])
    events = tuple(stream.events[number] for number in order)
    return Edit(replace(stream, events=events), "the citations at another place", tuple(moved))


def _seen(key: str, value: Any) -> Callable[[Any], Any]:
    """Return what makes the sensible result out of the original's, where something more came that is kept."""

    def expected(result: Any) -> Any:
        return replace(result, extra={**result.extra, key: [value]}) if isinstance(result, Completion) else result

    return expected


@mutation(
    "cohere_unknown_event", Class.DIALECT, Layer.FRAMING, "sends an event of a type that nobody knows yet",
    right="goes on without it", sources=_TYPES, dialects=_DIALECTS,
)  # fmt: skip
def unknown_event(stream: Stream, choose: Choose) -> Edit:
    """Insert an event of another type, or a debug event."""
    number = choose(_end(stream) + 1)
    kind = choose.of(("content-hint", "debug"))
    payload: dict[str, Any] = {"type": kind, "index": 0, "delta": {"message": {"hint": "none"}}}
    expected = _seen("unknown_events", payload)
    if kind == "debug":
        payload = {"type": kind, "prompt": "<|START_OF_TURN_TOKEN|>"}
        expected = _seen("debug", payload["prompt"])
    event = replace(stream.payload_event(payload), name=kind if stream.events[0].name else None)
    return Edit(stream.inserted(number, event), f"a {kind} event", (), (number,), expected)


@mutation(
    "cohere_missing_index", Class.DIALECT, Layer.JSON, "leaves out every index",
    right="gives the same result without indices, or an error", sources=_TYPES, dialects=_DIALECTS,
)  # fmt: skip
def missing_index(stream: Stream, choose: Choose) -> Edit:
    """Take the index out of every event, or set it to null: the library's types have it as optional."""
    null = choose.of((False, True))

    def change(payload: Any) -> Any:
        if not isinstance(payload, dict) or "index" not in payload:
            return None
        rest = {key: value for key, value in payload.items() if key != "index"}
        return {**rest, "index": None} if null else rest

    def expected(result: Any) -> Any:
        if not isinstance(result, Completion):
            return result
        choices = [
            replace(one, tool_calls=tuple(replace(call, index=None) for call in one.tool_calls))
            for one in result.choices
        ]
        return replace(result, choices=tuple(choices))

    return Edit(stream.mapped(change), "no index", expected=expected)


@mutation(
    "cohere_interleave_calls", Class.DIALECT, Layer.DELTA, "sends two calls in turns",
    right="keeps them apart by index", sources=_TYPES, dialects=_DIALECTS,
)  # fmt: skip
def interleave_calls(stream: Stream, choose: Choose) -> Edit:
    """Send the events of two calls that follow each other in turns; each keeps its own order."""
    where: dict[Any, list[int]] = {}
    for number, payload in _of_type(stream, "tool-call-start", "tool-call-delta", "tool-call-end"):
        where.setdefault(payload.get("index"), []).append(number)
    pairs = [(a, b) for a, b in pairwise(where.values()) if b[-1] - a[0] + 1 == len(a) + len(b)]
    one, two = choose.of(pairs)
    turns = [number for pair in zip_longest(one, two) for number in pair if number is not None]
    events = list(stream.events)
    events[one[0] : two[-1] + 1] = [stream.events[number] for number in turns]
    places = (*one, *two)
    return Edit(replace(stream, events=tuple(events)), "two calls in turns", places, places)


@mutation(
    "cohere_cut", Class.FAULT, Layer.DELIVERY, "ends between two events, or with a [DONE] too early",
    right="reports that message-end never came", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """End after an event: the last of each type first, then any."""
    end = _end(stream)
    last = {payload.get("type"): number + 1 for number, payload in stream.payloads if number < end}
    places = sorted(last.values(), reverse=True)
    place = choose.of([*places, *(n for n in range(end + 1) if n not in places)])
    early = choose.of((False, True))
    made = stream.cut(place)
    if early:
        made = made.inserted(place, Event("[DONE]"))
    return Edit(made, f"ends before event {place}" + (" with [DONE]" if early else ""), (place,))


@mutation(
    "cohere_error", Class.FAULT, Layer.FRAMING, "reports an error in the middle",
    right="raises it", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def error(stream: Stream, choose: Choose) -> Edit:
    """Put an error in place of an event and all that follow: as a message-end, as a bare message, as an error event."""
    place = _end(stream) - choose(_end(stream) + 1)
    said = "the generation failed: internal server error"
    kind, payload = choose.of(
        (
            ("message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": said}}),
            (None, {"id": "a3c0f3c2", "message": said}),
            ("error", {"message": said}),
        )
    )
    event = replace(stream.payload_event(payload), name=kind if kind == "error" or stream.events[0].name else None)
    return Edit(stream.cut(place).inserted(place, event), f"an error in place of event {place}", (place,), (place,))


@mutation(
    "cohere_lost_start", Class.FAULT, Layer.DELTA, "loses the start of a call",
    right="reports arguments that belong to no call", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def lost_start(stream: Stream, choose: Choose) -> Edit:
    """Leave out the event that names a call."""
    number, payload = choose.of(_of_type(stream, "tool-call-start"))
    return Edit(stream.replaced(number), f"the start of call {payload.get('index')} is lost", (number,))


@mutation(
    "cohere_doubled_event", Class.DIALECT, Layer.DELTA, "sends an event twice that there is once",
    right="reports it, or gives the same answer: the second says nothing new", sources=_REFERENCE, dialects=_DIALECTS,
)  # fmt: skip
def doubled_event(stream: Stream, choose: Choose) -> Edit:
    """Repeat the start or the end of the message, of a block or of a call."""
    once = (
        "message-start", "content-start", "content-end", "tool-call-start", "tool-call-end", "message-end",
    )  # fmt: skip
    number, payload = choose.of(_of_type(stream, *once))
    made = stream.inserted(number, stream.events[number])
    return Edit(made, f"{payload['type']} twice", (number,), (number, number + 1))
