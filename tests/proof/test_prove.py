"""Verdicts: what is proved, what is refuted by the smallest fragmentation, and what is covered instead."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any

import pytest
from skhelpers import planted
from skhelpers.openai_decoder import OpenAIDecoder

import streamkit
from streamkit import dialects
from streamkit.cassettes import bundled, load
from streamkit.errors import OracleFailure, TargetError, UndecidedError, UsageError
from streamkit.fuzz import Options, check, fuzz
from streamkit.proof import Proof, ProofOptions, assert_chunk_invariant, prove, workers
from streamkit.transcript import Transcript
from streamkit.wire.boundaries import event_ends
from streamkit.wire.sse import ServerSentEvent, SSEEncoder

SMALL = [one for one in bundled() if len(one.body) <= 4096]
BY_DIALECT = {name: streamkit.synthesize("Gr\u00fc\u00dfe, Welt", dialect=name) for name in dialects.names()}


def _terse_response(only: tuple[str, ...] = ()) -> Transcript:
    """A response in the fewest events that ours reads: what is synthesized for this API has five times the bytes."""
    message = {"type": "message", "id": "m", "role": "assistant"}
    text = {"output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **text, "part": {"type": "output_text", "text": ""}},
        {"type": "response.output_text.delta", **text, "delta": "Gr\u00fc\u00df"},
        {"type": "response.output_text.delta", **text, "delta": "e"},
        {
            "type": "response.completed",
            "response": {
                "id": "r",
                "status": "completed",
                "output": [{**message, "content": [{"type": "output_text", "text": "Gr\u00fc\u00dfe"}]}],
            },
        },
    ]
    encoder = SSEEncoder()
    body = b"".join(
        encoder.encode(ServerSentEvent(event["type"], json.dumps(event, ensure_ascii=False, separators=(",", ":"))))
        for event in events
        if not only or event["type"] in only
    )
    return Transcript.from_chunks([body], name="", dialect="openai_responses")


BY_DIALECT["openai_responses"] = _terse_response()
CLOUD = 'data: {"choices":[{"delta":{"content":"\U0001f324"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'.encode()
SHORT = "data: one\n\nevent: x\r\ndata: t\u00e4wo\r\n\r\n: c\n\ndata: 3\ndata\n\nid: 7\n\n".encode()


def short(body: bytes = SHORT) -> Transcript:
    return Transcript.from_chunks([body], name="")


def beginning(name: str, events: int) -> Transcript:
    """Return the first events of a bundled chat transcript, and its end: a walk of all of it takes long."""
    body = load(f"openai_chat/{name}").body
    ends = event_ends(body)
    return Transcript.from_chunks([body[: ends[events - 1]] + body[ends[-2] :]], name="", dialect="openai_chat")


def one(target: Any, transcript: Any = None, **options: Any) -> Proof:
    (proof,) = prove(target, short() if transcript is None else transcript, options=ProofOptions(**options)).proofs
    return proof


# -- our own


@pytest.mark.parametrize(
    "transcript", [t for t in SMALL if t.dialect not in (None, "bedrock_converse")], ids=lambda t: t.name
)
def test_the_decoder_is_proved_on_every_bundled_transcript(transcript: Transcript) -> None:
    proof = one(streamkit.SSEDecoder, transcript, empty_chunks=False)
    size = len(transcript.body)
    assert ("proved", "copy()") == (proof.verdict, proof.how)
    assert (size * (size + 1) // 2, size + 1) == (proof.feeds, proof.states)


@pytest.mark.parametrize("name", sorted(BY_DIALECT))
def test_the_reader_of_every_dialect_is_proved(name: str) -> None:
    proof = one(dialects.get(name).reader, BY_DIALECT[name])
    assert ("proved", []) == (proof.verdict, [note for note in proof.notes if "decoder was walked" not in note])


@pytest.mark.parametrize(
    ("name", "transcript"),
    [
        ("openai_chat", Transcript.from_chunks([CLOUD], name="", dialect="openai_chat")),
        ("openai_responses", _terse_response(("response.created", "response.completed"))),
    ],
)
def test_a_reader_is_proved_whole_too(name: str, transcript: Transcript) -> None:
    (proof,) = prove(dialects.get(name).reader, transcript, options=ProofOptions(compose=False)).proofs
    assert ("proved", len(transcript.body) + 1) == (proof.verdict, proof.states)
    (composed,) = prove(dialects.get(name).reader, transcript).proofs
    assert ("proved", ["its decoder was walked: the fold behind it sees nothing but the events"]) == (
        composed.verdict,
        [note for note in composed.notes if "decoder" in note],
    )


# -- others


def test_openais_decoder_is_proved_through_its_own_classes() -> None:
    pytest.importorskip("openai", minversion="3", reason="version 2 has another decoder")
    proof = one(OpenAIDecoder)
    assert ("proved", len(SHORT) + 1) == (proof.verdict, proof.states)


def test_a_right_parser_is_proved() -> None:
    proof = one(planted.Right, beginning("synthetic_reasoning_with_ids", 2))
    assert ("proved", [], None) == (proof.verdict, proof.notes, proof.finding)


@pytest.mark.parametrize("bug", [bug for bug in planted.BROKEN if bug.cuts], ids=lambda bug: bug.parser.__name__)
def test_every_planted_bug_of_cuts_is_refuted_with_the_fewest_cuts(bug: planted.Planted) -> None:
    transcript = beginning(bug.shown_by[0], 2) if bug.cuts < 2 else Transcript.from_chunks([CLOUD], name="")
    proof = one(bug.parser, transcript, empty_chunks=False)
    assert "refuted" == proof.verdict
    assert proof.finding is not None
    assert len(proof.finding.case.fragmentation) <= bug.cuts
    again = fuzz(bug.parser, transcript, options=Options(mutations=False), replay=proof.finding.token)
    assert [proof.finding.token] == [finding.token for finding in again.findings]
    with pytest.raises(OracleFailure):
        check(bug.parser, transcript, mutations=False, replay=proof.finding.token)


def test_a_bug_that_shows_in_every_delivery_is_none_of_the_cuts_and_is_said() -> None:
    (bug,) = [bug for bug in planted.BROKEN if not bug.cuts]
    proof = one(bug.parser, beginning("synthetic_multibyte_text", 3))
    assert ["the one result is not what the stream says: `streamkit fuzz` shows how they differ"] == proof.notes


# -- what has no state that could be copied


def with_generators(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Parse as eventsource libraries do: a generator of lines in a generator of events."""

    def lines() -> Iterator[bytes]:
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole

    data: list[bytes] = []
    for ended in lines():
        line = ended.rstrip(b"\r")
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield b"\n".join(data)
            data = []


