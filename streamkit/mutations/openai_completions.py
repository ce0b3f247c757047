"""Mutations of legacy completions: text in other pieces, choices in turns, ends and usage elsewhere, errors.

Source: the API reference of Completions, and the reports named in each entry, most of them of chat, whose framing and
ends are the same.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.mutations.expected import need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_API = "platform.openai.com/docs/api-reference/completions"
_ONLY = ("openai_completions",)


def _single(stream: Stream) -> list[tuple[int, dict[str, Any]]]:
    """Return the payloads with one choice, to be changed, each with the number of its event."""
    found = []
    for number, payload in stream.payloads:
        choices = payload.get("choices")
        if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict) and "text" in choices[0]:
            found.append((number, copy.deepcopy(payload)))
    return need(found, "payload with one choice")


def _put(stream: Stream, number: int, *payloads: dict[str, Any]) -> Stream:
    return stream.replaced(number, *(stream.payload_event(one) for one in payloads))


def _finishes(stream: Stream) -> list[tuple[int, dict[str, Any]]]:
    found = [(number, payload) for number, payload in _single(stream) if payload["choices"][0].get("finish_reason")]
    return need(found, "finish reason")


def _plain(payload: dict[str, Any]) -> bool:
    """Whether a payload holds nothing but text."""
    choice = payload["choices"][0]
    return not choice.get("finish_reason") and not choice.get("logprobs") and not payload.get("usage")


@mutation(
    "completions_split_text", Class.PRESERVING, Layer.DELTA, "splits a text in two payloads",
    right="joins the text", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def split_text(stream: Stream, choose: Choose) -> Edit:
    """Split a text after any character; all else stays with the second half."""
    places = [(n, p) for n, p in _single(stream) if len(p["choices"][0]["text"] or "") > 1]
    number, payload = choose.of(need(places, "text of two characters"))
    choice = payload["choices"][0]
    cut = 1 + choose(len(choice["text"]) - 1)
    first = {"text": choice["text"][:cut], "index": choice.get("index", 0), "logprobs": None, "finish_reason": None}
    head = {key: value for key, value in payload.items() if key != "usage"}
    choice["text"] = choice["text"][cut:]
    made = _put(stream, number, {**head, "choices": [first]}, payload)
    return Edit(made, f"event {number} cut after character {cut}", (number,), (number, number + 1))


@mutation(
    "completions_merge", Class.PRESERVING, Layer.DELTA, "joins the text of two payloads, or the finish reason with it",
    right="takes the text of a payload that also ends", sources=["jeremychone/rust-genai#164"], dialects=_ONLY,
)  # fmt: skip
def merge(stream: Stream, choose: Choose) -> Edit:
    """Join a plain payload with the next one of the same choice."""
    single = _single(stream)
    pairs = [
        (one, first, two, second)
        for (one, first), (two, second) in pairwise(single)
        if two == one + 1 and _plain(first) and first["choices"][0].get("index") == second["choices"][0].get("index")
    ]
    one, first, two, second = choose.of(need(pairs, "two payloads that can be joined"))
    second["choices"][0]["text"] = (first["choices"][0]["text"] or "") + (second["choices"][0]["text"] or "")
    payload = {**first, **second}
    return Edit(_put(stream.replaced(one), one, payload), f"events {one} and {two} in one", (one, two), (one,))


@mutation(
    "completions_choices_together", Class.PRESERVING, Layer.DELTA, "sends two choices in one payload",
    right="takes each entry of choices", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def choices_together(stream: Stream, choose: Choose) -> Edit:
    """Join two neighbours of different choices."""
    single = _single(stream)
    pairs = [
        (one, first, two, second)
        for (one, first), (two, second) in pairwise(single)
        if two == one + 1 and first["choices"][0].get("index") != second["choices"][0].get("index")
        and not first.get("usage")
    ]  # fmt: skip
    one, first, two, second = choose.of(need(pairs, "two choices side by side"))
    both = [*first["choices"], *second["choices"]]
    payload = {**first, **second, "choices": choose.of([both, both[::-1]])}
    return Edit(_put(stream.replaced(one), one, payload), f"events {one} and {two} in one", (one, two), (one,))


@mutation(
    "completions_choices_in_turn", Class.PRESERVING, Layer.DELTA, "sends one choice after the other",
    right="puts each text where its index says", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def choices_in_turn(stream: Stream, choose: Choose) -> Edit:
    """Sort the payloads by choice, the first or the last choice first."""
    single = _single(stream)
    numbers = [number for number, _ in single]
    backwards = choose.of([False, True])
    ordered = sorted(single, key=lambda one: one[1]["choices"][0].get("index") or 0, reverse=backwards)
    if len({payload["choices"][0].get("index") for _, payload in single}) < 2:
        raise Inapplicable("it has one choice")
    if len(single) < sum(bool(payload.get("choices")) for _, payload in stream.payloads):
        raise Inapplicable("a payload holds several choices")
    if sum(bool(payload.get("usage")) for _, payload in single) > 1:
        raise Inapplicable("of several counts of usage the last one must stay the last")
    events = list(stream.events)
    for place, (number, _) in zip(numbers, ordered, strict=True):
        events[place] = stream.events[number]
    return Edit(replace(stream, events=tuple(events)), "the choices in turn", tuple(numbers), tuple(numbers))


@mutation(
    "completions_null_fields", Class.PRESERVING, Layer.JSON, "sends fields that are null, or leaves nulls out",
    right="takes null for absent", sources=[_API + " (vLLM adds stop_reason and prompt_logprobs)"], dialects=_ONLY,
)  # fmt: skip
def null_fields(stream: Stream, choose: Choose) -> Edit:
    """Send the fields that vLLM adds as null, or leave out all that are null."""
    add = choose.of([True, False])

    def change(payload: dict[str, Any]) -> dict[str, Any]:
        for choice in payload.get("choices") or ():
            if isinstance(choice, dict) and add:
                choice.update({key: choice.get(key) for key in ("logprobs", "stop_reason", "prompt_logprobs")})
            elif isinstance(choice, dict):
                for key in [key for key, value in choice.items() if value is None]:
                    del choice[key]
        return payload

    return Edit(stream.mapped(change), "null fields added" if add else "null fields left out")


@mutation(
    "completions_usage_elsewhere", Class.PRESERVING, Layer.DELTA, "sends the usage with the end",
    right="records it wherever it stands", sources=["microsoft/autogen#4875"],
    dialects=_ONLY,
)  # fmt: skip
def usage_elsewhere(stream: Stream, choose: Choose) -> Edit:
    """Move the usage of the payload without choices to the last finish reason."""
    del choose
    alone = [n for n, payload in stream.payloads if payload.get("usage") and payload.get("choices") == []]
    number = need(alone, "usage by itself")[-1]
    usage = stream.events[number].payload["usage"]
    last = _finishes(stream)[-1][0]
    payload = dict(_single(stream))[last]
    made = _put(stream, last, {**payload, "usage": usage})
    return Edit(made.replaced(number), "usage elsewhere", (number,))


@mutation(
    "completions_finish_reason", Class.DIALECT, Layer.DELTA, "ends with another finish reason",
    right="hands on the reason", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def finish_reason(stream: Stream, choose: Choose) -> Edit:
    """End a choice with another reason."""
    number, payload = choose.of(_finishes(stream))
    choice = payload["choices"][0]
    index = choice.get("index") or 0
    reason = choice["finish_reason"] = choose.of(["length", "content_filter", "eos_token", "abort", "stop"])

    def expected(completion: Completion) -> Completion:
        choices = [replace(c, finish_reason=reason) if c.index == index else c for c in completion.choices]
        return replace(completion, choices=tuple(choices))

    return Edit(_put(stream, number, payload), f"ends with {reason}", (number,), (number,), expected)


@mutation(
    "completions_cut", Class.FAULT, Layer.DELTA, "ends after an event, before a finish reason",
    right="says that the answer was cut off", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """Stop before the first finish reason, or before any event until then."""
    first = _finishes(stream)[0][0]
    number = first - choose(first + 1)
    return Edit(stream.cut(number), f"cut before event {number}", (number,))


@mutation(
    "completions_error", Class.FAULT, Layer.DELTA, "reports an error in the stream",
    right="raises it", sources=["vllm-project/vllm: ErrorResponse"], dialects=_ONLY,
)  # fmt: skip
def error(stream: Stream, choose: Choose) -> Edit:
    """Report an error before any payload, in one of the envelopes of servers; the last payload first."""
    numbers = [number for number, _ in _single(stream)]
    number = numbers[len(numbers) - 1 - choose(len(numbers))]
    inner = {"message": "The server had an error", "type": "server_error", "code": 500}
    payload = choose.of([{"error": inner}, {"object": "error", **inner}, {"error": inner["message"]}])
    return Edit(stream.inserted(number, stream.payload_event(payload)), "an error", (), (number,))
