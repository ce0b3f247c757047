"""Conversations over a real openai client whose transport plays prepared answers, and what became of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from streamkit.cassettes import find, load_cassette
from streamkit.conversation import AsyncConversation, Backoff, Conversation, Functions
from streamkit.conversation.examples import functions as examples
from streamkit.errors import UnmatchedRequestError
from streamkit.replay.clients import _libraries
from streamkit.replay.clock import VirtualClock
from streamkit.replay.delivery import Delivery
from streamkit.replay.httpx_transport import replayed_response
from streamkit.transcript import Ending, Interaction, ResponseHead, Transcript

Json = dict[str, Any]


def interactions(name: str) -> tuple[Interaction, ...]:
    """Return the interactions of a bundled conversation."""
    name = f"conversations/{name}"
    return load_cassette(find(name), name=name).interactions


@dataclass
class Talk:
    """A conversation that is set up like a cassette's, and what was seen of it.

    Attributes:
        rounds: the recorded interactions.
        instead: what is played for a round before its recorded answer, by its number from 0.
        calls: name and arguments of each call that was made.
        sent: the body of each request.
        pieces: what was given out.
        told: what the functions that watch were told, by kind.
        clock: of the waits.
    """

    rounds: Sequence[Interaction]
    instead: dict[int, list[Delivery | Exception]] = field(default_factory=dict)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    sent: list[Json] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)
    messages: list[Any] = field(default_factory=list)
    answer: Any = None

    def __post_init__(self) -> None:
        asked = self.asked(0)
        self.messages = list(asked.get("messages") or asked["input"])

    def asked(self, number: int) -> Json:
        """Return the body of a recorded request."""
        body: Json = json.loads(self.rounds[number].request.body)
        return body

    def functions(self) -> Functions:
        """Return the functions of the recorded request, which note each call."""
        asked = self.asked(0)
        listed = [one.get("function", one) for one in asked.get("tools") or asked.get("functions") or ()]
        noted = Functions()
        for one in listed:
            if one["name"] in examples:
                noted.add(self._noting(one["name"]), parameters=one["parameters"], name=one["name"],
                          description=one["description"])  # fmt: skip
        return noted

    def _noting(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return examples[name].call(**arguments)

        return call

    def settings(self) -> Json:
        """Return the arguments of a conversation that makes the recorded requests."""
        asked = self.asked(0)
        known = {"messages", "input", "tools", "functions", "stream"}
        return {
            "functions": self.functions(),
            "api": "responses" if "input" in asked else "chat",
            "legacy": "functions" in asked,
            "backoff": Backoff(retries=2),
            "clock": self.clock,
            "together": False,
            **{name: value for name, value in asked.items() if name not in known},
        }

    # -- the transport

    def play(self, module: Any, request: Any) -> Any:
        """Answer a request as it was recorded, or with what is played instead."""
        sent = json.loads(request.read())
        self.sent.append(sent)
        number = next((n for n in range(len(self.rounds)) if self.asked(n) == sent), None)
        if number is None:
            raise UnmatchedRequestError(
                "it was not recorded", reason="body_differs", method="POST", url=str(request.url), path="-"
            )
        others = self.instead.get(number, [])
        delivery = others.pop(0) if others else whole(self.rounds[number].transcript)
        if isinstance(delivery, Exception):
            raise delivery
        return replayed_response(module, request, delivery)

    def client(self, *, is_async: bool = False) -> Any:
        """Return a real client."""
        library, http = _libraries()
        transport = http.MockTransport(lambda request: self.play(http, request))
        if is_async:
            return library.AsyncOpenAI(api_key="x", http_client=http.AsyncClient(transport=transport, trust_env=False))
        return library.OpenAI(api_key="x", http_client=http.Client(transport=transport, trust_env=False))

    def run(self, *, is_async: bool = False, client: Any = None, **settings: Any) -> Talk:
        """Have the conversation, to its end or to an error, which is raised."""
        arguments = {**self.settings(), **settings}
        model = arguments.pop("model")
        if not is_async:
            self.answer = Conversation(client or self.client(), model, **arguments).get_response(self.messages)
            for piece in self.answer:
                self.pieces.append(piece)
            return self

        async def talk() -> None:
            conversation = AsyncConversation(client or self.client(is_async=True), model, **arguments)
            self.answer = conversation.get_response(self.messages)
            async with self.answer:
                async for piece in self.answer:
                    self.pieces.append(piece)

        if client is None:
            self.clock.run(talk())
        else:  # it has real sockets, for which no timer of a virtual loop waits
            asyncio.run(talk())
        return self

    @property
    def text(self) -> str:
        """All that was given out."""
        return "".join(self.pieces)

    def expected(self) -> list[Any]:
        """Return the messages that the recorded conversation ends with, but for the last answer."""
        asked = self.asked(-1)
        messages: list[Any] = asked.get("messages") or asked["input"]
        return messages


def whole(transcript: Transcript) -> Delivery:
    """Return the delivery of a transcript as it was recorded."""
    return cut(transcript.body, transcript)


def cut(body: bytes, like: Transcript, *places: int, ending: Ending = Ending.COMPLETE) -> Delivery:
    """Return the delivery of a body, cut at these places."""
    ends = [0, *places, len(body)]
    chunks = [body[start:end] for start, end in pairwise(ends)]
    return Delivery(like.head, chunks, ending)


def dropped(transcript: Transcript, at: int, ending: Ending = Ending.RESET) -> Delivery:
    """Return the delivery of a transcript whose connection breaks after some bytes."""
    return Delivery(transcript.head, [transcript.body[:at]], ending)


def refused(status: int, error: Json | None = None, /, **headers: str) -> Delivery:
    """Return the delivery of an answer that is no stream but an error."""
    head = ResponseHead(
        status, "", (("content-type", "application/json"), *((n.replace("_", "-"), v) for n, v in headers.items()))
    )
    return Delivery(head, [json.dumps({"error": error or {"message": "no", "type": "test", "code": None}}).encode()])


__all__ = ["Talk", "cut", "dropped", "interactions", "refused", "whole"]
