"""A layer of the walk, expanded by several processes.

Each process gets every so-many-th node, a copy of all that is known, and the target by its name. It says which states
it met that were not known, and where something went wrong; these are then met, in the order of the nodes, by the walk
itself, so that the result is the same for any number of processes. What a process that broke down leaves undone, the
walk does by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.connection import wait
from pathlib import Path
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
        use_own: copy it by its own `copy()` where it has one.
    """

    target: str
    composed: bool
    workers: int
    use_own: bool


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
    before = walk.feeds
    affordable = list(layer[: sum(total <= walk.bounds.feeds - before for total in accumulate(map(walk.edges, layer)))])
    try:
        for number, feeds, states in _answers(walk, affordable, crew):
            found[number] = (feeds, states)
            walk.feeds += feeds
            told()
    finally:
        walk.feeds = before  # and counted again in the order of the nodes, as one process counts them
    for number, node in enumerate(layer):
        feeds, states = found.get(number, (0, []))
        met = _loaded(walk, states)
        # Where a bound is reached in the middle of a node, the walk itself is to reach it.
        if number not in found or met is None or walk.states + len(met) > walk.bounds.states:
            yield node
            continue
        walk.feeds += feeds
        for position, state, output in met:
            walk.meet(position, state, output, node)


def _loaded(walk: Walk, states: list[tuple[int, bytes, Any]]) -> list[tuple[int, Any, Any]] | None:
    """Return states that a process met, by position and with their output; None where one cannot be loaded here."""
    try:
        return [
            (position, pickle.loads(written), output if text is None else (output, text))  # noqa: S301 - our own
            for position, written, (events, text) in states
            for output in (walk.machine.outputs.after(0, events),)
        ]
    except Exception:  # noqa: BLE001 - whatever a class's own methods raise
        return None


def _answers(walk: Walk, layer: Sequence[Node], crew: Crew) -> Iterator[tuple[int, int, list[Any]]]:
    """Yield (number of the node, feeds, unknown states) as they come."""
    key = walk.machine.states.key
    nodes = [(number, node.position, key(node.state), node.output) for number, node in enumerate(layer)]
    known, states = walk.known()
    common = (crew, walk.machine.paired, walk.body, walk.bounds, walk.expected, walk.machine.outputs, known, states)
    context = multiprocessing.get_context("spawn")
    running = []
    ends: list[Connection] = []
    try:
        with _sigint_ignored():
            for share in range(crew.workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs,), daemon=True, name=f"streamkit-proof-{share}")
                running.append(process)
                process.start()
                theirs.close()
                ends.append(ours)
        for share, end in enumerate(list(ends)):
            try:
                end.send(_Work(*common, nodes=nodes[share :: crew.workers]))
            except Exception:  # noqa: BLE001 - it broke down, or what was given out has no pickle
                ends.remove(end)
        while ends:
            ready = wait(ends)
            for end in [one for one in ends if one in ready]:
                try:
                    answer = end.recv()
                except Exception:  # noqa: BLE001 - it broke down, or what it met cannot be loaded here
                    answer = None
                if answer is None:
                    ends.remove(end)
                else:
                    yield answer
    finally:
        started = [process for process in running if process.pid is not None]
        for process in started:
            process.terminate()
        for process in started:
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
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    work: _Work = end.recv()
    make = adapt(work.crew.target).make
    front = front_of(make, make()) if make is not None and work.crew.composed else None
    machine = Machine(front or make, paired=work.paired, ours=work.crew.composed, use_own=work.crew.use_own)  # type: ignore[arg-type]  # a feed class
    machine.outputs = work.outputs
    with Calls(work.bounds.time_limit, lambda: os._exit(1)) as calls:  # where it hangs, the walk is to see that itself
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
