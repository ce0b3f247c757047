"""Workers that deliver side by side.

The search asks for one delivery after the other, and what it asks for next may depend on every outcome before. So the
workers are given hints: deliveries that the search will ask for unless something is found first. They are made ahead;
whether their outcomes are ever taken is the search's affair, and a report that counts only those that it took is the
same for any number of workers.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Crew"]

W = TypeVar("W")
T = TypeVar("T")


class Crew(Generic[W, T]):
    """Threads, one for each worker. A job is given to the first worker that is free.

    Args:
        workers: what does the jobs; each is used by one thread at a time.
    """

    def __init__(self, workers: Sequence[W]) -> None:
        self._jobs: deque[tuple[Callable[[W], T], Future[T]]] = deque()
        self._idle: set[int] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(number, one), daemon=True, name=f"streamkit-driver-{number}")
            for number, one in enumerate(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[W], T], *, urgent: bool) -> Future[T]:
        """Have a job done.

        Args:
            job: is called with the worker.
            urgent: before those that wait already.
        """
        future: Future[T] = Future()
        with self._changed:
            if urgent:
                self._jobs.appendleft((job, future))
            else:
                self._jobs.append((job, future))
            self._changed.notify_all()
        return future

    def _work(self, number: int, worker: W) -> None:
        while True:
            with self._changed:
                self._idle.add(number)
                # The first of those that are free, always: then a target that keeps state meets it again.
                self._changed.wait_for(lambda: self._closed or (self._jobs and min(self._idle) == number))
                if self._closed:
                    return
                self._idle.discard(number)
                job, future = self._jobs.popleft()
                self._changed.notify_all()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job(worker))
            except BaseException as error:  # noqa: BLE001 - raised where the outcome is taken
                future.set_exception(error)

    def close(self) -> None:
        """Do no further job and wait for those that are under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
