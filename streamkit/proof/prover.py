"""Prove, refute or cover: one target on one transcript.

1. The recorded delivery, twice: what every fragmentation has to give, and whether the target repeats itself.
2. The walk over all states (`walk`), first of the decoder alone where that is enough (`composition`). What refutes the
   target there is delivered to a fresh one, made minimal, and only then believed.
3. A proof is checked on fresh targets by a few random deliveries: a state that is not in the object would show there.
4. Where there can be no walk, or it came to no end, the cover (`cover`) is delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.errors import StreamkitError, UsageError
from streamkit.fuzz.oracles import reference_of
from streamkit.proof.calls import Calls, Hush
from streamkit.proof.composition import front_of
from streamkit.proof.cover import cover
from streamkit.proof.machine import Machine
from streamkit.proof.report import Proof
from streamkit.proof.signals import _BadCopy, _Changeable, _NotCopyable, _OutOfBounds, _Refuted
from streamkit.proof.trials import Trials
from streamkit.proof.walk import Bounds, Walk
from streamkit.proof.workers import Crew, expand_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.fuzz.outcome import Outcome
    from streamkit.fuzz.runner import Runs
    from streamkit.transcript import Transcript

__all__ = ["ProofOptions", "Prover"]

#: Why there is no walk, by the kind of target.
_NO_STATE = {
    "function": "a function reads its chunks by itself, and where it stands in them cannot be copied",
    "async function": "an async function reads its chunks by itself, and where it stands in them cannot be copied",
    "client": "the state of a client cannot be copied",
    "async client": "the state of a client cannot be copied",
    "command": "the state of a program cannot be copied",
}


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """How a proof is tried.

    Attributes:
        empty_chunks: also empty chunks, anywhere.
        max_feeds: the most chunks fed to copies of a parser; what would need more gets the cover.
        max_states: the most states; None for as many as can be expanded with those feeds.
        time_limit: seconds that one feed, or one delivery, may take.
        workers: processes that walk side by side.
        seed: of the random deliveries that check a proof.
        compose: walk the decoder alone where that is enough.
    """

    empty_chunks: bool = True
    max_feeds: int = 12_000_000
    max_states: int | None = None
    time_limit: float = 10.0
    workers: int = 1
    seed: int = 0
    compose: bool = True

    def __post_init__(self) -> None:
        if self.max_feeds < 1 or (self.max_states is not None and self.max_states < 1):
            raise UsageError("max_feeds and max_states are whole numbers of at least 1")
        if not self.time_limit > 0:
            raise UsageError("time_limit is seconds above 0")
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}: give 1 or more")


class Prover:
    """Tries to prove one target on one transcript.

    Attributes:
        proof: what is known so far; whole when `prove` returns, and of use where it was interrupted.
    """

    def __init__(
        self,
        runner: Runs,
        transcript: Transcript,
        options: ProofOptions,
        tell: Callable[[str, int, int], None],
        stuck: Callable[[], None] | None = None,
    ) -> None:
        self.runner, self.transcript, self.options, self.tell = runner, transcript, options, tell
        self._hush = Hush()

        def give_up() -> None:
            self._hush.lift()
            if stuck is not None:
                stuck()

        self._stuck = None if stuck is None else give_up
        self.target = runner.target
        empty = options.empty_chunks and not self.target.is_served
        self.proof = Proof(transcript.name, len(transcript.body), empty_chunks=empty)
        runner.take(transcript)

    def prove(self) -> None:
        """Try."""
        proof, recorded = self.proof, self.transcript.recorded
        chunks = recorded.chunks(self.transcript.body)
        expected = self.runner.run(chunks, limit=self.options.time_limit)
        if expected.hung:
            proof.reason = f"the target hangs on the recorded delivery: no result in {self.options.time_limit:g} s"
            return
        trials = Trials(self.runner, self.transcript, self.options.time_limit, self.tell, expected)
        if trials.fails(recorded):
            proof.reason = "the same delivery gives two results: the target keeps state between calls, or is random"
            return
        self._say(expected)
        if self.target.make is None:
            proof.reason = _NO_STATE[self.target.kind]
            self._cover(trials)
        elif not self._walk(trials) and proof.finding is None:
            self._cover(trials)

    def _say(self, expected: Outcome) -> None:
        """Note what a proof of one result for all fragmentations does not say: whether that is the right one."""
        if not expected.returned:
            self.proof.notes.append(f"the one outcome is an error: {expected.describe()}")
            return
        reference = reference_of(self.transcript)
        verdict = None
        if reference is not None:
            verdict = reference.learned(expected.value).judge(expected.value, "message")
        if verdict is not None and not verdict.same:
            self.proof.notes.append(
                "the one result is not what the stream says: `streamkit fuzz` shows how they differ"
            )

    # -- the walk

    def _walk(self, trials: Trials) -> bool:
        """Walk, and return whether that was the end of it: proved, or refuted on a fresh target."""
        proof, options, make = self.proof, self.options, self.target.make
        assert make is not None  # noqa: S101 - only feed classes are walked
        size = proof.size
        if size * (size + 1) // 2 > options.max_feeds:
            proof.reason = f"{size} bytes need {size * (size + 1) // 2} feeds, more than max_feeds={options.max_feeds}"
            return False
        try:
            with self._hush:
                self._walked_somehow(trials, make)
        except _Refuted as refuted:
            return self._refute(trials, refuted)
        except _NotCopyable as reason:
            proof.reason, proof.cuts_decided = str(reason), -1
            return False
        except _OutOfBounds as bound:
            proof.reason = str(bound)
            return False
        return self._checked(trials)

    def _walked_somehow(self, trials: Trials, make: Callable[[], Any]) -> None:
        sample = _made(make)
        front = front_of(make, sample) if self.options.compose else None
        if front is not None and self._walked_front(front):
            self.proof.notes.append("its decoder was walked: the fold behind it sees nothing but the events")
        else:
            self._walked(trials)

    def _walked(self, trials: Trials, *, use_own: bool = True) -> None:
        make = self.target.make
        assert make is not None  # noqa: S101 - as above
        try:
            try:
                self._run(Machine(make, use_own=use_own), trials.expected, use_own=use_own)
            except _Changeable:
                self._run(Machine(make, paired=True), trials.expected)
        except _BadCopy:
            if not use_own or self.proof.how != "copy()":
                raise
            self._walked(trials, use_own=False)

    def _walked_front(self, make: Callable[[], object]) -> bool:
        """Walk a decoder alone, and return whether that proves the whole."""
        try:
            machine = Machine(make, ours=True)
            state = machine.new()
            output = machine.feed(state, self.transcript.body, 0)
            with Calls(self.options.time_limit, self._stuck) as calls:
                expected = calls(lambda: machine.end(state, output))
            return self._run(machine, expected, composed=True) == 1
        except (_Refuted, _NotCopyable, _OutOfBounds, _Changeable, StreamkitError):
            return False

    def _run(self, machine: Machine, expected: Outcome, *, composed: bool = False, use_own: bool = True) -> int:
        """Walk a machine to the end and return how many states there are at the end."""
        options, proof, target = self.options, self.proof, self.target
        most = options.max_states or 64 + 2 * proof.size + 2 * options.max_feeds // max(1, proof.size)
        bounds = Bounds(most, options.max_feeds, proof.empty_chunks, options.time_limit)
        crew = Crew(target.name, composed, options.workers, use_own) if target.importable else None
        with Calls(options.time_limit, self._stuck) as calls:
            walk = Walk(machine, self.transcript.body, calls, expected, bounds)
            try:
                walk.begin()
                walk.run(
                    lambda done, total: self.tell("walk", done, total),
                    lambda layer, told: expand_side_by_side(walk, layer, crew, told),
                )
            except _OutOfBounds as bound:
                differing = walk.differing()
                raise _OutOfBounds(f"{bound}; {differing}" if differing else str(bound)) from None
            finally:
                proof.feeds, proof.states, proof.how = walk.feeds, walk.states, machine.states.how
                proof.cuts_decided = walk.decided
        return walk.ends

    def _refute(self, trials: Trials, refuted: _Refuted) -> bool:
        finding = trials.finding(refuted.fragmentation, "walk")
        if finding is None:
            self.proof.cuts_decided = -1  # a walk that cannot be believed here cannot be believed elsewhere
            self.proof.reason = (
                f"the walk found that cuts at {refuted.fragmentation} change the result, and a fresh target gives the "
                "same result there: its state is not all in the object"
            )
            return False
        cuts = finding.case.fragmentation.cuts
        if len(set(cuts) - {0, self.proof.size}) < len(cuts):
            self.proof.notes.append("if an empty chunk means the end to it, prove it without empty chunks")
        self.proof.verdict, self.proof.finding = "refuted", finding
        return True

    def _checked(self, trials: Trials) -> bool:
        for done, fragmentation in enumerate(trials.spots(self.options.seed, empty_chunks=self.proof.empty_chunks), 1):
            self.tell("check", done, 0)
            if trials.fails(fragmentation):
                self.proof.notes.append("the walk missed it: the state of the target is not all in the object")
                self.proof.cuts_decided = -1
                finding = trials.finding(fragmentation, "check of the proof")
                if finding is None:
                    self.proof.reason = "a delivery failed and then passed: the target keeps state between calls"
                    return False
                self.proof.verdict, self.proof.finding = "refuted", finding
                return True
        self.proof.verdict = "proved"
        return True

    # -- the cover

    def _cover(self, trials: Trials) -> None:
        proof = self.proof
        for part in cover(self.transcript.body):
            told = proof.cover[part.name] = {"tried": 0, "of": part.of, "what": part.what}
            for fragmentation in part.fragmentations:
                failed = trials.fails(fragmentation)
                told["tried"] += 1
                if told["tried"] % 64 == 1:
                    self.tell(part.name, told["tried"], part.tried)
                if failed:
                    proof.finding = trials.finding(fragmentation, part.name)
                    if proof.finding is None:
                        proof.reason = "a delivery failed and then passed: the target keeps state between calls"
                        return
                    proof.verdict, proof.reason = "refuted", ""
                    return


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever a target raises when it is made
        raise _NotCopyable(f"to make it raises {type(error).__name__}: {error}") from None
