"""Mutations of Gemini's streamGenerateContent: its parts split and joined, its form changed, its end moved.

Source: the API reference ("GenerateContentResponse", "Candidate", "PartialArg") and what recorded streams of the Gemini
API and Vertex AI hold; the reports are named in each entry. The array form has no events: what edits it works on the
elements of the body. What breaks a stream, or ends it otherwise, is in `gemini_faults`.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.errors import DialectError
from streamkit.mutations.expected import need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation
from streamkit.wire.jsonarray import JSONArrayDecoder

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.mutations.stream import Stream

__all__ = ["API", "ONLY", "answers", "as_body", "changed", "elements_of", "ends_of", "parts_of", "payload_of"]

API = "ai.google.dev/api/generate-content: GenerateContentResponse"
ONLY = ("gemini",)
_SPACE = (b"", b" ", b"\n", b"\r\n", b"\t \n\n")


def answers(stream: Stream) -> list[tuple[int, dict[str, Any]]]:
    """Return the payloads with candidates, each with the number of its event."""
    found = [
        (number, payload)
        for number, payload in stream.payloads
        if isinstance(payload.get("candidates"), list)
        and payload["candidates"]
        and all(isinstance(one, dict) for one in payload["candidates"])
    ]
    return need(found, "event with a candidate")


def parts_of(candidate: dict[str, Any]) -> list[Any]:
    """Return the parts of a candidate; an empty list where it has none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return parts if isinstance(parts, list) else []


def _with_parts(payload: dict[str, Any], place: int, parts: list[Any], *, last: bool) -> dict[str, Any]:
    """Return a payload whose candidate holds other parts; only the last of several keeps the candidate's end."""
    made = copy.deepcopy(payload)
    candidate = made["candidates"][place]
    candidate["content"]["parts"] = parts
    if last:
        return made
    made["candidates"] = [{key: candidate[key] for key in ("content", "index") if key in candidate}]
    made.pop("usageMetadata", None)
    return made


def ends_of(stream: Stream) -> list[tuple[int, int]]:
    """Return where each candidate has its last finish reason: (event, place among the candidates)."""
    found: dict[int, tuple[int, int]] = {}
    for number, payload in answers(stream):
        for place, candidate in enumerate(payload["candidates"]):
            if candidate.get("finishReason"):
                found[candidate.get("index") or 0] = (number, place)
    return need(sorted(found.values()), "finish reason")


def payload_of(stream: Stream, number: int) -> dict[str, Any]:
    """Return the payload of an event that has one, to be changed."""
    payload: dict[str, Any] = copy.deepcopy(stream.events[number].payload)
    return payload


def changed(stream: Stream, number: int, *payloads: dict[str, Any]) -> Stream:
    """Return the stream with these payloads in place of an event."""
    return stream.replaced(number, *(stream.payload_event(one) for one in payloads))


def elements_of(stream: Stream) -> list[bytes]:
    """Return the elements of a body in the array form."""
    decoder = JSONArrayDecoder()
    try:
        found = decoder.feed(stream.body())
        decoder.close()
    except DialectError:
        found = []
    if not decoder.ended or not found:
        raise Inapplicable("its body is no JSON array")
    return found


def as_body(stream: Stream, body: bytes) -> Stream:
    """Return the stream that other bytes are."""
    return stream.reread(body)


# The same answer, in other pieces


@mutation(
    "gemini_split_text", Class.PRESERVING, Layer.DELTA, "splits a text part in two payloads",
    right="joins the text", sources=[API], dialects=ONLY,
)  # fmt: skip
def split_text(stream: Stream, choose: Choose) -> Edit:
    """Split a text, or a thought, after any character."""
    places = [
        (number, place, at)
        for number, payload in answers(stream)
        for place, candidate in enumerate(payload["candidates"])
        for at, part in enumerate(parts_of(candidate))
        if isinstance(part, dict) and isinstance(part.get("text"), str) and len(part["text"]) > 1
    ]
    number, place, at = choose.of(need(places, "text of two characters"))
    payload = payload_of(stream, number)
    parts = parts_of(payload["candidates"][place])
    cut = 1 + choose(len(parts[at]["text"]) - 1)
    thought = {"thought": True} if parts[at].get("thought") else {}
    one = [*parts[:at], {"text": parts[at]["text"][:cut], **thought}]
    two = [{**parts[at], "text": parts[at]["text"][cut:]}, *parts[at + 1 :]]
    made = changed(
        stream, number, _with_parts(payload, place, one, last=False), _with_parts(payload, place, two, last=True)
    )
    return Edit(made, f"event {number} cut after character {cut} of a text", (number,), (number, number + 1))


