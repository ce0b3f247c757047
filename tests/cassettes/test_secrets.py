"""What looks like a secret, and what does not. Every secret here is made up of repeated words."""

from __future__ import annotations

import base64
import json
import time

import pytest
from skhelpers.corpus import FOLDER, needs_corpus

from streamkit.cassettes.secrets import (
    fill,
    find_secrets,
    is_redacted,
    is_secret_field,
    is_secret_header,
    is_secret_parameter,
    spread_secrets,
)

WORD = "test" * 8
JWT = "eyJ" + "test" * 4 + ".eyJ" + "test" * 4 + "." + "test" * 4
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + ("Test" * 16 + "\n") * 4 + "-----END RSA PRIVATE KEY-----"
SHAPES = [
    ("openai-key", "sk-" + WORD),
    ("openai-key", "sk-proj-" + "test_" * 8),
    ("openai-key", "sk-svcacct-" + WORD),
    ("anthropic-key", "sk-ant-api03-" + WORD),
    ("openrouter-key", "sk-or-v1-" + WORD),
    ("google-key", "AIza" + "Test_" * 7),
    ("google-token", "ya29." + "test-" * 6),
    ("aws-key-id", "AKIA" + "TEST" * 4),
    ("aws-key-id", "ASIA" + "TEST" * 4),
    ("github-token", "ghp_" + "test" * 9),
    ("github-token", "gho_" + "test" * 9),
    ("github-token", "ghs_" + "test" * 9),
    ("github-token", "github_pat_" + "test_" * 16),
    ("slack-token", "xoxb-" + "1234-" * 4 + "test"),
    ("huggingface-token", "hf_" + WORD),
    ("groq-key", "gsk_" + WORD),
    ("xai-key", "xai-" + WORD),
    ("perplexity-key", "pplx-" + WORD),
    ("replicate-token", "r8_" + WORD),
    ("stripe-key", "sk_live_" + WORD),
    ("jwt", JWT),
    ("private-key", PEM),
]
NO_SECRETS = [
    "chatcmpl-9A0pokSpYASGLPfIzV8jx6tuvBUtz call_telkvFkERZ3MW3eLzHsVrRhl msg_01XFDUDYJgAACzvnptvVoYEL",
    "resp_" + "a1" * 24 + " fp_44709d6fcb req_" + "b2" * 12,
    "the task-" + WORD + " and risk-" + WORD,
    "sk-learn, sk-circle-fade-dot and sk-your-own-key",
    "sk-" + "x" * 40 + " sk-proj-" + "*" * 40 + " sk-proj-your-api-key-goes-here-please",
    "AKIAIOSFODNN7EXAMPLE",
    "xai-responses-v1 hf_model_thinking_part_identifier xoxo-everyone",
    "Bearer authentication is explained below, Bearer tokens too. Bearer YOUR_API_KEY_GOES_HERE_1",
    "Basic programming, Basic understanding1 of Basic information",
    "postgresql://user:password@localhost/db https://user:${PASSWORD1}@host http://a:b@c",
    "https://example.com:8080/@someone see https://x.test/a:b@c",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    "-----BEGIN CERTIFICATE-----\n" + "Test" * 40,
    "eyJhbGciOiJIUzI1NiJ9 and eyJ." * 3,
    "_hf_" + WORD + " a-sk-" + WORD,
]


def found(text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [(s.kind, data[s.offset : s.offset + s.length].decode()) for s in find_secrets(data)]


@pytest.mark.parametrize(("kind", "secret"), SHAPES)
@pytest.mark.parametrize(
    "around", ["{}", '{{"content":"{}"}}', "key={}&a=1", "it is {}.", "a\\n{}", "\\u003d{}", "%3D{}"]
)
def test_a_secret_is_found_whole_by_its_shape(kind: str, secret: str, around: str) -> None:
    assert [(kind, secret.rstrip("."))] == [(k, s.rstrip(".")) for k, s in found(around.format(secret))]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret_gives_no_alarm(text: str) -> None:
    assert [] == found(text)


def test_credentials_in_text_are_found_without_what_announces_them() -> None:
    basic = base64.b64encode(b"someone:" + b"test" * 4).decode()
    assert [("bearer-token", "test1234" * 4)] == found("Authorization: Bearer " + "test1234" * 4)
    assert [("basic-credentials", basic)] == found(f"Authorization: Basic {basic}")
    assert [("url-credentials", "someone:hunter22test")] == found("see postgres://someone:hunter22test@db.test/x")


def test_the_telling_shape_goes_before_the_general_one() -> None:
    assert [("groq-key", "gsk_" + WORD)] == found("Bearer gsk_" + WORD)


def test_the_preview_holds_the_public_prefix_only() -> None:
    for _, secret in SHAPES:
        (one,) = find_secrets(secret.encode())
        assert one.preview.endswith("***")
        assert secret.startswith(one.preview.removesuffix("***"))
        assert "test" not in one.preview.lower()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 50])
