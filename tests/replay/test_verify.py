"""`verify`: a cassette's requests are sent again to a real server, recorded beside it, and compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from skhelpers.server import Answer, StreamServer, body

from streamkit.cassettes import Cassette, dump, load_cassette
from streamkit.cassettes.redaction import Redactor
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.replay.verify import Report, fresh_path, verify
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

SECRET = "sk-" + "test" * 8
BODY = body()
HEAD = ResponseHead(200, "OK", (("Content-Type", "text/event-stream"),))
ASKED = json.dumps({"model": "m", "stream": True}).encode()
URL = "https://api.example.com/v1/chat/completions"
SENT = (("Content-Type", "application/json"), ("Authorization", f"Bearer {SECRET}"), ("X-Team", "blue"))


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between the tests and their server."""
    monkeypatch.setenv("NO_PROXY", "*")


pytestmark = pytest.mark.usefixtures("direct")


def cassette(folder: Path, *interactions: tuple[Request, Transcript], redact: bool = True) -> Path:
    """Write a cassette, redacted as the recorder does it."""
    path = folder / "chat.yaml"
    listed = [Interaction(request, transcript) for request, transcript in interactions]
    path.write_bytes(dump(Cassette(tuple(Redactor().interaction(one) if redact else one for one in listed))))
    return path


def chat(stream: bytes = BODY, *, url: str = URL, sent: bytes = ASKED, **facts: Any) -> tuple[Request, Transcript]:
    return Request("POST", url, SENT, sent), Transcript(stream, HEAD, **facts)


def found(report: Report) -> list[list[str]]:
    return [[f"{one.severity} {one.kind} {one.where}" for one in answer.findings] for answer in report.interactions]


def test_an_answer_of_the_same_kind_is_recorded_beside_the_cassette_and_has_not_drifted(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat())
    before = path.read_bytes()
    other = BODY.replace(b"Boston", b"Paris").replace(b"chatcmpl-1", b"chatcmpl-2")
    with StreamServer(Answer([other[:300], other[300:301], other[301:]])) as server:
        report = verify(path, headers={"Authorization": f"Bearer {SECRET}"}, base_url=server.url)
    assert [("same", "POST", URL, ())] == [(a.result, a.method, a.url, a.findings) for a in report.interactions]
    assert tmp_path / "chat.fresh.yaml" == report.fresh == fresh_path(path)
    (fresh,) = load_cassette(tmp_path / "chat.fresh.yaml").transcripts
    assert (other, True) == (fresh.body, fresh.chunks_recorded)
    assert before == path.read_bytes()
    assert SECRET.encode() not in (tmp_path / "chat.fresh.yaml").read_bytes()
    assert {"chat.yaml", "chat.fresh.yaml"} == {file.name for file in tmp_path.iterdir()}


def test_the_recorded_request_is_sent_with_what_is_given_and_without_what_was_redacted(tmp_path: Path) -> None:
    request, transcript = chat()
    more = {"Host": "api.example.com", "Connection": "keep-alive, X-Hop", "X-Hop": "1", "Content-Length": "3",
            "Idempotency-Key": "once", "Accept-Encoding": "br", "X-Api-Key": SECRET, "OpenAI-Beta": "one"}  # fmt: skip
    sent = replace(request, url=f"{URL}?a=1&b=%20", headers=(*request.headers, *more.items()))
    path = cassette(tmp_path, (sent, transcript))
    with StreamServer(Answer([BODY])) as server:
        verify(path, headers={"authorization": "Bearer fake", "openai-beta": "two"}, base_url=server.url)
    (seen,) = server.seen
    assert ("POST /v1/chat/completions?a=1&b=%20 HTTP/1.1", ASKED) == (seen.line, seen.body)
    host = server.url.removeprefix("http://")
    assert {
        "host": host, "content-type": "application/json", "x-team": "blue", "authorization": "Bearer fake",
        "openai-beta": "two", "accept-encoding": "identity", "content-length": str(len(ASKED)),
    } == seen.headers  # fmt: skip


