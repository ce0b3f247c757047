"""Bodies as they travelled, and as a parser gets them."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from skhelpers.corpus import needs_corpus, recordings

from streamkit.cassettes.encoding import begins_as, codings_of, decode_chunks, decoded, stored_decoded
from streamkit.errors import CassetteError, LimitError
from streamkit.transcript import Ending, ResponseHead, Transcript

BODY = 'data: {"delta": "Grüße, 世界"}\n\n'.encode() * 40 + b"data: [DONE]\n\n"


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.compress,
    "identity": bytes,
    "": bytes,
}
every_coding = pytest.mark.parametrize("coding", COMPRESS)


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def transcript(body: bytes, coding: str, **facts: object) -> Transcript:
    headers = (("Content-Type", "text/event-stream"), ("Content-Encoding", coding), ("Content-Length", str(len(body))))
    return Transcript(body, ResponseHead(200, "OK", headers), name="x", **facts)  # type: ignore[arg-type]


# -- chunk by chunk


@every_coding
@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=8))
def test_any_cut_of_any_body_decodes_to_the_same_bytes(coding: str, body: bytes, cuts: list[int]) -> None:
    """Invariant: one piece for each chunk, and together they are the body."""
    chunks = chopped(COMPRESS[coding](body), cuts)
    pieces = decode_chunks(chunks, coding)
    assert len(chunks) == len(pieces)
    assert body == b"".join(pieces)


@every_coding
def test_a_body_that_comes_byte_by_byte_decodes(coding: str) -> None:
    wire = COMPRESS[coding](BODY)
    pieces = decode_chunks([wire[at : at + 1] for at in range(len(wire))], coding)
    assert (len(wire), BODY) == (len(pieces), b"".join(pieces))


def flushed(coding: str, events: list[bytes]) -> list[bytes]:
    """Compress as a streaming server does: everything that was written goes out with each event."""
    if coding == "br":
        compressor = brotli.Compressor()
        chunks = [compressor.process(event) + compressor.flush() for event in events]
        return [*chunks, compressor.finish()]
    if coding == "zstd":
        frame = zstandard.ZstdCompressor().compressobj()
        chunks = [frame.compress(event) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for event in events]
        return [*chunks, frame.flush()]
    window = {"gzip": 31, "deflate": 15, "Deflate": -15}[coding]
    stream = zlib.compressobj(wbits=window)
    chunks = [stream.compress(event) + stream.flush(zlib.Z_SYNC_FLUSH) for event in events]
    return [*chunks, stream.flush()]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "br", "zstd"])
def test_each_chunk_gives_what_was_flushed_with_it(coding: str) -> None:
    events = [b"data: %d\n\n" % number for number in range(20)]
    assert [*events, b""] == decode_chunks(flushed(coding, events), coding)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "Deflate", "br", "zstd"])
def test_a_stream_that_was_cut_short_decodes_as_far_as_it_goes(coding: str) -> None:
    events = [b"data: %d\n\n" % number for number in range(20)]
    chunks = flushed(coding, events)
    assert events[:7] == decode_chunks(chunks[:7], coding)
    whole = b"".join(chunks)
    for end in range(len(whole)):
        assert b"".join(events).startswith(b"".join(decode_chunks([whole[:end]], coding)))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_several_members_are_one_body(coding: str) -> None:
    parts = [COMPRESS[coding](part) for part in (b"one ", b"", b"two ", b"three")]
    assert b"one two three" == b"".join(decode_chunks([b"".join(parts)], coding))
    assert [b"one ", b"", b"two ", b"three"] == decode_chunks(parts, coding)


def test_padding_after_the_last_member_is_passed_over() -> None:
    assert [b"one", b""] == decode_chunks([gzip.compress(b"one"), b"\0" * 100], "gzip")
    assert [b"one"] == decode_chunks([gzip.compress(b"one") + b"garbage"], "gzip")


def test_a_damaged_second_member_is_not_taken_for_padding() -> None:
    second = bytearray(gzip.compress(BODY))
    second[-6] ^= 1  # its checksum
    with pytest.raises(ValueError, match="incorrect data check"):
        decode_chunks([gzip.compress(b"one") + bytes(second)], "gzip")


def test_codings_are_undone_from_the_last_to_the_first() -> None:
    wire = brotli.compress(gzip.compress(BODY))
    assert BODY == b"".join(decode_chunks(chopped(wire, [5, 9]), " GZIP ,identity, br,"))


def test_no_chunks_give_no_pieces() -> None:
    assert [] == decode_chunks([], "gzip")
    assert [b""] == decode_chunks([b""], "br")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_data_in_no_such_coding_is_a_value_error(coding: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_chunks([b"\xff\xfe\xfd" + BODY], coding)


@pytest.mark.parametrize("coding", ["deflate", "Deflate", "br"])
def test_bytes_after_the_end_are_a_value_error_where_nothing_may_follow(coding: str) -> None:
    for chunks in ([COMPRESS[coding](b"one") + b"two"], [COMPRESS[coding](b"one"), b"two"]):
        with pytest.raises(ValueError, match=r".+"):
            decode_chunks(chunks, coding)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_stopped_at_the_limit(coding: str) -> None:
    bomb = COMPRESS[coding](bytes(1_000_000))
    with pytest.raises(LimitError, match="x: the body decodes to more than 999999 bytes") as caught:
        decode_chunks([bomb], coding, "x", limit=999_999)
    assert 999_999 == caught.value.limit
    assert bytes(1_000_000) == b"".join(decode_chunks([bomb], coding, limit=1_000_000))


def test_the_limit_holds_for_each_of_several_codings() -> None:
    bomb = gzip.compress(gzip.compress(bytes(1_000_000)))
    with pytest.raises(LimitError):
        decode_chunks([bomb], "gzip, gzip", limit=100_000)


def test_an_unknown_coding_is_named_before_anything_is_decoded() -> None:
    with pytest.raises(CassetteError, match=r"x: the content coding 'snappy' is not known .*gzip, deflate, br, zstd"):
        decode_chunks([b"\xff"], "snappy, gzip", "x")


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_missing_library_is_named_by_its_pip_command(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = COMPRESS[coding](BODY)
    for module in ("brotli", "brotlicffi", "compression", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CassetteError, match=r"pip install 'pytest-streamkit\[encodings\]'"):
        decode_chunks([wire], coding)


def test_the_second_brotli_library_does_where_the_first_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = brotli.compress(BODY)
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", brotli)
    assert [BODY] == decode_chunks([wire], "br")


def test_the_zstd_of_the_standard_library_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = zstandard.compress(BODY)
    package, module = ModuleType("compression"), ModuleType("compression.zstd")
    module.ZstdError = zstandard.ZstdError  # type: ignore[attr-defined]  # a module made here
    module.ZstdDecompressor = zstandard.ZstdDecompressor().decompressobj  # type: ignore[attr-defined]  # likewise
    package.zstd = module  # type: ignore[attr-defined]  # likewise
    monkeypatch.setitem(sys.modules, "compression", package)
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert [BODY + BODY] == decode_chunks([wire + wire], "zstd")


# -- transcripts


def test_a_transcript_keeps_the_times_of_the_wire_and_gets_the_lengths_of_what_came() -> None:
    events = [b"data: 1\n\n", b"data: 22\n\n"]
    chunks = flushed("gzip", events)
    wire = transcript(
        b"".join(chunks),
        "gzip",
        lengths=tuple(map(len, chunks)),
        times=(0, 30, 31),
        chunks_recorded=True,
        ending=Ending.RESET,
    )
    plain = decoded(wire)
    assert b"".join(events) == plain.body
    assert ((9, 10, 0), (0, 30, 31), True) == (plain.lengths, plain.times, plain.chunks_recorded)
    assert (("Content-Type", "text/event-stream"),) == plain.head.headers
    assert (Ending.RESET, "x") == (plain.ending, plain.name)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "snappy", "gzip, br"])
@pytest.mark.parametrize("body", [BODY, b": OPENROUTER PROCESSING\n\n" + BODY, b"{}", BODY[:-1], BODY[:23], b"[" * 300])
def test_a_body_that_was_stored_decoded_stays_as_it_is(coding: str, body: bytes) -> None:
    kept = transcript(body, coding)
    assert kept is decoded(kept)


@needs_corpus
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_no_recorded_body_is_taken_for_a_compressed_one(coding: str) -> None:
    for recording in recordings():
        assert stored_decoded(recording.body, coding), recording.name


@needs_corpus
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_every_recorded_body_comes_back_from_its_coding(coding: str) -> None:
    for recording in recordings():
        wire = COMPRESS[coding](recording.body)
        assert recording.body == decoded(transcript(wire, coding)).body, recording.name


@every_coding
@given(body=st.binary(min_size=1, max_size=40))
def test_even_the_shortest_body_comes_back_from_its_coding(coding: str, body: bytes) -> None:
    """Invariant: what a compressor wrote is never taken for a body that was stored decoded."""
    assert body == decoded(transcript(COMPRESS[coding](body), coding)).body


def test_a_damaged_body_says_so_and_is_not_given_as_it_is() -> None:
    wire = bytearray(gzip.compress(BODY))
    wire[-6] ^= 1
    with pytest.raises(CassetteError, match="x: the body begins as gzip and is damaged"):
        decoded(transcript(bytes(wire), "gzip"))


@pytest.mark.parametrize("coding", ["identity", ""])
def test_no_coding_leaves_the_transcript_as_it_is(coding: str) -> None:
    kept = transcript(BODY, coding)
    assert kept is decoded(kept)
    empty = transcript(b"", "gzip")
    assert empty is decoded(empty)


def test_headers_of_several_codings_are_read_as_one_list() -> None:
    head = ResponseHead(200, "OK", (("content-encoding", "gzip"), ("Content-Encoding", "identity, BR")))
    assert "gzip, br" == codings_of(Transcript(b"", head))
    assert BODY == decoded(Transcript(brotli.compress(gzip.compress(BODY)), head)).body


def test_a_body_begins_as_a_coding_only_where_the_coding_has_a_mark() -> None:
    assert begins_as(gzip.compress(BODY), "gzip")
    assert begins_as(zstandard.compress(BODY), "gzip, zstd")
    assert not begins_as(BODY, "gzip")
    assert not begins_as(brotli.compress(BODY), "br")
    assert not begins_as(BODY, "")
