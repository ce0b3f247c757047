"""Amazon Bedrock's ConverseStream: event stream messages to a Completion.

Source: the service model of bedrock-runtime (shape ConverseStreamOutput), as botocore carries it, and recordings. The
answer is `messageStart`, the blocks (see `bedrock_converse_blocks`), `messageStop` with the stop reason, and
`metadata` with the usage. The stream is finished when `messageStop` came; without it, it was cut off. An exception is
a message of the type "exception", or of "error" where the service's model does not know it.

How it maps: the texts of the blocks are joined in the order of their indices; a call's index is that of its block; a
call that the provider runs itself (`server_tool_use`) is no tool call, since nobody may run it again: it is in
`extra["server_calls"]`. `extra["reasoning_details"]` has each reasoning block by itself where one of them has a
signature or is encrypted, and `extra["texts"]` each text where there are citations, since those name an index. The
padding `p` says nothing.

A body of InvokeModelWithResponseStream is another thing: its `chunk` messages hold the stream of the model's own API in
base64. It is not detected as this dialect, and read as such it is a PayloadError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.bedrock_converse_blocks import Blocks
from streamkit.dialects.detection import HEAD, asked
from streamkit.dialects.payloads import loads, required, short, wrong
from streamkit.dialects.reader import Fold, StreamReader
from streamkit.dialects.text import repaired, shown
from streamkit.errors import MessageError, PayloadError, ProviderError
from streamkit.wire.eventstream import EventStreamDecoder, Message

if TYPE_CHECKING:
    from streamkit.dialects.layout import Layout
    from streamkit.transcript import Transcript

__all__ = ["Accumulator", "BedrockConverse", "Reader"]

_EVENTS = {
    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
}  # fmt: skip
# An answer with one of these stop reasons was cut off, broken or taken back.
_CUT_OFF = {
    "max_tokens", "model_context_window_exceeded", "guardrail_intervened", "content_filtered",
    "malformed_model_output", "malformed_tool_use",
}  # fmt: skip
# After one of these a call without arguments is a call without arguments.
_COMPLETE = {"end_turn", "tool_use"}
_KNOWN = {
    "messageStart": {"role"},
    "contentBlockStart": {"contentBlockIndex", "start"},
    "contentBlockDelta": {"contentBlockIndex", "delta"},
    "contentBlockStop": {"contentBlockIndex"},
    "messageStop": {"stopReason", "additionalModelResponseFields"},
    "metadata": {"usage", "serviceTier"},
}
_PADDING = "p"


class BedrockConverse:
    """The dialect `bedrock_converse`."""

    name = "bedrock_converse"
    wire = "eventstream"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether the request asked for a ConverseStream, or a message near the beginning is one of its events."""
        path = asked(transcript)
        if path.endswith("/converse-stream"):
            return True
        if path.endswith("/invoke-with-response-stream"):
            return False
        decoder = EventStreamDecoder()
        try:
            messages = decoder.feed(transcript.body[:HEAD])
        except MessageError:
            return False
        kinds = [kind for message in messages if (kind := message.text(":event-type")) != "initial-response"]
        return bool(kinds) and kinds[0] in _EVENTS

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript that accumulates to a completion.

        Args:
            completion: what it says.
            layout: how it is spread over messages; usage has its one place in this dialect.

        Raises:
            UsageError: the dialect cannot carry the completion; the message names what of it.
        """
        from streamkit.dialects.bedrock_converse_emit import emit

        return emit(completion, layout)


class Reader(StreamReader):
    """The reader of `bedrock_converse`."""

    _checked = True

    def __init__(self) -> None:
        super().__init__(EventStreamDecoder(), Accumulator())

    def _check_wire(self) -> None:
        if self._decoder.error is not None:
            raise self._decoder.error

    def close(self) -> None:
        """End the stream."""
        if self._decoder.error is None:
            self._decoder.close()

    def _rest(self) -> str:
        discarded = self._decoder.discarded
        return f"the last {discarded} bytes are an unfinished message" if discarded else ""


class Accumulator(Fold):
    """Fold of ConverseStream messages into a Completion."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._blocks = Blocks()
        self._role: str | None = None
        self._stop_reason: str | None = None
        self._choice_extra: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._service_tier: str | None = None
        self._extra: dict[str, Any] = {}
        self._unknown: list[Any] = []

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no messageStop came" if self.events else "no message at all came"

    def _read(self, message: Message) -> dict[str, Any] | None:
        kind = message.text(":message-type")
        if kind in ("exception", "error"):
            raise _provider_error(message)
        event = message.text(":event-type")
        if kind != "event" or event is None:
            raise PayloadError(f"a message of type {shown(kind)} with event type {shown(event)} is no event")
        if event.endswith("Exception"):  # the service's model has its exceptions among the events
            raise _provider_error(message)
        if event == "chunk":
            raise PayloadError("a message 'chunk' belongs to InvokeModelWithResponseStream: it holds another dialect")
        if event not in _EVENTS:
            if event != "initial-response":
                self._unknown.append({"event": event, "payload": _lenient(message.payload)})
            return None
        return _payload(message.payload)

    def _take(self, payload: dict[str, Any], message: Message) -> None:
        event = message.text(":event-type") or ""
        if self._stop_reason is not None and event != "metadata":
            raise PayloadError(f"{event} after messageStop")
        self._begun = True
        unknown: dict[str, Any] = {}
        if event == "messageStart":
            if self._role is not None:
                raise PayloadError("a second messageStart")
            self._role = required(payload, "role", str)
        elif event == "contentBlockStart":
            unknown = self._blocks.start(payload)
        elif event == "contentBlockDelta":
            unknown = self._blocks.delta(payload)
        elif event == "contentBlockStop":
            self._blocks.stop(payload)
        elif event == "messageStop":
            reason = required(payload, "stopReason", str)
            if not reason:
                raise wrong("stopReason is empty", payload, "stopReason")
            self._stop_reason = reason
            more = payload.get("additionalModelResponseFields")
            if more is not None:
                self._choice_extra["additionalModelResponseFields"] = more
        else:
            self._metadata(payload)
        if unknown:
            union = "start" if event == "contentBlockStart" else "delta"
            index = payload["contentBlockIndex"]
            self._unknown.append({"event": event, "payload": {"contentBlockIndex": index, union: unknown}})
        for key, value in payload.items():
            if key not in _KNOWN[event] and key != _PADDING and value is not None:
                self._extra[key] = value

    def _metadata(self, payload: dict[str, Any]) -> None:
        if payload.get("usage") is not None:
            self._usage = required(payload, "usage", dict)
        tier = payload.get("serviceTier")
        if isinstance(tier, dict) and isinstance(tier.get("type"), str):
            self._service_tier = tier["type"]
            tier = {key: value for key, value in tier.items() if key != "type"}
        if tier:
            self._extra["serviceTier"] = tier

    def completion(self) -> Completion:
        """Return what there is so far."""
        ended = self._stop_reason is not None and self._error is None
        trouble = empty_trouble = None
        if not ended:
            trouble = "the stream ended before it was finished"
        elif self._stop_reason in _CUT_OFF:
            trouble = f"the answer was cut off (stop reason {self._stop_reason})"
        elif self._stop_reason not in _COMPLETE:
            empty_trouble = f"it has no arguments, and stop reason {self._stop_reason} may mean that it was cut off"
        built = self._blocks.build(trouble, empty_trouble)
        extra = {**built.pop("extra"), **repaired(self._choice_extra)}
        choice = Choice(
            index=0, role=self._role or "assistant", finish_reason=repaired(self._stop_reason), extra=extra, **built
        )
        rest = {**self._extra, "unknown_events": list(self._unknown)} if self._unknown else self._extra
        return Completion(
            choices=(choice,) if self._begun else (),
            usage=repaired(self._usage),
            service_tier=repaired(self._service_tier),
            ended=ended,
            extra=repaired(rest),
        )


def _payload(data: bytes) -> dict[str, Any]:
    try:
        payload = loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the message's payload is not JSON ({error}): {data[:200]!r}") from None
    if not isinstance(payload, dict):
        raise PayloadError(f"the message's payload is JSON, but no object: {data[:200]!r}")
    return payload


def _lenient(data: bytes) -> Any:
    """Return the payload of an event that is not known: as JSON, or as text."""
    try:
        return _payload(data)
    except PayloadError:
        return data.decode("utf-8", "replace")


def _provider_error(message: Message) -> ProviderError:
    kinds = [message.text(name) for name in (":exception-type", ":error-code", ":event-type")]
    code = next((kind for kind in kinds if kind), None)
    payload = _lenient(message.payload)
    said = payload.get("message", payload.get("Message")) if isinstance(payload, dict) else payload
    text = said if isinstance(said, str) and said else message.text(":error-message") or shown(payload)
    said = f"the provider reported an error: {short(text)}" + (f" ({code})" if code else "")
    found = ProviderError(said, code=code, payload=payload)
    found.path = "$" if isinstance(payload, dict) else None
    return found
