"""The functions that a text names: `module` or `module:attribute`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamkit.conversation.functions import Function, Functions
from streamkit.errors import UsageError

__all__ = ["load_functions"]


def load_functions(text: str) -> Functions:
    """Return the functions of a module.

    Args:
        text: `module:attribute` for a `Functions`, a list of functions, or one function; `module` for its attribute
            `functions` or, where it has none, all public functions that it defines. The current directory is searched
            first.

    Raises:
        UsageError: it cannot be imported, or there are no functions, or one of them cannot be used.
    """
    name, colon, attribute = text.partition(":")
    if not name or (colon and not attribute) or name.endswith(".py") or "/" in name:
        raise UsageError(
            f"{text!r} names no functions: write module or module:attribute, as in mypackage.tools:weather"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
        found: Any = module
        for part in (attribute or "functions").split(".") if attribute or hasattr(module, "functions") else ():
            found = getattr(found, part)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # a script that is imported may end the program
        raise UsageError(f"cannot load {text!r}: {type(error).__name__}: {error}") from error
    if found is module:
        found = [one for key, one in vars(module).items() if _is_own(module, key, one)]
    functions = _functions(found)
    if not len(functions):
        raise UsageError(f"{text!r} holds no functions")
    return functions


def _is_own(module: Any, name: str, value: Any) -> bool:
    return inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module.__name__


def _functions(found: Any) -> Functions:
    if isinstance(found, Functions):
        return found
    if isinstance(found, Function) or callable(found):
        return Functions([found])
    if isinstance(found, Iterable) and not isinstance(found, str | bytes):
        return Functions(list(found))
    raise UsageError(f"{type(found).__name__} is neither a function nor a list of functions")
