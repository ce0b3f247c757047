"""Mutations of a ConverseStream body that put in what an answer had not, or end it otherwise.

Source: the service model of bedrock-runtime (ConverseStreamOutput, StopReason), and the reports named in each entry.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.mutations.bedrock_converse import Part, edited, parts
from streamkit.mutations.expected import first_choice
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import traced

if TYPE_CHECKING:
    from streamkit.completion import Choice
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_MODEL = "bedrock-runtime: ConverseStreamOutput"
_ONLY = ("bedrock_converse",)


def _calls(found: list[Part]) -> dict[int, list[tuple[int, str]]]:
    """Return the fragments of each call's input, by block: (message, text)."""
    calls: dict[int, list[tuple[int, str]]] = {}
    for number, part in enumerate(found):
        if part.kind == "contentBlockStart" and "toolUse" in (part.payload.get("start") or {}):
            calls[part.index] = []
        elif part.delta is not None and part.delta[0][0] == "toolUse" and part.index in calls:
            calls[part.index].append((number, part.delta[1]))
    if not calls:
        raise Inapplicable("it has no call")
    return calls


def _stop(found: list[Part], *reasons: str) -> int:
    """Return the number of the messageStop; raise Inapplicable unless it says one of these reasons."""
    stop = next((n for n, part in enumerate(found) if part.kind == "messageStop"), None)
    if stop is None or found[stop].payload.get("stopReason") not in reasons:
        raise Inapplicable(f"it does not stop with {' or '.join(reasons)}")
    return stop


@mutation(
    "bedrock_half_input", Class.DIALECT, Layer.DELTA, "finishes a call with half of its input as if whole",
    right="gives a typed error, or a call that says it must not be executed",
    sources=["vllm-project/vllm#53269", "BerriAI/litellm#32159", _MODEL], dialects=_ONLY,
)  # fmt: skip
def half_input(stream: Stream, choose: Choose) -> Edit:
    """Lose the last fragment of a call, or the first; all else ends as it did."""
    first = choose(2)
    found, tail = parts(stream)
    _stop(found, "tool_use")
    ways = []
    for index, pieces in _calls(found).items():
        full = [n for n, (_, text) in enumerate(pieces) if text.strip()]
        if len(full) > 1:
            at = full[0] if first else full[-1]
            left = "".join(text for n, (_, text) in enumerate(pieces) if n != at)
            if argument_problem(left) is not None:
                ways.append((index, pieces[at][0], left))
    index, number, left = choose.of(ways)
    problem = argument_problem(left)

    def halved(choice: Choice) -> Choice:
        calls = (
            replace(one, arguments=left, problem=one.problem or problem) if one.index == index else one
            for one in choice.tool_calls
        )
        return replace(choice, tool_calls=tuple(calls))

    raws = [part.raw for n, part in enumerate(found) if n != number]
    said = f"the {'first' if first else 'last'} fragment of call {index} is lost"
    return edited(stream, raws, said, tail=tail, before=(number,), after=(), expected=first_choice(halved))


@mutation(
    "bedrock_stop_reason", Class.DIALECT, Layer.JSON, "has a stop reason after which no tool is run",
    right="reports the stop reason, and takes no call for one to execute",
    sources=["anthropics/anthropic-sdk-python#794", "LibreChat-AI/agents#280", _MODEL], dialects=_ONLY,
)  # fmt: skip
def stop_reason(stream: Stream, choose: Choose) -> Edit:
    """Put another stop reason in place of a good one."""
    found, tail = parts(stream)
    number = _stop(found, "tool_use", "end_turn")
    reason = choose.of(["max_tokens", "content_filtered", "guardrail_intervened", "model_context_window_exceeded"])
    problem = f"the answer was cut off (stop reason {reason})"

    def stopped(choice: Choice) -> Choice:
        calls = tuple(replace(one, problem=problem) for one in choice.tool_calls)
        return replace(choice, finish_reason=reason, tool_calls=calls)

    raws = [part.raw for part in found]
    raws[number] = found[number].saying({**found[number].payload, "stopReason": reason})
    return edited(stream, raws, f"stop reason {reason}", tail=tail, at=(number,), expected=first_choice(stopped))


