"""Boundary classes: the class of every offset of tiny bodies, written out, and what holds for any body."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamkit.errors import UsageError
from streamkit.wire.boundaries import HOT_CLASSES, Boundaries, BoundaryClass, boundaries, event_ends
from streamkit.wire.sse import BOM, decode

LETTERS = {
    "u": BoundaryClass.UTF8,
    "^": BoundaryClass.CRLF,
    "=": BoundaryClass.BLANK_LINE,
    "E": BoundaryClass.EVENT,
    "$": BoundaryClass.LINE_END,
    "L": BoundaryClass.LINE,
    ":": BoundaryClass.COLON,
    "f": BoundaryClass.FIELD_NAME,
    "\\": BoundaryClass.ESCAPE,
    "D": BoundaryClass.DONE,
    "B": BoundaryClass.BOM,
    "s": BoundaryClass.JSON_STRING,
    "j": BoundaryClass.JSON,
    "#": BoundaryClass.COMMENT,
    "v": BoundaryClass.VALUE,
}

MAPS: dict[str, tuple[bytes, str]] = {  # one letter an inner offset: the cut before that byte
    "a value": (b"data: abc\n\n", "ffff::vv$="),
    "a value without the space": (b"data:abc\n\n", "ffff:vv$="),
    "a value after two spaces": (b"data:  a\n\n", "ffff::v$="),
    "no value": (b"data:\n\n", "ffff$="),
    "no value after the space": (b"data: \n\n", "ffff:$="),
    "no colon": (b"data\n\n", "fff$="),
    "a one-letter field": (b"x\n\n", "$="),
    "two lines": (b"id: 1\ndata: 2\n\n", "ff::$Lffff::$="),
    "two events": (b"data: 1\n\ndata: 2\n\n", "ffff::$=Effff::$="),
    "CR": (b"id:1\rid:2\r\rid:3\r\r", "ff:$Lff:$=Eff:$="),
    "CRLF": (b"id:1\r\nid:2\r\n\r\nid:3\r\n\r\n", "ff:$^Lff:$^=^Eff:$^=^"),
    "CRLF closed by LF": (b"id:1\r\n\nid:2", "ff:$^=Eff:"),
    "LF closed by CR": (b"id:1\n\rid:2", "ff:$=Eff:"),
    "blank lines before, between and after events": (b"\n\r\nid:1\n\n\nid:2\n\n\r\n", "E^Eff:$=EEff:$=E^"),
    "a comment": (b": ab\n\n", "###$="),
    "an empty comment": (b":\n\n", "$="),
    "a comment among the lines of an event": (b"id:1\n:a:\n\n", "ff:$L##$="),
    "an unfinished line": (b"data: ab", "ffff::v"),
    "an unfinished block": (b"id:1\n", "ff:$"),
    "an unfinished name": (b"data", "fff"),
    "an unfinished CRLF": (b"id:1\r\n\r", "ff:$^="),
    "a byte order mark": (BOM + b"id:1\n\n", "BBBff:$="),
    "a later byte order mark is a character": (b"\n" + BOM + b"id:1\n", "Euufff:$"),
    "an incomplete byte order mark": (BOM[:2] + b"id", "fff"),
    "[DONE]": (b"data: [DONE]\n\n", "ffff::DDDDD$="),
    "[DONE] without the space": (b"data:[DONE]\r\n\r\n", "ffff:DDDDD$^=^"),
    "[DONE] with blanks around it": (b"data:  [DONE] \n\n", "ffff::DDDDDDD$="),
    "[DONE] that goes on is JSON": (b"data: [DONE]]\n\n", "ffff::jjjjjj$="),
    "JSON": (b'data: {"a":1}\n\n', "ffff::jssjjj$="),
    "JSON strings with no space before them": (b'data:["",1]\n\n', "ffff:jsjjj$="),
    "a bare JSON string": (b'data:"ab"\n\n', "ffff:sss$="),
    "a bare JSON number is a value": (b"data:12\n\n", "ffff:v$="),
    "JSON that goes on in further lines": (b"data:[1\ndata:,2\ndata:]]\ndata:}}\n\n", "ffff:j$L" * 3 + "ffff:j$="),
    "structure in a JSON string": (b'data:["a]:{,"]\n\n', "ffff:jssssssj$="),
    "a JSON string without its end": (b'data:{"ab', "ffff:jss"),
    "an unfinished JSON string ends with its line": (b'data:{"a\ndata:b"}\n\n', "ffff:js$Lffff:vv$="),
    "a short escape": (rb'data:"\n"' + b"\n\n", "ffff:s\\s$="),
    "an escaped quote and backslash": (rb'data:["\"\\"]' + b"\n\n", "ffff:js\\s\\sj$="),
    "an escaped code unit": (rb'data:"\u00e9x"' + b"\n\n", "ffff:s\\\\\\\\\\ss$="),
    "two escaped code units that are no pair": (rb'data:"\u00e9\ud83c"' + b"\n\n", "ffff:s\\\\\\\\\\s\\\\\\\\\\s$="),
    "a surrogate pair is one escape": (rb'data:"\ud83c\udf0d"' + b"\n\n", "ffff:s" + "\\" * 11 + "s$="),
    "a surrogate pair in capitals": (rb'data:"\uD83C\uDF0D"' + b"\n\n", "ffff:s" + "\\" * 11 + "s$="),
    "a low half before a high half": (rb'data:"\udf0d\ud83c"' + b"\n\n", "ffff:s\\\\\\\\\\s\\\\\\\\\\s$="),
    "an escaped backslash before a u": (rb'data:"\\u00e9"' + b"\n\n", "ffff:s\\ssssss$="),
    "an escape outside a string is none": (rb"data:[\n]" + b"\n\n", "ffff:jjj$="),
    "an escape cut off by the line end": (b'data:"\\u00\n\n', "ffff:s\\ss$="),
    "characters of two, three and four bytes": ("data:é€🌍\n\n".encode(), "ffff:uvuuvuuu$="),
    "a character inside a JSON string": ('data:"é"\n\n'.encode(), "ffff:sus$="),
    "a character in a comment and in a name": (":é\né:1\n\n".encode(), "#u$Luf:$="),
    "a character that is cut off": (b"data:a\xf0\x9f\x8c\n\n", "ffff:vvv$="),
    "a continuation byte alone": (b"data:a\x9f\n\n", "ffff:v$="),
}


@pytest.mark.parametrize(("body", "expected"), MAPS.values(), ids=MAPS)
def test_every_offset_has_the_class_of_its_place(body: bytes, expected: str) -> None:
    names = {kind: letter for letter, kind in LETTERS.items()}
    inner = [boundaries(body).at(offset) for offset in range(1, len(body))]
    assert expected == "".join("?" if kind is None else names[kind] for kind in inner)


def test_maps_show_every_class() -> None:
    assert set(BoundaryClass) == {LETTERS[letter] for _, letters in MAPS.values() for letter in letters}


def test_offsets_classes_and_hot_of_a_small_stream() -> None:
    where = boundaries(b'data: {"a":1}\r\n\r\n: x')
    assert [
        BoundaryClass.CRLF,
        BoundaryClass.BLANK_LINE,
        BoundaryClass.EVENT,
        BoundaryClass.LINE_END,
    ] == where.classes()[:4]
    assert ([14, 16], [15], [17], [13]) == tuple(list(where.offsets(kind)) for kind in where.classes()[:4])
    assert [] == list(where.offsets(BoundaryClass.DONE))
    assert [1, 2, 3, 4, 5, 6, 13, 14, 15, 16, 17] == where.hot()


# -- any body

PIECES = [
    b"data",
    b": ",
    b":",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"[DONE]",
    b'{"a":"',
    b'"}',
    b"\\n",
    b"\\u00e9",
    b"\\ud83c\\udf0d",
]
PIECES += [BOM, "é🌍".encode(), b"\xf0\x9f", b"\xff", b"\\", b'"', b"data: x\n\n", b" ", b"1"]
BODIES = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(BODIES)
@example(b"")
@example(b"\n")
@example(BOM)
@example(BOM[:2])
def test_classes_partition_the_inner_offsets(body: bytes) -> None:
    """Invariant: every offset but the two ends has exactly one class, and all views of the map agree."""
    where = Boundaries(body)
    inner = range(1, len(body))
    by_kind = {kind: list(where.offsets(kind)) for kind in BoundaryClass}
    assert list(inner) == sorted(offset for offsets in by_kind.values() for offset in offsets)
    assert {kind for kind, offsets in by_kind.items() if offsets} == set(where.classes())
    assert sorted(where.classes()) == where.classes()
    for kind, offsets in by_kind.items():
        assert sorted(offsets) == offsets
        assert all(where.at(offset) is kind for offset in offsets)
    assert (None, None, len(body)) == (where.at(0), where.at(len(body)), len(where))
    assert sorted(offset for kind in HOT_CLASSES for offset in by_kind[kind]) == where.hot()


@settings(deadline=None, max_examples=300)
@given(BODIES)
def test_line_ends_are_found_wherever_they_are(body: bytes) -> None:
    """Invariant: CRLF is every cut between CR and LF, and no cut beside a line end is inside anything."""
    where = Boundaries(body)
    between = {"crlf", "blank-line", "event", "line-end", "line", "bom"}
    for offset in range(1, len(body)):
        before, after = body[offset - 1 : offset], body[offset : offset + 1]
        assert ((before, after) == (b"\r", b"\n")) is (where.at(offset) is BoundaryClass.CRLF)
        assert str(where.at(offset)) in between or not {before, after} & {b"\r", b"\n"}


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("aé€🌍:\n"), max_size=20))
def test_utf8_is_every_cut_before_a_continuation_byte(text: str) -> None:
    """Invariant: in valid UTF-8 a cut is inside a character if and only if the byte after it continues one."""
    body = text.encode()
    continued = [offset for offset, byte in enumerate(body) if byte & 0b1100_0000 == 0b1000_0000]
    assert continued == list(Boundaries(body).offsets(BoundaryClass.UTF8))


# -- event ends

ENDS: dict[str, tuple[bytes, list[int]]] = {
    "each block": (b"data: 1\n\ndata: 2\n\n", [9, 18]),
    "any line ends": (b"a\r\rb\r\n\r\nc\n\r", [3, 8, 11]),
    "a comment block is a block": (b": c\n\ndata: 1\n\n", [5, 14]),
    "further blank lines belong to the block before them": (b"a\n\n\n\r\nb\n\n\n", [6, 10]),
    "blank lines at the start belong to the first block": (b"\n\r\na\n\n", [6]),
    "an unfinished block has no end": (b"a\n\nb\n", [3]),
    "nothing but blank lines": (b"\n\n\n", []),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("body", "expected"), ENDS.values(), ids=ENDS)
def test_event_ends_are_after_the_blank_line_of_each_block(body: bytes, expected: list[int]) -> None:
    assert expected == event_ends(body)


@settings(deadline=None, max_examples=300)
@given(BODIES)
def test_stream_splits_at_event_ends_into_streams_of_at_most_one_event(body: bytes) -> None:
    """Invariant: pieces cut at the event ends dispatch at most one event each, and together those of the whole."""
    edges = [0, *event_ends(body), len(body)]
    # A byte order mark is one at the start of the stream only: the LF keeps that of a later piece what it was.
    pieces = [decode(body[a:b] if a == 0 else b"\n" + body[a:b]) for a, b in pairwise(edges)]
    assert all(len(events) <= 1 for events in pieces)
    assert [event.data for event in decode(body)] == [event.data for events in pieces for event in events]
    inner = [end for end in edges[1:-1] if end < len(body)]
    assert all(Boundaries(body).at(end) is BoundaryClass.EVENT for end in inner)


# -- names


def test_text_form_of_a_class_parses_back() -> None:
    assert list(BoundaryClass) == [BoundaryClass.parse(str(kind)) for kind in BoundaryClass]
    assert "blank-line" == str(BoundaryClass.BLANK_LINE)
    assert BoundaryClass.BLANK_LINE is BoundaryClass.parse(" Blank_Line ")


def test_unknown_class_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no boundary class 'utf-8'; there are: utf8, crlf, blank-line, .*value"):
        BoundaryClass.parse("utf-8")


def test_every_class_has_a_meaning_of_its_own() -> None:
    assert len(BoundaryClass) == len({kind.meaning for kind in BoundaryClass})
    assert "inside a UTF-8 character" == BoundaryClass.UTF8.meaning


def test_hot_classes_are_all_but_the_four_that_fill_a_body() -> None:
    bulk = {BoundaryClass.JSON_STRING, BoundaryClass.JSON, BoundaryClass.COMMENT, BoundaryClass.VALUE}
    assert set(BoundaryClass) - bulk == set(HOT_CLASSES)


@pytest.mark.parametrize("offset", [-1, 4])
def test_offset_outside_the_body_is_refused(offset: int) -> None:
    with pytest.raises(UsageError, match=f"offset {offset} is outside the body of 3 bytes"):
        boundaries(b"abc").at(offset)


def test_map_of_a_body_is_kept() -> None:
    assert boundaries(b"data: kept\n\n") is boundaries(b"data: " + b"kept\n\n")
