"""NDJSONDecoder: lines out of bytes, whatever the chunks."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.delivery import always, drip

from streamkit.errors import LimitError, UsageError
from streamkit.wire.ndjson import NDJSONDecoder

BOM = b"\xef\xbb\xbf"


def lines(chunks: Iterable[bytes]) -> tuple[list[bytes], int]:
    """Return all lines of a stream, and the bytes of one without an end."""
    decoder = NDJSONDecoder()
    found = [line for chunk in chunks for line in decoder.feed(chunk)]
    found += decoder.close()
    return found, decoder.unterminated


@pytest.mark.parametrize(
    ("body", "expected", "unterminated"),
    [
        (b"", [], 0),
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], 0),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}'], 0),
        (b'\n\r\n \t\n{"a":1}\n\n\n', [b'{"a":1}'], 0),
        (b'{"a":1}\n{"b', [b'{"a":1}', b'{"b'], 3),
        (b'{"a":1}\n  \t', [b'{"a":1}'], 0),
        (b'{"a":\r1}\n', [b'{"a":\r1}'], 0),
        (b'  {"a":1} \n', [b'{"a":1}'], 0),
        (BOM + b'{"a":1}\n', [b'{"a":1}'], 0),
        (b'{"a":1}\n' + BOM + b"{}\n", [b'{"a":1}', BOM + b"{}"], 0),
        ('"日本\u2028\u0085"\n'.encode(), ['"日本\u2028\u0085"'.encode()], 0),
    ],
    ids=[
        "empty", "lf", "crlf", "blank-lines", "no-last-end", "blank-tail", "cr-alone", "white-space", "bom",
        "bom-later", "unicode-line-ends",
    ],
)  # fmt: skip
def test_lines_are_the_same_in_every_delivery(body: bytes, expected: list[bytes], unterminated: int) -> None:
    assert (expected, unterminated) == always(body, lines)


@given(st.lists(st.binary(max_size=6).filter(lambda b: b"\n" not in b and b.strip(b" \t\r\n") == b), max_size=6))
def test_lines_come_back_as_they_were_written(written: list[bytes]) -> None:
    # Invariant: joining lines with LF and decoding gives the lines that hold anything.
    expected = [line for line in written if line]
    if expected and expected[0].startswith(BOM):
        return
    body = b"".join(line + b"\n" for line in written)
    assert expected == lines([body])[0] == lines(drip(body))[0]


def test_a_line_is_handed_out_by_the_feed_that_ends_it() -> None:
    decoder = NDJSONDecoder()
    assert [] == decoder.feed(b'{"a":1}')
    assert [b'{"a":1}'] == decoder.feed(b"\n")
    assert [b"2"] == decoder.feed(memoryview(b"2\n3"))
    assert 2 == decoder.lines
    assert [b"3"] == decoder.close()
    assert [] == decoder.close()
    assert (3, 1) == (decoder.lines, decoder.unterminated)


def test_a_copy_goes_its_own_way() -> None:
    decoder = NDJSONDecoder()
    decoder.feed(b'{"a"')
    other = copy.deepcopy(decoder)
    assert [b'{"a":1}'] == decoder.feed(b":1}\n")
    assert [b'{"a":2}'] == other.feed(b":2}\n")


def test_what_is_no_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes, bytearray or memoryview"):
        NDJSONDecoder().feed("text")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        NDJSONDecoder(max_line_bytes=0)
    closed = NDJSONDecoder()
    closed.close()
    with pytest.raises(UsageError, match="after close"):
        closed.feed(b"")


def limited(chunks: Iterable[bytes], limit: int = 4) -> list[bytes | str]:
    decoder = NDJSONDecoder(max_line_bytes=limit)
    found: list[bytes | str] = []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
        found += decoder.close()
    except LimitError as error:
        found.append(f"limit {error.limit}")
    return found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1234\n1234\r\n1234", [b"1234", b"1234", b"1234"]),
        (b"1\n12345\n2\n", [b"1", "limit 4"]),
        (b"1\n12345", [b"1", "limit 4"]),
        (b"12345\r\n", ["limit 4"]),
        (b"1234\r", [b"1234"]),
        (b"1234\r2\n", ["limit 4"]),
    ],
)
def test_a_limit_holds_in_every_delivery(body: bytes, expected: list[bytes | str]) -> None:
    assert expected == always(body, limited)


def test_an_overrun_is_raised_again_by_every_later_call() -> None:
    decoder = NDJSONDecoder(max_line_bytes=2)
    assert [b"1"] == decoder.feed(b"1\n123")
    for _ in range(2):
        with pytest.raises(LimitError, match="max_line_bytes=2"):
            decoder.feed(b"\n")
    with pytest.raises(LimitError, match="max_line_bytes=2"):
        decoder.close()


def test_a_long_line_in_single_bytes_is_copied_once() -> None:
    class Counting(NDJSONDecoder):
        copied = 0

        def _line(self, line: bytes, found: list[bytes]) -> None:
            self.copied += len(line)
            super()._line(line, found)

    decoder = Counting()
    for piece in drip(b"x" * 50_000 + b"\n"):
        decoder.feed(piece)
    assert 50_000 == decoder.copied
