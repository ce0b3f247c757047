"""ConverseStream and Cohere v2 as others recorded them: read whole, and held to the providers' own libraries.

botocore parses the messages and their payloads, the cohere library the events; neither folds them into an answer, so
the fold here is a plain one of a few lines, over what the library hands out.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings

from streamkit.completion import Completion
from streamkit.dialects.bedrock_converse import BedrockConverse
from streamkit.dialects.cohere_v2 import CohereV2
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError
from streamkit.transcript import Request, Transcript
from streamkit.wire.eventstream import decode
from streamkit.wire.sse import decode as decode_sse

pytestmark = needs_corpus

Dialect = BedrockConverse | CohereV2
BOTH = [(BedrockConverse(), ".eventstream", "bedrock.converse", 25), (CohereV2(), ".sse", "cohere.v2", 11)]
each_dialect = pytest.mark.parametrize(("dialect", "suffix", "name", "count"), BOTH, ids=["bedrock", "cohere"])

# What differs from a plain fold of botocore's events, and how often. We are right: the service's model has the type
# "server_tool_use" for calls that the service itself runs, and the answer goes on after their results.
EXPECTED_DISAGREEMENTS = {
    "a call of type server_tool_use, which the provider ran itself: not one for the client": 1,
}


def bodies(suffix: str, dialect: str) -> list[tuple[str, bytes]]:
    return [(one.name, one.body) for one in recordings(suffix) if one.meta["dialect"] == dialect]


def accumulated(dialect: Dialect, body: bytes, size: int = 2**30) -> Completion:
    reader = dialect.reader()
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    reader.close()
    return reader.result()


# Every recording by itself


@each_dialect
def test_every_recording_is_a_completion(dialect: Dialect, suffix: str, name: str, count: int) -> None:
    completions = [accumulated(dialect, body) for _, body in bodies(suffix, name)]
    assert count == len(completions)
    assert all(one.ended and one.finish_reason and one.usage for one in completions)
    assert not any("unknown_events" in one.extra for one in completions)


@each_dialect
def test_every_call_of_a_recording_is_executable(dialect: Dialect, suffix: str, name: str, count: int) -> None:
    calls = [call for _, body in bodies(suffix, name) for call in accumulated(dialect, body).tool_calls]
    assert {"bedrock.converse": 5, "cohere.v2": 4}[name] == len(calls)
    assert [None] * len(calls) == [call.problem for call in calls]


@each_dialect
def test_the_recordings_are_detected_and_no_others(dialect: Dialect, suffix: str, name: str, count: int) -> None:
    found, asked = Counter[str](), Counter[str]()
    for kind in (".sse", ".eventstream", ".ndjson", ".jsonarray"):
        for one in recordings(kind):
            found[one.meta["dialect"]] += dialect.detect(Transcript(one.body))
            url = (one.meta.get("request") or {}).get("url")
            if url:
                asked[one.meta["dialect"]] += dialect.detect(Transcript(one.body, request=Request("POST", url)))
    assert {name: count} == {key: value for key, value in found.items() if value}
    assert {name} == {key for key, value in asked.items() if value}


@each_dialect
def test_no_recording_depends_on_its_chunks(dialect: Dialect, suffix: str, name: str, count: int) -> None:
    for recording, body in bodies(suffix, name):
        assert accumulated(dialect, body) == accumulated(dialect, body, 7), recording


@each_dialect
def test_what_is_written_for_a_recording_accumulates_to_the_same(
    dialect: Dialect, suffix: str, name: str, count: int
) -> None:
    layouts = [Layout(), Layout(token_size=1, calls="interleaved"), Layout(calls="whole", chunk="whole", token_size=99)]
    for recording, body in bodies(suffix, name):
        completion = accumulated(dialect, body)
        for layout in layouts:
            assert completion == accumulated(dialect, dialect.emit(completion, layout).body), recording


@each_dialect
def test_nothing_of_a_recording_is_finished_before_its_last_event_but_one(
    dialect: Dialect, suffix: str, name: str, count: int
) -> None:
    for recording, body in bodies(suffix, name):
        end = body.index(b"messageStop") if suffix == ".eventstream" else body.index(b"event: message-end")
        for at in range(0, end, 1 + end // 25):
            reader = dialect.reader()
            reader.feed(body[:at])
            seen = reader.snapshot()
            assert not seen.ended, recording
            assert not any(call.executable for call in seen.tool_calls), recording


def test_a_body_of_invoke_with_response_stream_is_refused_by_name() -> None:
    others = [one for one in recordings(".eventstream") if one.meta["dialect"] != "bedrock.converse"]
    assert 43 == len(others)
    for one in others:
        with pytest.raises(PayloadError, match="InvokeModelWithResponseStream"):
            accumulated(BedrockConverse(), one.body)


@each_dialect
def test_a_recording_that_is_cut_off_anywhere_never_looks_finished(
    dialect: Dialect, suffix: str, name: str, count: int
) -> None:
    for recording, body in bodies(suffix, name):
        last = decode_sse(body)[-1] if suffix == ".sse" else None
        end = body.rindex(b"event: message-end") if last else body.rindex(b"messageStop")
        for at in {0, 1, end // 3, end // 2, end - 1, end}:
            with pytest.raises(DialectError) as caught:
                accumulated(dialect, body[:at])
            assert not caught.value.partial.ended, recording


# botocore


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield from (self._body[at : at + 100] for at in range(0, len(self._body), 100))


def botocore_events(body: bytes) -> list[dict[str, Any]]:
    """Return the events as botocore's own parser of the service's model hands them out."""
    eventstream = pytest.importorskip("botocore.eventstream")
    loaders, model, parsers = (pytest.importorskip(f"botocore.{name}") for name in ("loaders", "model", "parsers"))
    service = model.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    output = service.operation_model("ConverseStream").get_event_stream_output()
    parser = parsers.create_parser("rest-json")._event_stream_parser
    return list(eventstream.EventStream(_Body(body), output, parser, "ConverseStream"))


def plain_fold(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer that a client with a few lines makes of botocore's events."""
    texts: dict[int, str] = {}
    thoughts: dict[int, str] = {}
    calls: dict[int, list[str]] = {}
    facts: dict[str, Any] = {}
    for event in events:
        ((kind, value),) = event.items()
        index = value.get("contentBlockIndex")
        if kind == "messageStart":
            facts["role"] = value["role"]
        elif kind == "contentBlockStart" and "toolUse" in value["start"]:
            calls[index] = [value["start"]["toolUse"]["toolUseId"], value["start"]["toolUse"]["name"], ""]
        elif kind == "contentBlockDelta":
            delta = value["delta"]
            if "text" in delta:
                texts[index] = texts.get(index, "") + delta["text"]
            if "toolUse" in delta:
                calls[index][2] += delta["toolUse"]["input"]
            if "text" in delta.get("reasoningContent", {}):
                thoughts[index] = thoughts.get(index, "") + delta["reasoningContent"]["text"]
        elif kind == "messageStop":
            facts["reason"] = value["stopReason"]
        elif kind == "metadata":
            facts["usage"] = value["usage"]
    return {
        **facts,
        "text": "".join(texts[index] for index in sorted(texts)),
        "reasoning": "".join(thoughts[index] for index in sorted(thoughts)),
        "calls": [(index, *calls[index]) for index in sorted(calls)],
    }


