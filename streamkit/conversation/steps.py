"""What the core asks of a driver, and what happened, for those who watch.

The core is a generator: it yields steps, is sent what came of them, and does no input or output itself. So the sync and
the async driver are a few lines each, and there is one logic to test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamkit.conversation.outcome import Outcome

__all__ = ["Call", "Close", "Give", "Open", "Read", "Restart", "Retry", "Returned", "Run", "Step", "Wait"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model makes.

    Attributes:
        id: the model's id of it; one of ours where it sent none; None for the legacy form.
        name: the function.
        arguments: the JSON text, as it came.
    """

    id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Open:
    """Make a request; an error is thrown into the core."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """Read the next bytes of the body, and send them; None where it has ended. An error is thrown into the core."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the body."""


@dataclass(frozen=True, slots=True)
class Give:
    """Give a piece of text to the caller."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Make these calls, and send their outcomes in the same order."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Retry:
    """Tell that a request failed and is made again.

    Attributes:
        error: what it failed with.
        seconds: how long is waited before.
        number: of the try that failed, from 1.
    """

    error: BaseException
    seconds: float
    number: int


@dataclass(frozen=True, slots=True)
class Restart:
    """Tell that what was given out of this round is void: it begins again."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Tell that calls were made, and what became of them."""

    outcomes: tuple[Outcome, ...]


Step = Open | Read | Close | Give | Run | Wait | Retry | Restart | Returned
