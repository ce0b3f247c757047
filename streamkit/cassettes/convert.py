"""Between the formats in which a stream can be kept: ours, vcrpy's, HAR, the output of curl, a bare body.

Which format a file has is told by its content; by the name only where any bytes are allowed (`.sse`), or where the
content is broken and the name says whose fault to report. What a format cannot hold, `losses` names before it is lost.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from streamkit.cassettes.curl import UNKNOWN_REQUEST, begins_with_status, read_curl, write_curl
from streamkit.cassettes.encoding import decoded
from streamkit.cassettes.files import read_file
from streamkit.cassettes.format import Cassette, parse
from streamkit.cassettes.har import read_har, write_har
from streamkit.cassettes.writing import dump
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Ending, Interaction, Transcript

if TYPE_CHECKING:
    from streamkit.transcript import Request

__all__ = ["FORMATS", "REQUESTLESS", "format_of_suffix", "losses", "read", "read_bytes", "sniff", "write"]

#: Every format that is read and written.
FORMATS = ("streamkit", "vcr", "har", "curl", "sse")
#: Formats that hold one response and no request.
REQUESTLESS = ("curl", "sse")

_SUFFIXES = {".yaml": "streamkit", ".yml": "streamkit", ".har": "har", ".sse": "sse", ".txt": "curl", ".http": "curl"}
_SSE_LINE = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:data|event|id|retry)?:")
_INTERACTIONS = re.compile(rb"""(?m)^["']?interactions["']?\s*:""")
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def format_of_suffix(path: str | Path) -> str | None:
    """Return the format that a file name asks for, or None where it asks for none."""
    return _SUFFIXES.get(Path(path).suffix.lower())


def sniff(raw: bytes, path: str) -> str:
    """Return the format of a file: "streamkit", "vcr", "har", "curl" or "sse".

    Args:
        raw: the bytes of the file.
        path: its name. `.sse` is a bare body whatever it holds; any other suffix counts only where the content is no
            whole file of any format, so that the reader of that format can say what is wrong.

    Raises:
        CassetteFormatError: it is none of them; the reason says what was tried.
    """
    named = format_of_suffix(path)
    if named == "sse":
        return "sse"
    if begins_with_status(raw):
        return "curl"
    if _SSE_LINE.match(raw):
        return "sse"
    keys = _json_keys(raw)
    if "log" in keys:
        return "har"
    if "interactions" in keys or _INTERACTIONS.search(raw):
        return _flavour(raw)
    if named is not None:
        return named
    raise CassetteFormatError(
        path,
        "in none of the formats that are read: no `interactions` (streamkit, vcr), no JSON object with `log` (har), "
        "no status line (curl -N -i), no line of an event stream (sse). A bare body of another kind is read from a "
        "file whose name ends in .sse",
    )


def _json_keys(raw: bytes) -> set[str]:
    """Return the keys of a JSON object, as far as it takes to know it; an empty set for anything else."""
    text = raw.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text.startswith((b"{", b"\xff\xfe", b"\xfe\xff")):  # some programs write UTF-16
        return set()
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):  # broken, perhaps further down: its reader says where
        return {"log"} if re.match(rb'\{\s*"log"\s*:\s*\{', text) else set()
    return set(document) if isinstance(document, dict) else set()


