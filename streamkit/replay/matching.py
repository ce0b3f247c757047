"""Matching requests to recorded ones: JSON by meaning, and a miss that explains itself.

vcrpy does the matching; here is the matcher that it lacks, and what is said when nothing matches.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from streamkit.errors import UnmatchedRequestError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["MATCH_ON", "MissReason", "json_body", "miss"]

#: What is compared unless the caller says otherwise.
MATCH_ON = ("method", "host", "path", "query", "json_body")

_SHOWN = 8
_LONGEST = 100
_STEP = re.compile(r"\.?(\*|[A-Za-z_][\w-]*)|\[(\d+|\*)\]|\[(['\"])(.+?)\3\]")


class MissReason(StrEnum):
    """Why no recorded interaction answers a request."""

    NO_CASSETTE = "no_cassette"
    EMPTY_CASSETTE = "empty_cassette"
    ALL_PLAYED = "all_played"
    BODY_DIFFERS = "body_differs"
    REQUEST_DIFFERS = "request_differs"
    NOTHING_SIMILAR = "nothing_similar"


Path = tuple[str | int, ...]


def json_body(ignore: Sequence[str] = ()) -> Callable[[Any, Any], None]:
    """Return a matcher for vcrpy that compares bodies by their meaning.

    JSON is compared as values: the order of keys and the form of numbers (1, 1.0, 1e0) make no difference. A form is
    compared by its fields, a multipart body without its boundary, anything else byte for byte.

    Args:
        ignore: JSON paths that may differ, such as "$.user" or "$.messages[*].id"; "*" stands for any key or index.

    Raises:
        UsageError: a path cannot be read.
    """
    ignored = [_parsed_path(path) for path in ignore]

    def json_body(sent: Any, recorded: Any) -> None:
        found = list(_differences(_meaning(sent), _meaning(recorded), ignored))
        if found:
            raise AssertionError("\n".join(found[:_SHOWN]))

    return json_body


def _parsed_path(text: str) -> Path:
    rest = str(text).removeprefix("$")
    steps: list[str | int] = []
    while rest:
        step = _STEP.match(rest)
        if step is None:
            break
        key, index, _, quoted = step.groups()
        steps.append(int(index) if index and index != "*" else quoted or key or "*")
        rest = rest[step.end() :]
    if rest or not steps:
        raise UsageError(f"{text!r} is no JSON path: write it like '$.user' or '$.messages[*].id'")
    return tuple(steps)


class _Opaque:
    """A body that is no JSON, with what it is compared by."""

    def __init__(self, value: object, size: int) -> None:
        self.value = value
        self.size = size


def _body(request: Any) -> bytes:
    body = request.body
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _meaning(request: Any) -> Any:
    body = _body(request)
    kind = next((str(v) for k, v in request.headers.items() if k.lower() == "content-type"), "")
    try:
        return json.loads(body, parse_float=Decimal, parse_int=Decimal) if body.strip() else _Opaque(b"", 0)
    except (ValueError, RecursionError):
        pass
    if "x-www-form-urlencoded" in kind.lower():
        fields = sorted(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        return _Opaque(fields, len(body))
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if boundary is not None:
        return _Opaque(body.replace(boundary[1].strip().encode("latin-1", "replace"), b"(boundary)"), len(body))
    return _Opaque(body, len(body))


def _differences(sent: Any, recorded: Any, ignored: list[Path], place: Path = ()) -> Iterator[str]:
    """Yield a line for each place at which two values differ."""
    if place and any(_fits(place, path) for path in ignored):
        return
    if isinstance(sent, _Opaque) or isinstance(recorded, _Opaque):
        a, b = (v.value if isinstance(v, _Opaque) else v for v in (sent, recorded))
        if type(sent) is not type(recorded) or a != b:
            yield f"the bodies differ: recorded {_named(recorded)}, sent {_named(sent)}"
    elif isinstance(sent, dict) and isinstance(recorded, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            here = (*place, key)
            if key not in sent:
                yield from _one_sided(here, recorded[key], "recorded", ignored)
            elif key not in recorded:
                yield from _one_sided(here, sent[key], "sent", ignored)
            else:
                yield from _differences(sent[key], recorded[key], ignored, here)
    elif isinstance(sent, list) and isinstance(recorded, list):
        for number in range(max(len(sent), len(recorded))):
            here = (*place, number)
            if number >= len(sent):
                yield from _one_sided(here, recorded[number], "recorded", ignored)
            elif number >= len(recorded):
                yield from _one_sided(here, sent[number], "sent", ignored)
            else:
                yield from _differences(sent[number], recorded[number], ignored, here)
    elif type(sent) is not type(recorded) or sent != recorded:
        yield f"{_written(place)}: recorded {_short(recorded)}, sent {_short(sent)}"


def _one_sided(place: Path, value: Any, side: str, ignored: list[Path]) -> Iterator[str]:
    if not any(_fits(place, path) for path in ignored):
        yield f"{_written(place)}: only {side}: {_short(value)}"


def _fits(place: Path, path: Path) -> bool:
    return len(place) == len(path) and all(step in ("*", at) for at, step in zip(place, path, strict=True))


def _written(place: Path) -> str:
    text = "$"
    for step in place:
        plain = isinstance(step, str) and re.fullmatch(r"[A-Za-z_][\w-]*", step)
        text += f".{step}" if plain else f"[{step!r}]"
    return text


def _named(value: Any) -> str:
    return f"{value.size} bytes that are no JSON" if isinstance(value, _Opaque) and value.size else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, _Opaque):
        return "no body"
    text = json.dumps(value, ensure_ascii=False, default=_number)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _number(value: Decimal) -> int | float:
    whole = abs(value) < 10**18 and value == value.to_integral_value()
    return int(value) if whole else float(value)


# -- misses


def miss(
    request: Any,
    recorded: Sequence[tuple[Any, bool]],
    matchers: Sequence[Callable[[Any, Any], Any]],
    *,
    path: str,
    exists: bool,
    mode: str,
    how: str,
) -> UnmatchedRequestError:
    """Return the error for a request that nothing answers.

    Args:
        request: vcrpy's request, after redaction.
        recorded: vcrpy's recorded requests, each with whether it has been played.
        matchers: what requests are compared by.
        path: the cassette.
        exists: whether the cassette is there.
        mode: the record mode.
        how: what to write to record it, such as "--streamkit-record=new_episodes".
    """
    judged = [(_failures(request, other, matchers), number, other, played)
              for number, (other, played) in enumerate(recorded)]  # fmt: skip
    method, url = str(request.method), str(request.uri)
    facts: dict[str, Any] = {"method": method, "url": url, "path": path}
    headline = f"no recorded interaction answers {method} {url}"
    if not judged:
        reason = MissReason.EMPTY_CASSETTE if exists else MissReason.NO_CASSETTE
        there = "holds no interaction" if exists else "does not exist"
        text = (
            f"{headline}: the cassette {path} {there}, and record mode {mode!r} records nothing.\nTo record it: {how}"
        )
        return UnmatchedRequestError(text, reason=reason, **facts)
    failures, number, nearest, _ = min(judged, key=lambda one: (len(one[0]), one[3], one[1]))
    facts["nearest"] = (str(nearest.method), str(nearest.uri))
    names = list(failures)
    if not failures:
        equal = sum(1 for one in judged if not one[0])
        reason = MissReason.ALL_PLAYED
        told = [f"it equals {_counted(equal)} of {path}, and all were played already"]
        todo = [
            f"if it is made once more than before: {how}",
            "if the same answer will do: allow_playback_repeats=True",
        ]
    elif names in (["json_body"], ["body"]):
        reason = MissReason.BODY_DIFFERS
        told = [f"the nearest, interaction {number + 1} of {path}, differs in its body"]
        todo = [f"if the request was changed on purpose: {how}",
                'if the difference means nothing: ignore_json=["$.path"], with the path shown above']  # fmt: skip
    elif "host" in names and "path" in names:
        reason = MissReason.NOTHING_SIMILAR
        told = [f"{path} holds nothing like it; the first is {nearest.method} {nearest.uri}"]
        todo = [f"to record it: {how}", "if it belongs in no cassette: ignore_hosts=[...]"]
        failures = {}
    else:
        reason = MissReason.REQUEST_DIFFERS
        told = [f"the nearest, interaction {number + 1} of {path}, differs in: {', '.join(names)}"]
        todo = [f"if the request was changed on purpose: {how}", f"to compare less: match_on (now {_names(matchers)})"]
    lines = [line for name, text in failures.items() for line in _lines(name, text)]
    message = [f"{headline}: {told[0]}.", *(f"  {line}" for line in lines), "What to do:", *(f"  - {t}" for t in todo)]
    return UnmatchedRequestError("\n".join(message), reason=reason, differences=lines, **facts)


def _failures(request: Any, other: Any, matchers: Sequence[Callable[[Any, Any], Any]]) -> dict[str, str]:
    found = {}
    for matcher in matchers:
        name = getattr(matcher, "__name__", repr(matcher))
        try:
            if matcher(request, other) is False:
                found[name] = ""
        except AssertionError as error:
            found[name] = str(error)
    return found


def _lines(name: str, text: str) -> list[str]:
    if name == "json_body":
        return text.splitlines()
    short = text.strip().splitlines()[:_SHOWN]
    if len(short) == 1 and " != " in short[0]:  # vcrpy's matchers name the sent value first
        sent, _, recorded = short[0].partition(" != ")
        return [f"{name}: recorded {recorded}, sent {sent}"]
    return [f"{name}: {line}" for line in short] or [f"{name} differs"]


def _names(matchers: Sequence[Any]) -> str:
    return ", ".join(getattr(matcher, "__name__", repr(matcher)) for matcher in matchers)


def _counted(number: int) -> str:
    return f"{number} recorded interaction" + ("" if number == 1 else "s")
