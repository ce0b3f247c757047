"""Normal form: what two results are compared as.

- None, bool, int, str and bytes are themselves; bytearray and memoryview become bytes.
- NaN equals NaN.
- list, tuple and other sequences become lists; mappings become dicts, whatever their order; sets become sorted lists.
- pydantic models, dataclasses (fields with `compare=False` left out), named tuples, attrs classes and other objects
  become a `Record`: their class's name and their fields. An Enum member becomes its value.
- An object that defines its own equality and has no fields to look at is compared by it.
- Anything else is its repr, with memory addresses blanked.

The normal form is a copy: a target that hands out the same object every time, and changes it, is seen.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from enum import Enum
from functools import lru_cache
from typing import Any

__all__ = ["NAN", "Opaque", "Record", "differences", "jsonable", "normalise", "opaque_parts", "scrub", "with_texts"]

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")
_MAX_DEPTH = 200


def scrub(text: str) -> str:
    """Blank the memory addresses in a repr or message: they differ from run to run."""
    return _ADDRESS.sub("0x...", text)


class Record(dict[str, Any]):
    """The fields of an object, with the name of its class. Equal only to a record of the same class."""

    __slots__ = ("kind",)

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.kind == other.kind and dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in self.items())})"


class Opaque(str):
    """Stands for a part of a result that nothing can be said of but its type: such parts are always equal."""

    __slots__ = ()


def opaque_parts(value: Any, path: str = "") -> list[str]:
    """Return the paths of the parts of a normal form that cannot be compared, at most five."""
    if isinstance(value, Opaque):
        return [f"{path} is {value}".strip()]
    parts: list[str] = []
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    else:
        items = [(f"{path}[{number}]", item) for number, item in enumerate(value)] if isinstance(value, list) else []
    for inner, item in items:
        parts.extend(opaque_parts(item, inner))
        if len(parts) >= 5:
            break
    return parts[:5]


class _ByEquality:
    """An object that is compared by the equality that it defines, or by its repr where that raises."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _ByEquality):
            return False
        try:
            return bool(self.value == other.value)
        except Exception:  # noqa: BLE001 - whatever a target's own class raises
            return scrub(repr(self.value)) == scrub(repr(other.value))

    __hash__ = None  # type: ignore[assignment]  # equality is its own, and it is never a key

    def __repr__(self) -> str:
        return scrub(repr(self.value))


class _NaN:
    def __repr__(self) -> str:
        return "nan"


NAN = _NaN()
_PLAIN = (str, int, bool, type(None), bytes)
_QUICKLY = frozenset(_PLAIN)
_SHALLOW = 16


class _Unusual(Exception):  # noqa: N818 - a signal within this module
    """A value is no plain data, or deep, or inside itself."""


def normalise(value: Any) -> Any:
    """Return the normal form of a result; see the module's docstring."""
    try:
        return _copied(value, _SHALLOW)
    except (_Unusual, TypeError):  # a class of classes may have made its classes unhashable
        return _normal(value, 0, frozenset())


