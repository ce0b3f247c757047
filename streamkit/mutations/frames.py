"""Mutations that add blocks which say nothing, or say it in a foreign way, and those that concern `[DONE]`.

Source of the rules: WHATWG HTML, 9.2.6: a block without data dispatches nothing, one with an empty `data` field does
dispatch an event, and a block that the stream's end cuts off is discarded. What `[DONE]` means is a habit of the
Chat Completions API.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streamkit.mutations.ends import unfinished
from streamkit.mutations.framing import sse_events, with_lines
from streamkit.mutations.registry import Class, Edit, Inapplicable, Layer, mutation
from streamkit.mutations.stream import Event

if TYPE_CHECKING:
    from streamkit.mutations.registry import Choose
    from streamkit.mutations.stream import Stream

__all__ = [
    "comment_as_data",
    "comments",
    "done_absent",
    "done_spelling",
    "empty_data",
    "foreign_events",
    "junk_after_done",
    "nameless_blocks",
    "retry_block",
    "sticky_id",
    "unterminated_last_event",
]


def _insert(stream: Stream, choose: Choose, lines: tuple[bytes, ...], said: str) -> Edit:
    """Insert a block of these lines: before an event, at the end, or before every event."""
    sse_events(stream)
    done = next((number for number, event in enumerate(stream.events) if event.done), len(stream.events))
    place = choose(done + 2)
    raw = b"".join(line + stream.manner.line_end for line in (*lines, b""))
    data = [line.partition(b":")[2].removeprefix(b" ").decode() for line in lines if line.startswith(b"data")]
    name = next((line.partition(b":")[2].strip().decode() for line in lines if line.startswith(b"event:")), None)
    block = Event("\n".join(data) if data else None, name if data else None, raw)
    if place <= done:
        where = f"before event {place}" if place < len(stream.events) else "at the end"
        return Edit(stream.inserted(place, block), f"{said} {where}", (min(place, done),), (place,))
    events: list[Event] = []
    for number, event in enumerate(stream.events):
        events.extend((block, event) if number <= done else (event,))
    places = tuple(range(0, 2 * min(done + 1, len(stream.events)), 2))
    return Edit(replace(stream, events=tuple(events)), f"{said} before every event", (), places)


def _spaced(stream: Stream, line: bytes) -> bytes:
    return line if stream.manner.space else line.replace(b": ", b":", 1)


@mutation(
    "comments",
    Class.PRESERVING,
    Layer.FRAMING,
    "puts comments between events, as servers do to keep a connection open",
    right="ignores comments, and dispatches nothing for a block that holds nothing else",
    sources=[
        "WHATWG HTML 9.2.6", "brainlid/langchain#568", "justlovemaki/AIClient2API#695",
        "mckinsey/agents-at-scale-ark#2519", "openai/openai-go#621", "openai/openai-go#651", "coder/coder#28185",
    ],
)  # fmt: skip
def comments(stream: Stream, choose: Choose) -> Edit:
    """Put a comment, with its blank line, before an event; the last kind goes inside the event's own block."""
    kinds = [
        b": ping", b":", b": OPENROUTER PROCESSING", b": data: [DONE]",
        ': a\u2028data: {"error":{"message":"boom"}}\u2028'.encode(), b"",
    ]  # fmt: skip
    line = choose.of(kinds)
    if line:
        return _insert(stream, choose, (line,), f"the comment {line.decode()!r}")
    number = choose.of(sse_events(stream))
    event = with_lines(stream, stream.events[number], (b": before",), (b": after",))
    return Edit(stream.replaced(number, event), f"comments around the data of event {number}", (number,), (number,))


@mutation(
    "retry_block",
    Class.PRESERVING,
    Layer.FRAMING,
    "puts in a block with `retry` or `id` alone",
    right="dispatches nothing for a block without data",
    sources=[
        "WHATWG HTML 9.2.6", "openai/openai-python#2722", "openai/openai-python#3833", "openai/openai-python#2721",
        "openai/openai-python#2933", "openai/openai-python#2943", "openai/openai-python#3839",
    ],
    shows=True,
)  # fmt: skip
def retry_block(stream: Stream, choose: Choose) -> Edit:
    """Put in a block of control fields."""
    lines = choose.of([(b"retry: 3000",), (b"id: 7",), (b"id: 7", b"retry: 3000"), (b"retry: soon",)])
    told = " and ".join(line.decode() for line in lines)
    return _insert(stream, choose, tuple(_spaced(stream, line) for line in lines), f"a block of only `{told}`")


