"""The judge: what an outcome on a mutated stream means, for each class of mutation.

- preserving: the outcome must be the one on the recorded stream.
- dialect: the sensible result, or a typed error. A different result without an error is wrong.
- fault: a typed error. A result is wrong, unless it says itself that it is not complete.

An error is typed if a caller can expect it: any exception but those that show a slip of the parser itself, such as
KeyError or AttributeError. What a target does not report is not compared. In every class the same bytes give the same
outcome, whatever the chunks, also the same class of error (`differs`), and a result keeps the `invariants`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.incomplete import begins, first_choice_alone, says_executable, says_incomplete
from streamkit.fuzz.invariants import broken_invariant
from streamkit.fuzz.normal import Record
from streamkit.fuzz.outcome import Outcome
from streamkit.fuzz.pieces import joined_texts, same_pieces
from streamkit.fuzz.reading import expected_of
from streamkit.fuzz.slips import PYTHON_SLIPS
from streamkit.mutations.registry import Class

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamkit.completion import Completion
    from streamkit.fuzz.oracles import Reference
    from streamkit.fuzz.reading import Told

__all__ = ["Judge", "Wrong", "differs", "holds_framing", "is_typed"]


def is_typed(outcome: Outcome) -> bool:
    """Whether the target raised an error that a caller can expect."""
    if outcome.slip is not None:
        return bool(outcome.error) and not outcome.slip
    module, _, name = outcome.error.rpartition(".")
    return bool(outcome.error) and not (module in ("", "builtins") and name in PYTHON_SLIPS)


@dataclass(frozen=True)
class Wrong:
    """A verdict that an outcome is wrong.

    Attributes:
        oracle: "invariance", "reference" or "contract".
        expected: what should have come back.
        actual: what did, cut down to what was compared.
        why: what is wrong, to follow the name of the mutation.
    """

    oracle: str
    expected: Outcome
    actual: Outcome
    why: str


@dataclass(frozen=True)
class Judge:
    """Judges the outcomes of one target on mutations of one transcript.

    Attributes:
        baseline: the outcome on the recorded stream.
        body: the recorded stream.
        reference: what the stream says, where a dialect of ours knows it; trusts what the target's baseline has shown.
        trusted: whether the baseline agrees with the reference, so that the reference may be expected of a mutation.
    """

    baseline: Outcome
    body: bytes
    reference: Reference | None
    trusted: bool

    def wrong(
        self,
        outcome: Outcome,
        body: bytes,
        kind: Class,
        expected: Callable[[Any], Any] | None,
        returns: str,
        also: Sequence[Callable[[Any], Any]] = (),
    ) -> Wrong | None:
        """Return what is wrong with an outcome, or None.

        Args:
            outcome: on the mutated stream.
            body: the mutated stream.
            kind: the class of the mutation; of several, the gravest.
            expected: makes the sensible completion out of the original's; None where it is the same.
            returns: "message" or "events".
            also: make further completions that are as sensible.
        """
        if outcome.hung:
            return Wrong("contract", Outcome(value="a result or an error"), outcome, "makes the target hang")
        if kind is Class.PRESERVING:
            return self._preserving(outcome, expected, returns)
        if outcome.error:
            if is_typed(outcome):
                return None
            told = outcome.fault or f"fail with {outcome.error.rpartition('.')[2]}"
            return Wrong("contract", Outcome(value="a typed error"), outcome, f"makes the target {told}")
        if kind is Class.FAULT:
            found = self._fault(outcome, body)
            also = also if self.trusted and self.reference is not None else ()  # nothing is sensible by default here
        else:
            found = self._dialect(outcome, body, expected, returns)
        if found is not None and any(self._dialect(outcome, body, other, returns) is None for other in also):
            found = None
        if found is not None or returns == "events":
            return found
        broken = self._breaks(outcome, body)
        if broken is None or not self.baseline.returned or self._breaks(self.baseline, self.body) is not None:
            return None
        return Wrong("contract", Outcome(value="a result that keeps to the stream"), outcome, broken)

    def _breaks(self, outcome: Outcome, body: bytes) -> str | None:
        reference = self.reference
        told = reference.told(outcome.value) if reference is not None else None
        return broken_invariant(outcome.value, told, body, reference.dialect if reference is not None else None)

    def _preserving(self, outcome: Outcome, expected: Callable[[Any], Any] | None, returns: str) -> Wrong | None:
        if expected is not None and self.baseline.returned and outcome.returned:
            return self._sensible(outcome, expected, returns)  # a text was put in, or a field that may be passed on
        if outcome.same_as(self.baseline):
            return None
        if self._adds_up(outcome, returns):
            return None
        if outcome.error:
            return Wrong("invariance", self.baseline, outcome, f"makes the target {outcome.deed}")
        if self.baseline.error:
            return Wrong("invariance", self.baseline, outcome, "takes away the error, and a result comes back")
        return Wrong("invariance", self.baseline, outcome, "changes the result")

    def _adds_up(self, outcome: Outcome, returns: str) -> bool:
        """Whether a result means the same though it is not equal.

        A field that is null is one that is absent; and a list of payloads, events or pieces of text, as a result or in
        it, may have other items that add up to the same.
        """
        if not (outcome.returned and self.baseline.returned):
            return False
        if _without_nulls(outcome.value) == _without_nulls(self.baseline.value):
            return True
        if returns == "message" and isinstance(outcome.value, dict) and isinstance(self.baseline.value, dict):
            return bool(joined_texts(outcome.value) == joined_texts(self.baseline.value))
        if returns == "events" or not (isinstance(outcome.value, list) and isinstance(self.baseline.value, list)):
            return False
        mine = self.reference.told(outcome.value) if self.reference is not None else None
        first = self.reference.told(self.baseline.value) if self.reference is not None else None
        if mine is None or first is None or mine.events or first.events:
            return same_pieces(outcome.value, self.baseline.value)
        return (mine.choices, mine.top) == (first.choices, first.top)

    def _dialect(
        self, outcome: Outcome, body: bytes, expected: Callable[[Any], Any] | None, returns: str
    ) -> Wrong | None:
        if expected is None and outcome.same_as(self.baseline):
            return None
        incomplete = says_incomplete(outcome.value)
        if incomplete and not says_incomplete(self.baseline.value):
            return None  # as good as a typed error
        found = self._sensible(outcome, expected, returns, strange=body)
        # Of an answer that was cut off it is said of every stream: then what came back must at least be true.
        return None if found is not None and incomplete and self._begun(outcome, expected) else found

    def _begun(self, outcome: Outcome, expected: Callable[[Any], Any] | None) -> bool:
        """Whether a result holds the beginning of an answer that the server itself did not finish."""
        reference = self.reference
        if reference is None or reference.completion is None or reference.cut_off is None:
            return False
        told = reference.told(outcome.value)
        completion = reference.completion if expected is None else expected(reference.completion)
        return told is not None and begins(told, expected_of(completion))

    def _sensible(
        self, outcome: Outcome, expected: Callable[[Any], Any] | None, returns: str, *, strange: bytes | None = None
    ) -> Wrong | None:
        """Compare a result with the sensible one, as far as the target reports.

        Args:
            outcome: what came back.
            expected: as for `wrong`.
            returns: as for `wrong`.
            strange: the body, where it is of another dialect's habits: then calls may come in another order, any id and
                model that it names will do for the answer's, and "unknown" for a finish reason that never came.
        """
        reference = self.reference
        if reference is None or reference.completion is None or not self.trusted or returns == "events":
            return None  # there is nothing that could be expected for certain
        completion: Completion = reference.completion if expected is None else expected(reference.completion)
        sensible = replace(reference, completion=completion)
        found = sensible.told(outcome.value)
        if found is None:
            lost = expected is None and not isinstance(outcome.value, list)
            if lost and _unordered(joined_texts(outcome.value)) != _unordered(joined_texts(self.baseline.value)):
                return Wrong("invariance", self.baseline, outcome, "silently changes the result")
            return None
        if strange is not None:
            found = _tolerated(found, strange, completion)
        verdict = sensible.compare(found, any_order=strange is not None)
        expected_value, actual = verdict.expected, verdict.actual
        if verdict.same:
            expected_value, actual = _lost(self.baseline.value, outcome.value, reference.completion, completion)
        if expected_value == actual:
            return None
        return Wrong("reference", Outcome(value=expected_value), Outcome(value=actual), "silently changes the result")

    def _fault(self, outcome: Outcome, body: bytes) -> Wrong | None:
        due = Outcome(value="a typed error")
        if says_incomplete(outcome.value):
            if says_executable(outcome.value):
                why = "is noticed, and still the target hands out a tool call as executable"
                return Wrong("contract", due, outcome, why)
            return None
        if self._reads_what_is_whole(outcome.value, body):
            return None
        calls = self._hands_out_calls(outcome.value)
        what = "hands out an executable tool call" if calls else "hands out a result as if it were whole"
        return Wrong("contract", due, outcome, f"is not noticed: the target {what}")

    def _reads_what_is_whole(self, value: Any, body: bytes) -> bool:
        """Whether a result is the first choice, and nothing else of the stream, and the stream broke off after that."""
        reference = self.reference
        told = reference.told(value) if reference is not None else None
        if reference is None or told is None or not told.bare:
            return False
        found = first_choice_alone(body, reference.dialect)
        return found is not None and replace(reference, completion=found).compare(told).same

    def differs(self, one: Outcome, other: Outcome, kinds: Sequence[Class]) -> Wrong | None:
        """Return what is wrong where the same bytes of a mutated stream, in other chunks, gave another outcome.

        How much a result holds that says itself that it is not complete may follow the chunks, as what comes with an
        error may; and which of several errors comes first, of a stream that has cause for more than one.

        Args:
            one: of one delivery.
            other: of another delivery of the same bytes.
            kinds: the classes of the mutations.
        """
        wrong = differs(one, other)
        causes = sum(kind is not Class.PRESERVING for kind in kinds)
        if wrong is None or not causes or self.reference is None:
            return wrong
        if causes + bool(self.baseline.error) > 1 and is_typed(one) and is_typed(other):
            return None
        if not (says_incomplete(one.value) and says_incomplete(other.value)):
            return wrong
        first, second = self.reference.told(one.value), self.reference.told(other.value)
        if first is None or second is None:
            return wrong
        return None if begins(first, second) or begins(second, first) else wrong

    def _hands_out_calls(self, value: Any) -> bool:
        found = None if self.reference is None else self.reference.told(value)
        return found is not None and any(choice.get("tool_calls") for choice in found.choices)


def _tolerated(found: Told, body: bytes, sensible: Completion) -> Told:
    """Return what a result says, with what may well be another way to take a strange stream taken as expected."""
    top = dict(found.top)
    for name in ("id", "model"):
        if top.get(name) and json.dumps(top[name]).encode() in body:
            top[name] = getattr(sensible, name)
    choices = [dict(choice) for choice in found.choices]
    for choice, want in zip(choices, sensible.choices, strict=False):
        if want.finish_reason is None and choice.get("finish_reason") in ("", "unknown"):
            choice["finish_reason"] = None
    return replace(found, choices=choices, top=top)


def _without_nulls(value: Any) -> Any:
    """Return a result in which no mapping has a key for nothing; an object's fields are its own."""
    if isinstance(value, dict) and not isinstance(value, Record):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _unordered(value: Any) -> Any:
    """Return a result in which objects that stand in a list, as calls do, have an order of their own."""
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return sorted(map(repr, value))
    return value


