"""The walk over all states of a parser at all positions of a body: every fragmentation at once.

A node is a position and a state there, with what was given out so far. From a node at `i` there is an edge for each
`j > i`: copy the state, feed it `body[i:j]`, and see which node that is at `j`. Every path from the beginning to the
end is a fragmentation, and every fragmentation is a path. So where all nodes at the end have one outcome, all 2^(n-1)
fragmentations have it. A parser with one state a position takes n(n+1)/2 feeds.

An empty chunk is an edge from a position to itself, so fragmentations with empty chunks anywhere are paths too, without
end. An exception ends its path: whatever chunks follow, the delivery has failed.

Nodes are met in layers, by the number of chunks that lead to them, and each is expanded once. In a layer the edges to
the end of the body come first, over all its nodes in the order of their positions: so the first path that ends in
another outcome has the fewest cuts, and a parser that one cut breaks is refuted after 2n feeds.

Less than n(n+1)/2 feeds would not do for a parser that nothing is known of: for each i and j it may do something of its
own with just this chunk in just this state.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.normal import differences, normalise
from streamkit.proof.signals import _BadCopy, _NotCopyable, _OutOfBounds, _Refuted, _Stop
from streamkit.wire.fragmentation import Fragmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamkit.fuzz.outcome import Outcome
    from streamkit.proof.machine import Machine, Output

__all__ = ["Bounds", "Node", "Walk"]

_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a walk goes.

    Attributes:
        states: the most states.
        feeds: the most feeds.
        empty_chunks: whether there are empty chunks.
        time_limit: seconds that one feed may take.
    """

    states: int
    feeds: int
    empty_chunks: bool
    time_limit: float


@dataclass(slots=True)
class Node:
    """A state at a position.

    Attributes:
        position: bytes that were fed.
        state: the parser as it is then; only copies of it are fed.
        output: what was given out by then.
        before: the node that it was first met from; None at the beginning.
    """

    position: int
    state: Any
    output: Output
    before: Node | None

    def cuts(self) -> list[int]:
        """Return the positions on the way to it and its own, without the beginning itself."""
        found: list[int] = []
        node: Node | None = self
        while node is not None and node.before is not None:
            found.append(node.position)
            node = node.before
        return found[::-1]


