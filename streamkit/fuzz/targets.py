"""Targets: the code under test behind one call, `call(chunks) -> result`.

What fits:

- a function of an iterable of bytes; what it returns is the result, and an iterator it returns is drained to a list;
- an async function of an async iterable of bytes, or an async generator function;
- a class with `feed(bytes)`, optionally `close()` and `result()`, or a function without arguments that makes such an
  object. A new object is made for each delivery. The result is what `result()` returns; without it, the events that
  `feed` and `close` returned, in one list. A `feed` that returns text or bytes gives pieces of one text: they are
  joined. None and an empty list are no events.
- a function, async or not, whose first parameter is named `base_url`: it drives a real client against that URL;
- the text `module:attribute` for any of these;
- what `streamkit.fuzz.command` returns: a program in any language.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamkit.fuzz.drivers import Command

__all__ = ["Given", "Target", "adapt", "end"]

_HOW = (
    "A target is a function of an iterable of bytes, an async function of an async iterable of bytes, or a class "
    "with feed(bytes) and optionally close() and result(). A function whose first parameter is named base_url drives a "
    "client against that URL instead."
)


@dataclass(frozen=True)
class Target:
    """Code under test.

    Attributes:
        name: `module:attribute` where it can be imported so, else a name for people.
        importable: whether `name` can be given to the command line.
        kind: "function", "async function", "feed class", "client", "async client" or "command".
        call: takes the chunks of a delivery, or the base URL of a client, and returns the result, or a coroutine that
            does.
        command: how a driver is started, of a command.
        make: makes a new parser, of a feed class.
    """

    name: str
    importable: bool
    kind: str
    call: Callable[[Any], Any]
    command: Command | None = None
    make: Callable[[], Any] | None = None

    @property
    def is_client(self) -> bool:
        """Whether it is called with a base URL."""
        return self.kind.endswith("client")

    @property
    def is_served(self) -> bool:
        """Whether the bytes come to it through a server."""
        return self.is_client or self.command is not None


def adapt(target: Any) -> Target:
    """Return the Target for an object or a `module:attribute` text.

    Raises:
        TargetError: it cannot be imported, is not callable, or fits no adapter; the message says which and why.
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, str):
        found, name, importable = _load(target), target, True
    else:
        found, (name, importable) = target, _name_of(target)
    kind, call = _adapter(found, name)
    return Target(name, importable, kind, call, make=found if kind == "feed class" else None)


