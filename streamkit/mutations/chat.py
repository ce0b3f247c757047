"""Other ways to spread the same chat completion over deltas: whatever a parser makes of it must be the very same.

The rules come from the API reference of Chat Completions: text and arguments are appended, `index` says which choice
and which call, null means absent, and usage may come with the last delta or after it.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from streamkit.mutations.chat_edit import Chat, chat_mutation
from streamkit.mutations.chat_parts import arguments_of, cut_call, in_turns, joined, merged
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.mutations.chat_parts import Json, Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "arguments_at", "coalesce_calls", "content_with_calls", "cut_arguments", "cut_text", "escape_cuts",
    "finish_with_last", "interleave_calls", "marker_cuts", "merge_neighbours", "opener_with_arguments",
    "single_characters", "split_arguments", "split_text", "whole_calls", "with_arguments",
]  # fmt: skip

_same = partial(chat_mutation, Class.PRESERVING, right="gives the same result")
_MOST_PIECES = 64


# -- text and arguments in other pieces


def _only(chat: Chat, part: Part) -> None:
    if sum(other.number == part.number for other in chat.of(part.choice)) > 1:
        raise Inapplicable("a payload has two entries of the choice")


def cut_text(chat: Chat, part: Part, key: str, places: list[int]) -> None:
    """Cut a text in pieces of deltas of their own; what else the delta holds stays with the last."""
    _only(chat, part)
    text = part.delta[key]
    edges = [0, *places, len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    chat.ahead(part, *(part.like(**{key: piece}) for piece in pieces[:-1]))
    part.delta[key] = pieces[-1]
    chat.touch(part.number)


@_same(
    "split_text", "cuts the text of a delta in two", sources=["stanfordnlp/dspy#8211", "linshenkx/prompt-optimizer#348"]
)
def split_text(chat: Chat, choose: Choose) -> Edit:
    """Cut text, reasoning or refusal."""
    part, key = choose.of(chat.texts(least=2))
    at = 1 + choose(len(part.delta[key]) - 1)
    cut_text(chat, part, key, [at])
    return chat.edit(f"cut the {key} of a delta in two after {at} characters")


@_same(
    "marker_cuts",
    "cuts text inside what looks like a tag, such as <think>",
    sources=["diegosouzapw/OmniRoute#10441", "MihaiBuilds/memory-vault#152", "linshenkx/prompt-optimizer#348"],
)
def marker_cuts(chat: Chat, choose: Choose) -> Edit:
    """Cut inside each tag of a text."""
    found = []
    for part, key in chat.texts(least=2):
        tags = [match.span() for match in re.finditer(r"</?\w+>", part.delta[key])]
        if tags:
            found.append((part, key, tags))
    if not found:
        raise Inapplicable("no delta holds a whole tag")
    part, key, tags = choose.of(found)
    how = choose(3)
    cut_text(chat, part, key, [(start + 1, end - 1, (start + end) // 2)[how] for start, end in tags[:_MOST_PIECES]])
    return chat.edit(f"cut the {key} of a delta inside its tags")


def with_arguments(chat: Chat, least: int) -> list[tuple[Part, Json | None]]:
    """Return what holds arguments of at least so many characters: `tool_calls` entries, and legacy calls as None."""
    found: list[tuple[Part, Json | None]] = []
    for choice in chat.choices:
        try:
            calls = chat.calls(choice)
        except Inapplicable:
            calls = []
        found += [pair for call in calls for pair in call.fragments if len(arguments_of(pair[1])) >= least]
        for part in chat.of(choice):
            legacy = (part.delta.get("function_call") or {}).get("arguments")
            if isinstance(legacy, str) and len(legacy) >= least:
                found.append((part, None))
    if not found:
        raise Inapplicable("no delta has arguments that can be cut")
    return found


def cut_arguments(chat: Chat, part: Part, entry: Json | None, places: list[int]) -> None:
    """Cut arguments in pieces of deltas of their own; what else the delta holds stays with the last."""
    _only(chat, part)
    if entry is None:
        text = part.delta["function_call"]["arguments"]
        edges = [0, *places, len(text)]
        pieces: list[Json] = [{"arguments": text[a:b]} for a, b in pairwise(edges)]
        if "name" in part.delta["function_call"]:
            pieces[0] = {"name": part.delta["function_call"]["name"], **pieces[0]}
        chat.ahead(part, *(part.like(function_call=piece) for piece in pieces[:-1]))
        part.delta["function_call"] = pieces[-1]
    else:
        calls = part.delta["tool_calls"]
        at = next(number for number, other in enumerate(calls) if other is entry)
        entries = cut_call(entry, *places)
        groups = [[*calls[:at], entries[0]], *([one] for one in entries[1:-1])]
        chat.ahead(part, *(part.like(tool_calls=group) for group in groups))
        part.delta["tool_calls"] = [entries[-1], *calls[at + 1 :]]
    chat.touch(part.number)


def arguments_at(part: Part, entry: Json | None) -> str:
    """Return the arguments of what `with_arguments` gave."""
    return str(part.delta["function_call"]["arguments"] if entry is None else arguments_of(entry))


@_same(
    "split_arguments",
    "cuts the arguments of a delta in two",
    sources=["vercel/ai#13137", "bojieli/ai-agent-book#194"],
)
def split_arguments(chat: Chat, choose: Choose) -> Edit:
    """Cut arguments anywhere."""
    part, entry = choose.of(with_arguments(chat, 2))
    at = 1 + choose(len(arguments_at(part, entry)) - 1)
    cut_arguments(chat, part, entry, [at])
    return chat.edit(f"cut the arguments of a delta in two after {at} characters")


@_same(
    "escape_cuts",
    "cuts arguments inside the escapes of their own JSON, and between } and { inside their texts",
    sources=[
        "anomalyco/opencode#44875",
        "Qredence/fleet-rlm#414",
        "bojieli/ai-agent-book#194",
        "intrafind/ihub-apps#1802",
    ],
)
def escape_cuts(chat: Chat, choose: Choose) -> Edit:
    """Cut after the backslash, inside the digits, or between the escapes of a surrogate pair."""
    found = []
    pair = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?=\\u)|\}(?=\{)")
    for part, entry in with_arguments(chat, 2):
        text = arguments_at(part, entry)
        escapes = [match.start() for match in re.finditer(r"\\(u[0-9a-fA-F]{4}|.)", text)]
        ways = [
            [start + 1 for start in escapes],
            [start + 3 for start in escapes if text[start + 1 : start + 2] == "u"],
            [match.end() for match in pair.finditer(text)],
        ]
        found += [(part, entry, [at for at in places if at < len(text)]) for places in ways]
    found = [one for one in found if one[2]]
    if not found:
        raise Inapplicable("no arguments hold an escape")
    part, entry, places = choose.of(found)
    cut_arguments(chat, part, entry, places[:_MOST_PIECES])
    return chat.edit("cut the arguments of a delta inside their escapes")


@_same(
    "single_characters",
    "sends a delta's text or arguments a character at a time",
    sources=["vercel/ai#13137", "vercel/ai#16838", "vercel/ai#16800", "stanfordnlp/dspy#8211"],
)
def single_characters(chat: Chat, choose: Choose) -> Edit:
    """Cut between all characters; of a long delta, between the first ones and the last."""
    kinds: list[tuple[Part, Json | None, str | None]] = []
    for find in (lambda: with_arguments(chat, 2), lambda: chat.texts(least=2)):
        try:
            kinds += [(part, *((None, what) if isinstance(what, str) else (what, None))) for part, what in find()]
        except Inapplicable as reason:
            why = reason
    if not kinds:
        raise why
    part, entry, key = choose.of(kinds)
    size = len(part.delta[key] if key else arguments_at(part, entry))
    places = [at for at in range(1, size) if at <= _MOST_PIECES // 2 or size - at <= _MOST_PIECES // 2]
    if key:
        cut_text(chat, part, key, places)
    else:
        cut_arguments(chat, part, entry, places)
    return chat.edit("sent the text or arguments of a delta a character at a time")


# -- several deltas in one


def _merge(chat: Chat, one: int, other: int) -> None:
    chat.payloads[other] = merged(chat.payloads[one], chat.payloads[other])
    chat.drop(one)
    chat.touch(other)


def _neighbours(chat: Chat) -> list[tuple[int, int]]:
    numbers = list(chat.payloads)
    return [pair for pair in pairwise(numbers) if all(chat.payloads[n].get("choices") for n in pair)]


def _movable(chat: Chat, part: Part) -> bool:
    """Say whether a delta can stand elsewhere: it says nothing but its text or calls."""
    return chat.uniform and part.alone and not any(part.entry.get(key) for key in ("finish_reason", "logprobs"))


@_same(
    "merge_neighbours",
    "joins two payloads that follow each other into one",
    sources=["deepset-ai/haystack#12610", "openai/openai-go#756", "openai/openai-python#3201"],
)
def merge_neighbours(chat: Chat, choose: Choose) -> Edit:
    """Join a pair; text is appended, the entries of `tool_calls` stand side by side."""
    pairs = _neighbours(chat)
    at = choose(len(pairs))
    for one, other in pairs[at:] + pairs[:at]:
        try:
            _merge(chat, one, other)
        except Inapplicable as reason:
            why = reason
            continue
        return chat.edit("joined two payloads into one")
    raise why


@_same(
    "content_with_calls",
    "puts text and tool calls into the same delta, or null content beside them",
    sources=["deepset-ai/haystack#12610", "openai/openai-go#756", "BerriAI/litellm#2716", "run-llama/llama_index#15083",
             "crewAIInc/crewAI#4461"],
)  # fmt: skip
def content_with_calls(chat: Chat, choose: Choose) -> Edit:
    """Move the text next to a call into the call's delta; where there is none, put null there."""
    ways: list[tuple[Part, Part | None]] = []
    for choice in chat.choices:
        text: Part | None = None
        for part in chat.of(choice):
            if part.calls and "content" not in part.delta:
                if text is not None and text.number < part.number and _movable(chat, text):
                    ways.append((part, text))
                ways.append((part, None))
            if part.delta.get("content") is not None:
                text = part if isinstance(part.delta["content"], str) else None
    if not ways:
        raise Inapplicable("there is no tool call without content beside it")
    call, text = choose.of(ways)
    call.delta["content"] = None if text is None else text.delta["content"]
    chat.touch(call.number)
    if text is None:
        return chat.edit("put null content beside a tool call")
    chat.take_out(text, "content")
    return chat.edit("moved the text before a tool call into the call's delta")


