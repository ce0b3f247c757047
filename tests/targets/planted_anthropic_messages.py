"""Planted bugs of Anthropic Messages, one for each of its mutations."""

from __future__ import annotations

import json

from targets.anthropic_messages import Block, Messages
from targets.broken import BrokenStream, Refused
from targets.frames import Json, paired
from targets.planting import Planted

# -- deltas and blocks in other pieces


class TrimsEachDelta(Messages):
    def text(self, block: Block, text: str) -> None:
        super().text(block, text.strip())


class TakesAWholeFragmentForAPlaceholder(Messages):
    """Some servers send {} before the arguments: what is an object by itself is dropped as if it were one."""

    def fragment(self, block: Block, fragment: str) -> None:
        try:
            whole = isinstance(json.loads(fragment), dict)
        except ValueError:
            whole = False
        if not whole:
            super().fragment(block, fragment)


class BeginsAnewAtAnEmptyFragment(Messages):
    def fragment(self, block: Block, fragment: str) -> None:
        if not fragment:
            block.fragments.clear()
        super().fragment(block, fragment)


class NeedsAFragmentForEachCall(Messages):
    def arguments(self, block: Block) -> str:
        return block.fragments[0] + "".join(block.fragments[1:])


class FlushesTheTextAtAPing(Messages):
    """A ping comes while nothing is said, so the text so far is shown as a paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def text(self, block: Block, text: str) -> None:
        if not self.shown:
            self.shown.append("")
        self.shown[-1] += text

    def ping(self, payload: Json) -> None:
        self.shown.append("")

    def content(self) -> str:
        return "\n".join(self.shown)


class RefusesUnknownEvents(Messages):
    def unknown(self, payload: Json) -> None:
        raise BrokenStream(payload)


class AddsUpTheCounts(Messages):
    """The counts of a message_delta are cumulative, and are taken for increments."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = 0

    def count(self, payload: Json) -> None:
        self.counted += (payload.get("usage") or {}).get("output_tokens", 0)
        self.usage["output_tokens"] = self.counted


class TakesTheLatestBlock(Messages):
    def block(self, index: object, payload: Json) -> Block:
        if payload["type"] == "content_block_delta" and self.blocks:
            return list(self.blocks.values())[-1]
        return super().block(index, payload)

    def late(self, block: Block) -> None:
        pass

    def check_owner(self, block: Block, kind: str) -> None:
        pass


# -- what other servers send


class KnowsEventsByTheirNames(Messages):
    """A stream without names has no events, and is an empty message."""

    def __init__(self) -> None:
        super().__init__()
        self.named = False

    def kind_of(self, name: str, payload: Json) -> str:
        self.named = self.named or bool(name)
        return name

    def close(self) -> None:
        if self.named:
            super().close()


class NeedsUsage(Messages):
    def count(self, payload: Json) -> None:
        self.usage["output_tokens"] = payload["usage"]["output_tokens"]


class TakesARefusalForAnEnd(Messages):
    def finish_reason(self) -> str | None:
        return {"refusal": "end_turn"}.get(self.stop_reason or "", self.stop_reason)


class FindsBlocksByTheirPlace(Messages):
    """Keeps the blocks in a list, where the index is taken for a place."""

    def block(self, index: object, payload: Json) -> Block:
        return list(self.blocks.values())[index] if isinstance(index, int) else super().block(index, payload)


class RepairsArguments(Messages):
    """Closes what is open in arguments that were cut off, as parsers of partial JSON do."""

    def arguments(self, block: Block) -> str:
        text = super().arguments(block)
        for end in ("", '"}', '""}', "}"):
            try:
                json.loads(text + end)
            except ValueError:
                continue
            return text + end
        return "{}"


class TakesDoneForAFinishReason(Messages):
    def feed(self, chunk: bytes) -> None:
        for name, data in self.frames.feed(chunk):
            if data.strip() == "[DONE]":
                self.stop_reason = "stop"
            elif not self.over and not self.is_noise(data):
                self.event(name, data)


class CountsTheBlocks(Messages):
    def ordered(self) -> list[Block]:
        return [self.blocks[index] for index in range(len(self.blocks))]


class JoinsInputOfStartAndDeltas(Messages):
    def arguments(self, block: Block) -> str:
        given = block.start.get("input")
        return (self.dumped(given) if given else "") + paired("".join(block.fragments))

    def call(self, block: Block) -> Json:
        return {key: value for key, value in super().call(block).items() if key != "problem"}


class HandsOutCallsAtMessageStop(Messages):
    def is_call(self, block: Block) -> bool:
        return self.over and super().is_call(block)


class KeepsTextAtTheStopOfItsBlock(Messages):
    def content(self) -> str:
        return paired("".join(block.text for block in self.ordered() if block.kind == "text" and block.closed))


