"""From every format that is read to every format that is written."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes import Cassette, bundled
from streamkit.cassettes.convert import FORMATS, format_of_suffix, losses, read, read_bytes, sniff, write
from streamkit.cassettes.curl import UNKNOWN_REQUEST
from streamkit.errors import CassetteError, CassetteFormatError, UsageError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

BODY = b'data: {"a": 1}\r\n\r\ndata: \xe4\xb8\x96\n\n'
REQUEST = Request("POST", "https://api.example.com/v1/chat", (("content-type", "application/json"),), b"{}")
FULL = Transcript(
    BODY,
    ResponseHead(200, "OK", (("content-type", "text/event-stream"), ("x-a", "1"))),
    lengths=(5, len(BODY) - 5),
    times=(0, 70),
    ending=Ending.RESET,
    chunks_recorded=True,
    dialect="openai_chat",
    source="a test",
    error="httpx.ReadError: gone",
)


def cassette(*transcripts: Transcript) -> Cassette:
    return Cassette(tuple(Interaction(REQUEST, replace(one, request=REQUEST)) for one in transcripts))


# -- telling them apart


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("suffix", ["", ".json", ".yaml", ".har", ".txt"])
def test_a_file_is_known_by_its_content_whatever_its_name(form: str, suffix: str) -> None:
    assert form == sniff(write(cassette(FULL), form), "x" + suffix)


@pytest.mark.parametrize("form", FORMATS)
def test_a_bare_body_may_be_anything(form: str) -> None:
    assert "sse" == sniff(write(cassette(FULL), form), "x.sse")
    assert "sse" == sniff(b"", "x.SSE")


@pytest.mark.parametrize(
    "raw",
    [
        b"data:1",
        b": comment\n\n",
        b"event: a\n\n",
        b"id:\n",
        b"retry: 1\n",
        b"\xef\xbb\xbfdata: 1\n\n",
        b"\r\n\ndata: 1",
    ],
)
def test_an_event_stream_is_known_by_its_first_line(raw: bytes) -> None:
    assert "sse" == sniff(raw, "-")


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b'{"version": 1, "interactions": []}', "vcr"),
        (b'{\n  "interactions": [], "version": 1}', "vcr"),
        (b"# made by hand\nversion: 1\ninteractions: []\n", "vcr"),
        (b"---\nversion: 1\ninteractions:\n- broken: [streamkit\n", "streamkit"),
        (b"interactions: streamkit\nversion: 1\n", "streamkit"),
        (b'\xef\xbb\xbf {"a": 1, "log": {"entries": []}}', "har"),
        (b'{"log": {"entries": [', "har"),
        ('{"log": {"entries": []}}'.encode("utf-16"), "har"),
        (b"HTTP/2 200 \r\n\r\n", "curl"),
    ],
)
def test_other_writings_of_the_formats_are_known(raw: bytes, form: str) -> None:
    assert form == sniff(raw, "-")


def test_our_key_counts_as_a_key_and_not_as_a_word_in_a_body() -> None:
    plain = cassette(Transcript(b"data: streamkit\n\nresponse:\n  streamkit:\n    format: 1\n"))
    assert "vcr" == sniff(write(plain, "vcr"), "x.yaml")


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b'{"id": 1}', b'{"a": "\\"log\\"", "log', b"[1]", b"\xff\xfe", b"database: x"]
)
def test_what_is_in_no_format_is_an_error_that_says_what_was_tried(raw: bytes) -> None:
    with pytest.raises(CassetteFormatError) as caught:
        sniff(raw, "x")
    assert all(form in caught.value.reason for form in FORMATS)


@pytest.mark.parametrize(
    ("suffix", "said"), [(".yaml", "no cassette"), (".har", "not JSON"), (".txt", "a status line")]
)
def test_the_name_says_whose_fault_to_report(tmp_path: Path, suffix: str, said: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"hello")
    with pytest.raises(CassetteFormatError) as caught:
        read(path)
    assert (True, 1) == (said in caught.value.reason, caught.value.line)


def test_a_suffix_asks_for_a_format() -> None:
    names = ["x.yaml", "x.yml", "x.har", "a/x.SSE", "x.txt", "x.http", "x", "x.json"]
    assert ["streamkit", "streamkit", "har", "sse", "curl", "curl", None, None] == list(map(format_of_suffix, names))


# -- reading


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_body_and_the_names(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("x.sse" if form == "sse" else "x")
    path.write_bytes(write(cassette(FULL), form))
    (interaction,) = read(path).interactions
    assert (BODY, str(path)) == (interaction.transcript.body, interaction.transcript.name)
    assert "mine" == read(path, name="mine").transcripts[0].name
    assert interaction.request == interaction.transcript.request


@pytest.mark.parametrize("form", ["streamkit", "vcr", "har"])
def test_one_of_several_interactions_is_read_by_its_number(form: str) -> None:
    raw = write(cassette(FULL, Transcript(b"data: 2\n\n")), form)
    (second,) = read_bytes(raw, "x", name="mine", number=2).transcripts
    assert (b"data: 2\n\n", "mine#2") == (second.body, second.name)
    for number in (0, 3):
        with pytest.raises(UsageError, match=f"mine holds 2 interactions: there is no #{number}"):
            read_bytes(raw, "x", name="mine", number=number)


@pytest.mark.parametrize("form", ["curl", "sse"])
def test_a_request_that_the_file_does_not_tell_is_the_callers(form: str) -> None:
    raw = write(cassette(FULL), form)
    assert UNKNOWN_REQUEST == read_bytes(raw, "x.sse" if form == "sse" else "x").interactions[0].request
    (interaction,) = read_bytes(raw, "x", request=REQUEST).interactions
    assert (REQUEST, REQUEST) == (interaction.request, interaction.transcript.request)
    with pytest.raises(UsageError, match="x holds 1 interaction: there is no #2"):
        read_bytes(raw, "x", number=2)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CassetteFormatError, match="cannot be read"):
        read(tmp_path / "x.har")


# -- writing


@pytest.mark.parametrize("form", ["streamkit", "har"])
def test_two_formats_keep_everything(form: str) -> None:
    listed = cassette(FULL, replace(FULL, ending=Ending.INCOMPLETE, missing=7, synthetic=True))
    again = read_bytes(write(listed, form), "", name="")
    assert listed.transcripts == tuple(t.renamed("") for t in again.transcripts)
    assert [i.request for i in listed.interactions] == [i.request for i in again.interactions]
    assert [] == losses(listed, form)


def test_vcrs_format_has_nothing_of_ours() -> None:
    raw = write(cassette(FULL), "vcr")
    assert b"streamkit" not in raw
    assert write(cassette(Transcript(BODY, FULL.head)), "vcr") == raw
    (interaction,) = read_bytes(raw, "", name="").interactions
    assert (REQUEST, Transcript(BODY, FULL.head)) == (interaction.request, interaction.transcript)


def test_a_bare_body_is_decoded_and_the_output_of_curl_is_not() -> None:
    wire = Transcript(gzip.compress(BODY), ResponseHead(200, "OK", (("content-encoding", "gzip"),)))
    assert write(cassette(wire), "sse") == BODY
    assert write(cassette(wire), "curl").endswith(b"\r\n\r\n" + wire.body)
    with pytest.raises(CassetteError, match="not known"):
        write(cassette(replace(wire, head=ResponseHead(200, "OK", (("content-encoding", "snappy"),)))), "sse")


@pytest.mark.parametrize("form", ["curl", "sse"])
def test_one_response_is_all_that_some_formats_hold(form: str) -> None:
    two = cassette(FULL.renamed("mine"), FULL.renamed("mine#2"))
    with pytest.raises(
        UsageError, match=f"mine holds 2 interactions, and {form} holds one: name one .* mine#1 to mine#2"
    ):
        write(two, form)
    with pytest.raises(UsageError, match="the cassette holds 0 interactions"):
        write(Cassette(()), form)


def test_an_unknown_format_is_an_error_that_lists_the_known_ones() -> None:
    for refused in (write, losses):
        with pytest.raises(UsageError, match="no format 'xml': write one of streamkit, vcr, har, curl, sse"):
            refused(cassette(FULL), "xml")


def test_what_a_format_cannot_hold_is_named() -> None:
    ours = ["chunk boundaries", "the way it ended", "where it comes from"]
    expected = {"streamkit": [], "vcr": ours, "har": [], "curl": [*ours, "the request"]}
    assert {**expected, "sse": [*ours, "the request", "headers"]} == {
        form: losses(cassette(FULL), form) for form in FORMATS
    }


def test_what_is_not_there_is_not_lost() -> None:
    plain = Cassette((Interaction(UNKNOWN_REQUEST, Transcript(BODY)),))
    assert [[], [], [], [], ["headers"]] == [losses(plain, form) for form in FORMATS]


# -- real bodies


@pytest.mark.parametrize("transcript", bundled(), ids=lambda transcript: transcript.name)
def test_every_bundled_transcript_goes_through_every_format(transcript: Transcript) -> None:
    request = transcript.request or UNKNOWN_REQUEST
    held = Cassette((Interaction(request, transcript),))
    for form in FORMATS:
        (again,) = read_bytes(write(held, form), "x.sse" if form == "sse" else "x").interactions
        assert transcript.body == again.transcript.body
        assert form in {"curl", "sse"} or request == again.request
        assert form not in {"streamkit", "har"} or transcript == again.transcript.renamed(transcript.name)


@needs_corpus
def test_every_recorded_body_goes_through_a_chain_of_all_formats() -> None:
    for recording in (r for suffix in (".sse", ".ndjson", ".eventstream") for r in recordings(suffix)):
        held = Cassette((Interaction(UNKNOWN_REQUEST, Transcript(recording.body)),))
        for form in ("har", "curl", "streamkit", "vcr", "har", "sse"):
            held = read_bytes(write(held, form), "x.sse" if form == "sse" else "x")
        assert recording.body == held.transcripts[0].body, recording.name
