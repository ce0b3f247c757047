"""Oracles: which behaviour of a target is wrong.

Invariance: the result on every delivery is the result on the recorded delivery. It needs no idea of what the result
means. It is blind to a bug that is there on every delivery, so there is a second one.

Reference: what the target reports on the recorded delivery is what the dialect's own accumulator reads there. It
compares only what it recognises in the target's result (`streamkit.fuzz.reading`), and what a target does not report
is not compared:

- a completion or message of any of the APIs, of whichever class or as a dict: text, tool calls and finish reason;
- a message or any mapping with `content` or `tool_calls`: these, and `finish_reason`, of the first choice; tool calls
  as objects with `function: {name, arguments}` or flat `name` and `arguments`, in a list or keyed by index;
- a list of payloads: they are accumulated and compared as a completion;
- what stands under another usual name, a bare text, a pair of text and calls, a list of events of the target's own,
  and `usage`, `id`, `model`, `reasoning`: from then on, where it agreed with the stream on the recorded delivery;
- with `returns="events"`, a list of events (texts, or objects with `data`): their data. A final `[DONE]` may be left
  out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.errors import DialectError
from streamkit.fuzz.normal import normalise, opaque_parts
from streamkit.fuzz.reading import PLAIN, Told, expected_of, read, same_arguments
from streamkit.mutations.stream import Stream
from streamkit.wire.sse import decode

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.transcript import Transcript

__all__ = ["Reference", "Verdict", "blind_spots", "reference_of"]

_DONE = "[DONE]"
_CALL_IDS = "the ids of calls"
#: What may be joined out of several events, and the fields that it makes.
_JOINED = {
    "texts": frozenset({"content", "reasoning"}), "arguments": frozenset({"tool_calls"}),
    "calls": frozenset({"tool_calls"}),
}  # fmt: skip
# In lower case, the finish reasons of an answer that the model brought to its end, of all dialects.
_FINISHED = {
    "stop", "tool_calls", "tool_call", "function_call", "tool_use", "end_turn", "stop_sequence", "eos", "eos_token",
    "complete", "completed",
}  # fmt: skip


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
        dialect: the dialect's name, or None.
        trusted: the weak fields of the target's results that agreed on the recorded delivery.
        open_ended: the body ends without the blank line that closes its last event, which the standard discards.
    """

    completion: Completion | None
    error: str
    data: tuple[str, ...]
    dialect: str | None = None
    trusted: frozenset[str] = frozenset()
    open_ended: bool = False

    @property
    def cut_off(self) -> str | None:
        """Why an error is a right answer though the stream is whole: the server itself did not finish what it sent."""
        if self.open_ended and self.completion is not None:
            return "no blank line closes the last event"
        for choice in self.completion.choices if self.completion is not None else ():
            for call in (*choice.tool_calls, choice.function_call):
                if call is not None and not call.executable:
                    return f"of the call of {call.name!r}, {call.problem}"
            if (choice.finish_reason or "").lower() not in _FINISHED:
                return f"the answer's finish reason is {choice.finish_reason!r}"
        return None

    def told(self, value: Any) -> Told | None:
        """Return what a result, in normal form, says in plain fields and in those weak ones that are trusted."""
        found = read(value, self.completion, self.dialect)
        if found is None and value == [] and self.trusted:  # a list that held the answer holds nothing of it
            found = Told([{"content": "", "tool_calls": []}], {"content", "tool_calls"}, bare=True, events=True)
        if found is None:
            return None
        doubtful = found.weak - self.trusted
        for name, fields in _JOINED.items():
            if name in found.unsure and f"joined {name}" not in self.trusted:
                doubtful |= fields
        choices = [{name: one[name] for name in one if name not in doubtful} for one in found.choices]
        if "ids" in doubtful:
            choices = [_without_ids(choice) for choice in choices]
        elif _CALL_IDS in self.trusted:
            for call in (call for choice in choices for call in choice.get("tool_calls") or []):
                call.setdefault("id", "")  # it was reported of the recorded stream, and is lost
        top = {name: one for name, one in found.top.items() if name not in doubtful}
        if isinstance(value, dict):  # what was reported of the recorded stream, and is not any more, is lost
            top |= {name: None for name in sorted(self.trusted & {"id", "model", "usage"}) if name not in top}
        return Told(choices, found.weak, found.bare, top, found.events) if any(choices) or not found.choices else None

    def learned(self, value: Any) -> Reference:
        """Return the reference that trusts those weak fields of a result that agree with the stream."""
        if self.completion is None:
            return self
        found = read(value, self.completion, self.dialect)
        if found is None:
            return self
        agreeing = set()
        for name in sorted(found.weak):
            trusting = replace(self, trusted=frozenset({name}))
            only = Told(
                [{key: one[key] for key in one if key == name or (name == "ids" and key == "tool_calls")}
                 for one in found.choices],
                set(), found.bare, {key: one for key, one in found.top.items() if key == name},
            )  # fmt: skip
            said = any(only.choices) or any(only.top.values())
            if found.events:  # an event that is not read says nothing, and agrees with an answer that says nothing
                said = any(value for choice in only.choices for value in choice.values())
            if said and trusting.compare(only).same:
                agreeing.add(name)
        agreeing |= {f"joined {name}" for name in found.joined if agreeing & _JOINED[name]}
        calls = [call for choice in found.choices for call in choice.get("tool_calls") or []]
        named = [call.id for choice in self.completion.choices for call in choice.tool_calls]
        if calls and all(named) and [call.get("id") for call in calls] == named:
            agreeing.add(_CALL_IDS)
        return replace(self, trusted=frozenset(agreeing))

    def judge(self, value: Any, returns: str) -> Verdict | None:
        """Compare a target's result, in normal form, with the reference; None where there is nothing to compare."""
        if returns == "events":
            return self._judge_events(value)
        if self.completion is None:
            return None
        found = self.told(value)
        return None if found is None else self.compare(found)

    def compare(self, found: Told, *, any_order: bool = False) -> Verdict:
        """Compare what a result says with what the stream says.

        Args:
            found: what the result says.
            any_order: the calls may come in another order.
        """
        said = expected_of(self.completion) if self.completion is not None else Told([])
        choices = said.choices
        if found.bare:
            choices = choices[:1] or [dict(_NOTHING)]
        left: list[Any] = []
        right: list[Any] = []
        for number in range(max(len(found.choices), len(choices))):
            have = found.choices[number] if number < len(found.choices) else None
            want = choices[number] if number < len(choices) else None
            if have is None or want is None:
                shown = want if have is None else have
                shown = {name: shown[name] for name in PLAIN if name in shown} if shown is not None else None
                left.append(shown if have is None else None)
                right.append(shown if want is None else None)
                continue
            one, two = _common(want, have, any_order=any_order)
            left.append(one)
            right.append(two)
        above = {name: _like_top(said.top.get(name), value) for name, value in found.top.items()}
        if len(left) == len(right) == 1 and isinstance(left[0], dict) and isinstance(right[0], dict):
            return Verdict({**left[0], **above}, {**right[0], **found.top})
        return Verdict({"choices": left, **above}, {"choices": right, **found.top})

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
    stream = Stream.of(transcript, dialect.name)
    events = decode(transcript.body) if stream.manner.wire == "sse" else stream.events
    data = tuple(event.data for event in events if event.data is not None)
    reader = dialect.reader()
    try:
        reader.feed(transcript.body)
        reader.close()
        open_ended = stream.manner.wire == "sse" and _is_open(transcript.body)
        return Reference(reader.result(), "", data, dialect.name, open_ended=open_ended)
    except DialectError as error:
        return Reference(None, type(error).__name__, data, dialect.name)


