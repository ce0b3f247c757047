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

import json
from typing import TYPE_CHECKING

from streamkit.dialects.anthropic_accumulator import Accumulator
from streamkit.errors import TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

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
        request = transcript.request
        if request is not None:
            path = request.url.split("?")[0].rstrip("/")
            if path.endswith("/v1/messages"):
                return True
            if path.endswith(":streamRawPredict") and "/publishers/anthropic/" in path:
                return True
        for event in SSEDecoder().feed(transcript.body[:65536]):
            try:
                payload = json.loads(event.data)
            except (ValueError, RecursionError):
                continue
            if not isinstance(payload, dict):
                continue
            kind = payload.get("type", event.event)
            if kind == "message_start":
                return isinstance(payload.get("message"), dict)
            if payload and kind not in ("ping", "keepalive", "error") and "error" not in payload:
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


class Reader:
    """Bytes in, Completion out: the decoder and the accumulator behind one `feed`.

    It can be copied (`copy.deepcopy`) at any point of a stream.
    """

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._accumulator = Accumulator()

    def feed(self, data: Buffer) -> None:
        """Take the next bytes of the body.

        Raises:
            ProviderError: an error event.
            PayloadError: an event that breaks the rules of the API.
        """
        for event in self._decoder.feed(data):
            self._accumulator.feed(event)

    def close(self) -> None:
        """End the stream."""
        self._decoder.close()

    def result(self) -> Completion:
        """Return the completion.

        Raises:
            TruncatedStreamError: the stream ended early.
            DialectError: what `feed` raised, again.
        """
        self._accumulator.check()
        completion = self._accumulator.completion()
        if completion.ended:
            return completion
        what = "no stop reason and no message_stop came" if completion.choices else "no message_start came"
        if self._decoder.discarded:
            what += f", and the last {self._decoder.discarded} bytes are an unfinished event"
        error = TruncatedStreamError(f"the stream ended early: {what}")
        error.partial = completion
        raise error

    def snapshot(self) -> Completion:
        """Return what there is so far."""
        return self._accumulator.completion()
