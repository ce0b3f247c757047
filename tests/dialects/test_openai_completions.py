"""Legacy completions: what their streams mean, however they end; and the way back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skhelpers.chat import DONE, delta, sse
from skhelpers.delivery import always, drip

from streamkit.completion import Choice, Completion
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_completions import OpenAICompletions, Reader
from streamkit.errors import DialectError, PayloadError, ProviderError, TruncatedStreamError, UsageError
from streamkit.transcript import Request, Transcript
from streamkit.wire.sse import Framing

Json = dict[str, Any]
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def payload(*choices: Json, **fields: Any) -> Json:
    """Return a payload of these choices."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "gpt-3.5-turbo-instruct"}
    return {**head, "choices": list(choices), **fields}


def piece(text: str = "", reason: str | None = None, index: int = 0, **fields: Any) -> Json:
    """Return one entry of `choices`."""
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason, **fields}


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
        return type(error).__name__, str(error), error.partial


ANSWER: list[Json | str | bytes] = [
    payload(piece("Grü")),
    payload(piece("b", index=1)),
    payload(piece("ße 🌤"), piece("", "length", index=1)),
    payload(piece("", "stop")),
    payload(usage=USAGE),
    DONE,
]


def test_an_answer_is_the_same_in_every_delivery() -> None:
    expected = Completion(
        choices=(
            Choice(0, content="Grüße 🌤", finish_reason="stop"),
            Choice(1, content="b", finish_reason="length"),
        ),
        usage=USAGE,
        id="cmpl-1",
        model="gpt-3.5-turbo-instruct",
        created=7,
        ended=True,
    )
    assert expected == always(sse(*ANSWER), read, scan=0)


def test_no_beginning_of_a_stream_looks_finished() -> None:
    body = sse(*ANSWER)
    finished = len(sse(*ANSWER[:4]))
    for at in range(finished):
        with pytest.raises(TruncatedStreamError) as caught:
            read([body[:at]])
        assert not caught.value.partial.ended, at
    assert read([body[:finished]]).ended


def test_done_alone_ends_an_answer_and_is_none_by_itself() -> None:
    assert ("a", None) == (read([sse(payload(piece("a")), DONE, b"data: x\n\n")]).content, None)
    for body in (sse(DONE), b"", sse(payload(), DONE)):
        with pytest.raises(TruncatedStreamError, match="no choice came"):
            read([body])
    with pytest.raises(TruncatedStreamError, match="the last 7 bytes are an unfinished event"):
        read([sse(payload(piece("a"))) + b"data: ["])


def test_the_first_finish_reason_and_the_last_usage_count() -> None:
    body = sse(
        payload(piece("a", ""), usage={"total_tokens": 1}),
        payload(piece("", "stop"), usage=None),
        payload(piece("", "length"), usage={"total_tokens": 2}),
        payload(usage={}),
    )
    completion = read([body])
    assert ("stop", {"total_tokens": 2}) == (completion.finish_reason, completion.usage)


def test_the_lists_of_logprobs_are_joined() -> None:
    body = sse(
        payload(piece("a", logprobs={"tokens": ["a"], "top_logprobs": None, "text_offset": [0]})),
        payload(piece("b", "stop", logprobs={"tokens": ["b"], "text_offset": [1], "new": 3})),
        payload(piece("", index=1, reason="stop", logprobs=-0.5)),
    )
    first, second = read([body]).choices
    assert {"tokens": ["a", "b"], "text_offset": [0, 1]} == first.logprobs
    assert ({"logprobs.new": 3}, {"logprobs": -0.5}) == (first.extra, second.extra)


def test_what_servers_add_is_kept() -> None:
    body = sse(
        payload(piece("a", stop_reason=None), new=1), payload(piece("", "stop", stop_reason="x"), obfuscation="p")
    )
    completion = read([body])
    assert ({"new": 1}, {"stop_reason": "x"}) == (completion.extra, completion.choices[0].extra)


def test_what_says_nothing_is_passed_over() -> None:
    body = sse(b": ping\n\n", {"type": "ping"}, b"data: \n\n", payload(piece("a", "stop")), payload({}))
    assert "a" == read([body]).content


def test_surrogate_halves_in_two_payloads_are_one_character() -> None:
    body = (
        b'data: {"choices":[{"text":"\\ud83d"}]}\n\ndata: {"choices":[{"text":"\\ude00","finish_reason":"stop"}]}\n\n'
    )
    assert "😀" == read([body]).content


@pytest.mark.parametrize(
    "event",
    [{"error": {"message": "boom", "code": 500}}, {"error": "boom"}, {"detail": "boom"},
     b'event: error\ndata: {"message":"boom"}\n\n'],
)  # fmt: skip
def test_an_error_in_the_stream_is_the_providers(event: Any) -> None:
    kind, message, partial = always(sse(payload(piece("a", "stop")), event, DONE), outcome, scan=0)
    assert ("ProviderError", True, False, "a") == (kind, "boom" in message, partial.ended, partial.content)


@pytest.mark.parametrize(
    "event",
    [
        b"data: x\n\n",
        b"data: []\n\n",
        b'data: {"choices":[{"text":"\xff"}]}\n\n',
        b'data: {"choices":[],"x":Infinity}\n\n',
        b'data: {"choices":' + b"[" * 300 + b"]" * 300 + b"}\n\n",
        delta(content="a"),
        payload(choices={}),
        payload(1),  # type: ignore[arg-type]
        payload(piece(1)),  # type: ignore[arg-type]
        payload(piece("", 1)),  # type: ignore[arg-type]
        payload(piece(index="0")),  # type: ignore[arg-type]
        payload(usage=[1]),
    ],
)
def test_what_is_no_payload_is_a_typed_error_in_every_delivery(event: Any) -> None:
    kind, _, partial = always(sse(payload(piece("a")), event, DONE), outcome, scan=0)
    assert ("PayloadError", False, "a") == (kind, partial.ended, partial.content)


