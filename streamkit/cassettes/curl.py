"""What `curl -N -i` prints: header blocks and then the body, byte for byte.

    curl -N -i https://api.example.com/v1/chat/completions -d @request.json > answer.txt

curl takes HTTP's chunk framing away, and the boundaries with it. With `--raw` it does not; then the HTTP chunks are the
recorded chunks. The request is in none of this: it gets `UNKNOWN_REQUEST`, unless the caller knows better. Several
answers in one file (`--retry`, several addresses) are not told apart.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from streamkit.cassettes.encoding import codings_of, stored_decoded, without_coding
from streamkit.cassettes.format import Cassette
from streamkit.errors import CassetteFormatError, UsageError
from streamkit.transcript import Ending, Interaction, Request, ResponseHead, Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UNKNOWN_REQUEST", "begins_with_status", "read_curl", "write_curl"]

#: Stands for a request that a file does not tell. A stream is asked for with POST; `.invalid` is nobody's (RFC 2606).
UNKNOWN_REQUEST = Request("POST", "http://unknown.invalid/")

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: ([^\r\n]*))?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_TRAILER = re.compile(rb"[^\s:]+:[^\r\n]*\r\n")
Headers = tuple[tuple[str, str], ...]


class _Framing(NamedTuple):
    """A body as HTTP's chunk framing gives it."""

    chunks: list[bytes]
    complete: bool
    missing: int  # bytes of the last chunk that were announced and are not there


def begins_with_status(raw: bytes) -> bool:
    """Tell whether these bytes begin with a status line, as the output of `curl -i` does."""
    return _STATUS.match(raw) is not None


def read_curl(raw: bytes, path: str, *, name: str | None = None, request: Request = UNKNOWN_REQUEST) -> Cassette:
    """Read the output of `curl -N -i`, also with `-L`, through a proxy, with `--compressed` or with `--raw`.

    The answer is the last header block and what follows it; blocks before it are interim answers (100), those of a
    proxy, redirects, and challenges (401, 407). A body in chunk framing that breaks off has the ending "incomplete".

    Args:
        raw: the bytes of the file.
        path: the file, for messages.
        name: the name that the transcript gets; the path where None.
        request: what was asked, which the file does not tell.

    Raises:
        CassetteFormatError: the file does not begin with a status line, or a header is none.
    """
    at, line = 0, 1
    while True:
        head, at, line = _head(raw, path, at, line)
        if not (_goes_on(head) and _STATUS.match(raw, at)):
            break
    body = raw[at:]
    base = Transcript(
        body=body,
        head=head,
        name=path if name is None else name,
        source="the output of curl",
        request=request,
    )
    coding = codings_of(base)
    framing = _unframed(body) if _is_chunked(head) else None
    if framing is not None:
        base = replace(
            base,
            body=b"".join(framing.chunks),
            lengths=tuple(len(chunk) for chunk in framing.chunks),
            times=(),
            chunks_recorded=bool(framing.chunks),
            ending=Ending.COMPLETE if framing.complete else Ending.INCOMPLETE,
            missing=framing.missing,
        )
    if coding and stored_decoded(base.body, coding):  # curl --compressed leaves the header
        base = without_coding(base)
    return Cassette((Interaction(request, base),))


def _head(raw: bytes, path: str, at: int, line: int) -> tuple[ResponseHead, int, int]:
    """Return the header block that begins at an offset, and the offset and the line after it."""
    status = _STATUS.match(raw, at)
    if status is None:
        raise CassetteFormatError(path, "a status line such as 'HTTP/1.1 200 OK' is expected (curl -N -i)", line=line)
    headers: list[tuple[str, str]] = []
    for text, at_after in _lines(raw, status.end()):
        line += 1
        if not text:
            reason = _text(status[2] or b"").strip()
            return ResponseHead(int(status[1]), reason, tuple(headers)), at_after, line + 1
        name, colon, value = text.partition(b":")
        if text[:1] in b" \t" and headers:  # the line before it goes on (RFC 9112, section 5.2)
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {_text(text).strip()}".strip())
        elif not colon or not name.strip():
            raise CassetteFormatError(path, f"no header: {_text(text[:80])!r}", line=line)
        else:
            headers.append((_text(name).strip(), _text(value).strip(" \t")))
    raise CassetteFormatError(path, "the file ends inside the headers", line=line)


def _lines(raw: bytes, at: int) -> Iterator[tuple[bytes, int]]:
    """Yield each line without its end, and the offset after it; what has no line end is no line."""
    for end in _LINE_END.finditer(raw, at):
        yield raw[at : end.start()], end.end()
        at = end.end()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _goes_on(head: ResponseHead) -> bool:
    """Whether curl prints another answer after this one, and no body of this one."""
    if 100 <= head.status < 200 or head.status in (401, 407):
        return True
    if 300 <= head.status < 400:
        return head.header("location") is not None
    proxy = not any(head.header(name) for name in ("content-type", "content-length", "transfer-encoding"))
    return 200 <= head.status < 300 and proxy  # CONNECT's answer


def _is_chunked(head: ResponseHead) -> bool:
    values = [value for key, value in head.headers if key.lower() == "transfer-encoding"]
    return ",".join(values).replace(" ", "").lower().split(",")[-1] == "chunked"


def _unframed(body: bytes) -> _Framing | None:
    """Read a body as chunk framing (RFC 9112, section 7.1), to its last byte; None for a body that is not framed.

    A framed body that breaks off is one too if at least one whole chunk shows what it is.
    """
    chunks: list[bytes] = []
    at = 0
    while True:
        size = _SIZE.match(body, at)
        if size is None:
            broken_off = chunks and re.fullmatch(rb"[0-9A-Fa-f]{0,15}[ \t]*(?:;[^\r\n]*)?\r?", body[at:])
            return _Framing(chunks, False, 0) if broken_off else None
        length = int(size[1], 16)
        at = size.end()
        if length == 0:
            while (trailer := _TRAILER.match(body, at)) is not None:
                at = trailer.end()
            if body[at:] == b"\r\n":
                return _Framing(chunks, True, 0)
            # without the empty line, the end had not come; with anything else in its place, this is no framing
            return _Framing(chunks, False, 0) if chunks and body[at:] in (b"", b"\r") else None
        data = body[at : at + length]
        end = body[at + length : at + length + 2]
        if len(data) < length or (len(end) < 2 and b"\r\n".startswith(end)):
            if not chunks:
                return None
            return _Framing([*chunks, data] if data else chunks, False, length - len(data))
        if end != b"\r\n":
            return None
        chunks.append(data)
        at += length + 2


def write_curl(transcript: Transcript) -> bytes:
    """Return what `curl -N -i` would have printed: status line, headers, empty line, body.

    Raises:
        UsageError: a header cannot stand in one line, or the body would not read back as it is.
    """
    head = transcript.head
    lines = [f"HTTP/1.1 {head.status:03d} {head.reason}".rstrip()]
    for name, value in head.headers:
        if not name or any(c in name for c in ":\r\n \t") or any(c in value for c in "\r\n"):
            raise UsageError(f"the header {name!r} cannot stand in the output of curl: convert to a cassette or HAR")
        lines.append(f"{name}: {value}")
    try:
        raw = "\r\n".join([*lines, "", ""]).encode() + transcript.body
        again = read_curl(raw, "(curl)").transcripts[0]
    except (CassetteFormatError, UnicodeEncodeError) as error:
        raise UsageError(f"the head of {transcript.name or 'the transcript'} cannot be written so: {error}") from None
    if again.body != transcript.body:
        raise UsageError(f"the body of {transcript.name or 'the transcript'} would be taken for something else")
    return raw
