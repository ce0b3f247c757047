"""Deliveries that Hypothesis draws: for the cuts that nothing systematic makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.fuzz.report import Options
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

__all__ = ["draw_failing"]


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
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity

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

    settings = hypothesis.settings(
        max_examples=examples,
        phases=(Phase.generate,),  # what is found is made minimal by the same means as in the other phases
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    strategy = fragmentations(transcript, empty_chunks=options.empty_chunks)
    try:
        settings(hypothesis.seed(options.seed)(hypothesis.given(strategy)(attempt)))()
    except _Found:
        return found[0]
    return None
