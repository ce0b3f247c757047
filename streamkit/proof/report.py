"""What a proof found, a transcript each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from streamkit.fuzz.counterexample import Counterexample

__all__ = ["Proof", "ProofReport", "Verdict"]

#: What can be said of a parser and a body.
Verdict = Literal["proved", "refuted", "not decidable here"]


@dataclass
class Proof:
    """What is known of a target on one transcript.

    Attributes:
        transcript: its name.
        size: bytes of its body.
        verdict: "proved", "refuted" or "not decidable here".
        reason: why it is not decidable; "" otherwise.
        feeds: chunks fed to copies of the parser.
        states: states met, over all positions.
        cuts_decided: all fragmentations with at most so many cuts were decided by the walk, as far as it came; -1 where
            there was none. Of a proof it says nothing.
        how: how states were copied: "copy()", "pickle" or "deepcopy"; "" where none was.
        empty_chunks: whether empty chunks, anywhere, were part of it.
        cover: of the deliveries made instead of a proof, by part: how many, of how many, and what they cover.
        finding: the minimal fragmentation that refutes it, with what comes of it.
        notes: further facts.
    """

    transcript: str
    size: int
    verdict: Verdict = "not decidable here"
    reason: str = ""
    feeds: int = 0
    states: int = 0
    cuts_decided: int = -1
    how: str = ""
    empty_chunks: bool = False
    cover: dict[str, dict[str, Any]] = field(default_factory=dict)
    finding: Counterexample | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def fragmentations(self) -> str:
        """How many fragmentations the body has, empty chunks not counted: "2^3219"."""
        return f"2^{self.size - 1}" if self.size else "1"

    def to_json(self) -> dict[str, Any]:
        """Return the proof for the result JSON."""
        return {
            "transcript": self.transcript,
            "bytes": self.size,
            "verdict": self.verdict,
            "reason": self.reason,
            "fragmentations": self.fragmentations,
            "empty_chunks": self.empty_chunks,
            "feeds": self.feeds,
            "states": self.states,
            "cuts_decided": None if self.verdict == "proved" or self.cuts_decided < 0 else self.cuts_decided,
            "how": self.how,
            "cover": self.cover,
            "finding": None if self.finding is None else self.finding.to_json(),
            "notes": list(self.notes),
        }


@dataclass
class ProofReport:
    """The result of `prove`.

    Attributes:
        target: the name of the code under test.
        proofs: one a transcript.
        seconds: how long it took; the one field that is not the same every time.
        notes: facts about the target, such as that it prints.
        interrupted: it was stopped before its end.
    """

    target: str
    proofs: list[Proof] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def proved(self) -> bool:
        """Whether every transcript is proved."""
        return bool(self.proofs) and not self.interrupted and all(one.verdict == "proved" for one in self.proofs)

    @property
    def findings(self) -> list[Counterexample]:
        """The refutations."""
        return [one.finding for one in self.proofs if one.finding is not None]

    def to_json(self) -> dict[str, Any]:
        """Return the result JSON. All of it but `seconds` is the same for the same version, seed and input."""
        return {
            "format": 1,
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "proofs": [proof.to_json() for proof in self.proofs],
            "notes": list(self.notes),
            "interrupted": self.interrupted,
        }
