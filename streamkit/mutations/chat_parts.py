"""The pieces of chat completion payloads, for the mutations of that dialect: choices, deltas, `tool_calls` entries.

Functions of plain JSON values; which of them belong together in a stream, `chat_edit` says.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from streamkit.mutations.registry import Inapplicable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "NOISE", "RARE", "REASONING", "TEXTS", "Call", "Json", "Part", "arguments_of", "bare", "body_of", "cut_call",
    "fragment", "identity", "in_turns", "joined", "merged", "plain",
]  # fmt: skip

Json = dict[str, Any]

REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
RARE = REASONING[2:]  # names of few servers: who does not know them passes over a field that nobody knows
TEXTS = ("content", *REASONING, "refusal")
NOISE = {"obfuscation", "p"}  # padding that says nothing
_IDENTITY = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


def identity(payload: Json) -> Json:
    """Return the fields of a payload that say which answer it belongs to."""
    return {key: payload[key] for key in _IDENTITY if key in payload}


def bare(payload: Json, *entries: Json) -> Json:
    """Return a payload of the same answer with these entries of `choices` and nothing else."""
    return {**identity(payload), "choices": list(entries)}


def plain(payload: Json) -> bool:
    """Say whether a payload holds nothing but identity and choices: no usage, and no field of a provider's own."""
    return all(value is None or key in _IDENTITY or key in NOISE or key == "choices" for key, value in payload.items())


def body_of(call: Json) -> Json:
    """Return the object of a `tool_calls` entry that holds name and arguments; an empty one where it has none."""
    return call.get("function") or call.get("custom") or {}


def arguments_of(call: Json) -> Any:
    """Return the arguments of a `tool_calls` entry; "" where it has none."""
    body = body_of(call)
    value = body.get("arguments", body.get("input"))
    return "" if value is None else value


def fragment(call: Json, arguments: Any, **fields: Any) -> Json:
    """Return a `tool_calls` entry that continues another with arguments.

    Args:
        call: the entry that it continues.
        arguments: what it brings.
        fields: what else it has, such as `id`.
    """
    body = {"custom": {"input": arguments}} if call.get("custom") else {"function": {"arguments": arguments}}
    index = {"index": call["index"]} if "index" in call else {}
    return {**index, **fields, **body}


def cut_call(call: Json, *places: int) -> list[Json]:
    """Return a `tool_calls` entry in several, its arguments cut at these places; all else stays in the first."""
    text = arguments_of(call)
    edges = [0, *places, len(text)]
    head = copy.deepcopy(call)
    body_of(head)["input" if call.get("custom") else "arguments"] = text[: edges[1]]
    tails = [fragment(call, text[start:end]) for start, end in pairwise(edges[1:])]
    return [head, *tails]