@mutation(
    "gemini_split_parts", Class.PRESERVING, Layer.DELTA, "sends the parts of a payload in payloads of their own",
    right="takes each part as it comes", sources=[API], dialects=ONLY,
)  # fmt: skip
def split_parts(stream: Stream, choose: Choose) -> Edit:
    """Send each part of a candidate by itself."""
    places = [
        (number, place)
        for number, payload in answers(stream)
        for place, candidate in enumerate(payload["candidates"])
        if len(parts_of(candidate)) > 1
    ]
    number, place = choose.of(need(places, "candidate with two parts in one payload"))
    payload = payload_of(stream, number)
    parts = parts_of(payload["candidates"][place])
    made = [_with_parts(payload, place, [part], last=at == len(parts) - 1) for at, part in enumerate(parts)]
    return Edit(changed(stream, number, *made), f"event {number} in {len(made)} payloads", (number,))


@mutation(
    "gemini_merge_payloads", Class.PRESERVING, Layer.DELTA, "joins the parts of two payloads in one",
    right="takes each part of a list, calls and text alike", sources=[API], dialects=ONLY,
)  # fmt: skip
def merge_payloads(stream: Stream, choose: Choose) -> Edit:
    """Join a pair of neighbours of the same candidate, the first of which does nothing but bring parts."""
    found = answers(stream)
    pairs = [
        (one, two)
        for (one, first), (two, second) in pairwise(found)
        if two == one + 1
        and len(first["candidates"]) == len(second["candidates"]) == 1
        and first["candidates"][0].keys() <= {"content", "index"}
        and (first["candidates"][0].get("index") or 0) == (second["candidates"][0].get("index") or 0)
        and parts_of(first["candidates"][0])
        and parts_of(second["candidates"][0])
    ]
    one, two = choose.of(need(pairs, "two payloads that can be joined"))
    first, second = payload_of(stream, one), payload_of(stream, two)
    later = {
        key: value
        for key, value in second.items()
        if first.get(key) is None or (value is not None and key not in ("responseId", "modelVersion", "createTime"))
    }
    payload = {**first, **later}  # what either says is said: of these three the first counts, of all else the last
    parts = [*parts_of(first["candidates"][0]), *parts_of(second["candidates"][0])]
    payload["candidates"][0]["content"]["parts"] = parts
    made = changed(stream.replaced(one), one, payload)
    return Edit(made, f"events {one} and {two} in one", (one, two), (one,))


@mutation(
    "gemini_candidates_apart", Class.PRESERVING, Layer.DELTA, "sends candidates in payloads of their own",
    right="puts each candidate where its index says", sources=[API], dialects=ONLY,
)  # fmt: skip
def candidates_apart(stream: Stream, choose: Choose) -> Edit:
    """Send the candidates of a payload one by one, in their order or backwards."""
    places = [number for number, payload in answers(stream) if len(payload["candidates"]) > 1]
    number = choose.of(need(places, "payload with two candidates"))
    payload = payload_of(stream, number)
    candidates = choose.of([payload["candidates"], payload["candidates"][::-1]])
    made = [{**payload, "candidates": [candidate]} for candidate in candidates]
    return Edit(changed(stream, number, *made), f"the candidates of event {number} apart", (number,))


@mutation(
    "gemini_finish_alone", Class.PRESERVING, Layer.DELTA, "sends the finish reason in a payload without content",
    right="takes a candidate without content", sources=[API, "agentjido/req_llm#638"], dialects=ONLY,
)  # fmt: skip
def finish_alone(stream: Stream, choose: Choose) -> Edit:
    """Move a finish reason, and the usage with it, behind its content."""
    places = [
        (number, place)
        for number, place in ends_of(stream)
        if parts_of(payload_of(stream, number)["candidates"][place])
    ]
    number, place = choose.of(need(places, "finish reason beside content"))
    before, after = payload_of(stream, number), payload_of(stream, number)
    reason = before["candidates"][place].pop("finishReason")
    index = before["candidates"][place].get("index")
    after["candidates"] = [{"finishReason": reason, **({} if index is None else {"index": index})}]
    before.pop("usageMetadata", None)
    return Edit(changed(stream, number, before, after), f"{reason} by itself", (number,), (number, number + 1))


