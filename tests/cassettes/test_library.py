from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import streamkit
from streamkit.cassettes import Cassette, bundled, dump, find, load, load_cassette, names
from streamkit.errors import CassetteError, CassetteFormatError, CassetteNotFoundError, UsageError
from streamkit.transcript import Interaction, Request, ResponseHead, Transcript

REQUEST = Request("POST", "http://x/")


def save(path: Path, *bodies: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dump(Cassette(tuple(Interaction(REQUEST, Transcript(body)) for body in bodies))))


def test_the_boston_trace_is_there_byte_for_byte() -> None:
    transcript = load("openai_chat/boston_weather")
    assert (
        "bc7d72dd69d9f783a7728c33fec3e74e8796870e2ef73cb02efc340bbe649ecb"
        == hashlib.sha256(transcript.body).hexdigest()
    )
    assert (3220, False, False) == (len(transcript.body), transcript.chunks_recorded, transcript.synthetic)
    assert "not recorded" in transcript.source
    assert transcript.request is not None
    assert b"What is the weather like in Boston?" in transcript.request.body


def test_what_no_server_sent_says_so() -> None:
    for transcript in bundled():
        assert transcript.synthetic == transcript.name.split("/")[1].startswith("synthetic_")


def test_conversations_are_named_and_say_what_is_synthetic_and_are_not_among_the_transcripts() -> None:
    found = {name: load_cassette(find(name)).transcripts for name in names() if name.startswith("conversations/")}
    assert len(found) > 5
    for name, transcripts in found.items():
        expected = [False, True] if name == "conversations/weather_in_boston" else [True] * len(transcripts)
        assert expected == [transcript.synthetic for transcript in transcripts]
        assert name == "conversations/weather_in_boston" or name.startswith("conversations/synthetic_")
    first = load("conversations/weather_in_boston#1")
    assert load("openai_chat/boston_weather").sha256 == first.sha256
    assert "not recorded" in first.source
    assert not any(transcript.name.startswith("conversations/") for transcript in bundled())


def test_recorded_transcripts_come_first() -> None:
    assert "openai_chat/boston_weather" == bundled()[0].name
    assert {transcript.name for transcript in bundled()} <= set(names())


def test_a_projects_own_folder_goes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "cassettes" / "openai_chat" / "boston_weather.yaml", b"data: ours\n\n")
    save(tmp_path / "cassettes" / "mine.yaml", b"data: mine\n\n")
    monkeypatch.chdir(tmp_path)
    assert b"data: ours\n\n" == load("openai_chat/boston_weather").body
    assert b"data: mine\n\n" == load("mine").body
    assert "mine" in names()
    assert "openai_chat/synthetic_multibyte_text" in names()
    assert 3220 == len(bundled()[0].body)


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    save(tmp_path / "mine.yaml", b"data: mine\n\n")
    assert b"data: mine\n\n" == load("mine", folder=tmp_path).body
    assert "mine" in names(folder=tmp_path)
    assert tmp_path / "mine.yaml" == find("mine", folder=tmp_path)


def test_a_path_is_read_as_it_is(tmp_path: Path) -> None:
    save(tmp_path / "x.yaml", b"data: x\n\n")
    (tmp_path / "x.sse").write_bytes(b"data: bare\r\n\r\n")
    assert b"data: x\n\n" == load(tmp_path / "x.yaml").body
    bare = load(str(tmp_path / "x.sse"))
    assert (b"data: bare\r\n\r\n", str(tmp_path / "x.sse")) == (bare.body, bare.name)


def test_one_of_several_interactions_is_named_by_its_number(tmp_path: Path) -> None:
    save(tmp_path / "two.yaml", b"data: 1\n\n", b"data: 2\n\n")
    assert [b"data: 1\n\n", b"data: 2\n\n"] == [load(f"two#{n}", folder=tmp_path).body for n in (1, 2)]
    assert "two#2" == load("two#2", folder=tmp_path).name
    with pytest.raises(UsageError, match="name one of them, two#1 to two#2"):
        load("two", folder=tmp_path)
    with pytest.raises(UsageError, match="there is no #3"):
        load("two#3", folder=tmp_path)


def test_an_unknown_name_gives_the_nearest_ones() -> None:
    with pytest.raises(CassetteNotFoundError) as caught:
        load("openai_chat/boston_wether")
    assert ("openai_chat/boston_weather",) == caught.value.nearest[:1]
    with pytest.raises(CassetteNotFoundError) as short:
        load("boston_weather")
    assert "openai_chat/boston_weather" in short.value.nearest


def test_an_unknown_path_gives_the_nearest_files(tmp_path: Path) -> None:
    save(tmp_path / "weather.yaml", b"data: x\n\n")
    with pytest.raises(CassetteNotFoundError, match=r"weather\.yaml"):
        load(tmp_path / "wether.yaml")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(UsageError, match="is no transcript name"):
        load(name)


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises((CassetteNotFoundError, CassetteFormatError)) as caught:
        load(tmp_path / "x.yaml")
    assert "did you mean" not in str(caught.value), "it is not proposed either"


def test_the_public_load_is_this_one() -> None:
    assert streamkit.load is load


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("gzip", lambda body: body)]
)
def test_a_body_that_was_stored_compressed_is_given_as_a_parser_gets_it(
    tmp_path: Path, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = b"data: hello\n\n"
    head = ResponseHead(200, "OK", (("Content-Type", "text/event-stream"), ("Content-Encoding", coding)))
    stored = Transcript(compress(body), head)
    (tmp_path / "x.yaml").write_bytes(dump(Cassette((Interaction(REQUEST, stored),))))
    assert body == load("x", folder=tmp_path).body


def test_a_coding_that_cannot_be_read_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    head = ResponseHead(200, "OK", (("Content-Encoding", "snappy"),))
    (tmp_path / "x.yaml").write_bytes(dump(Cassette((Interaction(REQUEST, Transcript(b"\x0b\x02", head)),))))
    with pytest.raises(CassetteError, match="decode_compressed_response=True"):
        load("x", folder=tmp_path)


def test_an_environment_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "mine.yaml", b"data: mine\n\n")
    monkeypatch.setenv("STREAMKIT_CASSETTES", str(tmp_path))
    assert b"data: mine\n\n" == load("mine").body


def test_a_bare_body_in_the_folder_has_a_name_too(tmp_path: Path) -> None:
    (tmp_path / "bare.sse").write_bytes(b"data: bare\n\n")
    assert "bare" in names(folder=tmp_path)
    assert b"data: bare\n\n" == load("bare", folder=tmp_path).body == load("bare.sse", folder=tmp_path).body