def _is_open(body: bytes) -> bool:
    """Whether data stand after the last blank line of an event stream."""
    last = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rpartition(b"\n\n")[2]
    return any(line.startswith(b"data") for line in last.split(b"\n"))


def blind_spots(value: Any, verdict: Verdict | None) -> list[str]:
    """Say where a pass means less than it seems to: what of a result, in normal form, no oracle can see."""
    spots = [f"part of the result cannot be compared at all: {part}" for part in opaque_parts(value)]
    if verdict is None:
        spots.insert(
            0, "nothing in the result could be compared with the stream: only that all deliveries give the same"
        )
    return spots


_NOTHING: dict[str, Any] = {"content": "", "tool_calls": [], "finish_reason": None, "reasoning": "", "refusal": ""}


def _without_ids(choice: dict[str, Any]) -> dict[str, Any]:
    calls = choice.get("tool_calls")
    if calls is None:
        return choice
    return {**choice, "tool_calls": [{name: one[name] for name in one if name != "id"} for one in calls]}


def _like_top(expected: Any, value: Any) -> Any:
    """Return what is expected of a field of the whole answer: of usage, the counts that are reported."""
    if isinstance(value, dict) and isinstance(expected, dict):
        return {name: expected[name] for name in value if name in expected}
    return (expected or None) if value is None else expected


def _common(
    expected: dict[str, Any], actual: dict[str, Any], *, any_order: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both sides cut down to what the target reports."""
    left: dict[str, Any] = {}
    for key, value in actual.items():
        left[key] = expected.get(key)
        if key == "tool_calls":
            wanted = _ordered(expected[key], value) if any_order else expected[key]
            left[key] = [_like(call, value[n] if n < len(value) else None) for n, call in enumerate(wanted)]
    return left, actual


def _ordered(wanted: list[dict[str, Any]], reported: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the expected calls in the order in which they are reported, as far as they are."""
    left = list(wanted)
    found = []
    for call in reported:
        number = next((n for n, one in enumerate(left) if _like(one, call) == call), None)
        if number is not None:
            found.append(left.pop(number))
    return [*found, *left] if len(found) == len(reported) else wanted


def _like(call: dict[str, Any], reported: dict[str, Any] | None) -> dict[str, Any]:
    """Return the expected call with the fields that are reported, the arguments as they are reported if they fit."""
    if reported is None:
        return call
    # A call without an id has none that could be expected: the target's own will do.
    like = {key: reported[key] if key == "id" and call[key] is None else call[key] for key in call if key in reported}
    if "arguments" in reported and same_arguments(reported["arguments"], normalise(call["arguments"])):
        like["arguments"] = reported["arguments"]
    return like
