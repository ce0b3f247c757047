"""What a transcript has, computed from its bytes: the features by which `streamkit.library` finds one."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from streamkit import dialects
from streamkit.cassettes.encoding import decoded
from streamkit.errors import DialectError, ProviderError, StreamkitError, TruncatedStreamError
from streamkit.transcript import Ending
from streamkit.wire import eventstream

if TYPE_CHECKING:
    from streamkit.completion import Completion
    from streamkit.dialects import Dialect
    from streamkit.transcript import Transcript

__all__ = ["FEATURES", "features", "spoken"]

#: Every feature, and when a transcript has it.
FEATURES = {
    "text": "the answer has text",
    "tool_calls": "the answer has a tool call",
    "parallel": "a choice has more than one tool call",
    "legacy": "the answer has a function_call, as chat had before tools",
    "reasoning": "the answer has reasoning",
    "choices": "there is more than one choice",
    "logprobs": "the answer has log probabilities",
    "usage": "the stream tells the usage",
    "utf8": "the body holds characters beyond ASCII as they are",
    "escapes": "the body holds characters beyond ASCII as JSON escapes",
    "crlf": "lines end with CRLF",
    "cr": "lines end with CR alone",
    "mixed": "lines end in more than one way",
    "pings": "there are comments, or events named ping",
    "ids": "events have ids",
    "retry": "a field names the time to reconnect",
    "multiline": "the data of an event stand in several lines",
    "no_done": "an OpenAI-like stream has no [DONE]",
    "length": "a limit of length ended the answer",
    "error": "the stream tells an error of the server",
    "truncated": "the stream is over before the answer is",
    "invalid": "an event is no payload of its dialect",
    "broken_off": "the connection did not end as HTTP has it: cut off, reset or timed out",
    "client_closed": "the recording client stopped reading",
    "status": "the status is not 200",
    "empty": "the body is empty",
}

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BROKEN_OFF = {Ending.INCOMPLETE, Ending.RESET, Ending.TIMEOUT}
_LENGTH = {"length", "max_tokens", "max_output_tokens", "MAX_TOKENS", "incomplete"}
_WITH_DONE = {"openai_chat", "openai_completions"}


def features(transcript: Transcript) -> frozenset[str]:
    """Return the names of the features that a transcript has; `FEATURES` says what they mean.

    Args:
        transcript: one whose body may be stored compressed.
    """
    try:
        transcript = decoded(transcript)
    except StreamkitError:
        return frozenset(_of_ending(transcript))
    dialect = spoken(transcript)
    found = _of_ending(transcript) | _of_bytes(transcript.body) | _of_text(transcript.body)
    return frozenset(found if dialect is None else found | _of_answer(transcript.body, dialect))


def spoken(transcript: Transcript) -> Dialect | None:
    """Return the dialect of a transcript; None also for an error of HTTP, which stands in the place of a stream."""
    if transcript.dialect is None and transcript.head.status >= 400:
        return None
    return dialects.detect(transcript)


def _of_ending(transcript: Transcript) -> set[str]:
    found = {
        "broken_off": transcript.ending in _BROKEN_OFF,
        "client_closed": transcript.ending is Ending.CLIENT_CLOSED,
        "status": transcript.head.status != 200,
        "empty": not transcript.body,
    }
    return {name for name, has in found.items() if has}


def _of_bytes(body: bytes) -> set[str]:
    ends = set(_LINE_END.findall(body))
    lines = _LINE_END.split(body)
    follows = any(a.startswith(b"data:") and b.startswith(b"data:") for a, b in pairwise(lines))
    events = any(line.startswith((b"data:", b"event:")) for line in lines)  # else the rest of it is another framing
    framing = {
        "crlf": b"\r\n" in ends,
        "cr": b"\r" in ends,
        "mixed": len(ends) > 1,
        "pings": any(line.startswith(b":") or re.fullmatch(rb"event: ?ping", line) for line in lines),
        "ids": any(line.startswith(b"id:") for line in lines),
        "retry": any(line.startswith(b"retry:") for line in lines),
        "multiline": follows,
    }
    return {name for name, has in framing.items() if has and events}


def _of_text(body: bytes) -> set[str]:
    messages = eventstream.split(body)[0]  # of AWS's binary framing, the payloads are text
    text = b"".join(one.payload for raw in messages for one in eventstream.decode(raw)) if messages else body
    found = {
        "utf8": not text.isascii(),
        "escapes": re.search(rb"(?<!\\)(?:\\\\)*\\u(?!00[0-7])[0-9a-fA-F]{4}", text) is not None,
    }
    return {name for name, has in found.items() if has}


def _of_answer(body: bytes, dialect: Dialect) -> set[str]:
    reader = dialect.reader()
    found: set[str] = set()
    try:
        reader.feed(body)
        reader.close()
        completion = reader.result()
    except DialectError as problem:
        kinds = {ProviderError: "error", TruncatedStreamError: "truncated"}
        found.add(next((name for kind, name in kinds.items() if isinstance(problem, kind)), "invalid"))
        completion = problem.partial if problem.partial is not None else reader.snapshot()
    if dialect.name in _WITH_DONE and not re.search(rb"(?m)^data: ?\[DONE\]", body.replace(b"\r", b"\n")):
        found.add("no_done")
    return found | _of_completion(completion)


def _of_completion(completion: Completion) -> set[str]:
    choices = completion.choices
    found = {
        "text": any(choice.content for choice in choices),
        "tool_calls": any(choice.tool_calls for choice in choices),
        "parallel": any(len(choice.tool_calls) > 1 for choice in choices),
        "legacy": any(choice.function_call is not None for choice in choices),
        "reasoning": any(choice.reasoning for choice in choices),
        "choices": len(choices) > 1,
        "logprobs": any(choice.logprobs for choice in choices),
        "usage": bool(completion.usage),
        "length": any(choice.finish_reason in _LENGTH for choice in choices),
    }
    return {name for name, has in found.items() if has}
