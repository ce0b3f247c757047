"""The part of a campaign that mutates: each mutation by itself, then pairs, then random mixes with cuts.

Systematic before random. What fails is made minimal: mutations are dropped first, then their choices become the first
ones, then cuts are dropped. Each mutation is reported once a transcript.
"""

from __future__ import annotations

import random
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.case import Case
from streamkit.fuzz.ahead import Ahead
from streamkit.fuzz.applied import Applied
from streamkit.fuzz.chosen import FRAMING, chosen
from streamkit.fuzz.drawn import draw_failing_mix
from streamkit.fuzz.edits import keeps_the_promise, kind_of, other_sensible, sensible
from streamkit.fuzz.failure import Failure
from streamkit.fuzz.judge import Judge, Wrong, is_typed
from streamkit.fuzz.minimise import minimise
from streamkit.fuzz.outcome import Outcome
from streamkit.mutations.registry import Class, Inapplicable, Step
from streamkit.mutations.stream import Stream
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from streamkit.fuzz.report import Options
    from streamkit.mutations.registry import Edit, Mutation
    from streamkit.transcript import Transcript

__all__ = ["OUTCOMES", "Mutator"]

_VARIANTS = 12
_PAIRS = 60
_MIXES = 60
_MOST_HANGS = 24  # deliveries that may hang before the rest is given up
_DRIPPED = 64 * 2**10  # bytes of a body that are also delivered one by one
_BYTES = 24 * 2**20  # fed to the target in this part, of one transcript
#: What a mutation may lead to, from good to bad. An "error" is a typed one where a result was due.
OUTCOMES = ("same", "typed error", "error", "crash", "hang", "silent difference")


