"""OpenAI Chat Completions, streamed: payloads to a Completion.

Source: the API reference of Chat Completions ("chat.completion.chunk") and the habits of servers that speak it. Where
servers differ, the rule is the one that loses nothing and merges nothing: a call is found by its id first, then by its
index; a repeated name is the same name, another fragment of it is appended; usage is the last one given; a finish
reason is the first one given; null and "" mean absent.

The tool-call rules are in `openai_tool_calls`. A stream is finished when every choice has a finish reason, or `[DONE]`
came; with neither it was cut off, whatever the transport says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion, FunctionCall, argument_problem
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.openai_tool_calls import ToolCalls, without_placeholder
from streamkit.dialects.text import Text, add_name, kept, merge_extra, pair_surrogates, shown
from streamkit.errors import DialectError, PayloadError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAIChat", "Reader"]

# Where providers put the reasoning, best first: the same text may come under two of these names.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
# An answer with one of these finish reasons was cut off: the length limits, filters and failures of several providers.
_CUT_OFF = {
    "length", "max_tokens", "model_length", "content_filter", "error", "abort", "aborted", "cancelled",
    "insufficient_system_resource", "network_error", "sensitive",
}  # fmt: skip
# After one of these, or [DONE] alone, a call without arguments is a call without arguments.
_COMPLETE = {None, "stop", "tool_calls", "function_call", "tool_use", "end_turn", "eos", "eos_token", "STOP"}
_KNOWN_PAYLOAD = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
_NOISE = {"obfuscation", "p"}  # padding against traffic analysis; says nothing
_KNOWN_CHOICE = {"index", "delta", "finish_reason", "logprobs", "message", "usage", *_NOISE}
_KNOWN_DELTA = {"role", "content", "refusal", "tool_calls", "function_call", *_REASONING}


class OpenAIChat:
    """The dialect `openai_chat`."""

    name = "openai_chat"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a payload near the beginning is a chat completion chunk, or the request asked for one."""
        request = transcript.request
        if request is not None and request.url.split("?")[0].rstrip("/").endswith("/chat/completions"):
            return True
        for event in SSEDecoder().feed(transcript.body[:65536]):
            try:
                payload = json.loads(event.data)
            except (ValueError, RecursionError):
                continue
            if not isinstance(payload, dict):
                continue
            if payload.get("object") == "chat.completion.chunk":
                return True
            choices = payload.get("choices")
            if isinstance(choices, list) and any(isinstance(c, dict) and "delta" in c for c in choices):
                return True
            foreign = payload.get("type") in ("ping", "keepalive", "error") or "error" in payload
            if payload and choices != [] and not foreign:
                return False  # the payload of another API
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript of a completion; see `openai_chat_emit.emit`."""
        from streamkit.dialects.openai_chat_emit import emit

        return emit(completion, layout)


class Reader:
    """Bytes in, Completion out: the decoder and the accumulator behind one `feed`.

    It can be copied (`copy.deepcopy`) at any point of a stream.
    """

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._accumulator = Accumulator()

    def feed(self, data: Buffer) -> None:
        """Take the next bytes of the body.

        Raises:
            ProviderError: an error payload.
            PayloadError: an event that is no payload.
        """
        for event in self._decoder.feed(data):
            self._accumulator.feed(event)

    def close(self) -> None:
        """End the stream."""
        self._decoder.close()

    def result(self) -> Completion:
        """Return the completion.

        Raises:
            TruncatedStreamError: the stream ended early.
            DialectError: what `feed` raised, again.
        """
        self._accumulator.check()
        completion = self._accumulator.completion()
        if completion.ended:
            return completion
        what = "no finish reason and no [DONE] came" if completion.choices else "no choice came"
        if not self._accumulator.payloads and not self._accumulator.done:
            what = "no event at all came"
        if self._decoder.discarded:
            what += f", and the last {self._decoder.discarded} bytes are an unfinished event"
        error = TruncatedStreamError(f"the stream ended early: {what}")
        error.partial = completion
        raise error

    def snapshot(self) -> Completion:
        """Return what there is so far."""
        return self._accumulator.completion()


class Accumulator:
    """Fold of chat completion payloads into a Completion.

    Attributes:
        done: `[DONE]` came; whatever follows it is ignored.
        payloads: how many payloads were taken.
    """

    def __init__(self) -> None:
        self.done = False
        self.payloads = 0
        self._error: DialectError | None = None
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] | None = None
        self._first: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def feed(self, event: ServerSentEvent) -> None:
        """Take one event.

        Raises:
            ProviderError: the event reports an error.
            PayloadError: the event's data is not UTF-8, not JSON, or not of the shape of a payload.
                Both hold the completion so far as `partial`, and both are raised again by every later call.
        """
        self.check()
        if self.done or not event.data.strip():
            return
        if event.data.strip() == "[DONE]":
            self.done = True
            return
        try:
            self._event(event)
        except DialectError as error:
            self._error = error
            error.partial = self.completion()
            raise

    def check(self) -> None:
        """Raise the error that broke the stream, if one did."""
        if self._error is not None:
            raise self._error

    def _event(self, event: ServerSentEvent) -> None:
        if event.lossy:
            raise PayloadError(f"the event's data is not UTF-8: {_short(event.data)}")
        try:
            payload = json.loads(event.data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise PayloadError(f"the event's data is not JSON ({error}): {_short(event.data)}") from None
        if not isinstance(payload, dict):
            raise PayloadError(f"the event's data is JSON, but no object: {_short(event.data)}")
        self.payloads += 1
        if event.event == "error" or is_error(payload):
            raise provider_error(payload)
        self._payload(payload)

    def _payload(self, payload: dict[str, Any]) -> None:
        choices = payload.get("choices")
        groq = payload.get("x_groq")
        if isinstance(groq, dict) and groq.get("error"):
            raise provider_error(groq)
        if choices is None and "object" not in payload and "usage" not in payload:
            return  # a ping or another foreign event
        for name in ("id", "model", "created", "system_fingerprint", "service_tier"):
            if payload.get(name) and name not in self._first:
                self._first[name] = payload[name]
        self._take_usage(payload.get("usage"))
        for key, value in payload.items():
            if key not in _KNOWN_PAYLOAD and key not in _NOISE and value is not None:
                self._extra[key] = value
                if key == "x_groq" and isinstance(value, dict):
                    self._take_usage(value.get("usage"))
        for entry in _list(choices, "choices"):
            if entry:
                self._choice(_object(entry, "an entry of choices"))

    def _take_usage(self, usage: Any) -> None:
        if usage:
            self._usage = _object(usage, "usage")
        elif usage is not None and self._usage is None and isinstance(usage, dict):
            self._usage = usage

    def _choice(self, entry: dict[str, Any]) -> None:
        index = entry.get("index") or 0
        if type(index) is not int:
            raise PayloadError(f"choice index {index!r} is no whole number")
        if is_error(entry):
            raise provider_error(entry)
        self._take_usage(entry.get("usage"))
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        choice.take(entry)

    def completion(self) -> Completion:
        """Return what there is so far. Of a stream that broke, or has not ended for every choice, nothing is ended."""
        parts = [self._choices[index] for index in sorted(self._choices)]
        ended = bool(parts) and self._error is None and (self.done or all(part.finish_reason for part in parts))
        choices = tuple(part.build(ended=ended) for part in parts)
        extra = kept(self._extra)
        return Completion(choices=choices, usage=self._usage, ended=ended, extra=extra, **kept(self._first))


class _Choice:
    """What came so far of one choice."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.role = ""
        self.content = Text()
        self.refusal = Text()
        self.reasoning = {name: Text() for name in (*_REASONING, "parts", "details")}
        self.calls = ToolCalls()
        self.function_name: str | None = None
        self.function_arguments = Text()
        self.finish_reason: str | None = None
        self.logprobs: dict[str, list[Any]] | None = None
        self.extra: dict[str, Any] = {}

    def take(self, entry: dict[str, Any]) -> None:
        delta = entry.get("delta")
        if not delta and isinstance(entry.get("message"), dict) and not self.content and not self.calls:
            delta = entry["message"]  # a whole answer sent as a single event
        if delta is not None:
            self._delta(_object(delta, "delta"))
        for key, value in entry.items():
            if key not in _KNOWN_CHOICE and value is not None:
                self.extra[key] = value
        if isinstance(entry.get("logprobs"), dict):
            self._take_logprobs(entry["logprobs"])
        elif entry.get("logprobs") is not None:
            self.extra["logprobs"] = entry["logprobs"]  # some servers send a bare number
        reason = entry.get("finish_reason")
        if reason and self.finish_reason is None:
            self.finish_reason = _string(reason, "finish_reason")

    def _delta(self, delta: dict[str, Any]) -> None:
        if delta.get("role") and not self.role:
            self.role = _string(delta["role"], "role")
        content = delta.get("content")
        if isinstance(content, list):
            self._content_parts(content)
        elif content is not None:
            self.content.add(_string(content, "content"))
        if delta.get("refusal") is not None:
            self.refusal.add(_string(delta["refusal"], "refusal"))
        for name in _REASONING:
            if isinstance(delta.get(name), str):
                self.reasoning[name].add(delta[name])
        details = delta.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            text = detail.get("text") or detail.get("summary") if isinstance(detail, dict) else None
            if isinstance(text, str):
                self.reasoning["details"].add(text)
        for call in _list(delta.get("tool_calls"), "tool_calls"):
            if call is not None:
                self.calls.take(_object(call, "an entry of tool_calls"))
        if delta.get("function_call"):
            self._take_function_call(_object(delta["function_call"], "function_call"))
        for key, value in delta.items():
            if value is not None and (key not in _KNOWN_DELTA or (key in _REASONING and not isinstance(value, str))):
                merge_extra(self.extra, key, value)

    def _take_function_call(self, function: dict[str, Any]) -> None:
        """Take a fragment of a call in the legacy form."""
        if self.function_name is None:
            self.function_name = ""
        if function.get("name"):
            self.function_name = add_name(self.function_name, _string(function["name"], "function name"))
        if function.get("arguments") is not None:
            self.function_arguments.add(_string(function["arguments"], "arguments"))

    def _content_parts(self, parts: list[Any]) -> None:
        """Take content in typed parts, as Mistral and Databricks send it."""
        for part in parts:
            if isinstance(part, str):
                self.content.add(part)
                continue
            kind = _object(part, "an entry of content").get("type")
            if kind in (None, "text") and isinstance(part.get("text"), str):
                self.content.add(part["text"])
            elif kind in ("thinking", "reasoning"):
                inner = part.get("thinking") or part.get("summary") or part.get("text")
                for piece in inner if isinstance(inner, list) else [inner]:
                    text = piece.get("text") if isinstance(piece, dict) else piece
                    if isinstance(text, str):
                        self.reasoning["parts"].add(text)
            else:
                merge_extra(self.extra, "content_parts", [part])

    def _take_logprobs(self, logprobs: dict[str, Any]) -> None:
        if self.logprobs is None:
            self.logprobs = {}
        for key, value in logprobs.items():
            if isinstance(value, list):
                self.logprobs.setdefault(key, []).extend(value)
            elif value is not None:
                self.extra[f"logprobs.{key}"] = value

    def build(self, *, ended: bool) -> Choice:
        """Return the choice; `ended` says whether what it holds is all of it."""
        trouble = empty_trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self.finish_reason in _CUT_OFF:
            trouble = f"the answer was cut off (finish reason {self.finish_reason})"
        elif self.finish_reason not in _COMPLETE:
            empty_trouble = f"it has no arguments, and finish reason {self.finish_reason} may mean that it was cut off"
        function = None
        if self.function_name is not None:
            arguments = without_placeholder(str(self.function_arguments))
            problem = trouble or ("it has no name" if not self.function_name else argument_problem(arguments))
            problem = problem or (None if arguments.strip() else empty_trouble)
            function = FunctionCall(pair_surrogates(self.function_name), arguments, problem)
        return Choice(
            index=self.index,
            role=self.role or "assistant",
            content=self.content.value,
            refusal=self.refusal.value,
            reasoning=next((str(text) for text in self.reasoning.values() if text), None),
            tool_calls=self.calls.build(trouble, empty_trouble),
            function_call=function,
            finish_reason=self.finish_reason,
            logprobs=None if self.logprobs is None else {key: list(value) for key, value in self.logprobs.items()},
            extra=kept(self.extra),
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is {shown(value)}, where an object belongs")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PayloadError(f"{what} is {shown(value)}, where a list belongs")
    return value


def _string(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{what} is {shown(value)}, where a string belongs")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."
