"""A Completion written as a stream of Chat Completions chunks: the inverse of the accumulator in `openai_chat`.

The order and the fields are those of OpenAI's own streams: a role chunk first, which takes a lone tool call's opener
along; text in deltas; a call as an opener with empty arguments, then its fragments; a chunk with an empty delta and the
finish reason; usage in a chunk without choices; `[DONE]`. `reasoning_content` is written as DeepSeek and vLLM have it.

What was written is read back by the dialect's own reader. Whatever does not come back as it went in is refused by name,
so no stream is handed out that means something else than the completion it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from streamkit.dialects.layout import Layout, pieces
from streamkit.dialects.writing import read_back
from streamkit.errors import DialectError, UsageError
from streamkit.transcript import ResponseHead, Transcript
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice, Completion, ToolCall

__all__ = ["difference", "emit"]

_HEAD = ResponseHead(200, "OK", (("Content-Type", "text/event-stream; charset=utf-8"),))
# Extras of a choice that belong into a delta: servers put them there, or the choice has a field of that name already.
_IN_DELTA = {
    "annotations", "audio", "content_parts", "delta", "finish_reason", "index", "message", "obfuscation", "p",
    "reasoning", "reasoning_content", "reasoning_details", "reasoning_text", "thinking", "usage",
}  # fmt: skip

_Json = dict[str, Any]


def emit(completion: Completion, layout: Layout) -> Transcript:
    """Return a synthetic transcript that accumulates to the very completion.

    A call's `problem` is carried where it follows from the stream (arguments that are no JSON, a finish reason such as
    "length"). Calls without an index, or with one and the same index, are written in one delta each, as the servers
    that send such calls do. Tokens of `logprobs` are not split over deltas.

    Args:
        completion: what the stream is to say.
        layout: how it is laid out; `usage="none"` takes only a completion without usage.

    Raises:
        UsageError: the completion holds something that a stream of this dialect cannot carry; the message names it.
    """
    if not completion.choices:
        raise UsageError("openai_chat cannot carry a completion without choices")
    if not completion.ended:
        raise UsageError("openai_chat cannot carry ended=False: write the whole stream, then cut it")
    if completion.usage is not None and layout.usage == "none":
        raise UsageError("openai_chat cannot carry usage in a layout with usage='none': leave one of the two out")
    encoder = SSEEncoder(layout.framing)
    chunks: list[bytes] = []
    for data in (*map(_json, _payloads(completion, layout)), "[DONE]"):
        if layout.keep_alive and chunks:
            chunks.append(encoder.comment("keep-alive"))
        chunks.append(encoder.encode(ServerSentEvent(data=data)))
    body = b"".join(chunks)
    _read_back(body, completion)
    return Transcript(
        body,
        head=_HEAD,
        lengths=(len(body),) if layout.chunk == "whole" else tuple(map(len, chunks)),
        dialect="openai_chat",
        synthetic=True,
        source="written from a completion: no server sent it",
    )


def difference(expected: Any, actual: Any, place: str = "") -> str | None:
    """Return the first place where two completions differ as "choices[0].content: expected 'a', got 'b'", or None.

    Args:
        expected: a completion, or a part of one.
        actual: what it is held against.
        place: the name of the part.
    """
    if expected == actual:
        return None
    if is_dataclass(expected) and type(expected) is type(actual):
        for field in fields(expected):
            inner = f"{place}.{field.name}" if place else field.name
            found = difference(getattr(expected, field.name), getattr(actual, field.name), inner)
            if found is not None:
                return found
    if isinstance(expected, tuple) and isinstance(actual, tuple) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            found = difference(*pair, f"{place}[{number}]")
            if found is not None:
                return found
    return f"{place or 'the completion'}: expected {_shown(expected)}, got {_shown(actual)}"


def _read_back(body: bytes, completion: Completion) -> None:
    from streamkit.dialects.openai_chat import Reader

    try:
        found = difference(completion, read_back(Reader(), body))
    except DialectError as error:
        found = f"the stream reads as {type(error).__name__}: {error}"
    if found is not None:
        raise UsageError(f"openai_chat cannot carry this completion; read back, {found}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _json(payload: _Json) -> str:
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"openai_chat cannot carry what is no JSON: {error}") from None


# Payloads


def _payloads(completion: Completion, layout: Layout) -> Iterator[_Json]:
    """Yield the payloads of all choices, then that of the usage."""
    base: _Json = {"id": completion.id, "object": "chat.completion.chunk"}
    for name in ("created", "model", "service_tier", "system_fingerprint"):
        base[name] = getattr(completion, name)
    base = {name: value for name, value in base.items() if value is not None}
    usage = None if completion.usage is None else dict(completion.usage)
    entries = _in_turns([_entries(choice, layout) for choice in completion.choices])
    for number, entry in enumerate(entries, 1):
        payload = {**base, "choices": [entry]}
        if usage is not None:
            payload["usage"] = None
            if layout.usage == "every" or (layout.usage == "finish" and number == len(entries)):
                payload["usage"] = _so_far(usage, number, len(entries))
        yield payload if number > 1 else {**completion.extra, **payload}
    if usage is not None and layout.usage == "last":
        yield {**base, "choices": [], "usage": usage}


def _in_turns(lists: list[list[_Json]]) -> list[_Json]:
    """Return the entries of several choices in turns; each begins with two of its own, as OpenAI writes n > 1."""
    turns: list[list[_Json]] = [[entry for entries in lists for entry in entries[:2]]]
    turns += [[entry for entry in turn if entry] for turn in zip_longest(*[entries[2:] for entries in lists])]
    return [entry for turn in turns for entry in turn]


def _so_far(usage: _Json, number: int, count: int) -> _Json:
    """Return the usage as of one chunk out of `count`: a part of the completion's tokens, and all at the last."""
    tokens, total = usage.get("completion_tokens"), usage.get("total_tokens")
    if number == count or type(tokens) is not int:
        return usage
    part = tokens * number // count
    return {**usage, "completion_tokens": part, **({"total_tokens": total - tokens + part} if total else {})}


