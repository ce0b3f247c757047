"""Runs the drivers of a command: deliveries through a server, several side by side."""

from __future__ import annotations

import itertools
from concurrent.futures import wait
from contextlib import ExitStack
from typing import TYPE_CHECKING

from streamkit.errors import UsageError
from streamkit.fuzz.crew import Crew
from streamkit.fuzz.drivers import Command, Driver, Experience, default_workers
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.protocol import case_line
from streamkit.fuzz.served import Served, Spoken
from streamkit.fuzz.undisturbed import undisturbed

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType

    from streamkit.fuzz.targets import Target
    from streamkit.transcript import Transcript

__all__ = ["CommandRunner"]

_Made = tuple[Outcome, str]
_APART = 400  # writes, for each second of the time limit, that wait until the one before has been read
_ENOUGH = 10.0
_TICK = 0.2  # seconds
_AHEAD = 2  # deliveries that wait for each worker


class CommandRunner:
    """Asks the drivers of a command, delivery after delivery. A context manager: they live inside it.

    Args:
        target: the command.
        how: of the target.
        limit: seconds that one delivery may take.
        workers: how many drivers there are, where the command does not say; None for the default.
        framing: as for Served.

    Attributes:
        target: the code under test.
        runs: deliveries asked for so far.
        lookahead: how many deliveries to come it wants to know; 0 for none.
    """

    def __init__(
        self,
        target: Target,
        how: Command,
        *,
        limit: float = 10.0,
        workers: int | None = None,
        framing: str = "chunked",
    ) -> None:
        self.target = target
        self.limit = limit
        self.runs = 0
        self._spoken = Spoken.of(None)
        self._numbers = itertools.count(1)
        self._served = Served(framing, max(1, int(_APART * min(limit, _ENOUGH))))
        experience = Experience()
        count = how.workers or workers or default_workers()
        self.lookahead = _AHEAD * count if count > 1 else 0
        self._drivers = [Driver(how, experience, self._served.hidden) for _ in range(count)]
        self._crew: Crew[Driver, _Made] | None = None
        self._made: dict[tuple[float, tuple[bytes, ...]], list[Future[_Made]]] = {}
        self._said = ""
        self._stack = ExitStack()

    def __enter__(self) -> CommandRunner:
        self._stack.enter_context(self._served)
        self._crew = Crew(self._drivers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with undisturbed():
            self.forget()
            for driver in self._drivers:
                driver.stop()
            if self._crew is not None:
                self._crew.close()
            with ExitStack() as closing:
                closing.push(self._stack)
                for driver in self._drivers:
                    closing.callback(driver.close)

    def take(self, transcript: Transcript) -> None:
        """Note what the next deliveries are of."""
        self.forget()
        self._spoken = self._served.spoken(transcript)

    # -- deliveries

    def run(self, chunks: list[bytes], *, limit: float | None = None) -> Outcome:
        """Deliver the chunks and return what the driver did; arguments and errors as for `Runner.run`."""
        self.runs += 1
        limit = self.limit if limit is None else limit
        key = (limit, tuple(chunks))
        waiting = self._made.get(key)
        future = waiting.pop(0) if waiting else self._submit(chunks, limit, urgent=True)
        if waiting is not None and not waiting:
            del self._made[key]
        # With a time, for the kernel may give a signal to another thread, and this one would sleep on.
        while not future.done():
            wait([future], _TICK)
        outcome, said = future.result()
        self._said = self._said or said
        return outcome

    def hint(self, chunks: list[bytes], *, limit: float | None = None) -> None:
        """Make a delivery that will probably be asked for."""
        limit = self.limit if limit is None else limit
        future = self._submit(chunks, limit, urgent=False)
        self._made.setdefault((limit, tuple(chunks)), []).append(future)

    def forget(self) -> None:
        """Drop what was hinted at and never asked for."""
        for waiting in self._made.values():
            for future in waiting:
                future.cancel()
        self._made.clear()

    def _submit(self, chunks: list[bytes], limit: float, *, urgent: bool) -> Future[_Made]:
        spoken, number = self._spoken, next(self._numbers)
        if self._crew is None:
            raise UsageError("the runner is used outside its context")

        def deliver(driver: Driver) -> _Made:
            with self._served.offer(spoken, chunks) as place:
                line = case_line(number, place.url, place.base_url, spoken.dialect, spoken.request)
                outcome = driver.deliver(line, number, limit)
            return outcome, driver.said

        return self._crew.submit(deliver, urgent=urgent)

    def remarks(self) -> list[str]:
        """Return facts about the target for the report."""
        found = []
        if self._said:
            found.append(f"the driver writes to standard error, beginning {self._said[:60]!r}")
        if self.runs and not self._served.asked:
            found.append("the driver sent no request: it has to read the stream from the url, or base_url, of its case")
        return found
