"""The Responses dialect: how events become a completion, and which streams are its own."""

from __future__ import annotations

import copy

import pytest
from skhelpers.responses_events import (
    CREATED,
    PARIS,
    A,
    Json,
    added,
    calls_of,
    clock,
    completed,
    delta,
    done,
    message,
    read,
    read_bytes,
    sse,
    text,
    weather,
)

from streamkit.completion import ToolCall
from streamkit.dialects.openai_responses import OpenAIResponses, Reader
from streamkit.transcript import Request, Transcript

# Calls


@pytest.mark.parametrize(
    "events",
    [
        [added(weather()), delta(PARIS[:5]), delta(PARIS[5:]), done(weather(PARIS))],
        [added(weather()), done(weather(PARIS))],  # no deltas
        [added(weather()), delta(PARIS[:5]), done(weather(PARIS))],  # the rest only in the finished item
        [
            added(weather()),
            delta(PARIS),
            {**delta(""), "type": "response.function_call_arguments.done", "arguments": ""},
        ],
        [delta(PARIS[:5]), added(weather()), delta(PARIS[5:])],
        [added(weather()), delta(PARIS[:5]), delta(PARIS[:5]), done(weather(PARIS))],  # a delta twice
        [added(weather("{}")), delta(PARIS)],  # a placeholder
        [added(weather(PARIS)), delta(PARIS)],
        [added(weather(), None), delta(PARIS, None, item_id="fc_1")],  # found by the id alone
        [added(weather(), None), delta(PARIS, None)],  # found by neither
        [added(weather()), delta(PARIS, item_id="x"), done(weather(PARIS, id="y"))],  # Copilot's ids
        [done(weather(PARIS))],
        [],
    ],
)
def test_the_arguments_of_a_call_are_the_same_however_they_come(events: list[Json]) -> None:
    final = [weather(PARIS)] if not events else []  # an empty output takes nothing away
    assert [A] == calls_of(CREATED, *events, completed(*final))


def test_a_call_has_its_call_id_its_place_in_the_output_and_its_item_id() -> None:
    call = read(CREATED, done(weather(PARIS, namespace="n", status="completed"), 3), completed()).tool_calls[0]
    assert ToolCall("call_a", "w", PARIS, index=3, extra={"id": "fc_1", "namespace": "n"}) == call


def test_arguments_of_two_items_are_never_joined() -> None:
    events = [added(weather()), added(clock(), 1), delta('{"a":'), delta('{"b":', 1), delta("1}"), delta("2}", 1)]
    assert [("call_a", '{"a":1}', None), ("call_b", '{"b":2}', None)] == calls_of(CREATED, *events, completed())


@pytest.mark.parametrize("index", [0, None])
def test_two_calls_at_one_index_are_two_calls(index: int | None) -> None:
    events = [added(weather(), index), delta(PARIS, index, item_id="fc_1"), added(clock(), index)]
    events += [delta("{}", index, item_id="fc_2"), done(weather(PARIS), index), done(clock("{}"), index)]
    assert [A, ("call_b", "{}", None)] == calls_of(CREATED, *events, completed())


def test_an_id_that_is_known_wins_over_an_index() -> None:
    events = [added(weather()), added(clock(), 1), delta(PARIS, 1, item_id="fc_1"), done(clock("{}"), 1)]
    assert [A, ("call_b", "{}", None)] == calls_of(CREATED, *events, completed())


def test_a_custom_call_has_any_text_and_must_be_said_to_be_whole() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_c", "name": "code", "input": ""}
    event = {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "print(1)"}
    cut = read(CREATED, added(item), event, completed()).tool_calls[0]
    whole = read(CREATED, added(item), event, done(item), completed()).tool_calls[0]
    assert ("custom", "print(1)", False) == (cut.type, cut.arguments, cut.executable)
    assert ("custom", "print(1)", True) == (whole.type, whole.parsed(), whole.executable)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([added(weather())], "nothing said that they are whole"),
        ([done(weather(PARIS[:5]))], "not JSON"),
        ([done(weather("[1]"))], "no object"),
        ([done(weather(PARIS, status="incomplete"))], "its status is incomplete"),
        ([done(weather(PARIS, name=""))], "no name"),
        ([delta(PARIS)], "no name"),
        ([done(weather(PARIS)), done(clock("{}"), 1), completed(clock("{}"))], "the final response does not hold it"),
    ],
)
def test_a_call_that_is_not_whole_is_not_executable(events: list[Json], problem: str) -> None:
    call = read(CREATED, *events, completed()).tool_calls[0]
    assert not call.executable
    assert problem in (call.problem or "")


@pytest.mark.parametrize("status", ["completed", "in_progress", None])  # OpenAI: in_progress for calls of a program
def test_a_finished_call_is_executable(status: str | None) -> None:
    assert [("call_a", "", None)] == calls_of(CREATED, done(weather("", status=status)), completed())


# Texts and items


def test_texts_refusals_and_reasoning_are_joined() -> None:
    events = [
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"},
        {"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "Hmm"},
        text("Hel", output_index=1),
        text("lo", output_index=1),
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 1, "delta": "No"},
    ]
    choice = read(CREATED, *events, completed()).choices[0]
    assert ("Hmm", "Hello", "No", {}) == (choice.reasoning, choice.content, choice.refusal, choice.extra)


