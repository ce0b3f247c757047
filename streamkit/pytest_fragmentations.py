"""What the marker `streamkit_fragmentations` stands for: where the transcript of a test is cut, by name.

`streamkit.pytest_plugin` holds the hooks and imports this module when the first test has the marker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.errors import StreamkitError, UsageError
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

__all__ = ["ByName", "Unusable", "chosen"]

_MARKER = "@pytest.mark.streamkit_fragmentations"


@dataclass(frozen=True)
class Unusable:
    """Stands for the fragmentations of a marker that cannot be used; the test's set-up fails with the reason."""

    reason: str


@dataclass(frozen=True)
class ByName:
    """Stands for a fragmentation of whichever transcript the test is run with."""

    name: str

    def of(self, transcript: Transcript) -> Fragmentation:
        """Return it."""
        return _named(transcript, (self.name,))[self.name]


def chosen(
    marks: Iterable[pytest.Mark], names: tuple[Any, ...], load: Callable[[], Transcript]
) -> dict[str, Fragmentation | ByName | Unusable]:
    """Return what a test is run with, by name.

    Args:
        marks: the `parametrize` markers of the test: where one gives it transcripts, it runs with those.
        names: of the fragmentations; none for all that there is a use for.
        load: returns the transcript that the marker `streamkit` names, or raises a StreamkitError.
    """
    try:
        given = _given(marks)
        if not given:
            return dict(_named(load(), names))
        each = [_named(one, names) for one in given]
    except StreamkitError as error:
        return {"error": Unusable(str(error))}
    return {name: ByName(name) for name in each[0] if all(name in one for one in each)}


def _given(marks: Iterable[pytest.Mark]) -> list[Transcript]:
    """Return the values of the parameter `transcript`."""
    for mark in marks:
        arguments, values = (*mark.args, None, None)[:2]
        if arguments in ("transcript", ["transcript"], ("transcript",)) and values is not None:
            plain = [getattr(one, "values", (one,)) for one in values]  # of pytest.param(...)
            return [value[0] for value in plain if value and isinstance(value[0], Transcript)]
    return []


def _named(transcript: Transcript, names: tuple[Any, ...]) -> dict[str, Fragmentation]:
    """Return the fragmentations of those names, or of all names that the transcript has a use for."""
    body = transcript.body
    where = boundaries(body)
    found = {
        "recorded": transcript.recorded,
        "whole": Fragmentation.whole(),
        "drip": Fragmentation.drip(body),
        "per-event": Fragmentation.per_event(body),
        "hot": Fragmentation(tuple(where.hot())),
        **{str(kind): Fragmentation(tuple(where.offsets(kind))) for kind in where.classes()},
    }
    if not names:
        if not transcript.chunks_recorded:
            del found["recorded"]  # it is the same as "whole"
        return found
    unknown = [name for name in names if not isinstance(name, str) or name not in found]
    if unknown:
        raise UsageError(
            f"{_MARKER}: {transcript.name} has no fragmentation named {unknown[0]!r}; it has: {', '.join(found)}"
        )
    return {name: found[name] for name in names}
