"""Mutations of OpenAI Responses that break a stream: cut off, failed, started over; and answers that are incomplete.

An incomplete response is no broken stream: it ends, and says why it is not whole. So it is of the dialect class, with
a result of its own: the text there is, the reason, and no call that may be executed.

Source: the API reference ("Streaming events"), recorded streams, and the reports named in each entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.dialects.openai_responses_choice import cut_off
from streamkit.mutations.expected import need
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
)
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_MESSAGE = "The server had an error while processing your request. Sorry about that!"


@mutation(
    "responses_cut", Class.FAULT, Layer.DELTA, "ends cleanly between two events, before the terminal one",
    right="says that the stream ended early; no call of it is executed, finished items or not",
    sources=["SamSaffron/term-llm#955", "BerriAI/litellm#32159", REFERENCE], dialects=ONLY,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """Cut the stream after an event of each type, the last types first; and add `[DONE]`, or not."""
    end = terminal(stream)
    by_type: dict[str, list[int]] = {}
    for number, payload in stream.payloads:
        if number < end:
            by_type.setdefault(str(payload.get("type")), []).insert(0, number)
    latest_first = sorted(by_type.values(), key=lambda numbers: -numbers[0])
    number = choose.of(choose.of(need(latest_first, "event before the terminal one")))
    edited = stream.cut(number + 1)
    if choose(2):
        edited = edited.inserted(number + 1, Event("[DONE]"))
    return Edit(edited, f"cut after event {number}", (number,))


@mutation(
    "responses_error", Class.FAULT, Layer.DELTA, "reports an error in the middle of a 200",
    right="raises a typed error, whether the event holds its fields itself or in an object",
    sources=[
        "openai/openai-python#2487", "openai/openai-python#3587", "openai/openai-python#3934",
        "stdapi-ai/stdapi.ai#294", "BerriAI/litellm#29223",
    ], dialects=ONLY,
)  # fmt: skip
def error(stream: Stream, choose: Choose) -> Edit:
    """Send an error, flat or nested, named or not; then end, or go on as if nothing had been."""
    place = choose.of(range(1, terminal(stream) + 1)[::-1])
    fields = {"code": "server_error", "message": _MESSAGE, "param": None}
    flat = {"type": "error", **fields, "sequence_number": 0}
    nested = {"type": "error", "sequence_number": 0, "error": {"type": "server_error", **fields}}
    payload = choose.of([flat, nested, {"error": {"type": "server_error", **fields}}])
    name = choose.of(["error", None])
    event = Event(stream.manner.json(payload), name)
    edited = stream.inserted(place, event) if choose(2) else stream.cut(place).inserted(place, event)
    return Edit(edited, "an error " + ("in an object" if "error" in payload else "by itself"), (), (place,))


@mutation(
    "responses_failed", Class.FAULT, Layer.DELTA, "fails: `response.failed` instead of the terminal event",
    right="raises a typed error with the response's own code; no call of it is executed",
    sources=["BerriAI/litellm#37710", "BerriAI/litellm#29223", "microsoft/agent-framework#7051"], dialects=ONLY,
)  # fmt: skip
def failed(stream: Stream, choose: Choose) -> Edit:
    """End with `response.failed`, in place of the terminal event or before any other."""
    end = terminal(stream)
    place = choose.of(range(1, end + 1)[::-1])
    ended = stream.events[end].payload
    reason = choose.of([{"code": "server_error", "message": _MESSAGE}, None])
    response = {**(ended.get("response") or {}), "status": "failed", "error": reason}
    if place < end:
        response["output"] = []
    payload = {**ended, "type": "response.failed", "response": response}
    edited = stream.cut(place).inserted(place, retold(stream, end, payload))
    return Edit(renumbered(edited), "response.failed", (end,), (place,))


@mutation(
    "responses_chat_chunk", Class.DIALECT, Layer.JSON, "sends the payload of Chat Completions in between",
    right="reports that this is another API, or passes it over; where nothing else comes, there is no answer",
    sources=["64bit/async-openai#548", "vercel/ai#16423"], dialects=ONLY,
)  # fmt: skip
def chat_chunk(stream: Stream, choose: Choose) -> Edit:
    """Put in a chunk of a chat completion, or send nothing else."""
    choice = {"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1712173516, "model": "gpt-4o"}
    event = Event(stream.manner.json({**chunk, "choices": [choice]}))
    place = choose.of(range(terminal(stream) + 1)[::-1])
    edited = stream.cut(place).inserted(place, event) if choose(2) else stream.inserted(place, event)
    return Edit(edited, "a chat chunk", (), (place,))


@mutation(
    "responses_started_over", Class.DIALECT, Layer.DELTA, "starts over in the middle, as a retry behind a proxy does",
    right="raises a typed error, or gives the second attempt alone: two attempts are not one response",
    sources=["NuGuardAI/nuguard#455", "endolith/open-interpreter#291"], dialects=ONLY,
)  # fmt: skip
def started_over(stream: Stream, choose: Choose) -> Edit:
    """Send the beginning of the stream, up to any event after the first item, before the whole of it."""
    created = need(of_type(stream, "response.created"), "response.created")[0]
    first = need(of_type(stream, "response.output_item.added"), "item")[0]
    if first < created:
        raise Inapplicable("it does not begin with response.created")
    place = choose.of(range(first + 1, terminal(stream) + 1)[::-1])
    return Edit(stream.inserted(0, *stream.events[:place]), f"{place} events twice", (), tuple(range(place)))


def _incomplete(stream: Stream, reason: str, output: list[Any] | None = None) -> dict[str, Any]:
    """Return the terminal event's payload as that of an incomplete response."""
    payload = stream.events[terminal(stream)].payload
    response = {**(payload.get("response") or {}), "status": "incomplete", "completed_at": None}
    response["incomplete_details"] = {"reason": reason}
    if output is not None:
        response["output"] = output
    return {**payload, "type": "response.incomplete", "response": response}