@pytest.mark.parametrize(
    ("base", "line"),
    [("", "/v1/chat/completions"), ("/", "/v1/chat/completions"), ("/v1", "/v1/chat/completions"),
     ("/v1/", "/v1/chat/completions"), ("/proxy", "/proxy/v1/chat/completions"), ("/v", "/v/v1/chat/completions")],
)  # fmt: skip
def test_a_base_url_replaces_the_origin_and_its_path_is_not_doubled(tmp_path: Path, base: str, line: str) -> None:
    path = cassette(tmp_path, chat())
    with StreamServer(Answer([BODY])) as server:
        verify(path, base_url=server.url + base, keep=False)
    assert [f"POST {line} HTTP/1.1"] == [seen.line for seen in server.seen]


def test_without_a_base_url_requests_go_where_they_went(tmp_path: Path) -> None:
    with StreamServer(Answer([BODY])) as server:
        report = verify(cassette(tmp_path, chat(url=f"{server.url}/v1/x")))
    assert ["same"] == [one.result for one in report.interactions]


def test_drift_is_found_in_each_interaction_by_itself(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat(), chat(), chat())
    changed = BODY.replace(b'"created":1700000000', b'"created":"today"')
    added = BODY.replace(b'"model":"m"', b'"model":"m","tier":"x"')
    with StreamServer(Answer([BODY]), Answer([changed]), Answer([added])) as server:
        report = verify(path, base_url=server.url)
    assert ["same", "drift", "new"] == [one.result for one in report.interactions]
    assert [[], ["drift type $.created"], ["new field $.tier"]] == found(report)
    assert 3 == len(load_cassette(tmp_path / "chat.fresh.yaml").interactions)
    assert ["same", "drift", "new"] == [one["result"] for one in report.as_json()["interactions"]]


def test_a_request_that_gets_no_answer_does_not_stop_the_others(tmp_path: Path) -> None:
    with StreamServer(Answer([])) as gone:
        nowhere = gone.url
    with StreamServer(Answer([BODY])) as server:
        path = cassette(tmp_path, chat(url=f"{server.url}/1"), chat(url=f"{nowhere}/2"), chat(url=f"{server.url}/3"))
        report = verify(path)
    assert ["same", "unreached", "same"] == [one.result for one in report.interactions]
    assert report.interactions[1].problem.startswith("ConnectError: ")
    assert 2 == len(load_cassette(tmp_path / "chat.fresh.yaml").interactions)


def test_where_nothing_answers_nothing_is_recorded(tmp_path: Path) -> None:
    with StreamServer(Answer([])) as gone:
        nowhere = gone.url
    report = verify(cassette(tmp_path, chat(), chat()), base_url=nowhere)
    assert (None, 2, ["chat.yaml"]) == (report.fresh, report.count("unreached"), [f.name for f in tmp_path.iterdir()])


def test_the_fresh_recording_is_not_kept_if_nobody_wants_it(tmp_path: Path) -> None:
    with StreamServer(Answer([BODY[:100]], end="eof")) as server:
        report = verify(cassette(tmp_path, chat()), base_url=server.url, keep=False)
    assert (None, ["chat.yaml"]) == (report.fresh, [file.name for file in tmp_path.iterdir()])
    assert [["drift ending ending"]] == [[line for line in lines if "drift" in line] for lines in found(report)]


def test_an_earlier_fresh_recording_is_replaced(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat())
    for number in (b"1", b"2"):
        with StreamServer(Answer([BODY.replace(b"chatcmpl-1", b"chatcmpl-" + number)])) as server:
            verify(path, base_url=server.url)
    (fresh,) = load_cassette(tmp_path / "chat.fresh.yaml").transcripts
    assert b"chatcmpl-2" in fresh.body


# -- what was redacted


