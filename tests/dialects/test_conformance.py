"""The conformance kit: a dialect that keeps the laws passes, and each law that is broken is noticed and named."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from skhelpers.chat import DONE, delta, finish, sse, weather

from streamkit import dialects
from streamkit.completion import Choice, Completion
from streamkit.conformance import check_dialect
from streamkit.conformance.damage import JUNK, damaged
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat import OpenAIChat
from streamkit.dialects.openai_chat import Reader as ChatReader
from streamkit.errors import PayloadError, TruncatedStreamError, UsageError
from streamkit.transcript import Transcript
from streamkit.wire.sse import SSEDecoder

WEATHER = Transcript(weather(), name="weather")


class Lines:
    """A small dialect of its own: one JSON text a line, the last of them `{"end":true}`. It keeps the laws."""

    name = "lines"
    wire = "ndjson"

    def detect(self, transcript: Transcript) -> bool:
        return transcript.body.startswith(b'{"lines":')

    def reader(self) -> Any:
        return LinesReader()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        text = completion.content or ""
        size = layout.token_size
        pieces = [{"lines": 1}, *({"text": text[n : n + size]} for n in range(0, len(text), size)), {"end": True}]
        body = b"".join(json.dumps(piece, separators=(",", ":")).encode() + b"\n" for piece in pieces)
        transcript = Transcript(body, dialect=self.name, synthetic=True)
        reader = self.reader()
        reader.feed(body)
        if reader.result() != completion:
            raise UsageError("lines carries a text and nothing else")
        return transcript


class LinesReader:
    def __init__(self) -> None:
        self.rest = b""
        self.text: str | None = None
        self.ended = False
        self.error: PayloadError | None = None

    def feed(self, data: Any) -> None:
        if self.error is not None:
            raise self.error
        *lines, self.rest = (self.rest + bytes(data)).split(b"\n")
        for line in lines:
            try:
                self.take(json.loads(line))
            except (ValueError, AttributeError, TypeError, RecursionError) as error:
                self.error = PayloadError(f"no payload: {error}")
                self.error.partial = self.snapshot()
                raise self.error from None

    def take(self, payload: Any) -> None:
        if self.ended:
            return
        if payload.get("text") is not None:
            self.text = (self.text or "") + payload["text"]
        self.ended = payload.get("end") is True

    def close(self) -> None:
        pass

    def result(self) -> Completion:
        if self.error is not None:
            raise self.error
        if not self.ended:
            error = TruncatedStreamError("the stream ended early")
            error.partial = self.snapshot()
            raise error
        return self.snapshot()

    def snapshot(self) -> Completion:
        ended = self.ended and self.error is None
        return Completion((Choice(0, content=self.text, finish_reason="stop" if ended else None),), ended=ended)


# Dialects that keep the laws


@pytest.mark.parametrize("name", dialects.names())
def test_every_dialect_keeps_the_laws(name: str) -> None:
    check_dialect(name, examples=15)


def test_a_dialect_of_others_keeps_the_laws() -> None:
    check_dialect(Lines(), [Transcript(b'{"lines":1}\n{"text":"\xc3\xa9"}\n{"end":true}\n')], examples=15)


def test_a_dialect_that_only_reads_needs_transcripts() -> None:
    class ReadOnly:
        name = "read_only"
        wire = "ndjson"
        detect = Lines.detect
        reader = Lines.reader

    dialect: Any = ReadOnly()
    check_dialect(dialect, [Transcript(b'{"lines":1}\n{"text":"a"}\n{"end":true}\n')])
    with pytest.raises(AssertionError, match="read_only: nothing to check with: give transcripts"):
        check_dialect(dialect)


# Dialects that break one law each


class ByChunk(ChatReader):
    """Decodes each chunk by itself: an event in two chunks is lost."""

    def feed(self, data: Any) -> None:
        decoder = SSEDecoder()
        for event in decoder.feed(bytes(data)):
            self._accumulator.feed(event)


class ByLargeChunk(ChatReader):
    """Loses bytes where one particular byte stands alone at the end of a chunk."""

    def feed(self, data: Any) -> None:
        super().feed(bytes(data).removesuffix(b"\xf0"))


class Keeps(ChatReader):
    """Keeps the caller's buffer until it is asked for the result."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def feed(self, data: Any) -> None:
        self.kept.append(data)

    def close(self) -> None:
        for data in self.kept:
            super().feed(bytes(data))
        super().close()