@mutation(
    "gemini_finish_everywhere", Class.DIALECT, Layer.DELTA, "sends STOP with every payload",
    right="reads on: the stream ends with the body; or gives a typed error",
    sources=["songquanpeng/one-api#1477", "songquanpeng/one-api#1408"], dialects=ONLY,
)  # fmt: skip
def finish_everywhere(stream: Stream, choose: Choose) -> Edit:
    """Give each candidate with content a finish reason, as old versions did; what it ends with stays the last one."""
    del choose
    last = {payload_of(stream, n)["candidates"][place].get("index") or 0: n for n, place in ends_of(stream)}
    numbers = iter([number for number, _ in stream.payloads])

    def finished(payload: dict[str, Any]) -> dict[str, Any]:
        number = next(numbers)
        for candidate in payload.get("candidates") or ():
            if (
                isinstance(candidate, dict)
                and parts_of(candidate)
                and number < last.get(candidate.get("index") or 0, 0)
            ):
                candidate.setdefault("finishReason", "STOP")
        return payload

    return Edit(stream.mapped(finished), "STOP with every payload")


@mutation(
    "gemini_usage_alone", Class.PRESERVING, Layer.DELTA, "sends the usage in a last payload without candidates",
    right="takes a payload without candidates", sources=[API], dialects=ONLY,
)  # fmt: skip
def usage_alone(stream: Stream, choose: Choose) -> Edit:
    """Move the last usage into a payload of its own, with an empty list of candidates or none."""
    counted = [number for number, payload in stream.payloads if payload.get("usageMetadata")]
    number = need(counted, "usage")[-1]
    payload = payload_of(stream, number)
    alone = {key: value for key, value in payload.items() if key != "candidates"}
    if choose.of([False, True]):
        alone = {"candidates": [], **alone}
    del payload["usageMetadata"]
    made = changed(stream, number, payload)
    return Edit(made.inserted(len(made.events), made.payload_event(alone)), "the usage by itself", (number,))


@mutation(
    "gemini_empty_text", Class.PRESERVING, Layer.DELTA, "sends an empty text",
    right="adds nothing", sources=[API], dialects=ONLY,
)  # fmt: skip
def empty_text(stream: Stream, choose: Choose) -> Edit:
    """Send a payload with an empty text after one with text."""
    places = [
        number
        for number, payload in answers(stream)
        if any(isinstance(p, dict) and "text" in p and not p.get("thought") for p in parts_of(payload["candidates"][0]))
        and not any(candidate.get("finishReason") for candidate in payload["candidates"])
    ]
    number = choose.of(need(places, "text"))
    payload = payload_of(stream, number)
    candidate = payload["candidates"][0]
    made = {key: value for key, value in payload.items() if key != "usageMetadata"}
    content = {"parts": [{"text": ""}], "role": "model"}
    made["candidates"] = [{"content": content, **({"index": candidate["index"]} if "index" in candidate else {})}]
    return Edit(stream.inserted(number + 1, stream.payload_event(made)), "an empty text", (), (number + 1,))


@mutation(
    "gemini_unknown_part", Class.DIALECT, Layer.DELTA, "sends a part of a kind not known yet",
    right="keeps it or passes it over, and reads on", sources=[API], dialects=ONLY,
)  # fmt: skip
def unknown_part(stream: Stream, choose: Choose) -> Edit:
    """Send an unknown part first."""
    number, payload = answers(stream)[0]
    index = payload["candidates"][0].get("index") or 0
    part = choose.of([{"futurePart": {"n": 1}}, {"videoMetadata": {"fps": 1}, "partMetadata": {}}])
    head = {key: value for key, value in payload.items() if key in ("modelVersion", "responseId", "createTime")}
    made = {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": index}], **head}

    def expected(completion: Completion) -> Completion:
        choices = [
            replace(one, extra={**one.extra, "parts": [part, *one.extra.get("parts", ())]})
            if one.index == index
            else one
            for one in completion.choices
        ]
        return replace(completion, choices=tuple(choices))

    return Edit(stream.inserted(number, stream.payload_event(made)), "an unknown part", (), (number,), expected)


@mutation(
    "gemini_streamed_arguments", Class.DIALECT, Layer.DELTA, "sends a call's arguments in pieces",
    right="puts them together by their paths, and runs the call when all have come",
    sources=["cloud.google.com/vertex-ai: FunctionCall.partialArgs, willContinue"], dialects=ONLY,
)  # fmt: skip
def streamed_arguments(stream: Stream, choose: Choose) -> Edit:
    """Send a call whose arguments are texts, numbers, true, false and null, as Vertex AI streams it."""
    places = [
        (number, place, at)
        for number, payload in answers(stream)
        for place, candidate in enumerate(payload["candidates"])
        for at, part in enumerate(parts_of(candidate))
        if _is_flat_call(part)
    ]
    number, place, at = choose.of(need(places, "call with arguments that can be streamed"))
    payload = payload_of(stream, number)
    parts = parts_of(payload["candidates"][place])
    call = dict(parts[at]["functionCall"])
    partials = [entry for name, value in call.pop("args").items() for entry in _partials(f"$.{name}", value)]
    opener = {**parts[at], "functionCall": {**call, "willContinue": True}}
    same = {"id": call["id"]} if call.get("id") else {}
    middle = [{"functionCall": {**same, "partialArgs": [entry], "willContinue": True}} for entry in partials]
    groups = [[*parts[:at], opener], *([part] for part in middle), [{"functionCall": same}, *parts[at + 1 :]]]
    made = [_with_parts(payload, place, group, last=group is groups[-1]) for group in groups]
    said = f"the arguments of {call.get('name')} in {len(middle)} pieces"
    return Edit(changed(stream, number, *made), said, (number,), tuple(range(number, number + len(made))))


def _is_flat_call(part: Any) -> bool:
    call: Any = part.get("functionCall") if isinstance(part, dict) else None
    args = call.get("args") if isinstance(call, dict) else None
    if not isinstance(args, dict) or not args or "willContinue" in call or "partialArgs" in call:
        return False
    return all(name.isidentifier() and not isinstance(value, dict | list) for name, value in args.items())


def _partials(path: str, value: Any) -> list[dict[str, Any]]:
    """Return the entries of one value: a text in two halves and an empty end, anything else whole."""
    if isinstance(value, str):
        half = len(value) // 2
        texts = [value[:half], value[half:], ""]
        ends: list[dict[str, Any]] = [{"jsonPath": path, "stringValue": text, "willContinue": True} for text in texts]
        del ends[-1]["willContinue"]
        return ends
    kind = "nullValue" if value is None else "boolValue" if isinstance(value, bool) else "numberValue"
    return [{"jsonPath": path, kind: "NULL_VALUE" if value is None else value}]


# The array form


@mutation(
    "gemini_as_array", Class.DIALECT, Layer.BYTES, "sends a JSON array in place of events",
    right="reads the array that comes without alt=sse", sources=["nyo16/nous#26", "symfony/ai#1988"],
    dialects=ONLY,
)  # fmt: skip
def as_array(stream: Stream, choose: Choose) -> Edit:
    """Write the payloads as the elements of an array, pretty-printed or compact."""
    answers(stream)
    payloads = [payload for _, payload in stream.payloads]
    said = [event for event in stream.events if event.data is not None and event.data.strip() and not event.done]
    unsaid = stream.tail + b"".join(stream.write(event) for event in stream.events if event.data is None)
    if len(said) != len(payloads) or re.search(rb"^\s*\{", unsaid, re.MULTILINE):
        raise Inapplicable("not all of it is payloads")
    indent = choose.of([2, None])
    texts = [json.dumps(one, ensure_ascii=stream.manner.ascii, indent=indent) for one in payloads]
    return Edit(as_body(stream, ("[" + "\n,\r\n".join(texts) + "\n]\n").encode("utf-8", "surrogatepass")), "an array")


@mutation(
    "gemini_array_space", Class.PRESERVING, Layer.BYTES, "writes other white space between the elements of the array",
    right="skips it", sources=["RFC 8259, 2"], dialects=ONLY,
)  # fmt: skip
def array_space(stream: Stream, choose: Choose) -> Edit:
    """Write white space of one kind around the commas and brackets."""
    elements = elements_of(stream)
    space = choose.of(_SPACE)
    inner = (space + b"," + space).join(elements)
    return Edit(as_body(stream, b"[" + space + inner + space + b"]" + space), f"white space {space!r}")
