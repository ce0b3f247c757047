"""Where a broken stream is broken: every dialect's errors name the event, its place in the body, and the JSON path."""

from __future__ import annotations

import copy
import json
import pickle
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from skhelpers.delivery import always, drip

from streamkit import synthesize
from streamkit.dialects import accumulate, get, names
from streamkit.dialects.bedrock_converse_emit import event as message
from streamkit.dialects.layout import Layout
from streamkit.dialects.reader import json_path
from streamkit.errors import DialectError, MessageError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.wire.eventstream import Header, Message, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[str, int | None, int | None, str | None]


def sse(payload: Any, name: str = "") -> bytes:
    """Return one event."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + text + b"\n\n"


def line(payload: Any) -> bytes:
    """Return one line."""
    return (payload if isinstance(payload, bytes) else json.dumps(payload).encode()) + b"\n"


def framed(kind: str, payload: Any) -> bytes:
    """Return one message of an AWS event stream."""
    made = message(kind, payload if isinstance(payload, dict) else {})
    return encode(made if isinstance(payload, dict) else Message(made.headers, payload))


def chat(choice: Any) -> bytes:
    """Return a chat completion payload with one entry of `choices`."""
    return sse({"choices": [choice]})


def cohere(kind: str, **delta: Any) -> bytes:
    """Return an event of Cohere's about index 0."""
    return sse({"type": kind, "index": 0, "delta": delta}, kind)


#: Dialect, an event that is wrong, and the path of what is wrong in it.
WRONG: list[tuple[str, bytes, str]] = [
    ("openai_chat", chat({"delta": {"content": 5}}), "$.choices[0].delta.content"),
    ("openai_chat", sse({"choices": [{"delta": {}}, 5]}), "$.choices[1]"),
    ("openai_chat", sse({"choices": "x"}), "$.choices"),
    ("openai_chat", chat({"index": "0"}), "$.choices[0].index"),
    ("openai_chat", chat({"delta": {"tool_calls": [None, {"index": 0.5}]}}), "$.choices[0].delta.tool_calls[1].index"),
    (
        "openai_chat",
        chat({"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": 5}}]}}),
        "$.choices[0].delta.tool_calls[0].function.arguments",
    ),
    ("openai_chat", chat({"delta": {"content": ["a", 5]}}), "$.choices[0].delta.content[1]"),
    ("openai_chat", chat({"delta": {"function_call": {"name": 5}}}), "$.choices[0].delta.function_call.name"),
    ("openai_chat", sse({"choices": [], "usage": 5}), "$.usage"),
    ("openai_completions", chat({"text": 5}), "$.choices[0].text"),
    ("openai_completions", sse({"choices": [{"text": ""}, 5]}), "$.choices[1]"),
    ("openai_completions", chat({"delta": {"content": "a"}}), "$.choices[0].delta"),
    ("openai_responses", sse({"type": "response.output_text.delta", "output_index": 0, "delta": 5}), "$.delta"),
    ("openai_responses", sse({"type": "response.audio.delta", "delta": []}), "$.delta"),
    ("openai_responses", sse({"type": "response.completed", "response": {"output": [5]}}), "$.response.output[0]"),
    (
        "openai_responses",
        sse({"type": "response.output_item.done", "item": {"type": "message", "content": [{"text": 5}]}}),
        "$.item.content[0].text",
    ),
    ("openai_responses", sse({"type": "response.completed", "response": {"id": "r", "model": 5}}), "$.response.model"),
    (
        "anthropic_messages",
        sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}),
        "$.delta.text",
    ),
    ("anthropic_messages", sse({"type": "content_block_delta", "index": 7, "delta": {}}), "$.index"),
    ("anthropic_messages", sse({"type": "message_start", "message": {}}), "$.type"),
    ("anthropic_messages", sse({"type": "message_delta", "delta": {"stop_reason": 5}}), "$.delta.stop_reason"),
    (
        "anthropic_messages",
        sse({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": 5}}),
        "$.content_block.id",
    ),
    (
        "gemini",
        sse({"candidates": [{"content": {"parts": [{}, {"text": 5}]}}]}),
        "$.candidates[0].content.parts[1].text",
    ),
    ("gemini", sse({"candidates": [None, 5]}), "$.candidates[1]"),
    (
        "gemini",
        sse({"candidates": [{"content": {"parts": [{"functionCall": {"args": 5}}]}}]}),
        "$.candidates[0].content.parts[0].functionCall.args",
    ),
    ("ollama", line({"message": {"content": 5}, "done": False}), "$.message.content"),
    ("ollama", line({"message": {"tool_calls": [{}, 5]}, "done": False}), "$.message.tool_calls[1]"),
    ("ollama", line({"response": "", "done": 5}), "$.done"),
    ("bedrock_converse", framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 5}}), "$.delta.text"),
    ("bedrock_converse", framed("contentBlockDelta", {"contentBlockIndex": "0"}), "$.contentBlockIndex"),
    (
        "bedrock_converse",
        framed("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"name": "f"}}}),
        "$.start.toolUse.toolUseId",
    ),
    ("bedrock_converse", framed("messageStop", {"stopReason": ""}), "$.stopReason"),
    ("cohere_v2", cohere("content-delta", message={"content": {"text": 5}}), "$.delta.message.content.text"),
    ("cohere_v2", cohere("content-start", message={"content": {}}), "$.index"),
    ("cohere_v2", sse({"type": "message-start", "delta": {}}), "$.type"),
    (
        "cohere_v2",
        cohere("tool-call-start", message={"tool_calls": {"function": {"name": 5}}}),
        "$.delta.message.tool_calls.function.name",
    ),
]  # fmt: skip

