"""What `streamkit chat` talks to: a provider, or a cassette that plays it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from streamkit.conversation import Conversation, Functions
    from streamkit.transcript import Interaction

__all__ = ["Setting", "live", "replayed"]

_PATHS = {"chat": "/chat/completions", "responses": "/responses"}
_SYSTEM = ("system", "developer")


@dataclass
class Setting:
    """A client, its model, and what is known beforehand.

    Attributes:
        model: its name.
        api: "chat" or "responses".
        client: of the openai library; see `enter`.
        legacy: `functions` and not `tools` are sent.
        options: further parameters of each request.
        functions: that the model may call.
        system: a system message, or None.
        questions: of a replay: what was asked when it was recorded.
        context: the cassette that plays or records, or None.
        written: the cassette that is recorded, or None.
    """

    model: str
    api: str
    base_url: str | None
    key: str
    legacy: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    functions: Functions | None = None
    system: str | None = None
    questions: list[str] = field(default_factory=list)
    context: Any = None
    written: Path | None = None
    client: Any = None

    @property
    def is_replay(self) -> bool:
        """Whether a cassette plays the provider."""
        return self.context is not None and self.written is None

    def enter(self, stack: ExitStack) -> None:
        """Open the cassette and the client, for as long as the stack is."""
        import openai

        if self.context is not None:
            stack.enter_context(self.context)
        self.client = stack.enter_context(openai.OpenAI(api_key=self.key, base_url=self.base_url))

    def conversation(self, **settings: Any) -> Conversation:
        """Return the conversation."""
        from streamkit.conversation import Conversation
        from streamkit.replay.clock import VirtualClock

        return Conversation(
            self.client, self.model, functions=self.functions, api=self.api, legacy=self.legacy,
            clock=VirtualClock() if self.is_replay else None,  # nobody waits for a server that is not there
            **settings, **self.options,
        )  # fmt: skip

    def first_messages(self) -> list[Any]:
        """Return the messages before the first question."""
        return [{"role": "system", "content": self.system}] if self.system else []

    def greeting(self) -> list[str]:
        """Return what a terminal shows first."""
        names = ", ".join(one.name for one in self.functions or ())
        told = [f"{self.model}" + (f", which may call {names}" if names else "")]
        if self.is_replay:
            told.append("replayed: an empty line asks what was asked when it was recorded")
            told += [f"  {question.replace(chr(10), ' / ')}" for question in self.questions]
        if self.written is not None:
            told.append(f"recorded in {self.written}")
        return [*told, "Ctrl-C ends an answer, Ctrl-D the conversation; end a line with \\ to go on"]


def live(
    model: str | None,
    *,
    base_url: str | None,
    api_key_env: str,
    api: str,
    system: str | None,
    functions: str | None,
    legacy: bool,
    record: str | None,
) -> Setting:
    """Return the setting of a conversation with a provider.

    Raises:
        UsageError: there is no model, no key or no base URL that can be used, the functions cannot be loaded, or the
            cassette is there already or cannot be written.
    """
    from streamkit.conversation.loading import load_functions

    if model is None:
        raise UsageError("which model? --model NAME; or, with no key, --cassette conversations/weather_in_boston")
    setting = Setting(
        model, api, _base_url(base_url), _key(api_key_env), legacy=legacy, system=system,
        functions=load_functions(functions) if functions is not None else None,
        options={"stream_options": {"include_usage": True}} if api == "chat" else {},
    )  # fmt: skip
    if record is not None:
        from streamkit.replay.use import cassette_path, use_cassette

        path = cassette_path(record)
        if path.exists():
            raise UsageError(f"{path} is there already: name another, or remove it")
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):  # said before the conversation, not after it
            raise UsageError(f"{path} cannot be written: {above} is no folder that you may write to")
        setting.written, setting.context = path, use_cassette(path, record_mode="once")
    return setting


def replayed(cassette: str, *, model: str | None, functions: str | None) -> Setting:
    """Return the setting of a conversation that a cassette plays.

    What was recorded of the messages is compared; which model and functions were sent then, is not.

    Raises:
        UsageError: the cassette holds no conversation, or the functions cannot be loaded.
        CassetteError: it cannot be found or read.
    """
    from streamkit.cassettes import find, load_cassette
    from streamkit.conversation.examples import functions as examples
    from streamkit.conversation.loading import load_functions
    from streamkit.replay.use import use_cassette

    path = find(cassette)
    if path.suffix == ".sse":
        raise UsageError(f"{cassette} is a bare body: a conversation needs a cassette, which holds the requests")
    interactions = [one for one in load_cassette(path, name=cassette).interactions if _api(one) is not None]
    if not interactions:
        raise UsageError(f"{cassette} holds no request to Chat Completions or Responses")
    api = str(_api(interactions[0]))
    bodies = [_body(one) for one in interactions]
    questions = _questions(bodies)
    if not questions:  # so no message could be answered
        raise UsageError(f"{cassette} holds no question that can be asked here: a request whose last message is a text")
    url = interactions[0].request.url.partition("?")[0].removesuffix(_PATHS[api])
    first = _messages(bodies[0])
    recorded = first[0].get("content") if first and first[0].get("role") in _SYSTEM else None
    keys = {key for body in bodies for key in body} | {"tools", "functions", "model"}
    return Setting(
        model or str(bodies[0].get("model")), api, url, "replayed", legacy="functions" in bodies[0],
        functions=load_functions(functions) if functions is not None else examples,
        system=recorded if isinstance(recorded, str) else None,
        questions=questions,
        context=use_cassette(
            path, record_mode="none", match_on=("method", "host", "path", "json_body"),  # a query is the client's own
            ignore_json=[f"$.{key}" for key in sorted(keys - {"messages", "input"})],
        ),
    )  # fmt: skip


def _api(interaction: Interaction) -> str | None:
    path = interaction.request.url.partition("?")[0]
    return next((api for api, end in _PATHS.items() if path.endswith(end)), None)


def _body(interaction: Interaction) -> dict[str, Any]:
    try:
        body = json.loads(interaction.request.body)
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    told = body.get("messages") or body.get("input")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _question(body: dict[str, Any]) -> str:
    """Return what the user asks in a request that begins an answer; "" in one that goes on with it."""
    last = (_messages(body) or [{}])[-1]
    content = last.get("content")
    return content if last.get("role") == "user" and isinstance(content, str) else ""


def _questions(bodies: list[dict[str, Any]]) -> list[str]:
    """Return what was asked, in its order; a request that is made again, as in a retry, asks nothing new."""
    asked: list[str] = []
    before: list[dict[str, Any]] = []
    for body in bodies:
        messages = _messages(body)
        if messages != before and (question := _question(body)):
            asked.append(question)
        before = messages
    return asked


def _base_url(told: str | None) -> str | None:
    """Return the base URL; None for that of the library.

    Raises:
        UsageError: it is none.
    """
    name, url = ("--base-url", told) if told is not None else ("OPENAI_BASE_URL", os.environ.get("OPENAI_BASE_URL"))
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{name} is {url!r}, which is no base URL: write it like http://127.0.0.1:8080/v1")
    return url


def _key(variable: str) -> str:
    """Return the key that an environment variable holds.

    Raises:
        UsageError: it holds none, or what no header can carry.
    """
    key = os.environ.get(variable, "").strip()  # files of variables leave a line end, or a CR
    if not key:
        raise UsageError(
            f"there is no key in {variable}: set it, name another with --api-key-env, or try it without one: "
            "streamkit chat --cassette conversations/weather_in_boston"
        )
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the key in {variable} holds a character that no header can carry: copy it once more")
    return key
