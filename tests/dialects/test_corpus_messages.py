"""Messages streams that others recorded: all are read, and the anthropic library agrees or we say why it does not.

A disagreement is explained by a repair: the recording is rewritten so that one peculiarity is gone, and then the
library's own accumulator must give what streamkit gave for the recording as it was.
"""

from __future__ import annotations

import base64
import copy
import json
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from skhelpers.corpus import Recording, needs_corpus, recordings

from streamkit.completion import Completion
from streamkit.dialects.anthropic_messages import AnthropicMessages, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, ProviderError
from streamkit.transcript import Transcript
from streamkit.wire.sse import Framing, decode

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_corpus

Json = dict[str, Any]

# The only recording that is no message: an `error` event of type overloaded_error, in the middle of the text.
OVERLOADED = (
    "anthropic/anthropic.messages/ruby_llm--chat_streaming_responses_anthropic_claude-3-5-haiku-20241022_supports_"
    "streaming_error_even--0-f227daa6.sse"
)
# Rebuilt by their recorder from several answers; each is a message of its own.
SEVERAL = {
    "anthropic/anthropic.messages/ai--anthropic-programmatic-tool-calling--0-be11e744.sse": 15,
    "anthropic/anthropic.messages/ai--anthropic-tool-search-deferred-bm25--0-887c8271.sse": 3,
}


DONE = {"type": "data"}  # stands for `event: data` with [DONE]


def unpacked(body: bytes) -> bytes:
    """Return Bedrock's events, each in a frame of the AWS event stream and in base64, as server-sent events."""
    found, at = [], 0
    while at < len(body):
        total, headers = struct.unpack(">II", body[at : at + 8])
        payload = base64.b64decode(json.loads(body[at + 12 + headers : at + total - 4])["bytes"])
        found.append(sse(json.loads(payload)))
        at += total
    return b"".join(found)


def messages() -> list[tuple[str, bytes]]:
    """Return name and body of every recording, Bedrock's unpacked."""
    found = [(recording.name, recording.body) for recording in recordings(".sse", "messages")]
    bedrock: tuple[Recording, ...] = recordings(".eventstream", "messages")
    return [*found, *((recording.name, unpacked(recording.body)) for recording in bedrock)]


def sse(*payloads: Json) -> bytes:
    data = [("[DONE]" if payload == DONE else json.dumps(payload), payload["type"]) for payload in payloads]
    return b"".join(f"event: {name}\ndata: {text}\n\n".encode() for text, name in data)


def payloads(body: bytes) -> list[Json]:
    return [DONE if event.data == "[DONE]" else json.loads(event.data) for event in decode(body)]


def outcome(*chunks: bytes) -> Completion | DialectError:
    reader = Reader()
    try:
        for chunk in chunks:
            reader.feed(chunk)
        reader.close()
        return reader.result()
    except DialectError as error:
        return error


def read(body: bytes) -> Completion:
    result = outcome(body)
    assert isinstance(result, Completion), result
    return result


# Every recording by itself


def test_every_recording_is_a_message_but_for_the_one_that_failed() -> None:
    results = {name: outcome(body) for name, body in messages()}
    assert 86 == len(results)
    assert {OVERLOADED: ProviderError} == {n: type(r) for n, r in results.items() if isinstance(r, DialectError)}
    assert all(result.ended for result in results.values() if isinstance(result, Completion))


def test_the_error_that_was_recorded_keeps_its_type_and_what_came_before_it() -> None:
    error = outcome(dict(messages())[OVERLOADED])
    assert isinstance(error, ProviderError)
    assert "overloaded_error" == error.code
    assert error.partial.content
    assert not error.partial.ended


def test_the_recordings_of_messages_are_detected_and_no_others() -> None:
    dialect = AnthropicMessages()
    found = {r.name for r in recordings(".sse") if dialect.detect(Transcript(r.body))}
    assert {recording.name for recording in recordings(".sse", "messages")} == found


def test_no_recording_depends_on_its_chunks() -> None:
    for name, body in messages():
        whole, cut = outcome(body), outcome(*(body[at : at + 7] for at in range(0, len(body), 7)))
        assert type(whole) is type(cut), name
        partial = (whole.partial, str(whole)) if isinstance(whole, DialectError) else whole
        assert partial == ((cut.partial, str(cut)) if isinstance(cut, DialectError) else cut), name


