"""Gemini: what its streams mean, in every form, and which streams are its own."""

from __future__ import annotations

import copy
import json
from contextlib import suppress

import pytest
from skhelpers.delivery import always
from skhelpers.gemini_payloads import CLOUD, GREETING, STOP, Json, array, calling, only, read, response, said, sse, text

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.gemini import Gemini, Reader
from streamkit.errors import PayloadError
from streamkit.transcript import Request, Transcript


@pytest.mark.parametrize("body", [sse(*GREETING), array(*GREETING)], ids=["sse", "array"])
def test_an_answer_is_the_same_in_every_form_and_delivery(body: bytes) -> None:
    expected = Completion(
        choices=(
            Choice(
                index=0,
                content="Hello 日本 🌤",
                reasoning="Think",
                tool_calls=(ToolCall("c1", "f", '{"b":[1,"ü"],"a":{}}'),),
                finish_reason="STOP",
                extra={"safetyRatings": [{"category": "X"}]},
            ),
        ),
        usage={"promptTokenCount": 3, "candidatesTokenCount": 9},
        id="r1",
        model="gemini-2.5-flash",
        ended=True,
    )
    assert expected == always(body, read, scan=0)
    assert {"b": [1, "ü"], "a": {}} == expected.tool_calls[0].parsed()


# Parts


def test_parts_of_other_kinds_and_signatures_are_kept_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s1"}
    choice = only(
        said(code),
        said(text("x", thought=True, thoughtSignature="s2")),
        said(text("y", thoughtSignature="s3"), text("z"), {"inlineData": {"data": "AA=="}}),
        STOP,
    )
    assert ("yz", "x") == (choice.content, choice.reasoning)
    expected = [code, {"thought": True, "thoughtSignature": "s2"}, {"thoughtSignature": "s3"},
                {"inlineData": {"data": "AA=="}}]  # fmt: skip
    assert expected == choice.extra["parts"]


def test_text_never_sent_is_none_and_empty_text_is_empty() -> None:
    assert None is only(said(calling("f"), reason="STOP")).content
    assert "" == only(STOP).content


def test_surrogate_halves_in_two_parts_are_one_character() -> None:
    body = b'data: {"candidates":[{"content":{"parts":[{"text":"\\ud83d"},{"text":"\\ude00"}]},"finishReason":"STOP"}]}'
    assert "😀" == read([body + b"\n\n"]).content


def test_metadata_is_kept_as_it_came_last_and_citations_are_joined() -> None:
    one, two = {"startIndex": 1}, {"startIndex": 2}
    choice = only(
        said(text("a"), groundingMetadata={"groundingChunks": [1]}, citationMetadata={"citationSources": [one]}),
        said(text("b"), groundingMetadata={}, citationMetadata={"citationSources": [one, two]}, newField=7),
        said(text("c"), reason="STOP", logprobsResult={"chosenCandidates": [1]}, finishMessage="m"),
        said(logprobsResult={"chosenCandidates": [2], "logProbabilitySum": -1.5}),
    )
    expected = {
        "groundingMetadata": {"groundingChunks": [1]},
        "newField": 7,
        "finishMessage": "m",
        "logprobsResult.logProbabilitySum": -1.5,
        "citationMetadata": {"citationSources": [one, two]},
    }
    assert expected == choice.extra
    assert {"chosenCandidates": [1, 2]} == choice.logprobs


def test_unknown_fields_of_a_payload_are_kept() -> None:
    completion = read([sse({**STOP, "createTime": "t1", "new": 1}, {**response(), "createTime": "t2", "new": 2})])
    assert {"createTime": "t1", "new": 2} == completion.extra


# Calls


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "OTHER", "SOMETHING_NEW"])
def test_a_call_is_executable_after_stop_alone(reason: str) -> None:
    assert only(said(calling("f", args={}), reason="STOP")).tool_calls[0].executable
    call = only(said(calling("f", args={"a": 1}), reason=reason)).tool_calls[0]
    assert f"the answer did not end by itself (finish reason {reason})" == call.problem


def test_each_part_with_a_name_is_a_call_of_its_own() -> None:
    choice = only(said(calling("f", args={"a": 1}), calling("f", args={"a": 1})), said(calling("f")), STOP)
    assert [("f", '{"a":1}'), ("f", '{"a":1}'), ("f", "")] == [(c.name, c.arguments) for c in choice.tool_calls]
    assert all(call.executable for call in choice.tool_calls)


def test_a_call_keeps_its_signature_and_what_is_new() -> None:
    part = {**calling("f", args={}, new=1), "thoughtSignature": "s", "thought": True}
    expected = {"new": 1, "thoughtSignature": "s", "thought": True}
    assert expected == only(said(part), STOP).tool_calls[0].extra


def test_a_call_without_a_name_has_a_problem() -> None:
    assert "it has no name" == only(said(calling()), STOP).tool_calls[0].problem


def arguments(*entries: Json, goes_on: bool = True) -> Json:
    return said(calling(partialArgs=list(entries), willContinue=goes_on))


def streamed(*payloads: Json) -> ToolCall:
    return only(said(calling("f", willContinue=True)), *payloads, STOP).tool_calls[0]


