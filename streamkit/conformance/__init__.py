"""The laws that every dialect keeps, as one check for the tests of whoever writes one.

In the tests of a third-party dialect::

    from streamkit.conformance import check_dialect

    def test_my_dialect_keeps_the_laws():
        check_dialect(MyDialect(), [streamkit.load("tests/cassettes/real_answer.yaml")])

The laws:

1. A reader gives one outcome whatever the chunking: whole, byte by byte, every cut of a small stream, empty chunks, and
   a copy of it (`copy.deepcopy`) taken anywhere goes on like the original.
2. Whatever the bytes, it raises PayloadError, ProviderError or TruncatedStreamError and nothing else; the error holds
   as `partial` what had come, nothing in it ended or executable; and it is raised again by `result`.
3. A stream that was cut off looks finished only if the whole answer had come: before that, `result` raises, and no tool
   call is executable, in a snapshot either.
4. `detect` knows the dialect's own streams and takes no other's: no bundled transcript of another dialect, nothing that
   one writes, and nothing that is no stream at all.
5. Where there is an `emit`: what it writes accumulates to the very completion, for every completion that it does not
   refuse with UsageError, in every layout.

Nothing is random: the same dialect passes or fails every time.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from itertools import accumulate as running_sum
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamkit import dialects
from streamkit.conformance.damage import JUNK, damaged
from streamkit.conformance.outcomes import check_same, check_unfinished, drip_of, feed, finish, outcome_of
from streamkit.dialects.layout import Layout
from streamkit.dialects.openai_chat_emit import difference
from streamkit.errors import UsageError
from streamkit.generation import completions, features, layouts
from streamkit.synthesis import synthesize
from streamkit.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streamkit.completion import Completion

__all__ = ["check_dialect"]

_WIRES = ("sse", "ndjson", "jsonarray", "eventstream")
_SMALL = 4096  # bytes of a stream that is cut at every byte
_CUTS = 500  # of a larger one


def check_dialect(
    dialect: dialects.Dialect | str, transcripts: Iterable[Transcript] = (), *, examples: int = 50
) -> None:
    """Check that a dialect keeps the laws; the module says which.

    Args:
        dialect: the dialect, or the name of one that is registered.
        transcripts: streams of it, recorded ones above all: whole answers. Without an `emit` there must be one.
        examples: generated completions for the fifth law.

    Raises:
        AssertionError: a law is broken; the message says which, where, and how to see it.
    """
    speaker = dialects.get(dialect) if isinstance(dialect, str) else dialect
    _check_shape(speaker)
    samples = [_Sample(one.name or f"transcript {number}", one) for number, one in enumerate(transcripts, 1)]
    if hasattr(speaker, "emit"):
        samples += _written(speaker)
    if not samples:
        raise AssertionError(f"{speaker.name}: nothing to check with: give transcripts, or the dialect an emit()")
    _check_detect(speaker, samples)  # the quick ones first
    for sample in samples:
        _check_chunking(speaker, sample)
        _check_prefixes(speaker, sample)
    if hasattr(speaker, "emit"):
        _check_emit(speaker, examples)
    _check_errors(speaker, samples)


@dataclass(frozen=True)
class _Sample:
    name: str
    transcript: Transcript

    @property
    def body(self) -> bytes:
        return self.transcript.body

    def offsets(self) -> list[int]:
        """Return where it is cut: everywhere in a small stream; in a larger one around its chunks, and evenly."""
        size = len(self.body)
        if size <= _SMALL:
            return list(range(size + 1))
        ends = list(running_sum(self.transcript.lengths))[-_CUTS:]
        around = {end + step for end in ends for step in (-1, 0, 1) if 0 <= end + step <= size}
        return sorted({*around, *range(0, size, size // _CUTS + 1), *range(size - 64, size + 1)})


def _check_shape(dialect: Any) -> None:
    name = getattr(dialect, "name", None)
    if not isinstance(name, str) or not name:
        raise AssertionError(f"{dialect!r} has no name: give it a class attribute name = 'my_dialect'")
    if getattr(dialect, "wire", None) not in _WIRES:
        raise AssertionError(f"{name}: wire is {getattr(dialect, 'wire', None)!r}: one of {', '.join(_WIRES)} is it")
    for method in ("detect", "reader"):
        if not callable(getattr(dialect, method, None)):
            raise AssertionError(f"{name} has no method {method}")
    if name in dialects.names() and type(dialects.get(name)) is not type(dialect):
        raise AssertionError(f"{name}: another dialect has that name already and would be used in its place")


def _written(dialect: Any) -> list[_Sample]:
    """Return small streams that the dialect writes itself."""
    can = features(dialect)
    if not can & {"content", "calls"}:
        raise AssertionError(f"{dialect.name}: emit() refuses both a short text and a single tool call")
    answers: dict[str, tuple[str, dict[str, Any]]] = {
        "content": ("a written text", {"content": "Grüße \U0001f30d"}),
        "calls": ("a written call", {"tool_calls": [("f", {"city": "東"})]}),
        "parallel": ("two written calls", {"tool_calls": [("f", {"a": 1}), ("g", {"b": 2})]}),
    }
    found = [answer for feature, answer in answers.items() if feature in can]
    return [_Sample(name, synthesize(**parts, dialect=dialect)) for name, parts in found]


# Laws 1 and 3


def _check_chunking(dialect: Any, sample: _Sample) -> None:
    body, name = sample.body, sample.name
    whole = outcome_of(dialect, [body], f"{name}, in one chunk")
    if whole.completion is None:
        raise AssertionError(f"{dialect.name}: {name} is no whole answer: {whole}")
    drip = drip_of(body)
    ways = {
        "byte by byte": drip,
        "byte by byte, in bytearrays": map(bytearray, drip),
        "with empty chunks": [b"", body[: len(body) // 2], b"", memoryview(body)[len(body) // 2 :], b""],
        "in its own chunks": sample.transcript.fragment(),
    }
    for way, chunks in ways.items():
        check_same(whole, outcome_of(dialect, chunks, f"{name}, {way}"), f"{dialect.name}: {name}, {way}")
    buffer = bytearray(1)
    reused = dialect.reader()
    where = f"{dialect.name}: {name}, from a buffer that is used again"
    for value in body:
        buffer[0] = value
        feed(reused, buffer, where)
    check_same(whole, finish(reused, [], where), where)
    original = dialect.reader()
    start = 0
    for offset in sample.offsets():
        where = f"{dialect.name}: {name}, cut at byte {offset}"
        feed(original, body[start:offset], f"{where}, after copies of the reader were made")
        start = offset
        try:
            copied = copy.deepcopy(original)
        except Exception as error:
            raise AssertionError(f"{where}: the reader cannot be copied (copy.deepcopy): {error!r}") from error
        check_same(whole, finish(copied, [body[offset:]], where), f"{where}, read on by a copy of the reader")
        if len(body) <= _SMALL:
            again = outcome_of(dialect, [body[:offset], body[offset:]], f"{name}, cut at byte {offset}")
            check_same(whole, again, where)
    where = f"{dialect.name}: {name}, after copies of the reader were made"
    check_same(whole, finish(original, [body[start:]], where), where)


def _check_prefixes(dialect: Any, sample: _Sample) -> None:
    whole = outcome_of(dialect, [sample.body], sample.name).completion
    assert whole is not None  # noqa: S101 - _check_chunking has seen to it
    growing = dialect.reader()
    start = 0
    for offset in sample.offsets():
        where = f"{dialect.name}: the first {offset} of {len(sample.body)} bytes of {sample.name}"
        feed(growing, sample.body[start:offset], where)
        start = offset
        snapshot = growing.snapshot()
        outcome = finish(copy.deepcopy(growing), [], where)
        if not snapshot.ended:
            check_unfinished(snapshot, f"{where}: the snapshot")
        found = outcome.completion
        if found is not None and _answer(found) != _answer(whole):
            what = difference(_answer(whole), _answer(found), "the answer")
            raise AssertionError(f"{where} look finished, and are not the whole answer. {what}")
    if outcome_of(dialect, [], "no bytes at all").completion is not None:
        raise AssertionError(f"{dialect.name}: a stream of no bytes looks finished")


def _answer(completion: Completion) -> tuple[Any, ...]:
    """Return what an answer says, without what may follow it (usage, extras)."""
    return tuple(
        (
            *(choice.index, choice.finish_reason, choice.function_call),
            *(text or "" for text in (choice.content, choice.reasoning, choice.refusal)),
            *((call.id, call.name, call.arguments, call.problem) for call in choice.tool_calls),
        )
        for choice in completion.choices
    )


# Law 2


def _check_errors(dialect: Any, samples: list[_Sample]) -> None:
    chance = random.Random(0)  # noqa: S311 - not for secrets: the same bytes every time
    for number, junk in enumerate((*JUNK, *(chance.randbytes(size) for size in (1, 2, 3, 8, 16, 64, 500) * 8))):
        what = f"{len(junk)} bytes that are no stream (number {number}, {junk[:40]!r})"
        found = outcome_of(dialect, [junk], what).completion
        if found is not None and any(choice.content or choice.tool_calls for choice in found.choices):
            raise AssertionError(f"{dialect.name}: {what} look like a finished answer")
    for sample in samples:
        small = len(sample.body) <= _SMALL
        for place, body in damaged(sample.body, chance, changes=60 if small else 20, values=100):
            what = f"{sample.name}, {place}"
            try:
                whole = outcome_of(dialect, [body], what)
            except AssertionError as error:
                raise AssertionError(f"{error}\nThe stream: {body!r}") from error.__cause__
            if small and chance.random() < 0.1:
                where = f"{dialect.name}: {what}, byte by byte: {body!r}"
                check_same(whole, outcome_of(dialect, drip_of(body), what), where)


# Law 4


def _check_detect(dialect: Any, samples: list[_Sample]) -> None:
    def detects(transcript: Transcript, what: str) -> bool:
        try:
            return bool(dialect.detect(transcript))
        except Exception as error:
            raise AssertionError(f"{dialect.name}: detect() of {what} raised {error!r}") from error

    for sample in samples:
        if not detects(replace(sample.transcript, dialect=None), sample.name):
            raise AssertionError(f"{dialect.name}: detect() does not know its own {sample.name}")
    for name, transcript in _foreign(dialect.name):
        for one, what in ((transcript, name), (replace(transcript, request=None), f"{name} without its request")):
            if detects(one, what):
                raise AssertionError(f"{dialect.name}: detect() takes {what}, a stream of {transcript.dialect}")
    for junk in JUNK:
        if detects(Transcript(junk), repr(junk[:40])):
            raise AssertionError(f"{dialect.name}: detect() takes {junk[:40]!r}, which is no stream of any dialect")


def _foreign(own: str) -> Iterator[tuple[str, Transcript]]:
    """Yield streams of other dialects: the bundled ones, and what those write that can."""
    from streamkit.cassettes import bundled

    for transcript in bundled():
        if transcript.dialect not in (None, own):
            yield transcript.name, transcript
    for other in dialects.names():
        try:
            speaker = dialects.get(other)
        except UsageError:  # a broken plug-in of somebody else
            continue
        can = features(speaker) if other != own and hasattr(speaker, "emit") else frozenset()
        for feature, parts in (("content", {"content": "Hello"}), ("calls", {"tool_calls": [("f", {"a": 1})]})):
            if feature in can:
                yield f"a stream written by {other} ({feature})", synthesize(**parts, dialect=speaker)


# Law 5


def _check_emit(dialect: Any, examples: int) -> None:
    """Invariant: what was written accumulates to what it was written from."""

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.data())
    def law(data: st.DataObject) -> None:
        completion = data.draw(answers, label="completion")
        layout = data.draw(spreads, label="layout")
        try:
            transcript = dialect.emit(completion, layout)
        except UsageError:
            if layout == Layout():
                raise AssertionError(f"{dialect.name}: emit() refuses in one moment what it took before") from None
            return
        _check_written(dialect, completion, transcript, f"{dialect.name}: what emit() wrote in {layout}")

    sample = _written(dialect)[0]
    least = outcome_of(dialect, [sample.body], sample.name).completion
    if least is None or dialect.emit(least, Layout()).body != dialect.emit(least, Layout()).body:
        raise AssertionError(f"{dialect.name}: emit() wrote different bytes for the same completion")
    try:
        dialect.emit(replace(least, ended=False), Layout())
    except UsageError:
        pass
    else:
        raise AssertionError(f"{dialect.name}: emit() takes a completion with ended=False, where it raises UsageError")
    answers, spreads = completions(dialect), layouts(dialect)
    law()


def _check_written(dialect: Any, completion: Completion, transcript: Transcript, where: str) -> None:
    if not transcript.synthetic or transcript.dialect != dialect.name:
        raise AssertionError(f"{where}: synthetic={transcript.synthetic}, dialect={transcript.dialect!r}")
    for way, chunks in (("in its chunks", transcript.fragment()), ("in one chunk", [transcript.body])):
        outcome = finish(dialect.reader(), chunks, f"{where}, {way}")
        if outcome.completion is None:
            raise AssertionError(f"{where}, {way}: {outcome}")
        found = difference(completion, outcome.completion)
        if found is not None:
            raise AssertionError(f"{where}, {way}, is not the completion it was written from. {found}")
