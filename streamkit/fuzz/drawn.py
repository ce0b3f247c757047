"""Deliveries that Hypothesis draws: for the cuts, and the mixes of mutations, that nothing systematic makes.

Hypothesis only draws here. What is found is made minimal by the same means as in the other phases, so that a finding
looks the same whatever found it; in tests of one's own (`streamkit.strategies`) Hypothesis shrinks, too.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

    from streamkit.case import Case
    from streamkit.fuzz.report import Options
    from streamkit.mutations.registry import Mutation, Step
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

__all__ = ["draw_failing", "draw_failing_mix"]


class _Found(Exception):  # noqa: N818 - a signal within this module
    """A drawn delivery failed."""


def draw_failing(
    transcript: Transcript,
    examples: int,
    options: Options,
    fails: Callable[[Fragmentation], bool],
    tell: Callable[[int], None],
) -> Fragmentation | None:
    """Return the first drawn delivery that fails, or None after `examples` of them.

    Args:
        transcript: what is cut.
        examples: how many deliveries to draw.
        options: the seed, and whether to draw empty chunks.
        fails: says whether a delivery fails.
        tell: is told how many were drawn.
    """
    from streamkit.strategies import fragmentations

    found: list[Fragmentation] = []
    made = 0

    def attempt(fragmentation: Fragmentation) -> None:
        nonlocal made
        if found:
            raise _Found
        made += 1
        if fails(fragmentation):
            found.append(fragmentation)
            raise _Found
        tell(made)

    _draw(fragmentations(transcript, empty_chunks=options.empty_chunks), attempt, examples, options.seed)
    return found[0] if found else None


def draw_failing_mix(
    transcript: Transcript,
    usable: Sequence[Mutation],
    examples: int,
    options: Options,
    fails: Callable[[tuple[Step, ...], Fragmentation], bool],
    tell: Callable[[int], None],
) -> int:
    """Draw mixes of mutations with cuts until one fails, and return how many were delivered.

    Args:
        transcript: what is mutated and cut.
        usable: the mutations.
        examples: how many to draw.
        options: the seed, and whether to draw empty chunks.
        fails: says whether a delivery fails.
        tell: is told how many were drawn.
    """
    from streamkit.strategies import mixes

    made = 0
    failed = False

    def attempt(case: Case) -> None:
        nonlocal made, failed
        if failed:
            raise _Found
        made += 1
        if fails(case.steps, case.fragmentation):
            failed = True
            raise _Found
        tell(made)

    _draw(mixes(transcript, usable, empty_chunks=options.empty_chunks), attempt, examples, options.seed)
    return made


def _draw(strategy: SearchStrategy[Any], attempt: Callable[[Any], None], examples: int, seed: int) -> None:
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity
    from hypothesis.errors import Unsatisfiable

    settings = hypothesis.settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    with suppress(_Found, Unsatisfiable):
        settings(hypothesis.seed(seed)(hypothesis.given(strategy)(attempt)))()
