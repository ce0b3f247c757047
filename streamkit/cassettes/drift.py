"""Drift: what has changed between two recordings of one request, beyond what differs between any two answers.

Texts, ids, times, counts, the number of events and where chunks are cut are never compared. Compared are the head, the
framing, the kinds of events, the shape of their payloads, and what kind of answer it is. An answer that was broken off
is compared as far as it goes: what the other has and it has not is no finding.

A field that models send when they see fit (a call, a refusal, an annotation, reasoning) and that did not come this
time is a note, unless another of a similar name has come in its place: then it was renamed.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from streamkit.cassettes.shape import FORMS, read
from streamkit.transcript import Ending
from streamkit.wire.sse import BOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streamkit.cassettes.shape import Place, Reading, Shape
    from streamkit.transcript import Transcript

__all__ = ["KINDS", "SEVERITIES", "Drift", "drift"]

#: What can drift.
KINDS = ("status", "header", "dialect", "ending", "framing", "event", "field", "type", "finish-reason", "tool")
#: A consumer may break; something was added; what two answers of one server may differ in.
SEVERITIES = ("drift", "new", "note")

_HEADERS = ("content-type", "content-encoding")
_LINE_ENDS = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
_ALIVE = {"ping", "keepalive", "keep-alive", "keep_alive", "heartbeat"}
# What a model or a server sends when it sees fit.
_CHOSEN = re.compile(
    r"tool|function|call|reason|think|thought|signature|refusal|annotation|citation|grounding|search|logprob|safety"
    r"|filter|error|cache|obfuscation|warning|redacted",
    re.IGNORECASE,
)
# What an answer that calls a function, or reaches its limit, has instead of another.
_ANSWERING = re.compile(r"tool|function|call|arguments|partial_json|content|text|message|reason|think", re.IGNORECASE)
# So many objects that had a field are evidence that all of them have it.
_EVIDENCE = 3
_MOST_KINDS = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """One finding.

    Attributes:
        kind: one of `KINDS`.
        where: a header's name, a place in the payloads, or what else it is about.
        old: what the old recording has there; "" for nothing.
        new: what the new one has there; "" for nothing.
        message: the finding in one line, without the place.
        severity: one of `SEVERITIES`.
    """

    kind: str
    where: str
    old: str
    new: str
    message: str
    severity: str = "drift"

    def as_json(self) -> dict[str, str]:
        """Return the finding as a mapping."""
        return asdict(self)


def drift(old: Transcript, new: Transcript) -> list[Drift]:
    """Return what has drifted from one recording of a request to a later one.

    Bodies are compared if they are event streams or JSON lines with JSON in them, or JSON; of others the head alone.

    Args:
        old: the recording that tests were written against.
        new: what the same request gets now.

    Returns:
        The findings in the order of `KINDS`; those of severity "note" are no reason to act.
    """
    found = list(_heads(old, new))
    if old.head.status // 100 != new.head.status // 100:
        return found  # an error has another body than an answer
    a, b = read(old), read(new)
    b.outlasts = a.cut and len(b.body) >= len(a.body)
    found += _endings(a, b)
    if a.form != b.form:
        if not (a.cut or b.cut):  # half a JSON value is none
            message = f"was {FORMS[a.form]} and is {FORMS[b.form]}; nothing in it was compared"
            found.append(Drift("framing", "body", a.form, b.form, message))
    else:
        answers = [*_reasons(a, b), *_tools(a, b)]
        found += [*_dialects(a, b), *_framing(a, b), *_events(a, b, otherwise=bool(answers))]
        found += [*_Shapes(a, b, otherwise=bool(answers)).findings(), *answers]
    return sorted(_merged(found), key=lambda one: KINDS.index(one.kind))


def _merged(found: Iterable[Drift]) -> Iterator[Drift]:
    """Join the findings that say the same of several kinds of events."""
    groups: dict[Drift, list[str]] = {}
    for one in found:
        kind, mark, path = one.where.rpartition(": $")
        groups.setdefault(replace(one, where=mark + path), []).append(kind)
    for one, kinds in groups.items():
        listed = ", ".join(kinds[:_MOST_KINDS]) + (
            f" and {len(kinds) - _MOST_KINDS} more" if len(kinds) > _MOST_KINDS else ""
        )
        yield replace(one, where=listed + one.where)


def _heads(old: Transcript, new: Transcript) -> Iterator[Drift]:
    a, b = old.head, new.head
    if a.status != b.status:
        yield Drift("status", "status", str(a.status), str(b.status), f"was {a.status} and is {b.status}")
    for name in _HEADERS:
        was, now = (_plain(head.header(name)) for head in (a, b))
        if was != now:
            message = f"was {was or 'not there'} and is {now or 'not there'}"
            yield Drift("header", name, was, now, message, "drift" if was or name == "content-encoding" else "new")


def _plain(value: str | None) -> str:
    """Return a header value without what changes nothing: case, blanks, and the charset that it has anyway."""
    parts = [part.strip().lower().replace('"', "") for part in (value or "").split(";")]
    return ";".join(part for part in parts if part not in ("", "charset=utf-8", "charset=utf8", "identity"))


def _dialects(a: Reading, b: Reading) -> Iterator[Drift]:
    if a.dialect != b.dialect and a.shape.places and b.shape.places:
        was, now = a.dialect or "none that is known", b.dialect or "none that is known"
        yield Drift("dialect", "dialect", a.dialect, b.dialect, f"was {was} and is {now}")


def _endings(a: Reading, b: Reading) -> Iterator[Drift]:
    if a.ending is b.ending:
        return
    if a.cut:
        message = f"the old recording was {a.ending}: it was compared as far as it goes, which is {len(a.body)} bytes"
        yield Drift("ending", "ending", str(a.ending), str(b.ending), message, "note")
    else:
        message = f"was {a.ending} and is {b.ending}; what did not come was not compared"
        yield Drift("ending", "ending", str(a.ending), str(b.ending), message)


def _framing(a: Reading, b: Reading) -> Iterator[Drift]:
    def finding(where: str, was: str, now: str, severity: str = "drift") -> Iterator[Drift]:
        if was != now:
            yield Drift("framing", where, was, now, f"was {was} and is {now}", severity)

    if a.form not in ("sse", "lines"):
        return
    was, now = _line_ends(a), _line_ends(b)
    if was and now:
        yield from finding("line ends", was, now)
    if a.form != "sse":
        return
    if not (a.cut or b.cut):
        yield from finding("[DONE]", _there(a.done), _there(b.done), "drift" if a.done else "new")
        yield from finding("blank line after the last event", _there(not a.unfinished), _there(not b.unfinished))
    was, now = _blank_after_colon(a.body), _blank_after_colon(b.body)
    if was and now:
        yield from finding("blank after `data:`", was, now)
    yield from finding("byte order mark", _there(a.body.startswith(BOM)), _there(b.body.startswith(BOM)))
    yield from finding("comments", _there(_has_comments(a.body)), _there(_has_comments(b.body)), "note")


def _there(value: bool) -> str:
    return "there" if value else "not there"


def _has_comments(body: bytes) -> bool:
    return any(line.startswith(b":") for line in body.splitlines())


def _line_ends(reading: Reading) -> str:
    # a CR at a cut may have had its LF coming
    body = reading.body[:-1] if reading.transcript.ending is not Ending.COMPLETE else reading.body
    return " and ".join(sorted({_LINE_ENDS[end] for end in re.findall(rb"\r\n|\r|\n", body)}))


def _blank_after_colon(body: bytes) -> str:
    found = {line.startswith(b"data: ") for line in body.splitlines() if line.startswith(b"data:") and line != b"data:"}
    return " or ".join(_there(one) for one in sorted(found, reverse=True))


def _reasons(a: Reading, b: Reading) -> Iterator[Drift]:
    was, now = a.shape.endings, b.shape.endings
    if was != now and not a.cut and not b.cut:
        message = f"was {_listed(was)} and is {_listed(now)}"
        yield Drift("finish-reason", "finish reason", _listed(was), _listed(now), message, "drift" if was else "new")


def _tools(a: Reading, b: Reading) -> Iterator[Drift]:
    was, now = a.shape.called, b.shape.called
    if (was - now and not b.cut) or (now - was and not a.cut):
        message = f"were {_listed(was)} and are {_listed(now)}; that may be the model's choice"
        yield Drift("tool", "called functions", _listed(was), _listed(now), message)
    if b.broken and not b.cut and not a.broken:
        yield Drift("tool", "arguments", "JSON", "no JSON", f"those of {', '.join(b.broken)} are no JSON any more")


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values)) or "none"


def _events(a: Reading, b: Reading, *, otherwise: bool) -> Iterator[Drift]:
    """Compare the names of events, and the types of payloads where they have other names or none."""
    for what, was, now in (
        ("event of this name", a.names, b.names),
        ("payload of this type", a.shape.kinds - a.names - b.names, b.shape.kinds - a.names - b.names),
    ):
        for name in sorted(was - now) if not b.cut else ():
            yield Drift("event", name, name, "", *_went(name, f"no {what} came", otherwise=otherwise))
        for name in sorted(now - was) if not a.cut else ():
            yield Drift("event", name, "", name, f"no {what} came before", "note" if name in _ALIVE else "new")


def _went(name: str, message: str, *, otherwise: bool, always: bool = False) -> tuple[str, str]:
    """Return the message and the severity of something that went away."""
    if name in _ALIVE:
        return message, "note"
    name = name.rpartition(": $")[2]
    if otherwise and _ANSWERING.search(name):
        return f"{message}; this answer is of another kind", "note"
    if _CHOSEN.search(name) and not always:
        return f"{message}; that may depend on the answer", "note"
    return message, "drift"


class _Shapes:
    """The payloads of two bodies side by side."""

    def __init__(self, a: Reading, b: Reading, *, otherwise: bool) -> None:
        self._old, self._new = a.shape, b.shape
        self._cut = a.cut
        self._otherwise = otherwise  # the answer ended or called otherwise, so other things are in it
        self._gone = [] if b.cut else _lacking(self._old, self._new)
        self._came = [] if a.cut else _lacking(self._new, self._old)

    def findings(self) -> Iterator[Drift]:
        for name in self._gone:
            yield self._went(name, self._old.places[name])
        for name in self._came:
            place = self._new.places[name]
            message = "objects of this type are new" if place.is_type else "is new"
            yield Drift("field", name, "", _types(place), message, "new" if place.filled else "note")
        for name, place in sorted(self._old.places.items()):
            other = self._new.places.get(name)
            change = "" if other is None else _change(place, other, cut=self._cut)
            if other is not None and change:
                yield Drift("type", name, _types(place), _types(other), change)

    def _went(self, name: str, place: Place) -> Drift:
        was = _types(place)
        if not place.filled:
            return Drift("field", name, was, "", "went away; it was always null or empty", "note")
        if place.is_type:
            return Drift(
                "field", name, was, "", *_went(name, "objects of this type did not come", otherwise=self._otherwise)
            )
        other = self._successor(place)
        if other:
            return Drift("field", name, was, "", f"went away, and {other} came in its place")
        always = self._old.always(name) and place.count >= _EVIDENCE
        return Drift("field", name, was, "", *_went(name, "went away", otherwise=self._otherwise, always=always))

    def _successor(self, place: Place) -> str:
        """Return the name of a new field that a place's field may have been renamed to, or ""."""
        near = [
            other.name
            for other in map(self._new.places.__getitem__, self._came)
            if other.parent == place.parent and not other.is_type and (other.types & place.types) - {"null"}
        ]
        return next(iter(difflib.get_close_matches(place.name, near, 1, 0.6)), "")


