"""The cassette linter: what is wrong or odd in a cassette, before a test relies on it. Nothing is changed or sent.

A recording of an odd stream is a good recording. So a rule is an error only where the file cannot be used or gives a
secret away, and what a stream that was cut short must lack is a note.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from streamkit import dialects
from streamkit.cassettes.encoding import decoded
from streamkit.cassettes.format import Cassette, load_cassette
from streamkit.cassettes.library import load
from streamkit.cassettes.redaction import Redactor
from streamkit.cassettes.secrets import find_secrets
from streamkit.completion import argument_problem
from streamkit.errors import CassetteError, CassetteFormatError, DialectError, LimitError, PayloadError, ProviderError
from streamkit.transcript import Ending, Interaction, Request, Transcript
from streamkit.wire.boundaries import event_ends
from streamkit.wire.sse import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamkit.completion import Choice, Completion

__all__ = ["RULES", "Problem", "Severity", "lint", "lint_file"]

Severity = Literal["error", "warning", "note"]

#: Every rule, and what it finds.
RULES = {
    "unreadable": "the file is no cassette that can be read, or a body cannot be decoded",
    "secret": "a header, URL or body holds what looks like a credential",
    "no-terminal": "the stream has no terminal event, which its dialect has ([DONE])",
    "no-finish-reason": "an answer has no finish reason",
    "bad-arguments": "the arguments of a tool call are not a JSON object",
    "bad-payload": "the data of an event are no payload of the dialect",
    "unfinished-event": "bytes after the last blank line: no parser sees them",
    "split-character": "a chunk boundary lies inside a UTF-8 character",
    "ending": "the recorded ending contradicts the stream",
    "unknown-dialect": "no dialect of streamkit knows the stream, so what it means is not checked",
    "duplicate": "the same request and response as an earlier interaction",
}

#: Dialects whose streams end with `data: [DONE]`.
_WITH_DONE = {"openai_chat"}
_CUT_OFF = {"length", "max_tokens", "model_length", "content_filter"}
# What people write in place of a credential: vcrpy's users choose their own words.
_MASK = re.compile(
    r"(?i)redact|dummy|fake|mock|placeholder|filter|masked|hidden|saniti[sz]ed|scrubbed|x{4}|\*\*\*|<[^<>]*>|your[-_ ]"
    r"|^(?:\w+ )?(?:test|none|key|secret|token|empty|example)(?:[-_ ]?(?:key|token|secret|api[-_]key))*$"
)
_STREAM_START = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\r\n]|:[^\r\n]*[\r\n])*(?:data|event|id|retry) ?:")
_STREAM_TYPE = re.compile(r"event-?stream|ndjson|jsonl|json-seq")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a rule found.

    Attributes:
        path: the file.
        interaction: the number of the interaction, from 1; None where the file as a whole is meant.
        line: 1-based line of the file, or None where it is not known.
        rule: a key of `RULES`.
        severity: "error", "warning" or "note".
        message: what was found, on one line. Never a secret.
    """

    path: str
    interaction: int | None
    line: int | None
    rule: str
    severity: Severity
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return the problem as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Finding:
    """A problem before it is known where in a file it stands: `offset` is bytes into the body of `place`."""

    rule: str
    severity: Severity
    message: str
    place: tuple[str, ...] = ("response",)
    offset: int | None = None


def lint(cassette: Cassette, path: str) -> list[Problem]:
    """Return what is wrong or odd in a cassette, interaction by interaction.

    Args:
        cassette: what to look at.
        path: the file that the problems name. It is not read, so no problem has a line.
    """
    return [
        Problem(path, number, None, finding.rule, finding.severity, finding.message)
        for number, finding in _findings(cassette)
    ]


def lint_file(path: str | Path) -> list[Problem]:
    """Return what is wrong or odd in a cassette file or a bare body (.sse), each problem with its line.

    A file that cannot be read as a cassette is a problem too, not an exception.

    Raises:
        CassetteNotFoundError: there is no such file.
    """
    name = str(path)
    try:
        if Path(path).suffix == ".sse":
            return lint(Cassette((Interaction(Request("", ""), load(name)),)), name)
        cassette = load_cassette(path)
    except CassetteFormatError as error:
        return [Problem(name, None, error.line, "unreadable", "error", error.reason)]
    found = list(_findings(cassette))
    root = _nodes(Path(path)) if found else None
    return [
        Problem(name, number, _line(root, cassette, number, finding), finding.rule, finding.severity, finding.message)
        for number, finding in found
    ]


