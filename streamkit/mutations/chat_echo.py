"""Text and arguments that repeat themselves rightly, and calls that stop in the middle while the stream ends well.

A parser that takes a delta for a repeat of what it has, or for all the text so far, loses what an answer says twice.
A parser that takes `[DONE]` for proof that a call is whole executes half of one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from streamkit.completion import argument_problem
from streamkit.mutations.chat import arguments_at, cut_arguments, cut_text, with_arguments
from streamkit.mutations.chat_calls import one_call
from streamkit.mutations.chat_edit import Chat, chat_mutation, with_choice
from streamkit.mutations.chat_parts import arguments_of, body_of
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.completion import Choice
    from streamkit.mutations.chat_parts import Json, Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = ["done_mid_arguments", "echo_cuts", "echoed_token"]

_TWICE = re.compile(r"(.{1,24}?)\1", re.DOTALL)
_SOURCES = ("MiniMax-AI/MiniMax-M2#95", "QwenLM/qwen-code#3896", "tashfeenahmed/freellmapi#1007")


@chat_mutation(
    Class.PRESERVING,
    "echo_cuts",
    "cuts text or arguments so that the same delta comes twice in a row",
    right="gives the same result: text may repeat itself",
    sources=_SOURCES,
)
def echo_cuts(chat: Chat, choose: Choose) -> Edit:
    """Cut where a text, or arguments, say the same twice: `ha│ha`, `1│1`."""
    places: list[tuple[Part, Json | str | None, tuple[int, int, int]]] = []
    for find in (lambda: with_arguments(chat, 2), lambda: chat.texts(least=2)):
        try:
            for part, what in find():
                text = part.delta[what] if isinstance(what, str) else arguments_at(part, what)
                places += [(part, what, (one.start(), one.end(1), one.end())) for one in _TWICE.finditer(text)]
        except Inapplicable:
            continue
    if not places:
        raise Inapplicable("no delta says the same twice")
    part, what, edges = choose.of(places)
    if isinstance(what, str):
        text = part.delta[what]
        cut_text(chat, part, what, [at for at in edges if 0 < at < len(text)])
    else:
        text = arguments_at(part, what)
        cut_arguments(chat, part, what, [at for at in edges if 0 < at < len(text)])
    return chat.edit(f"sent {text[edges[0] : edges[1]]!r} twice in a row, as the text says")


@chat_mutation(
    Class.PRESERVING,
    "echoed_token",
    "puts in a text that repeats itself, each time in a delta of its own",
    right="appends each delta, also one that is like the one before it, or like all the text so far",
    sources=_SOURCES,
)
def echoed_token(chat: Chat, choose: Choose) -> Edit:
    """Choose the text, then the delta of text that it stands after, or before which it begins the answer."""
    pieces = choose.of([("ha", "ha"), ("1", "1", "1"), ("no", "no no", "no"), ("\n", "\n")])
    found = [
        (part, key)
        for part, key in chat.texts(("content",))
        if "message" not in part.entry and not part.entry.get("finish_reason")
    ]
    if not found:
        raise Inapplicable("no text comes before the finish reason")
    first = choose(2) == 0
    choice = found[0][0].choice
    mine = [part for part, _ in found if part.choice == choice]
    if len({part.number for part in chat.of(choice)}) < len(chat.of(choice)):
        raise Inapplicable("a payload has two entries of the choice")
    part = mine[0] if first else mine[choose(len(mine))]
    payloads = [part.like(content=piece) for piece in pieces]
    before = [other for other in chat.of(choice) if other.number <= part.number]
    texts = [other.delta.get("content") for other in before]
    if not all(isinstance(text, str | None) for text in texts):
        raise Inapplicable("the text comes in parts")
    if first:
        texts = texts[:-1]
        chat.ahead(part, *payloads)
    else:
        chat.after(part.number, *payloads)
    at = len("".join(text or "" for text in texts))
    said = "".join(pieces)

    def grown(one: Choice) -> Choice:
        text = one.content or ""
        return replace(one, content=text[:at] + said + text[at:])

    where = "before the text" if first else f"after {at} characters of the text"
    return chat.edit(f"put in {' and '.join(map(repr, pieces))} {where}", with_choice(choice, grown))


@chat_mutation(
    Class.FAULT,
    "done_mid_arguments",
    "ends inside a tool call's arguments, without a finish reason, and sends [DONE] all the same",
    right="reports an error or a call that must not be executed: [DONE] does not mend the arguments",
    sources=["can1357/oh-my-pi#9433", "vllm-project/vllm#53269", "langchain-ai/langchain#39275",
             "cline/cline#13001", "NousResearch/hermes-agent#6847"],
)  # fmt: skip
def done_mid_arguments(chat: Chat, choose: Choose) -> Edit:
    """Choose the choice, its call and the place; the calls before it are whole."""
    choice, calls, call = one_call(chat, choose)
    if not chat.done:
        raise Inapplicable("there is no [DONE]")
    inside = len(call.arguments.rstrip()) - 1
    if inside < 1:
        raise Inapplicable("the call has no arguments that can be cut")
    at = 1 + (inside // 2 + choose(inside)) % inside
    if argument_problem(call.arguments[:at]) is None or not call.arguments[:at].strip():
        raise Inapplicable("what is left would be arguments")
    entries = [entry for other in calls[: calls.index(call)] for entry in other.tidy]
    left = at
    for number, entry in enumerate(call.tidy):
        if number and not left:
            break
        text = arguments_of(entry)
        body_of(entry)["arguments"] = text[:left]
        entries.append(entry)
        left -= min(left, len(text))
    chat.relay(choice, [[entry] for entry in entries])
    for part in chat.of(choice):
        if part.entry.get("finish_reason"):
            part.entry["finish_reason"] = None
            chat.touch(part.number)
    return chat.edit(f"cut a tool call off after {at} characters of its arguments; [DONE] follows")
