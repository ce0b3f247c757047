"""Mutations that put text into the strings of Chat Completions: separators, and what looks like framing.

Each says with `Edit.expected` what the answer is then. Text is only put where nothing about the joining is in doubt.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streamkit.completion import argument_problem
from streamkit.mutations.chat_json import answer, objects, with_choice
from streamkit.mutations.registry import Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice
    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = ["framing_in_text", "unicode_separators"]

_CHAT = ("openai_chat",)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_UNIT = re.compile(r"[^\\]|\\u[dD][89abAB]..(?:\\u[dD][c-fC-F]..)?|\\u.{4}|\\.", re.DOTALL)  # pairs stay together
_HALF = re.compile("[\ud800-\udfff]")

_Json = dict[str, Any]


@dataclass(frozen=True)
class _Place:
    """Where text can be put in: `holder[key]` of a payload, `at` characters into it, `offset` into the whole."""

    number: int
    payload: _Json
    holder: _Json
    key: str
    at: int
    offset: int
    choice: int
    call: int | None = None


def _content_places(stream: Stream) -> Iterator[_Place]:
    """Yield the middle of each piece of content, as long as nothing about the joining is in doubt."""
    size: dict[int, int] = defaultdict(int)
    for number, payload in answer(stream):
        for entry in objects(payload.get("choices")):
            index, delta = entry.get("index") or 0, entry.get("delta")
            content = delta.get("content") if isinstance(delta, dict) else None
            if type(index) is not int or entry.get("message") or not isinstance(content, str | None):
                return
            if content and isinstance(delta, dict):
                if _HALF.search(content):
                    return
                middle = len(content) // 2
                yield _Place(number, payload, delta, "content", middle, size[index] + middle, index)
                size[index] += len(content)


def _argument_places(stream: Stream) -> Iterator[_Place]:
    """Yield a place inside a string in each piece of arguments, for calls that keep to their index."""
    pieces: dict[tuple[int, int], list[tuple[int, _Json, _Json, str]]] = defaultdict(list)
    owner: dict[str, tuple[int, int]] = {}
    doubtful: set[tuple[int, int]] = set()
    for number, payload in answer(stream):
        for entry in objects(payload.get("choices")):
            delta = entry.get("delta")
            for call in objects(delta.get("tool_calls") if isinstance(delta, dict) else None):
                index, at, function = entry.get("index") or 0, call.get("index"), call.get("function")
                if entry.get("message") or type(at) is not int or not isinstance(function, dict):
                    return
                key = (index, at)
                identity, piece = call.get("id"), function.get("arguments") or ""
                if not isinstance(piece, str):
                    return
                begun = any(part[3] for part in pieces[key])
                opens_again = bool(pieces[key]) and bool(identity or function.get("name"))
                opens_again = opens_again or (begun and piece.lstrip()[:1] == "{")
                if opens_again or (identity and owner.setdefault(identity, key) != key):
                    doubtful.update((key, owner.get(identity or "", key)))
                pieces[key].append((number, payload, function, piece))
    for key, parts in pieces.items():
        text = "".join(part[3] for part in parts)
        if key in doubtful or argument_problem(text) or _HALF.search(text):
            continue
        inside, start = _inside_strings(text), 0
        for number, payload, function, piece in parts:
            after = bisect_left(inside, start + len(piece) // 2)
            offset = inside[after] if after < len(inside) else -1
            if start <= offset <= start + len(piece) and "arguments" in function:
                yield _Place(number, payload, function, "arguments", offset - start, offset, *key)
            start += len(piece)


def _inside_strings(text: str) -> list[int]:
    """Return the offsets inside the strings of a JSON text that are not inside an escape, ascending."""
    found = []
    for string in _STRING.finditer(text):
        found.append(string.start() + 1)
        found.extend(unit.end() for unit in _UNIT.finditer(text, string.start() + 1, string.end() - 1))
    return found


def _put(stream: Stream, choose: Choose, text: str, escaped: str, said: str) -> Edit:
    """Put text into one place; `escaped` is how it is written inside the JSON string that arguments are."""
    groups = [group for group in (list(_content_places(stream)), list(_argument_places(stream))) if group]
    if not groups:
        raise Inapplicable("it has neither content nor arguments that text could be put into")
    place = choose.of(choose.of(groups))
    put = text if place.call is None else escaped
    old = place.holder[place.key]
    place.holder[place.key] = old[: place.at] + put + old[place.at :]

    def grown(whole: str) -> str:
        return whole[: place.offset] + put + whole[place.offset :]

    def change(choice: Choice) -> Choice:
        if place.call is None:
            return replace(choice, content=grown(choice.content or ""))
        calls = (
            replace(call, arguments=grown(call.arguments)) if call.index == place.call else call
            for call in choice.tool_calls
        )
        return replace(choice, tool_calls=tuple(calls))

    event = stream.events[place.number].with_data(stream.manner.json(place.payload))
    what = "the content" if place.call is None else "the arguments"
    return Edit(
        stream.replaced(place.number, event),
        f"{said} in {what} of event {place.number}",
        (place.number,),
        (place.number,),
        lambda completion: with_choice(completion, place.choice, change),
    )


@mutation(
    "unicode_separators",
    Class.PRESERVING,
    Layer.JSON,
    "puts U+2028, U+2029 or U+0085 into a text, unescaped",
    right="takes no character but CR and LF for the end of a line",
    sources=[
        "WHATWG HTML 9.2.5", "RFC 8259, section 7", "florimondmanca/httpx-sse#34", "langchain-ai/langgraph#2593",
        "langgenius/dify#39008", "modelscope/evalscope#1642", "Soju06/codex-lb#1010", "openai/openai-python#1230",
        "modelcontextprotocol/typescript-sdk#1926", "opensandbox-group/OpenSandbox#1444", "kagent-dev/kagent#1480",
        "modelcontextprotocol/python-sdk#1359",
    ],
    dialects=_CHAT,
)  # fmt: skip
def unicode_separators(stream: Stream, choose: Choose) -> Edit:
    """Put a separator into a piece of content or of arguments."""
    text = choose.of(["\u2028", "\u2029", "\x85", "\u2028\u2029\x85\x7f\x80"])
    raw = replace(stream, manner=replace(stream.manner, ascii=False))
    edit = _put(raw, choose, text, text, " ".join(f"U+{ord(character):04X}" for character in text))
    return replace(edit, stream=replace(edit.stream, manner=stream.manner, events=_fixed(edit.stream, edit.after[0])))


def _fixed(stream: Stream, number: int) -> tuple[Any, ...]:
    """Return the events, one of them with its bytes, so that another manner cannot write it again."""
    event = stream.events[number]
    return (*stream.events[:number], replace(event, raw=stream.write(event)), *stream.events[number + 1 :])


@mutation(
    "framing_in_text",
    Class.PRESERVING,
    Layer.JSON,
    "puts text that looks like framing, or like two JSON values, into a string",
    right="takes what is inside a string for text",
    sources=[
        "ai-forever/gigachat-js#12", "Routstr/routstr-core#543", "huggingface/huggingface_hub#4536",
        "intrafind/ihub-apps#1802",
    ],
    dialects=_CHAT,
)  # fmt: skip
def framing_in_text(stream: Stream, choose: Choose) -> Edit:
    """Put `data: `, `}{`, `[DONE]` or an error's text into a piece of content or of arguments."""
    kinds = ["data: ", "}{", "[DONE]", "\n\ndata: [DONE]\n\n", '": ["', '{"error":{"message":"boom"}}']
    text = choose.of(kinds)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return _put(stream, choose, text, escaped, repr(text))
