"""The walk beside brute force: on small bodies, all fragmentations can be delivered one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit.fuzz.runner import Runner
from streamkit.fuzz.targets import adapt
from streamkit.proof import ProofOptions, ProofReport, prove
from streamkit.transcript import ResponseHead, Transcript
from streamkit.wire.fragmentation import Fragmentation


def every_fragmentation(size: int) -> Iterator[Fragmentation]:
    """Yield all of them, those with fewer cuts first."""
    for count in range(size):
        yield from map(Fragmentation, combinations(range(1, size), count))


def failing(make: Callable[[], Any], body: bytes) -> list[Fragmentation]:
    """Return the fragmentations that do not give what the whole body gives."""
    with Runner(adapt(make)) as runner:
        expected = runner.run([body])
        return [one for one in every_fragmentation(len(body)) if not runner.run(one.chunks(body)).same_as(expected)]


def plain(body: bytes) -> Transcript:
    """Return a transcript that is no event stream."""
    return Transcript.from_chunks([body], head=ResponseHead(headers=(("content-type", "text/plain"),)))


def proved(make: Callable[[], Any], body: bytes, **options: Any) -> ProofReport:
    return prove(make, plain(body), options=ProofOptions(empty_chunks=False, **options))


def number(*parts: object) -> int:
    """Return a number that depends on all parts and on nothing else."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest(), "big")


class Automaton:
    """A parser drawn at random: bytes move it from state to state, but a rare chunk leads it astray.

    Every `one_in`-th (state, chunk), and chunks of fewer than two bytes never, adds something to the state that the
    same bytes in other chunks do not.
    """

    def __init__(self, seed: int, one_in: int, *, forgets: int) -> None:
        self.seed, self.one_in, self.forgets = seed, one_in, forgets
        self.state = 0
        self.seen = 0

    def feed(self, chunk: bytes) -> None:
        astray = len(chunk) > 1 and number(self.seed, self.state, chunk) % self.one_in == 0
        for byte in chunk:
            self.state = number(self.seed, self.state, byte) % 4
            self.seen += 1
            if self.forgets and self.seen % self.forgets == 0:
                self.state = 0  # what went astray before is made good
        if astray:
            self.state = 4 + number(self.seed, chunk) % 2

    def result(self) -> int:
        return self.state


@settings(max_examples=150, deadline=None)
@given(
    body=st.binary(min_size=1, max_size=9),
    seed=st.integers(0, 2**16),
    one_in=st.sampled_from([2, 5, 20, 100, 10**9]),
    forgets=st.sampled_from([0, 2, 3]),
)
def test_the_walk_finds_what_brute_force_finds(body: bytes, seed: int, one_in: int, forgets: int) -> None:
    def make() -> Automaton:
        return Automaton(seed, one_in, forgets=forgets)

    (proof,) = proved(make, body).proofs
    wrong = failing(make, body)
    assert ("refuted" if wrong else "proved") == proof.verdict
    if proof.finding is not None:
        cuts = proof.finding.case.fragmentation
        assert cuts in wrong
        assert len(wrong[0]) == len(cuts)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(min_size=1, max_size=7), seed=st.integers(0, 2**16), one_in=st.sampled_from([3, 30]))
def test_several_states_at_a_position_are_explored(body: bytes, seed: int, one_in: int) -> None:
    class Counting(Automaton):
        """Counts its chunks, which the result does not show: so no two ways to a position lead to one state."""

        def __init__(self) -> None:
            super().__init__(seed, one_in, forgets=0)
            self.chunks = 0

        def feed(self, chunk: bytes) -> None:
            super().feed(chunk)
            self.chunks += 1

    (proof,) = proved(Counting, body).proofs
    assert ("refuted" if failing(Counting, body) else "proved") == proof.verdict
    if proof.verdict == "proved":
        assert proof.states >= len(body) * (len(body) + 1) // 2  # at i, it has seen 1 to i chunks


