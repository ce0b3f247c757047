"""The ways in which servers write the arguments of tool calls in Chat Completions, where a parser may well refuse them.

Each was reported of a real server. What a call with broken arguments gives is a call that must not be executed.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamkit.completion import FunctionCall, argument_problem
from streamkit.dialects.text import pair_surrogates
from streamkit.mutations.chat_calls import one_call, replaced_call
from streamkit.mutations.chat_edit import GOOD_FINISH, Chat, all_whole, chat_mutation, with_calls, with_choice
from streamkit.mutations.chat_parts import body_of, fragment
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.completion import Choice, ToolCall
    from streamkit.mutations.chat_parts import Call
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "args_placeholder", "arguments_object", "call_extra", "duplicate_tail", "function_null", "legacy_function_call",
    "lost_arguments", "no_arguments",
]  # fmt: skip

_other = partial(chat_mutation, Class.DIALECT)
_SAME = "gives the same calls, or a typed error"


def _need_object(call: Call) -> None:
    if not call.arguments.strip() or argument_problem(call.arguments) is not None:
        raise Inapplicable("the call's arguments are no JSON object")


@_other(
    "args_placeholder",
    "sends {} first, and then the real arguments of a tool call",
    right="drops the placeholder, or gives a typed error; it never gives {}",
    sources=["openai/openai-agents-js#712", "BenedictKing/ccx#183", "vercel/ai#13137"],
)
def args_placeholder(chat: Chat, choose: Choose) -> Edit:
    """Send it with id and name, or by itself; the arguments after it in pieces, or whole."""
    apart, whole = choose(2), choose(2)
    choice, calls, call = one_call(chat, choose)
    text = call.arguments
    if not text.lstrip().startswith("{"):
        raise Inapplicable("the call's arguments begin with no brace")
    head = call.whole
    body_of(head)["arguments"] = "" if apart else "{}"
    at = max(len(text) // 2, text.index("{") + 1)
    pieces = [text] if whole or at >= len(text) else [text[:at], text[at:]]
    entries = [head, *([fragment(head, "{}")] if apart else []), *(fragment(head, piece) for piece in pieces)]
    replaced_call(chat, choice, calls, call, entries)
    return chat.edit("sent {} before the arguments of a tool call")


@_other(
    "arguments_object",
    "sends the arguments of a tool call as a JSON object, not as text",
    right="writes the object as JSON text, or gives a typed error",
    sources=["ollama/ollama-python#484", "BerriAI/litellm#24095"],
)
def arguments_object(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice and its call."""
    choice, calls, call = one_call(chat, choose)
    _need_object(call)
    entry = call.whole
    value = json.loads(call.arguments)
    body_of(entry)["arguments"] = value
    replaced_call(chat, choice, calls, call, [entry])
    text = pair_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def expected(one: ToolCall) -> ToolCall:
        return replace(one, arguments=text) if one.index == call.index else one

    return chat.edit("sent the arguments of a tool call as an object", with_calls(choice, expected))


@_other(
    "no_arguments",
    "makes a tool call one without arguments: empty, absent or null",
    right="gives the call with no arguments, once the finish reason or [DONE] has come",
    sources=["QwenLM/qwen-code#6249", "vercel/ai#6687", "vercel/ai#7326", "vllm-project/vllm#28806",
             "langchain-ai/langchainjs#8581"],
)  # fmt: skip
def no_arguments(chat: Chat, choose: Choose) -> Edit:
    """Choose what stands in place of arguments, then the choice and its call."""
    how = choose(3)
    choice, calls, call = one_call(chat, choose)
    result = chat.result(choice)
    all_whole(result)
    if result.finish_reason not in (None, *GOOD_FINISH):
        raise Inapplicable(f"a call without arguments is in doubt after finish reason {result.finish_reason}")
    if result.function_call is not None:
        raise Inapplicable("the call is sent in the legacy form as well, where its arguments would stay")
    entry = call.whole
    body_of(entry)["arguments"] = ("", None, None)[how]
    if how == 1:
        del body_of(entry)["arguments"]
    replaced_call(chat, choice, calls, call, [entry])

    def expected(one: ToolCall) -> ToolCall:
        return replace(one, arguments="") if one.index == call.index else one

    said = ("sent empty arguments for", "sent no arguments for", "sent null as the arguments of")[how]
    return chat.edit(f"{said} a tool call", with_calls(choice, expected))


@_other(
    "function_null",
    "adds an entry to a tool call whose function is null, empty or absent",
    right="takes it for nothing, or gives a typed error",
    sources=["endolith/open-interpreter#254", "deepset-ai/haystack#9565"],
)
def function_null(chat: Chat, choose: Choose) -> Edit:
    """Choose the function, then the choice and its call."""
    how = choose(3)
    _, calls = choose.of(chat.called())
    part, entry = choose.of(calls).fragments[0]
    empty = {"index": entry["index"], **({}, {"function": {}}, {"function": None})[2 - how]}
    if part.entry.get("finish_reason"):
        part.delta["tool_calls"].append(empty)
        chat.touch(part.number)
    else:
        chat.after(part.number, part.like(tool_calls=[empty]))
    return chat.edit(f"added an entry to a tool call with {('function null', 'an empty function', 'no function')[how]}")


