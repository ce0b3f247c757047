"""Fragmentation: the cuts that partition a body into the chunks of one delivery.

A value, not a procedure: it knows offsets and nothing of the body they apply to, so it can be pasted from a failing
run into a test. Which kind of place a cut is, `streamkit.wire.boundaries` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from streamkit.errors import UsageError
from streamkit.wire.boundaries import BoundaryClass, boundaries, event_ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Fragmentation"]

_PART = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")
_WHOLE_NUMBERS = frozenset([int])  # and no bool
_MOST_CUTS = 50_000_000  # of one range: more than any body that is tested


class _HasLengths(Protocol):
    @property
    def lengths(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True, repr=False)
class Fragmentation:
    """Where a body is cut.

    Attributes:
        cuts: byte offsets, ascending. Offset `o` cuts between byte `o - 1` and byte `o`. The same offset twice makes
            an empty chunk, as do 0 and the length of the body.

    The text form is `whole` for no cut, else the offsets with commas; a run of offsets may be written `7-12`. It is
    what `str()` gives and `parse` takes.
    """

    cuts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        try:
            cuts = tuple(self.cuts)
        except TypeError:
            raise UsageError(f"cuts are a list of offsets, not {self.cuts!r}: write Fragmentation.at(5)") from None
        if not _WHOLE_NUMBERS.issuperset(map(type, cuts)):
            wrong = next(cut for cut in cuts if type(cut) is not int)
            raise UsageError(f"cuts are whole numbers, and {wrong!r} is none")
        if cuts and cuts[0] < 0:
            raise UsageError(f"cut {cuts[0]} is before the body")
        if len(cuts) > 1 and list(cuts) != sorted(cuts):
            raise UsageError("cuts must ascend; Fragmentation.at(...) takes them in any order")
        object.__setattr__(self, "cuts", cuts)

    # -- constructors

    @classmethod
    def whole(cls) -> Fragmentation:
        """The body in one chunk."""
        return cls()

    @classmethod
    def at(cls, *offsets: int) -> Fragmentation:
        """Cut at these byte offsets, given in any order; a repeated offset makes an empty chunk."""
        return cls(tuple(sorted(offsets) if all(type(offset) is int for offset in offsets) else offsets))

    @classmethod
    def drip(cls, body: bytes | int, size: int = 1) -> Fragmentation:
        """Cut into chunks of `size` bytes.

        Args:
            body: the body or its length in bytes.
            size: bytes a chunk; the last may be shorter.

        Raises:
            UsageError: `size` is below 1 or the length negative.
        """
        length = body if isinstance(body, int) else len(body)
        if size < 1 or length < 0:
            raise UsageError(f"cannot drip {length} bytes in chunks of {size}: both must be positive")
        return cls(tuple(range(size, length, size)))

    @classmethod
    def per_event(cls, body: bytes) -> Fragmentation:
        """One chunk an event (a comment block is one too): what a mock that never finds a bug delivers."""
        return cls(tuple(end for end in event_ends(body) if end < len(body)))

    @classmethod
    def at_class(cls, body: bytes, *kinds: BoundaryClass | str) -> Fragmentation:
        """Cut at every offset of the given boundary classes.

        Raises:
            UsageError: an unknown class name.
        """
        where = boundaries(body)
        parsed = [BoundaryClass.parse(kind) if isinstance(kind, str) else kind for kind in kinds]
        return cls(tuple(sorted(offset for kind in set(parsed) for offset in where.offsets(kind))))

    @classmethod
    def from_lengths(cls, lengths: Iterable[int]) -> Fragmentation:
        """Cut into chunks of these lengths, in bytes; their sum is the length of the body."""
        cuts = []
        position = 0
        for length in lengths:
            if length < 0:
                raise UsageError(f"a chunk cannot have {length} bytes")
            position += length
            cuts.append(position)
        return cls(tuple(cuts[:-1]))

    @classmethod
    def recorded(cls, transcript: _HasLengths) -> Fragmentation:
        """The chunks of a transcript as they were recorded."""
        return cls.from_lengths(transcript.lengths)

    @classmethod
    def parse(cls, text: str) -> Fragmentation:
        """Return the fragmentation of a text form: `whole`, or offsets such as `99,100,412` or `7-12,40`.

        Raises:
            UsageError: the text is no such form; the message shows where.
        """
        text = text.strip()
        if text in ("", "whole"):
            return cls()
        cuts: list[int] = []
        for part in map(str.strip, text.split(",")):
            match = _PART.fullmatch(part)
            if match is None:
                raise UsageError(f"{part[:40]!r} is no byte offset: write 'whole' or offsets like '99,100,412'")
            first = int(match.group(1))
            last = int(match.group(2) or first)
            if last < first:
                raise UsageError(f"{part!r} is no range of offsets: write the lower one first")
            if last - first > _MOST_CUTS:
                raise UsageError(f"{part!r} is a range of more than {_MOST_CUTS} offsets")
            cuts.extend(range(first, last + 1))
        return cls(tuple(sorted(cuts)))

    # -- use

    def chunks(self, body: bytes) -> list[bytes]:
        """Return the body in pieces, always one more than there are cuts.

        Raises:
            UsageError: a cut lies beyond the body.
        """
        cuts = self.cuts
        if not cuts:
            return [body]
        if cuts[-1] > len(body):
            raise UsageError(f"cut {cuts[-1]} is beyond the body of {len(body)} bytes: another transcript's cuts?")
        pieces = [body[: cuts[0]]]
        pieces.extend([body[a:b] for a, b in pairwise(cuts)])
        pieces.append(body[cuts[-1] :])
        return pieces

    def lengths(self, length: int) -> list[int]:
        """Return the chunk lengths, in bytes, for a body of `length` bytes.

        Raises:
            UsageError: a cut lies beyond the body.
        """
        if self.cuts and self.cuts[-1] > length:
            raise UsageError(f"cut {self.cuts[-1]} is beyond the body of {length} bytes: another transcript's cuts?")
        edges = (0, *self.cuts, length)
        return [b - a for a, b in pairwise(edges)]

    def classify(self, body: bytes) -> list[BoundaryClass | None]:
        """Return the boundary class of each cut in `body`; None at either end of it."""
        where = boundaries(body)
        return [where.at(cut) for cut in self.cuts]

    def __len__(self) -> int:
        """Number of cuts."""
        return len(self.cuts)

    def __bool__(self) -> bool:
        """Always true: the whole body is a delivery too."""
        return True

    def __str__(self) -> str:
        if not self.cuts:
            return "whole"
        parts: list[str] = []
        first = last = self.cuts[0]
        for cut in (*self.cuts[1:], -1):
            if cut == last + 1:
                last = cut
                continue
            if last - first < 2:
                parts.extend(str(value) for value in range(first, last + 1))
            else:
                parts.append(f"{first}-{last}")
            first = last = cut
        return ",".join(parts)

    def __repr__(self) -> str:
        return f"Fragmentation.parse({str(self)!r})"
