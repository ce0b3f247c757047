"""Mutations of Anthropic Messages that put in what an answer had not: thinking, server tools, citations, another call.

And calls that stop in the middle, with and without an end. Source: the API's pages "Streaming messages", "Extended
thinking", "Citations" and "Web search tool", and the reports named in each entry.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.mutations.anthropic_parts import (
    DOCS,
    ONLY,
    Block,
    blocks_of,
    event_of,
    of_type,
    payload_of,
    rewritten,
    without,
)
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import traced

if TYPE_CHECKING:
    from streamkit.completion import Choice
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_THOUGHTS = ("I should ", "look at ", "the weather 🤔.")


def _shifted(stream: Stream, by: int) -> Stream:
    """Return the stream with the indexes of all blocks raised."""

    def further(payload: Any) -> Any:
        index = payload.get("index")
        return {**payload, "index": index + by} if type(index) is int else None

    return stream.mapped(further)


def _in_front(stream: Stream, blocks: list[list[dict[str, Any]]]) -> tuple[Stream, tuple[int, ...]]:
    """Return the stream with blocks before all others, each given by its content and its deltas; and their events."""
    found = need(blocks_of(stream), "block")
    if len(payload_of(stream, of_type(stream, "message_start")[0]).get("message", {}).get("content") or ()):
        raise Inapplicable("its message begins with content")
    place = min(block.start for block in found)
    payloads: list[dict[str, Any]] = []
    for index, (content, *deltas) in enumerate(blocks):
        payloads.append({"type": "content_block_start", "index": index, "content_block": content})
        payloads += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        payloads.append({"type": "content_block_stop", "index": index})
    edited = _shifted(stream, len(blocks)).inserted(place, *(event_of(stream, payload) for payload in payloads))
    return edited, tuple(range(place, place + len(payloads)))


def _moved(choice: Choice, by: int) -> Choice:
    calls = (replace(c, index=None if c.index is None else c.index + by) for c in choice.tool_calls)
    return replace(choice, tool_calls=tuple(calls))


@mutation(
    "messages_thinking_first", Class.DIALECT, Layer.DELTA, "thinks before the blocks of the answer",
    right="keeps the thinking apart from the text, and takes each index for a key",
    sources=["decolua/9router#3601", "anthropics/anthropic-sdk-python#1145", DOCS], dialects=ONLY,
)  # fmt: skip
def thinking_first(stream: Stream, choose: Choose) -> Edit:
    """Put a block of thinking in front, with a signature or without, or one that is redacted."""
    how = choose(3)
    blocks = blocks_of(stream)
    if any("thinking" in str(block.content.get("type")) for block in blocks):
        raise Inapplicable("it has thinking")
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": text} for text in _THOUGHTS]
    if how == 0:
        deltas.append({"type": "signature_delta", "signature": "EqQBCgIYAhIM"})
    block: list[dict[str, Any]] = [{"type": "thinking", "thinking": "", "signature": ""}, *deltas]
    if how == 2:
        block = [{"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}]
    edited, numbers = _in_front(stream, [block])

    def thoughtful(choice: Choice) -> Choice:
        return replace(_moved(choice, 1), reasoning=None if how == 2 else "".join(_THOUGHTS))

    said = ("thinking with a signature", "thinking without a signature", "redacted thinking")[how]
    return Edit(edited, f"{said} first", (), numbers, traced(edited, first_choice(thoughtful)))


@mutation(
    "messages_server_tool_first", Class.DIALECT, Layer.DELTA, "runs a tool of the server's own before the answer",
    right="takes it for no call to execute, and keeps its input apart from that of others",
    sources=["vercel/ai#13906", "anthropics/anthropic-sdk-python#1422", "headroomlabs-ai/headroom#1825", DOCS],
    dialects=ONLY,
)  # fmt: skip
def server_tool_first(stream: Stream, choose: Choose) -> Edit:
    """Put a web search and its results in front; or the call by itself; or with its results empty."""
    how = choose(3)
    pieces = ("", '{"query": ', '"weather"}')
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    results = [] if how == 2 else [{"type": "web_search_result", "url": "https://example.com/", "title": "Weather"}]
    blocks: list[list[dict[str, Any]]] = [
        [search, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces)],
        [{"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": results}],
    ]
    if how == 1:
        blocks.pop()
    edited, numbers = _in_front(stream, blocks)
    expected = traced(edited, first_choice(lambda choice: _moved(choice, len(blocks))))
    return Edit(edited, f"a web search in {len(blocks)} blocks first", (), numbers, expected)


@mutation(
    "messages_beside_text", Class.DIALECT, Layer.DELTA, "sends deltas beside those of a block's own text",
    right="keeps citations and what it does not know apart from the text",
    sources=["vercel/ai#13906", "anthropics/anthropic-sdk-python#1422", DOCS], dialects=ONLY,
)  # fmt: skip
def beside_text(stream: Stream, choose: Choose) -> Edit:
    """Send a citation, or a delta of a type not known yet, after the first delta of a text or before it."""
    citation = {"type": "page_location", "cited_text": "It is warm.", "document_index": 0, "document_title": None}
    delta = choose.of([
        {"type": "citations_delta", "citation": citation},
        {"type": "future_delta", "future": "x"},
        {"type": "future_delta", "text": "not of the text"},
    ])  # fmt: skip
    early = choose(2)
    texts = [block for block in blocks_of(stream) if block.content.get("type") == "text" and block.deltas]
    block = choose.of(need(texts, "block of text"))
    place = block.deltas[0] + (0 if early else 1)
    event = event_of(stream, {"type": "content_block_delta", "index": block.index, "delta": delta})
    edited = stream.inserted(place, event)
    return Edit(edited, f"a {delta['type']} beside the text", (), (place,), traced(edited))


@mutation(
    "messages_nulls", Class.DIALECT, Layer.JSON, "sends fields that are null",
    right="takes null for absent", sources=["pgadmin-org/pgadmin4#9828", "tensorzero/tensorzero#5481", DOCS],
    dialects=ONLY,
)  # fmt: skip
def nulls(stream: Stream, choose: Choose) -> Edit:
    """Write null for what a message, a block of text, a delta of the message, or usage may have."""
    which = choose.of(["all", "message", "content_block", "delta", "usage"])
    fields = {
        "message": ("container", "context_management", "service_tier"),
        "content_block": ("citations",),
        "delta": ("stop_sequence", "container"),
        "usage": ("cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use"),
    }

    def change(payload: Any) -> Any:
        made = dict(payload)
        for name, keys in fields.items():
            value = payload.get(name)
            fits = payload["type"] == "message_delta" if name == "delta" else True
            fits = fits and (name != "content_block" or (isinstance(value, dict) and value.get("type") == "text"))
            if isinstance(value, dict) and fits and which in ("all", name):
                made[name] = {**dict.fromkeys(keys), **value}
        return made if made != payload else None

    of_type(stream, "message_start")
    edited = stream.mapped(lambda payload: change(payload) if isinstance(payload.get("type"), str) else None)
    return Edit(edited, f"nulls in {which}", expected=traced(edited))


# -- calls

_SECOND = '{"note": "second"}'


def _calls(stream: Stream) -> list[Block]:
    """Return the calls of a message that stopped for its tools; raise Inapplicable where there are none."""
    reasons = [(payload_of(stream, n).get("delta") or {}).get("stop_reason") for n in of_type(stream, "message_delta")]
    if "tool_use" not in reasons:
        raise Inapplicable("it did not stop to use a tool")
    return need([block for block in blocks_of(stream) if block.is_call], "call")


@mutation(
    "messages_second_call", Class.DIALECT, Layer.DELTA, "adds a second call after the blocks of the answer",
    right="gives both calls, each whole",
    sources=["aaif-goose/goose#11637", "endolith/open-interpreter#315"], dialects=ONLY,
)  # fmt: skip
def second_call(stream: Stream, choose: Choose) -> Edit:
    """Send it after the last block, in deltas or with its input at the start; or inside the last block, in turns."""
    how = choose(3)
    _calls(stream)
    blocks = blocks_of(stream)
    last = max(blocks, key=lambda block: block.stop)
    index = 1 + max(block.index for block in blocks)
    content: dict[str, Any] = {"type": "tool_use", "id": "toolu_second", "name": "second_tool", "input": {}}
    pieces = [_SECOND[:7], _SECOND[7:]]
    if how == 1:
        content["input"], pieces = {"note": "second"}, []
    sent: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": index, "content_block": content},
        *(
            {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": one}}
            for one in pieces
        ),
        {"type": "content_block_stop", "index": index},
    ]
    place = (last.deltas[0] if last.deltas else last.start + 1) if how == 2 else last.stop + 1
    edited = stream.inserted(place, *(event_of(stream, payload) for payload in sent))
    arguments = '{"note":"second"}' if how == 1 else _SECOND
    call = ToolCall("toolu_second", "second_tool", arguments, index=index)
    expected = traced(edited, first_choice(lambda choice: replace(choice, tool_calls=(*choice.tool_calls, call))))
    said = ("after the last block", "whole at its start", "inside the last block")[how]
    return Edit(edited, f"a second call, {said}", (), tuple(range(place, place + len(sent))), expected)


def _json_of(stream: Stream, block: Block) -> list[str]:
    """Return the pieces of a call's arguments, one for each of its deltas."""
    return [payload_of(stream, number)["delta"].get("partial_json") or "" for number in block.deltas]


