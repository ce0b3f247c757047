"""Broken chat completion streams whose place of breaking takes knowledge of the dialect.

A call that was cut off looks like a finished one to many clients, so most of these cut calls: right after the opener,
between two calls, inside the arguments; with no end at all, or with one that says so, or with one that lies.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamkit.completion import argument_problem
from streamkit.mutations.chat_calls import one_call, replaced_call
from streamkit.mutations.chat_edit import Chat, chat_mutation
from streamkit.mutations.chat_parts import arguments_of, bare, body_of, fragment
from streamkit.mutations.ends import unfinished
from streamkit.mutations.registry import Class, Edit, Inapplicable
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.mutations.chat_parts import Call, Json
    from streamkit.mutations.registry import Choose

__all__ = [
    "arguments_astray", "bare_eof", "cut_after_opener", "cut_between_calls", "cut_in_arguments", "error_envelope",
    "length_mid_args", "retry_replay",
]  # fmt: skip

_fault = partial(chat_mutation, Class.FAULT)
_CUT = "reports that the stream was cut off, and lets no tool call be executed"


def _start_of(call: Call, size: int) -> list[Json]:
    """Return the entries of a call up to so many characters of its arguments; its opener without any for 0."""
    entries: list[Json] = []
    for entry in call.tidy:
        text = arguments_of(entry)
        if entries and not size:
            break
        body_of(entry)["input" if entry.get("custom") else "arguments"] = text[:size]
        entries.append(entry)
        size -= min(size, len(text))
    return entries


def _end_with(chat: Chat, choice: int, entries: Sequence[Json]) -> None:
    """Write these entries for a choice's calls and end the body after them."""
    last = [part for part in chat.of(choice) if part.calls][-1]
    if any(part.entry.get("finish_reason") for part in chat.of(choice) if part.number < last.number):
        raise Inapplicable("a finish reason comes before the last tool call")
    chat.relay(choice, [[entry] for entry in entries])
    last.entry["finish_reason"] = None
    last.payload.pop("usage", None)
    chat.cut(last.number + 1)


def _whole(calls: Sequence[Call]) -> list[Json]:
    return [entry for call in calls for entry in call.tidy]


# -- no end