@_other(
    "duplicate_tail",
    "sends a tool call once more, whole, after its fragments",
    right="drops the repeat, or gives a typed error",
    sources=["lidge-jun/opencodex#361", "BerriAI/litellm#39965", "raullenchai/Rapid-MLX#1709", "mudler/cogito#66",
             "mudler/LocalAI#9722"],
)  # fmt: skip
def duplicate_tail(chat: Chat, choose: Choose) -> Edit:
    """Repeat it with its id; or at another index, with its id; or with its name and index only."""
    how = choose(3)
    choice, calls, call = one_call(chat, choose)
    if call.arguments:
        _need_object(call)
    again = call.whole
    if how == 1:
        again["index"] = max(other.index for other in calls) + 1
    elif how == 2:
        again.pop("id")
    last = max((other.fragments[-1][0] for other in calls), key=lambda part: part.number)
    if last.entry.get("finish_reason"):
        last.delta["tool_calls"].append(again)
        chat.touch(last.number)
    else:
        chat.after(last.number, last.like(tool_calls=[again]))
    _no_extras(chat.result(choice), call)
    return chat.edit(
        "sent a tool call once more after its fragments" + ("", ", at another index", ", without its id")[how]
    )


def _no_extras(choice: Choice, call: Call) -> None:
    if any(one.index == call.index and one.extra for one in choice.tool_calls):
        raise Inapplicable("the call has fields of the provider's own, which would come twice")


@_other(
    "call_extra",
    "adds a field of the provider's own to a tool call, such as a thought signature",
    right="keeps the field with its call, or gives a typed error",
    sources=["langroid/langroid#985", "open-webui/computer#224"],
)
def call_extra(chat: Chat, choose: Choose) -> Edit:
    """Add it to the first entry of a call, or to the last."""
    last = choose(2)
    choice, calls = choose.of(chat.called())
    call = choose.of(calls)
    extra = {"extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}}}
    if any(key in entry for entry in call.entries for key in extra):
        raise Inapplicable("the call has such a field")
    part, entry = call.fragments[-1 if last else 0]
    entry.update(copy.deepcopy(extra))
    chat.touch(part.number)

    def expected(one: ToolCall) -> ToolCall:
        return replace(one, extra={**one.extra, **extra}) if one.index == call.index else one

    return chat.edit("added a thought signature to a tool call", with_calls(choice, expected))


@_other(
    "legacy_function_call",
    "sends a tool call in the legacy form, as function_call",
    right="gives one call of that name and arguments, or a typed error",
    sources=["run-llama/llama_index#18313", "microsoft/autogen#1178"],
)
def legacy_function_call(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice; it must have one call."""
    choice, calls, call = one_call(chat, choose)
    if len(calls) > 1:
        raise Inapplicable("the legacy form holds one call")
    if chat.result(choice).function_call is not None:
        raise Inapplicable("the answer has a call in the legacy form")
    entries = call.tidy
    deltas = [{"function_call": body_of(entry)} for entry in entries]
    chat.rewrite(choice, deltas)
    for part in chat.of(choice):
        if part.entry.get("finish_reason") == "tool_calls":
            part.entry["finish_reason"] = "function_call"
            chat.touch(part.number)

    def expected(one: Choice) -> Choice:
        said = "function_call" if one.finish_reason == "tool_calls" else one.finish_reason
        legacy = [FunctionCall(old.name, old.arguments, old.problem) for old in one.tool_calls]
        return replace(one, tool_calls=(), function_call=legacy[0] if legacy else None, finish_reason=said)

    return chat.edit("sent a tool call in the legacy form", with_choice(choice, expected))


@_other(
    "lost_arguments",
    "loses or repeats a piece of a tool call's arguments",
    right="gives a typed error, or a call that says it must not be executed",
    sources=["vllm-project/vllm#32152", "vllm-project/vllm#13459", "vllm-project/vllm#34887",
             "sgl-project/sglang#36339", "sgl-project/sglang#34678"],
)  # fmt: skip
def lost_arguments(chat: Chat, choose: Choose) -> Edit:
    """Lose the last character or the first fragment, or repeat the first fragment."""
    how = choose(3)
    choice, calls, call = one_call(chat, choose)
    _need_object(call)
    if not all(one.arguments.strip() for one in calls):
        raise Inapplicable("another call has no arguments")
    stripped = call.arguments.rstrip()
    at = min(max(1, len(stripped) // 2), len(stripped) - 1)
    pieces = ([stripped[:-1]], [stripped[at:]], [stripped[:at], stripped[:at], stripped[at:]])[how]
    text = "".join(pieces)
    problem = argument_problem(text)
    if problem is None or not text.strip():
        raise Inapplicable("what is left would be arguments")
    head = call.whole
    body_of(head)["arguments"] = ""
    replaced_call(chat, choice, calls, call, [head, *(fragment(head, piece) for piece in pieces)])

    def expected(one: ToolCall) -> ToolCall:
        if one.index != call.index:
            return one
        return replace(one, arguments=text, problem=one.problem or problem)

    said = ("lost the last character", "lost the first piece", "repeated the first piece")[how]
    return chat.edit(f"{said} of a tool call's arguments", with_calls(choice, expected))
