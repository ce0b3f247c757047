"""Functions that a model may call, and `call_function`, which checks before it calls.

A typed Python function is its own definition: pydantic makes the JSON Schema of its parameters, and validates what the
model sends, strictly. A function that is defined by hand brings its schema, and `jsonschema` validates against it.

    functions = Functions()

    @functions.add
    def count_string(string_to_count: str) -> str:
        \"\"\"Counts the number of characters in a string.\"\"\"
        return str(len(string_to_count))
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamkit.completion import argument_problem
from streamkit.conversation import outcome
from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from streamkit.conversation.outcome import Outcome
    from streamkit.conversation.schemas import Checker

__all__ = ["Function", "Functions"]

F = TypeVar("F", bound="Callable[..., Any]")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what the API takes


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes:
        name: by which the model calls it.
        description: what it does, for the model; "" for none.
        parameters: JSON Schema of its arguments, an object.
        call: the function, sync or async; it is called with keyword arguments.
        checker: validates the arguments and returns what the function is called with.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    call: Callable[..., Any]
    checker: Checker

    @property
    def is_async(self) -> bool:
        """Whether what it returns has to be awaited."""
        return inspect.iscoroutinefunction(self.call) or inspect.iscoroutinefunction(
            getattr(self.call, "__call__", None)  # noqa: B004 - the method itself is asked for
        )

    def definition(self) -> dict[str, Any]:
        """Return name, description and parameters, as APIs take them."""
        told = {"description": self.description} if self.description else {}
        return {"name": self.name, **told, "parameters": dict(self.parameters)}


class Functions:
    """The functions that a model may call.

    Args:
        functions: typed Python functions, and `Function` objects.
    """

    def __init__(self, functions: Iterable[Callable[..., Any] | Function] = ()) -> None:
        self._known: dict[str, Function] = {}
        for one in functions:
            if isinstance(one, Function):
                self._put(one)
            else:
                self.add(one)

    @classmethod
    def of(cls, functions: Functions | Iterable[Callable[..., Any] | Function] | None) -> Functions:
        """Return the functions that a caller gave, in whichever form."""
        return functions if isinstance(functions, Functions) else cls(functions or ())

    @overload
    def add(
        self, call: F, /, *, name: str | None = None, description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> F: ...  # fmt: skip
    @overload
    def add(
        self, /, *, name: str | None = None, description: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> Callable[[F], F]: ...
    def add(
        self,
        call: Any = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """Add a function; also a decorator, with and without arguments.

        Args:
            call: the function, sync or async. Of a `functools.partial`, what is bound is not the model's to give.
            name: by which the model calls it; its own where None.
            description: for the model; the first paragraph of its docstring where None.
            parameters: JSON Schema of its arguments, which `jsonschema` then validates; where None it is made of the
                annotations, and pydantic validates.

        Returns:
            The function, unchanged.

        Raises:
            UsageError: the name cannot be used or is taken; a parameter has no type, or one without a schema; the
                schema is none; or `jsonschema` is missing.
        """
        if call is None:
            return lambda function: self.add(function, name=name, description=description, parameters=parameters)
        from streamkit.conversation.schemas import by_hand, typed

        given: object = call  # callers need not be typed
        if not callable(given):
            raise UsageError(f"{given!r} is no function: give a function, or add(function, parameters={{...}})")
        plain = call
        while isinstance(plain, functools.partial):
            plain = plain.func  # which has the name and the docstring
        own = getattr(plain, "__name__", type(plain).__name__)
        title = own if name is None else name
        schema, checker = typed(call, title) if parameters is None else by_hand(call, title, parameters)
        told = _first_paragraph(plain) if description is None else description
        self._put(Function(title, told, schema, call, checker))
        return call

    def _put(self, function: Function) -> None:
        if not _NAME.fullmatch(function.name):
            raise UsageError(f"{function.name!r} is no function name: up to 64 letters, digits, _ and -; give name=")
        if function.name in self._known:
            raise UsageError(f"there are two functions named {function.name!r}: give one of them another name=")
        self._known[function.name] = function

    def __iter__(self) -> Iterator[Function]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> Function:
        return self._known[name]

    def prepare(self, name: str, arguments: str) -> tuple[Function, dict[str, Any]] | Outcome:
        """Return the function of that name and what to call it with, or the outcome that there is without a call.

        Args:
            name: what the model calls.
            arguments: the JSON text that the model sends; an empty one is no arguments.
        """
        function = self._known.get(name)
        if function is None:
            known = sorted(self._known)
            return outcome.unknown(name, known, difflib.get_close_matches(name, known, 1))
        problem = argument_problem(arguments)
        if problem is not None:
            return outcome.invalid(name, problem.removeprefix("its arguments are "))
        try:
            return function, function.checker(arguments if arguments.strip() else "{}")
        except Exception as error:  # noqa: BLE001 - a validator of the caller's own may raise anything
            return outcome.invalid(name, error)

    def call_function(self, name: str, arguments: str, *, time_limit: float | None = None) -> Outcome:
        """Call a function and return the outcome.

        Args:
            name: what the model calls.
            arguments: the JSON text that the model sends; an empty one is no arguments.
            time_limit: seconds; None for no limit. An async function is cancelled then; a sync one is left behind in
                its thread, and its result is dropped.

        Returns:
            What became of it. No Exception is raised, whatever the function does; what is none, such as a
            KeyboardInterrupt, is.
        """
        from streamkit.conversation.running import run

        return run(self, name, arguments, time_limit)

    async def acall_function(self, name: str, arguments: str, *, time_limit: float | None = None) -> Outcome:
        """Call a function, a sync one in a thread of its own, and return the outcome; see `call_function`."""
        from streamkit.conversation.running import arun

        return await arun(self, name, arguments, time_limit)


def _first_paragraph(call: Any) -> str:
    doc = inspect.getdoc(call) or ""
    return " ".join(doc.partition("\n\n")[0].split())
