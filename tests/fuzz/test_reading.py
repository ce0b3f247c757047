"""Results in the shapes that the APIs' own libraries, and people's own parsers, give them are read rightly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

import streamkit
from streamkit.fuzz.normal import normalise
from streamkit.fuzz.oracles import Reference, reference_of
from streamkit.fuzz.reading import read, same_arguments
from streamkit.transcript import Transcript

CALLS: list[tuple[str, dict[str, Any]]] = [("get_weather", {"city": "Oslo", "days": 2}), ("get_time", {"zone": "UTC"})]


def told(dialect: str) -> Transcript:
    calls = [] if dialect == "openai_completions" else CALLS
    return streamkit.synthesize("Let me see: 21 °C.", tool_calls=calls, dialect=dialect)


def judged(value: Any, transcript: Transcript) -> Any:
    """Return both sides of the comparison, as a campaign makes it on the recorded delivery."""
    reference = reference_of(transcript)
    assert reference is not None
    value = normalise(value)
    return reference.learned(value).judge(value, "message")


# -- real libraries, each on a stream of its own API


def _httpx2(body: bytes) -> Any:
    import httpx2

    head = {"content-type": "text/event-stream"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=head, content=body)))


def _httpx(body: bytes) -> Any:
    import httpx

    head = {"content-type": "text/event-stream"}
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=head, content=body)))


def openai_response(body: bytes) -> Any:
    import openai

    with (
        openai.OpenAI(api_key="-", base_url="http://recorded", http_client=_httpx2(body)) as client,
        client.responses.stream(model="-", input="-") as stream,
    ):
        return stream.get_final_response()


def openai_response_events(body: bytes) -> Any:
    import openai

    with openai.OpenAI(api_key="-", base_url="http://recorded", http_client=_httpx2(body)) as client:
        return list(client.responses.create(model="-", input="-", stream=True))


def openai_completion_payloads(body: bytes) -> Any:
    import openai

    with openai.OpenAI(api_key="-", base_url="http://recorded", http_client=_httpx2(body)) as client:
        return list(client.completions.create(model="-", prompt="-", stream=True))


def anthropic_message(body: bytes) -> Any:
    anthropic = import_module("anthropic")
    with (
        anthropic.Anthropic(api_key="-", base_url="http://recorded", http_client=_httpx2(body)) as client,
        client.messages.stream(model="-", max_tokens=1, messages=[]) as stream,
    ):
        return stream.get_final_message()


def anthropic_events(body: bytes) -> Any:
    anthropic = import_module("anthropic")
    with anthropic.Anthropic(api_key="-", base_url="http://recorded", http_client=_httpx2(body)) as client:
        return list(client.messages.create(model="-", max_tokens=1, messages=[], stream=True))


def ollama_lines(body: bytes) -> Any:
    ollama = import_module("ollama")
    return [ollama.ChatResponse(**json.loads(line)) for line in body.splitlines()]


def cohere_events(body: bytes) -> Any:
    client = import_module("cohere").ClientV2(api_key="-", httpx_client=_httpx(body))
    return list(client.chat_stream(model="-", messages=[]))


def genai_payloads(body: bytes) -> Any:
    genai = import_module("google.genai")
    client = genai.Client(api_key="-", http_options=genai.types.HttpOptions(httpx_client=_httpx(body)))
    return [
        chunk.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"})
        for chunk in client.models.generate_content_stream(model="-", contents="-")
    ]


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def botocore_events(body: bytes) -> Any:
    loaders, model, parsers, eventstream = (
        import_module(f"botocore.{name}") for name in ("loaders", "model", "parsers", "eventstream")
    )
    service = model.ServiceModel(loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
    output = service.operation_model("ConverseStream").get_event_stream_output()
    parser = parsers.create_parser("rest-json")._event_stream_parser
    return list(eventstream.EventStream(_Body(body), output, parser, "ConverseStream"))


LIBRARIES: list[tuple[Callable[[bytes], Any], str]] = [
    (openai_response, "openai_responses"),
    (openai_response_events, "openai_responses"),
    (openai_completion_payloads, "openai_completions"),
    (anthropic_message, "anthropic_messages"),
    (anthropic_events, "anthropic_messages"),
    (ollama_lines, "ollama"),
    (cohere_events, "cohere_v2"),
    (genai_payloads, "gemini"),
    (botocore_events, "bedrock_converse"),
]


@pytest.mark.parametrize(("library", "dialect"), LIBRARIES, ids=lambda one: getattr(one, "__name__", one))
def test_what_a_library_gives_is_read_as_what_the_stream_says(library: Callable[[bytes], Any], dialect: str) -> None:
    transcript = told(dialect)
    verdict = judged(library(transcript.body), transcript)
    assert verdict is not None
    assert verdict.expected == verdict.actual
    assert "Let me see: 21 °C." == verdict.actual["content"]
    assert len(transcript_calls(transcript)) == len(verdict.actual["tool_calls"])


def transcript_calls(transcript: Transcript) -> Any:
    return streamkit.accumulate(transcript).tool_calls


@pytest.mark.parametrize(("library", "dialect"), LIBRARIES, ids=lambda one: getattr(one, "__name__", one))
def test_what_a_library_gives_of_another_answer_is_seen_to_differ(
    library: Callable[[bytes], Any], dialect: str
) -> None:
    other = streamkit.synthesize("Something else.", tool_calls=[], dialect=dialect)
    verdict = judged(library(other.body), told(dialect))
    assert verdict is None or verdict.expected != verdict.actual
    assert verdict is not None, "nothing was compared"


# -- the shapes of people's own parsers

ANSWER = told("openai_chat")
CALL_LIST = [{"id": f"call_{n}", "name": name, "arguments": json.dumps(given)} for n, (name, given) in enumerate(CALLS)]
TEXT = "Let me see: 21 °C."


@pytest.mark.parametrize(
    ("value", "compared"),
    [
        (TEXT, {"content"}),
        (["Let me", " see: ", "21 °C."], {"content"}),
        ((TEXT, CALL_LIST), {"content", "tool_calls"}),
        ((TEXT, CALL_LIST, "tool_calls"), {"content", "tool_calls", "finish_reason"}),
        ({"text": TEXT, "calls": CALL_LIST}, {"content", "tool_calls"}),
        (
            {"text": TEXT, "toolCalls": CALL_LIST, "finishReason": "tool_calls"},
            {"content", "tool_calls", "finish_reason"},
        ),
        (CALL_LIST, {"tool_calls"}),
        ([{"name": name, "input": given} for name, given in CALLS], {"tool_calls"}),
        ({"content": TEXT, "model": "synthetic"}, {"content", "model"}),
    ],
)  # fmt: skip
def test_what_stands_under_another_name_counts_where_it_agrees_with_the_stream(value: Any, compared: set[str]) -> None:
    verdict = judged(value, ANSWER)
    assert verdict is not None
    assert verdict.same
    assert compared == set(verdict.actual)


@pytest.mark.parametrize(
    "value",
    ["12 events", ["a", "b"], ("a", []), {"text": "data: raw"}, {"calls": 3, "text": "x"}, {"status": "ok"}, [1, 2]],
)
def test_what_stands_under_another_name_and_is_something_else_is_not_compared(value: Any) -> None:
    assert judged(value, ANSWER) is None


def test_a_field_that_agreed_once_is_expected_from_then_on() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    transcript = streamkit.synthesize("hi", usage=usage)
    reference = reference_of(transcript)
    assert isinstance(reference, Reference)
    right = normalise({"content": "hi", "usage": {**usage, "completion_tokens_details": None}})
    learned = reference.learned(right)
    assert {"usage"} == set(learned.trusted)
    doubled = {"content": "hi", "usage": {name: 2 * count for name, count in usage.items()}}
    verdict = learned.judge(doubled, "message")
    assert verdict is not None
    assert not verdict.same
    unlearned = reference.judge(doubled, "message")
    assert unlearned is not None
    assert unlearned.same


def test_what_agreed_once_and_is_reported_no_more_is_lost() -> None:
    reference = Reference(streamkit.Completion(id="c1", model="m"), "", (), "openai_chat", frozenset({"id", "model"}))
    message = {"content": ""}
    for left in ({}, {"id": None, "model": "m"}, {"id": "c1"}):
        verdict = reference.judge({**message, **left}, "message")
        assert verdict is not None
        assert not verdict.same
    whole = reference.judge({**message, "id": "c1", "model": "m"}, "message")
    assert whole is not None
    assert whole.same


LEGACY = (
    b'data: {"choices":[{"index":0,"delta":{"function_call":{"name":"f","arguments":"{}"}},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"function_call"}]}\n\ndata: [DONE]\n\n'
)
CALLED = {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ({"content": None, "tool_calls": None, "function_call": CALLED}, True),
        ({"content": "", "function_call": CALLED}, True),
        ({"content": "", "tool_calls": [{"id": "call_own", "type": "function", "function": CALLED}]}, True),
        ({"content": "", "tool_calls": [], "function_call": None}, False),
        ({"content": "", "tool_calls": [], "function_call": {**CALLED, "arguments": ""}}, True),
        ({"content": "", "tool_calls": [], "function_call": {**CALLED, "name": "g"}}, False),
    ],
)
def test_a_call_in_the_legacy_form_is_a_call_in_whichever_form_it_is_reported(value: Any, same: bool) -> None:
    verdict = judged(value, Transcript(LEGACY, dialect="openai_chat"))
    assert verdict is not None
    assert same is verdict.same


def test_the_halves_of_a_pair_meet_in_a_list_of_payloads() -> None:
    pieces = ["\ud83c", "\udf0d"]
    payloads = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    payloads.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = b"".join(f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads)
    verdict = judged(payloads, Transcript(body, dialect="openai_chat"))
    assert verdict is not None
    assert verdict.same
    assert "\U0001f30d" == verdict.actual["content"]


def test_arguments_are_the_same_as_text_and_as_an_object() -> None:
    assert same_arguments('{"a": 1}', {"a": 1})
    assert same_arguments('{"a":1}', '{ "a": 1 }')
    assert same_arguments("", {})
    assert not same_arguments('{"a":1}', '{"a":1}}')
    assert not same_arguments('{"a":1', '{"a":')
    assert not same_arguments('{"a":1}', {"a": 2})


def test_ids_that_were_reported_once_and_are_empty_later_are_lost() -> None:
    reference = reference_of(ANSWER)
    assert isinstance(reference, Reference)
    right = {"content": TEXT, "tool_calls": CALL_LIST}
    emptied = {"content": TEXT, "tool_calls": [{**call, "id": ""} for call in CALL_LIST]}
    for before, after, same in ((right, emptied, False), (right, right, True), (emptied, emptied, True)):
        verdict = reference.learned(normalise(before)).judge(normalise(after), "message")
        assert verdict is not None
        assert same is verdict.same


@pytest.mark.parametrize(
    "call", [["f", '{"a": 1}'], ["f", {"a": 1}], ["call_1", "f", '{"a": 1}'], [None, "f", '{"a": 1}']]
)
def test_a_call_may_be_a_tuple_of_name_and_arguments(call: list[Any]) -> None:
    found = read(["hello", [call]], None, "openai_chat")
    assert found is not None
    assert ("hello", "f", call[-1]) == (
        found.choices[0]["content"],
        found.choices[0]["tool_calls"][0]["name"],
        found.choices[0]["tool_calls"][0]["arguments"],
    )
    assert ("call_1" if "call_1" in call else None) == found.choices[0]["tool_calls"][0].get("id")


@pytest.mark.parametrize("call", [["f"], ["f", 3], [1, {}], ["a", "b", "f", {}]])
def test_other_tuples_are_no_calls(call: list[Any]) -> None:
    found = read(["hello", [call]], None, "openai_chat")
    assert found is None or "tool_calls" not in found.choices[0]


def test_other_usual_names_are_read_where_they_agreed_with_the_stream() -> None:
    transcript = told("openai_chat")
    reference = reference_of(transcript)
    assert reference is not None
    value = {
        "answer": "Let me see: 21 °C.",
        "tools": [{"fn": name, "params": arguments} for name, arguments in CALLS],
        "why": "tool_calls",
    }
    learned = reference.learned(normalise(value))
    assert {"content", "tool_calls"} <= learned.trusted
    verdict = learned.judge(normalise({**value, "answer": "Let me see: 21"}), "message")
    assert verdict is not None
    assert not verdict.same
    half = learned.judge(normalise({**value, "tools": value["tools"][:1]}), "message")
    assert half is not None
    assert not half.same


def test_calls_under_digits_that_are_no_numbers_are_not_read() -> None:
    assert None is read({"tool_calls": {"²": {"name": "f"}}}, None, None)


def test_finish_reasons_in_a_list_are_not_one_of_them_joined() -> None:
    found = read({"text": "hello", "finish": ["stop", "stop"]}, None, None)
    assert found is not None
    assert [{"content": "hello"}] == found.choices
