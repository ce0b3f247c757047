"""OpenAI Responses, streamed: events to a Completion.

Source: the API reference of the Responses API ("Streaming events"), the event types of the openai library
(`openai.types.responses`), and recorded streams of OpenAI, Azure, Bedrock, ChatGPT, xAI, DeepSeek, OpenRouter, GitHub
Copilot and LM Studio. What comes of each item is in `openai_responses_item`, which item an event speaks of in
`openai_responses_items`, and what becomes of them in `openai_responses_choice`.

A stream is finished when a terminal event came (`response.completed`, `response.incomplete`); without one it was cut
off, whatever the transport says, and `[DONE]`, which some servers add, does not stand in for it. A `response.failed` or
`error` event is an error of the provider. Events of unknown types are passed over: whatever they tell of an item, its
`output_item.done` tells again. After the terminal event only an error, another response, and the rate limits matter;
after `[DONE]`, nothing. A response that begins a second time, as it does behind a proxy that tries again, is an error:
the answers of two attempts are not one.

Of a response object the last that was said of each field counts, but for the id, which is the first: GitHub Copilot
sends another one with every event. `service_tier` changes on purpose, from the one asked for to the one that answered.
Fields that echo the defaults of a request are dropped. Sequence numbers are not looked at: several servers send none,
or the same one always.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from streamkit.completion import Completion
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.openai_responses_choice import COMPLETED, REQUEST_DEFAULTS, build_choice
from streamkit.dialects.openai_responses_item import index_of, object_of, string_of
from streamkit.dialects.openai_responses_items import Items
from streamkit.dialects.text import repaired, shown
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAIResponses", "Reader"]

_HEAD = 65536
_DEPTH = 100  # levels of nesting; real payloads hold JSON schemas of some twenty
_LIFECYCLE = ("created", "queued", "in_progress")
_TERMINAL = ("completed", "incomplete", "failed", "cancelled")
# Texts of items, by the event's type without "response." and ".delta" or ".done": the type of the item, where the
# text is in it, the event's field that numbers the part, and the field of `done` that holds the text. Those with two
# dots were in the API's first versions.
_TEXTS = {
    "output_text": ("message", "content", "text", "content_index", "text"),
    "refusal": ("message", "content", "refusal", "content_index", "refusal"),
    "reasoning_text": ("reasoning", "content", "text", "content_index", "text"),
    "reasoning_summary_text": ("reasoning", "summary", "text", "summary_index", "text"),
    "function_call_arguments": ("function_call", "arguments", "", "", "arguments"),
    "custom_tool_call_input": ("custom_tool_call", "input", "", "", "input"),
    "mcp_call_arguments": ("mcp_call", "arguments", "", "", "arguments"),
    "mcp_call.arguments": ("mcp_call", "arguments", "", "", "arguments"),
    "code_interpreter_call_code": ("code_interpreter_call", "code", "", "", "code"),
    "code_interpreter_call.code": ("code_interpreter_call", "code", "", "", "code"),
    "shell_call_command": ("shell_call", "commands", "", "command_index", "command"),
    "apply_patch_call_operation_diff": ("apply_patch_call", "diff", "", "", "diff"),
}
# Parts of items, by the event's type without "response." and ".added" or ".done": as above.
_PARTS = {
    "content_part": ("message", "content", "content_index"),
    "reasoning_part": ("reasoning", "content", "content_index"),
    "reasoning_summary_part": ("reasoning", "summary", "summary_index"),
}
_KNOWN_RESPONSE = {"id", "object", "created_at", "model", "output", "usage", "status", "service_tier", "error"}
_NOISE = {"type", "sequence_number", "response", "obfuscation"}


class OpenAIResponses:
    """The dialect `openai_responses`."""

    name = "openai_responses"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the first payloads are events of a response, or the request asked for one."""
        request = transcript.request
        if request is not None and request.url.split("?")[0].rstrip("/").endswith("/responses"):
            return True
        head = transcript.body[:_HEAD]
        events = SSEDecoder().feed(head)
        for event in events:
            try:
                payload = json.loads(event.data)
            except (ValueError, RecursionError):
                continue
            if not isinstance(payload, dict):
                continue
            kind = payload.get("type")
            if isinstance(kind, str) and kind.startswith("response."):
                return True
            foreign = kind in ("ping", "keepalive", "error") or "error" in payload
            if payload and not foreign:
                return False  # the payload of another API
        # The first event repeats the request's instructions and tools, and may be larger than what is looked at.
        return not events and re.match(rb'\s*(event: ?response\.|data: ?\{"type": ?"response\.)', head) is not None

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to a completion.

        Args:
            completion: what it carries.
            layout: how it is spread over events.

        Raises:
            UsageError: the completion holds what a response cannot carry; the message names it.
        """
        from streamkit.dialects.openai_responses_emit import emit

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
            ProviderError: an error of the provider.
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
        what = "no terminal event (response.completed or response.incomplete) came"
        if not self._accumulator.payloads:
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
    """Fold of Responses events into a Completion.

    Attributes:
        payloads: how many payloads were taken.
        done: `[DONE]` came; whatever follows it is ignored.
        finish_reason: "completed", or why the response is incomplete; None before the terminal event.
    """

    def __init__(self) -> None:
        self.payloads = 0
        self.done = False
        self.finish_reason: str | None = None
        self._error: DialectError | None = None
        self._items = Items()
        self._created: str | None = None
        self._spoken = False
        self._response: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
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
        if _too_deep(payload):
            raise PayloadError(f"the event's data is nested deeper than {_DEPTH} levels")
        self.payloads += 1
        kind = payload.get("type")
        if kind is None and event.event.startswith("response."):
            kind = event.event
        if kind in ("error", "response.error") or event.event == "error":
            raise provider_error(payload)
        if isinstance(kind, str) and kind.startswith("response."):
            self._spoken = True
            self._take(kind.removeprefix("response."), payload)
        elif is_error(payload):
            raise provider_error(payload)
        elif "choices" in payload or "object" in payload:
            raise PayloadError(f"a payload of another API: {_short(event.data)}")

    def _take(self, kind: str, payload: dict[str, Any]) -> None:
        """Take an event of the response, by its type without "response."."""
        if kind == "rate_limits.updated" and payload.get("rate_limits"):
            self._extra["rate_limits"] = payload["rate_limits"]
        elif kind == "created":
            self._begin(payload)
        elif self.finish_reason is not None:
            return
        elif kind in _LIFECYCLE:
            self._lifecycle(payload, final=False)
        elif kind in _TERMINAL:
            self._end(kind, payload)
        elif kind == "output_item.added":
            self._items.added(payload)
        elif kind == "output_item.done":
            self._items.done(payload)
        elif kind == "output_text.annotation.added":
            annotation = payload.get("annotation")
            if annotation is not None:
                item = self._items.addressed(payload, "message")
                item.annotate(index_of(payload, "content_index") or 0, annotation)
        elif kind in ("audio.delta", "audio.transcript.delta"):
            self._audio(kind, string_of(payload.get("delta"), f"the delta of {kind}"))
        else:
            name, _, step = kind.rpartition(".")
            if step in ("delta", "done") and name in _TEXTS:
                self._text(name, step, payload)
            elif step in ("added", "done") and name in _PARTS:
                owner, where, number = _PARTS[name]
                item = self._items.addressed(payload, owner)
                item.take_part(where, index_of(payload, number) or 0, payload.get("part"), whole=step == "done")

    def _text(self, name: str, step: str, payload: dict[str, Any]) -> None:
        owner, where, leaf, number, field = _TEXTS[name]
        value = payload.get("delta" if step == "delta" else field)
        item = self._items.addressed(payload, owner)
        part = (index_of(payload, number) or 0) if number else 0
        if isinstance(value, dict) and where == "arguments":  # the first MCP events held the object itself
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if name == "output_text":
            item.add_logprobs(part, payload.get("logprobs"), whole=step == "done")
        if step == "delta":
            item.add((where, part, leaf), string_of(value, f"the delta of {name}"))
        else:
            item.fill((where, part, leaf), "" if value is None else string_of(value, f"the text of {name}"))

    def _audio(self, kind: str, delta: str) -> None:
        """Keep audio as it came: each piece of data is base64 of its own, the transcript is one text."""
        audio = self._extra.setdefault("audio", {})
        if kind == "audio.delta":
            audio.setdefault("data", []).append(delta)
        else:
            audio.setdefault("transcript", []).append(delta)

    def _begin(self, payload: dict[str, Any]) -> None:
        response = payload.get("response")
        identity = response.get("id") if isinstance(response, dict) else None
        if self._created is not None and identity and identity != self._created:
            raise PayloadError(f"another response begins in the stream of {shown(self._created)}: {shown(identity)}")
        if self._items and self.finish_reason is None:
            raise PayloadError(f"the response begins again in the middle: {shown(identity)}")
        if identity and self._created is None:
            self._created = string_of(identity, "the id of a response")
        if self.finish_reason is None:
            self._lifecycle(payload, final=False)

    def _lifecycle(self, payload: dict[str, Any], *, final: bool) -> dict[str, Any]:
        response = payload.get("response")
        response = {} if response is None else object_of(response, "response")
        for name, value in response.items():
            if value is None or name == "output":
                continue
            if name in ("id", "model", "service_tier", "status"):
                string_of(value, f"{name} of a response")
            if name == "id" and self._response.get("id"):
                continue
            if name == "usage":
                self._usage = object_of(value, "usage")
            self._response[name] = value
        for name, value in payload.items():
            if name not in _NOISE and value is not None:
                self._extra[name] = value
        output = response.get("output")
        if output is not None and not isinstance(output, list):
            raise PayloadError(f"output is {shown(output)}, where a list belongs")
        self._items.snapshot(output or [], final=final)
        return response

    def _end(self, kind: str, payload: dict[str, Any]) -> None:
        response = self._lifecycle(payload, final=True)
        status = response.get("status")
        if "failed" in (kind, status) or response.get("error"):
            if isinstance(response.get("error"), dict | str) and response["error"]:
                raise provider_error(response)
            raise ProviderError("the provider reported an error: the response failed", code="failed", payload=response)
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        if "cancelled" in (kind, status):
            self.finish_reason = "cancelled"
        elif "incomplete" in (kind, status) or reason:
            self.finish_reason = string_of(reason, "the reason of incomplete_details") if reason else "incomplete"
        else:
            self.finish_reason = COMPLETED

    def completion(self) -> Completion:
        """Return what there is so far. Of a stream that broke, or has had no terminal event, nothing is ended."""
        ended = self.finish_reason is not None and self._error is None
        response = self._response
        created: Any = response.get("created_at")
        whole = type(created) is int or (isinstance(created, float) and created.is_integer())
        extra = {
            name: value
            for name, value in response.items()
            if name not in _KNOWN_RESPONSE and value not in (None, "") and REQUEST_DEFAULTS.get(name) != value
        }
        if extra.get("incomplete_details") == {"reason": self.finish_reason}:
            del extra["incomplete_details"]
        if created is not None and not whole:
            extra["created_at"] = created
        extra.update(self._extra)
        return Completion(
            choices=(build_choice(self._items, self.finish_reason, ended=ended),) if self._spoken else (),
            usage=repaired(self._usage),
            id=repaired(response.get("id")),
            model=repaired(response.get("model")),
            created=int(created) if whole else None,
            service_tier=repaired(response.get("service_tier")),
            ended=ended,
            extra=repaired(extra),
        )


def _too_deep(payload: dict[str, Any]) -> bool:
    level: list[Any] = [payload]
    for _ in range(_DEPTH):
        inner = (child for one in level for child in (one.values() if isinstance(one, dict) else one))
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."