def _ended(stream: Stream) -> int:
    number = terminal(stream)
    if stream.events[number].payload.get("type") != "response.completed":
        raise Inapplicable("it is incomplete already")
    return number


def _expected(result: Completion, reason: str) -> Completion:
    choice = result.choices[0]
    refused = tuple(replace(call, problem=cut_off(reason)) for call in choice.tool_calls)
    extra = {name: value for name, value in result.extra.items() if name != "completed_at"}
    return replace(result, choices=(replace(choice, tool_calls=refused, finish_reason=reason),), extra=extra)


@mutation(
    "responses_incomplete", Class.DIALECT, Layer.DELTA, "ends with `response.incomplete`, after whole items",
    right="says that the answer is incomplete, and why; executes none of its calls",
    sources=["BerriAI/litellm#37710", "BerriAI/litellm#29223", "microsoft/agent-framework#7051"], dialects=ONLY,
)  # fmt: skip
def incomplete(stream: Stream, choose: Choose) -> Edit:
    """End with `response.incomplete` in place of `response.completed`."""
    number = _ended(stream)
    reason = choose.of(["max_output_tokens", "content_filter"])
    edited = stream.replaced(number, told(stream, _incomplete(stream, reason)))
    return Edit(edited, f"incomplete: {reason}", (number,), (number,), lambda result: _expected(result, reason))


@mutation(
    "responses_incomplete_arguments", Class.DIALECT, Layer.DELTA, "runs out of tokens inside the last call's arguments",
    right="says that the answer is incomplete, and executes none of its calls, whole or not",
    sources=["BerriAI/litellm#37710", "OpenAI: recorded streams"], dialects=ONLY,
)  # fmt: skip
def incomplete_arguments(stream: Stream, choose: Choose) -> Edit:
    """Cut the last item, a call, after some of its deltas, finish it as incomplete, and end."""
    end = _ended(stream)
    found = need(calls(stream), "call that is announced and finished")
    index = max(found)
    last = max(stream.events[n].payload.get("output_index", 0) for n in of_type(stream, "response.output_item.added"))
    output = list((stream.events[end].payload.get("response") or {}).get("output") or ())
    if index != last or (output and output[-1].get("type") not in ("function_call", "custom_tool_call")):
        raise Inapplicable("its last item is no call")
    sent = need(events_of(stream, index, ".delta"), "delta of the last call")
    kept = choose(len(sent))
    arguments = "".join(stream.events[n].payload["delta"] for n in sent[:kept])
    done = events_of(stream, index, "output_item.done")[0]
    item = stream.events[done].payload["item"]
    field = "arguments" if item["type"] == "function_call" else "input"
    gone, whole = set(sent[kept:]), set(events_of(stream, index, ".done"))
    events = []
    for number, event in enumerate(stream.events):
        payload = event.payload
        if number in gone:
            continue
        if number == done:
            payload = {**payload, "item": {**item, field: arguments, "status": "incomplete"}}
        elif number == end:
            output[-1:] = [{**one, field: arguments, "status": "incomplete"} for one in output[-1:]]
            payload = _incomplete(stream, "max_output_tokens", output)
        elif number in whole:
            payload = {**payload, field: arguments}
        events.append(event if payload == event.payload else told(stream, payload))

    def expected(result: Completion) -> Completion:
        refused = _expected(result, "max_output_tokens")
        choice = refused.choices[0]
        changed = tuple(
            replace(call, arguments=arguments, extra={**call.extra, "status": "incomplete"})
            if call.index == index
            else call
            for call in choice.tool_calls
        )
        return replace(refused, choices=(replace(choice, tool_calls=changed),))

    return Edit(renumbered(stream, events), f"arguments cut after {kept} deltas", (done, end), (), expected)
