"""The ways in which servers write index, id and name of tool calls in Chat Completions: a parser may well refuse them.

Each was reported of a real server. The sensible result is that of the API's own rules, read in the way that loses no
call and joins no two; a typed error is right too, and another result without an error is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamkit.mutations.chat_edit import Chat, chat_mutation, with_calls
from streamkit.mutations.chat_parts import arguments_of, body_of, cut_call, fragment, in_turns
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.completion import ToolCall
    from streamkit.mutations.chat_parts import Call, Json
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "collapse_index", "drop_id", "drop_index", "id_churn", "identified", "index_drift", "index_out_of_order",
    "late_name", "null_absent_empty", "one_call", "renumber_index", "repeat_id_name", "replaced_call", "split_name",
]  # fmt: skip

_other = partial(chat_mutation, Class.DIALECT)
_SAME = "gives the same calls, or a typed error"


def identified(chat: Chat, choose: Choose, least: int = 1) -> tuple[int, list[Call]]:
    """Choose a choice whose calls all begin with id and name; they are given by index."""
    found = [
        (choice, sorted(calls, key=lambda call: call.index))
        for choice, calls in chat.called(least)
        if all(call.entries[0].get("id") and body_of(call.entries[0]).get("name") for call in calls)
    ]
    if not found:
        raise Inapplicable("a call begins without id or name")
    picked: tuple[int, list[Call]] = choose.of(found)
    return picked


def one_call(chat: Chat, choose: Choose) -> tuple[int, list[Call], Call]:
    """Choose a function call among those that begin with id and name; all of its choice are given with it."""
    choice, calls = identified(chat, choose)
    functions = [call for call in calls if not any(entry.get("custom") for entry in call.entries)]
    if not functions:
        raise Inapplicable("no call is one of a function")
    return choice, calls, choose.of(functions)


def replaced_call(chat: Chat, choice: int, calls: list[Call], one: Call, entries: list[Json]) -> None:
    """Write a call with other entries; the calls stand one after the other."""
    chat.relay(choice, [[entry] for call in calls for entry in (entries if call is one else call.entries)])


# -- the index


_LAYOUTS = ("in fragments, one call after the other", "each in one delta", "in turns, the id on every fragment")


def _laid_out(calls: list[Call], how: int) -> list[Json]:
    if how == 1:
        return [call.whole for call in calls]
    queues = [call.tidy for call in calls]
    if how == 0:
        return [entry for queue in queues for entry in queue]
    for call, queue in zip(calls, queues, strict=True):
        for entry in queue[1:]:
            entry["id"] = call.id
    return in_turns(queues)


@_other(
    "collapse_index",
    "gives all parallel tool calls the index 0",
    right="takes another id for another call, or gives a typed error; it never makes one call out of two",
    sources=["ollama/ollama#15457", "vercel/ai#14277", "BerriAI/litellm#33678", "BerriAI/litellm#21498",
             "langchain-ai/langchain#34807", "agno-agi/agno#3826", "huggingface/smolagents#1958",
             "ai-dynamo/dynamo#4723", "InternLM/lmdeploy#3412", "apache/maka#1976", "NousResearch/hermes-agent#57939"],
)  # fmt: skip
def collapse_index(chat: Chat, choose: Choose) -> Edit:
    """Choose how the calls are laid out, then the choice."""
    how = choose(len(_LAYOUTS))
    choice, calls = identified(chat, choose, 2)
    entries = _laid_out(calls, how)
    chat.relay(choice, [[{**entry, "index": 0}] for entry in entries])
    said = f"gave all tool calls the index 0, {_LAYOUTS[how]}"
    return chat.edit(said, with_calls(choice, lambda call: replace(call, index=0)))


@_other(
    "drop_index",
    "sends tool calls without an index, or with null for it",
    right="begins a call at each new id and continues the last one otherwise; or gives a typed error",
    sources=["ollama/ollama#7881", "sgl-project/sglang#5661", "openai/openai-python#2806", "64bit/async-openai#432",
             "langchain4j/langchain4j#4583", "davidmigloz/ai_clients_dart#64", "gptscript-ai/gptscript#374",
             "comet-ml/opik#8362"],
)  # fmt: skip
def drop_index(chat: Chat, choose: Choose) -> Edit:
    """Choose how the calls are laid out, then absent or null, then the choice."""
    how, null = choose(len(_LAYOUTS)), choose(2)
    choice, calls = identified(chat, choose)
    entries = _laid_out(calls, how)
    for entry in entries:
        entry.pop("index")
    chat.relay(choice, [[{"index": None, **entry} if null else entry] for entry in entries])
    said = f"{'wrote null for' if null else 'left out'} the index of tool calls, {_LAYOUTS[how]}"
    return chat.edit(said, with_calls(choice, lambda call: replace(call, index=None)))


@_other(
    "renumber_index",
    "numbers tool calls from 1, with gaps, from the last to the first, or a single one with -1",
    right="takes the index for a key and orders by it, or gives a typed error",
    sources=["vercel/ai#18333", "moeru-ai/xsai#218", "apache/maka#1967", "diegosouzapw/OmniRoute#12445",
             "microsoft/foundry-local#372", "BerriAI/litellm#5231", "openai/openai-go#464", "openai/openai-go#822"],
)  # fmt: skip
def renumber_index(chat: Chat, choose: Choose) -> Edit:
    """Choose the numbers, then the choice."""
    how = choose(4)
    choice, calls = choose.of(chat.called(2 if how == 2 else 1))
    if how == 3 and len(calls) > 1:
        raise Inapplicable("several calls would share the index -1")
    most = max(call.index for call in calls)
    ways = (lambda index: index + 1, lambda index: 3 * index + 2, lambda index: most - index, lambda index: -1)
    numbers = {call.index: ways[how](call.index) for call in calls}
    for call in calls:
        for part, entry in call.fragments:
            entry["index"] = numbers[call.index]
            chat.touch(part.number)
    said = ("from 1", "with gaps", "from the last to the first", "with -1")[how]

    def renumbered(call: ToolCall) -> ToolCall:
        return call if call.index is None else replace(call, index=numbers.get(call.index, call.index))

    return chat.edit(f"numbered the tool calls {said}", with_calls(choice, renumbered))


@_other(
    "index_out_of_order",
    "sends the tool call with the highest index first",
    right="gives the same calls in the order of their indices, or a typed error",
    sources=["openai/openai-python#3245", "anthropics/anthropic-sdk-python#1145"],
)
def index_out_of_order(chat: Chat, choose: Choose) -> Edit:
    """Send the calls one after the other, or in turns."""
    turns = choose(2)
    choice, calls = choose.of(chat.called(2))
    queues = [call.pieces for call in sorted(calls, key=lambda call: -call.index)]
    entries = in_turns(queues) if turns else [entry for queue in queues for entry in queue]
    chat.relay(choice, [[entry] for entry in entries])
    return chat.edit("sent the tool call with the highest index first" + (", in turns" if turns else ""))


@_other(
    "index_drift",
    "continues a tool call at another index, with its id",
    right="finds the call by its id before its index, or gives a typed error",
    sources=["BerriAI/litellm#12973", "agno-agi/agno#8880", "dyedd/lens#49", "strands-agents/harness-sdk#270",
             "mudler/LocalAI#9722"],
)  # fmt: skip
def index_drift(chat: Chat, choose: Choose) -> Edit:
    """Continue at the next free index; or at another for each fragment, id and name on all; or at another call's."""
    how = choose(3)
    choice, calls = identified(chat, choose, 2 if how == 2 else 1)
    cut = [call for call in calls if len(call.tidy) > 1]
    if not cut:
        raise Inapplicable("no call has arguments that can be cut")
    call = choose.of(cut)
    entries, free = call.tidy, max(call.index for call in calls) + 1
    for number, entry in enumerate(entries[1:]):
        entry["id"] = call.id
        entry["index"] = free + (number if how == 1 else 0)
        if how == 1:
            body_of(entry)["name"] = call.name
        elif how == 2:
            entry["index"] = next(other.index for other in calls if other is not call)
    replaced_call(chat, choice, calls, call, entries)
    said = ("at the next free index", "at a new index each, with id and name", "at the index of another call")[how]
    return chat.edit(f"continued a tool call {said}")


