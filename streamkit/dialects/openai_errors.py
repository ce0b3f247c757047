"""Errors inside a stream, in the envelopes of OpenAI's API and of the servers and gateways that speak it."""

from __future__ import annotations

from typing import Any

from streamkit.dialects.payloads import short
from streamkit.dialects.text import shown
from streamkit.errors import ProviderError

__all__ = ["is_error", "provider_error"]


def is_error(value: dict[str, Any]) -> bool:
    """Say whether an object is an error in one of the envelopes that servers and gateways use."""
    if value.get("error"):
        return True
    if value.get("choices") or "delta" in value:
        return False
    return (
        "error" in (value.get("object"), value.get("type"))
        or bool(value.get("errors"))
        or bool(value.get("detail"))
        or ("message" in value and ("code" in value or "status" in value))
    )


def provider_error(payload: dict[str, Any]) -> ProviderError:
    """Return the error that such an object reports, with the provider's code where it gives one."""
    inner = payload.get("error")
    error = inner if isinstance(inner, dict) else payload
    errors = payload.get("errors")
    site: tuple[Any, str | int | None] = (payload, "error" if inner else None)
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        error = errors[0]
        site = (error, None)
    code = error.get("code") or error.get("status") or error.get("type")
    said = inner if isinstance(inner, str) else error.get("message") or error.get("detail")
    message = said if isinstance(said, str) else shown(said or error)
    found = ProviderError(
        f"the provider reported an error: {short(message)}" + (f" ({code})" if code else ""),
        code=code if isinstance(code, str | int) else None,
        payload=payload,
    )
    found.site = site
    return found
