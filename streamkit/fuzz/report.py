"""What a campaign is asked, how far it is, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.errors import UsageError

if TYPE_CHECKING:
    from streamkit.case import Case
    from streamkit.fuzz.counterexample import Counterexample
    from streamkit.fuzz.mutating import Mutator
    from streamkit.fuzz.outcome import Outcome

__all__ = ["Coverage", "Options", "Progress", "Report"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a campaign is to do.

    Attributes:
        seed: of what Hypothesis draws.
        max_examples: deliveries drawn for each transcript; None for 200, or fewer where the transcript is large.
        returns: "message" or "events": what the target returns.
        time_limit: seconds that one delivery may take.
        max_time: seconds for the whole campaign, or None. With it the result may depend on the machine.
        empty_chunks: also draw empty chunks.
        mutations: apply the mutations of the preserving class; False for cuts alone.
        dialects: also apply those of the dialect class.
        faults: also apply those of the fault class.
        only: names of the only mutations to apply, of whichever class; all of the classes asked for where empty.
        skip: names of mutations to leave out.
        max_single_cuts: the most single cuts to try on each transcript; None for all of them, or as many as a fixed
            number of bytes allows where the transcript is large.
        workers: how many processes of a command answer side by side; None for the number of processors, at most 4.
            What runs in this process makes one delivery at a time. The report is the same for any number.
        framing: how HTTP tells the end of the body to a command or a client: "chunked", with an HTTP chunk for each
            chunk of a delivery, "length" or "close".
        combine: also apply several mutations at once.
        max_variants: the most variants of each mutation to apply by itself; None for 12. Fewer where the transcript is
            large.
    """

    seed: int = 0
    max_examples: int | None = None
    returns: str = "message"
    time_limit: float = 10.0
    max_time: float | None = None
    empty_chunks: bool = False
    max_single_cuts: int | None = None
    dialects: bool = False
    faults: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    mutations: bool = True
    workers: int | None = None
    framing: str = "chunked"
    combine: bool = True
    max_variants: int | None = None

    def __post_init__(self) -> None:
        if self.returns not in ("message", "events"):
            raise UsageError(f"returns is {self.returns!r}: write 'message' or 'events'")
        if self.max_examples is not None and self.max_examples < 0:
            raise UsageError(f"max_examples is {self.max_examples}: give 0 or more")
        if self.max_single_cuts is not None and self.max_single_cuts < 0:
            raise UsageError(f"max_single_cuts is {self.max_single_cuts}: give 0 or more")
        if not self.time_limit > 0 or (self.max_time is not None and not self.max_time > 0):
            raise UsageError("time_limit and max_time are seconds above 0")
        if not self.mutations and (self.dialects or self.faults or self.only):
            raise UsageError("mutations are switched off, and some are asked for by class or name")
        if self.max_variants is not None and self.max_variants < 1:
            raise UsageError(f"max_variants is {self.max_variants}: give 1 or more")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers is {self.workers}: give 1 or more")
        if self.framing not in ("chunked", "length", "close"):
            raise UsageError(f"framing is {self.framing!r}: write 'chunked', 'length' or 'close'")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"seed is {self.seed}: give a whole number from 0 to 2**64 - 1")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is: `done` of `total` deliveries of a phase (total 0: not known)."""

    transcript: str
    phase: str
    done: int
    total: int


@dataclass
class Coverage:
    """What was tried on one transcript.

    Attributes:
        transcript: its name.
        size: bytes of its body.
        phases: deliveries made, by phase.
        swept: single cuts tried.
        sweepable: single cuts there are.
        notes: what was sampled, skipped or given up.
        mutations: how often each mutation was applied.
        inapplicable: why other mutations had nothing to do.
        outcomes: the worst that each mutation by itself has led to.
        examples: the first case that led to it, and what the target did on it; not for what is the same.
    """

    transcript: str
    size: int
    phases: dict[str, int] = field(default_factory=dict)
    swept: int = 0
    sweepable: int = 0
    notes: list[str] = field(default_factory=list)
    mutations: dict[str, int] = field(default_factory=dict)
    inapplicable: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    examples: dict[str, tuple[Case, Outcome]] = field(default_factory=dict)

    def take(self, mutator: Mutator) -> None:
        """Hold what a mutator tries, as far as it has come."""
        self.mutations, self.inapplicable = mutator.applied, mutator.inapplicable
        self.outcomes, self.examples = mutator.outcomes, mutator.examples

    def to_json(self) -> dict[str, Any]:
        """Return the coverage for the result JSON."""
        return {
            "transcript": self.transcript,
            "bytes": self.size,
            "phases": dict(self.phases),
            "single_cuts": {"tried": self.swept, "of": self.sweepable},
            "mutations": dict(self.mutations),
            "inapplicable": dict(self.inapplicable),
            "outcomes": dict(self.outcomes),
            "notes": list(self.notes),
        }


@dataclass
class Report:
    """The result of a campaign.

    Attributes:
        target: the name of the code under test.
        seed: the seed.
        cases: deliveries made.
        seconds: how long it took; the one field that is not the same every time.
        findings: counterexamples.
        coverage: what was tried, a transcript each.
        notes: facts about the target, such as that it prints.
        interrupted: the campaign was stopped before its end.
    """

    target: str
    seed: int
    cases: int = 0
    seconds: float = 0.0
    findings: list[Counterexample] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the result JSON. All of it but `seconds` is the same for the same version, seed and input."""
        return {
            "format": 1,
            "target": self.target,
            "seed": self.seed,
            "cases": self.cases,
            "seconds": round(self.seconds, 3),
            "findings": [finding.to_json() for finding in self.findings],
            "coverage": [coverage.to_json() for coverage in self.coverage],
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }
