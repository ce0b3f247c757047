"""How: the conduct of the replay server towards one request, on the wire.

What a stream says, a case decides (`streamkit.case`); this is how HTTP and TCP carry it: framing, writes, pace, a
status instead of an answer, and the ways to break off. The text form, `speed=1;reset=300`, is what a header, the path
of a URL and the command line take.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLAIN", "How"]

_FRAMINGS = ("chunked", "length", "close")
_ENCODINGS = ("gzip", "gzip-late", "deflate", "deflate-late")
_PAGES = ("error", "html", "empty")
_MS = ("gap", "head_delay", "head_drip", "hold", "stall_for")
_OFFSETS = ("reset", "close", "stall")
_LONGEST = 3_600_000  # an hour, in milliseconds
_HIGHEST = 2**48
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class How:
    """The conduct of the server on the wire.

    Attributes:
        framing: how the end of the body is told: "chunked" (one HTTP chunk a Chunk), "length" (content-length) or
            "close" (the connection is closed). None for chunked, or as HTTP/1.0 needs.
        writes: cuts of what goes over the wire after the head, HTTP's own framing included: each piece is one write.
            A Fragmentation, "drip" for one byte a write or "whole"; None for one write a Chunk.
        speed: 0 for at once, 1 for the recorded times, 2 for twice as fast. None for what the server does.
        gap: milliseconds to wait before every write after the first, so that readers see writes apart.
        status: answer with this status instead of the transcript.
        retry_after: value of the header retry-after, beside a status.
        page: the body beside a status: "error" in the API's shape, "html" or "empty". Without a status, the page comes
            with 200 in the place of the stream.
        reset: reset the connection (RST) after that many bytes of the body; negative: before that many from its end.
        close: close the connection there without HTTP's end of the body.
        stall: send nothing more from there on, and leave the connection open until the client goes or `stall_for` is
            over.
        stall_for: milliseconds after which a stalled connection is closed; None for as long as the client waits.
        head_delay: milliseconds before the head.
        head_drip: milliseconds over which the head is sent, byte by byte.
        hold: milliseconds for which HTTP's end of the body is held back after the last chunk: what a client does that
            waits for the end of the body and not for the end of the stream.
        encoding: compress the body: "gzip", "deflate", with each chunk flushed; "gzip-late", "deflate-late" for a
            compressor that keeps small events back. Not done for a client that does not accept it.
        apart: before each of the first so many writes, wait until the client has read the one before, so that readers
            on this machine see writes apart, whatever the load; no longer than a second for all of them. Where the
            system does not tell what was read (only Linux does), a few milliseconds must do.
        first: behave so towards the first requests only, this many for each URL; the others get the plain answer.
    """

    framing: str | None = None
    writes: Fragmentation | str | None = None
    speed: float | None = None
    gap: int = 0
    status: int | None = None
    retry_after: str | None = None
    page: str | None = None
    reset: int | None = None
    close: int | None = None
    stall: int | None = None
    stall_for: int | None = None
    head_delay: int = 0
    head_drip: int = 0
    hold: int = 0
    encoding: str | None = None
    apart: int = 0
    first: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("framing", _FRAMINGS), ("encoding", _ENCODINGS), ("page", _PAGES)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise UsageError(f"{name} is {value!r}: write one of {', '.join(known)}")
        if not (self.writes is None or isinstance(self.writes, Fragmentation)):
            if not isinstance(self.writes, str):
                raise UsageError(f"writes is {self.writes!r}: write 'drip', 'whole' or offsets like '1,2,40'")
            if self.writes != "drip":
                object.__setattr__(self, "writes", Fragmentation.parse(self.writes))
        speed: Any = self.speed
        if speed is not None and (
            isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed < 1e9
        ):
            raise UsageError(f"speed is {speed!r}: write 0 for at once, 1 for as recorded, 2 for twice as fast")
        for name in _MS:
            self._check(name, 0, _LONGEST, "milliseconds")
        for name in _OFFSETS:
            self._check(name, -_HIGHEST, _HIGHEST, "an offset in the body, in bytes")
        self._check("apart", 0, _HIGHEST, "a number of writes")
        self._check("status", 200, 599, "an HTTP status")
        self._check("first", 1, _HIGHEST, "a number of requests")
        if self.status is not None and self.status in (204, 205, 304):
            raise UsageError(f"status is {self.status}: it allows no body, so no API answers a stream with it")
        if self.retry_after is not None and _HEADER_VALUE.fullmatch(str(self.retry_after)) is None:
            raise UsageError(f"retry_after is {self.retry_after!r}: write seconds, or an HTTP date")
        if sum(getattr(self, name) is not None for name in _OFFSETS) > 1:
            raise UsageError("a stream breaks off in one way: give only one of reset, close and stall")

    def _check(self, name: str, lowest: int, highest: int, what: str) -> None:
        value: Any = getattr(self, name)
        if value is not None and (type(value) is not int or not lowest <= value <= highest):
            raise UsageError(f"{name} is {value!r}: write {what}, from {lowest} to {highest}")

    @classmethod
    def of(cls, value: How | str | None) -> How:
        """Return the conduct for a caller's choice: as it is, read from its text, or plain where None."""
        return cls.parse(value) if isinstance(value, str) else value if value is not None else PLAIN

    @classmethod
    def parse(cls, text: str) -> How:
        """Read the text form: `name=value`, several with a semicolon between them.

        Raises:
            UsageError: a name or value is none; the nearest name is given.
        """
        found: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(";"))):
            name, equals, value = (word.strip() for word in part.partition("="))
            name = name.replace("-", "_")
            if name not in _NAMES:
                near = difflib.get_close_matches(name, _NAMES, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_NAMES)}"
                raise UsageError(f"the server knows no conduct {name!r}; {hint}")
            if not equals or not value:
                raise UsageError(f"{part!r} has no value: write {name}=...")
            if name in found:
                raise UsageError(f"{name} is given twice")
            found[name] = _read(name, value)
        return cls(**found)

    @staticmethod
    def knows(text: str) -> bool:
        """Say whether a text begins as conduct does: with one of its names, and an equals sign."""
        name, equals, _ = text.partition("=")
        return bool(equals) and name.strip().replace("-", "_") in _NAMES

    def beside(self, other: How) -> How:
        """Return this conduct where it says something, and the other's elsewhere."""
        said = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        if any(name in said for name in _OFFSETS):
            other = replace(other, reset=None, close=None, stall=None)
        return replace(other, **said)

    def breaks_at(self, size: int) -> tuple[str, int] | None:
        """Return in which way, and after how many bytes, a body of `size` bytes is broken off; None for not at all."""
        for name in _OFFSETS:
            place: int | None = getattr(self, name)
            if place is not None:
                return name, min(size, max(0, size + place if place < 0 else place))
        return None

    def __str__(self) -> str:
        said: Mapping[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        return ";".join(
            f"{one.name}={said[one.name]:g}" if isinstance(said[one.name], float) else f"{one.name}={said[one.name]}"
            for one in fields(self)
            if said[one.name] != one.default
        )


#: Nothing but what HTTP asks for.
PLAIN = How()
_NAMES = tuple(one.name for one in fields(How))


def _read(name: str, value: str) -> Any:
    if name in ("framing", "writes", "retry_after", "page", "encoding"):
        return value
    try:
        return float(value) if name == "speed" else int(value)
    except ValueError:
        raise UsageError(f"{name} is {value!r}: write a number") from None
