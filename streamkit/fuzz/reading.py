"""Reading: what a target's result says of the answer, whatever its shape.

Two kinds of field. *Plain* ones stand where their shape leaves no doubt: `content`, `tool_calls` and `finish_reason` of
a message or of the choices of a completion; the blocks, items, parts and candidates in which the other APIs hold an
answer; payloads that the target decoded, which add up to one. *Weak* ones stand under a name or in a place that many
use for it (`text`, `usage`, a bare text, a pair of text and calls): nobody can know what they are meant to be, so they
count only where they agreed with the stream on the recorded delivery.

Everything here works on results in normal form (`streamkit.fuzz.normal`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.blocks import from_blocks, from_items, from_parts
from streamkit.fuzz.eventlists import from_events
from streamkit.fuzz.folding import fold
from streamkit.fuzz.normal import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.completion import Choice, Completion

__all__ = ["PLAIN", "Told", "expected_of", "read", "same_arguments"]

#: The fields that may be plain; all others are always weak.
PLAIN = ("content", "tool_calls", "finish_reason")
_CONTENT = ("text", "output_text", "body", "answer", "response", "reply", "output", "completion")
_CALLS = ("toolCalls", "calls", "function_calls", "functionCalls", "tools", "tool_uses")
_FINISH = ("stop_reason", "stopReason", "finishReason", "done_reason", "status", "finish")
_REASONING = ("reasoning", "reasoning_content", "thinking")
_ARGUMENTS = ("arguments", "input", "args", "parameters", "params")
_NAMES = ("name", "fn", "function", "function_name", "tool_name", "tool")
_IDS = ("id", "call_id", "tool_call_id", "toolUseId")


@dataclass
class Told:
    """What a result says.

    Attributes:
        choices: a mapping of fields for each choice.
        weak: the names of the fields that stand in a doubtful place.
        bare: the result is one message, and says nothing of further choices.
        top: what it says of the whole answer: `usage`, `id`, `model`.
        events: it is a list of events of the target's own, which may say more than is read in them.
        joined: of such, what was joined out of several events.
        unsure: what of that may be meant otherwise; see `from_events`.
    """

    choices: list[dict[str, Any]]
    weak: set[str] = field(default_factory=set)
    bare: bool = False
    top: dict[str, Any] = field(default_factory=dict)
    events: bool = False
    joined: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()


def read(value: Any, completion: Completion | None, dialect: str | None) -> Told | None:
    """Return what a result says, or None where nothing in it is recognised.

    Args:
        value: the result, in normal form.
        completion: what the stream says, where known.
        dialect: name of the stream's dialect, where known.
    """
    if isinstance(value, str):
        return Told([{"content": value}], {"content"}, bare=True)
    if isinstance(value, list):
        return _of_list(value, dialect)
    if not isinstance(value, dict):
        return None
    told = _of_dict(value, completion)
    if told is not None:
        told.top |= {name: value[name] for name in ("id", "model") if isinstance(value.get(name), str)}
        if isinstance(value.get("usage"), dict):
            told.top["usage"] = {name: count for name, count in value["usage"].items() if type(count) is int}
        told.weak |= set(told.top) | (set().union(*told.choices) - set(PLAIN))
    return told


def _of_dict(value: dict[str, Any], completion: Completion | None) -> Told | None:
    for name, one in (("choices", _choice), ("candidates", _candidate)):
        listed = value.get(name)
        if isinstance(listed, list) and all(isinstance(choice, dict) for choice in listed):
            if not listed:
                return None if completion is None or completion.choices else Told([])
            found = [said for choice in listed if (said := one(choice)) is not None]
            if len(found) < len(listed):
                return None
            return Told([said for said, _ in found], set().union(*(weak for _, weak in found)))
    output = value.get("output")
    if isinstance(output, list) and output:
        items = from_items(output)
        if items is not None:
            return _ended(items, value)
    wrapped = output if isinstance(output, dict) and isinstance(output.get("message"), dict) else value
    if isinstance(wrapped.get("message"), dict):
        inner = _message(wrapped["message"])
        if inner is not None:
            return _ended(inner[0], value, inner[1])
    found_here = _message(value)
    return None if found_here is None else Told([found_here[0]], found_here[1], bare=True)


def _ended(said: dict[str, Any], value: dict[str, Any], weak: set[str] | None = None) -> Told:
    """Return a message with the finish reason of what it stands in, which another API names in its own way."""
    weak = set(weak or ())
    if "finish_reason" not in said:
        reason = next((value[name] for name in ("finish_reason", *_FINISH) if isinstance(value.get(name), str)), None)
        details = value.get("incomplete_details")  # of a Response: its status says that it is incomplete, and not why
        if isinstance(details, dict) and isinstance(details.get("reason"), str):
            reason = details["reason"]
        if reason is not None:
            said["finish_reason"] = reason
            weak.add("finish_reason")
    return Told([said], weak | {"ids"}, bare=True)


def _choice(choice: dict[str, Any]) -> tuple[dict[str, Any], set[str]] | None:
    message = choice.get("message", choice)
    if not isinstance(message, dict):
        return None
    found = _message(message)
    if found is None and isinstance(choice.get("text"), str):
        found = {"content": choice["text"]}, set()
    if found is not None and isinstance(choice.get("finish_reason", 0), str | None):
        found[0]["finish_reason"] = choice["finish_reason"]  # in this shape, None is a report too
        found[1].discard("finish_reason")
    return found


def _candidate(candidate: dict[str, Any]) -> tuple[dict[str, Any], set[str]] | None:
    content = candidate.get("content")
    said = from_parts(content.get("parts") if isinstance(content, dict) else None)
    weak = {"ids"}
    for name in ("finishReason", "finish_reason"):
        if isinstance(candidate.get(name), str):
            said["finish_reason"] = candidate[name]
            weak.add("finish_reason")
    return said, weak


def _message(message: dict[str, Any]) -> tuple[dict[str, Any], set[str]] | None:
    said: dict[str, Any] = {}
    weak: set[str] = set()
    content = message.get("content", 0)
    if isinstance(content, str | None):
        said["content"] = content or ""
    elif isinstance(content, list):
        blocks = from_blocks(content)
        if blocks is not None:
            said |= blocks
            weak.add("ids")
    if "tool_calls" in message:
        calls = _calls(message["tool_calls"])
        if calls is not None:
            said["tool_calls"] = calls
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and isinstance(legacy.get("name"), str):
        said["tool_calls"] = _with_legacy(said.get("tool_calls", ()), _call(legacy))
    if isinstance(message.get("finish_reason"), str) and said:
        said["finish_reason"] = message["finish_reason"]
    plain = bool(said)
    for name, keys, convert in (
        ("content", _CONTENT, _text),
        ("tool_calls", _CALLS, _calls),
        ("finish_reason", _FINISH, _reason),
        ("reasoning", _REASONING, _text),
        ("refusal", ("refusal",), _text),
    ):
        for key in keys:
            if name not in said and message.get(key) is not None and (found := convert(message[key])) is not None:
                said[name] = found
                weak.add(name)
    if not plain and not {"content", "tool_calls"} & said.keys():
        return None
    return said, weak


def _reason(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "".join(value)
    return value if isinstance(value, str) else None


def _calls(calls: Any) -> list[dict[str, Any]] | None:
    if calls is None:
        return []
    if isinstance(calls, dict) and not isinstance(calls, Record):
        if not all(type(key) is int or (isinstance(key, str) and key.isdecimal()) for key in calls):
            return None
        calls = [calls[key] for key in sorted(calls, key=int)]
    if not isinstance(calls, list):
        return None
    named = [_of_call_tuple(call) if isinstance(call, list) else call for call in calls]
    found = [_call(call) for call in named if isinstance(call, dict)]
    return found if len(found) == len(named) else None


def _of_call_tuple(call: list[Any]) -> dict[str, Any] | None:
    """Return a call that stands as a pair of name and arguments, or a triple with the id before them."""
    if len(call) not in (2, 3) or not isinstance(call[-2], str) or not isinstance(call[-1], str | dict):
        return None
    return {"id": call[0] if len(call) == 3 else None, "name": call[-2], "arguments": call[-1]}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    body = call["function"] if isinstance(call.get("function"), dict) else call
    one: dict[str, Any] = {}
    given = next((call[name] for name in _IDS if isinstance(call.get(name), str) and call[name]), None)
    if given is not None:
        one["id"] = given
    named = next((body[name] for name in _NAMES if isinstance(body.get(name), str)), None)
    if named is not None:
        one["name"] = named
    for name in _ARGUMENTS:
        if "arguments" not in one and isinstance(body.get(name), str | dict):
            one["arguments"] = body[name]
    return one


def _of_list(value: list[Any], dialect: str | None) -> Told | None:
    folded = fold(value, dialect)
    if folded is not None:
        choices = [_message_of(choice) for choice in folded.choices]
        for call in (call for choice in choices for call in choice["tool_calls"]):
            if call["id"] is None:
                del call["id"]  # a library that hands out no ids reports none
        doubtful = all(isinstance(item, str) for item in value)
        return Told(choices, set(PLAIN) if doubtful else set())
    if not value:
        return None
    if all(isinstance(item, str) for item in value):
        return Told([{"content": "".join(value)}], {"content"}, bare=True)
    if all(isinstance(item, dict) and {"name", "function"} & item.keys() for item in value):
        calls = _calls(value)
        return None if calls is None else Told([{"tool_calls": calls}], {"tool_calls"}, bare=True)
    told = _of_tuple(value)
    said = from_events(value) if told is None else None
    if said is None:
        return told
    joined, unsure = frozenset(said.pop("joined", ())), frozenset(said.pop("unsure", ()))
    return Told([said], {*said, "ids"}, bare=True, events=True, joined=joined, unsure=unsure)


def _of_tuple(value: list[Any]) -> Told | None:
    """Read a pair such as (text, calls), or a triple with the finish reason."""
    if len(value) > 4 or not isinstance(value[0], str | None):
        return None
    said: dict[str, Any] = {"content": value[0] or ""}
    for item in value[1:]:
        if isinstance(item, list | dict) and "tool_calls" not in said:
            calls = _calls(item)
            if calls is None:
                return None
            said["tool_calls"] = calls
        elif isinstance(item, str) and "finish_reason" not in said:
            said["finish_reason"] = item
    return Told([said], set(said), bare=True) if len(said) > 1 else None


# -- what the stream says, in the same fields


def _message_of(choice: Choice) -> dict[str, Any]:
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in choice.tool_calls]
    if choice.function_call is not None:  # a call in the legacy form is a call, whichever form it is reported in
        legacy = {"id": None, "name": choice.function_call.name, "arguments": choice.function_call.arguments}
        calls = _with_legacy(calls, legacy)
    return {"content": choice.content or "", "tool_calls": calls, "finish_reason": choice.finish_reason}


def expected_of(completion: Completion) -> Told:
    """Return what a completion says, in all fields that a result is read in."""
    choices = [
        {**_message_of(choice), "reasoning": choice.reasoning or "", "refusal": choice.refusal or ""}
        for choice in completion.choices
    ]
    usage = {name: count for name, count in (completion.usage or {}).items() if type(count) is int}
    return Told(choices, top={"id": completion.id, "model": completion.model, "usage": usage})


def _with_legacy(calls: Sequence[dict[str, Any]], legacy: dict[str, Any]) -> list[dict[str, Any]]:
    """Return calls and one in the legacy form, which may be one of them: llama-cpp-python sends each in both forms."""
    same = any(
        one.get("name") == legacy.get("name") and same_arguments(one.get("arguments"), legacy.get("arguments"))
        for one in calls
    )
    return [*calls] if same else [*calls, legacy]


def same_arguments(one: Any, other: Any) -> bool:
    """Whether two ways to report arguments mean the same: texts, JSON in texts, or objects; nothing is `{}`."""
    return bool(one == other) or _parsed(one) == _parsed(other) != _NO_JSON


_NO_JSON = object()


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return _NO_JSON
