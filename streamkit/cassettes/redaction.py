"""Redaction: secrets are taken out of requests and responses before anything is written.

Three nets, one over the other: names (headers, URL parameters, JSON and form fields that hold credentials), known
values (what a live request used as a credential, wherever it occurs later), and shapes (`secrets`).

In a body every replacement has the length of what it replaces, in bytes, and is legal where it stands. So chunk
lengths, boundaries, content-length and times stay true, and nothing else moves. Numbers are never touched.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from bisect import bisect_right
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

from streamkit.cassettes.credentials import (
    LEAST,
    ORIGIN,
    PARAMETER,
    byte_spans,
    is_json,
    is_number,
    is_telling,
    json_fields,
    merged,
    named,
    unescaped,
    user_and_password,
    variants,
    whole_escapes,
)
from streamkit.cassettes.encoding import codings_of, decoded
from streamkit.cassettes.secrets import (
    REDACTED,
    Secret,
    fill,
    find_secrets,
    is_redacted,
    is_secret_field,
    is_secret_header,
    is_secret_parameter,
    plain_name,
    spread_secrets,
)
from streamkit.errors import UsageError
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["REDACTED", "Redaction", "Redactor"]

_Headers = tuple[tuple[str, str], ...]
_Known = dict[str, re.Pattern[bytes]]


@dataclass(frozen=True)
class Redaction:
    r"""What is secret in a project beyond the defaults.

    Attributes:
        headers: names of headers, in any case.
        query: names of URL parameters.
        json_fields: names of JSON and form fields. `api_key` means `apiKey` and `API-Key` too.
        patterns: regular expressions, as text or compiled. Where one has groups, only what they match is replaced:
            write `"ssn": "([0-9-]+)"` to keep the JSON around it.
        values: the secrets themselves, of 8 characters or more.
    """

    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    json_fields: tuple[str, ...] = ()
    patterns: tuple[str | re.Pattern[str] | re.Pattern[bytes], ...] = ()
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for entry in fields(self):
            given = getattr(self, entry.name)
            if isinstance(given, str | bytes | re.Pattern) or not isinstance(given, tuple | list | set | frozenset):
                raise UsageError(f"{entry.name} is {given!r}: a tuple is expected, such as {entry.name}=('...',)")
            allowed = str | re.Pattern if entry.name == "patterns" else str
            for one in given:
                if not isinstance(one, allowed) or not one:
                    raise UsageError(f"{entry.name} holds {one!r}, where a text belongs")
            object.__setattr__(self, entry.name, tuple(given))
        for number, value in enumerate(self.values, 1):  # the value itself must not stand in a message
            if len(value) < LEAST:
                raise UsageError(
                    f"value {number} is shorter than {LEAST} characters, and replacing it everywhere would destroy "
                    "ordinary text: describe where it stands with a pattern"
                )
        for pattern in self.patterns:
            _compiled(pattern)


def _compiled(pattern: str | re.Pattern[str] | re.Pattern[bytes]) -> re.Pattern[str] | re.Pattern[bytes]:
    if isinstance(pattern, str):
        try:
            pattern = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"pattern {pattern!r} is no regular expression: {error}") from None
    if pattern.match("" if isinstance(pattern.pattern, str) else b""):  # type: ignore[arg-type]  # by its own kind
        raise UsageError(f"pattern {pattern.pattern!r} matches the empty text: let it match at least one character")
    return pattern


class Redactor:
    """Takes secrets out. Every method but `learn` leaves the redactor and what it is given as they are.

    What has been redacted once is not changed by redacting it again. May be used from several threads.

    Args:
        rules: what is secret beyond the defaults.
    """

    def __init__(self, rules: Redaction | None = None) -> None:
        rules = rules if rules is not None else Redaction()
        self._headers = {name.strip().lower() for name in rules.headers}
        self._query = {plain_name(name) for name in rules.query}
        self._fields = {plain_name(name) for name in rules.json_fields}
        self._patterns = [_compiled(pattern) for pattern in rules.patterns]
        self._known: _Known = {value: variants(value) for value in rules.values}
        self._lock = threading.Lock()

    def learn(self, request: Request) -> None:
        """Remember the credentials of a live request, so that they are removed wherever they occur later."""
        with self._lock:  # replaced, never changed: others may be reading it
            self._known = self._with(self._credentials(request))

    @property
    def knows(self) -> int:
        """How many secrets it knows by their values; grows when it learns another."""
        return len(self._known)

    def interaction(self, interaction: Interaction) -> Interaction:
        """Return the interaction without secrets; errors as for `transcript`."""
        request = interaction.request
        known = self._with(self._credentials(request))
        transcript = self._transcript(interaction.transcript, known)
        return Interaction(self._request(request, known), transcript)

    def request(self, request: Request) -> Request:
        """Return the request without secrets. The credentials in its head are removed from its body too."""
        return self._request(request, self._with(self._credentials(request)))

    def text(self, text: str) -> str:
        """Return a text outside a body, such as a message for a log, without secrets."""
        return self._text(text, self._known)

    def transcript(self, transcript: Transcript) -> Transcript:
        """Return the transcript without secrets, in its body, head, error and request.

        A compressed body is searched decoded. Where nothing is found it stays as it was; otherwise it is stored
        decoded, each chunk with what the wire's chunk decodes to.

        Raises:
            CassetteError: the body is compressed in a way that cannot be read here, so it cannot be searched.
        """
        return self._transcript(transcript, self._known)

    def is_secret_header(self, name: str) -> bool:
        """Say whether the value of a header of that name is replaced whole."""
        return name.strip().lower() in self._headers or is_secret_header(name)

    def secrets(self, body: bytes, content_type: str = "", *, request: bool = False) -> list[Secret]:
        """Return what would be replaced in a body, in order.

        Args:
            body: a body that is not compressed.
            content_type: its media type; "" where unknown.
            request: it is a request's body.
        """
        return sorted(self._search(body, self._known, content_type, request), key=lambda secret: secret.offset)

    # -- the parts of an interaction

    def _request(self, request: Request, known: _Known) -> Request:
        kind = _value(request.headers, "content-type")
        headers, body = request.headers, request.body
        if _value(headers, "content-encoding"):
            sent = decoded(Transcript(body, head=ResponseHead(headers=headers), name="the request"))
            if self._body(sent.body, known, kind, request=True) != sent.body:
                headers, body = sent.head.headers, sent.body
        return replace(
            request,
            url=self._url(request.url, known),
            headers=self._header_values(headers, known),
            body=self._body(body, known, kind, request=True),
        )

    def _transcript(self, transcript: Transcript, known: _Known) -> Transcript:
        if transcript.request is not None:
            known = {**known, **self._with(self._credentials(transcript.request))}
            transcript = replace(transcript, request=self._request(transcript.request, known))
        old = transcript.head
        known = {**known, **{value: variants(value) for value in self._of_headers(old.headers) if value not in known}}
        kind = old.header("content-type") or ""
        plain = decoded(transcript) if codings_of(transcript) else transcript
        body = self._body(plain.body, known, kind)
        if body != plain.body:
            transcript = replace(plain, body=body)
        headers = self._header_values(transcript.head.headers, known)
        head = ResponseHead(old.status, self._text(old.reason, known), headers)
        return replace(transcript, head=head, error=self._text(transcript.error, known))  # libraries quote what came

    def _header_values(self, headers: _Headers, known: _Known) -> _Headers:
        return tuple((name, self._header_value(name, value, known)) for name, value in headers)

    def _header_value(self, name: str, value: str, known: _Known) -> str:
        if self.is_secret_header(name):
            return REDACTED if value else value
        return self._url(value, known) if ORIGIN.match(value) else self._text(value, known)

    def _text(self, text: str, known: _Known) -> str:
        """Return a text outside a body: there the word stands once for each secret, whatever its length."""
        data = text.encode("utf-8", "surrogatepass")
        out, done = [], 0
        for start, end in merged(span for secret in self._search(data, known) for span in secret.spans):
            out += [data[done:start], REDACTED.encode()]
            done = end
        return b"".join([*out, data[done:]]).decode("utf-8", "surrogatepass")

    def _url(self, url: str, known: _Known) -> str:
        origin = ORIGIN.match(url)
        if origin is not None and origin["user"]:
            url = origin["scheme"] + REDACTED + url[origin.end("user") :]

        def parameter(match: re.Match[str]) -> str:
            secret = bool(match["value"]) and self._is_parameter(match["name"])
            return match["lead"] + match["name"] + "=" + REDACTED if secret else match[0]

        return self._text(PARAMETER.sub(parameter, url), known)

    def _is_parameter(self, name: str) -> bool:
        name = unquote_plus(name)
        return plain_name(name) in self._query or is_secret_parameter(name)

    def _is_field(self, name: str) -> bool:
        return plain_name(name) in self._fields or is_secret_field(name)

    def _body(self, body: bytes, known: _Known, content_type: str, *, request: bool = False) -> bytes:
        found = list(self._search(body, known, content_type, request))
        if not found:
            return body
        spans = merged(span for secret in found for span in secret.spans)
        begun: dict[int, int] = {}  # where a span goes on with the text that another one began
        for secret in found:
            written = 0
            for start, end in secret.spans if secret.pieces else ():
                begun.setdefault(spans[bisect_right(spans, (start, len(body))) - 1][0], written)
                written += end - start
        buffer = bytearray(body)
        for start, end in spans:
            skip = begun.get(start, 0)
            digit = body[start:end].isdigit() and is_number(body, start, end)
            buffer[start:end] = b"1" * (end - start) if digit else fill(skip + end - start)[skip:]
            for match in re.finditer(rb"[\r\n]", body[start:end]):  # events must not be joined
                buffer[start + match.start()] = body[start + match.start()]
        return bytes(buffer)

    # -- searching

    def _search(
        self, data: bytes, known: _Known, content_type: str | None = None, request: bool = False
    ) -> Iterator[Secret]:
        """Find all secrets. A content type, even an empty one, says that the data are a body."""

        def everything(part: bytes) -> list[Secret]:
            found = [*self._known_in(part, known), *find_secrets(part), *self._patterns_in(part)]
            return [whole_escapes(part, secret) for secret in found]

        yield from everything(data)
        if content_type is None:
            return
        if "urlencoded" in content_type:
            for match in PARAMETER.finditer("&" + data.decode("latin-1")):
                if match["value"] and (self._is_parameter(match["name"]) or self._is_field(match["name"])):
                    yield from named(data, match["name"], match.start("value") - 1, match.end("value") - 1)
        elif is_json(data, content_type, request):
            for name, start, end, _ in json_fields(data, self._is_field):
                yield from named(data, name, start, end)
        if not request:
            yield from spread_secrets(data, everything)

    @staticmethod
    def _known_in(data: bytes, known: _Known) -> Iterator[Secret]:
        for value, pattern in known.items():
            for match in pattern.finditer(data):
                # a time that happens to be somebody's value is still a time
                if not (value.isdigit() and is_number(data, *match.span())):
                    yield Secret("known-secret", match.start(), match.end() - match.start(), "***")

    def _patterns_in(self, data: bytes) -> Iterator[Secret]:
        text = data.decode("utf-8", "surrogateescape") if self._patterns else ""
        for pattern in self._patterns:
            groups = range(1, pattern.groups + 1) if pattern.groups else (0,)
            of_its_kind: Any = text if isinstance(pattern.pattern, str) else data
            matches = pattern.finditer(of_its_kind)
            spans = sorted({match.span(group) for match in matches for group in groups})
            for start, end in byte_spans(text, spans) if isinstance(pattern.pattern, str) else spans:
                if start < end and not is_redacted(data[start:end]):
                    yield Secret("pattern", start, end - start, "***")

    # -- what a request says of itself

    def _with(self, values: Iterable[str]) -> _Known:
        return {**self._known, **{value: variants(value) for value in values if value not in self._known}}

    def _credentials(self, request: Request) -> list[str]:
        """Return the values that a request uses as credentials, longest first: one may hold another."""
        found = set(self._of_headers(request.headers))
        origin = ORIGIN.match(request.url)
        if origin is not None and origin["user"]:
            user, _, password = origin["user"].partition(":")
            found |= user_and_password(unquote(user), unquote(password))
        for match in PARAMETER.finditer(request.url):
            if self._is_parameter(match["name"]):
                found.add(unquote_plus(match["value"]))
        typed: set[str] = set()
        kind = _value(request.headers, "content-type")
        if "urlencoded" in kind:
            for match in PARAMETER.finditer("&" + request.body.decode("latin-1")):
                if self._is_parameter(match["name"]) or self._is_field(match["name"]):
                    typed.add(unquote_plus(match["value"]))
        elif is_json(request.body, kind, True):
            for _, start, end, depth in json_fields(request.body, self._is_field):
                typed.add(unescaped(request.body[start:end], depth))
        # What a person typed as a password may be a word, and a conversation holds words.
        found |= {value for value in typed if len(value) >= 2 * LEAST or not value.isalpha()}
        return sorted({value for value in map(str.strip, found) if is_telling(value)}, key=lambda v: (-len(v), v))

    def _of_headers(self, headers: _Headers) -> set[str]:
        found: set[str] = set()
        for name, value in headers:
            if not self.is_secret_header(name):
                continue
            if "cookie" in name.lower():
                parts = value.split(";")[:1] if name.lower().startswith("set-") else value.split(";")
                found |= {part.partition("=")[2].strip().strip('"') for part in parts}
                continue
            scheme, _, credential = value.strip().partition(" ")
            found.add(credential if credential and scheme.isidentifier() else value)
            found |= set(re.findall(r"(?:Credential|Signature)=([^,/\s]+)", value))  # of AWS
            if scheme.lower() == "basic":
                try:
                    user, _, password = base64.b64decode(credential).decode().partition(":")
                except (binascii.Error, ValueError):
                    continue
                found |= user_and_password(user, password)
        return {value for value in found if is_telling(value)}


def _value(headers: _Headers, name: str) -> str:
    return next((value.lower() for key, value in headers if key.lower() == name), "")
