"""JSON texts, one a line: bytes to lines, incrementally.

The rules are those of NDJSON (github.com/ndjson/ndjson-spec) and JSON Lines (jsonlines.org): a line ends with LF,
CRLF being CR (white space to JSON) and LF; blank lines are skipped; UTF-8. A CR alone ends no line. The last line may
lack its end: JSON Lines reads it like any other, so `close` hands it out, and `unterminated` says that it did. Whoever
reads the line as JSON finds out whether it is whole: half an object is never JSON.

Nothing here looks into a line: which are JSON, and what they say, is not known on this floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import as_bytes

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["NDJSONDecoder"]

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"


class NDJSONDecoder:
    """Incremental decoder of lines.

    Args:
        max_line_bytes: the most bytes that a line may hold, without its end; None for no limit. The same streams pass
            and fail whatever the chunking.

    Attributes:
        lines: how many lines were handed out.
        unterminated: after `close`, the bytes of the last line where it had no line end (0 for a clean end).
    """

    def __init__(self, *, max_line_bytes: int | None = None) -> None:
        if max_line_bytes is not None and max_line_bytes < 1:
            raise UsageError(f"max_line_bytes is {max_line_bytes}: give at least 1, or None for no limit")
        self.lines = 0
        self.unterminated = 0
        self._limit = max_line_bytes
        self._tail: list[bytes] = []  # pieces of the unfinished line
        self._tail_size = 0
        self._offset = 0  # where in the stream the unfinished line begins
        self._first = True  # the next line is the first one, and may begin with a byte order mark
        self._overrun = False
        self._closed = False

    def feed(self, data: Buffer, offsets: list[int] | None = None) -> list[bytes]:
        """Take the next bytes and return the lines that they complete.

        Args:
            data: any bytes-like object; may be empty, which changes nothing.
            offsets: where given, gets for each line where in the stream it begins, in bytes.

        Returns:
            The lines that hold anything, without white space around them, in order.

        Raises:
            LimitError: a line is longer than `max_line_bytes`. Lines that came before it are returned first, and the
                error is raised by the next call; every later call raises it again.
            TypeError: `data` is not bytes-like.
            UsageError: the decoder is closed.
        """
        chunk = as_bytes(data, "NDJSONDecoder.feed()")
        if self._closed:
            raise UsageError("feed() after close(): make a new NDJSONDecoder for another stream")
        if self._overrun:
            self._raise_limit()
        found: list[bytes] = []
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if self._tail:
                self._tail.append(piece)
                line = b"".join(self._tail)
                self._tail.clear()
                self._tail_size = 0
            else:
                line = piece
            if self._limit is not None and len(line) - line.endswith(b"\r") > self._limit:
                self._overrun = True
                break
            known = len(found)
            self._line(line, found)
            if offsets is not None and len(found) > known:
                offsets.append(self._offset)
            self._offset += len(line) + 1
        else:
            if rest:
                self._tail.append(rest)
                self._tail_size += len(rest)
            # one byte more than the limit may be the CR of the line's end
            if self._limit is not None and self._tail_size > self._limit + self._tail_ends_with_cr():
                self._overrun = True
        if self._overrun and not found:
            self._raise_limit()
        return found

    @property
    def position(self) -> int:
        """How many bytes were taken."""
        return self._offset + self._tail_size

    def close(self, offsets: list[int] | None = None) -> list[bytes]:
        """End the stream.

        Args:
            offsets: as of `feed`.

        Returns:
            The last line, where it has no line end and holds anything.

        Raises:
            LimitError: as `feed`, where the error was still owed.
        """
        if self._closed:
            return []
        if self._overrun:
            self._raise_limit()
        found: list[bytes] = []
        line = b"".join(self._tail)
        if self._limit is not None and len(line) - line.endswith(b"\r") > self._limit:
            self._raise_limit()
        self._closed = True
        self._tail.clear()
        self._line(line, found)
        if found:
            self.unterminated = self._tail_size
            if offsets is not None:
                offsets.append(self._offset)
        return found

    def copy(self) -> Self:
        """Return a decoder that goes on from here by itself."""
        other = object.__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def __getstate__(self) -> tuple[Any, ...]:
        """Return all that decides what comes next, the same for the same bytes so far."""
        tail = b"" if self._overrun else b"".join(self._tail)
        counts = (self.lines, self.unterminated, self._limit, self._offset)
        return (*counts, self._first, self._overrun, self._closed, tail)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.lines, self.unterminated, self._limit, self._offset, self._first, self._overrun, self._closed, tail = state
        self._tail = [tail] if tail else []
        self._tail_size = len(tail)

    def _line(self, line: bytes, found: list[bytes]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        line = line.strip(_BLANK)
        if line:
            self.lines += 1
            found.append(line)

    def _tail_ends_with_cr(self) -> bool:
        return bool(self._tail) and self._tail[-1].endswith(b"\r")

    def _raise_limit(self) -> None:
        limit = self._limit or 0
        raise LimitError(f"a line of the stream is longer than max_line_bytes={limit}", limit=limit)
