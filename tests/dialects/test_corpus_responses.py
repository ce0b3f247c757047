"""Responses streams that others recorded: streamkit reads them, and agrees with the openai library or says why not.

Two judges: the library's own stream helper, and the final response that the provider sent, against what the deltas
alone add up to.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from skhelpers.corpus import needs_corpus, recordings

from streamkit.completion import Completion
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_responses import OpenAIResponses, Reader
from streamkit.errors import DialectError, PayloadError, ProviderError
from streamkit.transcript import Transcript
from streamkit.wire.sse import decode

pytestmark = needs_corpus

Json = dict[str, Any]
# Text, refusal, and id, name and arguments of each call.
View = tuple[str, str, list[tuple[str | None, str, str]]]

_SEVERAL = "the recorder put several responses into one file"
# The only recordings that are not completions: type of the error, and what is in the stream.
ERRORS: dict[str, tuple[type[DialectError], str]] = {
    "azure/azure.responses/ai--azure-reasoning-encrypted-content--0-c2ac1c74.sse": (PayloadError, _SEVERAL),
    "azure/azure.responses/ai--azure-tool-search--0-f5a2cc3d.sse": (PayloadError, _SEVERAL),
    "openai/openai.responses/ai--openai-reasoning-encrypted-content--0-fb7fa687.sse": (PayloadError, _SEVERAL),
    "openai/openai.responses/ai--openai-error--0-ce62faea.sse": (ProviderError, "an error event, then response.failed"),
}
# What the library's stream helper makes of streams that streamkit takes: how many, and who is right.
KINDS = {
    "RuntimeError: Expected to have received `response.created` before": (
        1,
        "the stream begins with a delta; its terminal event holds the whole response",
    ),
    "RuntimeError: Lifecycle response identity changed.": (
        2,
        "GitHub Copilot sends another id in every event; output_index says what belongs together",
    ),
    "RuntimeError: Didn't receive a `response.completed` event.": (
        6,
        "the response is incomplete: it has ended, and its final event says why",
    ),
    "IndexError: list index out of range": (
        1,
        "Bedrock counts content_index through all items; the finished item and the final response hold one part",
    ),
    "RuntimeError: Received a content event for output index None": (
        1,
        "the stream names items by item_id alone, and sends no final output",
    ),
    "RuntimeError: Completed output item identity changed.": (
        1,
        "OpenAI itself gives a tool search another call_id when it is done; its item id stays",
    ),
    "nothing": (6, "ChatGPT sends an empty output in response.completed; the finished items came before it"),
}


def outcome(body: bytes, step: int | None = None) -> Completion | DialectError:
    reader = Reader()
    try:
        for at in range(0, len(body), step or len(body)):
            reader.feed(body[at : at + (step or len(body))])
        reader.close()
        return reader.result()
    except DialectError as error:
        return error


def facts(result: Completion | DialectError) -> object:
    """Return what two results are compared by."""
    return (type(result), str(result), result.partial) if isinstance(result, DialectError) else result


def payloads(body: bytes) -> list[Json]:
    return [json.loads(event.data) for event in decode(body) if event.data.strip() not in ("", "[DONE]")]


def written(*events: Json) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def view(completion: Completion) -> View:
    choice = completion.choices[0]
    calls = [(call.id, call.name, call.arguments) for call in choice.tool_calls]
    return choice.content or "", choice.refusal or "", calls


# Every recording by itself


def test_every_recording_is_a_completion_but_for_those_listed() -> None:
    results = {recording.name: outcome(recording.body) for recording in recordings(".sse", "responses")}
    assert {name: kind for name, (kind, _) in ERRORS.items()} == {
        name: type(result) for name, result in results.items() if isinstance(result, DialectError)
    }
    ended = [result for result in results.values() if isinstance(result, Completion)]
    assert all(result.ended for result in ended)
    assert {"completed": 146, "max_output_tokens": 6} == Counter(result.finish_reason for result in ended)


def test_only_the_calls_of_incomplete_responses_are_not_executable() -> None:
    for recording in recordings(".sse", "responses"):
        result = outcome(recording.body)
        if isinstance(result, Completion):
            expected = result.finish_reason == "completed"
            assert all(expected is call.executable for call in result.tool_calls), recording.name


def test_the_recordings_of_responses_are_detected_and_no_others() -> None:
    found = {r.name for r in recordings(".sse") if OpenAIResponses().detect(Transcript(r.body))}
    assert {recording.name for recording in recordings(".sse", "responses")} == found


def test_no_recording_depends_on_its_chunks() -> None:
    for recording in recordings(".sse", "responses"):
        body = recording.body
        assert facts(outcome(body)) == facts(outcome(body, 61)), recording.name


def test_nothing_of_a_recording_is_finished_before_its_terminal_event() -> None:
    for recording in recordings(".sse", "responses"):
        if recording.name in ERRORS:
            continue
        reader = Reader()
        stream = payloads(recording.body)
        for number, payload in enumerate(stream):
            if payload["type"] in ("response.completed", "response.incomplete"):
                break
            reader.feed(written(payload))
            if not payload["type"].endswith(".delta") or number % 40 == 0:
                seen = reader.snapshot()
                assert not seen.ended, recording.name
                assert not any(call.executable for call in seen.tool_calls), recording.name


# The final response


def test_the_deltas_alone_add_up_to_the_final_response() -> None:
    """Invariant: without the whole texts that come at the end, text, refusal, reasoning and arguments are the same."""
    compared = 0
    for recording in recordings(".sse", "responses"):
        whole = outcome(recording.body)
        if not isinstance(whole, Completion):
            continue
        stream = payloads(recording.body)
        kinds = {payload["type"] for payload in stream}
        told = []
        for payload in stream:
            kind = payload["type"]
            if kind in ("response.completed", "response.incomplete"):
                response = {**payload["response"], "output": []}
                told.append({**payload, "response": response})
            elif not kind.endswith(".done"):
                told.append(payload)
        result = outcome(written(*told))
        assert isinstance(result, Completion), recording.name
        mine, theirs = result.choices[0], whole.choices[0]
        if theirs.content and "response.output_text.delta" in kinds:
            assert theirs.content == mine.content, recording.name
            compared += 1
        if theirs.reasoning and any("reasoning" in kind and kind.endswith(".delta") for kind in kinds):
            assert theirs.reasoning == mine.reasoning, recording.name
            compared += 1
        if {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"} & kinds:
            assert view(whole)[2] == view(result)[2], recording.name
            compared += 1
        assert theirs.refusal == mine.refusal, recording.name
    assert 100 < compared


def test_the_final_response_holds_what_was_accumulated() -> None:
    for recording in recordings(".sse", "responses"):
        result = outcome(recording.body)
        ends = [p["response"] for p in payloads(recording.body) if p["type"] == "response.completed"]
        if not isinstance(result, Completion) or not ends or not ends[-1].get("output"):
            continue
        output = ends[-1]["output"]
        parts = [part for item in output if item["type"] == "message" for part in item["content"]]
        assert "".join(part.get("text") or "" for part in parts) == (result.content or ""), recording.name
        calls = [item for item in output if item["type"] in ("function_call", "custom_tool_call")]
        assert [(one["call_id"], one["name"], one.get("arguments", one.get("input"))) for one in calls] == view(result)[
            2
        ]
        assert ends[-1].get("usage") == result.usage, recording.name
        kept = [entry["item"] for entry in result.choices[0].extra.get("items", ())]
        others = [
            item for item in output if item["type"] not in ("message", "reasoning", "function_call", "custom_tool_call")
        ]
        made = [item for item in kept if item["type"] in {other["type"] for other in others}]
        assert [item["id"] for item in others] == [item["id"] for item in made], recording.name


# The openai library


def theirs(body: bytes) -> View | str:
    """Return what the library's own stream helper makes of a stream, or what it raises."""
    import httpx2
    import openai

    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    try:
        with (
            openai.OpenAI(api_key="-", base_url="http://recorded", http_client=transport) as client,
            client.responses.stream(model="-", input="-") as stream,
        ):
            final: Any = stream.get_final_response()
        refusals = [
            part.refusal
            for item in final.output
            if item.type == "message"
            for part in item.content
            if part.type == "refusal"
        ]
        calls = [
            (item.call_id, item.name, item.arguments if item.type == "function_call" else item.input)
            for item in final.output
            if item.type in ("function_call", "custom_tool_call")
        ]
    except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take the stream
        return f"{type(error).__name__}: {error}"
    return final.output_text, "".join(refusals), calls


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_the_openai_library_agrees_but_for_the_kinds_listed() -> None:
    kinds: Counter[str] = Counter()
    for recording in recordings(".sse", "responses"):
        result = outcome(recording.body)
        if not isinstance(result, Completion):
            continue
        found = theirs(recording.body)
        if found == view(result):
            continue
        said = "nothing" if found == ("", "", []) else str(found)
        kind = next((name for name in KINDS if said.startswith(name)), f"unexplained: {recording.name}: {said}")
        kinds[kind] += 1
    assert {name: count for name, (count, _) in KINDS.items()} == kinds


def test_the_openai_library_refuses_what_is_an_error_here() -> None:
    seen = {
        recording.name: theirs(recording.body)
        for recording in recordings(".sse", "responses")
        if recording.name in ERRORS
    }
    assert set(ERRORS) == {name for name, found in seen.items() if isinstance(found, str)}


# The way back


def test_every_recording_can_be_told_again() -> None:
    for number, recording in enumerate(recordings(".sse", "responses")):
        result = outcome(recording.body)
        if isinstance(result, Completion):
            calls = ("sequential", "interleaved", "whole")[number % 3]
            again = OpenAIResponses().emit(result, Layout(token_size=40, calls=calls))
            assert result == outcome(again.body), recording.name


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_the_openai_library_takes_what_is_emitted() -> None:
    for recording in recordings(".sse", "responses")[::4]:
        result = outcome(recording.body)
        if isinstance(result, Completion) and result.finish_reason == "completed":
            again = OpenAIResponses().emit(result, Layout(token_size=40, calls="interleaved"))
            assert view(result) == theirs(again.body), recording.name
