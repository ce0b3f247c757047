"""Mutations of the framing: the same events, written in another way that the standard allows.

Source of the rules: WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream"; for JSON
texts one a line, the ndjson specification. Where an edit can be seen in the events themselves (another id, line feeds
in the data), its `shows` says so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from streamkit.mutations.registry import Class, Edit, Inapplicable, Layer, mutation
from streamkit.wire.sse import BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Event, Stream

__all__ = [
    "blank_lines",
    "bom",
    "data_lines",
    "event_message",
    "field_order",
    "huge_line",
    "id_fields",
    "line_ends",
    "space_after_colon",
    "sse_events",
    "unknown_sse_fields",
    "with_lines",
]

_LINE = re.compile(rb"(?<![^\r\n])([^\r\n]*)(\r\n|\n|\r)")  # from a line's beginning only: else it takes a square
_KNOWN_FIELD = re.compile(rb"(data|event|id|retry):( ?)(.*)", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)
_SIZES = (70_000, 140_000, 1_100_000)  # beyond line limits that readers have: 64 KiB, 128 KiB and 1 MiB

_Lines = list[tuple[bytes, bytes]]  # each with its end


def sse_events(stream: Stream) -> list[int]:
    """Return the numbers of the events that are dispatched.

    Raises:
        Inapplicable: the stream is none of server-sent events.
    """
    found = [number for number, event in enumerate(stream.events) if event.data is not None]
    if stream.manner.wire != "sse" or not found:
        raise Inapplicable("it holds no server-sent events")
    return found


def with_lines(stream: Stream, event: Event, before: Iterable[bytes] = (), after: Iterable[bytes] = ()) -> Event:
    """Return a server-sent event with further lines in its block, the bytes of the others kept.

    Args:
        stream: where it is written.
        event: the event.
        before: lines without their ends, put before its first line.
        after: lines put after its last line.
    """
    lead, lines, blank = _block(stream.write(event))
    if not lines:
        return event
    before, after = tuple(before), tuple(after)
    fields = [*event.fields, *(line for line in before + after if not line.startswith(b"event:"))]
    lines = [*((line, lines[0][1]) for line in before), *lines, *((line, lines[-1][1]) for line in after)]
    return replace(event, raw=lead + _joined(lines) + blank, fields=tuple(fields))


def _block(raw: bytes) -> tuple[bytes, _Lines, bytes]:
    """Split an event into blank lines that lead, its lines, and what closes it."""
    lines = _LINE.findall(raw)
    first = next((number for number, (text, _) in enumerate(lines) if text), len(lines))
    last = next((number for number in range(len(lines), first, -1) if lines[number - 1][0]), first)
    lead, inner = _joined(lines[:first]), lines[first:last]
    return lead, inner, raw[len(lead) + len(_joined(inner)) :]


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(text + end for text, end in lines)


def _relined(stream: Stream, change: Callable[[_Lines], _Lines], numbers: Iterable[int]) -> tuple[Stream, list[int]]:
    """Return the stream with the lines of some events changed, and the numbers of those that did change."""
    events = list(stream.events)
    changed = []
    for number in numbers:
        raw = stream.write(events[number])
        lead, lines, blank = _block(raw)
        new = lead + _joined(change(lines)) + blank
        if new != raw:
            events[number] = replace(events[number], raw=new)
            changed.append(number)
    return replace(stream, events=tuple(events)), changed


def _some(stream: Stream, choose: Choose) -> list[int]:
    """Choose all events, or one."""
    found = sse_events(stream)
    number = choose(len(found) + 1)
    return found if number == 0 else [found[number - 1]]


@mutation(
    "bom",
    Class.PRESERVING,
    Layer.BYTES,
    "begins the body with a byte order mark",
    right="removes one byte order mark, and reads the first event",
    sources=[
        "WHATWG HTML 9.2.5", "openai/openai-python#3819", "Effect-TS/effect#6976", "a2aproject/a2a-python#1259",
        "vm0-ai/vm0#24687", "assistant-ui/assistant-ui#6954", "elizaOS/eliza#19260",
    ],
)  # fmt: skip
def bom(stream: Stream, choose: Choose) -> Edit:
    """Put a byte order mark before the first event; JSON texts must not begin with one (RFC 8259, section 8.1)."""
    del choose
    if stream.head:
        raise Inapplicable("it begins with a byte order mark")
    first = sse_events(stream)[0]
    return Edit(replace(stream, head=BOM), "begins with a byte order mark", (first,), (first,))


@mutation(
    "line_ends",
    Class.PRESERVING,
    Layer.BYTES,
    "ends the lines with CRLF, with CR, with LF, or with all of them in turns",
    right="takes CRLF, CR and LF as the end of a line, mixed or not",
    sources=[
        "WHATWG HTML 9.2.5", "rexxars/eventsource-parser#17", "openai/openai-agents-python#4214",
        "openai/openai-agents-python#4215", "Effect-TS/effect#6954", "router-for-me/CLIProxyAPI#5658",
        "clacky-ai/openclacky#489", "kaitranntt/ccs#1359", "miruamel/xuan#194", "Routstr/routstr-core#537",
        "Routstr/routstr-core#543", "openai/openai-node#2309",
        "universal-tool-calling-protocol/python-utcp#104",
    ],
)  # fmt: skip
def line_ends(stream: Stream, choose: Choose) -> Edit:
    """End the lines otherwise."""
    kinds = ["CRLF", "CR", "LF and a blank line of CRLF", "LF, CRLF and CR in turns", "LF"]
    if stream.manner.wire != "sse":
        kinds = ["CRLF", "LF"]  # no other ends a line of ndjson
    ends = {"CRLF": b"\r\n", "CR": b"\r", "LF": b"\n"}
    body = stream.body()
    present = {end for _, end in _LINE.findall(body)}
    if not present:
        raise Inapplicable("it has no lines")
    kind = choose.of([kind for kind in kinds if kind not in ends or present != {ends[kind]}])
    turn, before = 0, b""

    def other(line: re.Match[bytes]) -> bytes:
        nonlocal turn, before
        text = line[1]
        if kind in ends:
            return text + ends[kind]
        if kind.startswith("LF and"):
            return text + (b"\n" if text else b"\r\n")
        end = (b"\n", b"\r\n", b"\r")[turn % 3]
        turn += 1
        if not text and before == b"\r" and end == b"\n":
            end = b"\r\n"  # CR and LF side by side would be one line end
        before = end
        return text + end

    events = tuple(replace(event, raw=_LINE.sub(other, stream.write(event))) for event in stream.events)
    manner = replace(stream.manner, line_end=ends.get(kind, stream.manner.line_end))
    tail = _LINE.sub(other, stream.tail)
    return Edit(replace(stream, events=events, manner=manner, tail=tail), f"lines end with {kind}")


@mutation(
    "blank_lines",
    Class.PRESERVING,
    Layer.FRAMING,
    "puts further blank lines before an event",
    right="ignores a blank line that closes nothing",
    sources=["WHATWG HTML 9.2.6", "ndjson specification, section 3.2"],
)
def blank_lines(stream: Stream, choose: Choose) -> Edit:
    """Put blank lines before one event."""
    count = choose.of([1, 2])
    number = choose(len(stream.events))
    event = stream.events[number]
    if stream.manner.wire == "sse":
        sse_events(stream)
    raw = stream.manner.line_end * count + stream.write(event)
    if number and stream.write(stream.events[number - 1]).endswith(b"\r") and raw[:1] == b"\n":
        raise Inapplicable("the line feed would belong to the line end before it")
    changed = stream.replaced(number, replace(event, raw=raw))
    return Edit(changed, f"{count} blank line{'s' * (count > 1)} before event {number}", (number,), (number,))


@mutation(
    "space_after_colon",
    Class.PRESERVING,
    Layer.FRAMING,
    "leaves out the space after the colon of a field, or writes it where it was left out",
    right="takes off one space where there is one",
    sources=[
        "WHATWG HTML 9.2.6", "openai/openai-python#498", "davidmigloz/langchain_dart#778",
        "sgl-project/genai-bench#159", "SamSaffron/term-llm#487", "tashfeenahmed/freellmapi#1087",
        "lidge-jun/opencodex#1170",
    ],
)  # fmt: skip
def space_after_colon(stream: Stream, choose: Choose) -> Edit:
    """Write `data:{...}` for `data: {...}`, or the reverse, in all events or in one."""
    numbers = _some(stream, choose)
    leave_out = stream.manner.space

    def other(lines: _Lines) -> _Lines:
        found = []
        for text, end in lines:
            field = _KNOWN_FIELD.fullmatch(text)
            if field is not None and leave_out == bool(field[2]) and field[3] and not field[3].startswith(b" "):
                text = field[1] + (b":" if leave_out else b": ") + field[3]  # noqa: PLW2901 - the same line
            found.append((text, end))
        return found

    changed, which = _relined(stream, other, numbers)
    if len(numbers) > 1:
        changed = replace(changed, manner=replace(stream.manner, space=not leave_out))
    said = "no space after the colon" if leave_out else "a space after the colon"
    return Edit(changed, f"{said} in {_told(which)}", tuple(which), tuple(which))


def _told(numbers: list[int]) -> str:
    return f"event {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} events"


@mutation(
    "data_lines",
    Class.PRESERVING,
    Layer.FRAMING,
    "spreads the data of an event over several `data:` lines",
    right="joins the data lines of an event with line feeds, which are whitespace in JSON",
    sources=[
        "WHATWG HTML 9.2.6", "SamSaffron/term-llm#454", "SamSaffron/term-llm#456", "open-metadata/OpenMetadata#28945",
        "Routstr/routstr-core#537", "Growth-Circle/cadis#2053",
    ],
    shows=True,
)  # fmt: skip
def data_lines(stream: Stream, choose: Choose) -> Edit:
    """Break JSON data into lines where JSON allows whitespace."""
    sse_events(stream)
    found = [number for number, _ in stream.payloads]
    kind = choose(4)
    number = choose(len(found) + 1)
    events = list(stream.events)
    chosen = found[:1] if number == 0 else [found[number - 1]]
    if kind == 3:
        chosen = found
    for one in chosen:
        data = events[one].data or ""
        breaks = [match.end() for match in _TOKEN.finditer(data) if match[0] in "{[,"]
        if kind == 0:
            breaks = breaks[:1]
        if kind == 2:
            data = f"\n{data}\n"
        else:
            edges = [0, *breaks, len(data)]
            data = "\n".join(data[a:b] for a, b in pairwise(edges))
        events[one] = events[one].with_data(data)
    how = ("two", "as many as can be", "an empty line before it and one after", "as many as can be")[kind]
    said = f"the data of {_told(chosen)} in several lines ({how})"
    return Edit(replace(stream, events=tuple(events)), said, tuple(chosen), tuple(chosen))


@mutation(
    "field_order",
    Class.PRESERVING,
    Layer.FRAMING,
    "writes the fields of an event in another order: the data first",
    right="takes the fields of a block in any order",
    sources=["WHATWG HTML 9.2.6"],
)
def field_order(stream: Stream, choose: Choose) -> Edit:
    """Put the other fields after the data, in reverse order."""

    def other(lines: _Lines) -> _Lines:
        data = [text for text, _ in lines if text == b"data" or text.startswith(b"data:")]
        rest = [text for text, _ in lines if not (text == b"data" or text.startswith(b"data:"))]
        names = [text.partition(b":")[0] for text in rest]
        if len(set(names)) < len(names):  # of a repeated field the last one counts
            rest.reverse()
        return [(text, end) for text, (_, end) in zip([*data, *reversed(rest)], lines, strict=True)]

    changed, which = _relined(stream, other, _some(stream, choose))
    if not which:
        raise Inapplicable("its events have no field but the data, or the data first")
    return Edit(changed, f"the data come first in {_told(which)}", tuple(which), tuple(which))


@mutation(
    "event_message",
    Class.PRESERVING,
    Layer.FRAMING,
    "names events `message`, which is what an event without a name is called",
    right="takes an event named `message` like one without a name",
    sources=["WHATWG HTML 9.2.6"],
)
def event_message(stream: Stream, choose: Choose) -> Edit:
    """Write `event: message` where no name is written."""
    after = choose(2)
    unnamed = {number for number in sse_events(stream) if stream.events[number].name is None}
    numbers = [number for number in _some(stream, choose) if number in unnamed]
    if not numbers:
        raise Inapplicable("its events have names")
    events = list(stream.events)
    for number in numbers:
        line = (b"event: message" if stream.manner.space else b"event:message",)
        event = with_lines(stream, events[number], () if after else line, line if after else ())
        events[number] = replace(event, name="message")
    said = f"`event: message` {'after the data' if after else 'written'} in {_told(numbers)}"
    return Edit(replace(stream, events=tuple(events)), said, tuple(numbers), tuple(numbers))


@mutation(
    "unknown_sse_fields",
    Class.PRESERVING,
    Layer.FRAMING,
    "adds fields that the standard does not know",
    right="ignores them: names are compared letter by letter, case included",
    sources=["WHATWG HTML 9.2.6"],
)
def unknown_sse_fields(stream: Stream, choose: Choose) -> Edit:
    """Add a line that is no field of the standard before the data, or after."""
    line = choose.of([b"x-request-id: 1", b"seq", b'Data: {"choices":[]}', b' data: {"error":{}}', b"datum: [DONE]"])
    numbers = _some(stream, choose)
    after = choose(2)
    events = list(stream.events)
    for number in numbers:
        events[number] = with_lines(stream, events[number], () if after else (line,), (line,) if after else ())
    said = f"the line {line.decode()!r} in {_told(numbers)}"
    return Edit(replace(stream, events=tuple(events)), said, tuple(numbers), tuple(numbers))


@mutation(
    "id_fields",
    Class.PRESERVING,
    Layer.FRAMING,
    "adds `id` or `retry` fields to events",
    right="takes the data as they are",
    sources=["WHATWG HTML 9.2.6", "openai/openai-python#2722", "theopenco/llmgateway#2334"],
    shows=True,
)
def id_fields(stream: Stream, choose: Choose) -> Edit:
    """Write an id, a reconnection time or both into the blocks of events."""
    kind = choose.of(["id", "retry", "id and retry", "an empty id"])
    numbers = _some(stream, choose)
    events = list(stream.events)
    for number in numbers:
        lines = [b"id: %d" % number] if kind.startswith("id") else [b"id"] if kind == "an empty id" else []
        lines += [b"retry: 3000"] if kind.endswith("retry") else []
        events[number] = with_lines(stream, events[number], lines)
    return Edit(replace(stream, events=tuple(events)), f"{kind} in {_told(numbers)}", tuple(numbers), tuple(numbers))


@mutation(
    "huge_line",
    Class.PRESERVING,
    Layer.BYTES,
    "makes one line longer than the line limits of common readers",
    right="reads a line of any length",
    sources=[
        "rtfol/aiohttp-sse-client#11", "aio-libs/aiohttp#4453", "open-webui/open-webui#24928",
        "NVIDIA/TensorRT-LLM#13952", "microsoft/Agents-for-python#507", "SamSaffron/term-llm#347",
        "sgl-project/sglang#7301",
    ],
    shows=True,
)  # fmt: skip
def huge_line(stream: Stream, choose: Choose) -> Edit:
    """Fill one event with whitespace that JSON ignores, or with a comment."""
    size = choose.of(_SIZES)
    comment = choose(2) == 1 and stream.manner.wire == "sse"
    found = [number for number, _ in stream.payloads]
    number = found[choose(len(found))]
    event = stream.events[number]
    if comment:
        other = with_lines(stream, event, [b": " + b"x" * size])
    else:
        data = event.data or ""
        place = data.index("{") + 1
        other = event.with_data(data[:place] + " " * size + data[place:])
    what = "a comment" if comment else "whitespace"
    return Edit(stream.replaced(number, other), f"{size} bytes of {what} in event {number}", (number,), (number,))
