"""Mutations of OpenAI Responses into what other servers and gateways send: less than the API does, or more.

A text comes up to five times in a Responses stream: in its deltas, in its own `done`, in its part, in its item, and in
the terminal event. Servers that speak the API leave out some of these. Source: the API reference ("Streaming events"),
recorded streams, and the reports named in each entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall, argument_problem
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.openai_responses_parts import (
    ONLY,
    REFERENCE,
    calls,
    events_of,
    of_type,
    renumbered,
    retold,
    terminal,
    told,
    without,
)
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import traced

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_AT_ONCE = ("earendil-works/pi#2745", "anomalyco/opencode#44862", "Wei-Shaw/sub2api#6629")


def _output(stream: Stream) -> list[dict[str, Any]]:
    """Return the items of the terminal event, which must be all that were announced."""
    payload = stream.events[terminal(stream)].payload
    output = (payload.get("response") or {}).get("output") or []
    if not output or len(output) < len(of_type(stream, "response.output_item.added")):
        raise Inapplicable("its terminal event does not hold all items")
    return list(output)


@mutation(
    "responses_no_names", Class.DIALECT, Layer.FRAMING, "sends the events without their names",
    right="takes the type from the payload, where every event has it",
    sources=["anthropics/anthropic-sdk-python#688", REFERENCE], dialects=ONLY,
)  # fmt: skip
def no_names(stream: Stream, choose: Choose) -> Edit:
    """Leave out all `event` fields."""
    del choose
    need([event for event in stream.events if event.name is not None], "event with a name")
    if not all((event.payload or {}).get("type") for event in stream.events if event.name is not None):
        raise Inapplicable("an event has its type in its name only")
    events = [replace(event, name=None, raw=None) if event.name is not None else event for event in stream.events]
    return Edit(replace(stream, events=tuple(events)), "no event names")


@mutation(
    "responses_text_at_once", Class.DIALECT, Layer.DELTA, "sends the text without deltas",
    right="takes it from the `done` event, the part, the finished item or the terminal event: each is whole",
    sources=[*_AT_ONCE, "BerriAI/litellm#27792"], dialects=ONLY,
)  # fmt: skip
def text_at_once(stream: Stream, choose: Choose) -> Edit:
    """Leave out the deltas of all text; their `done` events as well; or all but the terminal event, too."""
    how = choose(3)
    found = of_type(stream, "response.output_text.delta")
    need(found, "delta of text")
    items = _output(stream)
    if not any(item.get("type") == "message" for item in items):
        raise Inapplicable("its terminal event holds no message")
    if any(stream.events[number].payload.get("logprobs") for number in found):
        raise Inapplicable("its deltas have logprobs")
    gone = set(found)
    if how:
        gone |= set(of_type(stream, "response.output_text.done", "response.content_part.done"))
    if how == 2:
        gone |= {n for n in of_type(stream, "response.output_item.done") if _item(stream, n).get("type") == "message"}
    said = ("no deltas of text", "no deltas of text, and no `done`", "the text in the terminal event only")[how]
    return Edit(without(stream, gone), said, tuple(sorted(gone)))


def _item(stream: Stream, number: int) -> dict[str, Any]:
    item = stream.events[number].payload.get("item")
    return item if isinstance(item, dict) else {}


@mutation(
    "responses_no_parts", Class.DIALECT, Layer.DELTA, "announces and finishes no parts of items",
    right="takes the deltas: each names its item and its part", sources=["64bit/async-openai#548", REFERENCE],
    dialects=ONLY,
)  # fmt: skip
def no_parts(stream: Stream, choose: Choose) -> Edit:
    """Leave out the events `added` of parts, or those `done` as well."""
    both = choose(2)
    gone = of_type(stream, "response.content_part.added", "response.reasoning_summary_part.added")
    need(gone, "part that is announced")
    _output(stream)
    if both:
        gone = [*gone, *of_type(stream, "response.content_part.done", "response.reasoning_summary_part.done")]
    return Edit(without(stream, gone), "no parts" if both else "no parts announced", tuple(sorted(gone)))


@mutation(
    "responses_terminal_alone", Class.DIALECT, Layer.DELTA, "sends the terminal event and little else",
    right="takes all of it from the terminal event", sources=["Oaklight/llm-rosetta#56", REFERENCE], dialects=ONLY,
)  # fmt: skip
def terminal_alone(stream: Stream, choose: Choose) -> Edit:
    """Leave out all between the beginning and the terminal event; or the items' texts only."""
    how = choose(2)
    end = terminal(stream)
    _output(stream)
    if of_type(stream, "response.audio.delta", "response.audio.transcript.delta"):
        raise Inapplicable("its audio is in deltas only")
    begun = set(of_type(stream, "response.created", "response.in_progress", "response.queued"))
    begun |= set(of_type(stream, "response.output_item.added", "response.output_item.done")) if how else set()
    gone = [number for number, _ in stream.payloads if number < end and number not in begun]
    need(gone, "event in between")
    edited = without(stream, gone)
    said = "the items and the terminal event alone" if how else "the terminal event alone"
    return Edit(edited, said, tuple(gone), expected=traced(edited))


