"""What a mutation may do to what our own reader says of a stream: one law for each class."""

from __future__ import annotations

from functools import cache
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING

from streamkit.cassettes import bundled
from streamkit.completion import Completion, argument_problem
from streamkit.dialects import accumulate
from streamkit.errors import DialectError
from streamkit.fuzz.normal import differences, normalise
from streamkit.mutations.registry import Class, Edit, Inapplicable, Mutation
from streamkit.mutations.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def of_modules(*modules: ModuleType) -> list[Mutation]:
    """Return the mutations that modules define, by name."""
    found = {one.name: one for module in modules for one in vars(module).values() if isinstance(one, Mutation)}
    return [found[name] for name in sorted(found)]


@cache
def chat_streams() -> tuple[Stream, ...]:
    """Return the bundled streams of chat."""
    return tuple(Stream.of(transcript) for transcript in bundled() if transcript.dialect == "openai_chat")


def outcome(stream: Stream, dialect: str = "openai_chat") -> Completion | DialectError:
    """Return what our reader says of a stream."""
    try:
        return accumulate([stream.body()], dialect=dialect)
    except DialectError as error:
        return error


def facts(result: Completion | DialectError) -> object:
    """Return what two outcomes are compared by: places in an error's text may differ."""
    return (type(result), result.partial) if isinstance(result, DialectError) else result


def edits(mutation: Mutation, stream: Stream, most: int = 8) -> Iterator[tuple[tuple[int, ...], Edit]]:
    """Yield the variants of a mutation that have something to do, with their choices."""
    for numbers in mutation.variants(stream, most):
        try:
            yield numbers, mutation.apply(stream, numbers)
        except Inapplicable:
            continue


def lawful(mutation: Mutation, edit: Edit, before: Completion | DialectError) -> bool:
    """Say whether our reader's outcome on an edit is one that the mutation's class allows.

    Args:
        mutation: what made the edit.
        edit: the edit.
        before: the outcome on the stream before it.
    """
    return not why_unlawful(mutation.kind, before, outcome(edit.stream), edit.expected)


def why_unlawful(
    kind: Class,
    before: Completion | DialectError,
    after: Completion | DialectError,
    expected: Callable[[Completion], Completion] | None,
) -> str:
    """Say what is wrong with our reader's outcome on a mutated stream; nothing where the class allows it.

    Args:
        kind: the class of the mutation; of several, the gravest.
        before: the outcome on the stream before it.
        after: the outcome on the mutated stream.
        expected: makes the sensible completion out of the original's; None where it is the same.
    """
    if kind is Class.FAULT:
        return _after_a_fault(before, after, expected)
    if isinstance(before, DialectError):
        return _after_an_error(kind, before, after, expected)
    if isinstance(after, DialectError):
        if kind is Class.DIALECT:
            return "" if nothing_finished(after.partial) else "what came before the error looks finished"
        return f"{type(after).__name__}: {after}"
    wanted = before if expected is None else expected(before)
    return "" if wanted == after else _told(wanted, after)


def _after_a_fault(
    before: Completion | DialectError,
    after: Completion | DialectError,
    expected: Callable[[Completion], Completion] | None,
) -> str:
    if isinstance(after, DialectError):
        return "" if nothing_finished(after.partial) else "what came before the fault looks finished"
    if isinstance(before, DialectError):
        return f"the original is {type(before).__name__}, and this a completion"
    if after.ended and all(whole for _, _, whole in _calls(after)):
        return "the fault is not noticed"
    known = _calls(before) + (_calls(expected(before)) if expected is not None else [])  # a text may be put in before
    # one that only a limit of length has marked, is whole in itself
    whole = {(name, arguments) for name, arguments, _ in known if arguments and not argument_problem(arguments)}
    made_up = [call for call in _calls(after) if call[2] and call not in known and call[:2] not in whole]
    return f"calls that were not there may be executed: {made_up}" if made_up else ""


def _calls(completion: Completion) -> list[tuple[str, str, bool]]:
    """Return name and arguments of each call, and whether it may be executed."""
    found = [call for choice in completion.choices for call in (*choice.tool_calls, choice.function_call) if call]
    return [(call.name, call.arguments, call.executable) for call in found]


def _after_an_error(
    kind: Class,
    before: DialectError,
    after: Completion | DialectError,
    expected: Callable[[Completion], Completion] | None,
) -> str:
    if isinstance(after, Completion):
        return f"the original is {type(before).__name__}, and this a completion"
    if kind is Class.DIALECT:
        return ""
    if type(before) is not type(after):
        return f"the original is {type(before).__name__}, and this {type(after).__name__}: {after}"
    if expected is not None or before.partial == after.partial:
        return ""  # a text put in is in the partial answer only if it was put in before the break
    return "another partial answer: " + _told(before.partial, after.partial)


def _told(wanted: Completion, found: Completion) -> str:
    """Return the places at which two completions differ."""
    places = list(islice(differences(normalise(wanted), normalise(found)), 3))
    return "; ".join(f"{path}: {_short(one)} became {_short(other)}" for path, one, other in places) or "not equal"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:100]}...{text[-50:]}"


def nothing_finished(partial: Completion) -> bool:
    """Say whether a partial completion neither looks whole nor holds an executable call."""
    return not partial.ended and not any(executable for _, _, executable in _calls(partial))
