"""Mutations of OpenAI Responses: the same answer told otherwise, as servers and gateways tell it.

What breaks a stream is in `openai_responses_faults`. Source: the API reference ("Streaming events"), recorded streams,
and the reports named in each entry.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.mutations.expected import need
from streamkit.mutations.openai_responses_parts import (
    CALL_DELTAS,
    ONLY,
    REFERENCE,
    calls,
    deltas,
    events_of,
    of_type,
    renumbered,
    retold,
    terminal,
    told,
    without,
)
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class


@mutation(
    "responses_split_deltas", Class.PRESERVING, Layer.DELTA, "splits a delta in two",
    right="appends each delta: a token may come in any number of them",
    sources=[REFERENCE], dialects=ONLY,
)  # fmt: skip
def split_deltas(stream: Stream, choose: Choose) -> Edit:
    """Split a delta of text or arguments between two characters."""
    found = [number for number in deltas(stream) if len(stream.events[number].payload["delta"]) > 1]
    number = choose.of(need(found, "delta of two characters"))
    payload = stream.events[number].payload
    at = 1 + choose(len(payload["delta"]) - 1)
    halves = [{**payload, "delta": payload["delta"][:at]}, {**payload, "delta": payload["delta"][at:]}]
    if halves[1].get("logprobs"):
        halves[1]["logprobs"] = []
    edited = stream.replaced(number, *(retold(stream, number, half) for half in halves))
    return Edit(renumbered(edited), f"a delta in two after {at} characters", (number,), (number, number + 1))


@mutation(
    "responses_joined_deltas", Class.PRESERVING, Layer.DELTA, "joins two deltas in one",
    right="appends each delta, however long it is", sources=[REFERENCE], dialects=ONLY,
)  # fmt: skip
def joined_deltas(stream: Stream, choose: Choose) -> Edit:
    """Join two deltas of one text that follow each other."""
    same = ("type", "output_index", "content_index", "summary_index", "command_index")
    found = {number: stream.events[number].payload for number in deltas(stream)}
    pairs = [
        number
        for number, one in found.items()
        if number + 1 in found and all(one.get(name) == found[number + 1].get(name) for name in same)
    ]
    number = choose.of(need(pairs, "two deltas of one text in a row"))
    one, two = stream.events[number].payload, stream.events[number + 1].payload
    joined = {**one, "delta": one["delta"] + two["delta"]}
    if isinstance(one.get("logprobs"), list) and isinstance(two.get("logprobs"), list):
        joined["logprobs"] = one["logprobs"] + two["logprobs"]
    edited = stream.replaced(number, retold(stream, number, joined)).replaced(number + 1)
    return Edit(renumbered(edited), "two deltas in one", (number, number + 1), (number,))


@mutation(
    "responses_interleaved_calls", Class.PRESERVING, Layer.DELTA, "sends the arguments of two calls in turns",
    right="appends each delta to the item that its output_index names, and to no other",
    sources=["langchain-ai/langchain#32562", "langchain-ai/langchainjs#8049", REFERENCE], dialects=ONLY,
)  # fmt: skip
def interleaved_calls(stream: Stream, choose: Choose) -> Edit:
    """Announce two calls, send their deltas in turns, then finish both."""
    found = [index for index in calls(stream) if events_of(stream, index, ".delta")]
    if len(found) < 2:
        raise Inapplicable("it has no two calls with deltas")
    first = choose(len(found) - 1)
    pair = [events_of(stream, index) for index in found[first : first + 2]]
    moving = set(deltas(stream))
    opening = [number for numbers in pair for number in numbers[:1]]
    turns = zip_longest(*([number for number in numbers if number in moving] for numbers in pair))
    middle = [number for turn in turns for number in turn if number is not None]
    begun = {*opening, *middle}
    order = [*opening, *middle, *(number for numbers in pair for number in numbers if number not in begun)]
    place, both = min(order), set(order)
    kept = [number for number in range(len(stream.events)) if number not in both]
    numbers = [*(n for n in kept if n < place), *order, *(n for n in kept if n >= place)]
    edited = renumbered(stream, [stream.events[number] for number in numbers])
    return Edit(edited, "the arguments of two calls in turns", tuple(sorted(order)))


@mutation(
    "responses_keepalive", Class.DIALECT, Layer.FRAMING, "puts in the event `keepalive`, which no reference names",
    right="ignores it, as any event whose type it does not know",
    sources=[
        "openai/openai-node#1964", "openai/openai-node#1965", "openai/openai-java#767", "openai-php/client#732",
        "davidmigloz/ai_clients_dart#71", "tjardoo/openai-client#170",
    ], dialects=ONLY,
)  # fmt: skip
def keepalive(stream: Stream, choose: Choose) -> Edit:
    """Put in a keepalive event, or one of a type that is still to be invented."""
    place = 1 + choose(terminal(stream))
    payload = choose.of([
        {"type": "keepalive", "sequence_number": 0},
        {"type": "response.dream_call.in_progress", "output_index": 0, "item_id": "dr_1", "sequence_number": 0},
        {"type": "response.mood", "mood": {"name": "calm"}},
    ])  # fmt: skip
    edited = renumbered(stream.inserted(place, told(stream, payload)))
    return Edit(edited, f"an event {payload['type']}", (), (place,))


@mutation(
    "responses_arguments_at_once", Class.DIALECT, Layer.DELTA, "sends a call's arguments without deltas",
    right="takes them from the `done` event or the finished item: both are whole",
    sources=[
        "earendil-works/pi#2745", "BerriAI/litellm#27792", "anomalyco/opencode#44862", "Wei-Shaw/sub2api#6629",
        "vllm-project/vllm#54236", "vllm-project/vllm#44348",
    ], dialects=ONLY,
)  # fmt: skip
def arguments_at_once(stream: Stream, choose: Choose) -> Edit:
    """Leave out the deltas of a call; or its `arguments.done` as well."""
    index = choose.of(need(calls(stream), "call that is announced and finished"))
    gone = events_of(stream, index, ".delta")
    if choose(2):
        done = [kind.removesuffix("delta") + "done" for kind in CALL_DELTAS]
        gone = [n for n in (*gone, *of_type(stream, *done)) if stream.events[n].payload.get("output_index") == index]
    return Edit(without(stream, gone), f"no deltas of item {index}", tuple(gone))


@mutation(
    "responses_lost_delta", Class.DIALECT, Layer.DELTA, "loses a delta of a call whose `done` is whole",
    right="takes the whole arguments of `done`, or reports that they are not what the deltas made",
    sources=["earendil-works/pi#2745", "Wei-Shaw/sub2api#6629"], dialects=ONLY,
)  # fmt: skip
def lost_delta(stream: Stream, choose: Choose) -> Edit:
    """Leave out a delta of a call, or send it twice."""
    index = choose.of(need(calls(stream), "call that is announced and finished"))
    number = choose.of(need(events_of(stream, index, ".delta"), "delta of a call"))
    if choose(2):
        return Edit(renumbered(stream.inserted(number, stream.events[number])), "a delta twice", (number,))
    return Edit(without(stream, [number]), "a delta lost", (number,))


@mutation(
    "responses_delta_before_item", Class.DIALECT, Layer.DELTA, "announces a call after its first delta",
    right="keeps the delta for the item that is still to come, or reports an error",
    sources=["lefoulkrod/computron_9000#61"], dialects=ONLY,
)  # fmt: skip
def delta_before_item(stream: Stream, choose: Choose) -> Edit:
    """Send `output_item.added` of a call after the first of its deltas, or after the last."""
    found = [index for index in calls(stream) if events_of(stream, index, ".delta")]
    index = choose.of(need(found, "call with deltas"))
    added = events_of(stream, index, ".added")[0]
    moved = events_of(stream, index, ".delta")
    after = moved[-1] if choose(2) else moved[0]
    events = list(stream.events)
    events.insert(after + 1, events[added])
    del events[added]
    return Edit(renumbered(stream, events), f"item {index} after a delta of it", (added, after))


@mutation(
    "responses_no_created", Class.DIALECT, Layer.DELTA, "leaves `response.created` out",
    right="reads on, for the terminal event holds it all, or reports an error",
    sources=["BerriAI/litellm#9545", "Sophomoresty/gemini-web2api#57"], dialects=ONLY,
)  # fmt: skip
def no_created(stream: Stream, choose: Choose) -> Edit:
    """Leave out the first event, or both of those that hold no output."""
    gone = of_type(stream, "response.created", "response.queued", "response.in_progress")
    gone = list(need(gone if choose(2) else gone[:1], "response.created"))
    first = stream.events[gone[0]].payload.get("response") or {}
    last = stream.events[terminal(stream)].payload.get("response") or {}
    again = {name for name, value in first.items() if value == last.get(name) or value in (None, [], "in_progress")}
    if set(first) - again - {"service_tier"}:
        raise Inapplicable("its terminal event does not say again what response.created says")
    return Edit(without(stream, gone), "no response.created", tuple(gone))


@mutation(
    "responses_empty_output", Class.DIALECT, Layer.JSON, "leaves the output of the terminal event empty",
    right="keeps what the items were", sources=["Oaklight/llm-rosetta#56", "NVIDIA-NeMo/Switchyard#777"],
    dialects=ONLY,
)  # fmt: skip
def empty_output(stream: Stream, choose: Choose) -> Edit:
    """Empty the output of the final response, make it null, or leave it out."""
    number = terminal(stream)
    payload = stream.events[number].payload
    response = dict(payload.get("response") or {})
    listed = len(response.get("output") or ())
    if not listed or len(of_type(stream, "response.output_item.done")) < listed:
        raise Inapplicable("the output of its terminal event says what no event said before")
    done = [stream.events[n].payload.get("item") for n in of_type(stream, "response.output_item.done")]
    if done != response["output"]:
        raise Inapplicable("the output of its terminal event is not what its items were")
    form = choose(3)
    if form == 2:
        del response["output"]
    else:
        response["output"] = None if form else []
    edited = stream.replaced(number, retold(stream, number, {**payload, "response": response}))
    return Edit(edited, ("output []", "output null", "no output")[form], (number,), (number,))


@mutation(
    "responses_sequence_numbers", Class.DIALECT, Layer.JSON, "sends no sequence numbers, or strange ones",
    right="does without them; a strict client may report a gap",
    sources=["onyx-dot-app/onyx#13624", "BerriAI/litellm#28899"], dialects=ONLY,
)  # fmt: skip
def sequence_numbers(stream: Stream, choose: Choose) -> Edit:
    """Leave sequence numbers out, send 0 always, count backwards, or skip some."""
    form = choose(4)
    end = terminal(stream)
    need([1 for _, payload in stream.payloads if "sequence_number" in payload], "sequence number")
    count = iter(range(len(stream.events)))

    def change(payload: Any) -> Any:
        number = next(count)
        rest = {key: value for key, value in payload.items() if key != "sequence_number"}
        return rest if form == 0 else {**rest, "sequence_number": (0, end - number, 7 * number)[form - 1]}

    return Edit(stream.mapped(change), ("none", "always 0", "backwards", "with gaps")[form])


@mutation(
    "responses_bare_items", Class.DIALECT, Layer.JSON, "announces items and the response with few of their fields",
    right="takes what there is: an item in progress need not have the fields of a finished one",
    sources=["64bit/async-openai#548", "vercel/ai#16423"], dialects=ONLY,
)  # fmt: skip
def bare_items(stream: Stream, choose: Choose) -> Edit:
    """Leave out what an item in progress need not have; or what the terminal event says again, as well."""
    more = choose(2)
    last = stream.events[terminal(stream)].payload.get("response") or {}
    done = {stream.events[n].payload.get("output_index") for n in of_type(stream, "response.output_item.done")}

    def change(payload: Any) -> Any:
        item, response = payload.get("item"), payload.get("response")
        kind = payload.get("type")
        if kind == "response.output_item.added" and isinstance(item, dict) and payload.get("output_index") in done:
            return {**payload, "item": {k: item[k] for k in ("id", "type", "call_id", "name") if k in item}}
        if more and kind in ("response.created", "response.in_progress") and isinstance(response, dict):
            return {**payload, "response": {k: v for k, v in response.items() if k == "id" or k not in last}}
        return None

    return Edit(stream.mapped(change), "bare items" + (" and a bare response" if more else ""))


@mutation(
    "responses_other_item_ids", Class.DIALECT, Layer.JSON, "gives an item another item_id in every event",
    right="finds the item by its output_index", sources=["GitHub Copilot: recorded streams"], dialects=ONLY,
)  # fmt: skip
def other_item_ids(stream: Stream, choose: Choose) -> Edit:
    """Change the item_id of every event that has one, or leave it out."""
    form = choose(2)
    if [1 for _, payload in stream.payloads if "item_id" in payload and "output_index" not in payload]:
        raise Inapplicable("it has events without an output_index")
    count = iter(range(len(stream.events)))

    def change(payload: Any) -> Any:
        if "item_id" not in payload:
            return None
        rest = {key: value for key, value in payload.items() if key != "item_id"}
        return rest if form else {**rest, "item_id": f"{payload['item_id']}.{next(count)}"}

    return Edit(stream.mapped(change), "no item_id" if form else "another item_id in every event")


@mutation(
    "responses_done_sentinel", Class.DIALECT, Layer.FRAMING, "ends with `[DONE]`, as Chat Completions does",
    right="ignores it after the terminal event", sources=["OpenRouter: recorded streams"], dialects=ONLY,
)  # fmt: skip
def done_sentinel(stream: Stream, choose: Choose) -> Edit:
    """Put `[DONE]` after the last event."""
    del choose
    return Edit(stream.inserted(len(stream.events), Event("[DONE]")), "[DONE]", (), (len(stream.events),))


_SEARCH = {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["weather"], "results": None}


@mutation(
    "responses_item_before", Class.DIALECT, Layer.DELTA, "runs a file search before the items of the answer",
    right="counts no items of its own: every event names its item",
    sources=["langchain-ai/langchain#32562", "langchain-ai/langchainjs#8049"], dialects=ONLY,
)  # fmt: skip
def item_before(stream: Stream, choose: Choose) -> Edit:
    """Put a file search at output index 0, and everything else one further."""
    del choose
    place = need(of_type(stream, "response.output_item.added"), "item")[0]
    started = {**_SEARCH, "status": "in_progress", "queries": []}
    where = {"item_id": _SEARCH["id"], "output_index": 0}
    told_first: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "output_index": 0, "item": started},
        *({"type": f"response.file_search_call.{step}", **where} for step in ("in_progress", "searching", "completed")),
        {"type": "response.output_item.done", "output_index": 0, "item": _SEARCH},
    ]

    def shift(payload: Any) -> Any:
        if type(payload.get("output_index")) is int:
            return {**payload, "output_index": payload["output_index"] + 1}
        response = payload.get("response")
        if isinstance(response, dict) and response.get("output"):
            return {**payload, "response": {**response, "output": [_SEARCH, *response["output"]]}}
        return None

    def expected(result: Completion) -> Completion:
        choice = result.choices[0]
        kept = [{**entry, "output_index": entry["output_index"] + 1} for entry in choice.extra.get("items", ())]
        kept.insert(0, {"output_index": 0, "item": {k: v for k, v in _SEARCH.items() if v is not None}})
        moved = tuple(replace(call, index=None if call.index is None else call.index + 1) for call in choice.tool_calls)
        return replace(result, choices=(replace(choice, tool_calls=moved, extra={**choice.extra, "items": kept}),))

    shifted = stream.mapped(shift)
    events = [told(stream, {**payload, "sequence_number": 0}) for payload in told_first]
    edited = renumbered(shifted.inserted(place, *events))
    return Edit(edited, "a file search first", (), tuple(range(place, place + len(events))), expected)
