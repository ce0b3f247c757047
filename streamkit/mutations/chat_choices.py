"""The ways in which servers write texts, choices and roles in Chat Completions, beside the API's own.

Each was reported of a real server. The sensible result is the one that loses nothing and makes nothing up; a typed
error is right too, and another result without an error is wrong. Finish reasons, usage and identity are in `chat_ends`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamkit.dialects.text import pair_surrogates
from streamkit.mutations.chat import arguments_at, cut_arguments, cut_text, with_arguments
from streamkit.mutations.chat_edit import Chat, chat_mutation, with_choice
from streamkit.mutations.chat_parts import RARE, REASONING, bare, body_of
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Choice, Completion
    from streamkit.mutations.chat_parts import Json, Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "audio_deltas", "content_parts", "cumulative_deltas", "duplicate_choice", "reasoning_names", "repeated_text",
    "role_noise", "second_choice", "surrogate_halves",
]  # fmt: skip

_other = partial(chat_mutation, Class.DIALECT)
_SAME = "gives the same result, or a typed error"
_MOST = 2**20  # characters that a text may grow to


# -- texts


@_other(
    "surrogate_halves",
    "sends the two halves of a surrogate pair in two deltas",
    right="joins the halves to one character, or gives a typed error",
    sources=["elizaOS/eliza#30904", "elie222/rakazo#416", "Kohaku-Lab/KohakuTerrarium#48"],
)
def surrogate_halves(chat: Chat, choose: Choose) -> Edit:
    """Cut inside a character beyond U+FFFF, of a text or of arguments."""
    places: list[tuple[Part, Json | str | None, str, int]] = []
    for find in (chat.texts, lambda: with_arguments(chat, 1)):
        try:
            for part, what in find():
                text = part.delta[what] if isinstance(what, str) else arguments_at(part, what)
                places += [(part, what, text, at) for at, letter in enumerate(text) if letter > "\uffff"]
        except Inapplicable:
            continue
    if not places:
        raise Inapplicable("no text has a character beyond U+FFFF")
    part, what, text, at = choose.of(places)
    raw = text[at].encode("utf-16-be")
    halves = "".join(chr(int.from_bytes(raw[start : start + 2])) for start in (0, 2))
    changed = text[:at] + halves + text[at + 1 :]
    if isinstance(what, str):
        part.delta[what] = changed
        cut_text(chat, part, what, [at + 1])
    else:
        holder = part.delta["function_call"] if what is None else body_of(what)
        holder["input" if what and what.get("custom") else "arguments"] = changed
        cut_arguments(chat, part, what, [at + 1])
    return chat.edit(f"sent the halves of U+{ord(text[at]):X} in two deltas")


def _spoken(chat: Chat, keys: tuple[str, ...]) -> list[tuple[int, str, list[Part]]]:
    """Return the choices whose text comes under one of some names only, with it and the deltas that have some."""
    found = []
    for choice in chat.choices:
        used = {key: [part for part in chat.of(choice) if part.delta.get(key) is not None] for key in keys}
        used = {key: parts for key, parts in used.items() if parts}
        for key, parts in used.items():
            if len(used) == 1 and all(isinstance(part.delta[key], str) for part in parts):
                full = [part for part in parts if part.delta[key]]
                found += [(choice, key, full)] if full else []
    return found


def _with_text(choice: int, key: str, text: str) -> Callable[[Completion], Completion]:
    whole = pair_surrogates(text)
    return with_choice(
        choice, lambda one: replace(one, reasoning=whole) if key != "content" else replace(one, content=whole)
    )


@_other(
    "cumulative_deltas",
    "sends in each delta all the text so far",
    right="appends what comes, for text may repeat itself, unless it was told of such a server; or gives a typed error",
    sources=["QwenLM/qwen-code#3896", "tashfeenahmed/freellmapi#1007", "anthropics/anthropic-sdk-python#10",
             "MiniMax-AI/MiniMax-M2#95"],
)  # fmt: skip
def cumulative_deltas(chat: Chat, choose: Choose) -> Edit:
    """Change the text of a choice, or its reasoning."""
    found = [one for keys in (("content",), REASONING) for one in _spoken(chat, keys) if len(one[2]) > 1]
    if not found:
        raise Inapplicable("no text comes in two deltas")
    choice, key, parts = choose.of(found)
    so_far = said = ""
    for part in parts:
        so_far += part.delta[key]
        said += so_far
        if len(said) > _MOST:
            raise Inapplicable("the text would grow too long")
        part.delta[key] = so_far
        chat.touch(part.number)
    return chat.edit(f"sent in each delta all the {key} so far", _with_text(choice, key, said))


@_other(
    "repeated_text",
    "sends a text once more: all of it at the end, or the same delta twice",
    right="appends what comes, for text may repeat itself, or drops a repeat of all of it, or gives a typed error",
    sources=["MiniMax-AI/MiniMax-M2#95", "lidge-jun/opencodex#361", "BerriAI/litellm#39965",
             "raullenchai/Rapid-MLX#1709", "NuGuardAI/nuguard#455", "shiaho777/web-to-app#748"],
)  # fmt: skip
def repeated_text(chat: Chat, choose: Choose) -> Edit:
    """Repeat all of it, or one delta."""
    once = choose(2)
    found = [one for one in _spoken(chat, ("content",)) if not one[2][-1].entry.get("finish_reason")]
    if not found:
        raise Inapplicable("no choice has text before its finish reason")
    choice, _, parts = choose.of(found)
    pieces = [part.delta["content"] for part in parts]
    at = choose(len(parts)) if once else len(parts) - 1
    again = pieces[at] if once else "".join(pieces)
    if len({part.number for part in parts}) < len(parts):
        raise Inapplicable("a payload has two entries of the choice")
    chat.after(parts[at].number, parts[at].like(content=again))
    said = "".join([*pieces[: at + 1], again, *pieces[at + 1 :]])
    edit = chat.edit(
        "sent " + ("a delta" if once else "all the text") + " once more", _with_text(choice, "content", said)
    )
    return edit if once else replace(edit, also=(lambda completion: completion,))


@_other(
    "content_parts",
    "sends content as a list of typed parts",
    right="takes text parts for the text and thinking parts for the reasoning, or gives a typed error",
    sources=[
        "microsoft/agent-framework#6978",
        "openlit/openlit#1597",
        "simonw/llm-mistral#39",
        "BerriAI/litellm#16272",
    ],
)
def content_parts(chat: Chat, choose: Choose) -> Edit:
    """Write text as text parts; or reasoning as thinking parts, and the text as text parts."""
    thinking = choose(2)
    keys = REASONING if thinking else ("content",)
    found = [
        one for one in _spoken(chat, keys) if not (thinking and chat.result(one[0]).extra.get("reasoning_details"))
    ]
    if not found:
        raise Inapplicable("no choice has its reasoning under one name" if thinking else "no choice has text")
    choice, key, _ = choose.of(found)
    for part in chat.of(choice):
        content, parts = part.delta.get("content"), []
        if thinking and part.delta.get(key):
            parts.append({"type": "thinking", "thinking": [{"type": "text", "text": part.delta.pop(key)}]})
        if isinstance(content, str):
            parts.append({"type": "text", "text": content})
        if parts:
            part.delta["content"] = parts
            chat.touch(part.number)
    return chat.edit("sent content as a list of parts" + (", the reasoning among them" if thinking else ""))


@_other(
    "reasoning_names",
    "sends the reasoning under another name, or under two",
    right="gives the same reasoning once and keeps it apart from the text, or gives a typed error",
    sources=["AnswerDotAI/fastllm#61", "NousResearch/hermes-agent#93219", "laravel/ai#813",
             "langchain-ai/langchain#37390", "mozilla-ai/any-llm#1188", "decolua/9router#3601"],
)  # fmt: skip
def reasoning_names(chat: Chat, choose: Choose) -> Edit:
    """Choose the name, then whether the old one stays, or stays beside `reasoning_details`."""
    found = _spoken(chat, REASONING)
    if not found:
        raise Inapplicable("no choice has its reasoning under one name")
    choice, key, parts = choose.of(found)
    how = choose(3)
    name = choose.of([other for other in REASONING if other != key])
    details = []
    if how == 2 and "reasoning_details" in chat.result(choice).extra:
        raise Inapplicable("the reasoning comes in details too")
    for part in parts:
        text = part.delta[key]
        if how == 2:
            details.append({"type": "reasoning.text", "text": text})
            part.delta["reasoning_details"] = details[-1:]
            continue
        if how == 0:
            del part.delta[key]
        part.delta[name] = text
    chat.touch(*(part.number for part in parts))
    if how < 2:
        edit = chat.edit(f"sent the reasoning as {name}" + (f" and as {key}" if how else ""))
        passed_over = with_choice(choice, lambda one: replace(one, reasoning=None))
        return replace(edit, also=(passed_over,)) if name in RARE and not how else edit
    listed = [{**one, "text": pair_surrogates(str(one["text"]))} for one in details]

    def expected(one: Choice) -> Choice:
        return replace(one, extra={**one.extra, "reasoning_details": listed})

    return chat.edit(f"sent the reasoning as {key} and as reasoning_details", with_choice(choice, expected))


@_other(
    "audio_deltas",
    "adds deltas that hold audio or annotations and nothing else",
    right="keeps them beside the text, or gives a typed error",
    sources=["openai/openai-node#1206"],
)
def audio_deltas(chat: Chat, choose: Choose) -> Edit:
    """Add two of them after a choice's first delta."""
    key = ("audio", "annotations")[choose(2)]
    choice = choose.of(chat.choices)
    first = chat.of(choice)[0]
    if key in chat.result(choice).extra or first.entry.get("finish_reason") or "message" in first.entry:
        raise Inapplicable(f"there is {key}, or no delta before the finish reason")
    url = {"type": "url_citation", "url_citation": {"url": "https://example.com/", "title": "Example"}}
    pieces = [{"id": "audio_1", "data": "UklGRg"}, {"data": "=="}] if key == "audio" else [[url], [url]]
    chat.after(first.number, *(first.like(**{key: piece}) for piece in pieces))
    value = {"id": "audio_1", "data": "UklGRg=="} if key == "audio" else [url, url]
    expected = with_choice(choice, lambda one: replace(one, extra={**one.extra, key: value}))
    return chat.edit(f"added deltas that hold {key}", expected)


