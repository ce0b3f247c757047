"""What is secret: shapes of credentials in bytes, and names that headers, URL parameters and JSON fields give them.

Nothing is changed here; `redaction` removes what this module finds, and `lint` reports it.

Strategy: every shape begins with literal bytes. `bytes.find` goes from one to the next, and only there does a regular
expression look at what follows, once and without backtracking. So the search is linear, and a body of tens of MB takes
seconds. A shape must also begin where a word begins: base64 data, ids and signatures hold every short prefix somewhere
in their middle.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "REDACTED",
    "Secret",
    "fill",
    "find_secrets",
    "is_redacted",
    "is_secret_field",
    "is_secret_header",
    "is_secret_parameter",
    "plain_name",
    "spread_secrets",
]

REDACTED = "REDACTED"


@dataclass(frozen=True, slots=True)
class Secret:
    """One likely secret.

    Attributes:
        kind: what it looks like ("openai-key", "jwt", ...).
        offset: where it begins, in bytes.
        length: its bytes; of one that is spread over several strings, those of all its pieces.
        preview: its public prefix and asterisks, never the secret.
        pieces: (start, end) of each piece, in bytes. One, unless it is spread.
    """

    kind: str
    offset: int
    length: int
    preview: str
    pieces: tuple[tuple[int, int], ...] = ()

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The (start, end) of every piece, in bytes."""
        return self.pieces or ((self.offset, self.offset + self.length),)