def broken_generator(chunks: Iterable[bytes]) -> Iterator[str]:
    for chunk in chunks:
        yield from chunk.decode("utf-8", "replace").splitlines()


async def with_async_generators(chunks: AsyncIterable[bytes]) -> list[bytes]:
    return list(with_generators([chunk async for chunk in chunks]))


def holds_a_generator() -> Any:
    class Holds:
        def __init__(self) -> None:
            self.parts: list[bytes] = []
            self.parsed = with_generators(iter(self.parts))

        def feed(self, chunk: bytes) -> None:
            self.parts.append(chunk)

        def result(self) -> list[bytes]:
            return list(self.parsed)

    return Holds()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (with_generators, "a function reads its chunks by itself"),
        (with_async_generators, "an async function reads its chunks by itself"),
        (holds_a_generator, "holds the generator with_generators, which cannot be copied"),
    ],
)
def test_a_parser_of_generators_is_not_decidable_and_covered(target: Any, says: str) -> None:
    proof = one(target)
    assert ("not decidable here", None) == (proof.verdict, proof.finding)
    assert says in proof.reason
    size = len(SHORT)
    assert ["prelude", "single cuts", "classes", "3-way", "2-way", "pairs"] == list(proof.cover)
    assert {"tried": size - 1, "of": size - 1, "what": "single cuts"} == proof.cover["single cuts"]
    pairs = (size - 1) * (size - 2) // 2
    assert {"tried": pairs, "of": pairs, "what": "pairs of all offsets"} == proof.cover["pairs"]


def test_the_cover_refutes_too() -> None:
    proof = one(broken_generator)
    assert ("refuted", "", 1) == (proof.verdict, proof.reason, len(proof.finding.case.fragmentation))  # type: ignore[union-attr]  # it is there, or this fails
    assert all(part["tried"] <= part["of"] for part in proof.cover.values())


