"""`streamkit serve`."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.text import Text

from streamkit.cli.common import check_writable, console, debug_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.server import ReplayServer

__all__ = ["allow_many_connections", "log_to", "serve", "wait_for_signal"]

_FILES = 65536
_TICK = 0.2  # seconds


@click.command()
@click.argument("cassettes", nargs=-1, metavar="[CASSETTE]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 takes one that is free.  [default: 0]")
@click.option("--how", default="", metavar="CONDUCT", help="Conduct on the wire: 'speed=1;gap=5', 'reset=300', ...")
@click.option("--seed", type=int, default=None, help="Cut each answer in another way, drawn with this seed.")
@click.option(
    "--mutate", type=click.Choice(["preserving", "dialect", "fault"]), default=None,
    help="With --seed: also apply one drawn mutation of this class.",
)  # fmt: skip
@click.option(
    "--match-on", default=None, metavar="NAMES", help="What is compared.  [default: method,path,query,json_body]"
)
@click.option("--ignore-json", multiple=True, metavar="PATH", help="JSON path of the body that may differ.")
@click.option("--once", is_flag=True, help="Play each interaction once; then its request is answered with 404.")
@click.option("--cors", is_flag=True, help="Let pages of other origins read the answers.")
@click.option(
    "--write-timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
    help="For a client to take what was written.",
)  # fmt: skip
@click.option(
    "--grace", type=click.FloatRange(0), default=2.0, show_default=True, metavar="SECONDS",
    help="For streams under way when the server is stopped.",
)  # fmt: skip
@click.option("--log", "log_file", default=None, metavar="FILE", help="Write the log there; standard error without it.")
@debug_option
def serve(
    cassettes: tuple[str, ...],
    host: str,
    port: int,
    how: str,
    seed: int | None,
    mutate: str | None,
    match_on: str | None,
    ignore_json: tuple[str, ...],
    once: bool,
    cors: bool,
    write_timeout: float,
    grace: float,
    log_file: str | None,
) -> int:
    """Serve cassettes over HTTP as the recorded API, in exact pieces.

    A CASSETTE is a name from `streamkit list`, the path of a cassette or a bare .sse body, or a folder of them; without
    any, all that can be named. A request is answered with the interaction that it matches. A client is steered to a
    transcript, a case or a fault by its base URL: http://HOST:PORT/case/openai_chat/boston_weather;reset=300/v1.
    """
    from streamkit.mutations.registry import Class
    from streamkit.server import ReplayServer
    from streamkit.server.answers import MATCH_ON
    from streamkit.server.connection import Limits

    with ExitStack() as stack:
        log = log_to(stack, log_file)
        server = ReplayServer(
            list(cassettes) or None,
            host=host,
            port=port,
            how=how,
            seed=seed,
            mutate=Class[mutate.upper()] if mutate is not None else None,
            match_on=[name.strip() for name in match_on.split(",")] if match_on is not None else MATCH_ON,
            ignore_json=ignore_json,
            repeats=not once,
            cors=cors,
            limits=Limits(write=write_timeout),
            log=log,
        )
        stop = wait_for_signal(stack)
        allow_many_connections()
        server.start()
        stack.callback(lambda: server.close(grace))
        _say(server)
        # With a time, for the kernel may give the signal to the server's thread, and this one would sleep on.
        while not stop.wait(_TICK):
            pass
    return 0


def _say(server: ReplayServer) -> None:
    """Print the readiness line; on a terminal, also what to write as a base URL."""
    out = console()
    out.print(f"listening on {server.url}")
    if out.is_terminal:
        out.print(Text(f"  base URL of an OpenAI client:  {server.base_url()}", style="cyan"))
        out.print(Text(f"  of one transcript:             {server.url}/case/NAME/v1", style="cyan"))
        out.print(Text("  Ctrl-C stops the server", style="dim"))
    sys.stdout.flush()


def allow_many_connections() -> None:
    """Raise the number of files that this process may open, as far as the system lets it; each stream needs one."""
    try:
        import resource
    except ImportError:  # Windows knows no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def wait_for_signal(stack: ExitStack) -> threading.Event:
    """Return an event that the first SIGINT or SIGTERM sets; the second ends the process as it always does."""
    stop = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        stack.callback(signal.signal, number, signal.signal(number, handle))
    return stop


def _closed(file: TextIO) -> None:
    """Close a log; whether it could be written, has been told."""
    with suppress(OSError):
        file.close()


def log_to(stack: ExitStack, path: str | None) -> Callable[[dict[str, Any]], None]:
    """Return what writes a mapping as a line of JSON, at once, to a file or to standard error.

    Raises:
        UsageError: the file cannot be written.
    """
    file: TextIO = sys.stderr
    if path is not None and path != "-":
        check_writable(path)
        file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - the stack closes it
        stack.callback(_closed, file)
    elif path == "-":
        file = sys.stdout
    lock = threading.Lock()

    failed = False

    def log(record: dict[str, Any]) -> None:
        nonlocal failed
        with lock:
            try:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
            except OSError as error:  # a full disk, a closed pipe: the clients are answered all the same
                if not failed:
                    click.echo(f"streamkit: the log cannot be written: {error.strerror or error}", err=True)
                failed = True

    return log
