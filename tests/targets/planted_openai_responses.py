"""Planted bugs of OpenAI Responses, one for each of its mutations."""

from __future__ import annotations

import json
from typing import Any

from targets.broken import BrokenStream
from targets.frames import Json, paired
from targets.openai_responses import ByDeltas, Item, Responses
from targets.planting import Planted

# -- deltas in other pieces


class TrimsEachDelta(ByDeltas):
    def text(self, item: Item, place: int, text: str) -> None:
        super().text(item, place, text.strip())


class TakesAWholeFragmentForAPlaceholder(ByDeltas):
    """Some servers send {} before the arguments: what is an object by itself is dropped as if it were one."""

    def fragment(self, item: Item, fragment: str) -> None:
        try:
            json.loads(fragment)
        except ValueError:
            super().fragment(item, fragment)


class AppendsToTheLatestCall(ByDeltas):
    def fragment(self, item: Item, fragment: str) -> None:
        super().fragment(list(self.items.values())[-1], fragment)


# -- what other servers send


class TakesDoneForAFinishReason(Responses):
    def sentinel(self) -> None:
        self.finish = "stop"


class NeedsAnItemInEveryEvent(Responses):
    def unknown(self, payload: Json) -> None:
        if "response" not in payload:
            payload["output_index"]


class NeedsWholeItemsFromTheStart(Responses):
    def added(self, payload: Json) -> None:
        super().added(payload)
        item = payload["item"]
        if item["type"] == "message":
            self.item(payload).texts = {place: part["text"] for place, part in enumerate(item["content"])}
        elif item["type"] == "function_call":
            self.item(payload).fragments = [item["arguments"]]


class TakesTheOutputOfTheEndAlone(Responses):
    def end(self, response: Json) -> None:
        super().end(response)
        self.items = {}
        for index, fields in enumerate(response.get("output") or ()):
            self.items[index] = Item()
            self.item_done(self.items[index], fields)


