"""SSEDecoder's state: copies and pickles that go on by themselves, and that tell states apart by what they do."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skhelpers.delivery import drip
from skhelpers.sse_decoding import CUTS, SOUP, pieces

from streamkit.errors import LimitError, UsageError
from streamkit.wire.event import made
from streamkit.wire.sse import BOM, ServerSentEvent, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable


def fed(*chunks: bytes, limit: int | None = None) -> SSEDecoder:
    decoder = SSEDecoder(max_event_bytes=limit)
    with suppress(LimitError):
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.feed(b"")
    return decoder


def pickled(decoder: SSEDecoder) -> bytes:
    return pickle.dumps(decoder, 5)


def unpickled(decoder: SSEDecoder) -> SSEDecoder:
    again: SSEDecoder = pickle.loads(pickled(decoder))  # noqa: S301
    return again


COPIES: list[Callable[[SSEDecoder], SSEDecoder]] = [SSEDecoder.copy, copy.copy, copy.deepcopy, unpickled]


@settings(deadline=None, max_examples=400)
@given(SOUP, CUTS, CUTS, st.none() | st.integers(1, 1000))
@example(b"foo: 1\nid: 1\nevent: 1\ndata: 1\ndata: \xff\nretry: 1\ndata: 1", [7, 9], [20, 22, 24], None)
@example(b"event: e\ndata: x\n\nevent: e\ndata: y", [5], [22], None)
def test_pickle_is_the_same_for_the_same_bytes_however_they_came(
    body: bytes, cuts: list[int], others: list[int], limit: int | None
) -> None:
    """Invariant: the state is a function of the bytes so far, and copies and pickles of it are that state."""
    deliveries = [[body], drip(body), pieces(body, cuts), pieces(body, others)]
    states = {pickled(fed(*chunks, limit=limit)) for chunks in deliveries}
    assert 1 == len(states)
    decoder = fed(*pieces(body, cuts), limit=limit)
    assert states == {pickled(again(again(decoder))) for again in COPIES}


@pytest.mark.parametrize("again", COPIES)
@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (b"", BOM + b"data: a\n\n"),
        (BOM[:2], BOM[2:] + b"data: a\n\n"),
        (b"data: a\r", b"\n\r\n"),
        (b"id: 7\nretry: 5\nfoo\nevent: e\ndata: \xff\ndata: b\nda", b"ta: c\n\n"),
        (b"data: x\n\ndata: a", b"b\n\ndata: c\n\n"),
        (b"event: e\r\ndata: x\r\n\r\nevent: f\r\ndata: a", b"b\r\n\r\nevent: f\r\ndata: c\r\n\r\n"),
    ],
)
def test_copy_goes_on_as_the_decoder_would_and_by_itself(
    again: Callable[[SSEDecoder], SSEDecoder], body: bytes, rest: bytes
) -> None:
    decoder = fed(body)
    before, other = pickled(decoder), again(decoder)
    assert SSEDecoder().feed(body + rest)[-1] == other.feed(rest)[-1]
    other.close()
    other.diagnostics.clear()
    assert before == pickled(decoder)
    decoder.feed(rest)
    decoder.close()
    assert fed(body + rest).position == decoder.position


@pytest.mark.parametrize("again", COPIES)
def test_copy_of_a_decoder_that_is_closed_or_over_its_limit_stays_so(again: Callable[[SSEDecoder], SSEDecoder]) -> None:
    decoder = fed(b"data: a")
    decoder.close()
    with pytest.raises(UsageError):
        again(decoder).feed(b"b")
    assert 7 == again(decoder).discarded
    limited = fed(b"data: a\n\ndata: bcde", limit=9)
    with pytest.raises(LimitError):
        again(limited).feed(b"")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"data", b"data:"),
        (b"data\n", b"data: \n: \n"),
        (b"id: a\n", b"event: a\n"),
        (b"data: a\ndata: b\n", b"data: a\n: \ndata: b\n"),
        (b"retry: 1\n\n", b"retry: 2\n\n"),
        (b"a: \n\n", b"b: \n\n"),
        (b"data: a\r", b"data: a\n"),
        (BOM[:1], b"\xee"),
    ],
)
def test_pickles_of_different_states_differ(one: bytes, other: bytes) -> None:
    assert pickled(fed(one)) != pickled(fed(other))


def test_event_that_a_decoder_makes_is_one_that_the_constructor_makes() -> None:
    expected = ServerSentEvent("e", "d", "1", 5, lossy=True)
    event = made("e", "d", "1", 5, lossy=True)
    assert (expected, hash(expected), repr(expected), ServerSentEvent) == (event, hash(event), repr(event), type(event))
    again = pickle.loads(pickle.dumps(event))  # noqa: S301
    assert (event, True) == (again, again.lossy)
    assert ServerSentEvent("e", "d2", "1", 5) == replace(event, data="d2")
    for name in ("data", "lossy", "more"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(event, name, "x")
