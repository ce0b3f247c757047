"""The process that drives one client: it reads one task from standard input and tells its parent what it finds.

A client may hang for good, end its process, or print what it likes; in a process of its own it harms no other client.
The task is a line of JSON. Standard input stays open after it: where it ends, the parent is gone, and so are this
process and what it started. What is told is a line of JSON each, on what was standard output; what the client prints
goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.cassettes import load
from streamkit.errors import StreamkitError
from streamkit.fuzz import Options, Target, adapt, command, fuzz
from streamkit.matrix.cells import part_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.fuzz import Progress, Report
    from streamkit.transcript import Transcript

__all__ = ["main", "work"]

_VERSION_SECONDS = 60  # a JVM may have to start
_GRACE = 5  # seconds to end after the parent has gone
_EVERY = 0.1  # seconds between two words about the progress


def main() -> None:
    """Do the task on standard input, and end the process."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    asked = os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - for its descriptor
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    task = json.loads(_line(asked))
    threading.Thread(target=_end_with_parent, args=(asked,), daemon=True).start()

    def tell(word: dict[str, Any]) -> None:
        told.write(json.dumps(word) + "\n")
        told.flush()

    try:
        work(task, tell)
    except KeyboardInterrupt:
        tell({"interrupted": True})
    told.flush()
    os._exit(0)  # whatever threads the client has left behind


def _line(descriptor: int) -> bytes:
    """Read a line, and nothing after it."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1 if line else 1 << 16)
        if not piece:
            break
        line += piece
    return line


def _end_with_parent(descriptor: int) -> None:
    with suppress(OSError):
        while os.read(descriptor, 1024):
            pass
    os.kill(os.getpid(), signal.SIGINT)  # so that the client's drivers, in groups of their own, are ended too
    time.sleep(_GRACE)
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def work(task: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    """Drive one client over its transcripts.

    Args:
        task: "client" (name, target, command, version), "cwd", "transcripts" (names, as seen from here) and "options".
        tell: is told "version", then "progress" and a "part" for each transcript, or the "problem" that ended it.
    """
    try:
        transcripts = [load(name) for name in task["transcripts"]]  # before the folder changes
        try:
            os.chdir(task["cwd"])
        except OSError as error:
            tell({"problem": f"cannot run in {task['cwd']}: {error.strerror or error}"})
            return
        tell({"version": _version(task["version"])})
        target = _target(task)
        options = Options(**{**task["options"], "only": tuple(task["options"]["only"])})
        for transcript in transcripts:
            if not _drive(target, transcript, options, tell):
                return
    except StreamkitError as error:
        tell({"problem": str(error)})
    except Exception as error:  # noqa: BLE001 - one client's row, and not the end of the others
        tell({"problem": f"{type(error).__name__}: {error}"})


def _target(task: dict[str, Any]) -> Target:
    if not task["command"]:
        return adapt(task["target"])
    return command(task["command"], cwd=task["cwd"])


def _drive(
    target: Target, transcript: Transcript, options: Options, tell: Callable[[dict[str, Any]], None]
) -> bool:  # fmt: skip
    """Tell what one campaign finds; False where it was the last."""
    last = 0.0
    spoken = dialects.detect(transcript)
    dialect = spoken.name if spoken is not None else ""

    def listen(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            tell({"progress": [progress.transcript, progress.phase, progress.done, progress.total]})

    def stuck(report: Report) -> None:
        """The target can only be stopped together with the process."""
        tell({"part": part_of(report, dialect).to_json()})
        tell({"problem": f"it hung for good on {transcript.name} and could not be stopped: the rest was not tried"})
        os._exit(0)

    tell({"progress": [transcript.name, "starting", 0, 0]})
    report = fuzz(target, [transcript], options=options, listener=listen, stuck=stuck)
    tell({"part": part_of(report, dialect).to_json()})
    if report.interrupted:
        tell({"interrupted": True})
    return not report.interrupted


def _version(version: str | list[str]) -> str:
    """Return a version, or the first line that its command prints; why not, in brackets, where it prints none."""
    if isinstance(version, str):
        return version
    try:
        done = subprocess.run(  # noqa: S603 - it is the user's own
            version, capture_output=True, stdin=subprocess.DEVNULL, timeout=_VERSION_SECONDS, check=False
        )
    except OSError as error:
        return f"(unknown: {version[0]}: {error.strerror or error})"
    except subprocess.TimeoutExpired:
        return f"(unknown: {version[0]} printed nothing in {_VERSION_SECONDS} seconds)"
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    if done.returncode or not lines[0].strip():
        return f"(unknown: {version[0]} ended with exit code {done.returncode} and {len(done.stdout)} bytes of output)"
    return lines[0].strip()
