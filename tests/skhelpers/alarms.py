"""False alarms: what our own readers make of a mutated stream, where the mutation promises them something.

Each mutation promises by its class what a right parser does with the stream that it leaves, and our reader of the
dialect is taken for such a parser. Where it does otherwise, the mutation, its guard or the reader is wrong, and a
parser that is right would be blamed.

What is tried on one stream: every variant of every mutation by itself, then random mixes of them, cut at random.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamkit import dialects
from streamkit.case import Token
from streamkit.completion import Completion
from streamkit.errors import DialectError
from streamkit.mutations.registry import Class, Inapplicable, Step, mutations
from streamkit.mutations.stream import Stream
from streamkit.wire.fragmentation import Fragmentation

from .mutated import why_unlawful

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamkit.mutations.registry import Edit, Mutation
    from streamkit.transcript import Transcript

__all__ = ["Alarm", "Tally", "Tried", "read"]

_TRIES = 40  # to find a mutation that has something to do
_DRIPPED = 8_000  # bytes of the longest body that is sent byte by byte


@dataclass(frozen=True)
class Alarm:
    """A promise that our own reader does not see kept.

    Attributes:
        dialect: the dialect's name.
        kind: the class of the promise.
        token: repeats the case.
        names: the mutations, of a mix those that it takes.
        why: what came instead.
    """

    dialect: str
    kind: str
    token: str
    names: str
    why: str


@dataclass
class Tally:
    """What was tried and what came out; tallies add up.

    Attributes:
        transcripts, edits, mixes: how many.
        inapplicable: variants, and steps of mixes, that had nothing to do.
        applied: how often each mutation was applied, in edits and mixes.
        alarms: what went wrong.
    """

    transcripts: int = 0
    edits: int = 0
    mixes: int = 0
    inapplicable: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    alarms: list[Alarm] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.transcripts += other.transcripts
        self.edits += other.edits
        self.mixes += other.mixes
        self.inapplicable += other.inapplicable
        self.applied.update(other.applied)
        self.alarms.extend(other.alarms)


def read(dialect: str, chunks: Iterable[bytes]) -> Completion | DialectError:
    """Return what our reader says of a stream; an error that is none of the dialect's is raised."""
    try:
        return dialects.accumulate(chunks, dialect=dialect)
    except DialectError as error:
        return error


