"""Mutations of Ollama's lines: text and calls in other pieces, its end told otherwise, its errors.

Source: Ollama's API reference (docs/api.md, docs/api/errors.mdx, docs/api/streaming.mdx) and the reports named in each
entry. What can be done to any stream of lines (line ends, blank lines, cuts) is in the catalogue for all dialects.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from streamkit.dialects.payloads import compact
from streamkit.mutations.expected import first_choice, need
from streamkit.mutations.registry import Choose, Class, Edit, Inapplicable, Layer, mutation

if TYPE_CHECKING:
    from streamkit.completion import Choice
    from streamkit.mutations.stream import Stream

__all__: list[str] = []  # the catalogue finds the entries by their class

_API = "docs.ollama.com/api: chat, generate"
_ERRORS = "docs.ollama.com/api/errors: errors that occur while streaming"
_ONLY = ("ollama",)
_COUNTS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


def _lines(stream: Stream) -> list[tuple[int, dict[str, Any]]]:
    """Return the lines of an answer, to be changed."""
    found = [(n, copy.deepcopy(line)) for n, line in stream.payloads if isinstance(line.get("done"), bool)]
    return need(found, "line of an answer")


def _last(stream: Stream) -> tuple[int, dict[str, Any]]:
    found = [(number, line) for number, line in _lines(stream) if line["done"]]
    number, line = need(found, "line with done: true")[-1]
    return number, line


def _texts(line: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return where a line holds text: (object, key)."""
    message = line.get("message") if isinstance(line.get("message"), dict) else {}
    places = [(message, "content"), (message, "thinking"), (line, "response"), (line, "thinking")]
    return [(where, key) for where, key in places if isinstance(where, dict) and isinstance(where.get(key), str)]


def _calls(line: dict[str, Any]) -> list[dict[str, Any]]:
    message = line.get("message")
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    return calls if isinstance(calls, list) and all(isinstance(one, dict) for one in calls) else []


