"""What a decoder hands out, and the bytes that it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Diagnostic", "ServerSentEvent", "as_bytes"]


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event.

    Attributes:
        event: the event type; "message" where the stream names none.
        data: the data lines joined with LF.
        id: the last event ID as of this event ("" where none was ever set). It stays until another `id` field.
        retry: the reconnection time in milliseconds that this event's own block set, or None.
        lossy: some bytes of the data were not UTF-8 and U+FFFD stands for them. Not compared.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None
    lossy: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something odd that the standard says to ignore.

    Attributes:
        kind: one of "bom", "unknown-field", "bad-retry", "nul-in-id", "not-utf8", "empty-block", "unterminated".
        line: 1-based number of the line in the stream.
        detail: the field or value concerned, shortened.
    """

    kind: str
    line: int
    detail: str = ""


def as_bytes(data: Buffer, where: str) -> bytes:
    """Return `data` as bytes, or raise TypeError that names `where`.

    `bytes(5)` would be five NULs and `bytes("x")` asks for an encoding: neither is what a caller meant.
    """
    if type(data) is bytes:
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"{where} takes bytes, bytearray or memoryview, not {type(data).__name__}") from None
