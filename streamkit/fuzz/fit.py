"""Which of the bundled transcripts fit a target that none was named for.

A target reads one API, as a rule, and nobody is helped by the news that a parser of chat completions does not read
Anthropic's messages. So each bundled transcript is delivered once, as recorded:

- a dialect, in one framing, fits if the target reads at least one of its transcripts rightly, and then all its plain
  ones are taken: those that hold one answer of text and tool calls;
- others (several choices, a refusal, reasoning, a legacy call) are taken where the target reads them rightly;
- a target that hands on payloads as they are may fit several dialects: then it is taken for one of chat completions;
- where no dialect fits, the target is wrong about all of them or its result says nothing: it is held to the plain
  transcripts of chat completions.

What was left out is said. Whoever names transcripts gets those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.fuzz.incomplete import says_incomplete
from streamkit.fuzz.oracles import reference_of
from streamkit.fuzz.outcome import Outcome
from streamkit.mutations.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.fuzz.oracles import Reference
    from streamkit.fuzz.runner import Runs
    from streamkit.transcript import Transcript

__all__ = ["fitting"]

_DEFAULT = ("openai_chat", "sse")
_MOST_HANGS = 2  # transcripts on which a target may hang before the rest is taken for unread


def fitting(runner: Runs, transcripts: Sequence[Transcript], returns: str) -> tuple[list[Transcript], list[str]]:
    """Return the transcripts that fit a target, and in words what was left out.

    Args:
        runner: of the target.
        transcripts: those to choose from.
        returns: "message" or "events": what the target returns.
    """
    references = [reference_of(one) for one in transcripts]
    spoken = [(str(one.dialect), Stream.of(one).manner.wire) for one in transcripts]
    reads: list[str] = []
    hangs = 0
    for one, reference in zip(transcripts, references, strict=True):
        runner.take(one)
        outcome = runner.run(one.fragment()) if hangs < _MOST_HANGS else Outcome(hung=True)
        hangs += outcome.hung
        reads.append(_reads(outcome, reference, returns))
    fits = {manner for manner, one in zip(spoken, reads, strict=True) if one == "whole"}
    if not fits:  # a list of payloads that are handed on as they are says little of what they mean to the target
        fits = {manner for manner, one in zip(spoken, reads, strict=True) if one}
        fits = {_DEFAULT} if _DEFAULT in fits and returns == "message" else fits or {_DEFAULT}
    chosen, strange, other = [], [], []
    for one, manner, reference, read in zip(transcripts, spoken, references, reads, strict=True):
        if manner not in fits:
            other.append(manner[0])
        elif read or returns == "events" or reference is None or not _strange(reference):
            chosen.append(one)
        else:
            strange.append(f"{one.name} was left out: the target does not read {_strange(reference)}")
    if other:
        count = f"{len(other)} bundled transcript{'s' if len(other) > 1 else ''}"
        strange.append(f"{count} of other dialects ({', '.join(sorted(set(other)))}) left out: name them to try them")
    return chosen, strange


def _reads(outcome: Outcome, reference: Reference | None, returns: str) -> str:
    """Say how a target reads a transcript rightly: "whole", in "pieces" that add up to what it says, or "" for not."""
    if not outcome.returned or reference is None or (returns == "message" and says_incomplete(outcome.value)):
        return ""
    verdict = reference.learned(outcome.value).judge(outcome.value, returns)
    if verdict is None or not verdict.same or not _says_something(verdict.actual):
        return ""
    return "pieces" if isinstance(outcome.value, list) else "whole"


def _strange(reference: Reference) -> str:
    """Say what an answer holds besides one choice of text and function calls; "" where nothing."""
    choices = reference.completion.choices if reference.completion is not None else ()
    if len(choices) != 1:
        return "several choices"
    (choice,) = choices
    if choice.refusal is not None:
        return "a refusal"
    if choice.reasoning is not None:
        return "reasoning"
    if choice.function_call is not None:
        return "a legacy function call"
    if any(call.type != "function" for call in choice.tool_calls):
        return "calls of another type"
    return ""


def _says_something(said: Any) -> bool:
    """Whether more than nothing was compared: to see no text in a stream that one does not read is no reading."""
    if isinstance(said, list):
        return bool(said)
    return any(one.get("content") or one.get("tool_calls") for one in said.get("choices", [said]) if one)
