"""Writing cassettes: YAML in which a stream reads as its lines, whatever its bytes are.

A text whose every character YAML keeps is a block literal. One with CRs, or other characters that YAML would fold, is
a quoted text that goes on after each line end, with only those characters escaped. Bytes that are no UTF-8 are binary.
PyYAML's emitter looks at each character in Python; here a body costs two searches and a join.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from yaml.emitter import ScalarAnalysis

from streamkit.cassettes.format import parse, stream_entry
from streamkit.errors import UsageError
from streamkit.transcript import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamkit.cassettes.format import Cassette
    from streamkit.transcript import Request, Transcript

__all__ = ["dump", "joined"]

_HEAD = b"version: 1\ninteractions:\n"
_EMPTY = b"version: 1\ninteractions: []\n"
_WIDTH = 1_000_000  # characters
# YAML folds these line breaks, or takes them for a mark of the encoding, so they must be escaped in quotes.
_KEPT = "\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_NOT_IN_BLOCK = re.compile(f"[^\n{_KEPT}]")
_ESCAPED = re.compile(f'[^{_KEPT}]|[\\\\"\t]|^ ')
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"', " ": "\\ "}


class _Dumper(yaml.SafeDumper):
    """SafeDumper with long texts written as a whole."""

    # What the emitter keeps beside its documented methods; its stubs leave these out.
    stream: Any
    indent: Any
    column: int
    whitespace: bool
    indention: bool
    open_ended: bool

    def analyze_scalar(self, scalar: str) -> Any:
        written = isinstance(scalar, _Written)
        if "\n" not in scalar and not written:
            return super().analyze_scalar(scalar)
        block = not written and _NOT_IN_BLOCK.search(scalar) is None
        return ScalarAnalysis(
            scalar=scalar,
            empty=False,
            multiline=not written,
            allow_flow_plain=False,
            allow_block_plain=written,
            allow_single_quoted=False,
            allow_double_quoted=not written,
            allow_block=block,
        )

    def write_plain(self, text: str, split: bool = True) -> None:
        if not isinstance(text, _Written):
            super().write_plain(text, split)
            return
        self.stream.write(" " + text)
        self.column += 1 + len(text)
        self.whitespace = self.indention = False

    def write_literal(self, text: str) -> None:
        hints = self.determine_block_hints(text)
        if text[:1] == "\t":  # without a hint, libyaml takes it for a part of the margin, and refuses it
            hints = f"{self.best_indent}{hints}"
        self.write_indicator("|" + hints, True)
        self.open_ended = hints.endswith("+")
        self.write_line_break()
        margin = " " * (self.indent or 0)
        lines = [margin + line if line else "" for line in text.split("\n")]
        self.stream.write("\n".join(lines))
        self.column = len(lines[-1])
        self.whitespace = self.indention = not lines[-1]

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        if "\n" not in text:
            super().write_double_quoted(text, split)
            return
        self.write_indicator('"', True)
        # An escaped line end ends the line of the file too; the line break and the margin after it do not count.
        lines = [_ESCAPED.sub(_escape, line) for line in re.split(r"(?<=\n)", text)]
        inner = ("\\\n" + " " * (self.indent or 0)).join(line for line in lines if line)
        self.stream.write(inner)
        self.column += len(inner)
        self.write_indicator('"', False)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Flow(list[Any]):
    """A list of whole numbers, or of such lists, that is written on one line."""


class _Written(str):
    """YAML that stands for itself."""

    __slots__ = ()


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    unkept = _NOT_IN_BLOCK.search(text) is not None
    style = '"' if unkept else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _write_flow(dumper: yaml.SafeDumper, values: _Flow) -> yaml.Node:
    text = str(list(values))  # as YAML writes it
    if len(text) < _WIDTH // 2:  # so that no line must be broken
        return yaml.ScalarNode("tag:yaml.org,2002:str", _Written(text))
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(_Flow, _write_flow)


def dump(cassette: Cassette) -> bytes:
    """Return the bytes of a cassette file. The same cassette always gives the same bytes.

    Text bodies read as their lines, so that a diff reads as events. A body that is not UTF-8 is binary. A response that
    is no stream, and of which nothing is known that vcrpy would not write, is written as vcrpy writes it.

    Raises:
        UsageError: what would be written does not read back as the same bytes.
    """
    document: dict[str, Any] = {
        "version": 1,
        "interactions": [
            {"request": _request_entry(i.request), "response": _response_entry(i.transcript)}
            for i in cassette.interactions
        ],
    }
    if cassette.metadata:
        document["metadata"] = cassette.metadata
    text = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False
    )
    raw: bytes = text.encode("utf-8")
    again = parse(raw)
    for old, new in zip(cassette.interactions, again.interactions, strict=True):
        if old.transcript.body != new.transcript.body or old.request.body != new.request.body:
            name = old.transcript.name or "a transcript"
            raise UsageError(f"the body of {name} does not survive YAML: nothing was written")
    return raw


def joined(files: Sequence[bytes]) -> bytes:
    """Return the bytes of one cassette with the interactions of several, each as `dump` returns it, without metadata.

    They are the bytes that `dump` returns for all of them.
    """
    return _HEAD + b"".join(raw.removeprefix(_HEAD) for raw in files) if files else _EMPTY


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
    response: dict[str, Any] = {
        "status": {"code": transcript.head.status, "message": transcript.head.reason},
        "headers": _header_entry(transcript.head.headers),
        "body": {"string": _text(transcript.body)},
    }
    if not _is_plain(transcript):
        entry = stream_entry(transcript)
        entry["chunks"] = _Flow(entry["chunks"])
        response["streamkit"] = entry
    return response


def _is_plain(transcript: Transcript) -> bool:
    """Whether nothing is known of a response that VCR's format does not hold by itself."""
    known = transcript.chunks_recorded or transcript.synthetic or transcript.missing
    told = transcript.dialect or transcript.source or transcript.error or transcript.server
    return not known and not told and transcript.ending is Ending.COMPLETE and transcript.times == (0,)