# -- choices and roles


@_other(
    "duplicate_choice",
    "sends two entries of the same choice in one payload",
    right="takes all entries in their order, or gives a typed error",
    sources=["ai-dynamo/dynamo#15054"],
)
def duplicate_choice(chat: Chat, choose: Choose) -> Edit:
    """Add an entry that says nothing after another; or cut a delta's text or arguments in two entries."""
    cut = choose(2)
    if not cut:
        part = choose.of(chat.parts)
        spoken = chat.result(part.choice).content is not None
        entries = part.payload["choices"]
        at = next(n for n, entry in enumerate(entries) if entry is part.entry)
        entries.insert(at + 1, {"index": part.choice, "delta": {"content": ""} if spoken else {}})
        chat.touch(part.number)
        return chat.edit("added an entry of the same choice that says nothing")
    places: list[tuple[Part, Json | str | None]] = []
    for find in (lambda: with_arguments(chat, 2), lambda: chat.texts(least=2)):
        try:
            places += find()
        except Inapplicable as reason:
            why = reason
    if not places:
        raise why
    part, what = choose.of(places)
    number, payload = part.number, part.payload
    if isinstance(what, str):
        cut_text(chat, part, what, [len(part.delta[what]) // 2])
    else:
        cut_arguments(chat, part, what, [len(arguments_at(part, what)) // 2])
    at = next(n for n, entry in enumerate(payload["choices"]) if entry is part.entry)
    payload["choices"][at:at] = [entry for other in chat.take_before(number) for entry in other["choices"]]
    return chat.edit("cut a delta in two entries of the same choice")


@_other(
    "second_choice",
    "adds a second choice with the same answer",
    right="gives both choices, each its own; or says that it gives one only",
    sources=["BerriAI/litellm#35793", "BerriAI/litellm#3276", "langfuse/langfuse-python#1862", "openai/openai-go#428",
             "openai/openai-go#673"],
)  # fmt: skip
def second_choice(chat: Chat, choose: Choose) -> Edit:
    """Send its deltas in turns with the first's, or after them all."""
    late = choose(2)
    choice = choose.of(chat.choices)
    new = max(chat.choices) + 1
    parts = chat.of(choice)
    for part in parts:
        copied = {**{key: value for key, value in part.entry.items() if key != "usage"}, "index": new}
        chat.after(parts[-1].number if late else part.number, bare(part.payload, copied))

    def expected(completion: Completion) -> Completion:
        copies = tuple(replace(one, index=new) for one in completion.choices if one.index == choice)
        return replace(completion, choices=completion.choices + copies)

    return chat.edit("added a choice with the same answer" + (", after the first" if late else ", in turns"), expected)


@_other(
    "role_noise",
    "leaves the role out everywhere, or sends null or an empty one",
    right="takes the assistant's role, or gives a typed error",
    sources=["mistralai/mistral-vibe#795", "vercel/ai#16530", "vercel/ai#15464", "run-llama/llama_index#22073",
             "langchain-ai/langchainjs#11157", "anomalyco/opencode#28427"],
)  # fmt: skip
def role_noise(chat: Chat, choose: Choose) -> Edit:
    """Choose what stands in place of the role."""
    how = choose(3)
    parts = [part for part in chat.parts if part.delta.get("role")]
    if not parts or any(part.delta["role"] != "assistant" or "message" in part.entry for part in parts):
        raise Inapplicable("there is no role, or another")
    for part in parts:
        part.delta["role"] = (None, None, "")[how]
        if how == 0:
            del part.delta["role"]
        chat.touch(part.number)
    return chat.edit(("left out the role", "wrote null for the role", "wrote an empty role")[how])
