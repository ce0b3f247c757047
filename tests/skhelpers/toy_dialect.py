"""A chat dialect under another name that keeps the laws, for dialects and readers that break one each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from skhelpers.chat import weather
from streamkit.completion import Completion
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat import OpenAIChat
from streamkit.dialects.openai_chat import Reader as ChatReader
from streamkit.transcript import Transcript
from streamkit.wire.sse import SSEDecoder

WEATHER = Transcript(weather(), name="weather")


class ByChunk(ChatReader):
    """Decodes each chunk by itself: an event in two chunks is lost."""

    def feed(self, data: Any) -> None:
        decoder = SSEDecoder()
        for event in decoder.feed(bytes(data)):
            self._accumulator.feed(event)


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


class Marked(Toy):
    """Says its name in what it writes, so that its streams are its own."""

    def emit(self, completion: Completion, layout: Layout) -> Transcript:
        written = super().emit(completion, layout)
        return replace(written, body=written.body + b": toy\n\n", lengths=(*written.lengths, 7), times=())