END = said(calling())


def test_arguments_that_stream_are_put_together() -> None:
    call = streamed(
        arguments({"jsonPath": "$.city", "stringValue": "Bos", "willContinue": True}),
        arguments({"jsonPath": "$.city", "stringValue": "", "willContinue": True}),
        arguments({"jsonPath": "$.city", "stringValue": "ton"}, {"jsonPath": "$.n", "numberValue": 2}),
        arguments({"jsonPath": "$.list[0].a", "boolValue": True}, {"jsonPath": "$.list[1]['b c']", "nullValue": None}),
        arguments({"jsonPath": '$.list[2]["d"]', "nullValue": "NULL_VALUE"}),
        END,
    )
    expected = {"city": "Boston", "n": 2, "list": [{"a": True}, {"b c": None}, {"d": None}]}
    assert expected == call.parsed()


def test_calls_that_stream_one_after_the_other_are_told_apart() -> None:
    choice = only(
        said(calling("f", willContinue=True)), arguments({"jsonPath": "$.id", "stringValue": "A"}), END,
        said(calling("f", willContinue=True)), arguments({"jsonPath": "$.id", "stringValue": "B"}), END, STOP,
    )  # fmt: skip
    assert [{"id": "A"}, {"id": "B"}] == [call.parsed() for call in choice.tool_calls]


def test_calls_that_stream_in_turns_are_told_apart_by_their_ids() -> None:
    def piece(identity: str, value: str) -> Json:
        return calling(id=identity, partialArgs=[{"jsonPath": "$.a", "stringValue": value}], willContinue=True)

    choice = only(
        said(calling("f", id="1", willContinue=True), calling("g", id="2", willContinue=True)),
        said(piece("1", "x"), piece("2", "y")), said(calling(id="1"), calling(id="2")), STOP,
    )  # fmt: skip
    assert [("1", {"a": "x"}), ("2", {"a": "y"})] == [(call.id, call.parsed()) for call in choice.tool_calls]


@pytest.mark.parametrize(
    ("payloads", "problem"),
    [
        ([arguments({"jsonPath": "$.a", "stringValue": "x"})], "were not finished"),
        ([arguments({"jsonPath": "$.a", "stringValue": "x", "willContinue": True}), END], "were not finished"),
        ([arguments({"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": "$.a", "stringValue": "y"}), END], "twice"),
        ([arguments({"jsonPath": "$.a", "stringValue": "x", "willContinue": True},
                    {"jsonPath": "$.b", "stringValue": "y"}), END], "before the next began"),
        ([arguments({"jsonPath": "$.a[1]", "numberValue": 1}), END], "do not fit"),
        ([arguments({"jsonPath": "$.a", "numberValue": 1}, {"jsonPath": "$.a.b", "numberValue": 1}), END],
         "do not fit"),
        ([arguments({"jsonPath": "$[0]", "numberValue": 1}), END], "do not fit"),
        ([arguments({"jsonPath": "$..a", "numberValue": 1}), END], "cannot be followed"),
        ([arguments({"jsonPath": "$", "numberValue": 1}), END], "cannot be followed"),
        ([arguments({"numberValue": 1}), END], "cannot be followed"),
        ([arguments({"jsonPath": "$" + ".a" * 5000, "numberValue": 1}), END], "cannot be followed"),
        ([said(calling(args={"a": 1}, willContinue=True)), said(calling(args={"b": 1}))], "twice"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_add_up_are_not_executable(payloads: list[Json], problem: str) -> None:
    assert problem in str(streamed(*payloads).problem)


def test_a_reader_can_be_copied_anywhere() -> None:
    body = sse(*GREETING)
    expected = read([body])
    for at in range(0, len(body), 5):
        reader = Reader()
        reader.feed(body[:at])
        other = copy.deepcopy(reader)
        with suppress(PayloadError):
            reader.feed(body[at:] + sse(STOP))
        other.feed(body[at:])
        other.close()
        assert expected == other.result()


# Detection


@pytest.mark.parametrize(
    "body",
    [sse(*GREETING), array(*GREETING), sse({"promptFeedback": {"blockReason": "SAFETY"}}), sse(CLOUD, STOP),
     b'data: {"candidates": [{"content": {"parts": [{"inlineData": {"data": "' + b"A" * 70_000],
)  # fmt: skip
def test_its_streams_are_detected(body: bytes) -> None:
    assert Gemini().detect(Transcript(body))


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"[1]", b"[{}{}]", sse({"choices": []}), sse({"candidates": [], "choices": []}), sse(CLOUD),
     json.dumps(CLOUD).encode(), json.dumps(STOP).encode(), b"data: x\n\n", b"data: [1]\n\n", b"event: a\n\n",
     sse({"event_type": "interaction.created", "interaction": {}})],
)  # fmt: skip
def test_other_streams_are_not_detected(body: bytes) -> None:
    assert not Gemini().detect(Transcript(body))


def test_the_url_of_the_request_tells() -> None:
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert Gemini().detect(Transcript(b"", request=Request("POST", url)))
    assert not Gemini().detect(Transcript(b"", request=Request("POST", url.replace("streamG", "g"))))
