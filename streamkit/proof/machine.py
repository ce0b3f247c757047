"""The target as the walk sees it: states, and what feeding a chunk to one of them gives.

A state is a parser, or a pair of a parser and what it gave out (a `Given`) where that may still change and so has to be
copied with the parser. What else it gave out is a number (`Outputs`), and its pieces of text are one text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.fuzz.targets import Given, end
from streamkit.proof.outputs import Outputs
from streamkit.proof.signals import _BadCopy, _Changeable
from streamkit.proof.states import States

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Machine", "Pair"]

#: What was given out: the number of an output, or that and the text so far.
Output = Any


class Pair:
    """A parser and what it gave out, copied as one: each may hold parts of the other."""

    def __init__(self, parser: Any) -> None:
        self.parser = parser
        self.given = Given()

    def feed(self, chunk: bytes) -> None:
        """Feed the parser and keep what it gives out."""
        self.given.add(self.parser.feed(chunk))

    def __getstate__(self) -> tuple[Any, ...]:
        """Return the state. Pieces of text are joined: how many there were is nothing that anybody sees."""
        text = self.given.text
        if len(text) > 1 and len({type(piece) for piece in text}) == 1 and type(text[0]) in (str, bytes):
            text[:] = [type(text[0])().join(text)]  # type: ignore[arg-type]  # of one type, as was just asked
        return self.parser, self.given.events, text

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.given = Given()
        self.parser, self.given.events, self.given.text = state


class Machine:
    """A feed class, cut into steps.

    Args:
        make: makes a new parser.
        paired: what the parser gives out may change later, and is copied with it.
        ours: its events are made by streamkit itself.
        use_own: copy it by its own `copy()` where it has one.

    Attributes:
        states: how its states are copied and compared.
        outputs: what was given out, by number.
        keeps: whether what `feed` returns is part of the result: it is not where there is a `result()`.

    Raises:
        _NotCopyable: its states cannot be copied, or not be compared.
    """

    def __init__(
        self, make: Callable[[], Any], *, paired: bool = False, ours: bool = False, use_own: bool = True
    ) -> None:
        self.make, self.paired, self.ours = make, paired, ours
        sample = self.new()
        self.keeps = not callable(getattr(sample, "result", None)) and not paired
        self.states = States(sample, use_own=use_own)
        self.outputs = Outputs(ours=ours)

    def new(self) -> Any:
        """Return the state at the beginning."""
        parser = self.make()
        return Pair(parser) if self.paired else parser

    def feed(self, state: Any, chunk: bytes, output: Output) -> Output:
        """Feed a chunk to a state, which changes, and return what was given out by then.

        Raises:
            _Changeable: something was given out that may still change: go on with a machine that is `paired`.
        """
        returned = state.feed(chunk)
        if returned is None:
            return output
        if type(returned) is list:
            if not returned or not self.keeps:
                return output
            if type(output) is int:
                return self.outputs.after(output, returned)
        return self._taken(returned, output)

    def compare(self, state: Any, copied: Any) -> None:
        """Make sure that a copy of a state is what the state is.

        Raises:
            _BadCopy: it is not: its class's own copying leaves something out.
        """
        self.states.compare(state, copied)
        if isinstance(state, Pair):
            state, copied = state.parser, copied.parser
        kept = getattr(copied, "__dict__", {})
        lost = [name for name in getattr(state, "__dict__", {}) if name not in kept]
        if lost:
            raise _BadCopy(f"a copy by {self.states.how} lacks what its state holds: {', '.join(lost)}")

    def _taken(self, returned: Any, output: Output) -> Output:
        given = Given()
        given.add(returned)
        if not self.keeps:
            return output
        text: Any
        number, text = (output, None) if type(output) is int else output
        number = self.outputs.after(number, given.events)
        for piece in given.text:
            if type(piece) not in (str, bytes) or (text is not None and type(piece) is not type(text)):
                raise _Changeable("pieces of several types")
            text = piece if text is None else text + piece  # type: ignore[operator]  # both of one type
        return number if text is None else (number, text)

    def end(self, state: Any, output: Output) -> Any:
        """End the delivery to a state, which changes, and return its result."""
        if isinstance(state, Pair):
            return end(state.parser, state.given)
        given = Given()
        if self.keeps:
            number, text = (output, None) if type(output) is int else output
            given.events.extend(self.outputs.events(number))
            given.text.extend(() if text is None else (text,))
        return end(state, given)