def fill(length: int) -> bytes:
    """Return the text that stands for a secret of `length` bytes: legal in a JSON string, a URL and a form."""
    return (REDACTED.encode() * (length // len(REDACTED) + 1))[:length]


def is_redacted(value: bytes) -> bool:
    """Say whether a value is what `fill` writes, or a piece of it, or holds the word in any case."""
    return b"redacted" in value.lower() or (len(value) < 2 * len(REDACTED) and value in fill(3 * len(REDACTED)))


# -- shapes


@dataclass(frozen=True, slots=True)
class _Shape:
    """A kind of secret: what it begins with, what must follow, and what else must hold of the part that is secret.

    The secret is the whole match; where `rest` has a group, that group alone.
    """

    kind: str
    prefixes: tuple[bytes, ...]
    rest: re.Pattern[bytes]
    plausible: Callable[[bytes], bool] = lambda value: not _is_placeholder(value)
    at_word: bool = True


_ONE_SIGN = frozenset(b"xX0*.-_")
_PLACEHOLDER = re.compile(rb"(?:your|YOUR)[-_]|example|EXAMPLE|placeholder|PLACEHOLDER")


def _is_placeholder(value: bytes) -> bool:
    return is_redacted(value) or _ONE_SIGN.issuperset(value) or _PLACEHOLDER.search(value) is not None


def _is_random(value: bytes) -> bool:
    """Say whether a value with no prefix of its own is more than a word of a sentence."""
    mixed = re.search(rb"[0-9]", value) is not None and re.search(rb"[A-Za-z]", value) is not None
    return not _is_placeholder(value) and (mixed or re.search(rb"[A-Za-z0-9]{30}", value) is not None)


def _is_basic(value: bytes) -> bool:
    try:
        text = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in text and all(32 <= byte < 127 for byte in text) and not is_redacted(text)


def _is_password(userinfo: bytes) -> bool:
    password = userinfo.partition(b":")[2]
    masked = re.search(rb"[*{}$\[\]()%]|^(?i:pass|pwd|secret)", password) is not None
    return len(password) >= 8 and _is_random(password) and not masked


def _keys(kind: str, *prefixes: str, least: int = 30, signs: str = "A-Za-z0-9", exact: bool = False) -> _Shape:
    """Return the shape of a key: a prefix, and at least (or exactly) so many of these signs."""
    rest = f"[{signs}]{{{least}}}(?![A-Za-z0-9_-])" if exact else f"[{signs}]{{{least},}}+"
    return _Shape(kind, tuple(prefix.encode() for prefix in prefixes), re.compile(rest.encode()))


_WIDE = "A-Za-z0-9_-"
_SHAPES = (
    _keys("anthropic-key", "sk-ant-", least=20, signs=_WIDE),
    _keys("openai-key", "sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-", least=20, signs=_WIDE),
    _keys("openrouter-key", "sk-or-v1-", "sk-or-", least=20),
    _keys("langfuse-key", "sk-lf-", least=30, signs="0-9a-f-"),
    # the keys of OpenAI's first years, and of many services that took the form over
    _Shape("openai-key", (b"sk-",), re.compile(rb"[A-Za-z0-9]{20}[A-Za-z0-9_-]*+")),
    _keys("google-key", "AIza", least=35, signs=_WIDE, exact=True),
    _keys("google-token", "ya29.", least=20, signs="A-Za-z0-9_.-"),
    _keys("aws-key-id", "AKIA", "ASIA", least=16, signs="A-Z2-7", exact=True),
    _keys("aws-bedrock-key", "ABSKQmVkcm9ja0FQSUtleS", least=20, signs="A-Za-z0-9+/="),
    _keys("github-token", "ghp_", "gho_", "ghs_", "ghu_", "ghr_"),
    _keys("github-token", "github_pat_", signs="A-Za-z0-9_"),
    _Shape("slack-token", (b"xox",), re.compile(rb"[abeoprs]-(?=[A-Za-z-]*+[0-9])[A-Za-z0-9-]{10,}+")),
    _keys("huggingface-token", "hf_"),
    _keys("groq-key", "gsk_"),
    _keys("xai-key", "xai-"),
    _keys("perplexity-key", "pplx-"),
    _keys("replicate-token", "r8_"),
    _keys("cerebras-key", "csk-"),
    _keys("nvidia-key", "nvapi-", signs=_WIDE),
    _keys("together-key", "tgp_v1_", signs=_WIDE),
    _keys("langsmith-key", "lsv2_pt_", "lsv2_sk_", signs="A-Za-z0-9_"),
    _keys("stripe-key", "sk_live_", "rk_live_", least=16),
    _Shape("jwt", (b"eyJ",), re.compile(rb"[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.?[A-Za-z0-9_-]*+")),
    _Shape(
        "private-key", (b"-----BEGIN ",),
        re.compile(
            rb"[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s]|\\+[nr]){64,}+"
            rb"(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        at_word=False,
    ),
    _Shape(
        "bearer-token", (b"Bearer ", b"bearer ", b"BEARER "),
        re.compile(rb"([A-Za-z0-9._~+/-]{16,}+=*+)"), _is_random,
    ),
    _Shape("basic-credentials", (b"Basic ", b"basic "), re.compile(rb"([A-Za-z0-9+/]{8,}+={0,2})"), _is_basic),
    _Shape(
        "url-credentials", (b"://",),
        re.compile(rb"""([^\s/@"'<>\\:?\#`]{1,128}:[^\s/@"'<>\\?\#`]{1,256}+)@[A-Za-z0-9\[]"""),
        _is_password, at_word=False,
    ),
)  # fmt: skip

_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
# An escape before a word ends in a letter or digit that is no part of a word: "\n", "\u003d", "%3D".
_ESCAPE_BEFORE = re.compile(rb"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})\Z")


def _begins_word(data: bytes, offset: int) -> bool:
    if offset == 0 or data[offset - 1] not in _WORD:
        return True
    return _ESCAPE_BEFORE.search(data[max(0, offset - 6) : offset]) is not None


def find_secrets(data: bytes) -> list[Secret]:
    """Return the likely secrets in some bytes, by their shape, in order and without overlap.

    Args:
        data: a body, a URL, the value of a header: anything. What redaction wrote there is no secret.
    """
    found: list[Secret] = []
    for shape in _SHAPES:
        for prefix in shape.prefixes:
            found.extend(_of_shape(data, shape, prefix))
    # The shapes are listed from the most telling to the least: of two that overlap, the first one stays.
    kept: list[Secret] = []
    reach = 0
    for secret in sorted(found, key=lambda secret: secret.offset):  # stable
        if secret.offset >= reach:
            kept.append(secret)
            reach = secret.offset + secret.length
        elif secret.offset + secret.length > reach:  # nothing of a secret stays because another one begins before it
            reach = secret.offset + secret.length
            kept[-1] = replace(kept[-1], length=reach - kept[-1].offset)
    return kept


def _of_shape(data: bytes, shape: _Shape, prefix: bytes) -> Iterable[Secret]:
    at = data.find(prefix)
    while at >= 0:
        end = at + len(prefix)
        match = shape.rest.match(data, end) if not shape.at_word or _begins_word(data, at) else None
        if match is not None:
            end = match.end()
            inner = bool(match.re.groups)
            start, stop = match.span(1) if inner else (at, end)
            if shape.plausible(data[start if inner else at + len(prefix) : stop]):
                yield Secret(shape.kind, start, stop - start, prefix.decode() + "***")
        at = data.find(prefix, end)


# -- secrets in pieces

# A string or a whole number under a name. No raw line end: a JSON string has none, so a search never leaves its line.
_PAIR = re.compile(
    rb'"([A-Za-z_][A-Za-z0-9_.-]{0,63})"[ \t]*+:[ \t]*+(?:"([^"\\\r\n]*+(?:\\[^\r\n][^"\\\r\n]*+)*+)"|([0-9]+)|([\[{]))'
    rb"|([\r\n])"
)
_POSITIONS = {b"index", b"output_index", b"content_index", b"summary_index", b"item_id", b"contentBlockIndex"}


def spread_secrets(data: bytes, search: Callable[[bytes], list[Secret]]) -> list[Secret]:
    """Return the secrets that a stream carries in pieces, as a model says them token by token.

    The JSON strings of one name are joined over all lines of the body; and again only those of events with the same
    `index`, for answers whose pieces alternate.

    Args:
        data: a body: server-sent events, or JSON lines.
        search: what finds secrets in joined text, such as `find_secrets`.
    """
    found: dict[tuple[tuple[int, int], ...], Secret] = {}
    for pieces in _sequences(data):
        if len(pieces) < 2:
            continue
        joined = b"".join([data[start:end] for start, end in pieces])
        starts = list(accumulate((end - start for start, end in pieces), initial=0))
        for secret in search(joined):
            parts = tuple(
                part for start, end in secret.spans for part in _mapped(pieces, starts, start, end) if part[0] < part[1]
            )
            if len(parts) > 1:
                found[parts] = replace(secret, offset=parts[0][0], pieces=parts)
    return sorted(found.values(), key=lambda secret: secret.offset)


def _sequences(data: bytes) -> Iterable[list[tuple[int, int]]]:
    by_name: dict[bytes, list[tuple[int, int]]] = {}
    by_place: dict[tuple[bytes, tuple[bytes, ...]], list[tuple[int, int]]] = {}
    line: list[tuple[bytes, tuple[int, int]]] = []
    place: list[bytes] = []

    def end_line() -> None:
        where = tuple(place)
        for name, span in line:
            by_name.setdefault(name, []).append(span)
            by_place.setdefault((name, where), []).append(span)
        line.clear()
        place.clear()

    for match in _PAIR.finditer(data):
        name = match[1]
        if name is None:
            end_line()
        elif name in _POSITIONS:
            place.append(match[2] or match[3] or b"")
        elif match[2]:
            line.append((name, match.span(2)))
    end_line()
    yield from by_name.values()
    for (name, _), spans in by_place.items():
        if len(spans) < len(by_name[name]):
            yield spans


def _mapped(pieces: list[tuple[int, int]], starts: list[int], start: int, end: int) -> Iterable[tuple[int, int]]:
    """Return where start to end of the joined text lies in the body."""
    number = bisect_right(starts, start) - 1
    while number < len(pieces) and starts[number] < end:
        shift = pieces[number][0] - starts[number]
        yield max(start, starts[number]) + shift, min(end, starts[number + 1]) + shift
        number += 1


# -- names


def plain_name(name: str) -> str:
    """Return a name in lower case without its separators: "api_key", "apiKey" and "API-Key" are one name."""
    return re.sub(r"[-_. ]", "", name).lower()


# Words of a header's name that mark a credential. "tokens" is none of them: that counts tokens.
_HEADER_WORDS = {
    "apikey", "auth", "authentication", "authorization", "cookie", "cookie2", "credential", "credentials", "jwt", "key",
    "passwd", "password", "secret", "signature", "token",
}  # fmt: skip
# They name the account that paid.
_ACCOUNT_HEADERS = {
    "anthropic-organization-id", "chatgpt-account-id", "openai-organization", "openai-organization-id",
    "openai-project", "openai-project-id", "x-goog-user-project", "x-organization-id",
}  # fmt: skip
_ACCOUNT_HEADER = re.compile(r"x-(?:ms-)?openai-.*(?:organization|project)(?:-id)?")
# Names with such a word that hold no credential: limits and counts, caches, retries, and what is said about headers.
_HARMLESS_HEADER = re.compile(
    r"(?:x-|anthropic-)?ratelimit-.*|access-control-.*|content-.*|.*-(?:count|limit|remaining|reset|spend|budget|ms)"
    r"|(?:x-)?idempotency-key|sec-websocket-key|(?:x-)?surrogate-key|.*cache-key|.*cache-tokens?"
)


def is_secret_header(name: str) -> bool:
    """Say whether a header of that name, in any case, holds a credential or names an account."""
    name = name.strip().lower()
    if name in _ACCOUNT_HEADERS or _ACCOUNT_HEADER.fullmatch(name):
        return True
    if _HARMLESS_HEADER.fullmatch(name):
        return False
    return not _HEADER_WORDS.isdisjoint(re.split(r"[-_.]", name)) or plain_name(name).endswith("apikey")


_FIELDS = {"authorization", "proxyauthorization", "secret", "passwd", "pwd", "passphrase", "credentials"}
_FIELD_ENDINGS = (
    "apikey", "accesstoken", "refreshtoken", "idtoken", "authtoken", "bearertoken", "sessiontoken", "securitytoken",
    "apitoken", "oauthtoken", "authorizationtoken", "clientsecret", "apisecret", "appsecret", "webhooksecret",
    "password", "secretkey", "privatekey", "secretaccesskey", "subscriptionkey", "clientassertion",
)  # fmt: skip
_PARAMETERS = {
    "key", "token", "sig", "signature", "auth", "secret", "jwt", "awsaccesskeyid", "xamzsignature", "xamzcredential",
    "xamzsecuritytoken", "xgoogsignature", "xgoogcredential",
}  # fmt: skip


def is_secret_field(name: str) -> bool:
    """Say whether a JSON or form field of that name holds a credential. `token` and `max_tokens` do not."""
    plain = plain_name(name)
    return plain in _FIELDS or plain.endswith(_FIELD_ENDINGS)


def is_secret_parameter(name: str) -> bool:
    """Say whether a URL parameter of that name holds a credential."""
    return plain_name(name) in _PARAMETERS or is_secret_field(name)
