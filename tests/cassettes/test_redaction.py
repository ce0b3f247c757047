"""Secrets are taken out, and nothing else changes. Every secret here is made up of repeated words."""

from __future__ import annotations

import base64
import json
import re
import threading
from typing import Any
from urllib.parse import quote

import pytest
from skhelpers.chat import delta, sse
from skhelpers.corpus import FOLDER, needs_corpus
from skhelpers.redacting import KEY, PLAIN, request, same_length, taught

from streamkit.cassettes import bundled
from streamkit.cassettes.redaction import REDACTED, Redaction, Redactor
from streamkit.cassettes.secrets import fill
from streamkit.errors import UsageError
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript
from streamkit.wire.sse import decode

# -- headers and URLs


def test_credentials_in_headers_are_replaced_and_their_names_kept() -> None:
    sent = request(
        Authorization=f"Bearer {KEY}", X_API_Key="abc", cookie="a=b", openai_organization="org-1", content_type="x/y"
    )
    assert (
        ("Authorization", REDACTED), ("X-API-Key", REDACTED), ("cookie", REDACTED), ("openai-organization", REDACTED),
        ("content-type", "x/y"),
    ) == Redactor().request(sent).headers  # fmt: skip


def test_headers_of_a_response_are_redacted_too_and_limits_are_kept() -> None:
    head = ResponseHead(
        401, f"no {KEY}", (("Set-Cookie", "s=1"), ("x-ratelimit-remaining-tokens", "12345678"),
                           ("x-note", f"for {KEY}!"), ("Location", f"https://a:bcdefgh1@h/?sig=abc&x={KEY}#f")),
    )  # fmt: skip
    assert ResponseHead(
        401, "no REDACTED", (("Set-Cookie", REDACTED), ("x-ratelimit-remaining-tokens", "12345678"),
                             ("x-note", "for REDACTED!"), ("Location", "https://REDACTED@h/?sig=REDACTED&x=REDACTED#f")),
    ) == Redactor().transcript(Transcript(b"", head=head)).head  # fmt: skip


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p?a=%7e&key=abc&b=+1#x", "https://h/p?a=%7e&key=REDACTED&b=+1#x"),
        ("https://h/p?API%5FKEY=abc&&x", "https://h/p?API%5FKEY=REDACTED&&x"),
        ("https://u:p@h:1/p@q?x=a@b", "https://REDACTED@h:1/p@q?x=a@b"),
        ("https://u@h", "https://REDACTED@h"),
        ("https://h/?X-Amz-Signature=1&X-Amz-Date=2", "https://h/?X-Amz-Signature=REDACTED&X-Amz-Date=2"),
        (f"https://h/{KEY}/x", "https://h/REDACTED/x"),
        ("https://h/cb#access_token=abc&x=1", "https://h/cb#access_token=REDACTED&x=1"),
        ("https://h/p?key=&model=m", "https://h/p?key=&model=m"),
        ("/only/a/path?token=t", "/only/a/path?token=REDACTED"),
    ],
)
def test_only_the_secret_of_a_url_is_replaced(url: str, expected: str) -> None:
    assert expected == Redactor().request(request(url=url)).url


# -- bodies of requests


def test_fields_are_redacted_by_name_at_any_depth_and_numbers_never() -> None:
    body = {
        "api_key": "abc", "a": [{"clientSecret": 'q"\\\n', "token": "kept", "max_tokens": 12345678}],
        "password": 12345678,
        "tools": [{"type": "mcp", "authorization": "xyz", "headers": {"Authorization": "Bearer q"}}], "key": "kept",
        "held": json.dumps({"refresh_token": "a\\b", "inner": json.dumps({"password": 'p"w'}), "n": 1}),
        "properties": {"password": {"type": "string"}}, "required": ["password"],
    }  # fmt: skip
    sent = request(body)
    done = Redactor().request(sent).body
    got = json.loads(done)
    assert len(sent.body) == len(done)
    assert "RED" == got["api_key"]
    assert "kept" == got["a"][0]["token"] == got["key"]
    assert (12345678, 12345678) == (got["a"][0]["max_tokens"], got["password"])
    assert set(REDACTED) >= set(got["a"][0]["clientSecret"] + got["tools"][0]["authorization"])
    assert set(REDACTED) >= set(got["tools"][0]["headers"]["Authorization"])
    held = json.loads(got["held"])
    assert set(REDACTED) >= set(held["refresh_token"])
    assert set(REDACTED) >= set(json.loads(held["inner"])["password"])
    assert (body["properties"], body["required"]) == (got["properties"], got["required"])


