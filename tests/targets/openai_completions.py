"""Right parsers of legacy completions: a push class with a message for each choice, and a function of the whole body.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Frames, Json, loads, paired

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Completions", "text_completion"]


class Completions:
    """A push parser of the choices."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.texts: dict[int, str] = {}
        self.finishes: dict[int, str] = {}
        self.usage: Json | None = None
        self.done = False

    def feed(self, chunk: bytes) -> None:
        for name, data in self.frames.feed(chunk):
            if data.strip() == "[DONE]":
                self.done = True
            elif data.strip() and not self.done:
                self.payload(name, loads(data))

    def payload(self, name: str, payload: Json) -> None:
        if name == "error" or payload.get("error") or payload.get("object") == "error":
            self.error(payload)
            return
        self.count(payload)
        for choice in self.choices(payload):
            self.choice(choice)

    def error(self, payload: Json) -> None:
        raise Refused(payload)

    def choices(self, payload: Json) -> list[Json]:
        return payload.get("choices") or []

    def count(self, payload: Json) -> None:
        self.usage = payload.get("usage") or self.usage

    def choice(self, choice: Json) -> None:
        index = choice.get("index", 0)
        self.texts.setdefault(index, "")
        if choice.get("text"):
            self.text(index, choice["text"])
        self.take_finish(index, choice)

    def take_finish(self, index: int, choice: Json) -> None:
        if choice.get("finish_reason"):
            self.finishes[index] = self.reason(choice["finish_reason"])

    def text(self, index: int, text: str) -> None:
        self.texts[index] += text

    def reason(self, reason: str) -> str:
        return reason

    def whole(self, text: str) -> str:
        return paired(text)

    def close(self) -> None:
        if not self.has_ended():
            raise CutOff("a choice did not end")

    def has_ended(self) -> bool:
        return bool(self.texts) and self.texts.keys() == self.finishes.keys()

    def result(self) -> Json:
        choices = [
            {"index": index, "content": self.whole(self.texts[index]), "finish_reason": self.finishes.get(index)}
            for index in sorted(self.texts)
        ]
        return {"choices": choices, "usage": self.usage}


def text_completion(chunks: Iterable[bytes]) -> Json:
    """Return the object that the API gives without streaming; the body is read to its end before anything is done."""
    try:
        body = b"".join(chunks).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenStream("no UTF-8") from error
    made: Json = {"object": "text_completion", "choices": {}, "usage": None}
    data: list[str] = []
    named = ""
    for line in io.StringIO(body, newline=None):
        if line == "\n":
            text, name = "\n".join(data).strip(), named
            data, named = [], ""
            if text == "[DONE]":
                break
            if text:
                _payload(made, loads(text), name)
        elif line.startswith("event:"):
            named = line[6:].strip()
        elif line.startswith("data") and line[4:5] in (":", "\n"):
            data.append(line[5:].removeprefix(" ").removesuffix("\n"))
    choices = [made["choices"][index] for index in sorted(made["choices"])]
    for choice in choices:
        choice["text"] = paired(choice["text"])
    if not choices or any(choice["finish_reason"] is None for choice in choices):
        raise CutOff("a choice did not end")
    return {**made, "choices": choices}


def _payload(made: Json, payload: Json, name: str) -> None:
    if name == "error" or payload.get("error") or payload.get("object") == "error":
        raise Refused(payload)
    for key in ("id", "created", "model", "usage"):
        made[key] = payload.get(key) or made.get(key)
    for entry in payload.get("choices") or ():
        index = entry.get("index", 0)
        empty = {"index": index, "text": "", "finish_reason": None}
        choice = made["choices"].setdefault(index, empty)
        choice["text"] += entry.get("text") or ""
        choice["finish_reason"] = entry.get("finish_reason") or choice["finish_reason"]
