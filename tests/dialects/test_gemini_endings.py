"""Gemini: when a stream has ended, and what is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.delivery import always, drip
from skhelpers.gemini_payloads import (
    CLOUD,
    GREETING,
    STOP,
    Json,
    array,
    calling,
    candidate,
    only,
    outcome,
    read,
    response,
    said,
    sse,
    text,
)

from streamkit.completion import Completion
from streamkit.dialects.gemini import Reader
from streamkit.errors import PayloadError, ProviderError, TruncatedStreamError

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
