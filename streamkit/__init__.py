"""streamkit: deterministic record/replay testing for LLM streaming APIs.

The names below are imported when they are first used, so that `import streamkit` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamkit import cassettes as cassettes
    from streamkit import conversation as conversation
    from streamkit import dialects as dialects
    from streamkit import errors as errors
    from streamkit import fuzz as fuzz
    from streamkit import proof as proof
    from streamkit import replay as replay
    from streamkit import server as server
    from streamkit import strategies as strategies
    from streamkit import wire as wire
    from streamkit.case import Case as Case
    from streamkit.case import mutated as mutated
    from streamkit.cassettes import load as load
    from streamkit.cassettes.catalogue import library as library
    from streamkit.cassettes.redaction import Redaction as Redaction
    from streamkit.completion import Choice as Choice
    from streamkit.completion import Completion as Completion
    from streamkit.completion import ToolCall as ToolCall
    from streamkit.conversation import AsyncConversation as AsyncConversation
    from streamkit.conversation import Conversation as Conversation
    from streamkit.conversation import Functions as Functions
    from streamkit.dialects import accumulate as accumulate
    from streamkit.errors import OracleFailure as OracleFailure
    from streamkit.errors import StreamkitError as StreamkitError
    from streamkit.fuzz import Report as Report
    from streamkit.fuzz import check as check
    from streamkit.proof import ProofReport as ProofReport
    from streamkit.proof import assert_chunk_invariant as assert_chunk_invariant
    from streamkit.proof import prove as prove
    from streamkit.replay.clock import VirtualClock as VirtualClock
    from streamkit.replay.use import use_cassette as use_cassette
    from streamkit.synthesis import synthesize as synthesize
    from streamkit.transcript import Chunk as Chunk
    from streamkit.transcript import Ending as Ending
    from streamkit.transcript import Transcript as Transcript
    from streamkit.wire.boundaries import BoundaryClass as BoundaryClass
    from streamkit.wire.fragmentation import Fragmentation as Fragmentation
    from streamkit.wire.sse import ServerSentEvent as ServerSentEvent
    from streamkit.wire.sse import SSEDecoder as SSEDecoder
    from streamkit.wire.sse import SSEEncoder as SSEEncoder

    __version__: str

_HOMES = {
    "AsyncConversation": "streamkit.conversation",
    "BoundaryClass": "streamkit.wire.boundaries",
    "Case": "streamkit.case",
    "Choice": "streamkit.completion",
    "Chunk": "streamkit.transcript",
    "Completion": "streamkit.completion",
    "Conversation": "streamkit.conversation",
    "Ending": "streamkit.transcript",
    "Fragmentation": "streamkit.wire.fragmentation",
    "Functions": "streamkit.conversation",
    "OracleFailure": "streamkit.errors",
    "ProofReport": "streamkit.proof",
    "Redaction": "streamkit.cassettes.redaction",
    "Report": "streamkit.fuzz",
    "SSEDecoder": "streamkit.wire.sse",
    "SSEEncoder": "streamkit.wire.sse",
    "ServerSentEvent": "streamkit.wire.sse",
    "StreamkitError": "streamkit.errors",
    "ToolCall": "streamkit.completion",
    "Transcript": "streamkit.transcript",
    "VirtualClock": "streamkit.replay.clock",
    "accumulate": "streamkit.dialects",
    "assert_chunk_invariant": "streamkit.proof",
    "check": "streamkit.fuzz",
    "library": "streamkit.cassettes.catalogue",
    "load": "streamkit.cassettes",
    "mutated": "streamkit.case",
    "prove": "streamkit.proof",
    "synthesize": "streamkit.synthesis",
    "use_cassette": "streamkit.replay.use",
}
_MODULES = (
    "cassettes", "conversation", "dialects", "errors", "fuzz", "proof", "replay", "server", "strategies", "wire",
)  # fmt: skip

__all__ = sorted([*_HOMES, *_MODULES])  # noqa: PLE0605 - computed, and a test holds it to the imports above


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of these

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        if name in _MODULES:
            return importlib.import_module(f"streamkit.{name}")
        if name == "__version__":
            from importlib.metadata import version

            return version("pytest-streamkit")
        raise AttributeError(f"module 'streamkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
