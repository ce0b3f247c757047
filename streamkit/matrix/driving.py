"""Drives the clients of a plan, each in a process of its own and several at a time, and gathers their rows.

What comes back is the same for any number at a time, but for the seconds. Ctrl-C ends every client with what it has
covered.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.cassettes import bundled, load
from streamkit.errors import StreamkitError, UsageError
from streamkit.fuzz.chosen import chosen
from streamkit.fuzz.report import Options, Progress
from streamkit.matrix.cells import Part
from streamkit.matrix.rows import Row
from streamkit.mutations.registry import Class, mutations

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.matrix.plan import Client, Plan
    from streamkit.transcript import Transcript

__all__ = ["Choice", "drive"]

_TICK = 0.2  # seconds
_GRACE = 10  # seconds that a client has to end after Ctrl-C
_TAIL = 300  # characters of what it printed, where it ended without a word


@dataclass(frozen=True)
class Choice:
    """Which cells of a plan are wanted.

    Attributes:
        clients: names of the only clients; all where empty.
        transcripts: what every client gets, in place of what the plan says; that where empty.
        classes: the only classes of mutations; all where empty.
        mutations: the only mutations; all of the classes where empty.
        jobs: clients that are driven at a time.
        workers: processes of a command that answer side by side; None for the number of processors, at most 4.
    """

    clients: tuple[str, ...] = ()
    transcripts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    mutations: tuple[str, ...] = ()
    jobs: int = 1
    workers: int | None = None

    def asked(self, returns: str = "message") -> list[str]:
        """Return the names of the mutations that are applied; none where none is meant for what a client returns.

        Raises:
            UsageError: one is not in the catalogue, or none is of the classes.
        """
        named = [one.name for one in chosen(Options(only=self.mutations, dialects=True, faults=True, returns=returns))]
        of_class = {one.name for one in mutations(classes=self.classes or list(Class))}
        found = [name for name in named if name in of_class]
        if not found and not any(name in of_class for name in self.mutations):
            raise UsageError(f"none of the mutations named is of the class {' or '.join(self.classes)}")
        return found


def drive(
    plan: Plan, choice: Choice | None = None, listener: Callable[[str, Progress | None], None] | None = None
) -> list[Row]:
    """Return a row for each client.

    Args:
        plan: what is wanted.
        choice: which of it.
        listener: is told a client's name and its progress; None when it has ended. It is called from several threads.

    Raises:
        StreamkitError: a client, transcript or mutation that was named is not there.
    """
    choice = choice if choice is not None else Choice()
    workers = [_Worker(client, plan, choice, listener) for client in plan.only(choice.clients)]
    if not workers:
        raise UsageError("no client: there is nothing to drive")
    with ThreadPoolExecutor(max(1, choice.jobs), thread_name_prefix="streamkit-matrix") as pool:
        waiting = {pool.submit(worker.run) for worker in workers}
        while waiting:
            try:
                done, waiting = wait(waiting, _TICK)  # with a time: another thread may be given the signal
                for one in done:
                    one.result()
            except KeyboardInterrupt:
                for worker in workers:
                    worker.interrupt()
    return [worker.row for worker in workers]


class _Worker:
    """One client's process and what it tells.

    Args:
        client: what is driven.
        plan: with which options.
        choice: over what.
        listener: see `drive`.

    Attributes:
        row: what was told so far.
    """

    def __init__(
        self, client: Client, plan: Plan, choice: Choice, listener: Callable[[str, Progress | None], None] | None
    ) -> None:
        self.row = Row(client, choice.asked(client.returns))
        self._listener = listener
        self._process: subprocess.Popen[str] | None = None
        self._interrupted = False
        self._lock = threading.Lock()
        self._killer: threading.Timer | None = None
        self._at = ""
        options = Options(
            plan.seed, plan.max_examples, client.returns, client.time_limit or plan.time_limit,
            max_single_cuts=plan.max_single_cuts, max_variants=plan.max_variants, workers=choice.workers,
            only=tuple(self.row.asked), mutations=bool(self.row.asked), combine=False,
        )  # fmt: skip
        self._task = {
            "target": client.target,
            "command": client.command,
            "version": client.version,
            "cwd": str(client.cwd.absolute()),
            "transcripts": _transcripts(client, plan, choice),
            "options": {name: getattr(options, name) for name in Options.__slots__},
        }

    def run(self) -> None:
        """Drive the client to its end."""
        if not self._task["transcripts"]:
            self.row.problem = f"none of the transcripts is of its dialect, {self.row.client.dialect}"
            return
        with tempfile.TemporaryFile() as printed:
            with self._lock:
                if self._interrupted:
                    self.row.interrupted = True
                    return
                self._process = subprocess.Popen(  # noqa: S603 - it is we ourselves
                    [sys.executable, "-c", _START, json.dumps(sys.path)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, encoding="utf-8",
                    process_group=0,  # Ctrl-C reaches it through us alone
                )  # fmt: skip
            began = time.monotonic()
            code = self._converse(self._process)
            self.row.seconds = round(time.monotonic() - began, 3)
            self.row.interrupted |= self._interrupted
            if code and not self.row.problem and not self.row.interrupted:
                printed.seek(0)
                self.row.problem = _ended(code, self._at, printed.read())
        if self._listener is not None:
            self._listener(self.row.name, None)

    def _converse(self, process: subprocess.Popen[str]) -> int:
        """Give the process its task, hear it to its end, and return its exit code."""
        asking, telling = process.stdin, process.stdout
        if asking is None or telling is None:  # they are pipes
            raise AssertionError("the process has no pipes")
        with telling, suppress(BrokenPipeError), asking:  # while `asking` is open, the process knows that we are there
            with suppress(BrokenPipeError):
                asking.write(json.dumps(self._task) + "\n")
                asking.flush()
            for line in telling:
                self._take(json.loads(line))
            code = process.wait()
        if self._killer is not None:
            self._killer.cancel()
        return code

    def interrupt(self) -> None:
        """Let the client end with what it has covered; the second time, at once."""
        with self._lock:
            process, again, self._interrupted = self._process, self._interrupted, True
            if process is None or process.poll() is not None:
                return
            if again or sys.platform == "win32":
                process.kill()
                return
            process.send_signal(signal.SIGINT)
            self._killer = threading.Timer(_GRACE, process.kill)
            self._killer.daemon = True
            self._killer.start()

    def _take(self, word: dict[str, Any]) -> None:
        if "progress" in word:
            progress = Progress(*word["progress"])
            self._at = progress.transcript
            if self._listener is not None:
                self._listener(self.row.name, progress)
        if "part" in word:
            self.row.parts.append(Part.of_json(word["part"]))
        self.row.version = word.get("version", self.row.version)
        self.row.problem = word.get("problem", self.row.problem)
        self.row.interrupted = word.get("interrupted", self.row.interrupted)


#: Finds modules as we do, without an environment variable that other programs would heed.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from streamkit.matrix.worker import main; main()"


def _ended(code: int, transcript: str, printed: bytes) -> str:
    how = f"with exit code {code}" if code > 0 else f"by {signal.Signals(-code).name}"
    where = f" on {transcript}: the rest was not tried" if transcript else ""
    last = printed.decode("utf-8", "replace").strip()[-_TAIL:]
    return f"its process ended {how}{where}" + (f"; it had printed: {last}" if last else "")


def _transcripts(client: Client, plan: Plan, choice: Choice) -> list[str]:
    """Return the names of what a client gets: what it names itself, of anything else what is of its dialect.

    Raises:
        UsageError: one cannot be found.
    """
    own = () if choice.transcripts else client.transcripts
    try:
        listed = [load(name) for name in own or choice.transcripts or plan.transcripts] or bundled()
    except StreamkitError as error:
        raise UsageError(f"client {client.name}: {error}") from error
    return [one.name for one in listed if own or not client.dialect or _speaks(one) == client.dialect]


def _speaks(transcript: Transcript) -> str:
    found = dialects.detect(transcript)
    return found.name if found is not None else ""