def _findings(cassette: Cassette) -> Iterator[tuple[int, _Finding]]:
    seen: dict[tuple[Request, bytes], int] = {}
    for number, interaction in enumerate(cassette.interactions, 1):
        request = interaction.request
        try:
            transcript = decoded(interaction.transcript)
        except (CassetteError, LimitError) as error:
            yield number, _Finding("unreadable", "error", str(error), ("response", "body"))
            transcript = replace(interaction.transcript, body=b"", lengths=(), times=())
        for finding in (*_secrets(request, transcript), *_stream(transcript)):
            yield number, finding
        first = seen.setdefault((request, interaction.transcript.body), number)
        if first != number and request.url:
            yield number, _Finding("duplicate", "note", f"the same request and response as interaction {first}")


# -- secrets


def _secrets(request: Request, transcript: Transcript) -> Iterator[_Finding]:
    redactor = Redactor()
    bare = replace(request, headers=tuple(header for header in request.headers if not _is_masked(header[1])))
    redactor.learn(bare)  # the credentials in the head may stand in the bodies too
    clean = redactor.request(replace(request, body=b""))
    if clean.url != request.url:
        yield _secret("the URL of the request holds a credential", "request", "uri")
    head = redactor.transcript(replace(transcript, body=b"", lengths=(), times=(), request=None)).head
    if head.reason != transcript.head.reason:
        yield _secret("the status line holds a credential", "response", "status")
    for side, old, new in (
        ("request", request.headers, clean.headers),
        ("response", transcript.head.headers, head.headers),
    ):
        for (name, value), (_, instead) in zip(old, new, strict=True):
            if value != instead and not _is_masked(value):
                yield _secret(f"the {side} header {name} holds a credential or account", side, "headers", name)
    kinds = [value.lower() for name, value in request.headers if name.lower() == "content-type"]
    bodies = (
        ("request", redactor.secrets(request.body, "".join(kinds[:1]), request=True)),
        ("response", redactor.secrets(transcript.body, transcript.head.header("content-type") or "")),
    )
    for side, found in bodies:
        counted = Counter((secret.kind, secret.preview) for secret in found)
        for secret in found:
            times = counted.pop((secret.kind, secret.preview), 0)
            if times:
                more = f", and {times - 1} more of the kind" if times > 1 else ""
                spread = ", spread over several events" if secret.pieces else ""
                what = f"{secret.kind} ({secret.preview})" if secret.preview != "***" else secret.kind
                message = f"the {side} body holds a likely secret at byte {secret.offset}: {what}{spread}{more}"
                yield replace(_secret(message, side, "body"), offset=secret.offset)


def _secret(message: str, *place: str) -> _Finding:
    return _Finding("secret", "error", message, place)


def _is_masked(value: str) -> bool:
    return _MASK.search(value) is not None and not find_secrets(value.encode("utf-8", "surrogatepass"))


# -- the stream


def _is_stream(transcript: Transcript) -> bool:
    """Say whether a response is a stream: an error or another answer in plain JSON is none."""
    if not transcript.body and transcript.ending is Ending.COMPLETE:
        return False
    kind = transcript.head.header("content-type") or ""
    declared = _STREAM_TYPE.search(kind.lower()) is not None
    looks = _STREAM_START.match(transcript.body) is not None
    if transcript.head.status >= 400 or transcript.body.lstrip()[:1] in (b"{", b"[", b"<"):
        return looks or (declared and transcript.head.status < 400 and "event-stream" not in kind)
    return declared or looks


def _stream(transcript: Transcript) -> Iterator[_Finding]:
    if not _is_stream(transcript):
        return
    yield from _split_characters(transcript)
    dialect = dialects.detect(transcript)
    if dialect is None:
        named = f": it is named {transcript.dialect!r}" if transcript.dialect is not None else ""
        yield _Finding("unknown-dialect", "note", f"no dialect knows this stream{named}")
        return
    cut = transcript.ending is not Ending.COMPLETE
    expected: Severity = "note" if cut else "warning"
    by_lines = dialect.wire == "sse" and transcript.body.lstrip()[:1] not in (b"[", b"{")
    unfinished, done, wrong = _events(transcript) if by_lines else (0, False, [])
    if unfinished:
        at = len(transcript.body) - unfinished
        message = f"{unfinished} bytes after the last blank line, from byte {at}: no parser hands them out"
        yield _Finding("unfinished-event", expected, message, ("response", "body"), at)
    yield from wrong
    reader = dialect.reader()
    error: DialectError | None = None
    try:
        reader.feed(transcript.body)
        reader.close()
        completion = reader.result()
    except DialectError as problem:
        error = problem
        completion = reader.snapshot()
    if isinstance(error, ProviderError):
        return  # a faithful recording of a stream that failed: nothing more is to be expected of it
    if isinstance(error, PayloadError):
        if not wrong:
            yield _Finding("bad-payload", "warning", str(error), ("response", "body"))
        return
    if dialect.name in _WITH_DONE and not done:
        yield _Finding("no-terminal", expected, "the stream has no [DONE]", ("response", "body"))
    yield from _answers(completion, expected, cut)
    yield from _ending(transcript, completion, error, done)


