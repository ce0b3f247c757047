"""States: what is copied and how, what is one state, and what is refused."""

from __future__ import annotations

import codecs
import json
import re
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from streamkit.proof import prove
from streamkit.proof.outputs import Outputs
from streamkit.proof.report import Proof
from streamkit.proof.signals import _Changeable, _NotCopyable
from streamkit.proof.states import States, frozen
from streamkit.transcript import ResponseHead, Transcript
from streamkit.wire.sse import ServerSentEvent

BODY = b"one\ntwo\n\xc3\xa4\n"


def of(make: Callable[[], Any], **facts: Any) -> Proof:
    head = ResponseHead(headers=(("content-type", "text/plain"),))
    (proof,) = prove(make, Transcript.from_chunks([BODY], head=head), **facts).proofs
    return proof


class Held:
    """Holds something, and gives out lines."""

    def __init__(self) -> None:
        self.rest = b""
        self.held: Any = None

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return lines


def holding(make: Callable[[Held], Any]) -> Callable[[], Held]:
    def new() -> Held:
        parser = Held()
        parser.held = make(parser)
        return parser

    return new


# -- what can be copied


@dataclass
class Node:
    name: str
    next: Node | None = None


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: codecs.getincrementaldecoder("utf-8")(), id="incremental decoder"),
        pytest.param(lambda _: deque([1, 2], maxlen=5), id="deque"),
        pytest.param(lambda _: {"a", "b", "c"}, id="set"),
        pytest.param(lambda _: bytearray(b"ab"), id="bytearray"),
        pytest.param(lambda _: json.JSONDecoder(), id="JSON decoder"),
        pytest.param(lambda _: re.compile("a+"), id="pattern"),
        pytest.param(lambda _: threading.Lock(), id="lock"),
        pytest.param(lambda _: object(), id="bare object"),
        pytest.param(lambda _: Node("a", Node("b")), id="dataclass"),
        pytest.param(lambda _: lambda text: text, id="function without a closure"),
        pytest.param(lambda parser: parser.feed, id="own method"),
        pytest.param(lambda _: [].append, id="method of a list"),
        pytest.param(lambda parser: parser, id="itself"),
        pytest.param(lambda _: json, id="module"),
        pytest.param(lambda _: float("nan"), id="NaN"),
    ],
)
def test_what_a_parser_holds_is_copied_or_shared_where_that_is_the_same(make: Callable[[Held], Any]) -> None:
    proof = of(holding(make))
    assert ("proved", "pickle", len(BODY) + 1) == (proof.verdict, proof.how, proof.states)


MISSING = object()


class Sentinel(Held):
    """Waits for its first line, which it tells by a bare object: a copy of that would be another."""

    def __init__(self) -> None:
        super().__init__()
        self.first: object = MISSING

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = super().feed(chunk)
        if self.first is MISSING and lines:
            self.first = lines[0]
        return lines

    def result(self) -> str:
        return "none came" if self.first is MISSING else repr(self.first)


class LateSentinel(Sentinel):
    """Takes the bare object into its state only later."""

    def __init__(self) -> None:
        super().__init__()
        self.first = None

    def feed(self, chunk: bytes) -> list[bytes]:
        if self.first is None:
            self.first = MISSING
        return super().feed(chunk)


@pytest.mark.parametrize("make", [Sentinel, LateSentinel])
def test_a_bare_object_stays_the_very_same(make: type[Sentinel]) -> None:
    assert "proved" == of(make).verdict


class Uncompressing:
    """Feeds a decompressor, which has a copy() and no pickle."""

    def __init__(self) -> None:
        self.inner = zlib.decompressobj()

    def feed(self, chunk: bytes) -> bytes:
        return self.inner.decompress(chunk) if chunk.startswith(b"x") else b""


class OwnCopy(Held):
    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def copy(self) -> OwnCopy:
        made = type(self)()
        made.rest = self.rest
        return made


class AListThatParses(list[bytes]):
    """Has a copy() from list, which gives a list and no parser."""

    rest = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        self.extend(lines)

    def result(self) -> list[bytes]:
        return list(self)


def test_a_copy_of_ones_own_is_used_where_it_gives_the_same() -> None:
    assert ("proved", "copy()") == ((proof := of(OwnCopy)).verdict, proof.how)
    assert ("proved", "pickle") == ((proof := of(AListThatParses)).verdict, proof.how)


class Deep(Held):
    """Cannot be pickled, and can be copied deeply."""

    def __getstate__(self) -> Any:
        raise TypeError("no pickle")

    def __deepcopy__(self, memo: dict[int, Any]) -> Deep:
        made = Deep()
        made.rest = self.rest
        return made


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(Uncompressing, "zlib.Decompress, which cannot be compared", id="decompressor"),
        pytest.param(Deep, "test_states.Deep, which cannot be compared", id="no state to look at"),
        pytest.param(holding(lambda _: (n for n in range(3))), "generator", id="generator"),
        pytest.param(holding(lambda parser: lambda: parser), "with a closure", id="closure"),
        pytest.param(holding(lambda _: threading.local()), "cannot be", id="thread's own"),
    ],
)
def test_what_cannot_be_copied_or_compared_is_covered_and_the_reason_is_said(
    make: Callable[[], Any], says: str
) -> None:
    proof = of(make)
    assert "not decidable here" == proof.verdict
    assert says in proof.reason
    assert len(BODY) - 1 == proof.cover["single cuts"]["tried"]


