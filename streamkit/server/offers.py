"""Offers: deliveries that code holds out to clients, each under a URL of its own."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streamkit.case import Case, mutated
from streamkit.replay.delivery import Delivery, delivery_of
from streamkit.server.answers import base_path, endpoint
from streamkit.server.how import PLAIN, How
from streamkit.server.steer import PREFIX
from streamkit.transcript import Request, Transcript

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Offer", "Offers", "delivery", "dialect_of"]


def delivery(what: Transcript | Case | Delivery) -> Delivery:
    """Return head, chunks and ending of what is to be delivered."""
    if isinstance(what, Delivery):
        return what
    if isinstance(what, Transcript):
        return delivery_of(what)
    if not what.steps and what.fragmentation == what.transcript.recorded:
        return delivery_of(what.transcript)
    body = mutated(what.transcript, what.steps)
    return replace(delivery_of(body, what.fragmentation), ending=what.transcript.ending)


@dataclass(frozen=True)
class Offer:
    """A delivery that a server holds out under a URL of its own, to any POST there.

    Attributes:
        id: its number, as text.
        base_url: what a client of the API takes as its base URL.
        url: that, and what a client adds to it for a stream.
        requests: those that came so far, in their order.
    """

    id: str
    base_url: str
    url: str
    delivery: Delivery = field(repr=False)
    how: How = PLAIN
    requests: list[Request] = field(default_factory=list, repr=False)
    _among: dict[str, Offer] = field(default_factory=dict, repr=False, compare=False)

    def close(self) -> None:
        """Take it back: whoever asks for it from now on gets 404. What is under way goes on."""
        self._among.pop(self.id, None)

    def __enter__(self) -> Offer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class Offers:
    """The offers of one server. May be used from several threads."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._open: dict[str, Offer] = {}

    def add(self, server: str, what: Transcript | Case | Delivery, how: How | None, dialect: str | None) -> Offer:
        """Return a new offer.

        Args:
            server: the server's URL.
            what: what is delivered.
            how: its conduct on the wire; as the server's where None.
            dialect: whose base URL and endpoint to give; that of the transcript where None.
        """
        if dialect is None:
            transcript = what if isinstance(what, Transcript) else what.transcript if isinstance(what, Case) else None
            dialect = dialect_of(transcript) if transcript is not None else None
        with self._lock:
            number = f"{next(self._numbers)}"
            base = f"{server}{PREFIX}~{number}{base_path(dialect)}"
            made = Offer(number, base, base + endpoint(dialect), delivery(what), how or PLAIN, _among=self._open)
            self._open[number] = made
        return made

    def get(self, number: str) -> Offer | None:
        """Return an offer that is still open, or None."""
        return self._open.get(number)


def dialect_of(transcript: Transcript) -> str | None:
    """Return the name of the dialect that a transcript is of, or None."""
    from streamkit import dialects

    found = dialects.detect(transcript)
    return found.name if found is not None else None
