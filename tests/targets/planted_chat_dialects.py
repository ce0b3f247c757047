"""Planted bugs that the ways of other servers show: what one relied on that they do not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .chat_parser import ChatParser
from .chat_state import Call, Choice
from .planting import Planted

__all__ = ["PLANTED"]

_BOSTON = "openai_chat/boston_weather"
_CALLS = "openai_chat/synthetic_text_then_calls"
_TEXT = "openai_chat/synthetic_reasoning_with_ids"
_TWO = "openai_chat/synthetic_two_choices_logprobs"


class KeepsNamedCallsOnly(ChatParser):
    """Drops calls without a name: no bug by itself, for such a call never comes where the rest is right."""

    def tidied(self, state: Choice) -> None:
        state.calls = [call for call in state.calls if call.name]


# -- payloads


class NeedsAListOfChoices(ChatParser):
    """Goes through the choices without a look at whether there are any."""

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        return [entry for entry in choices if entry]


class RoundsLogprobs(ChatParser):
    """Reads numbers that are none of JSON, and rounds them."""

    def constant(self, name: str) -> Any:
        return float(name)

    def logprobs(self, state: Choice, entry: dict[str, Any]) -> None:
        for token in (entry.get("logprobs") or {}).get("content") or []:
            state.logprobs.append(round(token["logprob"] * 1000))


class TakesTheFirstChoiceOfEveryPayload(ChatParser):
    """Counts on a first choice."""

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        return [choices[0]]


class TakesAnotherIdForAnotherAnswer(ChatParser):
    """Ignores payloads whose id is not that of the first."""

    def payload(self, payload: dict[str, Any]) -> None:
        if self.identity.get("id") in (None, payload.get("id")):
            super().payload(payload)


# -- choices


class TakesOneEntryOfAChoiceAPayload(ChatParser):
    """Keys the entries of a payload by their index."""

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        return list({entry.get("index"): entry for entry in super().entries(choices)}.values())


class TakesAMissingFinishReasonForStop(ChatParser):
    """Makes up a finish reason."""

    def tidied(self, state: Choice) -> None:
        state.finish = state.finish or "stop"


class TakesAnEmptyFinishReasonForTheEnd(ChatParser):
    """Ends at a finish reason that is not null."""

    def finish(self, state: Choice, reason: str | None) -> None:
        super().finish(state, reason)
        if reason is not None:
            self.end()


class HandsOutCallsAtToolCallsOnly(ChatParser):
    """Hands out tool calls where the finish reason says so."""

    def tidied(self, state: Choice) -> None:
        if state.finish != "tool_calls":
            state.calls = []


class JoinsAllChoices(ChatParser):
    """Ignores the index of a choice."""

    def entries(self, choices: Any) -> list[dict[str, Any]]:
        return [{**entry, "index": 0} for entry in super().entries(choices)]


# -- deltas


class NeedsAKnownFieldInADelta(ChatParser):
    """Looks for the field that a delta brings."""

    def delta(self, state: Choice, delta: dict[str, Any]) -> None:
        known = ("role", "content", "reasoning_content", "refusal", "tool_calls", "function_call")
        if delta:
            next(name for name in known if name in delta)
        super().delta(state, delta)


class IgnoresContentThatIsNoText(ChatParser):
    """Reads text, and skips content of another type."""

    def content(self, state: Choice, delta: dict[str, Any]) -> None:
        if isinstance(delta.get("content"), str):
            super().content(state, delta)


class TakesTextThatBeginsAlikeForAllOfIt(ChatParser):
    """Takes text that begins with the text so far for all the text, since one server sends it so."""

    def text(self, state: Choice, text: str) -> None:
        if state.content and text.startswith(state.content):
            state.content = ""
        super().text(state, text)


class TakesUnknownReasoningForText(ChatParser):
    """Knows reasoning by one name, and takes it for text under another."""

    def reasoning(self, state: Choice, delta: dict[str, Any]) -> None:
        super().reasoning(state, delta)
        if "reasoning_content" not in delta:
            self.text(state, delta.get("reasoning") or "")


class DropsARepeatedPiece(ChatParser):
    """Drops a piece of text that is the same as the one before."""

    before = ""

    def text(self, state: Choice, text: str) -> None:
        if text != self.before:
            super().text(state, text)
        self.before = text or self.before


class NeedsARole(ChatParser):
    """Counts on a role in the first delta."""

    def role(self, state: Choice, delta: dict[str, Any]) -> None:
        state.role = state.role or delta["role"]


class ReplacesHalvesOfPairs(ChatParser):
    """Makes each piece of text valid by itself."""

    def text(self, state: Choice, text: str) -> None:
        super().text(state, self.joined_text(text))


# -- tool calls


class KeepsAPlaceholder(ChatParser):
    """Takes nothing after arguments that are whole."""

    def add_arguments(self, call: Call, piece: str) -> None:
        if not self.whole(call):
            call.arguments += piece


class IgnoresArgumentsThatAreNoText(ChatParser):
    """Reads arguments that are text, and none other."""

    def arguments_of(self, function: dict[str, Any]) -> str:
        arguments = function.get("arguments")
        return arguments if isinstance(arguments, str) else ""


@dataclass
class _Entry:
    """An entry of `tool_calls` with the fields of the API."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: dict[str, Any] | None = None