EXCEPTION = encode(
    Message(
        (Header(":message-type", "exception"), Header(":exception-type", "throttlingException")), b'{"message":"boom"}'
    )
)
#: Dialect, an event that reports an error of the provider, and the path of the report.
REPORTS: list[tuple[str, bytes, str | None]] = [
    ("openai_chat", sse({"error": {"message": "boom"}}), "$.error"),
    ("openai_chat", sse({"errors": [{"message": "boom"}]}), "$.errors[0]"),
    ("openai_chat", chat({"delta": {}, "error": {"message": "boom"}}), "$.choices[0].error"),
    ("openai_chat", sse({"choices": [], "x_groq": {"error": "boom"}}), "$.x_groq.error"),
    ("openai_completions", sse({"error": "boom"}), "$.error"),
    ("openai_responses", sse({"type": "error", "message": "boom"}), "$"),
    ("openai_responses", sse({"type": "response.failed", "response": {"error": "boom"}}), "$.response.error"),
    ("anthropic_messages", sse({"type": "error", "error": {"message": "boom"}}, "error"), "$.error"),
    ("anthropic_messages", sse(b"boom", "error"), None),
    ("gemini", sse({"error": {"message": "boom", "code": 500}}), "$.error"),
    ("gemini", b'{"error": {"message": "boom", "code": 500}}\n', "$.error"),
    ("ollama", line({"error": "boom"}), "$.error"),
    ("bedrock_converse", EXCEPTION, "$"),
    ("cohere_v2", sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "boom"}}), "$.delta.error"),
]  # fmt: skip


def broken(name: str, text: bytes) -> bytes:
    """Return an event of the dialect's wire with data that is no payload."""
    wire = get(name).wire
    if wire == "eventstream":
        return framed("messageStop", text)
    return line(text) if wire == "ndjson" else sse(text)


def caught(name: str, chunks: Iterable[bytes]) -> DialectError:
    """Return the error that a stream ends in."""
    with pytest.raises(DialectError) as error:
        accumulate(chunks, dialect=name)
    return error.value


def place(name: str, chunks: Iterable[bytes]) -> Place:
    """Return the type of the error that a stream ends in, and where it says it is."""
    error = caught(name, chunks)
    return type(error).__name__, error.event, error.offset, error.path


def beginning(name: str) -> list[bytes]:
    """Return the first two events of a synthetic answer."""
    return [chunk.data for chunk in synthesize("Hello there", dialect=name).chunks[:2]]


@pytest.mark.parametrize(("name", "event", "path"), WRONG)
def test_a_wrong_value_is_placed_by_event_offset_and_path(name: str, event: bytes, path: str) -> None:
    before = beginning(name)
    body = b"".join([*before, event])
    found = always(body, lambda chunks: place(name, chunks), scan=0)
    assert ("PayloadError", 2, sum(map(len, before)), path) == found


