"""JSONArrayDecoder: the elements of an array, whatever the chunks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.delivery import always, drip

from streamkit.errors import LimitError, PayloadError, UsageError
from streamkit.wire.jsonarray import JSONArrayDecoder

Seen = tuple[list[bytes], bool, int, str]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(['"', "\\", '\\"', "[{", "]},"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def elements(chunks: Iterable[bytes], limit: int | None = None) -> Seen:
    """Return all elements of a stream, whether it ended, what was discarded, and the error that it ended with."""
    decoder = JSONArrayDecoder(max_element_bytes=limit)
    found: list[bytes] = []
    error = ""
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
        found += decoder.close()
    except (PayloadError, LimitError) as raised:
        error = str(raised)
    return found, decoder.ended, decoder.discarded, error


@pytest.mark.parametrize(
    ("body", "expected", "ended", "discarded"),
    [
        (b"", [], False, 0),
        (b"[]", [], True, 0),
        (b"[{\n}\n,\r\n{ }\n]\n", [b"{\n}", b"{ }"], True, 0),
        (b' \n[ {"a":[1,{"b":2}]} , [3] ]', [b'{"a":[1,{"b":2}]}', b"[3]"], True, 0),
        (rb'[{"a":"]}\"\\"},"\\\"[",1]', [rb'{"a":"]}\"\\"}', rb'"\\\"["', b"1"], True, 0),
        (b'[true,null , -1.5e3\n,"x"]', [b"true", b"null", b"-1.5e3", b'"x"'], True, 0),
        (b'[{"a":1},{"b":', [b'{"a":1}'], False, 5),
        (b"[1,23", [b"1"], False, 2),
        (b'[{"a":1}', [b'{"a":1}'], False, 0),
        (b"\xef\xbb\xbf[{}]", [b"{}"], True, 0),
        ('["日本🌤"]'.encode(), ['"日本🌤"'.encode()], True, 0),
    ],
    ids=[
        "nothing", "empty", "google", "nested", "strings", "scalars", "cut", "cut-scalar", "unclosed", "bom", "utf8",
    ],
)  # fmt: skip
def test_elements_are_the_same_in_every_delivery(
    body: bytes, expected: list[bytes], ended: bool, discarded: int
) -> None:
    assert (expected, ended, discarded, "") == always(body, elements, scan=40)


@pytest.mark.parametrize(
    ("body", "before", "where"),
    [
        (b"{}", [], "'[' begins"),
        (b"x", [], "'[' begins"),
        (b"[,1]", [], "an element belongs"),
        (b"[}", [], "an element belongs"),
        (b"[1,]", [b"1"], "an element belongs"),
        (b"[1,,2]", [b"1"], "an element belongs"),
        (b"[{}{}]", [b"{}"], "',' or ']' belongs"),
        (b"[1 2]", [b"1"], "',' or ']' belongs"),
        (b"[{}}", [b"{}"], "',' or ']' belongs"),
        (b"[{}] ]", [b"{}"], "nothing more belongs"),
        (b"[1][2]", [b"1"], "nothing more belongs"),
    ],
)
def test_what_is_no_array_is_an_error_after_the_elements_before_it(
    body: bytes, before: list[bytes], where: str
) -> None:
    found, _, _, error = always(body, elements)
    assert before == found
    assert where in error


@given(st.lists(VALUES, max_size=5), st.sampled_from(["", " ", "\n", "\r\n\t"]), st.booleans())
def test_the_elements_are_those_of_the_array(values: list[Any], space: str, ascii_only: bool) -> None:
    # Invariant: the elements, read one by one, are the array as json reads it.
    body = json.dumps(values, ensure_ascii=ascii_only, separators=(f"{space},{space}", f"{space}:{space}"))
    data = f"{space}[{space}{body[1:-1]}{space}]{space}".encode("utf-8", "surrogatepass")
    found, ended, discarded, error = elements([data])
    assert values == [json.loads(element.decode("utf-8", "surrogatepass")) for element in found]
    assert (True, 0, "") == (ended, discarded, error)
    assert (found, ended, discarded, error) == elements(drip(data))


def test_an_object_is_handed_out_by_the_feed_that_ends_it() -> None:
    decoder = JSONArrayDecoder()
    assert [] == decoder.feed(b'[{"a":{}')
    assert [b'{"a":{}}'] == decoder.feed(b"}")
    assert [b'"x"'] == decoder.feed(b',"x"')
    assert [] == decoder.feed(bytearray(b",1"))
    assert [b"1"] == decoder.feed(b"]")
    assert decoder.ended
    assert [] == decoder.close()
    assert 3 == decoder.elements


def test_a_fault_is_raised_again_by_every_later_call() -> None:
    decoder = JSONArrayDecoder()
    assert [b"{}"] == decoder.feed(b"[{} x")
    for _ in range(2):
        with pytest.raises(PayloadError, match="no JSON array"):
            decoder.feed(b"")
    with pytest.raises(PayloadError, match="no JSON array"):
        decoder.close()


def test_a_copy_goes_its_own_way() -> None:
    decoder = JSONArrayDecoder()
    decoder.feed(b'[{"a":"\\')
    other = copy.deepcopy(decoder)
    assert [b'{"a":"\\""}'] == decoder.feed(b'""}')
    assert [b'{"a":"\\n"}'] == other.feed(b'n"}')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[1234,{  }]", [b"1234", b"{  }"]),
        (b"[1,12345]", [b"1"]),
        (b'["abc"]', []),
        (b"[{},{    ", [b"{}"]),
    ],
)
def test_a_limit_holds_in_every_delivery(body: bytes, expected: list[bytes]) -> None:
    found, ended, _, error = always(body, lambda chunks: elements(chunks, 4))
    assert expected == found
    assert ended == ("max_element_bytes=4" not in error)


def test_misuse_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes, bytearray or memoryview"):
        JSONArrayDecoder().feed("[]")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        JSONArrayDecoder(max_element_bytes=0)
    closed = JSONArrayDecoder()
    closed.close()
    with pytest.raises(UsageError, match="after close"):
        closed.feed(b"")


def test_work_grows_with_the_bytes_and_not_with_the_chunks() -> None:
    class Counting(JSONArrayDecoder):
        looked_at = 0

        def _inside(self, chunk: bytes, at: int, found: list[bytes]) -> int:
            self.looked_at += len(chunk) - at
            return super()._inside(chunk, at, found)

    decoder = Counting()
    body = b'[{"a":"' + b"x\\n" * 10_000 + b'"}]'
    for piece in drip(body):
        decoder.feed(piece)
    assert decoder.looked_at <= len(body)
