"""What the accumulators of server-sent events share: payloads that are JSON objects, read in full or by an envelope.

Several events are taken at once, for their number is what a long stream costs. Which envelopes there are, and why an
event that one of them takes says the same as read in full, is told in `envelope`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from streamkit.dialects.envelope import Envelopes
from streamkit.dialects.payloads import event_object, loads
from streamkit.dialects.reader import Fold
from streamkit.dialects.state import duplicate_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.dialects.envelope import Envelope, Outline
    from streamkit.wire.event import ServerSentEvent

__all__ = ["EventAccumulator"]

_CACHES = ("_envelopes", "_takers", "_quick")

#: How the envelope that was used last reads a text, what takes that, and the type of its events.
_Quick = tuple[Callable[[str], Any], Callable[[Any], object], str]


class EventAccumulator(Fold):
    """The base of the accumulators of server-sent events whose data are JSON objects.

    Attributes:
        done: the event that closes the stream came, such as `[DONE]`; whatever follows it is ignored.
        payloads: how many payloads were read.
    """

    #: How many payloads are read before an envelope is learnt; None for a dialect without envelopes.
    _patience: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.done = False
        self.payloads = 0
        self._envelopes = None if self._patience is None else Envelopes(self._patience)
        self._takers: dict[Envelope, Callable[[Any], object] | None] = {}  # bindings of envelopes
        self._quick: _Quick | None = None

    def copy(self) -> Self:
        """Return a copy, which goes on by itself and uses the same envelopes."""
        made = object.__new__(type(self))
        fields = self.__getstate__()
        made.__dict__.update(duplicate_fields(fields, {}))
        made._envelopes, made._takers, made._quick = self._envelopes, {}, None
        return made

    def __getstate__(self) -> dict[str, Any]:
        # Envelopes are a cache, and bindings would lead to the original: a copy binds and learns anew.
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._envelopes = None if self._patience is None else Envelopes(self._patience)
        self._takers, self._quick = {}, None

    def feed(self, event: ServerSentEvent, offset: int | None = None) -> None:
        """Take one event, which is read in full; see `Fold.feed`. What it changes may unbind any envelope."""
        self._takers.clear()
        self._quick = None
        super().feed(event, offset)

    def feed_all(self, events: Sequence[ServerSentEvent], offsets: Sequence[int]) -> None:
        """Take several events, as `feed` takes one; those that are like earlier ones are not read in full."""
        envelopes = self._envelopes
        if envelopes is None:
            super().feed_all(events, offsets)
            return
        if self._error is not None:
            raise self._error
        uses = 0
        read, take, kind = self._quick or self._used_last()
        for event, offset in zip(events, offsets, strict=True):
            value = read(event.data)
            if value is not None and event.event == kind and not event.lossy:
                take(value)
                uses += 1
                continue
            if not self.done and self._by_envelope(event):
                uses += 1
            else:
                self._count(uses)
                uses = 0
                before = self.payloads
                self.feed(event, offset)
                if self.payloads > before and envelopes.wants():
                    envelopes.learn(event, loads, self._outline)
            read, take, kind = self._quick = self._used_last()
        self._count(uses)

    def _count(self, uses: int) -> None:
        """Count events that were taken by envelopes."""
        self.events += uses
        self.payloads += uses
        if self._envelopes is not None:
            self._envelopes.used(uses)

    def _used_last(self) -> _Quick:
        """Return how to read and take what is like the payload that was taken last."""
        table = () if self._envelopes is None or self.done else self._envelopes.table
        if table:
            take = self._taker(table[0])
            if take is not None:
                return table[0].read, take, table[0].event
        return _nothing, _nothing, ""

    def _taker(self, envelope: Envelope) -> Callable[[Any], object] | None:
        """Return the binding of an envelope."""
        if envelope not in self._takers:
            self._takers[envelope] = self._bind(envelope.plan)
        return self._takers[envelope]

    def _by_envelope(self, event: ServerSentEvent) -> bool:
        """Take an event by one of the envelopes; return False where it is to be read in full."""
        table = [] if self._envelopes is None else self._envelopes.table
        for number, envelope in enumerate(table):
            value = envelope.read(event.data)
            if value is None:
                continue
            take = None if event.lossy or event.event != envelope.event else self._taker(envelope)
            if take is None:
                return False
            take(value)
            if number:
                table.insert(0, table.pop(number))
            return True
        return False

    @staticmethod
    def _outline(payload: Any) -> Outline | None:
        """Return what a payload means, where an envelope can say it; see `envelope`."""
        return None

    def _bind(self, plan: Any) -> Callable[[Any], object] | None:
        """Return what takes the values of an envelope's payloads, as things are; None where they do more than that.

        It must not change anything, nor depend on what such takers change.
        """
        return None

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


def _nothing(value: object) -> None:
    """Read nothing."""