# Choices


def _entries(choice: Choice, layout: Layout) -> list[_Json]:
    """Return the entries of `choices` that carry one choice, in order."""
    if choice.reasoning == "":
        raise UsageError("openai_chat cannot carry empty reasoning: write None where there is none")
    logprobs = _Logprobs(choice)
    calls = _call_deltas(choice, layout)
    role: _Json = {"role": choice.role, "content": None if choice.content is None else ""}
    silent = choice.content is None and choice.reasoning is None
    if choice.refusal is not None:
        role["refusal"] = ""
    elif silent and len(choice.tool_calls) + (choice.function_call is not None) == 1:
        role.update(calls.pop(0))
        role["refusal"] = None
    elif choice.content is not None:
        role["refusal"] = None
    texts: list[tuple[str, str, list[Any]]] = []
    for name, text in (("content", choice.content), ("refusal", choice.refusal)):
        texts += [(name, *piece) for piece in logprobs.pieces(name, text or "", layout.token_size)]
    reasoning = pieces(choice.reasoning or "", layout.token_size)
    return [
        _entry(choice, role, logprobs.rest()),
        *(_entry(choice, {"reasoning_content": piece}) for piece in reasoning),
        *(_entry(choice, {name: piece}, logprobs.of(name, tokens)) for name, piece, tokens in texts),
        *(_entry(choice, delta) for delta in calls),
        *_last_entries(choice, logprobs.inner),
    ]


def _last_entries(choice: Choice, inside_logprobs: set[str]) -> Iterator[_Json]:
    """Yield the extras that come in a delta, then the finish reason with the extras that stand beside it."""
    extra = {key: value for key, value in choice.extra.items() if key not in inside_logprobs}
    inside = {key: value for key, value in extra.items() if key in _IN_DELTA}
    beside = {key: value for key, value in extra.items() if key not in _IN_DELTA}
    if "content_parts" in inside:
        inside["content"] = inside.pop("content_parts")
    if inside:
        yield _entry(choice, inside)
    if choice.finish_reason is not None or beside:
        yield {**_entry(choice, {}), **beside, "finish_reason": choice.finish_reason}


