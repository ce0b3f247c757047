"""OpenAI's legacy Completions (/v1/completions), streamed: payloads to a Completion.

Source: the API reference of Completions and the openai library's `Completion` type. There is no delta: each payload is
a `text_completion` whose choices hold the next piece of `text`. The rules are those of `openai_chat`: a finish reason
is the first one given, usage the last one, null means absent, and the stream is finished when every choice has a finish
reason or `[DONE]` came. `logprobs` holds lists (tokens, token_logprobs, top_logprobs, text_offset), which are joined.

A choice with a `delta` is chat's, whatever its payload calls itself, and is refused here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.payloads import list_at, misplaced, number_at, object_at, payload, string_at, wrong
from streamkit.dialects.reader import EventAccumulator, EventReader
from streamkit.dialects.text import Text, merge_extra, repaired
from streamkit.errors import PayloadError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAICompletions", "Reader"]

_KNOWN_PAYLOAD = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
_NOISE = {"obfuscation"}  # padding against traffic analysis; says nothing
_KNOWN_CHOICE = {"index", "text", "finish_reason", "logprobs"}


class OpenAICompletions:
    """The dialect `openai_completions`."""

    name = "openai_completions"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a payload near the beginning is a text completion, or the request asked for one."""
        request = transcript.request
        if request is not None:
            path = request.url.split("?")[0].rstrip("/")
            if path.endswith("/completions"):
                return not path.endswith("/chat/completions")
        for event in SSEDecoder().feed(transcript.body[:65536]):
            try:
                value = json.loads(event.data)
            except (ValueError, RecursionError):
                continue
            if not isinstance(value, dict):
                continue
            choices = value.get("choices")
            if isinstance(choices, list) and choices:
                first = choices[0]
                return (
                    value.get("object") in ("text_completion", None)
                    and isinstance(first, dict)
                    and isinstance(first.get("text"), str)
                    and "delta" not in first
                )
            foreign = value.get("type") in ("ping", "keepalive", "error") or "error" in value
            if value and choices != [] and not foreign:
                return False  # the payload of another API
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to a completion.

        Args:
            completion: what the transcript is to say; it has ended.
            layout: all of it is followed but `calls`: there are none.

        Raises:
            UsageError: this dialect cannot carry the completion, or the layout leaves its usage out; the message
                names what.
        """
        from streamkit.dialects.openai_completions_emit import emit

        return emit(completion, layout)


class Reader(EventReader):
    """The reader of `openai_completions`."""

    def __init__(self) -> None:
        super().__init__(Accumulator())


class Accumulator(EventAccumulator):
    """Fold of text completion payloads into a Completion."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] | None = None
        self._first: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no finish reason and no [DONE] came" if completion.choices else "no choice came"

    def _parsed(self, event: ServerSentEvent) -> dict[str, Any]:
        if event.lossy:
            raise PayloadError("the event's data is not UTF-8")
        return payload(event.data, "the event's data")

    def _take(self, value: dict[str, Any], event: ServerSentEvent) -> None:
        if event.event == "error" or is_error(value):
            raise provider_error(value)
        if value.get("choices") is None and "object" not in value and "usage" not in value:
            return  # a ping or another foreign event
        for name in ("id", "model", "created", "system_fingerprint", "service_tier"):
            if value.get(name) and name not in self._first:
                self._first[name] = value[name]
        usage = object_at(value, "usage")
        if usage or (self._usage is None and value.get("usage") is not None):
            self._usage = usage
        for key, item in value.items():
            if key not in _KNOWN_PAYLOAD and key not in _NOISE and item is not None:
                self._extra[key] = item
        for number, entry in enumerate(list_at(value, "choices")):
            if not entry:
                continue
            if not isinstance(entry, dict):
                raise misplaced(value["choices"], number, dict, "an entry of choices")
            index = number_at(entry, "index") or 0
            self._choices.setdefault(index, _Choice(index)).take(entry)

    def completion(self) -> Completion:
        """Return what there is so far."""
        ordered = [self._choices[index] for index in sorted(self._choices)]
        finished = bool(ordered) and all(choice.finish_reason is not None for choice in ordered)
        return Completion(
            choices=tuple(choice.build() for choice in ordered),
            usage=None if self._usage is None else dict(self._usage),
            ended=self._error is None and bool(ordered) and (self.done or finished),
            extra=repaired(self._extra),
            **self._first,
        )


class _Choice:
    """One choice as it grows."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.text = Text()
        self.finish_reason: str | None = None
        self.logprobs: dict[str, list[Any]] | None = None
        self.extra: dict[str, Any] = {}

    def take(self, entry: dict[str, Any]) -> None:
        if entry.get("delta") is not None:
            raise wrong("a choice holds a delta: this is a stream of chat completions", entry, "delta")
        text = string_at(entry, "text")
        if text is not None:
            self.text.add(text)
        logprobs = entry.get("logprobs")
        if isinstance(logprobs, dict):
            self.logprobs = self.logprobs or {}
            for key, value in logprobs.items():
                if isinstance(value, list):
                    self.logprobs.setdefault(key, []).extend(value)
                elif value is not None:
                    self.extra[f"logprobs.{key}"] = value
        elif logprobs is not None:
            self.extra["logprobs"] = logprobs  # some servers send a bare number
        for key, value in entry.items():
            if key not in _KNOWN_CHOICE and value is not None:
                merge_extra(self.extra, key, value)
        reason = string_at(entry, "finish_reason")
        self.finish_reason = self.finish_reason or reason or None

    def build(self) -> Choice:
        """Return the choice."""
        logprobs = None if self.logprobs is None else {key: list(value) for key, value in self.logprobs.items()}
        return Choice(
            index=self.index,
            content=self.text.value,
            finish_reason=self.finish_reason,
            logprobs=repaired(logprobs),
            extra=repaired(self.extra),
        )