class FindsItemsByTheirId(Responses):
    """A delta whose item_id is new begins a text of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.by_id: dict[Any, Item] = {}

    def added(self, payload: Json) -> None:
        super().added(payload)
        self.by_id[payload["item"]["id"]] = self.items[payload["output_index"]]

    def text(self, item: Item, place: int, text: str) -> None:
        pass

    def text_done(self, item: Item, place: int, text: str) -> None:
        pass

    def take(self, kind: str, payload: Json) -> None:
        super().take(kind, payload)
        if kind == "response.output_text.delta":
            identity = payload.get("item_id")
            if identity not in self.by_id:
                self.by_id[identity] = self.items[100 + len(self.by_id)] = Item()
            Responses.text(self, self.by_id[identity], payload["content_index"], payload["delta"])


class NeedsSequenceNumbers(Responses):
    def take(self, kind: str, payload: Json) -> None:
        if kind.startswith("response.") and payload["sequence_number"] >= 0:
            super().take(kind, payload)


class TakesArgumentsFromDeltasAlone(Responses):
    """What is whole is there to check the deltas, and not looked at where none came."""

    def arguments(self, item: Item) -> str:
        joined = "".join(item.fragments)
        if joined and item.whole not in (None, joined):
            raise BrokenStream("the deltas do not make the arguments")
        return joined


class NeedsTheItemBeforeItsDeltas(Responses):
    def fragment(self, item: Item, fragment: str) -> None:
        item.fields["call_id"]
        super().fragment(item, fragment)


class TakesAFilteredAnswerForAWholeOne(Responses):
    def reason(self, reason: str | None) -> str | None:
        return None if reason is None else {"content_filter": "completed"}.get(reason, reason)


class RepairsArguments(Responses):
    """Closes what is open in arguments that were cut off, as parsers of partial JSON do."""

    def arguments(self, item: Item) -> str:
        text = super().arguments(item)
        for end in ("", '"}', "}"):
            try:
                json.loads(text + end)
            except ValueError:
                continue
            return text + end
        return "{}"


class TakesTheFirstItemForTheMessage(Responses):
    def content(self) -> str:
        return self.text_of(self.items[0])


class TrustsDeltasMoreThanTheWhole(Responses):
    def arguments(self, item: Item) -> str:
        return paired("".join(item.fragments)) or super().arguments(item)

    def call(self, item: Item) -> Json:
        return {key: value for key, value in super().call(item).items() if key != "problem"}


class SkipsItemsOfNoResponse(Responses):
    def take(self, kind: str, payload: Json) -> None:
        if self.begun or "response" in payload:
            super().take(kind, payload)

    def close_item(self, index: int, fields: Json) -> None:
        if self.begun:
            super().close_item(index, fields)


class KnowsEventsByTheirNames(Responses):
    """A stream without names has no events, and is an empty response."""

    def __init__(self) -> None:
        super().__init__()
        self.named = False

    def event(self, name: str, payload: Json) -> None:
        self.named = self.named or bool(name)
        if name:
            super().event(name, payload)

    def close(self) -> None:
        if self.named:
            super().close()


class NeedsUsage(Responses):
    def end(self, response: Json) -> None:
        super().end(response)
        self.tokens = response["usage"]["output_tokens"]


class KnowsTheFieldsOfADelta(Responses):
    def text(self, item: Item, place: int, text: str) -> None:
        super().text(item, place, text)
        if self.fields - {"type", "sequence_number", "item_id", "output_index", "content_index", "delta"}:
            raise TypeError("an unexpected field")

    def take(self, kind: str, payload: Json) -> None:
        self.fields = set(payload)
        super().take(kind, payload)


class MarksCallsByTheStatus(Responses):
    """Whether arguments are whole is not looked at where the response says that it is complete."""

    def call(self, item: Item) -> Json:
        call = super().call(item)
        if self.finish == "completed":
            call.pop("problem", None)
        return call


class NeedsPartsBeforeTheirDeltas(Responses):
    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[int, Json] = {}

    def take(self, kind: str, payload: Json) -> None:
        if kind == "response.content_part.added":
            self.parts[payload["content_index"]] = payload["part"]
        super().take(kind, payload)

    def text(self, item: Item, place: int, text: str) -> None:
        self.parts[place]["text"] += text
        super().text(item, place, text)


class TakesReasoningForText(Responses):
    def unknown(self, payload: Json) -> None:
        if str(payload.get("type")).endswith("_text.delta"):
            self.text(self.item(payload), 0, payload["delta"])


class TakesARefusalForText(Responses):
    def item_done(self, item: Item, fields: Json) -> None:
        super().item_done(item, fields)
        for place, part in enumerate(fields["content"] if item.kind == "message" else ()):
            item.texts[place] = part.get("text") or part.get("refusal") or ""


class KeepsTheLastCall(Responses):
    def result(self) -> Json:
        made = super().result()
        return {**made, "tool_calls": made["tool_calls"][-1:]}


class KnowsAnnouncedItemsAlone(Responses):
    def close_item(self, index: int, fields: Json) -> None:
        if index in self.items:
            super().close_item(index, fields)


class TakesTextFromDeltasAlone(Responses):
    def text_done(self, item: Item, place: int, text: str) -> None:
        pass

    def item_done(self, item: Item, fields: Json) -> None:
        texts = item.texts
        super().item_done(item, fields)
        item.texts = texts


class HandsOutFinishedItems(Responses):
    def result(self) -> Json:
        self.items = {index: item for index, item in self.items.items() if item.done}
        return super().result()


# -- broken streams


class TakesChatChunksForText(Responses):
    def __init__(self) -> None:
        super().__init__()
        self.chunks = ""

    def foreign(self, payload: Json) -> None:
        for choice in payload.get("choices") or ():
            self.chunks += choice["delta"].get("content") or ""

    def content(self) -> str:
        return super().content() + self.chunks


class TakesDoneForTheEnd(Responses):
    def sentinel(self) -> None:
        self.finish = self.finish or "completed"


class LogsErrors(Responses):
    def error(self, payload: Json) -> None:
        pass


class TakesAFailureForAnEnd(Responses):
    def failed(self, response: Json) -> None:
        self.finish = response["status"]


class KeepsTheItemsOfBothAttempts(Responses):
    def again(self) -> None:
        self.items = {index - 100: item for index, item in self.items.items()}


ONE = "openai_responses/synthetic_text_and_call"
TWO = "openai_responses/synthetic_parallel_calls"

PLANTED = (
    Planted(TrimsEachDelta, "responses_split_deltas", ONE),
    Planted(TakesAWholeFragmentForAPlaceholder, "responses_joined_deltas", ONE),
    Planted(AppendsToTheLatestCall, "responses_interleaved_calls", TWO),
    Planted(TakesDoneForAFinishReason, "responses_done_sentinel", ONE),
    Planted(
        NeedsAnItemInEveryEvent,
        "responses_keepalive",
        ONE,
        ("foreign_events",),
        "both are an event that the parser does not know, such as a keepalive",
    ),
    Planted(NeedsWholeItemsFromTheStart, "responses_bare_items", ONE),
    Planted(TakesTheOutputOfTheEndAlone, "responses_empty_output", ONE),
    Planted(FindsItemsByTheirId, "responses_other_item_ids", ONE),
    Planted(NeedsSequenceNumbers, "responses_sequence_numbers", ONE),
    Planted(
        TakesArgumentsFromDeltasAlone,
        "responses_arguments_at_once",
        ONE,
        ("responses_second_call", "responses_terminal_alone"),
        "each sends the arguments of a call whole, and no delta",
    ),
    Planted(NeedsTheItemBeforeItsDeltas, "responses_delta_before_item", ONE),
    Planted(TakesAFilteredAnswerForAWholeOne, "responses_incomplete", ONE),
    Planted(
        RepairsArguments,
        "responses_incomplete_arguments",
        ONE,
        ("responses_half_arguments",),
        "both leave half of a call's arguments",
    ),
    Planted(
        TakesTheFirstItemForTheMessage,
        "responses_item_before",
        ONE,
        ("responses_reasoning_first",),
        "both put an item of another kind first",
    ),
    Planted(
        TrustsDeltasMoreThanTheWhole,
        "responses_lost_delta",
        ONE,
        ("responses_half_arguments", "responses_incomplete_arguments"),
        "each leaves arguments that are no object, and the call says nothing of it",
    ),
    Planted(SkipsItemsOfNoResponse, "responses_no_created", ONE),
    Planted(TakesChatChunksForText, "responses_chat_chunk", ONE),
    Planted(TakesDoneForTheEnd, "responses_cut", ONE),
    Planted(LogsErrors, "responses_error", ONE),
    Planted(TakesAFailureForAnEnd, "responses_failed", ONE),
    Planted(KeepsTheItemsOfBothAttempts, "responses_started_over", ONE),
    Planted(KnowsEventsByTheirNames, "responses_no_names", ONE),
    Planted(NeedsUsage, "responses_no_usage", ONE),
    Planted(KnowsTheFieldsOfADelta, "responses_unknown_fields", ONE),
    Planted(MarksCallsByTheStatus, "responses_half_arguments", ONE),
    Planted(NeedsPartsBeforeTheirDeltas, "responses_no_parts", ONE),
    Planted(TakesReasoningForText, "responses_reasoning_first", ONE),
    Planted(TakesARefusalForText, "responses_refusal", ONE),
    Planted(KeepsTheLastCall, "responses_second_call", ONE),
    Planted(KnowsAnnouncedItemsAlone, "responses_terminal_alone", ONE),
    Planted(
        TakesTextFromDeltasAlone,
        "responses_text_at_once",
        ONE,
        ("responses_terminal_alone",),
        "both send a text whole, and no delta of it",
    ),
    Planted(
        HandsOutFinishedItems,
        "responses_unfinished_items",
        ONE,
        ("responses_terminal_alone", "responses_text_at_once"),
        "none of them says of an item, before the end, that it is finished",
    ),
)
