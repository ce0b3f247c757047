"""Where a stream ends cannot be said of one that the dialect's reader refuses."""

from __future__ import annotations

import pytest

import streamkit
from streamkit.errors import Inapplicable
from streamkit.mutations.ends import is_over, unfinished
from streamkit.mutations.registry import Step
from streamkit.mutations.stream import Stream


def test_a_stream_that_the_reader_refuses_ends_nobody_knows_where() -> None:
    whole = streamkit.load("anthropic_messages/synthetic_thinking_and_calls")
    refused = streamkit.mutated(whole, (Step.parse("messages_delta_after_stop"),))
    stream = Stream.of(refused, "anthropic_messages")
    with pytest.raises(Inapplicable, match="where it ends cannot be said"):
        is_over(stream, len(stream.events))
    with pytest.raises(Inapplicable, match="where it ends cannot be said"):
        unfinished(stream)


def test_a_stream_that_is_cut_off_is_not_over() -> None:
    whole = streamkit.load("anthropic_messages/synthetic_text_and_call")
    stream = Stream.of(whole, "anthropic_messages")
    assert not is_over(stream, 3)
    assert is_over(stream, len(stream.events))


def test_what_is_made_of_a_stream_once_is_made_of_another_stream_anew() -> None:
    made = []

    def count(stream: Stream) -> int:
        made.append(len(stream.events))
        return len(stream.events)

    stream = Stream.of(streamkit.load("anthropic_messages/synthetic_text_and_call"), "anthropic_messages")
    assert [len(stream.events)] * 2 == [stream.once(count), stream.once(count)]
    assert len(stream.events) - 1 == stream.replaced(0).once(count)
    assert [len(stream.events), len(stream.events) - 1] == made
