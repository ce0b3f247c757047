"""Headers and values given on the command line, with secrets that come from the environment."""

from __future__ import annotations

import os
from string import Template
from typing import TYPE_CHECKING

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["expanded", "headers_of", "pair", "variable"]


def headers_of(texts: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the headers, and the names of those whose values come from the environment: they are secret.

    Raises:
        UsageError: a text is no header, one is given twice, or a variable is not set.
    """
    given: dict[str, str] = {}
    secret = []
    for text in texts:
        name, value = pair(text, ":", "--header")
        if name.lower() in map(str.lower, given):
            raise UsageError(f"--header gives {name} twice")
        given[name] = expanded(value, f"--header {name}")
        if Template(value).get_identifiers():
            secret.append(name)
    return given, tuple(secret)


def pair(text: str, mark: str, option: str) -> tuple[str, str]:
    """Return what stands before and after a mark.

    Raises:
        UsageError: the mark is not there; what was given may be a key, so it is not repeated.
    """
    name, found, value = text.partition(mark)
    if not found or not name.strip():
        form = "'NAME: VALUE'" if mark == ":" else "'NAME=VALUE'"
        raise UsageError(f"{option} takes {form}")
    return name.strip(), value.strip()


def expanded(value: str, option: str) -> str:
    """Return a value with `$VARIABLE` and `${VARIABLE}` replaced, and `$$` by a dollar.

    Raises:
        UsageError: a variable is not set, or a dollar begins no name.
    """
    template = Template(value)
    if not template.is_valid():
        raise UsageError(f"{option}: a $ begins the name of an environment variable; write $$ for a dollar")
    return template.substitute({name: variable(name, option) for name in template.get_identifiers()})


def variable(name: str, option: str) -> str:
    """Return the value of an environment variable.

    Raises:
        UsageError: it is not set, or empty.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(f"{option}: the environment variable {name} is not set, or empty")
    return value
