"""Deliveries that Hypothesis draws: for the cuts, and the mixes of mutations, that nothing systematic makes.

Hypothesis only draws here. What is found is made minimal by the same means as in the other phases, so that a finding
looks the same whatever found it; in tests of one's own (`streamkit.strategies`) Hypothesis shrinks, too.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import SearchStrategy

    from streamkit.case import Case
    from streamkit.fuzz.report import Options
    from streamkit.mutations.registry import Mutation, Step
    from streamkit.transcript import Transcript
    from streamkit.wire.fragmentation import Fragmentation

__all__ = ["draw_failing", "draw_failing_mix"]

T = TypeVar("T")


class _Found(Exception):  # noqa: N818 - a signal within this module
    """A drawn delivery failed."""


def draw_failing(
    transcript: Transcript,
    examples: int,
    options: Options,
    fails: Callable[[Fragmentation], bool],
    tell: Callable[[int], None],
    *,
    hint: Callable[[Fragmentation], None],
    many: int,
) -> Fragmentation | None:
    """Return the first drawn delivery that fails, or None after `examples` of them.

    Args:
        transcript: what is cut.
        examples: how many deliveries to draw.
        options: the seed, and whether to draw empty chunks.
        fails: says whether a delivery fails.
        tell: is told how many were looked at.
        hint: is told of each when it is drawn.
        many: how many to draw before the first of them is looked at. What is drawn does not follow what fails, so that
            the same ones are looked at whatever it is.
    """
    from streamkit.strategies import fragmentations

    drawn = _Drawn(fails, tell, hint, many)
    drawn.draw(fragmentations(transcript, empty_chunks=options.empty_chunks), examples, options.seed)
    return drawn.found


def draw_failing_mix(
    transcript: Transcript,
    usable: Sequence[Mutation],
    examples: int,
    options: Options,
    fails: Callable[[tuple[Step, ...], Fragmentation], bool],
    tell: Callable[[int], None],
    *,
    hint: Callable[[tuple[Step, ...], Fragmentation], None],
    many: int,
    body: Callable[[tuple[Step, ...]], bytes],
) -> int:
    """Draw mixes of mutations with cuts until one fails, and return how many were looked at.

    Args:
        transcript: what is mutated and cut.
        usable: the mutations.
        examples: how many to draw.
        options: the seed, and whether to draw empty chunks.
        fails: says whether a delivery fails.
        tell: is told how many were looked at.
        hint: is told of each when it is drawn.
        many: as for `draw_failing`.
        body: returns the mutated body.
    """
    from streamkit.strategies import mixes

    drawn: _Drawn[Case] = _Drawn(
        lambda case: fails(case.steps, case.fragmentation),
        tell,
        lambda case: hint(case.steps, case.fragmentation),
        many,
    )
    drawn.draw(mixes(transcript, usable, empty_chunks=options.empty_chunks, body=body), examples, options.seed)
    return drawn.made


class _Drawn(Generic[T]):
    """What was drawn and waits to be looked at, in its order.

    Attributes:
        made: how many were looked at.
        found: the one that failed, or None.
    """

    def __init__(
        self, fails: Callable[[T], bool], tell: Callable[[int], None], hint: Callable[[T], None], many: int
    ) -> None:
        self._fails, self._tell, self._hint, self._many = fails, tell, hint, many
        self._waiting: deque[T] = deque()
        self.made = 0
        self.found: T | None = None

    def draw(self, strategy: SearchStrategy[T], examples: int, seed: int) -> None:
        """Draw until one fails."""
        _draw(strategy, self._take, examples, seed)
        with suppress(_Found):
            while self._waiting and self.found is None:
                self._look()

    def _take(self, drawn: T) -> None:
        if self.found is not None:
            raise _Found
        self._hint(drawn)
        self._waiting.append(drawn)
        if len(self._waiting) > self._many:
            self._look()

    def _look(self) -> None:
        drawn = self._waiting.popleft()
        self.made += 1
        if self._fails(drawn):
            self.found = drawn
            raise _Found
        self._tell(self.made)


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
