"""Planted bugs of Anthropic Messages, on streams that are broken; the others are in `planted_anthropic_messages`."""

from __future__ import annotations

import json
from typing import Any

from targets.anthropic_messages import Block, Messages
from targets.broken import Refused
from targets.frames import Json
from targets.planting import Planted


class DropsDeltasOfUnknownBlocks(Messages):
    def block(self, index: object, payload: Json) -> Block:
        if index in self.blocks:
            return super().block(index, payload)
        kind = {"text_delta": "text"}.get(str((payload.get("delta") or {}).get("type")), "tool_use")
        return Block(-1, {"type": kind})


class TakesClosedBlocksForAnEnd(Messages):
    def has_ended(self) -> bool:
        return super().has_ended() or (bool(self.blocks) and all(block.closed for block in self.blocks.values()))


class TakesACallForAnEnd(Messages):
    """Once a call has begun nothing else is waited for."""

    def has_ended(self) -> bool:
        return super().has_ended() or any(block.kind == "tool_use" for block in self.blocks.values())


class DropsDeltasOfClosedBlocks(Messages):
    def delta(self, block: Block, delta: Json) -> None:
        if not block.closed:
            super().delta(block, delta)


class LogsErrors(Messages):
    def refuse(self, data: str) -> None:
        pass


class KnowsErrorsByTheirName(Messages):
    def unnamed_error(self, payload: Json) -> None:
        pass


class NeedsAnObjectInAnError(Messages):
    def refuse(self, data: str) -> None:
        try:
            told: Any = json.loads(data)
        except ValueError:
            raise Refused(data) from None
        raise Refused(told.get("error"))


class OpensBlocksAtTheirFirstDelta(Messages):
    def block(self, index: object, payload: Json) -> Block:
        if isinstance(index, int) and index not in self.blocks and "delta" in payload:
            kind = {"text_delta": "text", "input_json_delta": "tool_use"}[payload["delta"]["type"]]
            self.blocks[index] = Block(index, {"type": kind, "name": ""})
        return super().block(index, payload)


class SkipsBlocksOfNoMessage(Messages):
    def take(self, kind: str, payload: Json) -> None:
        if self.begun or not kind.startswith("content_block"):
            super().take(kind, payload)

    def message_delta(self, payload: Json) -> None:
        super().message_delta(payload)
        self.begun = True

    def check_begun(self) -> None:
        pass


class GoesOnAtASecondMessageStart(Messages):
    def start(self, payload: Json) -> None:
        if not self.begun:
            super().start(payload)

    def open(self, index: object, start: Json) -> None:
        before = self.blocks.pop(index, None) if isinstance(index, int) else None
        super().open(index, start)
        if before is not None and isinstance(index, int):
            self.blocks[index].text = before.text


class TakesAnyDeltaInAnyBlock(Messages):
    def check_owner(self, block: Block, kind: str) -> None:
        pass


ONE = "anthropic_messages/synthetic_text_and_call"
TWO = "anthropic_messages/synthetic_thinking_and_calls"
_ENDS = ("truncate", "truncate_inside", "error_event", "messages_cut", "messages_cut_call")
_WHY_ENDS = "all end the body before the stop reason"

PLANTED = (
    Planted(
        DropsDeltasOfUnknownBlocks,
        "messages_strange_index",
        ONE,
        ("messages_no_block_start",),
        "both send a delta for a block that nobody opened",
    ),
    Planted(TakesClosedBlocksForAnEnd, "messages_cut", ONE, _ENDS, _WHY_ENDS),
    Planted(DropsDeltasOfClosedBlocks, "messages_delta_after_stop", ONE),
    Planted(LogsErrors, "messages_error", ONE),
    Planted(NeedsAnObjectInAnError, "messages_error_text", ONE),
    Planted(KnowsErrorsByTheirName, "messages_error_without_name", ONE),
    Planted(
        OpensBlocksAtTheirFirstDelta,
        "messages_no_block_start",
        ONE,
        ("messages_strange_index",),
        "both send a delta for a block that nobody opened",
    ),
    Planted(SkipsBlocksOfNoMessage, "messages_no_message_start", ONE),
    Planted(GoesOnAtASecondMessageStart, "messages_started_over", ONE),
    Planted(TakesAnyDeltaInAnyBlock, "messages_text_for_a_call", ONE),
    Planted(TakesACallForAnEnd, "messages_cut_call", ONE, _ENDS, _WHY_ENDS),
)
