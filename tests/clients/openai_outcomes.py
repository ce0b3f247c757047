"""What the openai library did on each mutation: campaigns of the engine, gathered into cells.

Nothing is judged here. The engine says what the worst outcome of each mutation on each stream was; a cell holds the
worst over the streams, the error where there was one, and a token that repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamkit.case import Case
from streamkit.fuzz import Options, adapt, fuzz
from streamkit.fuzz.judge import is_typed
from streamkit.fuzz.runner import Runner
from streamkit.matrix.cells import UNTRIED, Cell, part_of, worse
from streamkit.mutations.registry import Step, mutations
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.fuzz import Progress
    from streamkit.fuzz.outcome import Outcome
    from streamkit.transcript import Transcript

__all__ = ["Cell", "Column", "Shown", "column", "in_one_chunk", "options", "shown"]


def options(seed: int = 0, only: Sequence[str] = ()) -> Options:
    """Return the options of the campaigns: every mutation, and of the cuts the prelude alone."""
    return Options(
        seed, max_examples=0, max_single_cuts=0, mutations=True, dialects=True, faults=True, only=tuple(only)
    )


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
        part = part_of(fuzz(target, stream, options=options(seed, only), listener=listener))
        made.cases += part.cases
        made.barred.update(part.barred)
        made.combined += part.combined
        if part.recorded.outcome != "same":
            made.recorded[stream.name] = part.recorded
        for name, cell in part.mutations.items():
            made.cells[name] = worse(made.cells.get(name, Cell(UNTRIED)), cell)
    order = [one.name for one in mutations()]
    made.cells = {name: made.cells[name] for name in order if name in made.cells}
    made.barred -= made.cells.keys()
    return made


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


def _short(error: str) -> str:
    return error.rpartition(".")[2]