def test_nothing_of_a_recording_is_executable_before_its_stop_reason() -> None:
    for name, body in messages():
        reader = Reader()
        for payload in payloads(body):
            if payload["type"] == "message_stop" or (payload.get("delta") or {}).get("stop_reason"):
                break
            if payload["type"] == "error":
                continue
            reader.feed(sse(payload))
            seen = reader.snapshot()
            assert not seen.ended, name
            assert not any(call.executable for call in seen.tool_calls), name


def test_nothing_of_a_recording_is_lost() -> None:
    """Invariant: every text that a delta brought is in the completion, and so is every field of every block."""
    for name, body in messages():
        if name == OVERLOADED or name in SEVERAL:
            continue
        completion = read(body)
        choice = completion.choices[0]
        deltas = [payload["delta"] for payload in payloads(body) if payload["type"] == "content_block_delta"]
        text = "".join(delta.get("text", "") for delta in deltas)
        assert (text or None) == (choice.content or None), name
        assert "".join(delta.get("thinking", "") for delta in deltas) == (choice.reasoning or ""), name
        kept = json.dumps([choice.extra, [(call.arguments, call.extra) for call in choice.tool_calls]])
        for delta in deltas:
            for field in ("signature", "citation"):
                assert field not in delta or json.dumps(delta[field]) in kept, name
        for start in (payload for payload in payloads(body) if payload["type"] == "content_block_start"):
            for key, value in start["content_block"].items():
                given = (key, value) if key in ("content", "data", "caller", "tool_use_id", "server_name") else None
                assert given is None or f"{json.dumps(key)}: {json.dumps(value)}" in kept, name


def test_calls_resumed_by_code_execution_come_whole_in_message_start() -> None:
    body = next(recording.body for recording in recordings(".sse", "messages") if recording.name in SEVERAL)
    several: list[list[Json]] = []
    for payload in payloads(body):
        if payload["type"] == "message_start":
            several.append([])
        several[-1].append(payload)
    completions = [read(sse(*one)) for one in several]
    assert 15 == len(completions)
    assert ["tool_use"] * 14 + ["end_turn"] == [completion.finish_reason for completion in completions]
    assert [1] * 14 + [0] == [sum(call.executable for call in one.tool_calls) for one in completions]
    assert '{"player":"player2"}' == completions[1].tool_calls[0].arguments


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(token_size=1, calls="interleaved", keep_alive=True, chunk="whole"),
        Layout(token_size=64, calls="whole", framing=Framing(line_end=b"\r\n", space=False, bom=True)),
    ],
    ids=["default", "interleaved", "whole"],
)
def test_every_recording_can_be_written_again(layout: Layout) -> None:
    for name, body in messages():
        if name != OVERLOADED:
            completion = read(body)
            assert completion == outcome(*AnthropicMessages().emit(completion, layout).fragment()), name


# The anthropic library

# Content, stop reason, stop sequence and usage.
View = tuple[list[Json], str | None, str | None, Json]


def ours(body: bytes) -> View:
    completion = read(body)
    choice = completion.choices[0]
    calls = iter(choice.tool_calls)
    entries = choice.extra.get("blocks")
    if entries is None:
        texts = (("thinking", choice.reasoning), ("text", choice.content))
        entries = [{"type": kind, kind: text} for kind, text in texts if text is not None]
        entries += [{"type": "tool_use"} for _ in choice.tool_calls]
    content = []
    for entry in entries:
        block = {key: value for key, value in entry.items() if key not in ("index", "delta")}
        if block["type"] == "tool_use":
            call = next(calls)
            block.update(id=call.id, name=call.name, input=json.loads(call.arguments or "{}"), **call.extra)
        elif "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json"))
        content.append(without_nothing(block))
    usage = without_nothing(dict(completion.usage or {}))
    return content, choice.finish_reason, choice.extra.get("stop_sequence"), usage


