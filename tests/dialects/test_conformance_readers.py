"""The conformance kit: each law that a reader breaks is noticed and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from skhelpers.toy_dialect import WEATHER, ByChunk, Marked

from streamkit.completion import Completion
from streamkit.conformance import check_dialect
from streamkit.dialects.openai_chat import Reader as ChatReader
from streamkit.errors import PayloadError


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