def _load(text: str) -> Any:
    module_name, colon, attribute = text.partition(":")
    if not colon or not module_name or not attribute:
        raise TargetError(f"{text!r} is no target: write module:attribute, for example mypackage.parser:parse")
    if module_name.endswith(".py"):
        name = module_name[:-3].replace("/", ".").removeprefix("src.")
        raise TargetError(f"{text!r}: write the module's name, not its file: {name}:{attribute}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise TargetError(
                f"cannot import {text!r}: there is no module {error.name!r} in {here} or among what is "
                "installed: install the project, or set PYTHONPATH"
            ) from error
        raise TargetError(f"cannot import {text!r}: {module_name} needs the module {error.name!r}") from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise TargetError(
            f"cannot import {text!r}: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(part, [name for name in dir(found) if not name.startswith("__")], 3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise TargetError(f"{text!r}: {module_name} has no attribute {part!r}{hint}") from None
    return found


def _name_of(target: Any) -> tuple[str, bool]:
    module = getattr(target, "__module__", None)
    qualname = getattr(target, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return f"{type(target).__name__} object", False
    name = f"{module}:{qualname}"
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return name, found is target and module != "__main__"


def _adapter(target: Any, name: str) -> tuple[str, Callable[[Any], Any]]:
    if inspect.isclass(target):
        if not callable(getattr(target, "feed", None)):
            raise TargetError(f"{name}: the class has no feed(bytes) method. {_HOW}")
        _check_call(
            target, name, (), "the class needs arguments: give a function without arguments that makes the object"
        )
        return _feed_class(target, name)
    if not callable(target):
        hint = " Give its class, not an object: a new one is made for each delivery." if hasattr(target, "feed") else ""
        raise TargetError(f"{name} is of the type {type(target).__name__}, which cannot be called.{hint} {_HOW}")
    if callable(getattr(target, "feed", None)) and not inspect.isroutine(target):
        raise TargetError(f"{name} is an object with feed(): give its class, or a function that makes one")
    if _is_factory(target):
        return _feed_class(target, name)
    _check_call(target, name, ((),), "it must take one argument, the chunks")
    inner = target if inspect.isroutine(target) else getattr(target, "func", getattr(target, "__call__", target))  # noqa: B004 - its signature is looked at, not whether it is there
    is_async = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)
    if _takes_base_url(target):
        return "async client" if is_async else "client", lambda base_url: _drain(target(base_url))
    if is_async:
        return "async function", lambda chunks: _call_async(target, chunks)
    return "function", lambda chunks: _drain(target(iter(chunks)))


def _check_call(target: Any, name: str, arguments: tuple[Any, ...], complaint: str) -> None:
    try:
        inspect.signature(target).bind(*arguments)
    except TypeError as error:
        raise TargetError(f"{name} fits no adapter: {complaint} ({error}). {_HOW}") from None
    except ValueError:
        return  # a builtin without a signature: calling it will tell


def _takes_base_url(target: Any) -> bool:
    try:
        return next(iter(inspect.signature(target).parameters), "") == "base_url"
    except (TypeError, ValueError):
        return False


def _is_factory(target: Any) -> bool:
    try:
        return not inspect.signature(target).parameters
    except (TypeError, ValueError):
        return False


def _drain(result: Any) -> Any:
    """Return the result itself; of an iterator the list of what it yields; of an awaitable a coroutine for the same."""
    if isinstance(result, Iterator):
        return list(result)
    if isinstance(result, AsyncIterator) or inspect.isawaitable(result):
        return _finish(result)
    return result


async def _finish(result: AsyncIterator[Any] | Awaitable[Any]) -> Any:
    if isinstance(result, AsyncIterator):
        return [item async for item in result]
    value = await result
    if isinstance(value, AsyncIterator):
        return [item async for item in value]
    return list(value) if isinstance(value, Iterator) else value


async def _aiter(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _call_async(target: Callable[[AsyncIterator[bytes]], Any], chunks: list[bytes]) -> Any:
    return _finish(target(_aiter(chunks)))


def _feed_class(make: Callable[[], Any], name: str) -> tuple[str, Callable[[list[bytes]], Any]]:
    def call(chunks: list[bytes]) -> Any:
        parser = make()
        if not callable(getattr(parser, "feed", None)):
            raise TargetError(
                f"{name} takes no argument and returned an object without feed(), "
                f"of the type {type(parser).__name__}. {_HOW}"
            )
        given = Given()
        for chunk in chunks:
            given.add(parser.feed(chunk))
        return end(parser, given)

    return "feed class", call


def end(parser: Any, given: Given) -> Any:
    """End the delivery to a parser and return its result.

    Args:
        parser: an object with `feed`.
        given: what `feed` returned so far; what `close` returns is added.
    """
    if callable(getattr(parser, "close", None)):
        given.add(parser.close())
    return _drain(parser.result()) if callable(getattr(parser, "result", None)) else given.value()


class Given:
    """What `feed` and `close` returned, as one result.

    Attributes:
        events: the events.
        text: the pieces of text, or of bytes.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.text: list[str | bytes] = []

    def add(self, returned: Any) -> None:
        """Take what one call returned."""
        if returned is None:
            return
        if inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            raise TargetError("feed() is async: give an async function of an async iterable instead")
        if isinstance(returned, str | bytes):
            self.text.append(returned)
        elif isinstance(returned, list | tuple | Iterator) and not hasattr(returned, "_fields"):
            self.events.extend(returned)
        else:
            self.events.append(returned)

    def value(self) -> Any:
        """Return the result."""
        if not self.text:
            return self.events
        kind = type(self.text[0])
        joined = kind().join(self.text)  # type: ignore[arg-type]  # pieces of one kind, or a TypeError that is reported
        return joined if not self.events else [joined, *self.events]
