"""Failure: a mutated delivery on which a target is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamkit.fuzz.counterexample import Counterexample

if TYPE_CHECKING:
    from streamkit.case import Case
    from streamkit.fuzz.judge import Wrong
    from streamkit.fuzz.report import Options
    from streamkit.fuzz.runner import Runs
    from streamkit.mutations.registry import Class, Edit

__all__ = ["Failure"]


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

    def counterexample(self, runner: Runs, options: Options) -> Counterexample:
        """Return it as a finding of a campaign."""
        names = " and ".join(dict.fromkeys(step.mutation.name for step in self.case.steps))
        return Counterexample(
            runner.target, self.case, self.wrong.oracle, str(self.kind),
            expected=self.wrong.expected, actual=self.wrong.actual, found_by=self.phase,
            headline=f"{names} {self.wrong.why}", edits=self.edits,
            returns=options.returns, time_limit=options.time_limit, cases=runner.runs,
        )  # fmt: skip