@pytest.mark.parametrize(
    ("url", "sent", "kind"),
    [
        (f"{URL}?key={SECRET}&x=1", ASKED, "application/json"),
        (f"{URL}?x=1", json.dumps({"api_key": SECRET, "key": 1}).encode(), "application/json"),
        (f"{URL}?x=1", f"x=1&api_key={SECRET}".encode(), "application/x-www-form-urlencoded"),
    ],
    ids=["URL", "JSON", "form"],
)
def test_a_redacted_value_is_asked_for_and_sent_once_it_is_given(
    tmp_path: Path, url: str, sent: bytes, kind: str
) -> None:
    request = Request("POST", url, (("Content-Type", kind),), sent)
    path = cassette(tmp_path, (request, Transcript(BODY, HEAD)))
    name = "key" if "key=" in url else "api_key"
    other = "sk-" + "fake" * 8
    with StreamServer(Answer([BODY.replace(b"Boston", other.encode())])) as server:
        (asked,) = verify(path, base_url=server.url).interactions
        assert ("unreached", []) == (asked.result, server.seen)
        assert f"not sent, because {name} was redacted: give --param '{name}=$VARIABLE'" == asked.problem
        report = verify(path, base_url=server.url, params={name: other, "unused": "1"})
    assert ["same"] == [one.result for one in report.interactions]
    seen = server.seen[0].line.encode() + server.seen[0].body
    assert (1, 0) == (seen.count(other.encode()), seen.count(b"REDACTED"))
    assert other not in (tmp_path / "chat.fresh.yaml").read_text() + str(report.as_json())


def test_a_text_that_was_redacted_is_sent_like_that_and_it_is_said(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat(sent=json.dumps({"prompt": f"my key is {SECRET}, is it safe?"}).encode()))
    with StreamServer(Answer([BODY])) as server:
        (one,) = verify(path, base_url=server.url).interactions
    assert ("same", True) == (one.result, b"REDACTED" in server.seen[0].body)
    assert ("a text in this request was redacted, and was sent with REDACTED in it",) == one.hints


def test_a_refusal_says_which_credentials_were_redacted(tmp_path: Path) -> None:
    refusal = Answer([b'{"error": {}}'], status="401 Unauthorized", headers=["Content-Type: application/json"])
    with StreamServer(refusal) as server:
        (one,) = verify(cassette(tmp_path, chat()), base_url=server.url).interactions
    assert ["drift", "drift"] == [finding.severity for finding in one.findings]
    assert (
        "the header Authorization was redacted: give one with --header 'Authorization: $VARIABLE'",
        "no Authorization was sent: --auth-env VARIABLE sends one",
    ) == one.hints


def test_a_secret_that_the_server_repeats_is_in_no_finding_and_no_file(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat())
    echo = BODY.replace(b"get_weather", SECRET.encode()).replace(b'"stop"', b'"' + SECRET.encode() + b'"')
    with StreamServer(Answer([echo])) as server:
        report = verify(path, headers={"Authorization": f"Bearer {SECRET}"}, base_url=server.url)
    assert ["drift"] == [one.result for one in report.interactions]
    assert SECRET not in str(report) + json.dumps(report.as_json()) + (tmp_path / "chat.fresh.yaml").read_text()


def test_a_header_that_was_redacted_by_a_rule_of_its_own_stays_secret(tmp_path: Path) -> None:
    request = Request("POST", URL, (("X-Team", "REDACTED"),), ASKED)
    with StreamServer(Answer([BODY])) as server:
        verify(cassette(tmp_path, (request, Transcript(BODY, HEAD))), headers={"x-team": "blue-team"},
               base_url=server.url)  # fmt: skip
    assert "blue-team" == server.seen[0].headers["x-team"]
    assert "blue-team" not in (tmp_path / "chat.fresh.yaml").read_text()


# -- answers that break off, then or now


