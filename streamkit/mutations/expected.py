"""What the edits of several dialects say alike: what they need of a stream, and what becomes of its completion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from streamkit.mutations.registry import Inapplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.completion import Choice, Completion

__all__ = ["first_choice", "need"]

Found = TypeVar("Found", bound="Sequence[Any]")


def need(found: Found, what: str) -> Found:
    """Return what was found; raise Inapplicable where that is nothing."""
    if not found:
        raise Inapplicable(f"it has no {what}")
    return found


def first_choice(change: Callable[[Choice], Choice]) -> Callable[[Completion], Completion]:
    """Make a change of a completion out of a change of its first choice."""
    return lambda completion: replace(
        completion, choices=(*map(change, completion.choices[:1]), *completion.choices[1:])
    )
