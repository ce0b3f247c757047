"""What dialects look at to know their own: where the request went, and the first payloads of the body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.transcript import Transcript
    from streamkit.wire.event import ServerSentEvent

__all__ = ["HEAD", "asked", "first_payloads", "says_nothing"]

HEAD = 65536  # bytes of the body that are looked at


def asked(transcript: Transcript) -> str:
    """Return the URL that was asked, without its query and a slash at its end; "" where it is not known."""
    request = transcript.request
    return "" if request is None else request.url.split("?")[0].rstrip("/")


def first_payloads(transcript: Transcript) -> Iterator[tuple[ServerSentEvent, dict[str, Any]]]:
    """Yield the server-sent events near the beginning whose data are JSON objects, each with its object."""
    for event in SSEDecoder().feed(transcript.body[:HEAD]):
        try:
            payload = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(payload, dict):
            yield event, payload


def says_nothing(payload: dict[str, Any]) -> bool:
    """Say whether a payload tells of no API: an empty one, a ping, or an error."""
    return not payload or payload.get("type") in ("ping", "keepalive", "error") or "error" in payload
