"""A layer of the walk, expanded by several processes.

Each process gets every so-many-th node, a copy of all that is known, and the target by its name. It says which states
it met that were not known, and where something went wrong; these are then met, in the order of the nodes, by the walk
itself, so that the result is the same for any number of processes. What a process that broke down leaves undone, the
walk does by itself.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.targets import adapt
from streamkit.proof.calls import Calls
from streamkit.proof.composition import front_of
from streamkit.proof.machine import Machine
from streamkit.proof.signals import _OutOfBounds
from streamkit.proof.walk import Bounds, Node, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from streamkit.fuzz.outcome import Outcome

__all__ = ["Crew", "expand_side_by_side"]

_WORTH_IT = 200_000  # feeds of a layer: fewer are done sooner than a process has started


@dataclass(frozen=True)
class Crew:
    """How processes make the machine of a walk.

    Attributes:
        target: `module:attribute` of the target.
        composed: walk its decoder alone.
        workers: how many there are.
    """

    target: str
    composed: bool
    workers: int


@dataclass(frozen=True)
class _Work:
    crew: Crew
    paired: bool
    body: bytes
    bounds: Bounds
    expected: Outcome
    outputs: Any
    known: list[list[tuple[Any, Any]]]
    states: list[list[Any]]
    nodes: list[tuple[int, int, bytes, Any]]  # number, position, pickle, output


def expand_side_by_side(
    walk: Walk, layer: Sequence[Node], crew: Crew | None, told: Callable[[], None]
) -> Iterator[Node]:
    """Expand what nodes of a layer can be expanded by processes; yield those that the walk has to expand itself.

    Args:
        walk: the walk; it meets what was found.
        layer: the nodes.
        crew: how processes make the machine, or None for no processes.
        told: is called after each node.
    """
    portable = walk.machine.states.portable
    if crew is None or crew.workers < 2 or not portable or sum(map(walk.edges, layer)) < _WORTH_IT:
        yield from layer
        return
    found: dict[int, tuple[int, list[tuple[int, bytes, Any]]]] = {}
    for number, feeds, states in _answers(walk, layer, crew):
        found[number] = (feeds, states)
        walk.feeds += feeds
        told()
    for number, node in enumerate(layer):
        if number not in found:
            yield node
            continue
        for position, written, given in found[number][1]:
            output = walk.machine.outputs.after(0, given[0])
            state = pickle.loads(written)  # noqa: S301 - a pickle of our own process
            walk.meet(position, state, output if given[1] is None else (output, given[1]), node)


def _answers(walk: Walk, layer: Sequence[Node], crew: Crew) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield (number of the node, feeds, unknown states) as they come."""
    key = walk.machine.states.key
    nodes = [(number, node.position, key(node.state), node.output) for number, node in enumerate(layer)]
    known, states = walk.known()
    common = (crew, walk.machine.paired, walk.body, walk.bounds, walk.expected, walk.machine.outputs, known, states)
    context = multiprocessing.get_context("spawn")
    running = []
    ends: list[Connection] = []
    with _sigint_ignored():
        for share in range(crew.workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True, name=f"streamkit-proof-{share}")
            process.start()
            theirs.close()
            running.append(process)
            ends.append(ours)
    try:
        for share, end in enumerate(list(ends)):
            try:
                end.send(_Work(*common, nodes=nodes[share :: crew.workers]))
            except OSError:
                ends.remove(end)
        while ends:
            ready = wait(ends)
            for end in [one for one in ends if one in ready]:
                try:
                    answer = end.recv()
                except (EOFError, OSError):
                    answer = None
                if answer is None:
                    ends.remove(end)
                else:
                    yield answer
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join()


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    """Let processes that are started inside ignore Ctrl-C: the one that started them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(end: Connection) -> None:
    """Expand nodes, in a process of their own."""
    work: _Work = end.recv()
    make = adapt(work.crew.target).make
    front = front_of(make, make()) if make is not None and work.crew.composed else None
    machine = Machine(front or make, paired=work.paired, ours=work.crew.composed)  # type: ignore[arg-type]  # a feed class
    machine.outputs = work.outputs
    with Calls(work.bounds.time_limit) as calls:
        walk = Walk(machine, work.body, calls, work.expected, work.bounds)
        walk.take_known(work.known, work.states)
        for number, position, written, output in work.nodes:
            before = walk.feeds
            try:
                walk.expand(Node(position, pickle.loads(written), output, None))  # noqa: S301 - from our own process
            except _OutOfBounds:
                break
            except Exception:  # noqa: BLE001 - the walk does this node again, and sees what is wrong
                walk.layer.clear()
                continue
            if not machine.states.portable:  # a state refers to what only this process has: the walk does the rest
                break
            met = [(node.position, machine.states.key(node.state), _given(machine, node.output)) for node in walk.layer]
            walk.layer.clear()
            end.send((number, walk.feeds - before, met))
    end.send(None)


def _given(machine: Machine, output: Any) -> tuple[list[Any], Any]:
    number, text = (output, None) if type(output) is int else output
    return machine.outputs.events(number), text
