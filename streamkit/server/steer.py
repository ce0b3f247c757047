"""What a request itself asks of the replay server, so that an unmodified client can be steered.

By its base URL, `http://127.0.0.1:8000/case/WHAT/v1`, or by the header `x-streamkit: WHAT`. WHAT is the token of a case
or the name of a transcript, and conduct on the wire (`streamkit.server.How`), with semicolons between them:

    /case/sk1:openai_chat/boston_weather@bc7d72dd69d9:99,100/v1
    /case/openai_chat/boston_weather;cuts=99,100;reset=300/v1
    /case/status=429;retry_after=2;first=1/v1

What a path cannot hold is percent-encoded; slashes may be. `cuts=` and `mutations=` make a case of a name.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from streamkit.case import Case, Token, mutated
from streamkit.errors import CassetteError, UsageError
from streamkit.mutations.registry import Step
from streamkit.server.how import PLAIN, How
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.transcript import Transcript

__all__ = ["HEADER", "PREFIX", "Steering", "case_path", "read_header", "read_path", "split_case"]

HEADER = "x-streamkit"
PREFIX = "/case/"

_TOKEN = re.compile(r"sk1:[^@:\s;]*@[0-9a-f]{12}:(?:[0-9,-]+|whole)(?::[\w.,()+]+)?")
_MOST_PARTS = 8  # of a name with slashes


@dataclass(frozen=True)
class Steering:
    """What a request asks for.

    Attributes:
        case: the case to deliver; None for what matches the request.
        offer: the id of an offer, or "".
        how: the conduct on the wire.
        text: as it was written.
    """

    case: Case | None = None
    offer: str = ""
    how: How = PLAIN
    text: str = ""


def read_path(target: str, find: Callable[[str], Transcript | None]) -> tuple[Steering, str]:
    """Return what a request target asks for, and the rest of it, which the API knows.

    Args:
        target: path and query, as sent.
        find: returns the transcript of a name, or None.

    Raises:
        UsageError: it asks for something that is not there; the message says what to write.
    """
    if not target.startswith(PREFIX):
        return Steering(), target
    path, mark, query = target.partition("?")
    parts = path[len(PREFIX) :].split("/")
    for count in range(1, min(len(parts), _MOST_PARTS) + 1):
        text = unquote("/".join(parts[:count]))
        what = text.partition(";")[0]
        rest = "/".join(["", *parts[count:]]) + mark + query
        if what.startswith("sk1:"):
            if _TOKEN.fullmatch(what) is None and count < len(parts):
                continue  # the slashes of its name
        elif not what or ("=" not in what and not what.startswith("~") and find(what) is None):
            continue
        return split_case(text, find), rest
    hint = _near(*(unquote("/".join(parts[:count])).partition(";")[0] for count in (1, 2, 3)))
    raise UsageError(
        f"the path {path[:80]!r} names no case; {hint} After {PREFIX} comes a token, the name of a transcript, or "
        "conduct such as reset=300, and then the path of the API"
    )


def read_header(value: str | None, find: Callable[[str], Transcript | None]) -> Steering:
    """Return what the header of a request asks for; errors as for `read_path`.

    It is the text of a path: a header that came as UTF-8 was read as Latin-1, and what no header can hold is
    percent-encoded.
    """
    if value is None:
        return Steering()
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    try:
        return split_case(value, find)
    except UsageError:
        if unquote(value) == value:
            raise
    return split_case(unquote(value), find)


def split_case(text: str, find: Callable[[str], Transcript | None]) -> Steering:
    """Return what a text asks for: token or name, and conduct; errors as for `read_path`."""
    parts = [part.strip() for part in text.split(";")]
    named = "=" not in parts[0] or (not How.knows(parts[0]) and find(parts[0]) is not None)
    what = parts.pop(0) if named else ""
    cuts = steps = None
    conduct = []
    for part in parts:
        name, _, value = part.partition("=")
        if name == "cuts":
            cuts = value
        elif name == "mutations":
            steps = tuple(Step.parse(step) for step in re.split(r"\+", value) if step)
        else:
            conduct.append(part)
    how = How.parse(";".join(conduct))
    if what.startswith("~"):
        if cuts or steps:
            raise UsageError("an offer has its cuts already: leave out cuts= and mutations=")
        return Steering(None, what[1:], how, text)
    if not what:
        if cuts or steps:
            raise UsageError("cuts= and mutations= need the name of a transcript before them: NAME;cuts=99,100")
        return Steering(None, "", how, text)
    return Steering(_case(what, cuts, steps, find), "", how, text)


def _case(
    what: str, cuts: str | None, steps: tuple[Step, ...] | None, find: Callable[[str], Transcript | None]
) -> Case:
    if what.startswith("sk1:"):
        if cuts or steps:
            raise UsageError("a token has its cuts and mutations in itself: leave out cuts= and mutations=")
        token = Token.parse(what)
        return token.case(_of_token(token.name, find))
    transcript = _named(what, find)
    body = mutated(transcript, steps or ()).body
    if cuts is None:
        cut = Fragmentation.per_event(body) if steps else transcript.recorded  # recorded chunks fit no mutated body
    else:
        cut = Fragmentation.drip(body) if cuts == "drip" else Fragmentation.parse(cuts)
        cut.chunks(body)  # cuts beyond the body are told now
    return Case(transcript, cut, steps or ())


def _of_token(name: str, find: Callable[[str], Transcript | None]) -> Transcript:
    """Return the transcript that a token names, a path too: its digest says that whoever asks has it already."""
    transcript = find(name)
    if transcript is not None:
        return transcript
    from streamkit.cassettes import load

    try:
        return load(name)  # says which names are near
    except CassetteError as error:
        raise UsageError(str(error)) from None


def _named(name: str, find: Callable[[str], Transcript | None]) -> Transcript:
    transcript = find(name)
    if transcript is None:
        raise UsageError(f"no transcript named {name!r} is served; {_near(name)}")
    return transcript


def _near(*given: str) -> str:
    from streamkit.cassettes import names

    near = [other for name in given for other in difflib.get_close_matches(name, names(), 1, 0.75)]
    return f"did you mean {near[-1]!r}?" if near else "`streamkit list` shows the names."


def case_path(text: str) -> str:
    """Return the path that steers a client to a token, a name or conduct: `/case/...`, percent-encoded."""
    return PREFIX + quote(text, safe=":@,;=()~.+-")