@pytest.mark.parametrize(("name", "event", "path"), REPORTS)
def test_an_error_of_the_provider_is_placed_by_event_offset_and_path(name: str, event: bytes, path: str | None) -> None:
    before = beginning(name)
    body = b"".join([*before, event])
    found = always(body, lambda chunks: place(name, chunks), scan=0)
    assert ("ProviderError", 2, sum(map(len, before)), path) == found


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b"NaN", b'{"a":NaN}'])
@pytest.mark.parametrize("name", names())
def test_data_that_are_no_payload_are_placed_without_a_path(name: str, text: bytes) -> None:
    before = beginning(name)
    body = b"".join([*before, broken(name, text)])
    found = always(body, lambda chunks: place(name, chunks), scan=0)
    assert ("PayloadError", 2, sum(map(len, before)), None) == found


@pytest.mark.parametrize("name", names())
def test_events_that_say_nothing_are_counted_and_their_bytes_too(name: str) -> None:
    if get(name).wire == "sse":
        before = [b": hi\n\n", b"data: \n\n", b"\r\n\n", b"retry: 1\r\r"]
        event = 1
    elif get(name).wire == "ndjson":
        before, event = [b"\n", b" \r\n"], 0
    else:
        before, event = [framed("initial-response", {})], 1
    body = b"".join([*before, broken(name, b"{")])
    found = always(body, lambda chunks: place(name, chunks), scan=60)
    assert ("PayloadError", event, sum(map(len, before)), None) == found


@pytest.mark.parametrize(
    ("name", "foreign"),
    [pair for pair in permutations(names(), 2) if {*pair} != {"openai_chat", "openai_completions"}],
)
def test_the_stream_of_another_dialect_is_a_placed_error(name: str, foreign: str) -> None:
    body = synthesize("Hello there", dialect=foreign).body
    error = caught(name, [body])
    assert (True, True) == (error.event is not None, error.offset is not None)
    assert place(name, [body]) == place(name, drip(body))
    assert not error.partial.ended


@pytest.mark.parametrize(
    "noise", [b"", b"\0" * 40, b"<html><body>502 Bad Gateway</body></html>\n\n", bytes(range(256))]
)
@pytest.mark.parametrize("name", names())
def test_bytes_that_are_no_stream_are_a_placed_error(name: str, noise: bytes) -> None:
    kind, event, offset, path = always(noise, lambda chunks: place(name, chunks), scan=0)
    assert (True, 0, None) == (kind in ("TruncatedStreamError", "PayloadError", "MessageError"), event, path)
    assert offset is not None
    assert 0 <= offset <= len(noise)


@pytest.mark.parametrize("name", names())
def test_a_stream_cut_off_says_how_far_it_came(name: str) -> None:
    before = beginning(name)
    body = b"".join(before) + b" " * (get(name).wire != "eventstream")
    error = caught(name, [body])
    assert (TruncatedStreamError, 2, len(body), None) == (type(error), error.event, error.offset, error.path)


def test_a_broken_message_is_placed_by_its_number_and_offset() -> None:
    before = beginning("bedrock_converse")
    body = b"".join(before) + bytes(40)
    found = always(body, lambda chunks: place("bedrock_converse", chunks), scan=0)
    assert ("MessageError", 2, sum(map(len, before)), None) == found
    assert isinstance(caught("bedrock_converse", [body]), MessageError)


@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_elements_of_an_array_are_placed_in_the_body(lead: bytes) -> None:
    good = json.dumps({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}).encode()
    wrong = json.dumps({"candidates": [{"content": {"parts": [{"text": 5}]}}]}).encode()
    body = lead + b"[" + good + b",\n  " + wrong + b"]"
    found = always(body, lambda chunks: place("gemini", chunks), scan=0)
    assert ("PayloadError", 1, body.index(wrong), "$.candidates[0].content.parts[0].text") == found


