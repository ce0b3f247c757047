"""Planted bugs of Bedrock's ConverseStream, one for each of its mutations."""

from __future__ import annotations

import json
import re
from typing import Any

from targets.bedrock_converse import Block, Converse
from targets.broken import BrokenStream
from targets.frames import Json
from targets.planting import Planted

# -- the wire, and the same answer in other pieces


class ReadsHeadersOfTextAlone(Converse):
    def header_value(self, raw: bytes, at: int) -> tuple[Any, int]:
        if raw[at] != 7:
            raise BrokenStream(f"a header of type {raw[at]}")
        return super().header_value(raw, at)


class FindsTheEventTypeByItsPlace(Converse):
    def kind_of(self, headers: list[tuple[str, Any]]) -> Any:
        return headers[-3][1]


class RefusesAnInitialResponse(Converse):
    def initial(self) -> None:
        raise BrokenStream("initial-response")


class FindsTheStopReasonInTheText(Converse):
    def payload(self, payload: bytes) -> Json:
        found = re.search(rb'"stopReason":"(\w+)"', payload)
        self.found = None if found is None else found[1].decode()
        return super().payload(payload)

    def reason(self, payload: Json) -> str | None:
        return self.found


class RefusesLongMessages(Converse):
    def message(self, raw: bytes) -> tuple[list[tuple[str, Any]], bytes]:
        if len(raw) > 4096:
            raise BrokenStream("a message of more than 4 KiB")
        return super().message(raw)


class BeginsAnewAtAnEmptyFragment(Converse):
    def fragment(self, block: Block, fragment: str) -> None:
        if not fragment:
            block.fragments.clear()
        super().fragment(block, fragment)


class TakesAWholeFragmentForAPlaceholder(Converse):
    """Some servers send {} before the arguments: what is an object by itself is dropped as if it were one."""

    def fragment(self, block: Block, fragment: str) -> None:
        try:
            json.loads(fragment)
        except ValueError:
            super().fragment(block, fragment)


class TrimsEachDelta(Converse):
    def text(self, block: Block, text: str) -> None:
        super().text(block, text.strip())


# -- what else the service may send


class LooksUnknownEventsUp(Converse):
    def unknown(self, kind: str) -> None:
        {"messageStart": None}[kind]


class TakesNullForAnIndex(Converse):
    """Where the index is absent it is that of the event before; null is none."""

    last: Any = 0

    def index(self, payload: Json) -> Any:
        self.last = payload.get("contentBlockIndex", self.last)
        return self.last


class AppendsToTheLatestCall(Converse):
    def block(self, index: Any) -> Block:
        calls = [block for block in self.blocks.values() if block.call is not None]
        return calls[-1] if calls else super().block(index)

    def call(self, start: Json, arguments: str) -> Json:
        return {key: value for key, value in super().call(start, arguments).items() if key != "problem"}


class NeedsUsage(Converse):
    def counted(self) -> int | None:
        usage: Any = self.usage
        return int(usage["outputTokens"])


class RefusesUnknownFields(Converse):
    def take(self, kind: str, payload: Json) -> None:
        known = {"contentBlockIndex", "start", "delta", "p", "role", "stopReason", "metrics", "usage"}
        if payload.keys() - known:
            raise BrokenStream("a field that nobody knows")
        super().take(kind, payload)


class TakesAFilteredAnswerForAWholeOne(Converse):
    def reason(self, payload: Json) -> str | None:
        reason = super().reason(payload)
        return "end_turn" if reason in ("content_filtered", "guardrail_intervened") else reason


class LeavesHalvesApart(Converse):
    def whole(self, text: str) -> str:
        return text


class MarksNoCall(Converse):
    def call(self, start: Json, arguments: str) -> Json:
        return {key: value for key, value in super().call(start, arguments).items() if key != "problem"}


