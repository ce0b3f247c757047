"""The conformance kit: a dialect that keeps the laws passes, and each law that one breaks is noticed and named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from skhelpers.chat import DONE, delta, finish, sse
from skhelpers.toy_dialect import WEATHER, ByChunk, Marked, Toy

from streamkit import dialects
from streamkit.completion import Choice, Completion
from streamkit.conformance import check_dialect
from streamkit.dialects.layout import Layout
from streamkit.errors import PayloadError, TruncatedStreamError, UsageError
from streamkit.transcript import Transcript


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