@_same(
    "finish_with_last",
    "sends the finish reason with the last text or arguments",
    sources=["jeremychone/rust-genai#164", "maximhq/bifrost#4963", "vllm-project/vllm#36944", "ai-dynamo/dynamo#3531",
             "linagora/openrag#462", "BerriAI/litellm#27638"],
)  # fmt: skip
def finish_with_last(chat: Chat, choose: Choose) -> Edit:
    """Join a choice's finish payload with the payload of the same choice before it."""
    found = []
    for choice in chat.choices:
        parts = chat.of(choice)
        for before, part in pairwise(parts):
            if part.entry.get("finish_reason") and not before.entry.get("finish_reason"):
                found.append((before, part))
                break
    if not found:
        raise Inapplicable("no finish reason follows a delta")
    one, other = choose.of(found)
    numbers = list(chat.payloads)
    gap = numbers.index(other.number) - numbers.index(one.number)
    if not gap or (gap > 1 and not _movable(chat, one)):
        raise Inapplicable("the finish reason cannot move")
    _merge(chat, one.number, other.number)
    return chat.edit("sent the finish reason with the last delta before it")


@_same(
    "whole_calls",
    "sends each tool call in one delta",
    sources=["ggml-org/llama.cpp#22722", "BerriAI/litellm#7621", "vllm-project/vllm#47907"],
)
def whole_calls(chat: Chat, choose: Choose) -> Edit:
    """Join all fragments of each call of a choice."""
    choice, calls = choose.of(chat.called())
    chat.relay(choice, [[call.whole] for call in calls])
    return chat.edit("sent each tool call in one delta")