def test_a_large_body_gets_the_pairs_of_its_interesting_offsets() -> None:
    body = b"".join(b'data: {"a": %d, "text": "%s"}\n\n' % (n, b"x" * 100) for n in range(20))
    proof = one(lambda chunks: b"".join(chunks).count(b"\n\n"), short(body))
    assert proof.cover["pairs"]["what"].startswith("pairs of ")
    assert proof.cover["pairs"]["tried"] == proof.cover["pairs"]["of"] > 1000


def reads_from(base_url: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(base_url + "/chat/completions", data=b"{}") as answer:  # noqa: S310 - it is ours
        return bytes(answer.read())


def test_a_client_is_covered_and_gets_no_empty_chunks() -> None:
    proof = one(reads_from, short(b"data: 1\n\ndata: 2\n\n"))
    assert ("the state of a client cannot be copied", False) == (proof.reason, proof.empty_chunks)
    assert 17 == proof.cover["single cuts"]["tried"]


# -- targets that behave badly


class Sleeps:
    """Sleeps where a chunk ends in the middle of a line end."""

    def __init__(self) -> None:
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size == 9:
            time.sleep(60)

    def result(self) -> int:
        return self.size


def test_a_feed_that_hangs_is_an_outcome() -> None:
    proof = one(Sleeps, short(b"data: 1\n\ndata: 2\n\n"), time_limit=0.2)
    assert proof.finding is not None
    assert ((9,), True) == (proof.finding.case.fragmentation.cuts, proof.finding.actual.hung)


class Random:
    def feed(self, chunk: bytes) -> None:
        """Take nothing."""

    def result(self) -> int:
        return id(object()) + time.perf_counter_ns()


def test_a_target_that_does_not_repeat_itself_is_not_decidable() -> None:
    proof = one(Random)
    assert ("not decidable here", {}) == (proof.verdict, proof.cover)
    assert "the same delivery gives two results" in proof.reason


class Prints:
    def feed(self, chunk: bytes) -> None:
        print("chunk", file=sys.stderr)

    def result(self) -> None:
        """Return nothing."""


def test_what_a_target_prints_is_kept_out_of_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert "proved" == one(Prints).verdict
    assert ("", "") == capsys.readouterr()


def test_an_async_feed_is_refused() -> None:
    class Async:
        async def feed(self, chunk: bytes) -> None:
            """Take nothing."""

    with pytest.raises(TargetError, match="async"):
        one(Async)


def test_inside_an_event_loop_a_proof_works_as_well() -> None:
    async def inside() -> str:
        return one(planted.Right, short(b'data: {"choices": []}\n\n')).verdict

    assert "proved" == asyncio.run(inside())


@pytest.mark.parametrize("wrong", [{"max_feeds": 0}, {"max_states": 0}, {"time_limit": 0}, {"workers": 0}])
def test_an_option_that_cannot_be_used_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ProofOptions(**wrong)


# -- the report


def test_the_report_is_the_same_for_any_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_WORTH_IT", 0)
    transcript = beginning("synthetic_reasoning_with_ids", 1)
    told = []
    for count in (1, 2, 3):
        report = prove("skhelpers.planted:Right", transcript, options=ProofOptions(workers=count))
        told.append({**report.to_json(), "seconds": 0})
    assert told[0] == told[1] == told[2]
    assert "proved" == told[0]["proofs"][0]["verdict"]


@pytest.mark.parametrize("bug", ["FailsOnBlankChunk", "Utf8OneCarry"])
def test_processes_find_what_one_finds(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_WORTH_IT", 0)
    transcript = Transcript.from_chunks([CLOUD], name="")
    found = [
        prove(f"skhelpers.planted:{bug}", transcript, options=ProofOptions(workers=count)).findings[0].token
        for count in (1, 2)
    ]
    assert found[0] == found[1]


# -- for a test


def test_a_test_passes_what_is_proved_and_fails_what_is_not() -> None:
    assert assert_chunk_invariant(streamkit.SSEDecoder, short()).proved
    with pytest.raises(OracleFailure, match=r"a cut .* changes the result") as caught:
        assert_chunk_invariant(planted.JsonPerChunk, beginning("boston_weather", 2))
    assert 1 == len(caught.value.counterexamples)
    with pytest.raises(
        UndecidedError, match=r"a function reads its chunks by itself.*61 of 61 single cuts.*covered=True"
    ):
        assert_chunk_invariant(with_generators, short())
    assert not assert_chunk_invariant(with_generators, short(), covered=True).proved
    with pytest.raises(UndecidedError, match="two results"):
        assert_chunk_invariant(Random, short(), covered=True)
