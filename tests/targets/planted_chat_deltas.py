"""Planted bugs in how JSON is read and deltas are put together, which the API's own servers show."""

from __future__ import annotations

import json
import re
from typing import Any

from .chat_parser import ChatParser
from .chat_state import Call, Choice, MalformedError
from .planting import Planted

__all__ = ["PLANTED"]

_CALLS = "openai_chat/synthetic_text_then_calls"
_TEXT = "openai_chat/synthetic_reasoning_with_ids"
_TWO = "openai_chat/synthetic_two_choices_logprobs"


# -- JSON


class LooksForDoneInTheText(ChatParser):
    """Takes any event that holds [DONE] for the end."""

    def is_done(self, data: str) -> bool:
        return "[DONE]" in data


class LeavesUnicodeEscapes(ChatParser):
    """Takes the escape of a character for six characters."""

    def json(self, data: str) -> Any:
        return super().json(data.replace("\\u", "\\\\u"))


class LooksForKeysByTheirText(ChatParser):
    """Skips events in which it does not see the key as its own server writes it."""

    def json(self, data: str) -> Any:
        return super().json(data) if '"choices":[' in data else {}


class LooksForTheFirstKey(ChatParser):
    """Knows a payload by the key that comes first."""

    def named(self, name: str, payload: Any) -> None:
        if next(iter(payload), "") == "id":
            super().named(name, payload)


class DecodesLatin1(ChatParser):
    """Reads the body in the default encoding of HTTP/1.0."""

    def decoded(self, line: bytes) -> str:
        return line.decode("latin-1")


class SplitsTextIntoLines(ChatParser):
    """Splits with `str.splitlines`, which knows more line ends than the standard."""

    def line(self, line: str) -> None:
        for piece in line.splitlines() or [""]:
            super().line(piece)


class RefusesUnknownFields(ChatParser):
    """Validates payloads against a closed schema."""

    known = frozenset(["id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"])

    def payload(self, payload: dict[str, Any]) -> None:
        if not self.known.issuperset(payload):
            raise MalformedError("extra fields are not permitted")
        super().payload(payload)


# -- deltas


class TakesTheFirstCallOfADelta(ChatParser):
    """Reads one entry of `tool_calls`."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        super().tool_calls(state, {"tool_calls": (delta.get("tool_calls") or [])[:1]})


class IgnoresCallsBesideText(ChatParser):
    """Takes a delta for one of text or one of calls."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        if not delta.get("content"):
            super().tool_calls(state, delta)


class LooksIntoAnEmptyList(ChatParser):
    """Asks for the first call wherever there is a list."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        calls = delta.get("tool_calls")
        if calls is not None and calls[0]:
            super().tool_calls(state, delta)


class LosesABackslashAtTheEndOfAPiece(ChatParser):
    """Tidies each piece of arguments up by itself."""

    def add_arguments(self, call: Call, piece: str) -> None:
        super().add_arguments(call, piece.removesuffix("\\"))


class IgnoresTheDeltaOfTheFinishReason(ChatParser):
    """Takes the payload with the finish reason for one that says nothing else."""

    def delta(self, state: Choice, delta: dict[str, Any]) -> None:
        if not self.finishing:
            super().delta(state, delta)

    finishing = False

    def delta_of(self, entry: dict[str, Any]) -> Any:
        self.finishing = bool(entry.get("finish_reason"))
        return super().delta_of(entry)


class AppendsToTheLatestCall(ChatParser):
    """Ignores the index: a fragment belongs to the call that was opened last."""

    def at(self, state: Choice, index: int | None) -> Call | None:
        return state.latest


class TakesLogprobsBesideTextOnly(ChatParser):
    """Reads log probabilities together with the text that they are of."""

    def logprobs(self, state: Choice, entry: dict[str, Any]) -> None:
        if self.delta_of(entry).get("content"):
            super().logprobs(state, entry)


class DropsAnUnfinishedTag(ChatParser):
    """Removes what looks like half a tag from the end of each piece."""

    def text(self, state: Choice, text: str) -> None:
        super().text(state, re.sub(r"<[^>]*\Z", "", text))


class TakesOneEntryOfACallAPayload(ChatParser):
    """Keys the entries of a delta by their index."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        entries = {entry.get("index"): entry for entry in delta.get("tool_calls") or []}
        super().tool_calls(state, {"tool_calls": list(entries.values())})


class OrdersChoicesByTheirArrival(ChatParser):
    """Gives the choices in the order in which they began."""

    def order(self) -> list[Choice]:
        return list(self.choices.values())


class IteratesOverNull(ChatParser):
    """Gives absent fields a default, and null none."""

    def tool_calls(self, state: Choice, delta: dict[str, Any]) -> None:
        super().tool_calls(state, {"tool_calls": list(delta.get("tool_calls", []))})


class WritesNullArguments(ChatParser):
    """Turns null into text."""

    def arguments_of(self, function: dict[str, Any]) -> str:
        return str(function.get("arguments", ""))


