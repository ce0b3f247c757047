"""What answers a request: the interactions that are served, matched as in replay, and what is said where none does.

Of a URL only path and query count: the host is the server's own. Equal requests are answered in their order; after the
last of them the first comes again, unless the server is told to play each once.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from streamkit.errors import StreamkitError, UsageError
from streamkit.transcript import Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.errors import UnmatchedRequestError

__all__ = [
    "MATCH_ON", "Answers", "Miss", "base_path", "endpoint", "everything", "facts_of", "gathered", "local", "models",
]  # fmt: skip

#: What is compared unless the caller says otherwise.
MATCH_ON = ("method", "path", "query", "json_body")

# API: what its clients take as the end of their base URL, and what they add to it.
_PLACES = {
    "openai_chat": ("/v1", "/chat/completions"),
    "openai_responses": ("/v1", "/responses"),
    "openai_completions": ("/v1", "/completions"),
    "anthropic_messages": ("", "/v1/messages"),
    "cohere_v2": ("", "/v2/chat"),
    "ollama": ("", "/api/chat"),
    "gemini": ("", "/v1beta/models/{model}:streamGenerateContent?alt=sse"),
    "bedrock_converse": ("", "/model/{model}/converse-stream"),
}


def base_path(dialect: str | None) -> str:
    """Return the path that a base URL of an API ends with: "/v1", or none."""
    return _PLACES.get(dialect or "", _PLACES["openai_chat"])[0]


def endpoint(dialect: str | None, model: str = "replayed") -> str:
    """Return what a client of an API adds to its base URL for a stream."""
    return _PLACES.get(dialect or "", _PLACES["openai_chat"])[1].replace("{model}", model)


def gathered(sources: Any, folder: str | Path | None = None) -> list[Transcript]:
    """Return the transcripts that are to be served.

    Args:
        sources: transcripts, names, paths of cassettes, bodies or folders of them.
        folder: the project's cassettes, for names; as in `streamkit.load`.

    Raises:
        CassetteError: one cannot be found or read.
    """
    from streamkit.cassettes import load, load_cassette
    from streamkit.cassettes.library import find

    listed = [sources] if isinstance(sources, Transcript | str | Path) else list(sources)
    found: list[Transcript] = []
    for source in listed:
        if isinstance(source, Transcript):
            found.append(source)
        elif Path(source).is_dir():
            files = sorted(p for p in Path(source).rglob("*") if p.suffix in (".yaml", ".yml", ".sse") and p.is_file())
            if not files:
                raise UsageError(f"the folder {source} holds no cassette (.yaml) and no body (.sse)")
            found.extend(one for file in files for one in gathered(str(file), folder))
        elif "#" in str(source) or Path(source).suffix == ".sse":
            found.append(load(source, folder=folder))
        else:
            path = find(str(source), folder=folder)
            if path.suffix == ".sse":
                found.append(load(source, folder=folder))
                continue
            count = len(load_cassette(path, name=str(source)).transcripts)
            named = [str(source)] if count == 1 else [f"{source}#{number}" for number in range(1, count + 1)]
            found.extend(load(name, folder=folder) for name in named)
    return found


def everything(folder: str | Path | None = None) -> list[Transcript]:
    """Return all transcripts that can be named, without those of files that cannot be read.

    Args:
        folder: the project's cassettes; as in `streamkit.load`.
    """
    from streamkit.cassettes import names

    found: list[Transcript] = []
    for name in names(folder=folder):
        with suppress(StreamkitError):  # `streamkit lint` tells what is wrong with it
            found.extend(gathered(name, folder))
    return found


@dataclass(frozen=True)
class Miss:
    """Why nothing answers a request.

    Attributes:
        message: for people.
        facts: reason, nearest interaction and differences, for programs.
    """

    message: str
    facts: dict[str, Any]


class Answers:
    """The interactions that a server serves. May be used from several threads.

    Args:
        transcripts: with the requests that they answered; one without a request answers any POST. Or a function that
            returns them, called when the first is needed.
        match_on: what is compared, as in `streamkit.use_cassette`.
        ignore_json: JSON paths of the body that may differ.
        repeats: whether to begin again where all equal interactions were played.

    Raises:
        UsageError: there is no such matcher, or a JSON path cannot be read.
    """

    def __init__(
        self,
        transcripts: Sequence[Transcript] | Callable[[], Sequence[Transcript]],
        *,
        match_on: Sequence[str] = MATCH_ON,
        ignore_json: Sequence[str] = (),
        repeats: bool = True,
    ) -> None:
        from streamkit.cassettes.redaction import Redactor

        self._given = transcripts
        self._match_on = tuple(match_on)
        self._ignore = tuple(ignore_json)
        self._repeats = repeats
        self._played: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._redactor = Redactor()
        self._matchers = _matchers(self._match_on, self._ignore)

    @property
    def listed(self) -> Sequence[Transcript]:
        """What was named to be served; none where all is served that can be named."""
        return () if callable(self._given) else self._given

    @cached_property
    def transcripts(self) -> list[Transcript]:
        """What is served."""
        return list(self._given() if callable(self._given) else self._given)

    @cached_property
    def _recorded(self) -> list[Any]:
        from streamkit.replay import conversion

        return [
            conversion.vcr_request(self._redactor.request(one.request)) if one.request is not None else None
            for one in self.transcripts
        ]

    def without_secrets(self, request: Request) -> Request:
        """Return a request as it may be written down."""
        return self._redactor.request(request)

    def find(self, request: Request) -> Transcript | Miss:
        """Return what answers a request, or why nothing does."""
        from streamkit.replay import conversion

        sent = conversion.vcr_request(self.without_secrets(request))
        with self._lock:
            recorded = self._recorded
            fitting = [number for number, other in enumerate(recorded) if self._fits(sent, other)]
            if fitting and (self._repeats or any(not self._played[number] for number in fitting)):
                number = min(fitting, key=lambda one: (self._played[one], one))
                self._played[number] += 1
                return self.transcripts[number]
            missed = self._missing(sent, recorded)
        return Miss(_advised(missed), facts_of(missed))

    def _fits(self, sent: Any, recorded: Any) -> bool:
        if recorded is None:
            return bool(sent.method == "POST")
        for matcher in self._matchers:
            try:
                if matcher(sent, recorded) is False:
                    return False
            except AssertionError:
                return False
        return True

    def _missing(self, sent: Any, recorded: Sequence[Any]) -> UnmatchedRequestError:
        from streamkit.replay.matching import miss

        known = [(one, bool(self._played[number])) for number, one in enumerate(recorded) if one is not None]
        names = list(dict.fromkeys(one.name or "a transcript made in code" for one in self.transcripts))
        return miss(
            sent,
            known,
            self._matchers,
            path=names[0] if len(names) == 1 else f"the {len(names)} cassettes that are served",
            exists=True,
            mode="none",
            how="streamkit record --upstream URL --cassette NAME",
        )


def _matchers(names: tuple[str, ...], ignore: tuple[str, ...]) -> list[Any]:
    from vcr import matchers as of_vcrpy

    from streamkit.replay.matching import json_body

    known = {
        name: getattr(of_vcrpy, name)
        for name in ("method", "path", "query", "body", "raw_body", "headers")
        if hasattr(of_vcrpy, name)
    }
    known["json_body"] = json_body(ignore)
    for name in names:
        if name not in known:
            raise UsageError(f"match_on names no matcher {name!r}; there are: {', '.join(sorted(known))}")
    return [known[name] for name in names]


def _advised(error: UnmatchedRequestError) -> str:
    """Return what a miss says, with what the user of a server can do about it."""
    told, _, _ = str(error).partition("\nWhat to do:")
    told, _, _ = told.partition("\nTo record it:")
    return (
        f"{told}\nWhat to do:\n"
        "  - to get one transcript whatever is asked: a base URL that ends with /case/NAME/v1\n"
        "  - to compare less: --match-on method,path, or --ignore-json PATH\n"
        "  - to record it: streamkit record --upstream URL --cassette NAME"
    )


def facts_of(error: UnmatchedRequestError) -> dict[str, Any]:
    """Return what programs may want to know of a miss: reason, nearest interaction, differences."""
    facts: dict[str, Any] = {"reason": str(error.reason)}
    if error.nearest is not None:
        facts["nearest"] = {"method": error.nearest[0], "url": error.nearest[1]}
    if error.differences:
        facts["differences"] = list(error.differences)
    return facts


def models(transcripts: Sequence[Transcript], path: str, *, anthropic: bool = False) -> tuple[ResponseHead, bytes]:
    """Return the answer to a question for the models: those that the recorded requests name.

    Args:
        transcripts: what is served.
        path: of the request, which may name one model.
        anthropic: in the shape of Anthropic's API.
    """
    listed: list[dict[str, Any]]
    names = sorted({name for one in transcripts if (name := _model(one))}) or ["replayed"]
    wanted = path.partition("/models/")[2]
    if anthropic:
        listed = [{"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
                  for name in names]  # fmt: skip
        whole: dict[str, Any] = {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    elif path.endswith("/api/tags"):
        listed = [{"name": name, "model": name} for name in names]
        whole = {"models": listed}
    else:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "streamkit"} for name in names]
        whole = {"object": "list", "data": listed}
    one = next((one for one, name in zip(listed, names, strict=True) if wanted == name), None)
    if wanted and one is None:
        one = {**listed[0], **{key: wanted for key in ("id", "name") if key in listed[0]}}
    body = json.dumps(one if wanted else whole).encode()
    return ResponseHead(200, "OK", (("content-type", "application/json"),)), body


def _model(transcript: Transcript) -> str | None:
    return _model_of(transcript.request.body) if transcript.request is not None else None


@lru_cache(maxsize=256)
def _model_of(body: bytes) -> str | None:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return None
    name = sent.get("model") if isinstance(sent, dict) else None
    return name if isinstance(name, str) else None


def local(url: str, target: str) -> str:
    """Return the URL of a request: the server's own, with the target that came (a path, or a whole URL)."""
    parts = urlsplit(target)
    own = urlsplit(url)
    return urlunsplit((own.scheme, own.netloc, parts.path or "/", parts.query, ""))
