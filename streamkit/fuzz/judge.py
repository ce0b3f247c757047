"""The judge: what an outcome on a mutated stream means, for each class of mutation.

- preserving: the outcome must be the one on the recorded stream.
- dialect: the sensible result, or a typed error. A different result without an error is wrong.
- fault: a typed error. A result is wrong, unless it says itself that it is not complete.

An error is typed if a caller can expect it: any exception but those that show a slip of the parser itself, such as
KeyError or AttributeError. What a target does not report is not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamkit.fuzz.oracles import Reference, reported
from streamkit.fuzz.outcome import Outcome
from streamkit.mutations.registry import Class

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamkit.completion import Completion

__all__ = ["Judge", "Wrong", "holds_framing", "is_typed", "says_incomplete"]

_SLIPS = {
    "AttributeError", "KeyError", "IndexError", "TypeError", "NameError", "UnboundLocalError", "AssertionError",
    "RecursionError", "ZeroDivisionError", "StopIteration", "StopAsyncIteration", "NotImplementedError",
    "UnicodeEncodeError", "MemoryError", "SystemError", "LookupError", "OverflowError",
}  # fmt: skip
#: Keys of a result with which it says that it is not complete, and the value that says so.
_INCOMPLETE = {"ended": False, "complete": False, "completed": False, "is_complete": False, "truncated": True,
               "incomplete": True, "is_truncated": True}  # fmt: skip


def is_typed(outcome: Outcome) -> bool:
    """Whether the target raised an error that a caller can expect."""
    module, _, name = outcome.error.rpartition(".")
    return bool(outcome.error) and not (module in ("", "builtins") and name in _SLIPS)


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
        reference: what the stream says, where a dialect of ours knows it.
        trusted: whether the baseline agrees with the reference, so that the reference may be expected of a mutation.
    """

    baseline: Outcome
    reference: Reference | None
    trusted: bool

    def wrong(self, outcome: Outcome, kind: Class, expected: Callable[[Any], Any] | None, returns: str) -> Wrong | None:
        """Return what is wrong with an outcome, or None.

        Args:
            outcome: on the mutated stream.
            kind: the class of the mutation; of several, the gravest.
            expected: makes the sensible completion out of the original's; None where it is the same.
            returns: "message" or "events".
        """
        if outcome.hung:
            return Wrong("contract", Outcome(value="a result or an error"), outcome, "makes the target hang")
        if kind is Class.PRESERVING:
            return self._preserving(outcome, expected, returns)
        if outcome.error:
            if is_typed(outcome):
                return None
            told = outcome.error.rpartition(".")[2]
            return Wrong("contract", Outcome(value="a typed error"), outcome, f"makes the target fail with {told}")
        if kind is Class.FAULT:
            return self._fault(outcome)
        return self._dialect(outcome, expected, returns)

    def _preserving(self, outcome: Outcome, expected: Callable[[Any], Any] | None, returns: str) -> Wrong | None:
        if expected is not None and self.baseline.returned and outcome.returned:
            return self._sensible(outcome, expected, returns)  # a text was put in, or a field that may be passed on
        if outcome.same_as(self.baseline):
            return None
        if outcome.returned and self.baseline.returned and isinstance(outcome.value, list):
            # A list of payloads follows the payloads; what they add up to must be the same.
            completion = self.reference.completion if self.reference is not None else None
            mine = reported(outcome.value, completion)
            if mine is not None and mine == reported(self.baseline.value, completion):
                return None
        if outcome.error:
            told = outcome.error.rpartition(".")[2]
            return Wrong("invariance", self.baseline, outcome, f"makes the target raise {told}")
        if self.baseline.error:
            return Wrong("invariance", self.baseline, outcome, "takes away the error, and a result comes back")
        return Wrong("invariance", self.baseline, outcome, "changes the result")

    def _dialect(self, outcome: Outcome, expected: Callable[[Any], Any] | None, returns: str) -> Wrong | None:
        if outcome.same_as(self.baseline):
            return None if expected is None else self._sensible(outcome, expected, returns)
        return self._sensible(outcome, expected, returns)

    def _sensible(self, outcome: Outcome, expected: Callable[[Any], Any] | None, returns: str) -> Wrong | None:
        """Compare a result with the sensible one, as far as the target reports."""
        completion: Completion | None = self.reference.completion if self.reference is not None else None
        if completion is None or not self.trusted or returns == "events":
            return None  # there is nothing that could be expected for certain
        sensible = completion if expected is None else expected(completion)
        verdict = Reference(sensible, "", ()).judge(outcome.value, returns)
        if verdict is None:
            if expected is None and not isinstance(outcome.value, list):
                return Wrong("invariance", self.baseline, outcome, "silently changes the result")
            return None
        expected_value, actual = verdict.expected, verdict.actual
        if verdict.same:
            expected_value, actual = _lost(self.baseline.value, outcome.value, completion, sensible)
        if expected_value == actual:
            return None
        return Wrong("reference", Outcome(value=expected_value), Outcome(value=actual), "silently changes the result")

    def _fault(self, outcome: Outcome) -> Wrong | None:
        if says_incomplete(outcome.value):
            return None
        calls = _callable_calls(outcome.value)
        what = "hands out an executable tool call" if calls else "hands out a result as if it were whole"
        return Wrong("contract", Outcome(value="a typed error"), outcome, f"is not noticed: the target {what}")


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


def says_incomplete(value: Any) -> bool:
    """Whether a result, in normal form, says that it is not complete, or that a call of it must not be executed."""
    if isinstance(value, list):
        return False
    if not isinstance(value, dict):
        return False
    if any(key in value and value[key] is told for key, told in _INCOMPLETE.items()):
        return True
    if isinstance(value.get("error"), str | dict) and value["error"]:
        return True
    calls = [call for choice in _choices(value) for call in choice.get("tool_calls") or [] if isinstance(call, dict)]
    return any(call.get("problem") or call.get("executable") is False for call in calls)


def _choices(value: dict[str, Any]) -> list[dict[str, Any]]:
    choices = value.get("choices")
    if not isinstance(choices, list):
        return [value]
    found = [choice for choice in choices if isinstance(choice, dict)]
    return [choice.get("message", choice) if isinstance(choice.get("message"), dict) else choice for choice in found]


def _callable_calls(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return any(choice.get("tool_calls") for choice in _choices(value))
