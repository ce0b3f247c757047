"""Chat streams that others recorded: streamkit reads them all, and agrees with the openai library or says why not.

A disagreement is explained by a repair: the recording is rewritten so that one peculiarity of its server is gone, and
then the library's own accumulator must give what streamkit gave for the recording as it was.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from skhelpers.chat import DONE, Json, sse
from skhelpers.corpus import Recording, needs_corpus, recordings

from streamkit.completion import Completion
from streamkit.dialects import accumulate, detect
from streamkit.dialects.openai_chat import Reader
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError
from streamkit.transcript import Transcript
from streamkit.wire.sse import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_corpus

# Index, content, calls (id, name, arguments) and finish reason of each choice.
View = list[tuple[int, str | None, list[tuple[str | None, str, str]], str | None]]

# The only recordings that are not completions: type of the error, and what is in the stream.
ERRORS: dict[str, tuple[type[DialectError], str]] = {
    "evroc/evroc.chat/pydantic-ai--test_clean_eof_without_finish_reason--0-94f992d6.sse": (
        TruncatedStreamError,
        "ends cleanly in the middle of the text",
    ),
    "groq/groq.chat/pydantic-ai--test_tool_use_failed_error_streaming--0-1ec9f413.sse": (
        ProviderError,
        "an event named error: the call does not fit the tool's schema",
    ),
    "groq/groq.chat/pydantic-ai--test_tool_use_failed_error_streaming--0-25e98858.sse": (
        ProviderError,
        "an event named error: the call does not fit the tool's schema",
    ),
    "openrouter/openrouter.chat/pydantic-ai--test_openrouter_stream_error--0-baafd4cb.sse": (
        ProviderError,
        "an error beside the choices after finish reason length",
    ),
    "openrouter/openrouter.chat/req_llm--google_gemini_2_5_flash_lite.object_streaming--0-7a5494a4.sse": (
        ProviderError,
        "an error beside the choices after calls whose finish reason is tool_calls",
    ),
}


def outcome(body: bytes) -> Completion | DialectError:
    try:
        return accumulate([body])
    except DialectError as error:
        return error


def facts(result: Completion | DialectError) -> object:
    """Return what two results are compared by."""
    return (type(result), str(result), result.partial) if isinstance(result, DialectError) else result


def payloads(body: bytes) -> list[Json]:
    """Return the payloads of a recording."""
    data = [event.data for event in decode(body) if event.data.strip() not in ("", DONE)]
    return [value for value in map(json.loads, data) if isinstance(value, dict)]


def entries(stream: list[Json]) -> Iterator[Json]:
    """Yield the entries of `choices` of all payloads, in order."""
    for payload in stream:
        yield from payload.get("choices") or ()


def call_entries(stream: list[Json]) -> Iterator[Json]:
    """Yield the entries of `tool_calls` of all deltas, in order."""
    for entry in entries(stream):
        yield from (entry.get("delta") or {}).get("tool_calls") or ()


# Every recording by itself


def test_every_recording_is_a_completion_but_for_those_listed() -> None:
    results = {recording.name: outcome(recording.body) for recording in recordings(".sse", "chat")}
    assert {name: kind for name, (kind, _) in ERRORS.items()} == {
        name: type(result) for name, result in results.items() if isinstance(result, DialectError)
    }
    assert all(result.ended for result in results.values() if isinstance(result, Completion))


def test_the_recordings_of_chat_are_detected_and_no_others() -> None:
    spoken = {r.name: detect(Transcript(r.body)) for r in recordings(".sse")}
    found = {name for name, dialect in spoken.items() if dialect is not None and dialect.name == "openai_chat"}
    chat = {recording.name for recording in recordings(".sse", "chat")}
    assert set() == chat - found
    # Calls itself "text_completion" and sends the deltas of chat.
    assert {"huggingface/huggingface.completions/huggingface.js--test.tapes--67-c82a74ec.sse"} == found - chat


def test_no_recording_depends_on_its_chunks() -> None:
    for recording in recordings(".sse", "chat"):
        body, reader = recording.body, Reader()
        try:
            for at in range(0, len(body), 7):
                reader.feed(body[at : at + 7])
            reader.close()
            cut: Completion | DialectError = reader.result()
        except DialectError as error:
            cut = error
        whole = outcome(body)
        assert facts(whole) == facts(cut), recording.name


def test_nothing_of_a_recording_is_executable_before_its_end_is_signalled() -> None:
    for recording in recordings(".sse", "chat"):
        reader = Reader()
        for payload in payloads(recording.body):
            if payload.get("error") or any(entry.get("finish_reason") for entry in entries([payload])):
                break
            try:
                reader.feed(sse(payload))
            except PayloadError:
                break
            seen = reader.snapshot()
            assert not seen.ended, recording.name
            assert not any(call.executable for part in seen.choices for call in part.tool_calls), recording.name


def test_nothing_of_a_recording_is_lost_or_made_up() -> None:
    """Invariant: content and arguments are what the deltas held, and every id and name is one that was sent."""
    for recording in recordings(".sse", "chat"):
        completion = outcome(recording.body)
        if isinstance(completion, DialectError):
            continue
        stream = payloads(recording.body)
        for part in completion.choices:
            sent = [(e.get("delta") or {}).get("content") for e in entries(stream) if e.get("index", 0) == part.index]
            if not any(isinstance(piece, list) for piece in sent):
                assert "".join(piece or "" for piece in sent) == (part.content or ""), recording.name
        made = [tool_call for part in completion.choices for tool_call in part.tool_calls]
        sent_calls = list(call_entries(stream))
        functions = [entry.get("function") or {} for entry in sent_calls]
        assert {e["id"] for e in sent_calls if e.get("id")} == {call.id for call in made if call.id}, recording.name
        assert {f["name"] for f in functions if f.get("name")} == {call.name for call in made}, recording.name
        assert Counter("".join(f.get("arguments") or "" for f in functions)) == Counter(
            "".join(call.arguments for call in made)
        ), recording.name


# The openai library


def ours(body: bytes) -> View:
    return [
        (
            part.index,
            part.content,
            [(call.id, call.name, call.arguments) for call in part.tool_calls],
            part.finish_reason,
        )
        for part in accumulate([body]).choices
    ]


def theirs(body: bytes) -> View | str:
    """Return what the library's own stream helper accumulates, or the name of the exception it raises."""
    import httpx2
    import openai

    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    try:
        with (
            openai.OpenAI(api_key="-", base_url="http://recorded", http_client=transport) as client,
            client.chat.completions.stream(model="-", messages=[]) as stream,
        ):
            stream.until_done()
            snapshot: Any = stream.current_completion_snapshot
        return sorted(
            (
                choice.index,
                choice.message.content,
                [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()],
                choice.finish_reason,
            )
            for choice in snapshot.choices
        )
    except Exception as error:  # noqa: BLE001 - whatever it raises, it does not take the stream
        return type(error).__name__


