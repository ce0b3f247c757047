"""Each mutation of Messages does what it says, and the dialect's own reader does what is right about it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.anthropic_messages import AnthropicMessages, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.mutations import anthropic_faults, anthropic_messages, anthropic_variants, jsontext, other_added
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Stream
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (anthropic_messages, anthropic_variants, anthropic_faults)
MUTATIONS = {one.name: one for module in MODULES for one in vars(module).values() if isinstance(one, Mutation)}

Json = dict[str, Any]


def completion(*calls: ToolCall, reason: str = "tool_use", **fields: Any) -> Completion:
    usage = {"input_tokens": 3, "output_tokens": 9}
    part = Choice(0, tool_calls=calls, finish_reason=reason, **fields)
    return Completion((part,), usage, "msg_1", "claude", ended=True)


SIGNED = [
    {"type": "thinking", "index": 0, "thinking": "Think", "signature": "EqQB"},
    {"type": "tool_use", "index": 1},
    {"type": "server_tool_use", "index": 2, "id": "srvtoolu_1", "name": "web_search", "partial_json": '{"q": 1}'},
    {"type": "web_search_tool_result", "index": 3, "content": [{"url": "x"}]},
    {"type": "text", "index": 4, "text": "Cited text", "citations": [{"cited_text": "x"}]},
    {"type": "tool_use", "index": 5},
]
TWO = (
    ToolCall("toolu_1", "weather", '{"city": "Paris"}', index=1),
    ToolCall("toolu_2", "weather", '{"city": "Rome"}', index=2),
)
COMPLETIONS = {
    "text": completion(reason="end_turn", content="Hello there"),
    "calls": completion(*TWO, content="Hello"),
    "no arguments": completion(ToolCall("toolu_1", "now", "", index=0)),
    "everything": completion(
        ToolCall("toolu_1", "weather", '{"city": "Paris"}', index=1, extra={"caller": {"type": "direct"}}),
        ToolCall("toolu_2", "weather", '{"city": "Rome"}', index=5),
        content="Cited text",
        reasoning="Think",
        extra={"blocks": SIGNED},
    ),
}


def stream_of(name: str, layout: Layout | None = None) -> Stream:
    return Stream.of(AnthropicMessages().emit(COMPLETIONS[name], layout or Layout()))


def outcome(body: bytes) -> Completion | DialectError:
    reader = Reader()
    try:
        reader.feed(body)
        reader.close()
        return reader.result()
    except DialectError as error:
        return error


def edits(mutation: Mutation, stream: Stream, most: int) -> Iterator[Edit]:
    for numbers in mutation.variants(stream, most):
        try:
            yield mutation.apply(stream, numbers)
        except Inapplicable:
            continue


#: Of the dialect class, and our own reader gives the typed error.
REFUSED = {
    "messages_delta_after_stop", "messages_no_block_start", "messages_no_message_start", "messages_started_over",
    "messages_strange_index",
}  # fmt: skip


def check(mutation: Mutation, edit: Edit, original: Completion) -> None:
    """Assert that the reader does what is right about an edit."""
    result = outcome(edit.stream.body())
    about = f"{mutation.name}: {edit.said}"
    if mutation.kind is Class.FAULT or mutation.name in REFUSED:
        assert isinstance(result, DialectError), about
        assert not result.partial.ended, about
        assert not any(one.executable for one in result.partial.tool_calls), about
        return
    assert mutation.kind is Class.DIALECT or edit.expected is None, about
    expected = edit.expected(original) if edit.expected is not None else original
    assert expected == result, about


@pytest.mark.parametrize("name", COMPLETIONS)
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_the_reader_does_what_is_right_about_every_edit(mutation: Mutation, name: str) -> None:
    """Invariant: the same result, the stated one, or a typed error with nothing executable: as the class says."""
    for layout in (Layout(), Layout(token_size=1, calls="interleaved", keep_alive=True), Layout(calls="whole")):
        for edit in edits(mutation, stream_of(name, layout), most=200):
            check(mutation, edit, COMPLETIONS[name])


def transcript_of(body: bytes) -> Transcript:
    return Transcript(body)


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS.keys())
def test_every_mutation_says_what_it_is_and_has_something_to_do(mutation: Mutation) -> None:
    assert mutation.name.startswith("messages_")
    assert ("anthropic_messages",) == mutation.dialects
    assert mutation.sources
    assert any(list(edits(mutation, stream_of(name), most=3)) for name in COMPLETIONS)


def test_another_dialects_stream_is_left_alone() -> None:
    stream = Stream.of(AnthropicMessages().emit(COMPLETIONS["calls"], Layout()), "openai_chat")
    for mutation in MUTATIONS.values():
        with pytest.raises(Inapplicable, match="it knows anthropic_messages"):
            mutation.apply(stream)


def test_a_stream_without_what_is_edited_is_left_alone() -> None:
    stream = Stream.of(transcript_of(b'data: {"type":"ping"}\n\n'), "anthropic_messages")
    for mutation in MUTATIONS.values():
        with pytest.raises(Inapplicable):
            mutation.apply(stream)


# What single mutations do


def kinds(edit: Edit) -> list[str]:
    """Return index and type of each event, pings and the message's own left out."""
    found = [payload for _, payload in edit.stream.payloads if "index" in payload]
    return [f"{payload['index']} {payload['type'].removeprefix('content_block_')}" for payload in found]