def ours(completion: Completion) -> dict[str, Any]:
    (choice,) = completion.choices
    # The model of this botocore has no serverToolUsage, and its parser leaves out what it does not know.
    usage = {key: value for key, value in (completion.usage or {}).items() if key != "serverToolUsage"}
    return {
        "role": choice.role,
        "reason": choice.finish_reason,
        "usage": usage,
        "text": choice.content or "",
        "reasoning": choice.reasoning or "",
        "calls": [(call.index, call.id, call.name, call.arguments) for call in choice.tool_calls],
    }


def test_botocore_agrees_on_every_recording_or_the_reason_is_known() -> None:
    pytest.importorskip("botocore")
    disagreements = Counter[str]()
    for name, body in bodies(".eventstream", "bedrock.converse"):
        completion = accumulated(BedrockConverse(), body)
        mine, theirs = ours(completion), plain_fold(botocore_events(body))
        run = [
            (call["index"], call["toolUseId"], call["name"], call["input"])
            for call in completion.choices[0].extra.get("server_calls", ())
        ]
        if run:
            disagreements[next(iter(EXPECTED_DISAGREEMENTS))] += mine != theirs
            mine["calls"] = sorted([*mine["calls"], *run])
        assert theirs == mine, name
    assert EXPECTED_DISAGREEMENTS == dict(disagreements)