class LaterAGenerator(Held):
    """Begins to hold a generator at its first line."""

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = super().feed(chunk)
        if lines and self.held is None:
            self.held = (number for number in range(3))
        return lines


class FailsToCopyLater(OwnCopy):
    def copy(self) -> OwnCopy:
        if self.rest.startswith(b"tw"):
            raise RuntimeError("no copy in the middle")
        return super().copy()


class CannotBeMade(Held):
    def __init__(self) -> None:
        raise RuntimeError("no configuration")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (LaterAGenerator, "cannot pickle 'generator' object"),
        (FailsToCopyLater, "no copy in the middle"),
        (CannotBeMade, "to make it raises RuntimeError: no configuration"),
    ],
)
def test_what_turns_out_not_to_be_copyable_on_the_way_is_said(make: type[Held], says: str) -> None:
    proof = of(make)
    assert ("not decidable here", None) == (proof.verdict, proof.finding)
    assert says in proof.reason
    assert len(BODY) - 1 == proof.cover["single cuts"]["tried"]


class OutsideList:
    """Keeps its state in its class, where no copy finds it: a new one begins anew."""

    rest: list[bytes] = []  # noqa: RUF012 - the very bug

    def __init__(self) -> None:
        self.rest.clear()

    def feed(self, chunk: bytes) -> None:
        self.rest.append(chunk)

    def result(self) -> int:
        return len(self.rest)


def test_state_outside_of_the_object_is_no_proof() -> None:
    proof = of(OutsideList)
    assert "refuted" == proof.verdict
    assert proof.finding is not None
    assert 1 == len(proof.finding.case.fragmentation)


# -- what is one state


def test_texts_are_compared_by_what_they_say_and_not_by_which_object_they_are() -> None:
    one = "".join(["ab", "c"])
    states = States(Held())
    first, second = Held(), Held()
    first.held, second.held = [one, one], [one, "".join(["a", "bc"])]
    assert states.key(first) != states.key(second)  # pickle tells them apart
    assert frozen(first) == frozen(second)


def test_what_can_change_is_told_apart_by_which_object_it_is() -> None:
    shared: list[int] = []
    assert frozen([shared, shared]) != frozen([[], []])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("a", b"a"),
        ((), []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1}, frozenset({1})),
    ],
)
def test_states_that_a_parser_can_tell_apart_are_two(one: Any, other: Any) -> None:
    assert frozen(one) != frozen(other)


def test_sets_are_one_state_in_any_order() -> None:
    one, other = {8, 0}, {0, 8}  # of one place in the table: the first come stands first
    assert list(one) != list(other)
    assert frozen(one) == frozen(other)


def test_a_generator_is_refused() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(_NotCopyable, match="generator"):
        frozen([numbers()])


# -- what was given out


def test_an_output_is_the_same_however_it_was_spread_over_calls() -> None:
    events = [ServerSentEvent(data=str(number)) for number in range(5)]
    outputs = Outputs()
    assert [1, 2, 3, 4, 5] == [outputs.after(0, events[: end + 1]) for end in range(5)]
    for first in range(6):
        for second in range(first, 6):
            assert second == outputs.after(outputs.after(0, events[:first]), events[first:second])
    other = outputs.after(2, [ServerSentEvent(data="another")])
    assert other not in range(6)
    assert [*events[:2], ServerSentEvent(data="another")] == outputs.events(other)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), ("a", b"a"), ((1,), (True,))])
def test_events_that_are_equal_and_not_the_same_are_two_outputs(one: Any, other: Any) -> None:
    outputs = Outputs()
    assert outputs.after(0, [one]) != outputs.after(0, [other])


def test_nan_is_the_same_event_again() -> None:
    outputs = Outputs()
    assert outputs.after(0, [float("nan")]) == outputs.after(0, [float("nan")])


@dataclass(frozen=True)
class Lax:
    """Equal to everything of its class."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lax)

    __hash__ = None  # type: ignore[assignment]  # never a key


def test_an_equality_of_the_events_own_is_not_believed() -> None:
    outputs = Outputs()
    assert outputs.after(0, [Lax("a")]) != outputs.after(0, [Lax("b")])


@pytest.mark.parametrize("event", [{}, [], bytearray(), Node("a"), ServerSentEvent(data=[]), ({},)])  # type: ignore[arg-type]  # a list that hides in an event
def test_an_event_that_can_change_is_told(event: Any) -> None:
    with pytest.raises(_Changeable):
        Outputs().after(0, [event])
