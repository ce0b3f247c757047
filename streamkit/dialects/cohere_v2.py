"""Cohere's chat API, version 2, streamed: server-sent events to a Completion.

Source: the API reference of "Chat with streaming" (v2), the types of the cohere library (V2ChatStreamResponse), and
recordings. An event's `type` is in its data; the SSE event name repeats it. The stream is finished when `message-end`
came; `[DONE]` follows in most recordings, and alone it finishes nothing. Version 1 (`event_type`, NDJSON) is another
dialect.

How it maps: the texts of the content blocks are joined in the order of their indices. Blocks of type "thinking" are the
`reasoning`; where there are none, the tool plan is, which the API calls a chain of thought and which is not addressed
to the user. The plan is in `extra["tool_plan"]` in any case, since the next request has to carry it. Citations are in
`extra["citations"]` in order of arrival. `message-end` with an `error` is a ProviderError; a finish reason ERROR or
TIMEOUT without one is an answer that was cut off. Indices are optional in the library's types: an event without one
belongs to the block or call that is open, if there is just one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.cohere_v2_parts import Calls, Contents, optional, required
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.text import Text, repaired
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "CohereV2", "Reader"]

# An answer with one of these finish reasons was cut off.
_CUT_OFF = {"MAX_TOKENS", "ERROR", "TIMEOUT"}
# After one of these a call without arguments is a call without arguments.
_COMPLETE = {"COMPLETE", "TOOL_CALL"}
# What gateways put between the events of any API; like an empty object, it says nothing.
_KEEP_ALIVE = {"ping", "keepalive"}
_KNOWN = {
    "message-start": {"id", "delta"},
    "content-start": {"index", "delta"},
    "content-delta": {"index", "delta", "logprobs"},
    "content-end": {"index"},
    "tool-plan-delta": {"delta"},
    "tool-call-start": {"index", "delta"},
    "tool-call-delta": {"index", "delta"},
    "tool-call-end": {"index"},
    "citation-start": {"index", "delta"},
    "citation-end": {"index"},
    "message-end": {"id", "delta"},
    "debug": {"prompt"},
}


class CohereV2:
    """The dialect `cohere_v2`."""

    name = "cohere_v2"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the request went to Cohere's `/v2/chat`, or the first payload is one of its events."""
        request = transcript.request
        if request is not None:
            host, _, path = request.url.split("?")[0].partition("://")[2].partition("/")
            if "cohere" in host.lower() and path.rstrip("/").endswith("v2/chat"):
                return True
        for event in SSEDecoder().feed(transcript.body[:65536]):
            try:
                payload = json.loads(event.data)
            except (ValueError, RecursionError):
                return False
            if not isinstance(payload, dict):
                return False
            if payload.get("type") != "debug":
                return _is_event(payload)
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to a completion.

        Args:
            completion: what it says.
            layout: how it is spread over events; usage has its one place in this dialect.

        Raises:
            UsageError: the dialect cannot carry the completion; the message names what of it.
        """
        from streamkit.dialects.cohere_v2_emit import emit

        return emit(completion, layout)


def _is_event(payload: dict[str, Any]) -> bool:
    kind, delta = payload.get("type"), payload.get("delta")
    if not isinstance(kind, str) or kind not in _KNOWN:
        return False
    if kind == "message-end":
        return isinstance(delta, dict) and "finish_reason" in delta
    return isinstance(delta, dict) and isinstance(delta.get("message"), dict)


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
            ProviderError: the stream reports an error.
            PayloadError: an event that is no payload, or stands where it cannot.
        """
        self._accumulator.check()
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
        what = "no message-end came" if self._accumulator.payloads else "no event at all came"
        if self._decoder.discarded:
            what += f", and the last {self._decoder.discarded} bytes are an unfinished event"
        error = TruncatedStreamError(f"the stream ended early: {what}")
        error.partial = completion
        raise error

    def snapshot(self) -> Completion:
        """Return what there is so far."""
        return self._accumulator.completion()


