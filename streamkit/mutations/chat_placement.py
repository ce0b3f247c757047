"""What may stand elsewhere in a chat completion stream, or be left out, or be said twice, without another meaning.

The rules come from the API reference of Chat Completions: null means absent, the role is one for the whole answer,
choices are told apart by `index`, and usage may come with the last delta or after it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from streamkit.mutations.chat_edit import Chat, chat_mutation
from streamkit.mutations.chat_parts import bare, body_of, fragment, identity, in_turns, plain
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.mutations.chat_parts import Json, Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "empty_tool_calls", "logprobs_apart", "n_interleave", "null_absent", "null_arguments", "role_repeated",
    "text_after_calls", "trailing_empty_delta", "type_missing", "usage_placement",
]  # fmt: skip

_same = partial(chat_mutation, Class.PRESERVING, right="gives the same result")


# -- another place


@_same(
    "text_after_calls",
    "sends text after the tool calls",
    sources=["openai/openai-go#756", "crewAIInc/crewAI#4461", "sgl-project/sglang#24293"],
)
def text_after_calls(chat: Chat, choose: Choose) -> Edit:
    """Move a choice's text behind its calls, or the last text only."""
    how = choose(2)
    found = []
    for choice in chat.choices:
        parts = chat.of(choice)
        calls = [part for part in parts if part.calls]
        texts = [part for part in parts if isinstance(part.delta.get("content"), str)]
        early = [part for part in texts if calls and part.number < calls[-1].number]
        if early and early[-1] is texts[-1] and not calls[-1].entry.get("finish_reason"):
            found.append((early, calls[-1]))
    if not found:
        raise Inapplicable("no choice has text before the last of its tool calls")
    texts, last = choose.of(found)
    for part in texts[-1:] if how else texts:
        if part.number == last.number:
            raise Inapplicable("the last text stands beside the last call")
        chat.after(last.number, last.like(content=part.delta["content"]))
        chat.take_out(part, "content")
    return chat.edit("sent " + ("the last text" if how else "the text") + " after the tool calls")


@_same(
    "n_interleave",
    "sends the deltas of several choices in another order, that of each choice kept",
    sources=["BerriAI/litellm#35793", "BerriAI/litellm#3276", "langfuse/langfuse-python#1862", "openai/openai-go#428",
             "openai/openai-go#673", "openai/openai-ruby#564"],
)  # fmt: skip
def n_interleave(chat: Chat, choose: Choose) -> Edit:
    """Send the choices in turns; or one after the other; or in turns, the last choice first."""
    how = choose(3)
    parts = chat.parts
    queues = [[part for part in parts if part.choice == choice] for choice in chat.choices]
    if len(queues) < 2:
        raise Inapplicable("there is one choice")
    if not chat.uniform or not all(plain(part.payload) and not part.entry.get("usage") for part in parts):
        raise Inapplicable("the payloads of the choices hold more than choices")
    one_by_one = [part for queue in queues for part in queue]
    order = one_by_one if how == 1 else in_turns(queues[:: -1 if how else 1])
    numbers = list(dict.fromkeys(part.number for part in parts))
    last = numbers[-1]
    chat.before(last, *(bare(part.payload, part.entry) for part in order[:-1]))
    chat.payloads[last] = bare(order[-1].payload, order[-1].entry)
    chat.touch(last)
    for number in numbers[:-1]:
        chat.drop(number)
    return chat.edit("sent the choices " + ("one after the other" if how == 1 else "in turns"))


