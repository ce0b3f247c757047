"""Calls made as deliveries are: with a time limit, with what is printed kept out of the way, and an outcome."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.runner import Runner, _Sink
from streamkit.fuzz.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from streamkit.fuzz.outcome import Outcome

__all__ = ["Calls", "Hush"]


class Hush:
    """Keeps out of the way what a target prints when it is made, copied, compared or dropped. A context manager."""

    def __init__(self) -> None:
        self._streams = (sys.stdout, sys.stderr)

    def __enter__(self) -> Hush:
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout = sys.stderr = _Sink()
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()

    def lift(self) -> None:
        """Let all be printed again."""
        sys.stdout, sys.stderr = self._streams


class Calls:
    """Calls what it is given. A context manager.

    Args:
        limit: seconds that a call may take.
        stuck: see `Runner`.
    """

    def __init__(self, limit: float, stuck: Callable[[], None] | None = None) -> None:
        call: Callable[[Any], Any] = lambda given: given()  # noqa: E731 - a name would say no more
        self._runner = Runner(Target("proof", False, "feed class", call), limit=limit, stuck=stuck)

    def __enter__(self) -> Calls:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    def __call__(self, call: Callable[[], object]) -> Outcome:
        """Make a call and return what came of it: its result in normal form, or what it raised."""
        return self._runner.run(call)  # type: ignore[arg-type]  # its target takes a call where others take chunks