def test_forms_are_redacted_by_name() -> None:
    sent = request(b"client_secret=abc%2Bd&scope=x&token=efg&a=", content_type="application/x-www-form-urlencoded")
    assert b"client_secret=REDACTE&scope=x&token=RED&a=" == Redactor().request(sent).body


# -- what is known


@pytest.mark.parametrize(
    ("sent", "secret"),
    [
        (request(authorization=f"Bearer {PLAIN}"), PLAIN),
        (request(x_api_key=PLAIN), PLAIN),
        (request(authorization="Basic " + base64.b64encode(f"someone:{PLAIN}".encode()).decode()), PLAIN),
        (request(authorization="Basic " + base64.b64encode(f"{PLAIN}:x".encode()).decode()), PLAIN),
        (request(cookie=f"a=b; session={PLAIN}"), PLAIN),
        (request(url=f"https://h/?key={quote(PLAIN)}"), PLAIN),
        (request(url=f"https://someone:{quote(PLAIN, safe='')}@h/"), PLAIN),
        (request(url="https://someone:else@h/"), base64.b64encode(b"someone:else").decode()),
        (request({"a": {"api_key": PLAIN}}), PLAIN),
        (request({"a": json.dumps({"api_key": 'quo"te\\d-secret'})}), 'quo"te\\d-secret'),
    ],
)
def test_a_credential_is_removed_wherever_it_occurs_later(sent: Request, secret: str) -> None:
    redactor = Redactor()
    redactor.learn(sent)
    body = b"data: " + json.dumps({"content": f"it is {secret}."}).encode() + b"\n\n"
    done = redactor.transcript(Transcript(body))
    same_length(Transcript(body), done)
    assert re.fullmatch("it is [REDACT]+[.]", json.loads(decode(done.body)[0].data)["content"])
    own = redactor.interaction(Interaction(sent, Transcript(body)))
    assert own == Redactor().interaction(Interaction(sent, Transcript(body)))  # it learns from its own request


@pytest.mark.parametrize(
    "written",
    [
        PLAIN, PLAIN.replace("/", "\\/"), PLAIN.replace("+", "\\u002b"), PLAIN.replace("+", "\\u002B"),
        quote(PLAIN, safe=""), quote(PLAIN, safe="").lower(), PLAIN.replace("/", "\\\\/").replace("=", "\\\\u003d"),
    ],
)  # fmt: skip
def test_a_known_secret_is_found_however_it_is_written(written: str) -> None:
    body = b'data: {"content":"a ' + written.encode() + b' b"}\n\n'
    assert b'data: {"content":"a ' + fill(len(written)) + b' b"}\n\n' == taught(PLAIN).transcript(Transcript(body)).body


def test_short_values_go_from_headers_only() -> None:
    redactor = taught("abc")
    assert b"data: abc\n\n" == redactor.transcript(Transcript(b"data: abc\n\n")).body


def test_numbers_stay_even_if_a_secret_looks_like_one() -> None:
    body = b'data: {"created":1700000000,"n":[1700000000],"content":"pin 1700000000"}\n\n'
    assert body.replace(b"pin 1700000000", b"pin REDACTEDRE") == taught("1700000000").transcript(Transcript(body)).body


def test_a_password_that_is_a_word_stays_a_word_elsewhere() -> None:
    sent = request({"password": "radiance", "text": "radiance", "secret": "radiance-1", "more": "radiance-1"})
    assert {"password": REDACTED, "text": "radiance", "secret": "REDACTEDRE", "more": "REDACTEDRE"} == json.loads(
        Redactor().request(sent).body
    )


def test_the_name_of_a_field_is_no_secret() -> None:
    sent = request({"password": "password", "x": "Authorization"}, authorization="authorization")
    assert b'"password": "REDACTED"' in Redactor().request(sent).body
    assert b'"x": "Authorization"' in Redactor().request(sent).body


def test_a_match_that_begins_inside_an_escape_takes_the_escape_with_it() -> None:
    body = b'data: {"content":"a\\n1234567x \\u00e9cole-of-words"}\n\n'
    done = taught("n1234567x", "e9cole-of-words").transcript(Transcript(body)).body
    assert (len(body), "aREDACTEDRE REDACTEDREDACTEDRED") == (len(done), json.loads(decode(done)[0].data)["content"])


# -- a project's own rules


