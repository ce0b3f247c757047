"""Secrets are taken out of streams: cut by chunks, said token by token, or compressed."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import call, calls, delta, finish, sse
from skhelpers.redacting import KEY, PLAIN, request, same_length, taught

from streamkit.cassettes.redaction import Redactor
from streamkit.cassettes.secrets import fill
from streamkit.dialects import accumulate
from streamkit.errors import CassetteError
from streamkit.transcript import Chunk, ResponseHead, Transcript
from streamkit.wire.sse import decode

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
