"""A right parser of chat completion streams in which every rule is a method, so that a bug overrules just one.

It reads as the WHATWG standard says, keeps tool calls apart by id first and index second, and raises errors of its own
where the stream is cut off, reports an error, or says what nobody can understand. It shares no code with streamkit.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .chat_state import Call, Choice, CutOffError, MalformedError, ReportedError

__all__ = ["ChatParser"]

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_CUT_OFF = ("length", "max_tokens", "content_filter", "error")


class ChatParser:
    """Bytes in, an answer out."""

    def __init__(self) -> None:
        self.pending = b""
        self.searched = 0
        self.begun = False
        self.data: list[str] = []
        self.name = ""
        self.done = False
        self.payloads = 0
        self.choices: dict[int, Choice] = {}
        self.usage: dict[str, Any] | None = None
        self.identity: dict[str, Any] = {}

    # -- bytes to lines

    def feed(self, data: bytes) -> None:
        self.pending += data
        if not self.begun:
            if len(self.pending) < len(_BOM) and _BOM.startswith(self.pending):
                return
            self.begun = True
            self.pending = self.without_mark(self.pending)
        self.lines()

    def without_mark(self, head: bytes) -> bytes:
        return head.removeprefix(_BOM)

    def lines(self) -> None:
        start = 0
        for match in self.line_ends(self.pending, self.searched):
            if match.group() == b"\r" and match.end() == len(self.pending):
                break  # a line feed may follow
            self.line(self.decoded(self.pending[start : match.start()]))
            start = match.end()
        self.pending = self.pending[start:]
        self.searched = max(0, len(self.pending) - 1)

    def line_ends(self, data: bytes, start: int) -> Any:
        return _LINE_END.finditer(data, start)

    def decoded(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"a line is not UTF-8: {error}") from None

    # -- lines to events

    def line(self, line: str) -> None:
        if not line:
            self.blank()
        elif line.startswith(":"):
            self.comment(line)
        else:
            name, _, value = line.partition(":")
            self.field(name, self.value(value))

    def value(self, text: str) -> str:
        return text.removeprefix(" ")

    def comment(self, line: str) -> None:
        """Ignore it."""

    def field(self, name: str, value: str) -> None:
        if name == "data":
            self.data.append(value)
        elif name == "event":
            self.name = value
        else:
            self.other_field(name, value)

    def other_field(self, name: str, value: str) -> None:
        """Ignore it: `id` and `retry` matter to who reconnects."""

    def blank(self) -> None:
        name, data = self.name, self.data
        self.name, self.data = "", []
        if data:
            self.event(name, self.joined(data))

    def joined(self, data: list[str]) -> str:
        return "\n".join(data)

    # -- events to payloads

    def event(self, name: str, data: str) -> None:
        if self.done:
            return
        if not data.strip():
            self.empty(data)
        elif self.is_done(data):
            self.end()
        else:
            self.named(name, self.json(data))

    def empty(self, data: str) -> None:
        """Ignore it."""

    def is_done(self, data: str) -> bool:
        return data.strip() == "[DONE]"

    def end(self) -> None:
        self.done = True

    def json(self, data: str) -> Any:
        try:
            return json.loads(data, parse_constant=self.constant)
        except (ValueError, RecursionError) as error:
            raise MalformedError(f"an event is no JSON: {error}") from None

    def constant(self, name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    def named(self, name: str, payload: Any) -> None:
        if not isinstance(payload, dict):
            raise MalformedError("an event is JSON, but no object")
        if name == "error" or self.is_error(payload):
            raise ReportedError(str(payload)[:200])
        self.payload(payload)

    def is_error(self, payload: dict[str, Any]) -> bool:
        groq = payload.get("x_groq")
        if payload.get("error") or (isinstance(groq, dict) and groq.get("error")):
            return True
        if payload.get("choices") or "delta" in payload:
            return False
        said = payload.get("errors") or payload.get("detail")
        told = "message" in payload and ("code" in payload or "status" in payload)
        return bool(said) or told or "error" in (payload.get("object"), payload.get("type"))

    # -- payloads to choices

    def payload(self, payload: dict[str, Any]) -> None:
        choices = payload.get("choices")
        if choices is None and "object" not in payload and "usage" not in payload:
            self.foreign(payload)
            return
        self.payloads += 1
        self.identify(payload)
        self.take_usage(payload)
        for entry in self.entries(choices):
            self.choice(entry)

    def foreign(self, payload: dict[str, Any]) -> None:
        """Ignore it: a ping, or what a newer server sends."""

    def identify(self, payload: dict[str, Any]) -> None:
        for key in ("id", "model"):
            if payload.get(key):
                self.identity.setdefault(key, payload[key])

    def take_usage(self, payload: dict[str, Any]) -> None:
        if payload.get("usage"):
            self.usage = payload["usage"]

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        if not isinstance(choices, list | None):
            raise MalformedError("choices are no list")
        if not all(isinstance(entry, dict) for entry in choices or []):
            raise MalformedError("a choice is no object")
        return [entry for entry in choices or [] if entry]

    def choice(self, entry: dict[str, Any]) -> None:
        if self.is_error(entry):
            raise ReportedError(str(entry)[:200])
        index = entry.get("index") or 0
        state = self.choices.setdefault(index, Choice(index))
        delta = self.delta_of(entry)
        if not isinstance(delta, dict):
            raise MalformedError("a delta is no object")
        self.delta(state, delta)
        self.logprobs(state, entry)
        self.finish(state, entry.get("finish_reason"))

    def delta_of(self, entry: dict[str, Any]) -> Any:
        return entry.get("delta") or {}

    def delta(self, state: Choice, delta: dict[str, Any]) -> None:
        self.role(state, delta)
        self.content(state, delta)
        state.refusal += delta.get("refusal") or ""
        self.reasoning(state, delta)
        self.function_call(state, delta)
        self.tool_calls(state, delta)

    def role(self, state: Choice, delta: dict[str, Any]) -> None:
        state.role = state.role or delta.get("role") or ""

    def content(self, state: Choice, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if isinstance(content, list):
            for part in content:
                self.part(state, part)
        elif isinstance(content, str | None):
            self.text(state, content or "")
        else:
            raise MalformedError("content is no text")

    def text(self, state: Choice, text: str) -> None:
        state.content += text

    def part(self, state: Choice, part: Any) -> None:
        if not isinstance(part, dict):
            raise MalformedError("a part of the content is no object")
        if part.get("type") == "text":
            self.text(state, part.get("text") or "")
        elif part.get("type") == "thinking":
            inner = part.get("thinking") or ""
            text = inner if isinstance(inner, str) else "".join(piece.get("text") or "" for piece in inner)
            state.reasoning["parts"] = state.reasoning.get("parts", "") + text

    def reasoning(self, state: Choice, delta: dict[str, Any]) -> None:
        for name in _REASONING:
            if isinstance(delta.get(name), str):
                state.reasoning[name] = state.reasoning.get(name, "") + delta[name]

    def function_call(self, state: Choice, delta: dict[str, Any]) -> None:
        piece = delta.get("function_call")
        if piece:
            state.function = state.function or {"name": "", "arguments": ""}
            name = piece.get("name") or ""
            state.function["name"] += "" if name == state.function["name"] else name
            state.function["arguments"] += piece.get("arguments") or ""

    def logprobs(self, state: Choice, entry: dict[str, Any]) -> None:
        logprobs = entry.get("logprobs")
        if isinstance(logprobs, dict):
            state.logprobs += logprobs.get("content") or []

    def finish(self, state: Choice, reason: str | None) -> None:
        state.finish = state.finish or reason or None

    # -- tool calls

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        for entry in delta.get("tool_calls") or []:
            if not isinstance(entry, dict):
                raise MalformedError("a tool call is no object")
            self.tool_call(state, entry)

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        function = entry.get("function") or {}
        name, arguments = function.get("name") or "", self.arguments_of(function)
        call = self.find(state, entry, name, arguments)
        if call is None:
            return
        state.latest = call
        self.add_id(call, entry)
        self.add_type(call, entry)
        self.add_name(call, name)
        self.add_arguments(call, arguments)

    def arguments_of(self, function: dict[str, Any]) -> str:
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            return json.dumps(arguments, ensure_ascii=False)
        if not isinstance(arguments, str | None):
            raise MalformedError("arguments are no text")
        return arguments or ""

    def find(self, state: Choice, entry: dict[str, Any], name: str, arguments: str) -> Call | None:
        """Return the call that an entry belongs to, a new one perhaps, or None for an entry that says nothing."""
        identity, index = entry.get("id") or "", entry.get("index")
        same = self.by_id(state, identity)
        if same is not None:
            return same
        found = self.at(state, index)
        if found is not None and not self.opens(found, identity, index, name):
            return found
        if not identity and not name:
            if arguments.strip():
                raise MalformedError("arguments belong to no call")
            return None
        return self.opened(state, index)

    def by_id(self, state: Choice, identity: str) -> Call | None:
        return next((call for call in state.calls if identity and call.id == identity), None)

    def at(self, state: Choice, index: int | None) -> Call | None:
        if index is None:
            return state.latest
        return next((call for call in reversed(state.calls) if call.index == index), None)

    def opens(self, call: Call, identity: str, index: int | None, name: str) -> bool:
        """Say whether an entry opens another call than the one at its place, whose id is another."""
        if index is None and identity:
            return True
        other = bool(name) and bool(call.name) and name != call.name
        if index is None:
            return other or (bool(name) and self.whole(call))
        return bool(identity and call.id and name) or (other and bool(call.arguments))

    def opened(self, state: Choice, index: int | None) -> Call:
        call = Call(index)
        state.calls.append(call)
        return call

    def add_id(self, call: Call, entry: dict[str, Any]) -> None:
        call.id = call.id or entry.get("id") or ""

    def add_type(self, call: Call, entry: dict[str, Any]) -> None:
        call.type = entry.get("type") or call.type

    def add_name(self, call: Call, name: str) -> None:
        if name != call.name:
            call.name += name

    def add_arguments(self, call: Call, piece: str) -> None:
        if call.arguments == "{}" and piece.startswith("{"):
            call.arguments = ""
        if not (piece.startswith("{") and piece == call.arguments and self.whole(call)):
            call.arguments += piece

    def whole(self, call: Call) -> bool:
        try:
            return isinstance(json.loads(call.arguments), dict)
        except ValueError:
            return False

    # -- the end

    def close(self) -> None:
        if self.pending and self.pending.endswith(b"\r"):
            self.line(self.decoded(self.pending[:-1]))

    def result(self) -> dict[str, Any]:
        self.check_end()
        return {**self.identity, "choices": [self.built(state) for state in self.order()], "usage": self.usage}

    def order(self) -> list[Choice]:
        return [self.choices[index] for index in sorted(self.choices)]

    def check_end(self) -> None:
        if not self.choices:
            raise CutOffError("no choice came")
        if not self.done and not all(state.finish for state in self.choices.values()):
            raise CutOffError("neither a finish reason nor [DONE] came")

    def check_call(self, state: Choice, call: Call) -> None:
        if state.finish in _CUT_OFF:
            raise CutOffError(f"a tool call was cut off: {state.finish}")
        if not call.name:
            raise MalformedError("a tool call has no name")
        if call.arguments.strip() and not self.whole(call):
            raise CutOffError(f"arguments of {call.name} are no JSON object")

    def built(self, state: Choice) -> dict[str, Any]:
        self.tidied(state)
        calls = self.ordered(state.calls)
        for call in calls:
            self.check_call(state, call)
        if state.function is not None:
            self.check_call(state, Call(None, **state.function))
        message = {
            "role": state.role or "assistant",
            "content": self.joined_text(state.content),
            "refusal": self.joined_text(state.refusal),
            "reasoning": self.joined_text(next(iter(state.reasoning.values()), "")),
            "tool_calls": [self.built_call(call) for call in calls],
            "function_call": state.function,
        }
        return {"index": state.index, "message": message, "finish_reason": state.finish, "logprobs": state.logprobs}

    def tidied(self, state: Choice) -> None:
        """Leave all as it is."""

    def ordered(self, calls: list[Call]) -> list[Call]:
        return sorted(calls, key=lambda call: call.index or 0)

    def joined_text(self, text: str) -> str:
        """Return a text with the halves of surrogate pairs joined."""
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def built_call(self, call: Call) -> dict[str, Any]:
        return {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}
