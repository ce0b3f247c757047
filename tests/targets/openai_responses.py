"""Right parsers of OpenAI Responses: a push class that follows the deltas, and a function that trusts the last event.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Frames, Json, cut_off, loads, paired

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ByDeltas", "Item", "Responses", "response"]

_CALL = "function_call"


class Item:
    """An item of the output as it grows."""

    def __init__(self) -> None:
        self.fields: Json = {}
        self.texts: dict[int, str] = {}
        self.fragments: list[str] = []
        self.whole: str | None = None
        self.done = False

    @property
    def kind(self) -> str:
        return str(self.fields.get("type"))


class Responses:
    """A push parser of text and calls, which checks what is whole against what the deltas made."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.begun = False
        self.items: dict[int, Item] = {}
        self.finish: str | None = None

    def feed(self, chunk: bytes) -> None:
        for name, data in self.frames.feed(chunk):
            if data.strip() == "[DONE]":
                self.sentinel()
            elif data.strip():
                self.event(name, loads(data))

    def sentinel(self) -> None:
        pass

    def event(self, name: str, payload: Json) -> None:
        kind = payload.get("type")
        if kind == "error" or name == "error" or "error" in payload:
            self.error(payload)
        elif kind is None and ("choices" in payload or "object" in payload):
            self.foreign(payload)
        elif self.finish is None:
            self.take(str(kind), payload)

    def error(self, payload: Json) -> None:
        raise Refused(payload)

    def foreign(self, payload: Json) -> None:
        raise BrokenStream("a payload of another API")

    def take(self, kind: str, payload: Json) -> None:
        if kind == "response.created":
            self.created()
        elif kind == "response.output_item.added":
            self.added(payload)
        elif kind == "response.output_text.delta":
            self.text(self.item(payload), payload["content_index"], payload["delta"])
        elif kind == "response.output_text.done":
            self.text_done(self.item(payload), payload["content_index"], payload["text"])
        elif kind == "response.function_call_arguments.delta":
            self.fragment(self.item(payload), payload["delta"])
        elif kind == "response.function_call_arguments.done":
            self.arguments_done(self.item(payload), payload["arguments"])
        elif kind == "response.output_item.done":
            item = self.item(payload)
            item.done = True
            self.item_done(item, payload["item"])
        elif kind in ("response.completed", "response.incomplete"):
            self.end(payload["response"])
        elif kind == "response.failed":
            self.failed(payload["response"])
        else:
            self.unknown(payload)

    def unknown(self, payload: Json) -> None:
        pass

    def created(self) -> None:
        if self.begun or self.items:
            self.again()
        self.begun = True

    def again(self) -> None:
        raise BrokenStream("the response begins again")

    def added(self, payload: Json) -> None:
        self.item(payload).fields.update(payload["item"])

    def item(self, payload: Json) -> Item:
        index = payload.get("output_index")
        if type(index) is not int:
            raise BrokenStream(f"no item has the output_index {index!r}")
        return self.items.setdefault(index, Item())

    def text(self, item: Item, place: int, text: str) -> None:
        item.texts[place] = item.texts.get(place, "") + text

    def text_done(self, item: Item, place: int, text: str) -> None:
        item.texts[place] = text

    def fragment(self, item: Item, fragment: str) -> None:
        item.fragments.append(fragment)

    def arguments_done(self, item: Item, arguments: str) -> None:
        item.whole = arguments

    def item_done(self, item: Item, fields: Json) -> None:
        item.fields.update(fields)
        if item.kind == _CALL:
            item.whole = fields["arguments"]
        elif item.kind == "message":
            item.texts = {place: part.get("text", "") for place, part in enumerate(fields["content"])}

    def end(self, response: Json) -> None:
        self.finish = self.reason((response.get("incomplete_details") or {}).get("reason")) or response["status"]
        for index, fields in enumerate(response.get("output") or ()):
            self.close_item(index, fields)

    def close_item(self, index: int, fields: Json) -> None:
        item = self.items.setdefault(index, Item())
        if not item.done:
            self.item_done(item, fields)

    def reason(self, reason: str | None) -> str | None:
        return reason

    def failed(self, response: Json) -> None:
        raise Refused(response.get("error"))

    def close(self) -> None:
        if not self.has_ended():
            raise CutOff("no terminal event came")

    def has_ended(self) -> bool:
        return self.finish is not None

    def ordered(self) -> list[Item]:
        return [self.items[index] for index in sorted(self.items)]

    def arguments(self, item: Item) -> str:
        return paired("".join(item.fragments) if item.whole is None else item.whole)

    def content(self) -> str:
        return paired("".join(self.text_of(item) for item in self.ordered()))

    def text_of(self, item: Item) -> str:
        return "".join(item.texts[place] for place in sorted(item.texts))

    def result(self) -> Json:
        calls = [self.call(item) for item in self.ordered() if item.kind == _CALL]
        return {"content": self.content(), "tool_calls": calls, "finish_reason": self.finish}

    def call(self, item: Item) -> Json:
        arguments = self.arguments(item)
        fields = item.fields
        return {"id": fields.get("call_id"), "name": fields["name"], "arguments": arguments, **cut_off(arguments)}


class ByDeltas(Responses):
    """Joins the deltas and does not look at what is whole, as many clients do that show text as it comes."""

    def text_done(self, item: Item, place: int, text: str) -> None:
        pass

    def arguments_done(self, item: Item, arguments: str) -> None:
        pass

    def item_done(self, item: Item, fields: Json) -> None:
        pass


def response(chunks: Iterable[bytes]) -> Json:
    """Return the response as the terminal event gives it; its output is that of the items where it gives none."""
    frames = Frames()
    done: dict[int, Json] = {}
    last: Json | None = None
    begun = False
    for chunk in chunks:
        for name, data in frames.feed(chunk):
            if not data.strip() or data.strip() == "[DONE]":
                continue
            payload = loads(data)
            kind = payload.get("type", "")
            if name == "error" or kind == "error" or payload.get("error") or kind == "response.failed":
                raise Refused(payload)
            if not kind and ("choices" in payload or "object" in payload):
                raise BrokenStream("another API")
            if last is not None:
                continue
            if kind == "response.created":
                if begun:
                    raise BrokenStream("the response begins twice")
                begun = True
            elif kind == "response.output_item.done":
                done[payload["output_index"]] = payload["item"]
            elif kind in ("response.completed", "response.incomplete"):
                last = payload["response"]
    if last is None:
        raise CutOff("the response never ended")
    return {**last, "output": last.get("output") or [done[index] for index in sorted(done)]}
