"""Which mutations of the catalogue a campaign applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.mutations.registry import Class, Layer, get, mutations

if TYPE_CHECKING:
    from streamkit.fuzz.report import Options
    from streamkit.mutations.registry import Mutation

__all__ = ["FRAMING", "chosen"]

#: The layers that a target may see nothing of, though it gives events.
FRAMING = (Layer.BYTES, Layer.FRAMING)


def chosen(options: Options) -> list[Mutation]:
    """Return the mutations that a campaign applies.

    Raises:
        UsageError: `only` or `skip` names none.
    """
    for name in (*options.only, *options.skip):
        get(name)
    classes = [
        Class.PRESERVING,
        *([Class.DIALECT] if options.dialects else []),
        *([Class.FAULT] if options.faults else []),
    ]
    if options.only:
        classes = list(Class)
    layers = None if options.returns == "message" else [str(layer) for layer in FRAMING]
    return [
        one
        for one in mutations(classes=classes, layers=layers)
        if (not options.only or one.name in options.only) and one.name not in options.skip
        if options.returns == "message" or not (one.shows or one.kind is Class.FAULT)
    ]
