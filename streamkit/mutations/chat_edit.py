"""A working copy of a chat completion stream, for the mutations of that dialect: find deltas and calls, rebuild them.

Only what a reader takes is touched: the payloads before `[DONE]`, and before the first event that breaks the stream.
Payloads that nobody marks as changed keep their bytes. Calls are given out only where each belongs to an index of its
own and its arguments mean the same however they are cut: so that an edit cannot change a meaning by accident.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from streamkit.dialects.openai_chat import Accumulator
from streamkit.errors import DialectError
from streamkit.mutations.chat_parts import TEXTS, Call, Json, Part, arguments_of, body_of, identity
from streamkit.mutations.registry import Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event
from streamkit.wire.event import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamkit.completion import Choice, Completion, ToolCall
    from streamkit.mutations.registry import Choose, Class, Mutation
    from streamkit.mutations.stream import Stream

__all__ = ["GOOD_FINISH", "Chat", "all_whole", "chat_mutation", "with_calls", "with_choice"]

GOOD_FINISH = ("stop", "tool_calls", "function_call")  # a whole answer's; another may say that it was cut off


def chat_mutation(
    kind: Class, name: str, does: str, *, right: str, sources: Sequence[str]
) -> Callable[[Callable[[Chat, Choose], Edit]], Mutation]:
    """Make a catalogue entry of the chat dialect out of a function of a working copy and of choices.

    Args:
        kind: its class.
        name: its name.
        does: what it does, in one line.
        right: what a right parser does, in one line.
        sources: reports of it, as repository#number.
    """

    def entry(edit: Callable[[Chat, Choose], Edit]) -> Mutation:
        made = mutation(name, kind, Layer.DELTA, does, right=right, sources=sources, dialects=("openai_chat",))
        return made(lambda stream, choose: edit(Chat(stream), choose))

    return entry


def _steady(arguments: str) -> bool:
    """Say whether arguments mean the same however they are cut: nothing follows the first whole value."""
    text = arguments.lstrip()
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return True
    except RecursionError:
        return False
    return not text[end:].strip()


class Chat:
    """A working copy of a stream. Change `payloads` in place and mark them, add and drop, then ask for the edit.

    Attributes:
        stream: what it was made from.
        payloads: by number of the event; those that a reader takes and that speak of the answer.
        end: number of the event that ends the stream: `[DONE]`, or a broken one; the number of events where none does.
        done: whether that is `[DONE]`.
        completion: what the payloads add up to.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        numbers, self.end, self.done, self.completion = stream.once(_taken)
        self.payloads: dict[int, Json] = {number: stream.events[number].payload for number in numbers}
        self._touched: set[int] = set()
        self._dropped: set[int] = set()
        self._before: dict[int, list[Json]] = {}
        self._after: dict[int, list[Json]] = {}
        self._cut: int | None = None

    # -- what is there

    @cached_property
    def uniform(self) -> bool:
        """Whether all payloads named the same answer in the same way, before any change."""
        names = [identity(payload) for payload in self.payloads.values()]
        return all(name == names[0] for name in names)

    @property
    def parts(self) -> list[Part]:
        """All entries of `choices`, in order."""
        return [
            Part(number, payload, entry)
            for number, payload in self.payloads.items()
            for entry in payload.get("choices") or []
            if entry
        ]

    @property
    def choices(self) -> list[int]:
        """The indices of the choices."""
        return [choice.index for choice in self.completion.choices]

    def of(self, choice: int) -> list[Part]:
        """Return the parts of one choice."""
        return [part for part in self.parts if part.choice == choice]

    def finish(self, choice: int) -> Part:
        """Return the part that brings a choice's finish reason; raises Inapplicable where none does."""
        found = next((part for part in self.of(choice) if part.entry.get("finish_reason")), None)
        if found is None:
            raise Inapplicable("there is no finish reason")
        return found

    def result(self, choice: int) -> Choice:
        """Return what the stream says of a choice."""
        return next(one for one in self.completion.choices if one.index == choice)

    def texts(self, keys: Sequence[str] = TEXTS, least: int = 1) -> list[tuple[Part, str]]:
        """Return the deltas with a text, as (part, name of the field).

        Args:
            keys: the fields looked at.
            least: characters that it must have.
        """
        found = [
            (part, key)
            for part in self.parts
            for key in keys
            if isinstance(part.delta.get(key), str) and len(part.delta[key]) >= least
        ]
        if not found:
            raise Inapplicable("no delta has such a text" if least < 2 else "no delta has a text that can be cut")
        return found

    def called(self, least: int = 1) -> list[tuple[int, list[Call]]]:
        """Return the choices that have at least so many calls, with them; raises Inapplicable where there are none."""
        found = []
        why = f"no choice has {least} tool calls" if least > 1 else "there are no tool calls"
        for choice in self.choices:
            try:
                calls = self.calls(choice)
            except Inapplicable as reason:
                why = str(reason)
                continue
            if len(calls) >= least:
                found.append((choice, calls))
        if not found:
            raise Inapplicable(why)
        return found

    def calls(self, choice: int) -> list[Call]:
        """Return a choice's calls in the order in which they begin.

        Raises:
            Inapplicable: they are written in a way in which an edit could change what belongs to what.
        """
        found: dict[int, Call] = {}
        at: dict[str, int] = {}
        for part in self.of(choice):
            if isinstance(part.entry.get("message"), dict):
                raise Inapplicable("the answer comes as a whole message")
            for entry in part.calls:
                index, name, given = entry.get("index"), body_of(entry).get("name"), entry.get("id")
                if type(index) is not int:
                    raise Inapplicable("the calls have no index")
                if not isinstance(arguments_of(entry), str):
                    raise Inapplicable("the arguments are no text")
                call = found.setdefault(index, Call(index))
                if not call.fragments and not (name or given):
                    raise Inapplicable("a call begins with neither id nor name")
                if given and at.setdefault(given, index) != index:
                    raise Inapplicable("two indices have the same id")
                renamed = name and call.name and name != call.name
                if (given and call.id and given != call.id and name) or (renamed and call.arguments):
                    raise Inapplicable("two calls share an index")
                call.id = call.id or given or None
                call.name = call.name if not name or name == call.name else call.name + name
                call.fragments.append((part, entry))
        if not all(_steady(call.arguments) for call in found.values()):
            raise Inapplicable("more follows the end of a call's arguments")
        return list(found.values())

    # -- changes

    def touch(self, *numbers: int) -> None:
        """Mark payloads as changed."""
        self._touched.update(numbers)

    def before(self, number: int, *payloads: Json) -> None:
        """Add payloads before an event, after those added there earlier."""
        self._before.setdefault(number, []).extend(payloads)

    def ahead(self, part: Part, *payloads: Json) -> None:
        """Add payloads of the same choice before a delta. The role goes to the first of them.

        Without it some clients take a delta for no answer of the assistant's, and that is another mutation: role_noise.
        """
        if payloads and "role" in part.delta:
            entry = payloads[0]["choices"][0]
            entry["delta"] = {"role": part.delta.pop("role"), **entry["delta"]}
            self.touch(part.number)
        self.before(part.number, *payloads)

    def take_before(self, number: int) -> list[Json]:
        """Take back what was added before an event, and return it."""
        return self._before.pop(number, [])

    def after(self, number: int, *payloads: Json) -> None:
        """Add payloads after an event, after those added there earlier."""
        self._after.setdefault(number, []).extend(payloads)

    def drop(self, number: int) -> None:
        """Leave an event out."""
        self._dropped.add(number)

    def cut(self, number: int) -> None:
        """Leave an event and all that follows it out."""
        self._cut = number

    def take_out(self, part: Part, *keys: str) -> None:
        """Take fields out of a delta; its payload goes too where nothing is left in it that says anything."""
        if isinstance(part.entry.get("message"), dict):
            raise Inapplicable("the answer comes as a whole message")
        for key in keys:
            part.delta.pop(key, None)
        self.touch(part.number)
        empty = part.alone and not any(part.entry.get(key) for key in ("finish_reason", "logprobs"))
        left = {key for key, value in part.delta.items() if value is not None and (key, value) != ("tool_calls", [])}
        if empty and self.uniform and not left:
            self.drop(part.number)

    def relay(self, choice: int, groups: Sequence[Sequence[Json]]) -> None:
        """Write a choice's calls anew, where the last entry of them was.

        Args:
            choice: its index.
            groups: the `tool_calls` entries of each payload.
        """
        self.rewrite(choice, [{"tool_calls": list(group)} for group in groups])

    def rewrite(self, choice: int, deltas: Sequence[Json]) -> None:
        """Write deltas in place of a choice's calls, where the last entry of them was.

        Args:
            choice: its index.
            deltas: the fields of each delta; of the last, those that are added to what else stands there.
        """
        parts = [part for part in self.of(choice) if part.calls]
        last = parts[-1]
        if sum(part.number == last.number for part in self.of(choice)) > 1:
            raise Inapplicable("a payload has two entries of the choice")
        deltas = copy.deepcopy(list(deltas))
        last.delta.pop("tool_calls")
        last.delta.update(deltas[-1])
        self.touch(last.number)
        self.before(last.number, *(last.like(**delta) for delta in deltas[:-1]))
        for part in parts[:-1]:
            self.take_out(part, "tool_calls")

    def edit(self, said: str, expected: Callable[[Completion], Completion] | None = None) -> Edit:
        """Return the stream with all changes.

        Args:
            said: what was changed, in words.
            expected: as of `Edit`.
        """
        events: list[Event] = []
        before, after = [], []

        def add(payloads: Iterable[Json], like: Event) -> None:
            for payload in payloads:
                after.append(len(events))
                events.append(Event(self._text(payload), like.name))

        kept = self.stream.events if self._cut is None else self.stream.events[: self._cut]
        for number, event in enumerate(kept):
            add(self._before.get(number, ()), event)
            if number in self._dropped:
                before.append(number)
            elif number in self._touched:
                before.append(number)
                after.append(len(events))
                events.append(event.with_data(self._text(self.payloads[number])))
            else:
                events.append(event)
            add(self._after.get(number, ()), event)
        tail = self.stream.tail if self._cut is None else b""
        return Edit(replace(self.stream, events=tuple(events), tail=tail), said, tuple(before), tuple(after), expected)

    def _text(self, payload: Json) -> str:
        manner = self.stream.manner
        separators = (manner.item, manner.key)
        try:
            text = json.dumps(payload, ensure_ascii=manner.ascii, separators=separators, allow_nan=False)
            if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
                text = json.dumps(payload, separators=separators)  # half a pair exists in JSON only as an escape
        except (ValueError, RecursionError):
            raise Inapplicable("a payload holds what JSON cannot write again") from None
        return text


