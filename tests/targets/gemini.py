"""Right parsers of Gemini's streamGenerateContent, for events and for the JSON array: a push class, and a function.

The rules of the push class stand in methods of their own, so that a planted bug can overrule one of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from targets.broken import BrokenStream, CutOff, Refused
from targets.frames import Frames, Json, loads, paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ArrayElements", "Candidate", "Gemini", "generated_content"]

_MARK = re.compile(rb'["\\{}\[\],]')


class ArrayElements:
    """Bytes of a JSON array in, the bytes of its elements out."""

    def __init__(self) -> None:
        self.element = bytearray()
        self.depth = 0
        self.in_string = self.escaped = self.ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        start = 0
        if self.escaped and chunk:
            self.escaped, at = False, 1
        else:
            at = 0
        while found := _MARK.search(chunk, at):
            at, mark = found.end(), found[0]
            if self.in_string:
                if mark == b"\\":
                    self.escaped = at == len(chunk)
                    at += 1
                self.in_string = mark != b'"'
                continue
            if mark == b'"':
                self.in_string = True
            elif mark in b"{[":
                self.depth += 1
                if self.depth == 1:
                    start = at
            elif mark in b"}]":
                self.depth -= 1
            if self.depth < 2 and mark in b"]," and not (mark == b"]" and self.depth):
                self.element += chunk[start : at - 1]
                start = at
                if self.element.strip():
                    yield bytes(self.element)
                self.element.clear()
                self.ended = self.depth == 0
        self.element += chunk[start:]

    def close(self) -> None:
        if not self.ended or self.element.strip():
            raise CutOff("the array is not over")


class Candidate:
    """A candidate as it grows."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[Json] = []
        self.finish: str | None = None


class Gemini:
    """A push parser of text and calls."""

    def __init__(self) -> None:
        self.frames = Frames()
        self.array: ArrayElements | None = None
        self.seen = b""
        self.candidates: dict[int, Candidate] = {}
        self.usage: Json | None = None

    def feed(self, chunk: bytes) -> None:
        if self.array is None and not self.seen.strip():
            self.seen += chunk
            if self.seen.lstrip().startswith(b"["):
                self.array = self.elements()
                chunk = self.seen
        if self.array is not None:
            for element in self.array.feed(chunk):
                self.payload(loads(element))
            return
        for _, data in self.frames.feed(chunk):
            if data.strip() not in ("", "[DONE]"):
                self.payload(loads(data))
        for line in self.frames.strays:
            self.stray(line)

    def elements(self) -> ArrayElements:
        return ArrayElements()

    def stray(self, line: bytes) -> None:
        if line.lstrip().startswith(b"{"):
            raise Refused(line)

    def payload(self, payload: Json) -> None:
        if payload.get("error"):
            self.error(payload)
        self.count(payload.get("usageMetadata"))
        for place, entry in enumerate(self.entries(payload)):
            candidate = self.candidates.setdefault(self.place(place, entry), Candidate())
            self.parts(candidate, self.parts_of(entry))
            self.take_finish(candidate, entry)

    def error(self, payload: Json) -> None:
        raise Refused(payload)

    def count(self, usage: Json | None) -> None:
        self.usage = usage or self.usage

    def entries(self, payload: Json) -> list[Json]:
        return payload.get("candidates") or []

    def place(self, place: int, entry: Json) -> int:
        del place
        return int(entry.get("index") or 0)

    def parts_of(self, entry: Json) -> list[Json]:
        return (entry.get("content") or {}).get("parts") or []

    def parts(self, candidate: Candidate, parts: list[Json]) -> None:
        for part in parts:
            if isinstance(part.get("text"), str):
                if not self.is_thought(part):
                    self.text(candidate, part["text"])
            elif "functionCall" in part:
                self.call(candidate, part["functionCall"])
            else:
                self.other(part)

    def is_thought(self, part: Json) -> bool:
        return bool(part.get("thought"))

    def other(self, part: Json) -> None:
        pass

    def text(self, candidate: Candidate, text: str) -> None:
        candidate.texts.append(text)

    def call(self, candidate: Candidate, call: Json) -> None:
        if "partialArgs" in call or "willContinue" in call:
            self.streamed(candidate, call)
            return
        if call.get("name"):
            candidate.calls.append({"name": call["name"], "arguments": self.arguments(call)})

    def arguments(self, call: Json) -> Any:
        given = call.get("args") or {}
        return loads(given) if isinstance(given, str) else given

    def streamed(self, candidate: Candidate, call: Json) -> None:
        raise BrokenStream("arguments in pieces are not known here")

    def take_finish(self, candidate: Candidate, entry: Json) -> None:
        reason = entry.get("finishReason")
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            candidate.finish = self.reason(reason)

    def reason(self, reason: str) -> str:
        return reason

    def close(self) -> None:
        if self.array is not None:
            self.array.close()
        if not self.has_ended():
            raise CutOff("a candidate has no finish reason")

    def has_ended(self) -> bool:
        return bool(self.candidates) and all(one.finish is not None for one in self.candidates.values())

    def result(self) -> Json:
        choices = [
            {
                "index": index,
                "content": paired("".join(one.texts)),
                "tool_calls": one.calls,
                "finish_reason": one.finish,
            }
            for index, one in sorted(self.candidates.items())
        ]
        return {"choices": choices, "usage": self.usage}


def generated_content(chunks: Iterable[bytes]) -> Json:
    """Return one GenerateContentResponse with the texts joined; the body is read to its end before anything is done."""
    try:
        body = b"".join(chunks).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenStream("no UTF-8") from error
    made: Json = {"candidates": {}}
    for payload in _payloads(body):
        if payload.get("error"):
            raise Refused(payload)
        for key in ("usageMetadata", "modelVersion", "responseId"):
            if payload.get(key):
                made[key] = payload[key]
        for entry in payload.get("candidates") or ():
            index = entry.get("index") or 0
            kept = made["candidates"].setdefault(index, {"content": {"role": "model", "parts": []}, "index": index})
            for part in (entry.get("content") or {}).get("parts") or ():
                _add(kept["content"]["parts"], part)
            if entry.get("finishReason") not in (None, "FINISH_REASON_UNSPECIFIED"):
                kept["finishReason"] = entry["finishReason"]
    candidates = [made["candidates"][index] for index in sorted(made["candidates"])]
    if not candidates or any("finishReason" not in candidate for candidate in candidates):
        raise CutOff("a candidate did not end")
    for candidate in candidates:
        for part in candidate["content"]["parts"]:
            if isinstance(part.get("text"), str):
                part["text"] = paired(part["text"])
    return {**made, "candidates": candidates}


def _payloads(body: str) -> Iterator[Json]:
    if body.lstrip().startswith("["):
        try:
            listed: Any = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BrokenStream("no JSON array") from error
        yield from listed
        return
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data: list[str] = []
    for line in lines[:-1]:
        if line.startswith("{"):
            raise Refused("a bare object")
        if line == "data" or line.startswith("data:"):
            data.append(line[5:])
        elif not line:
            text = "\n".join(data).strip()
            data = []
            if text not in ("", "[DONE]"):
                yield loads(text)


def _add(parts: list[Json], part: Json) -> None:
    call = part.get("functionCall")
    if isinstance(call, dict) and ("partialArgs" in call or "willContinue" in call):
        raise BrokenStream("arguments in pieces are not known here")
    if part.keys() <= {"text", "thought"}:
        if parts and parts[-1].keys() == part.keys() == {"text"}:
            parts[-1] = {"text": parts[-1]["text"] + part["text"]}
            return
        if not part.get("text"):
            return
    parts.append(part)
