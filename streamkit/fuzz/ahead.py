"""Looking ahead: deliveries that the search will ask for, unless it finds something first, are made before it asks."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from streamkit.fuzz.runner import Runs

__all__ = ["Ahead"]

_T = TypeVar("_T")


class Ahead:
    """Tells a runner what it will be asked for. With a runner that makes one delivery at a time it does nothing.

    Args:
        runner: makes the deliveries; None where nothing can be made before it is asked for.
        limit: of them, in seconds; None for the runner's own. A delivery asked for with another limit is made anew.
    """

    def __init__(self, runner: Runs | None, limit: float | None = None) -> None:
        self._runner = runner
        self._limit = limit

    @property
    def many(self) -> int:
        """How many things to look ahead; 0 for none."""
        return self._runner.lookahead if self._runner is not None else 0

    def hint(self, deliveries: Iterable[list[bytes]]) -> None:
        """Have deliveries made that will probably be asked for, in this order."""
        if self._runner is not None and self.many:
            for chunks in deliveries:
                self._runner.hint(chunks, limit=self._limit)

    def forget(self) -> None:
        """Drop what was hinted at and will not be asked for."""
        if self._runner is not None:
            self._runner.forget()

    def over(self, items: Iterable[_T], deliveries: Callable[[_T], Iterable[list[bytes]]]) -> Generator[_T, None, None]:
        """Yield items while the deliveries of the next ones are under way.

        Args:
            items: what the search looks at, one after the other.
            deliveries: says which deliveries it asks for when it looks at an item.
        """
        waiting: deque[_T] = deque()
        try:
            if not self.many:
                yield from items
                return
            for item in items:
                self.hint(deliveries(item))
                waiting.append(item)
                if len(waiting) > self.many:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            self.forget()
