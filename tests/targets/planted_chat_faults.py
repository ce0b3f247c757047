"""Planted bugs of parsers that do not notice a broken stream: what they give looks whole, and its calls executable."""

from __future__ import annotations

from typing import Any

from .chat_parser import ChatParser
from .chat_state import Call, Choice, MalformedError
from .planting import Planted

__all__ = ["PLANTED"]

_CALLS = "openai_chat/synthetic_text_then_calls"
_TEXT = "openai_chat/synthetic_reasoning_with_ids"


class DropsBytesThatAreNoUtf8(ChatParser):
    """Leaves out what it cannot decode."""

    def decoded(self, line: bytes) -> str:
        return line.decode("utf-8", "ignore")


class TakesNothingForAnEmptyAnswer(ChatParser):
    """Gives an empty answer where no payload came."""

    def check_end(self) -> None:
        if self.payloads:
            super().check_end()


class TakesHalfALineForTheEnd(ChatParser):
    """Drops an unfinished line at the end of the body, and asks for nothing more."""

    def check_end(self) -> None:
        if not self.pending:
            super().check_end()


class LogsEventsNamedError(ChatParser):
    """Logs an event named error and goes on."""

    def named(self, name: str, payload: Any) -> None:
        if name != "error":
            super().named(name, payload)

    def is_error(self, payload: dict[str, Any]) -> bool:
        return "error" in payload and super().is_error(payload)


class TakesACleanEndForTheEnd(ChatParser):
    """Asks for no finish reason: the body is over, so the answer is."""

    def check_end(self) -> None:
        """Ask for nothing."""


class SkipsWhatIsNoJson(ChatParser):
    """Logs an event that it cannot read and goes on."""

    def json(self, data: str) -> Any:
        try:
            return super().json(data)
        except MalformedError:
            return {}


class DropsArgumentsWithoutACall(ChatParser):
    """Ignores arguments for a call that it does not know."""

    def find(self, state: Choice, entry: dict[str, Any], name: str, arguments: str) -> Call | None:
        known = self.at(state, entry.get("index")) is not None
        return super().find(state, entry, name, arguments) if known or name or entry.get("id") else None


class AsksCallsForAnEndOnly(ChatParser):
    """Takes text for whole, however it ends; only tool calls must have a finish reason."""

    def check_end(self) -> None:
        if any(state.calls for state in self.choices.values()):
            super().check_end()


class TakesAnOpenerForACallWithoutArguments(ChatParser):
    """Takes a call that has no arguments for one that needs none."""

    def check_end(self) -> None:
        latest = [state.latest for state in self.choices.values()]
        if any(call is None or call.arguments for call in latest):
            super().check_end()


class HandsOutCallsOnceTheyParse(ChatParser):
    """Takes a call for whole as soon as its arguments parse, and all of them with it."""

    def check_end(self) -> None:
        latest = [state.latest for state in self.choices.values()]
        if not latest or any(call is None or not self.whole(call) for call in latest):
            super().check_end()


class ClosesCutArguments(ChatParser):
    """Closes strings and braces that arguments left open, and takes the call for whole."""

    def check_end(self) -> None:
        for state in self.choices.values():
            if state.latest is not None and state.latest.arguments:
                self.close_arguments(state.latest)
                state.finish = state.finish or "tool_calls"
        super().check_end()

    def close_arguments(self, call: Call) -> None:
        for end in ("", "}", '"}', '":null}', ":null}", "null}", "]}"):
            closed = Call(call.index, arguments=call.arguments + end)
            if self.whole(closed):
                call.arguments = closed.arguments
                return


class KnowsOneFormOfError(ChatParser):
    """Knows an error by an object named error at the top of a payload."""

    def is_error(self, payload: dict[str, Any]) -> bool:
        return isinstance(payload.get("error"), dict)


class TakesLengthForAnEnd(ChatParser):
    """Takes any finish reason for the end of a whole answer."""

    def tidied(self, state: Choice) -> None:
        state.finish = "stop" if state.finish == "length" else state.finish


class ExecutesBothAttempts(ClosesCutArguments):
    """Takes a call that begins again for another call, and closes the arguments of the first attempt."""

    def by_id(self, state: Choice, identity: str) -> Call | None:
        return None

    def check_end(self) -> None:
        if any(state.finish for state in self.choices.values()):
            for call in (call for state in self.choices.values() for call in state.calls):
                self.close_arguments(call)
            self.done = True
        ChatParser.check_end(self)


PLANTED = (
    Planted(DropsBytesThatAreNoUtf8, "bad_utf8", _CALLS),
    Planted(TakesNothingForAnEmptyAnswer, "not_a_stream", _CALLS),
    Planted(TakesHalfALineForTheEnd, "truncate_inside", _CALLS),
    Planted(LogsEventsNamedError, "error_event", _CALLS),
    Planted(TakesACleanEndForTheEnd, "truncate", _CALLS),
    Planted(SkipsWhatIsNoJson, "broken_json", _CALLS),
    Planted(DropsArgumentsWithoutACall, "arguments_astray", _CALLS),
    Planted(AsksCallsForAnEndOnly, "bare_eof", _TEXT),
    Planted(TakesAnOpenerForACallWithoutArguments, "cut_after_opener", _CALLS),
    Planted(HandsOutCallsOnceTheyParse, "cut_between_calls", _CALLS),
    Planted(ClosesCutArguments, "cut_in_arguments", _CALLS),
    Planted(KnowsOneFormOfError, "error_envelope", _CALLS),
    Planted(TakesLengthForAnEnd, "length_mid_args", _CALLS),
    Planted(ExecutesBothAttempts, "retry_replay", _CALLS),
)
