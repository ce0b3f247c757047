"""Clocks for replay at recorded speed: the system's, and a virtual one that passes time without waiting.

    clock = streamkit.VirtualClock()
    with streamkit.use_cassette("slow_answer", clock=clock):
        ...                                  # a read timeout of the client is reached at once
    assert clock.time() == 30.0

In asyncio, `clock.run(main())` runs a coroutine on an event loop whose time is the clock's: `asyncio.sleep` and
`asyncio.timeout` then take no real time either, and fire in the order of their times.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Clock", "SystemClock", "VirtualClock"]

T = TypeVar("T")


class Clock(Protocol):
    """What replay needs of a clock. Times are in seconds."""

    def time(self) -> float:
        """Return the time, from any beginning; it never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Let time pass, in a coroutine."""
        ...


class SystemClock:
    """The system's monotonic clock; waiting is real."""

    def time(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait, under whichever event loop runs."""
        if "trio" in sys.modules:  # the loop may be trio's; anyio knows
            import anyio

            await anyio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)


class VirtualClock:
    """A clock that stands still until somebody waits, and then is there at once.

    Args:
        start: the time at which it begins, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)

    def time(self) -> float:
        """Return the virtual time in seconds; give it to code under test that measures time itself."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass without waiting.

        Raises:
            UsageError: the time would go back.
        """
        if seconds < 0:
            raise UsageError(f"a clock cannot go back by {-seconds} seconds")
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass without waiting."""
        self.advance(max(0.0, seconds))

    async def asleep(self, seconds: float) -> None:
        """Let time pass without waiting; on the clock's own event loop, other timers that are due first fire first."""
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:  # trio's
            loop = None
        if isinstance(loop, _VirtualLoop) and loop.clock is self:
            await asyncio.sleep(seconds)
        else:
            self.sleep(seconds)

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop whose time is this clock's.

        When all that is left to do is to wait for a timer, the clock moves there. Real input and output works, but no
        timer waits for it: use it for code that replays.
        """
        return _VirtualLoop(self)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on an event loop whose time is this clock's, as `asyncio.run` does."""
        with asyncio.Runner(loop_factory=self.event_loop) as runner:
            return runner.run(coroutine)


class _Selector(selectors.DefaultSelector):
    """Looks for real events, and lets virtual time pass where there are none."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._clock.advance(timeout)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(clock))
        self.clock = clock

    def time(self) -> float:
        return self.clock.time()
