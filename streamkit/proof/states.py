"""States of a parser: copying them, and telling whether two are the same.

A state is copied by the class's own `copy()` where it has one that works, else by a pickle that is loaded again, else
by `copy.deepcopy`. It is known by its pickle: equal pickles are equal states, for what is loaded from the one is what
is loaded from the other. Unequal pickles may still be the same state (pickle writes two equal texts in another way
when they are one object), so an unknown pickle is looked at through `frozen`: the same object by object, in which
texts are compared by what they say and everything that can change by which object it is.

A set is its elements, in whatever order it gives them: Python promises none, and for texts it is another in each
process. A parser whose result follows that order repeats itself in no run of a program.

What a copy would share with its original makes a proof worthless, so it is refused: a function with a closure, a
generator, a bound method of a built-in object that only deepcopy could take.

What never changes may be shared: classes, functions, modules, compiled patterns, decoders of JSON, locks, loggers, and
bare `object()`s, of which only the identity counts, or a module's own objects without attributes. A pickle holds a
reference to these.
"""

from __future__ import annotations

import copy
import io
import json
import json.scanner
import logging
import pickle
import re
import sys
import threading
import types
from collections import deque
from typing import TYPE_CHECKING, Any

from streamkit.proof.signals import _BadCopy, _NotCopyable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["States", "frozen"]

_PROTOCOL = 5
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented), range)
_SCANNER: Any = json.scanner.make_scanner
_SHARED = (
    type, types.ModuleType, types.BuiltinFunctionType, re.Pattern, json.JSONDecoder, json.JSONEncoder,
    type(_SCANNER(json.JSONDecoder())), type(threading.Lock()), type(threading.RLock()), logging.Logger,
)  # fmt: skip
_SHARED_BY_NAME = {("msgspec.json", "Decoder"), ("msgspec.json", "Encoder"), ("_contextvars", "ContextVar")}


