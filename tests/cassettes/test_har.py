"""HAR: what others write is read as what the parser got, and what we write loses nothing."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes import Cassette
from streamkit.cassettes.encoding import decoded
from streamkit.cassettes.har import read_har, write_har
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

BODY = 'data: {"delta": "Grüße, 世界"}\r\n\r\ndata: [DONE]\n\n'
URL = "https://api.example.com/v1/chat/completions?beta=true"


def entry(response: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    """Return an entry as most programs write it; what is given replaces or adds keys."""
    headers = [{"name": "content-type", "value": "text/event-stream"}]
    content = {"size": len(BODY), "mimeType": "text/event-stream", "text": BODY}
    return {
        "startedDateTime": "2026-01-02T03:04:05.678Z",
        "time": 12.5,
        "request": {"method": "POST", "url": URL, "httpVersion": "h2", "headers": [], **request},
        "response": {"status": 200, "statusText": "OK", "headers": headers, "content": content, **(response or {})},
        "cache": {},
        "timings": {"send": 0.1, "wait": 12, "receive": 0.4},
    }


def har(*entries: Any, creator: str = "WebInspector") -> bytes:
    log = {"version": "1.2", "creator": {"name": creator, "version": "537.36"}, "pages": [], "entries": list(entries)}
    return json.dumps({"log": log}, indent=2).encode()


def only(raw: bytes) -> Transcript:
    (transcript,) = read_har(raw, "x.har").transcripts
    return transcript


def content(**facts: Any) -> dict[str, Any]:
    return {"content": {"mimeType": "text/event-stream", **facts}}


def headers(**named: str) -> list[dict[str, str]]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in named.items()]


# -- what others write


def test_a_browsers_entry_is_a_request_and_a_transcript_of_one_chunk() -> None:
    raw = har(entry(postData={"mimeType": "application/json", "text": '{"stream": true, "ü": 1}'}))
    (interaction,) = read_har(raw, "x.har").interactions
    assert ("POST", URL, '{"stream": true, "ü": 1}'.encode()) == (
        interaction.request.method,
        interaction.request.url,
        interaction.request.body,
    )
    transcript = interaction.transcript
    assert (BODY.encode(), (len(BODY.encode()),), False) == (
        transcript.body,
        transcript.lengths,
        transcript.chunks_recorded,
    )
    assert ResponseHead(200, "OK", (("content-type", "text/event-stream"),)) == transcript.head
    assert ("x.har", "a HAR file of WebInspector 537.36") == (transcript.name, transcript.source)
    assert transcript.request is interaction.request


def test_a_body_in_base64_is_its_bytes() -> None:
    data = bytes(range(256))
    encoded = base64.b64encode(data).decode()
    assert data == only(har(entry(content(text=encoded, encoding="base64")))).body
    wrapped = "\r\n".join([encoded[:76], encoded[76:]])
    assert data == only(har(entry(content(text=wrapped, encoding="BASE64")))).body


def test_the_coding_goes_because_the_content_is_decoded() -> None:
    coded = headers(content_type="text/event-stream", Content_Encoding="br", Content_Length="99", x="1")
    transcript = only(har(entry({"headers": coded})))
    assert (("content-type", "text/event-stream"), ("x", "1")) == transcript.head.headers
    encoded = base64.b64encode(b"\0\0\0\1\xff").decode()
    binary = only(har(entry({"headers": coded, **content(text=encoded, encoding="base64")})))
    assert (b"\0\0\0\1\xff", None) == (binary.body, binary.head.header("content-encoding"))


def test_the_coding_stays_where_the_bytes_still_begin_as_it_says() -> None:
    wire = gzip.compress(BODY.encode())
    facts = content(text=base64.b64encode(wire).decode(), encoding="base64")
    transcript = only(har(entry({"headers": headers(content_encoding="gzip"), **facts})))
    assert (wire, "gzip") == (transcript.body, transcript.head.header("content-encoding"))
    assert BODY.encode() == decoded(transcript).body


@pytest.mark.parametrize("encoding", ["base64", None])
def test_polly_keeps_a_compressed_body_in_the_chunks_in_which_it_came(encoding: str | None) -> None:
    wire = gzip.compress(BODY.encode())
    chunks = [wire[:11], wire[11:30], wire[30:]]
    listed = [base64.b64encode(chunk).decode() if encoding else chunk.hex() for chunk in chunks]
    facts = content(text=json.dumps(listed), encoding=encoding, size=len(wire))
    transcript = only(har(entry({"headers": headers(content_encoding="gzip"), **facts}), creator="Polly.JS"))
    assert (wire, (11, 19, len(wire) - 30), True) == (transcript.body, transcript.lengths, transcript.chunks_recorded)
    assert BODY.encode() == decoded(transcript).body


def test_a_json_list_is_a_body_like_any_other_unless_polly_wrote_it() -> None:
    assert b'["00ff"]' == only(har(entry(content(text='["00ff"]')))).body
    assert b'["a word"]' == only(har(entry(content(text='["a word"]')), creator="Polly.JS")).body


def test_pseudo_headers_are_dropped_and_joined_headers_taken_apart() -> None:
    sent = [{"name": ":authority", "value": "api.example.com"}, {"name": "accept", "value": "*/*"}]
    came = [
        {"name": ":status", "value": "200"},
        {"name": "Set-Cookie", "value": "a=1\nb=2"},
        {"name": "x", "value": ""},
    ]
    (interaction,) = read_har(har(entry({"headers": came}, headers=sent)), "x.har").interactions
    assert (("accept", "*/*"),) == interaction.request.headers
    assert (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x", "")) == interaction.transcript.head.headers


def test_a_form_that_is_given_in_parameters_is_put_together_again() -> None:
    params = [{"name": "a", "value": "1 2"}, {"name": "ü", "value": "&"}, {"name": "empty"}]
    data = {"mimeType": "application/x-www-form-urlencoded; charset=utf-8", "params": params}
    assert b"a=1+2&%C3%BC=%26&empty=" == read_har(har(entry(postData=data)), "x.har").interactions[0].request.body
    both = {**data, "text": "a=1%202"}
    assert b"a=1%202" == read_har(har(entry(postData=both)), "x.har").interactions[0].request.body


@pytest.mark.parametrize("data", [None, {"mimeType": "", "text": ""}, {"mimeType": "text/plain", "params": []}])
def test_a_request_without_a_body_has_none(data: dict[str, Any] | None) -> None:
    assert b"" == read_har(har(entry(postData=data)), "x.har").interactions[0].request.body


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        ("text/plain; charset=iso-8859-1", b"Gr\xfc\xdfe"),
        ('text/plain; charset="ISO-8859-1"', b"Gr\xfc\xdfe"),
        ("text/plain; charset=ascii", "Grüße".encode()),
        ("text/plain; charset=klingon", "Grüße".encode()),
        ("text/event-stream; charset=iso-8859-1", "Grüße".encode()),
        ("application/json", "Grüße".encode()),
    ],
)
def test_text_goes_back_to_the_charset_that_was_declared(mime: str, expected: bytes) -> None:
    assert expected == only(har(entry({"content": {"mimeType": mime, "text": "Grüße"}}))).body


@pytest.mark.parametrize(
    "response",
    [
        {"content": {"size": 0, "mimeType": "x-unknown"}},
        {"content": {"size": -1, "mimeType": "x-unknown"}, "bodySize": 0},
        {"content": {}, "status": 204},
        {"content": {"mimeType": "text/plain"}, "status": 304},
        {"content": {"text": "", "size": 0}},
    ],
)
def test_a_body_of_no_bytes_needs_no_text(response: dict[str, Any]) -> None:
    assert b"" == only(har(entry(response))).body


def test_a_head_request_has_no_body() -> None:
    assert b"" == only(har(entry({"content": {"size": 99}}, method="HEAD"))).body


def test_entries_are_numbered_as_interactions_are() -> None:
    cassette = read_har(har(entry(), entry(content(text="data: 2\n\n"))), "x.har", name="mine")
    assert ["mine", "mine#2"] == [transcript.name for transcript in cassette.transcripts]
    assert [b"data: 2\n\n"] == [
        t.body for t in read_har(har(entry(), entry(content(text="data: 2\n\n"))), "x", only=2).transcripts
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_read(encoding: str) -> None:
    assert BODY.encode() == only(har(entry()).decode().encode(encoding)).body


# -- what cannot be used


def reason(raw: bytes, **facts: Any) -> CassetteFormatError:
    with pytest.raises(CassetteFormatError) as caught:
        read_har(raw, "x.har", **facts)
    assert "x.har" == caught.value.path
    return caught.value


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (content(size=12), "the body was not kept, `text` is missing: export it again"),
        (content(size=12, comment="not included"), r"`text` is missing \(not included\)"),
        (content(size=-1), "the body was not kept"),
        (content(), "the body was not kept"),
        (content(_file="a1.txt"), r"in a file of its own, 'a1.txt': record it embedded"),
        ({"status": 0, "_error": "net::ERR_ABORTED"}, r"no response came \(status 0, net::ERR_ABORTED\)"),
        ({"status": -1}, r"no response came \(status -1\)"),
        ({"status": "200"}, "a response has a `status`, a whole number"),
        ({"status": True}, "a response has a `status`, a whole number"),
        ({"content": []}, "content: an object is expected"),
        ({"headers": {}}, "headers: a list"),
        ({"headers": [{"value": "1"}]}, r"headers\.0: an object with `name`"),
        (content(text=1), "a text is expected"),
        (content(text="&&&", encoding="base64"), "not base64"),
        (content(text="x", encoding="rot13"), "the encoding 'rot13' of the content is not known"),
        (content(text="\ud83d"), "half a surrogate pair"),
        ({"_streamkit": 1}, "_streamkit: an object is expected"),
        ({"_streamkit": {"format": 99}}, "newer streamkit"),
        ({"_streamkit": {"format": 1, "chunks": [[0, 1]]}}, "_streamkit: chunks: the chunks add up to 1 bytes"),
    ],
)
def test_an_unusable_response_is_an_error_that_says_why(response: dict[str, Any], said: str) -> None:
    assert re.search(said, reason(har(entry(response))).reason)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"url": None}, "a request has a `method` and a `url`"),
        ({"postData": 1}, "postData: an object is expected"),
        ({"postData": {"text": 1}}, "a text is expected"),
        ({"postData": {"_file": "b.json"}}, "the request's body is in a file of its own, 'b.json'"),
        ({"postData": {"mimeType": "multipart/form-data; boundary=x", "params": [{"name": "a"}]}}, "cannot be told"),
        ({"postData": {"params": [1]}}, "cannot be told"),
    ],
)
def test_an_unusable_request_is_an_error_that_says_why(request_: dict[str, Any], said: str) -> None:
    assert said in reason(har(entry(**request_))).reason


@pytest.mark.parametrize(
    ("raw", "said", "line"),
    [
        (b"", "not JSON: Expecting value", 1),
        (b'{\n "log":\n}', "not JSON: Expecting value", 3),
        (b"\xff\xfe\xff", "not JSON", None),
        (b"[" * 100_000, "not JSON", None),
        (b"[]", "no HAR: an object `log` with a list `entries` is expected", 1),
        (b'{"log": {"entries": {}}}', "no HAR", 1),
        (b'{"log": {"entries": [\n1]}}', "log.entries.0: an entry has a `request` and a `response`", 2),
    ],
)
def test_what_is_no_har_is_an_error_with_its_line(raw: bytes, said: str, line: int | None) -> None:
    error = reason(raw)
    assert (True, line) == (said in error.reason, error.line)


def test_the_line_is_that_of_the_fault() -> None:
    raw = har(entry(), entry(content(text=1)))
    lines = raw.decode().splitlines()
    assert '"text": 1' == lines[(reason(raw).line or 0) - 1].strip()
    missing = har(entry(), entry({"headers": [{"name": "a", "value": "}],["}, {"value": "1"}]}))
    assert "{" == missing.decode().splitlines()[(reason(missing).line or 0) - 1].strip()


def test_an_unusable_entry_leaves_the_others_to_be_read_by_number() -> None:
    raw = har(entry(content(size=9)), entry({"content": {"text": "x"}}), entry())
    assert "It is #1 of 3: name another by its number; bodies of event streams are in #3" in reason(raw).reason
    (transcript,) = read_har(raw, "x.har", only=3).transcripts
    assert ("x.har#3", BODY.encode()) == (transcript.name, transcript.body)
    assert "It is #1 of 3" in reason(raw, only=1).reason
    for number in (0, 4):
        with pytest.raises(UsageError, match=f"x.har holds 3 interactions: there is no #{number}"):
            read_har(raw, "x.har", only=number)


# -- there and back

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HEADERS = st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple)


@st.composite
def interactions(draw: st.DrawFn) -> Interaction:
    chunks = draw(st.lists(st.binary(max_size=12) | TEXT.map(str.encode), min_size=1, max_size=5))
    request = Request(draw(TEXT), draw(TEXT), draw(HEADERS), draw(st.binary(max_size=20) | TEXT.map(str.encode)))
    times = sorted(draw(st.lists(st.integers(0, 10**9), min_size=len(chunks), max_size=len(chunks))))
    transcript = Transcript(
        b"".join(chunks),
        ResponseHead(draw(st.integers(100, 599)), draw(TEXT), draw(HEADERS)),
        lengths=tuple(map(len, chunks)),
        times=tuple(times),
        ending=draw(st.sampled_from(Ending)),
        chunks_recorded=draw(st.booleans()),
        dialect=draw(st.none() | TEXT),
        synthetic=draw(st.booleans()),
        source=draw(TEXT),
        error=draw(TEXT),
        missing=draw(st.integers(0, 99)),
        request=request,
    )
    return Interaction(request, transcript)


@given(st.lists(interactions(), max_size=3))
def test_a_cassette_comes_back_from_har_whole(listed: list[Interaction]) -> None:
    """Invariant: cassette -> HAR -> cassette loses nothing."""
    again = read_har(write_har(Cassette(tuple(listed))), "", name="")
    assert [i.request for i in listed] == [i.request for i in again.interactions]
    assert [i.transcript for i in listed] == [t.renamed("") for t in again.transcripts]


def test_a_compressed_body_keeps_its_header_and_its_bytes() -> None:
    wire = gzip.compress(BODY.encode())
    kept = Transcript(wire, ResponseHead(200, "OK", (("Content-Encoding", "gzip"),)), lengths=(9, len(wire) - 9))
    assert kept == only(write_har(Cassette((Interaction(Request("GET", URL), kept),)))).renamed("")


def test_half_a_surrogate_pair_in_a_header_is_no_obstacle() -> None:
    head = ResponseHead(200, "OK", (("x", "\ud83d"),))
    assert head == only(write_har(Cassette((Interaction(Request("GET", URL), Transcript(b"", head)),)))).head


def test_what_is_written_is_what_the_standard_asks_for() -> None:
    request = Request("POST", URL, (("Content-Type", "application/json"),), b"{}")
    head = ResponseHead(302, "Found", (("Location", "/there"), ("Content-Type", "text/plain")))
    transcript = Transcript(b"\xffab", head, lengths=(1, 2), times=(5, 70))
    log = json.loads(write_har(Cassette((Interaction(request, transcript),))))["log"]
    (written,) = log["entries"]
    assert ({"version", "creator", "entries"}, "1.2") == (set(log), log["version"])
    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} == set(written)
    assert {"send": 0, "wait": 0, "receive": 70} == written["timings"]
    assert {"mimeType": "application/json", "text": "{}"} == written["request"]["postData"]
    assert [{"name": "beta", "value": "true"}] == written["request"]["queryString"]
    assert {"size": 3, "mimeType": "text/plain", "text": "/2Fi", "encoding": "base64"} == written["response"]["content"]
    assert "/there" == written["response"]["redirectURL"]
    standard = {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize"}
    assert {*standard, "bodySize", "_streamkit"} == set(written["response"])


@needs_corpus
def test_every_recorded_body_comes_back_from_har() -> None:
    for recording in (r for suffix in (".sse", ".ndjson", ".eventstream") for r in recordings(suffix)):
        body = recording.body
        cassette = Cassette((Interaction(Request("POST", URL, (), body), Transcript(body)),))
        (again,) = read_har(write_har(cassette), "x.har").interactions
        assert (body, body) == (again.request.body, again.transcript.body), recording.name