class Mutator:
    """Mutates one transcript and judges one target.

    Args:
        transcript: what is mutated.
        judge: judges the outcomes.
        run: delivers chunks and returns the outcome; with True it waits the whole time limit for one.
        options: of the campaign.
        tell: is told the phase, how many were done, and of how many.
        steady: cuts alone do not change the result.
        ahead: is told of the deliveries to come.
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
        ahead: Ahead | None = None,
    ) -> None:
        dialect = dialects.detect(transcript)
        self.steady = steady
        self.transcript = transcript
        self.judge = judge
        self.run = run
        self.options = options
        self.tell = tell
        self.ahead = ahead or Ahead(None)
        self.stream = Stream.of(transcript, dialect.name if dialect is not None else None)
        self.made = Applied(self.stream)
        self.way: Callable[[bytes], Fragmentation] = Fragmentation.per_event
        self.failed: set[str] = set()
        self.applied: dict[str, int] = {}
        self.outcomes: dict[str, str] = {}
        self.examples: dict[str, tuple[Case, Outcome]] = {}
        self.inapplicable: dict[str, str] = {}
        self.patient = False
        self.delivering: Case | None = None
        self.hung = False
        self.hangs = self.unsteady = 0
        self.seen: Wrong | None = None  # the last verdict that something is wrong

    @property
    def gave_up(self) -> bool:
        """Whether so many deliveries hung that the rest was not tried."""
        return self.hangs >= _MOST_HANGS

    def remarks(self) -> list[str]:
        """Return facts about the search for the report."""
        found = ["the target hung on many mutations: the rest of them was not tried"] if self.gave_up else []
        if self.unsteady > 1:
            found.append(f"{self.unsteady} mutations once gave another outcome, and then not: only the first is shown")
        return found

    # -- one delivery

    def edits(self, steps: tuple[Step, ...]) -> tuple[Edit, ...]:
        """Return what the mutations do, one after the other; raises Inapplicable."""
        return self.made.edits(steps)

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
        self.delivering = Case(self.transcript, cuts, steps)
        outcome = self.run(cuts.chunks(body), self.patient)
        self.hung = outcome.hung
        self.hangs += outcome.hung
        expected, also = sensible(edits), other_sensible(edits)
        refused = any(edit.refusable for edit in edits) and is_typed(outcome)
        try:
            verdict = (
                None
                if refused
                else self.judge.wrong(outcome, body, kind_of(steps), expected, self.options.returns, also)
            )
        except Inapplicable:  # each knows what to expect, and of all together nobody does
            self.delivering = None
            return None
        if verdict is None and self.steady and fragmentation is not None:
            plain = self.way(body)
            if cuts != plain:
                kinds = [step.mutation.kind for step in steps]
                verdict = self.judge.differs(self.run(plain.chunks(body), self.patient), outcome, kinds)
        self.delivering = None
        self.seen = verdict or self.seen
        if len(steps) == 1 and (self.patient or not outcome.hung):  # it may only be slow, and is waited for once more
            self._note(Case(self.transcript, cuts, steps), outcome, verdict)
        return verdict

    def stuck(self) -> Failure | None:
        """Return the mutated delivery that is under way as one that hangs for good; None where none is."""
        if (case := self.delivering) is None:
            return None
        due, why = Outcome(value="a result or an error"), "makes the target hang, and it cannot be stopped"
        wrong = Wrong("contract", due, Outcome(hung=True), why)
        return Failure(case, kind_of(case.steps), wrong, self.edits(case.steps), "stuck")

    def _deliveries(self, steps: tuple[Step, ...], ways: Iterable[Fragmentation | None]) -> Iterator[list[bytes]]:
        """Yield what `wrong` delivers where it is asked for these ways, one after the other, and finds nothing."""
        try:
            body = self.edits(steps)[-1].stream.body()
        except Inapplicable:
            return
        plain = self.way(body)
        for way in ways:
            cuts = plain if way is None else way
            if cuts.cuts and cuts.cuts[-1] > len(body):
                continue
            yield cuts.chunks(body)
            if self.steady and cuts != plain:
                yield plain.chunks(body)

    def _note(self, case: Case, outcome: Outcome, verdict: Wrong | None) -> None:
        """Keep the worst that a mutation has led to, and the first case that led to it."""
        name = case.steps[0].mutation.name
        said = "same" if verdict is None and outcome.returned else "typed error"
        if verdict is not None:
            said = "hang" if outcome.hung else "crash" if outcome.error else "silent difference"
        if said == "crash" and is_typed(outcome):
            said = "error"  # of its own kind, but where none is right
        before = self.outcomes.setdefault(name, "same")
        if OUTCOMES.index(said) > OUTCOMES.index(before):
            self.outcomes[name] = said
            self.examples[name] = case, outcome

    # -- phases

    def usable(self) -> list[Mutation]:
        """Return the mutations of the campaign that know this stream."""
        asked = chosen(self.options)
        if self.stream.dialect is None:  # what nobody knows is reframed, and nothing in it is touched
            return [one for one in asked if one.layer in FRAMING and one.kind is Class.PRESERVING and not one.dialects]
        return [one for one in asked if not one.dialects or self.stream.dialect in one.dialects]

    def search(self) -> Iterator[Failure]:
        """Yield what fails, minimal; the first failure of each mutation only."""
        if not self._find_a_way():
            return
        usable = self.usable()
        yield from self._singles(usable)
        if not self.options.combine:
            return
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
        variants = max(1, min(self.options.max_variants or _VARIANTS, affordable // max(1, len(usable))))
        done = 0
        steps = [
            (one, step)
            for one in usable
            for step in (None, *(Step(one, numbers) for numbers in self.made.variants(one, variants)))
        ]
        with closing(self.ahead.over(steps, lambda each: self._single_deliveries(each[1]))) as coming:
            for one, step in coming:
                if step is None:  # it begins
                    if self.gave_up:
                        return
                    self.inapplicable.setdefault(one.name, "it has no variant here")
                    continue
                if one.name in self.failed:  # reported, or slow
                    continue
                done += 1
                try:
                    self.edits((step,))
                except Inapplicable as reason:
                    self.inapplicable[one.name] = str(reason)
                    continue
                self.applied[one.name] = self.applied.get(one.name, 0) + 1
                found = self._first_wrong((step,), "mutations", every_way=not any(step.numbers))
                self.tell("mutations", done, 0)
                if found is not None:
                    yield found
        for name in self.applied:
            self.inapplicable.pop(name, None)

    def _first_wrong(self, steps: tuple[Step, ...], phase: str, *, every_way: bool) -> Failure | None:
        """Deliver a mutated stream in plain chunks, and perhaps whole and byte by byte too."""
        for way in self._ways(steps, every_way=every_way):
            if self.wrong(steps, way) is not None:
                return self._minimal(steps, way, phase)
        return None

    def _ways(self, steps: tuple[Step, ...], *, every_way: bool) -> list[Fragmentation | None]:
        ways: list[Fragmentation | None] = [None]
        if every_way and self.steady:
            body = self.edits(steps)[-1].stream.body()
            ways.append(Fragmentation.whole())
            if len(body) <= _DRIPPED:
                ways.append(Fragmentation.drip(body))
        return ways

    def _single_deliveries(self, step: Step | None) -> Iterator[list[bytes]]:
        if step is None or step.mutation.name in self.failed or self.gave_up:
            return
        try:
            ways = self._ways((step,), every_way=not any(step.numbers))
        except Inapplicable:
            return
        yield from self._deliveries((step,), ways)

    def _pairs(self, usable: list[Mutation]) -> Iterator[Failure]:
        pairs = list(combinations(usable, 2))
        random.Random(self.options.seed).shuffle(pairs)  # noqa: S311 - repeatable, not secret
        most = min(_PAIRS, max(8, _BYTES // 4 // max(1, len(self.transcript.body))))
        with closing(self.ahead.over(pairs[:most], self._pair_deliveries)) as coming:
            for number, (one, other) in enumerate(coming, 1):
                self.tell("pairs of mutations", number, min(most, len(pairs)))
                if {one.name, other.name} & self.failed or self.gave_up:
                    continue
                for steps in ((Step(one), Step(other)), (Step(other), Step(one))):
                    if self.wrong(steps) is not None:
                        found = self._minimal(steps, None, "pairs of mutations")
                        if found is not None:
                            yield found
                        break

    def _pair_deliveries(self, pair: tuple[Mutation, Mutation]) -> Iterator[list[bytes]]:
        one, other = pair
        if not ({one.name, other.name} & self.failed or self.gave_up):
            for steps in ((Step(one), Step(other)), (Step(other), Step(one))):
                yield from self._deliveries(steps, [None])

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

            def hint(steps: tuple[Step, ...], cuts: Fragmentation) -> None:
                self.ahead.hint(self._deliveries(steps, [cuts if self.steady else None]))

            tell = partial(self._tell_mixes, most)
            options = replace(self.options, seed=seed)
            most -= draw_failing_mix(
                self.transcript, usable, most, options, fails, tell,
                hint=hint, many=self.ahead.many, body=self.made.body,
            )  # fmt: skip
            self.ahead.forget()
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
        if not keeps_the_promise(found, self.edits(found), self.judge.reference):
            return None  # and nobody can be held to it
        self.patient = True
        verdict = self.wrong(found, way)
        self.patient = False
        if verdict is None and hung:
            return None  # it was only slow
        if verdict is None:  # it failed before and does not now: say what it was, once
            self.unsteady += 1
            if self.unsteady > 1 or self.seen is None:
                return None
            verdict = replace(self.seen, oracle="contract", why="once gave another outcome, and then not")
        return Failure(Case(self.transcript, way, found), kind_of(found), verdict, self.edits(found), phase)
