"""The conduct of the server, as text and as a value."""

from __future__ import annotations

import dataclasses

import pytest

from streamkit.errors import UsageError
from streamkit.server import How
from streamkit.wire.fragmentation import Fragmentation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", How()),
        ("speed=1", How(speed=1.0)),
        ("speed=0.5;gap=5", How(speed=0.5, gap=5)),
        ("reset=300", How(reset=300)),
        ("close=-1", How(close=-1)),
        ("stall=0;stall_for=50", How(stall=0, stall_for=50)),
        ("status=429;retry_after=2;first=1", How(status=429, retry_after="2", first=1)),
        ("status=503;page=html", How(status=503, page="html")),
        ("framing=length", How(framing="length")),
        ("writes=drip", How(writes="drip")),
        ("writes=1,2,40-42", How(writes=Fragmentation.at(1, 2, 40, 41, 42))),
        ("encoding=gzip-late", How(encoding="gzip-late")),
        ("head_delay=10;head_drip=20;hold=30", How(head_delay=10, head_drip=20, hold=30)),
    ],
)
def test_the_text_form_gives_the_conduct_and_is_given_by_it(text: str, expected: How) -> None:
    assert expected == How.parse(text)
    assert expected == How.parse(str(expected))


def test_spaces_and_dashes_in_the_text_do_not_matter() -> None:
    assert How(retry_after="3", status=429) == How.parse(" status = 429 ; retry-after=3;")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resett=1", "did you mean 'reset'"),
        ("xyz=1", "there are: framing"),
        ("reset", "write reset="),
        ("reset=", "write reset="),
        ("reset=a", "write a number"),
        ("reset=1;reset=2", "given twice"),
        ("reset=1;close=2", "only one of reset, close and stall"),
        ("speed=-1", "0 for at once"),
        ("speed=nan", "0 for at once"),
        ("speed=inf", "0 for at once"),
        ("gap=-1", "milliseconds"),
        ("gap=99999999", "milliseconds"),
        ("status=99", "an HTTP status"),
        ("status=204", "allows no body"),
        ("framing=chunk", "chunked, length, close"),
        ("page=xml", "error, html, empty"),
        ("encoding=br", "gzip"),
        ("writes=x", "byte offset"),
        ("status=429;retry_after=a\u00e9", "seconds, or an HTTP date"),
        ("first=0", "a number of requests"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        How.parse(text)


def test_a_header_value_cannot_carry_a_line_end() -> None:
    with pytest.raises(UsageError, match="retry_after"):
        How(status=429, retry_after="1\r\nx: y")


def test_what_one_conduct_leaves_open_another_says() -> None:
    assert How(speed=2.0, gap=5, reset=10) == How(reset=10).beside(How(speed=2.0, gap=5))
    assert How(speed=0.0, gap=5) == How(speed=0.0).beside(How(speed=2.0, gap=5))


def test_a_stream_breaks_off_in_one_way_when_two_conducts_meet() -> None:
    assert How(reset=10) == How(reset=10).beside(How(stall=5))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (How(), None),
        (How(reset=3), ("reset", 3)),
        (How(close=99), ("close", 10)),
        (How(stall=-3), ("stall", 7)),
        (How(reset=-99), ("reset", 0)),
        (How(close=0), ("close", 0)),
    ],
)
def test_the_place_where_a_body_of_ten_bytes_breaks_off(how: How, expected: tuple[str, int] | None) -> None:
    assert expected == how.breaks_at(10)


def test_every_attribute_is_described() -> None:
    assert all(f"{one.name}: " in str(How.__doc__) for one in dataclasses.fields(How))
