"""Copies that are none, state that is outside of the object, and what a feed gives that equals nothing as it should."""

from __future__ import annotations

from collections import UserList
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.proof import prove
from streamkit.proof.calls import Calls
from streamkit.proof.machine import Machine
from streamkit.proof.outputs import Outputs
from streamkit.proof.report import Proof
from streamkit.proof.signals import _BadCopy, _Changeable
from streamkit.proof.walk import Bounds, Walk
from streamkit.transcript import ResponseHead, Transcript

BODY = b"one\ntwo\n\xc3\xa4\n"


def of(make: Callable[[], Any]) -> Proof:
    head = ResponseHead(headers=(("content-type", "text/plain"),))
    (proof,) = prove(make, Transcript.from_chunks([BODY], head=head)).proofs
    return proof


def walked(make: Callable[[], Any]) -> None:
    """Walk, by the first way to copy that seems to work."""
    with Calls(10) as calls:
        machine = Machine(make)
        expected = calls(lambda: machine.end(state := machine.new(), machine.feed(state, BODY, 0)))
        walk = Walk(machine, BODY, calls, expected, Bounds(10_000, 100_000, True, 10))
        walk.begin()
        walk.run(lambda *_: None)


class Held:
    """Gives out lines."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return lines


class OwnCopy(Held):
    def copy(self) -> OwnCopy:
        made = type(self)()
        made.rest = self.rest
        return made


class SharingCopy(OwnCopy):
    """Its copy shares what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = bytearray()

    def copy(self) -> SharingCopy:
        made = type(self)()
        made.rest, made.pieces = self.rest, self.pieces
        return made

    def feed(self, chunk: bytes) -> list[bytes]:
        self.pieces.extend(chunk)
        return super().feed(chunk)


class LateSharing(OwnCopy):
    """Its copy shares what only the last chunk changes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = [0]

    def copy(self) -> LateSharing:
        made = type(self)()
        made.rest, made.seen = self.rest, self.seen
        return made

    def feed(self, chunk: bytes) -> list[bytes]:
        if chunk.endswith(BODY[-2:]):
            self.seen[0] += 1
        return super().feed(chunk)


class ForgetfulCopy(OwnCopy):
    """Its copy leaves out what is only set on the way, and what goes wrong needs that."""

    def __init__(self) -> None:
        super().__init__()
        self.after_o = False

    def feed(self, chunk: bytes) -> list[bytes]:
        if self.after_o and chunk == b"ne\ntwo":
            self.rest += b"!"
        self.after_o = chunk == b"o"
        return super().feed(chunk)


@pytest.mark.parametrize("make", [SharingCopy, LateSharing])
def test_a_copy_that_shares_something_is_no_copy(make: type[OwnCopy]) -> None:
    with pytest.raises(_BadCopy, match="feeding that changes the original"):
        walked(make)
    assert ("proved", "pickle") == ((proof := of(make)).verdict, proof.how)


def test_a_copy_that_leaves_something_out_is_no_copy() -> None:
    with pytest.raises(_BadCopy, match="is another state"):
        walked(ForgetfulCopy)
    proof = of(ForgetfulCopy)
    assert proof.finding is not None
    assert ((1, 7), "pickle") == (proof.finding.case.fragmentation.cuts, proof.how)


class ForgetfulPickle(Held):
    """Its pickle leaves out what is only set on the way."""

    after_o = False

    def __getstate__(self) -> dict[str, Any]:
        return {"rest": self.rest}

    def feed(self, chunk: bytes) -> list[bytes]:
        if self.after_o and chunk == b"ne\ntwo":
            self.rest += b"!"
        self.after_o = chunk == b"o"
        return super().feed(chunk)


def test_a_pickle_that_leaves_something_out_is_no_copy() -> None:
    with pytest.raises(_BadCopy, match="a copy by pickle lacks what its state holds: after_o"):
        walked(ForgetfulPickle)
    assert ("refuted", -1) == ((proof := of(ForgetfulPickle)).verdict, proof.cuts_decided)


# -- state outside of the object


class FlagOutside(Held):
    """Says in its class, and there alone, that one certain chunk came."""

    astray = False

    def __init__(self) -> None:
        super().__init__()
        type(self).astray = False

    def feed(self, chunk: bytes) -> list[bytes]:
        if chunk == b"e\ntwo":
            type(self).astray = True
        return super().feed(chunk)

    def result(self) -> bool:
        return self.astray


class AllOutside(FlagOutside):
    """Keeps all that it took in its class."""

    taken = b""

    def __init__(self) -> None:
        super().__init__()
        type(self).taken = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        type(self).taken += b"" if chunk == b"e\ntwo" else chunk
        return []

    def result(self) -> bool:
        return len(self.taken) == len(BODY)


@pytest.mark.parametrize("make", [FlagOutside, AllOutside])
def test_a_rare_chunk_that_changes_what_is_outside_of_the_object_is_not_missed(make: type[Held]) -> None:
    proof = of(make)
    assert proof.finding is not None
    assert (2, 7) == proof.finding.case.fragmentation.cuts
    assert -1 == proof.cuts_decided  # the walk was blind to it


# -- what was given out


class NotEqualToNone:
    """Can be compared with its own class only."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return self.text == other.text  # type: ignore[attr-defined, no-any-return]  # the very slip

    __hash__ = None  # type: ignore[assignment]  # never a key


class GivesAnEvent(Held):
    def feed(self, chunk: bytes) -> NotEqualToNone | None:  # type: ignore[override]  # another kind of result
        self.rest += chunk
        return NotEqualToNone(self.rest) if self.rest == BODY and chunk else None


class GivesAnEmptySequence(GivesAnEvent):
    def feed(self, chunk: bytes) -> Any:
        return UserList() if super().feed(chunk) is not None else None


@pytest.mark.parametrize("make", [GivesAnEvent, GivesAnEmptySequence])
def test_what_a_feed_gives_is_not_asked_whether_it_is_equal_to_something(make: type[Held]) -> None:
    assert "proved" == of(make).verdict


def test_what_an_event_holds_is_what_the_first_one_held_or_another_output() -> None:
    outputs = Outputs()
    outputs.after(0, [(b"a",)])
    with pytest.raises(_Changeable):
        outputs.after(0, [(bytearray(b"a"),)])  # equal, and it can still change