def _copied(value: Any, depth: int) -> Any:
    """Return the normal form of plain data, which most results are; `_Unusual` where there is anything else in it."""
    kind = type(value)
    if kind in _QUICKLY:
        return value
    if depth:
        if kind is dict:
            return {key: item if type(item) in _QUICKLY else _copied(item, depth - 1) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [item if type(item) in _QUICKLY else _copied(item, depth - 1) for item in value]
        if kind is float:
            return NAN if math.isnan(value) else value
        names = _names(kind)  # type: ignore[arg-type]  # mypy takes a class for no Hashable
        if names is not None and value.__class__ is kind and (names or hasattr(value, "__dict__")):
            fields = {name: getattr(value, name, None) for name in names} if names else _model(value)
            return Record(kind.__name__, _copied(fields, depth - 1))
    raise _Unusual


@lru_cache(maxsize=256)
def _names(kind: type) -> tuple[str, ...] | None:
    """Return what `_fields` looks at in all objects of a plain class: the fields of a dataclass.

    Returns:
        The names; none at all for a model of pydantic 2; None for any other class, and for a dataclass without fields.
    """
    if issubclass(kind, (Enum, str, int, float, bytes, bytearray)):
        return None
    if hasattr(kind, "model_fields"):
        return ()
    if hasattr(kind, "__fields__"):  # pydantic 1
        return None
    if not dataclasses.is_dataclass(kind):
        return None
    names = tuple(field.name for field in dataclasses.fields(kind) if field.compare)
    return names or None


def _model(value: Any) -> dict[str, Any]:
    """Return the fields of a model of pydantic 2, and what else it holds."""
    return {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}


def _normal(value: Any, depth: int, inside: frozenset[int]) -> Any:
    """Return the normal form of anything.

    Args:
        value: what is looked at.
        depth: how deep it stands.
        inside: the identities of what it stands in.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return NAN if math.isnan(value) else value
    if id(value) in inside or depth > _MAX_DEPTH:
        return Opaque(f"<a {kind.__name__} inside itself, or very deep>")
    inside |= {id(value)}
    depth += 1
    if kind is dict:
        return {key: _normal(item, depth, inside) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_normal(item, depth, inside) for item in value]
    return _special(value, depth, inside)


def _special(value: Any, depth: int, inside: frozenset[int]) -> Any:  # noqa: PLR0911 - one return a kind of value
    kind = type(value)
    if isinstance(value, Enum):
        return _normal(value.value, depth, inside)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool | int | float):
        return _normal(float(value) if isinstance(value, float) else int(value), depth, inside)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    fields = _fields(value)
    if fields is not None:
        return Record(kind.__name__, {name: _normal(item, depth, inside) for name, item in fields.items()})
    if isinstance(value, Mapping):
        return {key: _normal(item, depth, inside) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((_normal(item, depth, inside) for item in value), key=repr)
    if isinstance(value, Sequence):
        return [_normal(item, depth, inside) for item in value]
    if isinstance(value, BaseException):
        return Record(kind.__name__, {"args": _normal(list(value.args), depth, inside)})
    state = _state(value)
    if state:
        return Record(kind.__name__, {name: _normal(item, depth, inside) for name, item in state.items()})
    if any("__eq__" in base.__dict__ for base in kind.__mro__[:-1]):
        return _ByEquality(value)
    plain = all("__repr__" not in base.__dict__ for base in kind.__mro__[:-1])
    return Opaque(f"<{kind.__name__}>") if plain or callable(value) else scrub(repr(value))


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the declared fields of a value that declares some, else None."""
    kind = type(value)
    if hasattr(kind, "model_fields") and hasattr(value, "__dict__"):  # pydantic 2
        return _model(value)
    if hasattr(kind, "__fields__") and hasattr(value, "dict"):  # pydantic 1
        return dict(vars(value))
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.compare}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return dict(zip(kind._fields, value, strict=True))
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return {attribute.name: getattr(value, attribute.name, None) for attribute in attributes if attribute.eq}
    return None


def _state(value: Any) -> dict[str, Any]:
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                state[name] = getattr(value, name)
    return state


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a normal form in which each text is what `change` returns for it; keys stay as they are."""
    if type(value) is str:
        return change(value)
    if isinstance(value, Record):
        return Record(value.kind, {name: with_texts(item, change) for name, item in value.items()})
    if isinstance(value, dict):
        return {key: with_texts(item, change) for key, item in value.items()}
    return [with_texts(item, change) for item in value] if isinstance(value, list) else value


def jsonable(value: Any) -> Any:
    """Return a normal form as JSON can hold it. Bytes, NaN and records become objects with a `$` key."""
    if isinstance(value, Record):
        return {"$type": value.kind, **{name: jsonable(item) for name, item in value.items()}}
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return {"$bytes": value.decode("latin-1")}
    if value is NAN:
        return {"$float": "nan"}
    if isinstance(value, float) and math.isinf(value):
        return {"$float": repr(value)}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(repr(value))


def differences(expected: Any, actual: Any, path: str = "") -> Iterable[tuple[str, Any, Any]]:
    """Yield (path, expected, actual) for each place at which two normal forms differ, in the order of `expected`.

    A missing key or item is `Absent`.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if isinstance(expected, Record) != isinstance(actual, Record) or getattr(expected, "kind", None) != getattr(
            actual, "kind", None
        ):
            yield path, expected, actual
            return
        for key in [*expected, *(key for key in actual if key not in expected)]:
            inner = (
                f"{path}.{key}"
                if path and isinstance(key, str)
                else key
                if isinstance(key, str)
                else f"{path}[{key!r}]"
            )
            yield from differences(expected.get(key, ABSENT), actual.get(key, ABSENT), inner)
    elif isinstance(expected, list) and isinstance(actual, list):
        for number in range(max(len(expected), len(actual))):
            yield from differences(
                expected[number] if number < len(expected) else ABSENT,
                actual[number] if number < len(actual) else ABSENT,
                f"{path}[{number}]",
            )
    elif type(expected) is not type(actual) or expected != actual:
        yield path, expected, actual


class _Absent:
    def __repr__(self) -> str:
        return "(nothing)"


ABSENT = _Absent()