class IgnoresArgumentsOfTheOpener(ChatParser):
    """Takes the entry with id and name for one without arguments."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        function = entry.get("function") or {}
        if entry.get("id") and function.get("name"):
            entry = {**entry, "function": {**function, "arguments": ""}}
        super().tool_call(state, entry)


class TakesARoleForANewMessage(ChatParser):
    """Begins the text anew where a role comes."""

    def role(self, state: Choice, delta: dict[str, Any]) -> None:
        if delta.get("role"):
            state.content = ""
        super().role(state, delta)


class SkipsBlankPieces(ChatParser):
    """Ignores pieces of text that are nothing but space."""

    def text(self, state: Choice, text: str) -> None:
        if text.strip():
            super().text(state, text)


class TakesAPieceItHasForARepeat(ChatParser):
    """Drops a piece of arguments that stands in what came before."""

    def add_arguments(self, call: Call, piece: str) -> None:
        if piece not in call.arguments:
            super().add_arguments(call, piece)


class TakesOneCharacterForNoise(ChatParser):
    """Ignores pieces of text of one character."""

    def text(self, state: Choice, text: str) -> None:
        if len(text) > 1:
            super().text(state, text)


class StopsTheTextAtTheFirstCall(ChatParser):
    """Closes the text when a tool call begins."""

    def text(self, state: Choice, text: str) -> None:
        if not state.calls:
            super().text(state, text)


class BeginsAnewAtEmptyArguments(ChatParser):
    """Takes empty arguments for those of an opener."""

    def add_arguments(self, call: Call, piece: str) -> None:
        if not piece:
            call.arguments = ""
        super().add_arguments(call, piece)


class DropsCallsWithoutAType(ChatParser):
    """Hands out calls whose type says function."""

    def opened(self, state: Choice, index: int | None) -> Call:
        call = super().opened(state, index)
        call.type = ""
        return call

    def tidied(self, state: Choice) -> None:
        state.calls = [call for call in state.calls if call.type == "function"]


class ReadsUsageWithoutChoicesOnly(ChatParser):
    """Looks for usage in a payload of its own."""

    def take_usage(self, payload: dict[str, Any]) -> None:
        if not payload.get("choices"):
            super().take_usage(payload)


class EncodesWholeArgumentsAgain(ChatParser):
    """Takes arguments that come whole for a value that is still to be written as JSON."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        function = entry.get("function") or {}
        if function.get("name") and (function.get("arguments") or "").endswith("}"):
            text = json.dumps({"arguments": function["arguments"]})
            entry = {**entry, "function": {**function, "arguments": text}}
        super().tool_call(state, entry)


PLANTED = (
    Planted(LooksForDoneInTheText, "framing_in_text", _CALLS),
    Planted(LeavesUnicodeEscapes, "json_escapes", _TEXT),
    Planted(LooksForKeysByTheirText, "json_whitespace", _CALLS),
    Planted(LooksForTheFirstKey, "key_order", _CALLS),
    Planted(DecodesLatin1, "raw_characters", _CALLS),
    Planted(SplitsTextIntoLines, "unicode_separators", _CALLS),
    Planted(RefusesUnknownFields, "unknown_fields", _CALLS),
    Planted(TakesTheFirstCallOfADelta, "coalesce_calls", _CALLS),
    Planted(IgnoresCallsBesideText, "content_with_calls", _CALLS),
    Planted(LooksIntoAnEmptyList, "empty_tool_calls", _CALLS),
    Planted(LosesABackslashAtTheEndOfAPiece, "escape_cuts", _CALLS),
    Planted(IgnoresTheDeltaOfTheFinishReason, "finish_with_last", _CALLS),
    Planted(AppendsToTheLatestCall, "interleave_calls", _CALLS),
    Planted(TakesLogprobsBesideTextOnly, "logprobs_apart", _TWO),
    Planted(DropsAnUnfinishedTag, "marker_cuts", _CALLS),
    Planted(TakesOneEntryOfACallAPayload, "merge_neighbours", _CALLS),
    Planted(OrdersChoicesByTheirArrival, "n_interleave", _TWO),
    Planted(IteratesOverNull, "null_absent", _CALLS),
    Planted(WritesNullArguments, "null_arguments", _CALLS),
    Planted(IgnoresArgumentsOfTheOpener, "opener_with_arguments", _CALLS),
    Planted(TakesARoleForANewMessage, "role_repeated", _CALLS),
    Planted(SkipsBlankPieces, "single_characters", _CALLS),
    Planted(TakesAPieceItHasForARepeat, "split_arguments", _CALLS),
    Planted(TakesOneCharacterForNoise, "split_text", _TEXT),
    Planted(StopsTheTextAtTheFirstCall, "text_after_calls", _CALLS),
    Planted(BeginsAnewAtEmptyArguments, "trailing_empty_delta", _CALLS),
    Planted(DropsCallsWithoutAType, "type_missing", _CALLS),
    Planted(ReadsUsageWithoutChoicesOnly, "usage_placement", _CALLS),
    Planted(EncodesWholeArgumentsAgain, "whole_calls", _CALLS),
)