class Lines:
    """Gives out lines; what it holds is one text, whatever the chunks were."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return lines


def test_one_state_a_position_takes_as_many_feeds_as_there_are_pieces() -> None:
    body = b"one\ntwo\n\nthree"
    (proof,) = proved(Lines, body).proofs
    assert ("proved", len(body) * (len(body) + 1) // 2) == (proof.verdict, proof.feeds)
    assert len(body) + 1 == proof.states
    assert "2^13" == proof.fragmentations


def test_empty_chunks_are_fed_at_every_position() -> None:
    body = b"one\ntwo\n"
    (proof,) = prove(Lines, plain(body)).proofs
    assert ("proved", True) == (proof.verdict, proof.empty_chunks)
    assert len(body) * (len(body) + 1) // 2 + len(body) + 1 == proof.feeds


class EndsAtEmpty(Lines):
    """Takes an empty chunk for the end, as one takes what `read` returns at the end of a file."""

    def __init__(self) -> None:
        super().__init__()
        self.over = False

    def feed(self, chunk: bytes) -> list[bytes]:
        self.over = self.over or not chunk
        return [] if self.over else super().feed(chunk)


def test_an_empty_chunk_that_is_taken_for_the_end_is_found() -> None:
    body = b"one\ntwo\n"
    (proof,) = prove(EndsAtEmpty, plain(body)).proofs
    assert proof.finding is not None
    assert (0,) == proof.finding.case.fragmentation.cuts
    assert ["if an empty chunk means the end to it, prove it without empty chunks"] == proof.notes
    (proof,) = proved(EndsAtEmpty, body).proofs
    assert ("proved", False) == (proof.verdict, proof.empty_chunks)


class FailsAtTheEnd(Lines):
    """Is broken by an empty chunk after the last byte, and by no other."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        self.seen += len(chunk)
        if not chunk and self.seen == 8:
            raise ValueError("nothing more was expected")
        return super().feed(chunk)


def test_an_empty_chunk_after_the_last_byte_is_an_empty_chunk() -> None:
    (proof,) = prove(FailsAtTheEnd, plain(b"one\ntwo\n")).proofs
    assert proof.finding is not None
    assert ((8,), "ValueError") == (proof.finding.case.fragmentation.cuts, proof.finding.actual.error)


class Raises(Lines):
    """Cannot bear a chunk that begins with a line end."""

    def feed(self, chunk: bytes) -> list[bytes]:
        if chunk.startswith(b"\n") and self.rest:
            raise RuntimeError("a line end came alone")
        return super().feed(chunk)


def test_an_exception_in_the_middle_is_an_outcome() -> None:
    (proof,) = proved(Raises, b"one\ntwo\n").proofs
    assert proof.finding is not None
    assert ((3,), "RuntimeError") == (proof.finding.case.fragmentation.cuts, proof.finding.actual.error)


class AlwaysRaises(Lines):
    def feed(self, chunk: bytes) -> list[bytes]:
        if b"w" in self.rest + chunk:
            raise RuntimeError("w")
        return super().feed(chunk)


def test_one_error_for_every_fragmentation_is_one_outcome_and_is_said() -> None:
    (proof,) = proved(AlwaysRaises, b"one\ntwo\n").proofs
    assert ("proved", ["the one outcome is an error: RuntimeError: w"]) == (proof.verdict, proof.notes)


class Changes:
    """Hands out one dict again and again, and changes it: what it gave out first is not what it was."""

    def __init__(self) -> None:
        self.event: dict[str, bytes] = {}

    def feed(self, chunk: bytes) -> list[dict[str, bytes]]:
        self.event["last"] = chunk[-1:]
        return [self.event] if b"\n" in chunk else []


def test_what_was_given_out_and_changed_later_counts_as_it_is_at_the_end() -> None:
    body = b"ab\ncd"
    assert failing(Changes, body) == []
    (proof,) = proved(Changes, body).proofs
    assert "proved" == proof.verdict
    body = b"a\nb\nc"
    (proof,) = proved(Changes, body).proofs
    assert proof.finding is not None
    assert failing(Changes, body)[0] == proof.finding.case.fragmentation


class Text(Lines):
    """Gives out text in pieces: only what they add up to counts."""

    def feed(self, chunk: bytes) -> str:  # type: ignore[override]  # another kind of result
        return chunk.decode("latin-1")


def test_pieces_of_text_are_one_text() -> None:
    (proof,) = proved(Text, b"any\nthing").proofs
    assert "proved" == proof.verdict


@pytest.mark.parametrize(("bound", "says"), [({"max_states": 5}, "5 states"), ({"max_feeds": 20}, "max_feeds=20")])
def test_a_bound_ends_the_walk_and_is_said(bound: dict[str, int], says: str) -> None:
    (proof,) = proved(Lines, b"one\ntwo\n", **bound).proofs
    assert "not decidable here" == proof.verdict
    assert says in proof.reason
    assert proof.cover["single cuts"] == {"tried": 7, "of": 7, "what": "single cuts"}


def test_what_differs_between_two_states_is_said_where_there_are_too_many() -> None:
    class Counting(Lines):
        def __init__(self) -> None:
            super().__init__()
            self.chunks = 0

        def feed(self, chunk: bytes) -> list[bytes]:
            self.chunks += 1
            return super().feed(chunk)

    (proof,) = proved(Counting, b"one\ntwo\nthree\n", max_states=30).proofs
    assert "there are more than 30 states; after 2 bytes chunks is 1 or 2, by how they were cut" == proof.reason
    assert 2 == proof.cuts_decided