def apply(name: str, stream: str, *numbers: int, layout: Layout | None = None) -> Edit:
    return MUTATIONS[name].apply(stream_of(stream, layout), numbers)


def deltas(edit: Edit, index: int) -> list[str]:
    """Return the text of each delta of a block."""
    found = [p["delta"] for _, p in edit.stream.payloads if p.get("index") == index and "delta" in p]
    return [next(value for key, value in delta.items() if key != "type") for delta in found]


def test_a_delta_is_split_at_any_character() -> None:
    whole = Layout(token_size=99)
    assert ["H", "ello there"] == deltas(apply("messages_split_delta", "text", layout=whole), 0)
    assert ["Hel", "lo there"] == deltas(apply("messages_split_delta", "text", 0, 2, layout=whole), 0)


def test_the_deltas_of_a_block_become_one() -> None:
    assert ["Hello"] == deltas(apply("messages_merge_deltas", "calls"), 0)
    assert ['{"city": "Paris"}'] == deltas(apply("messages_merge_deltas", "calls", 1), 1)


def test_the_empty_delta_of_a_call_is_left_out_and_added() -> None:  # anthropics/anthropic-sdk-java#295
    assert [] == deltas(apply("messages_no_empty_delta", "no arguments"), 0)
    assert ["", ""] == deltas(apply("messages_empty_delta", "no arguments"), 0)


def test_two_blocks_are_interleaved() -> None:  # aaif-goose/goose#11637
    edit = apply("messages_interleaved", "calls", 0, layout=Layout(token_size=8))
    turns = ["0 start", "1 start", "0 delta", "1 delta", *["1 delta"] * 3, "0 stop", "1 stop"]
    assert turns == [kind for kind in kinds(edit) if not kind.startswith("2")]


def test_blocks_of_one_id_are_not_interleaved() -> None:  # the second is an error, and would come before the deltas
    stream = stream_of("calls")
    ids = re.findall(rb'"id": ?"(toolu[^"]*|call[^"]*)"', stream.body())
    assert len(ids) >= 2
    body = stream.body()
    for other in ids[1:]:
        body = body.replace(other, ids[0])
    doubled = Stream.of(Transcript(body, dialect="anthropic_messages"))
    before = outcome(doubled.body())
    assert isinstance(before, PayloadError)
    for edit in edits(MUTATIONS["messages_interleaved"], doubled, most=20):
        after = outcome(edit.stream.body())
        assert isinstance(after, PayloadError)
        assert before.partial == after.partial


def test_the_first_block_comes_second() -> None:  # anthropics/anthropic-sdk-python#1145
    found = kinds(apply("messages_blocks_out_of_order", "calls"))
    assert found.index("1 stop") < found.index("0 start") < found.index("2 start")


@pytest.mark.parametrize(("numbers", "expected"), [((), [0, 3, 6]), ((1,), [1, 2, 3])])
def test_the_indexes_have_gaps(numbers: tuple[int, ...], expected: list[int]) -> None:
    found = kinds(apply("messages_index_gaps", "calls", *numbers))
    assert expected == [int(kind.split()[0]) for kind in found if kind.endswith("start")]


@pytest.mark.parametrize(("numbers", "left"), [((), 0), ((0, 1), 6)])
def test_the_input_stands_at_the_start_alone_or_with_the_deltas(numbers: tuple[int, ...], left: int) -> None:
    edit = apply("messages_input_at_start", "calls", *numbers)
    start = next(p for _, p in edit.stream.payloads if p["type"] == "content_block_start" and p["index"] == 1)
    assert ({"city": "Paris"}, left) == (start["content_block"]["input"], len(deltas(edit, 1)))


def test_cut_off_arguments_are_closed_and_have_their_stop_reason() -> None:  # anthropics/anthropic-sdk-python#794
    edit = apply("messages_cut_arguments", "calls")
    assert ["", '{"ci', 'ty":', ' "Ro'] == deltas(edit, 2)
    assert "2 stop" == kinds(edit)[-1]
    result = outcome(edit.stream.body())
    assert isinstance(result, Completion)
    assert ("max_tokens", [False, False]) == (result.finish_reason, [one.executable for one in result.tool_calls])


