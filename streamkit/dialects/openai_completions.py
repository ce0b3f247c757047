"""OpenAI's legacy Completions (/v1/completions), streamed: payloads to a Completion.

Source: the API reference of Completions and the openai library's `Completion` type. There is no delta: each payload is
a `text_completion` whose choices hold the next piece of `text`. The rules are those of `openai_chat`: a finish reason
is the first one given, usage the last one, null means absent, and the stream is finished when every choice has a finish
reason or `[DONE]` came. `logprobs` holds lists (tokens, token_logprobs, top_logprobs, text_offset), which are joined.

A choice with a `delta` is chat's, whatever its payload calls itself, and is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.detection import asked, first_payloads, says_nothing
from streamkit.dialects.openai_choices import ChoicesAccumulator
from streamkit.dialects.payloads import number_at, payload, short, string_at, wrong
from streamkit.dialects.reader import EventReader
from streamkit.dialects.text import Text, merge_extra, repaired
from streamkit.errors import PayloadError

if TYPE_CHECKING:
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAICompletions", "Reader"]

_KNOWN_CHOICE = {"index", "text", "finish_reason", "logprobs"}


class OpenAICompletions:
    """The dialect `openai_completions`."""

    name = "openai_completions"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a payload near the beginning is a text completion, or the request asked for one."""
        path = asked(transcript)
        if path.endswith("/completions"):
            return not path.endswith("/chat/completions")
        for _, value in first_payloads(transcript):
            choices = value.get("choices")
            if isinstance(choices, list) and choices:
                first = choices[0]
                return (
                    value.get("object") in ("text_completion", None)
                    and isinstance(first, dict)
                    and isinstance(first.get("text"), str)
                    and "delta" not in first
                )
            if choices != [] and not says_nothing(value):
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


class Accumulator(ChoicesAccumulator):
    """Fold of text completion payloads into a Completion."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}

    def _parsed(self, event: ServerSentEvent) -> dict[str, Any]:
        if event.lossy:
            raise PayloadError(f"the event's data is not UTF-8: {short(event.data)}")
        return payload(event.data, "the event's data")

    def _choice(self, entry: dict[str, Any]) -> None:
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
