"""Errors in the shape that each API gives its own: a client's library then raises what it would raise at the provider.

Nothing here knows why something failed. The shapes are those of the APIs' references; what streamkit adds for the
reader stands under a key "streamkit" that no client looks at.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["api_error", "dialect_of_path"]

Headers = list[tuple[str, str]]

# What each API calls an error of a status; the entry 0 stands for what has no name of its own, 500 for 5xx that have
# none. OpenAI: type and code.
_OPENAI: dict[int, tuple[str, str | None]] = {
    0: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
}
_ANTHROPIC = {
    0: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GEMINI = {
    0: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_BEDROCK = {
    0: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def api_error(
    dialect: str | None,
    status: int,
    message: str,
    *,
    kind: str = "",
    facts: Mapping[str, Any] | None = None,
) -> tuple[Headers, bytes]:
    """Return the headers and the body of an error as one API shapes it.

    Args:
        dialect: the API, by the name of its dialect; None, or a name unknown here, for OpenAI's shape.
        status: the HTTP status, from which the API's own word for the error follows.
        message: what went wrong, for a person.
        kind: the API's own word where another than the status's is meant: OpenAI's `code`, Anthropic's `type`, Gemini's
            `status`, Bedrock's exception. The shapes of Ollama and Cohere have no room for one.
        facts: what streamkit has to say beyond the message; stands under the key "streamkit" of the error object.

    Returns:
        The headers, without those of the connection and of the framing but with content-length, and the JSON.
    """
    request_id = hashlib.sha256(f"{status} {message}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    shape = _SHAPES.get(dialect or "", _openai)
    headers, body, error = shape(status, message, kind, request_id)
    if facts:
        error["streamkit"] = dict(facts)
    raw = json.dumps(body, default=str).encode("ascii")
    return [*headers, ("content-length", str(len(raw)))], raw


def _word(words: Mapping[int, Any], status: int) -> Any:
    return words.get(status, words[500 if status >= 500 else 0])


# Each returns the headers, the body, and the object in it that is the error.
_Shaped = tuple[Headers, dict[str, Any], dict[str, Any]]


def _openai(status: int, message: str, kind: str, request_id: str) -> _Shaped:
    name, code = _word(_OPENAI, status)
    error = {"message": message, "type": name, "param": None, "code": kind or code}
    headers = [("content-type", "application/json"), ("x-request-id", f"req_{request_id}")]
    return headers, {"error": error}, error


def _anthropic(status: int, message: str, kind: str, request_id: str) -> _Shaped:
    error: dict[str, Any] = {"type": kind or _word(_ANTHROPIC, status), "message": message}
    headers = [("content-type", "application/json"), ("request-id", f"req_{request_id}")]
    return headers, {"type": "error", "error": error, "request_id": f"req_{request_id}"}, error


def _gemini(status: int, message: str, kind: str, _request_id: str) -> _Shaped:
    error: dict[str, Any] = {"code": status, "message": message, "status": kind or _word(_GEMINI, status)}
    return [("content-type", "application/json; charset=UTF-8")], {"error": error}, error


def _ollama(_status: int, message: str, _kind: str, _request_id: str) -> _Shaped:
    body: dict[str, Any] = {"error": message}
    return [("content-type", "application/json; charset=utf-8")], body, body


def _cohere(_status: int, message: str, _kind: str, request_id: str) -> _Shaped:
    digits = (request_id * 2)[:32]
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    body: dict[str, Any] = {"id": "-".join(parts), "message": message}
    return [("content-type", "application/json")], body, body


def _bedrock(status: int, message: str, kind: str, request_id: str) -> _Shaped:
    body: dict[str, Any] = {"message": message}
    headers = [
        ("content-type", "application/json"),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", kind or _word(_BEDROCK, status)),
    ]
    return headers, body, body


_SHAPES: dict[str, Callable[[int, str, str, str], _Shaped]] = {
    "openai_chat": _openai,
    "openai_responses": _openai,
    "openai_completions": _openai,
    "anthropic_messages": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
    "cohere_v2": _cohere,
    "bedrock_converse": _bedrock,
}

# Ends of paths. The first that fits counts: "/chat/completions" ends in "/completions".
_ENDS = [
    (r"/chat/completions", "openai_chat"),
    (r"/completions", "openai_completions"),
    (r"/responses(/(input_tokens|compact))?", "openai_responses"),
    (r"/v1/messages(/count_tokens|/batches(/[^/]+(/results|/cancel)?)?)?", "anthropic_messages"),
    (r"/v1/complete", "anthropic_messages"),
    (r":(streamR|r)awPredict", "anthropic_messages"),  # of Vertex AI
    (r":[a-z][A-Za-z]*(Content|Contents|Tokens)", "gemini"),
    (r"/v1beta/models(/[^/:]+)?", "gemini"),
    (r"/v[12]/chat", "cohere_v2"),
    (r"/api/(chat|generate|tags|show|ps|pull|embed|embeddings|version)", "ollama"),
    (r"/model/.+/(converse|converse-stream|invoke|invoke-with-response-stream)", "bedrock_converse"),
]
# What is asked of an answer that was kept, by its id.
_LATER = [
    (r"/chat/completions/[^/]+(/messages)?", "openai_chat"),
    (r"/responses/[^/]+(/input_items)?", "openai_responses"),
]
_POSTED = [(re.compile(f".*(?:{end})", re.DOTALL), dialect) for end, dialect in _ENDS]
_OTHERS = [(re.compile(f".*(?:{end})", re.DOTALL), dialect) for end, dialect in [*_ENDS, *_LATER]]


def dialect_of_path(method: str, path: str) -> str | None:
    """Guess the API from where a request goes.

    Args:
        method: of the request. Answers that a provider keeps are asked for by id with GET or DELETE only.
        path: or the whole URL; what stands before the endpoint, a query and a slash at the end make no difference.

    Returns:
        The name of the dialect; None where the path is none that we know, such as `/v1/models`, which several have.
    """
    plain = unquote(re.split(r"[?#]", path, maxsplit=1)[0]).rstrip("/")
    ends = _POSTED if method.upper() == "POST" else _OTHERS
    return next((dialect for end, dialect in ends if end.fullmatch(plain)), None)
