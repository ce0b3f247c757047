"""What a Chat Completions payload and a text completion have in common: the fields of the answer around its choices.

Usage is the last one given; id, model and the like are the first that is not empty; what else comes is kept as it came
last. A payload without choices, `object` and `usage` is a ping or another foreign event.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from streamkit.dialects.event_accumulator import EventAccumulator
from streamkit.dialects.openai_errors import is_error, provider_error
from streamkit.dialects.payloads import list_at, misplaced, required

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.errors import ProviderError
    from streamkit.wire.event import ServerSentEvent

__all__ = ["NOISE", "ChoicesAccumulator"]

NOISE = {"obfuscation", "p"}  # padding against traffic analysis; says nothing
_FIRST = ("id", "model", "created", "system_fingerprint", "service_tier")
_KNOWN = {*_FIRST, *NOISE, "object", "choices", "usage"}


class ChoicesAccumulator(EventAccumulator):
    """The base of the accumulators of payloads with `choices`."""

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] | None = None
        self._first: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    def missing(self, completion: Completion) -> str:
        """Return what a stream that ended early lacks, in words."""
        return "no finish reason and no [DONE] came" if completion.choices else "no choice came"

    def _take(self, payload: dict[str, Any], event: ServerSentEvent) -> None:
        report = self._report(payload, event)
        if report is not None:
            raise report
        choices = payload.get("choices")
        if choices is None and "object" not in payload and "usage" not in payload:
            return
        first = self._first
        for name in _FIRST:
            if name not in first and payload.get(name):
                first[name] = payload[name]
        self._take_usage(payload)
        if not payload.keys() <= _KNOWN:
            for key, value in payload.items():
                if key not in _KNOWN and value is not None:
                    self._other(key, value)
        for number, entry in enumerate(list_at(payload, "choices")):
            if not entry:
                continue
            if not isinstance(entry, dict):
                raise misplaced(choices, number, dict, "an entry of choices")
            self._choice(entry)

    def _take_usage(self, holder: dict[str, Any]) -> None:
        usage = holder.get("usage")
        if usage:
            self._usage = required(holder, "usage", dict)
        elif usage is not None and self._usage is None and isinstance(usage, dict):
            self._usage = usage

    def _report(self, payload: dict[str, Any], event: ServerSentEvent) -> ProviderError | None:
        """Return the error that a payload reports, or None."""
        return provider_error(payload) if event.event == "error" or is_error(payload) else None

    def _other(self, key: str, value: Any) -> None:
        """Take a field that is not of the API."""
        self._extra[key] = value

    @abstractmethod
    def _choice(self, entry: dict[str, Any]) -> None:
        """Take an entry of `choices`."""
