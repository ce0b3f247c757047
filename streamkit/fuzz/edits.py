"""What several mutations of one stream mean together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.errors import StreamkitError
from streamkit.fuzz.reading import expected_of
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.fuzz.oracles import Reference
    from streamkit.mutations.registry import Edit, Step

__all__ = ["keeps_the_promise", "kind_of", "other_sensible", "sensible"]


def kind_of(steps: tuple[Step, ...]) -> Class:
    """Return the gravest class of some mutations."""
    return max((step.mutation.kind for step in steps), default=Class.PRESERVING)


def other_sensible(edits: tuple[Edit, ...]) -> list[Callable[[Any], Any]]:
    """Return what makes the further sensible results, each with one edit taken in its other way."""
    found = []
    for number, edit in enumerate(edits):
        for other in edit.also:
            change = sensible((*edits[:number], replace(edit, expected=other), *edits[number + 1 :]))
            found.append(change or other)
    return found


def sensible(edits: tuple[Edit, ...]) -> Callable[[Any], Any] | None:
    """Return what makes the sensible result out of the original's, through all mutations; None where it is the same."""
    changes = [edit.expected for edit in edits if edit.expected is not None]
    if not changes:
        return None

    def through(completion: Any) -> Any:
        for change in changes:
            completion = change(completion)
        return completion

    return through


def keeps_the_promise(steps: tuple[Step, ...], edits: tuple[Edit, ...], reference: Reference | None) -> bool:
    """Whether our own reader keeps the promise of a mix.

    Of one mutation the tests of the catalogue have shown it; of every mix nobody can.

    Args:
        steps: the mutations.
        edits: what they did.
        reference: what the stream says, where a dialect of ours knows it.
    """
    if len(steps) < 2 or reference is None or reference.dialect is None:
        return True
    reader = dialects.get(reference.dialect).reader()
    try:
        reader.feed(edits[-1].stream.body())
        reader.close()
        completion = reader.result()
    except StreamkitError:
        return reference.completion is None or kind_of(steps) is Class.FAULT
    if reference.completion is None or kind_of(steps) is Class.FAULT:
        return False
    change = sensible(edits)
    try:
        due = reference.completion if change is None else change(reference.completion)
    except Inapplicable:
        return False
    return expected_of(completion) == expected_of(due)
