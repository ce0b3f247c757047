"""Lists of events of a target's own, such as the deltas that a generator yields: what they add up to.

An event is an object, a mapping or a tuple that says of itself what it is: by its class, by a field such as `type`, or
by its first item. Events of text are joined; those of calls are joined by the call's number or id, or else to the
call that was named last. All of this is guessed from names: it counts only where it agreed with the stream once.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from streamkit.dialects.text import pair_surrogates
from streamkit.fuzz.normal import Record

__all__ = ["from_events"]

_TAGS = ("type", "kind", "event")
_ROLES = (  # the first that a word of a tag matches decides; "tokens" are counted, and "append" is no end
    ("reasoning", re.compile("reason.*|think.*|thought.*")),
    ("tool_calls", re.compile("(tool|func|function)?calls?(start|delta|end)?|(tool|function|arg|argument).*")),
    ("content", re.compile("(text|content|token)(delta|chunk|piece|part)?|contents|texts")),
    ("finish_reason", re.compile("finish.*|stop.*|end|ended|done")),
)
_WORDS = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAMES = ("name", "fn", "function_name", "tool_name", "tool")
_ARGUMENTS = ("arguments", "args", "params", "parameters", "input", "arguments_delta", "partial_json", "delta")
_IDS = ("id", "call_id", "tool_call_id", "tool_use_id")
_NUMBERS = ("index", "choice", "choice_index", "number")


def from_events(items: list[Any]) -> dict[str, Any] | None:
    """Return the fields of an answer that a list of events, in normal form, adds up to; None where they are no events.

    Text of which the events name several places is not told: it may be of several choices; nor is text that stands
    next to another one; nor are calls of which an event does not say what it brings.

    Under `joined` stands what was joined out of several events, `texts`, `arguments` or the `calls` of one name that
    have neither number nor id, and under `unsure` what of it may be meant otherwise: texts that each begin with the one
    before may be what came so far, and two calls of one name may be one.
    """
    said: dict[str, Any] = {}
    known, clear = False, True
    calls: list[dict[str, Any]] = []
    pieces: dict[str, list[str]] = {}
    places: set[int] = set()
    endings: list[str | None] = []
    unread: set[str] = set()
    for item in items:
        words, fields = _event(item)
        if words is None:
            return None
        role = next((role for role, word in _ROLES if any(map(word.fullmatch, words))), None)
        known = known or role is not None
        if role == "tool_calls":
            clear = _join(calls, fields, any(word.startswith("arg") for word in words)) and clear
        elif role is not None:
            texts = [value for name, value in fields.items() if isinstance(value, str) and name not in _IDS]
            if role == "finish_reason":
                endings.append(texts[0] if texts else None)
            elif len(texts) == 1:
                pieces.setdefault(role, []).append(texts[0])
                places |= {
                    fields[name] for name in fields if type(fields[name]) is int and name in (*_NUMBERS, *range(4))
                } or {0}
            elif texts:
                unread.add(role)
    if len(places) > 1 or not known or not (clear or pieces):
        return None
    said = {"content": ""} | {role: pair_surrogates("".join(texts)) for role, texts in pieces.items()}
    said = {role: text for role, text in said.items() if role not in unread}
    if len(set(endings)) == 1:  # of several, each may be of another choice
        said["finish_reason"] = endings[0]
    if not clear:
        calls = []
    said["tool_calls"] = [{key: call[key] for key in call if key not in ("at", "pieces", "again")} for call in calls]
    given = [call["pieces"] for call in calls]
    notes = {
        "joined": {"texts": any(len(texts) > 1 for texts in pieces.values()), "arguments": any(map(_several, given)),
                   "calls": any(call["again"] for call in calls)},
        "unsure": {"texts": any(map(_grows, pieces.values())), "arguments": any(map(_grows, given)),
                   "calls": any(call["again"] for call in calls)},
    }  # fmt: skip
    if not clear:
        del said["tool_calls"]
    return said | {note: found for note, of in notes.items() if (found := {name for name in of if of[name]})}


def _several(pieces: list[str]) -> bool:
    return len(pieces) > 1


def _grows(pieces: list[str]) -> bool:
    """Whether each text begins with the one before, and there is more in one of them."""
    return all(two.startswith(one) for one, two in pairwise(pieces)) and len({*pieces} - {""}) > 1


def _event(item: Any) -> tuple[list[str] | None, dict[Any, Any]]:
    """Return what an event is, the words of it in lower case, and its fields, those of an object in it among them."""
    if isinstance(item, list):
        if len(item) < 2 or not isinstance(item[0], str):
            return None, {}
        inner = item[1] if len(item) == 2 else None
        return _words(item[0]), inner if isinstance(inner, dict) else dict(enumerate(item[1:]))
    if not isinstance(item, dict):
        return None, {}
    named = next((key for key in _TAGS if isinstance(item.get(key), str)), None)
    tag = item[named] if named is not None else item.kind if isinstance(item, Record) else None
    if tag is None:
        return None, {}
    fields = {key: value for key, value in item.items() if key != named}
    for key, value in item.items():
        if isinstance(value, dict) and key not in _ARGUMENTS:
            fields |= value
    return _words(str(tag)), fields


def _words(tag: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(tag)]


def _join(calls: list[dict[str, Any]], fields: dict[Any, Any], continues: bool) -> bool:
    """Add an event of a call to the calls; False where it is not clear what it says.

    Args:
        calls: gets it.
        fields: of the event.
        continues: the event says of itself that it brings arguments.
    """
    if 0 in fields:  # of a tuple: name and arguments, with the id before them or not, or one of the two
        values = list(fields.values())
        if len(values) == 3 and isinstance(values[0], str | None):
            fields = {"id": values[0], "name": values[1], "arguments": values[2]}
        elif len(values) == 2 and isinstance(values[0], str):
            fields = {"name": values[0], "arguments": values[1]}
        elif len(values) == 1 and isinstance(values[0], str):
            fields = {"arguments" if continues else "name": values[0]}
        else:
            return False
    name = next((fields[key] for key in _NAMES if isinstance(fields.get(key), str) and fields[key]), None)
    given = next((fields[key] for key in _IDS if isinstance(fields.get(key), str) and fields[key]), None)
    at = next((fields[key] for key in _NUMBERS if type(fields.get(key)) is int), None)
    arguments = next((fields[key] for key in _ARGUMENTS if isinstance(fields.get(key), str | dict)), None)
    if at is None and given is None and name is None:
        call = calls[-1] if calls else None
    else:
        call = next((one for one in reversed(calls) if _same_call(one, at, given, name)), None)
    if call is None:
        if given is None and name is None:
            return at is not None and not arguments  # the end of one that is numbered otherwise, say, brings nothing
        again = at is None and given is None and any(one["name"] == name for one in calls)
        call = {"at": at, "name": name or "", "arguments": "", "pieces": [], "again": again}
        call |= {"id": given} if given is not None else {}
        calls.append(call)
    if isinstance(arguments, dict):
        call["arguments"] = arguments
    elif arguments is not None and isinstance(call["arguments"], str):
        call["arguments"] += arguments
        call["pieces"] += [arguments] if arguments else []
    return True


def _same_call(one: dict[str, Any], at: int | None, given: str | None, name: str | None) -> bool:
    """Whether an event of this number, id and name, as far as it has them, goes on with a call."""
    if at is not None:
        if given is None and name is not None and one["name"] not in ("", name):
            return False  # another call under the number of the first
        return bool(one["at"] == at) and given in (None, one.get("id", given))
    return given is not None and one.get("id") == given and name in (None, one["name"])
