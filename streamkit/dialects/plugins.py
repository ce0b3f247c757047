"""Dialects of other packages, found through the entry-point group `streamkit.dialects`.

A package offers one so::

    [project.entry-points."streamkit.dialects"]
    my_dialect = "my_package.module:MyDialect"

The value is a dialect, or a class or function that makes one without arguments; its `name` is that of the entry point.
Nothing is imported before a dialect of that name is asked for. A plug-in that cannot be loaded is an error then, with
the name of its distribution, and never before. The dialects that streamkit brings come first: a plug-in under the name
of one is never asked for, and `streamkit.conformance.check_dialect` tells its author.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from streamkit.dialects import Dialect

__all__ = ["GROUP", "load", "names"]

GROUP = "streamkit.dialects"


def names() -> list[str]:
    """Return the names of all dialects that installed packages offer, sorted. Imports none of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> Dialect | None:
    """Return the dialect that an installed package offers under a name, or None where none does.

    Args:
        name: the entry point's name, which is the dialect's.

    Raises:
        UsageError: the plug-in cannot be loaded, is no dialect, has another name, or two distributions offer the name;
            the distributions are named.
    """
    offered = {(_distribution(point), point.value): point for point in entry_points(group=GROUP, name=name)}
    if not offered:
        return None
    if len(offered) > 1:
        who = " and ".join(sorted(f"{distribution} ({value})" for distribution, value in offered))
        raise UsageError(f"two plug-ins offer the dialect {name!r}: {who}; uninstall one of them")
    ((distribution, value), point), *_ = offered.items()
    where = f"the dialect {name!r} of {distribution} ({value})"
    made = _made(point, where)
    wrong = _wrong(made, name)
    if wrong is not None:
        raise UsageError(f"{where} is no dialect: {wrong}")
    dialect: Dialect = made
    return dialect


def _made(point: EntryPoint, where: str) -> Any:
    try:
        loaded = point.load()
        is_dialect = not isinstance(loaded, type) and hasattr(loaded, "reader")
        return loaded() if callable(loaded) and not is_dialect else loaded
    except (Exception, SystemExit) as error:  # another's code: whatever it raises is reported
        raise UsageError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error


def _wrong(made: Any, name: str) -> str | None:
    """Say why an object is no dialect of that name, or return None."""
    missing = [method for method in ("detect", "reader") if not callable(getattr(made, method, None))]
    if missing:
        return f"{type(made).__name__} has no method {' and no method '.join(missing)}"
    own = getattr(made, "name", None)
    return None if own == name else f"its name is {own!r}, and its entry point's is {name!r}"


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
