"""The ways in which servers write finish reasons, usage and identity in Chat Completions, beside the API's own.

Each was reported of a real server. The rules: of finish reasons the first counts, of usage the last, of identity the
first that is not empty, and an empty string or null is as good as absent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from streamkit.mutations.chat_edit import GOOD_FINISH, Chat, all_whole, chat_mutation, with_choice
from streamkit.mutations.chat_parts import Json, bare
from streamkit.mutations.registry import Class, Inapplicable

if TYPE_CHECKING:
    from streamkit.completion import Choice, Completion
    from streamkit.mutations.chat_parts import Part
    from streamkit.mutations.registry import Choose, Edit

__all__ = [
    "azure_noise", "finish_reason_missing", "finish_reason_noise", "finish_reason_other", "identity_churn",
    "usage_every_payload", "usage_null_after",
]  # fmt: skip

_other = partial(chat_mutation, Class.DIALECT)
_SAME = "gives the same result, or a typed error"
_NOBODY: Json = {"id": "", "object": "", "created": 0, "model": ""}


# -- finish reasons


def _finished(chat: Chat, choose: Choose, *, calls: bool = False) -> tuple[Choice, Part]:
    """Choose a choice that ended well, all its calls whole; give it with the part that ends it."""
    found = []
    for choice in chat.completion.choices:
        if choice.finish_reason in GOOD_FINISH and (choice.tool_calls or not calls):
            all_whole(choice)
            found.append((choice, chat.finish(choice.index)))
    if not found:
        raise Inapplicable("no choice ended well" + (" with tool calls" if calls else ""))
    picked: tuple[Choice, Part] = choose.of(found)
    return picked


@_other(
    "finish_reason_other",
    "ends an answer that has tool calls with stop, or another word",
    right="gives the calls all the same, and the word as the finish reason, or tool_calls; or gives a typed error",
    sources=["googleapis/python-genai#2868", "strands-agents/harness-sdk#1827", "strands-agents/harness-sdk#3206",
             "vercel/workflow#1387", "open-webui/computer#224"],
)  # fmt: skip
def finish_reason_other(chat: Chat, choose: Choose) -> Edit:
    """Choose the word, then the choice."""
    word = choose.of(["stop", "end_turn", "STOP", "unknown"])
    choice, _ = _finished(chat, choose, calls=True)
    if word == "unknown" and not all(call.arguments.strip() for call in choice.tool_calls):
        raise Inapplicable("a call without arguments is in doubt after an unknown finish reason")
    for part in chat.of(choice.index):
        if part.entry.get("finish_reason"):
            part.entry["finish_reason"] = word
            chat.touch(part.number)
    expected = with_choice(choice.index, lambda one: replace(one, finish_reason=word))
    edit = chat.edit(f"ended an answer with tool calls with {word}", expected)
    return replace(edit, also=(lambda completion: completion,))


@_other(
    "finish_reason_noise",
    "sends an empty finish reason with every delta, or a second one, or its own with every delta or the first",
    right="reads on to the end, and gives the first finish reason that says something; or gives a typed error",
    sources=["ollama/ollama#4357", "sgl-project/sglang#3912", "farion1231/cc-switch#5093", "RayBytes/ChatMock#114",
             "sgl-project/sglang#8417", "su-kaka/gcli2api#403", "open-webui/open-webui#23929"],
)  # fmt: skip
def finish_reason_noise(chat: Chat, choose: Choose) -> Edit:
    """Choose which, then the choice."""
    how = choose(4)
    choice, last = _finished(chat, choose)
    parts = chat.of(choice.index)
    reason = last.entry["finish_reason"]  # its own, so that it is the same for a parser that takes the last one
    if how == 1:
        again = last.like()
        again["choices"][0]["finish_reason"] = "stop"
        chat.after(last.number, again)
    for part in parts if how in (0, 2) else parts[:1] if how == 3 else []:
        if not part.entry.get("finish_reason"):
            part.entry["finish_reason"] = reason if how else ""
            chat.touch(part.number)
    said = ("an empty finish reason with every delta", "stop after the finish reason", f"{reason} with every delta",
            f"{reason} with the first delta")[how]  # fmt: skip
    return chat.edit(f"sent {said}")


@_other(
    "finish_reason_missing",
    "leaves out the finish reason and sends [DONE]",
    right="takes [DONE] for the end and gives no finish reason, or gives a typed error",
    sources=["openai/openai-node#1292", "openai/openai-node#499", "openai/openai-node#1206", "ModelTC/LightLLM#130",
             "earendil-works/pi#6226", "pydantic/pydantic-ai#6610"],
)  # fmt: skip
def finish_reason_missing(chat: Chat, choose: Choose) -> Edit:
    """Write null for it, or leave it out."""
    absent = choose(2)
    choice, _ = _finished(chat, choose)
    if not chat.done:
        raise Inapplicable("there is no [DONE]: without it the stream would be cut off")
    for part in chat.of(choice.index):
        if part.entry.get("finish_reason"):
            part.entry["finish_reason"] = None
            if absent:
                del part.entry["finish_reason"]
            chat.touch(part.number)
    expected = with_choice(choice.index, lambda one: replace(one, finish_reason=None))
    return chat.edit("left out the finish reason" if absent else "wrote null for the finish reason", expected)


# -- usage


def _last_usage(chat: Chat) -> int:
    """Return the number of the event that brings the last usage."""
    found = None
    for number, payload in chat.payloads.items():
        groq = payload.get("x_groq")
        holders = [
            payload,
            groq if isinstance(groq, dict) else {},
            *(entry or {} for entry in payload.get("choices") or []),
        ]
        if any(holder.get("usage") for holder in holders):
            found = number
    if found is None:
        raise Inapplicable("there is no usage")
    return found


@_other(
    "usage_every_payload",
    "sends the usage so far with every payload",
    right="takes the last usage and adds nothing up, or gives a typed error",
    sources=["ogx-ai/ogx#5122", "ogx-ai/ogx#5282", "cline/cline#11304", "InsForge/InsForge#2015",
             "brainlid/langchain#625",
             "AtomaAI/atoma-proxy#534", "open-webui/open-webui#29064"],
)  # fmt: skip
def usage_every_payload(chat: Chat, choose: Choose) -> Edit:
    """Count up to the last usage; or send the last one every time."""
    same = choose(2)
    last = _last_usage(chat)
    early = [number for number, payload in chat.payloads.items() if number < last and not payload.get("usage")]
    if not early:
        raise Inapplicable("no payload without usage comes before the last one")
    for place, number in enumerate(early, 1):
        share = 1.0 if same else place / (len(early) + 1)
        chat.payloads[number]["usage"] = {
            key: int(value * share) if type(value) is int else value
            for key, value in (chat.completion.usage or {}).items()
        }
    chat.touch(*early)
    return chat.edit("sent the usage with every payload" + ("" if same else ", counting up"))


@_other(
    "usage_null_after",
    "sends a payload with null usage after the usage",
    right="keeps the usage, or gives a typed error",
    sources=["langfuse/langfuse-python#1648"],
)
def usage_null_after(chat: Chat, choose: Choose) -> Edit:
    """Add a payload without choices after the last one, with null usage or without any."""
    absent = choose(2)
    _last_usage(chat)
    number, payload = list(chat.payloads.items())[-1]
    chat.after(number, bare(payload) if absent else {**bare(payload), "usage": None})
    return chat.edit("sent a payload with " + ("no usage" if absent else "null usage") + " after the usage")


# -- identity


def _no_object(chat: Chat) -> Edit:
    named = [(number, payload) for number, payload in chat.payloads.items() if payload.get("object")]
    if not named:
        raise Inapplicable("no payload says what object it is")
    for number, payload in named:
        payload["object"] = ""
        chat.touch(number)
    return chat.edit("sent an empty object in every payload")


@_other(
    "identity_churn",
    "changes id, model, created and system_fingerprint from payload to payload, or empties them, or object",
    right="takes the first that is not empty, or gives a typed error",
    sources=["BerriAI/litellm#1571", "microsoft/foundry-local#144", "langchain-ai/langchain#38366",
             "langchain-ai/langchain#24377", "langchain-ai/langchain#17376", "openai/openai-node#1982"],
)  # fmt: skip
def identity_churn(chat: Chat, choose: Choose) -> Edit:
    """Give each payload another id; or empty all after the first; or empty the first; or empty `object` in all."""
    how = choose(4)
    if how == 3:
        return _no_object(chat)
    seen: dict[str, Any] = {}
    held = list(chat.payloads.items())
    changed = False
    for place, (number, payload) in enumerate(held):
        for key in ("id", "model", "created", "system_fingerprint"):
            value = payload.get(key)
            if not value:
                continue
            again = key in seen
            if how == 2:
                new = type(value)() if not again and any(later.get(key) for _, later in held[place + 1 :]) else value
                following = next((later[key] for _, later in held[place + 1 :] if later.get(key)), None)
                new = value if following != value else new
            elif how == 1:
                new = type(value)() if again else value
            else:
                new = value + place if again and type(value) is int else f"{value}-{place}" if again else value
            seen[key] = True
            if new != value:
                payload[key] = new
                chat.touch(number)
                changed = True
    if not changed:
        raise Inapplicable("no payload but one says which answer it belongs to")
    said = (
        "another identity in every payload",
        "an identity in the first payload only",
        "no identity in the first payload",
    )
    return chat.edit(f"sent {said[how]}")


@_other(
    "azure_noise",
    "adds what Azure's content filter sends: a preamble without choices, or a choice without a delta",
    right="gives the same answer, with the filter's results beside it; or gives a typed error",
    sources=["pydantic/pydantic-ai#164", "run-llama/llama_index#7640", "pydantic/logfire#64",
             "AbanteAI/archive-old-cli-mentat#429", "eosphoros-ai/DB-GPT#820", "microsoft/autogen#4213",
             "openai/openai-node#1982", "openai/openai-python#1677", "langchain-ai/langchain#18977",
             "microsoft/autogen#6465", "langfuse/langfuse-python#1648", "microsoft/agent-framework#5734"],
)  # fmt: skip
def azure_noise(chat: Chat, choose: Choose) -> Edit:
    """Add the preamble; or a choice without delta, or with null, in the middle or after the finish reason."""
    how = choose(5)
    safe = {"hate": {"filtered": False, "severity": "safe"}}
    if not chat.payloads:
        raise Inapplicable("there is no payload")
    if how == 0:
        results = [{"prompt_index": 0, "content_filter_results": safe}]
        chat.before(next(iter(chat.payloads)), {**_NOBODY, "choices": [], "prompt_filter_results": results})

        def with_results(completion: Completion) -> Completion:
            return replace(completion, extra={"prompt_filter_results": results, **completion.extra})

        return chat.edit("sent a preamble without choices", with_results)
    choice = choose.of(chat.choices)
    result = chat.result(choice)
    names = ("content_filter_offsets", "content_filter_results")
    if any(name in result.extra for name in names):
        raise Inapplicable("the choice has the filter's results")
    parts = chat.of(choice)
    part = parts[len(parts) // 2] if how < 3 else chat.finish(choice)
    offsets = {"check_offset": 44, "start_offset": 44, "end_offset": 198}
    entry: Json = {"index": choice, "finish_reason": None, names[0]: offsets, names[1]: safe}
    if how in (2, 4):
        entry["delta"] = None
    chat.after(part.number, {**_NOBODY, "choices": [entry]})
    said = ("without a delta", "with a null delta")[how in (2, 4)] + (" after the finish reason" if how > 2 else "")
    extra = {names[0]: offsets, names[1]: safe}
    expected = with_choice(choice, lambda one: replace(one, extra={**one.extra, **extra}))
    return chat.edit(f"sent a choice {said}", expected)