def theirs(body: bytes, *, beta: bool) -> View | str:
    """Return what the library's own stream helper accumulates, or the name of the exception it raises."""
    anthropic = pytest.importorskip("anthropic")
    import httpx2

    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    options = {"api_key": "-", "base_url": "http://recorded", "max_retries": 0, "http_client": transport}
    try:
        with anthropic.Anthropic(**options) as client:
            api = client.beta.messages if beta else client.messages
            with api.stream(model="-", max_tokens=1, messages=[]) as stream:
                stream.until_done()
                message = stream.current_message_snapshot
        content = [without_nothing(block.to_dict()) for block in message.content]
        return content, message.stop_reason, message.stop_sequence, without_nothing(message.usage.to_dict())
    except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take the stream
        return type(error).__name__


def without_nothing(value: Any) -> Any:
    """Leave out what is null or empty, which the library writes where nothing came."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item not in (None, "", [], {})}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


# The fields of message_delta's usage that the library takes over, by name.
KNOWN_COUNTS = {
    "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use",
    "output_tokens_details",
}  # fmt: skip


def keep_the_first_message(stream: list[Json]) -> None:
    del stream[next((n for n, p in enumerate(stream) if p["type"] == "message_stop"), len(stream)) + 1 :]


def leave_done_out(stream: list[Json]) -> None:
    if DONE in stream:
        stream.remove(DONE)
        count_at_the_start(stream)  # it has this peculiarity too


def count_at_the_start(stream: list[Json]) -> None:
    for payload in stream:
        if payload["type"] == "message_delta":
            for name in {*payload["usage"]} - KNOWN_COUNTS:
                stream[0]["message"]["usage"][name] = payload["usage"][name]


def give_input_at_the_start(stream: list[Json]) -> None:
    starts = {p["index"]: p["content_block"] for p in stream if p["type"] == "content_block_start"}
    for index, start in starts.items():
        deltas = [p["delta"] for p in stream if p["type"] == "content_block_delta" and p["index"] == index]
        if start["type"] == "mcp_tool_use":
            start["input"] = json.loads("".join(delta["partial_json"] for delta in deltas))


class Kind(NamedTuple):
    """A kind of disagreement: what makes it go away, in how many recordings each interface has it, and who is right."""

    repair: Callable[[list[Json]], None]
    files: int
    beta_files: int
    reason: str


KINDS = {
    "several messages": Kind(
        keep_the_first_message,
        2,
        2,
        "Several answers, joined by their recorder. The library goes on after message_stop and adds the blocks and "
        "deltas of the others to the first message, by index. The API's page: message_stop ends the stream.",
    ),
    "[DONE]": Kind(
        leave_done_out,
        1,
        1,
        "OpenRouter closes with `event: data` and [DONE]. The library takes it for a payload and raises "
        "JSONDecodeError, after the whole message.",
    ),
    "usage of message_delta": Kind(
        count_at_the_start,
        7,
        3,
        "Three streams of a gateway give `cache_creation`, and four of the beta API `iterations`, in message_delta "
        "only. The library keeps the counts that it knows by name. All counts there are cumulative, so all are kept.",
    ),
    "input of MCP tools": Kind(
        give_input_at_the_start,
        3,
        0,
        "`messages.stream` joins the input of `tool_use` and `server_tool_use` alone, and leaves {} in `mcp_tool_use`; "
        "`beta.messages.stream` joins it too.",
    ),
}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("beta", [False, True], ids=["messages", "beta.messages"])
def test_the_anthropic_library_agrees_but_for_the_kinds_listed(beta: bool) -> None:
    pytest.importorskip("anthropic")
    kinds: Counter[str] = Counter()
    for name, body in messages():
        if name == OVERLOADED or ours(body) == theirs(body, beta=beta):
            continue
        explained = []
        for kind, (repair, *_) in KINDS.items():
            stream = payloads(body)
            repaired = copy.deepcopy(stream)
            repair(repaired)
            if repaired != stream and theirs(sse(*repaired), beta=beta) == ours(body):
                explained.append(kind)
        assert 1 == len(explained), (name, explained, ours(body), theirs(body, beta=beta))
        kinds[explained[0]] += 1
    assert {name: kind.beta_files if beta else kind.files for name, kind in KINDS.items()} == {
        name: kinds[name] for name in KINDS
    }


def test_the_anthropic_library_refuses_the_recording_that_failed() -> None:
    pytest.importorskip("anthropic")
    assert "APIStatusError" == theirs(dict(messages())[OVERLOADED], beta=False)
