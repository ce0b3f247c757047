"""Layout: how a synthetic stream is laid out, for every dialect that can emit one.

A dialect takes from it what it has a choice in, and leaves the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streamkit.errors import UsageError
from streamkit.wire.sse import Framing

__all__ = ["Layout", "pieces"]

_CALLS = ("sequential", "interleaved", "whole")
_USAGE = ("last", "finish", "every", "none")


@dataclass(frozen=True)
class Layout:
    """How a completion is spread over events.

    Attributes:
        token_size: characters of text or of arguments in each delta.
        calls: "sequential": one call after the other in deltas; "interleaved": their deltas in turns; "whole": each
            call in one delta.
        usage: where a dialect has the choice: "last" in an event of its own, "finish" with the finish reason, "every"
            event (cumulative), or "none".
        keep_alive: comment blocks, or the dialect's own pings, between events.
        framing: how events are written, in a dialect of server-sent events.
        chunk: "event" for one chunk an event, or "whole" for one chunk in all.
    """

    token_size: int = 4
    calls: str = "sequential"
    usage: str = "last"
    keep_alive: bool = False
    framing: Framing = field(default_factory=Framing)
    chunk: str = "event"

    def __post_init__(self) -> None:
        size: object = self.token_size
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise UsageError(f"token_size is {size!r}: a number of characters from 1 is expected")
        for name, allowed in (("calls", _CALLS), ("usage", _USAGE), ("chunk", ("event", "whole"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}: write one of {', '.join(allowed)}")


def pieces(text: str, size: int) -> list[str]:
    """Return a text in pieces of `size` characters; the last may be shorter, and an empty text has none."""
    return [text[start : start + size] for start in range(0, len(text), size)]
