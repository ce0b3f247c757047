"""Runs a target on a delivery, with a time limit, and keeps what it prints out of the way.

On the main thread the limit is an interval timer signal, which also ends a sleep or a blocked read. Elsewhere, and
where there is no such signal, the target runs in a thread that is given up at the limit. A `TargetError` and a
`KeyboardInterrupt` pass through; everything else that a target raises is its outcome.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` wraps, without the wrapper's search for a member
import asyncio
import contextlib
import ctypes
import inspect
import io
import signal
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from streamkit.errors import TargetError
from streamkit.fuzz.normal import normalise, scrub, with_texts
from streamkit.fuzz.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from streamkit.fuzz.served import Served, Spoken
    from streamkit.fuzz.targets import Target
    from streamkit.transcript import Transcript

__all__ = ["Runner", "Runs", "in_own_thread"]

_T = TypeVar("_T")


_LIBRARIES = (*(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")), "<frozen")


_PATIENCE = 20  # interruptions, a tenth of a second apart, that a target may swallow
_APART = 8  # few: to wait costs much where client and server share a process, and most clients keep HTTP chunks apart
_LONGEST = 10.0**8  # seconds; a timer takes no more


class _OutOfTime(BaseException):
    """Raised inside a target at its time limit. No Exception, so that a target's own handlers let it pass."""


