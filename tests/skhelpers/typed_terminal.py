"""A program on a terminal of its own, typed into by another program: what a user sees, and what Ctrl-C does to it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

#: Makes the terminal the one that sends Ctrl-C to the process, and lets it hear that whatever this shell ignores.
_BEGIN = (
    "import fcntl, os, signal, sys, termios; "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
#: By these a line editor turns on that what is pasted comes as one; nobody sees them.
_PASTING = re.compile(r"\x1b\[\?2004[hl]\r?")
CTRL_C = "\x03"
CTRL_D = "\x04"


class TypedTerminal:
    """A Python program on a pseudo-terminal.

    Args:
        arguments: of Python.
        cwd: where it runs.
        environment: beside the tests' own.

    Attributes:
        seen: all that it has shown, and the echo of what was typed.
    """

    def __init__(self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> None:
        self._typed, inner = pty.openpty()
        known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, *arguments], stdin=inner, stdout=inner, stderr=inner, cwd=cwd,
            env={**known, "TERM": "xterm", "COLUMNS": "120", "PYTHONUTF8": "1", **(environment or {})},
            start_new_session=True,
        )  # fmt: skip
        os.close(inner)
        self.seen = ""
        self._raw = b""
        self._from = 0

    def __enter__(self) -> TypedTerminal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._typed)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._typed, text.encode())

    def paste(self, text: str) -> None:
        """Paste a text, as a terminal does where the program has asked to be told."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def press(self, key: str, text: str, seconds: float = 60.0) -> None:
        """Press a key, again and again as an impatient user would, until a text is shown.

        A signal that comes between the prompt of `input()` and its wait for keys wakes it with the next key only.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.type(key)
            try:
                self.wait_for(text, 2.0)
            except AssertionError:
                continue
            return
        raise AssertionError(f"{text!r} was not shown; seen behind the last: {self.seen[self._from :]!r}")

    def wait_for(self, text: str, seconds: float = 60.0) -> str:
        """Wait until a text is shown behind the one that was waited for before, and return what came up to it."""
        until = time.monotonic() + seconds
        while (at := self.seen.find(text, self._from)) < 0:
            if not self._read(until - time.monotonic()):
                raise AssertionError(f"{text!r} was not shown; seen behind the last: {self.seen[self._from :]!r}")
        found = self.seen[self._from : at]
        self._from = at + len(text)
        return found

    def wait(self, seconds: float = 60.0) -> int:
        """Wait until the program has ended, and return its exit code."""
        until = time.monotonic() + seconds
        while self._read(until - time.monotonic()):
            pass
        return self._process.wait(max(1.0, until - time.monotonic()))

    def _read(self, seconds: float) -> bool:
        """Read what there is; False at the end, or when nothing comes in time."""
        if seconds <= 0 or not select.select([self._typed], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._typed, 65536)
        except OSError:  # the last program that had it open has ended
            return False
        self._raw += data
        self.seen = _PASTING.sub("", self._raw.decode("utf-8", "replace").replace("\r\n", "\n"))
        return bool(data)
