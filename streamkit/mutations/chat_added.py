"""What an answer of Chat Completions may bring besides: usage, a second call, reasoning, empty text, a refusal.

Most entries of the dialect move what a stream has. These put in what it has not, so that a transcript with one call
tries parallel calls too, and one without usage tries where usage may stand. Each says with `Edit.expected` what the
answer is then.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamkit.completion import ToolCall
from streamkit.mutations.chat_calls import identified
from streamkit.mutations.chat_edit import GOOD_FINISH, Chat, all_whole, chat_mutation, with_choice
from streamkit.mutations.chat_parts import RARE, REASONING, bare, in_turns
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.mutations.chat_parts import Json, Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "content_as_refusal", "empty_content", "reasoning_added", "second_call", "usage_added", "usage_running",
]  # fmt: skip

_same = partial(chat_mutation, Class.PRESERVING)
_other = partial(chat_mutation, Class.DIALECT)


# -- usage


def _without_usage(chat: Chat) -> tuple[list[int], int]:
    """Return the numbers of the payloads of a stream without usage, and of that with the last finish reason."""
    if chat.completion.usage is not None or any("usage" in part.entry for part in chat.parts):
        raise Inapplicable("there is usage")
    if any(payload.get("usage") is not None or "x_groq" in payload for payload in chat.payloads.values()):
        raise Inapplicable("there is usage")
    finishes = [part.number for part in chat.parts if part.entry.get("finish_reason")]
    if not finishes:
        raise Inapplicable("there is no finish reason")
    return list(chat.payloads), max(finishes)


def _usage(completion: int) -> Json:
    return {"prompt_tokens": 11, "completion_tokens": completion, "total_tokens": 11 + completion}


@_same(
    "usage_added",
    "sends usage where there was none: in a last payload without choices, or with the finish reason",
    right="records the usage; the answer is the same",
    sources=["deepset-ai/haystack#8507", "cline/cline#8384", "pixeltable/pixeltable#1234", "awslabs/llmeter#34",
             "BerriAI/litellm#27968", "microsoft/foundry-local#905", "microsoft/autogen#4875",
             "ggml-org/llama.cpp#15444", "maximhq/bifrost#191", "NousResearch/hermes-agent#91373"],
)  # fmt: skip
def usage_added(chat: Chat, choose: Choose) -> Edit:
    """Send it by itself; or with the finish reason; or by itself after null usage in all payloads before it."""
    how = choose(3)
    numbers, last = _without_usage(chat)
    usage = _usage(len(numbers))
    if how == 1:
        chat.payloads[last]["usage"] = usage
        chat.touch(last)
    else:
        chat.after(numbers[-1], {**bare(chat.payloads[numbers[-1]]), "usage": usage})
        for number in numbers if how == 2 else []:
            chat.payloads[number]["usage"] = None
            chat.touch(number)
    said = ("in a payload without choices", "with the finish reason", "after null usage in every payload")[how]
    return chat.edit(f"sent usage {said}", lambda completion: replace(completion, usage=usage))


@_other(
    "usage_running",
    "sends usage where there was none: so far with every payload, null or nothing after it, or zeros before it",
    right="takes the last usage that is not null and adds nothing up, or gives a typed error",
    sources=["ogx-ai/ogx#5122", "cline/cline#11304", "InsForge/InsForge#2015", "brainlid/langchain#625",
             "AtomaAI/atoma-proxy#534", "open-webui/open-webui#29064", "langfuse/langfuse-python#1648"],
)  # fmt: skip
def usage_running(chat: Chat, choose: Choose) -> Edit:
    """Count up with every payload; or send null usage after it; or zeros in every payload before it."""
    how = choose(3)
    numbers, _ = _without_usage(chat)
    usage = _usage(len(numbers))
    tail = bare(chat.payloads[numbers[-1]])
    chat.after(numbers[-1], {**tail, "usage": usage}, *([{**tail, "usage": None}] if how == 1 else []))
    if how != 1:
        for place, number in enumerate(numbers):
            chat.payloads[number]["usage"] = _usage(place) if how == 0 else dict.fromkeys(usage, 0)
        chat.touch(*numbers)
    said = ("so far with every payload", "and then null", "with zeros in every payload before it")[how]
    return chat.edit(f"sent usage {said}", lambda completion: replace(completion, usage=usage))


# -- another call


_ARGUMENTS = '{"note": "second"}'
_LAYOUTS = (
    "whole, with the index of another",
    "in the same payload as another's last fragment",
    "in turns with another",
    "whole, and no call has an index",
    "in fragments, with the index of another",
    "before the others",
)


@_other(
    "second_call",
    "adds a second tool call, at an index of its own or not",
    right="gives both calls, each whole, or a typed error; it never makes one call out of two",
    sources=["ollama/ollama#15457", "vercel/ai#14277", "BerriAI/litellm#33678", "agno-agi/agno#3826",
             "ollama/ollama#7881", "openai/openai-python#2806", "endolith/open-interpreter#315",
             "BerriAI/litellm#27638", "QwenLM/Qwen-Agent#943", "openai/openai-python#3245"],
)  # fmt: skip
def second_call(chat: Chat, choose: Choose) -> Edit:
    """Choose how it is sent, then the choice, whose calls stand one after the other."""
    how = choose(len(_LAYOUTS))
    choice, calls = identified(chat, choose)
    result = chat.result(choice)
    all_whole(result)
    if result.finish_reason not in (None, *GOOD_FINISH) or any(call.index is None for call in result.tool_calls):
        raise Inapplicable("the calls are in doubt")
    free, taken = max(call.index for call in calls) + 1, calls[-1].index
    index: int | None = (taken, free, free, None, taken, free)[how]
    opener: Json = {"id": "call_second", "type": "function", "function": {"name": "second_tool", "arguments": ""}}
    if index is not None:
        opener = {"index": index, **opener}
    whole = {**opener, "function": {"name": "second_tool", "arguments": _ARGUMENTS}}
    at = len(_ARGUMENTS) // 2
    place = {} if index is None else {"index": index}
    pieces = [{**place, "function": {"arguments": text}} for text in (_ARGUMENTS[:at], _ARGUMENTS[at:])]
    groups = [[entry] for call in calls for entry in call.tidy]
    if how in (0, 3):
        groups.append([whole])
    elif how == 1:
        groups[-1].append(whole)
    elif how == 2:
        last = calls[-1].tidy
        turns = in_turns([last, [opener, *pieces]])
        groups = [[entry] for entry in [*(one for call in calls[:-1] for one in call.tidy), *turns]]
    elif how == 4:
        groups += [[opener], *([piece] for piece in pieces)]
    else:
        groups = [[opener], *([piece] for piece in pieces), *groups]
    if index is None:
        for group in groups:
            group[0].pop("index", None)
    chat.relay(choice, groups)
    added = ToolCall("call_second", "second_tool", _ARGUMENTS, index=index)

    def with_second(one: Choice) -> Choice:
        others = one.tool_calls if index is not None else [replace(call, index=None) for call in one.tool_calls]
        return replace(one, tool_calls=(*others, added))

    return chat.edit(f"added a second tool call, {_LAYOUTS[how]}", with_choice(choice, with_second))


# -- other texts

_THOUGHTS = ("Let me ", "think 🤔", " about it.\n")


@_other(
    "reasoning_added",
    "sends reasoning before the answer, under one of the names that servers use, or under two",
    right="keeps the reasoning apart from the text, and gives it once; or gives a typed error",
    sources=["AnswerDotAI/fastllm#61", "NousResearch/hermes-agent#93219", "laravel/ai#813",
             "langchain-ai/langchain#37390", "mozilla-ai/any-llm#1188", "decolua/9router#3601"],
)  # fmt: skip
def reasoning_added(chat: Chat, choose: Choose) -> Edit:
    """Choose the name, then what stands for the text beside it: nothing, null or empty text."""
    names = choose.of(
        [("reasoning_content",), ("reasoning",), ("reasoning", "reasoning_content"), *((name,) for name in RARE)]
    )
    beside = choose(3)
    choice, first = _silent(chat, choose)
    head = {"role": first.delta["role"]} if first.delta.get("role") else {}
    if beside == 2 and chat.result(choice).content is None:
        raise Inapplicable("there is no text that an empty one could be a part of")
    text: Json = ({}, {"content": None}, {"content": ""})[beside]
    chat.before(first.number, *(first.like(**head, **text, **dict.fromkeys(names, one)) for one in _THOUGHTS))
    said = "".join(_THOUGHTS)
    edit = chat.edit(
        f"sent reasoning before the answer, as {' and '.join(names)}",
        with_choice(choice, lambda one: replace(one, reasoning=said)),
    )
    return replace(edit, also=(lambda completion: completion,)) if names[0] in RARE else edit


def _silent(chat: Chat, choose: Choose) -> tuple[int, Part]:
    """Choose a choice without reasoning; give its first delta with it."""
    found = []
    for choice in chat.choices:
        parts = chat.of(choice)
        result = chat.result(choice)
        thought = any(key in part.delta for part in parts for key in (*REASONING, "reasoning_details"))
        whole = any("message" in part.entry for part in parts) or not parts[0].delta
        if not thought and not whole and result.reasoning is None:
            found.append((choice, parts[0]))
    if not found:
        raise Inapplicable("each choice has reasoning, or comes as a whole message")
    picked: tuple[int, Part] = choose.of(found)
    return picked


@_same(
    "empty_content",
    "sends empty text beside the tool calls of an answer that has no text",
    right="gives the same calls, and no text or an empty one",
    sources=["openai/openai-go#756", "crewAIInc/crewAI#4461", "sgl-project/sglang#24293"],
)
def empty_content(chat: Chat, choose: Choose) -> Edit:
    """Write it beside all entries of a choice, or beside the first, or into deltas of its own before and after."""
    how = choose(3)
    found = [choice for choice in chat.choices if chat.result(choice).content is None]
    found = [choice for choice in found if any(part.calls for part in chat.of(choice))]
    if not found:
        raise Inapplicable("no choice has tool calls and no text")
    choice = choose.of(found)
    parts = [part for part in chat.of(choice) if part.calls]
    if any(isinstance(part.delta.get("content"), list) or "message" in part.entry for part in chat.of(choice)):
        raise Inapplicable("the answer has parts, or comes as a whole message")
    if how == 2:
        last = parts[-1]
        chat.ahead(parts[0], parts[0].like(content=""))
        if not last.entry.get("finish_reason"):
            chat.after(last.number, last.like(content=""))
    else:
        for part in parts if how == 0 else parts[:1]:
            part.delta["content"] = ""
            chat.touch(part.number)
    said = ("beside every entry of tool calls", "beside the first tool call", "before the tool calls and after")[how]
    return chat.edit(f"sent empty text {said}", with_choice(choice, lambda one: replace(one, content="")))


@_other(
    "content_as_refusal",
    "sends the text as a refusal",
    right="gives the refusal, all of it, and not as the answer's text; or gives a typed error",
    sources=["OpenAI API reference, Chat Completions: chat.completion.chunk, delta.refusal"],
)
def content_as_refusal(chat: Chat, choose: Choose) -> Edit:
    """Rename the text of a choice that has nothing else; its first delta may keep an empty text."""
    found = []
    for choice in chat.choices:
        one = chat.result(choice)
        parts = chat.of(choice)
        plain = all(isinstance(part.delta.get("content", ""), str | None) and "message" not in part.entry
                    and not isinstance(part.entry.get("logprobs"), dict) for part in parts)  # fmt: skip
        if one.content and one.refusal is None and not one.tool_calls and one.function_call is None and plain:
            found.append(choice)
    if not found:
        raise Inapplicable("no choice has text and nothing else")
    choice = choose.of(found)
    for part in chat.of(choice):
        text = part.delta.get("content")
        if text is None:
            continue
        del part.delta["content"]
        part.delta["refusal"] = text
        chat.touch(part.number)

    def refused(completion: Completion) -> Completion:
        change = with_choice(choice, lambda one: replace(one, content=None, refusal=one.content))
        return change(completion)

    return chat.edit("sent the text as a refusal", refused)
