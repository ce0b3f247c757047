"""What the readers of all dialects share: feed, close, result and snapshot, and the error that breaks a stream.

Strategy. A reader is a decoder of the wire and an accumulator. The decoder cuts bytes into events (server-sent events,
lines, messages) and tells where each begins. The accumulator reads the payload of an event and takes it; what is wrong
with it is raised as a DialectError, which is held here and raised again by every later call, with the completion so
far, the number of the event, its place in the body, and the JSON path of the value.

The path costs nothing where nothing is wrong: an error names the object that holds the value (`DialectError.site`),
and that is looked for in the payload when the error is caught.

A dialect's own `Reader` and `Accumulator` are made of these; nobody outside of this room uses them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from streamkit.dialects.payloads import event_object
from streamkit.errors import DialectError, PayloadError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from streamkit.completion import Completion
    from streamkit.wire.event import ServerSentEvent

__all__ = ["EventAccumulator", "EventReader", "Fold", "StreamReader", "json_path"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fold(ABC):
    """Fold of events into a Completion: the base of all accumulators.

    Attributes:
        events: how many events came, whatever they say.
    """

    def __init__(self) -> None:
        self.events = 0
        self._error: DialectError | None = None

    def feed(self, event: Any, offset: int | None = None) -> None:
        """Take one event.

        Args:
            event: what the decoder of the dialect's wire gives out.
            offset: where in the body it begins, in bytes; None where that is not known.

        Raises:
            ProviderError: the event reports an error.
            PayloadError: its data is not UTF-8, not JSON, or no payload of the dialect at this place.
                Both hold the completion so far as `partial`, and both are raised again by every later call.
        """
        if self._error is not None:
            raise self._error
        payload = None
        self.events += 1
        try:
            payload = self._read(event)
            if payload is not None:
                self._take(payload, event)
        except RecursionError:
            error = PayloadError("the event's data is nested too deep")
            self.fail(error, offset=offset, payload=payload, begun=True)
            raise error from None
        except DialectError as error:
            self.fail(error, offset=offset, payload=payload, begun=True)
            raise

    @property
    def broken(self) -> bool:
        """Whether an error broke the stream."""
        return self._error is not None

    def check(self) -> None:
        """Raise the error that broke the stream, if one did."""
        if self._error is not None:
            raise self._error

    def fail(self, error: DialectError, *, offset: int | None = None, payload: Any = None, begun: bool = False) -> None:
        """Hold an error as the one that broke the stream, with its place and the completion so far.

        Args:
            error: what was raised.
            offset: where in the body the event begins; None for what the error says itself.
            payload: the event's JSON, or None.
            begun: it is about the event that came last; else about what follows that.
        """
        self._error = error
        error.event = self.events - begun
        error.offset = error.offset if offset is None else offset
        if payload is not None:
            error.path = json_path(payload, error.site)
        error.site = None
        error.partial = self.completion()

    @abstractmethod
    def _read(self, event: Any) -> Any:
        """Return the payload of an event, or None where it says nothing; raise DialectError where it has none."""

    @abstractmethod
    def _take(self, payload: Any, event: Any) -> None:
        """Take a payload, or raise DialectError."""

    @abstractmethod
    def completion(self) -> Completion:
        """Return what there is so far. Of a stream that broke, or has not ended, nothing is ended."""

    @abstractmethod
    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""


class EventAccumulator(Fold):
    """The base of the accumulators of server-sent events whose data are JSON objects.

    Attributes:
        done: the event that closes the stream came, such as `[DONE]`; whatever follows it is ignored.
        payloads: how many payloads were read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done = False
        self.payloads = 0

    def _read(self, event: Any) -> Any:
        data = event.data.strip()
        if self.done or not data:
            return None
        if data == "[DONE]":
            self.done = True
            return None
        payload = self._parsed(event)
        self.payloads += 1
        return payload

    def _parsed(self, event: ServerSentEvent) -> dict[str, Any]:
        """Return the JSON object in an event's data; PayloadError where there is none."""
        return event_object(event)


class StreamReader:
    """Bytes in, Completion out: a decoder and an accumulator behind one `feed`.

    It can be copied (`copy.deepcopy`) at any point of a stream.

    Args:
        decoder: of the wire: its `feed(data, offsets)` returns the events that the bytes complete and adds to `offsets`
            where each begins, its `close()` ends the body, and its `position` is how many bytes it took.
        accumulator: of the dialect.
    """

    _checked = False  # the decoder may owe a fault after a feed: see `_check_wire`

    def __init__(self, decoder: Any, accumulator: Any) -> None:
        self._decoder = decoder
        self._accumulator = accumulator

    def feed(self, data: Buffer) -> None:
        """Take the next bytes of the body.

        Raises:
            ProviderError: the stream reports an error.
            PayloadError: it holds what is no payload of the dialect, or stands where it cannot.
                Each later call raises the error again.
        """
        accumulator = self._accumulator
        if accumulator._error is not None:
            raise accumulator._error
        offsets: list[int] = []
        try:
            events = self._decoder.feed(data, offsets)
        except PayloadError as fault:
            self._broken(fault)
            raise
        if events:
            for event, offset in zip(events, offsets, strict=True):
                accumulator.feed(event, offset)
        if self._checked:
            try:
                self._check_wire()
            except PayloadError as fault:
                self._broken(fault)
                raise

    def close(self) -> None:
        """End the stream."""
        self._decoder.close()

    def result(self) -> Completion:
        """Return the completion.

        Raises:
            TruncatedStreamError: the stream ended early.
            DialectError: what `feed` raised, again.
        """
        self._accumulator.check()
        completion: Completion = self._accumulator.completion()
        if completion.ended:
            return completion
        what, rest = self._accumulator.missing(completion), self._rest()
        error = TruncatedStreamError(f"the stream ended early: {what}" + (f", and {rest}" if rest else ""))
        error.event, error.offset = self._accumulator.events, self._decoder.position
        error.partial = completion
        raise error

    def snapshot(self) -> Completion:
        """Return what there is so far."""
        completion: Completion = self._accumulator.completion()
        return completion

    def _check_wire(self) -> None:
        """Raise what is wrong with the wire behind the last event that the decoder gave out."""

    def _broken(self, fault: PayloadError) -> None:
        """Hold a fault of the wire itself."""
        self._accumulator.fail(fault)

    def _rest(self) -> str:
        """Return what was left over at the end of the body, in words, or ""."""
        return ""


class EventReader(StreamReader):
    """The base of the readers of server-sent events."""

    def __init__(self, accumulator: EventAccumulator) -> None:
        super().__init__(SSEDecoder(), accumulator)

    def _rest(self) -> str:
        discarded = self._decoder.discarded
        return f"the last {discarded} bytes are an unfinished event" if discarded else ""


def json_path(payload: Any, site: tuple[Any, str | int | None] | None) -> str:
    """Return the JSONPath (RFC 9535) of a value in a payload; "$" where it is not there.

    Args:
        payload: where it is looked for.
        site: the very object or list that holds it, and its key there; None for the key means the holder itself.
    """
    if site is None:
        return "$"
    holder, key = site
    waiting = [(payload, "$")]
    while waiting:
        value, path = waiting.pop()
        if value is holder:
            return path if key is None else path + _step(key)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        waiting.extend((item, path + _step(at)) for at, item in items if isinstance(item, dict | list))
    return "$"


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _NAME.fullmatch(key):
        return f".{key}"
    return "['" + key.replace("\\", "\\\\").replace("'", "\\'") + "']"
