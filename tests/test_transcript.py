"""Transcript: what it checks, what it tells, and that it stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.errors import UsageError
from streamkit.transcript import Chunk, Ending, Interaction, Request, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

CHUNKED = Transcript(b"abcde", lengths=(2, 0, 3), times=(5, 5, 9), chunks_recorded=True, name="made/up")

CHUNKS = st.lists(st.binary(max_size=5), min_size=1, max_size=8)


# -- chunks


def test_transcript_without_lengths_is_one_chunk_at_once() -> None:
    transcript = Transcript(b"abcde")
    assert ((5,), (0,), False) == (transcript.lengths, transcript.times, transcript.chunks_recorded)
    assert (Chunk(b"abcde", 0),) == transcript.chunks
    assert Fragmentation.whole() == transcript.recorded


def test_empty_body_is_one_empty_chunk() -> None:
    assert (Chunk(b""),) == Transcript(b"").chunks
    assert [b""] == Transcript(b"").fragment()


def test_chunks_are_the_body_in_the_recorded_lengths_and_times() -> None:
    assert (Chunk(b"ab", 5), Chunk(b"", 5), Chunk(b"cde", 9)) == CHUNKED.chunks
    assert Fragmentation.at(2, 2) == CHUNKED.recorded


def test_lengths_without_times_are_all_at_once() -> None:
    assert (0, 0) == Transcript(b"abc", lengths=(1, 2)).times


def test_from_chunks_takes_chunks_and_bytes_and_says_that_they_were_recorded() -> None:
    transcript = Transcript.from_chunks([b"ab", b"", Chunk(b"cde", 7)], name="x", dialect="openai-chat")
    assert b"abcde" == transcript.body
    assert ((2, 0, 3), (0, 0, 7), True) == (transcript.lengths, transcript.times, transcript.chunks_recorded)
    assert ("x", "openai-chat") == (transcript.name, transcript.dialect)
    assert not Transcript.from_chunks([b"ab"], chunks_recorded=False).chunks_recorded


def test_from_chunks_takes_an_iterator_and_no_chunks_at_all() -> None:
    assert b"abc" == Transcript.from_chunks(iter([b"a", b"bc"])).body
    assert b"" == Transcript.from_chunks([]).body


@settings(deadline=None)
@given(CHUNKS)
def test_chunks_come_back_as_they_went_in(chunks: list[bytes]) -> None:
    """Invariant: from_chunks keeps every boundary, empty chunks too, and each view of them agrees."""
    transcript = Transcript.from_chunks(chunks)
    assert b"".join(chunks) == transcript.body
    assert chunks == [chunk.data for chunk in transcript.chunks]
    assert chunks == transcript.fragment() == transcript.recorded.chunks(transcript.body)
    assert transcript.recorded == Fragmentation.recorded(transcript)


# -- what is refused


@pytest.mark.parametrize("lengths", [(2, 2), (6,), (0,)])
def test_lengths_must_add_up_to_the_body(lengths: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=rf"add up to {sum(lengths)} bytes and the body has 5"):
        Transcript(b"abcde", lengths=lengths)


def test_negative_length_is_refused() -> None:
    with pytest.raises(UsageError):
        Transcript(b"abcde", lengths=(6, -1))


@pytest.mark.parametrize("times", [(1,), (1, 2, 3), (2, 1)])
def test_there_is_one_time_a_chunk_and_times_do_not_go_back(times: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="one time a chunk, and times must not go back"):
        Transcript(b"abc", lengths=(1, 2), times=times)


def test_body_that_is_text_is_refused() -> None:
    with pytest.raises(TypeError):
        Transcript("abc")  # type: ignore[arg-type]


# -- fragment


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (None, [b"ab", b"", b"cde"]),
        (Fragmentation.at(1), [b"a", b"bcde"]),
        ("whole", [b"abcde"]),
        ("1,3", [b"a", b"bc", b"de"]),
        ("1-3", [b"a", b"b", b"c", b"de"]),
        ([3, 1], [b"a", b"bc", b"de"]),
        ((4,), [b"abcd", b"e"]),
        (range(1, 5), [b"a", b"b", b"c", b"d", b"e"]),
        ([], [b"abcde"]),
        ([0, 5], [b"", b"abcde", b""]),
    ],
)
def test_fragment_takes_a_fragmentation_its_text_form_or_offsets(form: Any, expected: list[bytes]) -> None:
    assert expected == CHUNKED.fragment(form)


@pytest.mark.parametrize("form", [[6], "6", Fragmentation.at(6), "x", [-1], [1.5]])
def test_fragment_refuses_what_does_not_fit_the_body(form: Any) -> None:
    with pytest.raises(UsageError):
        CHUNKED.fragment(form)


# -- a value


def test_sha256_is_that_of_the_body_alone() -> None:
    assert hashlib.sha256(b"abcde").hexdigest() == CHUNKED.sha256
    assert Transcript(b"abcde").sha256 == CHUNKED.sha256


def test_transcript_cannot_be_changed() -> None:
    for name in ("body", "lengths", "name", "ending", "head"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(CHUNKED, name, getattr(CHUNKED, name))


def test_body_and_lists_are_copied_into_immutable_values() -> None:
    body, lengths, times = bytearray(b"abc"), [1, 2], [0, 4]
    transcript = Transcript(body, lengths=lengths, times=times)  # type: ignore[arg-type]
    body[:] = b"xyz"
    lengths.append(3)
    times.clear()
    assert (b"abc", (1, 2), (0, 4)) == (transcript.body, transcript.lengths, transcript.times)
    assert bytes is type(transcript.body)


def test_equal_facts_make_equal_transcripts_whatever_was_asked() -> None:
    asked = dataclasses.replace(CHUNKED, request=Request("POST", "https://example.com/v1"))
    assert asked == CHUNKED
    assert 1 == len({asked, CHUNKED})
    assert Transcript(b"abcde") != CHUNKED


def test_views_that_were_read_do_not_change_equality_or_copies() -> None:
    fresh = Transcript(b"abcde", lengths=(2, 3))
    used = Transcript(b"abcde", lengths=(2, 3))
    assert (2, "2", 64) == (len(used.chunks), str(used.recorded), len(used.sha256))
    assert fresh == used
    assert (Chunk(b"xy", 0),) == dataclasses.replace(used, body=b"xy", lengths=(), times=()).chunks


def test_renamed_changes_the_name_alone() -> None:
    renamed = CHUNKED.renamed("other")
    assert ("other", "made/up") == (renamed.name, CHUNKED.name)
    assert CHUNKED == renamed.renamed("made/up")


def test_ending_is_given_as_a_member_or_as_its_word() -> None:
    assert Ending.TRUNCATED is Transcript(b"", ending="truncated").ending  # type: ignore[arg-type]
    assert Ending.COMPLETE is Transcript(b"").ending
    assert ["complete", "truncated", "incomplete", "reset", "timeout", "client_closed"] == [
        str(ending) for ending in Ending
    ]


def test_repr_tells_the_sizes_and_not_the_body() -> None:
    assert "<Transcript made/up: 5 bytes, 3 chunks, complete>" == repr(CHUNKED)
    assert "<Transcript (unnamed): 0 bytes, 1 chunks, reset>" == repr(Transcript(b"", ending=Ending.RESET))


# -- head and interaction


def test_header_is_found_whatever_its_case_and_the_first_of_a_name_wins() -> None:
    head = ResponseHead(headers=(("X-Id", "1"), ("x-id", "2"), ("Content-Type", "text/event-stream")))
    assert ("1", "text/event-stream", None) == (head.header("x-ID"), head.header("content-type"), head.header("etag"))


def test_default_head_is_a_good_event_stream() -> None:
    head = Transcript(b"").head
    assert (200, "OK", "text/event-stream") == (head.status, head.reason, head.header("Content-Type"))


def test_interaction_holds_a_request_and_its_answer() -> None:
    request = Request("POST", "https://example.com/v1", (("Accept", "*/*"),), b"{}")
    assert (request, CHUNKED) == (Interaction(request, CHUNKED).request, Interaction(request, CHUNKED).transcript)
    assert ((), b"") == (Request("GET", "/").headers, Request("GET", "/").body)
