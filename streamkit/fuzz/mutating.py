"""The part of a campaign that mutates: each mutation by itself, then pairs, then random mixes with cuts.

Systematic before random. What fails is made minimal: mutations are dropped first, then their choices become the first
ones, then cuts are dropped. Each mutation is reported once a transcript.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.case import Case
from streamkit.errors import StreamkitError
from streamkit.fuzz.drawn import draw_failing_mix
from streamkit.fuzz.judge import Judge, Wrong, differs, is_typed
from streamkit.fuzz.minimise import minimise
from streamkit.fuzz.reading import expected_of
from streamkit.mutations.registry import Class, Inapplicable, Layer, Step, get, mutations
from streamkit.mutations.stream import Stream
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.fuzz.outcome import Outcome
    from streamkit.fuzz.report import Options
    from streamkit.mutations.registry import Edit, Mutation
    from streamkit.transcript import Transcript

__all__ = ["OUTCOMES", "Failure", "Mutator", "chosen"]

_VARIANTS = 12
_PAIRS = 60
_MIXES = 60
_MOST_HANGS = 24  # deliveries that may hang before the rest is given up
_DRIPPED = 64 * 2**10  # bytes of a body that are also delivered one by one
_BYTES = 24 * 2**20  # fed to the target in this part, of one transcript
_FRAMING = (Layer.BYTES, Layer.FRAMING)
#: What a mutation may lead to, from good to bad. An "error" is a typed one where a result was due.
OUTCOMES = ("same", "typed error", "error", "crash", "hang", "silent difference")


def chosen(options: Options) -> list[Mutation]:
    """Return the mutations that a campaign applies.

    Raises:
        UsageError: `only` or `skip` names none.
    """
    for name in (*options.only, *options.skip):
        get(name)
    classes = [
        Class.PRESERVING,
        *([Class.DIALECT] if options.dialects else []),
        *([Class.FAULT] if options.faults else []),
    ]
    if options.only:
        classes = list(Class)
    layers = None if options.returns == "message" else [str(layer) for layer in _FRAMING]
    return [
        one
        for one in mutations(classes=classes, layers=layers)
        if (not options.only or one.name in options.only) and one.name not in options.skip
        if options.returns == "message" or not (one.shows or one.kind is Class.FAULT)
    ]


@dataclass(frozen=True)
class Failure:
    """A mutated delivery on which the target is wrong, made minimal.

    Attributes:
        case: the delivery.
        kind: the gravest class of its mutations.
        wrong: the verdict.
        edits: what each mutation did.
        phase: what found it.
    """

    case: Case
    kind: Class
    wrong: Wrong
    edits: tuple[Edit, ...]
    phase: str


class Mutator:
    """Mutates one transcript and judges one target.

    Args:
        transcript: what is mutated.
        judge: judges the outcomes.
        run: delivers chunks and returns the outcome; with True it waits the whole time limit for one.
        options: of the campaign.
        tell: is told the phase, how many were done, and of how many.
        steady: cuts alone do not change the result.
    """

    def __init__(
        self,
        transcript: Transcript,
        judge: Judge,
        run: Callable[[list[bytes], bool], Outcome],
        options: Options,
        tell: Callable[[str, int, int], None],
        *,
        steady: bool,
    ) -> None:
        dialect = dialects.detect(transcript)
        self.steady = steady
        self.transcript = transcript
        self.judge = judge
        self.run = run
        self.options = options
        self.tell = tell
        self.stream = Stream.of(transcript, dialect.name if dialect is not None else None)
        self.way: Callable[[bytes], Fragmentation] = Fragmentation.per_event
        self.failed: set[str] = set()
        self.applied: dict[str, int] = {}
        self.outcomes: dict[str, str] = {}
        self.inapplicable: dict[str, str] = {}
        self.patient = False
        self.hung = False
        self.hangs = 0
        self._edited: tuple[tuple[Step, ...], tuple[Edit, ...]] | None = None

    @property
    def gave_up(self) -> bool:
        """Whether so many deliveries hung that the rest was not tried."""
        return self.hangs >= _MOST_HANGS

    # -- one delivery

    def edits(self, steps: tuple[Step, ...]) -> tuple[Edit, ...]:
        """Return what the mutations do, one after the other; raises Inapplicable."""
        if self._edited is not None and self._edited[0] == steps:  # the same stream is delivered in several ways
            return self._edited[1]
        stream, found = self.stream, []
        for step in steps:
            edit = step.apply(stream)
            found.append(edit)
            stream = edit.stream
        self._edited = steps, tuple(found)
        return tuple(found)

    def wrong(self, steps: tuple[Step, ...], fragmentation: Fragmentation | None = None) -> Wrong | None:
        """Deliver a mutated stream and judge the outcome; None also where a mutation has nothing to do."""
        try:
            edits = self.edits(steps)
        except Inapplicable:
            return None
        body = edits[-1].stream.body()
        cuts = self.way(body) if fragmentation is None else fragmentation
        if cuts.cuts and cuts.cuts[-1] > len(body):
            return None
        outcome = self.run(cuts.chunks(body), self.patient)
        self.hung = outcome.hung
        self.hangs += outcome.hung
        expected, also = _expected(edits), _also(edits)
        verdict = self.judge.wrong(outcome, body, kind_of(steps), expected, self.options.returns, also)
        if verdict is None and self.steady and fragmentation is not None:
            plain = self.way(body)
            if cuts != plain:
                verdict = differs(self.run(plain.chunks(body), self.patient), outcome)
        if len(steps) == 1:
            self._note(steps[0].mutation.name, outcome, verdict)
        return verdict

    def _note(self, name: str, outcome: Outcome, verdict: Wrong | None) -> None:
        """Keep the worst that a mutation has led to."""
        said = "same" if verdict is None and outcome.returned else "typed error"
        if verdict is not None:
            said = "hang" if outcome.hung else "crash" if outcome.error else "silent difference"
        if said == "crash" and is_typed(outcome):
            said = "error"  # of its own kind, but where none is right
        self.outcomes[name] = max(self.outcomes.get(name, "same"), said, key=OUTCOMES.index)

    # -- phases

    def usable(self) -> list[Mutation]:
        """Return the mutations of the campaign that know this stream."""
        asked = chosen(self.options)
        if self.stream.dialect is None:  # what nobody knows is reframed, and nothing in it is touched
            return [one for one in asked if one.layer in _FRAMING and one.kind is Class.PRESERVING and not one.dialects]
        return [one for one in asked if not one.dialects or self.stream.dialect in one.dialects]

    def search(self) -> Iterator[Failure]:
        """Yield what fails, minimal; the first failure of each mutation only."""
        if not self._find_a_way():
            return
        usable = self.usable()
        yield from self._singles(usable)
        whole = [one for one in usable if one.name in self.applied and one.name not in self.failed]
        yield from self._pairs(whole)
        yield from self._mixes(whole)

    def _find_a_way(self) -> bool:
        """Choose the chunks in which mutated streams come: any in which the stream itself gives what it should."""
        ways: list[Callable[[bytes], Fragmentation]] = [Fragmentation.per_event, lambda _: Fragmentation.whole()]
        for way in ways if self.steady else ways[::-1]:  # who follows the chunks gets one, before and after
            body = self.transcript.body
            if self.run(way(body).chunks(body), True).same_as(self.judge.baseline):
                self.way = way
                return True
        return False

    def _singles(self, usable: list[Mutation]) -> Iterator[Failure]:
        affordable = max(len(usable), _BYTES // max(1, len(self.transcript.body)))
        variants = max(1, min(_VARIANTS, affordable // max(1, len(usable))))
        done = 0
        for one in usable:
            if self.gave_up:
                return
            self.inapplicable.setdefault(one.name, "it has no variant here")
            for numbers in one.variants(self.stream, variants):
                step = Step(one, numbers)
                done += 1
                try:
                    one.apply(self.stream, numbers)
                except Inapplicable as reason:
                    self.inapplicable[one.name] = str(reason)
                    continue
                self.applied[one.name] = self.applied.get(one.name, 0) + 1
                found = self._first_wrong((step,), "mutations", every_way=not any(numbers))
                self.tell("mutations", done, 0)
                if found is not None:
                    yield found
                if one.name in self.failed:  # reported, or slow
                    break
        for name in self.applied:
            self.inapplicable.pop(name, None)

    def _first_wrong(self, steps: tuple[Step, ...], phase: str, *, every_way: bool) -> Failure | None:
        """Deliver a mutated stream in plain chunks, and perhaps whole and byte by byte too."""
        ways: list[Fragmentation | None] = [None]
        if every_way and self.steady:
            body = self.edits(steps)[-1].stream.body()
            ways.append(Fragmentation.whole())
            if len(body) <= _DRIPPED:
                ways.append(Fragmentation.drip(body))
        for way in ways:
            if self.wrong(steps, way) is not None:
                return self._minimal(steps, way, phase)
        return None

    def _pairs(self, usable: list[Mutation]) -> Iterator[Failure]:
        pairs = list(combinations(usable, 2))
        random.Random(self.options.seed).shuffle(pairs)  # noqa: S311 - repeatable, not secret
        most = min(_PAIRS, max(8, _BYTES // 4 // max(1, len(self.transcript.body))))
        for number, (one, other) in enumerate(pairs[:most], 1):
            self.tell("pairs of mutations", number, min(most, len(pairs)))
            if {one.name, other.name} & self.failed or self.gave_up:
                continue
            for steps in ((Step(one), Step(other)), (Step(other), Step(one))):
                if self.wrong(steps) is not None:
                    found = self._minimal(steps, None, "pairs of mutations")
                    if found is not None:
                        yield found
                    break

    def _mixes(self, usable: list[Mutation]) -> Iterator[Failure]:
        wanted = _MIXES if self.options.max_examples is None else min(_MIXES, self.options.max_examples)
        most = min(wanted, max(8, _BYTES // 4 // max(1, len(self.transcript.body))))
        seed = self.options.seed
        while usable and most > 0 and not self.gave_up:  # once more with what is left, after each failure
            found: list[tuple[tuple[Step, ...], Fragmentation | None]] = []

            def fails(steps: tuple[Step, ...], cuts: Fragmentation, found: list[Any] = found) -> bool:
                way = cuts if self.steady else None
                if self.wrong(steps, way) is None:
                    return False
                found.append((steps, way))
                return True

            tell = partial(self._tell_mixes, most)
            options = replace(self.options, seed=seed)
            most -= draw_failing_mix(self.transcript, usable, most, options, fails, tell)
            if not found:
                return
            small = self._minimal(*found[0], "mixes")
            if small is not None:
                yield small
            usable = [one for one in usable if one.name not in self.failed]
            seed = (seed + 1) % 2**64

    def _tell_mixes(self, of: int, done: int) -> None:
        self.tell("mixes", done, of)

    def judged(self, case: Case) -> Failure | None:
        """Return what is wrong on one case, as it is."""
        verdict = self.wrong(case.steps, case.fragmentation)
        if verdict is None:
            return None
        return Failure(case, kind_of(case.steps), verdict, self.edits(case.steps), "replay")

    # -- minimal

    def _minimal(self, steps: tuple[Step, ...], way: Fragmentation | None, phase: str) -> Failure | None:
        """Drop mutations, then their choices, then cuts; None where it turns out that nothing is wrong."""
        hung = self.hung
        small = list(steps)
        for number in range(len(small) - 1, -1, -1):
            rest = tuple(small[:number] + small[number + 1 :])
            for cuts in dict.fromkeys((None, way)):
                if rest and self.wrong(rest, cuts) is not None:
                    small, way = list(rest), cuts
                    break
        for number, step in enumerate(small):
            for numbers in ((), step.numbers[:1], step.numbers[:2]):
                simpler = (*small[:number], Step(step.mutation, numbers), *small[number + 1 :])
                if numbers != step.numbers and self.wrong(simpler, way) is not None:
                    small = list(simpler)
                    break
        found = tuple(small)
        body = self.edits(found)[-1].stream.body()
        plain = self.way(body)
        if self.wrong(found, Fragmentation.whole()) is not None:
            way = Fragmentation.whole()
        elif way is None or self.wrong(found, plain) is not None:
            way = plain
        else:
            way = minimise(way, lambda cuts: self.wrong(found, cuts) is not None, attempts=400)
        for step in found:
            self.failed.add(step.mutation.name)
        if not self._vouched(found):
            return None
        self.patient = True
        verdict = self.wrong(found, way)
        self.patient = False
        if verdict is None and hung:
            return None  # it was only slow
        if verdict is None:  # it failed before and does not now: say what it was
            verdict = Wrong(
                "contract", self.judge.baseline, self.judge.baseline, "once gave another outcome, and then not"
            )
        return Failure(Case(self.transcript, way, found), kind_of(found), verdict, self.edits(found), phase)

    def _vouched(self, steps: tuple[Step, ...]) -> bool:
        """Whether our own reader keeps the promise of a mix: where it does not, nobody can be held to it.

        Of one mutation the tests of the catalogue have shown it; of every mix nobody can.
        """
        reference = self.judge.reference
        if len(steps) < 2 or reference is None or reference.dialect is None:
            return True
        edits = self.edits(steps)
        reader = dialects.get(reference.dialect).reader()
        try:
            reader.feed(edits[-1].stream.body())
            reader.close()
            completion = reader.result()
        except StreamkitError:
            return reference.completion is None or kind_of(steps) is Class.FAULT
        if reference.completion is None or kind_of(steps) is Class.FAULT:
            return False
        change = _expected(edits)
        sensible = reference.completion if change is None else change(reference.completion)
        return expected_of(completion) == expected_of(sensible)


def kind_of(steps: tuple[Step, ...]) -> Class:
    """Return the gravest class of some mutations."""
    return max((step.mutation.kind for step in steps), default=Class.PRESERVING)


def _also(edits: tuple[Edit, ...]) -> list[Callable[[Any], Any]]:
    """Return what makes the further sensible results, each with one edit taken in its other way."""
    found = []
    for number, edit in enumerate(edits):
        for other in edit.also:
            change = _expected((*edits[:number], replace(edit, expected=other), *edits[number + 1 :]))
            found.append(change or other)
    return found


def _expected(edits: tuple[Edit, ...]) -> Callable[[Any], Any] | None:
    """Return what makes the sensible result out of the original's, through all mutations; None where it is the same."""
    changes = [edit.expected for edit in edits if edit.expected is not None]
    if not changes:
        return None

    def through(completion: Any) -> Any:
        for change in changes:
            completion = change(completion)
        return completion

    return through
