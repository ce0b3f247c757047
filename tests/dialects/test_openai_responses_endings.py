"""The Responses dialect: when a stream has ended, what is an error, and what says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.responses_events import (
    CREATED,
    PARIS,
    Json,
    added,
    clock,
    completed,
    delta,
    done,
    message,
    read,
    text,
    weather,
)

from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError

# The end


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_no_call_of_an_incomplete_response_is_executable(reason: str) -> None:
    ending = completed(weather(PARIS), status="incomplete", incomplete_details={"reason": reason})
    for kind in ("response.incomplete", "response.completed"):
        completion = read(CREATED, done(weather(PARIS)), {**ending, "type": kind})
        assert (True, reason) == (completion.ended, completion.finish_reason)
        assert [False] == [call.executable for call in completion.tool_calls]


@pytest.mark.parametrize("tail", [[], ["[DONE]"], ["[DONE]", completed()]])
def test_a_stream_without_a_terminal_event_was_cut_off(tail: list[Json | str]) -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        read(CREATED, text("Hi"), done(weather(PARIS), 1), *tail)
    assert "Hi" == caught.value.partial.content
    assert (False, None) == (caught.value.partial.ended, caught.value.partial.finish_reason)
    assert [False] == [call.executable for call in caught.value.partial.tool_calls]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "error", "code": "server_error", "message": "m"}, "server_error"),
        ({"type": "error", "error": {"type": "t", "code": "c", "message": "m"}}, "c"),
        ({"error": {"type": "t", "message": "m"}}, "t"),
        ({"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "m"}}}, "c"),
        ({"type": "response.failed", "response": {"status": "failed", "error": None}}, "failed"),
        ({"type": "response.failed"}, "failed"),
        ({"type": "response.completed", "response": {"status": "failed"}}, "failed"),
    ],
)
def test_an_error_is_raised_with_its_code_and_what_came_before(event: Json, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        read(CREATED, text("Hi"), done(weather(PARIS), 1), event, completed())
    assert code == caught.value.code
    assert ("Hi", False) == (caught.value.partial.content, caught.value.partial.ended)
    assert [False] == [call.executable for call in caught.value.partial.tool_calls]


def test_an_error_after_the_end_is_raised_too() -> None:
    with pytest.raises(ProviderError):
        read(CREATED, completed(), {"type": "error", "message": "m"})


@pytest.mark.parametrize(
    "events",
    [
        [CREATED, {**CREATED, "response": {"id": "resp_2"}}],
        [CREATED, completed(), {**CREATED, "response": {"id": "resp_2"}}],
        [CREATED, text("Hi"), CREATED, completed()],
    ],
)
def test_two_responses_in_one_stream_are_an_error(events: list[Json]) -> None:
    with pytest.raises(PayloadError, match="begins"):
        read(*events)


@pytest.mark.parametrize(
    "event",
    [
        "nonsense",
        "[1]",
        '{"type":"response.mood","x":NaN}',
        "[" * 100_000,
        '{"a":' * 150 + "1" + "}" * 150,
        {"object": "chat.completion.chunk", "choices": []},
        delta("x") | {"delta": 5},
        delta("x") | {"output_index": -1},
        delta("x") | {"output_index": True},
        delta("x") | {"output_index": "0"},
        text("x") | {"content_index": 1.5},
        text("x") | {"item_id": 5},
        added({}) | {"item": "x"},
        added({"type": 5}),
        added(message(5)),  # type: ignore[arg-type]
        added(weather(5)),  # type: ignore[arg-type]
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": "x"},
        {"type": "response.completed", "response": "x"},
        completed(usage=5),
        completed(id=5),
        completed(output="x"),
        completed(output=[5]),
    ],
)
def test_an_event_of_the_wrong_shape_is_a_typed_error(event: Json | str) -> None:
    with pytest.raises(PayloadError) as caught:
        read(CREATED, text("Hi"), event)
    assert "Hi" == caught.value.partial.content


@pytest.mark.parametrize(
    "event",
    [
        {"type": "keepalive", "sequence_number": 3},
        {"type": "ping"},
        {},
        "  ",
        {"type": "response.dream_call.delta", "output_index": 9, "delta": {"x": 1}},
        {"type": "response.output_item.added", "output_index": 4, "item": None},
        {"type": "response.web_search_call.searching", "output_index": 4, "item_id": "ws_1"},
        {"type": "response.image_generation_call.partial_image", "output_index": 4, "partial_image_b64": "x"},
        {"type": "response.in_progress", "response": {"id": "resp_other"}},
    ],
)
def test_an_event_that_says_nothing_changes_nothing(event: Json | str) -> None:
    assert read(CREATED, text("Hi"), completed()) == read(CREATED, event, text("Hi"), event, completed())


# Whatever comes


@given(
    st.lists(
        st.sampled_from([
            CREATED, added(weather()), added(clock(), 1), delta('{"a":'), delta("1}", 1), delta("{}", item_id="fc_2"),
            done(weather(PARIS)), done(clock("{}"), 1), done(clock("{}"), 0), text("Hi"), text("Hi", output_index=1),
            added(message()), done(message({"type": "output_text", "text": "Hi"}), 2), completed(),
            completed(weather(PARIS)), completed(message(), clock("{}")),
            {"type": "error", "message": "m"},
            {"type": "response.incomplete"},
        ]),
        max_size=9,
    )
)  # fmt: skip
def test_any_order_of_events_is_a_completion_or_a_typed_error(events: list[Json]) -> None:
    """Invariant: nothing is executable without a good end, and no arguments hold the bytes of two calls."""
    try:
        completion = read(*events)
    except DialectError as error:
        completion = error.partial
        assert not completion.ended
    for call in completion.tool_calls:
        assert not call.executable or "completed" == completion.finish_reason
        assert not call.executable or call.arguments in (PARIS, "{}", '{"a":1}')
