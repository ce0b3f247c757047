"""Fragmentation: constructors, text form, and that chunks are always the body again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamkit.errors import UsageError
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import BoundaryClass
from streamkit.wire.fragmentation import Fragmentation

BODY = "data: é\r\n\r\n: ping\n\ndata: [DONE]\n\n".encode()

CUTS = st.lists(st.integers(0, 60)).map(lambda cuts: tuple(sorted(cuts)))


@st.composite
def bodies_and_cuts(draw: st.DrawFn) -> tuple[bytes, Fragmentation]:
    body = draw(st.binary(max_size=60))
    return body, Fragmentation.at(*draw(st.lists(st.integers(0, len(body)), max_size=20)))


# -- constructors


def test_whole_is_one_chunk() -> None:
    assert [b"abc"] == Fragmentation.whole().chunks(b"abc")
    assert [b""] == Fragmentation.whole().chunks(b"")
    assert Fragmentation() == Fragmentation.whole()


def test_at_takes_offsets_in_any_order() -> None:
    assert (1, 3) == Fragmentation.at(3, 1).cuts
    assert [b"a", b"bc", b"d"] == Fragmentation.at(3, 1).chunks(b"abcd")
    assert Fragmentation.whole() == Fragmentation.at()


def test_repeated_cuts_and_cuts_at_the_ends_make_empty_chunks() -> None:
    assert [b"", b"a", b"", b"", b"b", b""] == Fragmentation.at(0, 1, 1, 1, 2).chunks(b"ab")
    assert [b"", b"", b""] == Fragmentation.at(0, 0).chunks(b"")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [b"a", b"b", b"c", b"d", b"e"]), (2, [b"ab", b"cd", b"e"]), (5, [b"abcde"]), (9, [b"abcde"])],
)
def test_drip_cuts_into_chunks_of_one_size(size: int, expected: list[bytes]) -> None:
    assert expected == Fragmentation.drip(b"abcde", size).chunks(b"abcde")
    assert Fragmentation.drip(b"abcde", size) == Fragmentation.drip(5, size)


def test_drip_is_byte_by_byte_unless_told_and_an_even_end_makes_no_empty_chunk() -> None:
    assert (1, 2, 3) == Fragmentation.drip(b"abcd").cuts
    assert (2,) == Fragmentation.drip(4, 2).cuts
    assert () == Fragmentation.drip(b"").cuts


@pytest.mark.parametrize(("length", "size"), [(5, 0), (5, -1), (-1, 1)])
def test_drip_of_no_size_or_length_is_refused(length: int, size: int) -> None:
    with pytest.raises(UsageError, match=f"cannot drip {length} bytes in chunks of {size}"):
        Fragmentation.drip(length, size)


def test_per_event_makes_one_chunk_of_each_event_and_each_comment_block() -> None:
    expected = ["data: é\r\n\r\n".encode(), b": ping\n\n", b"data: [DONE]\n\n"]
    assert expected == Fragmentation.per_event(BODY).chunks(BODY)
    assert [*expected, b"data: x\n"] == Fragmentation.per_event(BODY + b"data: x\n").chunks(BODY + b"data: x\n")
    assert Fragmentation.whole() == Fragmentation.per_event(b"")


def test_at_class_cuts_at_every_offset_of_the_given_classes() -> None:
    assert (7,) == Fragmentation.at_class(BODY, BoundaryClass.UTF8).cuts
    assert (7, 9, 11, 12, 20) == Fragmentation.at_class(BODY, "event", "crlf", BoundaryClass.UTF8, "utf8").cuts
    assert () == Fragmentation.at_class(BODY).cuts == Fragmentation.at_class(BODY, "bom").cuts


def test_at_class_refuses_an_unknown_class() -> None:
    with pytest.raises(UsageError, match="no boundary class 'utf16'; there are: utf8"):
        Fragmentation.at_class(BODY, "utf16")


def test_from_lengths_cuts_after_each_chunk_but_the_last() -> None:
    assert (2, 2, 5) == Fragmentation.from_lengths([2, 0, 3, 4]).cuts
    assert Fragmentation.whole() == Fragmentation.from_lengths([9]) == Fragmentation.from_lengths([])
    assert (0, 3) == Fragmentation.from_lengths(iter([0, 3, 0])).cuts


def test_from_lengths_refuses_a_negative_length() -> None:
    with pytest.raises(UsageError, match="a chunk cannot have -1 bytes"):
        Fragmentation.from_lengths([2, -1])


def test_recorded_takes_the_chunks_of_a_transcript() -> None:
    transcript = Transcript(b"abcde", lengths=(2, 0, 3))
    assert [b"ab", b"", b"cde"] == Fragmentation.recorded(transcript).chunks(transcript.body)
    assert (2, 2) == Fragmentation.recorded(SimpleNamespace(lengths=[2, 0, 3])).cuts


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        ((-1, 2), "cut -1 is before the body"),
        ((3, 2), r"cuts must ascend; Fragmentation\.at"),
        ((1.0,), r"cuts are whole numbers, and 1\.0 is none"),
        ((True,), "whole numbers"),
        (("1",), "whole numbers"),
        ("12", "whole numbers"),
    ],
)
def test_cuts_that_are_no_ascending_offsets_are_refused(cuts: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Fragmentation(cuts)


def test_cuts_may_be_any_sequence_and_are_kept_as_a_tuple() -> None:
    assert (1, 2) == Fragmentation([1, 2]).cuts == Fragmentation(range(1, 3)).cuts  # type: ignore[arg-type]


# -- chunks


@settings(deadline=None)
@given(bodies_and_cuts())
def test_chunks_join_to_the_body(drawn: tuple[bytes, Fragmentation]) -> None:
    """Invariant: the chunks are the body, one more than cuts, of the lengths told; from those lengths come the cuts."""
    body, fragmentation = drawn
    chunks = fragmentation.chunks(body)
    assert body == b"".join(chunks)
    assert len(chunks) == len(fragmentation) + 1
    assert [len(chunk) for chunk in chunks] == fragmentation.lengths(len(body))
    assert fragmentation == Fragmentation.from_lengths(fragmentation.lengths(len(body)))


def test_cut_beyond_the_body_is_refused() -> None:
    with pytest.raises(UsageError, match="cut 4 is beyond the body of 3 bytes"):
        Fragmentation.at(1, 4).chunks(b"abc")
    assert [b"abc", b""] == Fragmentation.at(3).chunks(b"abc")


def test_classify_tells_the_class_of_each_cut() -> None:
    expected = [None, BoundaryClass.FIELD_NAME, BoundaryClass.UTF8, BoundaryClass.UTF8, BoundaryClass.EVENT, None]
    assert expected == Fragmentation.at(0, 1, 7, 7, 12, len(BODY)).classify(BODY)
    assert [] == Fragmentation.whole().classify(BODY)
    with pytest.raises(UsageError, match="outside the body"):
        Fragmentation.at(99).classify(BODY)


def test_fragmentation_is_a_true_immutable_value() -> None:
    assert Fragmentation.whole()
    assert (0, 2) == (len(Fragmentation.whole()), len(Fragmentation.at(1, 1)))
    assert 1 == len({Fragmentation.at(1, 2), Fragmentation.parse("1,2")})
    with pytest.raises(AttributeError):
        Fragmentation.at(1).cuts = (2,)  # type: ignore[misc]


# -- text form


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("whole", ()),
        ("0", (0,)),
        ("99,100,412", (99, 100, 412)),
        ("7-9", (7, 8, 9)),
        ("1,7-10,40", (1, 7, 8, 9, 10, 40)),
        ("3,3,3", (3, 3, 3)),
        ("3,3-5,5", (3, 3, 4, 5, 5)),
        ("0-2,4-6", (0, 1, 2, 4, 5, 6)),
    ],
)
def test_text_form_names_the_offsets_with_runs_of_three_or_more_as_ranges(text: str, cuts: tuple[int, ...]) -> None:
    assert cuts == Fragmentation.parse(text).cuts
    assert text == str(Fragmentation(cuts))


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("", ()),
        ("  whole\n", ()),
        (" 1 , 2 ", (1, 2)),
        ("5,1", (1, 5)),
        ("4-4", (4,)),
        ("1-2", (1, 2)),
        ("007", (7,)),
        ("3-5,4", (3, 4, 4, 5)),
    ],
)
def test_text_that_str_would_not_write_is_taken_too(text: str, cuts: tuple[int, ...]) -> None:
    assert cuts == Fragmentation.parse(text).cuts


@pytest.mark.parametrize(
    "text", ["x", "-1", "1.5", "1,", ",1", "1,,2", "1 2", "1-", "1--2", "1-2-3", "Whole", "0x1", "1" * 41]
)
def test_text_that_is_no_offset_is_refused_and_shown(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no byte offset: write 'whole' or offsets like '99,100,412'"):
        Fragmentation.parse(text)


def test_refusal_names_the_part_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"^'1x' is no byte offset"):
        Fragmentation.parse("1, 1x ,2")


def test_range_that_goes_down_is_refused() -> None:
    with pytest.raises(UsageError, match="'9-7' is no range of offsets: write the lower one first"):
        Fragmentation.parse("1,9-7")


def test_range_of_a_size_that_no_body_has_is_refused() -> None:
    with pytest.raises(UsageError, match="a range of more than"):
        Fragmentation.parse("0-999999999999")


@settings(deadline=None)
@given(CUTS)
@example((0, 0, 1, 2, 2, 3))
def test_text_form_parses_back_and_repr_evaluates_back(cuts: tuple[int, ...]) -> None:
    """Invariant: the text form and the repr lose nothing."""
    fragmentation = Fragmentation(cuts)
    assert fragmentation == Fragmentation.parse(str(fragmentation))
    assert fragmentation == eval(repr(fragmentation), {"Fragmentation": Fragmentation})  # noqa: S307 - our own repr


def test_repr_is_the_call_that_makes_it() -> None:
    assert "Fragmentation.parse('7-9,40')" == repr(Fragmentation.at(7, 8, 9, 40))
    assert "Fragmentation.parse('whole')" == repr(Fragmentation.whole())