@mutation(
    "responses_unfinished_items", Class.DIALECT, Layer.DELTA, "never says of an item that it is finished",
    right="takes the items of the terminal event for finished: the response is complete",
    sources=["vllm-project/vllm#54236", "vllm-project/vllm#44348"], dialects=ONLY,
)  # fmt: skip
def unfinished_items(stream: Stream, choose: Choose) -> Edit:
    """Leave out `output_item.done`; or the `done` of texts, arguments and parts as well."""
    every = choose(2)
    _output(stream)
    gone = of_type(stream, "response.output_item.done")
    need(gone, "item that is finished")
    if every:
        end = terminal(stream)
        gone = [n for n, one in stream.payloads if n < end and str(one.get("type")).endswith(".done")]
    said = "nothing is said to be done" if every else "no item is said to be done"
    return Edit(without(stream, gone), said, tuple(gone))


_SUMMARY = ("I should ", "look at ", "the weather 🤔.")


@mutation(
    "responses_reasoning_first", Class.DIALECT, Layer.DELTA, "thinks before the items of the answer",
    right="keeps the reasoning apart from the text, and counts no items of its own",
    sources=["langchain-ai/langchain#32562", "decolua/9router#3601", REFERENCE], dialects=ONLY,
)  # fmt: skip
def reasoning_first(stream: Stream, choose: Choose) -> Edit:
    """Put a reasoning item at output index 0, with a summary or with its own text, and all else one further."""
    own = choose(2)
    items = _output(stream)
    if any(item.get("type") == "reasoning" for item in items):
        raise Inapplicable("it has reasoning")
    place = need(of_type(stream, "response.output_item.added"), "item that is announced")[0]
    whole = "".join(_SUMMARY)
    part = {"type": "reasoning_text" if own else "summary_text", "text": whole}
    item: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "status": "in_progress"}
    done = {**item, "status": "completed", **({"content": [part]} if own else {"summary": [part]})}
    where = {"item_id": "rs_1", "output_index": 0, "content_index" if own else "summary_index": 0}
    kind, outer = ("reasoning_text", "content_part") if own else ("reasoning_summary_text", "reasoning_summary_part")
    told_first: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *([] if own else [{"type": f"response.{outer}.added", **where, "part": {**part, "text": ""}}]),
        *({"type": f"response.{kind}.delta", **where, "delta": text} for text in _SUMMARY),
        {"type": f"response.{kind}.done", **where, "text": whole},
        *([] if own else [{"type": f"response.{outer}.done", **where, "part": part}]),
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    ]
    events = [told(stream, {**payload, "sequence_number": 0}) for payload in told_first]
    edited = renumbered(_shifted(stream, done).inserted(place, *events))

    def thoughtful(choice: Choice) -> Choice:
        moved = tuple(replace(call, index=None if call.index is None else call.index + 1) for call in choice.tool_calls)
        return replace(choice, reasoning=whole, tool_calls=moved)

    numbers = tuple(range(place, place + len(events)))
    return Edit(edited, f"{kind} first", (), numbers, traced(edited, first_choice(thoughtful)))


def _shifted(stream: Stream, first: dict[str, Any]) -> Stream:
    """Return the stream with all items one further, and another first in the terminal event."""

    def shift(payload: Any) -> Any:
        if type(payload.get("output_index")) is int:
            return {**payload, "output_index": payload["output_index"] + 1}
        response = payload.get("response")
        if isinstance(response, dict) and response.get("output"):
            return {**payload, "response": {**response, "output": [first, *response["output"]]}}
        return None

    return stream.mapped(shift)


