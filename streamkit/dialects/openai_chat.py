"""OpenAI Chat Completions, streamed: payloads to a Completion.

Source: the API reference of Chat Completions ("chat.completion.chunk") and the habits of servers that speak it. Where
servers differ, the rule is the one that loses nothing and merges nothing: a call is found by its id first, then by its
index; a repeated name is the same name, another fragment of it is appended; usage is the last one given; a finish
reason is the first one given; null and "" mean absent.

The tool-call rules are in `openai_tool_calls`. A stream is finished when every choice has a finish reason, or `[DONE]`
came; with neither it was cut off, whatever the transport says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.completion import Choice, Completion, FunctionCall, argument_problem
from streamkit.dialects.detection import asked, first_payloads, says_nothing
from streamkit.dialects.envelope import PATIENCE
from streamkit.dialects.openai_chat_envelope import outline
from streamkit.dialects.openai_choices import NOISE, ChoicesAccumulator
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.openai_tool_calls import ToolCalls, without_placeholder
from streamkit.dialects.payloads import misplaced, objects_at, required, wrong
from streamkit.dialects.reader import EventReader
from streamkit.dialects.state import duplicate, duplicate_fields
from streamkit.dialects.text import Text, add_name, kept, merge_extra, pair_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.dialects.layout import Layout
    from streamkit.dialects.openai_chat_envelope import Plan
    from streamkit.errors import ProviderError
    from streamkit.transcript import Transcript
    from streamkit.wire.sse import ServerSentEvent

__all__ = ["Accumulator", "OpenAIChat", "Reader"]

# Where providers put the reasoning, best first: the same text may come under two of these names.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_SOURCES = (*_REASONING, "parts", "details")
# An answer with one of these finish reasons was cut off: the length limits, filters and failures of several providers.
_CUT_OFF = {
    "length", "max_tokens", "model_length", "content_filter", "error", "abort", "aborted", "cancelled",
    "insufficient_system_resource", "network_error", "sensitive",
}  # fmt: skip
# After one of these, or [DONE] alone, a call without arguments is a call without arguments.
_COMPLETE = {None, "stop", "tool_calls", "function_call", "tool_use", "end_turn", "eos", "eos_token", "STOP"}
_KNOWN_CHOICE = {"index", "delta", "finish_reason", "logprobs", "message", "usage", *NOISE}
_KNOWN_DELTA = {"role", "content", "refusal", "tool_calls", "function_call", *_REASONING}


class OpenAIChat:
    """The dialect `openai_chat`."""

    name = "openai_chat"
    wire = "sse"

    def detect(self, transcript: Transcript) -> bool:
        """Say whether a payload near the beginning is a chat completion chunk, or the request asked for one."""
        if asked(transcript).endswith("/chat/completions"):
            return True
        for _, payload in first_payloads(transcript):
            choices = payload.get("choices")
            if payload.get("object") == "chat.completion.chunk":
                return True
            if isinstance(choices, list) and any(isinstance(c, dict) and "delta" in c for c in choices):
                return True
            if choices != [] and not says_nothing(payload):
                return False  # the payload of another API
        return False

    def reader(self) -> Reader:
        """Return a new reader."""
        return Reader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        """Return a synthetic transcript of a completion; see `openai_chat_emit.emit`."""
        from streamkit.dialects.openai_chat_emit import emit

        return emit(completion, layout)


class Reader(EventReader):
    """The reader of `openai_chat`."""

    def __init__(self) -> None:
        super().__init__(Accumulator())

    @property
    def reasoning_content(self) -> str | None:
        """What came of the first choice's reasoning under this very name, "" included; None for nothing."""
        held: Accumulator = self._held
        return held.reasoning_content


