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
    from streamkit.dialects.layout import Layout

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
    """One streaming API.

    Attributes:
        name: in lower case with underscores.
        wire: how its events are framed: "sse", "ndjson", "jsonarray" or "eventstream".
    """

    name: str
    wire: str

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a transcript speaks this dialect."""

    def reader(self) -> Reader:
        """Return a new reader."""

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to a completion; raise UsageError for what it cannot carry."""


def _registry() -> dict[str, Dialect]:
    from streamkit.dialects.anthropic_messages import AnthropicMessages
    from streamkit.dialects.bedrock_converse import BedrockConverse
    from streamkit.dialects.cohere_v2 import CohereV2
    from streamkit.dialects.gemini import Gemini
    from streamkit.dialects.ollama import Ollama
    from streamkit.dialects.openai_chat import OpenAIChat
    from streamkit.dialects.openai_completions import OpenAICompletions
    from streamkit.dialects.openai_responses import OpenAIResponses

    listed: tuple[Dialect, ...] = (
        OpenAIChat(), OpenAIResponses(), OpenAICompletions(), AnthropicMessages(), Gemini(), Ollama(),
        BedrockConverse(), CohereV2(),
    )  # fmt: skip
    return {dialect.name: dialect for dialect in listed}


def names() -> list[str]:
    """Return the names of all dialects: those of streamkit, and those that installed packages offer."""
    from streamkit.dialects import plugins

    return sorted({*_registry(), *plugins.names()})


def get(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises:
        UsageError: there is none, and the nearest name is given; or it is a plug-in's that cannot be loaded.
    """
    from streamkit.dialects import plugins

    found = _registry().get(name) or plugins.load(name)
    if found is None:
        known = names()
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "there are: " + ", ".join(known)
        raise UsageError(f"no dialect named {name!r}; {hint}")
    return found


def detect(transcript: Transcript) -> Dialect | None:
    """Return the dialect that a transcript names or, failing that, speaks; None where none fits.

    Raises:
        UsageError: the transcript names a plug-in's dialect that cannot be loaded.
    """
    from streamkit.dialects import plugins

    registry = _registry()
    if transcript.dialect is not None:
        return registry.get(transcript.dialect) or plugins.load(transcript.dialect)
    own = next((dialect for dialect in registry.values() if dialect.detect(transcript)), None)
    if own is not None:
        return own
    offered = (plugins.load(name) for name in plugins.names() if name not in registry)
    return next((dialect for dialect in offered if dialect is not None and dialect.detect(transcript)), None)


def accumulate(chunks: Iterable[Buffer] | Transcript, *, dialect: str | None = None) -> Completion:
    """Return the completion that a stream of chunks carries.

    A stream says itself whether it is whole. So how the connection ended is not looked at: what breaks after the end of
    the answer takes nothing from it, as the clients see it that stop reading there.

    Args:
        chunks: the body in pieces, cut anywhere; or a transcript, for its recorded chunks.
        dialect: the dialect's name; where None, the one that a transcript speaks, and openai_chat for bare chunks.

    Raises:
        ProviderError: the stream carries an error of the provider.
        PayloadError: an event is not a payload of the dialect.
        TruncatedStreamError: the stream ended before it was finished.
            Each holds what had come so far as `partial`.
    """
    if isinstance(chunks, bytes | bytearray | str | memoryview):
        raise UsageError("accumulate() takes chunks: write accumulate([body]) for a body in one piece")
    if isinstance(chunks, Transcript):
        spoken = detect(chunks) if dialect is None else None
        dialect = spoken.name if spoken is not None else dialect
        chunks = chunks.fragment()
    reader = get(dialect or "openai_chat").reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()
