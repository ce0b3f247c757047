"""The command line. `main` is the entry point; each command has a module of its own.

Exit codes: 0 nothing found, 1 counterexamples, 2 the call or a file is at fault, 3 nothing found and nothing proved
(`prove` alone), 130 interrupted before anything was found. Errors are one line on standard error; `--debug` shows the
traceback.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from streamkit.cli.chat import chat
from streamkit.cli.common import State
from streamkit.cli.convert import convert
from streamkit.cli.demo import demo
from streamkit.cli.fuzz import fuzz
from streamkit.cli.library import list_, show
from streamkit.cli.lint import lint
from streamkit.cli.matrix import matrix
from streamkit.cli.mutations import mutations
from streamkit.cli.prove import prove
from streamkit.cli.record import record
from streamkit.cli.serve import serve
from streamkit.cli.verify import verify
from streamkit.errors import StreamkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main"]


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        """Run a command. A reader of its output who goes away ends the output and changes no exit code."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ctx.obj.code
        return code


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pytest-streamkit", prog_name="streamkit")
def cli() -> None:
    """Record LLM token streams, replay them offline, and cut them at every byte."""


for command in (demo, fuzz, prove, show, list_, lint, convert, verify, mutations, serve, record, matrix, chat):
    cli.add_command(command)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        argv: the arguments; those of the process where None.

    Raises:
        SystemExit: always, with the exit code.
    """
    state = State()
    for stream in (sys.stdout, sys.stderr):  # what the terminal cannot show is escaped, and is no error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(
            args=None if argv is None else list(argv), prog_name="streamkit", standalone_mode=False, obj=state
        )
    except StreamkitError as error:
        code = _fail(state, str(error), error)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 2
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "streamkit"
        code = _fail(state, f"{error.format_message()} (see {where} --help)", error)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:  # noqa: BLE001 - the last resort
        code = _fail(state, f"internal error, please report it: {type(error).__name__}: {error}", error, code=70)
    sys.exit(code or 0)


def _fail(state: State, message: str, error: BaseException, *, code: int = 2) -> int:
    if state.debug:
        traceback.print_exception(error)
    click.echo("streamkit: error: " + " ".join(message.split()), err=True)
    return code
