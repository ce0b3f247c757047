"""Events to bytes: server-sent events in any framing that the standard allows, so that decoding gives them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamkit.errors import UsageError
from streamkit.wire.event import BOM, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Framing", "SSEEncoder", "encode"]


@dataclass(frozen=True, slots=True)
class Framing:
    r"""How events are written. Every value that can be made is legal in the standard.

    Attributes:
        line_end: end of each field line: LF, CR or CRLF.
        blank_end: end of the blank line, or None for the same as `line_end`. `line_end` CR with `blank_end` LF is
            refused: CR and LF side by side are one line end.
        space: write the optional space after the colon. It is written anyway where a value begins with a space.
        order: the order of the fields in a block.
        bom: begin the stream with a byte order mark.
        event_name: write `event: message` too, where the standard would let it be left out.
    """

    line_end: bytes = b"\n"
    blank_end: bytes | None = None
    space: bool = True
    order: tuple[str, ...] = ("event", "id", "retry", "data")
    bom: bool = False
    event_name: bool = False

    def __post_init__(self) -> None:
        ends = (b"\n", b"\r", b"\r\n")
        if self.line_end not in ends or (self.blank_end is not None and self.blank_end not in ends):
            raise UsageError("line_end and blank_end are b'\\n', b'\\r' or b'\\r\\n'")
        if self.line_end == b"\r" and self.blank_end == b"\n":
            raise UsageError("line_end CR with blank_end LF is one line end, CRLF: choose another pair")
        if sorted(self.order) != ["data", "event", "id", "retry"]:
            raise UsageError("order holds each of 'event', 'id', 'retry' and 'data' once")


class SSEEncoder:
    """Writes events in a given framing, so that `decode` of what it wrote gives the events back.

    It is stateful: the byte order mark is written once, and an `id` field where the last event ID changes.
    """

    def __init__(self, framing: Framing | None = None) -> None:
        self.framing = framing if framing is not None else Framing()
        self._id = ""
        self._started = False

    def encode(self, event: ServerSentEvent) -> bytes:
        """Return the bytes of one event.

        Raises:
            UsageError: the event cannot be written in any framing (a CR in its data, a line end in its type or ID,
                a NUL in its ID, a negative retry, an empty type, half a surrogate pair). The encoder is unchanged.
        """
        framing = self.framing
        _check_event(event)  # before anything of our own changes
        fields: dict[str, list[str]] = {"event": [], "id": [], "retry": [], "data": event.data.split("\n")}
        if event.event != "message" or framing.event_name:
            fields["event"] = [event.event]
        if event.id != self._id:
            fields["id"] = [event.id]
            self._id = event.id
        if event.retry is not None:
            fields["retry"] = [str(event.retry)]
        out: list[bytes] = [BOM if framing.bom and not self._started else b""]
        self._started = True
        for name in framing.order:
            for value in fields[name]:
                colon = ": " if framing.space or value.startswith(" ") else ":"
                out.append((name + colon + value).encode("utf-8") + framing.line_end)
        out.append(framing.line_end if framing.blank_end is None else framing.blank_end)
        return b"".join(out)

    def comment(self, text: str = "") -> bytes:
        """Return a comment block: one comment line and a blank line, which dispatches nothing.

        Raises:
            UsageError: the text holds a line end.
        """
        if "\n" in text or "\r" in text:
            raise UsageError("a comment is one line: write several comments instead")
        _check_text(text, "a comment")
        lead = BOM if self.framing.bom and not self._started else b""
        self._started = True
        end = self.framing.line_end
        blank = end if self.framing.blank_end is None else self.framing.blank_end
        colon = ": " if text and (self.framing.space or text.startswith(" ")) else ":"
        return lead + (colon + text).encode("utf-8") + end + blank


def _check_event(event: ServerSentEvent) -> None:
    if "\r" in event.data:
        raise UsageError("data with a CR cannot be written: the standard reads it as a line end")
    if not event.event:
        raise UsageError("an empty event type cannot be written: it reads as 'message'")
    if "\n" in event.event or "\r" in event.event:
        raise UsageError(f"event type {event.event!r} holds a line end")
    if "\n" in event.id or "\r" in event.id or "\0" in event.id:
        raise UsageError(f"event id {event.id!r} holds a line end or NUL, which the standard ignores")
    if event.retry is not None:
        try:
            digits = str(event.retry)
        except ValueError:  # Python refuses to write thousands of digits
            digits = "a number of thousands of digits"
        if type(event.retry) is not int or not digits.isdigit():
            raise UsageError(f"retry is {digits}: the standard takes digits only")
    for name in ("data", "event", "id"):
        _check_text(getattr(event, name), name)


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} holds half a surrogate pair, which is no UTF-8") from None


def encode(events: Iterable[ServerSentEvent], framing: Framing | None = None) -> bytes:
    """Return the bytes of `events` in one framing (default: `data: ...` lines ended by LF).

    Raises:
        UsageError: an event that no framing can carry.
    """
    encoder = SSEEncoder(framing)
    return b"".join([encoder.encode(event) for event in events])