def name_the_object(stream: list[Json]) -> None:
    for payload in stream:
        payload["object"] = "chat.completion.chunk"


def number_calls_without_index(stream: list[Json]) -> None:
    known: dict[str, int] = {}
    for entry in call_entries(stream):
        if entry.get("index") is None:
            entry["index"] = known.setdefault(entry["id"], len(known))


def number_calls_by_id(stream: list[Json]) -> None:
    known: dict[str, int] = {}
    for entry in call_entries(stream):
        if entry.get("index") is not None and entry.get("id"):
            entry["index"] = known.setdefault(entry["id"], len(known))


def drop_empty_fields_of_calls(stream: list[Json]) -> None:
    for entry in call_entries(stream):
        for fields in (entry, entry.get("function") or {}):
            for key in [key for key, value in fields.items() if value in (None, "") and key != "arguments"]:
                del fields[key]


def write_content_as_text(stream: list[Json]) -> None:
    for entry in entries(stream):
        parts = (entry.get("delta") or {}).get("content")
        if isinstance(parts, list):
            entry["delta"]["content"] = "".join(part.get("text") or "" for part in parts if part["type"] == "text")


def keep_the_first_finish_reason(stream: list[Json]) -> None:
    finished: set[int] = set()
    for entry in entries(stream):
        if entry.get("finish_reason") and entry["index"] in finished:
            entry["finish_reason"] = None
        elif entry.get("finish_reason"):
            finished.add(entry["index"])


