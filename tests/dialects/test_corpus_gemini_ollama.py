"""Streams of Gemini, Ollama and legacy completions that others recorded: all are read, and the libraries agree.

The judges are the providers' own libraries: google-genai, ollama and openai. None of them accumulates these streams, so
what they hand out chunk by chunk is joined here, in the plainest way. Each disagreement is listed with its reason.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib import import_module
from typing import Any

import pytest
from skhelpers.corpus import Recording, needs_corpus, recordings

from streamkit.completion import Completion
from streamkit.dialects.gemini import Gemini
from streamkit.dialects.layout import Layout
from streamkit.dialects.ollama import Ollama
from streamkit.dialects.openai_completions import OpenAICompletions
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.transcript import Transcript
from streamkit.wire.sse import decode

pytestmark = needs_corpus

DIALECTS: dict[str, Gemini | Ollama | OpenAICompletions] = {
    one.name: one for one in (Gemini(), Ollama(), OpenAICompletions())
}
FAMILIES = {
    "gemini": "gemini",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
    "completions": "openai_completions",
}
SUFFIXES = (".sse", ".jsonarray", ".ndjson", ".eventstream", ".http_error.json")

# The only recordings that are not completions: type of the error, and what is in the stream.
_BLANK = "the last event has no blank line (upstream's storage took it), so it is never dispatched"
ERRORS: dict[str, tuple[type[DialectError], str]] = {
    "google/google.gemini/vertexai-testdata--streaming-failure-prompt-blocked-safety--0-5c106a27.sse": (
        TruncatedStreamError, _BLANK,
    ),
    "google/google.gemini/vertexai-testdata--streaming-failure-prompt-blocked-safety--0-9f227931.sse": (
        TruncatedStreamError, _BLANK,
    ),
    "vertex/vertex.gemini/vertexai-testdata--streaming-failure-prompt-blocked-safety-with-message--0-1b7f3efa.sse": (
        TruncatedStreamError, _BLANK,
    ),
    "vertex/vertex.gemini/vertexai-testdata--streaming-success-image-invalid-safety-ratings--0-4a89824a.sse": (
        TruncatedStreamError, _BLANK,
    ),
    "vertex/vertex.gemini/vertexai-testdata--streaming-failure-error-mid-stream--0-40958d6e.sse": (
        ProviderError, "a bare error object follows events with finish reason STOP",
    ),
    "huggingface/huggingface.completions/huggingface.js--test.tapes--67-c82a74ec.sse": (
        PayloadError, "calls itself text_completion and holds the deltas of chat",
    ),
}  # fmt: skip


def found(dialect: str) -> list[Recording]:
    """Return the recordings of a dialect's families."""
    return [r for suffix in SUFFIXES for r in recordings(suffix) if FAMILIES.get(r.family) == dialect]


def outcome(dialect: str, body: bytes, size: int | None = None) -> Completion | DialectError:
    """Return what a body gives, in chunks of `size` bytes or in one."""
    reader = DIALECTS[dialect].reader()
    try:
        for at in range(0, len(body), size or len(body) or 1):
            reader.feed(body[at : at + (size or len(body))])
        reader.close()
        return reader.result()
    except DialectError as error:
        return error


def facts(result: Completion | DialectError) -> object:
    """Return what two results are compared by."""
    return (type(result), str(result), result.partial) if isinstance(result, DialectError) else result


def payloads(recording: Recording) -> list[dict[str, Any]]:
    """Return the payloads of a recording, read by json alone."""
    body = recording.body
    if recording.name.endswith(".jsonarray"):
        return list(json.loads(body))
    if recording.name.endswith(".ndjson"):
        return [json.loads(line) for line in body.splitlines() if line.strip()]
    return [json.loads(event.data) for event in decode(body) if event.data.strip() != "[DONE]"]


# Every recording by itself


def test_every_recording_is_a_completion_but_for_those_listed() -> None:
    results = {r.name: outcome(dialect, r.body) for dialect in DIALECTS for r in found(dialect)}
    assert 119 == len(results)
    assert {name: kind for name, (kind, _) in ERRORS.items()} == {
        name: type(result) for name, result in results.items() if isinstance(result, DialectError)
    }