def _lacking(one: Shape, other: Shape) -> list[str]:
    """Return the places of a shape that another lacks although it has what they belong to.

    Kinds of payloads are compared by their names. Items of an array may be lacking: it may be empty.
    """
    found = []
    for name, place in one.places.items():
        holder = other.places.get(place.parent)
        if name not in other.places and holder is not None and holder.objects and place.step != "[*]":
            found.append(name)
    # an object that no longer says its type lacks the field; that its type is lacking says nothing more
    return sorted(
        name for name in found if not (one.places[name].is_type and f"{one.places[name].parent}.type" in found)
    )


def _change(old: Place, new: Place, *, cut: bool) -> str:
    """Return how the values of a place have changed their types, or "".

    Of an old recording that was broken off, other values might have followed: only another type altogether counts.
    """
    was, now = old.types - {"null"}, new.types - {"null"}
    if was and now - was and not (cut and was & now):
        return f"was {_types(old)} and is {_types(new)}"
    if cut:
        return ""
    if was and "null" in new.types - old.types:
        return f"was always {_types(old)} and may be null now: it has become optional"
    if new.hollow and not old.hollow and "array" in was:
        return "was never empty and is empty now, or sometimes"
    return ""


def _types(place: Place) -> str:
    return " or ".join(sorted(place.types, key=lambda kind: (kind == "null", kind)))
