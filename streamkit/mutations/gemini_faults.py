"""Mutations of Gemini's streamGenerateContent that end it otherwise: other finish reasons, none, cuts, errors.

Source: the API reference ("FinishReason"), google.rpc.Status, and the reports named in each entry.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.gemini import ONLY, answers, as_body, changed, elements_of, ends_of, payload_of
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event, Stream

if TYPE_CHECKING:
    from streamkit.completion import Choice

__all__: list[str] = []  # the catalogue finds the entries by their class

_ERROR = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
_BAD_ENDS = ("MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "OTHER", "UNEXPECTED_TOOL_CALL", "A_NEW_REASON")


@mutation(
    "gemini_array_cut", Class.FAULT, Layer.BYTES, "ends the array after an element, without its bracket",
    right="says that the answer was cut off", sources=["RFC 8259, 5"], dialects=ONLY,
)  # fmt: skip
def array_cut(stream: Stream, choose: Choose) -> Edit:
    """Stop before the element with a finish reason, or before any until then, with or without the comma."""
    elements = elements_of(stream)
    last = next((n for n, one in enumerate(elements) if b"finishReason" in one), 0)
    if last < 1:
        raise Inapplicable("its first element ends it, or none does")
    kept = elements[: last - choose(last)]
    return Edit(as_body(stream, b"[" + b",\n".join(kept) + choose.of([b"", b",", b"\n"])), f"{len(kept)} elements")


@mutation(
    "gemini_finish_reason", Class.DIALECT, Layer.DELTA, "ends with another finish reason",
    right="hands on the reason, and runs no call after any but STOP",
    sources=["NousResearch/hermes-agent#43478", "Pasta-Devs/Marinara-Engine#1875"],
    dialects=ONLY,
)  # fmt: skip
def finish_reason(stream: Stream, choose: Choose) -> Edit:
    """End a single candidate with a reason after which no call may run."""
    ends = ends_of(stream)
    if len(ends) != 1:
        raise Inapplicable("it has several candidates")
    ((number, place),) = ends
    payload = payload_of(stream, number)
    if payload["candidates"][place]["finishReason"] != "STOP":
        raise Inapplicable("it does not end with STOP")
    reason = payload["candidates"][place]["finishReason"] = choose.of(_BAD_ENDS)
    problem = f"the answer did not end by itself (finish reason {reason})"

    def change(choice: Choice) -> Choice:
        calls = tuple(replace(call, problem=problem) for call in choice.tool_calls)
        return replace(choice, finish_reason=reason, tool_calls=calls)

    return Edit(changed(stream, number, payload), f"ends with {reason}", (number,), (number,), first_choice(change))


@mutation(
    "gemini_no_finish_reason", Class.FAULT, Layer.DELTA, "leaves out the finish reasons",
    right="says that the answer was cut off", sources=["SamSaffron/term-llm#954"], dialects=ONLY,
)  # fmt: skip
def no_finish_reason(stream: Stream, choose: Choose) -> Edit:
    """Leave out all finish reasons, or make them null."""
    ends_of(stream)
    null = bool(choose(2))

    def unfinished(payload: dict[str, Any]) -> dict[str, Any]:
        for candidate in payload.get("candidates") or ():
            if isinstance(candidate, dict) and candidate.pop("finishReason", None) and null:
                candidate["finishReason"] = None
        payload.pop("promptFeedback", None)
        return payload

    return Edit(stream.mapped(unfinished), "no finish reason")


@mutation(
    "gemini_cut", Class.FAULT, Layer.DELTA, "ends after an event, before the finish reason",
    right="says that the answer was cut off",
    sources=["SamSaffron/term-llm#954", "tashfeenahmed/freellmapi#1288"], dialects=ONLY,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """Stop before any event up to the first one with a finish reason, that one first."""
    finishing = [
        number
        for number, payload in answers(stream)
        if any(candidate.get("finishReason") for candidate in payload["candidates"])
    ]
    first = need(finishing, "finish reason")[0]
    number = first - choose(first + 1)
    return Edit(stream.cut(number), f"cut before event {number}", (number,))


@mutation(
    "gemini_error", Class.FAULT, Layer.DELTA, "reports an error in the stream",
    right="raises it", sources=["maximhq/bifrost#5262"], dialects=ONLY,
)  # fmt: skip
def error(stream: Stream, choose: Choose) -> Edit:
    """Report an error as a bare object, pretty-printed or compact, or in an event; before any event until the end.

    A bare one is no event for a reader that keeps to the standard, so the rest of the answer does not follow it.
    """
    last = ends_of(stream)[-1][0]
    number = last - choose(last + 1)
    form = choose.of(["bare", "compact", "event"])
    if form == "event":
        return Edit(stream.inserted(number, stream.payload_event(_ERROR)), "an error in an event", (), (number,))
    text = json.dumps(_ERROR, indent=2 if form == "bare" else None).encode()
    end = stream.manner.line_end
    made = stream.cut(number).inserted(number, Event(raw=text.replace(b"\n", end) + end + end))
    return Edit(made, "a bare error", (number,), (number,))