def _entry(choice: Choice, delta: _Json, logprobs: _Json | None = None) -> _Json:
    return {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


class _Logprobs:
    """The tokens of a choice, dealt out to the deltas of its texts: each token once."""

    def __init__(self, choice: Choice) -> None:
        self._left: _Json = dict(choice.logprobs or {})
        self._asked = choice.logprobs is not None
        prefix = "logprobs."
        # What servers send beside the lists; the accumulator keeps it as an extra of that name.
        self.inner = {key for key in choice.extra if key.startswith(prefix) and self._asked}
        self._left.update({key.removeprefix(prefix): choice.extra[key] for key in self.inner})
        self._null = dict.fromkeys(("content", "refusal")) if {"content", "refusal"} & set(self._left) else {}

    def pieces(self, name: str, text: str, size: int) -> list[tuple[str, list[Any]]]:
        """Return a text in pieces, each with its tokens: whole tokens where they add up to the text."""
        tokens = self._left.get(name)
        if not isinstance(tokens, list) or not text:
            return [(piece, []) for piece in pieces(text, size)]
        self._left[name] = []
        words = [token.get("token") if isinstance(token, Mapping) else None for token in tokens]
        if any(not isinstance(word, str) for word in words) or "".join(map(str, words)) != text:
            cut = pieces(text, size)
            ends = [len(tokens) * number // len(cut) for number in range(len(cut) + 1)]
            return [(piece, tokens[ends[n] : ends[n + 1]]) for n, piece in enumerate(cut)]
        found: list[tuple[str, list[Any]]] = []
        group: list[str] = []
        start = length = 0
        for number, word in enumerate(words, 1):
            group.append(str(word))
            length += len(str(word))
            if length >= size or number == len(words):
                found.append(("".join(group), tokens[start:number]))
                group, start, length = [], number, 0
        return found

    def rest(self) -> _Json | None:
        """Return what no delta of text takes; the role chunk carries it."""
        return {**self._null, **self._left} if self._asked else None

    def of(self, name: str, tokens: list[Any]) -> _Json | None:
        """Return the `logprobs` of a delta with these tokens."""
        return {**self._null, name: tokens} if tokens else None


# Calls


def _call_deltas(choice: Choice, layout: Layout) -> list[_Json]:
    """Return the deltas of all calls of a choice, the one in the legacy form last."""
    indexes = [call.index for call in choice.tool_calls]
    whole = layout.calls == "whole" or None in indexes or len(set(indexes)) < len(indexes)
    lists = []
    for call in choice.tool_calls:
        fragments = [] if whole else [_fragment(call, piece) for piece in pieces(call.arguments, layout.token_size)]
        lists.append([_opener(call, call.arguments if whole else ""), *fragments])
    if layout.calls == "interleaved":
        entries = [entry for turn in zip_longest(*lists) for entry in turn if entry]
    else:
        entries = [entry for one in lists for entry in one]
    deltas: list[_Json] = [{"tool_calls": [entry]} for entry in entries]
    legacy = choice.function_call
    if legacy is not None:
        text = [legacy.arguments] if layout.calls == "whole" else ["", *pieces(legacy.arguments, layout.token_size)]
        deltas.append({"function_call": {"name": legacy.name, "arguments": text[0]}})
        deltas += [{"function_call": {"arguments": piece}} for piece in text[1:]]
    return deltas


def _opener(call: ToolCall, arguments: str) -> _Json:
    """Return the entry that opens a call: what it has of index, id and type, its name and its first arguments."""
    identity = {"index": call.index, "id": call.id, "type": call.type}
    entry = {**call.extra, **{key: value for key, value in identity.items() if value is not None}}
    if call.type == "custom":
        return {**entry, "custom": {"name": call.name, "input": arguments}}
    return {**entry, "function": {"name": call.name, "arguments": arguments}}


def _fragment(call: ToolCall, piece: str) -> _Json:
    if call.type == "custom":
        return {"index": call.index, "custom": {"input": piece}}
    return {"index": call.index, "function": {"arguments": piece}}
