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

import pickle
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from streamkit.dialects.state import duplicate_fields
from streamkit.errors import DialectError, PayloadError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from streamkit.completion import Completion
    from streamkit.dialects.event_accumulator import EventAccumulator

__all__ = ["EventReader", "Fold", "StreamReader", "json_path"]

_OF_COPIES = ("_held", "_lent", "_pickled")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Fold(ABC):
    """Fold of events into a Completion: the base of all accumulators.

    Attributes:
        events: how many events came, whatever they say.
    """

    def __init__(self) -> None:
        self.events = 0
        self._error: DialectError | None = None

    def copy(self) -> Self:
        """Return a copy, which goes on by itself."""
        made = object.__new__(type(self))
        made.__dict__.update(duplicate_fields(self.__dict__, {}))
        return made

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

    def feed_all(self, events: Sequence[Any], offsets: Sequence[int]) -> None:
        """Take several events, as `feed` takes one.

        Args:
            events: what the decoder gave out.
            offsets: where in the body each begins, in bytes.
        """
        for event, offset in zip(events, offsets, strict=True):
            self.feed(event, offset)

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

    def text_since(self, place: int) -> str | None:
        """Return the text of the first choice behind so many characters, as it came; see `StreamReader.text_since`."""
        return None

    @abstractmethod
    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""


class StreamReader:
    """Bytes in, Completion out: a decoder and an accumulator behind one `feed`.

    It can be copied (by `copy`, or `copy.deepcopy`) and pickled at any point of a stream. The same bytes give equal
    pickles, in whatever chunks they came.

    Args:
        decoder: of the wire: its `feed(data, offsets)` returns the events that the bytes complete and adds to `offsets`
            where each begins, its `close()` ends the body, and its `position` is how many bytes it took.
        accumulator: of the dialect.
    """

    _checked = False  # the decoder may owe a fault after a feed: see `_check_wire`

    _lent = False  # a copy has the same accumulator: whoever is fed first takes one of its own
    _pickled: bytes | None = None  # the accumulator, as it is

    def __init__(self, decoder: Any, accumulator: Any) -> None:
        self._decoder = decoder
        self._held = accumulator

    @property
    def _accumulator(self) -> Any:
        """The accumulator, for whoever may change it."""
        self._pickled = None
        if self._lent:
            self._held, self._lent = self._held.copy(), False
        return self._held

    def feed(self, data: Buffer) -> None:
        """Take the next bytes of the body.

        Raises:
            ProviderError: the stream reports an error.
            PayloadError: it holds what is no payload of the dialect, or stands where it cannot.
                Each later call raises the error again.
        """
        if self._held._error is not None:
            raise self._held._error
        offsets: list[int] = []
        try:
            events = self._decoder.feed(data, offsets)
        except PayloadError as fault:
            self._broken(fault)
            raise
        if events:
            self._accumulator.feed_all(events, offsets)
        if self._checked:
            try:
                self._check_wire()
            except PayloadError as fault:
                self._broken(fault)
                raise

    def copy(self) -> Self:
        """Return a copy, which goes on by itself: what is fed to one is not fed to the other."""
        made = object.__new__(type(self))
        own = {name: value for name, value in self.__dict__.items() if name not in _OF_COPIES}
        made.__dict__.update(duplicate_fields(own, {}))
        made._held, made._pickled = self._held, self._pickled
        made._lent = self._lent = True
        return made

    def __getstate__(self) -> dict[str, Any]:
        if self._pickled is None:
            self._pickled = pickle.dumps(self._held, 5)
        own = {name: value for name, value in self.__dict__.items() if name not in _OF_COPIES}
        if self._held.broken:  # how far behind the error the decoder has read, depends on the chunks, and is no matter
            own["_decoder"] = type(self._decoder)()
        return {**own, "_held": self._pickled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._held = pickle.loads(state["_held"])  # noqa: S301 - of a pickle that is being read already

    def close(self) -> None:
        """End the stream."""
        self._decoder.close()

    def result(self) -> Completion:
        """Return the completion.

        Raises:
            TruncatedStreamError: the stream ended early.
            DialectError: what `feed` raised, again.
        """
        held = self._held
        held.check()
        completion: Completion = held.completion()
        if completion.ended:
            return completion
        what, rest = held.missing(completion), self._rest()
        error = TruncatedStreamError(f"the stream ended early: {what}" + (f", and {rest}" if rest else ""))
        error.event, error.offset = held.events, self._decoder.position
        error.partial = completion
        raise error

    def snapshot(self) -> Completion:
        """Return what there is so far."""
        completion: Completion = self._held.completion()
        return completion

    def text_since(self, place: int) -> str | None:
        """Return the text of the first choice behind so many characters: what a snapshot tells, in no time.

        Args:
            place: how many characters of it are known; half of a surrogate pair counts as one.

        Returns:
            It is as it came: a pair may be in two halves. None where only a snapshot can tell, such as of a text that
            was revised.
        """
        more: str | None = self._held.text_since(place)
        return more

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

    @property
    def over(self) -> bool:
        """Whether the event that closes the stream came, such as `[DONE]`: nobody need read on."""
        return bool(self._accumulator.done)

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
