"""What a body is made of: its framing, and which fields its payloads have and of which types, whatever they say.

A shape is a table of places. A place is a JSON path with array indexes left out (`$.choices[*].delta.content`). An
object that names its own type is a place for each type (`$.delta{text_delta}.text`), and so is a payload that does, or
whose event has a name (`content_block_delta: $.delta`): the fields of one kind are not expected in another.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from streamkit.cassettes.encoding import decoded
from streamkit.completion import argument_problem
from streamkit.errors import DialectError, StreamkitError, TruncatedStreamError
from streamkit.transcript import Ending
from streamkit.wire.sse import BOM, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streamkit.transcript import Transcript

__all__ = ["FORMS", "Place", "Reading", "Shape", "read"]

# A name that an API chose. Others (ids, numbers, models, dates) are keys of a map, and stand for each other.
_NAME = re.compile(r"[A-Za-z_@$][\w@$.-]{0,63}")
_FREE = re.compile(r"\d{4}|[-.].*\d|\d.*[-.]|[0-9a-f]{16}")
_KIND = re.compile(r"[A-Za-z][\w./-]{0,63}")
# What is under these is the caller's or the model's own JSON, and no part of the API.
_FOREIGN = {
    "args", "arguments", "input", "input_schema", "json_schema", "logit_bias", "metadata", "parameters", "properties",
    "schema",
}  # fmt: skip
_DEEPEST = 64
_ENDS = {"finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason"}
_CALL = re.compile(r"(server_|custom_|mcp_)?(function|tool)(_?(call|use))?s?", re.IGNORECASE)
_OFFERED = {"tools", "functions", "tool_choice", "toolChoice"}  # an echo of the request


@dataclass(slots=True)
class Place:
    """What was seen at one place.

    Attributes:
        parent: the place that it belongs to; "" for a payload.
        step: what was added to the parent's name: ".field", "[*]" or "{type}".
        count: values seen.
        objects: how many of them were objects.
        types: null, boolean, number, string, object, array; "text" for a payload that is no JSON.
        filled: some value was neither null nor empty.
        hollow: some value was an empty array.
    """

    parent: str
    step: str
    count: int = 0
    objects: int = 0
    types: set[str] = field(default_factory=set)
    filled: bool = False
    hollow: bool = False

    @property
    def name(self) -> str:
        """The field's name, or the step as it is."""
        return self.step.removeprefix(".")

    @property
    def is_type(self) -> bool:
        """Whether it stands for the objects of one type."""
        return self.step.startswith("{")


class Shape:
    """The shape of the payloads that were added.

    Attributes:
        places: by their names.
        kinds: the types that payloads give themselves, or the names of their events.
        endings: the values of finish reasons and stop reasons.
        called: the names of functions that were called.
    """

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.kinds: set[str] = set()
        self.endings: set[str] = set()
        self.called: set[str] = set()

    def add(self, payload: Any, event: str = "") -> None:
        """Take a payload.

        Args:
            payload: a JSON value.
            event: the name of its event; "" for none.
        """
        kind = _kind(payload) or event
        if kind:
            self.kinds.add(kind)
        self._walk(payload, f"{kind}: $" if kind else "$", "", "", 0, is_payload=True)

    def add_text(self, event: str = "") -> None:
        """Take a payload that is no JSON."""
        place = self._place(f"{event}: $" if event else "$", "", "")
        place.types.add("text")
        place.filled = True

    def always(self, name: str) -> bool:
        """Say whether a field was in every object that it can be in."""
        place = self.places[name]
        return place.parent != "" and place.count == self.places[place.parent].objects

    def _place(self, name: str, parent: str, step: str) -> Place:
        place = self.places.get(name)
        if place is None:
            place = self.places[name] = Place(parent, step)
        place.count += 1
        return place

    def _walk(self, value: Any, name: str, parent: str, step: str, depth: int, *, is_payload: bool = False) -> None:
        place = self._place(name, parent, step)
        place.types.add(_type(value))
        place.filled = place.filled or value not in (None, "", [], {})
        if isinstance(value, dict):
            place.objects += 1
        if depth > _DEEPEST or (step.removeprefix(".") in _FOREIGN and not is_payload):
            return
        if isinstance(value, list):
            place.hollow = place.hollow or not value
            for item in value:
                self._walk(item, f"{name}[*]", name, "[*]", depth + 1)
        elif isinstance(value, dict):
            self._notice(value, name, step)
            self._object(value, name, depth, is_payload=is_payload)

    def _object(self, value: dict[str, Any], name: str, depth: int, *, is_payload: bool) -> None:
        inside = name
        kind = "" if is_payload else _kind(value)
        if kind:
            inside = f"{name}{{{kind}}}"
            variant = self._place(inside, name, f"{{{kind}}}")
            variant.objects += 1
            variant.types.add("object")
            variant.filled = True
        for key, item in value.items():
            holder = name if key == "type" else inside
            step = f".{key}" if _NAME.fullmatch(key) and not _FREE.search(key) else ".*"
            self._walk(item, holder + step, holder, step, depth + 1)

    def _notice(self, value: dict[str, Any], name: str, step: str) -> None:
        """Note how the answer ended and what it called."""
        self.endings.update(item for key, item in value.items() if key in _ENDS and isinstance(item, str) and item)
        called = value.get("name")
        if isinstance(called, str) and called:
            own = name.rpartition(".")[2].removesuffix("[*]") if step == "[*]" else step.removeprefix(".")
            if own not in _OFFERED and any(_CALL.fullmatch(word) for word in (own, _kind(value))):
                self.called.add(called)


