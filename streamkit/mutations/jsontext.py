"""Mutations of the JSON text, for any dialect: the same values written in another way, and texts that are no JSON.

Source of the rules: RFC 8259: whitespace (section 2), objects without order (4), escapes (7) and UTF-8 (8.1). Values
are never parsed and written again here: strings are rewritten one by one, and all else keeps its text, numbers above
all.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamkit.mutations.ends import unfinished
from streamkit.mutations.registry import TEXTS, Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = ["bad_utf8", "broken_json", "json_escapes", "json_whitespace", "key_order", "raw_characters"]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_COLON = re.compile(r"\s*:")
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HALF = re.compile("[\ud800-\udfff]")
# The order of the keys in here belongs to the value: dialects hand it out as text.
_OPAQUE = {"arguments", "args", "input", "parameters", "json"}


def _chosen(stream: Stream, choose: Choose, change: Callable[[str], str], said: str) -> Edit:
    """Change the data of every payload, or of one."""
    events = list(stream.events)
    changed = []
    for number, _ in stream.payloads:
        data = events[number].data or ""
        other = change(data)
        if other != data:
            events[number] = events[number].with_data(other)
            changed.append(number)
    if not changed:
        raise Inapplicable("no payload holds any of it")
    which = choose(len(changed) + 1)
    if which:
        number = changed[which - 1]
        return Edit(stream.replaced(number, events[number]), f"{said} in event {number}", (number,), (number,))
    told = f"event {changed[0]}" if len(changed) == 1 else f"{len(changed)} events"
    return Edit(replace(stream, events=tuple(events)), f"{said} in {told}", tuple(changed), tuple(changed))


@mutation(
    "json_whitespace",
    Class.PRESERVING,
    Layer.JSON,
    "writes JSON with other whitespace between its tokens",
    right="reads the same value",
    sources=["RFC 8259, section 2", "langchain4j/langchain4j#5531", "hey-api/hey-api#4418"],
    wires=TEXTS,
)
def json_whitespace(stream: Stream, choose: Choose) -> Edit:
    """Write a space after commas and colons, none at all, some around every token, or around the whole text."""
    kinds = [
        "no whitespace",
        "a space after commas and colons",
        "whitespace around every token",
        "whitespace around it",
    ]
    kind = choose(len(kinds))
    if kind == 0 and not any(" " in _STRING.sub('""', stream.events[n].data or "") for n, _ in stream.payloads):
        kind = 1

    def change(data: str) -> str:
        if kind == 3:
            return f"  {data}\t "
        tokens = [match[0] for match in _TOKEN.finditer(data)]
        if kind == 2:
            return " \t".join(["", *tokens, ""])
        return "".join(token + " " * (kind == 1 and token in (",", ":")) for token in tokens)

    return _chosen(stream, choose, change, kinds[kind])


@mutation(
    "key_order",
    Class.PRESERVING,
    Layer.JSON,
    "writes the keys of objects in another order",
    right="finds each key wherever it stands",
    sources=["RFC 8259, section 4"],
    wires=TEXTS,
)
def key_order(stream: Stream, choose: Choose) -> Edit:
    """Reverse the keys, or sort them; inside arguments they stay as they are."""
    backwards = choose(2) == 0

    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(item) for item in value]
        if not isinstance(value, dict):
            return value
        keys = list(value)[::-1] if backwards else sorted(value)
        return {key: value[key] if key in _OPAQUE else other(value[key]) for key in keys}

    def change(data: str) -> str:
        value = json.loads(data, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
        return _written(stream, other(value))

    return _chosen(stream, choose, change, "the keys reversed" if backwards else "the keys sorted")


class _Number(str):
    """A number with its own text."""

    __slots__ = ()


def _written(stream: Stream, value: Any) -> str:
    manner = stream.manner
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{manner.json(key)}{manner.key}{_written(stream, item)}" for key, item in value.items())
        return "{" + manner.item.join(pairs) + "}"
    if isinstance(value, list):
        return "[" + manner.item.join(_written(stream, item) for item in value) + "]"
    return manner.json(value)


class _Table(dict[int, str]):
    """How characters are written, each asked for once; for `str.translate`."""

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write

    def __missing__(self, code: int) -> str:
        self[code] = self._write(chr(code))
        return self[code]


def _restrung(data: str, table: _Table, *, keys: bool = True) -> str:
    """Return a JSON text with the characters of its strings written by a table, their quotes kept."""

    def other(match: re.Match[str]) -> str:
        if not keys and _COLON.match(data, match.end()):
            return match[0]
        return f'"{json.loads(match[0]).translate(table)}"'

    return _STRING.sub(other, data)


def _unit_escapes(character: str, digits: str = "04x") -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:{digits}}" for at in range(0, len(units), 2))


def _plain(character: str) -> str:
    """Write a character raw where JSON allows it."""
    if character in _SHORT:
        return _SHORT[character]
    return _unit_escapes(character) if character < " " or _HALF.match(character) else character


def _non_ascii(character: str) -> str:
    return _plain(character) if character.isascii() else _unit_escapes(character)


def _non_ascii_capitals(character: str) -> str:
    return _plain(character) if character.isascii() else _unit_escapes(character, "04X")


def _slash(character: str) -> str:
    return "\\/" if character == "/" else _plain(character)


def _letters(character: str) -> str:
    return _unit_escapes(character) if character.isalpha() and character.isascii() else _non_ascii(character)


@mutation(
    "json_escapes",
    Class.PRESERVING,
    Layer.JSON,
    "writes characters of strings as escapes",
    right="reads every escape that JSON has, pairs of surrogates too",
    sources=[
        "RFC 8259, section 7", "agent0ai/agent-zero#1773", "Qredence/fleet-rlm#414", "daggaz/json-stream#39",
    ],
    wires=TEXTS,
)  # fmt: skip
def json_escapes(stream: Stream, choose: Choose) -> Edit:
    r"""Write characters beyond ASCII as \uXXXX, letters too, keys too, or `/` as `\/`."""
    kinds: list[tuple[str, Callable[[str], str], bool]] = [
        ("letters of values as escapes", _letters, False),
        ("characters beyond ASCII as escapes", _non_ascii, True),
        ("letters of keys and values as escapes", _letters, True),
        ("`/` as `\\/`", _slash, True),
        ("characters beyond ASCII as escapes in capitals", _non_ascii_capitals, True),
    ]
    said, write, keys = choose.of(kinds)
    table = _Table(write)
    return _chosen(stream, choose, lambda data: _restrung(data, table, keys=keys), said)


@mutation(
    "raw_characters",
    Class.PRESERVING,
    Layer.JSON,
    "writes the characters of strings as they are, wherever JSON allows it",
    right="reads UTF-8, and takes no character but CR and LF for the end of a line",
    sources=["RFC 8259, sections 7 and 8.1", "florimondmanca/httpx-sse#34", "langchain-ai/langgraph#2593"],
    wires=TEXTS,
)
def raw_characters(stream: Stream, choose: Choose) -> Edit:
    """Write raw what was escaped without need."""
    table = _Table(_plain)
    return _chosen(stream, choose, lambda data: _restrung(data, table), "characters as they are")


@mutation(
    "broken_json",
    Class.FAULT,
    Layer.JSON,
    "makes the data of one event a text that is no JSON",
    right="reports an error; an event that cannot be read is not the end of the stream",
    sources=["aaif-goose/goose#6309", "castari/castari-proxy#1", "osaurus-ai/osaurus#2150"],
    wires=TEXTS,
)
def broken_json(stream: Stream, choose: Choose) -> Edit:
    """Cut the data of one event, or put something after them."""
    kind = choose(5)
    number = choose.of(_damageable(stream))
    data = stream.events[number].data or ""
    text = (data[: len(data) // 2], data[:-1], data + "}", data.replace('"', "'"), data.replace(":", "=", 1))[kind]
    if _is_json(text):
        raise Inapplicable("it would still be JSON")
    said = ("cut in half", "without their last character", "with a brace too many", "in single quotes", "with a `=`")
    changed = stream.replaced(number, stream.events[number].with_data(text))
    return Edit(changed, f"the data of event {number} {said[kind]}", (number,), (number,))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _ping(stream: Stream, number: int, payload: Any) -> bool:
    """Say whether an event only keeps the connection open, so that a reader may skip it unread."""
    return not payload or bool({stream.events[number].name, payload.get("type")} & {"ping", "keepalive"})


def _damageable(stream: Stream) -> list[int]:
    """Return the numbers of the payloads without which the stream is not whole, the middle one first."""
    last = unfinished(stream)
    found = [number for number, payload in stream.payloads if number <= last and not _ping(stream, number, payload)]
    middle = len(found) // 2
    return found[middle:] + found[:middle]


@mutation(
    "bad_utf8",
    Class.FAULT,
    Layer.BYTES,
    "puts bytes that are not UTF-8 into a string",
    right="reports an error; what it replaces in silence is another text than the one sent",
    sources=["RFC 8259, section 8.1", "openai/openai-python#2960", "api7/aisix#111"],
    wires=TEXTS,
)
def bad_utf8(stream: Stream, choose: Choose) -> Edit:
    """Put broken UTF-8 at the beginning of the last string of one event."""
    bad = choose.of([b"\xff\xfe", b"\xf0\x9f", b"\xed\xa0\xbd", b"\xc0\xaf"])
    number = choose.of(_damageable(stream))
    event = stream.events[number]
    data = event.data or ""
    values = [match for match in _STRING.finditer(data) if not _COLON.match(data, match.end())]
    if not values:
        raise Inapplicable("its event holds no string")
    place = values[-1].start() + 1
    start = stream.write(event.with_data(data[:place])).rstrip(b"\r\n")
    whole = stream.write(event.with_data(data))
    damaged = replace(event, data=data[:place] + "\ufffd" + data[place:], lossy=True)
    raw = start + bad + whole[len(start) :]
    said = f"the bytes {bad.hex(' ')} in a string of event {number}"
    return Edit(stream.replaced(number, replace(damaged, raw=raw)), said, (number,), (number,))