@_same(
    "opener_with_arguments",
    "sends the first arguments with the call's id and name",
    sources=["ggml-org/llama.cpp#22722", "BerriAI/litellm#7621"],
)
def opener_with_arguments(chat: Chat, choose: Choose) -> Edit:
    """Join the first entries of a call up to the first that has arguments, in the place of the opener.

    There they stay in the order of the calls: another call may begin before the first arguments of this one.
    """
    found = []
    for _, calls in chat.called():
        for call in calls:
            at = next((n for n, entry in enumerate(call.entries) if arguments_of(entry)), 0)
            if at:
                found.append((call, at))
    if not found:
        raise Inapplicable("no call begins without arguments")
    call, at = choose.of(found)
    opener, first = call.fragments[0]
    calls = opener.delta["tool_calls"]
    calls[next(n for n, entry in enumerate(calls) if entry is first)] = joined(call.entries[: at + 1], call.name)
    chat.touch(opener.number)
    for late, entry in call.fragments[1 : at + 1]:
        rest = [other for other in late.delta.get("tool_calls") or [] if other is not entry]
        if rest or late.number == opener.number:
            late.delta["tool_calls"] = rest
            chat.touch(late.number)
        else:
            chat.take_out(late, "tool_calls")
    return chat.edit("sent the first arguments of a call with its id and name")