@mutation(
    "messages_half_arguments", Class.DIALECT, Layer.DELTA, "finishes a call with half of its arguments as if whole",
    right="gives a typed error, or a call that says it must not be executed",
    sources=["anthropics/anthropic-sdk-python#794", "vllm-project/vllm#53269", "vllm-project/vllm#34887"],
    dialects=ONLY,
)  # fmt: skip
def half_arguments(stream: Stream, choose: Choose) -> Edit:
    """Lose the last deltas of a call, the first, or one in the middle; its block is closed, the reason is tool_use."""
    how = choose(3)
    found = []
    for block in _calls(stream):
        pieces = _json_of(stream, block)
        full = [at for at, piece in enumerate(pieces) if piece.strip()]
        if len(full) > 1 and not block.content.get("input"):
            at = (full[-1], full[0], full[len(full) // 2])[how]
            text = "".join(pieces[:at] + pieces[at + 1 :])
            if argument_problem(text) is not None:
                found.append((block, at, text))
    block, at, text = choose.of(need(found, "call whose arguments can be cut"))
    problem = argument_problem(text)

    def halved(choice: Choice) -> Choice:
        calls = (
            replace(call, arguments=text, problem=call.problem or problem) if call.index == block.index else call
            for call in choice.tool_calls
        )
        return replace(choice, tool_calls=tuple(calls))

    gone = block.deltas[at]
    said = ("the last", "the first", "a")[how]
    return Edit(without(stream, {gone}), f"{said} delta of a call is lost", (gone,), (), first_choice(halved))


@mutation(
    "messages_cut_call", Class.FAULT, Layer.DELTA, "ends after a call's start, inside its input, or after its stop",
    right="says that the stream ended early; no call of it is executed, whole or not",
    sources=["SamSaffron/term-llm#955", "BerriAI/litellm#32159", "NousResearch/hermes-agent#80623",
             "anthropics/anthropic-sdk-python#1517"], dialects=ONLY,
)  # fmt: skip
def cut_call(stream: Stream, choose: Choose) -> Edit:
    """Choose the place, then the call; what comes before is whole."""
    how = choose(4)
    block = choose.of(_calls(stream))
    if how in (1, 2) and len(block.deltas) < 2:
        raise Inapplicable("its input comes in one delta")
    last = block.start if how == 0 else block.stop
    if how in (1, 2):
        last = block.deltas[len(block.deltas) // 2 - 1 if how == 1 else -1]
    said = ("the start", "half of the input", "the input", "the stop")[how]
    return Edit(stream.cut(last + 1), f"cut after {said} of a call", (last,), (last,))


@mutation(
    "messages_escape_cuts", Class.PRESERVING, Layer.DELTA, "cuts a call's input inside the escapes of its JSON",
    right="joins the deltas before it parses them",
    sources=["anomalyco/opencode#44875", "Qredence/fleet-rlm#414", "bojieli/ai-agent-book#194"], dialects=ONLY,
)  # fmt: skip
def escape_cuts(stream: Stream, choose: Choose) -> Edit:
    """Cut after the backslash, inside the digits, or between } and {."""
    found = []
    for block in blocks_of(stream):
        for number, piece in zip(block.deltas, _json_of(stream, block), strict=True):
            cuts = [match.end() for match in re.finditer(r"\\(?:u[0-9a-fA-F]{2})?|\}(?=\{)", piece)]
            found += [(number, piece, at) for at in cuts if 0 < at < len(piece)]
    number, piece, at = choose.of(need(found, "escape in a call's input"))
    payload = payload_of(stream, number)
    halves = [{**payload, "delta": {**payload["delta"], "partial_json": half}} for half in (piece[:at], piece[at:])]
    edited = rewritten(stream.inserted(number, stream.events[number]), number, halves[0])
    return Edit(rewritten(edited, number + 1, halves[1]), f"cut before {piece[at:]!a}", (number,), (number, number + 1))
