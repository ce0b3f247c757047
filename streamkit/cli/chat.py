"""`streamkit chat`: a conversation with functions on a terminal, live or replayed."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from streamkit.cli.chat_screen import Screen
from streamkit.cli.common import State, debug_option, ends_like_ctrl_c
from streamkit.errors import RetriesExhaustedError, StreamkitError, UnmatchedRequestError, UsageError

if TYPE_CHECKING:
    from streamkit.cli.chat_setting import Setting
    from streamkit.conversation import Answer, Call, Outcome, Retry

__all__ = ["chat"]


@click.command()
@click.option("--model", default=None, help="The model's name.")
@click.option("--base-url", default=None, help="Base URL of the API.  [default: $OPENAI_BASE_URL, or OpenAI's]")
@click.option(
    "--api-key-env", default=None, metavar="NAME",
    help="Environment variable that holds the key.  [default: OPENAI_API_KEY]",
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
    api_key_env: str | None,
    api: str | None,
    system: str | None,
    functions: str | None,
    legacy: bool,
    time_limit: float,
    max_rounds: int,
    cassette: str | None,
    record: str | None,
) -> int:
    r"""Talk to a model that may call functions: live, or replayed from a cassette.

    Content is shown as it comes, and each call with its result. A line is a message; one that ends in a backslash goes
    on in the next, and several that are pasted into a terminal are one message. Ctrl-C ends the answer that is under
    way, Ctrl-D the conversation. In a pipe each line of standard input is a message, and the output is plain.
    """
    from streamkit.cli.chat_setting import live, replayed

    if cassette is not None:
        ours = {
            "--record": record, "--base-url": base_url, "--api-key-env": api_key_env, "--api": api, "--system": system,
            "--legacy": legacy or None,
        }  # fmt: skip
        for option, value in ours.items():
            if value is not None:
                raise UsageError(f"{option} is for a live conversation: what --cassette replays was recorded as it is")
        setting = replayed(cassette, model=model, functions=functions)
    else:
        setting = live(
            model, base_url=base_url, api_key_env=api_key_env or "OPENAI_API_KEY", api=api or "chat", system=system,
            functions=functions, legacy=legacy, record=record,
        )  # fmt: skip
    with ends_like_ctrl_c() as ended, ExitStack() as stack:  # what was recorded is kept then, too
        setting.enter(stack)
        return _Loop(setting, Screen(ended), time_limit=time_limit, max_rounds=max_rounds, debug=state.debug).run()


class _Loop:
    """The main loop."""

    def __init__(self, setting: Setting, screen: Screen, *, time_limit: float, max_rounds: int, debug: bool) -> None:
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
        self._asked = 0  # of what was asked when it was recorded

    def run(self) -> int:
        """Talk until the input ends, and return the exit code: 2 where an answer of a pipe failed."""
        screen, code = self._screen, 0
        if screen.is_terminal:
            self._greet()
        for typed in screen.messages():
            if typed is None:
                screen.line("(Ctrl-D ends the conversation)", "bright_black")
                continue
            asked = typed.strip() or self._next_question()
            if not asked:
                if screen.is_terminal and self._setting.is_replay:
                    screen.line("(nothing more was asked when it was recorded)", "bright_black")
                continue
            if not typed.strip():
                screen.line(f"> {asked}")
            if asked == self._next_question():
                self._asked += 1  # also where the answer fails, for it did so when it was recorded
            code = max(code, self._answer(asked))
        return 0 if screen.is_terminal else code

    def _next_question(self) -> str:
        """Return what was asked next when it was recorded; "" where there is nothing."""
        return next(iter(self._setting.questions[self._asked :]), "")

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
            if self._screen.ended.is_set() or not self._screen.is_terminal:
                raise
            self._screen.line("(ended)", "bright_black")
        except BrokenPipeError:  # whoever read the output has gone
            raise
        except Exception as error:  # noqa: BLE001 - whatever a client, a provider or a cassette says
            if self._debug:
                traceback.print_exception(error)
            self._screen.fault(self._unanswered(error))
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
        elif not answer.text and not answer.refusal and self._screen.is_terminal:
            self._screen.line("(no text)", "bright_black")
        self._screen.end_line()
        total = answer.usage.get("total_tokens")
        if total is not None and self._screen.is_terminal:
            self._screen.line(f"({total} tokens)", "bright_black")

    def _unanswered(self, error: Exception) -> str:
        """Return what is told where there is no answer."""
        if not (self._setting.is_replay and isinstance(error, UnmatchedRequestError)):
            return _told(error)
        all_played = error.reason == "all_played"
        why = "; ".join(error.differences) or ("what equals it was played already" if all_played else str(error))
        more = self._next_question()
        todo = "An empty line asks what was asked next" if more else "Nothing more was asked when it was recorded"
        return f"no recorded interaction answers {error.method} {error.url}: {why}. {todo}"

    def _show_call(self, call: Call) -> None:
        self._screen.line(f"  {call.name}({' '.join(call.arguments.split())})", "cyan")

    def _show_result(self, outcome: Outcome) -> None:
        text = " ".join(outcome.text.split())
        shown = text if len(text) <= 500 else text[:500] + "..."
        self._screen.line(f"  = {shown}", "green" if outcome.ok else "red")

    def _show_retry(self, retry: Retry) -> None:
        self._screen.line(f"(again in {retry.seconds:g} s: {_told(retry.error)})", "bright_black")


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split()).replace("max_rounds=", "--max-rounds")
    told = text if isinstance(error, StreamkitError) else f"{type(error).__name__}: {text}"
    failed = error.__cause__ if isinstance(error, RetriesExhaustedError) else error
    cause = failed.__cause__ if failed is not None else None
    if cause is None or type(failed).__name__ != "APIConnectionError":
        return told
    request = getattr(failed, "request", None)  # the client says "Connection error." alone
    return f"{told} ({getattr(request, 'url', '')}: {type(cause).__name__}: {' '.join(str(cause).split())})"