class _Sink(io.TextIOBase):
    """Takes what a target prints; keeps the beginning of it."""

    def __init__(self) -> None:
        self.size = 0
        self.head = ""

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Stay open: a target may close what it takes for the terminal."""

    def write(self, text: str) -> int:
        self.size += len(text)
        if len(self.head) < 200:
            self.head += text[: 200 - len(self.head)]
        return len(text)


class Runs(Protocol):
    """What makes the deliveries of a campaign.

    Attributes:
        target: the code under test.
        runs: deliveries made so far.
        lookahead: how many deliveries to come it wants to know; 0 for none.
    """

    target: Target
    runs: int
    lookahead: int

    def take(self, transcript: Transcript) -> None:
        """Note what the next deliveries are of."""

    def run(self, chunks: list[bytes], *, limit: float | None = None) -> Outcome:
        """Deliver the chunks and return what the target did."""

    def hint(self, chunks: list[bytes], *, limit: float | None = None) -> None:
        """Take note of a delivery that will probably be asked for."""

    def forget(self) -> None:
        """Drop what was hinted at and was not asked for."""

    def remarks(self) -> list[str]:
        """Return facts about the target for the report."""


class Runner:
    """Calls one target, delivery after delivery. A context manager: signal handler and event loop live inside it.

    Args:
        target: the code under test.
        limit: seconds that one delivery may take.
        stuck: is called where the target swallows every interruption, so that it can never be given up. What it is
            called for cannot go on: it should report and end the process.
        framing: of the bodies that a client gets; see `Served`.

    Attributes:
        runs: deliveries made so far.
        printed: characters that the target wrote to standard output or error.
        printed_head: the beginning of that.
    """

    def __init__(
        self,
        target: Target,
        *,
        limit: float = 10.0,
        stuck: Callable[[], None] | None = None,
        framing: str = "chunked",
    ) -> None:
        self.target = target
        self.lookahead = 0
        self._spoken: Spoken | None = None
        self._framing = framing
        self._served: Served | None = None
        self._stuck = stuck
        self._alarms = 0
        self._streams = (sys.stdout, sys.stderr)
        self.limit = min(limit, _LONGEST)
        self.runs = 0
        self._sink = _Sink()
        self._armed = False
        self._loop: asyncio.Runner | None = None
        self._signals = False
        self._old_handler: Any = None
        self._old_hook = sys.unraisablehook
        self._old_timer = (0.0, 0.0)
        self._entered = 0.0

    @property
    def printed(self) -> int:
        """Characters that the target wrote."""
        return self._sink.size

    @property
    def printed_head(self) -> str:
        """The first 200 of them."""
        return self._sink.head

    def __enter__(self) -> Runner:
        if self.target.is_client:
            from streamkit.fuzz.served import Served, Spoken

            self._served, self._spoken = Served(self._framing, _APART).__enter__(), Spoken.of(None)
        self._signals = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        self._entered = time.monotonic()
        self._old_hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        if self._signals:
            self._old_handler = signal.signal(signal.SIGALRM, self._on_alarm)
            self._old_timer = signal.setitimer(signal.ITIMER_REAL, 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_loop()
        sys.unraisablehook = self._old_hook
        if self._served is not None:
            self._served.__exit__(kind, error, trace)
        if self._signals:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._old_handler if self._old_handler is not None else signal.SIG_DFL)
            left, interval = self._old_timer
            if left:  # somebody else's timer, such as a test timeout: it goes on as if we had not been there
                left = max(0.001, left - (time.monotonic() - self._entered))
                signal.setitimer(signal.ITIMER_REAL, left, interval)

    def _on_unraisable(self, found: Any) -> None:
        """Pass over what nobody can catch while the target runs: that comes when the garbage collector comes.

        It would be taken for what the target prints, and tell of it in one run and not in the next.
        """
        if sys.stderr is not self._sink:
            self._old_hook(found)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        self._alarms += 1
        if self._alarms > _PATIENCE and self._stuck is not None:
            self._armed = False
            sys.stdout, sys.stderr = self._streams
            self._stuck()
        raise _OutOfTime

    def run(self, chunks: list[bytes], *, limit: float | None = None) -> Outcome:
        """Deliver the chunks and return what the target did.

        Args:
            chunks: the delivery.
            limit: seconds, where it differs from the runner's own.

        Raises:
            TargetError: the target turned out to fit no adapter.
            KeyboardInterrupt: as it came.
        """
        self.runs += 1
        limit = self.limit if limit is None else min(limit, _LONGEST)
        if self._served is None or self._spoken is None:
            return self._run(chunks, limit)
        with self._served.offer(self._spoken, chunks) as place:
            outcome = self._run(place.base_url, limit)
        hidden = self._served.hidden  # no two deliveries have the same address
        return replace(outcome, message=hidden(outcome.message), value=with_texts(outcome.value, hidden))

    def take(self, transcript: Transcript) -> None:
        """Note what the next deliveries are of: a client gets the status line and the headers."""
        if self._served is not None:
            self._spoken = self._served.spoken(transcript)

    def hint(self, chunks: list[bytes], *, limit: float | None = None) -> None:
        """Do nothing: in this process one delivery is made at a time."""

    def forget(self) -> None:
        """Do nothing: no delivery is made before it is asked for."""

    def remarks(self) -> list[str]:
        """Return facts about the target for the report."""
        found = []
        if self.printed:
            found.append(
                f"the target prints: {self.printed} characters, kept out of this output, "
                f"beginning {self.printed_head[:60]!r}"
            )
        if self._served is not None and self.runs and not self._served.asked:
            found.append("the target sent no request: it has to read the stream from the base_url that it is given")
        return found

    def _run(self, argument: Any, limit: float) -> Outcome:
        return self._run_here(argument, limit) if self._signals else self._run_in_thread(argument, limit)

    def _run_here(self, argument: Any, limit: float) -> Outcome:
        if _signal.getsignal(signal.SIGALRM) != self._on_alarm:  # the target set an alarm of its own
            signal.signal(signal.SIGALRM, self._on_alarm)
        try:
            self._alarms = 0
            self._armed = True
            # Repeated, in case the target swallows the first one.
            signal.setitimer(signal.ITIMER_REAL, limit, 0.1)
            try:
                return self._call(argument)
            finally:
                self._armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _OutOfTime:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._drop_loop()
            return Outcome(hung=True)

    def _run_in_thread(self, argument: Any, limit: float) -> Outcome:
        box: list[Outcome | BaseException] = []

        def work() -> None:
            try:
                box.append(self._call(argument, own_loop=True))
            except BaseException as error:  # noqa: BLE001 - handed to the caller below
                box.append(error)

        thread = threading.Thread(target=work, daemon=True, name="streamkit-target")
        thread.start()
        thread.join(limit)
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_OutOfTime))
            thread.join(0.2)
            return Outcome(hung=True)
        found = box[0]
        if isinstance(found, _OutOfTime):
            return Outcome(hung=True)
        if isinstance(found, BaseException):
            raise found
        return found

    def _call(self, argument: Any, *, own_loop: bool = False) -> Outcome:
        self._streams = out, err = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self._sink
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = self.target.call(argument)
                if inspect.iscoroutine(value):
                    value = asyncio.run(value) if own_loop else self._get_loop().run(value)
                return Outcome(value=normalise(value))
        except (TargetError, KeyboardInterrupt, _OutOfTime):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the target raises is its outcome
            kind = type(error)
            name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            return Outcome(error=name, message=scrub(str(error)), where=_where(error))
        finally:
            sys.stdout, sys.stderr = out, err

    def _get_loop(self) -> asyncio.Runner:
        if self._loop is None:
            self._loop = asyncio.Runner()
        return self._loop

    def _drop_loop(self) -> None:
        """Give up an event loop that was interrupted in the middle of a task."""
        loop, self._loop = self._loop, None
        if loop is not None:
            inner = loop.get_loop()
            inner.set_exception_handler(lambda *_: None)  # its unfinished tasks are no news
            with contextlib.suppress(Exception):
                inner.close()

    def _close_loop(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None


def _where(error: BaseException) -> str:
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [place for place in places if "/streamkit/fuzz/" not in place[0].replace("\\", "/")]
    if not own:
        return ""
    # The last line of the target's own code says more than the line of a library that it called.
    file, line = next((place for place in reversed(own) if not place[0].startswith(_LIBRARIES)), own[-1])
    return f"{file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{line}"


def in_own_thread(work: Callable[[], _T]) -> _T:
    """Call `work` in a thread of its own if this thread has a running event loop, else here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    box: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            box.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            errors.append(error)

    thread = threading.Thread(target=run, name="streamkit-check")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return box[0]