class Walk:
    """One walk.

    Args:
        machine: the target.
        body: what it is fed.
        calls: calls what it is given and says what came of it: it knows hangs, and keeps prints out of the way.
        expected: the outcome that all paths must have.
        bounds: how far it goes.

    Attributes:
        feeds: chunks fed.
        states: nodes met.
        total: feeds that there will be if no further states are met.
        decided: every fragmentation with at most so many cuts has the expected outcome; -1 before any was seen.
        layer: the nodes that are to be expanded next.
    """

    def __init__(
        self,
        machine: Machine,
        body: bytes,
        calls: Callable[[Callable[[], object]], Outcome],
        expected: Outcome,
        bounds: Bounds,
    ) -> None:
        self.machine, self.body, self.calls, self.expected, self.bounds = machine, body, calls, expected, bounds
        self.feeds = self.states = self.total = 0
        self.decided = -1
        self.layer: list[Node] = []
        size = len(body) + 1
        self._known: list[dict[Any, Node]] = [{} for _ in range(size)]
        self._same: list[dict[Any, Node]] = [{} for _ in range(size)]

    def begin(self) -> None:
        """Meet the state at the beginning."""
        self.meet(0, self.machine.new(), 0, None)

    def run(
        self,
        tell: Callable[[int, int], None],
        helped: Callable[[list[Node], Callable[[], None]], Iterable[Node]] = lambda layer, _: layer,
    ) -> None:
        """Walk to the end.

        Args:
            tell: is told the feeds made, and how many there will be if no further states are met.
            helped: expands what it can of a layer, calling back after each node, and yields the other nodes.

        Raises:
            _Refuted: a path ends in another outcome.
            _OutOfBounds: a bound was reached.
            _NotCopyable: a state turned out not to be copyable or comparable.
            _Changeable: what is given out may still change.
        """
        while self.layer:
            layer = self.take_layer()
            for node in layer:
                self.to_the_end(node)
            self.decided += 1
            self.total = self.feeds + sum(map(self.edges, layer))

            def told() -> None:
                tell(self.feeds, self.total)

            for node in helped(layer, told):
                self.expand(node)
                told()
        self.confirm()

    def confirm(self) -> None:
        """Deliver the whole body once more, and end all that ended: what was fed meanwhile must have changed nothing.

        A parser that keeps something in its class, its module or a closure has one state for all of its copies.
        """

        def whole() -> Any:
            state = self.machine.new()
            return self.machine.end(state, self.machine.feed(state, self.body, 0))

        self._judge(self._guarded(whole), [])
        for node in list(self._same[-1].values()):
            self._judge(self._ended(node.state, node.output), node.cuts()[:-1])

    def differing(self) -> str:
        """Say how two states at one position differ; "" where there is no such position."""
        for position, states in enumerate(self._same):
            if len(states) > 1:
                one, other = (normalise(node.state) for node in islice(states.values(), 2))
                path, first, second = next(iter(differences(one, other)), ("", one, other))
                sides = " or ".join(_short(repr(side)) for side in (first, second))
                return f"after {position} bytes {path or 'the state'} is {sides}, by how they were cut"
        return ""

    @property
    def ends(self) -> int:
        """How many nodes there are at the end of the body."""
        return len(self._same[-1])

    def known(self) -> tuple[list[list[tuple[Any, Output]]], list[list[Any]]]:
        """Return, for each position, what states are known by there: their keys, and the states as they look."""
        return [list(one) for one in self._known], [list(one) for one in self._same]

    def take_known(self, keys: list[list[tuple[Any, Output]]], states: list[list[Any]]) -> None:
        """Know what another walk knows. What it has met is not met again."""
        nothing = Node(0, None, 0, None)
        self._known = [dict.fromkeys(one, nothing) for one in keys]
        self._same = [dict.fromkeys(one, nothing) for one in states]
        self.states = sum(map(len, states))

    def take_layer(self) -> list[Node]:
        """Return the nodes that are to be expanded next, by position; those met from now on are of the next layer.

        Those that an empty chunk led to come last: a cut that changes the result says more than an empty chunk.
        """
        layer, self.layer = self.layer, []
        return sorted(
            layer, key=lambda node: (node.before is not None and node.before.position == node.position, node.position)
        )

    def edges(self, node: Node) -> int:
        """Return how many edges `expand` follows from a node."""
        return max(0, len(self.body) - 1 - node.position) + self.bounds.empty_chunks

    # -- meeting nodes

    def meet(self, position: int, state: Any, output: Output, before: Node | None, key: Any = None) -> Node | None:
        """Note a state that came of a feed; return its node where it is new, else None."""
        key = self._key(state) if key is None else key
        seen = (key, output)
        node = self._known[position].get(seen)
        if node is not None:
            return None
        looks = (self._looks(state), output)
        node = self._same[position].get(looks)
        if node is not None:
            self._known[position][seen] = node
            return None
        self.states += 1
        if self.states > self.bounds.states:
            raise _OutOfBounds(f"there are more than {self.bounds.states} states")
        node = Node(position, state, output, before)
        self.layer.append(node)  # first: a time limit that strikes here must not leave a known node that nobody expands
        self._known[position][seen] = self._same[position][looks] = node
        return node

    def to_the_end(self, node: Node) -> None:
        """Follow the edge of a node to the end of the body. A node that an empty chunk led to there is an end too."""
        size = len(self.body)
        if node.position == size:
            if node.before is not None and node.before.position == size:
                self._judge(self._ended(node.state, node.output), node.cuts()[:-1])
            return
        before = self._original(node)
        state = self._copy(node.state)
        self._compare(node.state, state)
        self._room()
        self.feeds += 1
        outcome, output = self._alone(state, self.body[node.position :], node.output)
        self._unchanged(node, before)
        if not outcome.returned:
            self._judge(outcome, node.cuts())
            return
        self.meet(size, state, output, node)
        # Also where that state is known: the result of what is not all in the object may be another each time.
        self._judge(self._ended(state, output), node.cuts())

    def expand(self, node: Node) -> None:
        """Follow the other edges of a node.

        Raises:
            _BadCopy: feeding the copies changed the node's own state.
        """
        before = self._original(node)
        place = node.position if self.bounds.empty_chunks else node.position + 1
        while place < len(self.body) or (place == node.position == len(self.body)):
            place = self._expand_from(node, place)
        self._unchanged(node, before)

    def _expand_from(self, node: Node, place: int) -> int:
        """Follow edges from `place` on as long as nothing is raised; return where to go on."""
        self._room()
        at = [place]
        outcome = self._guarded(lambda: self._follow(node, at))
        if outcome.returned:
            return at[0]
        self.feeds += 1
        if outcome.hung:  # it may not have been the first feed of this run: now it gets its whole time
            state = self._copy(node.state)
            outcome, output = self._alone(state, self.body[node.position : at[0]], node.output)
            if outcome.returned:
                self.meet(at[0], state, output, node)
                return at[0] + 1
        self._judge(outcome, [*node.cuts(), *([at[0]] if at[0] < len(self.body) else [])])
        return at[0] + 1

    def _follow(self, node: Node, at: list[int]) -> None:
        """Follow edges: the loop in which a proof spends its time. `at` says where it is."""
        machine, body, position, output = self.machine, self.body, node.position, node.output
        copied, key, feed = machine.states.copies(node.state), machine.states.key, machine.feed
        known, meet = self._known, self.meet
        late = time.monotonic() + self.bounds.time_limit / 4
        first = place = at[0]
        last = min(max(len(body), position + 1), place + self.bounds.feeds - self.feeds)
        try:
            while place < last:
                at[0] = place
                try:
                    state = copied()
                except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
                    raise _no(error) from None
                now = feed(state, body[position:place], output)
                try:
                    found = key(state)
                except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
                    raise _no(error) from None
                if (found, now) not in known[place]:
                    meet(place, state, now, node, found)
                place += 1
                if time.monotonic() > late:
                    break
            at[0] = place
        finally:
            self.feeds += at[0] - first

    # -- outcomes

    def _guarded(self, call: Callable[[], object]) -> Outcome:
        """Call what feeds the target, and raise what stops the walk."""
        stopped: list[Exception] = []

        def guarded() -> object:
            try:
                return call()
            except _Stop as stop:
                stopped.append(stop)
                return None

        outcome = self.calls(guarded)
        if stopped:
            raise stopped[0]
        return outcome

    def _alone(self, state: Any, chunk: bytes, output: Output) -> tuple[Outcome, Output]:
        """Feed one chunk, with the whole time limit."""
        found = [output]

        def feed() -> None:
            found[0] = self.machine.feed(state, chunk, output)

        return self._guarded(feed), found[0]

    def _ended(self, state: Any, output: Output) -> Outcome:
        copied = self._copy(state)
        return self.calls(lambda: self.machine.end(copied, output))

    def _judge(self, outcome: Outcome, cuts: list[int]) -> None:
        if not outcome.same_as(self.expected):
            raise _Refuted(Fragmentation(tuple(cuts)))

    def _key(self, state: Any) -> Any:
        try:
            return self.machine.states.key(state)
        except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
            raise _no(error) from None

    def _looks(self, state: Any) -> Any:
        try:
            return self.machine.states.careful(state)
        except Exception as error:  # noqa: BLE001 - as above
            raise _no(error) from None

    def _copy(self, state: Any) -> Any:
        try:
            return self.machine.states.copies(state)()
        except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
            raise _no(error) from None

    def _original(self, node: Node) -> Any:
        """Return what feeding its copies must not change in a node; None where copies cannot share anything."""
        return None if self.machine.states.how == "pickle" else self._key(node.state)

    def _unchanged(self, node: Node, before: Any) -> None:
        if before is not None and self._key(node.state) != before:
            how = self.machine.states.how
            raise _BadCopy(f"what its {how} gives is no copy: feeding that changes the original")

    def _compare(self, state: Any, copied: Any) -> None:
        try:
            self.machine.compare(state, copied)
        except Exception as error:  # noqa: BLE001 - whatever a class's own methods raise
            raise _no(error) from None

    def _room(self) -> None:
        if self.feeds >= self.bounds.feeds:
            raise _OutOfBounds(f"there are more than {self.bounds.feeds} feeds")


def _no(error: Exception) -> _NotCopyable:
    """Return the signal for a state that was copied, or known by its pickle, until one was met that cannot be."""
    return error if isinstance(error, _NotCopyable) else _NotCopyable(f"a state cannot be copied or compared: {error}")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
