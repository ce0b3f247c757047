"""The cassette format: VCR version 1 in YAML, with `response.streamkit` for what a stream needs beyond it.

    version: 1
    interactions:
    - request: {method, uri, body, headers}
      response:
        status: {code, message}
        headers: {name: [value, ...]}
        body: {string: |- ...}
        streamkit:
          format: 1
          dialect: openai_chat
          ending: complete
          error: httpx2.ReadError: ...      # what the client library raised there, where it raised
          missing: 12                       # bytes of the last HTTP chunk that were announced and never came
          chunks: [[0, 120], [35, 99]]      # milliseconds after the head, bytes; the bytes add up to the body
          chunks_recorded: true             # false: the network's chunks are not known
          synthetic: false                  # true: no server sent these bytes
          source: where the bytes come from
          server: llama-cpp-python 0.3.36   # name and version of the server, where known

A cassette without that key, as vcrpy writes it, is a transcript of one chunk; an ordinary response, which is no stream,
is written without it too. Unknown keys beside ours inside
`response` survive a re-save by vcrpy; on the interaction or at top level they would be dropped, so nothing of ours
stands there. Only plain YAML is read: no tag can make a Python object.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from streamkit.cassettes.files import read_file
from streamkit.errors import CassetteFormatError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CONVERTERS", "FORMAT", "Cassette", "load_cassette", "parse", "stream_entry", "stream_facts"]

#: The version of `response.streamkit` that this version reads and writes.
FORMAT = 1

#: Version: what makes the next version's mapping out of it. Reading goes through as many as it takes.
CONVERTERS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

_BaseLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Characters that YAML would fold, or refuses, within quotes.
_NOT_PLAIN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_TEXT, _INT = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int"
_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")  # YAML has other ways to write whole numbers, and PyYAML reads them
# An alias may stand for what holds aliases again; nothing honest holds this many values.
_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Cassette:
    """The interactions of one file, in their order, and what vcrpy's `get_metadata` has stored beside them."""

    interactions: tuple[Interaction, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def transcripts(self) -> tuple[Transcript, ...]:
        """The responses, each with its request."""
        return tuple(interaction.transcript for interaction in self.interactions)


class _Loader(_BaseLoader):  # type: ignore[misc]  # the C loader has no stub of its own
    """A safe loader that also reads the plain tags that old versions of vcrpy wrote."""


def _scalar(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


# What follows reads what nearly every node of a cassette is, without PyYAML's detours: a loader needs most of its time
# for them. Anything else is left to PyYAML.


def _value(loader: Any, node: Any) -> Any:
    is_text = node.tag == _TEXT and isinstance(node, yaml.ScalarNode)
    return node.value if is_text else loader.construct_object(node, deep=True)


def _mapping(loader: Any, node: Any) -> Any:
    """Read a mapping with texts for keys."""
    if isinstance(node, yaml.MappingNode) and all(key.tag == _TEXT for key, _ in node.value):
        return {_value(loader, key): _value(loader, value) for key, value in node.value}
    return loader.construct_yaml_map(node)


def _sequence(loader: Any, node: Any) -> Any:
    """Read a list; one of plain whole numbers, of which `chunks` holds one for each chunk, at once."""
    if not isinstance(node, yaml.SequenceNode):
        return loader.construct_yaml_seq(node)
    texts = [part.value for part in node.value if part.tag == _INT and isinstance(part, yaml.ScalarNode)]
    if texts and len(texts) == len(node.value) and all(map(_DECIMAL.fullmatch, texts)):
        return list(map(int, texts))
    return [_value(loader, part) for part in node.value]


_Loader.add_constructor(_MAPPING, _mapping)
_Loader.add_constructor(_SEQUENCE, _sequence)
_Loader.add_constructor("tag:yaml.org,2002:python/str", _scalar)
_Loader.add_constructor("tag:yaml.org,2002:python/unicode", _scalar)


class _Faults:
    """Raises the format error for a place in the document, given as a path of keys and indexes."""

    def __init__(self, path: str, root: yaml.Node | None = None) -> None:
        self.path = path
        self.root = root

    def at(self, place: tuple[str | int, ...], reason: str) -> CassetteFormatError:
        where = ".".join(str(step) for step in place)
        text = f"{where}: {reason}" if where else reason
        node = self.root
        if node is None:
            return CassetteFormatError(self.path, text)
        for step in place:
            if isinstance(step, str) and isinstance(node, yaml.MappingNode):
                inner = next((value for key, value in node.value if key.value == step), None)
            elif isinstance(step, int) and isinstance(node, yaml.SequenceNode) and step < len(node.value):
                inner = node.value[step]
            else:
                inner = None
            if inner is None:
                break
            node = inner
        return CassetteFormatError(self.path, text, line=node.start_mark.line + 1)


def load_cassette(path: str | Path, *, name: str | None = None) -> Cassette:
    """Read a cassette file.

    Args:
        path: a YAML cassette (ours or vcrpy's).
        name: the name that its transcripts get; the path where None. Of several interactions the second is named
            `NAME#2`, and so on.

    Raises:
        CassetteFormatError: the file is no cassette, or one of a newer format; it names path, line and reason.
        LimitError: the file is larger than any cassette should be.
    """
    return parse(read_file(Path(path)), path=str(path), name=name)


def parse(raw: bytes, *, path: str = "(cassette)", name: str | None = None) -> Cassette:
    """Read a cassette from the bytes of its file; see `load_cassette`."""
    try:
        loader = _Loader(_as_yaml(raw))
        root = loader.get_single_node()
        aliases = b"&" in raw and b"*" in raw  # there may be some
        if root is not None and aliases and _values(root, {}) > _MOST_VALUES:
            raise CassetteFormatError(path, "aliases that stand for aliases: no cassette needs that", line=1)
        document = loader.construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        if isinstance(error, yaml.constructor.ConstructorError):
            reason += " (only plain YAML is read)"
        raise CassetteFormatError(path, reason, line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CassetteFormatError(path, f"not YAML: {str(error).splitlines()[0]}", line=1) from None
    if root is None:
        raise CassetteFormatError(path, "the file is empty: a cassette has `interactions` and `version: 1`", line=1)
    fault = _Faults(path, root)
    if not isinstance(document, dict) or "interactions" not in document:
        raise fault.at((), "no cassette: a mapping with `interactions` and `version: 1` is expected")
    if document.get("version") != 1:
        raise fault.at(("version",), f"VCR cassette version {document.get('version')!r}: only version 1 is read")
    listed = document["interactions"]
    if not isinstance(listed, list):
        raise fault.at(("interactions",), "a list is expected")
    name = path if name is None else name
    interactions = []
    for number, entry in enumerate(listed):
        label = name if number == 0 else f"{name}#{number + 1}"
        interactions.append(_interaction(entry, ("interactions", number), label, fault))
    metadata = document.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise fault.at(("metadata",), "a mapping is expected")
    return Cassette(tuple(interactions), metadata)


def _as_yaml(raw: bytes) -> bytes:
    """Return JSON, which vcrpy can write as well, as the YAML that it almost is: with no surrogate pairs in it."""
    if not raw.lstrip().startswith(b"{"):
        return raw
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False, indent=4)
    except (ValueError, RecursionError):
        return raw
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8", "surrogatepass")


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for once its aliases are written out."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES  # what holds itself has no end
        inner: list[Any] = []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def _interaction(entry: Any, place: tuple[str | int, ...], name: str, fault: _Faults) -> Interaction:
    for part in ("request", "response"):
        if not isinstance(entry, dict) or not isinstance(entry.get(part), dict):
            raise fault.at(place, f"an interaction has a `request` and a `response`; `{part}` is missing")
    request = _request(entry["request"], (*place, "request"), fault)
    return Interaction(request, _response(entry["response"], (*place, "response"), name, request, fault))


def _request(entry: dict[str, Any], place: tuple[str | int, ...], fault: _Faults) -> Request:
    if not isinstance(entry.get("uri"), str) or not isinstance(entry.get("method"), str):
        raise fault.at(place, "a request has a `method` and a `uri`")
    body = entry.get("body")
    if isinstance(body, dict) and ("string" in body or "base64_string" in body):
        data = _body(body, (*place, "body"), fault)
    elif body is None:
        data = b""
    elif isinstance(body, str):
        data = _encode(body, (*place, "body"), fault)
    elif isinstance(body, bytes):
        data = body
    else:
        try:
            data = json.dumps(body, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as error:  # a date, say, or a list of lists of lists
            raise fault.at((*place, "body"), f"a text is expected, or JSON: {error}") from None
    return Request(entry["method"], entry["uri"], _headers(entry.get("headers"), (*place, "headers"), fault), data)


def _response(
    entry: dict[str, Any], place: tuple[str | int, ...], name: str, request: Request, fault: _Faults
) -> Transcript:
    status = entry.get("status")
    if not isinstance(status, dict) or type(status.get("code")) is not int:
        raise fault.at((*place, "status"), "a response has a `status` with a whole-number `code`")
    if not isinstance(entry.get("body"), dict):
        raise fault.at((*place, "body"), "a response has a `body` with a `string`")
    body = _body(entry["body"], (*place, "body"), fault)
    head = ResponseHead(
        status["code"],
        str(status.get("message") or ""),
        _headers(entry.get("headers"), (*place, "headers"), fault),
    )
    ours = entry.get("streamkit", {})
    here = (*place, "streamkit")
    if not isinstance(ours, dict):
        raise fault.at(here, "a mapping is expected")
    facts = _facts(ours, here, len(body), fault) if "streamkit" in entry else {}
    return Transcript(body=body, head=head, name=name, request=request, **facts)


def stream_facts(entry: dict[str, Any], size: int, *, path: str = "(cassette)") -> dict[str, Any]:
    """Return what a mapping like `response.streamkit` says, as arguments for a Transcript.

    Args:
        entry: the mapping, as `stream_entry` makes it.
        size: bytes of the body.
        path: the file, for messages.

    Raises:
        CassetteFormatError: the mapping is of a newer format, or does not fit the body.
    """
    return _facts(entry, ("streamkit",), size, _Faults(path))


def stream_entry(transcript: Transcript) -> dict[str, Any]:
    """Return the mapping that stands under `response.streamkit` for a transcript."""
    entry: dict[str, Any] = {"format": FORMAT}
    if transcript.dialect is not None:
        entry["dialect"] = transcript.dialect
    entry["ending"] = str(transcript.ending)
    if transcript.error:
        entry["error"] = transcript.error
    if transcript.missing:
        entry["missing"] = transcript.missing
    entry["chunks"] = [[at, length] for at, length in zip(transcript.times, transcript.lengths, strict=True)]
    entry["chunks_recorded"] = transcript.chunks_recorded
    entry["synthetic"] = transcript.synthetic
    if transcript.source:
        entry["source"] = transcript.source
    if transcript.server:
        entry["server"] = transcript.server
    return entry


def _facts(ours: dict[str, Any], place: tuple[str | int, ...], size: int, fault: _Faults) -> dict[str, Any]:
    version = ours.get("format")
    while type(version) is int and version in CONVERTERS:
        ours = CONVERTERS[version](ours)
        version = ours.get("format")
    if type(version) is not int or version < 1:
        raise fault.at((*place, "format"), f"`format` is {version!r}: a whole number is expected")
    if version > FORMAT:
        raise fault.at(
            (*place, "format"),
            f"written in format {version} by a newer streamkit; this one reads up to {FORMAT}: upgrade",
        )
    facts: dict[str, Any] = {}
    if ours.get("chunks") is not None:
        facts["lengths"], facts["times"] = _chunks(ours["chunks"], (*place, "chunks"), size, fault)
    facts["chunks_recorded"] = ours.get("chunks_recorded", "lengths" in facts)
    facts["synthetic"] = ours.get("synthetic", False)
    for key in ("chunks_recorded", "synthetic"):
        if not isinstance(facts[key], bool):
            raise fault.at((*place, key), f"{facts[key]!r}: true or false is expected")
    ending = ours.get("ending", Ending.COMPLETE)
    if ending not in list(Ending):
        raise fault.at((*place, "ending"), f"{ending!r} is none of: {', '.join(Ending)}")
    facts["ending"] = Ending(ending)
    facts["missing"] = ours.get("missing", 0)
    if type(facts["missing"]) is not int or facts["missing"] < 0:
        raise fault.at((*place, "missing"), f"{facts['missing']!r}: a number of bytes is expected")
    for key in ("dialect", "error", "source", "server"):
        if ours.get(key) is not None:
            if not isinstance(ours[key], str):
                raise fault.at((*place, key), f"{ours[key]!r}: a text is expected")
            facts[key] = ours[key]
    return facts


def _chunks(
    chunks: Any, place: tuple[str | int, ...], size: int, fault: _Faults
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not isinstance(chunks, list) or not chunks:
        raise fault.at(place, "a list of [milliseconds, bytes] is expected")
    for number, chunk in enumerate(chunks):
        if not (isinstance(chunk, list) and len(chunk) == 2 and all(type(v) is int and v >= 0 for v in chunk)):
            raise fault.at((*place, number), f"chunk {chunk!r} is no [milliseconds, bytes] in whole numbers")
        if number and chunk[0] < chunks[number - 1][0]:
            raise fault.at((*place, number), f"the time goes back, from {chunks[number - 1][0]} to {chunk[0]}")
    total = sum(length for _, length in chunks)
    if total != size:
        raise fault.at(place, f"the chunks add up to {total} bytes and the body has {size}: edited by hand?")
    return tuple(length for _, length in chunks), tuple(at for at, _ in chunks)


def _body(body: dict[str, Any], place: tuple[str | int, ...], fault: _Faults) -> bytes:
    if "base64_string" in body:  # how old versions of vcrpy wrote bytes
        try:
            return base64.b64decode(body["base64_string"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise fault.at((*place, "base64_string"), f"not base64: {error}") from None
    text = body.get("string")
    if text is None:
        return b""
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return _encode(text, (*place, "string"), fault)
    raise fault.at((*place, "string"), f"a text is expected, not {type(text).__name__}")


def _encode(text: str, place: tuple[str | int, ...], fault: _Faults) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise fault.at(place, "the text holds half a surrogate pair, which is no UTF-8") from None


def _headers(headers: Any, place: tuple[str | int, ...], fault: _Faults) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if not isinstance(headers, dict):
        raise fault.at(place, "a mapping is expected")
    found = []
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict | list):
                raise fault.at((*place, str(name)), "a text or a list of texts is expected")
            found.append((str(name), value.decode("latin-1") if isinstance(value, bytes) else str(value)))
    return tuple(found)