def differs(one: Outcome, other: Outcome) -> Wrong | None:
    """Return what is wrong where the same bytes, in other chunks, gave another outcome; None where nothing is.

    Args:
        one: of one delivery.
        other: of another delivery of the same bytes.
    """
    if one.same_as(other):
        return None
    if one.error and other.error:
        return Wrong("invariance", one, other, "gives another error when the chunks are others")
    return Wrong("invariance", one, other, "gives another outcome when the chunks are others")


def _lost(before: Any, after: Any, original: Completion, sensible: Completion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a target reports of the recorded stream and no longer of the mutated one: what is due, and what is.

    Of usage, those counters that it reports as the stream has them; of the finish reason of a bare message, that there
    is one.
    """
    due: dict[str, Any] = {}
    found: dict[str, Any] = {}
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return due, found
    reason = sensible.choices[0].finish_reason if sensible.choices else None
    if isinstance(before.get("finish_reason"), str) and reason and after.get("finish_reason", reason) is None:
        due["finish_reason"], found["finish_reason"] = reason, None
    was, has, usage = before.get("usage"), after.get("usage"), sensible.usage or {}
    if isinstance(was, dict) and "usage" in after:
        counters = [
            key for key, count in (original.usage or {}).items()
            if isinstance(count, int) and was.get(key) == count and isinstance(usage.get(key), int)
        ]  # fmt: skip
        wrong = [key for key in counters if not isinstance(has, dict) or has.get(key) != usage[key]]
        if wrong:
            due["usage"] = {key: usage[key] for key in wrong}
            found["usage"] = {key: has.get(key) for key in wrong} if isinstance(has, dict) else None
    return due, found


def holds_framing(value: Any, body: bytes) -> bool:
    """Whether a result, in normal form, holds a line of the stream as it came: it follows the framing on purpose."""
    line = next((line for line in body.splitlines() if line.startswith(b"data:")), None)
    if line is None:
        return False
    needles = (line, line.decode("utf-8", "replace"))

    def holds(part: Any) -> bool:
        if isinstance(part, str):
            return needles[1] in part
        if isinstance(part, bytes):
            return needles[0] in part
        if isinstance(part, dict):
            return any(holds(item) for item in part.values())
        return isinstance(part, list | tuple | set | frozenset) and any(holds(item) for item in part)

    return holds(value)
