"""Planted bugs of Gemini's streamGenerateContent, one for each of its mutations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets.frames import Json, loads
from targets.gemini import ArrayElements, Candidate, Gemini
from targets.planting import Planted

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- the same answer in other pieces


class _ElementsByLines(ArrayElements):
    """An element ends where a line is a comma or a bracket, as the API writes its arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.line = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *lines, self.line = (self.line + chunk.replace(b"\r", b"\n")).split(b"\n")
        for line in filter(None, lines):
            if line not in (b",", b"]"):
                self.element += line if self.element else line.removeprefix(b"[")
                continue
            yield bytes(self.element)
            self.element.clear()
            self.ended = line == b"]"


class SplitsTheArrayByLines(Gemini):
    def elements(self) -> ArrayElements:
        return _ElementsByLines()


class TakesThePlaceForTheIndex(Gemini):
    def place(self, place: int, entry: Json) -> int:
        return place


class TakesAnEmptyTextForTheEnd(Gemini):
    def text(self, candidate: Candidate, text: str) -> None:
        if "" not in candidate.texts:
            super().text(candidate, text)


class NeedsContentBesideTheFinishReason(Gemini):
    def parts_of(self, entry: Json) -> list[Json]:
        return list(entry["content"]["parts"])


class StopsAtTheFirstFinishReason(Gemini):
    def parts(self, candidate: Candidate, parts: list[Json]) -> None:
        if candidate.finish is None:
            super().parts(candidate, parts)


class TakesTextOrCalls(Gemini):
    """A payload with calls has no text."""

    def parts(self, candidate: Candidate, parts: list[Json]) -> None:
        calls = [part for part in parts if "functionCall" in part]
        super().parts(candidate, calls or parts)


class KeepsTheCallsOfOnePayload(Gemini):
    def parts(self, candidate: Candidate, parts: list[Json]) -> None:
        if any("functionCall" in part for part in parts):
            candidate.calls = []
        super().parts(candidate, parts)


class TrimsEachText(Gemini):
    def text(self, candidate: Candidate, text: str) -> None:
        super().text(candidate, text.strip())


class NeedsCandidates(Gemini):
    def entries(self, payload: Json) -> list[Json]:
        return list(payload["candidates"])


# -- what else the API sends


class KnowsNoArray(Gemini):
    """An array holds no event, and a stream without any is an empty answer."""

    def feed(self, chunk: bytes) -> None:
        self.seen = b"data:"
        super().feed(chunk)

    def stray(self, line: bytes) -> None:
        pass

    def has_ended(self) -> bool:
        return not self.candidates or super().has_ended()


class KnowsThreeFinishReasons(Gemini):
    def reason(self, reason: str) -> str:
        return reason if reason in ("STOP", "MAX_TOKENS", "SAFETY") else "STOP"


class PassesOverPartialArguments(Gemini):
    def streamed(self, candidate: Candidate, call: Json) -> None:
        if call.get("name"):
            candidate.calls.append({"name": call["name"], "arguments": call.get("args") or {}})


class TakesWhatIsNoTextForACall(Gemini):
    def other(self, part: Json) -> None:
        part["functionCall"]


class TakesTextForNoArguments(Gemini):
    def arguments(self, call: Json) -> Any:
        given = call.get("args")
        return given if isinstance(given, dict) else {}


class FindsCallsByTheirId(Gemini):
    def call(self, candidate: Candidate, call: Json) -> None:
        if any("id" in call and call["id"] == one for one in self.ids):
            candidate.calls.pop()
        self.ids.append(call.get("id"))
        super().call(candidate, call)

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str | None] = []


class NeedsArguments(Gemini):
    def arguments(self, call: Json) -> Any:
        given = call["args"]
        return super().arguments({"args": given})


class LooksForTheKeyOfThoughts(Gemini):
    def is_thought(self, part: Json) -> bool:
        return "thought" in part


class TakesACallOnce(Gemini):
    """A call with the same name and arguments is taken for one that was sent twice."""

    def call(self, candidate: Candidate, call: Json) -> None:
        before = list(candidate.calls)
        super().call(candidate, call)
        if candidate.calls[-1] in before:
            candidate.calls.pop()