def test_what_redaction_writes_is_no_secret(size: int) -> None:
    filling = fill(size)
    assert (size, True) == (len(filling), is_redacted(filling))
    for before, after in (("Bearer ", ""), ("https://", "@host"), ("https://a:", "@host"), ("sk-", ""), ("eyJ", "")):
        assert [] == found(before + filling.decode() + after)


def test_random_base64_gives_no_alarm() -> None:
    import random

    data = random.Random(7).randbytes(3_000_000)
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        assert [] == find_secrets(b'{"image":"' + text + b'"}')


# -- pieces


def events(*pieces: str, name: str = "content", index: tuple[int, ...] = ()) -> bytes:
    body = b""
    for number, piece in enumerate(pieces):
        place = index[number] if index else 0
        delta = {"index": place, "delta": {name: piece}}
        body += b"data: " + json.dumps({"id": "chatcmpl-1", "choices": [delta]}).encode() + b"\n\n"
    return body


def test_a_secret_in_pieces_is_found_over_events() -> None:
    body = events("Your key is sk", "-", "test" * 3, "test" * 5, " ok")
    assert [] == find_secrets(body)
    (secret,) = spread_secrets(body, find_secrets)
    assert ("openai-key", len("sk-" + WORD)) == (secret.kind, secret.length)
    assert [b"sk", b"-", b"test" * 3, b"test" * 5] == [body[start:end] for start, end in secret.spans]


def test_pieces_of_answers_that_alternate_are_told_apart_by_their_index() -> None:
    body = events("sk-te", "I say", "sttest" * 5, " nothing", index=(0, 1, 0, 1))
    assert [[b"sk-te", b"sttest" * 5]] == [
        [body[start:end] for start, end in secret.spans] for secret in spread_secrets(body, find_secrets)
    ]


def test_pieces_of_different_fields_are_not_joined() -> None:
    body = events("sk-") + events("test" * 8, name="reasoning")
    assert [] == spread_secrets(body, find_secrets)


# -- names


@pytest.mark.parametrize(
    "name",
    ["Authorization", "proxy-authorization", "X-API-Key", "api-key", "openai-api-key", "x-goog-api-key", "apikey",
     "anthropic-api-key", "x-auth-token", "X-Amz-Security-Token", "Cookie", "set-cookie", "openai-organization",
     "OpenAI-Project", "anthropic-organization-id", "x-openai-organization", "x-ms-openai-project-id", "helicone-auth",
     "cf-aig-authorization", "ocp-apim-subscription-key", "x-client-secret", "x-portkey-virtual-key"],
)  # fmt: skip
def test_headers_that_hold_credentials_are_known_by_name(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name",
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining",
     "anthropic-ratelimit-input-tokens-limit", "openai-processing-ms", "x-request-id", "content-type", "openai-version",
     "x-ratelimit-key", "x-amzn-bedrock-input-token-count", "Idempotency-Key", "cf-ray", "date", "author", "keep-alive",
     "x-litellm-key-spend", "content-length", "x-stainless-retry-count", "access-control-allow-headers"],
)  # fmt: skip
def test_other_headers_are_left(name: str) -> None:
    assert not is_secret_header(name)


def test_fields_and_parameters_are_known_by_name() -> None:
    secret = ["api_key", "apiKey", "access_token", "refresh_token", "client_secret", "password", "authorization"]
    secret += ["secret_key", "private_key", "authorization_token", "aws_secret_access_key", "db-password"]
    assert [] == [name for name in secret if not is_secret_field(name)]
    plain = [
        "token",
        "tokens",
        "max_tokens",
        "key",
        "logprobs",
        "content",
        "completion_tokens",
        "tokenizer",
        "signature",
    ]
    assert [] == [name for name in plain if is_secret_field(name)]
    parameters = ["key", "api_key", "api-key", "apikey", "access_token", "token", "sig", "signature", "X-Amz-Signature"]
    parameters += ["X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature"]
    assert [] == [name for name in parameters if not is_secret_parameter(name)]
    assert [] == [name for name in ("alt", "api-version", "max_tokens", "model") if is_secret_parameter(name)]


# -- the real thing


@needs_corpus
def test_no_recording_of_others_gives_an_alarm() -> None:
    alarms = []
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        data = path.read_bytes()
        alarms += [(path.name, secret) for secret in (*find_secrets(data), *spread_secrets(data, find_secrets))]
    assert [] == alarms


@pytest.mark.parametrize(
    "unit",
    ["sk-", "eyJ", "eyJaaaaaaaaa.", "://a:", "-----BEGIN PRIVATE KEY-----", "Bearer ", '"a":"', "\\", '"content":"\\"'],
)
def test_hostile_bodies_take_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        data = (unit * (size // len(unit))).encode()
        begun = time.process_time()
        find_secrets(data)
        spread_secrets(data, find_secrets)
        return time.process_time() - begun

    assert seconds(2_000_000) < 40 * min(seconds(200_000) for _ in range(3)) + 0.5