class Accumulator:
    """Fold of chat events into a Completion.

    Attributes:
        done: `[DONE]` came; whatever follows it is ignored.
        payloads: how many payloads were taken.
    """

    def __init__(self) -> None:
        self.done = False
        self.payloads = 0
        self._error: DialectError | None = None
        self._begun = self._started = self._ended = False
        self._id: str | None = None
        self._role: str | None = None
        self._contents = Contents()
        self._plan = Text()
        self._calls = Calls()
        self._citations: list[Any] = []
        self._logprobs: list[Any] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._choice_extra: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}
        self._debug: list[Any] = []
        self._unknown: list[Any] = []

    def feed(self, event: ServerSentEvent) -> None:
        """Take one event.

        Raises:
            ProviderError: the event reports an error.
            PayloadError: the event's data is not UTF-8, not JSON, or no event of the dialect at this place.
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
            raise PayloadError(f"the event's data is not UTF-8: {event.data[:200]}")
        try:
            payload = json.loads(event.data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise PayloadError(f"the event's data is not JSON ({error}): {event.data[:200]}") from None
        if not isinstance(payload, dict):
            raise PayloadError(f"the event's data is JSON, but no object: {event.data[:200]}")
        self.payloads += 1
        kind = payload.get("type")
        untyped = not isinstance(kind, str) and (is_error(payload) or payload.get("message"))
        if event.event == "error" or kind == "error" or untyped:
            raise provider_error(payload)
        if isinstance(kind, str) and kind in _KNOWN:
            self._payload(kind, {key: value for key, value in payload.items() if key != "type" and value is not None})
        elif payload and kind not in _KEEP_ALIVE:
            self._unknown.append(payload)

    def _payload(self, kind: str, payload: dict[str, Any]) -> None:
        if self._ended and kind != "debug":
            raise PayloadError(f"{kind} after message-end")
        for key, value in payload.items():
            if key not in _KNOWN[kind]:
                self._extra[key] = value
        if kind == "debug":
            self._debug.append(payload.get("prompt"))
            return
        self._begun = True
        index = optional(payload, "index", int)
        delta = optional(payload, "delta", dict) or {}
        self._id = self._id or optional(payload, "id", str)
        if kind == "message-end":
            self._end(delta)
            return
        message = optional(delta, "message", dict) or {}
        if kind == "message-start":
            self._start(message)
        elif kind == "content-start":
            self._contents.start(index, required(message, "content", dict))
        elif kind == "content-delta":
            self._contents.delta(index, required(message, "content", dict))
            if "logprobs" in payload:
                self._logprobs.append(payload["logprobs"])
        elif kind == "content-end":
            self._contents.end(index)
        elif kind == "tool-plan-delta":
            self._plan.add(required(message, "tool_plan", str))
        elif kind == "tool-call-start":
            self._calls.start(index, required(message, "tool_calls", dict))
        elif kind == "tool-call-delta":
            self._calls.delta(index, required(message, "tool_calls", dict))
        elif kind == "tool-call-end":
            self._calls.end(index)
        elif kind == "citation-start":
            self._citations.append(required(message, "citations", dict))

    def _start(self, message: dict[str, Any]) -> None:
        if self._started:
            raise PayloadError("a second message-start")
        self._started = True
        self._role = optional(message, "role", str)
        plan = optional(message, "tool_plan", str)
        if plan:
            self._plan.add(plan)
        rest = {key: value for key, value in message.items() if value and key not in ("role", "tool_plan")}
        if rest:  # empty lists of what is to come, in all recordings
            self._choice_extra["message"] = rest

    def _end(self, delta: dict[str, Any]) -> None:
        self._ended = True
        self._finish_reason = optional(delta, "finish_reason", str) or None
        self._usage = optional(delta, "usage", dict)
        known = ("finish_reason", "usage", "error")
        self._choice_extra |= {key: value for key, value in delta.items() if key not in known and value is not None}
        error = delta.get("error")
        if error:
            said = error if isinstance(error, str) else json.dumps(error)
            raise ProviderError(
                f"the provider reported an error: {said[:200]} ({self._finish_reason})",
                code=self._finish_reason,
                payload=delta,
            )

    def completion(self) -> Completion:
        """Return what there is so far."""
        ended = self._ended and self._error is None
        trouble = empty_trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self._finish_reason is None:
            trouble = "the answer ended without a finish reason"
        elif self._finish_reason in _CUT_OFF:
            trouble = f"the answer was cut off (finish reason {self._finish_reason})"
        elif self._finish_reason not in _COMPLETE:
            empty_trouble = f"it has no arguments, and finish reason {self._finish_reason} may mean that it was cut off"
        thinking, plan = self._contents.joined("thinking"), self._plan.value
        extra = {"tool_plan": plan, "citations": list(self._citations), "contents": self._contents.others()}
        choice = Choice(
            index=0,
            role=self._role or "assistant",
            content=self._contents.joined("text"),
            reasoning=plan if thinking is None else thinking,
            tool_calls=self._calls.build(trouble, empty_trouble),
            finish_reason=repaired(self._finish_reason),
            logprobs={"content": list(self._logprobs)} if self._logprobs else None,
            extra=repaired({**{key: value for key, value in extra.items() if value}, **self._choice_extra}),
        )
        lists = {"debug": list(self._debug), "unknown_events": list(self._unknown)}
        rest = {**self._extra, **{key: value for key, value in lists.items() if value}}
        return Completion(
            choices=(choice,) if self._begun else (),
            usage=repaired(self._usage),
            id=repaired(self._id),
            ended=ended,
            extra=repaired(rest),
        )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
