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
from streamkit.dialects.cohere_v2_parts import Calls, Contents
from streamkit.dialects.detection import HEAD, asked
from streamkit.dialects.event_accumulator import EventAccumulator
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.payloads import object_at, optional, required, wrong
from streamkit.dialects.reader import EventReader
from streamkit.dialects.text import Text, repaired
from streamkit.errors import ProviderError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
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
        host, _, path = asked(transcript).partition("://")[2].partition("/")
        if "cohere" in host.lower() and path.endswith("v2/chat"):
            return True
        for event in SSEDecoder().feed(transcript.body[:HEAD]):
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


class Reader(EventReader):
    """The reader of `cohere_v2`."""

    def __init__(self) -> None:
        super().__init__(Accumulator())


class Accumulator(EventAccumulator):
    """Fold of chat events into a Completion."""

    def __init__(self) -> None:
        super().__init__()
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

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no message-end came" if self.payloads else "no event at all came"

    def _take(self, payload: dict[str, Any], event: ServerSentEvent) -> None:
        kind = payload.get("type")
        untyped = not isinstance(kind, str) and (is_error(payload) or payload.get("message"))
        if event.event == "error" or kind == "error" or untyped:
            raise provider_error(payload)
        if isinstance(kind, str) and kind in _KNOWN:
            self._payload(kind, payload)
        elif payload and not (isinstance(kind, str) and kind in _KEEP_ALIVE):
            self._unknown.append(payload)

    def _payload(self, kind: str, payload: dict[str, Any]) -> None:
        if self._ended and kind != "debug":
            raise wrong(f"{kind} after message-end", payload, "type")
        for key, value in payload.items():
            if key not in _KNOWN[kind] and key != "type" and value is not None:
                self._extra[key] = value
        if kind == "debug":
            self._debug.append(payload.get("prompt"))
            return
        self._begun = True
        optional(payload, "index", int)
        delta = object_at(payload, "delta")
        self._id = self._id or optional(payload, "id", str)
        if kind == "message-end":
            self._end(delta)
            return
        message = object_at(delta, "message")
        if kind == "message-start":
            self._start(payload, message)
        elif kind == "content-start":
            self._contents.start(payload, required(message, "content", dict))
        elif kind == "content-delta":
            self._contents.delta(payload, required(message, "content", dict))
            if payload.get("logprobs") is not None:
                self._logprobs.append(payload["logprobs"])
        elif kind == "content-end":
            self._contents.end(payload)
        elif kind == "tool-plan-delta":
            self._plan.add(required(message, "tool_plan", str))
        elif kind == "tool-call-start":
            self._calls.start(payload, required(message, "tool_calls", dict))
        elif kind == "tool-call-delta":
            self._calls.delta(payload, required(message, "tool_calls", dict))
        elif kind == "tool-call-end":
            self._calls.end(payload)
        elif kind == "citation-start":
            self._citations.append(required(message, "citations", dict))

    def _start(self, payload: dict[str, Any], message: dict[str, Any]) -> None:
        if self._started:
            raise wrong("a second message-start", payload, "type")
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
            found = ProviderError(
                f"the provider reported an error: {said[:200]} ({self._finish_reason})",
                code=self._finish_reason,
                payload=delta,
            )
            found.site = (delta, "error")
            raise found

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
