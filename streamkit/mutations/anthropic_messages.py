"""Mutations of Anthropic Messages that keep the meaning: deltas split and merged, blocks interleaved, pings.

Source: the API's page "Streaming messages" (which events may come, in which order, and that types not yet known must
be tolerated), and the reports named in each entry. Other servers' ways: `anthropic_variants`; broken streams:
`anthropic_faults`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from streamkit.mutations.anthropic_parts import (
    DOCS,
    ONLY,
    TEXTS,
    blocks_of,
    event_of,
    of_type,
    ordered,
    payload_of,
    pieces_of,
    rewritten,
    without,
)
from streamkit.mutations.expected import need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class


@mutation(
    "messages_split_delta", Class.PRESERVING, Layer.DELTA, "splits a delta in two",
    right="joins the deltas of a block, however they are cut", sources=[DOCS], dialects=ONLY,
)  # fmt: skip
def split_delta(stream: Stream, choose: Choose) -> Edit:
    """Split a delta of text, thinking or arguments after any character."""
    number, name, text = choose.of(
        need([one for one in pieces_of(stream) if len(one[2]) > 1], "delta of two characters")
    )
    at = 1 + choose(len(text) - 1)
    payload = payload_of(stream, number)
    halves = [{**payload, "delta": {**payload["delta"], name: half}} for half in (text[:at], text[at:])]
    first, second = (stream.events[number].with_data(stream.manner.json(half)) for half in halves)
    return Edit(stream.replaced(number, first, second), f"a {name} delta in two", (number,), (number, number + 1))


@mutation(
    "messages_merge_deltas", Class.PRESERVING, Layer.DELTA, "joins all deltas of a block to one",
    right="takes a block whole", sources=[DOCS], dialects=ONLY,
)  # fmt: skip
def merge_deltas(stream: Stream, choose: Choose) -> Edit:
    """Join the text deltas of a block, where nothing else stands between them."""
    simple = {number: (name, text) for number, name, text in pieces_of(stream)}
    whole = [b for b in blocks_of(stream) if len(b.deltas) > 1 and all(number in simple for number in b.deltas)]
    block = choose.of(need(whole, "block of several deltas of text"))
    name = simple[block.deltas[0]][0]
    if any(simple[number][0] != name for number in block.deltas):
        raise Inapplicable("its deltas are of several types")
    payload = payload_of(stream, block.deltas[0])
    joined = {**payload, "delta": {**payload["delta"], name: "".join(simple[number][1] for number in block.deltas)}}
    edited = without(rewritten(stream, block.deltas[0], joined), set(block.deltas[1:]))
    return Edit(edited, f"{len(block.deltas)} deltas in one", block.deltas, (block.deltas[0],))


@mutation(
    "messages_empty_delta", Class.PRESERVING, Layer.DELTA, "adds an empty delta to a block",
    right="appends nothing; the first delta of a call is always empty, and the only one of a call without arguments",
    sources=["anthropics/anthropic-sdk-java#295", "anthropics/anthropic-sdk-go#189"], dialects=ONLY,
)  # fmt: skip
def empty_delta(stream: Stream, choose: Choose) -> Edit:
    """Add an empty delta of the block's own type, at its end or after its start."""
    kinds = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
    block = choose.of(need([b for b in blocks_of(stream) if b.content.get("type") in kinds], "block that has deltas"))
    kind = kinds[block.content["type"]]
    payload = {"type": "content_block_delta", "index": block.index, "delta": {"type": kind, TEXTS[kind]: ""}}
    place = choose.of([block.stop, block.start + 1])
    return Edit(stream.inserted(place, event_of(stream, payload)), f"an empty {kind}", (), (place,))


@mutation(
    "messages_no_empty_delta", Class.PRESERVING, Layer.DELTA, "leaves out the empty deltas",
    right="takes a call without any delta as one without arguments",
    sources=["anthropics/anthropic-sdk-java#295"], dialects=ONLY,
)  # fmt: skip
def no_empty_delta(stream: Stream, choose: Choose) -> Edit:
    """Leave out every delta that adds nothing."""
    del choose
    empty = {number for number, _, text in pieces_of(stream) if not text}
    need(sorted(empty), "empty delta")
    return Edit(without(stream, empty), f"{len(empty)} empty deltas", tuple(sorted(empty)))