def _taken(stream: Stream) -> tuple[list[int], int, bool, Completion]:
    """Return the events whose payloads speak of the answer, the end, whether that is `[DONE]`, and the completion."""
    numbers, end, done = [], len(stream.events), False
    accumulator = Accumulator()
    for number, event in enumerate(stream.events):
        if event.data is None or not event.data.strip():
            continue
        done = done or event.done
        try:
            accumulator.feed(ServerSentEvent(event.name or "message", event.data, lossy=_lossy(event)))
        except DialectError:
            end = number
            break
        if done:
            end = number
            break
        payload = event.payload
        if not (payload.get("choices") is None and "object" not in payload and "usage" not in payload):
            numbers.append(number)
    return numbers, end, done, accumulator.completion()


def _lossy(event: Event) -> bool:
    if event.raw is None or event.data is None or "\ufffd" not in event.data:
        return False
    try:
        event.raw.decode()
    except UnicodeDecodeError:
        return True
    return False


# -- the sensible result, where it is another


def with_choice(choice: int, change: Callable[[Choice], Choice]) -> Callable[[Completion], Completion]:
    """Return a function that changes one choice of a completion."""

    def expected(completion: Completion) -> Completion:
        choices = tuple(change(one) if one.index == choice else one for one in completion.choices)
        return replace(completion, choices=choices)

    return expected


def all_whole(choice: Choice) -> None:
    """Raise Inapplicable unless all calls of a choice are whole: then a change of one says nothing of another."""
    if not all(call.executable for call in choice.tool_calls):
        raise Inapplicable("a call is not whole already")


def with_calls(choice: int, change: Callable[[ToolCall], ToolCall]) -> Callable[[Completion], Completion]:
    """Return a function that changes the tool calls of one choice of a completion, and orders them by index."""

    def changed(one: Choice) -> Choice:
        calls = sorted(map(change, one.tool_calls), key=lambda call: call.index or 0)
        return replace(one, tool_calls=tuple(calls))

    return with_choice(choice, changed)