class Trusting(ChatReader):
    """Takes any end of the stream for the end of the answer, and its calls for whole."""

    def result(self) -> Completion:
        return self.snapshot()

    def snapshot(self) -> Completion:
        completion = super().snapshot()
        choices = tuple(
            replace(choice, tool_calls=tuple(replace(call, problem=None) for call in choice.tool_calls))
            for choice in completion.choices
        )
        return replace(completion, choices=choices, ended=True)


class Hasty(ChatReader):
    """Raises where a stream was cut off, and shows its unfinished calls as executable before."""

    def snapshot(self) -> Completion:
        completion = super().snapshot()
        choices = tuple(
            replace(choice, tool_calls=tuple(replace(call, problem=None) for call in choice.tool_calls))
            for choice in completion.choices
        )
        return replace(completion, choices=choices)


class Untyped(ChatReader):
    """Lets other errors out."""

    def feed(self, data: Any) -> None:
        try:
            super().feed(data)
        except PayloadError as error:
            raise KeyError("choices") from error


class Bare(ChatReader):
    """Raises errors that hold nothing."""

    def feed(self, data: Any) -> None:
        try:
            super().feed(data)
        except PayloadError:
            raise PayloadError("no payload") from None


class Forgets(ChatReader):
    """Raises once, and gives a completion then."""

    def result(self) -> Completion:
        return self.snapshot() if self._accumulator._error else super().result()

    def snapshot(self) -> Completion:
        completion = super().snapshot()
        return replace(completion, ended=False) if self._accumulator._error else completion


class Uncopied(ChatReader):
    """Cannot be copied: it holds a generator."""

    def __init__(self) -> None:
        super().__init__()
        self.running: Iterator[int] = (number for number in range(3))


class Shared(ChatReader):
    """A copy and the original write into one list."""

    def __deepcopy__(self, memo: Any) -> ChatReader:
        return self


class Differs(ChatReader):
    """Gives another result each time."""

    def result(self) -> Completion:
        self.times = getattr(self, "times", 0) + 1
        return replace(super().result(), created=self.times)


class Toy(OpenAIChat):
    """OpenAI's dialect under another name, with a reader of choice. Without `emit` where it only reads."""

    name = "toy"

    def __init__(self, reader: type[ChatReader] = ChatReader) -> None:
        self._reader = reader

    def reader(self) -> ChatReader:
        return self._reader()

    def detect(self, transcript: Transcript) -> bool:
        return b"toy" in transcript.body or transcript.body == weather()

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        return replace(super().emit(completion, layout), dialect="toy")


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (ByChunk, r"weather, byte by byte: TruncatedStreamError: .*, and in one chunk: a completion"),
        (ByLargeChunk, r"a written text, .*byte"),
        (Keeps, r"from a buffer that is used again"),
        (Trusting, r"snapshot.*is not what result|look finished, and are not the whole answer"),
        (Hasty, r"the snapshot.* holds an executable call 'get_current_weather'"),
        (Untyped, r"KeyError \('choices'\) was raised, where only PayloadError, ProviderError and Truncated"),
        (Bare, r"PayloadError.partial is None, where a Completion belongs"),
        (Forgets, r"PayloadError was raised, and result\(\) gave a completion after it|where it gives a Completion"),
        (Uncopied, r"weather, cut at byte 0: the reader cannot be copied \(copy.deepcopy\)"),
        (Shared, r"read on by a copy of the reader|after copies of the reader"),
        (Differs, r"result\(\) a second time, or snapshot\(\), is not what result\(\) gave"),
    ],
)
def test_a_reader_that_breaks_a_law_is_noticed(reader: type[ChatReader], expected: str) -> None:
    with pytest.raises(AssertionError, match=expected):
        check_dialect(Marked(reader), [WEATHER], examples=5)


class Marked(Toy):
    """Says its name in what it writes, so that its streams are its own."""

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        written = super().emit(completion, layout)
        return replace(written, body=written.body + b": toy\n\n", lengths=(*written.lengths, 7), times=())


class TakesAll(Marked):
    def detect(self, transcript: Transcript) -> bool:
        return True


class TakesJunk(Marked):
    def detect(self, transcript: Transcript) -> bool:
        return super().detect(transcript) or not transcript.body


