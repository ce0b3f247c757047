"""Content codings: a body that was stored as it travelled (gzip, deflate, br, zstd), as a parser gets it.

One decoded piece for each chunk of the wire, because that is how a client library hands it on: where the compressor
held events back, the parser gets nothing, and then several at once. Everything is decoded in short slices, so that a
small file cannot take all memory before the limit is noticed.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from streamkit.errors import CassetteError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamkit.transcript import Transcript

__all__ = ["LIMIT", "begins_as", "codings_of", "decode_chunks", "decoded", "stored_decoded", "without_coding"]

#: Bytes that a body may decode to, unless the caller says otherwise.
LIMIT = 256 * 1024 * 1024

_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_WAY_OUT = "or record it decoded (vcrpy: decode_compressed_response=True)"


class _Decoder(Protocol):
    """One coding of one stream."""

    slice: int  # bytes to feed at a time; what a slice can decode to is bounded by the coding's best ratio

    @property
    def finished(self) -> bool: ...

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class _Members:
    """Codings whose library decodes one member (gzip) or frame (zstd): a body may hold several."""

    finished = False

    def __init__(self, start: Callable[[], Any], error: type[Exception], magic: bytes, size: int) -> None:
        self._start = start
        self._error = error
        self._magic = magic
        self._member = start()
        self._number = 1
        self._head = b""  # what this member begins with
        self._ended = False  # what follows the last member is no member
        self.slice = size

    def feed(self, data: bytes) -> bytes:
        pieces = []
        while data and not self._ended:
            if self.finished:
                self._member, self._head, self.finished = self._start(), b"", False
                self._number += 1
            self._head = (self._head + data[: len(self._magic)])[: len(self._magic)]
            try:
                piece = self._member.decompress(data)
            except self._error as error:
                if self._number == 1 or self._head == self._magic:
                    raise ValueError(str(error)) from None
                self._ended = self.finished = True  # padding after the end, which every client passes over
                break
            pieces.append(piece)
            self.finished = self._member.eof
            data = self._member.unused_data if self.finished else b""
        return b"".join(pieces)

    def flush(self) -> bytes:
        return b""  # these decoders hand out at once what they can


class _Deflate:
    """Deflate, with zlib's frame (RFC 9110, section 8.4.1.2) or bare, as some servers send it."""

    slice = 16384
    finished = False

    def __init__(self) -> None:
        self._inner: Any = None
        self._head = b""

    def feed(self, data: bytes) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            return self._begin()
        if self.finished and data:
            raise ValueError("bytes after the end of the stream")
        return self._feed(data)

    def _begin(self) -> bytes:
        framed = self._head[0] & 15 == 8 and int.from_bytes(self._head[:2], "big") % 31 == 0
        self._inner = zlib.decompressobj(15 if framed else -15)
        return self._feed(self._head)

    def _feed(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._inner.decompress(data)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        self.finished = self._inner.eof
        if self._inner.unused_data:
            raise ValueError("bytes after the end of the stream")
        return piece

    def flush(self) -> bytes:
        return self._begin() if self._inner is None and self._head else b""


class _Brotli:
    """Brotli, which has no marks to know it by."""

    slice = 64  # a few bytes can stand for 16 MiB

    def __init__(self, library: Any) -> None:
        self._library = library
        self._inner = library.Decompressor()

    @property
    def finished(self) -> bool:
        return bool(self._inner.is_finished())

    def feed(self, data: bytes) -> bytes:
        if self.finished and data:
            raise ValueError("bytes after the end of the stream")
        try:
            piece: bytes = self._inner.process(data)
        except self._library.error as error:
            raise ValueError(str(error) or "no brotli data") from None
        return piece

    def flush(self) -> bytes:
        return b""


class _Identity:
    """No coding."""

    slice = 1 << 20
    finished = True

    def feed(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _missing(coding: str, name: str) -> CassetteError:
    return CassetteError(
        f"{_label(name)}the body is compressed as {coding!r}, and no library is installed that reads it: "
        f"pip install 'pytest-streamkit[encodings]', {_WAY_OUT}"
    )


def _brotli(name: str) -> _Decoder:
    try:
        import brotli

        return _Brotli(brotli)
    except ImportError:
        pass
    try:
        import brotlicffi

        return _Brotli(brotlicffi)
    except ImportError:
        raise _missing("br", name) from None


def _zstd(name: str) -> _Decoder:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # from Python 3.14 on

        return _Members(zstd.ZstdDecompressor, zstd.ZstdError, _MAGIC["zstd"], 256)
    except ImportError:
        pass
    try:
        import zstandard

        return _Members(zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError, _MAGIC["zstd"], 256)
    except ImportError:
        raise _missing("zstd", name) from None


def _decoder(coding: str, name: str) -> _Decoder:
    if coding in ("gzip", "x-gzip"):
        return _Members(lambda: zlib.decompressobj(31), zlib.error, _MAGIC[coding], 16384)
    if coding == "deflate":
        return _Deflate()
    if coding == "br":
        return _brotli(name)
    if coding == "zstd":
        return _zstd(name)
    if coding in ("", "identity"):
        return _Identity()
    raise CassetteError(
        f"{_label(name)}the content coding {coding!r} is not known (known: gzip, deflate, br, zstd, identity): "
        f"leave the header away if the body is not coded, {_WAY_OUT}"
    )


def _label(name: str) -> str:
    return f"{name}: " if name else ""


def _listed(coding: str) -> list[str]:
    return [one for part in coding.split(",") if (one := part.strip().lower()) not in ("", "identity")]


def _run(chunks: Iterable[bytes], decoder: _Decoder, limit: int, what: str) -> list[bytes]:
    """Decode one coding; the list has one piece for each chunk."""
    pieces = []
    total = 0
    for chunk in chunks:
        parts = []
        for start in range(0, len(chunk), decoder.slice):
            part = decoder.feed(chunk[start : start + decoder.slice])
            total += len(part)
            if total > limit:
                raise LimitError(f"{what}: the body decodes to more than {limit} bytes", limit=limit)
            parts.append(part)
        pieces.append(b"".join(parts))
    tail = decoder.flush()
    if tail and pieces:
        pieces[-1] += tail
    return pieces


def _decode(chunks: Iterable[bytes], coding: str, name: str, limit: int) -> tuple[list[bytes], bool]:
    """Return the pieces, and whether every coding came to its end."""
    pieces = list(chunks)
    finished = True
    decoders = [_decoder(one, name) for one in reversed(_listed(coding))]  # all of them known before any work is done
    for decoder in decoders:
        pieces = _run(pieces, decoder, limit, name or f"content coding {coding!r}")
        finished = finished and decoder.finished
    return pieces, finished


def decode_chunks(chunks: Iterable[bytes], coding: str, name: str = "", *, limit: int = LIMIT) -> list[bytes]:
    """Decode a coded body chunk by chunk.

    A stream that was cut short decodes as far as it goes. So do several gzip members or zstd frames, one after the
    other; bytes after the last one that are no further member are passed over.

    Args:
        chunks: the bytes of the wire.
        coding: the value of `content-encoding`: gzip, x-gzip, deflate (with zlib's frame or without), br, zstd,
            identity, or several with commas between them, in the order in which they were applied.
        name: what messages call the body.
        limit: bytes that the body may decode to, at each coding.

    Returns:
        One piece for each chunk: what the parser gets when that chunk has come. A piece may be empty.

    Raises:
        CassetteError: the coding is not known, or needs a library that is not installed.
        LimitError: the body decodes to more than `limit` bytes.
        ValueError: the data is not in that coding.
    """
    return _decode(chunks, coding, name, limit)[0]


def codings_of(transcript: Transcript) -> str:
    """Return the codings that the head names, with commas between them; "" for none."""
    values = [value for key, value in transcript.head.headers if key.lower() == "content-encoding"]
    return ", ".join(_listed(",".join(values)))


def without_coding(transcript: Transcript) -> Transcript:
    """Return the transcript without the headers that are true of the coded body only."""
    gone = ("content-encoding", "content-length")
    headers = tuple(header for header in transcript.head.headers if header[0].lower() not in gone)
    return replace(transcript, head=replace(transcript.head, headers=headers))


def _is_text(body: bytes) -> bool:
    """Whether these bytes read as text: what a compressor writes does not, beyond a byte or two."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":  # a character that was cut is still text
            return False
    return _NOT_TEXT.search(body) is None


def begins_as(body: bytes, coding: str) -> bool:
    """Tell whether a body begins with the mark of its outermost coding; deflate and br have none."""
    listed = _listed(coding)
    return bool(listed) and listed[-1] in _MAGIC and body.startswith(_MAGIC[listed[-1]])


def stored_decoded(body: bytes, coding: str) -> bool:
    """Tell whether a body is already decoded although its head still names a coding, as some recorders leave it.

    Args:
        body: the bytes that were stored.
        coding: the value of `content-encoding`.

    Raises:
        CassetteError: it is not, and the coding cannot be read.
    """
    return bool(body) and bool(_listed(coding)) and _decode_stored([body], coding, "", LIMIT) is None


def _decode_stored(chunks: list[bytes], coding: str, name: str, limit: int) -> list[bytes] | None:
    """Return the pieces; None for a body that was stored decoded."""
    body = b"".join(chunks)
    outer = _listed(coding)[-1]
    magic = _MAGIC.get(outer)
    if magic is not None and body[: len(magic)] != magic[: len(body)]:
        return None
    try:
        pieces, finished = _decode(chunks, coding, name, limit)
    except CassetteError:
        if _is_text(body):
            return None
        raise
    except ValueError as error:
        if magic is None:
            return None
        raise CassetteError(f"{_label(name)}the body begins as {outer} and is damaged: {error}") from None
    if not finished and _is_text(body):  # brotli and bare deflate take the beginning of many a text for theirs
        return None
    return pieces


def decoded(transcript: Transcript, *, limit: int = LIMIT) -> Transcript:
    """Return the transcript as a parser gets it: the body decoded, in the chunks that the wire's chunks decode to.

    The headers content-encoding and content-length go, because they are true of the coded body only. A body that was
    stored decoded, with the header kept, is left as it is.

    Args:
        transcript: any transcript; one whose head names no coding is returned as it is.
        limit: bytes that the body may decode to.

    Raises:
        CassetteError: the coding is not known, needs a library that is not installed, or the body is damaged.
        LimitError: the body decodes to more than `limit` bytes.
    """
    coding = codings_of(transcript)
    if not coding or not transcript.body:
        return transcript
    pieces = _decode_stored([chunk.data for chunk in transcript.chunks], coding, transcript.name, limit)
    if pieces is None:
        return transcript
    plain = replace(transcript, body=b"".join(pieces), lengths=tuple(len(piece) for piece in pieces))
    return without_coding(plain)