def test_the_last_whole_text_counts() -> None:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    events = [
        text("Hel"),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hell"},
        {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part},
        done(message({**part, "text": "Hello!"})),
    ]
    assert ["Hel", "Hell", "Hello", "Hello!"] == [
        read(CREATED, *events[: number + 1], completed()).content for number in range(4)
    ]
    assert "Bye" == read(CREATED, *events, completed(message({**part, "text": "Bye"}))).content


def test_the_parts_of_a_finished_item_are_all_its_parts() -> None:
    """Bedrock counts the parts of all items together."""
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    events = [text("Hel", content_index=1), text("lo", content_index=1), done(message(part))]
    choice = read(CREATED, *events, completed(message(part))).choices[0]
    assert ("Hello", {}) == (choice.content, choice.extra)
    assert "Hello" == read(CREATED, *events[:2], completed()).content
    assert "Hello" == read(CREATED, text("Hello"), text("!", content_index=7), done(message(part)), completed()).content


def test_an_item_that_says_more_than_its_text_is_kept_whole() -> None:
    cited = {"type": "url_citation", "url": "https://a"}
    part = {"type": "output_text", "text": "Hi", "annotations": []}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA="}
    annotation = {"type": "response.output_text.annotation.added", "output_index": 1, "content_index": 0}
    events = [added(reasoning), text("Hi", output_index=1), {**annotation, "annotation_index": 0, "annotation": cited}]
    completion = read(CREATED, *events, done(message(part), 1), completed())
    assert [
        {"output_index": 0, "item": reasoning},
        {
            "output_index": 1,
            "item": message({**part, "annotations": [cited]}) | {"content": [{**part, "annotations": [cited]}]},
        },
    ] == completion.choices[0].extra["items"]


@pytest.mark.parametrize(
    ("event", "field", "kind"),
    [
        ({"type": "response.mcp_call_arguments.delta", "delta": "{}"}, {"arguments": "{}"}, "mcp_call"),
        ({"type": "response.mcp_call.arguments.delta", "delta": {}}, {"arguments": "{}"}, "mcp_call"),
        ({"type": "response.code_interpreter_call_code.delta", "delta": "1"}, {"code": "1"}, "code_interpreter_call"),
        (
            {"type": "response.shell_call_command.delta", "command_index": 0, "delta": "ls"},
            {"action": {"commands": ["ls"]}},
            "shell_call",
        ),
        (
            {"type": "response.apply_patch_call_operation_diff.delta", "delta": "+a"},
            {"operation": {"diff": "+a"}},
            "apply_patch_call",
        ),
    ],
)
def test_the_deltas_of_other_tools_fill_their_items(event: Json, field: Json, kind: str) -> None:
    kept = read(CREATED, added({"type": kind, "id": "x"}), {**event, "output_index": 0}, completed())
    assert [{"output_index": 0, "item": {"type": kind, "id": "x", **field}}] == kept.choices[0].extra["items"]
    assert () == kept.tool_calls


def test_halves_of_a_surrogate_pair_are_joined() -> None:
    body = sse(CREATED, '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\\ud83d"}')
    body += sse(
        '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\\ude00"}', completed()
    )
    assert "\U0001f600" == read_bytes(body).content


def test_the_response_gives_its_facts() -> None:
    first = {**CREATED, "response": {"id": "resp_1", "model": "gpt-4o", "service_tier": "auto", "created_at": 1.0}}
    last = completed(service_tier="default", usage={"total_tokens": 3}, temperature=1.0, top_p=0.5, id="resp_9")
    limits = {"type": "response.rate_limits.updated", "rate_limits": {"limit_requests": "9"}}
    completion = read(first, last, limits)
    assert ("resp_1", "gpt-4o", 1, "default") == (
        completion.id, completion.model, completion.created, completion.service_tier,
    )  # fmt: skip
    assert {"total_tokens": 3} == completion.usage
    assert {"top_p": 0.5, "rate_limits": {"limit_requests": "9"}} == completion.extra


def test_a_reader_can_be_copied_anywhere() -> None:
    body = sse(CREATED, added(weather()), delta(PARIS[:5]), delta(PARIS[5:]), done(weather(PARIS)), completed())
    reader, expected = Reader(), read_bytes(body)
    for at in range(len(body)):
        if at % 97 == 0:
            other = copy.deepcopy(reader)
            other.feed(body[at:])
            assert expected == other.result()
        reader.feed(body[at : at + 1])
    assert expected == reader.result()


# Detection


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("https://api.openai.com/v1/responses?x=1", b"", True),
        ("https://api.openai.com/v1/chat/completions", b"data: {}\n\n", False),
        ("", sse(CREATED), True),
        ("", sse({"type": "keepalive"}, CREATED), True),
        ("", sse({"choices": []}, CREATED), False),
        ("", sse({"type": "message_start"}), False),
        ("", b'event: response.created\ndata: {"type":"response.created","x":"' + b"x" * 70_000, True),
        ("", b'data: {"x":"' + b"x" * 70_000, False),
        ("", b"", False),
    ],
)
def test_a_stream_is_detected_by_its_request_or_its_first_payloads(url: str, body: bytes, expected: bool) -> None:
    transcript = Transcript(body, request=Request("POST", url) if url else None)
    assert expected is OpenAIResponses().detect(transcript)
