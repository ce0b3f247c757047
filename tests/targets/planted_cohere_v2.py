"""Planted bugs of Cohere's chat (v2), one for each of its mutations."""

from __future__ import annotations

import json
from typing import Any

from targets.broken import CutOff
from targets.cohere_v2 import Call, Chat
from targets.frames import Json
from targets.planting import Planted

# -- the same answer in other pieces


class GivesTheFinishReasonAtDone(Chat):
    def result(self) -> Json:
        return {**super().result(), "finish_reason": self.finish if self.done else "unknown"}


class KnowsEventsByTheirNames(Chat):
    """A stream without names has no events, and is an empty answer."""

    def __init__(self) -> None:
        super().__init__()
        self.named = False

    def kind_of(self, name: str, payload: Json) -> str | None:
        self.named = self.named or bool(name)
        return name

    def close(self) -> None:
        if self.named:
            super().close()


class LooksForTheKeyOfLogprobs(Chat):
    def content(self, payload: Json, message: Json) -> None:
        if "logprobs" in payload:
            self.tokens = list(payload["logprobs"])
        super().content(payload, message)


class BeginsAnewAtAnEmptyFragment(Chat):
    def fragment(self, call: Call, fragment: str) -> None:
        if not fragment:
            call.fragments.clear()
        super().fragment(call, fragment)


class TakesAWholeFragmentForAPlaceholder(Chat):
    """Some servers send {} before the arguments: what is an object by itself is dropped as if it were one."""

    def fragment(self, call: Call, fragment: str) -> None:
        try:
            json.loads(fragment)
        except ValueError:
            super().fragment(call, fragment)


class CitesTheTextSoFar(Chat):
    def citation(self, citation: Json) -> Json:
        return {**citation, "text": self.text[citation["start"] : citation["end"]]}


class TrimsEachDelta(Chat):
    """The blanks are put back: one between two deltas that begin or end with a letter."""

    def add(self, text: str) -> None:
        blank = " " if self.text and text else ""
        super().add(blank + text.strip())


# -- what other servers send


class KnowsEventsByTheirFirstWord(Chat):
    def unknown(self, kind: str, message: Json) -> None:
        if kind.startswith("content-"):
            self.add(message["content"]["text"])


class TakesNoIndexForTheFirst(Chat):
    def call_index(self, payload: Json) -> Any:
        return payload.get("index") or 0

    def open_call(self, index: Any, start: Json) -> None:
        self.calls[index] = Call(start)


class AppendsToTheLatestCall(Chat):
    def fragment(self, call: Call, fragment: str) -> None:
        super().fragment(list(self.calls.values())[-1], fragment)

    def made(self, call: Call, arguments: str) -> Json:
        return {key: value for key, value in super().made(call, arguments).items() if key != "problem"}


class NeedsUsage(Chat):
    def end(self, delta: Json) -> None:
        super().end(delta)
        self.tokens = delta["usage"]["tokens"]["output_tokens"]


class MarksNoCall(Chat):
    def made(self, call: Call, arguments: str) -> Json:
        return {key: value for key, value in super().made(call, arguments).items() if key != "problem"}


class TakesNoArgumentsFromTheStart(Chat):
    def open_call(self, index: Any, start: Json) -> None:
        super().open_call(index, start)
        self.calls[index].fragments = []


class RefusesUnknownFields(Chat):
    def event(self, kind: str, payload: Json, message: Json) -> None:
        if payload.keys() - {"type", "id", "index", "delta", "logprobs"}:
            raise CutOff("a field that nobody knows")
        super().event(kind, payload, message)


# -- broken streams


class PassesOverTheErrorOfTheEnd(Chat):
    def failed(self, delta: Json) -> None:
        pass


class TakesAStartForACall(Chat):
    """Each tool-call-start makes a call, also the same one again."""

    def open_call(self, index: Any, start: Json) -> None:
        if index in self.calls:
            self.calls[index + 100] = self.calls.pop(index)
        super().open_call(index, start)


class TakesArgumentsForANewCall(Chat):
    def call(self, index: Any) -> Call:
        return self.calls.setdefault(index, Call({}))


class TakesDoneForTheEnd(Chat):
    def has_ended(self) -> bool:
        return super().has_ended() or self.done


ONE = "cohere_v2/synthetic_text_with_citation"
TWO = "cohere_v2/synthetic_plan_and_calls"

PLANTED = (
    Planted(
        GivesTheFinishReasonAtDone,
        "cohere_no_done",
        ONE,
        ("done_absent", "done_spelling", "unterminated_last_event"),
        "all end without a [DONE] that is written so",
    ),
    Planted(KnowsEventsByTheirNames, "cohere_no_event_names", ONE),
    Planted(LooksForTheKeyOfLogprobs, "cohere_null_fields", ONE),
    Planted(BeginsAnewAtAnEmptyFragment, "cohere_empty_arguments", TWO),
    Planted(TakesAWholeFragmentForAPlaceholder, "cohere_merge_deltas", TWO),
    Planted(CitesTheTextSoFar, "cohere_move_citations", ONE),
    Planted(TrimsEachDelta, "cohere_split_delta", ONE),
    Planted(KnowsEventsByTheirFirstWord, "cohere_unknown_event", ONE),
    Planted(TakesNoIndexForTheFirst, "cohere_missing_index", TWO),
    Planted(
        AppendsToTheLatestCall,
        "cohere_interleave_calls",
        TWO,
        ("cohere_half_arguments",),
        "each leaves arguments that are no object, and the call says nothing of it",
    ),
    Planted(PassesOverTheErrorOfTheEnd, "cohere_error", ONE),
    Planted(TakesAStartForACall, "cohere_doubled_event", TWO),
    Planted(TakesArgumentsForANewCall, "cohere_lost_start", TWO),
    Planted(TakesDoneForTheEnd, "cohere_cut", ONE),
    Planted(NeedsUsage, "cohere_no_usage", ONE),
    Planted(MarksNoCall, "cohere_half_arguments", TWO),
    Planted(TakesNoArgumentsFromTheStart, "cohere_second_call", TWO),
    Planted(RefusesUnknownFields, "unknown_fields_of_events", ONE),
)