@_same(
    "usage_placement",
    "sends the usage in a payload of its own, or with the finish reason",
    sources=["deepset-ai/haystack#8507", "microsoft/autogen#4875", "ggml-org/llama.cpp#15444", "maximhq/bifrost#191",
             "NousResearch/hermes-agent#91373", "cline/cline#8384"],
)  # fmt: skip
def usage_placement(chat: Chat, choose: Choose) -> Edit:
    """Move the only usage there is."""
    holders = [number for number, payload in chat.payloads.items() if payload.get("usage")]
    last = max((part.number for part in chat.parts if part.entry.get("finish_reason")), default=None)
    if len(holders) != 1 or last is None or any(part.entry.get("usage") for part in chat.parts):
        raise Inapplicable("the usage does not stand in one place")
    number = holders[0]
    payload = chat.payloads[number]
    if any("x_groq" in one for one in chat.payloads.values()):
        raise Inapplicable("the usage stands in x_groq too")
    usage = payload["usage"]
    if number == last:
        payload.pop("usage")
        chat.touch(number)
        chat.after(number, {**bare(payload), "usage": usage})
        return chat.edit("sent the usage in a payload of its own")
    only = not payload.get("choices") and number > last and chat.uniform
    if not only or not all(key in (*identity(payload), "choices", "usage") for key in payload):
        raise Inapplicable("the usage does not stand in a payload of its own after the finish reason")
    chat.payloads[last]["usage"] = usage
    chat.touch(last)
    chat.drop(number)
    return chat.edit("sent the usage with the finish reason")


@_same(
    "logprobs_apart",
    "sends the logprobs of a delta in a payload of their own",
    sources=["openai/openai-ruby#564", "BerriAI/litellm#4898"],
)
def logprobs_apart(chat: Chat, choose: Choose) -> Edit:
    """Send logprobs after their text, in a choice with an empty delta."""
    found = [part for part in chat.parts if isinstance(part.entry.get("logprobs"), dict) and part.delta]
    if not found:
        raise Inapplicable("there are no logprobs")
    part = choose.of(found)
    if sum(other.number == part.number for other in chat.of(part.choice)) > 1:
        raise Inapplicable("a payload has two entries of the choice")
    apart = part.like()
    apart["choices"][0]["logprobs"] = part.entry["logprobs"]
    part.entry["logprobs"] = None
    chat.touch(part.number)
    if part.entry.get("finish_reason"):
        apart["choices"][0]["finish_reason"] = part.entry["finish_reason"]
        part.entry["finish_reason"] = None
    chat.after(part.number, apart)
    return chat.edit("sent the logprobs of a delta in a payload of their own")


# -- left out, null, or said again


@_same(
    "null_absent",
    "writes null where a field is absent, or leaves out a field that is null",
    sources=["pgadmin-org/pgadmin4#9828", "lipish/llm-connector#15", "mistralai/mistral-vibe#795",
             "vllm-project/vllm-ascend#14501"],
)  # fmt: skip
def null_absent(chat: Chat, choose: Choose) -> Edit:
    """Choose the field, or all of them; then null or absent."""
    field = choose.of([None, *_NULLABLE])
    absent = choose(2)
    fields = _NULLABLE if field is None else {field: _NULLABLE[field]}
    changed = False
    for part in chat.parts:
        if isinstance(part.entry.get("message"), dict):
            continue
        calls = part.calls
        kinds = {
            "payload": [part.payload],
            "choice": [part.entry],
            "delta": [part.delta] if part.delta else [],
            "call": calls,
            "function": [call["function"] for call in calls if call.get("function")],
        }
        for where in fields:
            kind, name = where.split(".")
            for value in kinds[kind]:
                if absent and name in value and value[name] is None:
                    del value[name]
                elif not absent and name not in value:
                    value[name] = None
                else:
                    continue
                changed = True
                chat.touch(part.number)
    if not changed:
        raise Inapplicable("no such field is null" if absent else "no such field is absent")
    what = "fields" if field is None else field
    return chat.edit(f"left out {what} where null" if absent else f"wrote null for {what} where absent")


_NULLABLE = dict.fromkeys((
    "call.id", "call.type", "function.name", "function.arguments", "delta.role", "delta.content", "delta.tool_calls",
    "delta.function_call", "delta.refusal", "choice.finish_reason", "choice.logprobs", "payload.usage",
))  # fmt: skip


@_same(
    "null_arguments",
    "writes null for empty arguments, or leaves them out",
    sources=["DataDog/dd-trace-py#19386", "odysseus-dev/odysseus#2922", "ogx-ai/ogx#2326", "aaif-goose/goose#6309"],
)
def null_arguments(chat: Chat, choose: Choose) -> Edit:
    """Change all entries whose arguments are empty."""
    absent = choose(2)
    changed = False
    for part in chat.parts:
        for call in part.calls:
            body = body_of(call)
            if body.get("name") and body.get("arguments") == "":
                body["arguments"] = None
                if absent:
                    del body["arguments"]
                chat.touch(part.number)
                changed = True
    if not changed:
        raise Inapplicable("no call begins with empty arguments")
    return chat.edit("left out empty arguments" if absent else "wrote null for empty arguments")


