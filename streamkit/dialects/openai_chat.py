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
from streamkit.dialects.openai_tool_calls import ToolCalls
from streamkit.dialects.text import Text, add_name, merge_extra
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAIChat", "Reader"]

# Where providers put the reasoning, best first: the same text may come under two of these names.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_KNOWN_PAYLOAD = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
_NOISE = {"obfuscation", "p"}  # padding against traffic analysis; says nothing
_KNOWN_CHOICE = {"index", "delta", "finish_reason", "logprobs", "message", "usage", *_NOISE}
_KNOWN_DELTA = {"role", "content", "refusal", "tool_calls", "function_call", *_REASONING}


class OpenAIChat:
    """The dialect `openai_chat`."""

    name = "openai_chat"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the first payload that can be read is a chat completion chunk, or the request asked for one."""
        request = transcript.request
        if request is not None and request.url.split("?")[0].rstrip("/").endswith("/chat/completions"):
            return True
        for event in SSEDecoder().feed(transcript.body[:65536]):
            try:
                payload = json.loads(event.data)
            except ValueError:
                continue
            if isinstance(payload, dict):
                if payload.get("object") == "chat.completion.chunk":
                    return True
                choices = payload.get("choices")
                if isinstance(choices, list) and any(isinstance(c, dict) and "delta" in c for c in choices):
                    return True
                if choices != []:
                    return False
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()


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
        """
        completion = self._accumulator.completion()
        if completion.ended:
            return completion
        what = "no event at all came" if not self._accumulator.payloads else "no finish reason and no [DONE] came"
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
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] | None = None
        self._first: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def feed(self, event: ServerSentEvent) -> None:
        """Take one event.

        Raises:
            ProviderError: the event reports an error.
            PayloadError: the event's data is not UTF-8, not JSON, or not of the shape of a payload.
                Both hold the completion so far as `partial`.
        """
        if self.done or not event.data.strip():
            return
        if event.data.strip() == "[DONE]":
            self.done = True
            return
        try:
            self._event(event)
        except DialectError as error:
            error.partial = self.completion(failed=True)
            raise

    def _event(self, event: ServerSentEvent) -> None:
        if event.lossy:
            raise PayloadError(f"the event's data is not UTF-8: {_short(event.data)}")
        try:
            payload = json.loads(event.data)
        except (ValueError, RecursionError) as error:
            raise PayloadError(f"the event's data is not JSON ({error}): {_short(event.data)}") from None
        if not isinstance(payload, dict):
            raise PayloadError(f"the event's data is JSON, but no object: {_short(event.data)}")
        self.payloads += 1
        if event.event == "error" or _is_error(payload):
            raise _provider_error(payload)
        self._payload(payload)

    def _payload(self, payload: dict[str, Any]) -> None:
        choices = payload.get("choices")
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
        if _is_error(entry):
            raise _provider_error(entry)
        self._take_usage(entry.get("usage"))
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        choice.take(entry)

    def completion(self, *, failed: bool = False) -> Completion:
        """Return what there is so far.

        Args:
            failed: the stream broke: nothing of it counts as ended.
        """
        parts = [self._choices[index] for index in sorted(self._choices)]
        ended = not failed and (self.done or (bool(parts) and all(part.finish_reason for part in parts)))
        choices = tuple(part.build(ended=not failed and (self.done or bool(part.finish_reason))) for part in parts)
        return Completion(choices=choices, usage=self._usage, ended=ended, extra=dict(self._extra), **self._first)


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
        if delta is None and isinstance(entry.get("message"), dict) and not self.content and not self.calls:
            delta = entry["message"]  # a whole answer sent as a single event
        if delta is not None:
            self._delta(_object(delta, "delta"))
        for key, value in entry.items():
            if key not in _KNOWN_CHOICE and value is not None:
                self.extra[key] = value
        if entry.get("logprobs"):
            self._take_logprobs(_object(entry["logprobs"], "logprobs"))
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
        for detail in delta.get("reasoning_details") or ():
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
                inner = part.get("thinking") or part.get("summary") or part.get("text") or ()
                for piece in [inner] if isinstance(inner, str) else inner:
                    self.reasoning["parts"].add(piece if isinstance(piece, str) else piece.get("text") or "")
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
        trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self.finish_reason in ("length", "content_filter"):
            trouble = f"the answer was cut off (finish reason {self.finish_reason})"
        function = None
        if self.function_name is not None:
            arguments = str(self.function_arguments)
            problem = trouble or ("it has no name" if not self.function_name else argument_problem(arguments))
            function = FunctionCall(self.function_name, arguments, problem)
        return Choice(
            index=self.index,
            role=self.role or "assistant",
            content=self.content.value,
            refusal=self.refusal.value,
            reasoning=next((str(text) for text in self.reasoning.values() if text), None),
            tool_calls=self.calls.build(trouble),
            function_call=function,
            finish_reason=self.finish_reason,
            logprobs=None if self.logprobs is None else {key: list(value) for key, value in self.logprobs.items()},
            extra=dict(self.extra),
        )


def _is_error(value: dict[str, Any]) -> bool:
    return bool(value.get("error")) or (
        not value.get("choices") and (value.get("object") == "error" or value.get("type") == "error")
    )


def _provider_error(payload: dict[str, Any]) -> ProviderError:
    error = payload.get("error") or payload
    if not isinstance(error, dict):
        return ProviderError(f"the provider reported an error: {_short(str(error))}", payload=payload)
    code = error.get("code") or error.get("type") or error.get("status")
    message = error.get("message") or error.get("detail") or json.dumps(error)
    return ProviderError(
        f"the provider reported an error: {_short(str(message))}" + (f" ({code})" if code else ""),
        code=code if isinstance(code, str | int) else None,
        payload=payload,
    )


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is {_short(json.dumps(value))}, where an object belongs")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PayloadError(f"{what} is {_short(json.dumps(value))}, where a list belongs")
    return value


def _string(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{what} is {_short(json.dumps(value))}, where a string belongs")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."
