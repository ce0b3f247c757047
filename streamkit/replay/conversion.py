"""Between vcrpy's requests and responses and ours.

A response of vcrpy's is a mapping; what a stream needs beyond it stands under its key "streamkit", as in the file.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from vcr.request import Request as VCRRequest
from vcr.util import read_body

from streamkit.cassettes.format import Cassette, stream_entry, stream_facts
from streamkit.cassettes.writing import dump
from streamkit.errors import CassetteFormatError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from streamkit.cassettes.redaction import Redactor

__all__ = [
    "FORM",
    "file_bytes",
    "plain_request",
    "redacted",
    "request",
    "transcript",
    "vcr_interactions",
    "vcr_request",
    "vcr_response",
]

#: Whether a mapping that stands for a body is a form: aiohttp's `data=` and `json=` look the same to vcrpy.
FORM: ContextVar[bool] = ContextVar("FORM", default=False)


def plain_request(sent: Any) -> Any:
    """Return vcrpy's request with its body as bytes and its headers as text."""
    body = _body_bytes(sent)
    headers = {_text(name): _text(value) for name, value in sent.headers.items()}
    if isinstance(sent.body, dict | list) and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/x-www-form-urlencoded" if FORM.get() else "application/json"
    return VCRRequest(sent.method, sent.uri, body, headers)


def _body_bytes(sent: Any) -> bytes:
    body = sent.body
    if isinstance(body, dict | list):
        try:
            return urlencode(body, doseq=True).encode() if FORM.get() else json.dumps(body).encode()
        except (TypeError, ValueError):
            return str(body).encode()
    if body is not None and not isinstance(body, str | bytes | bytearray) and not hasattr(body, "__iter__"):
        return b""  # an object of the client's own, such as a form with files
    read = read_body(sent)
    return read.encode() if isinstance(read, str) else bytes(read or b"")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = value[0] if value else ""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def request(sent: Any) -> Request:
    """Return our request for vcrpy's."""
    plain = plain_request(sent)
    return Request(plain.method, plain.uri, tuple(plain.headers.items()), plain.body or b"")


def vcr_request(one: Request) -> Any:
    """Return vcrpy's request for ours."""
    headers: dict[str, str] = {}
    for name, value in one.headers:
        headers.setdefault(name, value)  # vcrpy keeps one value a name
    return VCRRequest(one.method, one.url, one.body or None, headers)


def transcript(response: dict[str, Any]) -> Transcript:
    """Return our transcript for vcrpy's response; chunks that a hook has made wrong are forgotten."""
    body = response.get("body", {}).get("string") or b""
    body = body.encode() if isinstance(body, str) else body
    pairs = [
        (name, _text(value))
        for name, values in response.get("headers", {}).items()
        for value in (values if isinstance(values, list | tuple) else [values])
    ]
    head = ResponseHead(response["status"]["code"], response["status"].get("message") or "", tuple(pairs))
    entry = response.get("streamkit")
    if not entry:
        return Transcript(body, head)
    try:
        return Transcript(body, head, **stream_facts(entry, len(body)))
    except CassetteFormatError:
        return Transcript(body, head, ending=Ending(entry.get("ending", "complete")), error=entry.get("error", ""))


def vcr_response(one: Transcript) -> dict[str, Any]:
    """Return vcrpy's response for our transcript."""
    headers: dict[str, list[str]] = {}
    for name, value in one.head.headers:
        headers.setdefault(name, []).append(value)
    return {
        "status": {"code": one.head.status, "message": one.head.reason},
        "headers": headers,
        "body": {"string": one.body},
        "streamkit": stream_entry(one),
    }


def vcr_interactions(cassette: Cassette) -> tuple[list[Any], list[Any]]:
    """Return vcrpy's requests and responses for a cassette of ours."""
    requests = [vcr_request(interaction.request) for interaction in cassette.interactions]
    return requests, [vcr_response(interaction.transcript) for interaction in cassette.interactions]


def file_bytes(recorded: dict[str, Any]) -> bytes:
    """Return the bytes of a cassette file for vcrpy's mapping of requests and responses."""
    pairs = zip(recorded["requests"], recorded["responses"], strict=True)
    interactions = tuple(Interaction(request(sent), transcript(response)) for sent, response in pairs)
    return dump(Cassette(interactions, recorded.get("metadata") or {}))


def redacted(redactor: Redactor, sent: Any, response: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return vcrpy's request and response without their secrets."""
    clean = redactor.interaction(Interaction(request(sent), transcript(response)))
    return vcr_request(clean.request), vcr_response(clean.transcript)
