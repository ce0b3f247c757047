"""A transcript as mutations edit it: a list of events, each with its bytes as long as nobody touches it.

An event that is not edited keeps its bytes exactly. An edited one is written in the manner of its stream: its line end,
its space after the colon, its way of writing JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from streamkit.errors import StreamkitError, UsageError
from streamkit.wire.boundaries import event_ends
from streamkit.wire.eventstream import decode, split
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.sse import BOM, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.transcript import Transcript

__all__ = ["Event", "Manner", "Stream", "message_event", "replace_body"]

T = TypeVar("T")

_DONE = "[DONE]"
_HALF = re.compile("[\ud800-\udfff]")  # json.dumps leaves them as they are, and they are no UTF-8


@dataclass(frozen=True)
class Manner:
    """How a stream writes.

    Attributes:
        wire: "sse", "ndjson" (one JSON text a line), "jsonarray" or "eventstream" (AWS's binary messages).
        line_end: of field lines; of an array, what stands between two elements.
        space: after the colon.
        item, key: separators of JSON.
        ascii: non-ASCII characters are written as escapes.
    """

    wire: str = "sse"
    line_end: bytes = b"\n"
    space: bool = True
    item: str = ","
    key: str = ":"
    ascii: bool = False

    def json(self, value: Any) -> str:
        """Return a JSON value as text in this manner; half a surrogate pair is written as an escape in any."""
        text = json.dumps(value, ensure_ascii=self.ascii, separators=(self.item, self.key))
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


@dataclass(frozen=True)
class Event:
    """One event, or a block that dispatches none.

    Attributes:
        data: its data; None for a block without any (comments, `retry` alone).
        name: what its `event` field says; None where it has none.
        raw: its bytes, as long as it is as recorded; None for one that is to be written.
        fields: further lines to write before the data, without their line end, such as b"id: 1".
        lossy: some bytes of its data are not UTF-8, so that its data cannot be written again.
    """

    data: str | None = None
    name: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    fields: tuple[bytes, ...] = ()
    lossy: bool = False

    @property
    def payload(self) -> Any:
        """The JSON of its data; None where there is none, or the data are no JSON or not UTF-8."""
        if self.data is None or self.lossy or not self.data.strip() or self.done:
            return None
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None

    @property
    def done(self) -> bool:
        """Whether it is `[DONE]`."""
        return self.data is not None and self.data.strip() == _DONE

    def with_data(self, data: str) -> Event:
        """Return the event with other data."""
        return replace(self, data=data, raw=None, lossy=False)


@dataclass(frozen=True)
class Stream:
    """The events of a body, in order, and what follows the last of them.

    Attributes:
        events: the events and the blocks without one.
        tail: bytes after the last finished block.
        manner: how it writes.
        dialect: the dialect's name, or None.
        transcript: what it was read from.
        head: bytes before the first event: a byte order mark, or nothing.
    """

    events: tuple[Event, ...]
    tail: bytes
    manner: Manner
    dialect: str | None
    transcript: Transcript
    head: bytes = b""

    @classmethod
    def of(cls, transcript: Transcript, dialect: str | None = None) -> Stream:
        """Return a transcript as a stream of events.

        Args:
            transcript: what is read: server-sent events, JSON texts (one a line, or the elements of an array), or AWS's
                binary messages. Of these last an event shows the payload; only its bytes can be written again.
            dialect: its dialect's name; what the transcript says where None.
        """
        body = transcript.body
        dialect = dialect or transcript.dialect
        other = _messages(body) or _elements(body)
        if other is not None:
            wire, head, events, line_end, tail = other
            manner = replace(_manner(body, wire), line_end=line_end)
            return cls(tuple(events), tail, manner, dialect, transcript, head)
        if _is_ndjson(body):
            parts = body.splitlines(keepends=True)
            tail = parts.pop() if parts and not parts[-1].endswith((b"\n", b"\r")) else b""
            return cls(tuple(map(_line, parts)), tail, _manner(body, "ndjson"), dialect, transcript)
        head = BOM if body.startswith(BOM) else b""
        body = body[len(head) :]
        edges = [0, *event_ends(body)]
        found = [_event(body[start:end]) for start, end in pairwise(edges)]
        return cls(tuple(found), body[edges[-1] :], _manner(body, "sse"), dialect, transcript, head)

    @property
    def payloads(self) -> list[tuple[int, Any]]:
        """The events that hold a JSON object, as (number of the event, object); none behind `[DONE]`."""
        read = takewhile(lambda numbered: not numbered[1].done, enumerate(self.events))
        return [(number, payload) for number, event in read if isinstance(payload := event.payload, dict)]

    def body(self) -> bytes:
        """Return the bytes."""
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        between = self.manner.line_end if self.manner.wire == "jsonarray" else b""
        return self.head + between.join(map(self.write, self.events)) + self.tail

    def once(self, make: Callable[[Stream], T]) -> T:
        """Return what a function makes of this stream; it is called the first time only.

        Many mutations are tried on one stream, and each would read it anew.

        Args:
            make: takes the stream. What it returns is shared by all who ask.
        """
        made = self._made
        if make not in made:
            made[make] = make(self)
        found: T = made[make]
        return found

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    def reread(self, body: bytes) -> Stream:
        """Return the stream that other bytes are, as an edit of this one's transcript."""
        return replace(Stream.of(replace_body(self.transcript, body), self.dialect), transcript=self.transcript)

    def write(self, event: Event) -> bytes:
        """Return the bytes of one event."""
        if event.raw is not None:
            return event.raw
        if self.manner.wire == "eventstream":
            raise UsageError("an event of this stream can only be replaced by one with its bytes")
        end = self.manner.line_end
        if self.manner.wire in ("ndjson", "jsonarray"):
            return (event.data or "").encode("utf-8", "surrogatepass") + (end if self.manner.wire == "ndjson" else b"")
        space = b" " if self.manner.space else b""
        lines = list(event.fields)
        if event.name is not None:
            lines.append(b"event:" + space + event.name.encode())
        if event.data is not None:
            for line in event.data.split("\n"):
                lead = space if space or not line.startswith(" ") else b" "
                lines.append(b"data:" + lead + line.encode("utf-8", "surrogatepass"))
        return b"".join(line + end for line in lines) + end

    def payload_event(self, payload: Any, like: Event | None = None) -> Event:
        """Return an event that holds a payload.

        Args:
            payload: a JSON value.
            like: the event whose name it takes.
        """
        return Event(self.manner.json(payload), like.name if like is not None else None)

    def replaced(self, number: int, *events: Event) -> Stream:
        """Return the stream with other events, or none, in place of one."""
        return replace(self, events=(*self.events[:number], *events, *self.events[number + 1 :]))

    def inserted(self, number: int, *events: Event) -> Stream:
        """Return the stream with events before one; after the last where the number is that of none."""
        return replace(self, events=(*self.events[:number], *events, *self.events[number:]))

    def cut(self, number: int, tail: bytes = b"") -> Stream:
        """Return the stream without an event and all that follows it."""
        return replace(self, events=self.events[:number], tail=tail)

    def mapped(self, change: Callable[[Any], Any]) -> Stream:
        """Return the stream with each payload changed.

        Args:
            change: gets a payload of its own and returns another, or the same changed, or None to leave it as it is.
        """
        events = list(self.events)
        for number, payload in self.payloads:
            changed = change(payload)
            if changed is not None:
                events[number] = events[number].with_data(self.manner.json(changed))
        return replace(self, events=tuple(events))

    def rearranged(self, payloads: Sequence[tuple[int, Any]], of: Sequence[int]) -> Stream:
        """Return the stream with payloads in place of some events.

        Args:
            payloads: (number of the event before which it stands, payload), in order.
            of: the numbers of the events that go.
        """
        gone = set(of)
        events: list[Event] = []
        waiting = list(payloads)
        for number, event in enumerate(self.events):
            while waiting and waiting[0][0] <= number:
                place, payload = waiting.pop(0)
                events.append(self.payload_event(payload, self.events[min(place, len(self.events) - 1)]))
            if number not in gone:
                events.append(event)
        events.extend(self.payload_event(payload) for _, payload in waiting)
        return replace(self, events=tuple(events))


def replace_body(transcript: Transcript, body: bytes) -> Transcript:
    """Return a transcript with another body, in one chunk, which no server sent."""
    return replace(transcript, body=body, lengths=(), times=(), chunks_recorded=False, synthetic=True)


_Read = tuple[str, bytes, list[Event], bytes, bytes]  # wire, head, events, line end, tail


def _messages(body: bytes) -> _Read | None:
    """Read AWS's binary messages; None where the body does not begin with one."""
    try:
        raws, tail = split(body)
    except StreamkitError:
        return None
    if not raws:
        return None
    return "eventstream", b"", list(map(message_event, raws)), b"", tail


def message_event(raw: bytes) -> Event:
    """Return the event that shows one of AWS's binary messages: its payload; of a broken one nothing but its bytes."""
    try:
        message = decode(raw)[0]
    except (StreamkitError, IndexError):
        return Event(raw=raw)
    kind = message.text(":event-type") or message.text(":exception-type")
    return Event(message.payload.decode("utf-8", "replace"), kind, raw, lossy=not _is_utf8(message.payload))


def _elements(body: bytes) -> _Read | None:
    """Read the elements of a JSON array; None where the body is no whole array whose elements stand evenly apart."""
    if body.lstrip(b" \t\r\n")[:1] != b"[":
        return None
    decoder = JSONArrayDecoder()
    try:
        elements = decoder.feed(body)
        decoder.close()
    except StreamkitError:
        return None
    if not decoder.ended or not elements:
        return None
    places, at = [], 0
    for element in elements:
        at = body.index(element, at)
        places.append((at, at + len(element)))
        at += len(element)
    between = {body[one[1] : other[0]] for one, other in pairwise(places)} or {b","}
    if len(between) > 1:
        return None
    return "jsonarray", body[: places[0][0]], list(map(_element, elements)), between.pop(), body[places[-1][1] :]


def _element(raw: bytes) -> Event:
    return Event(raw.decode("utf-8", "replace"), None, raw, lossy=not _is_utf8(raw))


def _line(raw: bytes) -> Event:
    data = raw.decode("utf-8", "replace").strip()
    return Event(data or None, None, raw, lossy=bool(data) and not _is_utf8(raw))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _event(raw: bytes) -> Event:
    found = SSEDecoder().feed(b"\n" + raw)  # a byte order mark in front of it is none, but at the body's beginning
    name = None
    others = []
    for line in raw.splitlines():
        field, _, value = line.partition(b":")
        if field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
        elif field not in (b"", b"data") or line[:1] == b":":
            others.append(line)
    if not found:
        return Event(raw=raw, fields=tuple(others))
    return Event(found[0].data, name, raw, tuple(others), found[0].lossy)


def _is_ndjson(body: bytes) -> bool:
    head = body.lstrip()[:1]
    if head != b"{":
        return False
    line = body.lstrip().split(b"\n", 1)[0]
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, UnicodeDecodeError, RecursionError):
        return False


def _manner(body: bytes, wire: str) -> Manner:
    found = re.search(rb"\r\n|\n|\r", body)
    sample = re.search(rb'\{"[^"\\]*"(\s*:\s*)(?:"[^"\\]*"|[\w.-]+)(\s*,\s*)"', body)
    key, item = (sample[1].decode(), sample[2].decode()) if sample is not None else (":", ",")
    return Manner(
        wire=wire,
        line_end=found[0] if found is not None else b"\n",
        space=re.search(rb"(?:\A|[\r\n])data: ", body) is not None or b"data:" not in body,
        item=item if item.strip(" ") == "," else ",",
        key=key if key.strip(" ") == ":" else ":",
        ascii=body.isascii() and re.search(rb"\\u[0-9a-fA-F]{4}", body) is not None,
    )