@mutation(
    "sticky_id",
    Class.PRESERVING,
    Layer.FRAMING,
    "gives an event an id, and puts comments after it",
    right="dispatches nothing for a comment, whatever the last event ID is",
    sources=["WHATWG HTML 9.2.6", "theopenco/llmgateway#2334", "openai/openai-python#2722"],
    shows=True,
)
def sticky_id(stream: Stream, choose: Choose) -> Edit:
    """Write an id into an event, and a comment block after it."""
    found = sse_events(stream)
    number = found[choose(len(found))]
    event = with_lines(stream, stream.events[number], (_spaced(stream, b"id: 1"),))
    block = Event(raw=b": ping" + stream.manner.line_end * 2)
    said = f"an id in event {number}, and a comment after it"
    return Edit(stream.replaced(number, event, block), said, (number,), (number, number + 1))


@mutation(
    "nameless_blocks",
    Class.PRESERVING,
    Layer.FRAMING,
    "puts in a block with an event name, or a field that nobody knows, and no data",
    right="dispatches nothing for a block without data, and forgets its name",
    sources=["WHATWG HTML 9.2.6", "openai/openai-go#621", "openai/openai-go#556"],
)
def nameless_blocks(stream: Stream, choose: Choose) -> Edit:
    """Put in a block without data."""
    line = choose.of([b"event: ping", b"event:", b"event: error", b"x-seq: 1"])
    return _insert(stream, choose, (_spaced(stream, line),), f"a block of only `{line.decode()}`")


@mutation(
    "empty_data",
    Class.DIALECT,
    Layer.FRAMING,
    "puts in an event whose data are empty",
    right="ignores data without content, or reports an error of its own",
    sources=[
        "WHATWG HTML 9.2.6", "omnigent-ai/omnigent#1474", "lidge-jun/opencodex#1188", "openai/openai-go#621",
    ],
)  # fmt: skip
def empty_data(stream: Stream, choose: Choose) -> Edit:
    """Put in an event with empty data."""
    lines = choose.of([(b"data:",), (b"data: ",), (b"data",), (b"data:", b"data:"), (b"event: ping", b"data:")])
    told = ", ".join(line.decode() for line in lines)
    return _insert(stream, choose, lines, f"an event of only `{told}`")


@mutation(
    "comment_as_data",
    Class.DIALECT,
    Layer.FRAMING,
    "puts in a comment that a gateway has wrapped as data",
    right="reports an error of its own, or ignores it where it was told to be tolerant",
    sources=["anomalyco/opencode#50871", "mnfst/llm-gateway#2053"],
)
def comment_as_data(stream: Stream, choose: Choose) -> Edit:
    """Put in an event whose data are a comment."""
    line = choose.of([b"data: : keepalive", b"data: :", b"data: : OPENROUTER PROCESSING"])
    return _insert(stream, choose, (line,), f"an event of `{line.decode()}`")


@mutation(
    "foreign_events",
    Class.DIALECT,
    Layer.FRAMING,
    "puts in events of another kind, such as pings with a JSON object",
    right="ignores events that it does not know",
    sources=[
        "openai/openai-node#1964", "openai/openai-java#767", "openai-php/client#732",
    ],
)  # fmt: skip
def foreign_events(stream: Stream, choose: Choose) -> Edit:
    """Put in an event that is none of the dialect's."""
    lines = choose.of([
        (b"event: ping", b'data: {"type":"ping"}'),
        (b"event: keepalive", b"data: {}"),
        (b'data: {"type":"keepalive"}',),
        (b"data: {}",),
        (b"event: ping", b'data: {"type":"ping","time":"2026-01-01T00:00:00Z"}'),
    ])  # fmt: skip
    told = ", ".join(line.decode() for line in lines)
    return _insert(stream, choose, lines, f"an event of `{told}`")


# -- [DONE]


def _done(stream: Stream) -> int:
    sse_events(stream)
    found = next((number for number, event in enumerate(stream.events) if event.done), None)
    if found is None:
        raise Inapplicable("it has no [DONE]")
    return found


