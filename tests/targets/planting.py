"""What a planted bug is, and the hunt for it: `streamkit fuzz` with default options, on the transcript that shows it.

A registry is a module `planted_*` of this package with a tuple `PLANTED`.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamkit.fuzz import Options, fuzz
from streamkit.mutations.registry import Class, get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.fuzz import Report
    from streamkit.fuzz.counterexample import Counterexample

__all__ = ["Hunt", "Planted", "assert_caught", "assert_right", "hunt", "options_for", "registered"]


@dataclass(frozen=True)
class Planted:
    """A bug that is planted in a parser.

    Attributes:
        bug: the parser, a target as `streamkit fuzz` takes it. Its name says what it does wrong.
        mutation: the name of the mutation that must catch it, alone.
        transcript: the name of the bundled transcript that shows it.
        equals: mutations that make the same shape, so that the finding may be of one of them instead.
        why: why they make the same shape; needed where there are any.
        returns: "message" or "events": what the parser returns.
    """

    bug: Any
    mutation: str
    transcript: str
    equals: tuple[str, ...] = ()
    why: str = ""
    returns: str = "message"

    @property
    def name(self) -> str:
        """The name of the parser."""
        return str(getattr(self.bug, "__name__", self.bug))

    @property
    def kind(self) -> Class:
        """The class of the mutation."""
        return get(self.mutation).kind

    def __str__(self) -> str:
        return f"{self.name}-{self.mutation}"


@dataclass(frozen=True)
class Hunt:
    """What came of the hunt for one planted bug.

    Attributes:
        planted: the bug.
        report: of the campaign.
        seconds: how long it took.
    """

    planted: Planted
    report: Report
    seconds: float

    @property
    def finding(self) -> Counterexample | None:
        """The finding that is the mutation alone; None where the bug was not caught so."""
        wanted = (self.planted.mutation, *self.planted.equals)
        for finding in self.report.findings:
            if [step.mutation.name for step in finding.case.steps] in [[name] for name in wanted]:
                return finding
        return None

    @property
    def others(self) -> list[str]:
        """What else was found, in words: mutations joined by +, or the oracle of a finding without any."""
        names = []
        for finding in self.report.findings:
            if finding is not self.finding:
                steps = "+".join(step.mutation.name for step in finding.case.steps)
                names.append(steps or f"{finding.class_} {finding.oracle}")
        return names

    @property
    def concerned(self) -> int:
        """Bytes of the events that the mutation of the finding made or changed."""
        finding = self.finding
        if finding is None or not finding.edits:
            return 0
        edit = finding.edits[-1]
        return sum(len(edit.stream.write(edit.stream.events[n])) for n in edit.after if n < len(edit.stream.events))


def options_for(kind: Class, returns: str = "message") -> Options:
    """Return the default options, with the flag for a class of mutations."""
    return Options(dialects=kind is Class.DIALECT, faults=kind is Class.FAULT, returns=returns)


def hunt(planted: Planted) -> Hunt:
    """Fuzz a planted bug: default options, and the flag of its class."""
    began = time.monotonic()
    report = fuzz(planted.bug, planted.transcript, options=options_for(planted.kind, planted.returns))
    return Hunt(planted, report, time.monotonic() - began)


def assert_caught(planted: Planted) -> Hunt:
    """Assert that a bug is caught and shrunk to its mutation alone, and that the token of the finding repeats it."""
    found = hunt(planted)
    finding = found.finding
    assert finding is not None, f"not caught by {planted.mutation}; found: {found.others}"
    shown = [[step.mutation.name for step in one.case.steps] for one in found.report.findings]
    assert [] == [names for names in shown if planted.mutation in names and len(names) > 1], (
        "not shrunk to one mutation"
    )
    assert [] not in shown, "wrong without any mutation"
    assert str(finding.case.steps[0].mutation.kind) == finding.class_
    assert 0 < finding.cases <= found.report.cases
    options = options_for(planted.kind, planted.returns)
    again = fuzz(planted.bug, planted.transcript, options=options, replay=finding.token)
    assert [(finding.headline, finding.token)] == [(one.headline, one.token) for one in again.findings]
    return found


def assert_right(target: Any, transcripts: Sequence[str] | None, options: Options) -> Report:
    """Assert that nothing is found in a parser that is right."""
    report = fuzz(target, transcripts, options=options)
    assert [] == [str(finding) for finding in report.findings]
    return report


def registered(prefix: str = "") -> list[Planted]:
    """Return all planted bugs of the modules whose names begin with `planted_` and a prefix."""
    found: list[Planted] = []
    for module in sorted(one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if module.startswith(f"planted_{prefix}"):
            found += importlib.import_module(f"{__package__}.{module}").PLANTED
    return found