def test_botocore_has_the_same_encrypted_reasoning() -> None:
    pytest.importorskip("botocore")
    seen = 0
    for name, body in bodies(".eventstream", "bedrock.converse"):
        deltas = [
            event["contentBlockDelta"]["delta"] for event in botocore_events(body) if "contentBlockDelta" in event
        ]
        parts = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
        sealed = b"".join(part.get("redactedContent", b"") for part in parts)
        signature = "".join(part.get("signature", "") for part in parts)
        details = accumulated(BedrockConverse(), body).choices[0].extra.get("reasoning_details", ())
        assert sealed == b"".join(base64.b64decode(one.get("redactedContent", "")) for one in details), name
        assert signature == "".join(one.get("signature", "") for one in details), name
        seen += bool(sealed or signature)
    assert 4 == seen


def test_botocore_raises_the_exceptions_that_we_raise() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    from streamkit.mutations.bedrock_converse_faults import exception
    from streamkit.mutations.stream import Stream

    _, body = bodies(".eventstream", "bedrock.converse")[0]
    stream = Stream.of(Transcript(body), "bedrock_converse")
    for way in range(2):  # as an exception and as an error; as an event botocore hands it out like any other
        broken = exception.apply(stream, (2, 0, way)).stream.body()
        with pytest.raises(exceptions.EventStreamError):
            botocore_events(broken)


# The cohere library


def cohere_events(body: bytes) -> list[Any]:
    """Return the events as the cohere library's own client hands them out."""
    cohere, httpx = pytest.importorskip("cohere"), pytest.importorskip("httpx")

    def respond(_: Any) -> Any:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client = cohere.ClientV2(api_key="-", httpx_client=httpx.Client(transport=httpx.MockTransport(respond)))
    return list(client.chat_stream(model="-", messages=[]))


def test_the_cohere_library_agrees_on_every_recording() -> None:
    pytest.importorskip("cohere")
    for name, body in bodies(".sse", "cohere.v2"):
        texts: dict[str, str] = {}
        calls: dict[int, list[str]] = {}
        citations, facts = [], []
        for event in cohere_events(body):
            message: Any = getattr(getattr(event, "delta", None), "message", None)
            if event.type in ("content-start", "content-delta"):
                for kind in ("text", "thinking"):
                    piece = getattr(message.content, kind)
                    if piece is not None:
                        texts[kind] = texts.get(kind, "") + piece
            elif event.type == "tool-plan-delta":
                texts["plan"] = texts.get("plan", "") + message.tool_plan
            elif event.type == "tool-call-start":
                made = message.tool_calls
                calls[event.index] = [made.id, made.function.name, made.function.arguments]
            elif event.type == "tool-call-delta":
                calls[event.index][2] += message.tool_calls.function.arguments
            elif event.type == "citation-start":
                citations.append((message.citations.start, message.citations.end, message.citations.text))
            elif event.type == "message-end":
                facts = [event.delta.finish_reason, event.delta.usage.tokens.output_tokens]
        completion = accumulated(CohereV2(), body)
        (choice,) = completion.choices
        usage = completion.usage or {}
        assert (texts.get("text"), texts.get("thinking", texts.get("plan"))) == (choice.content, choice.reasoning), name
        assert [(n, *calls[n]) for n in sorted(calls)] == [
            (call.index, call.id, call.name, call.arguments) for call in choice.tool_calls
        ], name
        kept = choice.extra.get("citations", [])
        assert citations == [(one["start"], one["end"], one["text"]) for one in kept], name
        assert facts == [choice.finish_reason, usage["tokens"]["output_tokens"]], name


def test_payloads_of_the_recordings_are_written_as_we_write_them() -> None:
    """Field by field in the service's order: what is synthetic looks like what was recorded."""
    for name, body in bodies(".eventstream", "bedrock.converse"):
        for message in decode(body):
            payload = json.loads(message.payload)
            assert sorted(payload) == list(payload), name
            assert json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() == message.payload, name
