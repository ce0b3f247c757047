"""Deliveries made ahead of the search, and the crew that makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from streamkit.fuzz.ahead import Ahead
from streamkit.fuzz.crew import Crew
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt
from streamkit.transcript import Transcript


class Notes:
    """A runner that writes down what it is told."""

    def __init__(self, lookahead: int) -> None:
        self.target = adapt(sorted)
        self.runs = 0
        self.lookahead = lookahead
        self.hints: list[list[bytes]] = []
        self.forgotten = 0

    def take(self, transcript: Transcript) -> None:
        raise NotImplementedError

    def run(self, chunks: list[bytes], *, limit: float | None = None) -> Outcome:
        raise NotImplementedError

    def hint(self, chunks: list[bytes], *, limit: float | None = None) -> None:
        self.hints.append(chunks)

    def forget(self) -> None:
        self.forgotten += 1

    def remarks(self) -> list[str]:
        return []


def deliveries(number: int) -> Iterable[list[bytes]]:
    return [[b"%d" % number]]


def test_items_come_in_their_order_and_those_to_come_are_hinted_at() -> None:
    notes = Notes(2)
    coming = Ahead(notes).over(range(6), deliveries)
    assert 0 == next(coming)
    assert [[b"0"], [b"1"], [b"2"]] == notes.hints
    assert [1, 2, 3, 4, 5] == list(coming)
    assert [[b"%d" % number] for number in range(6)] == notes.hints
    assert 1 == notes.forgotten


def test_what_was_hinted_at_is_dropped_where_the_search_stops() -> None:
    notes = Notes(3)
    coming = Ahead(notes).over(range(100), deliveries)
    next(coming)
    coming.close()
    assert (4, 1) == (len(notes.hints), notes.forgotten)


@pytest.mark.parametrize("runner", [Notes(0), None])
def test_nothing_is_made_ahead_where_one_delivery_is_made_at_a_time(runner: Notes | None) -> None:
    assert [0, 1, 2] == list(Ahead(runner).over(range(3), deliveries))
    assert runner is None or [] == runner.hints


def test_what_runs_in_this_process_makes_one_delivery_at_a_time() -> None:
    with Runner(adapt(sorted)) as runner:
        assert 0 == runner.lookahead


# -- the crew


def test_a_job_goes_to_the_first_worker_that_is_free() -> None:
    crew: Crew[str, str] = Crew(["first", "second", "third"])
    try:
        assert ["first"] * 20 == [crew.submit(str, urgent=True).result(10) for _ in range(20)]
    finally:
        crew.close()


def test_jobs_run_side_by_side() -> None:
    crew: Crew[str, str] = Crew(["first", "second"])
    meet = threading.Barrier(2)

    def meets(worker: str) -> str:
        meet.wait(10)
        return worker

    try:
        both = [crew.submit(meets, urgent=False) for _ in range(2)]
        assert {"first", "second"} == {future.result(10) for future in both}
    finally:
        crew.close()


def test_an_urgent_job_goes_before_those_that_wait() -> None:
    crew: Crew[int, int] = Crew([1])
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def waits(worker: int) -> int:
        begun.set()
        go.wait(10)
        return worker

    def first(worker: int) -> int:
        done.append("urgent")
        return worker

    def second(worker: int) -> int:
        done.append("the other")
        return worker

    try:
        crew.submit(waits, urgent=False)
        begun.wait(10)
        jobs = [crew.submit(second, urgent=False), crew.submit(first, urgent=True)]
        go.set()
        assert [1, 1] == [job.result(10) for job in jobs]
        assert ["urgent", "the other"] == done
    finally:
        go.set()
        crew.close()


def test_what_a_job_raises_is_raised_where_its_result_is_taken() -> None:
    def fails(_: int) -> int:
        raise ValueError("it cannot")

    crew: Crew[int, int] = Crew([1])
    try:
        with pytest.raises(ValueError, match="it cannot"):
            crew.submit(fails, urgent=True).result(10)
        assert 1 == crew.submit(int, urgent=True).result(10)
    finally:
        crew.close()
