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
from streamkit.dialects.detection import HEAD, asked, first_payloads, says_nothing
from streamkit.dialects.envelope import OBJECT, PADDING, PATIENCE, TEXT, Hole, Outline
from streamkit.dialects.event_accumulator import EventAccumulator
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.openai_responses_choice import COMPLETED, REQUEST_DEFAULTS, build_choice
from streamkit.dialects.openai_responses_item import index_of
from streamkit.dialects.openai_responses_items import Items
from streamkit.dialects.payloads import list_at, object_at, required, short, wrong
from streamkit.dialects.reader import EventReader
from streamkit.dialects.text import repaired, shown
from streamkit.errors import PayloadError, ProviderError
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAIResponses", "Reader"]

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
        if asked(transcript).endswith("/responses"):
            return True
        for _, payload in first_payloads(transcript):
            kind = payload.get("type")
            if isinstance(kind, str) and kind.startswith("response."):
                return True
            if not says_nothing(payload):
                return False  # the payload of another API
        head = transcript.body[:HEAD]
        events = SSEDecoder().feed(head)
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


class Reader(EventReader):
    """The reader of `openai_responses`."""

    def __init__(self) -> None:
        super().__init__(Accumulator())

    @property
    def over(self) -> bool:
        """Whether the event that ends the response came, which holds all of it: nobody need read on."""
        held: Accumulator = self._held
        return super().over or held.finish_reason is not None


class Accumulator(EventAccumulator):
    """Fold of Responses events into a Completion.

    Attributes:
        finish_reason: "completed", or why the response is incomplete; None before the terminal event.
    """

    _patience = PATIENCE

    def __init__(self) -> None:
        super().__init__()
        self.finish_reason: str | None = None
        self._items = Items()
        self._created: str | None = None
        self._spoken = False
        self._response: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        if not self.payloads:
            return "no event at all came"
        return "no terminal event (response.completed or response.incomplete) came"

    def text_since(self, place: int) -> str | None:
        """Return the text behind so many characters, as it came; None where one of its parts was revised."""
        found = ""
        for item in self._items.ordered():
            for text in item.texts() if item.kind == "message" else ():
                if text.revised:
                    return None
                size = len(text)
                if place < size:
                    found += text.since(place)
                place = max(0, place - size)
        return found

    def _take(self, payload: dict[str, Any], event: ServerSentEvent) -> None:
        if _too_deep(payload):
            raise PayloadError(f"the event's data is nested deeper than {_DEPTH} levels")
        kind = payload.get("type")
        if kind is None and event.event.startswith("response."):
            kind = event.event
        if kind in ("error", "response.error") or event.event == "error":
            raise provider_error(payload)
        if isinstance(kind, str) and kind.startswith("response."):
            self._spoken = True
            self._event(kind.removeprefix("response."), payload)
        elif is_error(payload):
            raise provider_error(payload)
        elif "choices" in payload or "object" in payload:
            raise PayloadError(f"a payload of another API: {short(event.data)}")

    def _event(self, kind: str, payload: dict[str, Any]) -> None:
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
            self._audio(kind, required(payload, "delta", str, f"the delta of {kind}"))
        else:
            name, _, step = kind.rpartition(".")
            if step in ("delta", "done") and name in _TEXTS:
                self._text(name, step, payload)
            elif step in ("added", "done") and name in _PARTS:
                owner, where, number = _PARTS[name]
                item = self._items.addressed(payload, owner)
                item.take_part(where, index_of(payload, number) or 0, payload, "part", whole=step == "done")

    def _text(self, name: str, step: str, payload: dict[str, Any]) -> None:
        owner, where, leaf, number, field = _TEXTS[name]
        key = "delta" if step == "delta" else field
        value = payload.get(key)
        item = self._items.addressed(payload, owner)
        part = (index_of(payload, number) or 0) if number else 0
        if isinstance(value, dict) and where == "arguments":  # the first MCP events held the object itself
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif value is not None or step == "delta":
            value = required(payload, key, str, f"the {'delta' if step == 'delta' else 'text'} of {name}")
        text: str = value or ""
        if name == "output_text":
            item.add_logprobs(part, payload.get("logprobs"), whole=step == "done")
        if step == "delta":
            item.add((where, part, leaf), text)
        else:
            item.fill((where, part, leaf), text)

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
            text = f"another response begins in the stream of {shown(self._created)}: {shown(identity)}"
            raise wrong(text, response, "id")
        if self._items and self.finish_reason is None:
            raise wrong(f"the response begins again in the middle: {shown(identity)}", payload, "type")
        if identity and self._created is None:
            self._created = required(payload["response"], "id", str, "the id of a response")
        if self.finish_reason is None:
            self._lifecycle(payload, final=False)

    def _lifecycle(self, payload: dict[str, Any], *, final: bool) -> dict[str, Any]:
        response = object_at(payload, "response")
        for name, value in response.items():
            if value is None or name == "output":
                continue
            if name in ("id", "model", "service_tier", "status"):
                required(response, name, str, f"{name} of a response")
            if name == "id" and self._response.get("id"):
                continue
            if name == "usage":
                self._usage = required(response, "usage", dict)
            self._response[name] = value
        for name, value in payload.items():
            if name not in _NOISE and value is not None:
                self._extra[name] = value
        self._items.snapshot(list_at(response, "output"), final=final)
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
            if reason:
                required(response["incomplete_details"], "reason", str, "the reason of incomplete_details")
            self.finish_reason = reason or "incomplete"
        else:
            self.finish_reason = COMPLETED

    @staticmethod
    def _outline(payload: dict[str, Any]) -> Outline | None:
        """Return what the delta of a text means. What it holds beside the fields named here, is not looked at."""
        kind = payload.get("type")
        name, _, step = kind.removeprefix("response.").rpartition(".") if isinstance(kind, str) else ("", "", "")
        if step != "delta" or kind != f"response.{name}.delta" or name not in _TEXTS:
            return None
        owner, where, leaf, number, _ = _TEXTS[name]
        holes = [Hole(("delta",), TEXT)]
        logprobs = name == "output_text" and bool(payload.get("logprobs"))
        if logprobs:
            holes.append(Hole(("logprobs",), OBJECT))
        holes += [
            Hole((key,), PADDING) for key in ("sequence_number", "obfuscation") if type(payload.get(key)) in (str, int)
        ]
        try:  # an event that is ignored where it stands, after the end, may hold anything
            required(payload, "delta", str)
            if logprobs:
                required(payload, "logprobs", list)
            part = (index_of(payload, number) or 0) if number else 0
            address = (index_of(payload, "output_index"), payload.get("item_id") and required(payload, "item_id", str))
        except PayloadError:
            return None
        return Outline((address, owner, (where, part, leaf), logprobs), tuple(holes))

    def _bind(self, plan: Any) -> Callable[[Any], object] | None:
        (index, identity), owner, place, logprobs = plan
        if self.finish_reason is not None or not self._spoken:
            return None
        item = self._items.found(index, identity or None, owner)
        add = None if item is None else item.adder(place)
        if item is None or add is None or not logprobs:
            return add
        add_logprobs, number = item.add_logprobs, place[1]

        def take(values: list[Any]) -> None:
            delta, tokens = values
            add_logprobs(number, tokens, whole=False)
            add(delta)

        return take

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
