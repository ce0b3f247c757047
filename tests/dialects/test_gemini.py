"""Gemini: what its streams mean, in every form and however they end; and the way back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion, ToolCall
from streamkit.dialects.gemini import Gemini, Reader
from streamkit.dialects.layout import Layout
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript
from streamkit.wire.sse import Framing

Json = dict[str, Any]
CLOUD = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


def candidate(*parts: Json, reason: str | None = None, index: int = 0, **fields: Any) -> Json:
    """Return one candidate; without parts it has no content."""
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return {**content, **({"finishReason": reason} if reason else {}), "index": index, **fields}


def response(*candidates: Json, **fields: Any) -> Json:
    """Return one payload."""
    return {"candidates": list(candidates), "modelVersion": "gemini-2.5-flash", "responseId": "r1", **fields}


def said(*parts: Json, reason: str | None = None, **fields: Any) -> Json:
    """Return a payload with one candidate of these parts."""
    return response(candidate(*parts, reason=reason, **fields))


def text(piece: str, **fields: Any) -> Json:
    return {"text": piece, **fields}


def calling(name: str | None = None, **fields: Any) -> Json:
    return {"functionCall": {**({"name": name} if name is not None else {}), **fields}}


def sse(*payloads: Json | bytes) -> bytes:
    """Return an event stream, with the line ends that Google's servers send."""
    return b"".join(
        one if isinstance(one, bytes) else b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in payloads
    )


def array(*payloads: Json) -> bytes:
    """Return the array form, as Google's servers write it."""
    return b"[" + b",\r\n".join(json.dumps(one, indent=2).encode() + b"\n" for one in payloads) + b"]\n"


def read(chunks: Iterable[bytes]) -> Completion:
    reader = Reader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return reader.result()


def outcome(chunks: Iterable[bytes]) -> Any:
    """Return the completion, or what is to be seen of the error."""
    try:
        return read(chunks)
    except DialectError as error:
        return type(error).__name__, error.args[0], error.partial


def only(*payloads: Json) -> Choice:
    """Return the first choice of an event stream of these payloads."""
    return read([sse(*payloads)]).choices[0]


STOP = said(text(""), reason="STOP")
GREETING = [
    said(text("Think", thought=True)),
    {**said(text("Hel")), "usageMetadata": {"promptTokenCount": 3}},
    said(text("lo 日本 🌤"), calling("f", args={"b": [1, "ü"], "a": {}}, id="c1"), reason="STOP",
         safetyRatings=[{"category": "X"}]),
]  # fmt: skip
GREETING[2]["usageMetadata"] = {"promptTokenCount": 3, "candidatesTokenCount": 9}


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


# The end


@pytest.mark.parametrize("form", [sse, array], ids=["sse", "array"])
def test_no_beginning_of_a_stream_looks_finished(form: Any) -> None:
    body = form(*GREETING)
    end = len(body.rstrip()) if form is array else len(body) - 2 + 1  # the blank line's CR ends the last event
    for at in range(end):
        with pytest.raises(TruncatedStreamError) as caught:
            read([body[:at]])
        partial = caught.value.partial
        assert not partial.ended, at
        assert not any(call.executable for call in partial.tool_calls), at


def test_an_unfinished_event_after_the_finish_reason_means_that_something_is_missing() -> None:
    # Old versions send STOP with every payload, so that a finish reason alone ends nothing.
    body = sse(said(text("First "), reason="STOP")) + b'data: {"candidates": [{"con'
    with pytest.raises(TruncatedStreamError, match="the last 27 bytes are an unfinished event"):
        read([body])


def test_the_last_finish_reason_counts() -> None:
    every = [said(text("a"), reason="STOP"), said(text("b"), calling("f"), reason="STOP"), said(reason="RECITATION")]
    choice = only(*every)
    assert ("ab", "RECITATION") == (choice.content, choice.finish_reason)
    assert "finish reason RECITATION" in str(choice.tool_calls[0].problem)


def test_content_after_a_finish_reason_takes_it_back() -> None:
    # Recorded: gemini-2.5-flash sends STOP with a part of executable code, goes on, and sends STOP again.
    body = sse(said(text("a"), reason="STOP"), said(text("b")))
    with pytest.raises(TruncatedStreamError, match="no finish reason") as caught:
        read([body])
    assert caught.value.partial.finish_reason is None
    assert "ab" == read([body + sse(STOP)]).content