@_same(
    "coalesce_calls",
    "sends entries of several tool calls in one payload",
    sources=["endolith/open-interpreter#315", "ag-ui-protocol/ag-ui#2281", "BerriAI/litellm#27638", "ogx-ai/ogx#630",
             "deepset-ai/haystack#9525", "openai/openai-python#3201", "ai-dynamo/dynamo#15054"],
)  # fmt: skip
def coalesce_calls(chat: Chat, choose: Choose) -> Edit:
    """Send whole calls together; or openers together; or each opener and its first arguments as two entries."""
    how = choose(3)
    choice, calls = choose.of(chat.called(1 if how == 2 else 2))
    if how == 0:
        groups = [[call.whole for call in calls]]
    elif how == 1:
        groups = [[call.entries[0] for call in calls], *([entry] for call in calls for entry in call.entries[1:])]
    else:
        groups = []
        for call in calls:
            pieces = call.pieces
            groups += [pieces[:2], *([entry] for entry in pieces[2:])]
    chat.relay(choice, groups)
    return chat.edit(("sent all tool calls", "sent the first entries of all tool calls",
                      "sent the first two entries of each tool call")[how] + " in one payload")  # fmt: skip


@_same(
    "interleave_calls",
    "sends the fragments of parallel tool calls in turns",
    sources=["QwenLM/Qwen-Agent#943", "maximhq/bifrost#1829", "microsoft/semantic-kernel#6106",
             "endolith/open-interpreter#315", "langchain-ai/langchain#34811"],
)  # fmt: skip
def interleave_calls(chat: Chat, choose: Choose) -> Edit:
    """Send them in turns; or one call after the other; or in turns, the last call's first after the openers."""
    how = choose(3)
    choice, calls = choose.of(chat.called(2))
    queues = [call.pieces for call in calls]
    if how == 1:
        order = [entry for queue in queues for entry in queue]
    else:
        order = [queue[0] for queue in queues] + in_turns([queue[1:] for queue in queues][:: -1 if how else 1])
    chat.relay(choice, [[entry] for entry in order])
    return chat.edit("sent the fragments of the tool calls " + ("one call after the other" if how == 1 else "in turns"))
