"""One process of a driver: started, asked line by line, and ended together with whatever it has started.

Both of its outputs are read whenever one waits for it, so that it can never block on a full pipe while it works, and
nothing that it writes is kept beyond a limit. The process leads a group of its own: a Ctrl-C in the terminal does not
reach it, and it is killed with its children.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["LONGEST_LINE", "DriverProcess", "Kept", "Reply"]

LONGEST_LINE = 32 * 2**20  # bytes of one answer
_KEPT = 2000  # bytes of standard error, from each end
_READ = 2**16
_LOOK = 0.2  # seconds between looks at whether the process is still there, and wanted
_GRACE = 1.0  # seconds to end by itself, and then once more after a SIGTERM


@dataclass(frozen=True)
class Reply:
    """What came of a line: the answer, or why there is none.

    Attributes:
        kind: "line"; "lines" (more than one); "unasked" (output before the line was sent); "flood" (no end of a line
            within the limit); "exit" (the process ended, or closed its output); "gone" (it had ended before the line
            was sent); "hang" (nothing within the time limit); "stopped" (nobody waits any more).
        line: what was read of standard output.
    """

    kind: str
    line: bytes = b""


class Kept:
    """The beginning and the end of what is written, and how much it was."""

    def __init__(self) -> None:
        self.size = 0
        self._head = b""
        self._tail = b""

    def add(self, data: bytes) -> None:
        """Take what was written next."""
        self.size += len(data)
        room = _KEPT - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail = (self._tail + data)[-_KEPT:]

    @property
    def text(self) -> str:
        """The text, with the middle left out where it is long."""
        gap = b"\n...\n" if self.size > len(self._head) + len(self._tail) else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace").strip()


class DriverProcess:
    """A running driver.

    Args:
        words: program and arguments.
        cwd: the folder to run in; None for this process's.
        env: the whole environment.

    Attributes:
        errors: what it wrote to standard error since the last line was sent, or since its start.
        status: the exit status once it has ended, negative for a signal's number; None before.
        stopped: set it from another thread to end a wait within a moment.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, words: Sequence[str], cwd: str | Path | None, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the user's own command, and no shell
            words, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, start_new_session=True,
        )  # fmt: skip
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        self._stdin, self._stdout, self._stderr = (pipe.fileno() for pipe in self._pipes)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)
        self._gone = False
        self._asked = False
        self._unsent = bytearray()
        self.errors = Kept()
        self.stopped = False
        self.status: int | None = None

    @property
    def pid(self) -> int:
        """The id of the process, and of its group."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether the process has ended. It is not reaped yet, so that its group keeps its number."""
        if self.status is None:
            if not hasattr(os, "waitid"):
                self.status = self._process.poll()
            else:
                self._look_at_status()
        return self.status is not None

    def _look_at_status(self) -> None:
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else in this process waits for every child
            self.status = self._process.poll() or 0
            return
        if found is not None:
            self.status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    # -- asking

    def ask(self, line: bytes, limit: float) -> Reply:
        """Send a line and wait for the line that answers it.

        Args:
            line: with its line end.
            limit: seconds to wait.
        """
        deadline = time.monotonic() + limit
        out = bytearray()
        if not self._read_out(out):
            self._take_last_words(deadline)
            return Reply("gone", bytes(out))
        if out.strip():
            return Reply("unasked", bytes(out))
        self._drain_errors()
        before, self.errors = self.errors, Kept()
        if not self._asked:  # what it said at its start belongs to the first case
            self.errors, self._asked = before, True
        out.clear()
        self._unsent = bytearray(line)
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        try:
            return self._answer(out, deadline)
        finally:
            self._forget(self._stdin)

    def _answer(self, out: bytearray, deadline: float) -> Reply:
        while True:
            left = deadline - time.monotonic()
            if self.stopped:
                return Reply("stopped")
            if left <= 0:
                return Reply("hang", bytes(out[:_KEPT]))
            for key, _ in self._selector.select(min(left, _LOOK)):
                if key.fd == self._stdin:
                    self._send()
                elif key.fd == self._stderr:
                    self._drain_errors(reads=1)
            is_open = self._read_out(out)
            found = _whole(out)
            if found is not None:
                self._drain_errors()
                return found
            if not is_open:
                self._take_last_words(deadline)
                return Reply("exit", bytes(out))

    def _send(self) -> None:
        try:
            sent = os.write(self._stdin, self._unsent)
        except BlockingIOError:
            return
        except OSError:  # it reads no more; whether it still answers, its output tells
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._forget(self._stdin)

    def _read_out(self, out: bytearray) -> bool:
        """Take what is there on standard output; False if no more will come."""
        ended = self.has_ended()  # before the look at the output: what it wrote at last must not be missed
        while len(out) <= LONGEST_LINE:
            try:
                data = os.read(self._stdout, _READ)
            except BlockingIOError:
                return not ended  # a child that was left behind may hold the output open
            if not data:
                self._forget(self._stdout)
                return False
            out += data
        return True

    def _drain_errors(self, *, reads: int = 2**10) -> None:
        """Take what is there on standard error."""
        for _ in range(reads):
            try:
                data = os.read(self._stderr, _READ)
            except BlockingIOError:
                return
            if not data:
                self._forget(self._stderr)
                return
            self.errors.add(data)

    def _forget(self, pipe: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)

    def _take_last_words(self, deadline: float) -> None:
        """Wait a moment for a process that has closed its output to end, and take the rest of its standard error."""
        self._wait_until(self.has_ended, min(_GRACE, deadline - time.monotonic()))
        self._drain_errors()

    def _wait_until(self, true: Callable[[], bool], limit: float) -> bool:
        """Wait for a condition, and throw away what the process writes meanwhile."""
        deadline = time.monotonic() + limit
        while not true():
            left = deadline - time.monotonic()
            if left <= 0 or self.stopped:
                return False
            self._selector.select(min(left, _LOOK / 20))
            self._drain_errors(reads=1)
            self._read_out(bytearray())
        return True

    def ends_within(self, limit: float) -> bool:
        """Wait for the process to end by itself; return whether it did within that many seconds."""
        return self._wait_until(self.has_ended, limit)

    # -- ending

    def end(self) -> None:
        """Let the process end by itself, then make it end, and everything that it has started in its group."""
        if self._gone:
            return
        self._forget(self._stdin)
        self._pipes[0].close()
        if not self.ends_within(_GRACE):
            self._signal(signal.SIGTERM)
            self.ends_within(_GRACE)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its group at once."""
        if self._gone:
            return
        self._gone = True
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    def _signal(self, number: int) -> None:
        """Send a signal to the group, which is ours as long as its leader is not reaped."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses where all of it are zombies
            os.killpg(self.pid, number)


def _whole(out: bytearray) -> Reply | None:
    """Return the reply that an output holds, if it is whole."""
    while (end := out.find(b"\n")) >= 0 and not out[:end].strip():
        del out[: end + 1]
    if end < 0:
        return Reply("flood", bytes(out[:_KEPT])) if len(out) > LONGEST_LINE else None
    return Reply("lines", bytes(out)) if out[end + 1 :].strip() else Reply("line", bytes(out[:end]))