def _events(transcript: Transcript) -> tuple[int, bool, list[_Finding]]:
    """Return the bytes of an unfinished event, whether [DONE] came, and the events before it that are not JSON."""
    body = transcript.body
    decoder = SSEDecoder()
    wrong: list[_Finding] = []
    start, number = 0, 0
    for end in event_ends(body):
        for event in decoder.feed(body[start:end]):
            number += 1
            data = event.data.strip()
            if data == "[DONE]":
                decoder = SSEDecoder()
                decoder.feed(body[end:])
                decoder.close()
                return decoder.discarded, True, wrong
            try:
                json.loads(data or "null")
            except (ValueError, RecursionError) as error:
                message = f"event {number}, at byte {start}, is not JSON: {error}"
                wrong.append(_Finding("bad-payload", "warning", message, ("response", "body"), start))
        start = end
    decoder.feed(body[start:])
    decoder.close()
    return decoder.discarded, False, wrong


def _answers(completion: Completion, expected: Severity, cut: bool) -> Iterator[_Finding]:
    place = ("response", "body")
    if not completion.choices:
        yield _Finding("no-finish-reason", expected, "the stream holds no answer at all", place)
    for choice in completion.choices:
        if choice.finish_reason is None:
            yield _Finding("no-finish-reason", expected, f"answer {choice.index} has no finish reason", place)
        severity: Severity = "note" if cut or choice.finish_reason in _CUT_OFF else "warning"
        for name, problem in _bad_calls(choice):
            message = f"answer {choice.index}, call of {name!r}: {problem}"
            yield _Finding("bad-arguments", severity, message, place)


def _bad_calls(choice: Choice) -> Iterator[tuple[str, str]]:
    called = [(call.name, call.arguments) for call in choice.tool_calls if call.type != "custom"]
    if choice.function_call is not None:
        called.append((choice.function_call.name, choice.function_call.arguments))
    for name, arguments in called:
        problem = argument_problem(arguments)
        if problem is not None:
            yield name, problem


def _ending(
    transcript: Transcript, completion: Completion, error: DialectError | None, done: bool
) -> Iterator[_Finding]:
    ending, place = transcript.ending, ("response", "streamkit")
    if ending is Ending.COMPLETE and error is not None:
        yield _Finding("ending", "warning", f"recorded as complete, but {error}", place)
    elif ending not in (Ending.COMPLETE, Ending.CLIENT_CLOSED) and error is None and completion.ended and done:
        # Only `truncated` says that something is missing. A connection may break after the end, and clients leave then.
        severity: Severity = "warning" if ending is Ending.TRUNCATED else "note"
        yield _Finding("ending", severity, f"recorded as {ending}, but the stream is finished", place)


def _split_characters(transcript: Transcript) -> Iterator[_Finding]:
    body = transcript.body
    cuts = [cut for cut in accumulate(transcript.lengths) if cut < len(body) and body[cut] & 0xC0 == 0x80]
    if not cuts:
        return
    try:
        body.decode()
    except UnicodeDecodeError:
        return  # no text, or damaged: where its characters begin is not known
    listed = ", ".join(map(str, cuts[:5])) + (", ..." if len(cuts) > 5 else "")
    many = "a chunk boundary lies" if len(cuts) == 1 else f"{len(cuts)} chunk boundaries lie"
    yield _Finding(
        "split-character", "note", f"{many} inside a character, at byte {listed}", ("response", "body"), cuts[0]
    )


# -- lines


def _nodes(path: Path) -> Any:
    try:
        return yaml.compose(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return None  # the file has just changed


def _line(root: Any, cassette: Cassette, number: int, finding: _Finding) -> int | None:
    """Return the line of a finding: of the very byte in a block literal, else of the nearest key."""
    node = _child(_child(root, "interactions"), number - 1)
    if node is None:
        return None
    for step in finding.place:
        inner = _child(node, step)
        if inner is None:
            break
        node = inner
    text = _child(node, "string") or node
    if finding.offset is not None and getattr(text, "style", None) == "|":
        interaction = cassette.interactions[number - 1]
        body = interaction.request.body if finding.place[0] == "request" else interaction.transcript.body
        return int(text.start_mark.line) + 2 + body.count(b"\n", 0, finding.offset)
    return int(node.start_mark.line) + 1


def _child(node: Any, step: str | int) -> Any:
    if isinstance(step, str) and isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(step, int) and isinstance(node, yaml.SequenceNode) and step < len(node.value):
        return node.value[step]
    return None
