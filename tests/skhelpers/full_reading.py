"""Streams read twice: with envelopes from the second event on, and with each payload in full. Both must be alike."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from streamkit import dialects
from streamkit.dialects.envelope import Envelopes
from streamkit.errors import DialectError, StreamkitError

#: The dialects that have envelopes.
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages")
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def told(error: BaseException) -> tuple[object, ...]:
    """Return all that an error says."""
    if not isinstance(error, DialectError):
        return type(error), str(error)
    return type(error), str(error), error.event, error.offset, error.path, error.partial


def facts(reader: Any) -> tuple[object, ...]:
    """Return what can be known of a reader in the middle of a stream."""
    accumulator = reader._accumulator
    return reader.snapshot(), accumulator.events, accumulator.payloads, accumulator.done


def steps(reader: Any, chunks: Iterable[bytes], *, every: bool) -> Iterator[object]:
    """Yield what a reader says after every chunk, if that is asked for, and at the end."""
    try:
        for chunk in chunks:
            reader.feed(chunk)
            if every:
                yield facts(reader)
        reader.close()
        yield facts(reader)
        yield reader.result()
    except StreamkitError as error:
        yield told(error)
        yield facts(reader)


def read_twice(dialect: str, chunks: list[bytes], *, every: bool = True, envelopes: Envelopes | None = None) -> int:
    """Read a body with envelopes and without; return how often one was used.

    Args:
        dialect: its dialect.
        chunks: the body.
        every: compare after every chunk, and not only at the end.
        envelopes: those that are known already, from other streams.

    Raises:
        AssertionError: the readers do not say the same.
    """
    quick: Any = dialects.get(dialect).reader()
    slow: Any = dialects.get(dialect).reader()
    envelopes = Envelopes(patience=0) if envelopes is None else envelopes
    quick._accumulator._envelopes = envelopes
    before = envelopes._uses
    slow._accumulator._envelopes = None
    pairs = zip(steps(slow, chunks, every=every), steps(quick, chunks, every=every), strict=True)
    for number, (wanted, found) in enumerate(pairs):
        assert wanted == found, f"step {number}: {wanted} became {found}"
        assert repr(wanted) == repr(found), f"step {number}: {wanted} became {found}"
    return int(envelopes._uses - before)


def by_event(body: bytes) -> list[bytes]:
    """Return a body in chunks that each end with an event."""
    places = [0, *(match.end() for match in _END.finditer(body)), len(body)]
    return [body[start:end] for start, end in pairwise(places) if start < end]


def at_random(body: bytes, drawn: random.Random) -> list[bytes]:
    """Return a body in chunks of random sizes: mostly small ones, or mostly large ones."""
    chunks, start, size = [], 0, drawn.choice((3, 40, 700, 9000))
    while start < len(body):
        end = start + drawn.randint(1, size)
        chunks.append(body[start:end])
        start = end
    return chunks


_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 1.5, "", "x", "call_1", "assistant", "stop", [], {}, [1], {"a": 1}, [{}], [None],
    {"content": []}, {"code": "c", "message": "m"}, 10**30, "\ud83d", "\ude00", "{}", '{"a":1}',
)  # fmt: skip
_KEYS = (
    "error", "errors", "detail", "message", "code", "usage", "x_groq", "object", "p", "obfuscation", "id", "created",
    "model", "type", "role", "content", "refusal", "reasoning", "tool_calls", "function_call", "arguments", "name",
    "index", "finish_reason", "logprobs", "delta", "choices", "output_index", "item_id", "sequence_number",
    "content_index", "partial_json", "text", "thinking", "signature", "provider",
)  # fmt: skip


def _objects(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner)


def scrambled(data: str, drawn: random.Random) -> str:
    """Return a JSON object's text with something changed in it: a value, a key, a kind, or a character of the text."""
    try:
        payload = json.loads(data)
    except ValueError:
        return data
    holder = drawn.choice(list(_objects(payload)) or [{}])
    what = drawn.randrange(8)
    if what < 4 and holder:
        key = drawn.choice(list(holder))
        holder[key] = drawn.choice((*_STRANGE, f"{holder[key]}!"))
        if what == 0:
            del holder[key]
    elif what < 6:
        holder[drawn.choice(_KEYS)] = drawn.choice(_STRANGE)
    text = json.dumps(payload, ensure_ascii=drawn.random() < 0.5, separators=drawn.choice(((",", ":"), (", ", ": "))))
    text = text.encode("utf-8", "replace").decode()
    if what >= 6:
        place = drawn.randrange(len(text))
        instead = drawn.choice(
            ('"', "\\", "\\u", "\\n", "\t", " ", "}", '","', "\\ud83d", "\\ude00", "", "NaN", "9" * 40)
        )
        text = text[:place] + instead + text[place + drawn.randrange(2) :]
    return text


def mixed(body: bytes, drawn: random.Random) -> bytes:
    """Return a stream with some events changed, repeated and moved, so that envelopes meet what they may not take."""
    blocks = by_event(body) or [b""]
    for _ in range(drawn.randint(1, 4)):
        number = drawn.randrange(len(blocks))
        block = blocks[number]
        head, mark, data = block.partition(b"data: ")
        what = drawn.randrange(6)
        if mark and what < 4:
            text = data.decode("utf-8", "replace")
            end = text[len(text.rstrip()) :]
            changed = head + mark + scrambled(text.rstrip(), drawn).encode() + end.encode()
            copies = [changed if drawn.random() < 0.7 else block for _ in range(drawn.randint(1, 3))]
            blocks[number : number + (what < 2)] = copies
        elif what == 4:
            blocks.insert(drawn.randrange(len(blocks) + 1), block)
        else:
            blocks.insert(drawn.randrange(len(blocks)), blocks.pop(number))
    return b"".join(blocks)