@mutation(
    "responses_refusal", Class.DIALECT, Layer.DELTA, "sends the text as a refusal",
    right="gives the refusal, all of it, and not as the answer's text",
    sources=["OpenAI API reference, Responses: response.refusal.delta"], dialects=ONLY,
)  # fmt: skip
def refusal(stream: Stream, choose: Choose) -> Edit:
    """Rename the only text of an answer."""
    del choose
    _output(stream)
    texts = of_type(stream, "response.output_text.done")
    if len(texts) != 1 or of_type(stream, "response.output_text.annotation.added"):
        raise Inapplicable("it has not one plain text")
    whole = stream.events[texts[0]].payload.get("text")
    if not whole or any(
        stream.events[n].payload.get("logprobs") for n in of_type(stream, "response.output_text.delta")
    ):
        raise Inapplicable("its text is empty, or has logprobs")

    def refused(value: Any) -> Any:
        if isinstance(value, list):
            return [refused(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.get("type") == "output_text":
            return {"type": "refusal", "refusal": value.get("text", "")}
        return {key: refused(one) for key, one in value.items()}

    def change(payload: Any) -> Any:
        kind = str(payload.get("type"))
        if kind.startswith("response.output_text."):
            rest = {k: v for k, v in payload.items() if k not in ("logprobs", "text")}
            rest["type"] = kind.replace("output_text", "refusal")
            return {**rest, "refusal": payload["text"]} if "text" in payload else rest
        # What the response says of the request holds no part of the answer.
        if isinstance(payload.get("response"), dict):
            response = payload["response"]
            return {**payload, "response": {**response, "output": refused(response.get("output"))}}
        return {key: refused(one) if key in ("item", "part") else one for key, one in payload.items()}

    events = []
    for number, event in enumerate(stream.events):
        payload = change(event.payload) if isinstance(event.payload, dict) else None
        events.append(event if payload in (None, event.payload) else retold(stream, number, payload))
    edited = replace(stream, events=tuple(events))

    def changed(choice: Choice) -> Choice:
        return replace(choice, content=None, refusal=choice.content)

    return Edit(edited, "the text as a refusal", tuple(texts), tuple(texts), traced(edited, first_choice(changed)))


@mutation(
    "responses_no_usage", Class.DIALECT, Layer.JSON, "counts no tokens in the terminal event",
    right="does without", sources=["zed-industries/zed#42893", REFERENCE], dialects=ONLY,
)  # fmt: skip
def no_usage(stream: Stream, choose: Choose) -> Edit:
    """Make usage null, or leave it out."""
    absent = choose(2)
    number = terminal(stream)
    payload = stream.events[number].payload
    response = dict(payload.get("response") or {})
    if not response.get("usage"):
        raise Inapplicable("it has no usage")
    response["usage"] = None
    if absent:
        del response["usage"]
    edited = stream.replaced(number, retold(stream, number, {**payload, "response": response}))
    said = "no usage" if absent else "usage null"
    return Edit(edited, said, (number,), (number,), lambda completion: replace(completion, usage=None))


@mutation(
    "responses_unknown_fields", Class.DIALECT, Layer.JSON, "adds fields that nobody knows, or nulls",
    right="ignores them or passes them on; the answer is the same",
    sources=["64bit/async-openai#548", "zed-industries/zed#42893"], dialects=ONLY,
)  # fmt: skip
def unknown_fields(stream: Stream, choose: Choose) -> Edit:
    """Add a field to every event, to every item, or to every part; or null for what is absent."""
    how = choose(4)
    terminal(stream)

    def known(value: Any, key: str) -> Any:
        return {**value, "x_unknown": [{"a": 1}]} if isinstance(value, dict) and key in value else value

    def change(payload: Any) -> Any:
        if how == 0:
            return {**payload, "x_unknown": [{"a": 1}]}
        if how == 3:
            return {**dict.fromkeys(("obfuscation", "logprobs", "x_unknown")), **payload}
        name = ("", "item", "part")[how]
        return {**payload, name: known(payload[name], "type")} if isinstance(payload.get(name), dict) else None

    edited = stream.mapped(change)
    said = ("in every event", "in every item", "in every part", "as nulls")[how]
    return Edit(edited, f"unknown fields {said}", expected=traced(edited))


# -- calls

_SECOND = '{"note": "second"}'


@mutation(
    "responses_second_call", Class.DIALECT, Layer.DELTA, "adds a second call after the items of the answer",
    right="gives both calls, each whole",
    sources=["langchain-ai/langchain#32562", "endolith/open-interpreter#315"], dialects=ONLY,
)  # fmt: skip
def second_call(stream: Stream, choose: Choose) -> Edit:
    """Send its arguments in deltas, or at once."""
    at_once = choose(2)
    end = terminal(stream)
    payload = stream.events[end].payload
    items = _output(stream)
    if payload.get("type") != "response.completed":
        raise Inapplicable("it is incomplete")
    added = need(of_type(stream, "response.output_item.added"), "item that is announced")
    given = (stream.events[n].payload.get("output_index") for n in added)  # not every server sends one
    index = max(len(items), *(1 + one for one in given if isinstance(one, int)), 0)
    item = {"id": "fc_second", "type": "function_call", "call_id": "call_second", "name": "second_tool"}
    where = {"item_id": "fc_second", "output_index": index}
    done = {**item, "arguments": _SECOND, "status": "completed"}
    pieces = [] if at_once else [_SECOND[:7], _SECOND[7:]]
    sent: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "arguments": ""}},
        *({"type": "response.function_call_arguments.delta", **where, "delta": piece} for piece in pieces),
        {"type": "response.function_call_arguments.done", **where, "arguments": _SECOND},
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ]
    ended = {**payload, "response": {**payload["response"], "output": [*items, done]}}
    events = [told(stream, {**one, "sequence_number": 0}) for one in sent]
    edited = renumbered(stream.replaced(end, *events, retold(stream, end, ended)))
    call = ToolCall("call_second", "second_tool", _SECOND, index=index, extra={"id": "fc_second"})
    expected = first_choice(lambda choice: replace(choice, tool_calls=(*choice.tool_calls, call)))
    return Edit(edited, "a second call", (end,), tuple(range(end, end + len(events))), expected)