def _is_shared(value: Any) -> bool:
    """Whether a value never changes, or changes nothing in what a parser does, so that copies may share it."""
    kind = type(value)
    if kind is object:
        return True
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or isinstance(value.__self__, types.ModuleType | type)
    if kind is types.FunctionType:
        if value.__closure__:
            raise _NotCopyable(f"its state holds the function {value.__qualname__} with a closure, which copies share")
        return all(isinstance(default, (*_ATOMS, tuple)) for default in value.__defaults__ or ())
    if isinstance(value, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
        raise _NotCopyable(f"its state holds the generator {value.__qualname__}, which cannot be copied")
    return isinstance(value, _SHARED) or (kind.__module__, kind.__qualname__) in _SHARED_BY_NAME or _is_mark(value)


def _is_mark(value: Any) -> bool:
    """Whether a value is an object without attributes that its module holds: its identity is all that it says."""
    if getattr(value, "__dict__", True) or any(getattr(base, "__slots__", ()) for base in type(value).__mro__):
        return False
    module = sys.modules.get(type(value).__module__)
    return any(held is value for held in vars(module).values()) if module is not None else False


#: What pickles of this process refer to. Never emptied: a pickle must find what it refers to.
_TABLE: list[Any] = []
_PLACES: dict[int, int] = {}


def _shared(place: int) -> Any:
    return _TABLE[place]


class _Careful(pickle.Pickler):
    """A pickler that refers to what is shared. Slower than `pickle.dumps`, which does not ask for each object."""

    def reducer_override(self, value: Any) -> Any:
        if value is _shared or not _is_shared(value):
            return NotImplemented
        place = _PLACES.get(id(value))
        if place is None:
            place = _PLACES[id(value)] = len(_TABLE)
            _TABLE.append(value)
        return _shared, (place,)


def _careful(value: Any) -> bytes:
    out = io.BytesIO()
    _Careful(out, _PROTOCOL).dump(value)
    return out.getvalue()


def _plain(value: Any) -> bytes:
    return pickle.dumps(value, _PROTOCOL)


def frozen(value: Any) -> Any:
    """Return what a state is, as something that can be hashed; equal for equal states.

    Raises:
        _NotCopyable: a part of it cannot be looked into.
    """
    try:
        return _Freezer().freeze(value)
    except RecursionError:
        raise _NotCopyable("its state is nested too deep to be compared") from None


class _Freezer:
    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._held: list[Any] = []  # an id is only an object's as long as it lives
        self.bare = False  # whether there is a bare object(), or its like, which plain pickles do not keep
        self.bound = False  # whether there is a built-in object's bound method, which deepcopy does not copy

    def freeze(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return (kind, repr(value)) if kind in (float, complex) else (kind, value)
        if kind is tuple:
            return (tuple, *map(self.freeze, value))
        if _is_shared(value):
            self._held.append(value)
            self.bare = self.bare or kind is object or _is_mark(value)
            return ("shared", id(value))
        place = self._places.get(id(value))
        if place is not None:
            return ("again", place)
        self._places[id(value)] = len(self._places)
        self._held.append(value)
        if kind is list or kind is deque:
            return (kind, getattr(value, "maxlen", None), *map(self.freeze, value))
        if kind is dict:
            return (dict, *((self.freeze(key), self.freeze(item)) for key, item in value.items()))
        if kind is set or kind is frozenset:
            return (kind, frozenset(map(self.freeze, value)))
        if kind is bytearray:
            return (kind, bytes(value))
        return self._reduced(value)

    def _reduced(self, value: Any) -> Any:
        kind = type(value)
        self.bound = self.bound or kind is types.BuiltinFunctionType
        try:
            parts = value.__reduce_ex__(_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
            raise _NotCopyable(
                f"its state holds an object of the type {kind.__module__}.{kind.__qualname__}, "
                f"which cannot be compared ({error})"
            ) from None
        if isinstance(parts, str):
            return ("named", parts)
        self._held.append(parts)
        made, arguments, state, items, entries = (*parts, None, None, None)[:5]
        return (
            kind,
            self.freeze(made),
            self.freeze(arguments),
            self.freeze(state),
            None if items is None else tuple(map(self.freeze, items)),
            None if entries is None else tuple((self.freeze(key), self.freeze(item)) for key, item in entries),
        )


class States:
    """How the states of one target are copied and told apart.

    Attributes:
        how: "copy()", "pickle" or "deepcopy".
        portable: whether `key` is a pickle that another process can load.
    """

    def __init__(self, sample: Any, *, use_own: bool = True) -> None:
        """Find out how.

        Args:
            sample: a state: a new parser, alone or with what it gave out.
            use_own: try the class's own `copy()`.

        Raises:
            _NotCopyable: none of the ways works, or the states could not be compared.
        """
        self.key: Callable[[Any], Any] = frozen
        self.portable = False
        frozen(sample)  # whatever else: a state that cannot be looked into cannot be compared
        own = getattr(sample, "copy", None)
        pickles = self._find_pickle(sample)
        if use_own and callable(own) and self._copies(sample, lambda state: state.copy()):
            self.how = "copy()"
        elif pickles:
            self.how = "pickle"
        elif self._copies(sample, copy.deepcopy):
            self.how = "deepcopy"
        else:
            raise _NotCopyable("its state can be copied by no copy() of its own, by no pickle, and by no deepcopy")

    def _find_pickle(self, sample: Any) -> bool:
        freezer = _Freezer()
        freezer.freeze(sample)
        for write in (_plain, _careful):
            if write is _plain and freezer.bare:
                continue
            try:
                written = write(sample)
                same = frozen(pickle.loads(written)) == frozen(sample)  # noqa: S301 - our own pickle, just made
            except _NotCopyable:
                raise
            except Exception:  # noqa: BLE001, S112 - whatever a class's own methods raise: it does not work
                continue
            if same:
                self.key, self.portable = write, write is _plain
                return True
        return False

    @staticmethod
    def _copies(sample: Any, make: Callable[[Any], Any]) -> bool:
        try:
            made = make(sample)
            return type(made) is type(sample) and made is not sample and frozen(made) == frozen(sample)
        except Exception:  # noqa: BLE001 - whatever a class's own methods raise: it does not work
            return False

    def compare(self, state: Any, copied: Any) -> None:
        """Make sure that a copy is the same state.

        Raises:
            _BadCopy: it is another.
        """
        if self.key(state) != self.key(copied) and frozen(state) != frozen(copied):
            raise _BadCopy(f"what its {self.how} gives is another state")

    def copies(self, state: Any) -> Callable[[], Any]:
        """Return what makes a copy of a state, again and again. The state itself must not be fed meanwhile."""
        if self.how == "pickle":
            written, load = self.key(state), pickle.loads
            return lambda: load(written)
        if self.how == "copy()":
            made: Callable[[], Any] = state.copy
            return made
        return lambda: copy.deepcopy(state)

    def careful(self, state: Any) -> Any:
        """Return `frozen(state)`, and mind what the way that was chosen does not keep.

        Raises:
            _NotCopyable: it cannot be looked into, or holds what deepcopy would not copy.
        """
        freezer = _Freezer()
        try:
            found = freezer.freeze(state)
        except RecursionError:
            raise _NotCopyable("its state is nested too deep to be compared") from None
        if freezer.bare and self.key is _plain:
            self.key, self.portable = _careful, False
        if freezer.bound and self.how == "deepcopy":
            raise _NotCopyable("its state holds a bound method of a built-in object, which deepcopy does not copy")
        return found