def _flavour(raw: bytes) -> str:
    """Return "streamkit" if any response has our key, as a key and not in a body; "vcr" otherwise."""
    if b"streamkit" not in raw:
        return "vcr"
    try:
        document = yaml.load(raw, Loader=_SafeLoader)  # noqa: S506 - it is the safe loader, in C where there is one
        found = any("streamkit" in entry["response"] for entry in document["interactions"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError):
        return "streamkit"  # broken: its reader says where
    return "streamkit" if found else "vcr"


def read(
    path: str | Path, *, name: str | None = None, number: int | None = None, request: Request = UNKNOWN_REQUEST
) -> Cassette:
    """Read a file in any of the formats.

    Args:
        path: the file.
        name: the name that its transcripts get; the path where None. The second one is named `NAME#2`, and so on.
        number: the number of the one interaction that is wanted, from 1; None for all.
        request: what was asked, for the formats that do not tell it (curl, sse).

    Raises:
        CassetteFormatError: the file cannot be read; the reason says what was tried.
        LimitError: it is too large.
        UsageError: it has no interaction of that number.
    """
    return read_bytes(read_file(Path(path)), str(path), name=name, number=number, request=request)


def read_bytes(
    raw: bytes,
    path: str,
    *,
    name: str | None = None,
    number: int | None = None,
    request: Request = UNKNOWN_REQUEST,
) -> Cassette:
    """Read the bytes of a file in any of the formats; see `read`."""
    form = sniff(raw, path)
    if form == "har":
        return read_har(raw, path, name=name, only=number)
    if form == "curl":
        cassette = read_curl(raw, path, name=name, request=request)
    elif form == "sse":
        source = f"the file {Path(path).name}, a bare body" if path != "-" else "a bare body"
        transcript = Transcript(raw, name=path if name is None else name, source=source, request=request)
        cassette = Cassette((Interaction(request, transcript),))
    else:
        cassette = parse(raw, path=path, name=name)
    if number is None:
        return cassette
    held = len(cassette.interactions)
    if not 1 <= number <= held:
        raise UsageError(f"{name or path} holds {held} interaction{'s' if held != 1 else ''}: there is no #{number}")
    return Cassette((cassette.interactions[number - 1],))


def write(cassette: Cassette, form: str) -> bytes:
    """Return the bytes of a file in a format. The same cassette always gives the same bytes.

    Args:
        cassette: its interactions; exactly one for "curl" and "sse".
        form: "streamkit"; "vcr" (without our key); "har"; "curl" (as `curl -N -i` prints it); or "sse" (the body
            alone, decoded).

    Raises:
        UsageError: there is no such format, or it cannot hold this cassette.
        CassetteError: "sse" of a body that cannot be decoded.
    """
    if form == "streamkit":
        return dump(cassette)
    if form == "vcr":
        return _plain(cassette)
    if form == "har":
        return write_har(cassette)
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}: write one of {', '.join(FORMATS)}")
    held = len(cassette.interactions)
    if held != 1:
        label = cassette.transcripts[0].name if held else ""
        hint = f": name one of them, {label}#1 to {label}#{held}" if held else ""
        raise UsageError(f"{label or 'the cassette'} holds {held} interactions, and {form} holds one{hint}")
    transcript = cassette.transcripts[0]
    return write_curl(transcript) if form == "curl" else decoded(transcript).body


def _plain(cassette: Cassette) -> bytes:
    """Write a cassette as vcrpy would: with nothing but what VCR's format knows."""
    interactions = [
        Interaction(i.request, Transcript(i.transcript.body, i.transcript.head, name=i.transcript.name))
        for i in cassette.interactions
    ]
    return dump(Cassette(tuple(interactions)))


def losses(cassette: Cassette, form: str) -> list[str]:
    """Return what a format cannot hold of a cassette, in words; an empty list for nothing.

    Args:
        cassette: what would be written.
        form: one of `FORMATS`.

    Raises:
        UsageError: there is no such format.
    """
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}: write one of {', '.join(FORMATS)}")
    if form in ("streamkit", "har"):
        return []
    transcripts = cassette.transcripts
    lost = []
    if any(t.chunks_recorded or len(t.lengths) > 1 for t in transcripts):
        lost.append("chunk boundaries")
    if any(t.ending is not Ending.COMPLETE or t.error or t.missing for t in transcripts):
        lost.append("the way it ended")
    if any(t.dialect or t.source or t.synthetic or t.server for t in transcripts):
        lost.append("where it comes from")
    if form in REQUESTLESS and any(i.request != UNKNOWN_REQUEST for i in cassette.interactions):
        lost.append("the request")
    if form == "sse":
        lost.append("headers")
    return lost
