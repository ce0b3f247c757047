"""SSEEncoder and Framing: what they write, what they refuse, and that decoding gives it all back."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers import literal_sse
from skhelpers.delivery import always, drip

from streamkit.errors import UsageError
from streamkit.wire.sse import BOM, Framing, ServerSentEvent, SSEDecoder, SSEEncoder, decode, encode

LINE_ENDS = (b"\n", b"\r", b"\r\n")
PAIRS = [(end, blank) for end, blank in product(LINE_ENDS, (None, *LINE_ENDS)) if (end, blank) != (b"\r", b"\n")]
ORDERS = list(permutations(("event", "id", "retry", "data")))

FRAMINGS = st.builds(
    lambda ends, space, order, bom, named: Framing(ends[0], ends[1], space, order, bom, named),
    st.sampled_from(PAIRS),
    st.booleans(),
    st.sampled_from(ORDERS),
    st.booleans(),
    st.booleans(),
)


def text(without: str) -> st.SearchStrategy[str]:
    """Text that UTF-8 can carry, the characters that matter to the format drawn often."""
    special = [mark for mark in " :\0\n\r\v\x85\u2028\ufeff\ufffd" if mark not in without]
    others = st.characters(codec="utf-8", exclude_characters=without)
    return st.text(st.one_of(st.sampled_from(special), others), max_size=12)


EVENTS = st.lists(
    st.builds(
        ServerSentEvent,
        event=st.one_of(st.just("message"), text("\r\n").filter(bool)),
        data=text("\r"),
        id=st.one_of(st.just(""), st.sampled_from("12"), text("\r\n\0")),
        retry=st.none() | st.integers(0, 10**30),
    ),
    max_size=5,
)

EVENT = ServerSentEvent("delta", "a\nb", "7", 250)


# -- what is written


def test_default_framing_writes_lf_and_one_space() -> None:
    assert b"event: delta\nid: 7\nretry: 250\ndata: a\ndata: b\n\n" == encode([EVENT])


def test_message_type_is_left_out_unless_the_framing_names_it() -> None:
    assert b"data: a\n\n" == encode([ServerSentEvent(data="a")])
    assert b"event: message\ndata: a\n\n" == encode([ServerSentEvent(data="a")], Framing(event_name=True))


@pytest.mark.parametrize(("end", "blank"), PAIRS)
def test_field_lines_and_blank_line_have_the_ends_of_the_framing(end: bytes, blank: bytes | None) -> None:
    expected = b"data: a" + end + b"data: b" + end + (end if blank is None else blank)
    assert expected == encode([ServerSentEvent(data="a\nb")], Framing(end, blank))


def test_space_after_the_colon_is_left_out_where_the_value_allows_it() -> None:
    events = [ServerSentEvent(" x", "a\n b\n", "1")]
    assert b"event:  x\nid:1\ndata:a\ndata:  b\ndata:\n\n" == encode(events, Framing(space=False))


@pytest.mark.parametrize("order", ORDERS)
def test_fields_come_in_the_order_of_the_framing(order: tuple[str, ...]) -> None:
    lines = {"event": "event: delta\n", "id": "id: 7\n", "retry": "retry: 250\n", "data": "data: a\ndata: b\n"}
    body = encode([EVENT], Framing(order=order))
    assert "".join(lines[name] for name in order) + "\n" == body.decode()
    assert [EVENT] == decode(body)


def test_byte_order_mark_is_written_once_before_the_first_event_or_comment() -> None:
    encoder = SSEEncoder(Framing(bom=True))
    written = [encoder.comment("c"), encoder.encode(ServerSentEvent(data="a")), encoder.comment("c")]
    assert [BOM + b": c\n\n", b"data: a\n\n", b": c\n\n"] == written
    assert BOM + "data: é\n\n".encode() == encode([ServerSentEvent(data="é")], Framing(bom=True))


def test_id_is_written_where_it_changes_and_an_empty_one_resets_it() -> None:
    encoder = SSEEncoder()
    written = [encoder.encode(ServerSentEvent(data="a", id=name)) for name in ("", "1", "1", "", "")]
    plain = b"data: a\n\n"
    assert [plain, b"id: 1\n" + plain, plain, b"id: \n" + plain, plain] == written


def test_no_events_are_no_bytes() -> None:
    assert b"" == encode([]) == encode([], Framing(bom=True))


# -- comments


@pytest.mark.parametrize(
    ("words", "spaced", "tight"),
    [("", b":\n\n", b":\n\n"), ("ping", b": ping\n\n", b":ping\n\n"), (" ping", b":  ping\n\n", b":  ping\n\n")],
)
def test_comment_is_one_line_and_a_blank_line(words: str, spaced: bytes, tight: bytes) -> None:
    assert (spaced, tight) == (SSEEncoder().comment(words), SSEEncoder(Framing(space=False)).comment(words))


@pytest.mark.parametrize(("end", "blank"), PAIRS)
def test_comment_has_the_line_ends_of_the_framing(end: bytes, blank: bytes | None) -> None:
    assert b":" + end + (end if blank is None else blank) == SSEEncoder(Framing(end, blank)).comment()


@pytest.mark.parametrize("words", ["a\nb", "a\rb", "\n"])
def test_comment_of_several_lines_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="one line"):
        SSEEncoder().comment(words)


# -- there and back


@settings(deadline=None, max_examples=400)
@given(EVENTS, FRAMINGS)
def test_decoding_gives_back_what_was_written_in_any_framing(events: list[ServerSentEvent], framing: Framing) -> None:
    """Invariant: decode(encode(events, framing)) == events, nothing in it is odd, and a literal reading agrees."""
    body = encode(events, framing)
    decoder = SSEDecoder()
    assert events == decoder.feed(body)
    decoder.close()
    assert ([], 0) == ([note for note in decoder.diagnostics if note.kind != "bom"], decoder.discarded)
    assert [(event.event, event.data, event.id) for event in events] == literal_sse.read(body)
    assert body.startswith(BOM) is (framing.bom and bool(events))


@settings(deadline=None, max_examples=200)
@given(EVENTS, st.lists(st.tuples(FRAMINGS, text("\r\n")), min_size=6, max_size=6))
def test_events_in_different_framings_with_comments_between_them_stay_apart(
    events: list[ServerSentEvent], dress: list[tuple[Framing, str]]
) -> None:
    """Invariant: blocks can be joined whatever the framing of each, and comment blocks dispatch nothing."""
    body = b""
    expected = []
    for event, (framing, words) in zip(events, dress, strict=False):
        encoder = SSEEncoder(Framing(framing.line_end, framing.blank_end, framing.space, framing.order))
        expected.append(ServerSentEvent(event.event, event.data, "", event.retry))
        body += encoder.comment(words) + encoder.encode(expected[-1]) + encoder.comment(words)
    decoder = SSEDecoder()
    assert expected == decode(body) == [event for byte in drip(body) for event in decoder.feed(byte)]


@pytest.mark.parametrize(("end", "blank"), PAIRS)
@pytest.mark.parametrize("space", [True, False])
def test_every_framing_decodes_alike_in_every_delivery(end: bytes, blank: bytes | None, space: bool) -> None:
    events = [ServerSentEvent("é", "\n", "1", 5), ServerSentEvent(data=" 🌍", id="1"), ServerSentEvent(data="")]
    body = encode(events, Framing(end, blank, space=space, bom=True, event_name=True))

    def fed(chunks: Any) -> list[ServerSentEvent]:
        decoder = SSEDecoder()
        return [event for chunk in chunks for event in decoder.feed(chunk)]

    assert events == always(body, fed, scan=0)


def test_lossy_is_not_compared() -> None:
    (event,) = decode(b"data: \xff\n\n")
    assert event.lossy
    assert ServerSentEvent(data="\ufffd") == event
    assert "data: \ufffd\n\n".encode() == encode([event])


# -- what is refused

REFUSED = [
    (ServerSentEvent(data="a\rb"), "data with a CR"),
    (ServerSentEvent(data="a\r\nb"), "data with a CR"),
    (ServerSentEvent(event=""), "an empty event type"),
    (ServerSentEvent(event="a\nb"), r"event type 'a\\nb' holds a line end"),
    (ServerSentEvent(event="a\r"), "holds a line end"),
    (ServerSentEvent(id="1\n"), "holds a line end or NUL"),
    (ServerSentEvent(id="\r1"), "holds a line end or NUL"),
    (ServerSentEvent(id="1\x002"), "holds a line end or NUL"),
    (ServerSentEvent(retry=-1), "retry is -1"),
]


@pytest.mark.parametrize(("event", "message"), REFUSED)
def test_event_that_no_framing_can_carry_is_refused_and_changes_nothing(event: ServerSentEvent, message: str) -> None:
    encoder = SSEEncoder(Framing(bom=True))
    with pytest.raises(UsageError, match=message):
        encoder.encode(event)
    assert BOM + b"id: 1\ndata: a\n\n" == encoder.encode(ServerSentEvent(data="a", id="1"))
    with pytest.raises(UsageError, match=message):
        encode([EVENT, event])


@pytest.mark.parametrize("ends", [(b"",), (b"\n\n",), (b"\n\r",), (b"\n", b""), (b"\n", b"\n\n"), ("\n",)])
def test_framing_refuses_what_is_no_line_end(ends: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError, match="line_end and blank_end are"):
        Framing(*ends)


def test_framing_refuses_cr_before_lf_for_that_is_one_line_end() -> None:
    with pytest.raises(UsageError, match="one line end, CRLF"):
        Framing(b"\r", b"\n")


@pytest.mark.parametrize(
    "order", [(), ("data",), ("event", "id", "retry", "data", "data"), ("event", "id", "retry", "x")]
)
def test_framing_refuses_an_order_that_is_not_each_field_once(order: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="each of 'event', 'id', 'retry' and 'data' once"):
        Framing(order=order)
