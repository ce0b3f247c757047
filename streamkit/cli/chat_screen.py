"""Where `streamkit chat` reads and writes: a terminal, or a pipe."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from rich.text import Text

from streamkit.cli.common import console
from streamkit.errors import UsageError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

__all__ = ["Screen", "visible"]

# What writes a line from right to left, and so can show a text that is not the one that was sent.
_REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def visible(text: str) -> str:
    """Return a text without what would steer a terminal: a model may say anything.

    What only joins or parts characters stays: families of emoji, scripts and spaces need it.
    """
    if text.isprintable():
        return text
    return "".join(one.encode("unicode_escape").decode() if _steers(one) else one for one in text)


def _steers(one: str) -> bool:
    return (unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\t") or one in _REORDERING


class Screen:
    """The terminal, or a pipe.

    Args:
        ended: is set when the process is asked to end; see `ends_like_ctrl_c`.

    Attributes:
        ended: as given.
        is_terminal: somebody types, and reads what is shown.
    """

    def __init__(self, ended: threading.Event) -> None:
        self.ended = ended
        self._out = console()
        self.is_terminal = self._out.is_terminal and sys.stdin.isatty()
        self._begun = False  # a line that is not ended

    def say(self, text: str) -> None:
        """Show a piece of content at once; in a pipe as it is."""
        if self._out.is_terminal:
            self._out.print(Text(visible(text)), end="")
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
        self._begun = not text.endswith("\n") if text else self._begun

    def line(self, text: str, style: str = "") -> None:
        """Show a line of its own."""
        self.end_line()
        self._out.print(Text(visible(text), style=style))

    def fault(self, text: str) -> None:
        """Show an error, on standard error."""
        self.end_line()
        console(err=True).print(Text(f"streamkit: error: {visible(text)}", style="red"))

    def end_line(self) -> None:
        """End a line of content, if one is begun."""
        if self._begun:
            self._out.print()
        self._begun = False

    def messages(self) -> Iterator[str | None]:
        r"""Yield what is typed, message by message; None for Ctrl-C.

        A message is a line. One that ends in a backslash goes on in the next, and several that are pasted at once are
        one message.
        """
        begun: list[str] = []
        for line in self._typed(begun) if self.is_terminal else _piped():
            if line is None:
                begun.clear()
                yield None
            elif line.endswith("\\"):
                begun.append(line[:-1])
            else:
                told = "\n".join([*begun, line])
                begun.clear()
                yield told
        if begun:
            yield "\n".join(begun)

    def _typed(self, begun: list[str]) -> Iterator[str | None]:
        with suppress(ImportError):
            import readline  # input() then edits lines and remembers them

            if "libedit" not in (readline.__doc__ or ""):
                readline.parse_and_bind("set enable-bracketed-paste on")  # else each pasted line is sent by itself
        _reads_text()
        while True:
            try:
                yield input(". " if begun else "> ")
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                if self.ended.is_set():
                    raise
                click.echo()
                yield None


def _piped() -> Iterator[str]:
    _reads_text()
    try:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
    except UnicodeError as error:
        raise UsageError(f"standard input is no {sys.stdin.encoding}: {error}") from error


def _reads_text() -> None:
    """Let bytes that are no text be read as what stands for them; where ASCII is told, read UTF-8, which holds it."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        is_ascii = codecs.lookup(sys.stdin.encoding).name == "ascii"
        sys.stdin.reconfigure(encoding="utf-8" if is_ascii else None, errors="replace")
