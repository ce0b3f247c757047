"""Results that say themselves that they are not complete, which is as good as a typed error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.errors import StreamkitError, TruncatedStreamError
from streamkit.fuzz.invariants import is_marked
from streamkit.fuzz.normal import Record
from streamkit.fuzz.reading import same_arguments

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.fuzz.reading import Told

__all__ = ["begins", "first_choice_alone", "says_executable", "says_incomplete"]

#: Keys of a result with which it says that it is not complete, and the value that says so.
_INCOMPLETE = {"ended": False, "complete": False, "completed": False, "is_complete": False, "truncated": True,
               "incomplete": True, "is_truncated": True}  # fmt: skip
_ENDS = ("finish", "finish_reason", "reason", "stop", "stop_reason", "done", "end")
_KINDS = ("type", "kind", "event")
_TEXTS = ("content", "reasoning", "refusal")


def says_incomplete(value: Any) -> bool:
    """Whether a result, in normal form, says that it is not complete, or that a call of it must not be executed.

    A list of events says so with its last one.
    """
    if isinstance(value, list):
        return bool(value) and _ends_in_error(value[-1])
    if not isinstance(value, dict):
        return False
    if any(key in value and value[key] is told for key, told in _INCOMPLETE.items()):
        return True
    if isinstance(value.get("error"), str | dict) and value["error"]:
        return True
    if value.get("status") in ("incomplete", "failed", "cancelled"):
        return True
    choices = value.get("choices")
    answers = [value, *(one for one in (choices if isinstance(choices, list) else []) if isinstance(one, dict))]
    if any(one.get("finish_reason") == "error" for one in answers):
        return True
    return any(is_marked(call) for call in _calls(value))


def _ends_in_error(last: Any) -> bool:
    """Whether the last event of a list is the target's own word that something went wrong.

    A payload that is passed on as it came is not.
    """
    if isinstance(last, list):  # a tuple of a kind and what it brings
        if len(last) < 2 or not isinstance(last[0], str):
            return False
        kind, brings = last[0].lower(), last[1]
        if kind in _INCOMPLETE:
            return brings is _INCOMPLETE[kind]
        return kind == "error" or (kind in _ENDS and brings == "error")
    if not isinstance(last, dict) or "choices" in last:
        return False
    own = isinstance(last, Record) or any(key in last for key in _KINDS)
    if own and any(last.get(key) == "error" for key in (*_ENDS, *_KINDS)):
        return True
    return says_incomplete(last) and (own or "error" not in last)


def says_executable(value: Any) -> bool:
    """Whether a result, in normal form, says of a call that it may be executed; of a list, one of its events."""
    if isinstance(value, list):
        return any(one.get("executable") is True or says_executable(one) for one in value if isinstance(one, dict))
    return isinstance(value, dict) and any(call.get("executable") is True for call in _calls(value))


def _calls(value: dict[str, Any]) -> list[dict[str, Any]]:
    choices = value.get("choices")
    listed = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else [value]
    messages = [one["message"] if isinstance(one.get("message"), dict) else one for one in listed]
    return [
        call
        for message in messages
        if isinstance(calls := message.get("tool_calls"), list)
        for call in calls
        if isinstance(call, dict)
    ]


def begins(part: Told, whole: Told) -> bool:
    """Whether a partial result is a whole one as far as it goes: texts may end early, and calls may be left out."""
    for number, one in enumerate(part.choices):
        of = whole.choices[number] if number < len(whole.choices) else {}
        if not all((of.get(name) or "").startswith(one.get(name) or "") for name in _TEXTS):
            return False
        left = iter(of.get("tool_calls") or [])
        if not all(any(_call_begins(call, other) for other in left) for call in one.get("tool_calls") or []):
            return False
    return True


def _call_begins(part: dict[str, Any], whole: dict[str, Any]) -> bool:
    if any(part.get(key) != whole.get(key) for key in ("id", "name") if part.get(key) and whole.get(key)):
        return False
    mine, its = part.get("arguments"), whole.get("arguments")
    if isinstance(mine, str) and isinstance(its, str) and its.startswith(mine):
        return True
    return mine is None or same_arguments(mine, its)


def first_choice_alone(body: bytes, dialect: str | None) -> Completion | None:
    """Return what a stream of several choices says that ended before all were over, if its first one was.

    Who reads the first choice alone has nothing to complain of. None for any other stream.
    """
    if dialect is None:
        return None
    reader = dialects.get(dialect).reader()
    try:
        reader.feed(body)
        reader.close()
        reader.result()
    except TruncatedStreamError:
        found = reader.snapshot()
    except StreamkitError:
        return None
    else:
        return None
    if len(found.choices) < 2 or found.choices[0].index != 0 or found.choices[0].finish_reason is None:
        return None
    return found if all(call.executable for call in found.choices[0].tool_calls) else None
