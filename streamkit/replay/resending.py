"""A recorded request as it can be sent once more: without what was redacted, and with what the caller gives instead."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit

from streamkit.cassettes.credentials import PARAMETER
from streamkit.cassettes.secrets import REDACTED, plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamkit.transcript import Request

__all__ = ["TOKEN", "VALUE", "Plan", "planned"]

# Of one connection, made anew, or of an answer that the server would only repeat.
_NOT_SENT = {
    "accept-encoding", "connection", "content-length", "expect", "host", "idempotency-key", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
#: What the value of a header may be.
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: What its name may be.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD = re.compile(
    rb'(?P<head>"(?P<name>[^"\\]{1,64})"[ \t\r\n]*:[ \t\r\n]*)"%b(?:%b)*[REDACT]{0,7}"' % ((REDACTED.encode(),) * 2)
)


@dataclass(frozen=True)
class Plan:
    """A request as it is sent once more.

    Attributes:
        request: with its credentials.
        secret: names of the redacted headers; of them only those that the caller gives are sent.
        fields: names of the redacted URL parameters and body fields.
        missing: those of them that nobody gave.
        hints: what to give if the server refuses the request.
        notes: what is sent as it was redacted.
    """

    request: Request
    secret: tuple[str, ...]
    fields: tuple[str, ...]
    missing: tuple[str, ...]
    hints: tuple[str, ...]
    notes: tuple[str, ...]


def planned(request: Request, headers: Mapping[str, str], params: Mapping[str, str], base_url: str | None) -> Plan:
    """Return what to send for a recorded request.

    Args:
        request: as it was recorded.
        headers: sent instead of the recorded ones of those names.
        params: values for what was redacted in the URL and the body, by their names.
        base_url: send it there instead.
    """
    left_out = _NOT_SENT | {name.lower() for name in headers}
    for name, value in request.headers:
        if name.lower() == "connection":
            left_out |= {one.strip().lower() for one in value.split(",")}
    sent, secret = [], []
    for name, value in request.headers:
        if _is_redacted(value):
            secret.append(name)
        elif name.lower() not in left_out and TOKEN.fullmatch(name) and VALUE.fullmatch(value):
            sent.append((name, value))
    fields: list[str] = []

    def given(name: str) -> str | None:
        fields.append(name)
        return values.get(plain_name(name))

    values = {plain_name(name): value for name, value in params.items()}
    url = _url(_filled(request.url, given), base_url)
    body = _body(request, given)
    missing = tuple(dict.fromkeys(name for name in fields if plain_name(name) not in values))
    notes: tuple[str, ...] = ()
    if not missing and (_is_redacted(url) or _is_redacted(body.decode("latin-1"))):
        notes = (f"a text in this request was redacted, and was sent with {REDACTED} in it",)
    hints = tuple(
        f"the header {name} was redacted: give one with --header '{name}: $VARIABLE'"
        for name in secret
        if name.lower() not in left_out
    )
    if "authorization" not in {name.lower() for name, _ in (*sent, *headers.items())}:
        hints = (*hints, "no Authorization was sent: --auth-env VARIABLE sends one")
    plain = replace(request, url=url, headers=(*sent, *headers.items()), body=body)
    return Plan(plain, tuple(secret), tuple(fields), missing, hints, notes)


def _is_redacted(text: str) -> bool:
    return REDACTED.lower() in text.lower()


def _filled(text: str, given: Callable[[str], str | None]) -> str:
    """Return a URL or form with its redacted parameters filled in."""

    def parameter(match: re.Match[str]) -> str:
        if not _is_redacted(match["value"]):
            return match[0]
        value = given(unquote_plus(match["name"]))
        return match[0] if value is None else f"{match['lead']}{match['name']}={quote(value, safe='')}"

    return PARAMETER.sub(parameter, text)


def _url(url: str, base_url: str | None) -> str:
    """Return the URL to send to."""
    if base_url is None:
        return re.sub(rf"(?<=//){REDACTED}@", "", url, count=1)
    parts, base = urlsplit(url), base_url.rstrip("/")
    path, prefix = parts.path, urlsplit(base).path
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    return base + path + (f"?{parts.query}" if parts.query else "")


def _body(request: Request, given: Callable[[str], str | None]) -> bytes:
    """Return a body with its redacted fields filled in."""
    kind = next((value.lower() for name, value in request.headers if name.lower() == "content-type"), "")
    if "urlencoded" in kind:
        return _filled(f"&{request.body.decode('latin-1')}", given)[1:].encode("latin-1")

    def string(match: re.Match[bytes]) -> bytes:
        value = given(match["name"].decode("utf-8", "replace"))
        return match[0] if value is None else match["head"] + json.dumps(value).encode()

    return _FIELD.sub(string, request.body)
