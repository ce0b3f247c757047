"""What a stream comes to in a reader, and what must hold of it whatever it is.

Errors of a type that no reader may raise, and errors that hold what they must not, are found here, for every law.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.completion import Completion
from streamkit.dialects.openai_chat_emit import difference
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Outcome", "check_same", "check_unfinished", "drip_of", "feed", "finish", "outcome_of"]

_TYPED = (PayloadError, ProviderError, TruncatedStreamError)


@dataclass(frozen=True)
class Outcome:
    """What a stream came to: a completion, or what can be told of an error."""

    completion: Completion | None
    error: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.completion is not None:
            return f"a completion that ended={self.completion.ended}"
        return f"{self.error[0].__name__}: {self.error[1]}"


def outcome_of(dialect: Any, chunks: Iterable[Any], what: str) -> Outcome:
    """Return what a new reader of a dialect makes of a stream; `what` names the stream."""
    return finish(dialect.reader(), chunks, f"{dialect.name}: {what}")


def drip_of(body: bytes) -> list[bytes]:
    """Return a body byte by byte."""
    return [body[n : n + 1] for n in range(len(body))]


def finish(reader: Any, chunks: Iterable[Any], where: str) -> Outcome:
    """Feed the rest of a stream to a reader and return the outcome."""
    try:
        for chunk in chunks:
            reader.feed(chunk)
        reader.close()
        result = reader.result()
    except _TYPED as error:
        _check_error(reader, error, where)
        return Outcome(None, (type(error), str(error), getattr(error, "code", None), error.partial))
    except Exception as error:
        raise AssertionError(
            f"{where}: {type(error).__name__} ({error}) was raised, where only "
            "PayloadError, ProviderError and TruncatedStreamError may be"
        ) from error
    if not isinstance(result, Completion) or not result.ended:
        raise AssertionError(f"{where}: result() gave {result!r}, where it gives a Completion that ended or raises")
    if reader.result() != result or reader.snapshot() != result:
        raise AssertionError(f"{where}: result() a second time, or snapshot(), is not what result() gave")
    return Outcome(result)


def feed(reader: Any, data: Any, where: str) -> None:
    """Feed a good stream to a reader, which has no reason to raise."""
    try:
        reader.feed(data)
    except Exception as error:
        raise AssertionError(f"{where}: feed() raised {error!r}, and not in one chunk") from error


def _check_error(reader: Any, error: DialectError, where: str) -> None:
    """Check that an error holds what had come, unfinished, and that the reader does not forget it."""
    if not isinstance(error.partial, Completion):
        raise AssertionError(
            f"{where}: {type(error).__name__}.partial is {error.partial!r}, where a Completion belongs"
        )
    check_unfinished(error.partial, f"{where}: {type(error).__name__}.partial")
    check_unfinished(reader.snapshot(), f"{where}: the snapshot after {type(error).__name__}")
    try:
        reader.result()
    except type(error):
        return
    except Exception as other:
        raise AssertionError(f"{where}: after {type(error).__name__}, result() raised {other!r}") from other
    raise AssertionError(f"{where}: {type(error).__name__} was raised, and result() gave a completion after it")


def check_unfinished(completion: Completion, where: str) -> None:
    """Check that a completion says it did not end, and that none of its calls may be executed."""
    if completion.ended:
        raise AssertionError(f"{where} says ended=True")
    for choice in completion.choices:
        for call in (*choice.tool_calls, choice.function_call):
            if call is not None and call.executable:
                raise AssertionError(f"{where} holds an executable call {call.name!r}: {call.arguments!r}")


def check_same(expected: Outcome, actual: Outcome, where: str) -> None:
    """Check that a stream came to the same as in one chunk."""
    if expected != actual:
        found = difference(expected.completion, actual.completion) if expected.completion and actual.completion else ""
        raise AssertionError(f"{where}: {actual}, and in one chunk: {expected}. {found}".rstrip())
