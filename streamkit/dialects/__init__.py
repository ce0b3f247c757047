"""Dialects: the rules of one streaming API each, and the registry that finds them.

A dialect is an object with a `name`, a `detect` and a `reader`. A reader is fed bytes and gives a Completion: it is
decoder and accumulator in one, and it is the reference that a parser under test is held to.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Protocol

from streamkit.errors import UsageError
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from streamkit.completion import Completion

__all__ = ["Dialect", "Reader", "accumulate", "detect", "get", "names"]


class Reader(Protocol):
    """Bytes in, Completion out. Fits the adapter for feed classes."""

    def feed(self, data: Buffer) -> None:
        """Take the next bytes. Raises DialectError where the stream breaks the dialect's rules."""

    def close(self) -> None:
        """End the stream."""

    def result(self) -> Completion:
        """Return the completion of a stream that ended properly; raise TruncatedStreamError for another."""

    def snapshot(self) -> Completion:
        """Return what there is so far; its `ended` says whether it is all."""


class Dialect(Protocol):
    """One streaming API."""

    name: str

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a transcript speaks this dialect."""

    def reader(self) -> Reader:
        """Return a new reader."""


def _registry() -> dict[str, Dialect]:
    from streamkit.dialects.openai_chat import OpenAIChat

    return {dialect.name: dialect for dialect in (OpenAIChat(),)}


def names() -> list[str]:
    """Return the names of all dialects."""
    return sorted(_registry())


def get(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    registry = _registry()
    if name not in registry:
        near = difflib.get_close_matches(name, registry, 1)
        hint = f"did you mean {near[0]!r}?" if near else "there are: " + ", ".join(sorted(registry))
        raise UsageError(f"no dialect named {name!r}; {hint}")
    return registry[name]


def detect(transcript: Transcript) -> Dialect | None:
    """Return the dialect that a transcript names or, failing that, speaks; None where none fits."""
    registry = _registry()
    if transcript.dialect is not None:
        return registry.get(transcript.dialect)
    return next((dialect for dialect in registry.values() if dialect.detect(transcript)), None)


def accumulate(chunks: Iterable[Buffer] | Transcript, *, dialect: str = "openai_chat") -> Completion:
    """Return the completion that a stream of chunks carries.

    Args:
        chunks: the body in pieces, cut anywhere; or a transcript, for its recorded chunks.
        dialect: the dialect's name.

    Raises:
        ProviderError: the stream carries an error of the provider.
        PayloadError: an event is not a payload of the dialect.
        TruncatedStreamError: the stream ended before it was finished.
            Each holds what had come so far as `partial`.
    """
    if isinstance(chunks, bytes | bytearray | str | memoryview):
        raise UsageError("accumulate() takes chunks: write accumulate([body]) for a body in one piece")
    if isinstance(chunks, Transcript):
        chunks = chunks.fragment()
    reader = get(dialect).reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()
