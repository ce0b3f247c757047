"""What the commands share: the terminal, the debug option, and writing a result file."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from streamkit.fuzz.counterexample import Counterexample

__all__ = [
    "State",
    "check_writable",
    "console",
    "debug_option",
    "ends_like_ctrl_c",
    "keep_hypothesis_out_of_here",
    "print_finding",
    "write_json",
    "write_text",
]


@dataclass
class State:
    """What is known of a run before its command starts."""

    debug: bool = False
    code: int = 0  # of what was done before the output could be written


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and isinstance(context.obj, State):
        context.obj.debug = True


def debug_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--debug`."""
    option = click.option(
        "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_set_debug,
        help="Show the traceback of an error.",
    )  # fmt: skip
    return option(function)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main`, which knows the exit code."""
        raise BrokenPipeError(errno.EPIPE, "whoever read the output has gone")


def console(*, err: bool = False) -> Console:
    """Return a console on the stream as it is now: colours in a terminal, plain text in a pipe, NO_COLOR honoured."""
    return _Console(file=sys.stderr if err else sys.stdout, highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_finding(out: Console, finding: Counterexample) -> None:
    """Print a counterexample."""
    for number, line in enumerate(finding.lines()):
        style = ""
        if number == 0:
            style = "bold red"
        elif line.lstrip().startswith("expected "):
            style = "green"
        elif line.lstrip().startswith(("actual ", "of ")):
            style = "red"
        elif line.startswith(("  cut at", "  run again", "  in Python")):
            style = "cyan"
        out.print(Text(line, style=style))


def keep_hypothesis_out_of_here() -> None:
    """Let Hypothesis keep its cache in the temporary folder: a command leaves no `.hypothesis` where it was called."""
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "streamkit-hypothesis"))


def check_writable(path: str) -> None:
    """Raise UsageError now if a result could not be written to `path` at the end. "-" is standard output."""
    if path == "-":
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder; name a file in it")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {target.parent}")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission")


def write_json(path: str, value: Any) -> None:
    """Write JSON whole or not at all. "-" is standard output."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: str, text: str) -> None:
    """Write a text whole or not at all. "-" is standard output."""
    if path == "-":
        click.echo(text, nl=False)
        return
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def ends_like_ctrl_c() -> Iterator[threading.Event]:
    """Let SIGTERM, and SIGHUP from a terminal that is closed, end what is under way as Ctrl-C does.

    Else drivers that hang, and what they have started, would outlive the command. A second SIGTERM ends the
    process as it always does; a terminal that is closed sends more than one SIGHUP, and no other than the first counts.
    A signal that is ignored, as under nohup, stays ignored.

    Yields:
        What is set from the first such signal on: a Ctrl-C that nothing goes on after.

    Raises:
        KeyboardInterrupt: inside, at the first such signal.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_DFL if each == signal.SIGTERM else signal.SIG_IGN)
        ended.set()
        raise KeyboardInterrupt

    ended = threading.Event()
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield ended
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
