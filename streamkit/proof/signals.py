"""How what is found deep inside a walk ends it. None of these leaves this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamkit.wire.fragmentation import Fragmentation

__all__: list[str] = []


class _Stop(Exception):  # noqa: N818 - a signal
    """The walk cannot go on; the text says why."""


class _NotCopyable(_Stop):
    """A state cannot be copied, or not be compared."""


class _BadCopy(_NotCopyable):
    """What was taken for a copy of a state is none."""


class _Changeable(_Stop):
    """An event was given out that may still change."""


class _OutOfBounds(_Stop):
    """There are more states, or more feeds, than were allowed."""


class _Refuted(Exception):  # noqa: N818 - a result
    """A path ends in another outcome."""

    def __init__(self, fragmentation: Fragmentation) -> None:
        super().__init__(str(fragmentation))
        self.fragmentation = fragmentation
