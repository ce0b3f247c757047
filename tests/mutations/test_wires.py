"""How a transcript is framed decides what can be edited: binary messages and arrays are no server-sent events."""

from __future__ import annotations

import pytest
from skhelpers.chat import weather

from streamkit.completion import Choice, Completion
from streamkit.dialects import accumulate
from streamkit.dialects.bedrock_converse import BedrockConverse
from streamkit.dialects.gemini import Gemini
from streamkit.dialects.layout import Layout
from streamkit.mutations import faults, framing, jsontext
from streamkit.mutations.registry import Inapplicable, Mutation, mutations
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript
from streamkit.wire.eventstream import Message, encode

ANSWER = Completion((Choice(0, content="one\ntwo", finish_reason="end_turn"),), ended=True)
BINARY = BedrockConverse().emit(ANSWER, Layout())
ARRAY = Gemini().emit(ANSWER, Layout(), wire="jsonarray")
OF_ANY_DIALECT = [one for one in mutations() if not one.dialects]

every_mutation = pytest.mark.parametrize("one", OF_ANY_DIALECT, ids=lambda one: one.name)


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (BINARY.body, "eventstream"),
        (encode(Message((), b"\n\n\n")), "eventstream"),
        (ARRAY.body, "jsonarray"),
        (b" \n[{}\n]\n", "jsonarray"),
        (b'{"done":false}\n{"done":true}\n', "ndjson"),
        (weather(), "sse"),
        (b"data: [1]\n\n", "sse"),
        (BINARY.body[:11], "sse"),  # too short to tell
        (b"\0" + BINARY.body[1:5] + b"\xff" + BINARY.body[6:], "sse"),  # the checksum is of other lengths
        (b"", "sse"),
    ],
)
def test_the_framing_is_told_from_the_bytes_and_all_of_them_are_kept(body: bytes, wire: str) -> None:
    stream = Stream.of(Transcript(body))
    assert (wire, body) == (stream.manner.wire, stream.body())


@pytest.mark.parametrize("dialect", ["bedrock_converse", None])
@every_mutation
def test_binary_messages_are_edited_by_nothing_that_knows_lines_only(one: Mutation, dialect: str | None) -> None:
    stream = Stream.of(Transcript(BINARY.body), dialect)
    if one is faults.not_a_stream:
        assert b"" == one.apply(stream).stream.body()
        return
    assert not one.knows(stream)
    assert [] == list(one.variants(stream))
    with pytest.raises(Inapplicable, match="no framing by eventstream"):
        one.apply(stream)


def test_the_elements_of_an_array_are_edited_as_json_and_not_as_lines() -> None:
    stream = Stream.of(ARRAY)
    edit = jsontext.key_order.apply(stream)
    assert accumulate([ARRAY.body], dialect="gemini") == accumulate([edit.stream.body()], dialect="gemini")
    with pytest.raises(Inapplicable, match="no framing by jsonarray"):
        framing.bom.apply(stream)
