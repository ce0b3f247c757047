"""Planted bugs of Ollama, one for each of its mutations."""

from __future__ import annotations

import re
from typing import Any

from targets.frames import Json
from targets.ollama import Ollama
from targets.planting import Planted

# -- the same answer in other lines


class LooksForTheKeyOfCalls(Ollama):
    def message(self, message: Json, *, last: bool) -> None:
        self.text(message.get("content") or "")
        if "tool_calls" in message:
            self.take_calls(message["tool_calls"])


class KeepsTheCallsOfOneLine(Ollama):
    def take_calls(self, calls: list[Json]) -> None:
        if calls:
            self.calls = []
        super().take_calls(calls)


class TakesTheLastLineForCountsAlone(Ollama):
    def message(self, message: Json, *, last: bool) -> None:
        if not last:
            super().message(message, last=last)


class TakesOneCallALine(Ollama):
    def take_calls(self, calls: list[Json]) -> None:
        super().take_calls(calls[:1])


class TakesAnEmptyLineForTheEndOfTheText(Ollama):
    def __init__(self) -> None:
        super().__init__()
        self.silent = False

    def text(self, text: str) -> None:
        self.silent = self.silent or not text
        if not self.silent:
            super().text(text)


class TakesOneTokenALine(Ollama):
    def text(self, text: str) -> None:
        found = re.match(r"\s*\S*", text)
        super().text(found[0] if found else "")


class PutsBlanksBetweenTheTextsOfLines(Ollama):
    def text(self, text: str) -> None:
        blank = " " if self.content and text and not text.startswith(" ") else ""
        super().text(blank + text)


# -- what other servers send


class TakesTextForNoArguments(Ollama):
    def arguments(self, given: Any) -> Any:
        return given if isinstance(given, dict) else {}


class NeedsCounts(Ollama):
    def end(self, line: Json) -> None:
        super().end(line)
        self.tokens = line["prompt_eval_count"] + line["eval_count"]


class FindsCallsByTheirIndex(Ollama):
    def call(self, function: Json) -> None:
        place = function.get("index", 0)
        del self.calls[place:]
        super().call(function)


class TakesDoneForStop(Ollama):
    def finish_reason(self) -> str | None:
        return "stop"


class NeedsArguments(Ollama):
    def call(self, function: Json) -> None:
        super().call({**function, "arguments": function["arguments"]})


class TakesTheCallsOfTheFirstLine(Ollama):
    def take_calls(self, calls: list[Json]) -> None:
        if not self.calls:
            super().take_calls(calls)


class TakesThinkingForText(Ollama):
    def message(self, message: Json, *, last: bool) -> None:
        self.text(message.get("thinking") or "")
        super().message(message, last=last)


class SplitsLinesOfText(Ollama):
    def take(self, raw: bytes) -> None:
        for line in raw.decode("utf-8", "replace").splitlines():
            super().take(line.encode())


# -- broken streams


class TakesCallsForAnEnd(Ollama):
    def has_ended(self) -> bool:
        return super().has_ended() or bool(self.calls)


class TakesAnErrorForTheLastLine(Ollama):
    def error(self, line: Json) -> None:
        if line.get("done"):
            self.end(line)


class GoesOnAfterTheLastLine(Ollama):
    def late(self, line: Json) -> None:
        pass


class TakesCountsForTheEnd(Ollama):
    def line(self, line: Json) -> None:
        super().line(line)
        if "eval_count" in line:
            self.end(line)


ONE = "ollama/synthetic_text_and_calls"
TWO = "ollama/synthetic_thinking_and_calls"

PLANTED = (
    Planted(LooksForTheKeyOfCalls, "ollama_null_fields", ONE),
    Planted(KeepsTheCallsOfOneLine, "ollama_calls_apart", ONE),
    Planted(TakesTheLastLineForCountsAlone, "ollama_calls_in_last_line", ONE),
    Planted(TakesOneCallALine, "ollama_calls_together", TWO),
    Planted(TakesAnEmptyLineForTheEndOfTheText, "ollama_empty_line", ONE),
    Planted(
        TakesOneTokenALine,
        "ollama_merge_lines",
        ONE,
        ("framing_in_deltas", "separators_in_deltas"),
        "each sends a line with more than one word",
    ),
    Planted(PutsBlanksBetweenTheTextsOfLines, "ollama_split_text", ONE),
    Planted(TakesTextForNoArguments, "ollama_arguments_as_text", ONE),
    Planted(NeedsCounts, "ollama_no_counts", ONE),
    Planted(
        FindsCallsByTheirIndex,
        "ollama_one_index",
        ONE,
        ("ollama_second_call",),
        "both send two calls with one index",
    ),
    Planted(TakesDoneForStop, "ollama_done_reason", ONE),
    Planted(
        TakesCallsForAnEnd,
        "ollama_cut",
        ONE,
        ("truncate", "ollama_never_done"),
        "all end without done: true, after whole calls",
    ),
    Planted(TakesAnErrorForTheLastLine, "ollama_error_line", ONE),
    Planted(GoesOnAfterTheLastLine, "ollama_line_after_done", ONE),
    Planted(TakesCountsForTheEnd, "ollama_never_done", ONE),
    Planted(NeedsArguments, "ollama_no_arguments", ONE),
    Planted(
        TakesTheCallsOfTheFirstLine,
        "ollama_second_call",
        ONE,
        ("ollama_calls_apart",),
        "both send a call in a line after that of another",
    ),
    Planted(TakesThinkingForText, "ollama_thinking_first", ONE),
    Planted(SplitsLinesOfText, "separators_in_deltas", ONE),
)