@pytest.mark.parametrize(
    "late",
    [said(groundingMetadata={"a": 1}), said(text("")), said(text("", thoughtSignature="s")), response(),
     {"usageMetadata": {"totalTokenCount": 1}}, {"type": "ping"}],
    ids=["metadata", "empty-text", "signature", "no-candidate", "usage", "foreign"],
)  # fmt: skip
def test_what_says_nothing_after_a_finish_reason_leaves_it(late: Json) -> None:
    assert "STOP" == only(said(text("a"), reason="STOP"), late).finish_reason


@pytest.mark.parametrize("reason", ["FINISH_REASON_UNSPECIFIED", ""])
def test_an_unspecified_finish_reason_is_none(reason: str) -> None:
    with pytest.raises(TruncatedStreamError):
        read([sse(said(text("a"), reason=reason, finishReason=reason))])


def test_a_finish_reason_before_all_content_ends_nothing() -> None:
    # Chevey339/kelivo#1003: gateways send an empty candidate with STOP first.
    early = said(reason="STOP")
    with pytest.raises(TruncatedStreamError):
        read([sse(early, said(text("a")))])
    assert ("a", "STOP") == (
        only(early, said(text("a")), STOP).content,
        only(early, said(text("a")), STOP).finish_reason,
    )


def test_every_candidate_needs_its_finish_reason() -> None:
    both = response(candidate(text("a"), reason="STOP"), candidate(text("b"), calling("f"), index=1))
    with pytest.raises(TruncatedStreamError, match="a candidate has no finish reason") as caught:
        read([sse(both)])
    assert not any(call.executable for choice in caught.value.partial.choices for call in choice.tool_calls)
    whole = read([sse(both, response(candidate(index=1, reason="MAX_TOKENS")))])
    assert [("a", "STOP"), ("b", "MAX_TOKENS")] == [(c.content, c.finish_reason) for c in whole.choices]


