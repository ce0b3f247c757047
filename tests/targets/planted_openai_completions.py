"""Planted bugs of legacy completions, one for each of its mutations."""

from __future__ import annotations

from targets.frames import Json
from targets.openai_completions import Completions
from targets.planting import Planted


class NeedsTheKeyOfTheFinishReason(Completions):
    def take_finish(self, index: int, choice: Json) -> None:
        if choice["finish_reason"]:
            super().take_finish(index, choice)


class EndsAllChoicesWithTheFirst(Completions):
    """Text of any choice is dropped once one of them has finished."""

    def __init__(self) -> None:
        super().__init__()
        self.over = False

    def payload(self, name: str, payload: Json) -> None:
        self.over = bool(self.finishes)
        super().payload(name, payload)

    def text(self, index: int, text: str) -> None:
        if not self.over:
            super().text(index, text)


class TakesTheFirstEntryOfChoices(Completions):
    def choices(self, payload: Json) -> list[Json]:
        return super().choices(payload)[:1]


class DropsTheTextBesideAFinishReason(Completions):
    def choice(self, choice: Json) -> None:
        super().choice({**choice, "text": ""} if choice.get("finish_reason") else choice)


class TrimsEachDelta(Completions):
    def text(self, index: int, text: str) -> None:
        super().text(index, text.strip())


class LooksForUsageInAPayloadOfItsOwn(Completions):
    def count(self, payload: Json) -> None:
        if not payload.get("choices"):
            super().count(payload)


class KnowsTwoFinishReasons(Completions):
    def reason(self, reason: str) -> str:
        return reason if reason in ("stop", "length") else "stop"


class TakesTextForAnEnd(Completions):
    def has_ended(self) -> bool:
        return bool(self.texts)


class PassesOverErrors(Completions):
    def error(self, payload: Json) -> None:
        pass


class NeedsAChoice(Completions):
    def choices(self, payload: Json) -> list[Json]:
        first, *others = super().choices(payload)
        return [first, *others]


class KeepsTheFirstFinishReason(Completions):
    """Any that is not null; an empty one, too."""

    def take_finish(self, index: int, choice: Json) -> None:
        if choice.get("finish_reason") is not None:
            self.finishes.setdefault(index, choice["finish_reason"])


class TakesDoneForStop(Completions):
    def close(self) -> None:
        if self.done:
            self.finishes = {**dict.fromkeys(self.texts, "stop"), **self.finishes}
        super().close()


class AddsUsageUp(Completions):
    def count(self, payload: Json) -> None:
        before = self.usage or {}
        usage = payload.get("usage") or {}
        self.usage = {key: count + before.get(key, 0) for key, count in usage.items()} or self.usage


class LeavesHalvesApart(Completions):
    def whole(self, text: str) -> str:
        return text


ONE = "openai_completions/synthetic_text"
TWO = "openai_completions/synthetic_two_choices"

PLANTED = (
    Planted(NeedsTheKeyOfTheFinishReason, "completions_null_fields", ONE),
    Planted(EndsAllChoicesWithTheFirst, "completions_choices_in_turn", TWO),
    Planted(TakesTheFirstEntryOfChoices, "completions_choices_together", TWO),
    Planted(DropsTheTextBesideAFinishReason, "completions_merge", ONE),
    Planted(TrimsEachDelta, "completions_split_text", ONE),
    Planted(LooksForUsageInAPayloadOfItsOwn, "completions_usage_elsewhere", ONE),
    Planted(KnowsTwoFinishReasons, "completions_finish_reason", ONE),
    Planted(
        TakesTextForAnEnd,
        "completions_cut",
        ONE,
        ("truncate", "truncate_inside", "error_event", "done_absent"),
        "all end the body before the finish reason",
    ),
    Planted(PassesOverErrors, "completions_error", ONE),
    Planted(NeedsAChoice, "completions_usage_added", TWO),
    Planted(KeepsTheFirstFinishReason, "completions_empty_payloads", ONE),
    Planted(TakesDoneForStop, "completions_no_finish_reason", ONE),
    Planted(AddsUsageUp, "completions_usage_running", ONE),
    Planted(LeavesHalvesApart, "surrogate_halves_in_deltas", ONE),
)
