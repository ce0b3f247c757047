"""Each API's real client takes our error for one of its provider's."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from skhelpers.server import Answer, StreamServer

from streamkit.dialects import names
from streamkit.server.api_errors import api_error, dialect_of_path

PATHS = [
    ("POST", "/v1/chat/completions", "openai_chat"),
    ("POST", "/openai/deployments/mine/chat/completions?api-version=2024-10-21", "openai_chat"),
    ("POST", "https://openrouter.ai/api/v1/chat/completions", "openai_chat"),
    ("GET", "/v1/chat/completions/chatcmpl-1", "openai_chat"),
    ("POST", "/v1beta/openai/chat/completions", "openai_chat"),
    ("POST", "/v1/completions", "openai_completions"),
    ("POST", "/v1/responses", "openai_responses"),
    ("POST", "/v1/responses/", "openai_responses"),
    ("GET", "/v1/responses/resp_1?stream=true&starting_after=3", "openai_responses"),
    ("POST", "/v1/messages", "anthropic_messages"),
    ("POST", "/case/~7/v1/messages?beta=true", "anthropic_messages"),
    ("POST", "/v1/messages/count_tokens", "anthropic_messages"),
    ("POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict", "anthropic_messages"),
    ("POST", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "gemini"),
    ("POST", "/v1/projects/p/locations/l/publishers/google/models/g%3AgenerateContent", "gemini"),
    ("POST", "/v2/chat", "cohere_v2"),
    ("POST", "/api/chat", "ollama"),
    ("POST", "/api/generate", "ollama"),
    ("POST", "/model/anthropic.claude-3%3A0/converse-stream", "bedrock_converse"),
    ("POST", "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ainference-profile%2Fx/converse", "bedrock_converse"),
    ("GET", "/v1/models", None),
    ("POST", "/v1/threads/t/messages", None),
    ("POST", "/agents/responses/42", None),
    ("GET", "/", None),
    ("GET", "", None),
]


@pytest.mark.parametrize(("method", "path", "dialect"), PATHS)
def test_a_path_tells_the_api(method: str, path: str, dialect: str | None) -> None:
    assert dialect == dialect_of_path(method, path)


def test_every_dialect_of_ours_is_told_by_some_path() -> None:
    assert set(names()) == {dialect for _, _, dialect in PATHS} - {None}


@pytest.mark.parametrize("dialect", [None, "another_api", *names()])
@pytest.mark.parametrize("status", [400, 401, 404, 418, 429, 500, 502, 504, 599])
def test_headers_describe_the_body_and_the_same_error_has_the_same_bytes(dialect: str | None, status: int) -> None:
    message, facts = 'no "Grüße" 東京 \ud800', {"reason": "dns", "nearest": ("GET", "/")}
    headers, body = api_error(dialect, status, message, facts=facts)
    assert (headers, body) == api_error(dialect, status, message, facts=facts)
    told = {name.lower(): value for name, value in headers}
    assert str(len(body)) == told["content-length"]
    assert told["content-type"].startswith("application/json")
    said = json.loads(body)
    error = said["error"] if isinstance(said.get("error"), dict) else said
    assert {"reason": "dns", "nearest": ["GET", "/"]} == error["streamkit"]
    assert message == (error.get("message") or error["error"])


def test_facts_are_left_out_where_there_are_none() -> None:
    assert {"error": "gone"} == json.loads(api_error("ollama", 404, "gone")[1])


def test_a_kind_replaces_the_word_that_follows_from_the_status() -> None:
    def said(dialect: str | None) -> Any:
        return json.loads(api_error(dialect, 429, "m", kind="mine")[1])["error"]

    assert ("requests", "mine") == (said(None)["type"], said(None)["code"])
    assert "mine" == said("anthropic_messages")["type"]
    assert "mine" == said("gemini")["status"]
    assert ("x-amzn-ErrorType", "mine") in api_error("bedrock_converse", 429, "m", kind="mine")[0]


# -- the real clients


def _openai(url: str) -> object:
    import openai

    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=[], stream=True)


def _anthropic(url: str) -> object:
    import anthropic

    with anthropic.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        return client.messages.create(model="m", max_tokens=5, messages=[], stream=True)


def _gemini(url: str) -> object:
    from google import genai

    with genai.Client(api_key="k", http_options={"base_url": url}) as client:
        return list(client.models.generate_content_stream(model="m", contents="hi"))


def _ollama(url: str) -> object:
    import ollama

    client = ollama.Client(host=url)
    with closing(client._client):
        return list(client.chat("m", stream=True))


def _cohere(url: str) -> object:
    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="k", base_url=url, httpx_client=http)
        return list(client.chat_stream(model="m", messages=[], request_options={"max_retries": 0}))


def _bedrock(url: str) -> object:
    import botocore.session  # type: ignore[import-untyped]  # ships no types
    from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

    client = botocore.session.Session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106 - no secret
        config=Config(retries={"total_max_attempts": 1}),
    )
    with closing(client):
        return client.converse_stream(modelId="m", messages=[])


def _raised(ask: Callable[[str], object], dialect: str, status: int) -> Any:
    """Return what a client raises for our error."""
    headers, body = api_error(dialect, status, "nothing is there", facts={"reason": "dns"})
    lines = [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    with StreamServer(Answer([body], framing="length", status=f"{status} Said", headers=lines)) as server:
        try:
            ask(server.url)
        except Exception as error:  # noqa: BLE001 - which one it is, the test asks
            return error
    raise AssertionError("the client raised nothing")


def test_openai_takes_it_for_its_own() -> None:
    import openai

    error = _raised(_openai, "openai_chat", 502)
    assert isinstance(error, openai.InternalServerError)
    assert (502, "server_error") == (error.status_code, error.type)
    assert {"reason": "dns"} == error.body["streamkit"]  # type: ignore[index]  # typed as any object
    assert "nothing is there" in str(error)
    assert isinstance(_raised(_openai, "openai_chat", 429), openai.RateLimitError)


def test_anthropic_takes_it_for_its_own() -> None:
    import anthropic

    error = _raised(_anthropic, "anthropic_messages", 529)
    assert isinstance(error, anthropic.APIStatusError)
    assert {"type": "overloaded_error", "message": "nothing is there", "streamkit": {"reason": "dns"}} == error.body[  # type: ignore[index]  # typed as any object
        "error"
    ]
    assert error.request_id == error.body["request_id"]  # type: ignore[index]  # typed as any object


def test_gemini_takes_it_for_its_own() -> None:
    from google.genai import errors

    error = _raised(_gemini, "gemini", 504)
    assert isinstance(error, errors.ServerError)
    assert (504, "DEADLINE_EXCEEDED", "nothing is there") == (error.code, error.status, error.message)


def test_ollama_takes_it_for_its_own() -> None:
    import ollama

    error = _raised(_ollama, "ollama", 502)
    assert isinstance(error, ollama.ResponseError)
    assert (502, "nothing is there") == (error.status_code, error.error)


def test_cohere_takes_it_for_its_own() -> None:
    from cohere.core.api_error import ApiError

    error = _raised(_cohere, "cohere_v2", 404)
    assert isinstance(error, ApiError)
    assert (404, "nothing is there") == (error.status_code, error.body["message"])


def test_bedrock_takes_it_for_its_own() -> None:
    error = _raised(_bedrock, "bedrock_converse", 429)
    assert "ThrottlingException" == type(error).__name__
    assert "nothing is there" == error.response["Error"]["Message"]
    assert error.response["ResponseMetadata"]["RequestId"]