def test_the_recordings_of_each_dialect_are_detected_and_no_others() -> None:
    for name, dialect in DIALECTS.items():
        detected = {r.name for suffix in SUFFIXES for r in recordings(suffix) if dialect.detect(Transcript(r.body))}
        # What is not detected: bodies whose events are all undispatched, and the deltas of chat.
        missed = {r.name for r in found(name)} - detected
        assert missed <= ERRORS.keys()
        assert set() == detected - {r.name for r in found(name)}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_recording_depends_on_its_chunks(dialect: str) -> None:
    for recording in found(dialect):
        whole = outcome(dialect, recording.body)
        assert facts(whole) == facts(outcome(dialect, recording.body, 7)), recording.name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_recorded_answer_can_be_written_again(dialect: str) -> None:
    written = 0
    for recording in found(dialect):
        result = outcome(dialect, recording.body)
        if isinstance(result, Completion):
            transcript = DIALECTS[dialect].emit(result, Layout())
            assert result == outcome(dialect, transcript.body), recording.name
            written += 1
    assert {"gemini": 79, "ollama": 24, "openai_completions": 10}[dialect] == written


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_recording_looks_finished_when_its_last_quarter_is_missing(dialect: str) -> None:
    looked_at = 0
    for recording in found(dialect):
        body = recording.body
        for part in (body[: len(body) // 4], body[: len(body) // 2], body[: 3 * len(body) // 4]):
            result = outcome(dialect, part)
            # Old versions of Gemini send STOP with each payload: cut between two of them, nothing tells.
            if isinstance(result, Completion):
                assert "vertexai-testdata" in recording.name
                continue
            assert not any(call.executable for choice in result.partial.choices for call in choice.tool_calls)
            looked_at += 1
    assert looked_at > 20


def test_nothing_of_a_recording_of_gemini_is_lost_or_made_up() -> None:
    """Invariant: text, thoughts, calls and other parts are what the parts held."""
    for recording in found("gemini"):
        result = outcome("gemini", recording.body)
        if not isinstance(result, Completion):
            continue
        for choice in result.choices:
            parts = [
                part
                for payload in payloads(recording)
                for entry in payload.get("candidates") or ()
                if entry.get("index", 0) == choice.index
                for part in (entry.get("content") or {}).get("parts") or ()
            ]
            texts = [part for part in parts if "text" in part]
            assert "".join(p["text"] for p in texts if not p.get("thought")) == (choice.content or "")
            assert "".join(p["text"] for p in texts if p.get("thought")) == (choice.reasoning or "")
            others = [part for part in parts if "text" not in part and "functionCall" not in part]
            assert others == [p for p in choice.extra.get("parts", ()) if p.keys() - {"thoughtSignature", "thought"}]
            calls = [part["functionCall"] for part in parts if part.get("functionCall")]
            assert [c["name"] for c in calls if "name" in c] == [c.name for c in choice.tool_calls]
            signatures = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
            kept = [p.get("thoughtSignature") for p in choice.extra.get("parts", ())]
            kept += [call.extra.get("thoughtSignature") for call in choice.tool_calls]
            assert Counter(signatures) == Counter(one for one in kept if one is not None), recording.name


def test_arguments_that_streamed_in_a_recording_are_whole() -> None:
    (recording,) = [r for r in found("gemini") if "no-args-tool-call" in r.name]
    result = outcome("gemini", recording.body)
    assert isinstance(result, Completion)
    expected = [("read_theme", {}), ("read_screen", {"id": "A"}), ("read_screen", {"id": "B"}),
                ("read_screen", {"id": "C"})]  # fmt: skip
    assert expected == [(call.name, call.parsed()) for call in result.tool_calls]


# google-genai


View = tuple[str, str, list[tuple[str | None, str, object]], str | None, int | None]


def genai_view(recording: Recording) -> View | str:
    """Return what google-genai hands out, joined, or the name of the exception that it raises."""
    import httpx

    genai: Any = import_module("google.genai")
    types = genai.types

    body = recording.body
    if recording.name.endswith(".jsonarray"):  # the library always asks for events
        body = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in payloads(recording))

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    text, thoughts, calls, reason, tokens = "", "", [], None, None
    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = genai.Client(api_key="-", http_options=types.HttpOptions(httpx_client=http))
        try:
            for chunk in client.models.generate_content_stream(model="-", contents="-"):
                tokens = getattr(chunk.usage_metadata, "total_token_count", None) or tokens
                for candidate in chunk.candidates or ():
                    if candidate.finish_reason is not None:
                        reason = str(candidate.finish_reason.value)
                    for part in (candidate.content.parts if candidate.content else None) or ():
                        if part.text is not None and part.thought:
                            thoughts += part.text
                        elif part.text is not None:
                            text += part.text
                        if part.function_call is not None:
                            call = part.function_call
                            calls.append((call.id, call.name or "", call.args or {}))
        except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take the stream
            return type(error).__name__
    return text, thoughts, calls, reason, tokens


def our_view(recording: Recording) -> View | str:
    result = outcome("gemini", recording.body)
    if isinstance(result, DialectError):
        return type(result).__name__
    choice = result.choices[0] if result.choices else None
    usage = result.usage or {}
    if choice is None:
        return "", "", [], None, usage.get("totalTokenCount")
    calls = [(call.id, call.name, json.loads(call.arguments or "{}")) for call in choice.tool_calls]
    return choice.content or "", choice.reasoning or "", calls, choice.finish_reason, usage.get("totalTokenCount")


# Part of the recording's name: what the library makes of it, and who is right.
GENAI_DIFFERS = {
    "ai--google-stream-no-args-tool-call": (
        "more calls",
        "It hands out each part of a streamed call as a call of its own. Vertex AI's reference says that they are one.",
    ),
    "prompt-blocked-safety--0-5c106a27": (
        "a completion",
        "It takes an event that has no blank line; the standard (9.2.6) says that it is discarded.",
    ),
    "prompt-blocked-safety--0-9f227931": ("a completion", "the same"),
    "prompt-blocked-safety-with-message": ("a completion", "the same"),
    "success-image-invalid-safety-ratings": ("a completion", "the same"),
}


@pytest.mark.filterwarnings("ignore:.*is not a valid")
def test_google_genai_agrees_but_for_those_listed() -> None:
    pytest.importorskip("google.genai")
    seen: dict[str, str] = {}
    for recording in found("gemini"):
        ours, theirs = our_view(recording), genai_view(recording)
        if recording.name in ERRORS and ERRORS[recording.name][0] is ProviderError:
            assert ("ProviderError", "ClientError") == (ours, theirs)
        elif ours != theirs:
            (name,) = [name for name in GENAI_DIFFERS if name in recording.name] or [recording.name]
            seen[name] = "a completion" if isinstance(ours, str) else "more calls"
    assert {name: kind for name, (kind, _) in GENAI_DIFFERS.items()} == seen


# ollama


def test_the_ollama_library_agrees() -> None:
    ollama = pytest.importorskip("ollama")
    for recording in found("ollama"):
        generate = recording.family == "ollama.generate"
        kind = ollama.GenerateResponse if generate else ollama.ChatResponse
        lines = [kind(**payload) for payload in payloads(recording)]
        messages = [line if generate else line.message for line in lines]
        last = lines[-1]
        result = outcome("ollama", recording.body)
        assert isinstance(result, Completion), recording.name
        (choice,) = result.choices
        contents = [one.response if generate else one.content for one in messages]
        assert "".join(content or "" for content in contents) == choice.content
        assert "".join(one.thinking or "" for one in messages) == (choice.reasoning or "")
        calls = [call for one in messages if not generate for call in one.tool_calls or ()]
        assert [(call.function.name, dict(call.function.arguments)) for call in calls] == [
            (call.name, call.parsed()) for call in choice.tool_calls
        ]
        assert (last.done, last.done_reason, last.model) == (result.ended, choice.finish_reason, result.model)
        names = ("total_duration", "load_duration", "prompt_eval_count", "eval_count", "eval_duration")
        assert result.usage is not None
        assert [getattr(last, name) for name in names] == [result.usage.get(name) for name in names]


def test_the_pull_of_a_model_is_no_completion() -> None:
    (pull,) = [r for r in recordings(".ndjson") if r.family == "ollama.pull"]
    assert isinstance(outcome("ollama", pull.body), PayloadError)


# openai


def test_the_openai_library_agrees_on_legacy_completions() -> None:
    import httpx2
    import openai

    for recording in found("openai_completions"):
        if recording.name in ERRORS:
            continue
        body = recording.body
        answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
        transport = httpx2.MockTransport(lambda _, answer=answer: answer)
        with openai.OpenAI(
            api_key="-", base_url="http://recorded", http_client=httpx2.Client(transport=transport)
        ) as client:
            chunks = list(client.completions.create(model="-", prompt="-", stream=True))
        texts: dict[int, str] = {}
        reasons: dict[int, str] = {}
        for chunk in chunks:
            for one in chunk.choices:
                texts[one.index] = texts.get(one.index, "") + one.text
                if one.finish_reason:
                    reasons[one.index] = one.finish_reason
        result = outcome("openai_completions", body)
        assert isinstance(result, Completion), recording.name
        assert sorted(texts.items()) == [(choice.index, choice.content) for choice in result.choices]
        assert sorted(reasons.items()) == [(choice.index, choice.finish_reason) for choice in result.choices]
        usage = next((chunk.usage for chunk in reversed(chunks) if chunk.usage), None)
        assert (usage.model_dump(exclude_none=True) if usage else None) == result.usage
        assert (chunks[0].id, chunks[0].model, chunks[0].created) == (result.id, result.model, result.created)
