"""Right parsers of Cohere's chat (v2): a push class with the neutral result, and an async function with the API's own.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Frames, Json, blocks, cut_off, loads, paired

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

__all__ = ["Call", "Chat", "chat"]


class Call:
    """A tool call as it grows."""

    def __init__(self, start: Json) -> None:
        self.id = start.get("id")
        self.name = (start.get("function") or {}).get("name", "")
        self.fragments = [(start.get("function") or {}).get("arguments") or ""]
        self.ended = False


class Chat:
    """A push parser of text, calls and citations."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.begun = self.done = False
        self.text = ""
        self.contents: dict[Any, bool] = {}
        self.calls: dict[Any, Call] = {}
        self.citations: list[Json] = []
        self.finish: str | None = None

    def feed(self, chunk: bytes) -> None:
        for name, data in self.frames.feed(chunk):
            if data.strip() == "[DONE]":
                self.sentinel()
            elif data.strip() and not self.done:
                self.payload(name, loads(data))

    def sentinel(self) -> None:
        self.done = True

    def payload(self, name: str, payload: Json) -> None:
        kind = self.kind_of(name, payload)
        if name == "error" or kind == "error" or (not kind and ({"message", "error", "detail"} & payload.keys())):
            raise Refused(payload)
        if self.finish is not None and kind:
            raise BrokenStream("more after message-end")
        message = (payload.get("delta") or {}).get("message") or {}
        self.event(kind or "", payload, message)

    def kind_of(self, name: str, payload: Json) -> str | None:
        del name
        return payload.get("type")

    def event(self, kind: str, payload: Json, message: Json) -> None:
        index = payload.get("index")
        if kind == "message-start":
            self.start()
        elif kind == "content-start":
            self.open(index)
            self.add(message["content"].get("text") or "")
        elif kind == "content-delta":
            self.content(payload, message)
        elif kind == "content-end":
            self.close_content(index)
        elif kind.startswith("tool-call-"):
            self.tool_call(kind, self.call_index(payload), message)
        elif kind == "citation-start":
            self.citations.append(self.citation(message["citations"]))
        elif kind == "message-end":
            self.end(payload["delta"])
        elif kind not in ("tool-plan-delta", "citation-end"):
            self.unknown(kind, message)

    def unknown(self, kind: str, message: Json) -> None:
        pass

    def start(self) -> None:
        if self.begun:
            raise BrokenStream("a second message-start")
        self.begun = True

    def open(self, index: Any) -> None:
        if index in self.contents:
            raise BrokenStream("a block begins twice")
        self.contents[index] = False

    def content(self, payload: Json, message: Json) -> None:
        del payload
        self.add(message["content"].get("text") or "")

    def add(self, text: str) -> None:
        self.text += text

    def close_content(self, index: Any) -> None:
        if self.contents.get(index) is not False:
            raise BrokenStream("a block ends that is not open")
        self.contents[index] = True

    def call_index(self, payload: Json) -> Any:
        index = payload.get("index")
        if type(index) is not int:
            raise BrokenStream(f"no call has the index {index!r}")
        return index

    def tool_call(self, kind: str, index: Any, message: Json) -> None:
        if kind == "tool-call-start":
            self.open_call(index, message["tool_calls"])
            return
        call = self.call(index)
        if call.ended:
            raise BrokenStream("a call goes on after its end")
        if kind == "tool-call-end":
            call.ended = True
        else:
            self.fragment(call, message["tool_calls"]["function"]["arguments"])

    def open_call(self, index: Any, start: Json) -> None:
        if index in self.calls:
            raise BrokenStream("a call begins twice")
        self.calls[index] = Call(start)

    def call(self, index: Any) -> Call:
        if index not in self.calls:
            raise BrokenStream("a call that never began")
        return self.calls[index]

    def fragment(self, call: Call, fragment: str) -> None:
        call.fragments.append(fragment)

    def citation(self, citation: Json) -> Json:
        return citation

    def end(self, delta: Json) -> None:
        if delta.get("error"):
            self.failed(delta)
        self.finish = delta["finish_reason"]

    def failed(self, delta: Json) -> None:
        raise Refused(delta)

    def close(self) -> None:
        if not self.has_ended():
            raise CutOff("no message-end came")

    def made(self, call: Call, arguments: str) -> Json:
        return {"id": call.id, "name": call.name, "arguments": arguments, **cut_off(arguments)}

    def has_ended(self) -> bool:
        return self.finish is not None

    def result(self) -> Json:
        calls = [self.made(call, paired("".join(call.fragments))) for _, call in sorted(self.calls.items())]
        return {
            "content": paired(self.text),
            "tool_calls": calls,
            "finish_reason": self.finish,
            "citations": self.citations,
        }


async def chat(chunks: AsyncIterable[bytes]) -> Json:
    """Return the response as the API gives it without streaming."""
    made: Json = {"id": None, "finish_reason": None, "message": {"role": "assistant"}}
    content: list[Json] = []
    calls: dict[int, Json] = {}
    once: set[tuple[Any, Any]] = set()
    async for name, data in blocks(chunks):
        if data.strip() == "[DONE]":
            break
        if not data.strip():
            continue
        payload = loads(data)
        kind, index, delta = payload.get("type"), payload.get("index"), payload.get("delta") or {}
        if name == "error" or kind == "error" or delta.get("error") or (kind is None and payload):
            raise Refused(payload)
        if made["finish_reason"] is not None:
            raise BrokenStream("more after the end")
        if str(kind).endswith(("-start", "-end")) and not str(kind).startswith("citation"):
            if (kind, index) in once:
                raise BrokenStream(f"{kind} twice")
            once.add((kind, index))
        message = delta.get("message") or {}
        if kind == "message-start":
            made["id"] = payload.get("id")
        elif kind == "content-start":
            content.append(dict(message["content"]))
        elif kind == "content-delta":
            content[-1]["text"] += message["content"]["text"]
        elif kind == "tool-plan-delta":
            made["message"]["tool_plan"] = made["message"].get("tool_plan", "") + message["tool_plan"]
        elif kind == "citation-start":
            made["message"].setdefault("citations", []).append(message["citations"])
        elif kind == "message-end":
            made.update(delta)
        else:
            _tool_call(calls, str(kind), index, message)
    if made["finish_reason"] is None:
        raise CutOff("no message-end came")
    if content:
        made["message"]["content"] = [
            {key: paired(value) if isinstance(value, str) else value for key, value in part.items()} for part in content
        ]
    if calls:
        made["message"]["tool_calls"] = [_finished(calls[index]) for index in sorted(calls)]
    return made


def _finished(call: Json) -> Json:
    arguments = paired(call["function"]["arguments"])
    loads(arguments or "{}")
    return {**call, "function": {**call["function"], "arguments": arguments}}


def _tool_call(calls: dict[int, Json], kind: str, index: Any, message: Json) -> None:
    if kind == "tool-call-start" and isinstance(index, int):
        call = message["tool_calls"]
        calls[index] = {**call, "function": dict(call["function"])}
    elif kind == "tool-call-delta":
        if index not in calls:
            raise BrokenStream("a call that never began")
        calls[index]["function"]["arguments"] += message["tool_calls"]["function"]["arguments"]