@mutation(
    "junk_after_done",
    Class.PRESERVING,
    Layer.FRAMING,
    "sends more after `[DONE]`",
    right="ignores what follows `[DONE]`; of what is no second one, it may give a typed error",
    sources=["OpenAI API reference, Chat Completions streaming: terminated by data: [DONE]"],
    shows=True,
)
def junk_after_done(stream: Stream, choose: Choose) -> Edit:
    """Put events, or bytes that are none, after `[DONE]`."""
    number = _done(stream)
    if stream.dialect not in (None, "openai_chat", "openai_completions"):
        raise Inapplicable("it is not [DONE] that ends this API's streams")
    kind = choose(4)
    if kind == 0:
        earlier = [one for one, _ in stream.payloads if one < number]
        place = earlier[-1 - choose(len(earlier))]
        event, said = stream.events[place], f"event {place} again after [DONE]"
    elif kind == 1:
        event, said = Event("JUNK"), "data that are no JSON after [DONE]"
    elif kind == 2:
        event, said = Event("[DONE]"), "[DONE] twice"
    else:
        cut = replace(stream, tail=b'data: {"choices":[{"index":0,"delta":{"content":"JU' + stream.tail)
        return Edit(cut, "an unfinished event after [DONE]", (number,), (), refusable=True)
    again = kind == 2  # as gateways do; nobody has cause to send the rest
    return Edit(stream.inserted(number + 1, event), said, (number,), (number + 1,), refusable=not again)


@mutation(
    "done_absent",
    Class.DIALECT,
    Layer.FRAMING,
    "leaves `[DONE]` out",
    right="takes a finish reason for the end, too; with neither it reports that the stream was cut off",
    sources=["lidge-jun/opencodex#1170", "theopenco/llmgateway#1901", "can1357/oh-my-pi#9433"],
)
def done_absent(stream: Stream, choose: Choose) -> Edit:
    """Leave out `[DONE]`, and all that follows it."""
    del choose
    number = _done(stream)
    return Edit(stream.cut(number), "without [DONE]", (number,), ())


@mutation(
    "done_spelling",
    Class.DIALECT,
    Layer.FRAMING,
    "writes `[DONE]` otherwise",
    right="takes it for the end, or reports an error of its own",
    sources=[
        "huggingface/huggingface_hub#4536", "mistralai/client-ts#36", "googleapis/java-genai#1084",
        "caozhiyuan/copilot-api#338", "anthropics/anthropic-sdk-typescript#10",
    ],
)  # fmt: skip
def done_spelling(stream: Stream, choose: Choose) -> Edit:
    """Write `[DONE]` in another way, or in the block of the event before it."""
    number = _done(stream)
    kind = choose.of(["[DONE] ", "  [DONE]", "DONE", "[done]", '"[DONE]"', "event: done", "event: message", "glued"])
    event = stream.events[number]
    if kind.startswith("event: "):
        named = replace(event, name=kind.removeprefix("event: "), raw=None)
        return Edit(stream.replaced(number, named), f"`{kind}` for [DONE]", (number,), (number,))
    if kind != "glued":
        return Edit(stream.replaced(number, event.with_data(kind)), f"{kind!r} for [DONE]", (number,), (number,))
    before = [one for one in sse_events(stream) if one < number]
    if not before:
        raise Inapplicable("nothing comes before [DONE]")
    last = before[-1]
    glued = stream.events[last].with_data(f"{stream.events[last].data}\n[DONE]")
    changed = stream.cut(number).replaced(last, glued)
    return Edit(changed, f"[DONE] in the block of event {last}", (last, number), (last,))


@mutation(
    "unterminated_last_event",
    Class.DIALECT,
    Layer.FRAMING,
    "ends the body without the blank line that closes its last event",
    right="discards the event, as the standard says, or reads it; without its finish reason the stream is cut off",
    sources=[
        "WHATWG HTML 9.2.6", "openai/openai-node#2725", "openai/openai-node#2726", "google-gemini/gemini-cli#29059",
        "a2aproject/a2a-python#1213", "a2aproject/a2a-python#1216",
    ],
)  # fmt: skip
def unterminated_last_event(stream: Stream, choose: Choose) -> Edit:
    """Leave out the last blank line, and perhaps the line end before it; of `[DONE]`, or of the event before it."""
    found = sse_events(stream)
    done = next((number for number in found if stream.events[number].done), None)
    line_end_too = choose(2) == 1
    if done is not None and choose(2) == 0:
        last = done
    else:
        last = unfinished(stream)
        if last == len(stream.events):
            raise Inapplicable("no event ends it")
        if done is None and last != found[-1]:
            raise Inapplicable("its last event could be lost without anybody noticing")
    event = stream.events[last]
    raw = stream.write(event)
    raw = raw[: len(raw.rstrip(b"\r\n"))] + (b"" if line_end_too else stream.manner.line_end)
    said = f"no blank line after event {last}" + (", nor a line end" if line_end_too else "")
    gone = any(last < number != done for number in found)  # such as the usage, which follows the finish reason
    return Edit(stream.cut(last, raw), said, (last,), (), (lambda one: replace(one, usage=None)) if gone else None)
