"""Drivers: programs in any language that drive the code under test and tell what it did.

A driver is started once and answers one line of JSON with another (`streamkit.fuzz.protocol`). One that crashes, hangs
or writes something else is killed with everything in its process group and started anew for the next case; what it did
is the outcome of the case. One that ends properly between two cases (status 0) is started anew as well, so that a
script may answer a single case and end.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streamkit.errors import TargetError, UsageError
from streamkit.fuzz.normal import scrub
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.process import LONGEST_LINE, DriverProcess, Reply
from streamkit.fuzz.protocol import EXIT, garbage, read_answer
from streamkit.fuzz.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Command", "Driver", "Experience", "command", "default_workers"]

_START_LIMIT = 30.0
_MOST_WORKERS = 4
_SAID = 400  # characters of standard error that a message holds
_LOCAL = "127.0.0.1,localhost"


@dataclass(frozen=True)
class Command:
    """How a driver is started.

    Attributes:
        text: the command, as it is written.
        words: program and arguments.
        cwd: the folder to run in; None for this process's.
        env: variables that are added to this process's environment.
        workers: how many processes answer side by side; None for as many as the campaign says.
        start_limit: seconds that a process may take to be ready, on top of the time limit of its first case.
    """

    text: str
    words: tuple[str, ...]
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    start_limit: float = _START_LIMIT

    def environment(self) -> dict[str, str]:
        """Return the environment of the driver.

        Python writes its answers at once, and no client asks a proxy for an address of this machine.
        """
        found = {"PYTHONUNBUFFERED": "1", **os.environ}
        for name in ("NO_PROXY", "no_proxy"):
            found[name] = f"{found[name]},{_LOCAL}" if found.get(name) else _LOCAL
        return {**found, **self.env}

    @property
    def python(self) -> str:
        """The expression that makes the target; values of variables are left out, for they may be secrets."""
        further = [f", cwd={self.cwd!r}" if self.cwd is not None else "", ", env={...}" if self.env else ""]
        further.append(f", start_limit={self.start_limit:g}" if self.start_limit != _START_LIMIT else "")
        return f"streamkit.fuzz.command({self.text!r}{''.join(further)})"


def command(
    text: str,
    *,
    workers: int | None = None,
    start_limit: float = _START_LIMIT,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Target:
    """Return the target behind a command: a driver, in whatever language.

    Args:
        text: program and arguments, split as a shell splits them; no shell runs it, so that pipes, variables and
            wildcards mean nothing.
        workers: how many processes answer side by side; None for the number of processors, at most 4. The report is
            the same for any number.
        start_limit: seconds that a process may take to be ready, on top of the time limit of its first case.
        cwd: the folder to run in; None for the current one.
        env: variables to add to the environment.

    Raises:
        UsageError: the text is no command, or a number is out of its range.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no command: {str(error).lower()}") from None
    if not words:
        raise UsageError("the command is empty: write a program and its arguments, as in 'node driver.mjs'")
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}: give 1 or more")
    if not start_limit > 0:
        raise UsageError(f"start_limit is {start_limit}: give seconds above 0")
    folder = None if cwd is None else os.fspath(cwd)
    how = Command(text, words, folder, dict(env or {}), workers, start_limit)
    return Target(text, False, "command", _not_here, command=how)


def _not_here(_: object) -> None:
    raise TargetError("a command is run by a driver, not in this process")


def default_workers() -> int:
    """Return how many processes of a driver answer side by side where nobody says."""
    return max(1, min(os.cpu_count() or 1, _MOST_WORKERS))


class Experience:
    """What the drivers of one campaign have shown so far.

    Attributes:
        answered: one has answered a case.
        starts: one has been seen to wait for a case, or has answered one.
        first_answer: seconds that the first answer took, with the start of the process.
    """

    def __init__(self) -> None:
        self.answered = self.starts = False
        self.first_answer = 0.0
        self._lock = threading.Lock()

    def learn(self, seconds: float) -> None:
        """Note that a driver has answered its first case."""
        with self._lock:
            if not self.answered:
                self.answered, self.starts, self.first_answer = True, True, seconds