@mutation(
    "messages_ping", Class.PRESERVING, Layer.DELTA, "sends a ping between two events",
    right="ignores it, wherever it comes", sources=[DOCS, "openai/openai-node#1964"], dialects=ONLY,
)  # fmt: skip
def ping(stream: Stream, choose: Choose) -> Edit:
    """Send a ping somewhere after message_start."""
    first = of_type(stream, "message_start")[0] + 1
    place = first + choose(len(stream.events) - first + 1)
    return Edit(stream.inserted(place, event_of(stream, {"type": "ping"})), "a ping", (), (place,))


@mutation(
    "messages_unknown_event", Class.PRESERVING, Layer.DELTA, "sends an event of a type not known yet",
    right="ignores it: the API may add event types", sources=[DOCS, "anthropics/anthropic-sdk-python#1422"],
    dialects=ONLY,
)  # fmt: skip
def unknown_event(stream: Stream, choose: Choose) -> Edit:
    """Send an unknown event somewhere after message_start."""
    first = of_type(stream, "message_start")[0] + 1
    place = first + choose(len(stream.events) - first + 1)
    payload = choose.of([{"type": "future_event"}, {"type": "content_block_progress", "index": 0, "delta": {"n": 1}}])
    return Edit(stream.inserted(place, event_of(stream, payload)), f"a {payload['type']}", (), (place,))


@mutation(
    "messages_two_message_deltas", Class.PRESERVING, Layer.DELTA, "sends usage in a message_delta of its own first",
    right="takes the counts of the last one: they are cumulative",
    sources=[DOCS, "tensorzero/tensorzero#5481"], dialects=ONLY,
)  # fmt: skip
def two_message_deltas(stream: Stream, choose: Choose) -> Edit:
    """Send a message_delta without stop reason, with a smaller count, before the last one."""
    del choose
    number = of_type(stream, "message_delta")[-1]
    usage = payload_of(stream, number).get("usage")
    if not isinstance(usage, dict) or not isinstance(usage.get("output_tokens"), int):
        raise Inapplicable("its message_delta counts no output_tokens")
    early = {"type": "message_delta", "delta": {"stop_reason": None, "stop_sequence": None}}
    counted = {**early, "usage": {"output_tokens": usage["output_tokens"] // 2}}
    return Edit(stream.inserted(number, event_of(stream, counted)), "an early message_delta", (), (number,))


def _of_one_id(stream: Stream, one: int, two: int) -> bool:
    """Say whether two blocks open a call of the same id: an error at the second, which must not come earlier."""
    ids = [payload_of(stream, number).get("content_block", {}).get("id") for number in (one, two)]
    return ids[0] is not None and ids[0] == ids[1]


@mutation(
    "messages_interleaved", Class.PRESERVING, Layer.DELTA, "sends the deltas of two blocks in turns",
    right="puts each delta where its index says", sources=["aaif-goose/goose#11637"], dialects=ONLY,
)  # fmt: skip
def interleaved(stream: Stream, choose: Choose) -> Edit:
    """Open two neighbouring blocks, send their deltas in turns, and close both."""
    blocks = blocks_of(stream)
    pairs = [(a, b) for a, b in pairwise(blocks) if a.stop < b.start and not _of_one_id(stream, a.start, b.start)]
    one, two = choose.of(need(pairs, "two blocks, one after the other"))
    inside = [n for n in range(one.start, two.stop + 1) if n not in {one.start, one.stop, two.start, two.stop}]
    others = [n for n in inside if n not in {*one.deltas, *two.deltas}]
    turns = [n for pair in zip(one.deltas, two.deltas, strict=False) for n in pair]
    shorter = min(len(one.deltas), len(two.deltas))
    rest = [*one.deltas[shorter:], *two.deltas[shorter:]]
    stops = choose.of([[one.stop, two.stop], [two.stop, one.stop]])
    order = [one.start, two.start, *others, *turns, *rest, *stops]
    said = f"blocks {one.index} and {two.index} in turns"
    numbers = tuple(range(one.start, two.stop + 1))
    return Edit(ordered(stream, one.start, order), said, numbers, numbers)