class Accumulator(ChoicesAccumulator):
    """Fold of chat completion payloads into a Completion."""

    _patience = PATIENCE
    _outline = staticmethod(outline)

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return super().missing(completion) if self.payloads or self.done else "no event at all came"

    def text_since(self, place: int) -> str | None:
        """Return the text of the first choice behind so many characters, as it came."""
        return self._choices[min(self._choices)].content.since(place) if self._choices else ""

    @property
    def reasoning_content(self) -> str | None:
        """What came of the first choice's reasoning under this very name, or None."""
        found = self._choices[min(self._choices)].reasoning.get("reasoning_content") if self._choices else None
        return None if found is None else found.value

    def _report(self, payload: dict[str, Any], event: ServerSentEvent) -> ProviderError | None:
        groq = payload.get("x_groq")
        found = super()._report(payload, event)
        if found is None and isinstance(groq, dict) and groq.get("error"):
            found = provider_error(groq)
        return found

    def _other(self, key: str, value: Any) -> None:
        super()._other(key, value)
        if key == "x_groq" and isinstance(value, dict):
            self._take_usage(value)

    def _choice(self, entry: dict[str, Any]) -> None:
        index = entry.get("index") or 0
        if type(index) is not int:
            raise wrong(f"choice index {index!r} is no whole number", entry, "index")
        if is_error(entry):
            raise provider_error(entry)
        self._take_usage(entry)
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        choice.take(entry)

    def _bind(self, plan: Plan) -> Callable[[Any], object] | None:
        choice = self._choices.get(plan.index)
        if choice is None or not all(name in self._first for name in plan.first):
            return None
        take = choice.taker(plan)
        if take is None or not plan.extra:
            return take
        extra = self._extra  # and not the accumulator, which holds this binding

        def noted(values: Any) -> None:
            extra.update(plan.extra)
            take(values)

        return noted

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
        self.reasoning: dict[str, Text] = {}
        self.calls = ToolCalls()
        self.function_name: str | None = None
        self.function_arguments = Text()
        self.finish_reason: str | None = None
        self.logprobs: dict[str, list[Any]] | None = None
        self.extra: dict[str, Any] = {}

    def copy(self) -> _Choice:
        """Return a copy."""
        made = object.__new__(_Choice)
        made.__dict__.update(self.__dict__)
        made.content, made.refusal = self.content.copy(), self.refusal.copy()
        made.function_arguments, made.calls = self.function_arguments.copy(), self.calls.copy()
        made.reasoning = {name: text.copy() for name, text in self.reasoning.items()}
        made.logprobs, made.extra = duplicate(self.logprobs, {}), duplicate_fields(self.extra, {})
        return made

    def take(self, entry: dict[str, Any]) -> None:
        delta = entry.get("delta")
        if not delta and isinstance(entry.get("message"), dict) and not self.content and not self.calls:
            delta = entry["message"]  # a whole answer sent as a single event
        if delta is not None:
            if not isinstance(delta, dict):
                raise misplaced(entry, "delta", dict)
            self._delta(delta)
        if not entry.keys() <= _KNOWN_CHOICE:
            self.extra.update({k: v for k, v in entry.items() if k not in _KNOWN_CHOICE and v is not None})
        if isinstance(entry.get("logprobs"), dict):
            self._take_logprobs(entry["logprobs"])
        elif entry.get("logprobs") is not None:
            self.extra["logprobs"] = entry["logprobs"]  # some servers send a bare number
        reason = entry.get("finish_reason")
        if reason and self.finish_reason is None:
            self.finish_reason = required(entry, "finish_reason", str)

    def taker(self, plan: Plan) -> Callable[[Any], object] | None:
        """Return what takes the values of an envelope's payloads; None where they do more than add these."""
        if plan.role and not self.role:
            return None
        texts = {"content": self.content, "refusal": self.refusal, **self.reasoning}
        if not all(name in texts for name in plan.texts):
            return None
        takers: list[Callable[[Any], object]] = [texts[name].adder() for name in plan.texts]
        if plan.call is not None:
            call = self.calls.taker(plan.call.id, plan.call.index, plan.call.name, plan.call.type)
            if call is None:
                return None
            takers.append(call)
        if plan.logprobs:
            takers.append(self._take_logprobs)
        if len(takers) == 1 and not plan.choice_extra:
            return takers[0]
        single = len(takers) == 1

        def take(values: Any) -> None:
            self.extra.update(plan.choice_extra)
            for one, value in zip(takers, [values] if single else values, strict=True):
                one(value)

        return take

    def _delta(self, delta: dict[str, Any]) -> None:
        if delta.get("role") and not self.role:
            self.role = required(delta, "role", str)
        content = delta.get("content")
        if isinstance(content, list):
            self._content_parts(content)
        elif content is not None:
            self.content.add(required(delta, "content", str))
        if delta.get("refusal") is not None:
            self.refusal.add(required(delta, "refusal", str))
        reasons = not delta.keys().isdisjoint(_REASONING)
        for name in _REASONING if reasons else ():
            if isinstance(delta.get(name), str):
                self._reason(name, delta[name])
        details = delta.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            text = detail.get("text") or detail.get("summary") if isinstance(detail, dict) else None
            if isinstance(text, str):
                self._reason("details", text)
        for call in objects_at(delta, "tool_calls"):
            self.calls.take(call)
        if delta.get("function_call"):
            self._take_function_call(required(delta, "function_call", dict))
        for key, value in delta.items() if reasons or not delta.keys() <= _KNOWN_DELTA else ():
            if value is not None and (key not in _KNOWN_DELTA or (key in _REASONING and not isinstance(value, str))):
                merge_extra(self.extra, key, value)

    def _reason(self, name: str, piece: str) -> None:
        text = self.reasoning.get(name)
        if text is None:
            text = self.reasoning[name] = Text()
        text.add(piece)

    def _take_function_call(self, function: dict[str, Any]) -> None:
        """Take a fragment of a call in the legacy form."""
        if self.function_name is None:
            self.function_name = ""
        if function.get("name"):
            self.function_name = add_name(self.function_name, required(function, "name", str, "function name"))
        if function.get("arguments") is not None:
            self.function_arguments.add(required(function, "arguments", str))

    def _content_parts(self, parts: list[Any]) -> None:
        """Take content in typed parts, as Mistral and Databricks send it."""
        for number, part in enumerate(parts):
            if isinstance(part, str):
                self.content.add(part)
                continue
            if not isinstance(part, dict):
                raise misplaced(parts, number, dict, "an entry of content")
            kind = part.get("type")
            if kind in (None, "text") and isinstance(part.get("text"), str):
                self.content.add(part["text"])
            elif kind in ("thinking", "reasoning"):
                inner = part.get("thinking") or part.get("summary") or part.get("text")
                for piece in inner if isinstance(inner, list) else [inner]:
                    text = piece.get("text") if isinstance(piece, dict) else piece
                    if isinstance(text, str):
                        self._reason("parts", text)
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
            reasoning=next((str(self.reasoning[name]) for name in _SOURCES if self.reasoning.get(name)), None),
            tool_calls=self.calls.build(trouble, empty_trouble),
            function_call=function,
            finish_reason=self.finish_reason,
            logprobs=None if self.logprobs is None else {key: list(value) for key, value in self.logprobs.items()},
            extra=kept(self.extra),
        )
