"""Anthropic Messages: what each event means, and when a message has ended.

Source: the API's pages "Streaming messages" and "Handling stop reasons", and recorded streams of Anthropic, of its
hosts (Vertex AI, Azure, Bedrock's events once unpacked) and of gateways that speak it.

When a stream has ended. The API closes with message_delta, which holds the stop reason, and message_stop. The stop
reason is null in message_start and never afterwards, and nothing of the message follows it: so either of the two
signals means that the provider had finished, and a connection lost between them has lost nothing. A stop reason in
message_start itself (the API answers so where it resumes a call that its own code execution made) counts only with
message_stop.

When a call may be executed. Only after `tool_use`, `end_turn` (bridges send it with calls) or `stop_sequence`, only
where the call's own block was closed, and only if its arguments are a JSON object. The API closes a block properly
when `max_tokens` or `model_context_window_exceeded` cut it off, so the stop of the block proves nothing there;
`refusal` means that the output is to be discarded, and `pause_turn` that the turn is to go on first. After
`stop_sequence` empty arguments may have been cut off, so a call without arguments is not executed. No stop reason, or
one that is not known, is not taken for a good one.

Event types that are not known are ignored, as the API's versioning page asks; so are pings and whatever follows
message_stop (gateways send `[DONE]`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion
from streamkit.dialects.anthropic_blocks import Block, outline, says_more
from streamkit.dialects.envelope import PATIENCE
from streamkit.dialects.event_accumulator import EventAccumulator
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.payloads import event_object, list_at, misplaced, optional, required, short, string_at, wrong
from streamkit.dialects.text import pair_surrogates, repaired, shown
from streamkit.errors import PayloadError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "stop_problem"]

_RUN = {"tool_use", "end_turn", "stop_sequence"}  # tools are run after these
_KNOWN_MESSAGE = {"type", "id", "model", "role", "content", "stop_reason", "usage", "service_tier"}
_ABOUT_THE_END = ("stop_sequence", "stop_details", "container")  # of the Choice, wherever they come
_NOISE = {"p", "obfuscation"}  # padding against traffic analysis; says nothing
_KNOWN_EVENT = {"type", "index", "message", "delta", "content_block", "usage", *_NOISE}


class Accumulator(EventAccumulator):
    """Fold of Messages events into a Completion.

    Attributes:
        done: message_stop came; whatever follows it is ignored.
    """

    _patience = PATIENCE
    _outline = staticmethod(outline)

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] | None = None  # of message_start
        self._blocks: list[Block] = []  # in order of arrival
        self._latest: dict[int, Block] = {}  # by index
        self._call_ids: dict[str, None] = {}  # in a set, the order would be no one's
        self._usage: dict[str, Any] | None = None
        self._stop_reason: str | None = None
        self._extra: dict[str, Any] = {}
        self._choice_extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no stop reason and no message_stop came" if completion.choices else "no message_start came"

    def _read(self, event: ServerSentEvent) -> Any:
        if event.event == "ping" or event.data.strip() == "[DONE]":  # gateways add the last one; it says nothing here
            return None
        return super()._read(event)

    def _parsed(self, event: ServerSentEvent) -> dict[str, Any]:
        try:
            return event_object(event)
        except PayloadError:
            if event.event == "error" and not event.lossy:
                raise ProviderError(
                    f"the provider reported an error: {short(event.data)}", payload=event.data
                ) from None
            raise

    def _take(self, payload: dict[str, Any], event: ServerSentEvent) -> None:
        kind = payload.get("type") or event.event
        take = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if event.event == "error" or payload.get("error") or (take is None and is_error(payload)):
            raise provider_error(payload)
        if take is not None:
            if self._message is None and kind != "message_start":
                raise wrong(f"a {kind} came before message_start", payload, "type")
            take(self, payload)

    # -- one method for each type of event

    def _message_start(self, payload: dict[str, Any]) -> None:
        if self._message is not None:
            raise wrong("a second message_start came before the message was over", payload, "type")
        message = required(payload, "message", dict, "the message of message_start")
        for name in ("id", "model", "role", "service_tier"):
            optional(message, name, str, f"the {name} of the message")
        optional(message, "stop_reason", str)
        content = list_at(message, "content", "the content of a message")
        blocks = []
        for index, entry in enumerate(content):
            if not isinstance(entry, dict):
                raise misplaced(content, index, dict, "an entry of content")
            blocks.append(Block(index, entry, closed=True))
        self._message = {name: message.get(name) for name in ("id", "model", "role", "service_tier", "stop_reason")}
        for block in blocks:
            self._open(block, message)
        self._take_usage(message)
        self._take_rest(message, _KNOWN_MESSAGE)
        self._take_rest(payload, _KNOWN_EVENT)

    def _content_block_start(self, payload: dict[str, Any]) -> None:
        index = self._index(payload)
        self._refuse_after_the_stop_reason(payload)
        latest = self._latest.get(index)
        if latest is not None and not latest.closed:
            raise wrong(f"block {index} is opened again before it was closed", payload, "index")
        block = Block(index, required(payload, "content_block", dict))
        self._open(block, payload["content_block"])
        self._take_event_fields(block, payload)

    def _content_block_delta(self, payload: dict[str, Any]) -> None:
        block = self._block(payload)
        self._refuse_after_the_stop_reason(payload)
        if block.closed:
            raise wrong(f"a delta came for block {block.index}, which was closed", payload, "index")
        block.delta(required(payload, "delta", dict))
        self._take_event_fields(block, payload)

    def _content_block_stop(self, payload: dict[str, Any]) -> None:
        block = self._block(payload)
        block.closed = True
        self._take_event_fields(block, payload)

    def _message_delta(self, payload: dict[str, Any]) -> None:
        delta = optional(payload, "delta", dict)
        if delta is not None:
            reason = string_at(delta, "stop_reason")
            self._take_rest(delta, {"stop_reason", "type"}, of_choice=True)
            self._stop_reason = pair_surrogates(reason) if reason else self._stop_reason
        self._take_usage(payload)
        self._take_rest(payload, _KNOWN_EVENT)

    def _message_stop(self, payload: dict[str, Any]) -> None:
        self._take_rest(payload, _KNOWN_EVENT)
        self.done = True

    # -- what they share

    def _index(self, payload: dict[str, Any]) -> int:
        index = payload.get("index")
        if type(index) is not int or index < 0:
            text = f"the index of a block is {shown(index)}, where a whole number from 0 belongs"
            raise wrong(text, payload, "index")
        return index

    def _block(self, payload: dict[str, Any]) -> Block:
        index = self._index(payload)
        if index not in self._latest:
            raise wrong(f"an event came for block {index}, which was never opened", payload, "index")
        return self._latest[index]

    def _open(self, block: Block, holder: dict[str, Any]) -> None:
        if block.type == "tool_use" and block.id is not None:
            if block.id in self._call_ids:
                raise wrong(f"tool call {block.id!r} came twice", holder, None if "content" in holder else "id")
            self._call_ids[block.id] = None
        self._blocks.append(block)
        self._latest[block.index] = block

    def _refuse_after_the_stop_reason(self, payload: dict[str, Any]) -> None:
        if self._stop_reason is not None:
            raise wrong(f"more of block {payload.get('index')} came after the stop reason", payload)

    def _take_usage(self, holder: dict[str, Any]) -> None:
        usage = optional(holder, "usage", dict)
        if usage is None:
            return
        found = {key: repaired(value) for key, value in usage.items()}
        if self._usage is None:
            self._usage = found
        else:
            self._usage.update({key: value for key, value in found.items() if value is not None})

    def _take_rest(self, fields: dict[str, Any], known: set[str], *, of_choice: bool = False) -> None:
        for key, value in fields.items():
            if key not in known and value is not None:
                extra = self._choice_extra if of_choice or key in _ABOUT_THE_END else self._extra
                extra[key] = repaired(value)

    @staticmethod
    def _take_event_fields(block: Block, payload: dict[str, Any]) -> None:
        if not payload.keys() <= _KNOWN_EVENT:
            block.noted({k: v for k, v in payload.items() if k not in _KNOWN_EVENT and v is not None})

    def _bind(self, plan: tuple[int, str]) -> Callable[[str], object] | None:
        index, kind = plan
        if self._message is None or self._stop_reason is not None or index not in self._latest:
            return None
        return self._latest[index].adder(kind)

    def completion(self) -> Completion:
        """Return what there is so far. Of a stream that broke, or has not ended, nothing is ended."""
        message = self._message
        if message is None:
            return Completion(extra=dict(self._extra))
        ended = self._error is None and (self.done or self._stop_reason is not None)
        reason = self._stop_reason
        if reason is None and self.done:
            reason = message["stop_reason"] or None
        trouble = stop_problem(reason) if ended else "the stream ended before it was finished"
        empty_trouble = None
        if reason == "stop_sequence":
            empty_trouble = "it has no arguments, and the stop sequence may have cut them off"
        ordered = sorted(self._blocks, key=lambda block: block.index)
        extra = dict(self._choice_extra)
        if says_more(ordered):
            extra["blocks"] = [block.entry() for block in ordered]
        choice = Choice(
            index=0,
            role=message["role"] or "assistant",
            content=_joined(ordered, "text"),
            reasoning=_joined(ordered, "thinking"),
            tool_calls=tuple(block.call(trouble, empty_trouble) for block in ordered if block.type == "tool_use"),
            finish_reason=reason,
            extra=extra,
        )
        first = {name: message[name] or None for name in ("id", "model", "service_tier")}
        usage = None if self._usage is None else dict(self._usage)
        return Completion((choice,), usage, ended=ended, extra=dict(self._extra), **repaired(first))


_HANDLERS = {
    "message_start": Accumulator._message_start,
    "content_block_start": Accumulator._content_block_start,
    "content_block_delta": Accumulator._content_block_delta,
    "content_block_stop": Accumulator._content_block_stop,
    "message_delta": Accumulator._message_delta,
    "message_stop": Accumulator._message_stop,
}


def stop_problem(reason: str | None) -> str | None:
    """Say why no tool may be run after that stop reason, or return None where tools may be."""
    if reason is None:
        return "no stop reason came"
    return None if reason in _RUN else f"the answer was cut off, or its tools are not to be run (stop reason {reason})"


def _joined(blocks: list[Block], name: str) -> str | None:
    found = [text for text in (block.text(name) for block in blocks) if text is not None]
    return "".join(found) if found else None
