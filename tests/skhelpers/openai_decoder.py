"""The decoder of the openai library, version 3, as a feed class: its own classes, and the loop of its `iter_bytes`."""

from __future__ import annotations

from typing import Any

__all__ = ["OpenAIDecoder"]


class OpenAIDecoder:
    """The library reads an iterator of chunks; here the same is done for one chunk after the other."""

    def __init__(self) -> None:
        from openai._streaming import SSEDecoder, _SSELineDecoder

        self.lines = _SSELineDecoder()
        self.events = SSEDecoder()

    def feed(self, chunk: bytes) -> list[tuple[Any, ...]]:
        """Return the events that a chunk completes."""
        return self._decoded(self.lines.feed(chunk))

    def close(self) -> list[tuple[Any, ...]]:
        """Return what the end completes."""
        return self._decoded(self.lines.finish())

    def _decoded(self, lines: Any) -> list[tuple[Any, ...]]:
        return [(event.event, event.data, event.id, event.retry) for event in self.events._decode_lines(lines)]