class TakesWhatIsSignedForAThought(Gemini):
    def parts(self, candidate: Candidate, parts: list[Json]) -> None:
        super().parts(candidate, [part for part in parts if not part.get("thoughtSignature")])


class TakesThoughtsForText(Gemini):
    def is_thought(self, part: Json) -> bool:
        return False


class AddsUsageUp(Gemini):
    def count(self, usage: Json | None) -> None:
        before = self.usage or {}
        added = {key: count + before.get(key, 0) for key, count in (usage or {}).items()}
        super().count(added)


# -- broken streams


class _UnclosedElements(ArrayElements):
    def close(self) -> None:
        pass


class NeedsNoBracket(Gemini):
    """An array is over where its elements are, whatever the last of them says."""

    def elements(self) -> ArrayElements:
        return _UnclosedElements()

    def close(self) -> None:
        if self.array is not None and self.array.element.strip():
            self.payload(loads(bytes(self.array.element)))
        super().close()

    def has_ended(self) -> bool:
        return bool(self.candidates)


class TakesTextForAnEnd(Gemini):
    """Text needs no finish reason; calls do."""

    def has_ended(self) -> bool:
        without = [one for one in self.candidates.values() if one.finish is None]
        return bool(self.candidates) and not any(one.calls for one in without)


class PassesOverErrors(Gemini):
    def error(self, payload: Json) -> None:
        pass


class TakesCallsForAnEnd(Gemini):
    """Calls need no finish reason; text does."""

    def has_ended(self) -> bool:
        return bool(self.candidates) and all(one.finish or one.calls for one in self.candidates.values())


ONE = "gemini/synthetic_text_and_calls"
TWO = "gemini/synthetic_two_candidates"
ARRAY = "gemini/synthetic_json_array"

PLANTED = (
    Planted(SplitsTheArrayByLines, "gemini_array_space", ARRAY),
    Planted(
        TakesThePlaceForTheIndex,
        "gemini_candidates_apart",
        TWO,
        ("gemini_split_text", "gemini_split_parts", "gemini_finish_alone"),
        "each sends a candidate by itself whose index is not 0",
    ),
    Planted(TakesAnEmptyTextForTheEnd, "gemini_empty_text", ONE),
    Planted(NeedsContentBesideTheFinishReason, "gemini_finish_alone", ONE),
    Planted(StopsAtTheFirstFinishReason, "gemini_finish_everywhere", ONE),
    Planted(TakesTextOrCalls, "gemini_merge_payloads", ONE),
    Planted(KeepsTheCallsOfOnePayload, "gemini_split_parts", ONE),
    Planted(TrimsEachText, "gemini_split_text", ONE),
    Planted(NeedsCandidates, "gemini_usage_alone", ONE),
    Planted(KnowsNoArray, "gemini_as_array", ONE),
    Planted(KnowsThreeFinishReasons, "gemini_finish_reason", ONE),
    Planted(PassesOverPartialArguments, "gemini_streamed_arguments", ONE),
    Planted(TakesWhatIsNoTextForACall, "gemini_unknown_part", ONE),
    Planted(
        NeedsNoBracket,
        "gemini_array_cut",
        ARRAY,
        ("gemini_cut", "gemini_no_finish_reason", "truncate", "truncate_inside", "error_event"),
        "all leave an array without a finish reason",
    ),
    Planted(
        TakesTextForAnEnd,
        "gemini_cut",
        ONE,
        ("truncate", "truncate_inside", "error_event"),
        "all end the body before the finish reason",
    ),
    Planted(PassesOverErrors, "gemini_error", ONE),
    Planted(TakesCallsForAnEnd, "gemini_no_finish_reason", ONE),
    Planted(TakesTextForNoArguments, "gemini_arguments_as_text", ONE),
    Planted(FindsCallsByTheirId, "gemini_call_ids", ONE),
    Planted(NeedsArguments, "gemini_no_arguments", ONE),
    Planted(LooksForTheKeyOfThoughts, "gemini_null_fields", ONE),
    Planted(TakesACallOnce, "gemini_second_call", ONE),
    Planted(TakesWhatIsSignedForAThought, "gemini_thought_signature", ONE),
    Planted(TakesThoughtsForText, "gemini_thoughts_first", ONE),
    Planted(AddsUsageUp, "gemini_usage_running", ONE),
)
