"""Oracles: which behaviour of a target is wrong.

Invariance: the result on every delivery is the result on the recorded delivery. It needs no idea of what the result
means. It is blind to a bug that is there on every delivery, so there is a second one.

Reference: what the target reports on the recorded delivery is what the dialect's own accumulator reads there. It
compares only what it recognises in the target's result, and what a target does not report is not compared:

- a chat completion, of whichever class or as a dict: content, tool calls and finish reason of each choice;
- a message or any mapping with `content` or `tool_calls`: these, and `finish_reason`, of the first choice; tool calls
  as objects with `function: {name, arguments}` or flat `name` and `arguments`, in a list or keyed by index;
- a list of payloads: they are accumulated and compared as a completion;
- with `returns="events"`, a list of events (texts, or objects with `data`): their data. A final `[DONE]` may be left
  out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.errors import DialectError
from streamkit.fuzz.normal import Record, normalise, opaque_parts
from streamkit.wire.sse import ServerSentEvent, decode

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.transcript import Transcript

__all__ = ["Reference", "Verdict", "blind_spots", "reference_of", "reported"]

_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Two sides of a comparison, holding only what was compared."""

    expected: Any
    actual: Any

    @property
    def same(self) -> bool:
        """Whether both sides agree."""
        return bool(self.expected == self.actual)


@dataclass(frozen=True)
class Reference:
    """What the dialect reads in a transcript.

    Attributes:
        completion: the completion, or None where the stream is not one that a right parser returns from.
        error: why not: the name of the dialect error.
        data: the data of its events.
    """

    completion: Completion | None
    error: str
    data: tuple[str, ...]

    def judge(self, value: Any, returns: str) -> Verdict | None:
        """Compare a target's result, in normal form, with the reference; None where there is nothing to compare."""
        if returns == "events":
            return self._judge_events(value)
        if self.completion is None:
            return None
        found = reported(value, self.completion)
        if found is None:
            return None
        expected = [_expected(choice) for choice in self.completion.choices]
        if isinstance(found, dict):
            found, expected = [found], expected[:1] or [_expected(None)]
        left, right = [], []
        for number in range(max(len(found), len(expected))):
            have = found[number] if number < len(found) else None
            want = expected[number] if number < len(expected) else None
            if have is None or want is None:
                left.append(want)
                right.append(have)
                continue
            one, two = _common(want, have)
            left.append(one)
            right.append(two)
        single = len(left) == len(right) == 1
        return Verdict(left[0], right[0]) if single else Verdict({"choices": left}, {"choices": right})

    def _judge_events(self, value: Any) -> Verdict | None:
        if not isinstance(value, list):
            return None
        data = []
        for item in value:
            text = item.get("data") if isinstance(item, dict) else item
            if not isinstance(text, str):
                return None
            data.append(text)
        expected = list(self.data)
        if expected and expected[-1].strip() == _DONE and (not data or data[-1].strip() != _DONE):
            expected.pop()
        return Verdict(expected, data)


def reference_of(transcript: Transcript) -> Reference | None:
    """Return the reference for a transcript, or None where no dialect knows it."""
    dialect = dialects.detect(transcript)
    if dialect is None:
        return None
    data = tuple(event.data for event in decode(transcript.body))
    reader = dialect.reader()
    try:
        reader.feed(transcript.body)
        reader.close()
        return Reference(reader.result(), "", data)
    except DialectError as error:
        return Reference(None, type(error).__name__, data)


def blind_spots(value: Any, verdict: Verdict | None) -> list[str]:
    """Say where a pass means less than it seems to: what of a result, in normal form, no oracle can see."""
    spots = [f"part of the result cannot be compared at all: {part}" for part in opaque_parts(value)]
    if verdict is None:
        spots.insert(
            0, "nothing in the result could be compared with the stream: only that all deliveries give the same"
        )
    return spots


