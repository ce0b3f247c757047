"""Faults of a ConverseStream body: it is cut off, damaged, or reports an exception.

After each of them a right parser raises, and no tool call may be executed.

Source: the service model of bedrock-runtime (ConverseStreamOutput) and the event stream encoding of Smithy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from streamkit.mutations.bedrock_converse import Part, edited, parts
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.wire.eventstream import Header, Message, encode

if TYPE_CHECKING:
    from streamkit.mutations.stream import Stream

__all__: list[str] = []

_MODEL = ("bedrock-runtime: ConverseStreamOutput",)
_WIRE = ("Smithy: Amazon Event Stream specification",)
_DIALECTS = ("bedrock_converse",)


def _until_stop(stream: Stream) -> tuple[list[Part], list[Part], bytes]:
    """Return the messages up to messageStop, those behind it, and the bytes behind those."""
    found, tail = parts(stream)
    stop = next((n for n, part in enumerate(found) if part.kind == "messageStop"), None)
    if stop is None:
        raise Inapplicable("there is no messageStop in it")
    return found[: stop + 1], found[stop + 1 :], tail


@mutation(
    "bedrock_cut", Class.FAULT, Layer.DELIVERY, "ends between two messages",
    right="reports that messageStop never came", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """End after a message: the last of each kind first, then any."""
    found, _, _ = _until_stop(stream)
    last = {part.kind: number for number, part in enumerate(found[:-1])}
    places = sorted(last.values(), reverse=True)
    number = choose.of([*places, *(n for n in range(len(found) - 1) if n not in places)])
    raws = [part.raw for part in found[: number + 1]]
    return edited(stream, raws, f"ends after message {number}, {found[number].kind}", before=(number,))


@mutation(
    "bedrock_cut_message", Class.FAULT, Layer.DELIVERY, "ends inside a message",
    right="reports that the stream was cut off", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def cut_message(stream: Stream, choose: Choose) -> Edit:
    """End in a message: before its last byte, in its payload, its headers, its prelude or right behind that."""
    found, _, _ = _until_stop(stream)
    number = len(found) - 1 - choose(len(found))
    raw = found[number].raw
    payload = len(raw) - 4 - len(found[number].message.payload)
    at = choose.of((len(raw) - 1, len(raw) - 4, payload + 1, payload - 1, 12, 11, 4, 1))
    said = f"ends at byte {at} of message {number}"
    return edited(stream, [part.raw for part in found[:number]], said, tail=raw[:at], before=(number,))


@mutation(
    "bedrock_bad_checksum", Class.FAULT, Layer.BYTES, "turns one bit of a message round",
    right="checks both checksums", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def bad_checksum(stream: Stream, choose: Choose) -> Edit:
    """Turn a bit of the payload, the headers, either checksum or either length round."""
    found, rest, tail = _until_stop(stream)
    number = choose(len(found))
    raw = found[number].raw
    payload = len(raw) - 4 - len(found[number].message.payload)
    at = choose.of(((payload + len(raw) - 4) // 2, 20, len(raw) - 1, 8, 3, 7))
    damaged = raw[:at] + bytes([raw[at] ^ 1 << choose(8)]) + raw[at + 1 :]
    raws = [part.raw for part in (*found, *rest)]
    raws[number] = damaged
    return edited(stream, raws, f"one bit of byte {at} of message {number}", tail=tail, at=(number,))


@mutation(
    "bedrock_garbage", Class.FAULT, Layer.BYTES, "has bytes between two messages that are none",
    right="checks the prelude", sources=_WIRE, dialects=_DIALECTS,
)  # fmt: skip
def garbage(stream: Stream, choose: Choose) -> Edit:
    """Insert a line end, or text, before a message."""
    found, rest, tail = _until_stop(stream)
    number = choose(len(found))
    piece = choose.of((b"\r\n", b"\0" * 16, b'{"message":"Internal server error"}'))
    raws = [part.raw for part in (*found, *rest)]
    raws.insert(number, piece)
    return edited(stream, raws, f"{piece!r} before message {number}", tail=tail, after=(number,))


_EXCEPTIONS = (
    "modelStreamErrorException", "throttlingException", "internalServerException", "serviceUnavailableException",
    "validationException",
)  # fmt: skip


@mutation(
    "bedrock_exception", Class.FAULT, Layer.FRAMING, "reports an exception in the middle",
    right="raises it", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def exception(stream: Stream, choose: Choose) -> Edit:
    """Put an exception in place of a message and all that follow; sent as an exception, an error or an event."""
    found, _, _ = _until_stop(stream)
    number = len(found) - 1 - choose(len(found))
    name = choose.of(_EXCEPTIONS)
    said = "The model stream failed in the middle."
    payload = json.dumps({"message": said}).encode()
    headers = choose.of(
        (
            {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"},
            {":message-type": "error", ":error-code": name, ":error-message": said},
            {":event-type": name, ":content-type": "application/json", ":message-type": "event"},
        )
    )
    if ":error-code" in headers:
        payload = b""
    raw = encode(Message(tuple(Header(key, value) for key, value in headers.items()), payload))
    raws = [*(part.raw for part in found[:number]), raw]
    return edited(stream, raws, f"{name} in place of message {number}", at=(number,))


@mutation(
    "bedrock_lost_start", Class.FAULT, Layer.DELTA, "loses the contentBlockStart of a call",
    right="reports arguments that belong to no call", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def lost_start(stream: Stream, choose: Choose) -> Edit:
    """Leave out the message that names a call."""
    found, rest, tail = _until_stop(stream)
    fragments = {part.index for part in found if part.delta and part.delta[0][0] == "toolUse"}
    number = choose.of([n for n, p in enumerate(found) if p.kind == "contentBlockStart" and p.index in fragments])
    raws = [part.raw for part in (*found, *rest)]
    del raws[number]
    return edited(stream, raws, f"message {number}, contentBlockStart, is lost", tail=tail, before=(number,))


@mutation(
    "bedrock_doubled_message", Class.DIALECT, Layer.DELTA, "sends a message twice that there is once",
    right="reports it, or gives the same answer: the second says nothing new", sources=_MODEL, dialects=_DIALECTS,
)  # fmt: skip
def doubled_message(stream: Stream, choose: Choose) -> Edit:
    """Repeat a messageStart, a contentBlockStart, a contentBlockStop or the messageStop."""
    found, rest, tail = _until_stop(stream)
    once = ("messageStart", "contentBlockStart", "contentBlockStop", "messageStop")
    number = choose.of([n for n, part in enumerate(found) if part.kind in once])
    raws = [part.raw for part in (*found, *rest)]
    raws.insert(number, raws[number])
    said = f"message {number}, {found[number].kind}, twice"
    return edited(stream, raws, said, tail=tail, before=(number,), after=(number, number + 1))
