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
          chunks: [[0, 120], [35, 99]]      # milliseconds after the head, bytes; the bytes add up to the body
          chunks_recorded: true             # false: the network's chunks are not known
          synthetic: false                  # true: no server sent these bytes
          source: where the bytes come from

A cassette without that key, as vcrpy writes it, is a transcript of one chunk. Unknown keys beside ours inside
`response` survive a re-save by vcrpy; on the interaction or at top level they would be dropped, so nothing of ours
stands there. Only plain YAML is read: no tag can make a Python object.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

__all__ = ["FORMAT", "Cassette", "dump", "load_cassette", "parse"]

#: The version of `response.streamkit` that this version reads and writes.
FORMAT = 1

_BaseLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# YAML folds these line breaks, or takes them for a mark of the encoding, so they must be escaped in quotes.
_NOT_IN_BLOCK = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")


@dataclass(frozen=True)
class Cassette:
    """The interactions of one file, in their order."""

    interactions: tuple[Interaction, ...]

    @property
    def transcripts(self) -> tuple[Transcript, ...]:
        """The responses, each with its request."""
        return tuple(interaction.transcript for interaction in self.interactions)


class _Loader(_BaseLoader):  # type: ignore[misc]  # the C loader has no stub of its own
    """A safe loader that also reads the plain tags that old versions of vcrpy wrote."""


def _scalar(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:python/str", _scalar)
_Loader.add_constructor("tag:yaml.org,2002:python/unicode", _scalar)


class _Faults:
    """Raises the format error for a place in the document, given as a path of keys and indexes."""

    def __init__(self, path: str, root: yaml.Node) -> None:
        self.path = path
        self.root = root

    def at(self, place: tuple[str | int, ...], reason: str) -> CassetteFormatError:
        node = self.root
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
        where = ".".join(str(step) for step in place)
        return CassetteFormatError(self.path, f"{where}: {reason}" if where else reason, line=node.start_mark.line + 1)


def load_cassette(path: str | Path, *, name: str | None = None) -> Cassette:
    """Read a cassette file.

    Args:
        path: a YAML cassette (ours or vcrpy's).
        name: the name that its transcripts get; the path where None. Of several interactions the second is named
            `NAME#2`, and so on.

    Raises:
        CassetteFormatError: the file is no cassette, or one of a newer format; it names path, line and reason.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CassetteFormatError(str(path), f"cannot be read: {error.strerror or error}") from error
    return parse(raw, path=str(path), name=name)


def parse(raw: bytes, *, path: str = "(cassette)", name: str | None = None) -> Cassette:
    """Read a cassette from the bytes of its file; see `load_cassette`."""
    try:
        loader = _Loader(raw)
        root = loader.get_single_node()
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
    return Cassette(tuple(interactions))


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
        data = json.dumps(body, ensure_ascii=False).encode()
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
    facts = _stream_facts(ours, here, len(body), fault) if "streamkit" in entry else {}
    return Transcript(body=body, head=head, name=name, request=request, **facts)


def _stream_facts(ours: dict[str, Any], place: tuple[str | int, ...], size: int, fault: _Faults) -> dict[str, Any]:
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
    for key in ("dialect", "source"):
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


# -- writing


class _Dumper(yaml.SafeDumper):
    pass


class _Flow(list[Any]):
    """A list that is written on one line."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    block = "\n" in text and _NOT_IN_BLOCK.search(text) is None
    style = "|" if block else '"' if _NOT_IN_BLOCK.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _write_flow(dumper: yaml.SafeDumper, values: _Flow) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(_Flow, _write_flow)


def dump(cassette: Cassette) -> bytes:
    """Return the bytes of a cassette file. The same cassette always gives the same bytes.

    Text bodies are block literals, so that a diff reads as events. A body that is not UTF-8 is binary.

    Raises:
        UsageError: what would be written does not read back as the same bytes.
    """
    document = {
        "version": 1,
        "interactions": [
            {"request": _request_entry(i.request), "response": _response_entry(i.transcript)}
            for i in cassette.interactions
        ],
    }
    text = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=False
    )
    raw: bytes = text.encode("utf-8")
    again = parse(raw)
    for old, new in zip(cassette.transcripts, again.transcripts, strict=True):
        if old.body != new.body:
            raise UsageError(f"the body of {old.name or 'a transcript'} does not survive YAML: nothing was written")
    return raw


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _header_entry(headers: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    entry: dict[str, list[str]] = {}
    for name, value in headers:
        entry.setdefault(name, []).append(value)
    return entry


def _request_entry(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "uri": request.url,
        "body": _text(request.body) if request.body else None,
        "headers": _header_entry(request.headers),
    }


def _response_entry(transcript: Transcript) -> dict[str, Any]:
    ours: dict[str, Any] = {"format": FORMAT}
    if transcript.dialect is not None:
        ours["dialect"] = transcript.dialect
    ours["ending"] = str(transcript.ending)
    ours["chunks"] = _Flow([at, length] for at, length in zip(transcript.times, transcript.lengths, strict=True))
    ours["chunks_recorded"] = transcript.chunks_recorded
    ours["synthetic"] = transcript.synthetic
    if transcript.source:
        ours["source"] = transcript.source
    return {
        "status": {"code": transcript.head.status, "message": transcript.head.reason},
        "headers": _header_entry(transcript.head.headers),
        "body": {"string": _text(transcript.body)},
        "streamkit": ours,
    }