@_fault(
    "cut_after_opener",
    "ends the body after a tool call's id and name, before any arguments",
    right=_CUT + "; it does not take the call for one without arguments",
    sources=["NousResearch/hermes-agent#80623"],
)
def cut_after_opener(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice and its call; the calls before it are whole."""
    choice, calls, call = one_call(chat, choose)
    _end_with(chat, choice, [*_whole(calls[: calls.index(call)]), *_start_of(call, 0)])
    return chat.edit("ended the body after a tool call's id and name")


@_fault(
    "cut_between_calls",
    "ends the body after a whole tool call, before the next",
    right=_CUT + "; not the whole one either",
    sources=["OpenRouterTeam/typescript-agent#125", "earendil-works/pi#9897"],
)
def cut_between_calls(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice and how many calls are whole."""
    choice, calls = choose.of(chat.called(2))
    count = 1 + choose(len(calls) - 1)
    _end_with(chat, choice, _whole(calls[:count]))
    return chat.edit(f"ended the body after {count} of {len(calls)} tool calls")


@_fault(
    "cut_in_arguments",
    "ends the body inside a tool call's arguments",
    right=_CUT + "; it repairs nothing",
    sources=["langchain-ai/langchain#39275", "langchain-ai/langchainjs#11469", "cline/cline#13001",
             "earendil-works/pi#6284", "kirodotdev/Kiro#11533", "NousResearch/hermes-agent#6847",
             "NousResearch/hermes-agent#65843"],
)  # fmt: skip
def cut_in_arguments(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice, its call and the place."""
    choice, calls, call = one_call(chat, choose)
    at = _place(call, choose)
    _end_with(chat, choice, [*_whole(calls[: calls.index(call)]), *_start_of(call, at)])
    return chat.edit(f"ended the body after {at} characters of a tool call's arguments")


def _place(call: Call, choose: Choose) -> int:
    """Choose a place inside the arguments, the middle first."""
    inside = len(call.arguments.rstrip()) - 1
    if inside < 1:
        raise Inapplicable("the call has no arguments that can be cut")
    return 1 + (inside // 2 + choose(inside)) % inside


@_fault(
    "bare_eof",
    "ends the body before the finish reason: neither it nor [DONE] comes",
    right=_CUT,
    sources=["BerriAI/litellm#40260", "pydantic/pydantic-ai#6610", "NVIDIA/TensorRT-LLM#18289",
             "ltmoerdani/opencode-copilot-chat#170", "CommandCodeAI/command-code#785", "open-webui/open-webui#29628"],
)  # fmt: skip
def bare_eof(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice whose finish reason does not come; all its text and calls do."""
    found = [part for choice in chat.choices for part in chat.of(choice) if part.entry.get("finish_reason")]
    found = [part for part in found if sum(other.choice == part.choice for other in found) == 1]
    if not found:
        raise Inapplicable("there is no finish reason, or more than one")
    part = choose.of(found)
    part.entry["finish_reason"] = None
    chat.payloads[part.number].pop("usage", None)
    chat.touch(part.number)
    chat.cut(part.number + 1)
    return chat.edit("ended the body before the finish reason")


# -- an end that says too little


@_fault(
    "length_mid_args",
    "cuts a tool call off and ends the answer with length, or with tool_calls all the same",
    right="says that the call must not be executed, whatever the finish reason says",
    sources=["langchain-ai/langchainjs#11469", "OpenRouterTeam/typescript-agent#125", "LibreChat-AI/agents#280",
             "Dicklesworthstone/pi_agent_rust#148", "14790897/MiqroForge-Desktop#1100", "vllm-project/vllm#53269",
             "NousResearch/hermes-agent#80623"],
)  # fmt: skip
def length_mid_args(chat: Chat, choose: Choose) -> Edit:
    """Say length after half of the arguments or after none, or say tool_calls; then choose choice, call and place."""
    how = choose(3)
    choice, calls, call = one_call(chat, choose)
    at = 0 if how == 1 else _place(call, choose)
    if how == 2 and (argument_problem(call.arguments[:at]) is None or not call.arguments[:at].strip()):
        raise Inapplicable("what is left would be arguments")
    chat.finish(choice)
    chat.relay(choice, [[entry] for entry in [*_whole(calls[: calls.index(call)]), *_start_of(call, at)]])
    reason = "tool_calls" if how == 2 else "length"
    for part in chat.of(choice):
        if part.entry.get("finish_reason"):
            part.entry["finish_reason"] = reason
            chat.touch(part.number)
    return chat.edit(f"cut a tool call off after {at} characters of its arguments; the finish reason is {reason}")


@_fault(
    "arguments_astray",
    "sends a tool call's arguments at an index where no call was opened, without its id",
    right="reports an error or a call that must not be executed, or gives the call its arguments; it never gives it "
    "without them",
    sources=["BerriAI/litellm#12973", "agno-agi/agno#8880", "dyedd/lens#49", "strands-agents/harness-sdk#270"],
)
def arguments_astray(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice and its call."""
    choice, calls, call = one_call(chat, choose)
    if not call.arguments.strip():
        raise Inapplicable("the call has no arguments")
    head = call.whole
    body_of(head)["arguments"] = ""
    free = max(other.index for other in calls) + 1
    replaced_call(chat, choice, calls, call, [head, {**fragment(head, call.arguments), "index": free}])
    edit = chat.edit(f"sent a tool call's arguments at the index {free}, where no call was opened")
    return replace(edit, also=(lambda completion: completion,))  # one call lacks arguments: whose they are can be told


# -- begun again, or broken off


@_fault(
    "retry_replay",
    "breaks off inside a tool call's arguments and begins the answer again from its start",
    right="reports an error or a call that must not be executed; it never joins the two attempts to one call",
    sources=["NuGuardAI/nuguard#455", "open-interpreter/open-interpreter#291", "HKUDS/nanobot#4038",
             "shiaho777/web-to-app#748", "zirkelc/ai-retry#51", "Alcova-AI/adk-anthropic-go#32"],
)  # fmt: skip
def retry_replay(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice and the place; the call is its first."""
    _, calls = choose.of(chat.called())
    first = calls[0]
    custom = any(entry.get("custom") for entry in first.entries)
    if custom or not first.entries[0].get("id") or not body_of(first.entries[0]).get("name"):
        raise Inapplicable("the first call begins without id or name, or is none of a function")
    if any(body_of(entry).get("name") not in (None, "", first.name) for entry in first.entries):
        raise Inapplicable("the first call's name comes in pieces")
    at = _place(first, choose)
    begun = first.arguments[:at]
    if argument_problem(begun + first.arguments) is None or not begun.strip():
        raise Inapplicable("the two attempts would add up to arguments")
    part = first.fragments[0][0]
    start = next(iter(chat.payloads))
    chat.before(start, *(part.like(tool_calls=[entry]) for entry in _start_of(first, at)))
    return chat.edit(f"broke off after {at} characters of a tool call's arguments and began again")


_ERROR = {"message": "The server is overloaded", "type": "overloaded_error", "code": 529}
_FOLLOWS = ("[DONE]", "the rest", "nothing")  # nothing last: that the answer has no end is noticed anyway


@_fault(
    "error_envelope",
    "reports an error inside the stream, in one of the forms of servers of this dialect",
    right="reports the provider's error, and lets no tool call be executed",
    sources=["diegosouzapw/OmniRoute#8210", "apache/rocketmq-dashboard#2178", "langchain-ai/langchainjs#11579",
             "aaif-goose/goose#7663", "Gitlawb/openclaude#1174", "TanStack/ai#1172", "openai/openai-python#2487",
             "openai/openai-python#2796", "vercel/ai#10653", "byte5ai/omadia#122"],
)  # fmt: skip
def error_envelope(chat: Chat, choose: Choose) -> Edit:
    """Choose the form, what follows, and the place: after the last delta, or before any payload, of the answer."""
    if not chat.parts:
        raise Inapplicable("there is no delta")
    part = chat.parts[-1]
    entry: Json = {"index": part.choice, "delta": {"content": ""}, "finish_reason": "error"}
    forms: list[tuple[str | None, Json]] = [
        (None, {"error": _ERROR}),
        (None, {"error": "The server is overloaded"}),
        ("error", {"type": "error", "code": "server_error", "message": "The server is overloaded", "param": None}),
        (None, {"type": "error", "error": _ERROR}),
        (None, {"object": "error", **_ERROR}),
        (None, {"detail": "The server is overloaded"}),
        (None, {"errors": [_ERROR]}),
        (None, {**bare(part.payload, entry), "error": _ERROR}),
        (None, bare(part.payload, {**entry, "error": _ERROR})),
        (None, {**bare(part.payload), "x_groq": {"id": "req_1", "error": "tool_use_failed"}}),
        ("error", {"message": "The server is overloaded"}),
    ]
    name, payload = choose.of(forms)
    follows = choose(3)
    told = name == "error" or payload.get("type") == "error" or payload.get("error") or payload.get("choices")
    if follows == 1 and not told:
        raise Inapplicable("without the word error it may be passed over, and then the answer is whole")
    numbers = list(dict.fromkeys(one.number for one in chat.parts if not one.entry.get("finish_reason")))
    over = unfinished(chat.stream)  # what an answer says that is whole, nothing after it takes back
    places = [*([numbers[-1] + 1] if numbers else []), *chat.payloads]
    place = choose.of([place for place in places if place <= over])
    events = chat.stream.events
    broken = Event(chat.stream.manner.json(payload), name)
    if follows == 1:
        stream = chat.stream.inserted(place, broken)
    else:
        ending = [] if follows else [Event("[DONE]")]
        stream = chat.stream.cut(place).inserted(place, broken, *ending)
    said = f"reported an error before event {place + 1} of {len(events)}; {_FOLLOWS[follows]} follows"
    return Edit(stream, said, (), (place,))
