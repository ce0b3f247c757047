"""Mutations of a ConverseStream body: whole messages are edited, and written again with their checksums.

What a server may do, and what goes wrong on the way. The wire is binary, so these edit bytes: a message that is not
touched keeps its own. The faults of the wire itself are in `bedrock_converse_faults`.

Source: the service model of bedrock-runtime (ConverseStreamOutput) and the event stream encoding of Smithy.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.completion import Completion
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Stream, message_event
from streamkit.wire.eventstream import Header, HeaderType, Message, decode, encode, split

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Part", "edited", "parts"]

_MODEL = ("bedrock-runtime: ConverseStreamOutput",)
_WIRE = ("Smithy: Amazon Event Stream specification",)
_DIALECTS = ("bedrock_converse",)
_EVENTS = {
    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
}  # fmt: skip


class Part:
    """One message of a stream.

    Attributes:
        raw: its bytes.
        message: what they say.
        kind: its event type, or "".
        payload: its JSON object; empty where it has none.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.message = decode(raw)[0]
        self.kind = self.message.text(":event-type") or ""
        try:
            payload = json.loads(self.message.payload)
        except (ValueError, RecursionError):
            payload = {}
        self.payload: dict[str, Any] = payload if isinstance(payload, dict) else {}

    @property
    def index(self) -> Any:
        """Its contentBlockIndex, or None."""
        return self.payload.get("contentBlockIndex")

    @property
    def delta(self) -> tuple[tuple[str, ...], str] | None:
        """Where in its delta a text is, and the text; None for another message."""
        delta = self.payload.get("delta")
        for path in (("text",), ("toolUse", "input"), ("reasoningContent", "text")) if self.index is not None else ():
            value: Any = delta
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str):
                return path, value
        return None

    def saying(self, payload: dict[str, Any], **json_options: Any) -> bytes:
        """Return the bytes of the message with another payload."""
        options = {"ensure_ascii": False, "separators": (",", ":"), **json_options}
        try:
            data = json.dumps(payload, **options).encode()
        except UnicodeEncodeError:
            data = json.dumps(payload).encode()
        return encode(replace(self.message, payload=data))

    def with_text(self, text: str) -> bytes:
        """Return the bytes of a delta with another text."""
        delta: Any = text
        for name in reversed(self.delta[0] if self.delta else ()):
            delta = {name: delta}
        return self.saying({**self.payload, "delta": delta})


def parts(stream: Stream) -> tuple[list[Part], bytes]:
    """Return the messages of a stream, and the bytes behind the last good one.

    Raises:
        Inapplicable: there is no message.
    """
    raws, tail = split(stream.body())
    if not raws:
        raise Inapplicable("there is no message in it")
    return [Part(raw) for raw in raws], tail


def edited(
    stream: Stream, raws: Sequence[bytes], said: str, *, tail: bytes = b"", at: tuple[int, ...] = (), **more: Any
) -> Edit:
    """Return an edit that leaves these messages and, behind them, these bytes.

    Args:
        stream: what was edited.
        raws: the messages.
        said: what was changed, in words.
        tail: bytes behind the last message.
        at: numbers of the messages concerned, before and after.
        more: further attributes of the edit.
    """
    events = tuple(message_event(raw) for raw in raws)
    made = Stream(events, tail, stream.manner, stream.dialect, stream.transcript)
    return Edit(made, said, **{"before": at, "after": at, **more})


def _raws(found: Sequence[Part]) -> list[bytes]:
    return [part.raw for part in found]