def _kind(value: Any) -> str:
    """Return what an object says it is, or ""."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else ""


def _type(value: Any) -> str:
    """Return the JSON type; numbers are one type, since a server may write 1 or 1.0."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


# -- bodies

_JSON_LINES = ("ndjson", "jsonl", "json-seq", "x-json-stream")

#: The forms of a body, and what a message calls them.
FORMS = {
    "sse": "an event stream", "lines": "JSON lines", "json": "JSON", "other": "something else", "empty": "empty",
}  # fmt: skip


@dataclass
class Reading:
    """One body, read as far as it can be.

    Attributes:
        transcript: what was read, decoded.
        form: one of `FORMS`.
        shape: of its payloads.
        names: of its events.
        done: whether `[DONE]` came.
        unfinished: bytes of a last event that nothing ended.
        dialect: what its payloads speak; "" where no dialect of ours fits.
        ending: the recorded one, or truncated where the dialect says that there should be more.
        broken: the calls whose arguments are no JSON.
        outlasts: although it was broken off, it goes on for as long as what it is compared to.
    """

    transcript: Transcript
    form: str
    ending: Ending
    shape: Shape = field(default_factory=Shape)
    names: set[str] = field(default_factory=set)
    done: bool = False
    unfinished: int = 0
    dialect: str = ""
    broken: tuple[str, ...] = ()
    outlasts: bool = False

    @property
    def body(self) -> bytes:
        """The bytes of the body, decoded."""
        return self.transcript.body

    @property
    def cut(self) -> bool:
        """Whether it was broken off, so that what it has not may only not have come."""
        return self.ending is not Ending.COMPLETE and not self.outlasts


def read(transcript: Transcript) -> Reading:
    """Return what a transcript is made of. Nothing raises: a coding that cannot be read is a body of another form."""
    try:
        transcript = decoded(transcript)
    except (StreamkitError, ValueError):
        return Reading(transcript, "other", transcript.ending)
    reading = Reading(transcript, _form(transcript), transcript.ending)
    payloads = list(_payloads(reading))
    for event, text in payloads:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            reading.shape.add_text(event)
        else:
            reading.shape.add(value, event)
    if reading.form != "sse" or not _answer(reading):
        reading.broken = tuple(_broken_pieces(payloads))
    return reading


def _form(transcript: Transcript) -> str:
    kind = (transcript.head.header("content-type") or "").lower()
    body = transcript.body.removeprefix(BOM).lstrip()
    if not body:
        return "empty"
    if "event-stream" in kind or re.match(rb"(data|event|id|retry|):", body):
        return "sse"
    if body[:1] not in b"{[" and "json" not in kind:
        return "other"
    if any(name in kind for name in _JSON_LINES):
        return "lines"
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "lines" if body[:1] == b"{" and re.search(rb"\}\s*[\r\n]", body) else "other"
    return "json"


def _payloads(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield the name of each event ("" for none) and its data."""
    if reading.form == "json":
        yield "", reading.body.decode("utf-8-sig", "replace")
    elif reading.form == "lines":
        lines = [
            line for line in reading.body.removeprefix(BOM).splitlines(keepends=True) if line.strip(b"\x1e \t\r\n")
        ]
        if lines and reading.cut and not lines[-1].endswith((b"\r", b"\n")):
            del lines[-1]
        for line in lines:
            yield "", line.strip(b"\x1e \t\r\n").decode("utf-8", "replace")
    elif reading.form == "sse":
        decoder = SSEDecoder()
        for event in decoder.feed(reading.body):
            name = "" if event.event == "message" else event.event
            if name:
                reading.names.add(name)
            if event.data.strip() == "[DONE]":
                reading.done = True
            elif event.data.strip():
                yield name, event.data
        decoder.close()
        reading.unfinished = decoder.discarded


def _answer(reading: Reading) -> bool:
    """Read what the answer comes to; say whether a dialect of ours knows it."""
    from streamkit import dialects

    # by its payloads alone: the request is the same, and so is what it asked for
    dialect = dialects.detect(replace(reading.transcript, request=None, dialect=None))
    if dialect is None:
        return False
    reading.dialect = dialect.name
    reader = dialect.reader()
    try:
        reader.feed(reading.body)
        reader.close()
        reader.result()
    except TruncatedStreamError:
        if reading.ending is Ending.COMPLETE:
            reading.ending = Ending.TRUNCATED  # recorders that know no dialect cannot tell
    except DialectError:
        pass  # an error of the provider is a payload like others
    calls = [call for choice in reader.snapshot().choices for call in choice.tool_calls]
    reading.shape.called = {call.name for call in calls if call.name}
    reading.broken = tuple(
        call.name for call in calls if call.type == "function" and argument_problem(call.arguments) is not None
    )
    return True


def _broken_pieces(payloads: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what calls of Anthropic Messages and OpenAI Responses have arguments that are no JSON."""
    pieces: dict[Any, list[str]] = {}
    for _, text in payloads:
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(payload, dict):
            continue
        delta = payload.get("delta")
        if isinstance(delta, dict) and isinstance(delta.get("partial_json"), str):
            pieces.setdefault(str(payload.get("index")), []).append(delta["partial_json"])
        elif payload.get("type") == "response.function_call_arguments.done":
            pieces[str(payload.get("item_id"))] = [str(payload.get("arguments"))]
    for number, parts in enumerate(pieces.values(), 1):
        if argument_problem("".join(parts)) is not None:
            yield f"call {number}"
