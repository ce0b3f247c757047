"""`streamkit chat`: a conversation with functions on a terminal, live or replayed."""

from __future__ import annotations

import io
import sys
import traceback
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from streamkit.cli.common import State, console, debug_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.cli.chat_setting import Setting
    from streamkit.conversation import Answer, Call, Outcome, Retry

__all__ = ["chat"]


@click.command()
@click.option("--model", default=None, help="The model's name.")
@click.option("--base-url", default=None, help="Base URL of the API.  [default: $OPENAI_BASE_URL, or OpenAI's]")
@click.option(
    "--api-key-env", default="OPENAI_API_KEY", show_default=True, metavar="NAME",
    help="Environment variable that holds the key.",
)  # fmt: skip
@click.option("--api", type=click.Choice(["chat", "responses"]), default=None, help="The API.  [default: chat]")
@click.option("--system", default=None, metavar="TEXT", help="A system message to begin with.")
@click.option("--functions", default=None, metavar="MODULE[:ATTRIBUTE]", help="What the model may call.")
@click.option("--legacy", is_flag=True, help="Send `functions`, not `tools`: for servers that know no other.")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
    help="For one function.",
)  # fmt: skip
@click.option(
    "--max-rounds", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Requests for one answer."
)
@click.option("--cassette", default=None, metavar="NAME", help="Replay this conversation: no key, no network.")
@click.option("--record", default=None, metavar="NAME", help="Keep the conversation as a cassette.")
@debug_option
@click.pass_obj
def chat(
    state: State,
    model: str | None,
    base_url: str | None,
    api_key_env: str,
    api: str | None,
    system: str | None,
    functions: str | None,
    legacy: bool,
    time_limit: float,
    max_rounds: int,
    cassette: str | None,
    record: str | None,
) -> int:
    """Talk to a model that may call functions: live, or replayed from a cassette.

    Content is shown as it comes, and each call with its result. A line is a message. Ctrl-C ends the answer that is
    under way, Ctrl-D the conversation. In a pipe each line of standard input is a message, and the output is plain.
    """
    from streamkit.cli.chat_setting import live, replayed

    if cassette is not None:
        setting = replayed(cassette, model=model, system=system, functions=functions, record=record)
    else:
        setting = live(
            model, base_url=base_url, api_key_env=api_key_env, api=api or "chat", system=system, functions=functions,
            legacy=legacy, record=record,
        )  # fmt: skip
    with ExitStack() as stack:
        setting.enter(stack)
        return _Loop(setting, _Screen(), time_limit=time_limit, max_rounds=max_rounds, debug=state.debug).run()


class _Screen:
    """The terminal, or a pipe."""

    def __init__(self) -> None:
        self._out = console()
        self.is_terminal = self._out.is_terminal and sys.stdin.isatty()
        self._begun = False  # a line that is not ended

    def say(self, text: str) -> None:
        """Show a piece of content at once."""
        if self._out.is_terminal:
            self._out.print(Text(_visible(text)), end="")
        else:
            click.echo(text, nl=False)
            sys.stdout.flush()
        self._begun = not text.endswith("\n") if text else self._begun

    def line(self, text: str, style: str = "") -> None:
        """Show a line of its own."""
        self.end_line()
        self._out.print(Text(_visible(text), style=style))

    def fault(self, text: str) -> None:
        """Show an error, on standard error."""
        self.end_line()
        console(err=True).print(Text(f"streamkit: error: {_visible(text)}", style="red"))

    def end_line(self) -> None:
        """End a line of content, if one is begun."""
        if self._begun:
            click.echo()
        self._begun = False

    def lines(self) -> Iterator[str | None]:
        """Yield what is typed, line by line; None for Ctrl-C."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        if not self.is_terminal:
            yield from (line.rstrip("\r\n") for line in sys.stdin)
            return
        with suppress(ImportError):
            import readline  # noqa: F401 - input() then edits lines and remembers them
        while True:
            try:
                yield input("> ")
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                click.echo()
                yield None


def _visible(text: str) -> str:
    """Return a text without what would steer a terminal: a model may say anything."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode() for one in text)


class _Loop:
    """The main loop."""

    def __init__(self, setting: Setting, screen: _Screen, *, time_limit: float, max_rounds: int, debug: bool) -> None:
        self._setting = setting
        self._screen = screen
        self._debug = debug
        self._conversation = setting.conversation(
            time_limit=time_limit,
            max_rounds=max_rounds,
            on_call=self._show_call,
            on_result=self._show_result,
            on_retry=self._show_retry,
            on_restart=lambda: screen.line("(the answer begins again)", "bright_black"),
        )
        self._messages: list[Any] = setting.first_messages()

    def run(self) -> int:
        """Talk until the input ends, and return the exit code: 2 where an answer of a pipe failed."""
        screen, code = self._screen, 0
        if screen.is_terminal:
            self._greet()
        for line in screen.lines():
            if line is None:
                screen.line("(Ctrl-D ends the conversation)", "bright_black")
                continue
            asked = line.strip() or self._next_question()
            if not asked:
                continue
            if not line.strip():
                screen.line(f"> {asked}")
            code = max(code, self._answer(asked))
        return 0 if screen.is_terminal else code

    def _next_question(self) -> str:
        """Return what was asked at this place when it was recorded; "" where there is nothing."""
        asked = sum(one.get("role") == "user" for one in self._messages)
        return next(iter(self._setting.questions[asked:]), "")

    def _greet(self) -> None:
        for line in self._setting.greeting():
            self._screen.line(line, "bright_black")

    def _answer(self, asked: str) -> int:
        question = {"role": "user", "content": asked}
        self._messages.append(question)
        answer = self._conversation.get_response(self._messages)
        try:
            for piece in answer:
                self._screen.say(piece)
        except KeyboardInterrupt:
            if not self._screen.is_terminal:
                raise
            self._screen.line("(ended)", "bright_black")
        except BrokenPipeError:  # whoever read the output has gone
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client, a provider or a cassette says
            if self._debug:
                traceback.print_exception(error)
            self._screen.fault(_told(error))
            return 2
        else:
            self._finish(answer)
        finally:
            answer.close()
            if self._messages[-1] is question:  # it was not answered: ask again, or something else
                self._messages.pop()
        return 0

    def _finish(self, answer: Answer) -> None:
        if answer.refusal:
            self._screen.line(answer.refusal, "yellow")
        if answer.finish_reason in ("length", "max_output_tokens", "content_filter"):
            self._screen.line(f"(cut off: {answer.finish_reason})", "yellow")
        self._screen.end_line()
        total = answer.usage.get("total_tokens")
        if total is not None and self._screen.is_terminal:
            self._screen.line(f"({total} tokens)", "bright_black")

    def _show_call(self, call: Call) -> None:
        self._screen.line(f"  {call.name}({' '.join(call.arguments.split())})", "cyan")

    def _show_result(self, outcome: Outcome) -> None:
        text = " ".join(outcome.text.split())
        shown = text if len(text) <= 500 else text[:500] + "..."
        self._screen.line(f"  = {shown}", "green" if outcome.ok else "red")

    def _show_retry(self, retry: Retry) -> None:
        self._screen.line(f"(again in {retry.seconds:g} s: {_told(retry.error)})", "bright_black")


def _told(error: BaseException) -> str:
    from streamkit.errors import StreamkitError

    text = " ".join(str(error).split())
    return text if isinstance(error, StreamkitError) else f"{type(error).__name__}: {text}"
