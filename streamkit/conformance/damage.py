"""Bytes that no reader expects: what is no stream at all, and good streams with something in them changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

__all__ = ["JUNK", "damaged"]

#: Bodies that are no answer in any dialect.
JUNK = (
    b"", b"\n", b"\0", b"\xff\xfe", b"data", b"data: 5\n\n", b"data: []\n\n", b"data: null\n\n", b"data: {}\n\n",
    b"data: {\n\n", b'data: {"a":\xff}\n\n', b"data: [DONE]\n\n", b"5\n", b"[]", b"{}\n", b"null\n", b'"a"\n', b"[5]",
    b"[null]", b"[{}]", b"<html>502 Bad Gateway</html>", b"event: error\ndata: {}\n\n", b"\0" * 64,
    b"data: " + b"[" * 100_000 + b"\n\n", b"[" * 100_000, b'{"a":' * 50_000 + b"\n", b"data: " + b"9" * 5000 + b"\n\n",
    b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb\x7d\x98\xc8\xff",  # an empty message of an event stream
)  # fmt: skip

_VALUES = (b"null", b"5", b'"x"', b'""', b"[]", b"{}", b"[5]", b'{"a":[]}', b"true", b"-1e999", b'"\\ud83d"')
# Keys are matched to be passed over; a value is a string, a number, a word, or something empty.
_VALUE = re.compile(
    rb'"(?:[^"\\\r\n]|\\.)*"\s*:'
    rb'|(?P<value>"(?:[^"\\\r\n]|\\.)*"|(?<=[:,\[])(?:-?\d[\d.eE+-]*|true|false|null)|\[\]|\{\})'
)
# An object or a list without another of its kind inside.
_INNER = re.compile(rb"\{[^{}\r\n]*\}|\[[^\[\]\r\n]*\]")


def damaged(body: bytes, chance: random.Random, *, changes: int, values: int) -> Iterator[tuple[str, bytes]]:
    """Yield a stream in which something is not what it was, and in words what.

    Args:
        body: the stream.
        chance: chooses the places.
        changes: how many single bytes are changed, and how many stretches of up to 40 bytes are taken out.
        values: the most JSON values that are replaced, each by a value of every other type.
    """
    for _ in range(changes):
        offset = chance.randrange(len(body))
        yield f"byte {offset} changed", body[:offset] + chance.randbytes(1) + body[offset + 1 :]
        end = min(len(body), offset + chance.randrange(1, 40))
        yield f"bytes {offset} to {end} gone", body[:offset] + body[end:]
    found = [*(match for match in _VALUE.finditer(body) if match["value"]), *_INNER.finditer(body)]
    for match in found if len(found) <= values else chance.sample(found, values):
        for value in _VALUES:
            place = f"{value.decode()} in the place of the value at byte {match.start()}"
            yield place, body[: match.start()] + value + body[match.end() :]