def test_a_blocked_prompt_is_an_end_with_nothing_to_execute() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 2}}
    alone = read([sse(blocked)])
    assert ((), True, {"promptFeedback": {"blockReason": "SAFETY"}}) == (alone.choices, alone.ended, alone.extra)
    after = read([sse(said(text("a"), calling("f", args={})), blocked)])
    assert "the prompt was blocked (SAFETY)" == after.tool_calls[0].problem
    with pytest.raises(TruncatedStreamError, match="no candidate came"):
        read([sse({"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}})])


@pytest.mark.parametrize("body", [b"", b" \r\n", b": ping\n\n", b"[]", b"data: [DONE]\n\n"])
def test_a_body_without_a_candidate_is_no_answer(body: bytes) -> None:
    with pytest.raises(TruncatedStreamError, match="no candidate came"):
        read([body])


def test_done_as_gateways_add_it_ends_nothing() -> None:
    assert "a" == read([sse(said(text("a"), reason="STOP"), b"data: [DONE]\n\n")]).content
    with pytest.raises(TruncatedStreamError):
        read([sse(said(text("a")), b"data: [DONE]\n\n")])


# Errors


@pytest.mark.parametrize(
    "body",
    [
        sse(said(text("Hel"), reason="STOP"), CLOUD),
        sse(said(text("Hel"), reason="STOP"), json.dumps(CLOUD, indent=2).encode()),
        sse(said(text("Hel"), reason="STOP"), b"\n" + json.dumps(CLOUD).encode() + b"\n"),
        sse(said(text("Hel"), reason="STOP"), json.dumps([CLOUD], indent=2).encode()),
        array(said(text("Hel"), reason="STOP"), CLOUD),
    ],
    ids=["in-an-event", "bare", "bare-after-a-blank-line", "bare-array", "in-the-array"],
)
def test_an_error_in_the_stream_is_the_providers(body: bytes) -> None:
    kind, message, partial = always(body, outcome, scan=0)
    assert ("ProviderError", "the provider reported an error: overloaded (503)") == (kind, message)
    assert (False, "Hel") == (partial.ended, partial.content)


@pytest.mark.parametrize("body", [json.dumps(CLOUD, indent=2).encode(), array(CLOUD), b"\xef\xbb\xbf\n" + array(CLOUD)])
def test_an_error_in_place_of_the_body_is_the_providers(body: bytes) -> None:
    with pytest.raises(ProviderError, match="overloaded") as caught:
        read([body])
    assert 503 == caught.value.code
    assert CLOUD == caught.value.payload


def test_half_of_a_bare_error_is_no_end() -> None:
    body = sse(said(text("Hel"), reason="STOP")) + json.dumps(CLOUD, indent=2).encode()[:-1]
    with pytest.raises(TruncatedStreamError, match="a JSON object is not finished"):
        read([body])


@pytest.mark.parametrize(
    "body",
    [
        sse(b"data: {\r\n\r\n"),
        sse(b'data: "text"\n\n'),
        sse(b"data: [1]\n\n"),
        sse(b'data: {"candidates":[],"x":NaN}\n\n'),
        sse(b'data: {"candidates":[],"x":1e999}\n\n'),
        sse(b'data: {"candidates":[],"x":"\xff"}\n\n'),
        b'[{"candidates":"\xff"}]',
        b"[{}{}]",
        b"[1]",
        b'{"candidates":[]}',
        sse(STOP, b'{"hello":1}'),
        sse(b'data: {"candidates":' + b"[" * 300 + b"]" * 300 + b"}\n\n"),
        sse(b'data: {"candidates":' + b"[" * 100_000 + b"\n\n"),
        sse({"candidates": {}}),
        sse({"candidates": [1]}),
        sse(said(reason="STOP", content=[])),
        sse(said(content={"parts": {}})),
        sse(said(content={"parts": ["x"]})),
        sse(said(text(1))),  # type: ignore[arg-type]
        sse(said(index="0")),
        sse(said(index=True)),
        sse(said(finishReason=1)),
        sse(said({"functionCall": "f"})),
        sse(said(calling(1))),  # type: ignore[arg-type]
        sse(said(calling("f", args="{}"))),
        sse(said(calling("f", id=1))),
        sse(said(calling("f", partialArgs={}))),
        sse(said(calling("f", partialArgs=[1]))),
        sse(said(calling("f", partialArgs=[{"jsonPath": "$.a", "stringValue": 1}]))),
        sse(said(citationMetadata=[])),
        sse(said(logprobsResult=[])),
        sse({"usageMetadata": []}),
        sse({"promptFeedback": "x"}),
        sse({"candidates": [], "responseId": 1}),
    ],
)
def test_what_is_no_payload_is_a_typed_error_in_every_delivery(body: bytes) -> None:
    reader = Reader()
    for chunks in ([body], drip(body)) if len(body) < 50_000 else ([body],):
        with pytest.raises(PayloadError) as caught:
            read(chunks)
        assert isinstance(caught.value.partial, Completion)
        assert not caught.value.partial.ended
    with pytest.raises(PayloadError):
        reader.feed(body + b"]") if body.startswith(b"[") else reader.feed(body)
    reader.close()
    with pytest.raises(PayloadError):
        reader.result()


def test_an_error_stays_whatever_comes_after_it() -> None:
    reader = Reader()
    with pytest.raises(ProviderError):
        reader.feed(sse(said(text("a"), reason="STOP"), CLOUD))
    with pytest.raises(ProviderError):
        reader.feed(sse(STOP))
    reader.close()
    with pytest.raises(ProviderError):
        reader.result()
    assert not reader.snapshot().ended


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([sse(*GREETING), array(*GREETING)]), st.integers(0, 500))
def test_damaged_bytes_give_a_completion_or_a_typed_error(noise: bytes, body: bytes, at: int) -> None:
    # Invariant: nothing but typed errors, and the same outcome byte by byte.
    damaged = body[:at] + noise + body[at + len(noise) :]
    assert outcome([damaged]) == outcome(drip(damaged))


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


# The way back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
LAYOUTS = st.builds(
    Layout,
    token_size=st.integers(1, 9),
    calls=st.sampled_from(["sequential", "interleaved", "whole"]),
    usage=st.sampled_from(["last", "finish", "every", "none"]),
    keep_alive=st.booleans(),
    framing=st.builds(
        Framing, line_end=st.sampled_from([b"\n", b"\r", b"\r\n"]), space=st.booleans(), bom=st.booleans()
    ),
    chunk=st.sampled_from(["event", "whole"]),
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    reason = draw(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "NEW"]))
    problem = None if reason == "STOP" else f"the answer did not end by itself (finish reason {reason})"
    calls = draw(st.lists(st.tuples(st.none() | NAMES, NAMES, st.none() | OBJECTS, st.booleans()), max_size=3))
    content, reasoning = draw(st.none() | TEXTS), draw(st.none() | TEXTS)
    parts = draw(st.lists(OBJECTS.map(lambda value: {"inlineData": value}), max_size=2))
    citation = draw(st.lists(st.integers(0, 9), unique=True, max_size=3))
    extra: Json = {"groundingMetadata": {"webSearchQueries": ["q"]}} if draw(st.booleans()) else {}
    if parts:
        extra["parts"] = parts
    if citation:
        extra["citationMetadata"] = {"citations": citation}
    return Choice(
        index=index,
        content=content,
        reasoning=reasoning,
        tool_calls=tuple(
            ToolCall(identity, name,
                     "" if args is None else json.dumps(args, ensure_ascii=False, separators=(",", ":")),
                     problem=problem, extra={"thoughtSignature": "s"} if signed else {})
            for identity, name, args, signed in calls
        ),
        finish_reason=reason,
        logprobs=draw(st.none() | st.just({"chosenCandidates": [{"token": "a"}]})),
        extra=extra,
    )  # fmt: skip


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    made = tuple(draw(choices(index)) for index in range(draw(st.integers(1, 3))))
    usage = draw(st.none() | st.dictionaries(st.sampled_from(["promptTokenCount", "x"]), st.integers(), min_size=1))
    extra: Json = draw(st.sampled_from([{}, {"createTime": "t"}, {"promptFeedback": {"safetyRatings": [1]}, "new": 1}]))
    return Completion(made, usage, draw(st.none() | NAMES), draw(st.none() | NAMES), ended=True, extra=extra)


@given(completions(), LAYOUTS, st.sampled_from(["sse", "jsonarray"]))
def test_what_is_emitted_reads_back_as_the_very_completion(made: Completion, layout: Layout, wire: str) -> None:
    # Invariant: accumulate(emit(c)) == c, and the transcript is detected.
    transcript = Gemini().emit(made, layout, wire=wire)
    assert made == read(chunk.data for chunk in transcript.chunks)
    assert (True, "gemini") == (transcript.synthetic, transcript.dialect)
    assert Gemini().detect(Transcript(transcript.body))


def test_a_blocked_prompt_can_be_emitted() -> None:
    made = Completion(ended=True, extra={"promptFeedback": {"blockReason": "SAFETY"}}, usage={"promptTokenCount": 1})
    assert made == read([Gemini().emit(made, Layout()).body])


def test_events_are_written_as_google_writes_them() -> None:
    call = ToolCall("c1", "f", '{"a":1}', extra={"thoughtSignature": "s"})
    made = Completion(
        (Choice(0, content="Hello", tool_calls=(call,), finish_reason="STOP"),),
        usage={"promptTokenCount": 3, "totalTokenCount": 9}, id="r", model="m", ended=True,
    )  # fmt: skip
    events = Gemini().emit(made, Layout(usage="every")).body.decode().split("\n\n")
    tail = '"modelVersion":"m","responseId":"r"}'
    assert events == [
        'data: {"candidates":[{"content":{"parts":[{"text":"Hell"}],"role":"model"},"index":0}],'
        '"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"text":"o"}],"role":"model"},"index":0}],'
        '"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":1}},'
        '"thoughtSignature":"s"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3},' + tail,
        'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],'
        '"usageMetadata":{"promptTokenCount":3,"totalTokenCount":9},' + tail,
        "",
    ]


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Completion(), "no candidate came"),
        (Completion((Choice(0, content="a", finish_reason="STOP"),)), "its ended"),
        (Completion((Choice(0, content="a"),), ended=True), "no finish reason"),
        (Completion((Choice(0, refusal="no", finish_reason="STOP"),), ended=True), "its refusal"),
        (Completion((Choice(0, role="model", finish_reason="STOP"),), ended=True), "its role"),
        (Completion((Choice(0, finish_reason="STOP"),), created=1, ended=True), "its created"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "{"),)),), ended=True), "no JSON"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "[]"),)),), ended=True), "args"),
        (Completion((Choice(0, finish_reason="STOP", tool_calls=(ToolCall("1", "f", "{ }"),)),), ended=True),
         "its tool_calls"),
        (Completion((Choice(0, finish_reason="STOP", extra={"parts": 1}),), ended=True), "is no list"),
        (Completion((Choice(0, finish_reason="STOP", extra={"x": {1}}),), ended=True), "cannot be written as JSON"),
        (Completion((Choice(0, content="\ud83d", finish_reason="STOP"),), ended=True), "cannot be written as JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_named(made: Completion, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Gemini().emit(made, Layout())
    with pytest.raises(UsageError, match="wire is 'xml'"):
        Gemini().emit(made, Layout(), wire="xml")