# -- id and name


@_other(
    "repeat_id_name",
    "repeats id, type and name on every fragment of a tool call, or some of them",
    right=_SAME + "; the same id or name again is no other call and no longer name",
    sources=["ggml-org/llama.cpp#13774", "NousResearch/hermes-agent#11984", "AstrBotDevs/AstrBot#7735",
             "bytedance/deer-flow#654", "ggml-org/llama.cpp#12379", "spring-projects/spring-ai#5974",
             "spring-projects/spring-ai#4790", "SillyTavern/SillyTavern#5948", "archestra-ai/archestra#866",
             "oracle/langchain-oracle#108"],
)  # fmt: skip
def repeat_id_name(chat: Chat, choose: Choose) -> Edit:
    """Choose what is repeated, then the choice."""
    fields = choose.of([("id", "type", "name"), ("id",), ("id", "type"), ("name",), ("id", "name")])
    choice, calls = identified(chat, choose)
    queues = []
    for call in calls:
        queue = call.tidy
        for entry in queue[1:]:
            again = {key: queue[0][key] for key in ("id", "type") if key in fields and queue[0].get(key)}
            entry.update(again)
            if "name" in fields:
                kind = "custom" if entry.get("custom") else "function"
                entry[kind] = {"name": call.name, **entry[kind]}
        queues.append(queue)
    if not any(len(queue) > 1 for queue in queues):
        raise Inapplicable("no call has arguments that can be cut")
    chat.relay(choice, [[entry] for queue in queues for entry in queue])
    return chat.edit(f"repeated {', '.join(fields)} on every fragment of the tool calls")


