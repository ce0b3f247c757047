"""The search for counterexamples on one transcript, phase after phase.

The recorded delivery twice (the baseline, and whether the target repeats itself), the reference oracle on it, the
prelude, every single cut, cuts that Hypothesis draws, and then mutations. What fails is made minimal.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from streamkit.case import Case
from streamkit.fuzz import sweep
from streamkit.fuzz.ahead import Ahead
from streamkit.fuzz.counterexample import Counterexample, headline
from streamkit.fuzz.drawn import draw_failing
from streamkit.fuzz.judge import Judge, holds_framing
from streamkit.fuzz.minimise import earliest, minimise
from streamkit.fuzz.oracles import Reference, reference_of
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.recorded import judge_recorded
from streamkit.fuzz.report import Coverage, Options, Progress, Report
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from streamkit.fuzz.mutating import Mutator
    from streamkit.fuzz.runner import Runs
    from streamkit.transcript import Transcript

__all__ = ["Search"]

_DEFAULT_EXAMPLES = 200
_MOST_HANGS = 3  # deliveries that may hang in one phase before it is given up
_QUICK, _QUICK_SERVED = 2.0, 5.0  # seconds, at least, for a mutated delivery; a network takes its time
_MOST_FAULTS = 32  # deliveries after which a driver had to be started anew


class _OutOfBudget(Exception):  # noqa: N818 - a signal within this module
    """The campaign's time is up."""