@mutation(
    "bedrock_split_delta", Class.PRESERVING, Layer.DELTA, "writes one delta as two",
    right="joins the deltas of a block", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def split_delta(stream: Stream, choose: Choose) -> Edit:
    """Cut the text of one delta in two."""
    found, tail = parts(stream)
    number = choose.of([n for n, part in enumerate(found) if part.delta and len(part.delta[1]) > 1])
    part = found[number]
    text = part.delta[1] if part.delta else ""
    at = 1 + choose(len(text) - 1)
    raws = _raws(found)
    raws[number : number + 1] = [part.with_text(text[:at]), part.with_text(text[at:])]
    said = f"message {number}: {text!r} in two"
    return edited(stream, raws, said, tail=tail, before=(number,), after=(number, number + 1))


@mutation(
    "bedrock_merge_deltas", Class.PRESERVING, Layer.DELTA, "writes two deltas of a block as one",
    right="takes deltas of any size", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def merge_deltas(stream: Stream, choose: Choose) -> Edit:
    """Join two deltas that stand side by side."""
    found, tail = parts(stream)
    number = choose.of(
        [
            n
            for n, (one, two) in enumerate(pairwise(found))
            if one.delta and two.delta and one.delta[0] == two.delta[0] and one.index == two.index
        ]
    )
    texts = [part.delta[1] for part in found[number : number + 2] if part.delta]
    raws = _raws(found)
    raws[number : number + 2] = [found[number].with_text("".join(texts))]
    said = f"messages {number} and {number + 1} in one"
    return edited(stream, raws, said, tail=tail, before=(number, number + 1), after=(number,))


@mutation(
    "bedrock_empty_input", Class.PRESERVING, Layer.DELTA, "sends an empty fragment of a call's input",
    right="appends nothing", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def empty_input(stream: Stream, choose: Choose) -> Edit:
    """Insert a fragment without text behind the start or a fragment of a call."""
    found, tail = parts(stream)
    number = choose.of(
        [
            n
            for n, part in enumerate(found)
            if (part.delta and part.delta[0][0] == "toolUse")
            or (part.kind == "contentBlockStart" and "toolUse" in (part.payload.get("start") or {}))
        ]
    )
    payload = {"contentBlockIndex": found[number].index, "delta": {"toolUse": {"input": ""}}}
    like = next((part for part in found if part.kind == "contentBlockDelta"), None)
    if like is None:
        raise Inapplicable("there is no delta to write one like")
    raws = _raws(found)
    raws.insert(number + 1, like.saying(payload))
    said = f"an empty fragment behind message {number}"
    return edited(stream, raws, said, tail=tail, before=(number,), after=(number + 1,))


@mutation(
    "bedrock_padding", Class.PRESERVING, Layer.JSON, "sends no padding, or more of it",
    right="ignores the field p", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def padding(stream: Stream, choose: Choose) -> Edit:
    """Change the field `p` of every event of the model's."""
    found, tail = parts(stream)
    length = choose.of((0, 1, 5000))
    raws = []
    for part in found:
        bare = {key: value for key, value in part.payload.items() if key != "p"}
        known = part.kind in _EVENTS and part.payload
        raws.append(part.saying({**bare, "p": "a" * length} if length else bare) if known else part.raw)
    return edited(stream, raws, f"padding of {length} characters", tail=tail)


@mutation(
    "bedrock_json_style", Class.PRESERVING, Layer.JSON, "writes the JSON with escapes and blanks",
    right="reads JSON as JSON", sources=("RFC 8259, 2 and 7",), dialects=_DIALECTS,
)  # fmt: skip
def json_style(stream: Stream, choose: Choose) -> Edit:
    """Write every payload in another style."""
    found, tail = parts(stream)
    style = choose.of(({"ensure_ascii": True, "separators": (", ", ": ")}, {"indent": 1}))
    raws = [part.saying(part.payload, **style) if part.payload else part.raw for part in found]
    return edited(stream, raws, f"JSON written with {style}", tail=tail)


@mutation(
    "bedrock_header_order", Class.PRESERVING, Layer.FRAMING, "writes the headers in another order",
    right="finds headers by name", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def header_order(stream: Stream, choose: Choose) -> Edit:
    """Turn the headers of every message round, or rotate them."""
    found, tail = parts(stream)
    turn = choose.of((-1, 1))
    raws = []
    for part in found:
        headers = part.message.headers
        changed = headers[::-1] if turn < 0 else headers[1:] + headers[:1]
        raws.append(encode(replace(part.message, headers=changed)))
    return edited(stream, raws, "the headers in another order", tail=tail)


_HEADERS: tuple[Header, ...] = (
    Header("x-note", "Grüße", HeaderType.STRING),
    Header("x-true", True, HeaderType.TRUE),
    Header("x-false", False, HeaderType.FALSE),
    Header("x-byte", -1, HeaderType.BYTE),
    Header("x-short", -2, HeaderType.SHORT),
    Header("x-integer", 70_000, HeaderType.INTEGER),
    Header("x-long", 2**40, HeaderType.LONG),
    Header("x-bytes", bytes(300), HeaderType.BYTES),
    Header(":date", 1_700_000_000_000, HeaderType.TIMESTAMP),
    Header("x-uuid", bytes(range(16)), HeaderType.UUID),
)


@mutation(
    "bedrock_further_header", Class.PRESERVING, Layer.FRAMING, "adds a header of another type to every message",
    right="reads headers of all ten types, and ignores what it does not know", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def further_header(stream: Stream, choose: Choose) -> Edit:
    """Put a header that nobody knows in front of the others."""
    found, tail = parts(stream)
    header = choose.of(_HEADERS)
    raws = []
    for part in found:
        others = [other for other in part.message.headers if other.name != header.name]
        raws.append(encode(Message((header, *others), part.message.payload)))
    return edited(stream, raws, f"a header {header.name}", tail=tail)


@mutation(
    "bedrock_initial_response", Class.PRESERVING, Layer.FRAMING, "begins with a message 'initial-response'",
    right="ignores it", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def initial_response(stream: Stream, choose: Choose) -> Edit:
    """Put the message in front with which a service may answer a request before the first event."""
    found, tail = parts(stream)
    payload = choose.of((b"{}", b""))
    raws = [_event("initial-response", payload), *_raws(found)]
    return edited(stream, raws, "an initial response in front", tail=tail, after=(0,))


def _event(kind: str, payload: bytes) -> bytes:
    values = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode(Message(tuple(Header(name, value) for name, value in values.items()), payload))


@mutation(
    "bedrock_unknown_event", Class.DIALECT, Layer.FRAMING, "sends an event of a type that nobody knows yet",
    right="goes on without it", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def unknown_event(stream: Stream, choose: Choose) -> Edit:
    """Insert an event of another type."""
    found, tail = parts(stream)
    number = choose(len(found) + 1)
    raws = _raws(found)
    raws.insert(number, _event("contentBlockHint", b'{"contentBlockIndex":0,"hint":"none"}'))

    def expected(result: Any) -> Any:
        if not isinstance(result, Completion):
            return result
        seen = {"event": "contentBlockHint", "payload": {"contentBlockIndex": 0, "hint": "none"}}
        return replace(result, extra={**result.extra, "unknown_events": [seen]})

    return edited(stream, raws, f"an unknown event before message {number}", tail=tail, after=(number,),
                  expected=expected)  # fmt: skip


@mutation(
    "bedrock_interleave_blocks", Class.DIALECT, Layer.DELTA, "sends the blocks in turns",
    right="keeps them apart by contentBlockIndex", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def interleave_blocks(stream: Stream, choose: Choose) -> Edit:
    """Send the messages of two blocks that follow each other in turns; each keeps its own order."""
    found, tail = parts(stream)
    where: dict[Any, list[int]] = {}
    for number, part in enumerate(found):
        if part.index is not None:
            where.setdefault(part.index, []).append(number)
    pairs = [
        (one, two)
        for one, two in pairwise(where.values())
        if one[-1] + 1 == two[0] and two[-1] - one[0] + 1 == len(one) + len(two)
    ]
    one, two = choose.of(pairs)
    turns = [number for pair in zip_longest(one, two) for number in pair if number is not None]
    raws = _raws(found)
    raws[one[0] : two[-1] + 1] = [found[number].raw for number in turns]
    said = f"blocks {found[one[0]].index} and {found[two[0]].index} in turns"
    return edited(stream, raws, said, tail=tail, at=(*one, *two))


@mutation(
    "bedrock_missing_index", Class.DIALECT, Layer.JSON, "leaves out contentBlockIndex",
    right="gives the same result, or an error: the index is required", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def missing_index(stream: Stream, choose: Choose) -> Edit:
    """Take the index out of one message, or set it to null."""
    found, tail = parts(stream)
    number = choose.of([n for n, part in enumerate(found) if part.index is not None])
    rest = {key: value for key, value in found[number].payload.items() if key != "contentBlockIndex"}
    raws = _raws(found)
    raws[number] = found[number].saying(choose.of((rest, {**rest, "contentBlockIndex": None})))
    return edited(stream, raws, f"message {number} without its index", tail=tail, at=(number,))


@mutation(
    "bedrock_no_metadata", Class.DIALECT, Layer.DELTA, "ends after messageStop",
    right="gives the answer, without usage", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def no_metadata(stream: Stream, choose: Choose) -> Edit:
    """Leave out the metadata; `choose` has nothing to choose."""
    del choose
    found, _ = parts(stream)
    stop = next((n for n, part in enumerate(found) if part.kind == "messageStop"), None)
    if stop is None:
        raise Inapplicable("there is no messageStop in it")
    kept = {key for part in found[: stop + 1] for key in part.payload}
    gone = {key for part in found[stop + 1 :] for key in part.payload} - kept

    def expected(result: Any) -> Any:
        if not isinstance(result, Completion):
            return result
        extra = {key: value for key, value in result.extra.items() if key not in gone}
        return replace(result, usage=None, service_tier=None, extra=extra)

    said = "nothing after messageStop"
    return edited(stream, _raws(found[: stop + 1]), said, before=tuple(range(stop + 1, len(found))), expected=expected)
