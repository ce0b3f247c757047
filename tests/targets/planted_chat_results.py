"""Planted bugs in what a result says beside its text: usage, identity, reasoning, ids and broken calls."""

from __future__ import annotations

from typing import Any

from .chat_parser import ChatParser
from .chat_state import Call, Choice, MalformedError
from .planting import Planted

__all__ = ["PLANTED"]

_BOSTON = "openai_chat/boston_weather"
_CALLS = "openai_chat/synthetic_text_then_calls"
_TEXT = "openai_chat/synthetic_reasoning_with_ids"


class NeedsTheCountersOfUsage(ChatParser):
    """Reads a counter that usage has, as a rule."""

    def take_usage(self, payload: dict[str, Any]) -> None:
        if payload.get("usage") is not None:
            self.usage = {"total_tokens": payload["usage"]["total_tokens"]}


class TakesUsageForTheEnd(ChatParser):
    """Ends where usage comes, which others send all along."""

    def payload(self, payload: dict[str, Any]) -> None:
        super().payload(payload)
        if payload.get("usage"):
            self.end()


class NeedsUsageToBeAnObject(ChatParser):
    """Reads usage wherever the key is."""

    def take_usage(self, payload: dict[str, Any]) -> None:
        if "usage" in payload:
            self.usage = dict(payload["usage"])


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


class OverwritesTheIdWithAnEmptyOne(ChatParser):
    """Takes the id wherever the key is."""

    def add_id(self, call: Call, entry: dict[str, Any]) -> None:
        call.id = entry.get("id", call.id) or ""


class HandsOutBrokenArguments(ChatParser):
    """Leaves it to others to find out whether arguments are JSON."""

    def check_call(self, state: Choice, call: Call) -> None:
        """Ask for nothing."""


# -- what repeats itself, and what an answer had not


class DropsARepeatOfArguments(ChatParser):
    """Drops a piece of arguments that is the same as the one before."""

    before = ""

    def add_arguments(self, call: Call, piece: str) -> None:
        if not piece or piece != self.before:
            super().add_arguments(call, piece)
        self.before = piece


class DropsARepeatOfText(ChatParser):
    """Drops a piece of text that the text so far ends with."""

    def text(self, state: Choice, text: str) -> None:
        if not text or not state.content.endswith(text):
            super().text(state, text)


class TakesEmptyTextForText(ChatParser):
    """Takes a delta with text, though it be empty, for one without calls."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        if delta.get("content") is None:
            super().tool_calls(state, delta)


class HandsOutOneCall(ChatParser):
    """Counts on one call an answer."""

    def tidied(self, state: Choice) -> None:
        state.calls = state.calls[:1]


class PutsReasoningBeforeTheText(ChatParser):
    """Shows reasoning as a part of the text."""

    def reasoning(self, state: Choice, delta: dict[str, Any]) -> None:
        self.text(state, delta.get("reasoning_content") or delta.get("reasoning") or "")


class TakesARefusalForText(ChatParser):
    """Shows a refusal as text."""

    def content(self, state: Choice, delta: dict[str, Any]) -> None:
        super().content(state, {"content": delta.get("content") or delta.get("refusal")})


class RefusesAPayloadWithoutChoices(ChatParser):
    """Takes a payload without choices for a failure."""

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        if not choices:
            raise MalformedError("no choices")
        return super().entries(choices)


class StopsAtTheUsage(ChatParser):
    """Ends where usage comes: with the last payload, as its own server sends it."""

    def payload(self, payload: dict[str, Any]) -> None:
        super().payload(payload)
        self.done = self.done or "usage" in payload


class TakesDoneForTheEndOfArguments(ChatParser):
    """Asks for whole arguments after a finish reason, and for nothing after [DONE]."""

    def check_call(self, state: Choice, call: Call) -> None:
        if state.finish is not None:
            super().check_call(state, call)


PLANTED = (
    Planted(NeedsTheCountersOfUsage, "empty_usage", _CALLS),
    Planted(TakesUsageForTheEnd, "usage_every_payload", _CALLS),
    Planted(NeedsUsageToBeAnObject, "usage_null_after", _CALLS),
    Planted(AddsUsageUp, "usage_every_payload", _CALLS),
    Planted(ForgetsTheUsage, "usage_null_after", _CALLS),
    Planted(TakesTheLatestIdentity, "identity_churn", _CALLS),
    Planted(JoinsReasoningOfTwoNames, "reasoning_names", _TEXT),
    Planted(AppendsIds, "id_churn", _CALLS),
    Planted(OverwritesTheIdWithAnEmptyOne, "null_absent_empty", _CALLS),
    Planted(HandsOutBrokenArguments, "lost_arguments", _CALLS),
    Planted(DropsARepeatOfArguments, "echo_cuts", _CALLS),
    Planted(DropsARepeatOfText, "echoed_token", _TEXT),
    Planted(TakesEmptyTextForText, "empty_content", _BOSTON),
    Planted(HandsOutOneCall, "second_call", _BOSTON),
    Planted(PutsReasoningBeforeTheText, "reasoning_added", _CALLS),
    Planted(TakesARefusalForText, "content_as_refusal", _TEXT),
    Planted(RefusesAPayloadWithoutChoices, "usage_added", _TEXT),
    Planted(StopsAtTheUsage, "usage_running", _TEXT),
    Planted(TakesDoneForTheEndOfArguments, "done_mid_arguments", _CALLS),
)
