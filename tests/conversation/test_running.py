"""Calls with a time limit, and several at once: sync and async functions, sync and async callers."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from streamkit.conversation import Call, Functions, Status
from streamkit.conversation.running import arun_all, run_all
from streamkit.replay.clock import VirtualClock

SHORT = 0.05  # seconds, of real time: for what must be waited for in a thread
NAME = contextvars.ContextVar("NAME", default="nobody")


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event for which functions wait; it is set at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def test_a_sync_function_that_takes_too_long_is_left_behind(released: threading.Event) -> None:
    done: list[str] = []

    def slow() -> str:
        released.wait()
        done.append("late")
        return "late"

    outcome = Functions([slow]).call_function("slow", "", time_limit=SHORT)
    assert (Status.TIMED_OUT, "Error: slow took longer than 0.05 seconds and was given up.", None) == (
        outcome.status, outcome.text, outcome.value,
    )  # fmt: skip
    assert [] == done
    (thread,) = [one for one in threading.enumerate() if one.name == "streamkit call of slow"]
    assert thread.daemon, "it does not keep the program from its end"
    released.set()
    thread.join()
    assert ["late"] == done
    assert outcome.value is None


def test_an_async_function_that_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "late"

    clock = VirtualClock()
    outcome = clock.run(Functions([slow]).acall_function("slow", "", time_limit=10))
    assert (Status.TIMED_OUT, ["cancelled"], 10.0) == (outcome.status, ended, clock.time())
    assert Status.TIMED_OUT is Functions([slow]).call_function("slow", "", time_limit=SHORT).status
    assert ["cancelled", "cancelled"] == ended


def test_a_time_limit_of_the_functions_own_is_a_failure_and_not_ours() -> None:
    async def own() -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(2)

    def raised() -> None:
        raise TimeoutError("mine")

    functions = Functions([own, raised])
    clock = VirtualClock()
    assert Status.FAILED is clock.run(functions.acall_function("own", "", time_limit=60)).status
    assert Status.FAILED is functions.call_function("raised", "", time_limit=60).status
    assert Status.FAILED is asyncio.run(functions.acall_function("raised", "", time_limit=60)).status


def test_async_functions_can_be_called_from_sync_code_and_from_within_a_running_loop() -> None:
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    functions = Functions([double])
    assert 6 == functions.call_function("double", '{"n":3}').value

    async def within() -> int:
        value: int = functions.call_function("double", '{"n":4}').value
        return value

    assert 8 == asyncio.run(within())


def test_a_call_sees_the_context_variables_of_its_caller() -> None:
    def who() -> str:
        return NAME.get()

    token = NAME.set("somebody")
    try:
        outcomes = [
            Functions([who]).call_function("who", "", time_limit=limit) for limit in (None, 60)
        ] + [asyncio.run(Functions([who]).acall_function("who", ""))]  # fmt: skip
    finally:
        NAME.reset(token)
    assert ["somebody"] * 3 == [outcome.value for outcome in outcomes]


@pytest.mark.parametrize("error", [ValueError, StopIteration, SystemExit, StopAsyncIteration])
def test_whatever_a_function_raises_in_a_thread_is_an_outcome(error: type[BaseException]) -> None:
    def broken() -> None:
        raise error("no")

    async def abroken() -> None:
        raise error("no")

    functions = Functions([broken, abroken])
    found = [functions.call_function("broken", "", time_limit=60)]
    found += [asyncio.run(functions.acall_function(name, "")) for name in ("broken", "abroken")]
    assert [Status.FAILED] * 3 == [outcome.status for outcome in found]


def test_a_sync_function_that_returns_a_coroutine_is_told_to_be_async() -> None:
    async def inner() -> None: ...

    def outer() -> object:
        return inner()

    outcome = Functions([outer]).call_function("outer", "")
    assert (Status.FAILED, True) == (outcome.status, "make it an async function" in outcome.text)


def three(barrier: threading.Barrier) -> Functions:
    """Return a function that returns only while two more of it run."""
    functions = Functions()

    @functions.add
    def meet(n: int) -> int:
        barrier.wait(timeout=30)
        return n

    return functions


CALLS = [Call(f"call_{n}", "meet", f'{{"n":{n}}}') for n in (3, 1, 2)]


def test_several_calls_run_at_once_and_come_back_in_their_order() -> None:
    barrier = threading.Barrier(3)
    outcomes = run_all(three(barrier), CALLS, None, together=True)
    assert [(3, "call_3"), (1, "call_1"), (2, "call_2")] == [(one.value, one.call_id) for one in outcomes]
    outcomes = asyncio.run(arun_all(three(barrier), CALLS, None, together=True))
    assert [(3, "call_3"), (1, "call_1"), (2, "call_2")] == [(one.value, one.call_id) for one in outcomes]


def test_several_calls_can_run_one_after_the_other() -> None:
    running: list[int] = []
    seen: list[int] = []
    functions = Functions()

    @functions.add
    def meet(n: int) -> None:
        running.append(n)
        seen.append(len(running))
        running.remove(n)

    run_all(functions, CALLS, None, together=False)
    asyncio.run(arun_all(functions, CALLS, None, together=False))
    assert [1] * 6 == seen


def test_the_limit_of_calls_that_run_at_once_is_one_for_all(released: threading.Event) -> None:
    functions = Functions()

    @functions.add
    def meet(n: int) -> int:
        if n != 1:
            released.wait()
        return n

    outcomes = run_all(functions, CALLS, SHORT * 4, together=True)
    assert [Status.TIMED_OUT, Status.OK, Status.TIMED_OUT] == [one.status for one in outcomes]


def test_calls_that_are_cancelled_with_their_caller_leave_nothing_behind(released: threading.Event) -> None:
    functions = Functions()
    begun: Future[None] = Future()

    @functions.add
    def meet(n: int) -> int:
        if n == 1:
            begun.set_result(None)
        released.wait()
        return n

    async def cancelled() -> None:
        task = asyncio.create_task(arun_all(functions, CALLS, None, together=True))
        await asyncio.wrap_future(begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    released.set()
    for thread in threading.enumerate():
        if thread.name == "streamkit call of meet":
            thread.join()
