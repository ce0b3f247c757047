"""Mutations of Anthropic Messages into what other servers send, and into answers that stopped for another reason.

Source: the API's page "Handling stop reasons", and the reports and recordings named in each entry.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.completion import argument_problem
from streamkit.mutations.anthropic_parts import (
    DOCS,
    ONLY,
    STOPS,
    Block,
    blocks_of,
    event_of,
    of_type,
    ordered,
    payload_of,
    pieces_of,
    rewritten,
    stopped,
    without,
)
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Choice, Completion

__all__: list[str] = []  # the catalogue finds the entries by their class

_CUT_OFF = ("max_tokens", "refusal", "pause_turn", "model_context_window_exceeded")


@mutation(
    "messages_blocks_out_of_order", Class.DIALECT, Layer.DELTA, "sends a block before the one with the smaller index",
    right="takes the index as the key of the block, not as a count",
    sources=["anthropics/anthropic-sdk-python#1145"], dialects=ONLY,
)  # fmt: skip
def blocks_out_of_order(stream: Stream, choose: Choose) -> Edit:
    """Exchange two neighbouring blocks."""
    blocks = blocks_of(stream)
    pairs = [(a, b) for a, b in pairwise(blocks) if a.stop < b.start and a.index < b.index]
    one, two = choose.of(need(pairs, "two blocks, one after the other"))
    middle = range(one.stop + 1, two.start)
    order = [*range(two.start, two.stop + 1), *middle, *range(one.start, one.stop + 1)]
    numbers = tuple(range(one.start, two.stop + 1))
    return Edit(ordered(stream, one.start, order), f"block {two.index} before {one.index}", numbers, numbers)


@mutation(
    "messages_index_gaps", Class.DIALECT, Layer.DELTA, "numbers the blocks with gaps",
    right="takes the index as the key of the block, not as a place in a list",
    sources=["anthropics/anthropic-sdk-python#1145"], dialects=ONLY,
)  # fmt: skip
def index_gaps(stream: Stream, choose: Choose) -> Edit:
    """Number the blocks 0, 3, 6, or 1, 2, 3."""
    factor, first = choose.of([(3, 0), (1, 1)])
    need(blocks_of(stream), "block")

    def numbered(payload: dict[str, Any]) -> dict[str, Any] | None:
        index = payload.get("index")
        return {**payload, "index": index * factor + first} if isinstance(index, int) else None

    def expected(choice: Choice) -> Choice:
        calls = tuple(
            replace(c, index=None if c.index is None else c.index * factor + first) for c in choice.tool_calls
        )
        extra = dict(choice.extra)
        if "blocks" in extra:
            extra["blocks"] = [numbered(entry) for entry in extra["blocks"]]
        return replace(choice, tool_calls=calls, extra=extra)

    return Edit(stream.mapped(numbered), "block indexes", expected=first_choice(expected))


@mutation(
    "messages_input_at_start", Class.DIALECT, Layer.DELTA, "gives a call's input where its block begins",
    right="takes the deltas once any came, and the input of the start where none did; never both",
    sources=["trpc-group/trpc-agent-go#1649", "BenedictKing/ccx#183"], dialects=ONLY,
)  # fmt: skip
def input_at_start(stream: Stream, choose: Choose) -> Edit:
    """Give the input at the start, and leave out the deltas or keep them."""
    found = []
    pieces = {number: text for number, _, text in pieces_of(stream)}
    for block in blocks_of(stream):
        text = "".join(pieces.get(number, "") for number in block.deltas)
        if (
            block.is_call
            and pieces.keys() >= set(block.deltas)
            and text.strip()
            and argument_problem(text) is None
            and json.loads(text)
        ):
            found.append((block, text))
    block, text = choose.of(need(found, "call with arguments"))
    given = json.loads(text)
    content = {**block.content, "input": given}
    edited = rewritten(stream, block.start, {**payload_of(stream, block.start), "content_block": content})
    if choose(2):
        return Edit(edited, "the input at the start and in deltas", (block.start,), (block.start,))
    compact = json.dumps(given, ensure_ascii=False, separators=(",", ":"))

    def expected(choice: Choice) -> Choice:
        calls = (replace(c, arguments=compact) if c.index == block.index else c for c in choice.tool_calls)
        return replace(choice, tool_calls=tuple(calls))

    numbers = (block.start, *block.deltas)
    return Edit(without(edited, set(block.deltas)), "the input at the start", numbers, expected=first_choice(expected))


@mutation(
    "messages_unknown_block", Class.DIALECT, Layer.DELTA, "adds a block of a type not known yet",
    right="keeps it as it came, or leaves it out; the other blocks are intact",
    sources=["anthropics/anthropic-sdk-python#1422", "headroomlabs-ai/headroom#1825", "vercel/ai#13906"], dialects=ONLY,
)  # fmt: skip
def unknown_block(stream: Stream, choose: Choose) -> Edit:
    """Add a block after the last one, with an unknown delta or without."""
    blocks = blocks_of(stream)
    index = max((block.index for block in blocks), default=-1) + 1
    place = max((block.stop for block in blocks), default=of_type(stream, "message_start")[0]) + 1
    delta = {"type": "future_delta", "future": "x"}
    payloads: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": index, "content_block": {"type": "future_block", "future": 1}},
        {"type": "content_block_delta", "index": index, "delta": delta},
        {"type": "content_block_stop", "index": index},
    ]
    if choose(2):
        del payloads[1]
    entry: dict[str, Any] = {"type": "future_block", "index": index, "future": 1}
    if len(payloads) == 3:
        entry["deltas"] = [delta]
    numbers = tuple(range(place, place + len(payloads)))
    edited = stream.inserted(place, *(event_of(stream, payload) for payload in payloads))
    return Edit(edited, "a future_block", (), numbers, _with_block(blocks, entry))


def _with_block(blocks: list[Block], entry: dict[str, Any]) -> Callable[[Completion], Completion]:
    """Return what another block makes of a completion, given the blocks that it has."""

    def expected(choice: Choice) -> Choice:
        listed = choice.extra.get("blocks")
        if listed is None:  # thinking, text and calls without more to them
            own = {"text": choice.content, "thinking": choice.reasoning}
            ordered_blocks = sorted(blocks, key=lambda block: block.index)
            kinds = [(str(block.content.get("type")), block.index) for block in ordered_blocks]
            listed = [
                {"type": kind, "index": index, **({kind: own[kind]} if kind in own else {})} for kind, index in kinds
            ]
        return replace(choice, extra={**choice.extra, "blocks": [*listed, entry]})

    return first_choice(expected)


@mutation(
    "messages_no_usage", Class.DIALECT, Layer.JSON, "sends a message_delta without usage",
    right="keeps the counts of message_start", sources=["anthropics/anthropic-sdk-python: accumulate_event, 2.11.0"],
    dialects=ONLY,
)  # fmt: skip
def no_usage(stream: Stream, choose: Choose) -> Edit:
    """Leave usage out of every message_delta, or make it null."""
    start = payload_of(stream, of_type(stream, "message_start")[0]).get("message")
    usage = start.get("usage") if isinstance(start, dict) else None
    null = bool(choose(2))
    need([n for n in of_type(stream, "message_delta") if payload_of(stream, n).get("usage")], "usage in message_delta")

    def change(payload: dict[str, Any]) -> dict[str, Any] | None:
        if payload.get("type") != "message_delta" or "usage" not in payload:
            return None
        rest = {key: value for key, value in payload.items() if key != "usage"}
        return {**rest, "usage": None} if null else rest

    def expected(completion: Completion) -> Completion:
        return replace(completion, usage=usage)

    return Edit(stream.mapped(change), "message_delta without usage", expected=expected)


@mutation(
    "messages_no_names", Class.DIALECT, Layer.FRAMING, "sends the events without their names",
    right="takes the type from the payload, where every event has it",
    sources=["anthropics/anthropic-sdk-python: Stream, 2.11.0"], dialects=ONLY,
)  # fmt: skip
def no_names(stream: Stream, choose: Choose) -> Edit:
    """Leave out all `event` fields."""
    del choose
    need([event for event in stream.events if event.name is not None], "event with a name")
    events = [
        event if event.name is None or event.lossy else replace(event, name=None, raw=None) for event in stream.events
    ]
    return Edit(replace(stream, events=tuple(events)), "no event names")


@mutation(
    "messages_done", Class.DIALECT, Layer.DELTA, "closes with [DONE] after message_stop",
    right="ignores it, as gateways send it",
    sources=["0xPlaygrounds/rig: recording gateway_message_delta_metadata"], dialects=ONLY,
)  # fmt: skip
def done(stream: Stream, choose: Choose) -> Edit:
    """Send [DONE] at the end, without a name or named data, as OpenRouter does."""
    _ = of_type(stream, "message_stop")
    if any(event.done for event in stream.events):
        raise Inapplicable("it has a [DONE]")
    name = choose.of([None, "data"])
    return Edit(stream.inserted(len(stream.events), Event("[DONE]", name)), "[DONE]", (), (len(stream.events),))


@mutation(
    "messages_no_message_stop", Class.DIALECT, Layer.DELTA, "ends after the stop reason, without message_stop",
    right="takes the message as ended, since nothing of it follows a stop reason; or says that it is cut off",
    sources=["esengine/DeepSeek-Reasonix#8756", "griffinwork40/agent-afk#635"], dialects=ONLY,
)  # fmt: skip
def no_message_stop(stream: Stream, choose: Choose) -> Edit:
    """Cut everything after the message_delta that has the stop reason."""
    del choose
    last = _end(stream)
    stops = [number for number in of_type(stream, "message_stop") if number > last]
    need(stops, "message_stop after its stop reason")
    before = [payload for n, payload in stream.payloads if n <= last and "message" in str(payload.get("type"))]
    fields = set(payload_of(stream, stops[0])).difference(*before)

    def expected(completion: Completion) -> Completion:
        return replace(completion, extra={k: v for k, v in completion.extra.items() if k not in fields})

    return Edit(stream.cut(last + 1), "no message_stop", (stops[0],), expected=expected if fields else None)


@mutation(
    "messages_stop_reason", Class.DIALECT, Layer.JSON, "has a stop reason after which no tool is run",
    right="reports the stop reason, and takes no call for one to execute",
    sources=[STOPS, "anthropics/anthropic-sdk-python#794"], dialects=ONLY,
)  # fmt: skip
def stop_reason(stream: Stream, choose: Choose) -> Edit:
    """Put another stop reason in place of a good one."""
    number = _end(stream)
    reason = choose.of(_CUT_OFF)
    edited = _with_stop_reason(stream, number, reason)
    return Edit(edited, f"stop reason {reason}", (number,), (number,), first_choice(stopped(reason)))


@mutation(
    "messages_cut_arguments", Class.DIALECT, Layer.DELTA, "cuts the arguments of the last call off at max_tokens",
    right="reports the stop reason, and takes the call for one that is not to be executed",
    sources=["anthropics/anthropic-sdk-python#794", "anthropics/anthropic-sdk-python#1517", "LibreChat-AI/agents#280"],
    dialects=ONLY,
)  # fmt: skip
def cut_arguments(stream: Stream, choose: Choose) -> Edit:
    """Leave out the last deltas of a call that is the last block; close it properly, as the API does."""
    number = _end(stream)
    blocks = blocks_of(stream)
    if not blocks or not blocks[-1].is_call or len(blocks[-1].deltas) < 2:
        raise Inapplicable("its last block is no call of several deltas")
    block = blocks[-1]
    cut = 1 + choose(len(block.deltas) - 1)  # how many deltas go
    reason = choose.of(["max_tokens", "model_context_window_exceeded"])
    gone = block.deltas[-cut:]
    kept = "".join(payload_of(stream, n)["delta"].get("partial_json") or "" for n in block.deltas[:-cut])
    edited = without(_with_stop_reason(stream, number, reason), set(gone))

    def expected(choice: Choice) -> Choice:
        changed = stopped(reason)(choice)
        calls = (replace(call, arguments=kept) if call.index == block.index else call for call in changed.tool_calls)
        return replace(changed, tool_calls=tuple(calls))

    return Edit(edited, f"{cut} deltas cut off, {reason}", (*gone, number), expected=first_choice(expected))


@mutation(
    "messages_unclosed_block", Class.DIALECT, Layer.DELTA, "does not close a block",
    right="keeps its text, and does not execute a call that was never closed",
    sources=[DOCS, "Wei-Shaw/sub2api#2884"], dialects=ONLY,
)  # fmt: skip
def unclosed_block(stream: Stream, choose: Choose) -> Edit:
    """Leave out the stop of a block."""
    block = choose.of(_need_blocks(stream))
    _end(stream)

    def expected(choice: Choice) -> Choice:
        calls = (
            replace(call, problem=call.problem or "its block was never closed") if call.index == block.index else call
            for call in choice.tool_calls
        )
        return replace(choice, tool_calls=tuple(calls))

    said = f"no stop of block {block.index}"
    return Edit(without(stream, {block.stop}), said, (block.stop,), expected=first_choice(expected))


def _need_blocks(stream: Stream) -> list[Block]:
    blocks = blocks_of(stream)
    return need([block for block in blocks if [b.index for b in blocks].count(block.index) == 1], "block")


def _end(stream: Stream) -> int:
    """Return the number of the message_delta that has a good stop reason."""
    found = [number for number in of_type(stream, "message_delta") if _reason(payload_of(stream, number))]
    number = need(found, "stop reason")[0]
    if _reason(payload_of(stream, number)) in _CUT_OFF:
        raise Inapplicable("it was cut off")
    return int(number)


def _reason(payload: dict[str, Any]) -> Any:
    delta = payload.get("delta")
    return delta.get("stop_reason") if isinstance(delta, dict) else None


def _with_stop_reason(stream: Stream, number: int, reason: str) -> Stream:
    payload = payload_of(stream, number)
    return rewritten(stream, number, {**payload, "delta": {**payload["delta"], "stop_reason": reason}})
