"""What the openai library did on each mutation: campaigns of the engine, gathered into cells.

Nothing is judged here. The engine says what the worst outcome of each mutation on each stream was; a cell holds the
worst over the streams, the error where there was one, and a token that repeats it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit import dialects
from streamkit.case import Case, mutated
from streamkit.fuzz import Options, adapt, fuzz
from streamkit.fuzz.judge import is_typed
from streamkit.fuzz.mutating import OUTCOMES
from streamkit.fuzz.runner import Runner
from streamkit.mutations.registry import Inapplicable, Mutation, Step, get, mutations
from streamkit.mutations.stream import Stream
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamkit.fuzz import Counterexample, Progress, Report
    from streamkit.fuzz.outcome import Outcome
    from streamkit.transcript import Transcript

__all__ = ["Cell", "Column", "Shown", "cases", "column", "in_one_chunk", "options", "shown"]

_VARIANTS = 6


def options(seed: int = 0, only: Sequence[str] = ()) -> Options:
    """Return the options of the campaigns: every mutation, and of the cuts the prelude alone."""
    return Options(
        seed, max_examples=0, max_single_cuts=0, mutations=True, dialects=True, faults=True, only=tuple(only)
    )


@dataclass(frozen=True)
class Cell:
    """What one target did on one mutation.

    Attributes:
        outcome: the worst over all streams: "same", "typed error", "error" (where a result was due), "crash" (by a
            slip of the parser, such as KeyError), "hang" or "silent difference".
        error: the error's class, where there was one.
        message: its text, or what is wrong in one line.
        token: repeats it; "" where the outcome is the same.
    """

    outcome: str
    error: str = ""
    message: str = ""
    token: str = ""

    @property
    def told(self) -> str:
        """The outcome in a few words, with the error's class."""
        return f"{self.outcome} ({self.error})" if self.error else self.outcome


@dataclass
class Column:
    """What one target did.

    Attributes:
        target: its name.
        cells: by the mutation's name.
        recorded: what is wrong with no mutation at all, a cell for each stream. What mutations of such a stream lead
            to is in no cell: it says nothing of the mutation.
        barred: mutations that were applied to such streams.
        combined: findings that need several mutations, or cuts.
        cases: deliveries made.
    """

    target: str
    cells: dict[str, Cell] = field(default_factory=dict)
    recorded: dict[str, Cell] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    combined: list[Cell] = field(default_factory=list)
    cases: int = 0


def column(
    target: Callable[..., Any],
    streams: Sequence[Transcript],
    seed: int = 0,
    only: Sequence[str] = (),
    listener: Callable[[Progress], None] | None = None,
) -> Column:
    """Run a campaign for each stream and gather what the target did.

    Args:
        target: the code under test.
        streams: what is delivered.
        seed: of the campaigns.
        only: names of the only mutations to apply; all where empty.
        listener: is told the progress.
    """
    made = Column(target.__name__)
    for stream in streams:
        report = fuzz(target, stream, options=options(seed, only), listener=listener)
        made.cases += report.cases
        _gather(made, target, stream, report)
    order = [one.name for one in mutations()]
    made.cells = {name: made.cells[name] for name in order if name in made.cells}
    made.barred -= made.cells.keys()
    return made


def _gather(made: Column, target: Any, stream: Transcript, report: Report) -> None:
    alone: dict[str, Counterexample] = {}
    for finding in report.findings:
        steps = finding.case.steps
        if len(steps) == 1 and finding.case.transcript.name not in made.recorded:
            alone.setdefault(steps[0].mutation.name, finding)
        elif len(steps) > 1 and finding.case.transcript.name not in made.recorded:
            made.combined.append(_found("combined", finding))
        elif not steps:
            made.recorded[stream.name] = _found("recorded", finding)
    if stream.name in made.recorded:
        made.barred.update(report.coverage[0].outcomes)
        return
    for name, outcome in report.coverage[0].outcomes.items():
        if name in made.cells and OUTCOMES.index(outcome) <= OUTCOMES.index(made.cells[name].outcome):
            continue
        if outcome == "same":
            made.cells[name] = Cell(outcome)
        elif name in alone:
            made.cells[name] = _found(outcome, alone[name])
        else:
            made.cells[name] = _typed(target, stream, get(name)) or Cell(outcome)


def _found(outcome: str, finding: Counterexample) -> Cell:
    actual = finding.actual
    return Cell(outcome, _short(actual.error), actual.message[:200] or finding.headline, finding.token)


def _typed(target: Any, stream: Transcript, mutation: Mutation) -> Cell | None:
    """Return the first typed error that a mutation leads to: of these there is no finding, since they are right."""
    with Runner(adapt(target)) as runner:
        for case in cases(stream, mutation):
            outcome: Outcome = runner.run(case.chunks())
            if is_typed(outcome):
                return Cell("typed error", _short(outcome.error), outcome.message[:200], str(case.token))
    return None


@dataclass(frozen=True)
class Shown(Cell):
    """What one target did on one case."""


def shown(target: Callable[..., Any], stream: Transcript, step: str) -> Shown:
    """Deliver one mutation of a stream in one chunk, and return what came of it.

    Args:
        target: the code under test.
        stream: what is mutated.
        step: the mutation, with its choices: `truncate(3,1)`.

    Raises:
        Inapplicable: it has nothing to do there.
    """
    case = in_one_chunk(stream, step)
    token = str(case.token)
    with Runner(adapt(target)) as runner:
        outcome: Outcome = runner.run(case.chunks())
    report = fuzz(target, stream, options=options(), replay=token)
    if not report.findings:
        return Shown("same" if outcome.returned else "typed error", _short(outcome.error), outcome.message, token)
    found = report.findings[0]
    if not found.case.steps:
        raise AssertionError(f"{stream.name} is wrong as recorded, and shows nothing: {found.headline}")
    kind = "silent difference" if outcome.returned else "error" if is_typed(outcome) else "crash"
    return Shown("hang" if outcome.hung else kind, _short(outcome.error), outcome.message or found.headline, token)


def in_one_chunk(stream: Transcript, step: str) -> Case:
    """Return the case of one mutation of a stream, delivered in one chunk."""
    return Case(stream, Fragmentation.whole(), (Step.parse(step),))


def cases(stream: Transcript, mutation: Mutation) -> Iterator[Case]:
    """Yield a case for each variant of a mutation that applies, one event a chunk."""
    dialect = dialects.detect(stream)
    events = Stream.of(stream, dialect.name if dialect is not None else None)
    for numbers in mutation.variants(events, _VARIANTS):
        with suppress(Inapplicable):
            steps = (Step(mutation, numbers),)
            body = mutated(stream, steps).body
            yield Case(stream, Fragmentation.per_event(body), steps)


def _short(error: str) -> str:
    return error.rpartition(".")[2]
