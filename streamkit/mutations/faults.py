"""Faults that need no dialect: streams that are cut off, carry an error, or are no streams at all.

Each comes before the event that ends the answer (`streamkit.mutations.ends`), so that a right parser must notice.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from streamkit.mutations.ends import is_over, unfinished
from streamkit.mutations.registry import TEXTS, Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = ["bare_error", "error_event", "not_a_stream", "truncate", "truncate_inside"]

_BOOM = {"message": "The server had an error while processing your request", "type": "server_error", "code": "500"}
_ERROR = json.dumps({"error": _BOOM}, separators=(",", ":"))


def _dispatched(stream: Stream, below: int) -> list[int]:
    """Return the numbers of the events with data, from the last below a number down to the first."""
    found = [number for number, event in enumerate(stream.events[:below]) if event.data is not None]
    if not found:
        raise Inapplicable("nothing comes before its end")
    return found[::-1]


@mutation(
    "truncate",
    Class.FAULT,
    Layer.FRAMING,
    "ends the body after an event, before the answer is over; HTTP ends it properly",
    right="reports that the stream was cut off, and lets no tool call be executed",
    sources=[
        "BerriAI/litellm#40260", "pydantic/pydantic-ai#6610", "NVIDIA/TensorRT-LLM#18289",
        "ltmoerdani/opencode-copilot-chat#170", "CommandCodeAI/command-code#785", "open-webui/open-webui#29628",
        "langchain-ai/langchain#39275", "langchain-ai/langchainjs#11469", "cline/cline#13001",
        "earendil-works/pi#6284", "kirodotdev/Kiro#11533", "NousResearch/hermes-agent#6847",
        "NousResearch/hermes-agent#65843", "NousResearch/hermes-agent#80623", "OpenRouterTeam/typescript-agent#125",
        "earendil-works/pi#9897", "nodejs/undici#5273",
    ],
)  # fmt: skip
def truncate(stream: Stream, choose: Choose) -> Edit:
    """Leave out all that follows an event: first, the event that ends the answer and what follows it."""
    last = choose.of(_dispatched(stream, unfinished(stream)))
    if is_over(stream, last + 1):
        raise Inapplicable(f"the answer looks whole after event {last}")
    return Edit(stream.cut(last + 1), f"cut off after event {last}", (last,), (last,))


@mutation(
    "truncate_inside",
    Class.FAULT,
    Layer.BYTES,
    "ends the body inside an event, before the answer is over",
    right="reports that the stream was cut off",
    sources=["sudoprivacy/sudocode#576", "diegosouzapw/OmniRoute#8210", "a2aproject/a2a-rs#79"],
)
def truncate_inside(stream: Stream, choose: Choose) -> Edit:
    """Leave out all that follows the middle of an event: first, of the event that ends the answer."""
    kind = choose(4)
    number = choose.of([one for one in _dispatched(stream, unfinished(stream) + 1) if stream.events[one].payload])
    event = stream.events[number]
    if is_over(stream, number):
        raise Inapplicable(f"the answer looks whole before event {number}")
    raw = stream.write(event)
    end = len(raw.rstrip(b"\r\n\t "))
    start = raw.find(b"{")
    places = [
        ((start + end) // 2, "in the middle of"),
        (end - 1, "before the last byte of"),
        (max(1, min(2, start)), "after two bytes of"),
        (start + 1, "after the first byte of the data of"),
    ]
    at, said = places[kind]
    return Edit(stream.cut(number, raw[:at]), f"cut off {said} event {number}", (number,), ())


@mutation(
    "not_a_stream",
    Class.FAULT,
    Layer.BYTES,
    "sends a body that is no stream: nothing, a page, an error as JSON",
    right="reports an error; a stream without any event is no empty answer",
    sources=["florimondmanca/httpx-sse#11", "sourcegraph/cody#3479", "shuv1337/oc-web#143"],
    wires=(*TEXTS, "eventstream"),
)
def not_a_stream(stream: Stream, choose: Choose) -> Edit:
    """Send another body altogether."""
    bodies = [
        ("an empty body", b""),
        ("a page", b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway"
         b"</h1></center>\r\n</body>\r\n</html>\r\n"),
        ("an error as JSON", _ERROR.encode() + b"\n"),
        ("an error as text", b"upstream connect error or disconnect/reset before headers\n"),
        ("an error as JSON over several lines", json.dumps({"error": _BOOM}, indent=2).encode()),
        ("blank lines", b"\n\n\n"),
    ]  # fmt: skip
    if stream.manner.wire == "sse":
        bodies.append(("comments and no event", b": ping\n\n: ping\n\n"))
    said, body = choose.of(bodies)
    return Edit(replace(stream, events=(), tail=body, head=b""), f"{said} instead of the stream")


_ENVELOPES = {
    "nested": {"error": _BOOM},
    "flat": {"type": "error", **{key: _BOOM[key] for key in ("code", "message")}},
    "as text": {"error": "boom"},
    "typed and nested": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    "as an object of its own": {"object": "error", "message": "boom", "type": "InternalServerError", "code": 500},
    "as a detail": {"detail": "boom"},
}
_SILENT = ("as an object of its own", "as a detail")


@mutation(
    "error_event",
    Class.FAULT,
    Layer.FRAMING,
    "reports an error in an event, before the answer is over",
    right="reports the provider's error, whatever follows it",
    sources=[
        "diegosouzapw/OmniRoute#8210", "apache/rocketmq-dashboard#2178", "langchain-ai/langchainjs#11579",
        "aaif-goose/goose#7663", "Gitlawb/openclaude#1174", "TanStack/ai#1172", "openai/openai-python#2487",
        "openai/openai-python#2796", "vercel/ai#10653", "vercel/ai#2453", "byte5ai/omadia#122",
        "Podden/openwebui_anthropic_api_manifold_pipe#19", "anthropics/anthropic-sdk-python#688",
    ],
)  # fmt: skip
def error_event(stream: Stream, choose: Choose) -> Edit:
    """Put an error before an event, in one of the envelopes that servers use, and end the stream or go on."""
    sse = stream.manner.wire == "sse"
    chat = stream.dialect == "openai_chat"
    kinds: list[tuple[str, str, str | None]] = [(f"{name}", stream.manner.json(value), None)
                                                for name, value in _ENVELOPES.items()]  # fmt: skip
    if sse:
        kinds[2:2] = [(f"{name}, named `error`", stream.manner.json(_ENVELOPES[name]), "error")
                      for name in ("nested", "flat")]  # fmt: skip
        kinds.append(("a text, named `error`", "Internal Server Error", "error"))
    said, data, name = choose.of(kinds)
    # In another dialect an envelope may be a foreign event, and then only the missing end tells.
    # [DONE] comes first: what is passed over before it leaves an answer that looks whole.
    ending = choose.of(["and [DONE]", "and the end", "and the rest of the answer"] if chat else ["and the end"])
    if ending == "and the rest of the answer" and said in _SILENT:
        raise Inapplicable("without the word error it may be passed over, and then the answer is whole")
    last = unfinished(stream)
    number = choose.of([*_dispatched(stream, last + 1), 0])
    if is_over(stream, number):
        raise Inapplicable(f"the answer looks whole before event {number}")
    event = Event(data, name)
    changed = stream.inserted(number, event)
    if ending != "and the rest of the answer":
        changed = changed.cut(number + 1)
    if ending == "and [DONE]":
        changed = changed.inserted(number + 1, Event("[DONE]"))
    return Edit(changed, f"an error ({said}) before event {number}, {ending}", (number,), (number,))


@mutation(
    "bare_error",
    Class.DIALECT,
    Layer.FRAMING,
    "writes an error as JSON without `data:`, as a proxy does that fails late",
    right="reports an error, for the answer is cut off; where the answer is whole, ignores an unknown field",
    sources=["WHATWG HTML 9.2.6", "stacklok/toolhive#6037", "sourcegraph/cody#3479"],
)
def bare_error(stream: Stream, choose: Choose) -> Edit:
    """Put a line of JSON into a stream of events, and end the stream or go on."""
    if stream.manner.wire != "sse":
        raise Inapplicable("a line of JSON is no stranger in it")
    goes_on = choose(2) == 1
    number = choose.of(_dispatched(stream, len(stream.events) if goes_on else unfinished(stream)))
    line = _ERROR.encode() + stream.manner.line_end
    if goes_on:
        block = Event(raw=line + stream.manner.line_end)
        return Edit(stream.inserted(number, block), f"a bare error before event {number}", (number,), (number,))
    if is_over(stream, number + 1):
        raise Inapplicable(f"the answer looks whole after event {number}")
    return Edit(stream.cut(number + 1, line), f"a bare error after event {number}, and the end", (number,), (number,))
