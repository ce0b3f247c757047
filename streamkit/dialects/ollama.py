"""Ollama's own API, streamed: the lines of /api/chat and /api/generate to a Completion.

Source: Ollama's API reference (docs/api.md) and the types of its client libraries. Each line is a JSON object; `done`
is true on the last one, which holds `done_reason` (since 0.1.38) and the counts. The rules:

- Chat sends `message.content`, `message.thinking` and `message.tool_calls`; generate sends `response`, `thinking` and
  no message. Both become the one choice that an answer has.
- A call comes whole, its arguments as an object, and each entry of `tool_calls` is another call, whatever its index
  says: old versions send index 0 for all of them or none. Arguments that come as a string are taken as they are.
- The stream is finished when `done` was true. Nothing may follow: whatever does is an error, for it belongs to no
  answer. A stream without that line was cut off, whatever the transport says.
- A call may be executed if the answer is done and its reason is `stop`, or none was given, or `tool_calls`, as other
  servers of this API have it. `length` and all others say that the answer is not what the model wanted to say.
- `usage` is made of the counts and durations of the last line, in its order. `created_at` is the first line's.
- A line with `error` ends the stream with that error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion, ToolCall, argument_problem
from streamkit.dialects.detection import HEAD, asked
from streamkit.dialects.openai_errors import provider_error
from streamkit.dialects.payloads import (
    compact,
    list_at,
    misplaced,
    number_at,
    object_at,
    objects_at,
    optional,
    payload,
    short,
    string_at,
)
from streamkit.dialects.reader import Fold, StreamReader
from streamkit.dialects.text import Text, merge_extra, pair_surrogates, repaired, shown
from streamkit.errors import DialectError, PayloadError
from streamkit.wire.ndjson import NDJSONDecoder

if TYPE_CHECKING:
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["Accumulator", "Ollama", "Reader"]

_USAGE = (
    "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration",
)  # fmt: skip
_KNOWN = {"model", "created_at", "message", "response", "thinking", "tool_calls", "done", "done_reason", "logprobs"}
_KNOWN_MESSAGE = {"role", "content", "thinking", "tool_calls"}
_KNOWN_CALL = {"id", "type", "function"}
_KNOWN_FUNCTION = {"index", "name", "arguments"}
_COMPLETE = {None, "stop", "tool_calls"}


class Ollama:
    """The dialect `ollama`."""

    name = "ollama"
    wire = "ndjson"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the first line is one of chat or generate, or is an error that they answered with."""
        ours = asked(transcript).endswith(("/api/chat", "/api/generate"))
        head = transcript.body[:HEAD]
        lines = NDJSONDecoder().feed(head + (b"\n" if len(head) == len(transcript.body) else b""))
        if not lines:
            return ours and not head.strip()
        try:
            first = payload(lines[0], "the line")
        except PayloadError:
            return False
        if isinstance(first.get("done"), bool):
            return isinstance(first.get("message"), dict) or isinstance(first.get("response"), str)
        return ours and "error" in first

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript of /api/chat that accumulates to a completion.

        Args:
            completion: what the transcript is to say; it has ended, and has one choice.
            layout: `token_size`, `calls` ("whole" for all calls in one line), `keep_alive` (blank lines) and `chunk`
                are followed; Ollama has no choice in the rest.

        Raises:
            UsageError: Ollama cannot carry the completion; the message names what.
        """
        from streamkit.dialects.ollama_emit import emit

        return emit(completion, layout)


class Reader(StreamReader):
    """The reader of `ollama`."""

    def __init__(self) -> None:
        super().__init__(NDJSONDecoder(), Accumulator())
        self._unfinished = b""

    def close(self) -> None:
        """End the stream. A last line without its line end counts if it is whole."""
        offsets: list[int] = []
        for line, offset in zip(self._decoder.close(offsets), offsets, strict=True):
            if not self._accumulator.take_last(line, offset):
                self._unfinished = line

    def _rest(self) -> str:
        return f"the last {len(self._unfinished)} bytes are an unfinished line" if self._unfinished else ""


class Accumulator(Fold):
    """Fold of lines into a Completion.

    Attributes:
        done: the line with `done: true` came.
        lines: how many lines were taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done = False
        self.lines = 0
        self._role = ""
        self._content = Text()
        self._thinking = Text()
        self._calls: list[ToolCall] = []
        self._reason: str | None = None
        self._logprobs: list[Any] | None = None
        self._usage: dict[str, Any] = {}
        self._model: str | None = None
        self._message_extra: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no line with done: true came" if completion.choices else "no line came"

    def take_last(self, line: bytes, offset: int) -> bool:
        """Take the last line of a body, which has no line end; return whether it was whole.

        What is wrong with a whole one is raised by `check`.

        Args:
            line: the line.
            offset: where in the body it begins, in bytes.
        """
        if self._error is not None:
            return True
        try:
            self._read(line)
        except PayloadError:
            if not self.done:
                return False
            text = short(line.decode("utf-8", "replace"))
            self.fail(PayloadError(f"something follows the last line: {text}"), offset=offset)
            return True
        with suppress(DialectError):
            self.feed(line, offset)
        return True

    def _read(self, line: bytes) -> dict[str, Any]:
        return payload(line, "the line")

    def _take(self, line: dict[str, Any], event: bytes) -> None:
        if line.get("error"):
            raise provider_error(line)
        if self.done:
            raise PayloadError(f"a line follows the one with done: true: {shown(line)}")
        if not {"message", "response", "done"} & line.keys():
            raise PayloadError(f"this is no line of an answer: {shown(line)}")
        done = optional(line, "done", bool)
        self.lines += 1
        model = string_at(line, "model")
        self._model = self._model or model or None
        if line.get("created_at") is not None:
            self._extra.setdefault("created_at", line["created_at"])
        message = object_at(line, "message")
        role = string_at(message, "role")
        self._role = self._role or role or ""
        for text, piece in (
            (self._content, string_at(message, "content")),
            (self._content, string_at(line, "response")),
            (self._thinking, string_at(message, "thinking")),
            (self._thinking, string_at(line, "thinking")),
        ):
            if piece is not None:
                text.add(piece)
        for holder in (message, line):
            for entry in objects_at(holder, "tool_calls"):
                self._calls.append(_call(entry))
        if line.get("logprobs") is not None:
            self._logprobs = self._logprobs or []
            self._logprobs.extend(list_at(line, "logprobs"))
        for key, value in message.items():
            if key not in _KNOWN_MESSAGE and value is not None:
                merge_extra(self._message_extra, key, value)
        for key, value in line.items():
            if value is None or key in _KNOWN:
                continue
            if key in _USAGE:
                self._usage[key] = value
            else:
                self._extra[key] = value
        reason = string_at(line, "done_reason")
        self._reason = self._reason or reason or None
        self.done = bool(done)

    def completion(self) -> Completion:
        """Return what there is so far. Of a stream that is not done nothing is finished."""
        ended = self.done and self._error is None
        trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self._reason not in _COMPLETE:
            trouble = f"the answer did not end by itself (done_reason {self._reason})"
        choice = Choice(
            index=0,
            role=self._role or "assistant",
            content=self._content.value,
            reasoning=self._thinking.value,
            tool_calls=tuple(_judged(call, trouble) for call in self._calls),
            finish_reason=self._reason if self.done else None,
            logprobs=None if self._logprobs is None else {"content": list(self._logprobs)},
            extra=repaired(self._message_extra),
        )
        return Completion(
            choices=(choice,) if self.lines else (),
            usage=dict(self._usage) or None,
            model=self._model,
            ended=ended,
            extra=repaired(self._extra),
        )


def _call(entry: dict[str, Any]) -> ToolCall:
    """Return the call of one entry of `tool_calls`, not yet judged."""
    function = object_at(entry, "function")
    arguments = function.get("arguments")
    if arguments is None:
        arguments = ""
    elif isinstance(arguments, dict):
        arguments = compact(arguments)
    elif not isinstance(arguments, str):
        raise misplaced(function, "arguments", dict)
    extra = {key: value for key, value in entry.items() if key not in _KNOWN_CALL and value is not None}
    inner = {key: value for key, value in function.items() if key not in _KNOWN_FUNCTION and value is not None}
    return ToolCall(
        id=string_at(entry, "id") or None,
        name=pair_surrogates(string_at(function, "name") or ""),
        arguments=pair_surrogates(arguments),
        type=string_at(entry, "type") or "function",
        index=number_at(function, "index"),
        extra=repaired({**extra, **({"function": inner} if inner else {})}),
    )


def _judged(call: ToolCall, trouble: str | None) -> ToolCall:
    problem = trouble or (None if call.name else "it has no name") or argument_problem(call.arguments)
    return ToolCall(call.id, call.name, call.arguments, call.type, call.index, problem, call.extra)