class Driver:
    """One worker's driver: a process, and another one after a fault.

    Args:
        how: how it is started.
        experience: shared by the drivers of a campaign.
        hidden: takes out of a text what no two deliveries share.

    Attributes:
        said: what it wrote to standard error during the last case.
    """

    def __init__(self, how: Command, experience: Experience, hidden: Callable[[str], str] = str) -> None:
        self.how = how
        self._hidden = hidden
        self.said = ""
        self._experience = experience
        self._process: DriverProcess | None = None
        self._fresh = True
        self._stopped = False

    def deliver(self, line: bytes, number: int, limit: float) -> Outcome:
        """Give a case to the driver and return what it did.

        Args:
            line: the case.
            number: its id.
            limit: seconds that it may take.

        Raises:
            TargetError: the driver cannot be started.
        """
        outcome = self._attempt(line, number, limit)
        if outcome is None:  # it had ended, or ended now, in good order after an earlier case: the next one counts
            outcome = self._attempt(line, number, limit)
        return outcome if outcome is not None else self._exit(0)

    def _attempt(self, line: bytes, number: int, limit: float) -> Outcome | None:
        """Deliver to the process that is there; None where that has ended properly, and another one is to be asked."""
        began = time.monotonic()
        process = self._process or self._start()
        fresh, self._fresh = self._fresh, False
        reply = process.ask(line, limit + self._patience() if fresh else limit)
        self.said = self._hidden(scrub(process.errors.text))
        if reply.kind == "line":
            self._experience.learn(time.monotonic() - began)
            return self._checked(self._read(reply.line, number))
        self._drop()
        return self._fault(reply, process.status, number, fresh=fresh, lived=time.monotonic() - began)

    def _read(self, line: bytes, number: int) -> Outcome:
        return read_answer(self._hidden(line.decode("utf-8", "surrogateescape")), number)

    def _checked(self, outcome: Outcome) -> Outcome:
        if outcome.fault:
            self._drop()
        return outcome

    def _fault(self, reply: Reply, status: int | None, number: int, *, fresh: bool, lived: float) -> Outcome | None:
        if reply.kind in ("hang", "stopped"):
            return Outcome(hung=True)
        if reply.kind in ("lines", "unasked"):  # how much had come by then is chance: the first line decides
            first = self._read(reply.line.strip().partition(b"\n")[0], number)
            return first if first.fault else garbage("answer with more than one line", reply.line)
        if reply.kind == "flood":
            return garbage(f"write more than {LONGEST_LINE // 2**20} MiB in one line", reply.line)
        if reply.line.strip() and reply.kind == "exit":  # it ended after its answer, without a line end
            return self._read(reply.line, number)
        if status == 0 and not fresh:
            return None
        if not self._experience.starts:
            self._check_that_it_starts(lived)
        after = " after its answer to another case" if reply.kind == "gone" and not fresh else ""
        return self._exit(status, after)

    def _exit(self, status: int | None, after: str = "") -> Outcome:
        said = f"standard error: {_shortened(self.said)}" if self.said else "it wrote nothing to standard error"
        return Outcome(
            error=EXIT, message=f"{_how_it_ended(status)}; {said}", fault=f"{_ended(status)}{after}", slip=True
        )

    # -- processes

    def _patience(self) -> float:
        """Return how many seconds a process may take to be ready: many at first, then what it took."""
        known = self._experience
        return min(self.how.start_limit, 1 + 5 * known.first_answer) if known.answered else self.how.start_limit

    def _start(self) -> DriverProcess:
        try:
            process = DriverProcess(self.how.words, self.how.cwd, self.how.environment())
        except OSError as error:
            raise TargetError(self._why_not(error)) from None
        except ValueError as error:  # a NUL in an argument
            raise TargetError(f"cannot start the driver `{self.how.text}`: {error}") from None
        process.stopped = self._stopped
        self._process, self._fresh = process, True
        return process

    def _why_not(self, error: OSError) -> str:
        text = f"cannot start the driver `{self.how.text}`"
        cwd = self.how.cwd
        if cwd is not None and not Path(cwd).is_dir():
            return f"{text}: there is no folder {cwd}"
        program = self.how.words[0]
        if isinstance(error, FileNotFoundError):
            hint = "" if os.sep in program or shutil.which(program) else " (looked for it in PATH)"
            return f"{text}: there is no program {program}{hint}"
        hint = ": is it executable?" if isinstance(error, PermissionError) else ""
        return f"{text}: {program}: {error.strerror or error}{hint}"

    def _check_that_it_starts(self, lived: float) -> None:
        """Raise TargetError if the driver also ends where nobody gives it a case: then no case is to blame."""
        process = self._start()
        ends = process.ends_within(max(1.0, 3 * lived))
        said = scrub(process.errors.text)
        self._drop()
        self._experience.starts = not ends
        if ends:
            told = f"; standard error: {_shortened(said)}" if said else "; it wrote nothing to standard error"
            raise TargetError(
                f"the driver `{self.how.text}` ends before it is given a case: {_how_it_ended(process.status)}{told}"
            )

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End a wait of another thread within a moment."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.stopped = True

    def close(self) -> None:
        """End the process in good order. One whose wait was ended is gone already."""
        process, self._process = self._process, None
        if process is not None:
            process.stopped = False
            process.end()


def _how_it_ended(status: int | None) -> str:
    """Say how a process ended, as a fact."""
    if status is None:
        return "it closed its standard output"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _ended(status: int | None) -> str:
    """Say how a process ended, to follow "makes the target"."""
    if status is None:
        return "close its standard output"
    return f"exit with status {status}" if status >= 0 else f"be {_how_it_ended(status)}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SAID else f"{text[: _SAID // 2]} [...] {text[-_SAID // 2 :]}"
