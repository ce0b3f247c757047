"""Streams made for a test: `synthesize("Hello", dialect="openai_chat")`.

A dialect writes the bytes (its `emit`); this module builds the completion that it is given. It knows no format. What a
caller left open (ids, indexes, model, time) is settled by asking the dialect what it carries. Nothing here is random
and no clock is read: the same call gives the same bytes.

The convention for dialects, each part optional:

`finish`
    A class attribute `{"stop": ..., "tool_calls": ...}` with the provider's words for an answer that is over, and for
    one that calls tools; "length" and "refusal" may be there too. Without it the words are those that this module
    knows by the dialect's name, or else those of OpenAI.
`carries(completion) -> str | None`
    Why the dialect cannot carry a completion, or None where it can. `emit` is tried too: it raises UsageError.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.completion import Choice, Completion, ToolCall, argument_problem
from streamkit.dialects.layout import Layout
from streamkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.transcript import Transcript
    from streamkit.wire.sse import Framing

__all__ = ["Call", "finish_reason_of", "refused", "settled", "synthesize"]

#: A tool call as `synthesize` takes it.
Call = ToolCall | tuple[str, Mapping[str, Any] | str] | Mapping[str, Any]

_FINISH = {"stop": "stop", "tool_calls": "tool_calls", "length": "length"}
_FINISH_BY_NAME = {
    "anthropic_messages": {
        "stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "refusal": "refusal",
    },
    "bedrock_converse": {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"},
    "cohere_v2": {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS"},
    "gemini": {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"},
    "ollama": {"stop": "stop", "tool_calls": "stop", "length": "length"},
    "openai_responses": {"stop": "completed", "tool_calls": "completed", "length": "max_output_tokens"},
}  # fmt: skip
_ID = "synthetic"
# What a server of the dialect never leaves out: anthropic 2.11 fails on a message_delta without it.
_USAGE: dict[str, dict[str, int]] = {"anthropic_messages": {"input_tokens": 1, "output_tokens": 1}}
_CREATED = 1767225600  # 2026-01-01T00:00:00Z
_SOURCE = "written by streamkit.synthesize: no server sent it"


def synthesize(
    content: str | None = None,
    *,
    tool_calls: Iterable[Call] = (),
    reasoning: str | None = None,
    refusal: str | None = None,
    finish_reason: str | None = None,
    usage: Mapping[str, Any] | None = None,
    model: str | None = None,
    id: str | None = None,  # noqa: A002 - the word of every API
    completion: Completion | None = None,
    dialect: str | Any = "openai_chat",
    token_size: int = 4,
    calls: str = "sequential",
    usage_at: str = "last",
    framing: Framing | None = None,
    keep_alive: bool = False,
    chunk: str = "event",
    name: str = "",
) -> Transcript:
    """Return a synthetic transcript: what a provider would have streamed for this answer.

    What is left out (call ids and indexes, id, model, time of creation) is filled in where the dialect has it, with
    fixed values.

    Args:
        content: the text; None for none.
        tool_calls: each a ToolCall, a pair ("name", {"argument": 1}), or a mapping with "name", and "arguments" as an
            object or as JSON text, "id", "index" and "type" where they matter. OpenAI's own form, with "function", is
            taken too.
        reasoning: the text of the reasoning.
        refusal: the text of a refusal.
        finish_reason: the provider's word; where None, the one for an answer that is over, or that calls tools.
        usage: the usage object as the provider would send it.
        model: the model's name; None for "synthetic".
        id: the answer's id; None for "synthetic".
        completion: the whole answer, instead of all of the above; it is written as it is, nothing is filled in.
        dialect: the dialect's name, or a dialect.
        token_size: characters of text or of arguments in each delta.
        calls: "sequential", "interleaved" or "whole", as in `Layout`.
        usage_at: "last", "finish", "every" or "none", as `usage` in `Layout`.
        framing: how server-sent events are written; None for `data: ...` lines ended by LF.
        keep_alive: comments, or the dialect's own pings, between the events.
        chunk: "event" for one chunk an event, "whole" for one chunk in all.
        name: the transcript's name.

    Raises:
        UsageError: the dialect cannot carry the answer, or cannot write at all; or an argument cannot be used.
    """
    speaker = dialects.get(dialect) if isinstance(dialect, str) else dialect
    layout = Layout(token_size, calls, usage_at, keep_alive, chunk=chunk, **({"framing": framing} if framing else {}))
    if completion is not None:
        given = (content, reasoning, refusal, finish_reason, usage, model, id)
        if tool_calls or any(value is not None for value in given):
            raise UsageError("synthesize() takes either a completion or its parts: dataclasses.replace() changes one")
    else:
        listed = _calls(tool_calls)
        kind = "tool_calls" if listed else "stop" if refusal is None else "refusal"
        choice = Choice(
            0,
            content=content,
            reasoning=reasoning,
            refusal=refusal,
            tool_calls=tuple(listed),
            finish_reason=finish_reason if finish_reason is not None else finish_reason_of(speaker, kind),
        )
        usage = usage if usage is not None else _USAGE.get(speaker.name)
        completion = settled(speaker, Completion((choice,), usage, id, model, ended=True), layout)
    return replace(_emit(speaker, completion, layout), name=name, source=_SOURCE)


def finish_reason_of(dialect: Any, kind: str) -> str:
    """Return a dialect's word for a way to finish.

    Args:
        dialect: the dialect, with its `finish` or without.
        kind: "stop", "tool_calls", "length" or "refusal"; the one for "stop" is given where it has no word of its own.
    """
    known = _FINISH_BY_NAME.get(dialect.name, _FINISH)
    words: Mapping[str, str] = {**known, **getattr(dialect, "finish", {})}
    return words.get(kind, words["stop"])


def refused(dialect: Any, completion: Completion, layout: Layout | None = None) -> str | None:
    """Say why a dialect cannot carry a completion, or return None where it can.

    Args:
        dialect: the dialect; its `carries` is asked where it has one, and `emit` is tried.
        completion: the completion.
        layout: how it would be laid out; the default layout where None.
    """
    carries = getattr(dialect, "carries", None)
    reason = carries(completion) if carries is not None else None
    if reason is not None:
        return str(reason)
    try:
        _emit(dialect, completion, layout or Layout())
    except UsageError as error:
        return str(error)
    return None


def settled(dialect: Any, completion: Completion, layout: Layout | None = None) -> Completion:
    """Return a completion with what it leaves open filled in, in the first way that the dialect carries.

    Open are: `id`, `model` and `created` where None; of each call `id` and `index` where None, and its `problem`, which
    follows from the arguments and the finish reason.

    Args:
        dialect: the dialect.
        completion: a completion of any number of choices.
        layout: how it is to be laid out; the default layout where None.

    Raises:
        UsageError: no way of filling it in is carried; the message says why, for the way that fills in least.
    """
    reason = ""
    for cut in (False, True):
        for candidate in _candidates(completion, cut=cut):
            refusal = refused(dialect, candidate, layout)
            if refusal is None:
                return candidate
            reason = reason if cut else refusal
    raise UsageError(reason)


def _candidates(completion: Completion, *, cut: bool) -> Iterator[Completion]:
    """Yield the ways to fill in a completion, the fullest first; `cut` says whether its calls were cut off."""
    calling = any(choice.tool_calls for choice in completion.choices)
    if cut and not calling:
        return
    indexings = ("count", "none", "blocks") if calling else ("none",)
    for indexing, ids in product(indexings, (True, False)[: 1 + calling]):
        choices = tuple(_filled(choice, indexing, ids=ids, cut=cut) for choice in completion.choices)
        for wanted in (("id", "model", "created"), ("id", "model"), ("model", "created"), ("model",), ("id",), ()):
            defaults = {"id": _ID, "model": _ID, "created": _CREATED}
            open_ones = {key: defaults[key] for key in wanted if getattr(completion, key) is None}
            if len(open_ones) == len(wanted) or wanted == ():
                yield replace(completion, choices=choices, **open_ones)  # type: ignore[arg-type]  # of these fields


def _filled(choice: Choice, indexing: str, *, ids: bool, cut: bool) -> Choice:
    """Return a choice with its calls filled in.

    Args:
        choice: the choice.
        indexing: "count" from 0, "blocks" counting the texts that come before the calls too, or "none".
        ids: whether calls get an id.
        cut: whether the finish reason says that the answer was cut off.
    """
    first = (
        sum(bool(text) for text in (choice.reasoning, choice.content, choice.refusal)) if indexing == "blocks" else 0
    )
    calls = []
    for number, call in enumerate(choice.tool_calls):
        problem = call.problem
        if problem is None and cut:
            problem = f"the answer was cut off (finish reason {choice.finish_reason})"
        if problem is None and call.type != "custom":
            problem = argument_problem(call.arguments)
        index = first + number if call.index is None and indexing != "none" else call.index
        place = f"{choice.index}_{number}" if choice.index else number
        identity = f"call_{place}" if call.id is None and ids else call.id
        calls.append(replace(call, id=identity, index=index, problem=problem))
    return replace(choice, tool_calls=tuple(calls))


def _emit(dialect: Any, completion: Completion, layout: Layout) -> Transcript:
    emit = getattr(dialect, "emit", None)
    if emit is None:
        raise UsageError(f"the dialect {dialect.name!r} reads streams and writes none: it has no emit()")
    transcript: Transcript = emit(completion, layout)
    return transcript


# Tool calls as they are given


def _calls(given: Iterable[Call]) -> list[ToolCall]:
    if isinstance(given, str | ToolCall | Mapping) or not isinstance(given, Iterable):
        raise UsageError('tool_calls is a list: write tool_calls=[("name", {"argument": 1})]')
    return [_call(one) for one in given]


def _call(given: Any) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    if isinstance(given, Mapping):
        return _from_mapping(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        return ToolCall(None, given[0], _arguments(given[1]))
    raise UsageError(f'{given!r} is no tool call: write ("name", {{"argument": 1}}), a mapping or a ToolCall')


def _from_mapping(given: Mapping[str, Any]) -> ToolCall:
    inner = given.get("function", given.get("custom"))
    facts = {**given, **inner} if isinstance(inner, Mapping) else dict(given)
    facts.pop("function", None)
    kind = "custom" if facts.pop("custom", None) is not None else "function"
    arguments = facts.pop("arguments", facts.pop("input", ""))
    name = facts.pop("name", None)
    identity, index, kind = facts.pop("id", None), facts.pop("index", None), facts.pop("type", kind)
    extra = facts.pop("extra", {})
    if facts or not isinstance(name, str):
        wrong = f"unknown keys: {', '.join(map(str, facts))}" if facts else "it has no name"
        raise UsageError(f"{dict(given)!r} is no tool call ({wrong}): give name, arguments, id, index, type, extra")
    return ToolCall(identity, name, _arguments(arguments), kind, index, extra=extra)


def _arguments(given: Any) -> str:
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"the arguments of a call are a mapping, or text as it is to be sent, not {given!r}")
    try:
        return json.dumps(dict(given), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the arguments {given!r} are no JSON object: {error}; give text to send them as they are"
        ) from None
