"""Mutations of the JSON of Chat Completions: fields that nobody knows, and other servers' ways.

A mutation that adds to an answer says with `Edit.expected` what the answer is then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.dialects.text import merge_extra
from streamkit.mutations.registry import Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Choice, Completion
    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = [
    "answer",
    "choices_null",
    "empty_usage",
    "nan_logprobs",
    "objects",
    "unknown_fields",
    "with_choice",
]

_CHAT = ("openai_chat",)

_Json = dict[str, Any]


def answer(stream: Stream) -> list[tuple[int, _Json]]:
    """Return the payloads before `[DONE]`."""
    done = next((number for number, event in enumerate(stream.events) if event.done), len(stream.events))
    return [(number, payload) for number, payload in stream.payloads if number < done]


def objects(value: Any) -> list[_Json]:
    """Return the objects of a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _entries(payload: _Json) -> list[_Json]:
    """Return the entries of `choices` that have a delta."""
    return [entry for entry in objects(payload.get("choices")) if isinstance(entry.get("delta"), dict)]


def _deltas(payload: _Json) -> list[_Json]:
    return [entry["delta"] for entry in _entries(payload)]


# -- fields that nobody knows

_UNKNOWN = "x_unknown"
_VALUES: list[Any] = [[{"a": 1}], {"a": {"b": None}}, 7, "text", True, []]


@mutation(
    "unknown_fields",
    Class.PRESERVING,
    Layer.JSON,
    "adds fields that nobody knows",
    right="ignores them or passes them on; the answer is the same",
    sources=["zed-industries/zed#42893", "64bit/async-openai#548", "openai/openai-python#3201"],
    dialects=_CHAT,
)
def unknown_fields(stream: Stream, choose: Choose) -> Edit:
    """Add a field to one delta, choice or payload; or to a delta and all of its choice that follow."""
    value = choose.of(_VALUES)
    where = choose(3)
    found = [(number, payload) for number, payload in answer(stream) if _deltas(payload)]
    at = choose(len(found))
    on = bool(choose(2)) and where == 0
    if _UNKNOWN in stream.body().decode("utf-8", "replace"):
        raise Inapplicable("it was done before")
    index = _entries(found[at][1])[0].get("index") or 0
    events = list(stream.events)
    edited = []
    for number, payload in found[at:] if on else found[at : at + 1]:
        entry = _entries(payload)[0]
        if entry.get("message"):
            raise Inapplicable("its answer comes as a whole")
        if (entry.get("index") or 0) == index:
            (entry["delta"], entry, payload)[where][_UNKNOWN] = value
            events[number] = events[number].with_data(stream.manner.json(payload))
            edited.append(number)

    def expected(completion: Completion) -> Completion:
        if where == 2:
            return replace(completion, extra={**completion.extra, _UNKNOWN: value})
        added: dict[str, Any] = {}
        for _ in edited:
            merge_extra(added, _UNKNOWN, value)
        return with_choice(completion, index, lambda one: replace(one, extra={**one.extra, **added}))

    place = ("delta", "choice", "payload")[where]
    said = f"an unknown field in the {place} of {f'{len(edited)} events' if on else f'event {edited[0]}'}"
    return Edit(replace(stream, events=tuple(events)), said, tuple(edited), tuple(edited), expected)


def with_choice(completion: Completion, index: int, change: Callable[[Choice], Choice]) -> Completion:
    """Return the completion with the choice of that index changed."""
    return replace(completion, choices=tuple(change(one) if one.index == index else one for one in completion.choices))


# -- other servers' ways


@mutation(
    "nan_logprobs",
    Class.DIALECT,
    Layer.JSON,
    "sends -Infinity or NaN as a log probability",
    right="reports an error of its own, for it is no JSON, or takes it for a number",
    sources=[
        "RFC 8259, section 6", "sgl-project/sglang#4097", "sgl-project/sglang#2955", "vllm-project/vllm#10234",
        "NVIDIA-NeMo/RL#2962", "madroidmaq/mlx-omni-server#56",
    ],
    dialects=_CHAT,
)  # fmt: skip
def nan_logprobs(stream: Stream, choose: Choose) -> Edit:
    """Give a choice log probabilities with such a number."""
    word = choose.of(["-Infinity", "NaN", "Infinity"])
    number, payload = choose.of([(n, payload) for n, payload in answer(stream) if _deltas(payload)])
    entry = _entries(payload)[0]
    token = {"token": "a", "logprob": float(word), "bytes": None, "top_logprobs": []}
    entry["logprobs"] = {"content": [token], "refusal": None}
    event = stream.events[number].with_data(stream.manner.json(payload))
    return Edit(stream.replaced(number, event), f"{word} as a logprob in event {number}", (number,), (number,))


@mutation(
    "empty_usage",
    Class.DIALECT,
    Layer.JSON,
    "sends a usage object without the usual counters before the real one, or where there is none",
    right="takes missing counters for unknown",
    sources=["zed-industries/zed#42893", "danwritecode/looper-rs#2"],
    dialects=_CHAT,
)
def empty_usage(stream: Stream, choose: Choose) -> Edit:
    """Add `usage: {}`, or one with a counter of its own, to a payload before the one with usage."""
    usage: _Json = choose.of([{}, {"total_characters": 0}])
    found = []
    for number, payload in answer(stream):
        if '"usage"' in stream.manner.json({**payload, "usage": None}).replace('"usage"', "", 1) or payload.get(
            "usage"
        ):
            break
        if objects(payload.get("choices")):
            found.append((number, payload))
    if not found:
        raise Inapplicable("usage comes first, or there are no choices")
    number, payload = choose.of(found)
    event = stream.events[number].with_data(stream.manner.json({**payload, "usage": usage}))

    def expected(completion: Completion) -> Completion:
        return completion if completion.usage else replace(completion, usage=usage)

    return Edit(stream.replaced(number, event), f"usage {usage} in event {number}", (number,), (number,), expected)


@mutation(
    "choices_null",
    Class.DIALECT,
    Layer.JSON,
    "sends a payload whose `choices` are null, absent or a list of an empty object",
    right="takes it for a payload without choices",
    sources=[
        "cline/cline#8384", "cline/cline#8518", "cline/cline#9432", "agentuniverse-ai/agentUniverse#772",
    ],
    dialects=_CHAT,
)  # fmt: skip
def choices_null(stream: Stream, choose: Choose) -> Edit:
    """Put in a payload without choices, after another one."""
    kind = choose.of(["null", "absent", "[{}]", "[]"])
    found = answer(stream)
    number, before = found[choose(len(found))]
    head = {name: before[name] for name in ("id", "object", "created", "model") if name in before}
    kinds: dict[str, _Json] = {
        "null": {"choices": None},
        "absent": {},
        "[{}]": {"choices": [{}]},
        "[]": {"choices": []},
    }
    event = stream.payload_event({**head, **kinds[kind]}, stream.events[number])
    said = f"a payload after event {number} whose choices are {kind}"
    return Edit(stream.inserted(number + 1, event), said, (number,), (number + 1,))