@mutation(
    "responses_half_arguments", Class.DIALECT, Layer.DELTA, "finishes a call with half of its arguments as complete",
    right="gives a typed error, or a call that says it must not be executed",
    sources=["vllm-project/vllm#53269", "vllm-project/vllm#34887", "sgl-project/sglang#36339"], dialects=ONLY,
)  # fmt: skip
def half_arguments(stream: Stream, choose: Choose) -> Edit:
    """Cut a call's arguments after any of its deltas, wherever they stand, and end as if they were whole."""
    items = _output(stream)
    found = []
    for index in calls(stream):
        sent = events_of(stream, index, "function_call_arguments.delta")
        text = "".join(stream.events[n].payload["delta"] for n in sent)
        for kept in range(len(sent) - 1, 0, -1):
            half = "".join(stream.events[n].payload["delta"] for n in sent[:kept])
            if (
                half.strip()
                and argument_problem(half) is not None
                and sum(text == i.get("arguments") for i in items) == 1
            ):
                found.append((index, text, half, sent[kept:]))
    index, text, half, gone = choose.of(need(found, "call whose arguments can be cut"))

    def halved(value: Any) -> Any:
        if isinstance(value, list):
            return [halved(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {k: half if k == "arguments" and v == text else halved(v) for k, v in value.items()}

    events = []
    for number, event in enumerate(stream.events):
        if number in gone:
            continue
        other = halved(event.payload) if isinstance(event.payload, dict) else None
        events.append(event if other in (None, event.payload) else retold(stream, number, other))

    def expected(completion: Completion) -> Completion:
        problem = argument_problem(half)
        cut = first_choice(
            lambda choice: replace(
                choice,
                tool_calls=tuple(
                    replace(call, arguments=half, problem=call.problem or problem) if call.index == index else call
                    for call in choice.tool_calls
                ),
            )
        )
        made: Completion = cut(completion)
        return made

    return Edit(renumbered(stream, events), f"{half!a} of a call's arguments", tuple(gone), (), expected)
