"""Copies of what readers and accumulators hold: quick ones, for whoever takes many of them.

`copy.deepcopy` takes a hundred times as long, for it asks of each value how it is to be copied. Here that is known:
texts, numbers and what is frozen are shared; containers, and the objects that accumulators are made of, are copied.
What an accumulator holds in two places is one thing in its copy too, so that both pickle alike.
"""

from __future__ import annotations

import copy
from types import NoneType
from typing import Any

from streamkit.dialects.text import Text

__all__ = ["duplicate", "duplicate_fields"]

_SHARED = frozenset({str, int, float, bool, bytes, NoneType})


def duplicate_fields(fields: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    """Return a copy of a dict.

    Args:
        fields: the dict.
        memo: the copies made so far, by the id of what they are copies of.
    """
    return {key: value if type(value) in _SHARED else duplicate(value, memo) for key, value in fields.items()}


def duplicate(value: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of a value; see `duplicate_fields`."""
    kind = type(value)
    if kind is Text:
        return value.copy()
    made = memo.get(id(value))
    if made is not None:
        return made
    if kind is dict:
        made = duplicate_fields(value, memo)
    elif kind is list:
        made = [one if type(one) in _SHARED else duplicate(one, memo) for one in value]
    elif kind is tuple:
        made = tuple([one if type(one) in _SHARED else duplicate(one, memo) for one in value])
    elif hasattr(value, "copy"):  # a decoder
        made = value.copy()
    elif _is_frozen(kind):
        return value
    elif hasattr(value, "__dict__"):
        made = object.__new__(kind)
        memo[id(value)] = made  # before its fields, among which it may be again
        made.__dict__.update(duplicate_fields(value.__dict__, memo))
    else:
        made = copy.deepcopy(value)
    memo[id(value)] = made
    return made


def _is_frozen(kind: type) -> bool:
    """Say whether values of a type are not changed: those that say so, and errors, once one broke a stream."""
    frozen = getattr(kind, "__dataclass_params__", None)
    return issubclass(kind, BaseException) or (frozen is not None and frozen.frozen)
