from __future__ import annotations

import json

import pytest
from skhelpers import planted
from skhelpers.cuts import fuzz_cuts as fuzz

import streamkit
from streamkit.case import Case, Token
from streamkit.errors import TokenError
from streamkit.fuzz import Counterexample
from streamkit.fuzz.counterexample import hexdump
from streamkit.transcript import Transcript
from streamkit.wire.fragmentation import Fragmentation

TEXT = "openai_chat/synthetic_multibyte_text"


@pytest.fixture(scope="module")
def finding() -> Counterexample:
    (found,) = fuzz(planted.Utf8PerChunk, TEXT).findings
    return found


def test_a_counterexample_says_everything_one_needs(finding: Counterexample) -> None:
    lines = finding.lines()
    assert "a cut inside a UTF-8 character changes the result" == lines[0]
    text = "\n".join(lines)
    for fact in ("skhelpers.planted:Utf8PerChunk", TEXT, "invariance", "cuts        364", "at          content"):
        assert fact in text
    assert "of 2803 single cuts, 15 fail: 15 utf8" in text
    assert lines[-1].strip().startswith("run again:  streamkit fuzz skhelpers.planted:Utf8PerChunk --replay 'sk1:")
    assert 'streamkit.check("skhelpers.planted:Utf8PerChunk", replay="sk1:' in text


def test_the_result_json_keeps_to_the_contract(finding: Counterexample) -> None:
    value = finding.to_json()
    assert {"transcript", "oracle", "class", "cuts", "rewrites", "expected", "actual", "token"} <= set(value)
    assert (TEXT, "invariance", "preserving", [364], []) == tuple(
        value[key] for key in ("transcript", "oracle", "class", "cuts", "rewrites")
    )
    assert "Grüße" in value["expected"]["content"]
    assert "\ufffd" in value["actual"]["content"]
    assert value == json.loads(json.dumps(value))


def test_a_hexdump_marks_every_cut_and_names_its_place() -> None:
    body = 'data: {"a":"é"}\n\n'.encode()
    assert [
        "cut at 13, inside a UTF-8 character",
        '00000000  64 61 74 61 3a 20 7b 22 61 22 3a 22 c3|a9 22 7d   data: {"a":".|."}',
    ] == hexdump(body, (13,))


def test_a_cut_between_two_rows_is_marked_in_both() -> None:
    lines = hexdump(b"x" * 40, (16,))
    assert "| " in lines[1]
    assert lines[2].startswith("00000010 |78")


def test_a_hexdump_of_many_cuts_is_short() -> None:
    lines = hexdump(b"x" * 1000, tuple(range(1, 900)))
    assert "... and 893 more cuts" == lines[-1]
    assert len(lines) < 20


def test_an_empty_chunk_at_an_end_is_named() -> None:
    assert "cut at 0, at an end of the body: an empty chunk" == hexdump(b"abc", (0,))[0]


def test_a_token_survives_its_text_form() -> None:
    for name in ("openai_chat/boston_weather", "a b@c:d/ü.sse", "", "x#2"):
        token = Token(name, "0123456789ab", Fragmentation.parse("1,5-9"))
        assert token == Token.parse(str(token))
        assert " " not in str(token)


@pytest.mark.parametrize(
    "text", ["", "sk1", "sk2:a@0123456789ab:1", "sk1:a@0123:1", "sk1:a@0123456789ab:x", "sk1:a@0123456789ab:9-5"]
)
def test_a_text_that_is_no_token_is_an_error(text: str) -> None:
    with pytest.raises(TokenError, match="no case token"):
        Token.parse(text)


def test_a_token_of_another_transcript_is_an_error() -> None:
    token = Case(streamkit.load(TEXT), Fragmentation.at(5)).token
    with pytest.raises(TokenError, match="of another transcript"):
        token.case(streamkit.load("openai_chat/boston_weather"))


def test_a_token_that_cuts_beyond_the_body_is_an_error() -> None:
    transcript = Transcript(b"abc", name="x")
    with pytest.raises(TokenError, match="beyond 3 bytes"):
        Token("x", transcript.sha256[:12], Fragmentation.at(4)).case(transcript)


def test_a_transcript_made_in_code_is_rerun_with_the_transcript_given() -> None:
    body = streamkit.load(TEXT).body
    (found,) = fuzz(planted.Utf8PerChunk, Transcript(body, dialect="openai_chat")).findings
    assert 'streamkit.check("skhelpers.planted:Utf8PerChunk", transcript, replay="sk1:@' in found.rerun
    report = fuzz(planted.Utf8PerChunk, Transcript(body, dialect="openai_chat"), replay=found.token)
    assert [found.case.fragmentation] == [one.case.fragmentation for one in report.findings]


def test_a_token_without_a_transcript_needs_one() -> None:
    with pytest.raises(streamkit.errors.UsageError, match="give the transcript too"):
        fuzz(planted.Right, replay="sk1:@0123456789ab:1")