class Search:
    """The search for a counterexample on one transcript."""

    def __init__(
        self,
        runner: Runs,
        transcript: Transcript,
        options: Options,
        coverage: Coverage,
        report: Report,
        started: float,
        listener: Callable[[Progress], None] | None,
    ) -> None:
        self.runner = runner
        self.transcript = transcript
        self.options = options
        self.coverage = coverage
        self.report = report
        runner.take(transcript)
        self.started = started
        self.listener = listener
        self.baseline = self.last = Outcome()
        self.mutator: Mutator | None = None
        self.reference: Reference | None = None
        self.trusted = False
        self.baseline_seconds = 0.0
        self.limit = options.time_limit
        self.delivered = transcript.recorded
        self.faults = options.faults
        self.seen: tuple[Fragmentation, Outcome] | None = None  # the failing delivery with the fewest cuts so far

    # -- running

    def outcome(self, fragmentation: Fragmentation) -> Outcome:
        """Deliver the recorded body, cut, and return what came of it."""
        if self.options.max_time is not None and time.monotonic() - self.started > self.options.max_time:
            raise _OutOfBudget
        self.delivered = fragmentation
        return self.runner.run(fragmentation.chunks(self.transcript.body), limit=self.limit)

    def fails(self, fragmentation: Fragmentation) -> bool:
        """Say whether a delivery gives another outcome than the recorded one."""
        self.last = self.outcome(fragmentation)
        if self.last.same_as(self.baseline):
            return False
        if self.seen is None or len(fragmentation) < len(self.seen[0]):
            self.seen = (fragmentation, self.last)
        return True

    def tell(self, phase: str, done: int, total: int) -> None:
        """Note how far a phase is, and tell the listener."""
        self.coverage.phases[phase] = done
        if self.listener is not None:
            self.listener(Progress(self.transcript.name, phase, done, total))

    # -- findings

    def add(self, fragmentation: Fragmentation, oracle: str, class_: str, *, expected: Outcome, **facts: Any) -> None:
        """Report a finding on the recorded body."""
        case = Case(self.transcript, fragmentation)
        facts |= {"expected": expected, "returns": self.options.returns, "time_limit": self.options.time_limit}
        facts["cases"] = self.runner.runs
        self.report.findings.append(Counterexample(self.runner.target, case, oracle, class_, **facts))

    def take_baseline(self) -> bool:
        """Run the recorded delivery. False if what it gave leaves nothing to compare cuts with."""
        recorded = self.transcript.recorded
        self.reference = reference_of(self.transcript)
        began = time.monotonic()
        self.baseline = self.outcome(recorded)
        self.baseline_seconds = time.monotonic() - began
        self.tell("recorded", 1, 2)
        if self.baseline.hung:
            self.add(
                recorded, "contract", "recorded",
                expected=Outcome(value="a result or an error"), actual=self.baseline, found_by="recorded",
                headline=f"the target hangs on the recorded delivery: no result in {self.limit:g} seconds",
            )  # fmt: skip
            return False
        began = time.monotonic()
        again = self.outcome(recorded)
        self.baseline_seconds = min(self.baseline_seconds, time.monotonic() - began)  # the first may load a lot
        self.tell("recorded", 2, 2)
        if not again.same_as(self.baseline):
            self._report_unsteady(recorded, again)
            return False
        return judge_recorded(self, recorded)

    def _report_unsteady(self, fragmentation: Fragmentation, again: Outcome) -> None:
        self.add(
            fragmentation, "contract", "recorded",
            expected=self.baseline, actual=again, found_by="recorded",
            headline="the same bytes in the same chunks give another result: the target keeps state between calls, "
            "or its result holds something random",
        )  # fmt: skip

    def report_finding(self, fragmentation: Fragmentation, phase: str, single: dict[str, int]) -> None:
        """Confirm a failing delivery and report it."""
        self.limit = self.options.time_limit
        steady = self.outcome(self.transcript.recorded)
        if not steady.same_as(self.baseline):
            self._report_unsteady(self.transcript.recorded, steady)
            return
        actual = self.outcome(fragmentation)
        if actual.same_as(self.baseline):
            once, actual = self.seen or (fragmentation, actual)  # what it did when it failed
            self.add(
                once, "contract", "preserving", expected=self.baseline, actual=actual, found_by=phase,
                headline="a delivery failed and then passed: the target keeps state between calls, or is random",
                notes=("what it did may depend on the deliveries before this one, and not repeat",),
            )  # fmt: skip
            return
        notes = []
        if single and sum(single.values()) == self.coverage.swept and actual.returned:
            notes.append("every cut changes the result: if it follows the chunks on purpose, join its pieces first")
        self.add_difference(fragmentation, actual, phase, single, *notes)

    def add_difference(
        self, fragmentation: Fragmentation, actual: Outcome, phase: str, single: dict[str, int], *notes: str
    ) -> None:
        """Report that a delivery gives another outcome than the recorded one."""
        self.add(
            fragmentation, "invariance", "preserving",
            expected=self.baseline, actual=actual, found_by=phase, single_cuts=single, notes=notes,
            swept=self.coverage.swept if single else 0,
            headline=headline(fragmentation, self.transcript.body, self.baseline, actual),
        )  # fmt: skip

    def report_stuck(self) -> None:
        """Report the delivery that is under way as one that hangs for good."""
        failure = self.mutator.stuck() if self.mutator is not None else None
        if failure is not None:
            self.report.findings.append(failure.counterexample(self.runner, self.options))
            return
        self.add(
            self.delivered, "contract", "preserving",
            expected=Outcome(value="a result or an error"), actual=Outcome(hung=True), found_by="stuck",
            headline="the target hangs and cannot be stopped",
            notes=("not minimal: the target swallows every interruption, an `except:` perhaps",),
        )  # fmt: skip

    # -- phases

    def search(self) -> None:
        """Search, and report what was seen to fail even where the search is stopped."""
        before = len(self.report.findings)
        try:
            self._search()
        except (KeyboardInterrupt, _OutOfBudget):
            reported = any(finding.oracle == "invariance" for finding in self.report.findings[before:])
            if self.seen is not None and not reported:
                fragmentation, actual = self.seen
                self.add_difference(fragmentation, actual, "stopped", {}, "not minimal: the search was stopped")
            raise

    def _search(self) -> None:
        if not self.take_baseline():
            return
        before = len(self.report.findings)
        body = self.transcript.body
        failing = self._first_failing(sweep.prelude(body), "prelude")
        single = self._sweep()
        drawn = self._drawn() if failing is None and not single else None
        found = failing or drawn
        if single:
            self.report_finding(Fragmentation((single[0],)), "single cuts", sweep.by_class(body, single))
        elif found is not None:
            phase = "prelude" if failing is not None else "drawn"
            self.report_finding(self._minimal(found), phase, {})
        self._mutate(steady=found is None and not single)
        if len(self.report.findings) == before and self.baseline.returned:
            last = self.outcome(self.transcript.recorded)
            if not last.same_as(self.baseline):
                self._report_unsteady(self.transcript.recorded, last)

    def _mutate(self, *, steady: bool) -> None:
        """Apply mutations.

        Args:
            steady: no cut changes the result, so that what a mutation with cuts changes is the mutation's doing.
        """
        from streamkit.fuzz.mutating import Mutator

        options = self.options
        if not options.mutations:
            return
        if self.baseline.returned and holds_framing(self.baseline.value, self.transcript.body):
            self.coverage.notes.append("the result holds the stream's own framing: no mutation was applied")
            return
        judge = Judge(self.baseline, self.transcript.body, self.reference, self.trusted)
        mutator = self.mutator = Mutator(
            self.transcript, judge, self._deliver, self.options, self.tell,
            steady=steady, ahead=Ahead(self.runner, self._quick),
        )  # fmt: skip
        self.coverage.take(mutator)  # now, so that an interrupted search has told what it tried
        for failure in mutator.search():
            again = self.outcome(self.transcript.recorded)
            if not again.same_as(self.baseline):  # something leaked, and no mutation is to blame for it
                self._report_unsteady(self.transcript.recorded, again)
                break
            self.report.findings.append(failure.counterexample(self.runner, self.options))
        self.coverage.notes.extend(mutator.remarks())
        if self.reference is None and mutator.applied:
            self.coverage.notes.append("no dialect of streamkit knows this transcript: its meaning was not judged")

    def _deliver(self, chunks: list[bytes], patient: bool) -> Outcome:
        """Deliver a mutated stream. What seems to hang is waited for in full once more before it is reported."""
        if self.options.max_time is not None and time.monotonic() - self.started > self.options.max_time:
            raise _OutOfBudget
        return self.runner.run(chunks, limit=self.options.time_limit if patient else self._quick)

    @property
    def _quick(self) -> float:
        least = _QUICK_SERVED if self.runner.target.is_served else _QUICK
        return min(self.options.time_limit, max(least, 50 * self.baseline_seconds))

    def replay(self, case: Case) -> None:
        """Judge one case as the search would."""
        self.faults |= not case.steps and not case.fragmentation.cuts
        if not self.take_baseline():
            return
        if not case.steps:
            if self.fails(case.fragmentation):
                self.report_finding(case.fragmentation, "replay", {})
            return
        from streamkit.fuzz.mutating import Mutator

        judge = Judge(self.baseline, self.transcript.body, self.reference, self.trusted)
        mutator = Mutator(self.transcript, judge, self._deliver, self.options, self.tell, steady=True)
        mutator.patient = True
        failure = mutator.judged(case)
        if failure is not None:
            self.report.findings.append(failure.counterexample(self.runner, self.options))

    def _first_failing(self, fragmentations: Iterator[Fragmentation], phase: str) -> Fragmentation | None:
        with closing(self._ahead(fragmentations)) as coming:
            for number, fragmentation in enumerate(coming, 1):
                failed = self.fails(fragmentation)
                self.tell(phase, number, 0)
                if failed:
                    return fragmentation
        return None

    def _ahead(self, fragmentations: Iterable[Fragmentation]) -> Generator[Fragmentation, None, None]:
        body = self.transcript.body
        return Ahead(self.runner, self.limit).over(fragmentations, lambda one: [one.chunks(body)])

    def _sweep(self) -> list[int]:
        """Try single cuts and return those that fail, ascending."""
        offsets, complete = sweep.single_cuts(self.transcript.body, self.options.max_single_cuts)
        if not complete:
            self.coverage.notes.append(
                f"{len(offsets)} of {self.coverage.sweepable} single cuts were sampled, "
                "spread over the boundary classes"
            )
        failing: list[int] = []
        hangs = faults = 0
        with closing(self._ahead(Fragmentation((offset,)) for offset in offsets)) as coming:
            for number, (offset, cut) in enumerate(zip(offsets, coming, strict=False), 1):
                fails = self.fails(cut)
                self.coverage.swept = self.coverage.phases["single cuts"] = number
                if number % 64 == 0 or number == len(offsets):
                    self.tell("single cuts", number, len(offsets))
                if fails:
                    failing.append(offset)
                    hangs += self.last.hung
                    faults += bool(self.last.fault)
                    if hangs == _MOST_HANGS or faults == _MOST_FAULTS:
                        what = f"hung {hangs} times" if hangs == _MOST_HANGS else f"broke down {faults} times"
                        self.coverage.notes.append(f"the target {what}: the remaining single cuts were not tried")
                        break
        return failing

    def _drawn(self) -> Fragmentation | None:
        """Let Hypothesis draw deliveries and return one that fails."""
        wanted = self.options.max_examples
        examples = sweep.affordable(len(self.transcript.body), _DEFAULT_EXAMPLES) if wanted is None else wanted
        if examples == 0 or not self.transcript.body:
            return None
        ahead, body = Ahead(self.runner, self.limit), self.transcript.body
        found = draw_failing(
            self.transcript, examples, self.options, self.fails, lambda n: self.tell("drawn", n, examples),
            hint=lambda one: ahead.hint([one.chunks(body)]), many=ahead.many,
        )  # fmt: skip
        ahead.forget()
        return found

    def _minimal(self, failing: Fragmentation) -> Fragmentation:
        """Drop the cuts that are not needed. A delivery that hangs is given less time here than in the campaign."""
        self.limit = min(self.options.time_limit, max(1.0, 20 * self.baseline_seconds))
        if not self.fails(failing):
            self.limit = self.options.time_limit
        done = 0

        def fails(fragmentation: Fragmentation) -> bool:
            nonlocal done
            done += 1
            self.tell("minimising", done, 0)
            return self.fails(fragmentation)

        small = earliest(minimise(failing, fails), fails, boundaries(self.transcript.body).hot())
        self.limit = self.options.time_limit
        return small
