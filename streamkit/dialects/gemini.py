"""Gemini's streamGenerateContent (Gemini API and Vertex AI): payloads to a Completion.

Source: the API reference ("GenerateContentResponse", "Candidate", "Part") and what recorded streams of both services
hold. Each payload is a response of its own, whose candidates hold the next parts. The rules:

- Text parts are joined: those with `thought` are the reasoning, the others the content. A part with `functionCall` is a
  call (`gemini_calls`). Every other part (code, its result, images, tool calls of the server) is kept as it came in
  `extra["parts"]`, and so is what a text part holds beside its text, such as a `thoughtSignature`.
- The last finish reason counts: old versions send STOP with every payload, and another one last. Content that follows
  a finish reason without one of its own takes it back: the answer goes on. FINISH_REASON_UNSPECIFIED is none.
- A stream is finished when each candidate has its finish reason and nothing of the body is left over (an event without
  its blank line, an array without its bracket), or when the prompt was blocked (`promptFeedback.blockReason`).
- A call may be executed after STOP, and after no other reason.
- `usage` is the last `usageMetadata` that is not empty. What comes beside a candidate's content is kept as it came
  last, if not empty; lists of citations are joined, each citation once, and so are those of `logprobsResult`, which are
  the choice's `logprobs`. `responseId` is the id, `modelVersion` the model. The role "model" is "assistant" here.
- An object with `error`, in an event, in the array or bare in the body, ends the stream with that error.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.detection import HEAD, asked
from streamkit.dialects.gemini_calls import FunctionCalls
from streamkit.dialects.gemini_frames import Frame, Frames
from streamkit.dialects.openai_errors import provider_error
from streamkit.dialects.payloads import (
    compact,
    list_at,
    misplaced,
    number_at,
    object_at,
    objects_at,
    payload,
    short,
    string_at,
)
from streamkit.dialects.reader import Fold, StreamReader
from streamkit.dialects.text import Text, repaired, shown
from streamkit.errors import PayloadError

if TYPE_CHECKING:
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["Accumulator", "Gemini", "Reader"]

_KNOWN_PAYLOAD = {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"}
_OURS = {"candidates", "usageMetadata", "promptFeedback"}
_KNOWN_CANDIDATE = {"content", "finishReason", "index", "citationMetadata", "logprobsResult"}
_NO_REASON = {None, "", "FINISH_REASON_UNSPECIFIED"}
_NO_BLOCK = {None, "", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"}
# A first payload of more than the bytes that detection looks at: an image, for one.
_BEGINNING = re.compile(rb'\s*(?:\[\s*|data:\s*)\{\s*"(?:candidates|promptFeedback)"\s*:')


class Gemini:
    """The dialect `gemini`."""

    name = "gemini"
    wire = "sse"  # or a JSON array: the body tells

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the request asked for such a stream, or its first payload is a response of Gemini's."""
        if asked(transcript).endswith(":streamGenerateContent"):
            return True
        head = transcript.body[:HEAD]
        try:
            frames = Frames().feed(head)
        except PayloadError:
            return False
        for frame in frames:
            if frame.bare:
                return False
            try:
                value = json.loads(frame.data)
            except (ValueError, RecursionError):
                return False
            if not isinstance(value, dict):
                return False
            if "error" not in value:
                lists = isinstance(value.get("candidates"), list) and "choices" not in value
                return lists or isinstance(value.get("promptFeedback"), dict) or "usageMetadata" in value
        return _BEGINNING.match(head) is not None

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout, *, wire: str = "sse") -> Transcript:
        """Return a synthetic transcript that accumulates to a completion.

        Args:
            completion: what the transcript is to say; it has ended.
            layout: `token_size`, `usage` ("every", or else with the last payload), `keep_alive`, `framing` and `chunk`
                are followed. With `calls` "whole" all calls of a candidate come in one payload, with "interleaved"
                the candidates come side by side in one payload; a call itself is always whole.
            wire: "sse", or "jsonarray" for the form without `alt=sse`.

        Raises:
            UsageError: Gemini cannot carry the completion; the message names what.
        """
        from streamkit.dialects.gemini_emit import emit

        return emit(completion, layout, wire)


class Reader(StreamReader):
    """The reader of `gemini`."""

    _checked = True

    def __init__(self) -> None:
        super().__init__(Frames(), Accumulator())

    def _check_wire(self) -> None:
        self._decoder.check()

    def close(self) -> None:
        """End the stream."""
        if self._accumulator.broken:
            return
        try:
            self._accumulator.unfinished = self._decoder.close()
        except PayloadError as fault:
            self._broken(fault)

    def _broken(self, fault: PayloadError) -> None:
        self._accumulator.fail(fault, offset=self._decoder.placed(fault))