@mutation(
    "bedrock_second_call", Class.DIALECT, Layer.DELTA, "adds a second call after the blocks of the answer",
    right="gives both calls, each whole", sources=["BerriAI/litellm#12973", "aaif-goose/goose#11637", _MODEL],
    dialects=_ONLY,
)  # fmt: skip
def second_call(stream: Stream, choose: Choose) -> Edit:
    """Send its input in two fragments, in one, or none at all, as a call without arguments."""
    how = choose(3)
    found, tail = parts(stream)
    stop = _stop(found, "tool_use")
    _calls(found)
    text = '{"note": "second"}' if how < 2 else ""
    index = 1 + max(part.index for part in found if type(part.index) is int)
    like = {part.kind: part for part in found}
    if not {"contentBlockStart", "contentBlockDelta", "contentBlockStop"} <= like.keys():
        raise Inapplicable("there is no message to write one like")
    use = {"toolUseId": "call_second", "name": "second_tool"}
    pieces = [[text[:7], text[7:]], [text], []][how]
    deltas = [{"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}} for piece in pieces]
    raws = [part.raw for part in found]
    raws[stop:stop] = [
        like["contentBlockStart"].saying({"contentBlockIndex": index, "start": {"toolUse": use}}),
        *(like["contentBlockDelta"].saying(delta) for delta in deltas),
        like["contentBlockStop"].saying({"contentBlockIndex": index}),
    ]
    call = ToolCall("call_second", "second_tool", text, index=index)
    made = edited(stream, raws, "a second call", tail=tail, after=(stop,))
    change = first_choice(lambda one: replace(one, tool_calls=(*one.tool_calls, call)))
    return replace(made, expected=traced(made.stream, change))


@mutation(
    "bedrock_unknown_fields", Class.PRESERVING, Layer.JSON, "adds fields that nobody knows",
    right="ignores them or passes them on; the answer is the same",
    sources=["zed-industries/zed#42893", _MODEL], dialects=_ONLY,
)  # fmt: skip
def unknown_fields(stream: Stream, choose: Choose) -> Edit:
    """Add a list, an object or a number to every message."""
    value: Any = choose.of([[{"a": 1}], {"a": {"b": None}}, 7])
    found, tail = parts(stream)
    raws = [part.saying({**part.payload, "unknownField": value}) if part.payload else part.raw for part in found]
    made = edited(stream, raws, "an unknown field in every message", tail=tail)
    return replace(made, expected=traced(made.stream))


@mutation(
    "bedrock_surrogate_halves", Class.DIALECT, Layer.JSON, "sends the two halves of a surrogate pair in two messages",
    right="joins the halves to one character, or gives a typed error",
    sources=["elizaOS/eliza#30904", "elie222/rakazo#416"], dialects=_ONLY,
)  # fmt: skip
def surrogate_halves(stream: Stream, choose: Choose) -> Edit:
    """End a text with the first half, and begin the next of the same block with the second."""
    found, tail = parts(stream)
    texts = [(n, part) for n, part in enumerate(found) if part.delta is not None and part.delta[0] == ("text",)]
    pairs = [(one, two) for (one, first), (two, second) in pairwise(texts) if first.index == second.index]
    blocks = {part.index for _, part in texts}
    if len(blocks) > 1:
        raise Inapplicable("it has several blocks of text")
    one, two = choose.of(pairs)
    at = sum(len(part.delta[1]) for n, part in texts if n <= one and part.delta)
    raws = [part.raw for part in found]
    for number, text in ((one, "{}\ud83c"), (two, "\udf0d{}")):
        delta = found[number].delta
        raws[number] = found[number].with_text(text.format(delta[1] if delta else ""))
    made = edited(stream, raws, f"the halves of U+1F30D in messages {one} and {two}", tail=tail, at=(one, two))

    def grown(choice: Choice) -> Choice:
        text = choice.content or ""
        return replace(choice, content=text[:at] + "\U0001f30d" + text[at:])

    return replace(made, expected=traced(made.stream, first_choice(grown)))
