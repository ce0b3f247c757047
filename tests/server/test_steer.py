"""What a request asks for by its path or header."""

from __future__ import annotations

import pytest

import streamkit
from streamkit.case import Case
from streamkit.errors import StreamkitError
from streamkit.server import How
from streamkit.server.steer import case_path, read_header, read_path, split_case
from streamkit.transcript import Transcript
from streamkit.wire.fragmentation import Fragmentation

BOSTON = streamkit.load("openai_chat/boston_weather")
NAME = BOSTON.name
REST = "/v1/chat/completions"
TOKEN = str(Case(BOSTON, Fragmentation.at(99, 100)).token)


def find(name: str) -> Transcript | None:
    """Know the Boston trace, also by names with odd characters."""
    return BOSTON if name in (NAME, "a b#2", "boston") else None


@pytest.mark.parametrize(
    "text",
    [TOKEN, NAME, "boston", "a b#2", f"{NAME};reset=300", f"{NAME};cuts=1,2;speed=1", "status=429;retry_after=1",
     f"{NAME};mutations=line_ends", "~12", "~12;gap=1"],
)  # fmt: skip
def test_a_path_that_we_write_is_read_as_the_text_it_was_made_of(text: str) -> None:
    steering, rest = read_path(case_path(text) + REST + "?x=/case/1", find)
    assert (split_case(text, find), REST + "?x=/case/1") == (steering, rest)


@pytest.mark.parametrize("text", [TOKEN, NAME, f"{NAME};reset=300", f"{TOKEN};gap=1"])
def test_the_slashes_of_a_name_need_no_encoding(text: str) -> None:
    steering, rest = read_path(f"/case/{text}{REST}", find)
    assert (split_case(text, find), REST) == (steering, rest)


def test_a_path_without_a_case_asks_for_nothing() -> None:
    steering, rest = read_path("/v1/chat/completions?a=1", find)
    assert (None, "", How(), "/v1/chat/completions?a=1") == (steering.case, steering.offer, steering.how, rest)


def test_a_token_gives_its_case() -> None:
    assert Case(BOSTON, Fragmentation.at(99, 100)) == split_case(TOKEN, find).case


def test_a_name_gives_the_recorded_chunks() -> None:
    assert Case(BOSTON, BOSTON.recorded) == split_case("boston", find).case


def test_cuts_and_mutations_make_a_case_of_a_name() -> None:
    case = split_case("boston;cuts=5;mutations=line_ends+bom", find).case
    assert case is not None
    assert ("5", ["line_ends", "bom"]) == (str(case.fragmentation), [str(step) for step in case.steps])
    assert case.body.startswith(b"\xef\xbb\xbfdata: ")
    assert b"\r\n\r\n" in case.body


def test_dripping_follows_the_mutated_body() -> None:
    case = split_case("boston;cuts=drip;mutations=line_ends", find).case
    assert case is not None
    assert len(case.body) == len(case.chunks())


def test_a_mutated_stream_comes_event_by_event_unless_cuts_are_given() -> None:
    case = split_case("boston;mutations=line_ends", find).case
    assert case is not None
    assert Fragmentation.per_event(case.body) == case.fragmentation


def test_a_header_is_read_like_a_path_and_its_absence_is_nothing() -> None:
    assert split_case("boston;reset=1", find) == read_header("boston;reset=1", find)
    assert read_header(None, find).case is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/case/openai_chat/boston_wether/v1/x", "did you mean 'openai_chat/boston_weather'"),
        ("/case/", "names no case"),
        ("/case/nothing/like/it", "streamkit list"),
        ("/case/boston;rest=1/v1", "did you mean 'reset'"),
        ("/case/boston;cuts=999999/v1", "beyond the body"),
        ("/case/boston;cuts=a/v1", "byte offset"),
        ("/case/boston;mutations=line_end/v1", "did you mean 'line_ends'"),
        ("/case/cuts=1/v1", "need the name of a transcript"),
        ("/case/~1;cuts=1/v1", "has its cuts already"),
        (f"/case/{TOKEN};cuts=1/v1", "in itself"),
        ("/case/sk1:boston@000000000000:whole/v1", "another transcript"),
        ("/case/sk1:nobody@000000000000:whole/v1", "no transcript named 'nobody'"),
        ("/case/sk1:boston@zz:whole/v1", "no case token"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_write(path: str, said: str) -> None:
    with pytest.raises(StreamkitError, match=said):
        read_path(path, find)
