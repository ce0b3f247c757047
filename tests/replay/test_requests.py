"""Boundaries through requests and urllib3."""

from __future__ import annotations

import pytest
import requests
from hypothesis import given, settings

import streamkit
from streamkit.replay import requests_session
from streamkit.strategies import fragmentations
from streamkit.transcript import Ending, ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")


@settings(max_examples=30, deadline=None)
@given(fragmentation=fragmentations(BOSTON))
def test_boundaries_are_exact_for_any_fragmentation(fragmentation: Fragmentation) -> None:
    """Invariance: what `iter_content(None)` gives is the fragmentation's own chunks, to the byte."""
    response = requests_session(BOSTON, fragmentation).post("http://replayed/v1", json={}, stream=True)
    assert fragmentation.chunks(BOSTON.body) == list(response.iter_content(None))


def test_lines_and_whole_bodies_come_as_ever() -> None:
    session = requests_session(BOSTON, "99,100,412")
    assert BOSTON.body == session.get("https://replayed/").content
    assert BOSTON.body.splitlines() == list(session.get("https://replayed/", stream=True).iter_lines())


def test_status_and_headers_are_replayed() -> None:
    head = ResponseHead(503, "Busy", (("Retry-After", "3"), ("Content-Length", "99")))
    response = requests_session(Transcript(b"busy", head=head)).get("http://replayed/")
    assert (503, "Busy", "3", b"busy") == (
        response.status_code,
        response.reason,
        response.headers["retry-after"],
        response.content,
    )


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.TIMEOUT, Ending.CLIENT_CLOSED])
def test_a_broken_ending_gives_all_bytes_and_then_the_librarys_own_error(ending: Ending) -> None:
    transcript = Transcript(b"data: a\n\ndata: b\n\n", ending=ending)
    response = requests_session(transcript, "9").get("http://replayed/", stream=True)
    chunks = response.iter_content(None)
    assert [b"data: a\n\n", b"data: b\n\n"] == [next(chunks), next(chunks)]
    with pytest.raises(requests.exceptions.RequestException):
        next(chunks)


def test_a_clean_end_that_is_too_early_is_still_a_clean_end() -> None:
    transcript = Transcript(b"data: a\n\n", ending=Ending.TRUNCATED)
    assert b"data: a\n\n" == requests_session(transcript).get("http://replayed/").content


def test_empty_chunks_are_left_out_since_http_has_none() -> None:
    response = requests_session(Transcript(b"ab"), "1,1,2").get("http://replayed/", stream=True)
    assert [b"a", b"b"] == list(response.iter_content(None))
