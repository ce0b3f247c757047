"""Anthropic Messages, streamed: the dialect, and its reader.

A message is one Choice. Its `content` is the text of all text blocks joined, `reasoning` that of all thinking blocks,
in the order of the blocks' indexes; each `tool_use` block is a ToolCall. Where that does not say it all (signatures,
citations, server tools and their results, redacted thinking, an order other than thinking, text, tools),
`extra["blocks"]` lists every block. `usage` is that of message_start with the fields of each message_delta that are
not null put in their place: the API's counts are cumulative, so they are never added up. What else comes with the
stop reason, and the `container`, is the Choice's `extra`; other fields of the message and of its events are the
Completion's.

What events mean, and when a message has ended, is in `anthropic_accumulator`; blocks are in `anthropic_blocks`; the
way back is in `anthropic_emit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.dialects.anthropic_accumulator import Accumulator
from streamkit.dialects.detection import asked, first_payloads, says_nothing
from streamkit.dialects.reader import EventReader

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["Accumulator", "AnthropicMessages", "Reader"]


class AnthropicMessages:
    """The dialect `anthropic_messages`."""

    name = "anthropic_messages"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the request went to the Messages API, or the first payload begins a message of it."""
        path = asked(transcript)
        if path.endswith("/v1/messages") or (path.endswith(":streamRawPredict") and "/publishers/anthropic/" in path):
            return True
        for event, payload in first_payloads(transcript):
            kind = payload.get("type", event.event)
            if kind == "message_start":
                return isinstance(payload.get("message"), dict)
            if payload and not says_nothing({"type": kind, **payload}):
                return False  # the payload of another API
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to this very completion.

        Args:
            completion: one message that has ended.
            layout: how it is spread over events; `usage` is left out of account, since the API has no choice in it.

        Raises:
            UsageError: the dialect cannot carry the completion; the message names what it cannot.
        """
        from streamkit.dialects.anthropic_emit import emit

        return emit(completion, layout)


class Reader(EventReader):
    """The reader of `anthropic_messages`."""

    def __init__(self) -> None:
        super().__init__(Accumulator())
