"""The server behind targets that drive a real client: it offers each delivery at an address of its own."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.replay.delivery import Delivery
from streamkit.server import How, ReplayServer
from streamkit.transcript import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from streamkit.transcript import Transcript

__all__ = ["Served", "Spoken", "request_of"]

_PLACE = "http://base-url"
_QUESTION = "What is the weather like?"


@dataclass(frozen=True)
class Spoken:
    """What a client has to know of a transcript.

    Attributes:
        head: of the response.
        dialect: its name, or None where no dialect knows it.
        request: a JSON body that may be sent.
    """

    head: ResponseHead
    dialect: str | None
    request: dict[str, Any]

    @classmethod
    def of(cls, transcript: Transcript | None) -> Spoken:
        """Return what a client has to know; None stands for bytes that nothing is known of."""
        if transcript is None:
            return cls(ResponseHead(), None, request_of(None, None))
        found = dialects.detect(transcript)
        name = found.name if found is not None else None
        return cls(transcript.head, name, request_of(transcript, name))


@dataclass(frozen=True)
class Place:
    """Where a delivery is offered: for an HTTP client, and as the base URL of a client of its API."""

    url: str
    base_url: str


class Served:
    """A server for the deliveries of one campaign. A context manager.

    Args:
        framing: how a body ends: "chunked", with an HTTP chunk for each chunk of the delivery, "length" or "close".
        apart: how many writes of a delivery, at most, wait until the one before has been read: what a client has not
            read yet when the next chunk comes may be one piece to it.

    Attributes:
        asked: whether any request came to a delivery whose offer is over.
    """

    def __init__(self, framing: str, apart: int) -> None:
        self._server = ReplayServer([])
        self._how = How(framing=framing, apart=apart)
        self._host = ""
        self._address: re.Pattern[str] = re.compile("(?!)")
        self.asked = False

    def __enter__(self) -> Served:
        self._server.start()
        self._host = self._server.url.removeprefix("http://")
        url, host = re.escape(self._server.url), re.escape(self._host)
        self._address = re.compile(rf"{url}(?:/case/~\d+)?|\b{host}\b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def hidden(self, text: str) -> str:
        """Return a text without the address at which a delivery was offered: no two have the same."""
        return self._address.sub(_PLACE, text) if self._host in text else text  # many do not hold it, and may be long

    @staticmethod
    def spoken(transcript: Transcript | None) -> Spoken:
        """Return what a client has to know of a transcript."""
        return Spoken.of(transcript)

    @contextmanager
    def offer(self, spoken: Spoken, chunks: list[bytes]) -> Iterator[Place]:
        """Offer chunks as the body of a response; an empty one cannot be sent."""
        delivery = Delivery(spoken.head, [chunk for chunk in chunks if chunk])
        offer = self._server.offer(delivery, how=self._how, dialect=spoken.dialect)
        try:
            yield Place(offer.url, offer.base_url)
        finally:
            self.asked = self.asked or bool(offer.requests)
            offer.close()
            self._server.log.clear()  # nobody reads it, and a campaign is long


def request_of(transcript: Transcript | None, dialect: str | None) -> dict[str, Any]:
    """Return a JSON body that asks for a transcript: the recorded one, or the least that the API takes."""
    if transcript is not None and transcript.request is not None:
        try:
            recorded = json.loads(transcript.request.body)
        except ValueError:
            recorded = None
        if isinstance(recorded, dict):
            return recorded
    said = {"role": "user", "content": _QUESTION}
    least: dict[str | None, dict[str, Any]] = {
        "openai_responses": {"model": "model", "input": _QUESTION, "stream": True},
        "openai_completions": {"model": "model", "prompt": _QUESTION, "stream": True},
        "anthropic_messages": {"model": "model", "max_tokens": 1024, "messages": [said], "stream": True},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}]},
        "bedrock_converse": {"messages": [{"role": "user", "content": [{"text": _QUESTION}]}]},
    }
    return least.get(dialect, {"model": "model", "messages": [said], "stream": True})
