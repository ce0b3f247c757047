"""Secrets are taken out, and nothing else changes. Every secret here is made up of repeated words."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
import zlib
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import call, calls, delta, finish, sse
from skhelpers.corpus import FOLDER, needs_corpus

from streamkit.cassettes import bundled
from streamkit.cassettes.redaction import REDACTED, Redaction, Redactor
from streamkit.cassettes.secrets import fill
from streamkit.dialects import accumulate
from streamkit.errors import CassetteError, UsageError
from streamkit.transcript import Chunk, Interaction, Request, ResponseHead, Transcript
from streamkit.wire.sse import decode

KEY = "sk-proj-" + "test1234" * 4
PLAIN = "plain/words+of=no-shape"  # a credential that no shape gives away
URL = "https://api.openai.com/v1/chat/completions"


def request(body: Any = b"", url: str = URL, **headers: str) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", url, tuple((name.replace("_", "-"), value) for name, value in headers.items()), data)


def taught(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.learn(request(authorization=f"Bearer {value}"))
    return redactor


def same_length(old: Transcript, new: Transcript) -> None:
    """Hold a transcript to what redaction promises of it."""
    assert (old.lengths, old.times, old.ending) == (new.lengths, new.times, new.ending)
    assert len(old.body) == len(new.body)
    assert old.body.count(b"\n") == new.body.count(b"\n")


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


# -- streams


def chunked(body: bytes, size: int) -> Transcript:
    return Transcript.from_chunks([Chunk(body[at : at + size], at) for at in range(0, len(body), size)], name="x")


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_a_secret_cut_by_a_chunk_boundary_is_caught(size: int) -> None:
    old = chunked(sse(delta(content=f"Ü {KEY} and {PLAIN}"), finish(), "[DONE]"), size)
    new = taught(PLAIN).transcript(old)
    same_length(old, new)
    content = accumulate(new).content or ""
    assert f"Ü {fill(len(KEY)).decode()} and {fill(len(PLAIN)).decode()}" == content


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("secret", [KEY, PLAIN, "pässwörter-für-東京"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_secret_said_token_by_token_is_caught(line_end: bytes, secret: str, size: int) -> None:
    pieces = [secret[at : at + size] for at in range(0, len(secret), size)]
    text = [delta(content=piece) for piece in ("Ü: ", *pieces, " 東京\n")]
    arguments = [calls(call(arguments=piece)) for piece in ('{"key":"', *pieces, '"}')]
    opener = calls(call(id="call_1", type="function", name="f", arguments=""))
    body = sse(*text, opener, *arguments, finish("tool_calls"), "[DONE]").replace(b"\n\n", line_end * 2)
    old = chunked(body, 64)
    new = taught(secret).transcript(old)
    same_length(old, new)
    filling = fill(len(secret.encode())).decode()
    completion = accumulate(new)
    assert f"Ü: {filling} 東京\n" == completion.content
    assert {"key": filling} == completion.tool_calls[0].parsed()
    assert len(decode(old.body)) == len(decode(new.body))
    assert new == taught(secret).transcript(new)


@pytest.mark.parametrize("name", ["text", "delta", "partial_json", "thinking", "response"])
def test_pieces_are_joined_under_any_name(name: str) -> None:
    lines = [json.dumps({"type": "x", "index": 0, name: piece}) for piece in ("my ", KEY[:9], KEY[9:20], KEY[20:], "!")]
    done = Redactor().transcript(Transcript("\n".join(lines).encode())).body
    assert f"my {fill(len(KEY)).decode()}!" == "".join(json.loads(line)[name] for line in done.splitlines())


def test_a_stream_of_several_calls_at_once_is_read_call_by_call() -> None:
    half = len(KEY) // 2
    body = sse(
        calls(call(0, id="a", name="f", arguments='{"k":"' + KEY[:half])),
        calls(call(1, id="b", name="g", arguments="{")),
        calls(call(0, arguments=KEY[half:] + '"}')), calls(call(1, arguments="}")), finish("tool_calls"), "[DONE]",
    )  # fmt: skip
    first, second = accumulate(Redactor().transcript(Transcript(body))).tool_calls
    assert ({"k": fill(len(KEY)).decode()}, {}) == (first.parsed(), second.parsed())


@given(
    st.lists(st.sampled_from([*KEY[:14], KEY, PLAIN, PLAIN[:9], PLAIN[9:], "ü", "\n", '"', "\\", "🌤", "Bearer ", "="])),
    st.sampled_from([b"\n", b"\r\n"]), st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_whatever_is_said_stays_a_stream_of_the_same_shape(pieces: list[str], end: bytes, ascii_only: bool) -> None:
    """Invariant: lengths, events, JSON validity and all numbers survive, and a second redaction changes nothing."""
    events = [json.dumps(delta(content=piece), ensure_ascii=ascii_only).encode() for piece in pieces]
    old = Transcript(b"".join(b"data: " + event + end * 2 for event in events))
    redactor = taught(PLAIN)
    new = redactor.transcript(old)
    same_length(old, new)
    payloads = [json.loads(event.data) for event in decode(new.body)]
    assert len(pieces) == len(payloads)
    assert all(payload["created"] == 1712173516 for payload in payloads)
    said = "".join(payload["choices"][0]["delta"]["content"] for payload in payloads)
    assert KEY not in said
    assert PLAIN not in said
    assert new == redactor.transcript(new)


# -- compressed bodies


def deflated(pieces: list[bytes], wbits: int) -> list[bytes]:
    packer = zlib.compressobj(wbits=wbits)
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*packed, packer.flush()]


@pytest.mark.parametrize(("coding", "wbits"), [("gzip", 31), ("deflate", 15)])
def test_a_compressed_body_that_holds_a_secret_is_stored_decoded(coding: str, wbits: int) -> None:
    pieces = [b"data: one\n\n", b"data: " + KEY.encode() + b"\n\n"]
    wire = [Chunk(piece, 5 * number) for number, piece in enumerate(deflated(pieces, wbits))]
    headers = (("Content-Encoding", coding), ("content-length", "9"), ("content-type", "text/event-stream"))
    new = Redactor().transcript(Transcript.from_chunks(wire, head=ResponseHead(headers=headers)))
    assert b"data: one\n\ndata: " + fill(len(KEY)) + b"\n\n" == new.body
    assert ((11, len(pieces[1]), 0), (0, 5, 10)) == (new.lengths, new.times)
    assert (("content-type", "text/event-stream"),) == new.head.headers


def test_a_compressed_body_without_a_secret_stays_as_it_came() -> None:
    head = ResponseHead(headers=(("content-encoding", "gzip"), ("content-length", "9")))
    old = Transcript(gzip.compress(b"data: one\n\n", mtime=0), head=head)
    assert old == Redactor().transcript(old)


def test_a_body_in_an_unknown_coding_is_not_let_through() -> None:
    head = ResponseHead(headers=(("content-encoding", "secretly"),))
    with pytest.raises(CassetteError, match="secretly"):
        Redactor().transcript(Transcript(b"\x00\x01\x02", head=head))


def test_a_compressed_request_is_searched_too() -> None:
    sent = request(
        gzip.compress(json.dumps({"api_key": PLAIN}).encode()), content_encoding="gzip", content_type="a/json"
    )
    done = Redactor().request(sent)
    assert {"api_key": fill(len(PLAIN)).decode()} == json.loads(done.body)
    assert (("content-type", "a/json"),) == done.headers


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