class BuildsAnEntryOfAllItsFields(ChatParser):
    """Makes an object of an entry, which takes the fields of the API and no other."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        super().tool_call(state, vars(_Entry(**entry)))


class OverwritesTheCallAtAnIndex(ChatParser):
    """Keeps one call an index: another one there takes the place of the first."""

    def opened(self, state: Choice, index: int | None) -> Call:
        state.calls = [call for call in state.calls if call.index != index]
        return super().opened(state, index)


class KeepsCallsWithAnIdOnly(ChatParser):
    """Drops calls that it could not answer by their id."""

    def tidied(self, state: Choice) -> None:
        state.calls = [call for call in state.calls if call.id]


class NeedsAnIndex(ChatParser):
    """Counts on an index in every entry."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        super().tool_call(state, {**entry, "index": int(entry["index"])})


class KnowsCallsByTheirIndexAlone(ChatParser):
    """Does not look for a call by its id."""

    def by_id(self, state: Choice, identity: str) -> Call | None:
        return None


class LosesWhatIsContinuedElsewhere(KnowsCallsByTheirIndexAlone, KeepsNamedCallsOnly):
    """Opens another call where one goes on at another index, and drops it since it has no name."""


class NeedsAFunctionInEveryEntry(ChatParser):
    """Counts on a function in every entry of a call."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        if entry["function"].get("arguments") != {}:
            super().tool_call(state, entry)


class TakesTheLatestId(ChatParser):
    """Gives a call the id of its last fragment."""

    def add_id(self, call: Call, entry: dict[str, Any]) -> None:
        call.id = entry.get("id") or call.id


class ClosesTheCallsBelow(ChatParser):
    """Takes a call for closed once one with a higher index has begun."""

    def tool_call(self, state: Choice, entry: dict[str, Any]) -> None:
        if (entry.get("index") or 0) >= max((call.index or 0 for call in state.calls), default=0):
            super().tool_call(state, entry)


class TakesTheNameBeforeArgumentsOnly(KeepsNamedCallsOnly):
    """Does not wait for the name of a call, and drops the call without."""

    def add_name(self, call: Call, name: str) -> None:
        if not call.arguments:
            super().add_name(call, name)


class NeedsANameInEveryPieceOfALegacyCall(ChatParser):
    """Counts on name and arguments in every piece of a call in the legacy form."""

    def function_call(self, state: Choice, delta: dict[str, Any]) -> None:
        piece = delta.get("function_call")
        if piece:
            state.function = state.function or {"name": "", "arguments": ""}
            state.function["name"] = piece["name"]
            state.function["arguments"] += piece["arguments"]


class ClosesBrokenArguments(ChatParser):
    """Closes what arguments left open, as if no more than a brace had been lost."""

    def check_call(self, state: Choice, call: Call) -> None:
        if call.arguments and not self.whole(call):
            call.arguments += "}"
        super().check_call(state, call)


class DropsCallsWithoutArguments(ChatParser):
    """Takes a call without arguments for one that is not there."""

    def tidied(self, state: Choice) -> None:
        state.calls = [call for call in state.calls if call.arguments]


class OverwritesTheNameWithAnEmptyOne(ChatParser):
    """Takes the name wherever the key is, and asks for none."""

    def add_name(self, call: Call, name: str) -> None:
        if self.named_now:
            call.name = name

    named_now = False

    def arguments_of(self, function: dict[str, Any]) -> str:
        self.named_now = "name" in function
        return super().arguments_of(function)

    def check_call(self, state: Choice, call: Call) -> None:
        if call.name:
            super().check_call(state, call)


class TakesIndicesForPlaces(ChatParser):
    """Takes the index of a call for its place in a list."""

    def at(self, state: Choice, index: int | None) -> Call | None:
        return state.calls[index] if index is not None and index != len(state.calls) else None


class AppendsARepeatedName(ChatParser):
    """Appends every name that comes."""

    def add_name(self, call: Call, name: str) -> None:
        call.name += name


class TakesTheFirstPieceOfAName(ChatParser):
    """Takes the first name for the whole of it."""

    def add_name(self, call: Call, name: str) -> None:
        call.name = call.name or name

    def opens(self, call: Call, identity: str, index: int | None, name: str) -> bool:
        return super().opens(call, identity, index, "" if name and not identity else name)


PLANTED = (
    Planted(NeedsAListOfChoices, "choices_null", _CALLS),
    Planted(RoundsLogprobs, "nan_logprobs", _TWO),
    Planted(TakesTheFirstChoiceOfEveryPayload, "azure_noise", _TEXT),
    Planted(TakesAnotherIdForAnotherAnswer, "identity_churn", _CALLS),
    Planted(TakesOneEntryOfAChoiceAPayload, "duplicate_choice", _CALLS),
    Planted(TakesAMissingFinishReasonForStop, "finish_reason_missing", _CALLS),
    Planted(TakesAnEmptyFinishReasonForTheEnd, "finish_reason_noise", _TEXT),
    Planted(HandsOutCallsAtToolCallsOnly, "finish_reason_other", _CALLS),
    Planted(JoinsAllChoices, "second_choice", _TEXT),
    Planted(NeedsAKnownFieldInADelta, "audio_deltas", _CALLS),
    Planted(IgnoresContentThatIsNoText, "content_parts", _CALLS),
    Planted(TakesTextThatBeginsAlikeForAllOfIt, "cumulative_deltas", _CALLS),
    Planted(TakesUnknownReasoningForText, "reasoning_names", _TEXT),
    Planted(DropsARepeatedPiece, "repeated_text", _CALLS),
    Planted(NeedsARole, "role_noise", _CALLS),
    Planted(ReplacesHalvesOfPairs, "surrogate_halves", _CALLS),
    Planted(KeepsAPlaceholder, "args_placeholder", _CALLS),
    Planted(IgnoresArgumentsThatAreNoText, "arguments_object", _CALLS),
    Planted(BuildsAnEntryOfAllItsFields, "call_extra", _CALLS),
    Planted(OverwritesTheCallAtAnIndex, "collapse_index", _CALLS),
    Planted(KeepsCallsWithAnIdOnly, "drop_id", _CALLS),
    Planted(NeedsAnIndex, "drop_index", _CALLS),
    Planted(KnowsCallsByTheirIndexAlone, "duplicate_tail", _CALLS),
    Planted(LosesWhatIsContinuedElsewhere, "index_drift", _CALLS),
    Planted(NeedsAFunctionInEveryEntry, "function_null", _CALLS),
    Planted(TakesTheLatestId, "id_churn", _CALLS),
    Planted(ClosesTheCallsBelow, "index_out_of_order", _CALLS),
    Planted(TakesTheNameBeforeArgumentsOnly, "late_name", _CALLS),
    Planted(NeedsANameInEveryPieceOfALegacyCall, "legacy_function_call", _BOSTON),
    Planted(ClosesBrokenArguments, "lost_arguments", _CALLS),
    Planted(DropsCallsWithoutArguments, "no_arguments", _CALLS),
    Planted(OverwritesTheNameWithAnEmptyOne, "null_absent_empty", _CALLS),
    Planted(TakesIndicesForPlaces, "renumber_index", _CALLS),
    Planted(AppendsARepeatedName, "repeat_id_name", _CALLS),
    Planted(TakesTheFirstPieceOfAName, "split_name", _CALLS),
)
