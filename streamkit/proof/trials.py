"""Deliveries to a fresh target: what a proof starts from, is checked by, and makes a refutation minimal with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamkit.case import Case
from streamkit.fuzz.counterexample import Counterexample, headline
from streamkit.fuzz.minimise import earliest, minimise
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streamkit.fuzz.outcome import Outcome
    from streamkit.fuzz.runner import Runs
    from streamkit.transcript import Transcript

__all__ = ["Trials"]

_SPOT_BYTES = 2**20
_SPOTS = 64


@dataclass
class Trials:
    """Deliveries of one transcript to a target.

    Attributes:
        runner: makes them.
        transcript: what is delivered.
        time_limit: seconds that one may take.
        tell: is told the phase, how many deliveries of it were made, and how many there are (0: not known).
        expected: what the recorded delivery gives.
    """

    runner: Runs
    transcript: Transcript
    time_limit: float
    tell: Callable[[str, int, int], None]
    expected: Outcome

    def outcome(self, fragmentation: Fragmentation) -> Outcome:
        """Deliver the body, cut, and return what came of it."""
        return self.runner.run(fragmentation.chunks(self.transcript.body), limit=self.time_limit)

    def fails(self, fragmentation: Fragmentation) -> bool:
        """Say whether a delivery gives another outcome than the recorded one."""
        return not self.outcome(fragmentation).same_as(self.expected)

    def spots(self, seed: int, *, empty_chunks: bool) -> Iterator[Fragmentation]:
        """Yield random fragmentations, few and many cuts, that a proved target must pass too."""
        size = len(self.transcript.body)
        draw = random.Random(seed)  # noqa: S311 - a sample, not a secret
        low, high = (0, size) if empty_chunks else (1, size - 1)
        for _ in range(max(8, min(_SPOTS, _SPOT_BYTES // max(1, size)))):
            if high < low:
                return
            count = min(int(2 ** draw.uniform(0, 8)), size)
            cuts = [draw.randint(low, high) for _ in range(count)]
            yield Fragmentation(tuple(sorted(cuts if empty_chunks else set(cuts))))

    def finding(self, failing: Fragmentation, found_by: str) -> Counterexample | None:
        """Make a failing delivery minimal and return what it shows; None where it does not fail again."""
        done = 0

        def fails(fragmentation: Fragmentation) -> bool:
            nonlocal done
            done += 1
            self.tell("minimising", done, 0)
            return self.fails(fragmentation)

        if not fails(failing):
            return None
        small = earliest(minimise(failing, fails), fails, boundaries(self.transcript.body).hot())
        actual = self.outcome(small)
        if actual.same_as(self.expected):
            return None
        return Counterexample(
            self.runner.target, Case(self.transcript, small), "invariance", "preserving", self.expected, actual,
            headline(small, self.transcript.body, self.expected, actual),
            found_by=found_by, time_limit=self.time_limit, cases=self.runner.runs,
        )  # fmt: skip