@pytest.mark.parametrize("name", ["messages_error", "messages_error_without_name", "messages_error_text"])
def test_an_error_is_the_providers_error(name: str) -> None:
    for edit in edits(MUTATIONS[name], stream_of("everything"), most=200):
        assert isinstance(outcome(edit.stream.body()), ProviderError), edit.said


def test_an_error_comes_with_a_name_and_without() -> None:
    for name, expected in (("messages_error", "error"), ("messages_error_without_name", None)):
        edit = apply(name, "calls")
        assert (expected, "overloaded_error") == (
            edit.stream.events[-1].name,
            edit.stream.events[-1].payload["error"]["type"],
        )


def test_a_stream_is_cut_after_every_event_before_the_stop_reason() -> None:
    stream = stream_of("calls")
    found = [len(edit.stream.events) for edit in edits(MUTATIONS["messages_cut"], stream, most=200)]
    assert list(range(1, len(stream.events) - 1)) == sorted(found)
    for edit in edits(MUTATIONS["messages_cut"], stream, most=200):
        assert isinstance(outcome(edit.stream.body()), TruncatedStreamError)


BROKEN = REFUSED | {"messages_text_for_a_call"}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_goes_astray_breaks_the_rules_of_the_api(name: str) -> None:
    found = [outcome(edit.stream.body()) for edit in edits(MUTATIONS[name], stream_of("everything"), most=50)]
    assert {PayloadError} == {type(result) for result in found}


def test_text_is_sent_to_a_call() -> None:  # sgl-project/sglang#24293
    edit = apply("messages_text_for_a_call", "calls")
    assert "Let me see." == deltas(edit, 1)[-1]


def test_events_lose_their_names_and_nothing_else() -> None:
    edit = apply("messages_no_names", "calls")
    before = stream_of("calls")
    assert b"event:" not in edit.stream.body()
    assert [event.data for event in before.events] == [event.data for event in edit.stream.events]


def test_data_that_are_no_utf8_stay_so_where_the_names_of_events_go() -> None:
    broken = jsontext.bad_utf8.apply(stream_of("calls")).stream
    edit = MUTATIONS["messages_no_names"].apply(broken)
    assert edit.stream.body().count(b"event:") == sum(event.lossy for event in broken.events) == 1
    assert isinstance(outcome(edit.stream.body()), PayloadError)


def test_new_events_are_named_where_the_stream_names_its_own() -> None:
    named = apply("messages_ping", "calls").stream
    bare = MUTATIONS["messages_ping"].apply(apply("messages_no_names", "calls").stream).stream
    assert b'event: ping\ndata: {"type":"ping"}\n\n' in named.body()
    assert b'\n\ndata: {"type":"ping"}\n\n' in bare.body()


def test_usage_that_comes_early_is_smaller() -> None:
    edit = apply("messages_two_message_deltas", "text")
    counts = [p["usage"]["output_tokens"] for _, p in edit.stream.payloads if p["type"] == "message_delta"]
    assert [4, 9] == counts


def test_a_block_with_a_delta_behind_its_stop_is_not_moved() -> None:
    late = MUTATIONS["messages_delta_after_stop"].apply(stream_of("calls")).stream
    assert isinstance(outcome(late.body()), PayloadError)
    for name in ("messages_interleaved", "messages_blocks_out_of_order", "messages_merge_deltas"):
        for edit in edits(MUTATIONS[name], late, most=20):
            assert isinstance(outcome(edit.stream.body()), PayloadError), (name, edit.said)


@pytest.mark.parametrize(
    "name", ["messages_merge_deltas", "messages_input_at_start", "messages_no_message_stop", "messages_split_delta"]
)
def test_what_further_fields_say_is_not_lost(name: str) -> None:
    base = other_added.unknown_fields_of_events.apply(stream_of("calls"))
    original = outcome(base.stream.body())
    assert isinstance(original, Completion)
    for edit in edits(MUTATIONS[name], base.stream, most=20):
        check(MUTATIONS[name], edit, original)


def test_only_the_first_of_several_messages_is_edited() -> None:
    once = stream_of("calls").body()
    both = Stream.of(transcript_of(once + stream_of("text").body()), "anthropic_messages")
    for mutation in MUTATIONS.values():
        for edit in edits(mutation, both, most=3):
            check(mutation, edit, COMPLETIONS["calls"])


def test_payloads_that_are_not_edited_keep_their_bytes() -> None:
    spaced = stream_of("text").body().replace(b'"}\n', b'"   }\n')
    edit = MUTATIONS["messages_ping"].apply(Stream.of(transcript_of(spaced), "anthropic_messages"))
    assert spaced == edit.stream.body().replace(
        b"event: ping\ndata: " + json.dumps({"type": "ping"}, separators=(",", ":")).encode() + b"\n\n", b""
    )