@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_a_fault_of_an_array_is_placed_in_the_body(lead: bytes) -> None:
    good = json.dumps({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}).encode()
    body = lead + b"[" + good + b"; "
    assert ("PayloadError", 1, body.index(b";"), None) == always(body, lambda chunks: place("gemini", chunks), scan=0)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b" \n", b"data: {}\n\n", b"\xef\xbb\xbfdata: {}\n\n"])
@pytest.mark.parametrize("opening", [b"", b"[", b"[\n  "])
def test_a_bare_error_is_placed_in_the_body(start: bytes, opening: bytes) -> None:
    body = start + opening + b'{"error": {"message": "boom"}}'
    found = always(body, lambda chunks: place("gemini", chunks), scan=0)
    assert ("ProviderError", int(b"data" in start), body.index(b'{"error'), "$.error") == found


def test_events_after_a_byte_order_mark_and_with_any_line_end_are_placed_in_the_body() -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        before = b"\xef\xbb\xbf" + (b": hi" + end * 2 + b'data: {"choices":[]}' + end * 2) * 3 + end
        body = before + b"data: {" + end * 2
        found = always(body, lambda chunks: place("openai_chat", chunks), scan=0)
        assert ("PayloadError", 3, len(before), None) == found


def test_the_last_line_without_its_end_is_placed_too() -> None:
    before = line({"message": {"content": "a"}, "done": False})
    found = always(before + b'{"error":"boom"}', lambda chunks: place("ollama", chunks), scan=0)
    assert ("ProviderError", 1, len(before), "$.error") == found
    ended = line({"message": {"content": "a"}, "done": True})
    found = always(ended + b'{"x', lambda chunks: place("ollama", chunks), scan=0)
    assert ("PayloadError", 1, len(ended), None) == found


@pytest.mark.parametrize(("name", "event", "path"), [*WRONG[:1], *REPORTS])
def test_every_later_call_raises_the_same_error(name: str, event: bytes, path: str | None) -> None:
    reader = get(name).reader()
    with pytest.raises(DialectError) as first:
        reader.feed(b"".join([*beginning(name), event]))
    for call in (lambda: reader.feed(b""), lambda: reader.feed(event), reader.result):
        with pytest.raises(DialectError) as again:
            call()
        assert first.value is again.value
    reader.close()
    with pytest.raises(DialectError) as last:
        copy.deepcopy(reader).result()
    assert (2, path) == (last.value.event, last.value.path)
    assert last.value.partial == reader.snapshot()


def test_the_text_of_an_error_ends_with_its_place() -> None:
    before = beginning("openai_chat")
    offset = sum(map(len, before))
    error = caught("openai_chat", [*before, chat({"delta": {"content": 5}})])
    assert f"content is 5, where a string belongs (event 2 at byte {offset}, $.choices[0].delta.content)" == str(error)
    assert f"(event 2 at byte {offset})" in str(caught("openai_chat", [*before, sse(b"{")]))
    assert "no payload" == str(PayloadError("no payload"))


def test_an_error_holds_nothing_of_the_payload_but_what_it_says() -> None:
    error = caught("openai_chat", [chat({"delta": {"content": 5}})])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (error.event, error.offset, error.path, str(error)) == (again.event, again.offset, again.path, str(again))
    assert error.site is None
    assert isinstance(caught("openai_chat", [sse({"error": "x"})]), ProviderError)


def test_paths_are_written_as_rfc_9535_has_them() -> None:
    inner: dict[str, Any] = {"it's a \\": {}}
    payload = {"a": [{}, {"b-c": inner}]}
    assert "$.a[1]['b-c']['it\\'s a \\\\']" == json_path(payload, (inner, "it's a \\"))
    assert "$.a[1]['b-c']" == json_path(payload, (inner, None))
    assert "$" == json_path(payload, ({}, "a"))
    assert "$" == json_path(payload, None)


def test_a_layout_that_interleaves_changes_no_place() -> None:
    completion = accumulate(synthesize(tool_calls=[("f", {"a": 1}), ("g", {"b": 2})]))
    body = get("openai_chat").emit(completion, Layout(keep_alive=True)).body
    at = body.rindex(b"data: [DONE]")
    assert ("PayloadError", body.count(b"data: ", 0, at), at, None) == place("openai_chat", [body[:at] + sse(b"{")])
