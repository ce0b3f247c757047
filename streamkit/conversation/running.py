"""Calling functions with a time limit, sync and async, one or several at once.

A sync function with a limit, or beside others, runs in a daemon thread of its own: one that hangs is left behind and
keeps neither the conversation nor the end of the program waiting. What it returns or raises is made an outcome inside
of that thread. What is no outcome, such as a KeyboardInterrupt or pytest's own outcomes, is raised in whoever waits.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from streamkit.conversation import outcome
from streamkit.conversation.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.conversation.functions import Functions
    from streamkit.conversation.steps import Call

__all__ = ["arun", "arun_all", "run", "run_all"]


def run(functions: Functions, name: str, arguments: str, time_limit: float | None) -> Outcome:
    """Call a function and wait for the outcome."""
    return _started(functions, name, arguments, time_limit, here=time_limit is None)()


def run_all(functions: Functions, calls: Sequence[Call], time_limit: float | None, *, together: bool) -> list[Outcome]:
    """Make several calls, at once or one after the other, and return their outcomes in the order of the calls."""
    if not together or len(calls) == 1:
        return [run(functions, one.name, one.arguments, time_limit).of_call(one.id) for one in calls]
    waiting = [_started(functions, one.name, one.arguments, time_limit, here=False) for one in calls]
    return [finish().of_call(one.id) for one, finish in zip(calls, waiting, strict=True)]


async def arun(functions: Functions, name: str, arguments: str, time_limit: float | None) -> Outcome:
    """Call a function, a sync one in a thread of its own, and await the outcome."""
    prepared = functions.prepare(name, arguments)
    if isinstance(prepared, Outcome):
        return prepared
    function, keywords = prepared
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(time_limit) as limit:
            if not function.is_async:
                return await asyncio.wrap_future(_in_thread(name, lambda: function.call(**keywords)))
            value = await function.call(**keywords)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is an outcome
        if isinstance(error, TimeoutError) and limit.expired() and time_limit is not None:
            return outcome.timed_out(name, time_limit)
        return outcome.failed(name, error)
    except asyncio.CancelledError as error:
        if task is None or task.cancelling() > cancelled:
            raise
        return outcome.failed(name, error)  # the function's own: nobody asked this task to end
    return outcome.returned(name, value)


async def arun_all(
    functions: Functions, calls: Sequence[Call], time_limit: float | None, *, together: bool
) -> list[Outcome]:
    """Make several calls, at once or one after the other, and return their outcomes in the order of the calls."""
    if not together:
        return [(await arun(functions, one.name, one.arguments, time_limit)).of_call(one.id) for one in calls]
    try:
        async with asyncio.TaskGroup() as group:  # cancelled as one
            tasks = [group.create_task(arun(functions, one.name, one.arguments, time_limit)) for one in calls]
    except BaseExceptionGroup as raised:
        raise raised.exceptions[0] from None  # as of a call that is alone
    return [task.result().of_call(one.id) for task, one in zip(tasks, calls, strict=True)]


def _started(
    functions: Functions, name: str, arguments: str, time_limit: float | None, *, here: bool
) -> Callable[[], Outcome]:
    """Start a call, and return what waits for its outcome; `here` calls it in the thread of the one who waits."""
    prepared = functions.prepare(name, arguments)
    if isinstance(prepared, Outcome):
        return lambda: prepared
    function, keywords = prepared
    if function.is_async:  # its own event loop keeps the limit, in a thread: one may be running in this
        future = _in_thread(name, lambda: asyncio.run(_awaited(function.call(**keywords), time_limit)))
        return future.result
    if here:
        return lambda: _attempt(name, lambda: function.call(**keywords))
    future = _in_thread(name, lambda: function.call(**keywords))
    if time_limit is None:
        return future.result
    until = time.monotonic() + time_limit

    def finish() -> Outcome:
        done, _ = wait([future], max(0.0, until - time.monotonic()))
        return future.result() if done else outcome.timed_out(name, time_limit)

    return finish


class _TimedOut(Exception):  # noqa: N818 - it never leaves this module
    """The limit was reached. A class of its own, for a function may raise TimeoutError itself."""


async def _awaited(value: Any, time_limit: float | None) -> Any:
    try:
        async with asyncio.timeout(time_limit) as limit:
            return await value
    except TimeoutError:
        if limit.expired():
            raise _TimedOut(time_limit) from None
        raise


def _attempt(name: str, call: Callable[[], Any]) -> Outcome:
    """Call, and return the outcome."""
    try:
        value = call()
    except _TimedOut as limit:
        return outcome.timed_out(name, limit.args[0])
    except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it raises is an outcome
        return outcome.failed(name, error)
    if inspect.iscoroutine(value):
        value.close()
        return outcome.failed(name, TypeError("it returned a coroutine: make it an async function"))
    return outcome.returned(name, value)


def _in_thread(name: str, call: Callable[[], Any]) -> Future[Outcome]:
    """Call in a daemon thread, in the caller's context variables."""
    future: Future[Outcome] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        if future.set_running_or_notify_cancel():
            try:
                made = context.run(_attempt, name, call)
            except BaseException as error:  # noqa: BLE001 - raised where the future is waited for
                future.set_exception(error)
            else:
                future.set_result(made)

    threading.Thread(target=work, name=f"streamkit call of {name}", daemon=True).start()
    return future