class Accumulator(Fold):
    """Fold of payloads into a Completion.

    Attributes:
        unfinished: what was left over at the end of the body, in words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unfinished = ""
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] | None = None
        self._id: str | None = None
        self._model: str | None = None
        self._blocked: str | None = None
        self._extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        lacks = "a candidate has no finish reason" if completion.choices else "no candidate came"
        return self.unfinished or lacks

    def _read(self, frame: Frame) -> dict[str, Any] | None:
        if frame.data.strip() in ("", b"", "[DONE]"):  # gateways add the last one; it says nothing here
            return None
        if frame.lossy:
            raise PayloadError("the event's data is not UTF-8")
        return payload(frame.data, "the payload")

    def _take(self, value: dict[str, Any], frame: Frame) -> None:
        if value.get("error"):
            raise provider_error(value)
        if frame.bare:
            raise PayloadError(f"a bare object, where an event or an array belongs: {shown(value)}")
        if not _OURS & value.keys():
            return  # a ping or another foreign event
        identity, model = string_at(value, "responseId"), string_at(value, "modelVersion")
        self._id = self._id or identity or None
        self._model = self._model or model or None
        self._usage = object_at(value, "usageMetadata") or self._usage
        reason = string_at(object_at(value, "promptFeedback"), "blockReason")
        if reason not in _NO_BLOCK:
            self._blocked = reason
        if value.get("createTime") is not None:
            self._extra.setdefault("createTime", value["createTime"])
        for key, item in value.items():
            if key not in _KNOWN_PAYLOAD and item is not None:
                self._extra[key] = item
        for entry in objects_at(value, "candidates", "a candidate"):
            index = number_at(entry, "index") or 0
            self._candidates.setdefault(index, _Candidate(index)).take(entry)

    def completion(self) -> Completion:
        """Return what there is so far."""
        ordered = [self._candidates[index] for index in sorted(self._candidates)]
        finished = bool(ordered) and all(candidate.finish_reason is not None for candidate in ordered)
        ended = self._error is None and not self.unfinished and (finished or self._blocked is not None)
        trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self._blocked is not None:
            trouble = f"the prompt was blocked ({self._blocked})"
        return Completion(
            choices=tuple(candidate.build(trouble) for candidate in ordered),
            usage=None if self._usage is None else dict(self._usage),
            id=self._id,
            model=self._model,
            ended=ended,
            extra=repaired(self._extra),
        )


class _Candidate:
    """One candidate as it grows."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.role = ""
        self.content = Text()
        self.thoughts = Text()
        self.calls = FunctionCalls()
        self.finish_reason: str | None = None
        self.parts: list[Any] = []
        self.logprobs: dict[str, list[Any]] | None = None
        self.citations: dict[str, dict[str, Any]] = {}
        self.extra: dict[str, Any] = {}

    def take(self, entry: dict[str, Any]) -> None:
        content = object_at(entry, "content")
        role = string_at(content, "role")
        self.role = self.role or role or ""
        said = False
        for number, part in enumerate(list_at(content, "parts")):
            if not isinstance(part, dict):
                raise misplaced(content["parts"], number, dict, "a part")
            said = self._part(part) or said
        reason = string_at(entry, "finishReason")
        if reason not in _NO_REASON:
            self.finish_reason = reason
        elif said:
            self.finish_reason = None  # the answer goes on
        for key, value in entry.items():
            if key not in _KNOWN_CANDIDATE and value not in (None, {}, []):
                self.extra[key] = value
        for key, value in content.items():
            if key not in ("role", "parts") and value is not None:
                self.extra[f"content.{key}"] = value
        for key, value in object_at(entry, "citationMetadata").items():
            known = self.citations.setdefault(key, {})
            for citation in value if isinstance(value, list) else [value]:
                known.setdefault(compact(citation), citation)
        if entry.get("logprobsResult") is not None:
            self._take_logprobs(object_at(entry, "logprobsResult"))

    def _part(self, part: dict[str, Any]) -> bool:
        """Take a part; return whether it says anything."""
        if part.get("functionCall") is not None:
            self.calls.take(part)
            return True
        text = string_at(part, "text")
        thought = bool(part.get("thought"))
        if text is not None:
            (self.thoughts if thought else self.content).add(text)
        rest = {key: value for key, value in part.items() if key not in ("text", "thought") and value is not None}
        if rest:
            self.parts.append({"thought": True, **rest} if thought else rest)
        return bool(text) or bool(rest.keys() - {"thoughtSignature"})

    def _take_logprobs(self, logprobs: dict[str, Any]) -> None:
        self.logprobs = self.logprobs or {}
        for key, value in logprobs.items():
            if isinstance(value, list):
                self.logprobs.setdefault(key, []).extend(value)
            elif value is not None:
                self.extra[f"logprobsResult.{key}"] = value

    def build(self, trouble: str | None) -> Choice:
        """Return the choice; `trouble` says why nothing of it may be executed."""
        if trouble is None and self.finish_reason != "STOP":
            trouble = f"the answer did not end by itself (finish reason {short(str(self.finish_reason))})"
        extra = dict(self.extra)
        if self.parts:
            extra["parts"] = list(self.parts)
        if self.citations:
            extra["citationMetadata"] = {key: list(known.values()) for key, known in self.citations.items()}
        logprobs = None if self.logprobs is None else {key: list(value) for key, value in self.logprobs.items()}
        return Choice(
            index=self.index,
            role="assistant" if self.role in ("", "model") else self.role,
            content=self.content.value,
            reasoning=self.thoughts.value,
            tool_calls=self.calls.build(trouble),
            finish_reason=self.finish_reason,
            logprobs=repaired(logprobs),
            extra=repaired(extra),
        )
