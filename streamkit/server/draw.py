"""Cases drawn for a server that treats each request in another way: the same seed, the same sequence."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from streamkit import dialects
from streamkit.case import Case, mutated
from streamkit.errors import Inapplicable
from streamkit.mutations.registry import Class, Step, mutations
from streamkit.mutations.stream import Stream
from streamkit.wire.boundaries import boundaries
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from streamkit.transcript import Transcript

__all__ = ["drawn_case"]

_TRIES = 32
_MOST_CUTS = 6


def drawn_case(transcript: Transcript, seed: int, number: int, kind: Class | None = None) -> Case:
    """Return a case of a transcript.

    Args:
        transcript: what is delivered.
        seed: of the server.
        number: of the request, from 1.
        kind: also mutate, by one mutation of this class; None for cuts alone.
    """
    # Seeded with a text, Random hashes it by itself: the same on every machine and whatever PYTHONHASHSEED.
    dice = random.Random(f"{seed}/{transcript.sha256}/{number}")  # noqa: S311 - it draws test cases
    steps: tuple[Step, ...] = ()
    if kind is not None:
        dialect = dialects.detect(transcript)
        stream = Stream.of(transcript, dialect.name if dialect is not None else None)
        usable = [one for one in mutations(classes=[kind]) if one.knows(stream)]
        for _ in range(min(_TRIES, len(usable) * 4)):
            step = Step(dice.choice(usable), tuple(dice.randrange(64) for _ in range(3)))
            try:
                step.apply(stream)
            except Inapplicable:
                continue
            steps = (step,)
            break
    body = mutated(transcript, steps).body
    return Case(transcript, _cuts(body, dice), steps)


def _cuts(body: bytes, dice: random.Random) -> Fragmentation:
    way = dice.randrange(8)
    if way == 0:
        return Fragmentation.whole()
    if way == 1:
        return Fragmentation.per_event(body)
    if way == 2:
        return Fragmentation.drip(body, dice.randint(1, 16))
    hot = boundaries(body).hot()
    count = dice.randint(1, _MOST_CUTS)
    cuts = {dice.choice(hot) if hot and dice.random() < 0.5 else dice.randrange(1, len(body)) for _ in range(count)
            if len(body) > 1}  # fmt: skip
    return Fragmentation(tuple(sorted(cuts)))