def _with_calls(line: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a line that says what another does, with other calls."""
    return {**line, "message": {**line["message"], "tool_calls": calls}}


def _quiet(line: dict[str, Any], *, calls: bool = False) -> dict[str, Any]:
    """Return a line of the same kind that says nothing; or nothing but its calls."""
    made: dict[str, Any] = {
        key: line[key] for key in ("model", "created_at", "message", "response", "done") if key in line
    }
    made["done"] = False
    if "response" in made:
        made["response"] = ""
    if isinstance(made.get("message"), dict):
        message = {key: made["message"][key] for key in ("role", "content") if key in made["message"]}
        made["message"] = {**message, "content": ""} if "content" in message else message
        if calls:
            made["message"]["tool_calls"] = _calls(line)
    return made


def _put(stream: Stream, number: int, *lines: dict[str, Any]) -> Stream:
    return stream.replaced(number, *(stream.payload_event(line) for line in lines))


# The same answer, in other pieces


@mutation(
    "ollama_split_text", Class.PRESERVING, Layer.DELTA, "splits a line's text in two lines",
    right="joins the text", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def split_text(stream: Stream, choose: Choose) -> Edit:
    """Split content, thinking or response after any character; all else stays with the second half."""
    places = [
        (number, line, where, key)
        for number, line in _lines(stream)
        for where, key in _texts(line)
        if len(where[key]) > 1 and sum(bool(one[name]) for one, name in _texts(line)) == 1
    ]
    number, line, where, key = choose.of(need(places, "text of two characters by itself"))
    cut = 1 + choose(len(where[key]) - 1)
    first = _quiet(line)
    (first if where is line else first["message"])[key] = where[key][:cut]
    where[key] = where[key][cut:]
    return Edit(_put(stream, number, first, line), f"line {number} cut", (number,), (number, number + 1))


@mutation(
    "ollama_merge_lines", Class.PRESERVING, Layer.DELTA, "joins the text of two lines in one",
    right="takes what a line holds, however much", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def merge_lines(stream: Stream, choose: Choose) -> Edit:
    """Join two neighbours with text of the same kind and nothing else."""
    lines = _lines(stream)

    def plain(line: dict[str, Any]) -> bool:
        message = line.get("message")
        return not line["done"] and not _calls(line) and line.keys() <= {
            "model", "created_at", "message", "response", "thinking", "done",
        } and (not isinstance(message, dict) or message.keys() <= {"role", "content", "thinking"})  # fmt: skip

    pairs = [
        (one, first, two, second)
        for (one, first), (two, second) in pairwise(lines)
        if two == one + 1
        and plain(first)
        and plain(second)
        and [key for _, key in _texts(first)] == [key for _, key in _texts(second)]
    ]
    one, first, two, second = choose.of(need(pairs, "two lines that can be joined"))
    for (here, key), (there, _) in zip(_texts(first), _texts(second), strict=True):
        here[key] += there[key]
    return Edit(_put(stream.replaced(two), one, first), f"lines {one} and {two} in one", (one, two), (one,))


@mutation(
    "ollama_empty_line", Class.PRESERVING, Layer.DELTA, "sends a line with empty content",
    right="adds nothing", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def empty_line(stream: Stream, choose: Choose) -> Edit:
    """Send a line that says nothing before any line with text of its own."""
    places = [
        (number, line)
        for number, line in _lines(stream)
        if any(key in ("content", "response") for _, key in _texts(line))
    ]
    number, line = choose.of(need(places, "line with content"))
    return Edit(stream.inserted(number, stream.payload_event(_quiet(line))), "an empty line", (), (number,))


@mutation(
    "ollama_null_fields", Class.DIALECT, Layer.JSON, "sends fields that are null",
    right="takes null for absent", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def null_fields(stream: Stream, choose: Choose) -> Edit:
    """Send null for fields that are absent, and for one that nobody knows."""
    del choose
    _lines(stream)

    def nulls(line: dict[str, Any]) -> dict[str, Any]:
        for key in ("done_reason", "context", "logprobs", "error", "a_new_field"):
            line.setdefault(key, None)
        if isinstance(line.get("message"), dict):
            for key in ("thinking", "tool_calls", "images"):
                line["message"].setdefault(key, None)
        return line

    return Edit(stream.mapped(nulls), "fields that are null")


@mutation(
    "ollama_calls_apart", Class.PRESERVING, Layer.DELTA, "sends the calls of a line in lines of their own",
    right="collects the calls of all lines", sources=["ollama/ollama#11633"], dialects=_ONLY,
)  # fmt: skip
def calls_apart(stream: Stream, choose: Choose) -> Edit:
    """Send each call by itself."""
    places = [(number, line) for number, line in _lines(stream) if len(_calls(line)) > 1]
    number, line = choose.of(need(places, "line with two calls"))
    *before, last = _calls(line)
    made = [_with_calls(_quiet(line), [call]) for call in before]
    return Edit(_put(stream, number, *made, _with_calls(line, [last])), f"the calls of line {number} apart", (number,))


@mutation(
    "ollama_calls_together", Class.PRESERVING, Layer.DELTA, "sends the calls of two lines in one",
    right="takes each entry for a call", sources=["ollama/ollama#11633"], dialects=_ONLY,
)  # fmt: skip
def calls_together(stream: Stream, choose: Choose) -> Edit:
    """Join the calls of two neighbours that bring calls."""
    lines = _lines(stream)
    pairs = [
        (one, first, two, second)
        for (one, first), (two, second) in pairwise(lines)
        if two == one + 1
        and _calls(first)
        and _calls(second)
        and not any(where[key] for where, key in _texts(first))
        and first.keys() <= {"model", "created_at", "message", "done"}
        and first["message"].keys() <= {"role", "content", "thinking", "tool_calls"}
    ]
    one, first, two, second = choose.of(need(pairs, "two lines with calls, one after the other"))
    made = _with_calls(second, [*_calls(first), *_calls(second)])
    made.update({key: first[key] for key in ("created_at",) if key in first})
    return Edit(
        _put(stream.replaced(one), one, made), f"the calls of lines {one} and {two} together", (one, two), (one,)
    )


@mutation(
    "ollama_calls_in_last_line", Class.PRESERVING, Layer.DELTA, "sends a call in the line with done: true",
    right="takes what the last line holds before it stops",
    sources=["QuantumNous/new-api#7252", "jagreehal/ai-sdk-ollama#391"], dialects=_ONLY,
)  # fmt: skip
def calls_in_last_line(stream: Stream, choose: Choose) -> Edit:
    """Move the calls of the line before the last into the last."""
    del choose
    number, last = _last(stream)
    before = dict(_lines(stream)).get(number - 1)
    if before is None or not _calls(before) or _calls(last) or not isinstance(last.get("message"), dict):
        raise Inapplicable("the line before the last brings no calls")
    calls = _calls(before)
    del before["message"]["tool_calls"]
    made = _put(_put(stream, number, _with_calls(last, calls)), number - 1, before)
    return Edit(made, "calls in the last line", (number - 1, number), (number - 1, number))


# Other servers


@mutation(
    "ollama_arguments_as_text", Class.DIALECT, Layer.JSON, "sends a call's arguments as JSON text",
    right="takes the text as the arguments", sources=["ollama/ollama-python#484", "BerriAI/litellm#24095"],
    dialects=_ONLY,
)  # fmt: skip
def arguments_as_text(stream: Stream, choose: Choose) -> Edit:
    """Send the arguments of all calls as text, as OpenAI does."""
    del choose
    need([line for _, line in _lines(stream) if _calls(line)], "call")

    def as_text(line: dict[str, Any]) -> dict[str, Any] | None:
        for call in _calls(line):
            function = call.get("function")
            if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
                function["arguments"] = compact(function["arguments"])
        return line if _calls(line) else None

    return Edit(stream.mapped(as_text), "arguments as text")


@mutation(
    "ollama_one_index", Class.DIALECT, Layer.JSON, "sends all calls with index 0, or without one",
    right="takes each entry for a call of its own", sources=["ollama/ollama#15457", "ollama/ollama#7881"],
    dialects=_ONLY,
)  # fmt: skip
def one_index(stream: Stream, choose: Choose) -> Edit:
    """Give all calls index 0, or take their indexes away."""
    need([line for _, line in _lines(stream) if _calls(line)], "call")
    index = choose.of([0, None])

    def indexed(line: dict[str, Any]) -> dict[str, Any] | None:
        for call in _calls(line):
            function = call.get("function")
            if isinstance(function, dict):
                function.pop("index", None)
                function.update({} if index is None else {"index": index})
        return line if _calls(line) else None

    def expected(choice: Choice) -> Choice:
        return replace(choice, tool_calls=tuple(replace(call, index=index) for call in choice.tool_calls))

    return Edit(stream.mapped(indexed), f"all calls with index {index}", expected=first_choice(expected))


@mutation(
    "ollama_done_reason", Class.DIALECT, Layer.DELTA, "ends with another done_reason, or none",
    right="hands on the reason, and runs no call of an answer that was cut off", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def done_reason(stream: Stream, choose: Choose) -> Edit:
    """End with no reason, with that of other servers, with the length limit, or with something new."""
    number, line = _last(stream)
    if line.get("done_reason") not in (None, "stop"):
        raise Inapplicable("it does not end with stop")
    if any(other.get("done_reason") for at, other in _lines(stream) if at != number):
        raise Inapplicable("another line has a done_reason too")
    reason = choose.of([None, "length", "tool_calls", "load", "a_new_reason"])
    line.pop("done_reason", None)
    line.update({} if reason is None else {"done_reason": reason})
    problem = f"the answer did not end by itself (done_reason {reason})"

    def expected(choice: Choice) -> Choice:
        calls = choice.tool_calls
        if reason not in (None, "tool_calls"):
            calls = tuple(replace(call, problem=problem) for call in calls)
        return replace(choice, finish_reason=reason, tool_calls=calls)

    return Edit(_put(stream, number, line), f"done_reason {reason}", (number,), (number,), first_choice(expected))


@mutation(
    "ollama_no_counts", Class.DIALECT, Layer.JSON, "leaves out the counts",
    right="does without", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def no_counts(stream: Stream, choose: Choose) -> Edit:
    """Leave out all counts and durations of the last line."""
    del choose
    number, line = _last(stream)
    made = {key: value for key, value in line.items() if key not in _COUNTS}
    return Edit(_put(stream, number, made), "no counts", (number,), (number,), lambda one: replace(one, usage=None))


# Faults


@mutation(
    "ollama_error_line", Class.FAULT, Layer.DELTA, "reports an error in a line",
    right="raises it", sources=[_ERRORS], dialects=_ONLY,
)  # fmt: skip
def error_line(stream: Stream, choose: Choose) -> Edit:
    """Report an error before the last line, or before any other."""
    number, _ = _last(stream)
    place = number - choose(number + 1)
    with_status = choose.of([{}, {"status": 500}, {"done": True}])
    event = stream.payload_event({"error": "an error was encountered while running the model", **with_status})
    made = stream.inserted(place, event)
    return Edit(made.cut(place + 1), "an error", (), (place,))


@mutation(
    "ollama_cut", Class.FAULT, Layer.DELTA, "ends after a line, before the one with done: true",
    right="says that the answer was cut off", sources=["docs.ollama.com/api/streaming"], dialects=_ONLY,
)  # fmt: skip
def cut(stream: Stream, choose: Choose) -> Edit:
    """Stop before the last line, or before any other."""
    number, _ = _last(stream)
    place = number - choose(number + 1)
    return Edit(stream.cut(place), f"cut before line {place}", (place,))


@mutation(
    "ollama_never_done", Class.FAULT, Layer.DELTA, "never says done: true",
    right="says that the answer was cut off", sources=["docs.ollama.com/api/streaming"], dialects=_ONLY,
)  # fmt: skip
def never_done(stream: Stream, choose: Choose) -> Edit:
    """Say done: false in the last line, or leave it out."""
    number, line = _last(stream)
    value = choose.of([False, None])
    made = {key: value if key == "done" else item for key, item in line.items() if key != "done" or value is False}
    return Edit(_put(stream, number, made), "never done", (number,), (number,))


@mutation(
    "ollama_line_after_done", Class.DIALECT, Layer.DELTA, "sends more text after done: true",
    right="says that it belongs to no answer, or has stopped reading", sources=[_API], dialects=_ONLY,
)  # fmt: skip
def line_after_done(stream: Stream, choose: Choose) -> Edit:
    """Send a line of text, or the last line again, after the last line."""
    number, line = _last(stream)
    more = _quiet(line)
    if "response" in more:
        more["response"] = " and more"
    else:
        more["message"] = {"role": "assistant", "content": " and more"}
    event = stream.payload_event(choose.of([more, line]))
    return Edit(stream.inserted(number + 1, event), "more after the last line", (), (number + 1,))