def order_choices(stream: list[Json]) -> None:
    stream.sort(key=lambda payload: max((entry["index"] for entry in payload.get("choices") or ()), default=1 << 30))


def drop_bare_logprobs(stream: list[Json]) -> None:
    for entry in entries(stream):
        if not isinstance(entry.get("logprobs"), dict):
            entry["logprobs"] = None


class Kind(NamedTuple):
    """A kind of disagreement: what makes it go away, in how many recordings it occurs, and who is right."""

    repair: Callable[[list[Json]], None]
    files: int
    reason: str


KINDS = {
    "object": Kind(
        name_the_object,
        24,
        "Copilot, Hugging Face, Z.ai, Together and Perplexity name no object or another one. The library takes such "
        "payloads for the filter events of Azure and drops them: the finish reason is missing, or everything. What a "
        "payload is, its choices say.",
    ),
    "content in parts": Kind(
        write_content_as_text,
        5,
        "Mistral sends content as a list of typed parts and goes on with text. The library appends to the list, "
        "raises, or replaces it with the text, so that the beginning of the answer is lost.",
    ),
    "no index": Kind(
        number_calls_without_index,
        2,
        "GPUStack and Mistral send whole calls without an index. The library raises; the id says which call it is.",
    ),
    "one index for all": Kind(
        number_calls_by_id,
        1,
        "Cerebras sends two calls at index 0. The library joins ids, names and arguments of both into one call.",
    ),
    "empty type": Kind(
        drop_empty_fields_of_calls,
        2,
        "OpenRouter and Writer send type null or empty on continuations. The library overwrites the type and asserts.",
    ),
    "two finish reasons": Kind(
        keep_the_first_finish_reason,
        1,
        "Gemini by way of OpenRouter: tool_calls, then stop. The library keeps the last one, which denies the calls.",
    ),
    "bare logprobs": Kind(
        drop_bare_logprobs,
        1,
        "OpenRouter sends a number as logprobs. The library looks for the tokens in it and raises.",
    ),
    "choices out of order": Kind(
        order_choices,
        1,
        "llama.cpp begins with choice 1. The library takes the index for a position and raises.",
    ),
}


def explanations(recording: Recording) -> list[str]:
    """Return the kinds whose repair changes the recording and makes the library agree."""
    found = []
    for name, kind in KINDS.items():
        stream = payloads(recording.body)
        repaired = copy.deepcopy(stream)
        kind.repair(repaired)
        if repaired != stream and theirs(sse(*repaired, DONE)) == ours(recording.body):
            found.append(name)
    return found


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_the_openai_library_agrees_but_for_the_kinds_listed() -> None:
    kinds: Counter[str] = Counter()
    for recording in recordings(".sse", "chat"):
        if recording.name in ERRORS or theirs(recording.body) == ours(recording.body):
            continue
        explained = explanations(recording)
        assert 1 == len(explained), (recording.name, explained, ours(recording.body), theirs(recording.body))
        kinds[explained[0]] += 1
    assert {name: kind.files for name, kind in KINDS.items()} == kinds


def test_the_openai_library_refuses_the_same_recordings_but_for_the_early_end() -> None:
    expected: dict[type[DialectError], str] = {ProviderError: "APIError", TruncatedStreamError: "a completion"}
    seen = {}
    for recording in recordings(".sse", "chat"):
        if recording.name in ERRORS:
            result = theirs(recording.body)
            seen[recording.name] = result if isinstance(result, str) else "a completion"
    assert {name: expected[kind] for name, (kind, _) in ERRORS.items()} == seen