def in_turns(queues: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the first of each queue, then the second of each, and so on."""
    most = max(map(len, queues), default=0)
    return [queue[place] for place in range(most) for queue in queues if place < len(queue)]


def joined(calls: Iterable[Json], name: str) -> Json:
    """Return the entries of one call as one entry.

    Args:
        calls: the entries.
        name: the call's name.

    Raises:
        Inapplicable: they hold more than an entry can.
    """
    first, *rest = copy.deepcopy(list(calls))
    for call in rest:
        body = body_of(first)
        if not body:
            raise Inapplicable("the call's first entry has neither name nor arguments")
        body.update({"name": name} if name else {})
        body["input" if first.get("custom") else "arguments"] = arguments_of(first) + arguments_of(call)
        for key, value in call.items():
            if key in ("index", "function", "custom") or value is None:
                continue
            if key not in ("id", "type") and first.get(key) is not None:
                raise Inapplicable("the call has a field of the provider's own in two entries")
            first[key] = first.get(key) or value
    return first


@dataclass
class Part:
    """One entry of a payload's `choices`.

    Attributes:
        number: of the event.
        payload: the payload.
        entry: the entry itself, live.
    """

    number: int
    payload: Json
    entry: Json

    @property
    def choice(self) -> int:
        """The choice's index."""
        return self.entry.get("index") or 0

    @property
    def delta(self) -> Json:
        """The delta, live; an empty one where there is none."""
        delta = self.entry.get("delta")
        return delta if isinstance(delta, dict) else {}

    @property
    def calls(self) -> list[Json]:
        """The delta's `tool_calls` entries, live."""
        return [call for call in self.delta.get("tool_calls") or [] if call is not None]

    @property
    def alone(self) -> bool:
        """Whether it is all that its payload holds, and holds nothing itself but delta, finish reason and logprobs."""
        known = {"index", "delta", "finish_reason", "logprobs", *NOISE}
        kept = all(value is None or key in known for key, value in self.entry.items())
        return kept and plain(self.payload) and len(self.payload["choices"]) == 1

    def like(self, **delta: Any) -> Json:
        """Return a payload for the same choice with one delta."""
        entry: Json = {"index": self.choice, "delta": delta}
        entry.update({key: None for key in ("logprobs", "finish_reason") if key in self.entry})
        return bare(self.payload, entry)


@dataclass
class Call:
    """A tool call, whole or not.

    Attributes:
        index: the provider's.
        fragments: its entries, each with the part that holds it, live.
        id, name: the first id; the name so far.
    """

    index: int
    fragments: list[tuple[Part, Json]] = field(default_factory=list)
    id: str | None = None
    name: str = ""

    @property
    def entries(self) -> list[Json]:
        """Its `tool_calls` entries, live."""
        return [entry for _, entry in self.fragments]

    @property
    def arguments(self) -> str:
        """Its arguments."""
        return "".join(arguments_of(entry) for entry in self.entries)

    @property
    def whole(self) -> Json:
        """A copy of it in one entry; raises Inapplicable where one cannot hold it."""
        return joined(self.entries, self.name)

    @property
    def pieces(self) -> list[Json]:
        """Copies of its entries; at least two of them where its arguments can be cut."""
        text = arguments_of(self.entries[0])
        if len(self.entries) > 1 or len(text) < 2:
            return copy.deepcopy(self.entries)
        return cut_call(self.entries[0], len(text) // 2)

    @property
    def tidy(self) -> list[Json]:
        """Copies of it in pieces as the API writes them: all else in the first, only arguments after."""
        sizes = list(accumulate(len(arguments_of(entry)) for entry in self.entries))
        places = sorted({size for size in sizes[:-1] if size < sizes[-1]})
        if not places and sizes[-1] > 1:
            places = [sizes[-1] // 2]
        return cut_call(self.whole, *places)


# -- two payloads in one


def merged(one: Json, other: Json) -> Json:
    """Return two payloads that follow each other as one that says the same.

    Raises:
        Inapplicable: one payload cannot say it.
    """
    if not (_only_usage(one) and _only_usage(other)):
        raise Inapplicable("usage is not in its usual place")
    first, second = copy.deepcopy((one, other))
    found = {**second, **first}
    for key in found:
        if key in _IDENTITY:
            found[key] = first.get(key) or second.get(key)
        elif key == "usage":
            found[key] = _last_usage(first.get(key), second.get(key))
        elif key != "choices":
            found[key] = second[key] if second.get(key) is not None else first.get(key)
    entries = [entry for entry in first.get("choices") or [] if entry]
    for entry in filter(None, second.get("choices") or []):
        same = [n for n, known in enumerate(entries) if (known.get("index") or 0) == (entry.get("index") or 0)]
        if not same:
            entries.append(entry)
        else:
            entries[same[-1]] = _merged_entry(entries[same[-1]], entry)
    found["choices"] = entries
    return found


def _only_usage(payload: Json) -> bool:
    entries = payload.get("choices") or []
    return not payload.get("x_groq") and not any(entry.get("usage") for entry in entries if entry)


def _last_usage(first: Any, second: Any) -> Any:
    return second or (first if first is not None else second)


def _merged_entry(first: Json, second: Json) -> Json:
    if isinstance(first.get("message"), dict) or isinstance(second.get("message"), dict):
        raise Inapplicable("the answer comes as a whole message")
    found = {**second, **first}
    for key in found:
        old, new = first.get(key), second.get(key)
        if key == "finish_reason":
            found[key] = old or new
        elif key == "usage":
            found[key] = _last_usage(old, new)
        elif old is None or (new is not None and key not in ("index", "delta", "logprobs")):
            found[key] = new
        elif key in ("delta", "logprobs") and new is not None:
            found[key] = _merged_object(old, new)
    return found


def _merged_object(first: Any, second: Any) -> Json:
    if not isinstance(first, dict) or not isinstance(second, dict):
        raise Inapplicable("logprobs are no object")
    found = {**second, **first}
    for key, old in first.items():
        new = second.get(key)
        if old is None:
            found[key] = new
        elif key == "role":
            found[key] = old or new
        elif new is None:
            found[key] = old
        elif key == "function_call":
            found[key] = _merged_function(old, new)
        elif key in TEXTS and isinstance(old, str) and isinstance(new, str):
            found[key] = old + new
        elif key not in TEXTS and isinstance(old, list) and isinstance(new, list):
            found[key] = [*old, *new]
        else:
            raise Inapplicable(f"both deltas have {key}")
    return found


def _merged_function(first: Json, second: Json) -> Json:
    if not first or not second:
        return first or second
    if second.get("name"):
        raise Inapplicable("both deltas have the function's name")
    arguments = (first.get("arguments"), second.get("arguments"))
    return {**second, **first, "arguments": "".join(piece for piece in arguments if piece is not None)}