def test_a_project_adds_rules() -> None:
    rules = Redaction(
        headers=("X-Tenant",), query=("tenant",), json_fields=("tenant_name",),
        patterns=(r"T-\d+", re.compile('id="(.*?)"')), values=("tenant/one",),
    )  # fmt: skip
    redactor = Redactor(rules)
    sent = request({"tenantName": "abc", "x": "T-77 äö T-1"}, url="https://h/tenant%2Fone?tenant=a&b=1", x_tenant="a")
    done = redactor.request(sent)
    assert ("https://h/REDACTED?tenant=REDACTED&b=1", (("x-tenant", REDACTED),)) == (done.url, done.headers)
    assert {"tenantName": "RED", "x": "REDA äö RED"} == json.loads(done.body)
    body = 'data: <ü id="q"> T-1 tenant\\/one\n\n'.encode()
    assert 'data: <ü id="R"> RED REDACTEDRED\n\n'.encode() == redactor.transcript(Transcript(body)).body


def test_a_pattern_joins_no_events_and_breaks_no_number() -> None:
    redactor = Redactor(Redaction(patterns=(r"(?s)one.*two", r"\d{10}", re.compile(rb"x{3}"))))
    body = b'data: one\n\ndata: two\n\ndata: {"created":1700000000,"s":"1700000000","x":"xxx"}\n\n'
    done = redactor.transcript(Transcript(body)).body
    events = decode(done)
    assert (len(body), b"\n\n") == (len(done), done[9:11])
    assert {"created": 1111111111, "s": "REDACTEDRE", "x": "RED"} == json.loads(events[-1].data)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"headers": "x-tenant"}, r"headers is 'x-tenant': a tuple"),
        ({"json_fields": (1,)}, "json_fields holds 1"),
        ({"query": ("",)}, "query holds ''"),
        ({"patterns": ("(",)}, "no regular expression"),
        ({"patterns": ("a*",)}, "matches the empty text"),
        ({"patterns": re.compile("a")}, "patterns is"),
        ({"values": ("short",)}, "value 1 is shorter than 8"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Redaction(**rules)


def test_the_message_about_a_short_value_does_not_tell_it() -> None:
    with pytest.raises(UsageError) as refused:
        Redaction(values=("s3cret!",))
    assert "s3cret" not in str(refused.value)


# -- nothing else changes


def test_redaction_is_pure_and_once_is_enough() -> None:
    sent = request(
        {"api_key": PLAIN, "m": f"Bearer {KEY}", "authorization": f"Bearer {KEY}"}, authorization=f"Bearer {KEY}"
    )
    old = Interaction(
        sent, Transcript(sse(delta(content=KEY)), head=ResponseHead(headers=(("set-cookie", "a"),)), request=sent)
    )
    redactor = Redactor()
    once = redactor.interaction(old)
    assert once == redactor.interaction(once)
    assert once.request == once.transcript.request
    assert Redactor().transcript(Transcript(PLAIN.encode())) == redactor.transcript(Transcript(PLAIN.encode()))
    for secret in (KEY, PLAIN):
        assert secret not in repr(once.transcript.request) + repr(once.transcript.body)


def test_it_learns_from_several_threads() -> None:
    redactor = Redactor()
    secrets = [f"plain-words-{number:04}" for number in range(40)]
    threads = [
        threading.Thread(target=redactor.learn, args=(request(authorization=f"Bearer {secret}"),)) for secret in secrets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = redactor.transcript(Transcript(" ".join(secrets).encode())).body
    assert {fill(16)} == set(done.split())


def test_the_bundled_cassettes_stay_as_they_are() -> None:
    for transcript in bundled():
        assert transcript == Redactor().transcript(transcript)


@needs_corpus
def test_recordings_of_others_stay_byte_for_byte_the_same() -> None:
    changed, seen = [], 0
    for meta_path in sorted(FOLDER.rglob("*.meta.json")):
        meta = json.loads(meta_path.read_text("utf-8"))
        headers = tuple((name, str(value)) for name, value in meta["response"]["headers"].items())
        head = ResponseHead(headers=tuple(header for header in headers if header[0].lower() != "content-encoding"))
        old = Transcript((meta_path.parent / meta["file"]).read_bytes(), head=head)
        seen += 1
        if old != Redactor().transcript(old):
            changed.append(meta["file"])
    assert [] == changed
    assert seen > 900


@needs_corpus
def test_requests_of_others_stay_byte_for_byte_the_same() -> None:
    holding = ["mirascope--openai_gpt_5_mini_completions.async_stream--1-a1919ef6.request.json"]  # a tool's passwords
    requests = sorted(FOLDER.rglob("*.request.json"))
    changed = [
        path.name for path in requests if path.read_bytes() != Redactor().request(request(path.read_bytes())).body
    ]
    assert holding == changed
    assert len(requests) > 700
