"""`streamkit record`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
from rich.text import Text

from streamkit.cli.common import console, debug_option
from streamkit.cli.headers import headers_of, variable
from streamkit.cli.serve import log_to, wait_for_signal
from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

    from streamkit.server import RecordingProxy

__all__ = ["record"]


@click.command()
@click.option("--upstream", required=True, metavar="URL", help="The provider: https://api.openai.com, ...")
@click.option("--cassette", required=True, metavar="NAME", help="Name or path of the cassette to record into.")
@click.option(
    "--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Port 0 takes a free one."
)
@click.option(
    "--record-mode", type=click.Choice(["none", "once", "new_episodes", "all", "rewrite"]), default="once",
    show_default=True, help="once records where there is no cassette yet and replays where there is one; new_episodes "
    "replays what it can and records the rest; all records everything; rewrite begins anew; none only replays.",
)  # fmt: skip
@click.option(
    "--api-key-env", default=None, metavar="VARIABLE",
    help="Send the API key in this environment variable upstream, whatever key the client has.",
)  # fmt: skip
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
    help="Send this header upstream, instead of the client's of that name. May be given several times.",
)  # fmt: skip
@click.option("--match-on", default=None, metavar="NAMES",
              help="What is compared on replay.  [default: method,host,path,query,json_body]")  # fmt: skip
@click.option("--ignore-json", multiple=True, metavar="PATH", help="JSON path of the body that may differ.")
@click.option("--repeats", is_flag=True, help="Replay an interaction as often as it is asked for, not only once.")
@click.option("--speed", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Of replay: 0 for at once, 1 for the recorded times.")  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True, metavar="SECONDS",
    help="For an answer of the upstream to begin, and for each piece of it.",
)  # fmt: skip
@click.option("--log", "log_file", default=None, metavar="FILE", help="Write the log there; standard error without it.")
@debug_option
def record(
    upstream: str,
    cassette: str,
    listen: str,
    record_mode: str,
    api_key_env: str | None,
    headers: tuple[str, ...],
    match_on: str | None,
    ignore_json: tuple[str, ...],
    repeats: bool,
    speed: float,
    timeout: float,
    log_file: str | None,
) -> int:
    """Record what clients in any language receive, by a proxy between them and the provider.

    Point a client's base URL at the proxy. Requests go to the upstream and answers come back unchanged, piece by piece,
    and each is in the cassette, without secrets, as soon as it has ended. What the cassette answers is not sent.

    In the value of --header, $VARIABLE and ${VARIABLE} stand for the environment's, and $$ for a dollar: write it in
    single quotes. Neither it nor the key is logged or recorded.
    """
    from streamkit.cassettes.redaction import Redaction
    from streamkit.replay.matching import MATCH_ON
    from streamkit.server import RecordingProxy
    from streamkit.server.upstream import Patience

    host, port = _address(listen)
    given, secret = headers_of(headers)
    with ExitStack() as stack:
        proxy = RecordingProxy(
            upstream,
            cassette,
            host=host,
            port=port,
            record_mode=record_mode,
            match_on=[name.strip() for name in match_on.split(",")] if match_on is not None else MATCH_ON,
            ignore_json=ignore_json,
            repeats=repeats,
            speed=speed,
            redaction=Redaction(headers=secret),
            key=variable(api_key_env, "--api-key-env") if api_key_env is not None else "",
            headers=given,
            patience=Patience(read=timeout),
            log=log_to(stack, log_file),
        )
        stop = wait_for_signal(stack)
        proxy.start()
        try:
            _say(proxy)
            while not stop.wait(0.2):  # with a time, for the kernel may give the signal to another thread
                pass
        finally:
            proxy.close()
    click.echo(f"{proxy.cassette.path}: {_counted(proxy.answers)}")
    return 0


def _address(text: str) -> tuple[str, int]:
    """Return host and port of `--listen`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f"--listen is {text!r}: write HOST:PORT, such as 127.0.0.1:8080; port 0 takes a free one")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _say(proxy: RecordingProxy) -> None:
    """Print the readiness line; on a terminal, also what to write as a base URL."""
    out = console()
    out.print(f"listening on {proxy.url}")
    if out.is_terminal:
        out.print(Text(f"  base URL of an OpenAI client:  {proxy.base_url()}", style="cyan"))
        out.print(Text(f"  of others:                     {proxy.url}", style="cyan"))
        does = "records" if proxy.records else "replays, and records nothing:"
        out.print(Text(f"  it {does} {proxy.cassette.path}; Ctrl-C stops it", style="dim"))
    sys.stdout.flush()


def _counted(answers: Counter[str]) -> str:
    """Return what was done with the requests, in words."""
    words = {
        "recorded": "recorded", "replayed": "replayed", "unmatched": "not in the cassette",
        "no_answer": "without an answer", "nothing": "given up", "error": "unreadable",
    }  # fmt: skip
    return ", ".join(f"{answers[name]} {word}" for name, word in words.items() if answers[name]) or "no request came"