class Tried:
    """Tries mutations on one transcript.

    Args:
        transcript: what is mutated; it names its dialect.
        classes: the classes of the mutations.
        seed: of the random mixes; with the transcript's name it decides all of them.
    """

    def __init__(self, transcript: Transcript, classes: Iterable[Class], seed: int = 0) -> None:
        self.transcript = transcript
        self.dialect = str(transcript.dialect)
        self.stream = Stream.of(transcript)
        self.before = read(self.dialect, [transcript.body])
        self.classes = tuple(classes)
        self.seed = seed
        self.tally = Tally(transcripts=1)

    def all(self, mixes: int, most: int = 8) -> Tally:
        """Try every mutation by itself and random mixes.

        Args:
            mixes: how many mixes, of each class.
            most: variants of a mutation, at most.
        """
        preserving = self._known(Class.PRESERVING)
        for kind in self.classes:
            known = self._known(kind)
            for one in known:
                self._variants(one, most)
            for number in range(mixes):
                self._mix(kind, known, preserving, random.Random(f"{self.seed}/{self.transcript.name}/{kind}/{number}"))
        return self.tally

    def _known(self, kind: Class) -> list[Mutation]:
        return [one for one in mutations(classes=[kind], dialect=self.dialect) if one.knows(self.stream)]

    def _variants(self, one: Mutation, most: int) -> None:
        for numbers in one.variants(self.stream, most):
            steps = (Step(one, numbers),)
            try:
                edit = one.apply(self.stream, numbers)
            except Inapplicable:
                self.tally.inapplicable += 1
                continue
            self.tally.edits += 1
            self.tally.applied[one.name] += 1
            why = self.why(one.kind, [edit], Fragmentation.whole())
            if why:
                self._alarm(one.kind, steps, Fragmentation.whole(), why)

    def _mix(self, kind: Class, known: list[Mutation], preserving: list[Mutation], draw: random.Random) -> None:
        """Apply one to four mutations, one of the class and the others preserving, in any order."""
        stream, steps, edits = self.stream, [], []
        count = draw.randint(1, 4)
        its = draw.randrange(count)
        for place in range(count):
            for _ in range(_TRIES):
                one = draw.choice(known if place == its else preserving)
                step = Step(one, tuple(draw.choice((0, draw.randrange(1 << 16))) for _ in range(4)))
                try:
                    edit = step.apply(stream)
                except Inapplicable:
                    self.tally.inapplicable += 1
                    continue
                steps.append(step)
                edits.append(edit)
                stream = edit.stream
                break
        if not _of(kind, steps):
            return
        self.tally.mixes += 1
        self.tally.applied.update(step.mutation.name for step in steps)
        cuts = _drawn(stream.body(), draw)
        why = self.why(kind, edits, cuts)
        if why:
            self._alarm(kind, *self._minimal(kind, tuple(steps), cuts), why)

    def why(self, kind: Class, edits: list[Edit], cuts: Fragmentation) -> str:
        """Return what is wrong with the outcome on a mutated stream, or nothing."""
        changes = [edit.expected for edit in edits if edit.expected is not None]
        try:
            after = read(self.dialect, cuts.chunks(edits[-1].stream.body()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must not raise it
            return f"the reader fails: {type(error).__name__}: {error}"
        return why_unlawful(kind, self.before, after, through(changes))

    def _minimal(
        self, kind: Class, steps: tuple[Step, ...], cuts: Fragmentation
    ) -> tuple[tuple[Step, ...], Fragmentation]:
        """Drop mutations, and then all cuts, as long as the outcome stays wrong."""

        def wrong(some: tuple[Step, ...], cuts: Fragmentation) -> bool:
            stream, edits = self.stream, []
            try:
                for step in some:
                    edits.append(step.apply(stream))
                    stream = edits[-1].stream
                return bool(self.why(kind, edits, cuts))
            except Inapplicable:
                return False

        whole = Fragmentation.whole()
        cuts = whole if wrong(steps, whole) else cuts
        if cuts == whole:  # cuts fit one body only
            for number in range(len(steps) - 1, -1, -1):
                rest = steps[:number] + steps[number + 1 :]
                if _of(kind, rest) and wrong(rest, whole):
                    steps = rest
        return steps, cuts

    def _alarm(self, kind: Class, steps: tuple[Step, ...], cuts: Fragmentation, why: str) -> None:
        token = Token(self.transcript.name, self.transcript.sha256[:12], cuts, steps)
        names = " + ".join(step.mutation.name for step in steps)
        self.tally.alarms.append(Alarm(self.dialect, str(kind), str(token), names, why))


def _of(kind: Class, steps: Sequence[Step]) -> bool:
    """Say whether mutations are together of a class."""
    return bool(steps) and max(step.mutation.kind for step in steps) is kind


def through(changes: list[Callable[[Completion], Completion]]) -> Callable[[Completion], Completion] | None:
    """Return what makes the sensible completion of several edits; None where it is the same."""
    if not changes:
        return None

    def change(completion: Completion) -> Completion:
        for one in changes:
            completion = one(completion)
        return completion

    return change


def _drawn(body: bytes, draw: random.Random) -> Fragmentation:
    """Return a few random cuts, many of them beside line ends; now and then a short body is cut at every byte."""
    if len(body) <= _DRIPPED and draw.random() < 0.1:
        return Fragmentation.drip(body)
    cuts = []
    for _ in range(draw.randint(0, 12)):
        at = draw.randrange(len(body) + 1)
        if draw.random() < 0.6:
            at = max(body.find(b"\n", at), 0) + draw.randrange(2)
        cuts.append(min(at, len(body)))
    return Fragmentation.at(*cuts)
