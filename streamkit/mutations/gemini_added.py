"""Mutations of Gemini's streamGenerateContent that put in what an answer had not: thoughts, signatures, another call.

Gemini sends a call whole, with an object for its arguments, so that what other APIs do to fragments is done here to
whole parts. Source: the API reference ("Part", "FunctionCall", "UsageMetadata"), the page "Thought signatures", and
the reports named in each entry.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import ToolCall
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.gemini import API, ONLY, answers, changed, ends_of, parts_of, payload_of
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.spoken import traced

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Choice, Completion
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_SIGNATURES = "ai.google.dev: Thought signatures"
_SIGNATURE = "CiQB0e2Kb3RoaW5n"


def _single(stream: Stream) -> None:
    """Raise Inapplicable unless there is one candidate, numbered 0 or not at all."""
    if any((one.get("index") or 0) for _, payload in answers(stream) for one in payload["candidates"]):
        raise Inapplicable("it has several candidates")


def _calls(stream: Stream) -> list[tuple[int, int]]:
    """Return where the whole calls of the only candidate stand: (event, place among its parts)."""
    _single(stream)
    found = [
        (number, at)
        for number, payload in answers(stream)
        for at, part in enumerate(parts_of(payload["candidates"][0]))
        if isinstance(part, dict) and isinstance(part.get("functionCall"), dict)
    ]
    for number, at in found:
        call = parts_of(payload_of(stream, number)["candidates"][0])[at]["functionCall"]
        if "willContinue" in call or "partialArgs" in call or not isinstance(call.get("args"), dict | None):
            raise Inapplicable("its calls come in pieces")
    return need(found, "call")


def _of_call(which: int, **fields: Any) -> Callable[[Completion], Completion]:
    """Return a change of one of the calls, by its place."""

    def change(choice: Choice) -> Choice:
        calls = (replace(one, **fields) if n == which else one for n, one in enumerate(choice.tool_calls))
        return replace(choice, tool_calls=tuple(calls))

    return first_choice(change)


@mutation(
    "gemini_thought_signature", Class.DIALECT, Layer.DELTA, "signs a call, a text, or an empty text of its own",
    right="keeps the signature with its part, to send it back; the answer is the same",
    sources=["langroid/langroid#985", "open-webui/computer#224", _SIGNATURES], dialects=ONLY,
)  # fmt: skip
def thought_signature(stream: Stream, choose: Choose) -> Edit:
    """Sign the first call; or the last text; or send a signature with an empty text before the end."""
    how = choose(3)
    _single(stream)
    if b"thoughtSignature" in stream.body():
        raise Inapplicable("it has signatures")
    if how == 2:
        number, place = ends_of(stream)[0]
        payload = payload_of(stream, number)
        payload["candidates"][place].setdefault("content", {"role": "model"}).setdefault("parts", [])
        parts_of(payload["candidates"][place]).append({"text": "", "thoughtSignature": _SIGNATURE})
    else:
        key = ("functionCall", "text")[how]
        places = [
            (n, at)
            for n, one in answers(stream)
            for at, part in enumerate(parts_of(one["candidates"][0]))
            if isinstance(part, dict) and part.get(key) and not part.get("thought")
        ]
        number, at = need(places, ("call", "text")[how])[-how]
        payload = payload_of(stream, number)
        parts_of(payload["candidates"][0])[at]["thoughtSignature"] = _SIGNATURE
    edited = changed(stream, number, payload)
    said = ("a call is signed", "a text is signed", "a signature with an empty text")[how]
    calm = None if how != 2 else first_choice(lambda one: replace(one, content=one.content or ""))
    return Edit(edited, said, (number,), (number,), traced(edited, calm))


@mutation(
    "gemini_thoughts_first", Class.DIALECT, Layer.DELTA, "sends thoughts before the answer",
    right="keeps the thoughts apart from the text",
    sources=["decolua/9router#3601", "QwenLM/qwen-code#3896", API], dialects=ONLY,
)  # fmt: skip
def thoughts_first(stream: Stream, choose: Choose) -> Edit:
    """Send two thoughts, in payloads of their own or in the first payload of the answer."""
    together = choose(2)
    _single(stream)
    number, first = answers(stream)[0]
    if any(
        isinstance(p, dict) and p.get("thought") for _, one in answers(stream) for p in parts_of(one["candidates"][0])
    ):
        raise Inapplicable("it has thoughts")
    texts = ("I should look ", "at the weather 🤔.")
    thoughts = [{"text": text, "thought": True} for text in texts]
    if together:
        payload = payload_of(stream, number)
        if not parts_of(payload["candidates"][0]):
            raise Inapplicable("its first payload has no parts")
        payload["candidates"][0]["content"]["parts"] = [*thoughts, *parts_of(payload["candidates"][0])]
        edited = changed(stream, number, payload)
    else:
        head = {key: first[key] for key in ("modelVersion", "responseId") if key in first}
        made = [
            {"candidates": [{"content": {"parts": [one], "role": "model"}, "index": 0}], **head} for one in thoughts
        ]
        edited = stream.inserted(number, *(stream.payload_event(one) for one in made))
    expected = traced(edited, first_choice(lambda one: replace(one, reasoning="".join(texts))))
    return Edit(edited, "thoughts first", (), (number,), expected)


@mutation(
    "gemini_call_ids", Class.DIALECT, Layer.JSON, "sends calls without ids, or with ids where there were none",
    right="takes each part for a call, whatever its id",
    sources=["BerriAI/litellm#29514", "sigoden/aichat#1296", API], dialects=ONLY,
)  # fmt: skip
def call_ids(stream: Stream, choose: Choose) -> Edit:
    """Leave the ids out, write empty ones, or give each call one."""
    how = choose(3)
    places = _calls(stream)
    found = {number: payload_of(stream, number) for number, _ in places}
    edited, ids = stream, []
    for place, (number, at) in enumerate(places):
        call = parts_of(found[number]["candidates"][0])[at]["functionCall"]
        call.pop("id", None)
        ids.append(f"call_{place}" if how == 2 else None)
        call.update({"id": ("", ids[-1])[how - 1]} if how else {})
    for number, payload in found.items():
        edited = changed(edited, number, payload)

    def renamed(choice: Choice) -> Choice:
        if len(ids) != len(choice.tool_calls):
            return choice
        calls = (replace(one, id=identity) for one, identity in zip(choice.tool_calls, ids, strict=True))
        return replace(choice, tool_calls=tuple(calls))

    said = ("calls without ids", "calls with empty ids", "calls with ids")[how]
    return Edit(edited, said, tuple(found), tuple(found), traced(edited, first_choice(renamed)))


@mutation(
    "gemini_no_arguments", Class.DIALECT, Layer.JSON, "makes a call one without arguments: empty, absent or null",
    right="gives the call with no arguments", sources=["QwenLM/qwen-code#6249", "vercel/ai#6687", API], dialects=ONLY,
)  # fmt: skip
def no_arguments(stream: Stream, choose: Choose) -> Edit:
    """Choose what stands in place of the arguments, then the call."""
    how = choose(3)
    places = _calls(stream)
    which = choose(len(places))
    number, at = places[which]
    payload = payload_of(stream, number)
    call = parts_of(payload["candidates"][0])[at]["functionCall"]
    call["args"] = ({}, None, None)[how]
    if how == 1:
        del call["args"]
    said = ("args {}", "no args", "args null")[how]
    edited = changed(stream, number, payload)
    return Edit(edited, said, (number,), (number,), _of_call(which, arguments="{}" if how == 0 else ""))


@mutation(
    "gemini_arguments_as_text", Class.DIALECT, Layer.JSON, "sends a call's arguments as JSON text",
    right="takes the text for the arguments, or gives a typed error",
    sources=["BerriAI/litellm#24095", "ollama/ollama-python#484"], dialects=ONLY,
)  # fmt: skip
def arguments_as_text(stream: Stream, choose: Choose) -> Edit:
    """Choose the call."""
    places = _calls(stream)
    number, at = choose.of(places)
    payload = payload_of(stream, number)
    call = parts_of(payload["candidates"][0])[at]["functionCall"]
    call["args"] = json.dumps(call.get("args") or {}, ensure_ascii=False, separators=(",", ":"))
    return Edit(changed(stream, number, payload), "args as text", (number,), (number,))


@mutation(
    "gemini_second_call", Class.DIALECT, Layer.DELTA, "adds a second call, beside the first or after it",
    right="gives both calls, also where name and arguments are the same",
    sources=["langchain-ai/langchain#34807", "ogx-ai/ogx#630", API], dialects=ONLY,
)  # fmt: skip
def second_call(stream: Stream, choose: Choose) -> Edit:
    """Put it beside the first call; or into a payload of its own; or the first call's name and arguments again."""
    how = choose(3)
    places = _calls(stream)
    number, at = places[-1]
    if any(stream.events[n].payload["candidates"][p].get("finishReason") != "STOP" for n, p in ends_of(stream)):
        raise Inapplicable("it does not end with STOP")
    payload = payload_of(stream, number)
    parts = parts_of(payload["candidates"][0])
    own = parts[at]["functionCall"]
    call: dict[str, Any] = {"name": "second_tool", "args": {"note": "second"}}
    if how == 2:
        call = {"name": own.get("name"), "args": own.get("args") or {}}
    if own.get("id"):
        call["id"] = "call_second"
    if how == 1:
        after = {**payload, "candidates": [{"content": {"parts": [{"functionCall": call}], "role": "model"}}]}
        rest = payload["candidates"][0]
        if rest.get("finishReason"):
            raise Inapplicable("the call comes with the finish reason")
        if "index" in rest:
            after["candidates"][0]["index"] = rest["index"]
        after.pop("usageMetadata", None)
        edited = stream.inserted(number + 1, stream.payload_event(after))
    else:
        parts.insert(at + 1, {"functionCall": call})
        edited = changed(stream, number, payload)
    text = json.dumps(call["args"], ensure_ascii=False, separators=(",", ":"))
    added = ToolCall(call.get("id"), call["name"] or "", text)
    expected = traced(edited, first_choice(lambda one: replace(one, tool_calls=(*one.tool_calls, added))))
    said = ("beside the first", "in a payload of its own", "the same again")[how]
    return Edit(edited, f"a second call, {said}", (number,), (number,), expected)


