"""Outcome: what a target did on one delivery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from streamkit.fuzz.normal import jsonable

__all__ = ["Outcome"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a terminal would obey; not tab and line end


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back.

    Attributes:
        value: the result in normal form, if the target returned.
        error: the qualified name of the exception's class, if it raised; "" otherwise.
        message: the exception's text.
        where: file and line at which it was raised, in the target's own code.
        hung: the target did not come back within the time limit.
        fault: what the program that drives the target did instead of answering, as in "exit with status 3"; "" for
            nothing of that kind. Then `error` names the kind of fault.
        slip: whether the error shows a slip of the target itself, where who reports it knows; None where the judge is
            to tell by its class.
    """

    value: Any = None
    error: str = ""
    message: str = ""
    where: str = ""
    hung: bool = False
    fault: str = ""
    slip: bool | None = None

    @property
    def returned(self) -> bool:
        """Whether the target returned a result."""
        return not self.error and not self.hung

    @property
    def deed(self) -> str:
        """What the target did, to follow "makes the target"."""
        if self.hung:
            return "hang"
        return self.fault or (f"raise {self.error.rpartition('.')[2]}" if self.error else "return a result")

    def same_as(self, other: Outcome) -> bool:
        """Whether both mean the same to a caller: equal results, or errors of the same class.

        An error's text is not compared: it may well tell how far the chunks had come.
        """
        if not (self.error or other.error or self.hung or other.hung):
            return bool(self.value == other.value)
        return self.error == other.error and self.hung == other.hung and self.returned == other.returned

    def to_json(self) -> Any:
        """Return the result, or `{"$error": class, "message": text}`, or `{"$hung": true}`."""
        if self.hung:
            return {"$hung": True}
        if self.error:
            return {"$error": self.error, "message": jsonable(self.message)}
        return jsonable(self.value)

    def describe(self) -> str:
        """Return the outcome in a few words."""
        if self.hung:
            return "no result within the time limit"
        if self.error:
            short = self.error.rsplit(".", 1)[-1]
            text = self.message if len(self.message) <= 300 else self.message[:300] + "..."
            text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
            return f"{short}: {text}" if text else short
        return "a result"
