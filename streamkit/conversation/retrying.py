"""Which failures of a request are worth another try, and how long to wait before it."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from streamkit.errors import DialectError, ProviderError, StreamkitError, TruncatedStreamError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

__all__ = ["Backoff", "is_passing", "own_error"]

_STATUSES = {408, 409, 429}
# Parts of the codes and types by which providers report, inside a stream, what passes.
_PASSING = ("overload", "server_error", "internal", "unavailable", "rate_limit", "timeout", "timed_out", "busy")
_NO_MONEY = "insufficient_quota"  # comes with the status of a rate limit, and does not pass
_HTTP = ("httpx", "httpx2")
_MISTAKES = {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}  # of the request, which stays as it is
_BROKEN = {
    "TransportError",
    "DecodingError",
}  # of httpx and httpx2; a body cut off within its compression is the latter


@dataclass(frozen=True)
class Backoff:
    """How often a request is made again, and how long is waited before.

    Attributes:
        retries: how often, at most, for each round of a conversation.
        first: seconds before the first retry; each next one waits `factor` times as long.
        factor: see `first`.
        longest: seconds that are waited at most. A server that asks for more with Retry-After is not asked again.
        jitter: a function that gives the share of the wait that is waited, such as `lambda: random.uniform(0.5, 1)`;
            None for all of it.
    """

    retries: int = 3
    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    jitter: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        if self.retries < 0 or self.first < 0 or self.longest < 0 or self.factor < 1:
            raise UsageError("a back-off has no negative number, and a factor from 1")

    def wait(self, number: int, error: BaseException) -> float | None:
        """Return the seconds to wait after the failed try of that number, from 1; None for no other try."""
        if number > self.retries:
            return None
        asked = _retry_after(error)
        if asked is not None:
            return asked if asked <= self.longest else None
        try:
            seconds = min(self.longest, self.first * self.factor ** (number - 1))
        except OverflowError:
            seconds = self.longest
        return seconds if self.jitter is None else seconds * self.jitter()


def own_error(error: BaseException) -> StreamkitError | None:
    """Return the error of streamkit's own that a client wrapped, such as that no interaction answers a request.

    That is no failure of a connection, though clients say so, and no retry helps. Only causes count: the context of an
    error may be one that the caller is just handling. A client that tries several addresses at once raises a group.
    """
    waiting: list[BaseException] = [error]
    seen = set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        if isinstance(one, StreamkitError) and not isinstance(one, DialectError):
            return one
        seen.add(id(one))
        waiting += [one.__cause__] if one.__cause__ is not None else []
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return None


def is_passing(error: BaseException) -> bool:
    """Say whether a failure may pass: of the connection, of an overloaded or broken server, of a stream cut off."""
    if isinstance(error, ProviderError):
        return any(_passes(code) for code in _codes(error))
    if isinstance(error, TruncatedStreamError | ConnectionError | TimeoutError):
        return True
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        said = _header(error, "x-should-retry")
        if said in ("true", "false"):
            return said == "true"
        return (status in _STATUSES or status >= 500) and getattr(error, "code", None) != _NO_MONEY
    causes = (error, error.__cause__)
    if any(type(one).__name__ in _MISTAKES and _library(one) in _HTTP for one in causes if one is not None):
        return False
    return any(
        (library == "openai" and name == "APIConnectionError") or (library in _HTTP and name in _BROKEN)
        for library, name in ((_library(one), one.__name__) for one in type(error).__mro__)
    )


def _library(one: object) -> str:
    """Return the top package of a class, or of an object's class."""
    return (one if isinstance(one, type) else type(one)).__module__.partition(".")[0]


def _codes(error: ProviderError) -> Iterator[Any]:
    yield error.code
    payload = error.payload if isinstance(error.payload, dict) else {}
    inner = payload.get("error")
    for holder in (payload, inner if isinstance(inner, dict) else {}):
        yield from (holder.get(name) for name in ("code", "status", "type"))


def _passes(code: Any) -> bool:
    if isinstance(code, int) or (isinstance(code, str) and code.isdigit()):
        return int(code) in _STATUSES or 500 <= int(code) < 600
    return isinstance(code, str) and any(part in code.lower() for part in _PASSING)


def _header(error: BaseException, name: str) -> str | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    value = headers.get(name) if headers is not None else None
    return value if isinstance(value, str) else None


def _retry_after(error: BaseException) -> float | None:
    """Return the seconds that the server asks for (RFC 9110, 10.2.3), or None.

    A date is taken relative to the response's own, so that no clock of ours has to be right.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(_header(error, name) or "") * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        until = parsedate_to_datetime(_header(error, "retry-after") or "")
        wait: timedelta = until - parsedate_to_datetime(_header(error, "date") or "")
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())
