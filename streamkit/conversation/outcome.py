"""What became of a call: a value, never an exception, with the text that goes back to the model.

The text names no place in our own program: of an error its class and message, no traceback, no address in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from streamkit.dialects.text import pair_surrogates

__all__ = ["Outcome", "Status", "failed", "invalid", "not_run", "returned", "timed_out", "unknown"]

_ADDRESS = re.compile(r" (?:object )?at 0x[0-9A-Fa-f]+")
_LONGEST = 600  # characters of an error's message: some quote all of what they were given


class Status(StrEnum):
    """How a call ended.

    Attributes:
        OK: the function returned.
        UNKNOWN_FUNCTION: there is no such function; nothing was called.
        INVALID_ARGUMENTS: the arguments are not JSON, or break the schema; nothing was called.
        NOT_RUN: the arguments of another call in the same answer are not JSON; nothing was called.
        FAILED: the function raised, or returned what cannot be written as JSON.
        TIMED_OUT: it took too long. An async function was cancelled; a sync one may still be running, and what it
            returns is dropped.
    """

    OK = "ok"
    UNKNOWN_FUNCTION = "unknown_function"
    INVALID_ARGUMENTS = "invalid_arguments"
    NOT_RUN = "not_run"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a call.

    Attributes:
        status: how it ended.
        name: the function that was asked for.
        text: what goes back to the model.
        value: what the function returned, where it did.
        error: what was raised, where something was.
        call_id: the id of the model's call, or None.
    """

    status: Status
    name: str
    text: str
    value: Any = None
    error: BaseException | None = None
    call_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.status is Status.OK

    def of_call(self, call_id: str | None) -> Outcome:
        """Return the same outcome with the id of the call."""
        return replace(self, call_id=call_id)


def returned(name: str, value: Any) -> Outcome:
    """Return the outcome of a function that returned: a text as it is, anything else as JSON.

    Half of a surrogate pair, as in the name of a file that is not UTF-8, becomes U+FFFD: no request can hold it.
    """
    if isinstance(value, str):
        return Outcome(Status.OK, name, pair_surrogates(value), value)
    from pydantic_core import to_json

    try:
        text = to_json(value, inf_nan_mode="strings").decode()
    except Exception as error:  # noqa: BLE001 - a serializer of the caller's own may raise anything
        told = f"Error: the result of {name} is of type {type(value).__name__}, which cannot be written as JSON."
        return Outcome(Status.FAILED, name, told, value, error)
    return Outcome(Status.OK, name, text, value)


def unknown(name: str, known: list[str], near: list[str]) -> Outcome:
    """Return the outcome of a call of a function that is not there."""
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(known)}." if known else " There are none."
    return Outcome(Status.UNKNOWN_FUNCTION, name, f"Error: there is no function {_short(name)!r}.{hint}")


def invalid(name: str, problem: str | BaseException) -> Outcome:
    """Return the outcome of a call whose arguments cannot be used."""
    error = problem if isinstance(problem, BaseException) else None
    told = f"Error: the arguments of {name} cannot be used: {_said(problem)}"
    return Outcome(Status.INVALID_ARGUMENTS, name, told, error=error)


def not_run(name: str) -> Outcome:
    """Return the outcome of a call that stands beside a broken one."""
    told = f"Error: {name} was not called, because the arguments of another call beside it are not JSON. Call it again."
    return Outcome(Status.NOT_RUN, name, told)


def failed(name: str, error: BaseException) -> Outcome:
    """Return the outcome of a function that raised: class and message."""
    message = _said(error)
    told = f"Error: {name} failed: {type(error).__name__}" + (f": {message}" if message else "")
    return Outcome(Status.FAILED, name, told, error=error)


def timed_out(name: str, seconds: float) -> Outcome:
    """Return the outcome of a function that took too long."""
    return Outcome(Status.TIMED_OUT, name, f"Error: {name} took longer than {seconds:g} seconds and was given up.")


def _said(told: str | BaseException) -> str:
    try:
        text = str(told)
    except Exception:  # noqa: BLE001 - an error may be unable to say what it is
        return ""
    return _short(_ADDRESS.sub("", pair_surrogates(text)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
