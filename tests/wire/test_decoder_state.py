"""The state of the other decoders of the wire: the same for the same bytes, however they came, in copies too."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.delivery import drip
from skhelpers.sse_decoding import CUTS, pieces

from streamkit.errors import StreamkitError
from streamkit.wire.eventstream import EventStreamDecoder, Header, Message, encode
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.ndjson import NDJSONDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FRAME = encode(Message((Header(":event-type", "x"),), b"{}"))
BRACKETS = [b"[", b"]", b"{", b"}", b","]
KINDS: dict[str, tuple[Callable[[], Any], list[bytes]]] = {
    "lines": (NDJSONDecoder, [b'{"a":1}', b"\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"\xc3", b"x"]),
    "lines with a limit": (lambda: NDJSONDecoder(max_line_bytes=4), [b"abc", b"\n", b"\r\n", b"\r", b" "]),
    "array": (
        JSONArrayDecoder,
        [b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"12", b" ", b"\xef\xbb\xbf", b'{"a":"\\""}'],
    ),
    "array with a limit": (
        lambda: JSONArrayDecoder(max_element_bytes=4),
        [b"[", b"]", b"{", b"}", b",", b'"ab"', b"12"],
    ),
    "messages": (EventStreamDecoder, [FRAME, FRAME, FRAME[:5], FRAME[5:], b"\0"]),
}


def fed(make: Callable[[], Any], chunks: Iterable[bytes]) -> tuple[Any, list[Any]]:
    """Feed what can be fed; return the decoder and what it gave out."""
    decoder, found = make(), []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
        decoder.feed(b"")  # an error that is still owed
    except StreamkitError as error:
        found.append((type(error), str(error)))
    return decoder, found


@settings(deadline=None, max_examples=150)
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_pickle_is_the_same_for_the_same_bytes_however_they_came(kind: str, data: st.DataObject) -> None:
    """Invariant: the state is a function of the bytes so far, and copies and pickles of it are that state."""
    make, tokens = KINDS[kind]
    body = b"".join(data.draw(st.lists(st.sampled_from(tokens), max_size=12)))
    cut = pieces(body, data.draw(CUTS))
    decoder, found = fed(make, cut)
    state = pickle.dumps(decoder, 5)
    for chunks in ([body], drip(body)):
        other, also = fed(make, chunks)
        assert (found, state) == (also, pickle.dumps(other, 5))
    again = pickle.loads(state)  # noqa: S301 - our own
    for same in (again, decoder.copy().copy(), copy.deepcopy(decoder)):
        assert state == pickle.dumps(same, 5)
    rest = data.draw(st.sampled_from(tokens))
    assert fed(decoder.copy, [rest])[1] == fed(lambda: again, [rest])[1]
    assert state == pickle.dumps(decoder, 5)
