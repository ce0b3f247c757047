"""What mutations make of one stream, each made once.

A mutated stream is delivered in several ways, and a mutation that was tried by itself comes again in pairs and mixes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from streamkit.mutations.registry import Inapplicable, Step, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.mutations.registry import Edit, Mutation
    from streamkit.mutations.stream import Stream

__all__ = ["Applied"]

_KEPT = 16 * 2**20  # bytes of mutated bodies
_AN_EDIT = 4096  # bytes that an edit is taken to need beside its body


class Applied:
    """The edits that steps make of one stream.

    Those that were asked for last are kept, as far as the memory set aside for them goes.

    Args:
        stream: what is mutated.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._found: OrderedDict[tuple[Step, ...], tuple[Edit, ...] | str] = OrderedDict()
        self._size = 0

    def edits(self, steps: tuple[Step, ...]) -> tuple[Edit, ...]:
        """Return what the steps do, one after the other.

        Raises:
            Inapplicable: one of them has nothing to do.
        """
        found = self._found.get(steps)
        if found is None:
            found = self._made(steps)
            self._keep(steps, found)
        else:
            self._found.move_to_end(steps)
        if isinstance(found, str):
            raise Inapplicable(found)
        return found

    def body(self, steps: tuple[Step, ...]) -> bytes:
        """Return the mutated body; raises Inapplicable as `edits` does."""
        return self.edits(steps)[-1].stream.body() if steps else self.stream.body()

    def variants(self, mutation: Mutation, most: int) -> Iterator[tuple[int, ...]]:
        """Yield what `Mutation.variants` does for this stream, and keep the edit that it takes to know."""
        if most < 1 or not mutation.knows(self.stream):
            return
        ways: list[int] = []
        found: tuple[Edit, ...] | str
        try:
            found = (mutation.apply(self.stream, (), ways),)
        except Inapplicable as reason:
            found = str(reason)
        self._keep((Step(mutation),), found)
        yield from spread(ways, most)

    def _made(self, steps: tuple[Step, ...]) -> tuple[Edit, ...] | str:
        """Return the edits, or why a step has nothing to do."""
        try:
            before = self.edits(steps[:-1]) if len(steps) > 1 else ()
            return (*before, steps[-1].apply(before[-1].stream if before else self.stream))
        except Inapplicable as reason:
            return str(reason)

    def _keep(self, steps: tuple[Step, ...], found: tuple[Edit, ...] | str) -> None:
        if (old := self._found.pop(steps, None)) is not None:
            self._size -= _size(old)
        self._found[steps] = found
        self._size += _size(found)
        while self._size > _KEPT and len(self._found) > 1:
            self._size -= _size(self._found.popitem(last=False)[1])


def _size(found: tuple[Edit, ...] | str) -> int:
    return _AN_EDIT + (0 if isinstance(found, str) else len(found[-1].stream.body()))