class KeepsTheLastCall(Converse):
    def result(self) -> Json:
        made = super().result()
        return {**made, "tool_calls": made["tool_calls"][-1:]}


# -- broken streams


class ChecksPreludesAlone(Converse):
    def check_message(self, raw: bytes) -> None:
        pass


class SkipsLineEndsBetweenMessages(Converse):
    def next_message(self) -> bytes:
        while self.pending.startswith((b"\r", b"\n")):
            del self.pending[:1]
        return super().next_message()


class TakesAnExceptionForTheEnd(Converse):
    def exception(self, told: dict[str, Any], payload: bytes) -> None:
        self.stop_reason = "end_turn"


class TakesAStartForACall(Converse):
    """Each contentBlockStart makes a call, also the same one again."""

    def open(self, index: Any, start: Json) -> None:
        if index in self.blocks:
            self.blocks[index + 100] = self.blocks.pop(index)
        super().open(index, start)


class TakesArgumentsForANewCall(Converse):
    def astray(self, block: Block) -> None:
        block.call = {"name": ""}


class TakesStoppedBlocksForAnEnd(Converse):
    def has_ended(self) -> bool:
        return super().has_ended() or (bool(self.blocks) and all(block.stopped for block in self.blocks.values()))


class TakesAnUnfinishedMessageForTheEnd(Converse):
    def unfinished(self) -> None:
        self.stop_reason = self.stop_reason or "end_turn"


ONE = "bedrock_converse/synthetic_text_and_call"
TWO = "bedrock_converse/synthetic_parallel_calls"

PLANTED = (
    Planted(ReadsHeadersOfTextAlone, "bedrock_further_header", ONE),
    Planted(FindsTheEventTypeByItsPlace, "bedrock_header_order", ONE),
    Planted(RefusesAnInitialResponse, "bedrock_initial_response", ONE),
    Planted(FindsTheStopReasonInTheText, "bedrock_json_style", ONE),
    Planted(RefusesLongMessages, "bedrock_padding", ONE),
    Planted(BeginsAnewAtAnEmptyFragment, "bedrock_empty_input", ONE),
    Planted(TakesAWholeFragmentForAPlaceholder, "bedrock_merge_deltas", ONE),
    Planted(TrimsEachDelta, "bedrock_split_delta", ONE),
    Planted(LooksUnknownEventsUp, "bedrock_unknown_event", ONE),
    Planted(TakesNullForAnIndex, "bedrock_missing_index", ONE),
    Planted(
        AppendsToTheLatestCall,
        "bedrock_interleave_blocks",
        TWO,
        ("bedrock_half_input",),
        "each leaves arguments that are no object, and the call says nothing of it",
    ),
    Planted(NeedsUsage, "bedrock_no_metadata", ONE),
    Planted(ChecksPreludesAlone, "bedrock_bad_checksum", ONE),
    Planted(SkipsLineEndsBetweenMessages, "bedrock_garbage", ONE),
    Planted(TakesAnExceptionForTheEnd, "bedrock_exception", ONE),
    Planted(TakesAStartForACall, "bedrock_doubled_message", ONE),
    Planted(TakesArgumentsForANewCall, "bedrock_lost_start", ONE),
    Planted(TakesStoppedBlocksForAnEnd, "bedrock_cut", ONE),
    Planted(
        TakesAnUnfinishedMessageForTheEnd,
        "bedrock_cut_message",
        ONE,
        ("not_a_stream",),
        "a few bytes that are no message are the beginning of one",
    ),
    Planted(RefusesUnknownFields, "bedrock_unknown_fields", ONE),
    Planted(TakesAFilteredAnswerForAWholeOne, "bedrock_stop_reason", ONE),
    Planted(LeavesHalvesApart, "bedrock_surrogate_halves", ONE),
    Planted(MarksNoCall, "bedrock_half_input", ONE),
    Planted(KeepsTheLastCall, "bedrock_second_call", ONE),
)