class TakesNone(Marked):
    def detect(self, transcript: Transcript) -> bool:
        return False


class Fails(Marked):
    def detect(self, transcript: Transcript) -> bool:
        json.loads(transcript.body[6:20])
        return True


class Drops(Marked):
    """Writes all but the last character of a long text."""

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        choice = completion.choices[0]
        if len(choice.content or "") > 12:
            completion = replace(completion, choices=(replace(choice, content=(choice.content or "")[:-1]),))
        return super().emit(completion, layout)


class Unlabelled(Marked):
    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        return replace(super().emit(completion, layout), synthetic=False)


class Finishes(Marked):
    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        return super().emit(replace(completion, ended=True), layout)


class Refuses(Marked):
    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        raise UsageError("not today")


class Counts(Marked):
    """Writes other bytes every time."""

    written = 0

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        self.written += 1
        written = super().emit(completion, layout)
        mark = f": {self.written}\n\n".encode()
        return replace(written, body=written.body + mark, lengths=(*written.lengths, len(mark)), times=())


class Nameless(Marked):
    name = ""


class Wireless(Marked):
    wire = "telegraph"


class Shadow(Marked):
    name = "openai_chat"


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (Marked, None),
        (TakesAll, r"detect\(\) takes .*a stream of openai_chat"),
        (TakesJunk, r"detect\(\) takes b'', which is no stream"),
        (TakesNone, r"detect\(\) does not know its own weather"),
        (Fails, r"detect\(\) of .* raised JSONDecodeError"),
        (Drops, r"is not the completion it was written from. choices\[0\].content: expected"),
        (Unlabelled, r"synthetic=False, dialect='toy'"),
        (Finishes, r"emit\(\) takes a completion with ended=False"),
        (Refuses, r"emit\(\) refuses both a short text and a single tool call"),
        (Counts, r"different bytes for the same completion"),
        (Nameless, r"has no name"),
        (Wireless, r"wire is 'telegraph': one of sse, ndjson, jsonarray, eventstream"),
        (Shadow, r"another dialect has that name already"),
    ],
)
def test_a_dialect_that_breaks_a_law_is_noticed(dialect: type[Toy], expected: str | None) -> None:
    if expected is None:
        check_dialect(dialect(), [WEATHER], examples=5)
        return
    with pytest.raises(AssertionError, match=expected):
        check_dialect(dialect(), [WEATHER], examples=60)


def test_a_stream_that_is_no_whole_answer_is_no_sample() -> None:
    cut = Transcript(sse(delta(content="a")), name="cut")
    with pytest.raises(AssertionError, match="cut is no whole answer: TruncatedStreamError"):
        check_dialect("openai_chat", [cut])


def test_a_large_stream_is_cut_around_its_chunks() -> None:
    body = sse(*(delta(content="é" * 40) for _ in range(40)), finish(), DONE)
    assert 4096 < len(body)
    large = Transcript(b": toy\n\n" + body, name="large")
    check_dialect(Marked(), [large], examples=1)
    with pytest.raises(AssertionError, match="large"):
        check_dialect(Marked(ByChunk), [large], examples=1)


# Damage


def test_damage_is_the_same_every_time_and_always_something_else() -> None:
    body = weather()
    first = list(damaged(body, random.Random(0), changes=20, values=50))
    assert first == list(damaged(body, random.Random(0), changes=20, values=50))
    assert 40 + 50 * 11 == len(first)
    assert 0.9 < sum(changed != body for _, changed in first) / len(first)


def test_every_kind_of_value_is_replaced() -> None:
    body = b'data: {"a":"x","b":[1,true],"c":{}}\n\n'
    changed = {one for _, one in damaged(body, random.Random(0), changes=0, values=100)}
    for old in (b'"x"', b"1", b"true", b"{}", b"[1,true]"):
        assert body.replace(old, b"[5]", 1) in changed
    assert body.replace(b'"a"', b"5") not in changed
    assert 5 * 11 == len(list(damaged(body, random.Random(0), changes=0, values=100))) - 11 * body.count(b"{}")


def test_junk_is_no_answer_in_any_dialect() -> None:
    assert [] == [
        junk for junk in JUNK for name in dialects.names() if dialects.get(name).detect(Transcript(junk, dialect=None))
    ]
