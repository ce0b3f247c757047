"""The verdict on recordings that are no whole answer: one that was cut off, or reports an error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from skhelpers.careless import careless

import streamkit
from streamkit.case import Case
from streamkit.fuzz import Options
from streamkit.wire.fragmentation import Fragmentation

WITHOUT = Options(max_examples=0, max_single_cuts=1, mutations=False)
WITH = Options(max_examples=0, max_single_cuts=1, faults=True, only=("bad_utf8",))


def transcript(name: str) -> streamkit.Transcript:
    (found,) = (one for one in streamkit.library() if one.name == name)
    return found


@pytest.mark.parametrize(
    ("error", "name", "found"),
    [
        (ValueError, "recorded/llama_cpp_python/forced_call_cut_by_length", False),  # of a call
        (ValueError, "recorded/transformers_serve/text_cut_by_length", False),  # of a text
        (ValueError, "recorded/llama_cpp_python/interrupted_by_another_request", False),  # without a finish reason
        (KeyError, "recorded/llama_cpp_python/forced_call_cut_by_length", True),  # which nobody can expect
        (ValueError, "recorded/llama_cpp_python/forced_call", True),  # of a whole answer
    ],
)
def test_a_typed_error_is_right_where_the_server_did_not_finish_its_answer(
    error: type[Exception], name: str, found: bool
) -> None:
    def refuses(chunks: Iterable[bytes]) -> None:
        b"".join(chunks)
        raise error("no")

    report = streamkit.fuzz.fuzz(refuses, transcript(name), options=WITHOUT)
    headlines = [finding.headline for finding in report.findings]
    assert [f"the target raises on the recorded delivery: {error.__name__}"] * found == headlines
    assert found or any("the target raises ValueError" in note for note in report.coverage[0].notes)


class EndedError(Exception):
    pass


def careful(chunks: Iterable[bytes]) -> dict[str, Any]:
    raw = [*chunks]
    if b'finish_reason":"' not in b"".join(raw).replace(b": ", b":"):
        raise EndedError("it has no end")
    return careless(raw)


def slipping(chunks: Iterable[bytes]) -> dict[str, Any]:
    try:
        return careful(chunks)
    except EndedError:
        raise KeyError("finish_reason") from None


@pytest.mark.parametrize(
    ("name", "told", "handed"),
    [
        ("recorded/sse_starlette/exception_in_call", "ends early", "an executable tool call"),
        ("recorded/sse_starlette/exception_in_text", "ends early", "a result as if it were whole"),
        ("recorded/llama_cpp_python/closed_by_client", "ends early", "a result as if it were whole"),
        ("recorded/llama_cpp_python/prompt_too_long", "ends early", "a result as if it were whole"),  # without a byte
        ("recorded/litellm/upstream_cut", "reports an error", "a result as if it were whole"),
    ],
)
def test_a_recorded_stream_that_is_no_answer_wants_an_error_where_faults_are_asked_for(
    name: str, told: str, handed: str
) -> None:
    found = streamkit.fuzz.fuzz(careless, transcript(name), options=WITH).findings
    assert f"that the recorded stream {told} is not noticed: the target hands out {handed}" in [
        finding.headline for finding in found
    ]
    without = streamkit.fuzz.fuzz(careless, transcript(name), options=WITHOUT)
    assert [] == without.findings
    assert f"the recorded stream {told}: with faults, an error is expected there" in without.coverage[0].notes


def test_an_error_there_must_be_one_that_can_be_expected() -> None:
    name = "recorded/sse_starlette/exception_in_call"
    assert [] == streamkit.fuzz.fuzz(careful, transcript(name), options=WITH).findings
    (finding, *_) = streamkit.fuzz.fuzz(slipping, transcript(name), options=WITH).findings
    assert "that the recorded stream ends early makes the target fail with KeyError" == finding.headline


def test_the_token_of_such_a_finding_repeats_it_and_one_with_cuts_says_nothing_of_it() -> None:
    one = transcript("recorded/sse_starlette/exception_in_call")
    (first, *_) = streamkit.fuzz.fuzz(careless, one, options=WITH).findings
    (again,) = streamkit.fuzz.fuzz(careless, one, replay=first.token).findings
    assert first.headline == again.headline
    cut = str(Case(one, Fragmentation.at(5)).token)
    assert [] == streamkit.fuzz.fuzz(careless, one, replay=cut).findings


def to_the_letter(chunks: Iterable[bytes]) -> str:
    """Discard an event that no blank line closes, and ask for the last one."""
    *blocks, _ = b"".join(chunks).replace(b"\r\n", b"\n").split(b"\n\n")
    events = [json.loads(block.partition(b"data: ")[2]) for block in blocks if b"data: " in block]
    if events[-1]["type"] != "message_stop":
        raise EndedError("it has no end")
    return "".join(one["delta"].get("text") or "" for one in events if "delta" in one)


def refuses_everything(chunks: Iterable[bytes]) -> str:
    raise EndedError(f"{len(b''.join(chunks))} bytes")


@pytest.mark.parametrize(
    ("target", "end", "found"),
    [
        (to_the_letter, b"\n", False),
        (to_the_letter, b"\n\n", False),
        (refuses_everything, b"", False),
        (refuses_everything, b"\n\n", True),
        (refuses_everything, b"\n\n: bye\n", True),  # no data are lost
    ],
)
def test_an_error_is_right_where_no_blank_line_closes_the_last_event(target: Any, end: bytes, found: bool) -> None:
    body = streamkit.synthesize("Hello.", dialect="anthropic_messages").body.rstrip(b"\n") + end
    report = streamkit.fuzz.fuzz(target, streamkit.Transcript(body), options=WITHOUT)
    assert found == bool(report.findings)
    noted = "the target raises EndedError on the recorded delivery, where no blank line closes the last event"
    assert (end in (b"", b"\n")) == (noted in report.coverage[0].notes)
