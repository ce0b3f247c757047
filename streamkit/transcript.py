"""Transcript: the immutable record of one streamed response, and the request that asked for it.

A transcript knows bytes and times. What its events mean, a dialect says (`streamkit.dialects`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from streamkit.errors import UsageError
from streamkit.wire.event import as_bytes
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Chunk", "Ending", "Interaction", "Request", "ResponseHead", "Transcript"]

Headers = tuple[tuple[str, str], ...]


class Ending(StrEnum):
    """Why a stream stopped.

    Attributes:
        COMPLETE: the stream was over.
        TRUNCATED: HTTP ended the body properly, and the stream was not over.
        INCOMPLETE: the connection was closed before the end of the body that HTTP had announced.
        RESET: the connection broke.
        TIMEOUT: nothing came for longer than the client would wait.
        CLIENT_CLOSED: the client stopped reading, after the last event or before it.
    """

    COMPLETE = "complete"
    TRUNCATED = "truncated"
    INCOMPLETE = "incomplete"
    RESET = "reset"
    TIMEOUT = "timeout"
    CLIENT_CLOSED = "client_closed"


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of one transport read.

    Attributes:
        data: the bytes; may be empty.
        at: milliseconds after the response head.
    """

    data: bytes
    at: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent. `body` is the bytes as sent, after redaction."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status line and headers of a response. Header names keep their case and order."""

    status: int = 200
    reason: str = "OK"
    headers: Headers = (("content-type", "text/event-stream"),)

    def header(self, name: str) -> str | None:
        """Return the first header of that name, whatever its case, or None."""
        name = name.lower()
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True)
class Transcript:
    """One streamed response, byte for byte.

    Attributes:
        body: the bytes of the body, as the parser under test gets them.
        head: status and headers.
        lengths: bytes of each recorded chunk; they add up to the body. One entry where the network's chunks were not
            recorded.
        times: milliseconds of each chunk after the head.
        ending: why the stream stopped.
        chunks_recorded: whether `lengths` are the chunks that a network delivered.
        name: the name in a library ("openai_chat/boston_weather"), or a path, or "".
        dialect: the dialect's name, or None for one still to be detected.
        synthetic: no server sent these bytes.
        source: where they come from, in words.
        request: what was asked, where known.
        error: what the recording client's library raised at the end, as "library.Class: message"; "" for nothing.
        missing: bytes of the last HTTP chunk, or of the announced body, that never came.
        server: name and version of the server that sent it, where known: "llama-cpp-python 0.3.36".
    """

    body: bytes
    head: ResponseHead = ResponseHead()
    lengths: tuple[int, ...] = ()
    times: tuple[int, ...] = ()
    ending: Ending = Ending.COMPLETE
    chunks_recorded: bool = False
    name: str = ""
    dialect: str | None = None
    synthetic: bool = False
    source: str = ""
    request: Request | None = field(default=None, compare=False)
    error: str = ""
    missing: int = 0
    server: str = ""

    def __post_init__(self) -> None:
        lengths = tuple(self.lengths) or (len(self.body),)
        times = tuple(self.times) or (0,) * len(lengths)
        if not all(type(value) is int and value >= 0 for value in (*lengths, *times)):
            raise UsageError("chunk lengths and times are whole numbers from 0")
        if sum(lengths) != len(self.body):
            raise UsageError(f"the chunk lengths add up to {sum(lengths)} bytes and the body has {len(self.body)}")
        if len(times) != len(lengths) or any(b < a for a, b in pairwise(times)):
            raise UsageError("there must be one time a chunk, and times must not go back")
        object.__setattr__(self, "body", bytes(self.body))
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "times", times)
        if self.ending not in list(Ending):
            raise UsageError(f"ending is {self.ending!r}: write one of {', '.join(Ending)}")
        object.__setattr__(self, "ending", Ending(self.ending))

    @classmethod
    def from_chunks(cls, chunks: Iterable[Chunk | bytes], **facts: object) -> Transcript:
        """Return a transcript of chunks as a network delivered them.

        Args:
            chunks: `Chunk` objects, or bytes that came without times.
            facts: further attributes of the transcript.
        """
        listed = [chunk if isinstance(chunk, Chunk) else Chunk(as_bytes(chunk, "a chunk")) for chunk in chunks]
        return cls(
            body=b"".join(chunk.data for chunk in listed),
            lengths=tuple(len(chunk.data) for chunk in listed),
            times=tuple(chunk.at for chunk in listed),
            **{"chunks_recorded": True, **facts},  # type: ignore[arg-type]  # checked by the dataclass itself
        )

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The recorded chunks."""
        ends = list(accumulate(self.lengths))
        return tuple(
            Chunk(self.body[end - length : end], at)
            for end, length, at in zip(ends, self.lengths, self.times, strict=True)
        )

    @cached_property
    def recorded(self) -> Fragmentation:
        """The fragmentation that gives the recorded chunks."""
        return Fragmentation.from_lengths(self.lengths)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the body."""
        return hashlib.sha256(self.body).hexdigest()

    def fragment(self, fragmentation: Fragmentation | str | Sequence[int] | None = None) -> list[bytes]:
        """Return the body in chunks.

        Args:
            fragmentation: a Fragmentation, its text form, or offsets; None for the recorded chunks.
        """
        if fragmentation is None:
            fragmentation = self.recorded
        elif isinstance(fragmentation, str):
            fragmentation = Fragmentation.parse(fragmentation)
        elif isinstance(fragmentation, bytes | bytearray):
            raise UsageError("cuts are offsets, not bytes: write '99,100' or [99, 100]")
        elif not isinstance(fragmentation, Fragmentation):
            fragmentation = Fragmentation.at(*fragmentation)
        return fragmentation.chunks(self.body)

    def renamed(self, name: str) -> Transcript:
        """Return the same transcript under another name."""
        return replace(self, name=name)

    def __repr__(self) -> str:
        facts = f"{len(self.body)} bytes, {len(self.lengths)} chunks, {self.ending}"
        return f"<Transcript {self.name or '(unnamed)'}: {facts}>"


@dataclass(frozen=True, slots=True)
class Interaction:
    """A request and the transcript that answered it."""

    request: Request
    transcript: Transcript