def test_an_error_stays_whatever_comes_after_it() -> None:
    reader = Reader()
    with pytest.raises(ProviderError):
        reader.feed(sse(payload(piece("a", "stop")), {"error": "boom"}))
    with pytest.raises(ProviderError):
        reader.feed(sse(DONE))
    reader.close()
    with pytest.raises(ProviderError):
        reader.result()
    assert not reader.snapshot().ended


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 900))
def test_damaged_bytes_give_a_completion_or_a_typed_error(noise: bytes, at: int) -> None:
    # Invariant: nothing but typed errors, and the same outcome byte by byte.
    body = sse(*ANSWER)
    damaged = body[:at] + noise + body[at + len(noise) :]
    assert outcome([damaged]) == outcome(drip(damaged))


def test_a_reader_can_be_copied_anywhere() -> None:
    body = sse(*ANSWER)
    expected = read([body])
    for at in range(0, len(body), 3):
        reader = Reader()
        reader.feed(body[:at])
        other = copy.deepcopy(reader)
        with suppress(PayloadError):
            reader.feed(b"\n\n" + sse(DONE))
        other.feed(body[at:])
        other.close()
        assert expected == other.result()


# Detection


def test_its_streams_are_detected() -> None:
    for body in (sse(*ANSWER), sse(payload(), payload(piece("a"))), sse({"error": "x"}, payload(piece("a")))):
        assert OpenAICompletions().detect(Transcript(body))


@pytest.mark.parametrize(
    "body",
    [b"", sse(DONE), sse(delta(content="a")), sse({"candidates": []}), sse({"choices": [{"text": "a", "delta": {}}]}),
     sse({"object": "other", "choices": [{"text": "a"}]}), sse(b"data: x\n\n"), sse({"choices": ["a"]})],
)  # fmt: skip
def test_other_streams_are_not_detected(body: bytes) -> None:
    assert not OpenAICompletions().detect(Transcript(body))


def test_the_url_of_the_request_tells_it_from_chat() -> None:
    def asked(path: str) -> bool:
        return OpenAICompletions().detect(Transcript(b"", request=Request("POST", f"https://api.openai.com{path}")))

    assert [True, False, False] == [asked(p) for p in ("/v1/completions", "/v1/chat/completions", "/v1/responses")]


# The way back

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
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
CHOICES = st.builds(
    Choice,
    index=st.just(0),
    content=st.none() | TEXTS,
    finish_reason=st.sampled_from(["stop", "length", None]),
    logprobs=st.none() | st.fixed_dictionaries({"tokens": st.lists(TEXTS, max_size=9), "text_offset": st.just([])}),
    extra=st.sampled_from([{}, {"stop_reason": "x"}]),
)


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    drawn = draw(st.lists(CHOICES, min_size=1, max_size=3))
    made = tuple(
        Choice(index, content=one.content, finish_reason=one.finish_reason, logprobs=one.logprobs, extra=one.extra)
        for index, one in enumerate(drawn)
    )
    return Completion(
        made,
        usage=draw(st.none() | st.just(USAGE)),
        id=draw(st.none() | st.just("cmpl-1")),
        model=draw(st.none() | st.just("m")),
        created=draw(st.none() | st.just(5)),
        ended=True,
        extra=draw(st.sampled_from([{}, {"new": [1]}])),
    )


@given(completions(), LAYOUTS)
def test_what_is_emitted_reads_back_as_the_very_completion(made: Completion, layout: Layout) -> None:
    # Invariant: accumulate(emit(c)) == c; only usage that the layout leaves out cannot be carried.
    if layout.usage == "none" and made.usage is not None:
        with pytest.raises(UsageError, match="usage='none'"):
            OpenAICompletions().emit(made, layout)
        return
    transcript = OpenAICompletions().emit(made, layout)
    assert made == read(chunk.data for chunk in transcript.chunks)
    assert (True, "openai_completions") == (transcript.synthetic, transcript.dialect)


def test_events_are_written_as_openai_writes_them() -> None:
    made = Completion((Choice(0, content="Hello", finish_reason="stop"),), usage=USAGE, id="c", model="m", created=1,
                      ended=True)  # fmt: skip
    head = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    events = OpenAICompletions().emit(made, Layout()).body.decode().split("\n\n")
    assert [
        {**head, "choices": [piece("Hell")], "usage": None},
        {**head, "choices": [piece("o")], "usage": None},
        {**head, "choices": [piece("", "stop")], "usage": None},
        {**head, "usage": USAGE, "choices": []},
    ] == [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert ["data: [DONE]", ""] == events[-2:]


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (Completion(), "no choice came"),
        (Completion((Choice(0, content="a"),)), "its ended"),
        (Completion((Choice(0, reasoning="a"),), ended=True), "its reasoning"),
        (Completion((Choice(0, role="user"),), ended=True), "its role"),
        (Completion((Choice(0, logprobs={"content": 1}),), ended=True), "its logprobs"),
        (Completion((Choice(0, extra={"delta": {}}),), ended=True), "holds a delta"),
    ],
)
def test_what_cannot_be_carried_is_named(made: Completion, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        OpenAICompletions().emit(made, Layout())