def test_an_old_recording_that_was_broken_off_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    path = cassette(tmp_path, chat(BODY[:900], ending=Ending.RESET, error="httpx2.ReadError: "))
    with StreamServer(Answer([BODY])) as server:
        (one,) = verify(path, base_url=server.url).interactions
    assert ("same", [("note", "ending", "reset", "complete")]) == (
        one.result, [(f.severity, f.kind, f.old, f.new) for f in one.findings])  # fmt: skip


@pytest.mark.parametrize(("end", "ending"), [("eof", "incomplete"), ("reset", "reset"), ("hang", "timeout")])
def test_an_answer_that_breaks_off_now_is_drift(tmp_path: Path, end: str, ending: str) -> None:
    path = cassette(tmp_path, chat())
    with StreamServer(Answer([BODY[:900]], end=end)) as server:
        (one,) = verify(path, base_url=server.url, timeout=0.3).interactions
    assert [("drift", "ending", ending)] == [(f.severity, f.kind, f.new) for f in one.findings if f.kind == "ending"]
    assert "drift" == one.result
    assert ending == load_cassette(tmp_path / "chat.fresh.yaml").transcripts[0].ending


def test_a_stream_that_its_client_had_left_is_left_again(tmp_path: Path) -> None:
    tick = b'data: {"n": 1}\n\n'
    old = (Request("GET", URL), Transcript(tick * 3, HEAD, ending=Ending.CLIENT_CLOSED))
    with StreamServer(Answer([tick * 5000], end="hang")) as server:
        (one,) = verify(cassette(tmp_path, old), base_url=server.url).interactions
    assert ("same", ()) == (one.result, one.findings)
    assert "client_closed" == load_cassette(tmp_path / "chat.fresh.yaml").transcripts[0].ending


def test_the_coding_of_the_old_answer_is_asked_for_again(tmp_path: Path) -> None:
    import gzip

    head = ResponseHead(headers=(*HEAD.headers, ("Content-Encoding", "gzip")))
    request, _ = chat()
    path = cassette(tmp_path, (request, Transcript(gzip.compress(BODY), head)))
    packed = Answer([gzip.compress(BODY)], headers=["Content-Type: text/event-stream", "Content-Encoding: gzip"])
    # a secret in the answer makes the recorder store it decoded, which is not the server's doing
    secret = Answer([gzip.compress(BODY.replace(b"Boston", SECRET.encode()))], headers=packed.headers)
    with StreamServer(packed, secret, Answer([BODY])) as server:
        reports = [verify(path, base_url=server.url) for _ in range(3)]
    assert ["gzip"] * 3 == [seen.headers["accept-encoding"] for seen in server.seen]
    assert [[[]], [[]], [["drift header content-encoding"]]] == [found(report) for report in reports]


# -- calls that cannot be meant


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": "api.example.com"}, "base_url is no address"),
        ({"base_url": "ftp://example.com"}, "base_url is no address"),
        ({"base_url": "http://"}, "base_url is no address"),
        ({"base_url": "http://example.com:port"}, "base_url is no address"),
        ({"base_url": "http://example.com?a=1"}, "base_url is no address"),
        ({"timeout": 0}, "timeout is 0"),
        ({"headers": {"bad name": "x"}}, "'bad name' is no header name"),
        ({"headers": {"X-Key": f"{SECRET}\n"}}, "the value of the header X-Key holds a line end"),
    ],
)
def test_arguments_that_cannot_be_used_are_said_before_anything_is_sent(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        verify(cassette(tmp_path, chat()), **arguments)
    assert SECRET not in str(raised.value)


def test_a_fresh_recording_is_not_verified_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a fresh recording"):
        verify(tmp_path / "chat.fresh.yaml")


def test_a_broken_cassette_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text("nothing")
    with pytest.raises(CassetteFormatError):
        verify(tmp_path / "chat.yaml")


def test_progress_is_told_from_none_to_all(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with StreamServer(Answer([BODY])) as server:
        verify(cassette(tmp_path, chat(), chat()), base_url=server.url, progress=lambda *step: told.append(step))
    assert [(0, 2), (1, 2), (2, 2)] == told
