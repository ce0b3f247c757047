"""What the payloads of Chat Completions that are alike but for their texts mean; see `envelope`.

An outline is one choice with one delta, whose texts (content, refusal, reasoning, a call's arguments) are holes, and
with it what may stand beside them: log probabilities, which are a hole too; fields of which the first that came counts
(id, model and the like), as long as they have come; fields of which the last counts. All else, such as usage, a finish
reason, an error, the opening of a call, or a delta in parts, has no outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamkit.dialects.envelope import LOOSE, OBJECT, PADDING, TEXT, Hole, Outline

__all__ = ["CallPlan", "Plan", "outline"]

_FIRST = ("id", "model", "created", "system_fingerprint", "service_tier")
_NOISE = ("obfuscation", "p")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "reasoning_text", "thinking")


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A fragment of a call's arguments: which call it names, and how."""

    id: str | None
    index: int | None
    name: str | None
    type: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What all payloads of an envelope mean.

    Attributes:
        index: of the choice.
        first: fields of which the first counts.
        role: the delta names a role.
        texts: the names of the delta's texts, in order.
        call: whose arguments come after them, or None.
        logprobs: log probabilities come after that.
        extra: fields of the payload of which the last counts.
        choice_extra: the same of the choice.
    """

    index: int
    first: tuple[str, ...]
    role: bool
    texts: tuple[str, ...]
    call: CallPlan | None
    logprobs: bool
    extra: tuple[tuple[str, Any], ...]
    choice_extra: tuple[tuple[str, Any], ...]


class _MeansMore(Exception):  # noqa: N818 - it is no error
    """A payload does more than an envelope can say."""


def outline(payload: dict[str, Any]) -> Outline | None:
    """Return what a payload means; None where that is more than texts, log probabilities and plain fields."""
    try:
        return _outline(payload)
    except _MeansMore:
        return None


def _outline(payload: dict[str, Any]) -> Outline:
    entry = _only(payload.get("choices"))
    index, delta = entry.get("index") or 0, entry.get("delta")
    if type(index) is not int or not isinstance(delta, dict) or not delta or entry.get("finish_reason"):
        raise _MeansMore
    holes: list[Hole] = []
    path: tuple[str | int, ...] = ("choices", 0, "delta")
    texts, call = [], None
    for key, value in delta.items():
        if value is None or key == "role":
            continue
        if key in _TEXTS and isinstance(value, str):
            texts.append(key)
            holes.append(Hole((*path, key), TEXT))
        elif key == "tool_calls":
            call = _call(_only(value))
        else:
            raise _MeansMore
    if call is not None:
        holes.append(Hole((*path, "tool_calls", 0, "function", "arguments"), TEXT))
    logprobs = entry.get("logprobs") is not None
    if logprobs:
        if not isinstance(entry["logprobs"], dict):
            raise _MeansMore
        holes.append(Hole(("choices", 0, "logprobs"), OBJECT))
    first = tuple(key for key in _FIRST if payload.get(key))
    holes += [Hole((key,), LOOSE) for key in first if type(payload[key]) in (str, int)]
    for holder, where in ((payload, ()), (entry, ("choices", 0))):
        holes += [Hole((*where, key), PADDING) for key in _NOISE if isinstance(holder.get(key), str)]
    plan = Plan(
        index=index,
        first=first,
        role=bool(delta.get("role")),
        texts=tuple(texts),
        call=call,
        logprobs=logprobs,
        extra=_rest(payload, (*_FIRST, *_NOISE, "choices", "object")),
        choice_extra=_rest(entry, (*_NOISE, "index", "delta", "finish_reason", "logprobs")),
    )
    return Outline(plan, tuple(holes))


def _only(entries: Any) -> dict[str, Any]:
    """Return the only entry of a list."""
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise _MeansMore
    return entries[0]


def _call(entry: dict[str, Any]) -> CallPlan:
    """Return whose arguments a fragment holds."""
    index, identity, kind, body = (entry.get(key) for key in ("index", "id", "type", "function"))
    if type(index) not in (int, type(None)) or not isinstance(body, dict):
        raise _MeansMore
    if not isinstance(body.get("arguments"), str) or any(
        value is not None for key, value in entry.items() if key not in ("index", "id", "type", "function")
    ):
        raise _MeansMore
    return CallPlan(identity or None, index, body.get("name") or None, kind or None)


def _rest(holder: dict[str, Any], known: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """Return the other fields of an object: plain values, of which the last that came counts."""
    found = [(key, value) for key, value in holder.items() if key not in known and value is not None]
    meaning = ("usage", "error", "errors", "detail", "x_groq", "message")
    if any(key in meaning or not isinstance(value, str | int | float) for key, value in found):
        raise _MeansMore
    return tuple(found)
