"""Planted bugs in what a result says beside its text: usage, identity, reasoning, ids and broken calls."""

from __future__ import annotations

from typing import Any

from .chat_parser import Call, ChatParser, Choice
from .planting import Planted

__all__ = ["PLANTED"]

_CALLS = "openai_chat/synthetic_text_then_calls"
_TEXT = "openai_chat/synthetic_reasoning_with_ids"


class AddsUsageUp(ChatParser):
    """Adds up the counters of all payloads."""

    def take_usage(self, payload: dict[str, Any]) -> None:
        for name, count in (payload.get("usage") or {}).items():
            self.usage = self.usage or {}
            self.usage[name] = self.usage.get(name, 0) + count


class ForgetsTheUsage(ChatParser):
    """Takes over what the latest payload says of usage, and that may be nothing."""

    def take_usage(self, payload: dict[str, Any]) -> None:
        self.usage = payload.get("usage")


class TakesTheLatestIdentity(ChatParser):
    """Gives the id and the model of the last payload."""

    def identify(self, payload: dict[str, Any]) -> None:
        self.identity.update({key: payload[key] for key in ("id", "model") if key in payload})


class JoinsReasoningOfTwoNames(ChatParser):
    """Appends the reasoning under every name that it comes under."""

    def reasoning(self, state: Choice, delta: dict[str, Any]) -> None:
        for name in ("reasoning_content", "reasoning", "reasoning_text", "thinking"):
            state.reasoning["all"] = state.reasoning.get("all", "") + (delta.get(name) or "")


class AppendsIds(ChatParser):
    """Appends ids as it appends arguments."""

    def add_id(self, call: Call, entry: dict[str, Any]) -> None:
        identity = entry.get("id") or ""
        call.id += "" if identity == call.id else identity


class HandsOutBrokenArguments(ChatParser):
    """Leaves it to others to find out whether arguments are JSON."""

    def check_call(self, state: Choice, call: Call) -> None:
        """Ask for nothing."""


PLANTED = (
    Planted(AddsUsageUp, "usage_every_payload", _CALLS),
    Planted(ForgetsTheUsage, "usage_null_after", _CALLS),
    Planted(TakesTheLatestIdentity, "identity_churn", _CALLS),
    Planted(JoinsReasoningOfTwoNames, "reasoning_names", _TEXT),
    Planted(AppendsIds, "id_churn", _CALLS),
    Planted(HandsOutBrokenArguments, "lost_arguments", _CALLS),
)
