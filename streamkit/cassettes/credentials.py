"""Credentials by place and by value: where URLs, forms and JSON name them, and how a known one may be written.

Plain functions over bytes and text, for `redaction`. Every search is linear.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from streamkit.cassettes.secrets import Secret, is_redacted, is_secret_field, plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "LEAST",
    "ORIGIN",
    "PARAMETER",
    "byte_spans",
    "is_json",
    "is_number",
    "is_telling",
    "json_fields",
    "merged",
    "named",
    "unescaped",
    "user_and_password",
    "variants",
    "whole_escapes",
]

#: Shorter values are not searched for in bodies: they would destroy ordinary text.
LEAST = 8

ORIGIN = re.compile(r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)(?:(?P<user>[^/?#\s]*)@)?")
PARAMETER = re.compile(r"(?P<lead>[?&#])(?P<name>[^=&#?\s]{1,200})=(?P<value>[^&#\s]*)")


def user_and_password(user: str, password: str) -> set[str]:
    """Return what gives a user and a password away: each, both, and both as the header has them."""
    both = f"{user}:{password}"
    return {user, password, both, base64.b64encode(both.encode("utf-8", "surrogatepass")).decode()}


def is_telling(value: str) -> bool:
    """Say whether a value is long enough to be searched for, and is not the very name of a field."""
    plain = plain_name(value)
    named = is_secret_field(plain) and plain.isalpha() and len(plain) <= 20
    return len(value) >= LEAST and not named and not is_redacted(value.encode("utf-8", "surrogatepass"))


def variants(value: str) -> re.Pattern[bytes]:
    """Return the pattern of a secret as it is, and with its signs escaped for JSON (also twice) or for a URL."""
    parts = []
    for sign in value:
        raw = sign.encode("utf-8", "surrogatepass")
        if sign.isascii() and sign.isalnum():
            parts.append(raw)
            continue
        units = sign.encode("utf-16-be", "surrogatepass").hex()
        pairs = [units[at : at + 4] for at in range(0, len(units), 4)]
        escaped = "".join(rf"\\+u(?i:{pair})" for pair in pairs).encode()
        percent = "".join(f"%(?i:{byte:02x})" for byte in raw).encode()
        short = rb"|\+" if sign == " " else rb"|\\*" + re.escape(raw) if sign in '"/\\' else b""
        parts.append(b"(?:" + re.escape(raw) + b"|" + escaped + b"|" + percent + short + b")")
    whole = rb"(?<![0-9])%b(?![0-9])" if value.isdigit() else b"%b"
    return re.compile(whole % b"".join(parts))


def is_number(data: bytes, start: int, end: int) -> bool:
    """Say whether digits are a JSON number or a part of one, which is no place for a text."""
    before = data[max(0, start - 32) : start].rstrip(b"-+.0123456789").rstrip()
    after = data[end : end + 32].lstrip(b"-+.0123456789eE").lstrip()
    return before[-1:] in (b":", b"[", b",") and after[:1] in (b",", b"}", b"]")


def whole_escapes(data: bytes, secret: Secret) -> Secret:
    """Return the secret with the whole of an escape that it begins or ends in, so that the JSON stays valid."""
    start, end = secret.offset, secret.offset + secret.length
    back = data.rfind(b"\\", max(0, start - 5), start)
    if back >= 0 and back + _escape_size(data, back) > start:
        start = back + 1 - _run_before(data, back + 1)
    back = data.rfind(b"\\", max(start, end - 5), end)
    # an even run is of escaped backslashes, which end where they end
    if back >= 0 and _run_before(data, back + 1, start) % 2 and back + _escape_size(data, back) > end:
        end = min(len(data), back + _escape_size(data, back))
    return secret if end - start == secret.length else replace(secret, offset=start, length=end - start)


def _run_before(data: bytes, end: int, start: int = 0) -> int:
    """Return how many backslashes stand directly before an offset."""
    at = end
    while at > start and data[at - 1] == 92:
        at -= 1
    return end - at


def _escape_size(data: bytes, at: int) -> int:
    return 6 if data[at + 1 : at + 2] == b"u" else 2


def byte_spans(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of characters as spans of bytes, in UTF-8."""
    if text.isascii():
        return spans
    places: dict[int, int] = {}
    reached, at = 0, 0
    for place in sorted({place for span in spans for place in span if place >= 0}):
        at += len(text[reached:place].encode("utf-8", "surrogateescape"))
        reached = place
        places[place] = at
    return [(places[start], places[end]) for start, end in spans if start >= 0]


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# -- JSON

_KEY = re.compile(rb'(?<!\\)(\\{0,15})"([A-Za-z0-9_.$ -]{2,64})\1"[ \t\r\n]*+:[ \t\r\n]*+\1"')


def is_json(body: bytes, content_type: str, request: bool) -> bool:
    """Say whether a body is a JSON value: of a response, one that is no stream."""
    if body.lstrip()[:1] not in (b"{", b"["):
        return False
    if request or not content_type:
        return request or b"\n{" not in body  # several values, one a line, are a stream
    return "json" in content_type and not re.search("ndjson|jsonl|stream|json-seq", content_type)


def json_fields(body: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, start and end of every string under a wanted name, and the backslashes before its quotes.

    The backslashes are those of JSON inside a JSON string: none, 1, 3, 7, ...
    """
    at = 0
    while (key := _KEY.search(body, at)) is not None:
        start, depth, name = key.end(), len(key[1]), key[2].decode()
        if not wanted(name):
            at = start  # and into its value, which may be JSON itself
            continue
        quote = body.find(b'"', start)
        while quote >= 0:
            run = _run_before(body, quote, start)
            if run % (2 * depth + 2) == depth or run < depth:
                break
            quote = body.find(b'"', quote + 1)
        if quote < 0:
            return
        end = max(start, quote - depth)
        yield name, start, end, depth
        at = end


def unescaped(value: bytes, depth: int) -> str:
    """Return the text of a JSON string, given the backslashes before its quotes."""
    text = value.decode("utf-8", "replace")
    for _ in range((depth + 1).bit_length()):
        try:
            text = json.loads(f'"{text}"', strict=False)
        except ValueError:
            break
    return text


def named(data: bytes, name: str, start: int, end: int) -> Iterator[Secret]:
    """Yield the value of a field whose name says that it is secret, unless it is redacted."""
    if end > start and not is_redacted(data[start:end]):
        yield Secret(f"field {name!r}", start, end - start, "***")