def _expected(choice: Choice | None) -> dict[str, Any]:
    if choice is None:
        return {"content": "", "tool_calls": [], "finish_reason": None}
    return {
        "content": choice.content or "",
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in choice.tool_calls],
        "finish_reason": choice.finish_reason,
    }


def reported(value: Any, reference: Completion | None) -> list[dict[str, Any]] | dict[str, Any] | None:
    """Return what a result says, one mapping a choice, or one mapping for a bare message; None where unknown."""
    if isinstance(value, list):
        return _fold(value)
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
        found = []
        for choice in choices:
            message = choice.get("message", choice)
            if not isinstance(message, dict):
                return None
            one = _message(message)
            if one is None:
                return None
            if isinstance(choice.get("finish_reason", 0), str | None):  # in this shape, None is a report too
                one["finish_reason"] = choice["finish_reason"]
            found.append(one)
        return found
    if isinstance(choices, list) and not choices:
        return None if reference is None or reference.choices else []
    return _message(value)


def _message(message: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if "content" in message and isinstance(message["content"], str | None):
        found["content"] = message["content"] or ""
    if "tool_calls" in message:
        calls = _calls(message["tool_calls"])
        if calls is not None:
            found["tool_calls"] = calls
    if not found:
        return None
    if isinstance(message.get("finish_reason"), str):
        found["finish_reason"] = message["finish_reason"]
    return found


def _calls(calls: Any) -> list[dict[str, Any]] | None:
    if calls is None:
        return []
    if isinstance(calls, dict) and not isinstance(calls, Record):
        if not all(type(key) is int or (isinstance(key, str) and key.isdigit()) for key in calls):
            return None
        calls = [calls[key] for key in sorted(calls, key=int)]
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        return None
    found = []
    for call in calls:
        body = call["function"] if isinstance(call.get("function"), dict) else call
        one: dict[str, Any] = {}
        if isinstance(call.get("id"), str) and call["id"]:
            one["id"] = call["id"]
        if isinstance(body.get("name"), str):
            one["name"] = body["name"]
        if isinstance(body.get("arguments"), str | dict):
            one["arguments"] = body["arguments"]
        found.append(one)
    return found


def _fold(payloads: list[Any]) -> list[dict[str, Any]] | None:
    """Accumulate a list of payloads that a target decoded."""
    if not any(isinstance(item, dict) and "choices" in item for item in payloads):
        return None
    from streamkit.dialects.openai_chat import Accumulator

    accumulator = Accumulator()
    try:
        for item in payloads:
            if isinstance(item, dict):
                accumulator.feed(ServerSentEvent(data=json.dumps(item)))
            elif item != _DONE:
                return None
    except (DialectError, TypeError, ValueError):
        return None
    return [_message_of(choice) for choice in normalise(accumulator.completion())["choices"]]


def _message_of(choice: dict[str, Any]) -> dict[str, Any]:
    found = _message(choice)
    return {"finish_reason": choice["finish_reason"], **(found or {})}


def _common(expected: dict[str, Any], actual: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both sides cut down to what the target reports."""
    left: dict[str, Any] = {}
    for key, value in actual.items():
        left[key] = expected.get(key)
        if key == "tool_calls":
            left[key] = [_like(call, value[n] if n < len(value) else None) for n, call in enumerate(expected[key])]
    return left, actual


def _like(call: dict[str, Any], reported: dict[str, Any] | None) -> dict[str, Any]:
    """Return the expected call with the fields that are reported, the arguments parsed where they are reported so."""
    if reported is None:
        return call
    # A call without an id has none that could be expected: the target's own will do.
    like = {key: reported[key] if key == "id" and call[key] is None else call[key] for key in call if key in reported}
    if isinstance(reported.get("arguments"), dict):
        try:
            like["arguments"] = normalise(json.loads(call["arguments"] or "{}"))
        except ValueError:
            like["arguments"] = call["arguments"]
    return like