class TakesWhatIsNoTextForACall(Messages):
    def is_call(self, block: Block) -> bool:
        return block.kind not in ("text", "thinking")

    def call(self, block: Block) -> Json:
        return {"id": None, "name": "", **block.start, "arguments": self.arguments(block)}


class DropsABackslashAtTheEndOfAFragment(Messages):
    def fragment(self, block: Block, fragment: str) -> None:
        super().fragment(block, fragment.rstrip("\\"))


class LooksForTheKeyOfCitations(Messages):
    def open(self, index: object, start: Json) -> None:
        super().open(index, start)
        if "citations" in start:
            self.citations = list(start["citations"])


class TakesAnyTextInADelta(Messages):
    def other(self, block: Block, delta: Json) -> None:
        self.text(block, delta.get("text") or "")


class MarksCallsByTheStopReason(Messages):
    """Whether arguments are whole is not looked at where the answer says that it is."""

    def call(self, block: Block) -> Json:
        call = super().call(block)
        if self.stop_reason == "tool_use":
            call.pop("problem", None)
        return call


class KeepsTheLastCall(Messages):
    def is_call(self, block: Block) -> bool:
        calls = [one for one in self.ordered() if super(KeepsTheLastCall, self).is_call(one)]
        return block in calls[-1:]


class TakesToolsOfTheServerForItsOwn(Messages):
    def is_call(self, block: Block) -> bool:
        return block.kind.endswith("tool_use")


class TakesThinkingForText(Messages):
    def content(self) -> str:
        return paired("".join(block.text for block in self.ordered() if block.kind in ("text", "thinking")))


class TakesNothingInText(Messages):
    """Knows an error by its look, and finds it in the text of an answer."""

    def event(self, name: str, data: str) -> None:
        if "event: error" in data:
            raise Refused(data)
        super().event(name, data)


ONE = "anthropic_messages/synthetic_text_and_call"
TWO = "anthropic_messages/synthetic_thinking_and_calls"

PLANTED = (
    Planted(TrimsEachDelta, "messages_split_delta", ONE),
    Planted(TakesAWholeFragmentForAPlaceholder, "messages_merge_deltas", ONE),
    Planted(BeginsAnewAtAnEmptyFragment, "messages_empty_delta", ONE),
    Planted(NeedsAFragmentForEachCall, "messages_no_empty_delta", TWO),
    Planted(FlushesTheTextAtAPing, "messages_ping", ONE),
    Planted(RefusesUnknownEvents, "messages_unknown_event", ONE),
    Planted(AddsUpTheCounts, "messages_two_message_deltas", ONE),
    Planted(TakesTheLatestBlock, "messages_interleaved", ONE),
    Planted(KnowsEventsByTheirNames, "messages_no_names", ONE),
    Planted(NeedsUsage, "messages_no_usage", ONE),
    Planted(TakesARefusalForAnEnd, "messages_stop_reason", ONE),
    Planted(
        FindsBlocksByTheirPlace,
        "messages_blocks_out_of_order",
        ONE,
        ("messages_index_gaps", "messages_strange_index", "messages_no_block_start"),
        "in each of them the index of a block is not the number of blocks before it",
    ),
    Planted(
        RepairsArguments,
        "messages_cut_arguments",
        ONE,
        ("messages_half_arguments",),
        "both leave half of a call's arguments",
    ),
    Planted(TakesDoneForAFinishReason, "messages_done", ONE),
    Planted(CountsTheBlocks, "messages_index_gaps", ONE),
    Planted(
        JoinsInputOfStartAndDeltas,
        "messages_input_at_start",
        ONE,
        ("messages_half_arguments", "messages_cut_arguments"),
        "each leaves arguments that are no object, and the call says nothing of it",
    ),
    Planted(HandsOutCallsAtMessageStop, "messages_no_message_stop", ONE),
    Planted(KeepsTextAtTheStopOfItsBlock, "messages_unclosed_block", ONE),
    Planted(
        TakesWhatIsNoTextForACall,
        "messages_unknown_block",
        ONE,
        ("messages_server_tool_first", "messages_thinking_first"),
        "each sends a block that is neither text nor a call",
    ),
    Planted(
        DropsABackslashAtTheEndOfAFragment,
        "messages_escape_cuts",
        TWO,
        ("messages_split_delta",),
        "both cut a fragment after a backslash",
    ),
    Planted(LooksForTheKeyOfCitations, "messages_nulls", ONE),
    Planted(TakesAnyTextInADelta, "messages_beside_text", ONE),
    Planted(MarksCallsByTheStopReason, "messages_half_arguments", ONE),
    Planted(KeepsTheLastCall, "messages_second_call", ONE),
    Planted(TakesToolsOfTheServerForItsOwn, "messages_server_tool_first", ONE),
    Planted(TakesThinkingForText, "messages_thinking_first", ONE),
    Planted(TakesNothingInText, "framing_in_deltas", ONE),
)
