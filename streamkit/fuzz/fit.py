"""Which of the bundled transcripts fit a target that none was named for.

A target reads one API, as a rule, and nobody is helped by the news that a parser of chat completions does not read
Anthropic's messages. So each bundled transcript is delivered once, as recorded:

- a dialect fits if the target reads at least one of its transcripts rightly, and then all its plain ones are taken:
  those that hold one answer of text and tool calls;
- a result that holds nothing of the answer, or says that it is not complete, is no reading of it;
- a transcript in a framing of which the target reads nothing (an array, where it reads events) is left out;
- others (several choices, a refusal, reasoning, a legacy call) are taken where the target reads them rightly;
- where no dialect fits, the target is wrong about all of them or its result says nothing: it is held to the plain
  transcripts of chat completions.

What was left out is said. Whoever names transcripts gets those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamkit.fuzz.judge import says_incomplete
from streamkit.fuzz.oracles import reference_of
from streamkit.mutations.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.fuzz.oracles import Reference
    from streamkit.fuzz.runner import Runner
    from streamkit.transcript import Transcript

__all__ = ["fitting"]

_DEFAULT = "openai_chat"


def fitting(runner: Runner, transcripts: Sequence[Transcript], returns: str) -> tuple[list[Transcript], list[str]]:
    """Return the transcripts that fit a target, and in words what was left out.

    Args:
        runner: of the target.
        transcripts: those to choose from.
        returns: "message" or "events": what the target returns.
    """
    references = [reference_of(one) for one in transcripts]
    right = [_reads(runner, one, reference, returns) for one, reference in zip(transcripts, references, strict=True)]
    fits = {one.dialect for one, rightly in zip(transcripts, right, strict=True) if rightly} or {_DEFAULT}
    wires = {_wire(one) for one, rightly in zip(transcripts, right, strict=True) if rightly} or {"sse"}
    chosen, strange, other = [], [], []
    for one, reference, rightly in zip(transcripts, references, right, strict=True):
        if one.dialect not in fits:
            other.append(one)
        elif rightly or ((returns == "events" or reference is None or _plain(reference)) and _wire(one) in wires):
            chosen.append(one)
        else:
            strange.append(one)
    notes = [f"{one.name} was left out: the target does not read {_what(one)}" for one in strange]
    if other:
        spoken = ", ".join(sorted({str(one.dialect) for one in other}))
        count = f"{len(other)} bundled transcript{'s' if len(other) > 1 else ''}"
        notes.append(f"{count} of other dialects ({spoken}) left out: name them to try them")
    return chosen, notes


def _reads(runner: Runner, transcript: Transcript, reference: Reference | None, returns: str) -> bool:
    outcome = runner.run(transcript.fragment())
    if not outcome.returned or reference is None:
        return False
    if returns == "message" and says_incomplete(outcome.value):
        return False
    verdict = reference.learned(outcome.value).judge(outcome.value, returns)
    return verdict is not None and verdict.same and _says_something(verdict.actual)


def _says_something(value: Any) -> bool:
    """Whether anything of what agreed was there: a parser of another API reads no text and no calls, rightly or not."""
    if isinstance(value, dict):
        return any(_says_something(item) for item in value.values())
    return any(_says_something(item) for item in value) if isinstance(value, list) else bool(value)


def _wire(transcript: Transcript) -> str:
    return Stream.of(transcript, transcript.dialect).manner.wire


def _plain(reference: Reference) -> bool:
    return _strange(reference) == ""


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


def _what(transcript: Transcript) -> str:
    reference = reference_of(transcript)
    return (_strange(reference) if reference is not None else "") or f"its framing, {_wire(transcript)}"
