"""Planted bugs in how the bytes, lines and blocks of chat streams are read."""

from __future__ import annotations

import re
from typing import Any

from .chat_parser import ChatParser
from .chat_state import Choice, MalformedError
from .planting import Planted

__all__ = ["PLANTED"]

_CALLS = "openai_chat/synthetic_text_then_calls"
_IDS = "openai_chat/synthetic_reasoning_with_ids"


class KeepsTheByteOrderMark(ChatParser):
    """Takes the byte order mark for the beginning of the first field's name, so that the first event is lost."""

    def without_mark(self, head: bytes) -> bytes:
        return head


class LimitsLines(ChatParser):
    """Gives up on a line of more than 64 KiB, as readers of lines do by default."""

    def line(self, line: str) -> None:
        if len(line) > 65536:
            raise MalformedError("line is too long")
        super().line(line)


class EndsLinesAtLineFeedsOnly(ChatParser):
    """Keeps the CR of a CRLF, so that no line is blank and nothing is dispatched."""

    def line_ends(self, data: bytes, start: int) -> Any:
        return re.compile(rb"\n").finditer(data, start)


class TakesTwoBlankLinesForTheEnd(ChatParser):
    """Stops where an event has no line at all."""

    empty_blocks = True

    def line(self, line: str) -> None:
        if not line and self.empty_blocks:
            self.end()
        self.empty_blocks = not line
        super().line(line)


class RefusesComments(ChatParser):
    """Expects a field in every line."""

    def comment(self, line: str) -> None:
        raise MalformedError(f"no field: {line[:20]}")


class KeepsTheLastDataLine(ChatParser):
    """Overwrites the data of a block with its next data line."""

    def joined(self, data: list[str]) -> str:
        return data[-1]


class IgnoresNamedEvents(ChatParser):
    """Reads events without a name only, and takes `message` for a name like any other."""

    def named(self, name: str, payload: Any) -> None:
        if name in ("", "error"):
            super().named(name, payload)


class TakesTheLastFieldForTheData(ChatParser):
    """Forgets the data of a block where another field follows them."""

    def other_field(self, name: str, value: str) -> None:
        self.data = []


class ReadsIdsAsNumbers(ChatParser):
    """Counts on event IDs that are numbers."""

    def other_field(self, name: str, value: str) -> None:
        if name == "id" and not value.isdigit():
            raise MalformedError(f"the event ID {value!r} is no number")


class ReadsOnAfterDone(ChatParser):
    """Takes note of [DONE] and reads what follows it."""

    def end(self) -> None:
        super().end()
        self.over = True

    def event(self, name: str, data: str) -> None:
        self.done = False
        super().event(name, data)
        self.done = self.done or hasattr(self, "over")


class KeepsTheNameOfABlockWithoutData(ChatParser):
    """Clears the event's name only where an event is dispatched."""

    def blank(self) -> None:
        name = self.name
        super().blank()
        if not self.dispatched:
            self.name = name
        self.dispatched = False

    dispatched = False

    def event(self, name: str, data: str) -> None:
        self.dispatched = True
        super().event(name, data)


class DispatchesBlocksOfRetry(ChatParser):
    """Dispatches a block that sets the reconnection time, without data that could be read."""

    control = False

    def other_field(self, name: str, value: str) -> None:
        self.control = self.control or name == "retry"

    def blank(self) -> None:
        if self.control and not self.data:
            self.named("", self.json(""))
        self.control = False
        super().blank()


class CutsTheFirstCharacterOfAValue(ChatParser):
    """Cuts one character off after the colon, a space or not."""

    def value(self, text: str) -> str:
        return text[1:]


class DispatchesWhileThereIsAnId(ChatParser):
    """Dispatches a block without data as long as a last event ID is known, and that stays for good."""

    last_id = ""

    def other_field(self, name: str, value: str) -> None:
        self.last_id = value if name == "id" else self.last_id

    def blank(self) -> None:
        if self.last_id and not self.data:
            self.named("", self.json(""))
        super().blank()


class ReadsFieldNamesInAnyCase(ChatParser):
    """Takes `Data` for `data`."""

    def field(self, name: str, value: str) -> None:
        super().field(name.lower(), value)


# -- other servers' ways


class TakesJsonInALineForTheEnd(ChatParser):
    """Takes a line that is no field but JSON for the end of the answer."""

    def other_field(self, name: str, value: str) -> None:
        if name.startswith("{"):
            self.end()


class TakesWhatIsNoJsonForText(ChatParser):
    """Appends data that are no JSON to the text."""

    def json(self, data: str) -> Any:
        try:
            return super().json(data)
        except MalformedError:
            return {"choices": [{"index": 0, "delta": {"content": data}}]}


class HandsOutCallsAtDone(ChatParser):
    """Collects tool calls and hands them out when [DONE] comes, or never."""

    def tidied(self, state: Choice) -> None:
        if not self.done:
            state.calls = []


class TakesEveryJsonForAnObject(ChatParser):
    """Asks a payload for its keys without a look at what it is."""

    def named(self, name: str, payload: Any) -> None:
        if name == "error" or self.is_error(payload):
            raise MalformedError("an error")
        self.payload(payload)


class TakesEmptyDataForTheEnd(ChatParser):
    """Takes an event without content for the last one."""

    def empty(self, data: str) -> None:
        self.end()


class NeedsChoicesInEveryEvent(ChatParser):
    """Looks for choices in whatever comes."""

    def foreign(self, payload: dict[str, Any]) -> None:
        for entry in payload["choices"]:
            self.choice(entry)


class TakesHalfAnEventForTheLast(ChatParser):
    """Drops an event that the end of the body cuts off, and takes it for the end that was due."""

    def check_end(self) -> None:
        self.done = self.done or bool(self.pending or self.data)
        super().check_end()


PLANTED = (
    Planted(KeepsTheByteOrderMark, "bom", _CALLS),
    Planted(LimitsLines, "huge_line", _CALLS),
    Planted(EndsLinesAtLineFeedsOnly, "line_ends", _CALLS),
    Planted(TakesTwoBlankLinesForTheEnd, "blank_lines", _CALLS),
    Planted(RefusesComments, "comments", _CALLS),
    Planted(KeepsTheLastDataLine, "data_lines", _CALLS),
    Planted(IgnoresNamedEvents, "event_message", _CALLS),
    Planted(TakesTheLastFieldForTheData, "field_order", _IDS),
    Planted(ReadsIdsAsNumbers, "id_fields", _CALLS),
    Planted(ReadsOnAfterDone, "junk_after_done", _CALLS),
    Planted(KeepsTheNameOfABlockWithoutData, "nameless_blocks", _CALLS),
    Planted(DispatchesBlocksOfRetry, "retry_block", _CALLS),
    Planted(CutsTheFirstCharacterOfAValue, "space_after_colon", _CALLS),
    Planted(DispatchesWhileThereIsAnId, "sticky_id", _CALLS),
    Planted(ReadsFieldNamesInAnyCase, "unknown_sse_fields", _CALLS),
    Planted(TakesJsonInALineForTheEnd, "bare_error", _CALLS),
    Planted(TakesWhatIsNoJsonForText, "comment_as_data", _CALLS),
    Planted(HandsOutCallsAtDone, "done_absent", _CALLS),
    Planted(TakesEveryJsonForAnObject, "done_spelling", _CALLS),
    Planted(TakesEmptyDataForTheEnd, "empty_data", _CALLS),
    Planted(NeedsChoicesInEveryEvent, "foreign_events", _CALLS),
    Planted(TakesHalfAnEventForTheLast, "unterminated_last_event", _CALLS),
)