@_same(
    "type_missing",
    "leaves out the type of tool calls, or sends it with the last fragment only",
    sources=["vercel/ai#5350", "vllm-project/vllm#16340"],
)
def type_missing(chat: Chat, choose: Choose) -> Edit:
    """Change the calls of a choice."""
    late = choose(2)
    _, calls = choose.of(chat.called())
    changed = False
    for call in calls:
        kinds = {entry["type"] for entry in call.entries if entry.get("type")}
        if kinds != {"function"} or (late and len(call.entries) < 2):
            continue
        for part, entry in call.fragments:
            entry.pop("type", None)
            chat.touch(part.number)
        if late:
            call.entries[-1]["type"] = "function"
        changed = True
    if not changed:
        raise Inapplicable("no call of type function comes in fragments" if late else "no call has the type function")
    return chat.edit("sent the type with the last fragment" if late else "left out the type of tool calls")


@_same(
    "empty_tool_calls",
    "writes an empty list of tool calls, or empty text beside them, where there was none",
    sources=["microsoft/vscode#330038", "openai/openai-go#437", "openai/openai-go#456", "decolua/9router#2230",
             "openai/openai-go#756", "crewAIInc/crewAI#4461"],
)  # fmt: skip
def empty_tool_calls(chat: Chat, choose: Choose) -> Edit:
    """Write `tool_calls: []` beside text; or `content: ""` beside calls in an answer that has text anyway."""
    how = choose(2)
    changed = False
    for part in chat.parts:
        if how == 0 and part.delta and not part.calls and part.delta.get("tool_calls") is None:
            part.delta["tool_calls"] = []
        elif how and part.calls and part.delta.get("content") is None and chat.result(part.choice).content is not None:
            part.delta["content"] = ""
        else:
            continue
        changed = True
        chat.touch(part.number)
    if not changed:
        raise Inapplicable("there are no tool calls beside text" if how else "there is no delta without tool calls")
    return chat.edit("wrote empty text beside tool calls" if how else "wrote an empty list of tool calls beside text")


@_same("role_repeated", "repeats the role in every delta", sources=["BerriAI/litellm#9986"])
def role_repeated(chat: Chat, choose: Choose) -> Edit:
    """Repeat the role of each choice from its first delta on."""
    roles: dict[int, str] = {}
    changed = False
    for part in chat.parts:
        role = roles.setdefault(part.choice, part.delta.get("role") or "")
        if not role:
            roles[part.choice] = part.delta.get("role") or ""
        elif part.delta and not part.delta.get("role"):
            part.entry["delta"] = {"role": role, **{key: value for key, value in part.delta.items() if key != "role"}}
            chat.touch(part.number)
            changed = True
    if not changed:
        raise Inapplicable("no delta follows one with a role")
    return chat.edit("repeated the role in every delta")


@_same(
    "trailing_empty_delta",
    "adds a delta that says nothing: empty arguments after a call's last, or an empty delta before the finish reason",
    sources=["BerriAI/litellm#39288", "BerriAI/litellm#40207", "BerriAI/litellm#21498"],
)
def trailing_empty_delta(chat: Chat, choose: Choose) -> Edit:
    """Add it after a call, or after a choice's last delta."""
    ways: list[tuple[Part, Json | None]] = []
    for choice in chat.choices:
        with suppress(Inapplicable):
            ways += [call.fragments[-1] for call in chat.calls(choice)]
        before = [part for part in chat.of(choice) if not part.entry.get("finish_reason")]
        ways += [(part, None) for part in before[-1:]]
    part, entry = choose.of(ways)
    if entry is None:
        chat.after(part.number, part.like())
        return chat.edit("added an empty delta")
    if part.entry.get("finish_reason"):
        part.delta["tool_calls"].append(fragment(entry, ""))
        chat.touch(part.number)
    else:
        chat.after(part.number, part.like(tool_calls=[fragment(entry, "")]))
    return chat.edit("added empty arguments after the last of a tool call")