@mutation(
    "gemini_usage_running", Class.DIALECT, Layer.DELTA, "sends the usage so far with every payload",
    right="takes the last usage and adds nothing up",
    sources=["ogx-ai/ogx#5122", "cline/cline#11304", "tensorzero/tensorzero#5481", API], dialects=ONLY,
)  # fmt: skip
def usage_running(stream: Stream, choose: Choose) -> Edit:
    """Count up to the usage at the end; or send that every time; where there is none, put one in."""
    same = choose(2)
    numbers = [number for number, _ in answers(stream)]
    counted = [number for number, payload in stream.payloads if payload.get("usageMetadata")]
    last = counted[-1] if counted else numbers[-1]
    given = stream.events[last].payload.get("usageMetadata") or {"promptTokenCount": 11, "totalTokenCount": 19}
    edited = stream
    for place, number in enumerate(numbers):
        share = 1.0 if same or number == last else (place + 1) / (len(numbers) + 1)
        usage = {key: int(value * share) if type(value) is int else value for key, value in given.items()}
        if number < last or number == last:
            edited = changed(edited, number, {**payload_of(stream, number), "usageMetadata": usage})
    return Edit(edited, "usage with every payload", expected=lambda completion: replace(completion, usage=dict(given)))


@mutation(
    "gemini_null_fields", Class.DIALECT, Layer.JSON, "sends fields that are null",
    right="takes null for absent", sources=["pgadmin-org/pgadmin4#9828", API], dialects=ONLY,
)  # fmt: skip
def null_fields(stream: Stream, choose: Choose) -> Edit:
    """Write null for what a payload, a candidate or a part may have."""
    which = choose.of(["all", "payload", "candidate", "part"])
    answers(stream)

    def change(payload: Any) -> Any:
        made = dict(payload)
        if which in ("all", "payload"):
            made = {**dict.fromkeys(("usageMetadata", "promptFeedback", "createTime")), **made}
        for candidate in made.get("candidates") or ():
            if which in ("all", "candidate"):
                keys = ("finishReason", "safetyRatings", "citationMetadata", "index")
                candidate.update({key: candidate.get(key) for key in keys})
            for part in parts_of(candidate) if which in ("all", "part") else ():
                part.update({key: part.get(key) for key in ("thoughtSignature", "inlineData", "thought")})
        return made

    edited = stream.mapped(lambda payload: change(payload) if "candidates" in payload else None)
    return Edit(edited, f"nulls in {which}", expected=traced(edited))
