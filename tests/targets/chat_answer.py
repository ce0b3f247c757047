"""How right parsers of chat completion streams put an answer together: payloads in, choices out, errors of their own.

It shares no code with streamkit, and none with the parser that the bugs are planted in.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["Answer", "BadEventError", "BrokenCallError", "EarlyEndError", "ServerError", "StreamError", "parse"]

_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_CUT = frozenset(["length", "max_tokens", "model_length", "content_filter", "error"])


class StreamError(Exception):
    """A stream that gives no answer."""


class EarlyEndError(StreamError):
    """The body ended, and the answer had not."""


class ServerError(StreamError):
    """The server says that it failed."""


class BadEventError(StreamError):
    """An event that is none of this API."""


class BrokenCallError(StreamError):
    """A tool call that must not be executed."""


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def parse(data: str) -> dict[str, Any]:
    """Return the object that an event holds; an error for all else, and for an object that reports one."""
    try:
        value = json.loads(data, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise BadEventError(f"no JSON: {data[:80]!r}") from error
    if not isinstance(value, dict):
        raise BadEventError(f"no object: {data[:80]!r}")
    if _failed(value) or any(isinstance(one, dict) and one.get("error") for one in _list(value.get("choices"))):
        raise ServerError(data[:200])
    return value


def _failed(value: dict[str, Any]) -> bool:
    groq = value.get("x_groq")
    if value.get("error") or (isinstance(groq, dict) and groq.get("error")):
        return True
    if value.get("choices"):
        return False
    told = value.keys() & {"detail", "errors"} or {"message", "code"} <= value.keys()
    return bool(told) or value.get("object") == "error" or value.get("type") == "error"


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadEventError(f"no list: {value!r:.80}")
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadEventError(f"no text: {value!r:.80}")
    return value


class Answer:
    """The answer so far.

    Attributes:
        done: [DONE] came, and nothing after it counts.
        usage: the last that was given.
    """

    def __init__(self) -> None:
        self.done = False
        self.usage: dict[str, Any] | None = None
        self._choices: dict[int, dict[str, Any]] = {}

    def event(self, data: str, name: str = "") -> None:
        """Take the data of an event."""
        if self.done or not data.strip():
            return
        if data.strip() == "[DONE]":
            self.done = True
            return
        payload = parse(data)
        if name == "error":
            raise ServerError(data[:200])
        self.payload(payload)

    def payload(self, payload: dict[str, Any]) -> None:
        """Take a payload."""
        if payload.get("usage"):
            self.usage = payload["usage"]
        for entry in _list(payload.get("choices")):
            if not isinstance(entry, dict):
                raise BadEventError("a choice is no object")
            if entry:
                self._entry(entry)

    def _entry(self, entry: dict[str, Any]) -> None:
        empty: dict[str, Any] = {
            "content": [],
            "reasoning": {},
            "refusal": [],
            "calls": [],
            "finish": None,
            "legacy": None,
        }
        choice = self._choices.setdefault(entry.get("index") or 0, empty)
        delta = entry.get("delta") or {}
        content = delta.get("content")
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if part.get("type") == "text":
                choice["content"].append(_text(part.get("text")))
            for piece in _list(part.get("thinking")):
                choice["reasoning"].setdefault("parts", []).append(_text(piece.get("text")))
        choice["refusal"].append(_text(delta.get("refusal")))
        for name in _REASONING:
            if isinstance(delta.get(name), str):
                choice["reasoning"].setdefault(name, []).append(delta[name])
        for call in _list(delta.get("tool_calls")):
            self._fragment(choice["calls"], call)
        legacy = delta.get("function_call")
        if legacy:
            choice["legacy"] = choice["legacy"] or {"name": "", "arguments": ""}
            name = _text(legacy.get("name"))
            choice["legacy"]["name"] += "" if name == choice["legacy"]["name"] else name  # one server repeats it
            choice["legacy"]["arguments"] += _text(legacy.get("arguments"))
        choice["finish"] = choice["finish"] or entry.get("finish_reason") or None

    def _fragment(self, calls: list[dict[str, Any]], entry: dict[str, Any]) -> None:
        function = entry.get("function") or {}
        index, given, name = entry.get("index"), _text(entry.get("id")), _text(function.get("name"))
        arguments = function.get("arguments")
        piece = json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments)
        call = next((one for one in calls if given and one["id"] == given), None)
        if call is None:
            call = self._place(calls, index, given, name)
        if call is None and not (given or name):
            if piece.strip():
                raise BadEventError("arguments come before their call")
            return
        if call is None:
            call = {"index": index, "id": "", "name": "", "arguments": "", "turn": 0}
            calls.append(call)
        call["turn"] = 1 + max(one["turn"] for one in calls)
        call["id"] = call["id"] or given
        call["name"] += "" if name == call["name"] else name
        whole = _object(call["arguments"])
        if piece[:1] == "{" and whole is not None and whole in ({}, _object(piece)):
            call["arguments"] = ""  # a placeholder, or the same once more
        call["arguments"] += piece

    def _place(self, calls: list[dict[str, Any]], index: Any, given: str, name: str) -> dict[str, Any] | None:
        """Return the call that an entry whose id is not known continues, or None where it begins another."""
        if index is None:
            last = max(calls, key=lambda one: int(one["turn"]), default=None)
            if last is None or given or (name and (name != last["name"] or _object(last["arguments"]) is not None)):
                return None
            return last
        there = [one for one in calls if one["index"] == index]
        if not there or (given and name and there[-1]["id"]):
            return None
        if name and there[-1]["name"] not in ("", name) and there[-1]["arguments"]:
            return None
        return there[-1]

    def finished(self) -> list[dict[str, Any]]:
        """Return the choices, or raise where the answer is not whole."""
        if not self._choices:
            raise EarlyEndError("no answer came")
        if not self.done and any(choice["finish"] is None for choice in self._choices.values()):
            raise EarlyEndError("the answer has no end")
        return [self._built(self._choices[index]) for index in sorted(self._choices)]

    def _built(self, choice: dict[str, Any]) -> dict[str, Any]:
        calls = sorted(choice["calls"], key=lambda call: call["index"] or 0)
        for call in [*calls, *([choice["legacy"]] if choice["legacy"] else [])]:
            if choice["finish"] in _CUT or not call["name"]:
                raise BrokenCallError(f"{call['name'] or 'a call'} was cut off")
            if call["arguments"].strip() and _object(call["arguments"]) is None:
                raise BrokenCallError(f"{call['name']}: {call['arguments'][:80]!r} is no JSON object")
        reasoning: list[str] = next(iter(choice["reasoning"].values()), [])
        return {
            "content": _whole("".join(choice["content"])),
            "reasoning": _whole("".join(reasoning)),
            "refusal": _whole("".join(choice["refusal"])),
            "tool_calls": [{key: call[key] for key in ("id", "name", "arguments")} for call in calls],
            "function_call": None if calls else choice["legacy"],  # a call in both forms is one call
            "finish_reason": choice["finish"],
        }


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole(text: str) -> str:
    """Return a text with the halves of surrogate pairs joined, which two deltas may bring."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