@_other(
    "split_name",
    "sends the name of a tool call in two pieces",
    right=_SAME + "; another piece of a name is appended",
    sources=["NVIDIA-NeMo/Switchyard#785", "unslothai/unsloth#8630", "ankit373/hydra#958", "AstrBotDevs/AstrBot#7735"],
)
def split_name(chat: Chat, choose: Choose) -> Edit:
    """Choose the call, where its name is cut, and whether the second piece comes with arguments."""
    choice, calls, call = one_call(chat, choose)
    places = [at for at in range(1, len(call.name)) if call.name[:at] != call.name[at:]]
    if not places:
        raise Inapplicable("the name cannot be cut in two pieces that differ")
    middle = min(range(len(places)), key=lambda n: abs(places[n] - len(call.name) // 2))
    at = places[(middle + choose(len(places))) % len(places)]
    apart = choose(2)
    head, *rest = call.tidy
    given = arguments_of(head)
    body_of(head).update(name=call.name[:at], arguments="")
    if not given and not apart and rest:
        given = arguments_of(rest.pop(0))
    tail = fragment(head, "" if apart else given)
    tail["function"] = {"name": call.name[at:], **tail["function"]}
    kept = [fragment(head, given)] if apart and given else []
    replaced_call(chat, choice, calls, call, [head, tail, *kept, *rest])
    return chat.edit(f"sent the name of a tool call as {call.name[:at]!r} and {call.name[at:]!r}")


@_other(
    "late_name",
    "sends the name of a tool call after its arguments began",
    right=_SAME + "; the call waits for its name",
    sources=["vercel/ai#14722", "anomalyco/opencode#24137", "spring-projects/spring-ai#6525"],
)
def late_name(chat: Chat, choose: Choose) -> Edit:
    """Send the name with the second fragment, or after all arguments."""
    after = choose(2)
    choice, calls, call = one_call(chat, choose)
    entries = call.tidy
    if not arguments_of(entries[0]) and len(entries) > 1:
        body_of(entries[0])["arguments"] = arguments_of(entries.pop(1))
    text = arguments_of(entries[0])
    if len(entries) == 1 and len(text) > 1:
        entries = cut_call(entries[0], len(text) // 2)
    if not text:
        raise Inapplicable("the call has no arguments")
    body_of(entries[0]).pop("name")
    if after or len(entries) == 1:
        entries.append(fragment(entries[0], ""))
    named = entries[-1 if after else 1]
    named["function"] = {"name": call.name, **named["function"]}
    replaced_call(chat, choice, calls, call, entries)
    return chat.edit(
        "sent the name of a tool call " + ("after its arguments" if after else "with its second arguments")
    )


@_other(
    "id_churn",
    "gives every fragment of a tool call a fresh id",
    right=_SAME + "; a fragment without a name continues the call at its index, whose first id stays",
    sources=["poolsideai/pool#9", "NousResearch/hermes-agent#106943"],
)
def id_churn(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice; its calls stand one after the other."""
    choice, calls = identified(chat, choose)
    queues = [call.tidy for call in calls]
    if not any(len(queue) > 1 for queue in queues):
        raise Inapplicable("no call has arguments that can be cut")
    for call, queue in zip(calls, queues, strict=True):
        for number, entry in enumerate(queue[1:], 1):
            entry["id"] = f"{call.id}_{call.index}_{number}"
    chat.relay(choice, [[entry] for queue in queues for entry in queue])
    return chat.edit("gave every fragment of the tool calls a fresh id")


@_other(
    "drop_id",
    "sends tool calls without an id, or with null or an empty one",
    right="gives the same calls with ids of its own or none, or a typed error",
    sources=["BerriAI/litellm#29514", "BerriAI/litellm#33223", "langchain-ai/langchainjs#8581",
             "langchain-ai/langchainjs#8994", "binaricat/Netcatty#1007", "sigoden/aichat#1296"],
)  # fmt: skip
def drop_id(chat: Chat, choose: Choose) -> Edit:
    """Choose what stands in place of the id, then the choice."""
    how = choose(3)
    choice, calls = choose.of(chat.called())
    if not all(body_of(call.entries[0]).get("name") for call in calls) or not any(call.id for call in calls):
        raise Inapplicable("a call begins without id or name")
    for call in calls:
        for part, entry in call.fragments:
            if "id" in entry:
                entry["id"] = (None, None, "")[how]
                if how == 0:
                    del entry["id"]
                chat.touch(part.number)
    said = ("left out", "wrote null for", "wrote an empty string for")[how]
    return chat.edit(f"{said} the id of tool calls", with_calls(choice, lambda call: replace(call, id=None)))


@_other(
    "null_absent_empty",
    "writes an empty id, name or type on the fragments that continue a tool call",
    right=_SAME + "; an empty string is as good as absent",
    sources=["symfony/ai#2220", "spring-projects/spring-ai#4629", "spring-projects/spring-ai#6369",
             "microsoft/semantic-kernel#9567", "microsoft/semantic-kernel#9601", "lmstudio-ai/lmstudio-bug-tracker#649",
             "A3S-Lab/Code#139", "langchain-ai/langchainjs#11373"],
)  # fmt: skip
def null_absent_empty(chat: Chat, choose: Choose) -> Edit:
    """Choose the fields, then the choice."""
    fields = choose.of([("id", "name", "type"), ("id",), ("name",), ("type",), ("id", "name")])
    _, calls = choose.of(chat.called())
    changed = False
    for call in calls:
        for part, entry in call.fragments[1:]:
            for field in fields:
                holder = body_of(entry) if field == "name" else entry
                if (holder or field != "name") and not holder.get(field):
                    holder[field] = ""
                    chat.touch(part.number)
                    changed = True
    if not changed:
        raise Inapplicable("no fragment continues a call without them")
    return chat.edit(f"wrote an empty {', '.join(fields)} on the fragments that continue a tool call")
